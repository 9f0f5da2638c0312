"""Layers as integrate-and-fire networks: scales, currents, gates of max-pools."""

import numpy as np
import pytest
from builders.layers import ZERO, image, layer, windows
from builders.rates import lowered
from oracles.values_of_layers import layer_values

from eventsnn.convert.graph.layers import Branch
from eventsnn.convert.graph.operations import Convolution, Dense, MaxPool, ReLU
from eventsnn.convert.settings import Settings
from eventsnn.engine import Stimulus, make_engine
from eventsnn.errors import EventsnnError
from eventsnn.network import MaxGate, leak_factor_of

TICKS = 10**11


def residual(rng):
    """Convolutions, a pool of maxima, a shortcut with stride and empty channels, a concatenation."""
    unit = np.arange(2 * 4 * 4).reshape(2, 4, 4)[:, ::2, ::2]
    shortcut = np.concatenate([np.full((1, 2, 2), -1), unit, np.full((1, 2, 2), -1)])

    def conv(out, inside, **options):
        return Convolution(rng.normal(0, 0.4, (out, inside, 3, 3)), ZERO, padding=((1, 1), (1, 1)), **options)

    def bias(channels):
        return rng.normal(0.1, 0.2, (channels, 1, 1))

    return [
        image((2, 8, 8)),
        layer("a", ReLU(), (2, 8, 8), Branch("x", conv(2, 2)), bias=bias(2)),
        layer("p", MaxPool(windows(8, 2, 2), windows(8, 2, 2)), (2, 4, 4), Branch("a", None), origin="Pool"),
        layer(
            "b", ReLU(), (4, 2, 2), Branch("p", conv(4, 2, stride=(2, 2))), Branch("p", None, shortcut),
            bias=bias(4),
        ),
        layer(
            "c", ReLU(ceiling=2.0), (5, 2, 2), Branch("b", conv(2, 4)), Branch("p", conv(3, 2, stride=(2, 2)),
            first_channel=2), bias=bias(5),
        ),
        layer(
            "out", None, (3, 1, 1), Branch("c", Dense(rng.normal(0, 0.5, (3, 20)), np.zeros(3))), bias=bias(3)
        ),
    ]  # fmt: skip


def spread(counts, seed):
    """Events of each input neuron, spread evenly over the time."""
    rng = np.random.default_rng(seed)
    neuron = np.repeat(np.arange(len(counts)), counts)
    time = np.concatenate([np.sort(rng.integers(0, TICKS, n)) for n in counts])
    order = np.lexsort((neuron, time))
    return Stimulus(time[order], neuron[order])


@pytest.mark.parametrize("max_pool", ["average", "finite_impulse", "exponential"])
@pytest.mark.parametrize("scales", ["layer", "channel"])
def test_rates_tend_to_the_layers_values(max_pool, scales):
    rng = np.random.default_rng(0)
    layers, images = residual(rng), rng.poisson(30, (12, 2, 8, 8)) / 30
    network = lowered(
        layers, images, input="events", input_scale=1 / 30, duration_us=TICKS / 1e6, percentile=100,
        spikes_at_lambda=200, scales=scales, max_pool=max_pool, threshold=2**16,
        max_pool_tau_us=20_000 if max_pool == "exponential" else None,
    )  # fmt: skip
    timed = {
        "average": {},
        "finite_impulse": {"period": 2 * 10**9},
        "exponential": {"period": 2 * 10**9, "factor": leak_factor_of(20.0, 2.0)},
    }[max_pool]
    unit = network.populations["a"].neuron.unit
    assert network.populations["p"].neuron == MaxGate(max_pool, unit=unit, **timed)
    wanted = layer_values(layers, images)
    engine = make_engine("compiled", network)
    found = {one.name: [] for one in layers[1:]}
    for seed, one in enumerate(images):
        counts = np.rint(one.transpose(1, 2, 0).reshape(-1) * 30).astype(np.int64)
        run = engine.run(spread(counts, seed))
        for name, values in found.items():
            neuron = network.populations[name]
            kept = run.charge if name == "out" else run.counts
            values.append(kept[name].reshape(neuron.shape) * np.asarray(neuron.neuron.unit))
    for name, values in found.items():
        value = np.array(values).transpose(0, 3, 1, 2)
        assert np.corrcoef(value.ravel(), wanted[name].ravel())[0, 1] > 0.93, name


