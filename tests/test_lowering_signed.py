"""Layers as signed networks: what runs is the layers' own arithmetic, in every neuron."""

from dataclasses import replace

import numpy as np
import pytest
from builders.layers import ZERO, image, layer, random_layers, windows
from oracles.graph_values import graph_values
from oracles.values_of_layers import before_activation, evaluate, layer_values, quantised, step
from scipy import sparse

from eventsnn.convert import compare, convert
from eventsnn.convert.check import compare_layers
from eventsnn.convert.converter import lowered_network
from eventsnn.convert.graph.graph import Graph, Node, Original
from eventsnn.convert.graph.layers import Branch
from eventsnn.convert.graph.operations import (
    AveragePool,
    Convolution,
    Dense,
    Input,
    LinearMap,
    MaxPool,
    Quantised,
    Rearrange,
    ReLU,
    Step,
    Windows,
)
from eventsnn.convert.lowering import correction
from eventsnn.convert.lowering.names import population_names
from eventsnn.convert.quantised import quantised_activations
from eventsnn.convert.reading import Reading
from eventsnn.convert.samples import read_samples
from eventsnn.convert.settings import Settings
from eventsnn.convert.trained import layered
from eventsnn.engine import Stimulus, make_engine
from eventsnn.errors import EventsnnError, InvalidNetwork, InvalidRequest

IMAGES = Reading(lambda shape: len(shape) == 3)


def lowered(layers, images, **settings):
    """The network of layers that are their own original."""
    samples = read_samples(images, IMAGES, None, settings.get("input"), "input_mean" in settings)
    return lowered_network(layered(layers, evaluate(layers), "tests 1"), samples, Settings(**settings))


def found_values(network, layers, counts):
    """The values that final counts stand for, by layer: (samples, channels, y, x)."""
    found = quantised_activations(network, counts.transpose(0, 2, 3, 1).astype(np.int64))
    names = population_names(layers)
    told = {one["name"]: one for one in network.metadata["conversion"]["layers"]}
    values = {}
    for one in layers[1:]:
        name = names[one.name]
        population = network.populations[name]
        counted = found[name].reshape(len(counts), *population.shape)
        value = counted * np.asarray(population.neuron.unit) + np.asarray(told[name].get("at_zero", 0.0))
        values[one.name] = value.transpose(0, 3, 1, 2)
    return values


@pytest.mark.parametrize("seed", range(150))
def test_every_neuron_has_the_layers_own_value(seed):
    layers, images = random_layers(seed)
    network = lowered(layers, images, input="events")
    found, wanted = found_values(network, layers, images), layer_values(layers, images)
    for one in layers[1:]:
        np.testing.assert_array_equal(found[one.name], wanted[one.name], err_msg=one.name)


@pytest.mark.parametrize("seed", range(30))
def test_images_are_normalised_in_the_first_layers_at_every_border(seed):
    layers, images = random_layers(1000 + seed)
    while any(isinstance(one.operation, MaxPool) and one.branches[0].source == "x" for one in layers[1:]):
        layers, images = random_layers(int(images.sum()))  # a pool of the input reads it before any weight
    channels = layers[0].shape[0]
    mean, std = np.array([0.5, -0.75, 0.25])[:channels], np.array([0.5, 2.0, 1.0])[:channels]
    images = images / 4
    network = lowered(
        layers, images, input="charge", input_scale=0.25, input_range=(-1, 3), input_mean=mean, input_std=std
    )
    read = (-1 + 4 * images - mean[:, None, None]) / std[:, None, None]
    found, wanted = found_values(network, layers, images * 4), layer_values(layers, read)
    for one in layers[1:]:
        np.testing.assert_array_equal(found[one.name], wanted[one.name], err_msg=one.name)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("seed", range(6))
