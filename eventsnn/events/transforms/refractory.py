"""A dead time of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eventsnn.events.stream import MAX_TIME_US, Events
from eventsnn.events.transforms.base import Transform


@dataclass(frozen=True)
class Refractory(Transform):
    """Leave out events less than ``period_us`` after the last one kept of their pixel, of either polarity."""

    kind: ClassVar[str] = "refractory"
    period_us: int

    def check(self) -> None:
        allowed = f"a whole number of microseconds from 1 to {MAX_TIME_US}"
        self.require(1 <= self.period_us <= MAX_TIME_US, "period_us", allowed)

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        return self.begin(height, width, index)(events)

    def begin(self, height: int, width: int, index: int) -> Callable[[Events], Events]:
        from eventsnn.events.transforms.kernels import keep_rested

        last = np.full(height * width, -(2**62), dtype=np.int64)

        def kept_of(events: Events) -> Events:
            place = events["y"].astype(np.int64) * width + events["x"]
            kept = np.empty(len(events), dtype=np.uint8)
            keep_rested(events["t"].astype(np.int64), place, self.period_us, last, kept)
            return events[kept > 0]

        return kept_of
