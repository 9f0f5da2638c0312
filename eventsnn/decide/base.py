"""What an exit rule is: a pure function of the readouts so far, so one trace serves any threshold."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, NamedTuple

from eventsnn.decide.tables import exponential
from eventsnn.errors import EventsnnError, InvalidExitRule

LEEWAY = 1e-9
"""How far the rounding of a sum may take a confidence out of 0 to 1."""
NOT_SURE = -1.0
"""Below every confidence: a check that stops at no threshold."""
UNDECIDED = -1
"""The prediction of a sample that no output spoke for; counted wrong."""
REJECTED = -2
"""The prediction "none of these": of a sample that had to be answered, by a rule that was not sure."""


class Check(NamedTuple):
    """What can be known at an exit check.

    Attributes
    ----------
    readout : list of int
        Charges in quanta or spike counts, one per class, times their weights in the decision.
    scale : float
        Logit per unit of the readout.
    time_ps : int
        Since the sample's first event, below 0 before it; in steps the end of the step.
    input_events : int
        Events of the input so far, those of this tick or step included.
    """

    readout: list[int]
    scale: float
    time_ps: int = 0
    input_events: int = 0


class Verdict(NamedTuple):
    """What a rule says at a check.

    Attributes
    ----------
    due : bool
        Whether the decision unit compared the readout; else it costs nothing.
    confidence : float
        0 to 1, or ``NOT_SURE``.
    prediction : int
        What a stop here answers.
    stops : bool
    """

    due: bool
    confidence: float
    prediction: int
    stops: bool


@dataclass(frozen=True)
class ExitRule(ABC):
    """Stop at the first check whose confidence is at least ``threshold``.

    A rule of one's own gives ``confidence`` and, if it is to be called something else than its class,
    ``name``. Every engine and every curve asks it in Python; only the rules here have kernels.

    Parameters
    ----------
    threshold : float
        Between 0 and 1.

    Raises
    ------
    InvalidExitRule
        The threshold is no number from 0 to 1.
    """

    threshold: float
    name: ClassVar[str]
    code: ClassVar[int | None] = None
    """Of the kernel that computes the confidence, if there is one."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Whoever is sure for other reasons than the rule it is derived from is not called the same.
        if _owner(cls, "name") > min(_owner(cls, "confidence"), _owner(cls, "start")):
            cls.name = cls.__name__

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", checked_threshold(self))

    def start(self) -> ExitRule:
        """What is asked at the checks of one sample, in order: for a rule without memory the rule itself.

        A rule with memory gives a fresh object for every sample, which may remember what it was asked.
        """
        return self

    @abstractmethod
    def confidence(self, readout: Sequence[int], scale: float) -> float:
        """How sure a readout is, 0 to 1; equal for equal arguments, and readouts before since ``start``.

        Parameters
        ----------
        readout : list of int
            Charges in quanta, or spike counts, one per class; where classes weigh differently in the
            decision, times their weights.
        scale : float
            Logit per unit of the readout.
        """

    def consider(self, check: Check) -> Verdict:
        """What is said at a check of one sample; asked of what ``start`` gave, in order."""
        best = decision(check.readout)
        if best < 0 or check.time_ps < 0:
            return Verdict(True, NOT_SURE, best, False)
        sure = confidence_of(self, check.readout, check.scale)
        return Verdict(True, sure, best, sure >= self.threshold)

    def at_end(self, prediction: int) -> int:
        """What a sample is answered that nothing stopped and whose full run decides so."""
        return prediction

    def __str__(self) -> str:
        others = "".join(f",{k}={v!r}" for k, v in sorted(vars(self).items()) if k != "threshold")
        return f"{self.name}:{self.threshold!r}{others}"


def _owner(cls: type, attribute: str) -> int:
    """How far up the bases of a class an attribute is given."""
    return next((i for i, base in enumerate(cls.__mro__) if attribute in vars(base)), len(cls.__mro__))


