"""The hardware path: compiled engine, reference engine and SimPy twin agree, and its laws hold."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from builders import networks
from builders.accelerators import architecture, place, random_limits, random_mapping, random_times
from builders.draws import SEEDS, few, generator
from builders.engines import ENGINES
from builders.floors import asserting, asserts_at_least
from builders.networks import slowed, without_biases_over_time
from builders.runs import assert_same_run, spike_table
from hypothesis import assume, given
from oracles.queues import swept

from eventsnn.counting.counters import COLUMN
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, Stimulus
from eventsnn.engine.compiled import CompiledEngine
from eventsnn.engine.lowering.layout import destinations, fan_out_in_part
from eventsnn.engine.order import EventKey
from eventsnn.engine.twin.events import TwinEngine, TwinSample
from eventsnn.engine.twin.stations import priority
from eventsnn.errors import EventLimitReached
from eventsnn.hardware import map_network
from eventsnn.hardware.actions import RANDOM
from eventsnn.network import Input, Network, Population, Projection, Rate, Readout, Signed

WORDS = st.integers(0, 2**32 - 1)
LIMIT = 1500  # deliveries; signed neurons that toggle would go on for long


def random_options(seed):
    rng = generator(seed)
    rule = rng.choice(["none", "margin:0.4", "margin:0.9", "max-probability:0.6", "max-probability:0.95"])
    return RunOptions(
        exit_rule=parse_rule(str(rule)),
        seed=int(rng.integers(0, 2**63)),
        max_events=LIMIT,
        record_spikes=True,
        record_service=True,
    )


def run_all(network, stimulus, mapping, options, engines=ENGINES, index=3):
    """One run of each engine, or None when the first finds the sample too long."""
    try:
        run = engines[0](network, mapping, options).run(stimulus, index)
    except EventLimitReached:
        return None
    return [run, *(engine(network, mapping, options).run(stimulus, index) for engine in engines[1:])]


def check_agreement(seed, kind, lazy, delays, on_chip=True, engines=ENGINES):
    """One random network, chip, stimulus and options on every engine; None where there is nothing to run."""
    readout = seed % 4 != 0
    network = networks.random_network(seed, kind, delays, lazy, readout)
    mapping = random_mapping(seed + 1, network) if on_chip else None
    if on_chip and mapping is None:
        return None
    stimulus = networks.random_stimulus(seed + 2, network, events=30)
    runs = run_all(network, stimulus, mapping, random_options(seed + 3), engines)
    if runs is None:
        return None
    asserting()
    for run in runs[1:]:
        assert_same_run(runs[0], run)
    return mapping, runs


def unwrap(found):
    """What was found, or a new draw where there was nothing to run."""
    assume(found is not None)
    return found


# -- the path by hand --------------------------------------------------------------------------------


def two_layer_run(engine, neuron):
    """Two input spikes at tick 100 through three hidden neurons on core 0 to two classes on core 1."""
    network = Network(
        [
            Population("in", (1, 1, 2), Input()),
            Population("hidden", (1, 1, 3), neuron),
            Population("out", (1, 1, 2), Readout()),
        ],
        [
            Projection("first", "in", "hidden", networks.Dense(np.array([[12, 0, 1], [0, 12, 12]]))),
            Projection("second", "hidden", "out", networks.Dense(np.array([[1, 0], [0, 1], [2, 2]]))),
        ],
    )
    times = {
        "input": 10, "serialise": 20, "hop_x": 7, "hop_y": 30,
        "decode": 5, "synapse": 3, "update": 2, "fire": 4,
    }  # fmt: skip
    mapping = map_network(network, architecture((1, 2), 9, 99, 2, times, {}, {}))
    stimulus = Stimulus(np.array([100, 100]), np.array([0, 1]))
    options = RunOptions(record_spikes=True, record_service=True)
    return engine(network, mapping, options).run(stimulus)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_message_path_of_rate_neurons_by_hand(engine):
    run = two_layer_run(engine, Rate(10))
    assert spike_table(run).tolist() == [
        [100, 0, 0, 1], [100, 0, 1, 1], [125, 1, 0, 1], [140, 1, 1, 1], [140, 1, 2, 1],
    ]  # fmt: skip
    # kind, core, rank, neuron, ordinal, destination, arrival, start, finish, released;
    # 3 synapses on 2 lanes take 2 cycles of 3 + 2
    assert sorted(run.service.tolist()) == [
        (0, -1, 0, 0, 0, 0, 100, 100, 110, 110), (0, -1, 0, 1, 0, 0, 100, 110, 120, 120),
        (0, 0, 1, 0, 0, 1, 129, 129, 149, 149), (0, 0, 1, 1, 0, 1, 144, 149, 169, 169),
        (0, 0, 1, 2, 0, 1, 144, 169, 189, 189),
        (1, 0, 0, 0, 0, 0, 110, 110, 125, 125), (1, 0, 0, 1, 0, 0, 120, 125, 140, 140),
        (1, 1, 1, 0, 0, 1, 179, 179, 187, 187), (1, 1, 1, 1, 0, 1, 199, 199, 207, 207),
        (1, 1, 1, 2, 0, 1, 219, 219, 227, 227),
    ]  # fmt: skip
    assert run.decision_time == 227
    assert run.trace.readout[-1].tolist() == [3, 3]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_scans_of_signed_neurons_wait_like_messages_by_hand(engine):
    run = two_layer_run(engine, Signed(10, levels=1))
    assert spike_table(run).tolist() == [
        [100, 0, 0, 1], [100, 0, 1, 1], [121, 1, 0, 1], [132, 1, 1, 1], [132, 1, 2, 1],
    ]  # fmt: skip
    assert sorted(run.service.tolist()) == [
        (0, -1, 0, 0, 0, 0, 100, 100, 110, 110), (0, -1, 0, 1, 0, 0, 100, 110, 120, 120),
        (0, 0, 1, 0, 0, 1, 140, 140, 160, 160), (0, 0, 1, 1, 0, 1, 144, 160, 180, 180),
        (0, 0, 1, 2, 0, 1, 144, 180, 200, 200),
        (1, 0, 0, 0, 0, 0, 110, 110, 121, 121), (1, 0, 0, 1, 0, 0, 120, 121, 132, 132),
        (1, 1, 1, 0, 0, 1, 190, 190, 198, 198), (1, 1, 1, 1, 0, 1, 210, 210, 218, 218),
        (1, 1, 1, 2, 0, 1, 230, 230, 238, 238),
        (2, 0, 1, 3, 0, -1, 121, 132, 136, 136), (2, 0, 1, 3, 0, -1, 132, 136, 140, 140),
    ]  # fmt: skip
    assert run.decision_time == 238


# -- agreement ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 2, st.integers(0, 1), st.integers(-1, 2**31), *[WORDS] * 2)))
def test_priorities_order_as_the_tuple_of_law_2(fields):
    keys = [EventKey(*values) for values in fields]
    by_priority = sorted(keys, key=lambda key: (key.time, priority(key)))
    assert by_priority == sorted(keys)
    assert all(priority(key) > 1 for key in keys)


@pytest.mark.parametrize("kind", ["signed", "rate", "mixed"])
@asserts_at_least(6)
@few(10)
@given(SEEDS, st.booleans(), st.booleans())
def test_the_engines_agree_on_a_contended_chip(kind, seed, lazy, delays):
    unwrap(check_agreement(seed, kind, lazy, delays))


@asserts_at_least(6)
@few(10)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.booleans(), st.booleans())
def test_the_engines_agree_without_a_chip(seed, kind, lazy, delays):
    unwrap(check_agreement(seed, kind, lazy, delays, on_chip=False))


def test_the_random_chips_split_layers_and_make_messages_wait():
    split = by_row = waited = early = 0
    for seed in range(30):
        found = check_agreement(1001 * seed, "mixed", lazy=False, delays=False, engines=[CompiledEngine])
        if found is None:
            continue
        mapping, (run, *_) = found
        split += any(len(parts) > 1 for parts in mapping.parts.values())
        by_row += any(len({part.y0 for part in parts}) > 1 for parts in mapping.parts.values())
        at_cores = run.service[run.service["kind"] > 0]
        waited += bool((at_cores["start"] > at_cores["arrival"]).any())
        early += run.decided_early
    assert split >= 15
    assert min(by_row, early) >= 3
    assert waited >= 10


def test_the_twin_on_a_chip_reaches_the_event_limit_as_the_others_do():
    network = networks.random_network(0, "rate")
    mapping = place(network, ((8, 8), 10**4, 10**6, 4), {"decode": 10, "update": 5})
    for engine in ENGINES:
        with pytest.raises(EventLimitReached, match="more than max_events = 3 spikes"):
            engine(network, mapping, RunOptions(max_events=3)).run(networks.random_stimulus(2, network))


# -- the laws of hardware ----------------------------------------------------------------------------


@asserts_at_least(4)
@few(8)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.booleans(), st.booleans())
def test_an_accelerator_without_delay_gives_the_ideal_run(seed, kind, lazy, delays):
    network = networks.random_network(seed, kind, delays, lazy)
    mapping = unwrap(place(network, random_limits(generator(seed), network), {}))
    stimulus = networks.random_stimulus(seed, network, events=30)
    ideal = unwrap(run_all(network, stimulus, None, random_options(seed)))
    chips = unwrap(run_all(network, stimulus, mapping, random_options(seed)))
    asserting()
    for run in chips:
        np.testing.assert_array_equal(spike_table(run), spike_table(ideal[0]))
        assert run.digest == ideal[0].digest


@asserts_at_least(4)
@few(8)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.integers(2, 50))
def test_all_delays_times_k_give_all_times_times_k(seed, kind, k):
    rng = generator(seed)
    network = without_biases_over_time(networks.random_network(seed, kind, delays=True, lazy=True))
    limits, times = random_limits(rng, network), random_times(rng)
    mapping = unwrap(place(network, limits, times))
    slow = slowed(network, k)
    slow_mapping = place(slow, limits, {name: value * k for name, value in times.items()})
    stimulus = networks.random_stimulus(seed, network, events=30)
    slow_stimulus = Stimulus(stimulus.time * k, stimulus.neuron)
    options = random_options(seed)
    engines = (CompiledEngine, TwinEngine)
    runs = unwrap(run_all(network, stimulus, mapping, options, engines))
    slow_runs = unwrap(run_all(slow, slow_stimulus, slow_mapping, options, engines))
    asserting()
    for run, slow_run in zip(runs, slow_runs, strict=True):
        np.testing.assert_array_equal(spike_table(run) * [k, 1, 1, 1], spike_table(slow_run))
        np.testing.assert_array_equal(run.trace.time * k, slow_run.trace.time)
        np.testing.assert_array_equal(run.trace.energy, slow_run.trace.energy)
        np.testing.assert_array_equal(run.counters, slow_run.counters)
        assert run.decision_time * k == slow_run.decision_time
        service, slow_service = (r.service[r.service["start"] <= r.decision_time] for r in (run, slow_run))
        for name in ("arrival", "start", "finish", "released"):
            service[name] *= k
        np.testing.assert_array_equal(np.sort(service), np.sort(slow_service))


@asserts_at_least(4)
@few(8)
@given(SEEDS)
def test_jitter_of_no_width_is_a_constant(seed):
    rng = generator(seed)
    network = networks.random_network(seed, "mixed", lazy=True)
    limits, times = random_limits(rng, network), random_times(rng)
    kinds = ("uniform", "normal", "lognormal", "gamma")
    jitter = {name: (str(rng.choice(kinds)), 0) for name in RANDOM}
    jittered = unwrap(place(network, limits, times, jitter=jitter))
    constant = place(network, limits, times)
    stimulus = networks.random_stimulus(seed, network, events=30)
    options = random_options(seed)
    runs = unwrap(run_all(network, stimulus, jittered, options))
    constant_runs = unwrap(run_all(network, stimulus, constant, options))
    asserting()
    for run in constant_runs:
        assert_same_run(runs[0], run)


@asserts_at_least(4)
@few(8)
@given(SEEDS, st.booleans())
def test_the_order_of_declaration_is_irrelevant(seed, on_chip):
    rng = generator(seed)
    network = networks.random_network(seed, "mixed", delays=True, lazy=True)
    populations = list(network.populations.values())
    projections = list(network.projections.values())
    shuffled = Network(
        [populations[i] for i in rng.permutation(len(populations))],
        [projections[i] for i in rng.permutation(len(projections))],
    )
    mapping = random_mapping(seed, network) if on_chip else None
    other = random_mapping(seed, shuffled) if on_chip else None
    assume(not on_chip or mapping is not None)
    assert (mapping and mapping.parts) == (other and other.parts)
    stimulus = networks.random_stimulus(seed, network, events=30)
    runs = unwrap(run_all(network, stimulus, mapping, random_options(seed)))
    other_runs = unwrap(run_all(shuffled, stimulus, other, random_options(seed)))
    asserting()
    for run in other_runs:
        assert_same_run(runs[0], run)


def watched(sample):
    """Run a twin sample; the time integral of the messages present at each core, seen at SimPy's steps."""
    present_time = dict.fromkeys(sample.transport.cores, 0)
    step = sample.env.step

    def watch():
        until = sample.env.peek()
        if np.isfinite(until):
            for core, station in sample.transport.cores.items():
                waiting = sum(hasattr(job, "payload") for _, job in station.queue.items)
                present = waiting + (station.row is not None and station.row[0] == 1)
                present_time[core] += (until - sample.env.now) * present
        step()

    sample.env.step = watch
    return sample.run(), present_time


