"""Profiles: critical paths without a gap, the laws of queues, spike order against the ideal run."""

import json
import re
from dataclasses import replace
from itertools import combinations

import hypothesis.strategies as st
import numpy as np
import pytest
from builders.accelerators import architecture, place, random_limits, random_mapping, random_times
from builders.cases import FEATURES, random_case
from builders.command_line import eventsnn, write_files
from builders.draws import SEEDS, few, generator
from builders.engines import ENGINES
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network, random_stimulus, without_currents
from builders.runs import outcome
from hypothesis import assume, given, settings
from oracles.paths import check_path, pieces

from eventsnn.counting.counters import COLUMN
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, SpikeList, Stimulus, make_engine
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.service import DROPPED, SERVICE
from eventsnn.errors import Deadlock, InvalidRequest
from eventsnn.hardware import Mapping, map_network
from eventsnn.insight.disorder import disorders, inversions, matched_spikes
from eventsnn.insight.occupancy import Occupancy
from eventsnn.insight.overload import loads
from eventsnn.insight.profile import Summary, profile
from eventsnn.insight.reach import sources_of
from eventsnn.insight.service import jobs_by_server, routes
from eventsnn.network import Dense, Identity, Input, Network, Population, Projection, Rate, Readout, Signed
from eventsnn.report.profile import write_profile
from eventsnn.run.profile import profile_samples

TIMES = {
    "input": 10, "serialise": 20, "hop_x": 7, "hop_y": 30,
    "decode": 5, "synapse": 3, "update": 2, "fire": 4, "decision": 11,
}  # fmt: skip
RECORDED = {"record_spikes": True, "record_service": True}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_files(folder)
    return folder


def profiled(network, mapping, stimulus, options=None, engine=ReferenceEngine, index=0):
    """A run on an accelerator, its ideal run, and the profile of the two."""
    options = options or RunOptions(**RECORDED)
    run = engine(network, mapping, options).run(stimulus, index)
    ideal = ReferenceEngine(network, None, options).run(stimulus, index)
    return run, ideal, profile(run, network, mapping, options.seed, stimulus.end, ideal)


def two_layers(neuron, delay=0):
    """Two inputs, three hidden neurons on core 0, two classes on core 1 one hop along y away."""
    network = Network(
        [
            Population("in", (1, 1, 2), Input()),
            Population("hidden", (1, 1, 3), neuron),
            Population("out", (1, 1, 2), Readout()),
        ],
        [
            Projection("first", "in", "hidden", Dense(np.array([[12, 0, 1], [0, 12, 12]]))),
            Projection("second", "hidden", "out", Dense(np.array([[1, 0], [0, 1], [2, 2]])), delay=delay),
        ],
    )
    return network, map_network(network, architecture((1, 2), 9, 99, 2, TIMES, {}, {}))


# -- by hand -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_the_path_of_rate_neurons_by_hand(engine):
    # The service log of this run is written out in test_twin.
    stimulus = Stimulus(np.array([100, 100]), np.array([0, 1]))
    _, _, found = profiled(*two_layers(Rate(10)), stimulus, engine=engine)
    assert pieces(found.path) == [
        ("serialiser wait", "in", "input port", 100, 110, {"in": 10}),
        ("serialise", "in", "input port", 110, 120, {}),
        ("core wait", "hidden", "core 0", 120, 125, {"in": 5}),
        ("decode", "hidden", "core 0", 125, 130, {}),
        ("synapses", "hidden", "core 0", 130, 136, {}),
        ("update", "hidden", "core 0", 136, 140, {}),
        ("fire", "hidden", "core 0", 140, 144, {}),
        ("serialiser wait", "hidden", "core 0", 144, 169, {"hidden": 25}),
        ("serialise", "hidden", "core 0", 169, 189, {}),
        ("hops", "hidden", "", 189, 219, {}),
        ("decode", "out", "core 1", 219, 224, {}),
        ("synapses", "out", "core 1", 224, 227, {}),
    ]
    assert (found.path.origin, found.path.layer, found.path.neuron) == ("input event", "in", 1)
    assert found.path.before == 0
    assert next(iter(found.path.shares().items())) == (("hops", "hidden"), 30)


