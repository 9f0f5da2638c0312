"""Bias correction of rate neurons: what is played in steps is what runs do, and errors of channels go."""

import numpy as np
import pytest
from builders.rates import driven, lenet, lowered, one_layer
from oracles.values_of_layers import layer_values

from eventsnn.convert.graph.operations import ReLU
from eventsnn.convert.lowering.steps import spikes_of_steps, spikes_of_winners
from eventsnn.network import Axis, MaxPool

THRESHOLD = 2**14


@pytest.mark.parametrize("one_spike", [False, True])
@pytest.mark.parametrize("initial_charge", ["zero", "half"])
@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_steps_are_those_of_a_run(reset, initial_charge, one_spike):
    """Inputs and biases of either sign, up to three thresholds a step."""
    shape, steps = (2, 20, 30), 12
    rng = np.random.default_rng(0)
    bias = rng.integers(-THRESHOLD, THRESHOLD, (2, 1, 1)) * steps
    network = one_layer(
        ReLU(), shape, steps, bias=bias / (steps * THRESHOLD), spikes_at_lambda=steps, reset=reset,
        initial_charge=initial_charge, one_spike=one_spike,
    )  # fmt: skip
    neuron = network.populations["a"].neuron
    unit = neuron.unit[0] * steps  # lambda: the value that the bias has added to 1
    z = rng.integers(-THRESHOLD, 2 * THRESHOLD, shape)
    values = z / THRESHOLD * unit
    charge = np.repeat(z[None].astype(float), steps, axis=0).transpose(0, 2, 3, 1)
    quanta = np.broadcast_to(bias / unit, shape).transpose(1, 2, 0)
    found = spikes_of_steps(charge, quanta, neuron, steps)
    assert found.shape == (steps, 20, 30, 2)
    run = driven(network, values, steps)
    np.testing.assert_array_equal(found.sum(axis=0).reshape(-1), run.counts["a"])
    assert found.max() == (1 if one_spike or reset == "hard" else found.max())


def test_samples_are_played_one_by_one():
    rng = np.random.default_rng(1)
    neuron = one_layer(ReLU(), (1, 1, 2), 5).populations["a"].neuron
    charge = rng.integers(-THRESHOLD, 2 * THRESHOLD, (3 * 5, 4, 4, 2)).astype(float)
    quanta = np.zeros((4, 4, 2))
    whole = spikes_of_steps(charge, quanta, neuron, 5)
    for k in range(3):
        rows = slice(5 * k, 5 * k + 5)
        np.testing.assert_array_equal(whole[rows], spikes_of_steps(charge[rows], quanta, neuron, 5))


def test_gates_pass_on_what_the_largest_count_so_far_spikes():
    rng = np.random.default_rng(2)
    steps, samples = 9, 3
    spikes = rng.integers(0, 3, (samples * steps, 5, 6, 2))
    gates = MaxPool(Axis(3, 2, 1, 1), Axis(2, 2))
    found = spikes_of_winners(spikes, gates, steps)
    assert found.shape == (samples * steps, 3, 3, 2)
    for s in range(samples):
        own = spikes[s * steps : (s + 1) * steps]
        so_far = own.cumsum(axis=0)
        for k, y, x, c in np.ndindex(steps, 3, 3, 2):
            rows, columns = slice(max(0, 2 * y - 1), 2 * y + 2), slice(2 * x, 2 * x + 2)
            winner = so_far[k, rows, columns, c].argmax()  # the first of several
            assert found[s * steps + k, y, x, c] == own[k, rows, columns, c].reshape(-1)[winner]


@pytest.mark.parametrize("settings", [{}, {"initial_charge": "half"}, {"reset": "hard"}], ids=str)
@pytest.mark.parametrize("pool", ["max", "average"])
def test_correction_takes_the_mean_error_of_channels_away(pool, settings):
    rng = np.random.default_rng(3)
    layers, images, steps = lenet(rng, pool), rng.random((20, 1, 12, 12)), 12
    wanted = {name: values.mean(axis=(0, 2, 3)) for name, values in layer_values(layers, images).items()}
    error = {}
    for corrected in (False, True):
        network = lowered(
            layers, images, input="analog", duration_us=2000 * steps, spikes_at_lambda=steps, percentile=100,
            bias_correction=corrected, **settings,
        )  # fmt: skip
        runs = [driven(network, one, steps) for one in images]
        for name in ("c1", "c3", "f5", "f6"):
            population = network.populations[name]
            kept = [(run.charge if name == "f6" else run.counts)[name] for run in runs]
            values = np.array(kept).reshape(-1, population.shape[2]).mean(axis=0)
            off = np.abs(values * np.asarray(population.neuron.unit) - wanted[name])
            error[name, corrected] = float(off.sum() / np.abs(wanted[name]).sum())
    for name in ("c1", "c3", "f5", "f6"):
        assert error[name, True] < max(0.75 * error[name, False], 0.02), (name, error)
    assert network.metadata["conversion"]["bias_correction"] is True
