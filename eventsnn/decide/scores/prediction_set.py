"""Score ``prediction-set``: how few classes are left that a calibrated set would hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.scores.base import Asked, LogitScore
from eventsnn.decide.tables import exponential


@dataclass(frozen=True)
class PredictionSet(LogitScore):
    """1 / the number of classes whose probability is at least that of the given time (``least``).

    With threshold 1 it stops where one class or none is left, with 1/2 where two are: SpikeCP (Chen et al.
    2023, arXiv:2305.11322), whose ``least``, one for each ``at-us``, conformal calibration gives
    (``eventsnn calibrate --risk coverage``).
    """

    name: ClassVar[str] = "prediction-set"
    code: ClassVar[int] = 10
    places: ClassVar[str] = "least"
    least: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.numbers("least", 0.0, 1.0)

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """1 / size."""
        terms = [exponential(logit) for logit in self.logits(values, asked)]
        total = 0.0
        for term in terms:
            total += term
        least = self.least[asked.place] * total
        return 1.0 / max(sum(term >= least for term in terms), 1)