def test_the_path_of_signed_neurons_by_hand():
    stimulus = Stimulus(np.array([100, 100]), np.array([0, 1]))
    _, _, found = profiled(*two_layers(Signed(10, levels=1)), stimulus)
    assert pieces(found.path)[2:9] == [
        ("core wait", "hidden", "core 0", 120, 121, {"in": 1}),
        ("decode", "hidden", "core 0", 121, 126, {}),
        ("synapses", "hidden", "core 0", 126, 132, {}),
        ("test wait", "hidden", "core 0", 132, 136, {"hidden (test)": 4}),
        ("test", "hidden", "core 0", 136, 140, {}),
        ("fire", "hidden", "core 0", 140, 144, {}),
        ("serialiser wait", "hidden", "core 0", 144, 180, {"hidden": 36}),
    ]


def test_settle_times_delays_and_the_rest_of_the_run_by_hand():
    stimulus = Stimulus(np.array([100, 700]), np.array([0, 0]), duration=900)
    _, _, found = profiled(*two_layers(Signed(10, levels=1, settle_time=50), delay=6), stimulus)
    # The second event finds the neuron at its level: only the first one reached the readout.
    assert pieces(found.path)[3:] == [
        ("settle", "hidden", "", 121, 171, {}),
        ("test", "hidden", "core 0", 171, 175, {}),
        ("fire", "hidden", "core 0", 175, 179, {}),
        ("serialise", "hidden", "core 0", 179, 199, {}),
        ("hops", "hidden", "", 199, 229, {}),
        ("delay", "hidden", "", 229, 235, {}),
        ("decode", "out", "core 1", 235, 240, {}),
        ("synapses", "out", "core 1", 240, 243, {}),
        ("rest of the run", "out", "", 243, 900, {}),
    ]


def test_the_settle_pass_waits_for_the_end_of_the_input_or_the_last_landing():
    # Half a threshold and 12 quanta are a spike without hysteresis only.
    neuron = Signed(10, levels=1, hysteresis_high=9)
    _, _, found = profiled(*two_layers(neuron), Stimulus(np.array([100]), np.array([0]), duration=900))
    assert (found.path.origin, found.path.begin) == ("end of input", 900)
    assert found.path.pieces[0].stage == "test"

    network = Network(
        [
            Population("in", (1, 1, 2), Input()),
            Population("hidden", (1, 1, 2), neuron),
            Population("out", (1, 1, 2), Readout()),
        ],
        [
            Projection("first", "in", "hidden", Identity(np.array([12]))),
            Projection("second", "hidden", "out", Dense(np.array([[1, 0], [0, 1]]))),
        ],
    )
    mapping = map_network(network, architecture((1, 2), 9, 99, 2, TIMES, {}, {}))
    run, _, found = profiled(network, mapping, Stimulus(np.array([100, 200]), np.array([1, 0])))
    # Neuron 1 decides, its event came long before; but both spike only once neuron 0 has got its own.
    assert run.spikes.neuron[run.spikes.rank == 1].tolist() == [0, 1]
    assert (found.path.origin, found.path.neuron, found.path.begin) == ("input event", 0, 200)
    assert [p.stage for p in found.path.pieces][:5] == [
        "serialise",
        "decode",
        "synapses",
        "test wait",
        "test",
    ]


def test_an_early_decision_ends_with_the_decision_unit():
    options = RunOptions(exit_rule=parse_rule("margin:0.1"), **RECORDED)
    stimulus = Stimulus(np.array([50, 700]), np.array([1, 0]))
    run, _, found = profiled(*two_layers(Rate(10)), stimulus, options)
    assert run.decided_early
    assert found.path.pieces[-1].stage == "decision"
    assert found.path.pieces[-1].ticks == TIMES["decision"]
    assert found.path.decision == run.decision_time < 700


