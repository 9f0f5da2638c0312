"""Noise of single pixels taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eventsnn.events.stream import MAX_TIME_US, Events
from eventsnn.events.transforms.base import Transform


@dataclass(frozen=True)
class BackgroundActivity(Transform):
    """Keep events that another one supports: at one of the eight pixels around, at most ``window_us`` before.

    The supporting event may be of either polarity, and need not be kept itself. After the nearest-neighbour
    filter of Delbruck, "Frame-free dynamic digital vision", 2008.
    """

    kind: ClassVar[str] = "background-activity"
    window_us: int

    def check(self) -> None:
        allowed = f"a whole number of microseconds from 0 to {MAX_TIME_US}"
        self.require(0 <= self.window_us <= MAX_TIME_US, "window_us", allowed)

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        return self.begin(height, width, index)(events)

    def begin(self, height: int, width: int, index: int) -> Callable[[Events], Events]:
        from eventsnn.events.transforms.kernels import keep_supported

        last = np.full((height + 2, width + 2), -(2**62), dtype=np.int64)

        def kept_of(events: Events) -> Events:
            time, x, y = (events[name].astype(np.int64) for name in "txy")
            kept = np.empty(len(events), dtype=np.uint8)
            keep_supported(time, x, y, self.window_us, last, kept)
            return events[kept > 0]

        return kept_of
