"""What an exit rule is: a pure function of the readouts so far, so one trace serves any threshold."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from eventsnn.errors import EventsnnError, InvalidExitRule

LEEWAY = 1e-9
"""How far the rounding of a sum may take a confidence out of 0 to 1."""


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
    number = isinstance(found, Real) and not isinstance(found, bool) and math.isfinite(found)
    if not number or not -LEEWAY <= float(found) <= 1.0 + LEEWAY:
        raise InvalidExitRule(
            f"exit rule {rule.name!r} gave the confidence {found!r}; a confidence is a number from 0 (never "
            "sure) to 1"
        )
    return float(found)


def asks_to_stop(rule: ExitRule, readout: Sequence[int], scale: float) -> bool:
    """Whether a rule, asked in Python, stops at a readout; see ``confidence_of``."""
    return confidence_of(rule, readout, scale) >= rule.threshold


def softmax(readout: Sequence[int], scale: float) -> list[float]:
    """Probabilities, the sum taken in index order."""
    best = max(readout)
    terms = [math.exp((value - best) * scale) for value in readout]
    total = 0.0
    for term in terms:
        total += term
    return [term / total for term in terms]


def weighed(readout: Sequence[int], weights: Iterable[Any] | None) -> list[int]:
    """What rules and decisions look at: each count times what it weighs; None: counts as they are."""
    if weights is None:
        return [int(value) for value in readout]
    return [int(value) * int(weight) for value, weight in zip(readout, weights, strict=True)]


def decision(readout: Sequence[int]) -> int:
    """Index of the largest value, ties lowest; -1 (undecided, counted wrong) when all are zero."""
    values = [int(value) for value in readout]
    return values.index(max(values)) if any(values) else -1
