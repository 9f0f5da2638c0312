"""Exit rule ``margin``: the lead of the best class over the second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from eventsnn.decide.base import ExitRule, logits_of, softmax


class Margin(ExitRule):
    """Largest minus second largest softmax probability."""

    name: ClassVar[str] = "margin"
    code: ClassVar[int | None] = 2

    def confidence(self, readout: Sequence[int], scale: float) -> float:
        """Largest minus second largest probability, 0 to 1."""
        first, second = sorted([*softmax(logits_of(readout, scale)), 0.0], reverse=True)[:2]
        return first - second