def test_a_drained_run_ends_there_too(engine, seed):
    layers, images = random_layers(2000 + seed)
    network = lowered(layers, images, input="events", graded=seed % 2 == 0)
    counts = images[0].transpose(1, 2, 0).reshape(-1).astype(np.int64)
    neuron = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    time = np.arange(len(neuron)) // 3 * 10**6
    order = np.lexsort((neuron, time))
    run = make_engine(engine, network).run(Stimulus(time, neuron[order]))
    for name, wanted in quantised_activations(network, counts).items():
        np.testing.assert_array_equal(run.counts[name], wanted, err_msg=name)


# -- one operation at a time ---------------------------------------------------------------------------------


def one_by_one(operation, x, **settings):
    """The values of one neuron an image value, which it gets with weight 1 or as given."""
    values = np.asarray(x, dtype=np.float64).reshape(-1, 1, 1, 1)
    values = np.broadcast_to(values, (len(values), 2, 1, 1))
    layers = [image((2, 1, 1)), layer("l", operation, (2, 1, 1), Branch("x", None))]
    network = lowered(layers, values, input="charge", input_scale=1 / 16, **settings)
    return found_values(network, layers, values * 16)["l"][:, 0, 0, 0]


SIXTEENTHS = np.arange(-64, 65) / 16


def by_hand(operation):
    return quantised(replace(operation, unit=float(operation.unit.flat[0])), SIXTEENTHS)


@pytest.mark.parametrize("lowest", [0, -2])
@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, -0.25])
@pytest.mark.parametrize("rounding", ["floor", "half-up"])
@pytest.mark.parametrize("threshold", [2**14, 48])
def test_every_rounding_is_a_charge_to_start_from(lowest, shift, rounding, threshold):
    operation = Quantised(np.full((2, 1, 1), 0.5), lowest, 3, shift, rounding)
    found = one_by_one(operation, SIXTEENTHS, threshold=threshold)
    np.testing.assert_array_equal(found, by_hand(operation))