@asserts_at_least(4)
@few(8)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]))
def test_littles_law_and_first_come_first_served_at_every_core(seed, kind):
    network = networks.random_network(seed, kind)
    mapping = unwrap(random_mapping(seed, network))
    stimulus = networks.random_stimulus(seed, network, events=30)
    options = replace(random_options(seed), exit_rule=None)
    (run,) = unwrap(run_all(network, stimulus, mapping, options, [CompiledEngine]))
    asserting()
    twin_run, seen = watched(TwinSample(TwinEngine(network, mapping, options), stimulus, 3))
    assert twin_run.digest == run.digest
    for core, present_time in seen.items():
        jobs = run.service[(run.service["core"] == core) & (run.service["kind"] > 0)]
        messages = jobs[jobs["kind"] == 1]
        sojourns = int((messages["finish"] - messages["arrival"]).sum())
        assert swept(messages) == sojourns
        assert present_time == sojourns
        jobs = np.sort(jobs[jobs["start"] <= run.decision_time], order=["start", "finish"])
        free = np.concatenate([[0], jobs["finish"][:-1]])
        np.testing.assert_array_equal(jobs["start"], np.maximum(jobs["arrival"], free))
        assert (np.diff(jobs["arrival"]) >= 0).all()


def expected_messages(run, network, mapping):
    """Messages each core must get from each rank: one for every spike and copy with a synapse there."""
    expected = {}
    for rank, copies in enumerate(destinations(network, mapping)):
        emitted = np.bincount(run.spikes.neuron[run.spikes.rank == rank])
        for projection, part in copies:
            reaches = fan_out_in_part(network, projection, part)[: len(emitted)] > 0
            place = (part.core, rank)
            expected[place] = expected.get(place, 0) + int(emitted[reaches].sum())
    return expected


