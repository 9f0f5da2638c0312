"""Both engines give the same run, bit for bit, whatever the network, input and options."""

import numpy as np
import pytest
from builders.cases import FEATURES
from builders.draws import SEEDS
from builders.floors import asserts_at_least
from builders.runs import assert_same_run, compare, run
from hypothesis import given, settings

from eventsnn.engine import Stimulus
from eventsnn.network import Dense, Input, IntegrateAndFire, Network, Population, Projection, Readout, Signed


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("feature", FEATURES)
@asserts_at_least(31)
@given(SEEDS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_engines_give_the_same_run(feature, stepped, seed):
    compare(seed, feature, stepped)


@pytest.mark.parametrize("feature", ["seeded", "leak", "factors", "gate", "rate_gate", "softmax", "cycle"])
@asserts_at_least(7)
@given(SEEDS)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_engines_give_the_same_run_on_an_accelerator(feature, seed):
    compare(seed, feature, False, mapped=True)


def test_a_settle_pass_stands_before_later_ranks_of_its_tick_though_a_tick_after_it_came_to_nothing():
    """A neuron that leaked below its threshold is looked at when its refractory time ends, in vain."""
    rate = IntegrateAndFire(5, period=1973, refractory=1184, leak_period=1184, leak_factor=423624704)
    populations = [
        Population("in", (1, 1, 1), Input()),
        Population("s", (1, 1, 1), Signed(25, 1, hysteresis_high=1)),
        Population("r", (1, 1, 3), rate),
        Population("out", (1, 1, 2), Readout()),
    ]
    projections = [
        Projection("a", "in", "s", Dense(np.zeros((1, 1), int)), np.array([13])),
        Projection("b", "s", "r", Dense(np.full((1, 3), -2)), np.array([45, 23, 11])),
        Projection("c", "r", "out", Dense(np.zeros((3, 2), int))),
    ]
    network, stimulus = Network(populations, projections), Stimulus(np.array([2000]), np.array([0]))
    found = run(network, stimulus, "compiled")
    assert_same_run(found, run(network, stimulus))
    last = found.spikes.time == found.spikes.time[-1]
    assert found.spikes.rank[last].tolist() == [1, 2]