def test_a_shift_that_is_no_whole_charge_is_rounded_down():
    operation = Quantised(np.full((2, 1, 1), 0.5), 0, 9, 0.25)
    layers = [image((2, 1, 1)), layer("l", operation, (2, 1, 1), Branch("x", None))]
    counts = np.broadcast_to(np.arange(-9, 60).reshape(-1, 1, 1, 1), (69, 2, 1, 1))
    network = lowered(layers, counts / 12, input="charge", input_scale=1 / 12, threshold=6)
    found = found_values(network, layers, counts)["l"][:, 0, 0, 0]
    np.testing.assert_array_equal(found, 0.5 * np.clip((2 * counts[:, 0, 0, 0] + 3) // 12, 0, 9))


def test_half_to_even_differs_at_ties_alone_and_says_so():
    operation = Quantised(np.full((2, 1, 1), 0.5), 0, 4, 0.0, "half-even")
    found, wanted = one_by_one(operation, SIXTEENTHS), by_hand(operation)
    ties = (SIXTEENTHS / 0.5) % 1 == 0.5
    np.testing.assert_array_equal(found[~ties], wanted[~ties])
    assert (found != wanted).any()
    layers = [image((2, 1, 1)), layer("l", operation, (2, 1, 1), Branch("x", None))]
    told = lowered(layers, np.ones((1, 2, 1, 1))).metadata["conversion"]["layers"][0]
    assert "to the even one" in told["ties"]


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("at_zero", [-1.0, 0.0, 1.0])
def test_steps_are_exact_at_zero(low, at_zero):
    if at_zero < low:
        return
    operation = Step(low, 1.0, at_zero)
    np.testing.assert_array_equal(one_by_one(operation, SIXTEENTHS), step(operation, SIXTEENTHS))


def test_weights_of_one_bit_are_exact_whatever_their_scale():
    rng = np.random.default_rng(0)
    weight = rng.choice([-0.37, 0.37], (6, 9))
    conv = Convolution(rng.choice([-0.013, 0.013], (4, 1, 2, 2)), ZERO, padding=((1, 0), (0, 1)))
    layers = [
        image((1, 3, 3)),
        layer("a", Step(-1.0, 1.0, 0.0), (4, 3, 3), Branch("x", conv)),
        layer(
            "b", Step(-1.0, 1.0, 1.0), (6, 1, 1), Branch("a", Dense(weight, np.zeros(6)), np.arange(9) + 9)
        ),
    ]
    images = rng.integers(0, 3, (50, 1, 3, 3)).astype(float)
    network = lowered(layers, images, input="events")
    found = found_values(network, layers, images)
    for one in layers[1:]:
        charge = np.rint(before_activation(one, {"x": images} | found) / 0.37 * 0.37 * 1e6)
        np.testing.assert_array_equal(found[one.name], step(one.operation, charge))
    assert (found["a"] == 0).any()


def test_weights_of_one_bit_stay_exact_where_each_channel_is_multiplied_by_its_own():
    """As a batch norm does. In quanta of the largest weight of the layer some neurons would be wrong."""
    rng = np.random.default_rng(4)
    size = np.geomspace(1, 0.01, 24).reshape(24, 1, 1, 1)
    conv = Convolution(rng.choice([-1.0, 1.0], (24, 3, 3, 3)) * size, ZERO)
    # Between two values that a sum can have, and near one of them.
    bias = (rng.integers(-400, 400, (24, 1, 1)) + rng.choice([0.02, 0.98], (24, 1, 1))) / 255 * size[..., 0]
    layers = [
        image((3, 8, 8)),
        layer("a", Step(-1.0, 1.0, 1.0), (24, 6, 6), Branch("x", conv), bias=bias),
    ]
    images = rng.integers(0, 256, (40, 3, 8, 8)) / 255
    network = lowered(layers, images, input="charge")
    found = found_values(network, layers, np.rint(images * 255))
    np.testing.assert_array_equal(found["a"], layer_values(layers, images)["a"])


def test_pools_compare_values_below_zero():
    layers = [
        image((2, 4, 4)),
        layer("a", None, (3, 4, 4), Branch("x", Convolution(exact((3, 2, 1, 1)), ZERO))),
        layer("p", MaxPool(windows(4, 3, 2, 1), windows(4, 2, 2)), (3, 2, 2), Branch("a", None)),
        layer("out", None, (2, 1, 1), Branch("p", Dense(exact((2, 12)), np.zeros(2)), np.arange(12))),
    ]
    images = np.random.default_rng(1).integers(0, 5, (40, 2, 4, 4)).astype(float)
    network = lowered(layers, images, input="events", levels=127, scales="channel")
    found, wanted = found_values(network, layers, images), layer_values(layers, images)
    assert (wanted["p"] < 0).any()
    unit = np.array(network.populations["a"].neuron.unit)[:, None, None]
    assert (np.abs(found["a"] - wanted["a"]) <= unit / 2 + 1e-9).mean() > 0.99  # the ceiling cuts a few
    np.testing.assert_allclose(found["p"], layer_values(layers[:3], images)["p"], atol=float(unit.max()))
    assert np.corrcoef(found["out"].ravel(), wanted["out"].ravel())[0, 1] > 0.999


def exact(shape, seed=3):
    return np.random.default_rng(seed).integers(-4, 5, shape) / 4


def points(channels, inside):
    return Convolution(exact((channels, inside, 1, 1)), ZERO)


def test_pools_over_a_concatenation_become_one_for_each_of_its_layers():
    unit = np.full((1, 1, 1), 0.25)
    layers = [
        image((2, 6, 6)),
        layer("a", Quantised(unit, 0, 9, 0.5), (3, 6, 6), Branch("x", points(3, 2))),
        layer("b", Quantised(2 * unit, -4, 5, 0.5), (2, 6, 6), Branch("x", points(2, 2))),
        layer(
            "p", MaxPool(windows(6, 2, 2), windows(6, 2, 2)), (5, 3, 3),
            Branch("a", None), Branch("b", None, first_channel=3),
        ),
        layer(
            "c", Quantised(unit, 0, 9, 0.5), (8, 3, 3),
            Branch("p", Convolution(exact((3, 5, 3, 3)), ZERO, padding=((1, 1), (1, 1)))),
            Branch("p", None, factor=np.arange(1, 6).reshape(5, 1, 1) / 4, first_channel=3),
            Branch("p", Convolution(exact((5, 1, 1, 1)), ZERO, groups=5), first_channel=3),
            Branch("p", None, np.arange(45).reshape(5, 3, 3)[::-1].copy(), first_channel=3),
        ),
        layer("q", MaxPool(windows(3, 3, 1), windows(3, 3, 1)), (5, 1, 1), Branch("p", None)),
        layer(
            "out", Quantised(unit, 0, 40, 0.5), (3, 1, 1),
            Branch("q", Dense(exact((3, 5)), np.zeros(3))),
            Branch("p", Dense(exact((3, 45)), np.zeros(3)), np.arange(45)[::-1].copy()),
            Branch("c", Dense(exact((3, 72)), np.zeros(3))),
            bias=np.full((3, 1, 1), 2.0),
        ),
    ]  # fmt: skip
    images = np.random.default_rng(4).integers(0, 5, (9, 2, 6, 6)).astype(float)
    original = layered(layers, evaluate(layers), "tests 1")
    network = lowered(layers, images, input="events")
    assert [name for name in network.order if name.startswith(("p", "q"))] == ["p", "p#2", "q", "q#2"]
    found, wanted = found_values(network, original.layers, images), layer_values(layers, images)
    for one in ("a", "b", "c", "out"):
        np.testing.assert_array_equal(found[one], wanted[one])
    np.testing.assert_array_equal(np.concatenate([found["p#1"], found["p#2"]], axis=1), wanted["p"])
    read = read_samples(images, IMAGES, None, "events")
    checks = compare_layers(original, network, read).layers
    assert {check.name: check.largest_difference for check in checks} == dict.fromkeys(network.order[1:], 0.0)


@pytest.mark.parametrize("after", [0, 1])
def test_a_kernel_of_equal_blocks_is_pooled_only_where_its_windows_are_whole(after):
    conv = Convolution(np.ones((2, 1, 2, 2)), ZERO, (2, 2), ((0, after), (0, after)))
    size = 1 + after
    operation = Quantised(np.ones((1, 1, 1)), 0, 40)
    layers = [image((1, 3, 3)), layer("a", operation, (2, size, size), Branch("x", conv))]
    images = np.arange(9.0).reshape(1, 1, 3, 3)
    network = lowered(layers, images, input="events")
    np.testing.assert_array_equal(
        found_values(network, layers, images)["a"], layer_values(layers, images)["a"]
    )
    assert network.projections["input-a"].synapses.y.pool == (1 if after else 2)


def test_grids_of_a_source_stay_convolutions():
    place = np.arange(2 * 6 * 7).reshape(2, 6, 7)
    padded = np.pad(place, ((0, 0), (2, 1), (0, 3)), constant_values=-1)
    for indices in (place[:, ::2, ::3], padded, padded[:, 1:, ::2], place[:, 1:, 2:]):
        conv = Convolution(exact((4, 2, 3, 2)), ZERO, (1, 2), ((1, 1), (2, 0)))
        height, width = indices.shape[1], (indices.shape[2] + 2 - 2) // 2 + 1
        operation = Quantised(np.full((1, 1, 1), 0.25), 0, 99)
        one = layer("a", operation, (4, height, width), Branch("x", conv, np.ascontiguousarray(indices)))
        layers = [image((2, 6, 7)), one]
        images = np.random.default_rng(0).integers(0, 5, (9, 2, 6, 7)).astype(float)
        network = lowered(layers, images, input="events")
        found = found_values(network, layers, images)["a"]
        np.testing.assert_array_equal(found, layer_values(layers, images)["a"])
        cropped = indices[0, 0, 0] > 0 and indices[0, 0, 1] >= 0
        # A crop at the front can be an axis only where padding makes up for it.
        assert network.projections["input-a"].synapses.kind == "conv2d" or cropped


def test_averages_of_rectified_values_need_no_level_below_zero():
    pool = AveragePool(windows(4, 2, 2), windows(4, 2, 2), np.full((2, 2), 4.0))
    layers = [
        image((2, 4, 4)),
        layer("a", ReLU(), (2, 4, 4), Branch("x", Convolution(exact((2, 2, 1, 1)), ZERO))),
        layer("p", None, (2, 2, 2), Branch("a", pool), origin="AvgPool2d"),
        layer("out", None, (2, 1, 1), Branch("p", Dense(exact((2, 8)), np.zeros(2)))),
    ]
    images = np.random.default_rng(1).integers(0, 5, (40, 2, 4, 4)).astype(float)
    for neuron in ("signed", "rate"):
        network = lowered(layers, images, input="events", neuron=neuron)
        assert network.populations["p"].neuron.kind == neuron
        assert network.bias("p").max() == 0
    below = replace(layers[2], bias=np.full((1, 1, 1), -0.5))
    network = lowered([*layers[:2], below, layers[3]], images, input="events")
    assert (network.populations["p"].neuron.lowest, network.populations["p"].neuron.levels) == (-15, 15)


def averaged(weight):
    """Class scores of averages over 8 x 8 pixels, of values with 7 levels."""
    classes, channels = weight.shape
    unit = np.full((1, 1, 1), 0.25)
    mean = np.repeat(weight / 64, 64, axis=1)
    layers = [
        image((channels, 8, 8)),
        layer("q", Quantised(unit, 0, 7, 0.5), (channels, 8, 8), Branch("x", None)),
        layer("out", None, (classes, 1, 1), Branch("q", Dense(mean, np.zeros(classes)))),
    ]
    return layers, np.random.default_rng(7).integers(0, 3, (9, channels, 8, 8)).astype(float)


def test_scores_of_small_weights_are_hardly_rounded():
    layers, images = averaged(np.random.default_rng(2).normal(0, 1, (5, 40)))
    network = lowered(layers, images, input="events")
    wanted = layer_values(layers, images)["out"]
    found = found_values(network, layers, images)["out"]
    # With the 2^18 quanta of other networks it is up to 64 times as much.
    assert np.abs(found - wanted).max() < 6e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0, 30_000.0])
