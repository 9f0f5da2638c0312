"""Score ``checkpoint-lead``: a lead of its own is asked for at each of the given times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.scores.base import Asked, LogitScore


@dataclass(frozen=True)
class CheckpointLead(LogitScore):
    """The lead in logits as a share of what is asked for at that time (``leads``, one for each ``at-us``).

    With threshold 1 it stops where S(1) - S(2) >= beta_t: the Top-K cutoff of Wu et al. (2025, Frontiers in
    Neuroscience; theirs asks for >). Lower thresholds scale all leads down together.
    """

    name: ClassVar[str] = "checkpoint-lead"
    code: ClassVar[int] = 5
    places: ClassVar[str] = "leads"
    leads: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.numbers("leads", 0.0, 1e12)

    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """Lead / the lead asked for, 1 at most."""
        lead, least = self.lead(values, asked), self.leads[asked.place]
        return 1.0 if lead >= least else lead / least
