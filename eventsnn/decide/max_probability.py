"""Exit rule ``max-probability``: the probability of the best class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from eventsnn.decide.base import ExitRule, logits_of, softmax


class MaxProbability(ExitRule):
    """Largest softmax probability (SEENN-I, Li et al. 2023, on the summed readout)."""

    name: ClassVar[str] = "max-probability"
    code: ClassVar[int | None] = 1

    def confidence(self, readout: Sequence[int], scale: float) -> float:
        """Largest probability, 0 to 1."""
        return max(softmax(logits_of(readout, scale)))