def test_a_current_has_no_cause():
    network, mapping = two_layers(Rate(10, period=100))
    projections = [
        Projection("first", "in", "hidden", Dense(np.array([[0, 0, 0], [0, 0, 0]])), np.array([0, 3, 0])),
        network.projections["second"],
    ]
    network = Network(network.populations.values(), projections)
    _, _, found = profiled(network, mapping, Stimulus(np.array([20]), np.array([0]), duration=400))
    assert (found.path.origin, found.path.layer, found.path.neuron) == ("current", "hidden", 1)
    assert found.path.begin == 334  # 3 quanta every 100 ticks pass 10 then
    assert found.path.before == 314


def test_a_refractory_neuron_waits_for_itself():
    stimulus = Stimulus(np.array([100, 101]), np.array([0, 0]))
    run, _, found = profiled(*two_layers(Rate(10, multispike=False, refractory=1000)), stimulus)
    # 12 and 12 again: the second spike comes of 14 quanta at the end of the refractory time.
    assert run.spikes.time[run.spikes.rank == 1].tolist() == [125, 1125]
    assert [p.stage for p in found.path.pieces][:5] == [
        "serialise", "decode", "synapses", "update", "refractory",
    ]  # fmt: skip
    assert found.path.pieces[4].ticks == 1000


def test_a_readout_that_nothing_reaches():
    run, _, found = profiled(*two_layers(Rate(10**6)), Stimulus(np.array([100]), np.array([0])))
    assert found.path.origin == "nothing"
    assert found.path.pieces == ()
    assert found.path.before == run.decision_time - 100


def test_servers_by_hand():
    stimulus = Stimulus(np.array([100, 100]), np.array([0, 1]))
    _, _, found = profiled(*two_layers(Rate(10)), stimulus)
    seen = {
        server: (use.serving, use.waiting, use.most_waiting, use.waits.tolist(), use.window)
        for server, use in found.uses.items()
    }
    assert seen == {
        ("serialiser", -1): (20, 10, 1, [0, 10], 127),
        ("core", 0): (30, 5, 1, [0, 5], 127),
        ("serialiser", 0): (60, 30, 2, [0, 5, 25], 127),
        ("core", 1): (24, 0, 0, [0, 0, 0], 127),
    }
    assert {name: latency.ticks.tolist() for name, latency in found.latencies.items()} == {
        "in": [25, 40],
        "hidden": [58, 63, 83],
    }


def test_a_core_asked_for_three_times_what_it_can_do_is_overloaded():
    network, mapping = two_layers(Rate(10**6))
    # Five ticks to decode and five for two cycles of one synapse pass: 15 in all, an event every 5 ticks.
    stimulus = Stimulus(np.arange(0, 1000, 5), np.zeros(200, dtype=np.int64))
    busy = map_network(network, architecture((1, 2), 9, 99, 2, TIMES | {"input": 0}, {}, {}))
    _, _, found = profiled(network, busy, stimulus)
    load = found.loads["core", 0]
    assert load.offered == pytest.approx(199 * 15 / 995)
    assert load.grows
    assert load.overloaded
    # At the end of the input 66 of 200 events have been served: 133 wait, 8.3 % of a quarter's more each.
    assert load.last_quarter > load.third_quarter > 75
    assert (load.backlog, load.drained) == (0, 200 * 15 - 995)
    assert list(Summary((found,), busy).overloaded()) == [("core", 0)]
    assert (
        profiled(network, mapping, Stimulus(np.arange(0, 4000, 40), np.zeros(100, dtype=np.int64)))[2]
        .loads["core", 0]
        .overloaded
        is False
    )


def served(arrivals, service, kinds=None):
    """The log of one core, first come first served; kind 4 is dropped on arrival."""
    log = np.zeros(len(arrivals), dtype=SERVICE)
    free = 0
    for job, arrival, kind in zip(log, arrivals, kinds or [1] * len(arrivals), strict=True):
        start = arrival if kind == DROPPED else max(free, arrival)
        finish = arrival if kind == DROPPED else start + service
        free = max(free, finish)
        job["kind"], job["arrival"], job["start"], job["finish"], job["released"] = (
            kind, arrival, start, finish, finish,
        )  # fmt: skip
    return log