def checked_threshold(rule: ExitRule) -> float:
    """The threshold of a rule as a float.

    Raises
    ------
    InvalidExitRule
    """
    found: Any = getattr(rule, "threshold", None)
    if isinstance(found, bool) or not isinstance(found, Real) or not 0.0 <= float(found) <= 1.0:
        raise InvalidExitRule(
            f"exit rule {rule.name!r} has threshold {found!r}; allowed is a number from 0 to 1"
        )
    return float(found)


def started(rule: ExitRule | None) -> ExitRule | None:
    """What is asked about the next sample; see ``ExitRule.start``.

    Raises
    ------
    InvalidExitRule
        The rule fails, or starts as something that is no rule.
    """
    if rule is None:
        return None
    try:
        found: Any = rule.start()
    except Exception as error:
        raise InvalidExitRule(
            f"exit rule {rule.name!r} failed at the start of a sample: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, ExitRule):
        raise InvalidExitRule(
            f"exit rule {rule.name!r} starts a sample as {found!r}; start() gives an ExitRule, the rule "
            "itself if it remembers nothing"
        )
    return found


def confidence_of(rule: ExitRule, readout: Sequence[int], scale: float) -> float:
    """What a rule says of a readout, checked; the arguments are those of ``ExitRule.confidence``.

    Raises
    ------
    InvalidExitRule
        The rule fails, or what it says is no number from 0 to 1.
    """
    try:
        found: Any = rule.confidence(list(readout), scale)
    except EventsnnError:
        raise
    except Exception as error:
        raise InvalidExitRule(
            f"exit rule {rule.name!r} failed on a readout of {len(readout)} classes: "
            f"{type(error).__name__}: {error}"
        ) from error
    return _checked_confidence(rule, found)


def _checked_confidence(rule: ExitRule, found: Any) -> float:
    number = isinstance(found, Real) and not isinstance(found, bool) and math.isfinite(found)
    if not number or not -LEEWAY <= float(found) <= 1.0 + LEEWAY:
        raise InvalidExitRule(
            f"exit rule {rule.name!r} gave the confidence {found!r}; a confidence is a number from 0 (never "
            "sure) to 1"
        )
    return float(found)


def considered(rule: ExitRule, check: Check) -> Verdict:
    """What a rule says at a check, checked.

    Raises
    ------
    InvalidExitRule
        The rule fails, or what it says is no ``Verdict`` or has no confidence.
    """
    try:
        found: Any = rule.consider(check)
    except EventsnnError:
        raise
    except Exception as error:
        raise InvalidExitRule(
            f"exit rule {rule.name!r} failed at a check: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, Verdict):
        raise InvalidExitRule(
            f"exit rule {rule.name!r} said {found!r} at a check; consider() gives a Verdict"
        )
    if found.confidence != NOT_SURE:
        _checked_confidence(rule, found.confidence)
    return found


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities, the sum taken in index order, by ``tables``: the same on every machine."""
    best = max(logits)
    terms = [float(exponential(value - best)) for value in logits]
    total = 0.0
    for term in terms:
        total += term
    return [term / total for term in terms]


def logits_of(readout: Sequence[float], scale: float) -> list[float]:
    """How far each class is behind the best, in logits."""
    best = max(readout)
    return [(value - best) * scale for value in readout]


def weighed(readout: Sequence[int], weights: Iterable[Any] | None) -> list[int]:
    """What rules and decisions look at: each count times what it weighs; None: counts as they are."""
    if weights is None:
        return [int(value) for value in readout]
    return [int(value) * int(weight) for value, weight in zip(readout, weights, strict=True)]


def decision(readout: Sequence[int]) -> int:
    """Index of the largest value, ties lowest; -1 (undecided, counted wrong) when all are zero."""
    values = [int(value) for value in readout]
    return values.index(max(values)) if any(values) else -1
