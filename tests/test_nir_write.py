"""Networks written as NIR: the same network comes back, to the checksum, or it is refused by name."""

import re
from dataclasses import replace

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="the extra nir is not installed")

from builders.networks import random_network  # noqa: E402
from builders.nir_graphs import random_graph  # noqa: E402
from builders.nir_runs import CHOICES, check, random_frames, run, spikes_by_step  # noqa: E402
from oracles.nir_values import Stepped  # noqa: E402

import eventsnn  # noqa: E402
from eventsnn.errors import InvalidNetwork  # noqa: E402
from eventsnn.network import (  # noqa: E402
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    InputContract,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
    SumPool,
)
from eventsnn.nir import from_nir, to_nir, write_nir  # noqa: E402


def written(network):
    """The graph, or None where the refusal says that it is NIR that cannot say it."""
    try:
        return to_nir(network)
    except InvalidNetwork as error:
        if not re.search("NIR|not simulated here|several steps", str(error)):
            raise
        return None


def made(rng, threshold=3000):
    """One of everything that NIR can say, with numbers that are no powers of two."""

    def quanta(*shape):
        return rng.integers(-5000, 5000, shape).astype(np.int32)

    def rate(**changes):
        return Rate(threshold, unit=(0.25,), **changes)

    populations = [
        Population("in", (6, 5, 2), Input(unit=0.5, analog_scale=64)),
        Population("conv", (6, 5, 3), rate(multispike=False, reset="hard", strict=True)),
        Population("pool", (3, 2, 3), rate(lower_clamp=-1500, reset="soft")),
        Population("mean", (2, 2, 3), rate(leak_period=10**9, leak_factor=999_999_999), bias=quanta(3)),
        Population(
            "dense", (1, 1, 7), rate(multispike=False, leak_period=10**9, leak_factor=0, reset="hard")
        ),
        Population("same", (1, 1, 7), rate()),
        Population("out", (1, 1, 4), Readout(1 / 777, period=10**9, leak_period=10**9, leak_factor=2**29)),
    ]
    projections = [
        Projection("first", "in", "conv", Conv2d(quanta(3, 3, 2, 3), *2 * [Axis(3, 1, 1, 1)]), quanta(3)),
        Projection("second", "conv", "pool", SumPool(quanta(1), Axis(2, 2), Axis(2, 2)), delay=3 * 10**9),
        Projection("third", "pool", "mean", AveragePool(quanta(3), Axis(2, 1), Axis(1))),
        Projection("grouped", "pool", "mean", Conv2d(quanta(2, 1, 1, 3), Axis(2), Axis(1), groups=3)),
        Projection("folded", "conv", "dense", Dense(quanta(18, 7), (2, 2)), np.zeros(7, np.int32)),
        Projection("across", "mean", "dense", Dense(quanta(12, 7))),
        Projection("one", "dense", "same", Identity(quanta(7))),
        Projection("alike", "dense", "same", Identity(np.full(7, 4, np.int32)), delay=10**9),
        Projection("round", "same", "same", Dense(quanta(7, 7)), quanta(7), delay=10**9),
        Projection("last", "same", "out", Dense(quanta(7, 4)), quanta(4)),
    ]  # fmt: skip
    contract = InputContract("events", 50_000.0)
    return Network(populations, projections, {"classes": ["a", "b", "c", "d"]}, contract=contract)


@pytest.mark.parametrize("threshold", [3000, 2**14])
def test_a_network_of_everything_comes_back_as_it_was(threshold, tmp_path):
    network = made(np.random.default_rng(threshold), threshold)
    write_nir(network, tmp_path / "net.nir")
    back = from_nir(tmp_path / "net.nir")
    assert back.checksum == network.checksum
    assert back.metadata["classes"] == ["a", "b", "c", "d"]
    assert from_nir(to_nir(network)).checksum == network.checksum


def with_factors(seed):
    """A CubaLIF, a LIF, a CubaLI, each with factors of its neurons or channels, some next to each other."""
    rng = np.random.default_rng(seed)
    leak, fires = {"period": 10**9, "leak_period": 10**9}, {"threshold": 3000, "multispike": False}
    near = np.array([2**29, 2**29 + 1])
    channels, each = rng.integers(1, 2**30, 3), rng.integers(1, 2**30, 12)
    each[:2], each[2] = near, 2**30 - 1
    populations = [
        Population("in", (2, 2, 3), Input()),
        Population(
            "cuba", (2, 2, 3),
            Rate(**fires, **leak, leak_factor=int(channels.max()), synapse_factor=int(each.max())),
            leak_factors=channels, synapse_factors=each,
        ),
        Population(
            "lif", (2, 2, 3), Rate(**fires, **leak, leak_factor=int(each.max())), leak_factors=each,
            bias=rng.integers(-99, 99, 12 if seed % 2 else 3),
        ),
        Population(
            "out", (1, 1, 2), Readout(**leak, leak_factor=7, synapse_factor=int(near.max())),
            synapse_factors=near,
        ),
    ]  # fmt: skip
    one, other = (rng.integers(-999, 999, n) for n in (3, (12, 2)))
    projections = [
        Projection("a", "in", "cuba", Identity(one)), Projection("b", "cuba", "lif", Identity(one)),
        Projection("c", "lif", "out", Dense(other)),
    ]  # fmt: skip
    return Network(populations, projections)


@pytest.mark.parametrize("seed", range(6))
def test_several_time_constants_come_back(seed, tmp_path):
    network = with_factors(seed)
    write_nir(network, tmp_path / "net.nir")
    assert from_nir(tmp_path / "net.nir").checksum == network.checksum


