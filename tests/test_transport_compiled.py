"""The compiled engine on random chips gives the reference engine's runs, whatever the network and options."""

import os
from dataclasses import replace

import numpy as np
import pytest
from builders.cases import random_case
from builders.chips import architecture_of, core_kind, random_chip, whole_on
from builders.draws import SEEDS, generator
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network, random_stimulus, with_rates
from builders.runs import assert_same_run
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.engine import RunOptions, Stimulus
from eventsnn.engine.compiled import CompiledEngine
from eventsnn.engine.lowering.routes import is_computed_ahead
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.errors import ChargeOverflow, Deadlock, EventLimitReached, InvalidRequest
from eventsnn.hardware import Chip
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, Readout, Signed

FEATURES = ("none", "history", "seeded", "analog", "leak", "gate", "rate_gate", "softmax", "cycle", "lowest")
CHIPS = ("links", "bounded", "zeros", "jitter", "shared")
compiled_only = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="slow with uncompiled kernels"
)


def outcome(engine, stimulus):
    """A run, or what stopped it."""
    try:
        return engine.run(stimulus, 3)
    except (EventLimitReached, ChargeOverflow, InvalidRequest, Deadlock) as error:
        return repr(error) if isinstance(error, Deadlock) else type(error)


def check_same(network, mapping, stimulus, options, capacity=None):
    """Run on both engines; what the compiled one gave."""
    engine = CompiledEngine(network, mapping, options)
    if capacity is not None:
        engine._start.capacities.messages = capacity
    run, expected = outcome(engine, stimulus), outcome(ReferenceEngine(network, mapping, options), stimulus)
    if isinstance(run, (type, str)) or isinstance(expected, (type, str)):
        assert run == expected
        return run
    asserting()
    assert_same_run(expected, run)
    np.testing.assert_array_equal(expected.parts, run.parts)
    if options.record_service:
        np.testing.assert_array_equal(np.sort(expected.service), np.sort(run.service))
    return run


def check(seed, feature, chip, capacity=None):
    """One random case."""
    network, stimulus, options = random_case(seed, feature, False)
    rng = generator(seed, 12)
    options = replace(options, record_service=bool(rng.random() < 0.6), max_events=1000)
    return check_same(network, random_chip(seed, network, **chip), stimulus, options, capacity)


@compiled_only
@pytest.mark.parametrize("feature", FEATURES)
@asserts_at_least(9)
@given(SEEDS, st.fixed_dictionaries({name: st.booleans() for name in CHIPS}))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_the_same_run_on_random_chips(feature, seed, chip):
    check(seed, feature, chip)


@compiled_only
def test_a_history_ends_with_the_decision():
    """A tick that turns out to be none, two periods later, adds no rows."""
    check(2048, "gate", dict.fromkeys(CHIPS, False))


@compiled_only
@asserts_at_least(18)
@given(SEEDS, st.booleans(), st.booleans())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_same_run_on_random_plain_chips(seed, links, jitter):
    chip = {"links": links, "bounded": False, "zeros": False, "jitter": jitter, "shared": False}
    check(seed, "none", chip)


@compiled_only
@asserts_at_least(3)
@given(SEEDS, st.booleans())
@settings(max_examples=5, deadline=None, derandomize=True)
def test_buffers_of_messages_grow(seed, bounded):
    chip = {"links": True, "bounded": bounded, "zeros": False, "jitter": True, "shared": False}
    check(seed, "none", chip, capacity=2)


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") != "1", reason="for the kernels uncompiled")
@pytest.mark.parametrize("feature", FEATURES)
def test_uncompiled_kernels_give_the_same_run_on_chips(feature):
    for seed in range(400, 402):
        check(seed, feature, dict.fromkeys(CHIPS, True))
        check(seed, feature, dict.fromkeys(CHIPS, False) | {"jitter": True, "links": True})


# -- which chips are computed ahead -----------------------------------------------------------------------


def chain(*neurons):
    """Populations of one neuron each, one after the other."""
    populations = [Population("in", (1, 1, 1), Input())]
    projections = []
    for place, neuron in enumerate(neurons):
        name = f"p{place}"
        populations.append(Population(name, (1, 1, 1), neuron))
        projections.append(Projection(f"to {name}", populations[-2].name, name, Dense(np.array([[12]]))))
    return Network(populations, projections)


