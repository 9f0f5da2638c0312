"""Weights of few bits: whole multiples of one step, of least squared error; the network is as exact."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from eventsnn.cli.commands import app
from eventsnn.convert import convert, definition, quantised_activations
from eventsnn.convert.lowering.weight_bits import best_step, multiples
from eventsnn.errors import InvalidRequest
from eventsnn.network import load_network

torch.set_num_threads(1)


def model(pool=nn.MaxPool2d):
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), pool(2),
        nn.Conv2d(6, 8, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5),
    ).double().eval()  # fmt: skip


def images(count=16):
    return np.random.default_rng(1).integers(0, 256, (count, 2, 8, 8), dtype=np.uint8)


def held(network):
    """Weights with several a channel: by projection, one row a channel of the target."""
    found = {}
    for name, projection in network.projections.items():
        if projection.synapses.kind in ("conv2d", "dense"):
            weight = projection.synapses.weight
            found[name] = weight.reshape(-1, weight.shape[-1]).T.astype(np.int64)
    return found


def step_of(rows):
    return int(np.gcd.reduce(np.abs(rows), axis=None))


def least_error(wanted, most):
    """Of all whole steps that could be the best, tried one by one."""
    steps = np.arange(1, int(1.25 * np.abs(wanted).max() / (most - 0.5)) + 2)
    values = wanted.reshape(-1)
    errors = []
    for some in np.array_split(steps, 1 + steps.size * values.size // 100_000):  # what fits in the cache
        tried = np.rint(values / some[:, None])
        tried = values - some[:, None] * np.clip(tried, -most, most)
        errors.append(np.square(tried).sum(axis=1).min())
    return min(errors)


@cache
def held_with_all_bits(scales):
    return held(convert(model(), images(), scales=scales))


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("scales", ["layer", "channel"])
def test_weights_are_multiples_of_one_step_of_least_error(bits, scales):
    full = held_with_all_bits(scales)
    few = held(convert(model(), images(), scales=scales, weight_bits=bits))
    most = 2 ** (bits - 1) - 1
    assert len(few) == 3
    for name, rows in few.items():
        parts = [(rows, full[name])] if scales == "layer" else zip(rows, full[name], strict=True)
        for found, wanted in parts:
            assert np.abs(found).max() <= most * step_of(found)
            least = least_error(wanted, most)
            assert least <= np.square(found - wanted).sum() <= 1.15 * least


def test_a_step_by_hand():
    values = np.array([10.0, -30.0, 29.0, 0.0, 11.0])
    assert best_step(values, 3) == 10
    assert multiples(values, 10, 3).tolist() == [1, -3, 3, 0, 1]
    assert best_step(np.array([0.4, -0.2]), 3) == 1
    # One multiple on each side: the mean magnitude of what is not rounded to 0.
    assert best_step(np.array([100.0, -90.0, 95.0, 3.0]), 1) == 95


@pytest.mark.parametrize("scales", ["layer", "channel"])
def test_spikes_end_as_the_integers_say_with_everything_on(scales):
    settings = {"scales": scales, "weight_bits": 4, "bias_correction": True, "levels": 7}
    network = convert(model(nn.AvgPool2d), images(), average_pools="population", verify=2, **settings)
    assert network.metadata["conversion"]["verified"]["deviating"] == 0
    assert network.metadata["conversion"]["weight_bits"] == 4
    network = convert(model(), images(), equalise=True, verify=2, **settings)
    assert network.metadata["conversion"]["verified"]["deviating"] == 0


def test_the_shift_of_a_normalisation_is_weighed_by_the_rounded_weights():
    """The readout's charge is that of the rounded weights on normalised images."""
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(128, 4)).double()
    data, norm = images(), {"input_mean": (0.4, 0.6), "input_std": (0.2, 0.3)}
    for scales in ("layer", "channel"):
        network = convert(linear, data, weight_bits=3, scales=scales, input="charge", **norm)
        (projection,) = network.projections.values()
        readout = network.populations[network.output].neuron
        weight = projection.synapses.weight.astype(np.float64).reshape(8, 8, 2, 4)
        values = data.transpose(0, 2, 3, 1) / 255
        # A charge of 1/255 of a pixel in quanta, back to weights of normalised pixels.
        own = weight * 255 * readout.unit * np.array(norm["input_std"])[:, None]
        normalised = (values - norm["input_mean"]) / norm["input_std"]
        wanted = np.einsum("nyxc,yxco->no", normalised, own) + linear[1].bias.detach().numpy()
        found = quantised_activations(network, data.transpose(0, 2, 3, 1).astype(np.int64))
        np.testing.assert_allclose(found[network.output] * readout.unit, wanted, 0, 1e-4)


def test_rate_neurons_take_them():
    network = convert(model(), images(), neuron="rate", weight_bits=2, scales="channel", duration_us=1e5)
    for rows in held(network).values():
        assert all(len(set(np.abs(row).tolist()) - {0}) == 1 for row in rows)


@pytest.mark.parametrize("bits", [1, 9, 0, 3.5, True, "4"])
def test_other_bits_are_refused(bits):
    with pytest.raises(InvalidRequest, match=r"weight_bits is .*allowed are 2 to 8 bits"):
        convert(model(), images(), weight_bits=bits)


def test_weights_of_one_bit_are_refused():
    torch.manual_seed(0)
    binary = definition("binarynet", channels=2, size=8, widths=[4], each=1, hidden=[6]).eval()
    with pytest.raises(InvalidRequest, match=r"the weights of layer .* are of 1 bit already"):
        convert(binary, images(), weight_bits=4)


def test_the_command_line_takes_bits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(model().float(), "m.pt")
    np.savez("d.npz", x=images().transpose(0, 2, 3, 1), y=np.arange(16) % 5)
    line = ["convert", "m.pt", "-o", "n.h5", "--calibration", "images:d.npz", "--weight-bits", "3"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    network = load_network("n.h5")
    assert network.metadata["conversion"]["weight_bits"] == 3
    assert all(np.abs(rows).max() == 3 * step_of(rows) for rows in held(network).values())
