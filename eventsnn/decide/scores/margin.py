"""Score ``margin``: the lead of the best class over the second, in probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.base import softmax
from eventsnn.decide.scores.base import Asked, LogitScore


@dataclass(frozen=True)
class MarginScore(LogitScore):
    """Largest minus second largest softmax probability."""

    name: ClassVar[str] = "margin"
    code: ClassVar[int] = 2

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """Largest minus second largest probability."""
        second, first = sorted(softmax(self.logits(values, asked)))[-2:]
        return first - second