TIMES = dict.fromkeys(("serialise", "decode", "synapse", "update", "fire"), 7)


def computed_ahead(network, cores, kind=None, times=TIMES, seeded=False, **noc):
    """Whether a chip is computed ahead, each population on the core given."""
    kinds = [kind or core_kind() for _ in range(1 + max(cores))]
    architecture = architecture_of(kinds, noc or None, times)
    names = [name for name in network.order if name != "in"]
    mapping = whole_on(network, architecture, dict(zip(names, cores, strict=True)))
    return is_computed_ahead(network, Chip(mapping), seeded)


RATES = chain(Rate(10), Rate(10), Readout())
SCANS = chain(Signed(10, levels=3), Rate(10), Readout())


def test_chips_that_are_plain():
    assert computed_ahead(RATES, [0, 1, 2])
    assert computed_ahead(RATES, [0, 0, 0])  # all get ready in the same way
    assert computed_ahead(SCANS, [0, 1, 2])
    assert computed_ahead(SCANS, [0, 1, 0])  # a readout sends nothing
    assert computed_ahead(SCANS, [0, 1, 2], times={})
    assert computed_ahead(RATES, [0, 1, 2], topology="mesh", width=3, height=1, links={"depth": "unbounded"})
    assert computed_ahead(RATES, [0, 1, 2], topology="bus")


def test_chips_that_are_not_plain():
    assert not computed_ahead(RATES, [0, 1, 2], core_kind(input_depth=5))
    assert not computed_ahead(RATES, [0, 1, 2], core_kind(output_depth=5))
    assert not computed_ahead(RATES, [0, 1, 2], topology="bus", links={"depth": 1})
    assert not computed_ahead(RATES, [0, 1, 2], seeded=True)
    assert not computed_ahead(SCANS, [0, 0, 1])  # scans and rates share a serialiser
    assert not computed_ahead(SCANS, [0, 1, 2], times={"update": 3})  # messages take no time, scans do
    assert not computed_ahead(SCANS, [0, 1, 2], times={"decode": 3})
    back = Projection("back", "p0", "p0", Dense(np.array([[3]])), delay=5)
    cyclic = Network(RATES.populations.values(), [*RATES.projections.values(), back])
    assert not computed_ahead(cyclic, [0, 1, 2])


def test_a_message_sent_later_may_be_served_first():
    """Two layers send to the readout, the far one first; the near one's message arrives before."""
    populations = [Population("in", (1, 1, 2), Input())]
    populations += [Population(name, (1, 1, 1), Rate(10)) for name in ("far", "near")]
    populations.append(Population("z", (1, 1, 1), Readout()))
    one, other = np.array([[12], [0]]), np.array([[0], [12]])
    projections = [
        Projection("a", "in", "far", Dense(one)), Projection("b", "in", "near", Dense(other)),
        Projection("c", "far", "z", Dense(np.array([[1]]))),
        Projection("d", "near", "z", Dense(np.array([[2]]))),
    ]  # fmt: skip
    network = Network(populations, projections)
    noc = {"topology": "mesh", "width": 4, "height": 1}
    architecture = architecture_of([core_kind()] * 4, noc, {"decode": 50, "hop_x": 100})
    mapping = whole_on(network, architecture, {"far": 3, "near": 1, "z": 0})
    options = RunOptions(record_spikes=True, record_service=True)
    run = check_same(network, mapping, Stimulus(np.array([0, 380]), np.array([0, 1])), options)
    served = np.sort(run.service[(run.service["kind"] == 1) & (run.service["core"] == 0)], order="start")
    # Sent at 350 over three hops and at 530 over one: both take a while, the second comes first.
    assert served[["neuron", "arrival", "start", "finish"]].tolist() == [
        (0, 630, 630, 680), (0, 650, 680, 730),
    ]  # fmt: skip
    assert served["rank"].tolist() == [network.order.index("near"), network.order.index("far")]


def test_a_scan_that_ends_before_the_settle_pass_closes_no_totals():
    """The pass shares the tick of the last check, whose decision is out later: its tests are in there."""
    network = with_rates(random_network(248, "mixed", lazy=True), 248, 0)
    chip = random_chip(248, network, links=True, bounded=True)
    options = RunOptions(seed=248, max_events=20_000, record_spikes=True)
    run = check_same(network, chip, random_stimulus(248, network), options)
    assert run.trace.energy[-2] == run.trace.energy[-1]
