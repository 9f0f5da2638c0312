"""Folding, geometry and rounding: the integer network is the model, layer by layer."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from eventsnn.convert import QCFS, convert, layer_check, quantised_activations
from eventsnn.convert.activations import layer_values
from eventsnn.convert.trained import trained_model

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")


def exact_layer(rng, layer):
    """Weights in eighths, biases in halves: exact in floats, and in quanta."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rng.integers(-8, 9, layer.weight.shape) / 8))
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(rng.integers(-4, 5, layer.bias.shape) / 2))
    return layer


def exact_norm(rng, norm):
    """Statistics whose folding is exact: square variances, no eps."""
    norm.eps = 0.0
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(rng.choice([-1.0, 0.5, 1.0, 2.0], norm.num_features)))
        norm.bias.copy_(torch.from_numpy(rng.integers(-4, 5, norm.num_features) / 2))
    norm.running_mean.copy_(torch.from_numpy(rng.integers(-4, 5, norm.num_features) / 2))
    norm.running_var.copy_(torch.from_numpy(rng.choice([1.0, 4.0, 16.0], norm.num_features)))
    return norm


def input_counts(rng, shape, samples=5):
    """Sparse event counts as the model sees them: (samples, channel, y, x)."""
    return rng.poisson(0.7, (samples, *shape)).astype(np.int64)


def network_counts(counts):
    """Counts (samples, channel, y, x) in the order of populations."""
    return counts.transpose(0, 2, 3, 1)


def in_model_order(network, name, values):
    """(samples, neurons) as (samples, channel, y, x)."""
    return values.reshape(-1, *network.populations[name].shape).transpose(0, 3, 1, 2)


CONVOLUTIONS = {
    "plain": {"kernel_size": 3},
    "stride": {"kernel_size": 3, "stride": 2, "padding": 1},
    "stride beyond kernel": {"kernel_size": 2, "stride": 3},
    "rectangular": {"kernel_size": (2, 5), "stride": (2, 1), "padding": (0, 3)},
    "dilation": {"kernel_size": 3, "dilation": (2, 1), "padding": 2},
    "groups": {"kernel_size": 3, "groups": 2},
    "depthwise": {"kernel_size": 3, "groups": 4, "padding": 1},
    "valid": {"kernel_size": 4, "padding": "valid"},
    "same": {"kernel_size": 3, "padding": "same"},
    "same even": {"kernel_size": (4, 2), "padding": "same"},
    "same even dilated": {"kernel_size": (2, 4), "dilation": (3, 1), "padding": "same"},
    "no bias": {"kernel_size": 1, "bias": False},
}


