"""Score ``fixed-time``: time alone, what every other rule has to be better than."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.parts import ticks
from eventsnn.decide.scores.base import Asked, Score


@dataclass(frozen=True)
class FixedTime(Score):
    """Time since the first event as a share of ``of_us``: threshold 0.5 stops after half of it."""

    name: ClassVar[str] = "fixed-time"
    code: ClassVar[int] = 9
    of_time: ClassVar[bool] = True
    of_us: float = 1000.0

    def __post_init__(self) -> None:
        self.duration("of_us")

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """Time / ``of_us``, 1 at most."""
        return min(float(asked.check.time_ps) / float(ticks(self.of_us)), 1.0)
