"""Score ``max-probability``: the probability of the best class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.base import softmax
from eventsnn.decide.scores.base import Asked, LogitScore


@dataclass(frozen=True)
class MaxProbabilityScore(LogitScore):
    """Largest softmax probability (SEENN-I, Li et al. 2023; Dynamic Confidence, Li et al. 2023)."""

    name: ClassVar[str] = "max-probability"
    code: ClassVar[int] = 1

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """Largest probability."""
        return max(softmax(self.logits(values, asked)))
