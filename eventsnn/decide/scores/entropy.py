"""Score ``entropy``: one less the normalised entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.scores.base import Asked, LogitScore
from eventsnn.decide.tables import exponential, logarithm


@dataclass(frozen=True)
class Entropy(LogitScore):
    """1 - H / log K of the softmax probabilities of K classes, H their entropy: larger is surer.

    DT-SNN (Li et al., DAC 2023, eq. 1) stops where H / log K is below some theta: here at 1 - theta.
    """

    name: ClassVar[str] = "entropy"
    code: ClassVar[int] = 3

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """1 - H / log K, with H = log Z - sum of e^x x / Z over the logits x <= 0."""
        total = weighted = 0.0
        for logit in self.logits(values, asked):
            term = float(exponential(logit))
            total += term
            weighted += term * logit
        entropy = float(logarithm(total)) - weighted / total
        return min(max(1.0 - entropy / float(logarithm(float(len(values)))), 0.0), 1.0)
