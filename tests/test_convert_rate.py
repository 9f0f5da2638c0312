"""Converted rate neurons under constant inputs: resets, starting charges, quantisers, biases."""

import numpy as np
import pytest
from builders.layers import ZERO, image, layer
from builders.rates import driven, lowered, one_layer

from eventsnn.convert import compare, convert
from eventsnn.convert.graph.layers import Branch
from eventsnn.convert.graph.operations import Convolution, Dense, Quantised, ReLU
from eventsnn.convert.settings import Settings
from eventsnn.errors import EventsnnError

THRESHOLD = 2**14
UNIT = np.ones((1, 1, 1))


def in_order(values):
    """Values (channels, y, x) as a population has them."""
    return np.asarray(values).transpose(1, 2, 0).reshape(-1)


def quanta(rng, shape, lowest=-2, highest=3):
    """Random values, whole in quanta, as such and as numbers."""
    found = rng.integers(lowest * THRESHOLD, highest * THRESHOLD, shape)
    return found, found / THRESHOLD


@pytest.mark.parametrize("levels", [1, 2, 4, 8, 16])
def test_a_quantiser_is_what_as_many_steps_as_levels_count(levels):
    """Outside truth A5, converted: theta count / L = theta clip(floor(x L / theta + 1/2) / L, 0, 1)."""
    shape, theta = (2, 250, 400), 2.0
    rng = np.random.default_rng(levels)
    z, x = quanta(rng, shape)
    z[0, :2] = THRESHOLD * (2 * rng.integers(-2, 2 * levels + 2, (2, 400)) + 1) // (2 * levels)  # edges
    z[0, 1] -= 1
    x = z / THRESHOLD * theta
    operation = Quantised(UNIT * theta / levels, 0, levels, 0.5)
    network = one_layer(operation, shape, levels, one_spike=True)
    neuron = network.populations["a"].neuron
    assert (neuron.unit, neuron.initial_charge) == ((theta / levels,), THRESHOLD // 2)
    (told,) = network.metadata["conversion"]["layers"]
    assert (told["lambda"], told["spikes_at_lambda"]) == ([theta], levels)
    expected = np.clip((2 * z * levels + THRESHOLD) // (2 * THRESHOLD), 0, levels)
    np.testing.assert_array_equal(driven(network, x, levels).counts["a"], in_order(expected))
    few = np.s_[:, :1, :200]
    part = one_layer(operation, x[few].shape, levels, one_spike=True)
    found = driven(part, x[few], levels, engine="reference")
    np.testing.assert_array_equal(found.counts["a"], in_order(expected[few]))


STARTS = {
    "zero": (0, {"initial_charge": "zero"}, None),
    "half": (THRESHOLD // 2, {"initial_charge": "half"}, None),
    "zero by default": (0, {}, None),
    "floor": (0, {}, (0.0, "floor")),
    "round": (THRESHOLD // 2, {}, (0.0, "half-up")),
    "ceil": (THRESHOLD - 1, {}, (1 - 2.0**-14, "floor")),
    "between": (11468, {}, (0.7, "floor")),  # 0.7 thresholds are 11468.8 quanta
    "asked otherwise": (0, {"initial_charge": "zero"}, (0.5, "floor")),
}


@pytest.mark.parametrize("levels", [1, 4, 16])
@pytest.mark.parametrize(("start", "settings", "quantiser"), STARTS.values(), ids=STARTS)
def test_a_starting_charge_is_a_way_of_rounding(start, settings, quantiser, levels):
    """Outside truth A17: floor, round and ceil of the quantised ReLU, in 200,000 values each."""
    shape = (2, 250, 400)
    z, x = quanta(np.random.default_rng(levels), shape)
    z[0, 0] = THRESHOLD // levels * np.arange(-200, 200)
    x = z / THRESHOLD
    operation = ReLU()
    if quantiser is not None:
        operation = Quantised(UNIT / levels, 0, levels, *quantiser)
    network = one_layer(operation, shape, levels, one_spike=True, spikes_at_lambda=levels, **settings)
    assert network.populations["a"].neuron.initial_charge == start
    rounded = {
        0: np.floor,
        THRESHOLD // 2: lambda v: np.floor(v + 0.5),
        11468: lambda v: np.floor(v + 0.7),
        THRESHOLD - 1: np.ceil,
    }[start]
    expected = np.clip(rounded(x * levels), 0, levels)
    np.testing.assert_array_equal(driven(network, x, levels).counts["a"], in_order(expected))


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_rates_under_a_constant_input_are_the_theory(reset):
    """Outside truth A13, converted: equations 5a and 5b of Rueckauer et al. 2017, at every T."""
    shape, calibrated = (1, 20, 50), 64
    z = np.random.default_rng(0).integers(1, THRESHOLD + 1, shape)
    network = one_layer(
        ReLU(), shape, calibrated, spikes_at_lambda=calibrated, reset=reset, one_spike=reset == "soft"
    )
    assert network.populations["a"].neuron.reset == reset
    for steps in (1, 2, 7, 50, 333):
        found = driven(network, z / THRESHOLD, steps)
        count, charge, taken = found.counts["a"], found.charge["a"], steps * in_order(z)
        if reset == "soft":
            # (5b): r = a r_max - V / (t threshold)
            np.testing.assert_array_equal(count * THRESHOLD, taken - charge)
            assert (charge < THRESHOLD).all()
        else:
            # (5a): r = a r_max threshold / (threshold + eps) - V / (t (threshold + eps))
            epsilon = -(-THRESHOLD // in_order(z)) * in_order(z) - THRESHOLD
            np.testing.assert_array_equal(count * (THRESHOLD + epsilon), taken - charge)
            np.testing.assert_array_equal(found.lost["hard_reset"]["a"], count * epsilon)


def test_without_one_spike_nothing_saturates():
    network = one_layer(ReLU(), (1, 1, 2), 4, spikes_at_lambda=4)
    values = np.array([[[0.5, 2.5]]])
    assert driven(network, values, 4).counts["a"].tolist() == [2, 10]
    assert driven(network, values, 4, schedule="event").counts["a"].tolist() == [2, 10]
    network = one_layer(ReLU(), (1, 1, 2), 4, spikes_at_lambda=4, one_spike=True)
    assert driven(network, values, 4).counts["a"].tolist() == [2, 4]


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("schedule", ["event", "step"])
@pytest.mark.parametrize("duration_ms", [1, 2, 5, 20, 100])
def test_an_input_and_a_bias_of_one_are_one_to_one(duration_ms, schedule, reset):
    """Outside truth A20, converted: y = w x + b with w = b = x = 1, from 1 to 100 ms."""
    factor, bias = np.array([1.0, 0.0]).reshape(2, 1, 1), np.array([0.0, 1.0]).reshape(2, 1, 1)
    layers = [image((2, 1, 1)), layer("a", ReLU(), (2, 1, 1), Branch("x", None, None, factor), bias=bias)]
    network = lowered(
        layers, np.ones((1, 2, 1, 1)), input="analog", duration_us=1000 * duration_ms, percentile=100,
        spikes_at_lambda=50, reset=reset, period_us=20 * duration_ms,
    )  # fmt: skip
    found = driven(network, np.ones((2, 1, 1)), 50, schedule, step_us=20 * duration_ms)
    of_input, of_bias = found.counts["a"].tolist()
    assert of_input == of_bias
    assert 49 <= of_input <= 50
    assert found.charge["a"][0] == found.charge["a"][1]


@pytest.mark.parametrize("schedule", ["event", "step"])
@pytest.mark.parametrize("end", ["readout", "clock"])
@pytest.mark.parametrize("border", [False, True])
def test_a_bias_as_spikes_adds_up_to_the_current(border, end, schedule):
    """Two convolutions and class scores; biases of both signs, one a channel or one a neuron."""
    rng = np.random.default_rng(4)
    own = (2, 5, 6) if border else (2, 1, 1)
    layers = [
        image((1, 5, 6)),
        layer(
            "a", ReLU(), (2, 5, 6), Branch("x", Convolution(np.ones((2, 1, 1, 1)), ZERO)),
            bias=rng.normal(0, 0.5, own),
        ),
        layer(
            "out", None, (3, 1, 1), Branch("a", Dense(rng.normal(0, 1, (3, 60)), np.zeros(3))),
            bias=np.array([0.5, -2.0, 0.0]).reshape(3, 1, 1),
        ),
    ]  # fmt: skip
    values, steps = rng.random((1, 5, 6)), 100
    settings = {"input": "analog", "duration_us": 2000 * steps, "spikes_at_lambda": 100, "percentile": 100}
    if end == "clock":
        settings["softmax"] = "clock"
    plain = lowered(layers, values[None], **settings)
    network = lowered(layers, values[None], bias="spikes", **settings)
    assert not any(network.bias(name).any() for name in ("a", "out"))
    sources = [name for name in network.order if "#bias" in name]
    told = network.metadata["conversion"]
    assert (told["bias"], told.get("softmax")) == ("spikes", "clock" if end == "clock" else None)
    assert sources == (["a#bias+", "a#bias-", "out#bias"] if border else ["a#bias", "out#bias"])
    assert [layer["name"] for layer in told["layers"]] == ["a", "out"]
    one, other = driven(plain, values, steps, schedule), driven(network, values, steps, schedule)
    fired = {name: other.counts[name].astype(float) for name in sources}
    expected = np.abs(layers[1].bias) * 8 / plain.populations["a"].neuron.unit[0]
    if border:
        positive = fired["a#bias+"] * (in_order(layers[1].bias) > 0)
        found = positive + fired["a#bias-"] * (in_order(layers[1].bias) < 0)
        assert found.sum() == fired["a#bias+"].sum() + fired["a#bias-"].sum()
        np.testing.assert_allclose(found, in_order(expected), atol=0.51)
    else:
        np.testing.assert_allclose(fired["a#bias"], expected.ravel(), atol=0.51)
    assert np.abs(one.counts["a"] - other.counts["a"]).max() <= 1
    logit = plain.populations["out"].neuron.unit * (1 if end == "readout" else 1 / steps)
    expected = np.abs(layers[2].bias.ravel()) * 8 / (logit * THRESHOLD)
    np.testing.assert_allclose(fired["out#bias"], expected, atol=0.51)
    if end == "readout":
        assert one.prediction == other.prediction


def test_bias_spikes_are_no_layers_of_the_model():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    images = np.random.default_rng(0).random((10, 6))
    network = convert(model, images, "rate", input="analog", bias="spikes", spikes_at_lambda=100)
    runs = [driven(network, one[:, None, None], 50) for one in images]
    activity = {
        name: np.array([run.charge[name] if name == network.output else run.counts[name] for run in runs])
        for name in network.order[1:]
    }
    assert all(found.correlation > 0.99 for found in compare(model, network, images, activity).layers)


REFUSED = {
    "bias": ({"bias": "none"}, "bias is 'none'; allowed are 'current' and 'spikes'"),
    "reset": ({"reset": "none"}, "reset is 'none'; allowed are 'soft' and 'hard'"),
    "charge": ({"initial_charge": "full"}, "initial_charge is 'full'; allowed are 'zero' and 'half'"),
    "period": ({"period_us": 2001}, "period_us is 2001; allowed are"),
    "spikes": ({"spikes_at_lambda": 0}, "spikes_at_lambda is 0"),
}


@pytest.mark.parametrize(("settings", "match"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_setting_is_refused(settings, match):
    with pytest.raises(EventsnnError, match=match):
        Settings(neuron="rate", **settings)


def test_a_period_is_no_longer_than_the_sample():
    with pytest.raises(EventsnnError, match="period_us is 2000, and a sample lasts 1000 us"):
        one_layer(ReLU(), (1, 1, 2), 0.5, period_us=2000)
    network = one_layer(ReLU(), (1, 1, 2), 0.5, period_us=1000, bias=np.ones((1, 1, 1)))
    assert network.populations["a"].neuron.period == 10**9


ONLY_RATE = {
    "reset": "hard",
    "initial_charge": "half",
    "one_spike": True,
    "period_us": 1000,
    "bias": "spikes",
    "softmax": "clock",
}


@pytest.mark.parametrize(("name", "value"), ONLY_RATE.items())
def test_settings_of_rate_neurons_are_no_settings_of_signed_ones(name, value):
    with pytest.raises(EventsnnError, match=f"signed neurons have no {name}"):
        Settings(**{name: value})


QUANTISERS = {
    "below zero": ((-3, 3, 0.5, "floor"), "has levels below zero"),
    "rounding": ((0, 3, 0.0, "up"), "rounds in the way 'up'"),
    "above zero": ((0, 3, 0.5, "half-up"), "is above zero without any input"),
}


@pytest.mark.parametrize(("given", "match"), QUANTISERS.values(), ids=QUANTISERS)
def test_quantisers_that_have_no_rate_are_refused(given, match):
    layers = [
        image((2, 2, 2)),
        layer("a", Quantised(UNIT, *given), (2, 2, 2), Branch("x", None)),
        layer("out", None, (2, 1, 1), Branch("a", Dense(np.ones((2, 8)), np.zeros(2))), bias=ZERO),
    ]
    with pytest.raises(EventsnnError, match=match):
        lowered(layers, np.ones((1, 2, 2, 2)))