def test_a_readout_has_room_for_every_count(size):
    """Scores that are small only because large weights cancel may grow with other samples."""
    weight = np.random.default_rng(3).normal(0, 1, (5, 40))
    weight[:, :20] += size
    weight[:, 20:] -= size
    layers, images = averaged(weight)
    images[:, 20:] = images[:, :20]
    network = lowered(layers, images, input="events")
    (last,) = network.incoming("out")
    most = np.abs(last.synapses.weight.astype(object)).sum(axis=0).max() * 7
    thresholds = np.abs(layer_values(layers, images)["out"]).max() / (network.populations["out"].neuron.unit)
    assert most < 2**30 or round(thresholds) == 16 * 2**14
    assert 16 * 2**14 <= round(thresholds) <= 1024 * 2**14


# -- calibration ---------------------------------------------------------------------------------------------


def deep(seed=0):
    rng = np.random.default_rng(seed)
    layers, before = [image((2, 8, 8))], "x"
    for number, channels in enumerate((6, 8, 8)):
        inside = layers[-1].shape[0]
        conv = Convolution(
            rng.normal(0, 1, (channels, inside, 3, 3)) / np.sqrt(4.5 * inside), ZERO, padding=((1, 1), (1, 1))
        )
        shortcut = [Branch(before, None)] if number == 2 else []
        bias = rng.normal(0, 0.2, (channels, 1, 1))
        layers.append(
            layer(f"c{number}", ReLU(), (channels, 8, 8), Branch(before, conv), *shortcut, bias=bias)
        )
        before = layers[-1].name
    layers.append(
        layer("out", None, (4, 1, 1), Branch(before, Dense(rng.normal(0, 0.1, (4, 512)), np.zeros(4))))
    )
    return layers, rng.integers(0, 256, (60, 2, 8, 8)) / 255


