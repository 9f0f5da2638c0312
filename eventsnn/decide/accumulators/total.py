"""Accumulator ``sum``: the readouts of all checks added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.accumulators.base import Accumulating, Accumulator
from eventsnn.decide.base import Check


@dataclass(frozen=True)
class Sum(Accumulator):
    """Sum over the checks so far, so that what led for long outweighs what leads now."""

    name: ClassVar[str] = "sum"
    code: ClassVar[int] = 1

    def start(self) -> Accumulating:
        """Adds up."""
        held: list[float] = []

        def look(check: Check) -> list[float]:
            before = held or [0.0] * len(check.readout)
            held[:] = [total + float(value) for total, value in zip(before, check.readout, strict=True)]
            return list(held)

        return look