@pytest.mark.parametrize("geometry", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("pool", [None, 2, (3, 2)])
def test_every_geometry_gives_the_counts_of_the_quantised_model(geometry, pool):
    rng = np.random.default_rng(1)
    layers = [exact_layer(rng, nn.Conv2d(4, 8, **geometry)), QCFS(8, theta=4.0)]
    if pool is not None:
        layers.insert(0, nn.AvgPool2d(pool, ceil_mode=pool == 2))
    model = nn.Sequential(*layers)
    side = (12, 14) if pool is not None else (7, 6)
    counts = input_counts(rng, (4, *side))
    # A cell of three by two divides by six: multiples of six eighths keep the average exact.
    scale = 0.75 if pool == (3, 2) else 0.25
    network = convert(model, counts * scale, input_scale=scale)
    found = quantised_activations(network, network_counts(counts))["conv2d_1" if pool else "conv2d_0"]
    with torch.no_grad():
        wanted = copy.deepcopy(model).double()(torch.from_numpy(counts * scale)) * 2
    name = network.order[-1]
    np.testing.assert_array_equal(in_model_order(network, name, found), wanted.numpy())
    assert 0 < found.mean() < 8


def deep_model(rng, end):
    """Two convolutions, batch norm, pooling, flattening, two linear layers; exact in quanta."""
    layers = [
        exact_layer(rng, nn.Conv2d(2, 4, 3, padding=1)),
        exact_norm(rng, nn.BatchNorm2d(4)),
        QCFS(4, theta=2.0),
        nn.Sequential(nn.AvgPool2d(2), nn.Dropout(0.5), nn.AvgPool2d((2, 1))),
        exact_layer(rng, nn.Conv2d(4, 6, 2)),
        QCFS(8, theta=2.0),
        nn.Flatten(),
        exact_layer(rng, nn.Linear(6 * 1 * 4, 12)),
        exact_norm(rng, nn.BatchNorm1d(12)),
        nn.Identity(),
        QCFS(4, theta=4.0),
        exact_layer(rng, nn.Linear(12, 3)),
    ]
    return nn.Sequential(*layers, *([QCFS(8, theta=2.0)] if end == "fires" else []))


@pytest.mark.parametrize("end", ["fires", "readout"])
def test_a_deep_model_has_no_difference_in_any_layer(end):
    rng = np.random.default_rng(20)
    model = deep_model(rng, end)
    counts = input_counts(rng, (2, 8, 11), samples=40)
    network = convert(model, counts * 0.5, input_scale=0.5)
    checks = layer_check(model, network, counts * 0.5)
    assert [check.name for check in checks] == ["conv2d_0", "conv2d_4", "linear_7", "linear_11"]
    spiking = checks if end == "fires" else checks[:3]
    assert [check.largest_difference for check in spiking] == [0.0] * len(spiking)
    assert all(check.mean_activation > 0 and check.correlation > 0.999999 for check in spiking)
    assert 0 < checks[0].saturated < 1
    if end == "readout":
        # The scale of a readout is no power of two: its weights round, each by half a quantum at most.
        unit = network.populations["linear_11"].neuron.unit
        assert checks[3].neuron == "readout"
        assert checks[3].largest_difference <= unit * (12 * 4 + 1) / 2
        charge = quantised_activations(network, network_counts(counts))["linear_11"]
        with torch.no_grad():
            logits = copy.deepcopy(model).eval().double()(torch.from_numpy(counts * 0.5)).numpy()
        np.testing.assert_allclose(charge * unit, logits, atol=unit * 25)


@pytest.mark.parametrize("threshold", [2**14, 2**16])
def test_any_weights_give_the_quantised_model_up_to_rounding(threshold):
    torch.manual_seed(3)
    rng = np.random.default_rng(3)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        QCFS(4, theta=1.3),
        nn.Conv2d(6, 8, 3, padding="same"),
        QCFS(4, theta=0.7),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    with torch.no_grad():
        model[1].running_mean.uniform_(-1, 1)
        model[1].running_var.uniform_(0.5, 2)
    counts = input_counts(rng, (2, 10, 10), samples=20)
    network = convert(model, counts / 8, input_scale=1 / 8, threshold=threshold)
    checks = layer_check(model, network, counts / 8)
    # Rounding moves a charge by a few quanta of thousands: now and then one count differs by one.
    assert checks[0].mean_difference < 1e-3
    assert checks[1].mean_difference < 1e-2
    assert all(check.correlation > 0.999 for check in checks)
    with torch.no_grad():
        wanted = copy.deepcopy(model).eval()(torch.from_numpy(counts / 8).float()).argmax(1).numpy()
    charge = quantised_activations(network, network_counts(counts))["linear_7"]
    assert (charge.argmax(1) == wanted).mean() >= 0.95


def test_batch_norm_folds_to_the_output_of_evaluation_mode():
    torch.manual_seed(4)
    model = nn.Sequential(
        nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5, affine=False), nn.BatchNorm2d(5), nn.ReLU()
    )
    with torch.no_grad():
        model(torch.rand(50, 2, 6, 6) * 3)  # gives the norms statistics of their own
        model[2].weight.uniform_(-1, 1)
        model[2].bias.uniform_(-1, 1)
    assert model.training
    x = torch.rand(7, 2, 6, 6).double()
    original = trained_model(model).layers_of((2, 6, 6))
    layer = original.layers[1]
    folded_weight = torch.from_numpy(layer.branches[0].linear.weight.copy())
    folded = torch.relu(
        nn.functional.conv2d(x, folded_weight, torch.from_numpy(layer.bias.reshape(-1).copy()))
    )
    wanted = copy.deepcopy(model).eval().double()(x)
    torch.testing.assert_close(folded, wanted, rtol=1e-12, atol=1e-12)
    ((_, output),) = layer_values(original.layers, original.evaluate, x.numpy())
    np.testing.assert_array_equal(output.transpose(0, 3, 1, 2), wanted.detach().numpy())


