"""Slower and faster recordings."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from eventsnn.errors import InvalidEvents
from eventsnn.events.stream import MAX_TIME_US, Events
from eventsnn.events.transforms.base import Transform

# Whole numbers up to which t x numerator stays within 64 bits, for every t a stream may have.
LARGEST = 10**6


@dataclass(frozen=True)
class TimeScale(Transform):
    """Multiply times by ``factor`` (2 is half as fast), rounded down to whole microseconds.

    The factor is the decimal number it is written as: 0.1 is one tenth.
    """

    kind: ClassVar[str] = "time-scale"
    factor: float

    def check(self) -> None:
        allowed = f"a positive number that is a fraction of whole numbers up to {LARGEST}"
        self.require(self.factor > 0, "factor", allowed)
        ratio = self._ratio()
        self.require(max(ratio.numerator, ratio.denominator) <= LARGEST, "factor", allowed)

    def _ratio(self) -> Fraction:
        return Fraction(repr(self.factor))

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        ratio = self._ratio()
        if len(events) and int(events["t"][-1]) * ratio >= MAX_TIME_US:
            raise InvalidEvents(
                f"the transform {str(self)!r} takes a time of {events['t'][-1]} us to {MAX_TIME_US} us or "
                "beyond; give a smaller factor"
            )
        scaled = events.copy()
        scaled["t"] = events["t"] * ratio.numerator // ratio.denominator
        return scaled
