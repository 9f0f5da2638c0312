"""An int8 digital accelerator on a technology table: the fair rival of a spiking one.

It computes the dense network, and its operations and memories cost what the same technology makes them
cost. Comparing with a GPU alone flatters every accelerator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eventsnn.hardware.baselines.energies import BaselineEnergy
from eventsnn.hardware.baselines.figures import Count, Energy, Share, Size
from eventsnn.hardware.baselines.work import Work
from eventsnn.hardware.quantities import ATTOJOULES_PER_JOULE


@dataclass(frozen=True)
class DigitalEnergy:
    """Joules per sample by part."""

    arithmetic: float
    sram: float
    dram: float

    @property
    def total(self) -> float:
        """All parts."""
        return self.arithmetic + self.sram + self.dram


class DigitalBaseline(BaseModel):
    """A digital accelerator as described by its file.

    A multiply-accumulate costs ``multiply`` and ``add``, an addition or comparison ``add``. An operand
    fetched from SRAM serves ``weight_reuse`` or ``activation_reuse`` multiply-accumulates before it is
    fetched again, but is fetched once per layer at least; pools fetch an operand per addition; partial sums
    stay in registers; each result is written once. ``weight_access``, ``activation_access`` and
    ``dram_access`` are the energies of one access of ``word`` bytes. ``dram_share`` of the weights comes
    from DRAM in each pass. Control, clock and static power are not modelled, which favours this baseline.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["eventsnn-digital-baseline"]
    schema_: Literal[1] = Field(alias="schema")
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    bytes_per_value: Size
    multiply: Energy
    add: Energy
    word: Size
    weight_access: Energy
    activation_access: Energy
    dram_access: Energy
    weight_reuse: Count
    activation_reuse: Count
    dram_share: Share

    def energy(self, work: Work) -> DigitalEnergy:
        """Energy per sample by part."""
        weight_reuse, activation_reuse = self.weight_reuse.count(), self.activation_reuse.count()
        multiply, add = self.multiply.attojoules(), self.add.attojoules()
        weight_reads = sum(max(layer.macs / weight_reuse, layer.weights) for layer in work.layers)
        value_accesses = sum(
            max(layer.macs / activation_reuse + layer.additions, layer.values_read) + layer.values_written
            for layer in work.layers
        )
        words = work.passes * self.bytes_per_value.bytes() / self.word.bytes()
        sram = weight_reads * self.weight_access.attojoules()
        sram += value_accesses * self.activation_access.attojoules()
        dram = work.weights * self.dram_share.share() * self.dram_access.attojoules()
        return DigitalEnergy(
            (work.macs * (multiply + add) + work.additions * add) / ATTOJOULES_PER_JOULE,
            words * sram / ATTOJOULES_PER_JOULE,
            words * dram / ATTOJOULES_PER_JOULE,
        )

    def energies(self, work: Work | None = None) -> list[BaselineEnergy]:
        """Energy per sample of the arithmetic alone and of everything; empty without a network's work."""
        if work is None:
            return []
        found = self.energy(work)
        parts = (("arithmetic", found.arithmetic), ("SRAM", found.sram), ("DRAM", found.dram))
        return [
            BaselineEnergy("arithmetic alone", found.arithmetic),
            BaselineEnergy("arithmetic, SRAM, DRAM", found.total, parts=parts),
        ]
