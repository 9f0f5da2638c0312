"""The laws of the design on random networks, on both engines."""

import hashlib
import struct

import numpy as np
import pytest
from builders.draws import SEEDS, generator
from builders.floors import asserting, asserts_at_least
from builders.networks import (
    random_network,
    random_stimulus,
    single,
    with_gates,
    with_lowest,
    without_currents,
)
from builders.runs import assert_same_run
from builders.stimuli import events
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.naive import charges_received, quantised_network

from eventsnn.counting.counters import COLUMN
from eventsnn.counting.digest import run_digest
from eventsnn.decide import parse_rule
from eventsnn.engine import ENGINES, RunOptions, Stimulus, make_engine
from eventsnn.errors import ChargeOverflow, EventLimitReached
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, Readout, Signed

KINDS = st.sampled_from(["signed", "rate", "mixed"])
EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
# Signed neurons tested after every delivery toggle; a few random networks would run for minutes.
OPTIONS = RunOptions(record_spikes=True, max_events=20_000)


def run(network, stimulus, engine="compiled", options=OPTIONS, index=0):
    return make_engine(engine, network, None, options).run(stimulus, index)


def run_or_error(network, stimulus, engine, options=OPTIONS):
    try:
        return run(network, stimulus, engine, options)
    except (EventLimitReached, ChargeOverflow) as error:
        return type(error)


@asserts_at_least(40)
@given(
    SEEDS, KINDS, st.booleans(), st.booleans(), st.sampled_from(["none", "margin:0.5", "max-probability:0.9"])
)
@EXAMPLES
def test_engines_agree_spike_for_spike(seed, kind, delays, lazy, rule):
    """Laws 1, 2, 3: equal spikes, counters, charges and traces on both engines."""
    network = random_network(seed, kind, delays, lazy)
    stimulus = random_stimulus(seed, network)
    options = RunOptions(exit_rule=parse_rule(rule), record_spikes=True, max_events=20_000)
    runs = [run_or_error(network, stimulus, engine, options) for engine in ENGINES]
    if isinstance(runs[0], type) or isinstance(runs[1], type):
        assert runs[0] == runs[1]
        return
    asserting()
    assert_same_run(*runs)


@asserts_at_least(40)
@given(SEEDS, KINDS, st.sampled_from(ENGINES))
@EXAMPLES
def test_counters_equal_an_explicit_edge_list(seed, kind, engine):
    """Law 4: SOPs are spikes times existing edges, effective ones leave zero weights out."""
    network = random_network(seed, kind)
    result = run_or_error(network, random_stimulus(seed, network), engine)
    if isinstance(result, type):
        return
    asserting()
    spikes = result.spikes
    for rank, name in enumerate(network.order):
        operations = effective = graded = 0
        for projection in network.incoming(name):
            source, _, weight = network.edges(projection)
            mine = spikes.rank == network.order.index(projection.source)
            emitted = np.bincount(spikes.neuron[mine], minlength=network.populations[projection.source].size)
            operations += int(emitted[source].sum())
            effective += int(emitted[source[weight != 0]].sum())
            large = mine & (np.abs(spikes.payload) != 1)
            payloads = np.bincount(spikes.neuron[large], minlength=len(emitted))
            graded += int(payloads[source].sum())
        row = result.counters[rank]
        assert row[COLUMN["synaptic_operations"]] == operations
        assert row[COLUMN["effective_synaptic_operations"]] == effective
        assert row[COLUMN["multiplications"]] == graded
        emitted_here = spikes.payload[spikes.rank == rank]
        if name == network.input:
            assert row[COLUMN["input_events"]] == len(emitted_here)
        else:
            assert row[COLUMN["spikes_positive"]] == (emitted_here > 0).sum()
            assert row[COLUMN["spikes_negative"]] == (emitted_here < 0).sum()