def load_of(log, input_end, decision):
    (found,) = loads(log, {("core", 0): np.arange(len(log))}, 0, input_end, decision).values()
    return found


def test_a_burst_that_is_caught_up_with_is_no_overload():
    """Thirty jobs at tick 800 of 1000: 14.5 wait on average until tick 950, none before and none after."""
    burst = load_of(served([800] * 30, 5), 1000, 1000)
    assert (burst.third_quarter, burst.last_quarter) == (0, pytest.approx(29 * 30 / 2 * 5 / 250))
    assert not burst.overloaded
    still = load_of(served([100] * 2 + [200] * 190 + [760] * 60, 4), 1000, 1300)
    assert still.always_waiting
    assert still.overloaded


def test_dropped_messages_are_offered_too():
    log = served(list(range(0, 100, 5)), 10, [1, DROPPED] * 10)
    found = load_of(log, 100, 200)
    assert found.offered == 2.0
    assert found.overloaded
    assert (found.backlog, found.always_waiting) == (0, False)


# -- paths -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feature", sorted(set(FEATURES) - {"step", "history"}))
@asserts_at_least(4)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(SEEDS)
def test_pieces_of_a_path_add_up_to_the_latency(feature, seed):
    network, stimulus, options = random_case(seed, feature, False)
    rng = generator(seed)
    mapping = place(network, random_limits(rng, network), random_times(rng, fastest=int(rng.integers(0, 2))))
    assume(mapping is not None)
    run = outcome("reference", network, mapping, stimulus, RunOptions(**vars(options) | RECORDED))
    assume(not isinstance(run, type))
    asserting()
    check_path(run, network, stimulus, profile(run, network, mapping, options.seed, stimulus.end))


@asserts_at_least(6)
@few(10)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.booleans())
def test_paths_under_jitter_and_delays(seed, kind, delays):
    network = random_network(seed, kind, delays, readout=seed % 3 > 0)
    mapping = random_mapping(seed, network)
    assume(mapping is not None)
    stimulus = random_stimulus(seed, network, events=30)
    options = RunOptions(seed=seed % 2**32, max_events=1500, **RECORDED)
    run = outcome("compiled", network, mapping, stimulus, options)
    assume(not isinstance(run, type))
    asserting()
    found = profile(run, network, mapping, options.seed, stimulus.end)
    check_path(run, network, stimulus, found)
    services = [p for p in found.path.pieces if p.stage in ("decode", "synapses", "update")]
    assert services or found.path.origin in ("nothing", "current", "charge at time 0", "input event")


def queueing(seed, network):
    """A chip with queues of its own for links, cores and serialisers, several parts on a core; or None."""
    rng = generator(seed, 9)
    mapping = random_mapping(seed, network)
    if mapping is None:
        return None
    document = mapping.architecture.document()
    policy = str(rng.choice(["block", "drop-new", "drop-old"]))
    if rng.random() < 0.8:
        document["network_on_chip"]["links"] = {"depth": int(rng.choice([1, 3, 10**6]))}
    if rng.random() < 0.8:
        document["cores"]["one"]["input_fifo"] = {"depth": int(rng.integers(1, 6)), "policy": policy}
    if rng.random() < 0.5:
        document["cores"]["one"]["output_fifo"] = {"depth": int(rng.integers(0, 6))}
    cores = int(rng.integers(1, 9)) if rng.random() < 0.5 else 10**6
    parts = {
        name: tuple(replace(part, core=part.core if part.core < 0 else part.core % cores) for part in own)
        for name, own in mapping.parts.items()
    }
    return Mapping(type(mapping.architecture).model_validate(document), parts, mapping.synapse_units)