def test_bias_correction_takes_the_mean_error_of_each_channel_away():
    layers, images = deep()
    wanted = layer_values(layers, images)
    error = {}
    for corrected in (False, True):
        network = lowered(layers, images, input="charge", levels=3, bias_correction=corrected)
        found = found_values(network, layers, np.rint(images * 255))
        error[corrected] = [
            np.abs((found[one.name] - wanted[one.name]).mean(axis=(0, 2, 3))).mean() for one in layers[1:]
        ]
        out = (found["out"] - wanted["out"])[..., 0, 0]
    assert np.all(np.array(error[True]) < np.array(error[False]))
    assert np.abs(out.mean(axis=0)).max() < 1e-3  # nothing but rounding is left of a readout's


def test_followed_samples_are_fewer_where_they_would_not_fit(monkeypatch):
    layers, images = deep()
    whole = lowered(layers, images, input="charge", levels=3, bias_correction=True)
    monkeypatch.setattr(correction, "TOGETHER", 1000)
    same = lowered(layers, images, input="charge", levels=3, bias_correction=True)
    assert same.checksum == whole.checksum
    monkeypatch.setattr(correction, "HELD_BYTES", 1)
    assert len(correction.followed_samples(layers, 60)) == 16
    assert lowered(layers, images, input="charge", levels=3, bias_correction=True).checksum != whole.checksum


