"""A network's parts on their cores, and the copies of spikes that go between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from eventsnn.hardware import INPUT_PORT, Mapping, Part
from eventsnn.network import Network, Population, Projection
from eventsnn.network.neurons import Neuron


@dataclass
class Destination:
    """One copy a spike is sent as, its place among all: its edges by source neuron, targets ascending.

    ``late``: steps until its charge is used; ``at_once``: its targets are tested as its charge lands.
    """

    place: int
    projection: Projection
    part: Part
    target: int
    late: int
    at_once: bool
    edges: dict[int, list[tuple[int, int]]]


def make_destinations(network: Network, mapping: Mapping | None, step: int = 0) -> list[list[Destination]]:
    """Per rank, the copies a spike is sent as, in the order of law 2: (projection name, core).

    ``step``: ticks of a timestep, 0 if there are none.
    """
    parts = whole_populations(network) if mapping is None else mapping.parts
    found: list[list[Destination]] = []
    for name in network.order:
        first = sum(map(len, found))
        found.append([])
        for projection in network.outgoing(name):
            target = network.populations[projection.target]
            rank, late = network.order.index(target.name), projection.delay // step if step else 0
            for part in sorted(parts[target.name], key=lambda part: part.core):
                place, at_once = first + len(found[-1]), target.neuron.tested == "at delivery"
                edges = _edges(network, projection, part)
                found[-1].append(Destination(place, projection, part, rank, late, at_once, edges))
    return found


def whole_populations(network: Network) -> dict[str, tuple[Part, ...]]:
    """Every population whole, on no core."""
    return {p.name: (Part(p.name, INPUT_PORT, 0, p.shape[0], 0, p.shape[2]),) for p in network}


def lies_in(population: Population, neuron: int, part: Part) -> bool:
    """Whether a neuron is of this part of its population."""
    _, width, channels = population.shape
    y, channel = neuron // (width * channels), neuron % channels
    return part.y0 <= y < part.y1 and part.c0 <= channel < part.c1


def parts_of_neurons(network: Network, parts: dict[str, tuple[Part, ...]]) -> list[list[Part]]:
    """Per rank, the part in which each neuron lies."""
    return [
        [next(part for part in parts[p.name] if lies_in(p, j, part)) for j in range(p.size)] for p in network
    ]


def _edges(network: Network, projection: Projection, part: Part) -> dict[int, list[tuple[int, int]]]:
    population = network.populations[projection.target]
    edges: dict[int, list[tuple[int, int]]] = {}
    for source, target, weight in zip(*network.edges(projection), strict=True):
        if lies_in(population, int(target), part):
            edges.setdefault(int(source), []).append((int(target), int(weight)))
    return {source: sorted(targets) for source, targets in edges.items()}


# -- as the step schedule sees them ------------------------------------------------------------------------


@dataclass(eq=False)
class PlacedPart:
    """A part of a population on its core, the copies that it sends, and those that end in it.

    ``scanned``: when its scan of each step was over (a readout: when it had heard all that it used in it).
    """

    number: int
    rank: int
    part: Part
    neurons: list[int]
    neuron: Neuron
    copies: list[Destination]
    incoming: list[Destination]
    scanned: list[int] = field(default_factory=list)

    @property
    def core(self) -> int:
        """Its core's number."""
        return self.part.core

    @property
    def is_readout(self) -> bool:
        """Whether it is not scanned, for it never spikes."""
        return self.neuron.emits == "nothing"


def place_parts(network: Network, mapping: Mapping, step: int) -> list[PlacedPart]:
    """The parts of all populations, by rank."""
    copies = make_destinations(network, mapping, step)
    found: list[PlacedPart] = []
    for rank, population in enumerate(network):
        for part in mapping.parts[population.name]:
            neurons = [j for j in range(population.size) if lies_in(population, j, part)]
            incoming = [to for of_rank in copies for to in of_rank if to.part == part]
            number = len(found)
            found.append(PlacedPart(number, rank, part, neurons, population.neuron, copies[rank], incoming))
    return found