@asserts_at_least(4)
@few(8)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.booleans())
def test_emitted_is_delivered_plus_in_flight(seed, kind, delays):
    network = networks.random_network(seed, kind, delays)
    mapping = unwrap(random_mapping(seed, network))
    stimulus = networks.random_stimulus(seed, network, events=30)
    options = random_options(seed)
    (run,) = unwrap(run_all(network, stimulus, mapping, options, [CompiledEngine]))
    asserting()
    sample = TwinSample(TwinEngine(network, mapping, options), stimulus, 3)
    assert_same_run(run, sample.run())
    sent, received = (run.counters[:, COLUMN[name]] for name in ("messages_sent", "messages_received"))
    served = run.service[run.service["kind"] == 1]
    landed = int((served["finish"] <= run.decision_time).sum())
    assert received.sum() == landed
    assert sent.sum() - received.sum() == sample.transport.in_flight
    expected = expected_messages(run, network, mapping)
    assert sum(expected.values()) == sent.sum()
    if not run.decided_early:
        serialised = run.service[run.service["kind"] == 0]
        np.testing.assert_array_equal(np.bincount(serialised["rank"], minlength=len(sent)), sent)
        assert sample.transport.in_flight == 0
        for (core, rank), messages in expected.items():
            assert messages == ((served["core"] == core) & (served["rank"] == rank)).sum()