def test_pooling_is_folded_into_the_layer_after_it():
    rng = np.random.default_rng(5)
    model = nn.Sequential(
        exact_layer(rng, nn.Conv2d(1, 4, 1)),
        QCFS(4, theta=4.0),
        nn.AvgPool2d(2, divisor_override=2),
        nn.AdaptiveAvgPool2d((None, 1)),
        nn.Flatten(),
        exact_layer(rng, nn.Linear(4 * 3, 7)),
        QCFS(16, theta=16.0),
    )
    counts = input_counts(rng, (1, 7, 4))
    network = convert(model, counts)
    assert len(network.populations) == 3  # pools have no population of their own
    dense = network.projections["conv2d_0-linear_5"]
    # Row 7 fills no whole cell, as in PyTorch, and has no synapses.
    assert dense.synapses.pool == (2, 4)
    assert network.synapses(dense) == 6 * 4 * 4 * 7
    assert [check.largest_difference for check in layer_check(model, network, counts)] == [0.0, 0.0]


def test_a_model_that_ends_in_an_average_reads_out_the_mean_count():
    rng = np.random.default_rng(6)
    model = nn.Sequential(
        exact_layer(rng, nn.Conv2d(2, 3, 3)), QCFS(4, theta=4.0), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    counts = input_counts(rng, (2, 6, 6))
    network = convert(model, counts)
    assert network.populations[network.output].neuron.kind == "readout"
    checks = layer_check(model, network, counts)
    assert [check.name for check in checks] == ["conv2d_0", "mean_2"]
    assert checks[1].largest_difference < 1e-3
    assert checks[1].correlation > 0.999999


def test_flattening_keeps_the_order_of_channels_rows_and_columns():
    linear = nn.Linear(2 * 3 * 4, 24, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.eye(24))
    model = nn.Sequential(nn.Flatten(), linear, QCFS(32, theta=32.0))
    counts = np.arange(24).reshape(1, 2, 3, 4)
    network = convert(model, counts, input="events")
    assert network.populations["input"].shape == (3, 4, 2)
    found = quantised_activations(network, network_counts(counts))["linear_1"]
    np.testing.assert_array_equal(found[0], np.arange(24))


def test_rows_of_features_are_an_input_of_one_pixel():
    rng = np.random.default_rng(7)
    model = nn.Sequential(exact_layer(rng, nn.Linear(6, 4)), QCFS(8, theta=8.0))
    counts = rng.integers(0, 4, (10, 6))
    network = convert(model, counts)
    assert network.populations["input"].shape == (1, 1, 6)
    assert layer_check(model, network, counts)[0].largest_difference == 0.0


class Nested(nn.Module):
    """A forward of its own that calls modules one after the other."""

    def __init__(self, rng):
        super().__init__()
        self.features = nn.Sequential(exact_layer(rng, nn.Conv2d(2, 4, 3)), QCFS(4, theta=4.0))
        self.flatten = nn.Flatten()
        self.head = exact_layer(rng, nn.Linear(4 * 16, 3))

    def forward(self, x):
        x = self.features(x)
        return self.head(self.flatten(x))


def test_a_chain_of_modules_in_a_forward_is_followed():
    rng = np.random.default_rng(8)
    model = nn.Sequential(Nested(rng))
    counts = input_counts(rng, (2, 6, 6))
    network = convert(model, counts)
    assert network.order == ("input", "0.features.0", "0.head")
    assert layer_check(model, network, counts)[0].largest_difference == 0.0


def test_a_module_used_twice_becomes_two_populations():
    rng = np.random.default_rng(9)
    shared, relu = exact_layer(rng, nn.Linear(4, 4)), nn.ReLU(inplace=True)
    model = nn.Sequential(shared, relu, shared, relu, nn.Linear(4, 2))
    network = convert(model, rng.integers(0, 5, (20, 4)))
    assert network.order == ("input", "linear_0", "linear_0#2", "linear_4")
    first, second = (network.projections[n] for n in ("input-linear_0", "linear_0-linear_0#2"))
    assert first.synapses.weight.shape == second.synapses.weight.shape


def test_the_models_parameters_mode_and_random_state_stay_as_they_are():
    torch.manual_seed(10)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(48, 2),
    ).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calibration = torch.rand(5, 2, 6, 6)
    kept, torch_state, numpy_state = (
        calibration.clone(),
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),  # noqa: NPY002, the global state is what must not move
    )
    network = convert(model, calibration)
    layer_check(model, network, calibration.round())
    assert model.training
    assert model[2].inplace
    assert model[0].weight.dtype == torch.float32
    assert model[0].weight.requires_grad
    assert model[0].weight.grad is None
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(calibration, kept)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_conversion_repeats_bit_for_bit():
    torch.manual_seed(11)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    calibration = torch.rand(5, 2, 6, 6)
    assert convert(model, calibration).checksum == convert(model, calibration.numpy()).checksum
