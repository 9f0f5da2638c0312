"""Events lost at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.events.draws import keyed_generator
from eventsnn.events.stream import Events
from eventsnn.events.transforms.base import Transform


@dataclass(frozen=True)
class Drop(Transform):
    """Leave each event out with probability ``share``, drawn for (seed, index of the recording)."""

    kind: ClassVar[str] = "drop"
    share: float
    seed: int = 0

    def check(self) -> None:
        self.require(0 <= self.share < 1, "share", "a probability, at least 0 and below 1")
        self.require(0 <= self.seed < 2**63, "seed", "a whole number from 0 to 2^63 - 1")

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        return self.begin(height, width, index)(events)

    def begin(self, height: int, width: int, index: int) -> Callable[[Events], Events]:
        # One number an event, in their order: a beginning of the events has a beginning of the numbers.
        generator = keyed_generator(self.seed, index, "drop events")
        return lambda events: events[generator.random(len(events)) >= self.share]