@pytest.mark.parametrize("left", [0, 2**30])
def test_leaks_that_take_all_or_nothing_cannot_be_said(left):
    neuron = Rate(10, leak_period=10**9, leak_factor=max(left, 5))
    population = Population("n", (1, 1, 2), neuron, leak_factors=[left, 5])
    network = Network([Population("in", (1, 1, 2), Input()), population], [
        Projection("p", "in", "n", Identity(np.array([1])))
    ])  # fmt: skip
    with pytest.raises(InvalidNetwork, match=r"leak_factor that (leaves|takes) nothing"):
        to_nir(network)


def test_what_is_written_steps_as_the_network_does():
    """The graph's own equations, whatever our metadata says: spikes of each population, step by step."""
    network = made(np.random.default_rng(5), 2**14)
    graph = to_nir(network)
    frames = np.random.default_rng(6).poisson(0.5, (8, 2, 6, 5))
    emitted = spikes_by_step(network, run(network, frames, "float64"), 8)
    alone = {
        name: {k: v for k, v in n.metadata.items() if k != "eventsnn"} for name, n in graph.nodes.items()
    }
    for name, node in graph.nodes.items():
        node.metadata = alone[name]
    total = sum(map(np.sum, emitted.values()))
    assert total > 300
    values = {n: np.zeros_like(v) for n, v in emitted.items()}
    stepped = _Own(graph, step_us=1000, integration="exponential")
    for step, frame in enumerate(frames):
        stepped.step(frame.astype(np.float64))
        for population in network:
            if population.neuron.emits == "unit spikes":
                now = stepped.now[population.name]
                values[population.name][step] = (np.moveaxis(now, 0, -1) if now.ndim > 1 else now).reshape(-1)
    for population in network:
        if population.neuron.emits == "unit spikes":
            assert np.array_equal(values[population.name], emitted[population.name]), population.name


class _Own(Stepped):
    """Each node by the choices in its own metadata."""

    def _neurons(self, name, kind, node, x):
        said = {
            "lower_clamp": None,
            "comparison": "greater",
            "reset": "hard",
            "spikes": "one",
        } | node.metadata
        shared, self.choices = self.choices, self.choices | said
        found = super()._neurons(name, kind, node, x)
        self.choices = shared
        return found


@pytest.mark.parametrize("seed", range(60))
def test_graphs_that_were_read_come_back_or_are_refused(seed):
    rng = np.random.default_rng(seed)
    choices = CHOICES[seed % len(CHOICES)]
    graph = random_graph(rng, leaky=seed % 2 == 1, alike=choices["lower_clamp"] is not None)
    network = from_nir(graph, step_us=1000, **choices)
    again = written(network)
    if again is None:
        return
    back = from_nir(again)
    assert back.checksum == network.checksum
    for name in ("reset", "comparison", "spikes"):
        assert back.metadata["nir"][name] == network.metadata["nir"][name]
    if seed % 2 == 0 and choices["lower_clamp"] is None:
        check(again, random_frames(rng, again, 4), choices)


def test_many_random_graphs_come_back():
    """Those whose chains are one layer each; what was multiplied out is a list of synapses."""
    read = [from_nir(random_graph(np.random.default_rng(seed)), step_us=1000) for seed in range(40)]
    assert sum(written(network) is not None for network in read) >= 10


@pytest.mark.parametrize("seed", range(40))
def test_networks_of_any_kind_come_back_or_are_refused(seed):
    network = random_network(seed, ("rate", "mixed", "signed")[seed % 3], delays=seed % 2 == 0)
    graph = written(network)
    assert graph is None or from_nir(graph).checksum == network.checksum


def test_weights_before_rounding_go_along(tmp_path):
    graph = nir.NIRGraph.from_list(
        nir.Affine(np.random.default_rng(0).normal(size=(3, 4)), np.array([0.1, 0.2, 0.3])),
        nir.IF(np.ones(3), np.ones(3), np.zeros(3)),
    )
    network = from_nir(graph, step_us=1000)
    projection = network.projections["affine"]
    assert np.array_equal(projection.exact_weight / 2**16, graph.nodes["affine"].weight.T)
    assert from_nir(to_nir(network)).checksum == network.checksum
    network.save(tmp_path / "net.h5")
    assert np.array_equal(
        eventsnn.load(tmp_path / "net.h5").projections["affine"].exact_bias, projection.exact_bias
    )


REFUSED = {
    "signed": ("neuron", Signed(2**14, 15), "signed"),
    "refractory": ("neuron", Rate(100, refractory=10**9), "refractory time, which NIR cannot say"),
    "start": ("neuron", Rate(100, start_time=10**9), "start time, which NIR cannot say"),
    "tests": ("neuron", Rate(100, test_period=2 * 10**9), "test period, which NIR cannot say"),
    "charge": ("neuron", Rate(100, initial_charge=50), "initial charge, which NIR cannot say"),
    "bias": ("bias", np.ones(3, np.int32), "biases of its own"),
}


@pytest.mark.parametrize(("field", "value", "message"), REFUSED.values(), ids=REFUSED)
def test_what_nir_cannot_say_is_refused_by_name(field, value, message):
    population = replace(Population("mine", (1, 1, 3), Rate(100)), **{field: value})
    network = Network(
        [Population("in", (1, 1, 2), Input()), population],
        [Projection("p", "in", "mine", Dense(np.ones((2, 3), np.int32)))],
    )
    with pytest.raises(InvalidNetwork, match=f"'mine'.*{message}"):
        to_nir(network)