@asserts_at_least(40)
@given(SEEDS, KINDS, st.booleans(), st.sampled_from(ENGINES))
@EXAMPLES
def test_charge_is_conserved(seed, kind, delays, engine):
    """Law 5: threshold x payloads = initial + input + currents - remaining - lost, every neuron."""
    network = random_network(seed, kind, delays, lazy=kind == "signed")
    stimulus = random_stimulus(seed, network)
    result = run_or_error(network, stimulus, engine)
    if isinstance(result, type):
        return
    asserting()
    counts = dict(result.counts)
    counts[network.input] = np.bincount(stimulus.neuron, minlength=network.populations[network.input].size)
    received = charges_received(network, counts)
    end = stimulus.end
    for name in network.order:
        neuron = network.populations[name].neuron
        if isinstance(neuron, Input):
            continue
        bias = network.bias(name)
        period = getattr(neuron, "period", 0)
        delivered = np.array([int(b) * end // period for b in bias]) if period else bias
        lost = result.lost["hard_reset"][name] + result.lost["clamp"][name]
        initial = getattr(neuron, "initial_charge", 0)
        balance = initial + delivered + received[name] - result.charge[name] - lost
        threshold = getattr(neuron, "threshold", 0)
        np.testing.assert_array_equal(threshold * counts[name], balance)
        if isinstance(neuron, Signed) or (
            isinstance(neuron, Rate) and neuron.reset == "soft" and neuron.lower_clamp is None
        ):
            assert not lost.any()


@asserts_at_least(40)
@given(SEEDS, st.booleans(), st.booleans(), st.booleans(), st.sampled_from(ENGINES))
@EXAMPLES
def test_quiescent_counts_are_the_quantised_network(seed, delays, lazy, below, engine):
    """Law 9: whatever the delays, settle times and hysteresis, every count is the quantised network's."""
    network = random_network(seed, "signed", delays, lazy)
    if below:  # counts below 0, and gates that compare them
        network = with_gates(with_lowest(network, seed), seed, "exact", 700 * lazy)
    stimulus = random_stimulus(seed, network)
    result = run_or_error(network, stimulus, engine)
    if isinstance(result, type):
        return
    asserting()
    inputs = np.bincount(stimulus.neuron, minlength=network.populations[network.input].size)
    counts, charges = quantised_network(network, inputs)
    for name in network.order:
        neuron = network.populations[name].neuron
        if isinstance(neuron, Signed):
            np.testing.assert_array_equal(result.counts[name], counts[name])
        elif isinstance(neuron, Readout) and neuron.period == 0:
            np.testing.assert_array_equal(result.charge[name], charges[name])


@asserts_at_least(40)
@given(SEEDS, st.booleans(), st.booleans())
@EXAMPLES
def test_a_network_at_rest_ends_where_the_empty_one_does(seed, delays, lazy):
    """Law 9 again, and laws 2 and 5 from a loaded state: no input, no spike; the same final counts."""
    network = without_currents(random_network(seed, "signed", delays, lazy))
    if delays:
        network = with_lowest(network, seed)
    stimulus = random_stimulus(seed, network)
    rested = network.at_rest()
    runs = [run_or_error(rested, stimulus, engine) for engine in ENGINES]
    if isinstance(runs[0], type):
        assert runs[0] == runs[1]
        return
    asserting()
    assert_same_run(*runs)
    inputs = np.bincount(stimulus.neuron, minlength=network.populations[network.input].size)
    counts, charges = quantised_network(network, inputs)
    for population in rested:
        name, neuron = population.name, population.neuron
        if isinstance(neuron, Readout):
            np.testing.assert_array_equal(runs[0].charge[name], charges[name])
        elif isinstance(neuron, Signed):
            np.testing.assert_array_equal(runs[0].counts[name], counts[name])
            emitted = runs[0].counts[name] - population.initial_count
            changes = {p.source: runs[0].counts[p.source] for p in network.incoming(name)}
            arrived = np.zeros(population.size, dtype=np.int64)
            for projection in network.incoming(name):
                source, target, weight = network.edges(projection)
                given = rested.populations[projection.source].initial_count
                change = inputs if projection.source == network.input else changes[projection.source] - given
                np.add.at(arrived, target, weight * change[source])
            balance = population.initial_charge + arrived - runs[0].charge[name]
            np.testing.assert_array_equal(neuron.threshold * emitted, balance)


@asserts_at_least(40)
@given(SEEDS, KINDS, st.booleans(), st.floats(0.1, 0.99), st.sampled_from(ENGINES))
@EXAMPLES
def test_an_exit_run_is_a_prefix(seed, kind, lazy, threshold, engine):
    """Law 6: spikes, trace and totals of the stopped run stand at the head of the full run."""
    network = random_network(seed, kind, delays=True, lazy=lazy)
    stimulus = random_stimulus(seed, network)
    full = run_or_error(network, stimulus, engine)
    if isinstance(full, type):
        return
    asserting()
    rule = parse_rule(f"max-probability:{threshold}")
    stopped = run(network, stimulus, engine, RunOptions(exit_rule=rule, record_spikes=True))
    length = len(stopped.spikes.time)
    for name in ("time", "rank", "neuron", "payload"):
        expected = getattr(full.spikes, name)
        if stopped.decided_early and not network_settles(network):
            expected = expected[full.spikes.time <= stopped.decision_time]
        np.testing.assert_array_equal(getattr(stopped.spikes, name), expected[:length])
    checks = len(stopped.trace.time)
    for name in ("time", "readout", "synaptic_operations", "spikes", "energy"):
        expected = getattr(full.trace, name)[:checks]
        np.testing.assert_array_equal(getattr(stopped.trace, name), expected)
    if stopped.decided_early:
        assert stopped.trace.time[-1] == stopped.decision_time
        operations = stopped.counters[:, COLUMN["synaptic_operations"]].sum()
        assert operations == stopped.trace.synaptic_operations[-1]
    else:
        assert stopped.prediction == full.prediction


def network_settles(network):
    """Whether a settle pass may share the last tick with an exit."""
    return any(
        isinstance(p.neuron, Signed) and (p.neuron.hysteresis_low or p.neuron.hysteresis_high)
        for p in network
    )


@asserts_at_least(13)
@given(SEEDS, KINDS)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_observers_and_declaration_order_change_nothing(seed, kind):
    """Law 7: recording spikes, another order of declaration, a reused engine: the same digest."""
    network = random_network(seed, kind, delays=True)
    stimulus = random_stimulus(seed, network)
    first = run_or_error(network, stimulus, "compiled")
    if isinstance(first, type):
        return
    asserting()
    quiet = RunOptions(max_events=20_000)
    rng = generator(seed)
    populations = list(network.populations.values())
    projections = list(network.projections.values())
    shuffled = Network(
        [populations[i] for i in rng.permutation(len(populations))],
        [projections[i] for i in rng.permutation(len(projections))],
    )
    assert shuffled.checksum == network.checksum
    engine = make_engine("compiled", shuffled, None, quiet)
    assert engine.run(stimulus).digest == first.digest
    engine.run(random_stimulus(seed + 1, network))
    assert engine.run(stimulus).digest == first.digest


@pytest.mark.parametrize("engine", ENGINES)
def test_a_current_crosses_at_the_smallest_tick(engine):
    """Law 3: 3 quanta per 10 ticks reach 7 first at tick 24: floor(3 x 24 / 10) = 7."""
    network = single(Rate(7, period=10), 0, np.array([3]))
    result = run(network, events(0, 60), engine)
    mine = result.spikes.time[result.spikes.rank == 1]
    assert mine.tolist() == [24, 47]
    assert result.counters[1, COLUMN["current_updates"]] == 6


@pytest.mark.parametrize("engine", ENGINES)
def test_a_charge_about_to_leave_32_bits_is_an_error(engine):
    """Law 1: never a wrap, never saturation."""
    network = single(Signed(2**20, 1), -(2**30))
    with pytest.raises(ChargeOverflow, match="population 'n' is about to leave the 32-bit range"):
        run(network, events(1, 2, 3), engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_max_events_ends_a_run(engine):
    network = single(Readout(), 1)
    with pytest.raises(EventLimitReached, match="more than max_events = 2"):
        run(network, events(1, 2, 3), engine, RunOptions(max_events=2))


@pytest.mark.parametrize("engine", ENGINES)
def test_silent_readouts_are_undecided(engine):
    assert run(single(Rate(100), 1), events(1), engine).prediction == -1
    assert run(single(Rate(1), 1), events(1), engine).prediction == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_touched_signed_neurons_are_tested_once_per_tick(engine):
    """+8 and -8 at one tick cancel before the test; at two ticks they toggle."""
    network = Network(
        [Population("in", (1, 1, 2), Input()), Population("n", (1, 1, 1), Signed(8, 4))],
        [Projection("p", "in", "n", Dense(np.array([[8], [-8]])))],
    )
    both = np.array([0, 1], dtype=np.int64)
    assert len(run(network, Stimulus(np.array([5, 5]), both), engine).spikes.time) == 2
    toggled = run(network, Stimulus(np.array([5, 6]), both), engine)
    assert toggled.spikes.payload.tolist() == [1, 1, 1, -1]
    assert toggled.counts["n"].tolist() == [0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_charges_below_a_large_current_do_not_wrap(engine, reset):
    """Law 1 with law 3: a neuron that has fired stands at minus its current, which the guard reserves."""
    neuron = Rate(2**20, reset=reset, period=2**31)
    network = single(neuron, -(2**28), np.array([2_000_000_000]))
    late = 2**31 - 100
    result = run(network, events(0, *[late + i for i in range(7)]), engine)
    delivered = 2_000_000_000 * (late + 6) // 2**31
    balance = delivered - 8 * 2**28 - result.charge["n"][0] - result.lost["hard_reset"]["n"][0]
    assert 2**20 * result.counts["n"][0] == balance


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fast_neuron_may_fire_for_long(engine):
    """The charge without its current falls without bound; what is guarded is the charge."""
    result = run(single(Rate(2**20, period=10**9), 0, np.array([3 * 2**20])), events(0, 10**12), engine)
    assert result.counts["n"].tolist() == [3000]


@asserts_at_least(6)
@given(SEEDS)
@settings(max_examples=10, deadline=None, derandomize=True)
def test_the_digest_does_not_depend_on_buffer_sizes(seed):
    """Law 7: spikes are hashed in pieces that never cut a tick, the settle pass's included."""
    network = random_network(seed, "signed", lazy=True)
    stimulus = random_stimulus(seed, network)
    first = run_or_error(network, stimulus, "compiled")
    if isinstance(first, type):
        return
    asserting()
    for capacity in (2, 5, 16, 37):
        engine = make_engine("compiled", network, None, OPTIONS)
        room = engine._start.capacities
        room.log = room.pending = room.trace = capacity
        room.lists[:] = capacity
        assert engine.run(stimulus).digest == first.digest


def test_one_spike_may_not_cause_more_than_max_events():
    for engine in ENGINES:
        with pytest.raises(EventLimitReached):
            run(single(Rate(1), 2**30), events(1), engine, RunOptions(max_events=1000))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_golden_digest(engine):
    """The digest of a run written out by hand: what enters it, in which order, is part of the format."""
    network = Network(
        [Population("in", (1, 1, 2), Input()), Population("n", (1, 1, 1), Signed(8, 4))],
        [Projection("p", "in", "n", Dense(np.array([[8], [-8]])))],
    )
    result = run(network, Stimulus(np.array([5, 6]), np.array([0, 1])), engine)
    names = {n: hashlib.blake2b(n.encode(), digest_size=16).digest() for n in ("in", "n")}
    expected = hashlib.blake2b(digest_size=16)
    for time, name, neuron, payload in ((5, "in", 0, 1), (5, "n", 0, 1), (6, "in", 1, 1), (6, "n", 0, -1)):
        # A header (time, population, one spike), then the spike: payload and neuron, 32 bits each.
        expected.update(struct.pack("<q16sq", time, names[name], 1) + struct.pack("<ii", payload, neuron))
    expected.update(struct.pack("<qq", -1, 6))
    # by name: in, then n; input events, spikes + and -, SOPs, effective, multiplications, updates, ...
    expected.update(struct.pack("<10q", 2, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    expected.update(struct.pack("<10q", 0, 1, 1, 2, 2, 0, 2, 0, 0, 0))
    assert result.digest == expected.hexdigest()


def test_run_digests_are_by_sample_index():
    assert run_digest([(1, "b"), (0, "a")]) == run_digest([(0, "a"), (1, "b")])
    assert run_digest([(0, "b"), (1, "a")]) != run_digest([(0, "a"), (1, "b")])
