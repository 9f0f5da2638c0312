"""Score ``logit-lead``: the lead of the best class over the second, in logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.scores.base import Asked, LogitScore


@dataclass(frozen=True)
class LogitLead(LogitScore):
    """The lead in logits as a share of ``of``, 1 from there on: threshold 0.5 with ``of`` 8 stops at 4."""

    name: ClassVar[str] = "logit-lead"
    code: ClassVar[int] = 4
    of: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.positive("of")

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """Lead / ``of``, 1 at most."""
        return min(self.lead(values, asked) / self.of, 1.0)
