"""The quantised network in one pass, and the weights a core stores, for every kind of projection."""

import numpy as np
import pytest
from builders.networks import random_network, with_gates, with_lowest, without_currents
from oracles.naive import quantised_network

from eventsnn.convert.quantised import quantised_activations, received
from eventsnn.hardware import Part
from eventsnn.hardware.mapping.limits import Demand
from eventsnn.network import (
    Axis,
    Conv2d,
    Identity,
    Input,
    Network,
    Population,
    Projection,
    Readout,
    SumPool,
)


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_networks_with_max_gates(seed, below):
    network = with_gates(without_currents(random_network(seed, "signed")), seed)
    if below:
        network = with_lowest(network, seed)
    counts = np.random.default_rng(seed).integers(0, 20, network.populations[network.input].size)
    emitted, charge = quantised_network(network, counts)
    for name, found in quantised_activations(network, counts).items():
        is_readout = isinstance(network.populations[name].neuron, Readout)
        np.testing.assert_array_equal(found, (charge if is_readout else emitted)[name])


RNG = np.random.default_rng(5)
TRANSPOSED = Axis(3, 2, transposed=True)
CASES = [
    ((4, 5, 2), [Conv2d(RNG.integers(-9, 9, (3, 3, 2, 4)), TRANSPOSED, TRANSPOSED)], 9 * 2 * 4),
    ((4, 5, 2), [Conv2d(RNG.integers(-9, 9, (1, 1, 2, 4)), Axis(1), Axis(1)), Identity([3, -2])], 2 * 4 + 2),
    ((4, 6, 2), [SumPool([5], Axis(2, 2), Axis(2, 2))], 2),
]


@pytest.mark.parametrize(("source", "kinds", "weights"), CASES)
def test_kinds_side_by_side(source, kinds, weights):
    """Against the edges themselves; concatenated ones start where the one before ends."""
    projections, channels = [], 0
    for i, synapses in enumerate(kinds):
        projections.append(Projection(str(i), "in", "out", synapses, channel_offset=channels))
        target = synapses.target_shape(source)
        channels += target[2]
    populations = [Population("in", source, Input()), Population("out", (*target[:2], channels), Readout())]
    network = Network(populations, projections)
    counts = RNG.integers(-5, 20, (3, int(np.prod(source))))
    for projection in network.projections.values():
        expected = np.zeros((3, network.populations["out"].size), dtype=np.int64)
        for i, j, weight in zip(*network.edges(projection), strict=True):
            expected[:, j] += counts[:, i] * int(weight)
        np.testing.assert_array_equal(received(network, projection, counts), expected)
    assert Demand(network).weights(Part("out", 0, 0, target[0], 0, channels)) == weights
