"""A GPU as a baseline: energy per sample under three definitions of its power, batch by batch.

Papers multiply a latency by the rated power, by the power measured, or by what of it lies above idle, at a
batch they may not name. The results differ by orders of magnitude, so all are given side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eventsnn.hardware.baselines.energies import BaselineEnergy
from eventsnn.hardware.baselines.figures import (
    Bandwidth,
    Efficiency,
    LargeBatch,
    Overhead,
    Power,
    Rate,
    RestPower,
    Size,
    Time,
)
from eventsnn.hardware.baselines.work import Work


@dataclass(frozen=True)
class OperatingPoint:
    """How long a batch takes and what power is drawn meanwhile, idle power included."""

    batch: int
    latency_s: float
    watts: float


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measurement(_Strict):
    """What was measured: ``latency`` of a whole batch and the mean ``power`` meanwhile, idle included."""

    batch: Annotated[int, Field(ge=1, strict=True)]
    latency: Time
    power: Power


class Roofline(_Strict):
    """A model of the latency where nothing was measured.

    Busy time is ``max(operations / (efficiency x peak), bytes / bandwidth)``; each layer adds
    ``launch_overhead``. ``active_power`` is drawn while busy, ``waiting_power`` during overheads (None:
    ``active_power`` too); both include idle power. Latency is a lower bound: no framework, no transfers.
    """

    precision: str = Field(min_length=1)
    bytes_per_value: Size
    peak: Rate
    bandwidth: Bandwidth
    efficiency: Efficiency
    launch_overhead: Overhead
    active_power: Power
    waiting_power: Power | None = None
    large_batch: LargeBatch

    def point(self, work: Work, batch: int) -> OperatingPoint:
        """A batch of a network: operations and activations grow with the batch, weights are read once."""
        width = self.bytes_per_value.bytes()
        moved = (work.passes * work.weights + batch * work.activations) * width
        rate = self.efficiency.share() * self.peak.operations_per_second()
        busy = max(batch * work.operations / rate, moved / self.bandwidth.bytes_per_second())
        waiting = work.launches * self.launch_overhead.seconds()
        active_watts = self.active_power.watts()
        waiting_watts = active_watts if self.waiting_power is None else self.waiting_power.watts()
        latency = busy + waiting
        mean_watts = (active_watts * busy + waiting_watts * waiting) / latency
        return OperatingPoint(batch, latency, mean_watts)


class GpuBaseline(_Strict):
    """A GPU as described by its file: powers, and measurements or a roofline.

    ``workload`` says what ran while measuring; ``network`` is that network's checksum, where it is one of
    ours.
    """

    format: Literal["eventsnn-gpu-baseline"]
    schema_: Literal[1] = Field(alias="schema")
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    rated_power: Power
    idle_power: RestPower
    workload: str | None = Field(default=None, min_length=1)
    network: str | None = Field(default=None, min_length=1)
    measurements: tuple[Measurement, ...] = ()
    roofline: Roofline | None = None

    @model_validator(mode="after")
    def _whole(self) -> GpuBaseline:
        if bool(self.measurements) == (self.roofline is not None):
            found = "both" if self.measurements else "neither"
            raise ValueError(f"give either 'measurements' or a 'roofline'; there is {found}")
        if self.measurements and self.workload is None:
            raise ValueError("measurements need a 'workload' that says what ran: its latency is no other's")
        if self.roofline is not None and (self.workload or self.network):
            raise ValueError("a roofline takes the network of the run; leave out 'workload' and 'network'")
        self._check_batches()
        self._check_idle()
        return self

    def _check_batches(self) -> None:
        batches = [measured.batch for measured in self.measurements]
        if batches and 1 not in batches:
            found = ", ".join(map(str, sorted(batches)))
            raise ValueError(f"measurements: none is of batch 1 (there is {found}); measure one sample alone")
        if len(set(batches)) < len(batches):
            raise ValueError("measurements: two are of the same batch; give one latency and power for each")

    def _check_idle(self) -> None:
        idle = self.idle_power.watts()
        above = {"rated_power": self.rated_power}
        above |= {f"measurements.{i}.power": item.power for i, item in enumerate(self.measurements)}
        if self.roofline is not None:
            above["roofline.active_power"] = self.roofline.active_power
            if self.roofline.waiting_power is not None:
                above["roofline.waiting_power"] = self.roofline.waiting_power
        for place, power in above.items():
            if idle > power.watts():
                raise ValueError(
                    f"idle_power is {idle:g} W, above {place} of {power.watts():g} W; powers are totals "
                    "and include idle power"
                )

    @property
    def modelled(self) -> bool:
        """Whether latency and power come from a roofline, not from a measurement."""
        return self.roofline is not None

    def points(self, work: Work | None = None) -> list[OperatingPoint]:
        """Operating points by batch, 1 first.

        A roofline needs the work of a network and has batch 1 and its large batch; without one the list is
        empty. Measurements are of their own workload, whatever ``work`` is.
        """
        if self.roofline is None:
            ordered = sorted(self.measurements, key=lambda item: item.batch)
            return [OperatingPoint(m.batch, m.latency.seconds(), m.power.watts()) for m in ordered]
        if work is None:
            return []
        return [self.roofline.point(work, batch) for batch in (1, self.roofline.large_batch.count())]

    def energies(self, work: Work | None = None) -> list[BaselineEnergy]:
        """Energy per sample, ``power x latency / batch``, for each batch and definition of power."""
        rated, idle = self.rated_power.watts(), self.idle_power.watts()
        return [
            BaselineEnergy(name, watts * point.latency_s / point.batch, point.batch, watts, point.latency_s)
            for point in self.points(work)
            for name, watts in (
                ("rated", rated),
                ("total", point.watts),
                ("above idle", point.watts - idle),
            )
        ]
