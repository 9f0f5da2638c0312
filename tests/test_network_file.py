"""Networks: what fits together, and the file that keeps it."""

import h5py
import numpy as np
import pytest
from builders.draws import SEEDS
from builders.networks import random_network
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsnn
from eventsnn.errors import InvalidFile, InvalidNetwork
from eventsnn.network import (
    Axis,
    Conv2d,
    Dense,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
)


@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_saved_network_is_the_same_network(tmp_path_factory, seed, kind):
    network = random_network(seed, kind, delays=True, lazy=True)
    path = tmp_path_factory.mktemp("net") / "net.h5"
    network.save(path)
    loaded = eventsnn.load(path)
    assert loaded.checksum == network.checksum
    assert loaded.order == network.order
    for name, population in network.populations.items():
        found = loaded.populations[name]
        assert (found.shape, found.neuron) == (population.shape, population.neuron)
    for name in network.projections:
        np.testing.assert_array_equal(loaded.fan_out(name), network.fan_out(name))
    assert list(path.parent.iterdir()) == [path]


def small():
    return Network(
        [Population("in", (2, 2, 1), Input()), Population("out", (1, 1, 3), Readout())],
        [Projection("p", "in", "out", Dense(np.ones((4, 3), int)))],
        {"note": "small"},
    )


def test_metadata_survive_and_are_not_part_of_the_checksum(tmp_path):
    network = small()
    network.save(tmp_path / "net.h5")
    loaded = eventsnn.load(tmp_path / "net.h5")
    assert dict(loaded.metadata) == {"note": "small"}
    assert Network(network.populations.values(), network.projections.values()).checksum == loaded.checksum


def damage(path, how):
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a network")
    else:
        with h5py.File(path, "r+") as file:
            if how == "weight":
                file["projections/p/weight"][0, 0] = 7
            elif how == "schema":
                file.attrs["schema"] = 99
            elif how == "format":
                file.attrs["format"] = "eventsnn-results"
            elif how == "kind":
                file["projections/p"].attrs["kind"] = "conv9d"
            elif how == "missing":
                del file["projections/p/weight"]
            elif how == "float":
                del file["projections/p/weight"]
                file["projections/p/weight"] = np.full((4, 3), np.nan)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "cannot be read as an eventsnn network"),
        ("empty", "cannot be read as an eventsnn network"),
        ("text", "cannot be read as an eventsnn network"),
        ("weight", "checksum is .*, its content gives"),
        ("schema", "schema 99 is not readable"),
        ("format", "format attribute is 'eventsnn-results'"),
        ("kind", "kind 'conv9d'; known are"),
        ("missing", "cannot be read as an eventsnn network"),
        ("float", "weights are integer quanta"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, how, message):
    path = tmp_path / "net.h5"
    small().save(path)
    damage(path, how)
    with pytest.raises(InvalidFile, match=message):
        eventsnn.load(path)


def test_a_nir_graph_is_named_as_one(tmp_path):
    with h5py.File(tmp_path / "net.nir", "w") as file:
        file["node/type"] = "NIRGraph"
    with pytest.raises(InvalidFile, match="is a NIR graph; make a network of it with eventsnn convert"):
        eventsnn.load(tmp_path / "net.nir")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not there; give the path"):
        eventsnn.load(tmp_path / "nothing.h5")


def chain(neuron, bias=None, shape=(1, 1, 3)):
    return Network(
        [Population("in", (2, 2, 1), Input()), Population("n", shape, neuron)],
        [Projection("p", "in", "n", Dense(np.ones((4, 3), int)), bias)],
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: chain(Signed(0, 4)), "threshold is 0 quanta"),
        (lambda: chain(Signed(2**21, 4)), "allowed are 1 to 1048576"),
        (lambda: chain(Signed(10, 0)), "levels is 0"),
        (lambda: chain(Rate(10, reset="none")), "allowed are 'soft', 'hard'"),
        (lambda: chain(Rate(10, period=2**31 + 1)), "period is 2147483649"),
        (lambda: chain(Signed(10, 4), shape=(1, 1, 4)), r"gives shape \(1, 1, 3\)"),
        (lambda: chain(Signed(10, 4), np.array([1, 2])), "has 2 biases"),
        (lambda: chain(Signed(10, 4), np.array([2**31, 0, 0])), "32-bit range"),
        (lambda: chain(Rate(10, initial_charge=-(2**32))), "initial_charge"),
        (lambda: chain(Signed(10, 4, settle_time=2**62)), "settle_time is"),
        (lambda: Readout(unit=float("nan")), "unit is nan"),
        (
            lambda: Population("n", (1, 1, 1), Signed(10, 4), np.array([25], "i4"), np.array([0], "i4")),
            "must be settled",
        ),
        (lambda: Dense(np.ones((2, 2))), "dtype float64"),
        (lambda: Conv2d(np.ones((3, 3, 1, 1), int), Axis(5), Axis(3)), "its geometry says"),
        (lambda: Conv2d(np.ones((3, 3, 1, 3), int), Axis(3), Axis(3), groups=2), "not divisible by"),
        (lambda: Axis(3, stride=0), "must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(InvalidNetwork, match=message):
        make()


def test_graphs_that_are_not_a_network_are_refused():
    a, b = Population("a", (1, 1, 1), Input()), Population("b", (1, 1, 1), Signed(5, 2))
    c = Population("c", (1, 1, 1), Signed(5, 2))

    def one(name, source, target):
        return Projection(name, source, target, Dense(np.ones((1, 1), int)))

    with pytest.raises(InvalidNetwork, match="form a cycle through b, c"):
        Network([a, b, c], [one("1", "a", "b"), one("2", "b", "c"), one("3", "c", "b")])
    with pytest.raises(InvalidNetwork, match="exactly one output population; found b, c"):
        Network([a, b, c], [one("1", "a", "b"), one("2", "a", "c")])
    with pytest.raises(InvalidNetwork, match="names the population 'x'"):
        Network([a, b], [one("1", "a", "x")])
    with pytest.raises(InvalidNetwork, match="two populations are named 'b'"):
        Network([a, b, b], [one("1", "a", "b")])
    with pytest.raises(InvalidNetwork, match="no projection 'zz' in this network; it has p"):
        small().fan_out("zz")
