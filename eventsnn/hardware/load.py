"""How busy a placed network will keep every core, serialiser and link, from the spikes of an ideal run.

The load of a server is the work offered to it per second, over the one second it has: service time per
message times messages per second. Above 1 it cannot keep up; from about 0.9 on queues grow long. It is an
estimate: on the accelerator spikes come at other times, and signed neurons then emit a few more or fewer.
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware.chip import Chip
from eventsnn.hardware.mapping.parts import INPUT_PORT, Mapping, Part
from eventsnn.hardware.network_on_chip import DIRECTIONS, EAST, WEST
from eventsnn.network import (
    Network,
    Population,
    Projection,
)

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

WARN_ABOVE = 0.9
CORE, SERIALISER, LINK = "core", "serialiser", "link"
Server = tuple[str, int]
"""Its kind, and the number of the core or link."""


@dataclass(frozen=True)
class IdealSpikes:
    """The spikes of one sample: by population, tick and neuron, int64 of shape (spikes,), by time."""

    time: Named[str, Int64]
    neuron: Named[str, Int64]
    ticks: int
    """How long the input lasted; 0 if all of it came at once."""
    steps: int = 0
    """Timesteps of the step schedule."""
    updates: Named[str, int] = field(default_factory=dict)
    """Neurons tested, by population."""


@dataclass(frozen=True)
class ServerLoad:
    """What one core, serialiser or link is offered, means over samples.

    ``load`` is None where the input comes at once, or steps follow each other as fast as they are done:
    nothing is offered per second then, and only ``busy_s``, seconds of work per sample, tells servers apart.
    ``worst`` is the largest load of a sample.
    """

    server: str
    populations: tuple[str, ...]
    messages: float
    synaptic_operations: float
    busy_s: float
    load: float | None
    worst: float | None


@dataclass(frozen=True)
class LoadEstimate:
    """All servers with work, the busiest first."""

    architecture: str
    samples: int
    input_s: float
    servers: tuple[ServerLoad, ...]

    @property
    def warnings(self) -> list[str]:
        """A line for every server that is offered more than ``WARN_ABOVE``."""
        return [
            f"{found.server} ({', '.join(found.populations)}) is offered {found.load:.2f} of what it can "
            f"serve: {'it cannot keep up' if found.load > 1 else 'its queue will be long'}"
            for found in self.servers
            if found.load is not None and found.load > WARN_ABOVE
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "architecture": self.architecture,
            "samples": self.samples,
            "input_s": self.input_s,
            "servers": [asdict(server) for server in self.servers],
            "warnings": self.warnings,
        }


@dataclass
class _Work:
    """Offered to one server, by sample."""

    populations: dict[str, None]
    messages: Float64
    operations: Float64
    ticks: Float64


class _Offered:
    """Adds up what every server is offered."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.of: dict[Server, _Work] = {}

    def add(
        self, server: Server, population: str, ticks: Float64, messages: Any = 0, operations: Any = 0
    ) -> None:
        """More work; the amounts are one value a sample."""
        if server not in self.of:
            nothing = [np.zeros(self.samples) for _ in range(3)]
            self.of[server] = _Work({}, *nothing)
        work = self.of[server]
        work.populations[population] = None
        work.messages += messages
        work.operations += operations
        work.ticks += ticks


def estimate(network: Network, mapping: Mapping, samples: list[IdealSpikes]) -> LoadEstimate:
    """What every core, serialiser and link is offered.

    On an accelerator with timesteps the unit that scans a core's neurons sends their messages, too; its work
    stands under that unit. Rate neurons are taken to be updated in every step, the most there can be; updates
    are spread evenly over a population's neurons.
    """
    chip = Chip(mapping)
    offered = _Offered(len(samples))
    counts = {
        population.name: np.stack(
            [np.bincount(sample.neuron[population.name], minlength=population.size) for sample in samples]
        ).astype(np.float64)
        for population in network
    }
    for projection in network.projections.values():
        _add_messages(offered, network, chip, projection, counts[projection.source])
    for population in network:
        if chip.architecture.synchronisation.kind != "none":
            _add_walks(offered, chip, population, counts[population.name], samples)
        elif _scanned(population):
            _add_scans(offered, network, chip, population, samples)
    return _summary(chip, offered, samples)


def _scanned(population: Population) -> bool:
    """Whether tests take time of their own: a rate neuron's are part of its delivery."""
    return population.neuron.tested == "after deliveries"


def _tested_at_once(population: Population) -> bool:
    return population.neuron.tested == "at delivery"


def _mean(table: Int64) -> float:
    return float(table.mean())


def _fan_out(network: Network, projection: Projection, part: Part) -> Int64:
    source, target = (network.populations[name].shape for name in (projection.source, projection.target))
    return projection.fan_out(source, target, box=part.box)


def _part_of(population: Population, parts: tuple[Part, ...]) -> Int64:
    """The place in ``parts`` of each neuron, shape (neurons,)."""
    place = np.zeros(population.shape, dtype=np.int64)
    for number, part in enumerate(parts):
        place[part.y0 : part.y1, :, part.c0 : part.c1] = number
    return place.reshape(-1)


