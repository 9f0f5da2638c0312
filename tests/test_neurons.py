"""Refractory times, grid leaks, own biases: the event schedule against every tick visited by hand."""

from dataclasses import replace

import numpy as np
import pytest
from builders.accelerators import random_mapping
from builders.draws import SEEDS
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network, random_stimulus, single, with_payloads, with_rates
from builders.runs import OPTIONS, assert_same_run, run
from builders.stimuli import events
from builders.ticks import drawn_stimulus, shrunk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.naive import charges_received
from oracles.naive_events import TickByTick

import eventsnn
from eventsnn.counting.counters import COLUMN
from eventsnn.decide import parse_rule
from eventsnn.engine import Stimulus, make_engine
from eventsnn.engine.twin.events import TwinEngine
from eventsnn.errors import EventLimitReached, InvalidNetwork
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
    Upsample,
    leak_factor_of,
)

ENGINE_NAMES = ("reference", "compiled")
ENGINE = st.sampled_from(ENGINE_NAMES)
KINDS = st.sampled_from(["signed", "rate", "mixed"])
EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)


def assert_equals_the_oracle(network, stimulus, result):
    oracle = TickByTick(network, stimulus, result.decision_time, after=100)
    columns = [getattr(result.spikes, name).tolist() for name in ("time", "rank", "neuron", "payload")]
    assert list(zip(*columns, strict=True)) == oracle.spikes
    for rank, name in enumerate(network.order):
        assert result.charge[name].tolist() == oracle.charge[rank]
        for cause, lost in result.lost.items():
            assert lost[name].tolist() == oracle.lost[rank][cause]
        if name != network.input:
            assert result.counts[name].tolist() == oracle.count[rank]


@asserts_at_least(32)
@given(SEEDS, KINDS, st.booleans(), st.booleans(), ENGINE)
@EXAMPLES
def test_the_event_schedule_equals_every_tick_visited(seed, kind, delays, lazy, engine):
    """Laws 2, 3, 5: spikes, charges, losses; currents, leaks, refractory times, payloads, analog input."""
    network = shrunk(with_rates(random_network(seed, kind, delays, lazy), seed))
    stimulus = drawn_stimulus(seed, network)
    try:
        result = run(network, stimulus, engine)
    except EventLimitReached:
        return
    asserting()
    assert result.decision_time >= stimulus.end
    assert_equals_the_oracle(network, stimulus, result)