@asserts_at_least(9)
@few(15)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.sampled_from(["none", "margin:0.4"]))
def test_links_drops_and_held_messages(seed, kind, rule):
    network = random_network(seed, kind, lazy=seed % 2 > 0)
    mapping = queueing(seed, network)
    assume(mapping is not None)
    stimulus = random_stimulus(seed, network, events=40, span=4000)
    options = RunOptions(max_events=1500, exit_rule=parse_rule(rule), **RECORDED)
    try:
        run = outcome("reference", network, mapping, stimulus, options)
    except Deadlock:
        assume(False)
    assume(not isinstance(run, type))
    asserting()
    found = profile(run, network, mapping, options.seed, stimulus.end)
    check_path(run, network, stimulus, found)
    check_queues(run, found)
    dropped = sum(latency.dropped for latency in found.latencies.values())
    assert dropped == run.counters[:, COLUMN["messages_dropped"]].sum()
    assert dropped == sum(use.dropped for use in found.uses.values())
    landed = sum(len(latency.ticks) for latency in found.latencies.values())
    assert landed == run.counters[:, COLUMN["messages_received"]].sum()
    for server, load in found.loads.items():
        assert load.backlog >= found.uses[server].unserved
        assert (load.drained is None) == (load.backlog > 0)


@few(20)
@given(SEEDS)
def test_sources_of_a_neuron_are_those_of_the_list_of_synapses(seed):
    network = random_network(seed, "mixed")
    rng = generator(seed)
    for projection in network.projections.values():
        sources, targets, _ = network.edges(projection)
        for target in rng.integers(0, network.populations[projection.target].size, 5):
            found = np.flatnonzero(sources_of(network, projection, int(target)))
            np.testing.assert_array_equal(found, np.unique(sources[targets == target]))


# -- queues ------------------------------------------------------------------------------------------


def check_queues(run, found):
    """Little's law as an identity of integers, server by server; nobody does two things at a time."""
    begin, end = run.first_event, run.decision_time
    rows_of = jobs_by_server(run.service, False)
    assert rows_of.keys() == found.uses.keys()
    assert sum(len(rows) for rows in rows_of.values()) == len(run.service)
    for server, rows in rows_of.items():
        jobs, use = run.service[rows], found.uses[server]
        waiting = Occupancy.of(jobs["arrival"], jobs["start"])
        present = Occupancy.of(jobs["arrival"], jobs["released"])
        last = int(jobs["released"].max()) + 1
        assert present.integral(0, last) == (jobs["released"] - jobs["arrival"]).sum()
        assert waiting.integral(begin, end) == use.waiting
        assert present.integral(begin, end) == use.waiting + use.serving + use.blocked
        assert use.serving + use.blocked <= use.window
        assert use.spent.sum() == end - begin
        sizes = np.flatnonzero(use.spent)
        assert sizes.max(initial=0) <= use.most_waiting.bit_length()
        fewest, most = np.append(0, 2 ** np.arange(52)), 2 ** np.arange(53) - 1
        assert (use.spent * fewest).sum() <= use.waiting <= (use.spent * most).sum()
        means = found.queues[server] * np.diff(found.queue_edges)
        assert means.sum() == pytest.approx(use.waiting)


@asserts_at_least(9)
@few(15)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]))
def test_littles_law_and_shares_of_time(seed, kind):
    network = random_network(seed, kind)
    mapping = random_mapping(seed, network)
    assume(mapping is not None)
    stimulus = random_stimulus(seed, network, events=30)
    run = outcome("reference", network, mapping, stimulus, RunOptions(max_events=1500, **RECORDED))
    assume(not isinstance(run, type))
    asserting()
    check_queues(run, profile(run, network, mapping, 0, stimulus.end))