def _add_messages(
    offered: _Offered, network: Network, chip: Chip, projection: Projection, counts: Float64
) -> None:
    """Serialisers, links and cores of a projection's copies of spikes; ``counts`` by sample and neuron."""
    architecture = chip.architecture
    in_steps = architecture.synchronisation.kind != "none"
    sources = chip.mapping.parts[projection.source]
    place = _part_of(network.populations[projection.source], sources)
    at_once = _tested_at_once(network.populations[projection.target]) and not in_steps
    for part in chip.mapping.parts[projection.target]:
        fan_out = _fan_out(network, projection, part)
        sent = np.nonzero(fan_out)[0]
        costs = chip.core(part.core)
        cycle = _mean(chip.synapse(part.population, part.core)) + (costs.update if at_once else 0)
        service = _mean(costs.decode) - (-fan_out[sent] // costs.processing_elements) * cycle
        copies = counts[:, sent]
        offered.add(
            (CORE, part.core), part.population, copies @ service, copies.sum(axis=1), copies @ fan_out[sent]
        )
        by_source = np.stack([np.bincount(place[sent], row, len(sources)) for row in copies])
        for source, messages in zip(sources, by_source.T, strict=True):
            serialise = _mean(chip.core(source.core).serialise)
            offered.add((SERIALISER, source.core), source.population, messages * serialise, messages)
            for link in architecture.route(source.core, part.core):
                time = messages * _mean(_link_time(chip, link))
                offered.add((LINK, link), source.population, time, messages)


def _link_time(chip: Chip, link: int) -> Int64:
    if chip.architecture.network_on_chip.topology == "bus":
        return chip.bus
    return chip.hop_x if link % DIRECTIONS in (EAST, WEST) else chip.hop_y


def _add_scans(
    offered: _Offered, network: Network, chip: Chip, population: Population, samples: list[IdealSpikes]
) -> None:
    """Threshold tests: a scan of its fan-out after each delivery, or one each settle time with deliveries.

    How many neurons those scans test between them is what the ideal run counted; a window's share goes by
    its deliveries.
    """
    settle = int(population.neuron.parameters_of_rule().get("settle_time", 0))
    parts = chip.mapping.parts[population.name]
    incoming = network.incoming(population.name)
    fan_out = [[_fan_out(network, projection, part) for projection in incoming] for part in parts]
    cycles = np.zeros((len(parts), len(samples)))
    for number, sample in enumerate(samples):
        time = np.concatenate([sample.time[projection.source] for projection in incoming])
        order = np.argsort(time, kind="stable")
        tested = []
        for part, reached in zip(parts, fan_out, strict=True):
            heard = [
                by_neuron[sample.neuron[p.source]] for by_neuron, p in zip(reached, incoming, strict=True)
            ]
            delivered = np.concatenate(heard)[order]
            when, delivered = time[order][delivered > 0], delivered[delivered > 0]
            if settle and len(when):
                size = (part.y1 - part.y0) * population.shape[1] * (part.c1 - part.c0)
                delivered = np.minimum(np.add.reduceat(delivered, _windows(when, settle)), size)
            tested.append(delivered)
        total = sum(int(found.sum()) for found in tested)
        share = min(1.0, sample.updates[population.name] / max(total, 1)) if settle else 1.0
        for place, found in enumerate(tested):
            cycles[place, number] = np.ceil(
                found * share / chip.core(parts[place].core).processing_elements
            ).sum()
    for place, part in enumerate(parts):
        offered.add((CORE, part.core), part.population, cycles[place] * chip.core(part.core).update)


def _windows(time: Int64, length: int) -> list[int]:
    """Where the deliveries of each settle time begin: the first after a test asks for the next."""
    found, at = [], 0
    while at < len(time):
        found.append(at)
        at = int(np.searchsorted(time, time[at] + length, side="right"))
    return found


def _add_walks(
    offered: _Offered, chip: Chip, population: Population, counts: Float64, samples: list[IdealSpikes]
) -> None:
    """Visits, updates and spikes of the neurons of each core."""
    if population.neuron.is_input or population.neuron.emits == "nothing":
        return
    steps = np.array([sample.steps for sample in samples], dtype=np.float64)
    updates = np.array([sample.updates[population.name] for sample in samples]) / population.size
    parts = chip.mapping.parts[population.name]
    place = _part_of(population, parts)
    for number, part in enumerate(parts):
        costs, here = chip.core(part.core), place == number
        time = here.sum() * (steps * costs.access + updates * costs.update)
        time += counts[:, here].sum(axis=1) * costs.fire
        offered.add((SERIALISER, part.core), population.name, time)


def _summary(chip: Chip, offered: _Offered, samples: list[IdealSpikes]) -> LoadEstimate:
    ticks = np.array([sample.ticks for sample in samples], dtype=np.float64)
    synchronisation = chip.architecture.synchronisation
    paced = synchronisation.kind == "none" or synchronisation.pace == "input"
    rated = bool(ticks.all()) and paced
    found = [
        ServerLoad(
            server=_name(chip, server),
            populations=tuple(work.populations),
            messages=float(work.messages.mean()),
            synaptic_operations=float(work.operations.mean()),
            busy_s=float(work.ticks.mean()) * 1e-12,
            load=float(work.ticks.sum() / ticks.sum()) if rated else None,
            worst=float((work.ticks / ticks).max()) if rated else None,
        )
        for server, work in sorted(offered.of.items())
        if work.messages.any() or work.ticks.any()
    ]
    found.sort(key=lambda server: -server.busy_s)
    return LoadEstimate(chip.architecture.name, len(samples), float(ticks.mean()) * 1e-12, tuple(found))


def _name(chip: Chip, server: Server) -> str:
    kind, number = server
    if kind == LINK:
        return chip.architecture.network_on_chip.link_name(number)
    if number == INPUT_PORT:
        return "input port"
    if kind == CORE:
        return f"core {number}"
    stepped = chip.architecture.synchronisation.kind != "none"
    return f"{'neuron unit' if stepped else 'serialiser'} of core {number}"
