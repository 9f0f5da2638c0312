"""A network's parts on their cores as the step schedule sees them: who walks what, and who hears whom."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from eventsnn.engine.reference.state import Destination, lies_in, make_destinations
from eventsnn.hardware import Mapping, Part
from eventsnn.network import Network


@dataclass(eq=False)
class Copy:
    """A copy that spikes are sent as.

    ``place`` is its place among all, ``late`` the steps from its sending to the use of its charge. ``heard``:
    by step, when its senders had walked and its messages had been served.
    """

    place: int
    to: Destination
    late: int
    senders: list[Walker] = field(default_factory=list)
    receivers: list[Walker] = field(default_factory=list)  # one
    heard: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def receiver(self) -> Walker:
        """The part that it ends in."""
        return self.receivers[0]


@dataclass(eq=False)
class Walker:
    """A part of a population on its core.

    ``missing``: walks and messages of this step that it has still to hear of; ``walked``, ``walked_before``:
    when it had walked this step and the one before it (a readout: heard all that it used in them).
    """

    number: int
    rank: int
    part: Part
    neurons: list[int]
    is_input: bool
    is_readout: bool
    copies: list[Copy]
    incoming: list[Copy] = field(default_factory=list)
    missing: int = 0
    walked: int = 0
    walked_before: int = 0


def make_walkers(network: Network, mapping: Mapping, step: int) -> list[Walker]:
    """The parts of all populations, by rank, and the copies between them."""
    copies: list[list[Copy]] = []
    for destinations in make_destinations(network, mapping):
        first = sum(map(len, copies))
        delays = [to.projection.delay // step for to in destinations]
        copies.append([Copy(first + i, to, delays[i]) for i, to in enumerate(destinations)])
    walkers: list[Walker] = []
    for rank, population in enumerate(network):
        is_input, is_readout = population.neuron.is_input, population.neuron.emits == "nothing"
        for part in mapping.parts[population.name]:
            neurons = [j for j in range(population.size) if lies_in(population, j, part)]
            walker = Walker(len(walkers), rank, part, neurons, is_input, is_readout, copies[rank])
            walkers.append(walker)
            for copy in copies[rank]:
                copy.senders.append(walker)
    for copy in (copy for of_rank in copies for copy in of_rank):
        copy.receivers = [w for w in walkers if (w.rank, w.part) == (copy.to.target, copy.to.part)]
        copy.receiver.incoming.append(copy)
    return walkers
