"""Scores ``count`` and ``count-lead``: a race of spike counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.scores.base import Asked, Score


@dataclass(frozen=True)
class Count(Score):
    """The largest count as a share of ``of``: threshold 1 stops when a class has reached ``of`` spikes."""

    name: ClassVar[str] = "count"
    code: ClassVar[int] = 6
    of_spikes: ClassVar[bool | None] = True
    unweighed: ClassVar[bool] = True
    of: float = 10.0

    def __post_init__(self) -> None:
        self.positive("of")

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """Largest / ``of``, 0 to 1."""
        return min(max(max(values) / self.of, 0.0), 1.0)


@dataclass(frozen=True)
class CountLead(Count):
    """The lead of the largest count over the second as a share of ``of``.

    Threshold 1 stops when it is ``of`` spikes: ``TerminateDelta`` of N2D2.
    """

    name: ClassVar[str] = "count-lead"
    code: ClassVar[int] = 7

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """Lead / ``of``, 1 at most."""
        second, first = sorted(values)[-2:]
        return min((first - second) / self.of, 1.0)