@asserts_at_least(6)
@few(10)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.booleans())
def test_messages_are_sent_landed_or_in_flight(seed, kind, delays):
    network = random_network(seed, kind, delays)
    mapping = random_mapping(seed, network)
    assume(mapping is not None)
    options = RunOptions(max_events=1500, exit_rule=parse_rule("margin:0.4"), **RECORDED)
    stimulus = random_stimulus(seed, network, events=30)
    run = outcome("reference", network, mapping, stimulus, options)
    assume(not isinstance(run, type))
    asserting()
    found = profile(run, network, mapping, 0, stimulus.end).latencies
    assert sum(latency.in_flight for latency in found.values()) >= 0
    landed = sum(len(latency.ticks) for latency in found.values())
    assert landed == run.counters[:, COLUMN["messages_received"]].sum()
    rows, starts = routes(run.service)
    sent = run.counters[:, COLUMN["messages_sent"]].sum()  # some may not have joined a queue yet
    assert len(starts) - 1 == sent if not run.decided_early else len(starts) - 1 <= sent
    assert len(rows) == (run.service["kind"] != 2).sum()


# -- order -------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_inversions_are_those_of_all_pairs(times):
    before, after = np.array(times, dtype=np.int64).reshape(-1, 2).T
    inverted = pairs = 0
    for (a, b), (c, d) in combinations(times, 2):
        pairs += a != c
        inverted += (a - c) * (b - d) < 0
    assert inversions(before, after) == (inverted, pairs)


def test_matched_spikes_by_hand():
    def spikes(time, neuron):
        time = np.array(time)
        return SpikeList(time, 0 * time, np.array(neuron), 0 * time + 1)

    one = spikes([1, 2, 3, 4], [5, 0, 5, 5])
    other = spikes([2, 7, 9], [5, 5, 1])
    places = matched_spikes(one, other)
    assert [one.time[places[0]].tolist(), other.time[places[1]].tolist()] == [[1, 3], [2, 7]]


def test_disorder_by_hand():
    network, mapping = two_layers(Rate(10))
    stimulus = Stimulus(np.array([0, 1, 60]), np.array([0, 1, 0]))
    run, ideal, found = profiled(network, mapping, stimulus)
    # Ideal: neuron 0 at 0, 1 and 2 at 1, 0 at 60; here all come after the message path.
    assert ideal.spikes.time[ideal.spikes.rank == 1].tolist() == [0, 1, 1, 60]
    assert run.spikes.time[run.spikes.rank == 1].tolist() == [25, 40, 40, 85]
    hidden = found.disorders["hidden"]
    assert (hidden.neuron, hidden.ideal, hidden.here, hidden.total) == ("rate", 4, 4, 0)
    assert (hidden.inverted, hidden.pairs, hidden.disorder) == (0, 5, 0)
    assert (hidden.intervals, hidden.stretched) == (60, 0)
    assert sorted(hidden.late.tolist()) == [25, 25, 39, 39]
    assert list(found.disorders) == ["hidden"]


@asserts_at_least(4)
@few(8)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]))
def test_an_accelerator_without_delay_disorders_nothing(seed, kind):
    network = random_network(seed, kind)
    mapping = place(network, random_limits(generator(seed), network), {})
    assume(mapping is not None)
    stimulus, options = random_stimulus(seed, network, events=30), RunOptions(max_events=1500, **RECORDED)
    run = outcome("reference", network, mapping, stimulus, options)
    assume(not isinstance(run, type))
    ideal = ReferenceEngine(network, None, options).run(stimulus, 3)
    asserting()
    for found in disorders(network, ideal, run).values():
        assert found.ideal == found.here == len(found.late)
        assert (found.total, found.inverted, found.stretched) == (0, 0, 0)
        assert not found.late.any()


@asserts_at_least(4)
@few(8)
@given(SEEDS)
def test_an_accelerator_changes_no_count_of_signed_neurons(seed):
    network = without_currents(random_network(seed, "signed"))
    mapping = random_mapping(seed, network)
    assume(mapping is not None)
    stimulus, options = random_stimulus(seed, network, events=30), RunOptions(max_events=3000, **RECORDED)
    run = outcome("reference", network, mapping, stimulus, options)
    ideal = outcome("reference", network, None, stimulus, options)
    assume(not isinstance(run, type) and not isinstance(ideal, type))
    asserting()
    found = disorders(network, ideal, run)
    assert found
    assert all(one.total == 0 for one in found.values())


