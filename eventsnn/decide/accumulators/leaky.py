"""Accumulator ``leaky``: what came lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.accumulators.base import Accumulating, Accumulator
from eventsnn.decide.base import Check


@dataclass(frozen=True)
class Leaky(Accumulator):
    """From check to check ``keep`` of it is kept, and what the readout has changed by is added."""

    name: ClassVar[str] = "leaky"
    code: ClassVar[int] = 4
    keep: float = 0.5

    def __post_init__(self) -> None:
        self.within("keep", 0.0, 1.0)

    def start(self) -> Accumulating:
        """Leaks and adds."""
        held: list[float] = []
        last: list[float] = []

        def look(check: Check) -> list[float]:
            now = [float(value) for value in check.readout]
            if not held:
                held[:], last[:] = [0.0] * len(now), [0.0] * len(now)
            held[:] = [
                value * self.keep + (new - old) for value, new, old in zip(held, now, last, strict=True)
            ]
            last[:] = now
            return list(held)

        return look
