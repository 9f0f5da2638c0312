"""Accumulators ``mean`` and ``rate``: the readout per check, and per time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.accumulators.base import Accumulating, Accumulator
from eventsnn.decide.base import Check
from eventsnn.decide.parts import ticks


@dataclass(frozen=True)
class Mean(Accumulator):
    """The readout, a sum over time, divided by the number of checks so far (DT-SNN's output)."""

    name: ClassVar[str] = "mean"
    code: ClassVar[int] = 2

    def start(self) -> Accumulating:
        """Divides."""
        seen = [0]

        def look(check: Check) -> list[float]:
            seen[0] += 1
            return [float(value) / float(seen[0]) for value in check.readout]

        return look


@dataclass(frozen=True)
class Rate(Accumulator):
    """The readout per ``per_us`` microseconds since the first event; until so much has passed, as it is."""

    name: ClassVar[str] = "rate"
    code: ClassVar[int] = 3
    of_time: ClassVar[bool] = True
    per_us: float = 1000.0

    def __post_init__(self) -> None:
        self.duration("per_us")

    def start(self) -> Accumulating:
        """Divides."""
        per = ticks(self.per_us)

        def look(check: Check) -> list[float]:
            units = float(max(check.time_ps, per)) / float(per)
            return [float(value) / units for value in check.readout]

        return look