# -- together ----------------------------------------------------------------------------------------


def test_samples_add_up():
    network, mapping = two_layers(Rate(10))
    found = [
        profiled(network, mapping, Stimulus(np.array([100, t]), np.array([0, 1])), index=t)[2]
        for t in (100, 400)
    ]
    both = Summary(tuple(found), mapping)
    for server, use in both.uses.items():
        assert use.serving == sum(one.uses[server].serving for one in found)
        assert use.window == sum(one.decision_time - one.first_event for one in found)
    assert sum(both.shares.values()) == sum(sum(p.ticks for p in one.path.pieces) for one in found)
    assert both.latencies["in"].sent == 4
    assert both.disorders["hidden"].neurons == 6
    document = both.to_dict()
    assert [sample["index"] for sample in document["samples"]] == [100, 400]
    assert document["servers"][0]["layers"] == ["hidden"]
    json.dumps(document)


def test_what_a_run_has_not_kept_is_refused():
    network, mapping = two_layers(Rate(10))
    stimulus = Stimulus(np.array([100]), np.array([0]))
    for kept in ({"record_spikes": True}, {"record_service": True}):
        run = make_engine("reference", network, mapping, RunOptions(**kept)).run(stimulus)
        with pytest.raises(InvalidRequest, match="record_service=True"):
            profile(run, network, mapping, 0, 100)


def test_the_command_prints_tables_and_one_json_object(files):
    command = (
        *("profile", files / "net.h5", "--data", f"nmnist:{files / 'set'}"),
        *("--hardware", "event-conv-small", "--exit", "margin:0.5"),
    )
    done = eventsnn(*command, "--sample", 3)
    assert done.returncode == 0, done.stderr
    for text in ("What bounds latency", "critical path", "input port", "p99", "disorder"):
        assert text in done.stdout
    page = files / "profile.html"
    found = json.loads(eventsnn(*command, "--samples", 2, "--json", "-o", page).stdout)
    assert len(found["samples"]) == 2
    assert "What bounds latency" in page.read_text(encoding="utf-8")
    for sample in found["samples"]:
        path = sample["critical_path"]
        total = sum(piece["end_ps"] - piece["begin_ps"] for piece in path["pieces"])
        assert path["first_event_to_begin_ps"] + total == sample["decision_ps"] - sample["first_event_ps"]
    assert sum(row["ps"] for row in found["critical_paths"]) == sum(
        sample["critical_path"]["path_ps"] for sample in found["samples"]
    )
    assert {row["place"] for row in found["servers"]} >= {"input port", "core 0"}


def test_the_command_takes_a_mapping(files, tmp_path):
    path = tmp_path / "mapping.yaml"
    path.write_text("format: eventsnn-mapping\nschema: 1\npopulations: {out: {core: 5}}\nothers: layer\n")
    found = json.loads(
        eventsnn(
            *("profile", files / "net.h5", "--data", f"nmnist:{files / 'set'}", "--engine", "reference"),
            *("--hardware", "event-conv-small", "--mapping", path, "--json"),
        ).stdout
    )
    assert {row["place"] for row in found["servers"] if "out" in row["layers"]} == {"core 5"}


def test_the_page_says_what_bounds_latency(tmp_path):
    network, mapping = two_layers(Rate(10))
    stimulus = Stimulus(np.array([100, 100]), np.array([0, 1]))
    found = Summary((profiled(network, mapping, stimulus)[2],), mapping)
    write_profile(found, tmp_path / "profile.html")
    page = (tmp_path / "profile.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    for text in ("hops of hidden", "input port", "<svg", "core 0 serialiser", "127"):
        assert text in page
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", page)
    write_profile(found, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_mistakes_of_a_profile_are_clear(files):
    data = f"nmnist:{files / 'set'}"
    for given_, message in (
        ({"hardware": None}, "name one"),
        ({"sample": 20}, "numbered from 0"),
        ({"sample": 1, "samples": 2}, "not both"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            profile_samples(files / "net.h5", data, **{"hardware": "event-conv-small", **given_})
