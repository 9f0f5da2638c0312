"""Memory ``probability-ratio``: evidence of checks added up, as in Wald's sequential test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.memories.base import Memory, Remembering
from eventsnn.decide.tables import exponential, logarithm


@dataclass(frozen=True)
class ProbabilityRatio(Memory):
    """Sequential probability ratio (Wald, Ann. Math. Stat. 16, 1945): is the class that leads the right one?

    The score s of a check is taken for the probability that its decision is right, and each check for a
    new observation: their log ratios log(s / (1 - s)), ``probability_ratio`` at most either way, are added
    up, anew whenever another class leads, and never below 0. The confidence is 1 / (1 + e^-sum), so that
    threshold 1 - alpha is Wald's limit log((1 - alpha) / alpha).
    """

    name: ClassVar[str] = "probability-ratio"
    code: ClassVar[int] = 2
    probability_ratio: float

    def __post_init__(self) -> None:
        self.within("probability_ratio", 1e-9, 500.0)

    def start(self) -> Remembering:
        """Adds up."""
        held, last = [0.0], [-1]

        def remember(score: float, best: int) -> float:
            if best != last[0]:
                held[0] = 0.0
            last[0] = best
            held[0] = max(held[0] + log_ratio(score, self.probability_ratio), 0.0)
            return float(1.0 / (1.0 + exponential(-held[0])))

        return remember


def log_ratio(score: float, limit: float) -> float:
    """log(s / (1 - s)), between -limit and limit."""
    larger, smaller = (score, 1.0 - score) if score >= 0.5 else (1.0 - score, score)
    least = larger * float(exponential(-limit))
    size = limit if smaller <= least else float(logarithm(larger / smaller))
    return size if score >= 0.5 else -size
