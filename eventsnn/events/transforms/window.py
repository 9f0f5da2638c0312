"""A part of the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.events.stream import MAX_TIME_US, Events
from eventsnn.events.transforms.base import Transform


@dataclass(frozen=True)
class Window(Transform):
    """Events from ``start_us`` on, for ``duration_us``: start <= t < start + duration, times from the start.

    Times count from the zero of the recording as it is read.
    """

    kind: ClassVar[str] = "window"
    duration_us: int
    start_us: int = 0

    def check(self) -> None:
        allowed = f"a whole number of microseconds from {{}} to {MAX_TIME_US}"
        self.require(1 <= self.duration_us <= MAX_TIME_US, "duration_us", allowed.format(1))
        self.require(0 <= self.start_us <= MAX_TIME_US, "start_us", allowed.format(0))

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        inside = (events["t"] >= self.start_us) & (events["t"] < self.start_us + self.duration_us)
        kept = events[inside]
        kept["t"] -= self.start_us
        return kept
