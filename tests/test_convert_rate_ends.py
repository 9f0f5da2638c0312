"""Converted rate networks: gates of max-pools in the long run, and spiking softmax outputs."""

from dataclasses import replace

import numpy as np
import pytest
from builders.layers import ZERO, image, layer, windows
from builders.rates import driven, lenet, lowered
from oracles.values_of_layers import layer_values

from eventsnn.convert import compare, convert
from eventsnn.convert.graph.layers import Branch
from eventsnn.convert.graph.operations import MaxPool, ReLU
from eventsnn.errors import EventsnnError
from eventsnn.network import Readout, Softmax

FILTERS = {
    "average": {},
    "finite_impulse": {"max_pool": "finite_impulse"},
    "exponential": {"max_pool": "exponential", "max_pool_tau_us": 40_000},
}


@pytest.mark.parametrize("schedule", ["event", "step"])
@pytest.mark.parametrize("settings", FILTERS.values(), ids=FILTERS)
def test_a_gates_rate_tends_to_the_largest_of_its_inputs(settings, schedule):
    """Outside truth A15, converted: constant rates of 60 to 300 spikes over 600 ms, four a gate."""
    shape, steps = (3, 6, 8), 300
    layers = [
        image(shape),
        layer("a", ReLU(), shape, Branch("x", None, None, np.ones(shape))),
        layer("p", MaxPool(windows(6, 2, 2), windows(8, 2, 2)), (3, 3, 4), Branch("a", None)),
    ]
    rng = np.random.default_rng(0)
    values = rng.uniform(0.2, 0.6, (9, 2, 4, 2)).reshape(3, 3, 2, 4, 2)
    one = np.argmax(values.transpose(0, 1, 3, 2, 4).reshape(3, 3, 4, 4), axis=3)
    rows, columns = 2 * np.arange(3)[:, None] + one // 2, 2 * np.arange(4) + one % 2
    values = values.reshape(shape)
    values[np.arange(3)[:, None, None], rows, columns] = rng.uniform(0.75, 1.0, one.shape)
    network = lowered(
        layers, values[None], input="analog", duration_us=2000 * steps, percentile=100, spikes_at_lambda=300,
        **settings,
    )  # fmt: skip
    found = driven(network, values, steps, schedule)
    largest = values.reshape(3, 3, 2, 4, 2).max(axis=(2, 4))
    counts = found.counts["p"].reshape(3, 4, 3).transpose(2, 0, 1) / 300
    np.testing.assert_allclose(counts, largest, atol=0.04)  # but for the start, until the estimates part
    late = driven(network, values, 2 * steps, schedule)
    gained = (late.counts["p"] - found.counts["p"]).reshape(3, 4, 3).transpose(2, 0, 1) / 300
    np.testing.assert_allclose(gained, largest, atol=0.02)


@pytest.mark.parametrize("pool", ["max", "average"])
def test_both_kinds_of_lenet_convert(pool):
    rng = np.random.default_rng(1)
    layers, images = lenet(rng, pool), rng.random((24, 1, 12, 12))
    network = lowered(layers, images, input="analog", duration_us=1e6, spikes_at_lambda=300, percentile=100)
    wanted = layer_values(layers, images)
    charges = np.array([driven(network, one, 500).charge["f6"] for one in images])
    logits = wanted["f6"].reshape(24, 5)
    assert np.corrcoef(charges.ravel(), logits.ravel())[0, 1] > 0.99
    assert (charges.argmax(axis=1) == logits.argmax(axis=1)).mean() > 0.9


@pytest.mark.parametrize("schedule", ["event", "step"])
@pytest.mark.parametrize("variant", ["clock", "independent"])
def test_spikes_of_a_softmax_decide_as_the_scores_do(variant, schedule):
    rng = np.random.default_rng(2)
    layers, images = lenet(rng, "average"), rng.random((24, 1, 12, 12))
    settings = {"input": "analog", "duration_us": 4e5, "spikes_at_lambda": 200, "percentile": 100}
    network = lowered(layers, images, softmax=variant, **settings)
    plain = lowered(layers, images, **settings)
    neuron, readout = network.populations["f6"].neuron, plain.populations["f6"].neuron
    assert isinstance(readout, Readout)
    assert isinstance(neuron, Softmax)
    assert (neuron.variant, neuron.interval) == (variant, 2 * 10**9)
    # After 200 periods the charges stand for 200 times the scores.
    assert neuron.unit == pytest.approx(200 * readout.unit, rel=1e-12)
    assert network.metadata["conversion"]["layers"][-1]["softmax"] == variant
    logits = layer_values(layers, images)["f6"].reshape(24, 5)
    runs = [driven(network, one, 200, schedule) for one in images]
    charges = np.array([run.charge["f6"] for run in runs])
    np.testing.assert_array_equal(charges, [driven(plain, one, 200, schedule).charge["f6"] for one in images])
    counts = np.array([run.counts["f6"] for run in runs])
    if variant == "clock":
        assert abs(counts.sum() / 24 - 200) < 4 * np.sqrt(200 / 24)
    clear = np.diff(np.sort(charges, axis=1)[:, -2:])[:, 0] * readout.unit > 0.1
    assert clear.sum() > 12
    np.testing.assert_array_equal(counts.argmax(axis=1)[clear], logits.argmax(axis=1)[clear])
    assert [run.prediction for run in runs] == counts.argmax(axis=1).tolist()


def test_a_model_with_scores_below_zero_is_compared_by_its_softmax():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    with torch.no_grad():
        model[2].bias -= 20
    images = np.random.default_rng(0).random((10, 6, 1, 1))
    network = convert(model, images[:, :, 0, 0], "rate", input="analog", softmax="independent")
    runs = [driven(network, one, 50) for one in images]
    activity = {name: np.array([run.counts[name] for run in runs]) for name in network.order[1:]}
    found = compare(model, network, images[:, :, 0, 0], activity)
    with torch.no_grad():
        scores = model(torch.tensor(images[:, :, 0, 0], dtype=torch.float32))
    assert found.model_decisions.tolist() == scores.argmax(1).tolist()
    last = found.layers[-1]
    assert last.neuron == "softmax"
    assert last.mean_activation == pytest.approx(1 / 3)
    assert last.largest_difference <= 1


def test_a_softmax_needs_scores_and_time():
    rng = np.random.default_rng(3)
    layers, images = lenet(rng, "max"), rng.random((4, 1, 12, 12))
    fires = [*layers[:-1], layer("f6", ReLU(), (5, 1, 1), *layers[-1].branches)]
    with pytest.raises(EventsnnError, match=r"'f6' \(Conv2d\), the last one, fires by itself"):
        lowered(fires, images, input="analog", softmax="clock")
    layers = [replace(one, bias=ZERO) for one in layers]
    with pytest.raises(EventsnnError, match="softmax is 'clock', which draws spikes over the duration"):
        lowered(layers, images, input="events", softmax="clock")
