"""What every neuron of a network holds at time 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.request import takes_current
from eventsnn.network import Network


def initial_charge(network: Network) -> NDArray[np.int64]:
    """The charge of every neuron at time 0, by rank: initial charge, plus biases that are charges."""
    pieces = []
    for population in network:
        neuron = population.neuron
        charge = np.zeros(population.size, dtype=np.int64)
        if not neuron.holds_charge:
            pieces.append(charge)
            continue
        if population.initial_charge is not None:
            pieces.append(population.initial_charge.astype(np.int64))
            continue
        charge += neuron.starting_charge
        if not takes_current(population):
            charge += network.bias(population.name)
        pieces.append(charge)
    return np.concatenate(pieces)


def initial_count(network: Network) -> NDArray[np.int32]:
    """The count every neuron starts from, by rank: zero but for a network at rest."""
    pieces = []
    for population in network:
        given = population.initial_count
        pieces.append(np.zeros(population.size, dtype=np.int32) if given is None else given)
    return np.concatenate(pieces).astype(np.int32)
