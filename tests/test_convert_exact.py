"""Law 9 and the QCFS identity: runs end where the integer quantised network says."""

import numpy as np
import pytest
import torch
from builders import networks
from oracles import naive
from torch import nn

from eventsnn.convert import QCFS, convert, quantised_activations
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.network import Dense, Input, Network, Population, Projection, Readout

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")


def random_model(seed, end):
    """A random small convolutional net of QCFS or ReLU activations."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(3, 6))
    activation = (lambda: QCFS(int(rng.integers(2, 9)), 0.8)) if rng.random() < 0.5 else nn.ReLU
    layers = [
        nn.Conv2d(2, channels, 3, stride=int(rng.integers(1, 3)), padding=1),
        nn.BatchNorm2d(channels),
        activation(),
        *([nn.AvgPool2d(2)] if rng.random() < 0.5 else []),
        nn.Conv2d(channels, 4, 2, padding="same"),
        activation(),
        nn.Flatten(),
    ]
    with torch.no_grad():
        values = nn.Sequential(*layers)(torch.rand(4, 2, 8, 7)).shape[1]
    layers.append(nn.Linear(values, 3))
    model = nn.Sequential(*layers, *([activation()] if end == "fires" else []))
    with torch.no_grad():
        model[1].running_mean.uniform_(-0.3, 0.3)
        model[1].running_var.uniform_(0.3, 1)
    return model


def random_events(rng, network, events):
    """Events with ties in time, and the counts of the input neurons."""
    size = network.populations[network.input].size
    time = np.sort(rng.integers(0, 40, events)) * 10**6
    neuron = rng.integers(0, size, events)
    order = np.lexsort((neuron, time))
    return Stimulus(time[order], neuron[order]), np.bincount(neuron, minlength=size)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("end", ["fires", "readout"])
@pytest.mark.parametrize(
    "spiking",
    [
        {},
        {"graded": True},
        {"settle_time_us": 5, "hysteresis": 0.5},
        {"scales": "channel", "threshold": 2**16},
    ],
    ids=["plain", "graded", "lazy", "per channel"],
)
def test_a_drained_run_ends_in_the_quantised_network(engine, end, spiking):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        calibration = rng.poisson(0.6, (10, 2, 8, 7)) / 4
        network = convert(random_model(seed, end), calibration, input_scale=0.25, **spiking)
        stimulus, counts = random_events(rng, network, 120)
        run = make_engine(engine, network, options=RunOptions()).run(stimulus)
        wanted = quantised_activations(network, counts)
        for name in network.order[1:]:
            signed = network.populations[name].neuron.kind == "signed"
            found = run.counts[name] if signed else run.charge[name]
            np.testing.assert_array_equal(found, wanted[name], err_msg=f"seed {seed}, {name}")
        output = wanted[network.output]
        assert run.prediction == (int(output.argmax()) if end == "readout" or output.max() > 0 else -1)


@pytest.mark.parametrize("seed", range(60))
def test_the_evaluation_is_the_naive_one_on_any_network(seed):
    network = networks.random_network(seed)
    readout = network.populations[network.output].neuron
    rng = np.random.default_rng(seed)
    counts = rng.integers(-3, 6, (2, network.populations["in"].size))
    if readout.kind == "readout" and readout.period:
        with pytest.raises(InvalidRequest, match="constant currents"):
            quantised_activations(network, counts)
        return
    found = quantised_activations(network, counts)
    for sample in range(2):
        spikes, charges = naive.quantised_network(network, counts[sample])
        for name in network.order[1:]:
            signed = network.populations[name].neuron.kind == "signed"
            np.testing.assert_array_equal(found[name][sample], spikes[name] if signed else charges[name])


def test_sums_beyond_the_exact_range_of_floats_stay_exact():
    weight = np.array([[2**31 - 1, -(2**31) + 1, 3]] * 2)
    network = Network(
        [Population("in", (1, 1, 2), Input()), Population("out", (1, 1, 3), Readout())],
        [Projection("p", "in", "out", Dense(weight))],
    )
    counts = np.array([2**29 + 1, 2**28 + 3])
    charge = quantised_activations(network, counts)["out"]
    assert charge.tolist() == [int(w) * int(counts.sum()) for w in weight[0]]
    with pytest.raises(InvalidEvents, match=r"fewer than 2\^31"):
        quantised_activations(network, counts * 4)


def test_counts_of_another_shape_or_kind_are_refused():
    network = convert(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()), np.ones((1, 2, 4, 4)))
    assert quantised_activations(network, np.ones((4, 4, 2), int))["conv2d_0"].shape == (12,)
    assert quantised_activations(network, np.ones((5, 32), int))["conv2d_0"].shape == (5, 12)
    with pytest.raises(InvalidEvents, match=r"takes integers of shape \(samples, 32\)"):
        quantised_activations(network, np.ones((5, 2, 4, 4), int))
    with pytest.raises(InvalidEvents, match="dtype float64"):
        quantised_activations(network, np.ones((5, 32)))


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 16])
def test_one_layer_is_the_integrate_and_fire_neuron_driven_for_as_many_steps_as_levels(steps):
    """Acceptance A5: 200,000 random constant inputs x, no mismatch, in integers throughout."""
    neurons, theta = 200_000, 1.0
    rng = np.random.default_rng(steps)
    x = rng.integers(-(2**12), 2**15, neurons)  # quanta of 2^-14 threshold, up to twice the ceiling
    x[:1000] = rng.integers(-2, 2 * steps + 2, 1000) * 2**13 // steps  # at and around the steps' edges
    layer = nn.Linear(1, neurons, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(x[:, None] / 2**14))
    model = nn.Sequential(layer, QCFS(steps, theta))
    # One event a step, each delivering x: the weight of a synapse is x itself.
    network = convert(model, np.ones((1, 1)), input_scale=1 / steps, threshold=2**14)
    np.testing.assert_array_equal(network.projections["input-linear_0"].synapses.weight[0], x)

    charge, fired = np.full(neurons, 2**13), np.zeros(neurons, np.int64)
    for _ in range(steps):
        charge += x
        spikes = charge >= 2**14
        charge -= spikes * 2**14
        fired += spikes
    identity = np.clip((2 * x * steps + 2**14) // 2**15, 0, steps)
    with torch.no_grad():
        trained = model.double()(torch.ones(1, 1, dtype=torch.float64))[0].numpy() * steps / theta
    stimulus = Stimulus(np.arange(1, steps + 1) * 10**9, np.zeros(steps, np.int64))
    run = make_engine("compiled", network).run(stimulus)

    assert np.count_nonzero(fired != identity) == 0
    assert np.count_nonzero(trained != identity) == 0
    assert np.count_nonzero(quantised_activations(network, np.array([steps]))["linear_0"] != identity) == 0
    assert np.count_nonzero(run.counts["linear_0"] != identity) == 0
