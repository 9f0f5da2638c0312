"""Exit rules from parts: accumulator x score x memory x schedule x bounds, and a reject option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from eventsnn.arguments import number, shown
from eventsnn.decide.accumulators import Accumulator, Readout
from eventsnn.decide.base import NOT_SURE, REJECTED, Check, ExitRule, Verdict, decision
from eventsnn.decide.memories import Memory, NoMemory
from eventsnn.decide.parts import LONGEST_US, ticks
from eventsnn.decide.schedules import EachOutputEvent, Schedule
from eventsnn.decide.scores import Asked, Score
from eventsnn.errors import InvalidExitRule


@dataclass(frozen=True)
class Combination(ExitRule):
    """Stop at the first check whose confidence is at least ``threshold``; the parts say how it comes about.

    At each change of the readout the schedule and the bounds tell whether it is a check. If so, and the
    readout is not silent, the accumulator makes values of the readouts so far, the score tells how sure they
    are, and the memory what that means after the checks before. A stop answers the class whose value is the
    largest (ties lowest); a run that nothing stops answers as one without a rule.

    Parameters
    ----------
    threshold : float
    score : Score
    accumulator : Accumulator
    memory : Memory
    schedule : Schedule
    after_us : float
        The least time: no check before so many microseconds since the first event.
    until_us : float or None
        The longest time: the first change of a readout that is not silent from then on is a check, and
        stops the run whether it is sure or not.
    reject : float or None
        What has to be answered without being sure - at ``until_us``, or at the end of the run - is answered
        "none of these" (prediction -2) if the last confidence was below this, or nothing was ever asked.

    Raises
    ------
    InvalidExitRule
        Parts or values that are not allowed, or not together.
    """

    threshold: float
    score: Score
    accumulator: Accumulator = field(default_factory=Readout)
    memory: Memory = field(default_factory=NoMemory)
    schedule: Schedule = field(default_factory=EachOutputEvent)
    after_us: float = 0.0
    until_us: float | None = None
    reject: float | None = None
    name: ClassVar[str] = "combination"

    def __post_init__(self) -> None:
        for part, base in zip(self.parts, (Score, Accumulator, Memory, Schedule), strict=True):
            if not isinstance(part, base):
                raise InvalidExitRule(
                    f"the {base.__name__.lower()} of an exit rule is {shown(part)}; give an object of a "
                    f"class of eventsnn.decide derived from {base.__name__}"
                )
        self._bound("after_us", 0.0, LONGEST_US)
        if self.until_us is not None:
            self._bound("until_us", self.after_us, LONGEST_US)
        if self.reject is not None:
            self._bound("reject", 0.0, 1.0)
        self._check_places()
        # Everything but the threshold: what a curve over all thresholds and a certificate call it.
        object.__setattr__(self, "name", ",".join([self.score.name, *self._others()]))
        super().__post_init__()

    @property
    def parts(self) -> tuple[Score, Accumulator, Memory, Schedule]:
        """The four parts."""
        return self.score, self.accumulator, self.memory, self.schedule

    def _bound(self, name: str, least: float, most: float) -> None:
        called = name.replace("_", "-")
        value = float(number(getattr(self, name), f"{called} of an exit rule", InvalidExitRule))
        if not least <= value <= most:
            raise InvalidExitRule(
                f"{called} of an exit rule is {value:g}; allowed are numbers from {least:g} to {most:g}"
            )
        object.__setattr__(self, name, value)

    def _check_places(self) -> None:
        """What is told for each given time needs as many of them."""
        if not self.score.places:
            return
        values, times = getattr(self.score, self.score.places), getattr(self.schedule, "at_us", ())
        if len(values) != len(times):
            raise InvalidExitRule(
                f"the score {self.score.name!r} has {len(values)} {self.score.places} and the schedule "
                f"{len(times)} given times; give one of {self.score.places} for each of at-us"
            )

    def _others(self) -> list[str]:
        """All but the threshold and the score's name, as text."""
        found: dict[str, Any] = dict(self.score.parameters)
        for kind, part, usual in (
            ("accumulator", self.accumulator, Readout()),
            ("memory", self.memory, NoMemory()),
            ("schedule", self.schedule, EachOutputEvent()),
        ):
            # What has a parameter of its own name is known by it.
            if part != usual and part.name not in part.parameters:
                found[kind] = part.name
            found |= part.parameters
        if self.after_us:
            found["after-us"] = self.after_us
        found |= {"until-us": self.until_us} if self.until_us is not None else {}
        found |= {"reject": self.reject} if self.reject is not None else {}
        return [f"{key}={written(value)}" for key, value in found.items()]

    def __str__(self) -> str:
        return with_threshold(self.name, self.threshold)

    def start(self) -> ExitRule:
        """See ``ExitRule.start``."""
        return Watch(self.threshold, self)

    def confidence(self, readout: Sequence[int], scale: float) -> float:
        """Of a single readout, asked at time 0 of a sample of its own; ``NOT_SURE`` as 0."""
        return max(self.start().consider(Check(list(readout), scale)).confidence, 0.0)


class Watch(ExitRule):
    """One sample of a ``Combination``: its parts in Python, in the order in which ``kernels`` has them."""

    def __init__(self, threshold: float, rule: Combination) -> None:
        super().__init__(threshold)
        self.rule = rule
        object.__setattr__(self, "name", rule.name)  # in messages
        self.accumulate, self.remember = rule.accumulator.start(), rule.memory.start()
        self.is_due = rule.schedule.start()
        self.number, self.last = 0, NOT_SURE

    def consider(self, check: Check) -> Verdict:
        """See ``ExitRule.consider``."""
        rule, best = self.rule, decision(check.readout)
        early = rule.after_us > 0 and check.time_ps < ticks(rule.after_us)
        due = not early and self.is_due(check)
        silent = best < 0 or check.time_ps < 0
        forced = not silent and rule.until_us is not None and check.time_ps >= ticks(rule.until_us)
        if silent or not (due or forced):
            return Verdict(due, NOT_SURE, best, False)
        self.number += 1
        values = self.accumulate(check)
        best = values.index(max(values))
        asked = Asked(check, self.number, rule.schedule.place(check.time_ps))
        sure = self.remember(rule.score.confidence(values, asked), best)
        self.last = sure
        if forced and sure < self.threshold:
            return Verdict(True, sure, self.at_end(best), True)
        return Verdict(True, sure, best, sure >= self.threshold)

    def at_end(self, prediction: int) -> int:
        """See ``ExitRule.at_end``."""
        least = self.rule.reject
        return REJECTED if prediction >= 0 and least is not None and self.last < least else prediction

    def confidence(self, readout: Sequence[int], scale: float) -> float:
        """As of its rule."""
        return self.rule.confidence(readout, scale)


def with_threshold(name: str, threshold: float) -> str:
    """The text of a rule of its name, which has no threshold: ``margin:0.5,patience=3``."""
    head, comma, rest = name.partition(",")
    return f"{head}:{threshold!r}{comma}{rest}"


def written(value: Any) -> str:
    """A parameter as text that is read back to the same value."""
    if isinstance(value, tuple):
        return ";".join(map(written, value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)
