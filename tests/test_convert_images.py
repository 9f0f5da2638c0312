"""Images as calibration: one rule for values, a normalisation folded into the first layer, the contract."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from eventsnn.convert import QCFS, compare, convert, layer_check, quantised_activations
from eventsnn.errors import EventsnnError, InvalidRequest
from eventsnn.events import Recording, image_set, make_events
from eventsnn.network import load_network

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")


def small(channels=1):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 5, 3)
    )


def bytes_of(count=12, channels=1):
    return np.random.default_rng(0).integers(0, 256, (count, channels, 6, 5), dtype=np.uint8)


def weights(network):
    return {name: (p.synapses.weight, p.bias) for name, p in network.projections.items()}


def same_weights(one, other):
    for name, (weight, bias) in weights(one).items():
        np.testing.assert_array_equal(weight, weights(other)[name][0])
        np.testing.assert_array_equal(bias, weights(other)[name][1])


def test_bytes_are_divided_by_255_whatever_holds_them():
    images, model = bytes_of(), small()
    found = [
        convert(model, data, input="charge")
        for data in (
            images,
            torch.from_numpy(images),
            images / 255,
            image_set(images[:, 0]),
            image_set(images[:, 0], np.arange(12)),
        )
    ]
    for other in found[1:]:
        same_weights(found[0], other)
        assert other.checksum == found[0].checksum
    assert found[0].contract.highest == images.max() / 255


@pytest.mark.parametrize(
    ("data", "settings", "coding", "unit"),
    [
        (bytes_of(), {}, "charge", 1 / 255),
        (bytes_of() > 128, {}, "charge", 1 / 255),
        (bytes_of() / 255 - 0.5, {}, "charge", 1 / 255),
        (bytes_of() / 255, {}, None, 1.0),
        (bytes_of() / 255, {"input_mean": 0.5}, "charge", 1 / 255),
        (bytes_of(), {"neuron": "rate"}, "analog", 1.0),
        (bytes_of(), {"input": "poisson"}, "poisson", 1 / (1000 * 0.1)),
        (bytes_of(), {"input": "bernoulli", "max_rate_hz": 200, "duration_us": 5e4}, "bernoulli", 0.1),
        (bytes_of(), {"input": "charge", "input_scale": 0.25}, "charge", 0.25),
        (bytes_of().astype(float), {"input": "events"}, "events", 1.0),
        (bytes_of(), {"input": "events"}, "events", 1.0),
    ],
)
def test_the_coding_and_the_unit_of_the_input(data, settings, coding, unit, tmp_path):
    network = convert(small(), data, **settings)
    network.save(tmp_path / "net.h5")
    network = load_network(tmp_path / "net.h5")
    assert network.contract.coding == coding
    assert network.populations["input"].neuron.unit == pytest.approx(unit, rel=1e-12)
    assert network.populations["input"].neuron.analog_scale == (2**20 if coding == "analog" else 256)
    needs_time = settings.get("neuron") == "rate" or coding in ("poisson", "bernoulli")
    assert network.contract.duration_us == (settings.get("duration_us", 1e5) if needs_time else None)


REFUSED = {
    "0 to 255": (bytes_of().astype(float), {}, r"give uint8 .*scale them.*input_range=\(0, 255\)"),
    "declared": (bytes_of().astype(float), {"input": "charge"}, "give uint8"),
    "whole numbers": (bytes_of().astype(int) // 64, {"input": "charge"}, "int64; images are uint8"),
    "negative counts": (bytes_of() / -255, {"input": "events"}, "is never negative"),
    "normalised twice": (bytes_of() / 255 - 0.5, {"input_std": 0.5}, "normalised already"),
    "drawn beyond 1": (bytes_of() / 100, {"input": "poisson"}, "images go from 0 to 1"),
    "rates": (
        bytes_of(),
        {"input": "poisson", "max_rate_hz": 100, "input_scale": 0.01},
        "at 1000 per second, and max_rate_hz is 100",
    ),
    "rate of charges": (bytes_of(), {"max_rate_hz": 100}, "only poisson and bernoulli"),
    "means": (bytes_of(), {"input_mean": (0.1, 0.2)}, "input_mean has 2 values.* 1 channels"),
    "deviation": (bytes_of(), {"input_std": 0}, "each deviation is above 0"),
    "range": (bytes_of(), {"input_range": (255, 0)}, "lowest and the highest"),
    "range kind": (bytes_of(), {"input_range": "0,255"}, "give one finite number"),
    "coding": (bytes_of(), {"input": "morse"}, "input is 'morse'; allowed are events"),
    "images as events": (image_set(bytes_of()[:, 0]), {"input": "events"}, "is for recordings"),
    "charges": (bytes_of(), {"input": "charge", "input_scale": 1e-12}, "beyond 32 bits"),
    "text": (bytes_of(), {"input_scale": "1"}, "input_scale is '1'"),
    "truth value": (bytes_of(), {"duration_us": True}, "duration_us is True"),
}


@pytest.mark.parametrize(("data", "settings", "match"), REFUSED.values(), ids=REFUSED)
def test_what_contradicts_is_refused(data, settings, match):
    with pytest.raises(EventsnnError, match=match):
        convert(small(), data, **settings)


def test_recordings_are_events_and_take_no_image_settings():
    recording = Recording(make_events([70, 90], [1, 2], [1, 3], [True, False]), None, 0, "a")
    model = small(2)
    assert convert(model, [recording], input_shape=(2, 6, 5)).contract.coding == "events"
    for settings in ({"input": "charge"}, {"input_mean": 0.5}):
        with pytest.raises(InvalidRequest, match="the calibration data are recordings"):
            convert(model, [recording], input_shape=(2, 6, 5), **settings)


@pytest.mark.parametrize("offset", [0, 5_000, 60_000_000])
def test_a_recordings_duration_counts_from_its_first_event(offset):
    events = make_events(np.array([0, 30_000, 100_000]) + offset, [1, 2, 3], [1, 3, 2], [True, False, True])
    network = convert(small(2), [events], "rate", input_shape=(2, 6, 5))
    assert network.contract.duration_us == 100_000
    assert network.metadata["conversion"]["duration_us"] == 100_000


FIRST_LAYERS = {
    "padding": [nn.Conv2d(2, 4, 3, padding=1)],
    "no padding": [nn.Conv2d(2, 4, 3)],
    "stride": [nn.Conv2d(2, 4, 3, stride=2, padding=2)],
    "same even": [nn.Conv2d(2, 4, (4, 2), padding="same")],
    "dilation and groups": [nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2)],
    "pool": [nn.AvgPool2d(2), nn.Conv2d(2, 4, 3, padding=1)],
    "pool of sums": [nn.AvgPool2d((3, 2), divisor_override=1), nn.Conv2d(2, 4, 2, padding=1)],
    "norm": [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)],
    "no bias": [nn.Conv2d(2, 4, 3, padding=1, bias=False)],
    "linear": [nn.Flatten(), nn.Linear(2 * 9 * 8, 4)],
}


def exact(layers, rng):
    """Weights in eighths, so that folding and rounding are exact."""
    layers = copy.deepcopy(layers)
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 0.0
            layer.running_mean.copy_(torch.from_numpy(rng.integers(-4, 5, 4) / 2))
            layer.running_var.copy_(torch.from_numpy(rng.choice([1.0, 4.0], 4)))
        elif getattr(layer, "weight", None) is not None:
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(rng.integers(-8, 9, layer.weight.shape) / 8))
                if layer.bias is not None:
                    layer.bias.copy_(torch.from_numpy(rng.integers(-4, 5, layer.bias.shape) / 2))
    return layers


@pytest.mark.parametrize("layers", FIRST_LAYERS.values(), ids=FIRST_LAYERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_normalisation_is_folded_exactly_at_borders_too(layers, seed):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(*exact(layers, rng), QCFS(64, theta=64.0)).eval()
    span, mean, std = (-1.0, 3.0), (0.5, -0.75), (0.5, 2.0)
    # Values in sixteenths of 0 to 1: exact as charges of 1/16.
    images = rng.integers(0, 17, (6, 2, 9, 8)) / 16
    network = convert(
        model,
        images,
        input="charge",
        input_scale=1 / 16,
        input_range=span,
        input_mean=mean,
        input_std=std,
        threshold=2**14,
    )
    channels = np.array([mean, std])[:, None, :, None, None]
    normalised = (span[0] + (span[1] - span[0]) * images - channels[0]) / channels[1]
    with torch.no_grad():
        wanted = copy.deepcopy(model).double()(torch.from_numpy(normalised)).numpy()
    name = network.output
    counts = (images * 16).astype(int).transpose(0, 2, 3, 1)
    found = quantised_activations(network, counts)[name]
    found = found.reshape(-1, *network.populations[name].shape).transpose(0, 3, 1, 2).reshape(wanted.shape)
    np.testing.assert_array_equal(found, wanted)
    assert 0 < found.mean() < 64
    (check,) = layer_check(model, network, images)
    assert check.largest_difference == 0.0
    assert check.decisions == 1.0
    assert network.contract.mean == mean
    rested = quantised_activations(network.at_rest(), counts)[name]
    np.testing.assert_array_equal(rested, quantised_activations(network, counts)[name])


def test_a_model_of_raw_bytes_reads_bytes():
    model, images = small(), bytes_of()
    network = convert(model, images, input_range=(0, 255))
    with torch.no_grad():
        wanted = model(torch.from_numpy(images).float()).argmax(1).numpy()
    np.testing.assert_array_equal(compare(model, network, images).model_decisions, wanted)


def test_images_of_one_channel_feed_a_model_that_starts_with_linear():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 3))
    images = bytes_of()[:, 0]
    network = convert(model, image_set(images))
    assert network.populations["input"].shape == (1, 1, 30)
    same_weights(network, convert(model, images.reshape(12, 30)))
    with pytest.raises(InvalidRequest, match="no one order as the features"):
        convert(nn.Sequential(nn.Linear(90, 2)), image_set(np.zeros((2, 6, 5, 3), np.uint8)))


def test_channels_of_an_image_set_come_last_and_of_an_array_first():
    images = bytes_of(channels=3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(90, 3))
    one = convert(model, images)
    assert one.populations["input"].shape == (6, 5, 3)
    same_weights(one, convert(model, image_set(images.transpose(0, 2, 3, 1))))


@pytest.mark.parametrize("coding", ["charge", "analog", "poisson", "bernoulli"])
def test_signed_networks_are_checked_on_the_input_that_a_run_has(coding):
    model, images = small(), image_set(bytes_of(40)[:, 0])
    network = convert(model, images, input=coding, duration_us=1e6)
    checks = layer_check(model, network, images)
    assert [check.decisions is None for check in checks] == [True, False]
    assert checks[-1].correlation > 0.99
    assert checks[-1].decisions >= 0.9


def test_the_check_compares_activations_and_says_when_decisions_differ():
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [3.0]]))
    network = convert(model, np.ones((1, 1)), scales="channel")
    counts = quantised_activations(network, np.ones(1, int))["linear_0"]
    assert counts.tolist() == [15, 15]  # of 1/15 and 3/15 each
    found = compare(model, network, np.ones((1, 1)))
    assert (found.decisions.tolist(), found.model_decisions.tolist()) == ([1], [1])
    assert layer_check(model, network, np.ones((1, 1)))[0].decisions == 1.0
    wrong = {"linear_0": np.array([[15, 4], [3, 0], [0, 0]])}
    found = compare(model, network, np.ones((3, 1)), wrong)
    assert found.decisions.tolist() == [0, 0, -1]
    assert found.agreement == 0.0


@pytest.mark.parametrize("shape", [(20, 1, 6, 8), (20, 3, 6, 8)])
def test_channels_first_that_no_layer_could_tell_are_refused(shape):
    """Flattened in another order they would fit, and every pixel would meet the weight of another."""
    images = np.random.default_rng(0).random(shape)
    model = nn.Sequential(nn.Flatten(), nn.Linear(images[0].size, 3))
    with pytest.raises(InvalidRequest, match="channels first: move those to the end"):
        convert(model, image_set(images))
    network = convert(model, image_set(images.transpose(0, 2, 3, 1)))
    assert network.populations[network.input].shape == (6, 8, shape[1])