@asserts_at_least(33)
@given(SEEDS, KINDS, st.booleans(), ENGINE)
@EXAMPLES
def test_charge_is_conserved(seed, kind, delays, engine):
    """Law 5 (outside truth A12) with every cause of loss: hard reset, clamp, leak, refractory."""
    network = with_rates(random_network(seed, kind, delays), seed)
    stimulus = drawn_stimulus(seed, network, 20_000)
    try:
        result = run(network, stimulus, engine)
    except EventLimitReached:
        return
    asserting()
    counts = dict(result.counts)
    sent = np.zeros(network.populations[network.input].size, dtype=np.int64)
    np.add.at(sent, stimulus.neuron, 1 if stimulus.payload is None else stimulus.payload)
    counts[network.input] = sent
    received = charges_received(network, counts)
    analog = TickByTick(network, stimulus, -1)  # only what is there at time 0
    for rank, name in enumerate(network.order):
        neuron = network.populations[name].neuron
        if isinstance(neuron, Input):
            continue
        period = getattr(neuron, "period", 0)
        delivered = np.array(
            [b * stimulus.end // period if period else 0 for b in analog.current[rank]], dtype=np.int64
        )
        lost = sum(result.lost[cause][name] for cause in ("hard_reset", "clamp", "leak", "refractory"))
        balance = np.array(analog.charge[rank]) + delivered + received[name] - result.charge[name] - lost
        np.testing.assert_array_equal(getattr(neuron, "threshold", 0) * counts[name], balance)


@asserts_at_least(32)
@given(SEEDS, KINDS, st.floats(0.1, 0.99), ENGINE)
@EXAMPLES
def test_an_exit_run_is_a_prefix(seed, kind, threshold, engine):
    """Law 6 with leaks, refractory times and analog input."""
    network = with_rates(random_network(seed, kind, True), seed)
    stimulus = drawn_stimulus(seed, network, 20_000)
    try:
        full = run(network, stimulus, engine)
    except EventLimitReached:
        return
    asserting()
    rule = parse_rule(f"max-probability:{threshold}")
    stopped = run(network, stimulus, engine, replace(OPTIONS, exit_rule=rule))
    length = len(stopped.spikes.time)
    if stopped.decided_early:
        assert length == (full.spikes.time <= stopped.decision_time).sum()
    for name in ("time", "rank", "neuron", "payload"):
        np.testing.assert_array_equal(getattr(stopped.spikes, name), getattr(full.spikes, name)[:length])
    checks = len(stopped.trace.time)
    for name in ("time", "readout", "synaptic_operations", "spikes"):
        np.testing.assert_array_equal(getattr(stopped.trace, name), getattr(full.trace, name)[:checks])


@asserts_at_least(17)
@given(SEEDS, st.booleans(), ENGINE)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_twin_agrees_on_an_accelerator(seed, payloads, engine):
    """Leaks, refractory times, own biases and payloads behind queues: SimPy processes give the same run."""
    network = with_rates(random_network(seed, "rate", seed % 2 == 0), seed)
    mapping = random_mapping(seed + 1, network)
    assume(mapping is not None)
    stimulus = random_stimulus(seed, network, events=30)
    stimulus = with_payloads(stimulus, seed) if payloads else stimulus
    options = replace(OPTIONS, max_events=1500, record_service=True)
    try:
        one = make_engine(engine, network, mapping, options).run(stimulus)
    except EventLimitReached:
        return
    asserting()
    assert_same_run(one, TwinEngine(network, mapping, options).run(stimulus))


def fired(result, rank=1):
    return result.spikes.time[result.spikes.rank == rank].tolist()


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_refractory_neuron_is_tested_again_at_its_end(engine):
    """Fires at 5 with 3 thresholds of charge: again at 15 and 25; a test that finds nothing is none."""
    result = run(single(Rate(10, refractory=10), 30), events(5), engine)
    assert fired(result) == [5, 15, 25]
    assert result.counters[1, COLUMN["neuron_updates"]] == 3  # one delivery, two ends
    assert result.decision_time == 25


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_charge_while_refractory_integrates_or_is_lost(engine):
    every = events(0, 3, 6, 10, 12)
    kept = run(single(Rate(10, refractory=10), 10), every, engine)
    assert fired(kept) == [0, 10, 20, 30, 40]
    dropped = run(single(Rate(10, refractory=10, refractory_drop=True), 10), every, engine)
    assert fired(dropped) == [0, 10]
    assert dropped.lost["refractory"]["n"].tolist() == [30]
    assert dropped.counters[1, COLUMN["neuron_updates"]] == 5


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_current_waits_for_the_end_of_a_refractory_time(engine):
    """2 quanta a tick at threshold 6: every 3 ticks; every 8 with a refractory time of 8."""
    free, slow = (Rate(6, period=1, refractory=r) for r in (0, 8))
    assert fired(run(single(free, 0, np.array([2])), events(0, 20), engine)) == [3, 6, 9, 12, 15, 18]
    assert fired(run(single(slow, 0, np.array([2])), events(0, 20), engine)) == [3, 11, 19, 27, 35, 43]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_negative_current_may_take_a_refractory_neuron_below_threshold(engine):
    """8 left above 6 at tick 0, 1 lost a tick: below at 3; with a refractory time of 2 it fires again."""
    for refractory, times in ((3, [0]), (2, [0, 2])):
        network = single(Rate(6, period=1, refractory=refractory), 14, np.array([-1]))
        assert fired(run(network, events(0, 20), engine)) == times


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_leak_comes_before_all_else_of_its_tick(engine):
    """Half of it every 10 ticks: 9 -> 5 (4.5 away from zero) at 10, where 6 more make 11."""
    neuron = Rate(100, leak_period=10, leak_factor=2**29)
    result = run(replaced_weights(single(neuron, 1)), Stimulus(np.array([3, 10]), np.array([0, 1])), engine)
    assert result.charge["n"].tolist() == [11]
    assert result.lost["leak"]["n"].tolist() == [4]
    negative = run(single(neuron, -9), events(3, duration=30), engine)
    assert negative.charge["n"].tolist() == [-2]  # -5, -3 (2.5), -2 (1.5)
    assert negative.lost["leak"]["n"].tolist() == [-7]


def replaced_weights(network):
    """Two inputs with weights 9 and 6 instead of one."""
    return Network(
        [Population("in", (1, 1, 2), Input()), network.populations["n"]],
        [Projection("p", "in", "n", Dense(np.array([[9], [6]])))],
    )


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_leak_may_keep_a_current_below_threshold(engine):
    """10 quanta every 10 ticks, halved at each: below 21 for good; 15 is crossed between leaks."""
    leak = {"period": 10, "leak_period": 10, "leak_factor": 2**29}
    silent = run(single(Rate(21, **leak), 0, np.array([10])), events(0, 1000), engine)
    assert fired(silent) == []
    assert silent.charge["n"].tolist() == [10]
    result = run(single(Rate(15, **leak), 0, np.array([10])), events(0, 100), engine)
    # 9.. 5, 14.. 8 (7.5): 15 at 27; 0.. 3 at 30 -> 2 (1.5); 12 -> 6, 15 at 49
    assert fired(result)[:2] == [27, 49]
    assert result.counters[1, COLUMN["neuron_updates"]] == 2 + len(fired(result))  # deliveries, crossings


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_leak_keeps_no_run_alive_and_is_applied_up_to_the_decision(engine):
    neuron = Rate(100, leak_period=10, leak_factor=2**29)
    assert run(single(neuron, 64), events(0), engine).decision_time == 0
    result = run(single(neuron, 64), events(0, duration=39), engine)
    assert (result.decision_time, result.charge["n"].tolist()) == (39, [8])


def test_leak_factors_of_time_constants():
    assert leak_factor_of(1.0, 1.0) == round(2**30 * np.exp(-1))
    assert leak_factor_of(20e-3, 1e-3) == round(2**30 * np.exp(-0.05))
    with pytest.raises(InvalidNetwork, match="must be above 0"):
        leak_factor_of(0.0, 1.0)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_bias_as_spikes_of_a_constant_rate(engine):
    """A population of its own bias emits |b| a period, over a weight of the threshold and b's sign."""
    network = Network(
        [
            Population("in", (1, 1, 1), Input()),
            Population("bias", (1, 1, 2), Rate(100, period=10), bias=np.array([30, 20])),
            Population("n", (2, 2, 2), Rate(100, period=10)),
        ],
        [
            Projection("none", "in", "n", Conv2d(np.zeros((2, 2, 1, 2), int), *[Axis(2, 1, 1, 1)] * 2)),
            Projection("bias", "bias", "n", Upsample(np.array([100, -100]), 2, 2)),
        ],
    )
    assert network.order == ("bias", "in", "n")  # no incoming projection: rank by name beside the input
    result = run(network, events(0, 100), engine)
    mine = result.spikes.rank == 0
    assert result.spikes.time[mine & (result.spikes.neuron == 0)].tolist() == [34, 67, 100]
    assert result.spikes.time[mine & (result.spikes.neuron == 1)].tolist() == [50, 100]
    assert result.counts["n"].reshape(4, 2).tolist() == [[3, 0]] * 4
    assert result.charge["n"].reshape(4, 2).tolist() == [[0, -200]] * 4
    assert result.counters[0, COLUMN["current_updates"]] == 20
    assert result.counters[2, COLUMN["synaptic_operations"]] == 5 * 4 + 2 * 8


def test_own_biases_add_to_those_of_projections(tmp_path):
    own = Population("n", (1, 1, 2), Readout(), bias=np.array([10, 20]))
    network = Network(
        [Population("in", (1, 1, 1), Input()), own],
        [Projection("p", "in", "n", Dense(np.zeros((1, 2), int)), np.array([1, 2]))],
    )
    assert network.bias("n").tolist() == [11, 22]
    network.save(tmp_path / "net.h5")
    loaded = eventsnn.load(tmp_path / "net.h5")
    assert loaded.populations["n"].bias.tolist() == [10, 20]
    without = Network([network.populations["in"], replace(own, bias=None)], network.projections.values())
    assert without.checksum != network.checksum == loaded.checksum


def test_new_parameters_survive_a_file_and_defaults_leave_no_trace(tmp_path):
    network = with_rates(random_network(4, "rate", True), 4)
    assert any(getattr(p.neuron, "refractory", 0) or getattr(p.neuron, "leak_period", 0) for p in network)
    network.save(tmp_path / "net.h5")
    loaded = eventsnn.load(tmp_path / "net.h5")
    assert loaded.checksum == network.checksum
    assert [p.neuron for p in loaded] == [p.neuron for p in network]
    assert single(Rate(10)).checksum == "26fff1df625c3dce501f1efa47870888"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rate(10, refractory=-1), "refractory is -1 ticks"),
        (lambda: Rate(10, refractory_drop=True), "needs a refractory time above 0"),
        (lambda: Rate(10, leak_period=-1), "leak_period is -1"),
        (lambda: Rate(10, leak_period=5, leak_factor=2**30 + 1), "allowed are 0 to 2\\^30"),
        (lambda: Rate(10, leak_factor=5), "needs a leak_period above 0"),
        (lambda: Population("n", (1, 1, 2), Rate(10), bias=np.array([1, 2, 3])), "takes 2 .one a channel"),
        (lambda: Population("n", (1, 1, 2), Rate(10), bias=np.array([1.0, 2.0])), "dtype float64"),
        (lambda: Population("n", (1, 1, 1), Rate(10), bias=np.array([2**31])), "leaves the 32-bit range"),
        (lambda: Population("n", (1, 1, 1), Input(), bias=np.array([1])), "takes no bias"),
    ],
)
def test_what_is_no_neuron_is_refused(make, message):
    with pytest.raises(InvalidNetwork, match=message):
        make()


def test_networks_with_rate_neurons_have_no_resting_state():
    with pytest.raises(InvalidNetwork, match="'n' of rate neurons never comes to rest"):
        single(Rate(10)).at_rest()