def test_levels_are_one_for_all_one_each_or_some_by_name():
    layers, images = deep()
    for given, found in (
        (7, [7, 7, 7]), ([3, 15, 31], [3, 15, 31]), ({"c1": 63}, [15, 63, 15]), (None, [15, 15, 15]),
    ):  # fmt: skip
        network = lowered(layers, images, input="charge", levels=given)
        assert [network.populations[f"c{k}"].neuron.levels for k in range(3)] == found
    for given, match in (([3, 15], "2 numbers for 3 layers"), ({"nowhere": 3}, "names the layer 'nowhere'")):
        with pytest.raises(InvalidRequest, match=match):
            lowered(layers, images, levels=given)
    for given in ([3, 0], {"c1": 2.5}, "many", True):
        with pytest.raises(InvalidRequest, match="levels is"):
            lowered(layers, images, levels=given)


def test_the_check_names_the_first_layer_that_goes_wrong():
    layers, images = deep()
    network = lowered(layers, images, input="charge", levels={"c1": 1})
    read = read_samples(images, IMAGES, None, "charge")
    comparison = compare_layers(layered(layers, evaluate(layers), "tests 1"), network, read)
    assert [check.name for check in comparison.layers] == ["c0", "c1", "c2", "out"]
    assert comparison.layers[0].correlation > 0.99
    assert comparison.first_wrong(0.95) == "c1"
    assert comparison.first_wrong(0.0) is None


# -- refusals ------------------------------------------------------------------------------------------------


def pool(source, indices=None, rows=None):
    rows = rows or windows(4, 2, 2)
    return layer(
        "p",
        MaxPool(rows, windows(4, 2, 2)),
        (2, len(rows.first), 2),
        Branch(source, None, indices),
        origin="MaxPool2d",
    )


POINTS = Branch("x", Convolution(np.array([[1.0, -0.5], [-0.5, -1.0]])[..., None, None], ZERO))
LINEAR = layer("a", None, (2, 4, 4), POINTS)
RELU = layer("a", ReLU(), (2, 4, 4), POINTS)
PLACES = np.arange(32).reshape(2, 4, 4)
PADDED = np.pad(PLACES, ((0, 0), (1, 0), (0, 0)), constant_values=-1)[:, :4]
REFUSED = {
    "irregular pool": ([RELU, pool("a", rows=Windows((0, 1, 2), (1, 3, 4)))], {}, "no regular size"),
    "pool of a shuffle": ([RELU, pool("a", PLACES[::-1].copy())], {}, "in another order"),
    "padded linear pool": ([LINEAR, pool("a", PADDED)], {}, "below zero with zeros"),
    "units by pixel": (
        [layer("a", Quantised(1 + np.arange(32).reshape(2, 4, 4), 0, 3), (2, 4, 4), Branch("x", None))],
        {},
        "differ from pixel to pixel",
    ),
    "rounding": (
        [layer("a", Quantised(np.ones((1, 1, 1)), 0, 3, 0, "up"), (2, 4, 4), Branch("x", None))],
        {},
        "rounds in the way 'up'",
    ),
    "falling step": ([layer("a", Step(1, 0, 0), (2, 4, 4), Branch("x", None))], {}, "steps from 1 to 0"),
    "rate step": (
        [layer("a", Step(0, 1, 0), (2, 4, 4), Branch("x", None))],
        {"neuron": "rate"},
        "is no step. Convert with neuron='signed'",
    ),
    "rate linear": ([LINEAR], {"neuron": "rate"}, "has no activation"),
    "rate levels": (
        [layer("a", Quantised(np.ones((1, 1, 1)), -1, 3), (2, 4, 4), Branch("x", None))],
        {"neuron": "rate"},
        "levels below zero",
    ),
}