def test_biases_of_several_branches_are_one_current():
    rng = np.random.default_rng(1)
    layers, images = residual(rng), rng.random((12, 2, 8, 8))
    network = lowered(layers, images, input="analog", duration_us=1e5)
    assert network.projections["x-a" if "x-a" in network.projections else "input-a"].bias is not None
    population = network.populations["b"]
    assert [p.bias for p in network.incoming("b")] == [None, None]
    periods = 1e5 * 1e6 / population.neuron.period
    given = population.bias * periods / 2**14 * np.asarray(population.neuron.unit)
    np.testing.assert_allclose(given, layers[3].bias.reshape(-1), atol=1e-3)


@pytest.mark.parametrize("scales", ["layer", "channel"])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("percentile", [75, 90])
def test_percentiles_count_zeros_or_not(scales, zeros, percentile):
    rng = np.random.default_rng(2)
    layers, images = residual(rng), rng.random((12, 2, 8, 8))
    network = lowered(
        layers, images, duration_us=1e5, percentile=percentile, count_zeros=zeros, scales=scales
    )
    values = layer_values(layers, images)["a"].transpose(1, 0, 2, 3).reshape(2, -1)
    parts = [values] if scales == "layer" else list(values)
    wanted = [np.percentile(part if zeros else part[part > 0], percentile) / 15 for part in parts]
    np.testing.assert_allclose(network.populations["a"].neuron.unit, wanted, rtol=1e-12)
    with pytest.raises(EventsnnError, match=r"layer .a. is so often 0"):
        lowered(layers, images, duration_us=1e5, percentile=0.1, count_zeros=True)


def test_a_normalisation_is_a_current_of_each_neuron_at_the_border():
    rng = np.random.default_rng(3)
    layers, images = residual(rng), rng.random((12, 2, 8, 8))
    network = lowered(
        layers, images, input="analog", duration_us=1e5, input_mean=(0.4, 0.6), input_std=0.5, threshold=2**16
    )
    unit = np.asarray(network.populations["a"].neuron.unit)
    projection = network.projections["input-a"]
    assert projection.bias.size == 8 * 8 * 2
    periods = 1e5 * 1e6 / network.populations["a"].neuron.period
    plain = layer("a", None, (2, 8, 8), *layers[1].branches, bias=layers[1].bias)
    black = np.broadcast_to(-np.array([0.8, 1.2])[:, None, None], (1, 2, 8, 8))
    at_zero = layer_values([layers[0], plain], black)["a"]
    given = projection.bias.reshape(8, 8, 2).transpose(2, 0, 1) * periods / 2**16 * unit[:, None, None]
    np.testing.assert_allclose(given, at_zero[0], atol=1e-3)


REFUSED = {
    "levels": ({"levels": 3}, "rate neurons have no levels"),
    "no time": ({"bias_correction": True}, "rate neurons take a bias as a constant current"),
    "filter": ({"max_pool": "largest"}, "max_pool is 'largest'; allowed are"),
    "no time constant": ({"max_pool": "exponential"}, "exponential gates need a time constant"),
    "a time constant": ({"max_pool_tau_us": 10}, "exponential gates need a time constant"),
    "pool of analog input": ({"input": "analog"}, "pools the input"),
}


@pytest.mark.parametrize(("settings", "match"), REFUSED.values(), ids=REFUSED)
def test_what_rates_cannot_do_is_refused(settings, match):
    layers = [
        image((2, 4, 4)),
        layer("p", MaxPool(windows(4, 2, 2), windows(4, 2, 2)), (2, 2, 2), Branch("x", None), origin="Pool"),
        layer("out", None, (2, 1, 1), Branch("p", Dense(np.ones((2, 8)), np.zeros(2)))),
    ]
    with pytest.raises(EventsnnError, match=match):
        lowered(layers, np.ones((3, 2, 4, 4)), **settings)
    with pytest.raises(EventsnnError, match="signed neurons have no count_zeros"):
        Settings(count_zeros=True)
