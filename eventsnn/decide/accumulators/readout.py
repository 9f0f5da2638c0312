"""Accumulators ``readout``, ``charge``, ``counts``: what the output has gathered since the sample began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.accumulators.base import Accumulating, Accumulator


@dataclass(frozen=True)
class Readout(Accumulator):
    """Charge or spike counts, whichever the output has; both are sums over time already."""

    name: ClassVar[str] = "readout"
    code: ClassVar[int] = 0

    def start(self) -> Accumulating:
        """The readout as it is."""
        return lambda check: [float(value) for value in check.readout]


@dataclass(frozen=True)
class Charge(Readout):
    """The charge of an output that does not spike; any other output is refused."""

    name: ClassVar[str] = "charge"
    of_spikes: ClassVar[bool | None] = False


@dataclass(frozen=True)
class Counts(Readout):
    """The spike counts of an output; one whose charge is read is refused."""

    name: ClassVar[str] = "counts"
    of_spikes: ClassVar[bool | None] = True