@pytest.mark.parametrize(("middle", "settings", "match"), REFUSED.values(), ids=REFUSED)
def test_what_neurons_cannot_do_is_refused_by_name(middle, settings, match):
    head = layer("out", None, (2, 1, 1), Branch(middle[-1].name, LinearMap(*sums_of(middle[-1].shape))))
    with pytest.raises(EventsnnError, match=match) as caught:
        lowered([image((2, 4, 4)), *middle, head], np.ones((3, 2, 4, 4)), **settings)
    assert f"layer '{middle[-1].path}'" in str(caught.value)


def sums_of(shape):
    return sparse.csr_array(exact((2, int(np.prod(shape))))), ZERO


# -- originals -----------------------------------------------------------------------------------------------


def test_an_original_of_rows_columns_channels_takes_images_as_others_do():
    order = np.arange(5 * 4 * 2).reshape(5, 4, 2).transpose(2, 0, 1)
    back = np.arange(3 * 5 * 4).reshape(3, 5, 4).transpose(1, 2, 0)
    conv = Convolution(exact((3, 2, 3, 3)), np.full((3, 1, 1), 0.5), padding=((1, 1), (1, 1)))
    nodes = [
        Node("x", Input(), (), (5, 4, 2)),
        Node("t", Rearrange(np.ascontiguousarray(order)), ("x",), (2, 5, 4)),
        Node("c", conv, ("t",), (3, 5, 4), "Conv"),
        Node("r", ReLU(), ("c",), (3, 5, 4)),
        Node("b", Rearrange(np.ascontiguousarray(back)), ("r",), (5, 4, 3)),
        Node("f", Rearrange(np.arange(60)), ("b",), (60,)),
        Node("d", Dense(exact((4, 60)), np.zeros(4)), ("f",), (4,), "MatMul"),
    ]
    graph = Graph(nodes, "d")

    def values(images, names):
        found = graph_values(graph, images)
        return {name: found[name] for name in names}

    original = Original(graph, values, "tests 1")
    images = np.random.default_rng(0).random((30, 2, 5, 4))
    network = convert(original, images, levels=255, input="charge")
    assert network.populations["input"].shape == (5, 4, 2)
    checks = compare(original, network, np.rint(images * 255) / 255, None).layers
    assert min(check.correlation for check in checks) > 0.999
    with pytest.raises(InvalidNetwork, match=r"reads samples of shape \(2, 5, 4\)"):
        convert(original, images.transpose(0, 2, 3, 1))


def test_values_that_the_original_does_not_have_follow_from_the_layers_own_words():
    layers, images = random_layers(11, samples=6)
    unknown = [one.name for one in layers[1:-1] if one.name != layers[1].name]
    known = {one.name for one in layers} - set(unknown)
    plain = evaluate(layers)

    def of_known(values, names):
        assert set(names) <= known
        return plain(values, names)

    assert unknown
    original = layered(layers, of_known, "tests 1", known)
    for one in layers[1:]:  # each by itself, then all
        np.testing.assert_allclose(
            original.evaluate(images, [one.name])[one.name], layer_values(layers, images)[one.name]
        )
    found = original.evaluate(images, [one.name for one in layers[1:]])
    assert found.keys() == {one.name for one in layers[1:]}
