"""Score ``first-spike``: the first output spike, or some checks after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.scores.base import Asked, Score


@dataclass(frozen=True)
class FirstSpike(Score):
    """Sure as soon as an output has spiked, and ``more`` checks have followed."""

    name: ClassVar[str] = "first-spike"
    code: ClassVar[int] = 8
    of_spikes: ClassVar[bool | None] = True
    more: int = 0

    def __post_init__(self) -> None:
        self.whole("more", 0, 10**6)

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """The share of those checks that have been; a silent output is not asked about."""
        return min(float(asked.number) / float(self.more + 1), 1.0)
