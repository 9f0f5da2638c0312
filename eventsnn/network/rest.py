"""The resting state: what a signed network settles to before any input.

Biases are charges at time 0, so a network that starts empty first spends spikes on computing what it
says about nothing: the same spikes for every sample, and a readout that swings while they travel. A
device that is always on has that behind it, and one that is reset can load the state as well as zeros.
A network at rest starts from that state. Its final counts are the same (law 9); its spikes are those of
the input alone. Analog values are no part of the state: they are added to it at time 0, and a test follows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network.population import Population

if TYPE_CHECKING:
    from eventsnn.network.graph import Network
    from eventsnn.network.projections import Projection


def settled_populations(network: Network) -> list[Population]:
    """A network's populations with every neuron's settled charge and count at no input as initial state.

    Raises
    ------
    InvalidNetwork
        The network has rate neurons, gates of rates, a spiking softmax or a readout with a current, which
        never come to rest, or a cycle, which may not.
    """
    if network.cycles:
        raise InvalidNetwork(
            f"the projections form a cycle through {', '.join(sorted(network.cycles))}; whether and where it "
            "comes to rest is open, so a network at rest has none"
        )
    counts: dict[str, NDArray[np.int64]] = {}
    populations: list[Population] = []
    for population in network:
        neuron = population.neuron
        if neuron.is_input:
            counts[population.name] = np.zeros(population.size, dtype=np.int64)
            populations.append(population)
            continue
        if not neuron.comes_to_rest(biased=neuron.current_period > 0):
            raise InvalidNetwork(
                f"population {population.name!r} of {neuron.kind} neurons never comes to rest; only networks "
                "of signed neurons have a resting state"
            )
        if not neuron.holds_charge:
            (projection,) = network.incoming(population.name)
            count = largest_of_windows(network, projection, counts[projection.source])
            counts[population.name] = count
            populations.append(replace(population, initial_count=count.astype(np.int32)))
            continue
        charge = network.bias(population.name)
        for projection in network.incoming(population.name):
            source, target, weight = network.edges(projection)
            active = counts[projection.source][source]
            np.add.at(charge, target[active != 0], (weight * active)[active != 0])
        charge += neuron.starting_charge
        settled = neuron.settled_count(charge)
        if settled is None:
            populations.append(replace(population, initial_charge=charge.astype(np.int32)))
            continue
        counts[population.name] = settled
        charge -= settled * neuron.ruled.threshold
        populations.append(
            replace(
                population,
                initial_charge=charge.astype(np.int32),
                initial_count=settled.astype(np.int32),
            )
        )
    return populations


def in_state(
    network: Network, charge: dict[str, NDArray[np.int64]], count: dict[str, NDArray[np.int64]]
) -> list[Population]:
    """A network's populations with the settled state that a run ended with, by population.

    Raises
    ------
    InvalidNetwork
        A state that is not settled, or that no population can hold.
    """
    populations = []
    for population in network:
        loads_charge, loads_count = population.neuron.loads
        name = population.name
        populations.append(
            replace(
                population,
                initial_charge=charge[name] if loads_charge else None,
                initial_count=count[name] if loads_count else None,
            )
        )
    return populations


def largest_of_windows(
    network: Network, projection: Projection, counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """What exact max gates end with: the largest count of each window, 0 for a gate of nothing.

    ``counts`` of the projection's source, int64, shape (neurons,) or (neurons, samples); so is the answer.
    """
    source, target, _ = network.edges(projection)
    lowest = np.iinfo(np.int64).min
    largest = np.full((network.populations[projection.target].size, *counts.shape[1:]), lowest)
    np.maximum.at(largest, target, counts[source])
    largest[largest == lowest] = 0
    return largest
