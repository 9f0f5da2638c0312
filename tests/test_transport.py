"""Links, a bus, bounded FIFOs: by hand, against closed forms, and the laws of hardware on random chips."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from builders import networks
from builders.chips import architecture_of, core_kind, random_chip, whole_on
from builders.draws import SEEDS, few, generator
from builders.floors import asserting, asserts_at_least
from builders.networks import slowed, without_biases_over_time
from builders.runs import assert_same_run, spike_table
from builders.stimuli import events
from hypothesis import assume, given
from oracles.queues import swept

from eventsnn.counting.counters import COLUMN, COUNTERS, PART_COUNTERS
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, Stimulus
from eventsnn.engine.compiled import CompiledEngine
from eventsnn.engine.failures import deadlock
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.twin.events import TwinEngine, TwinSample
from eventsnn.errors import Deadlock, EventLimitReached
from eventsnn.hardware.network_on_chip import NetworkOnChip
from eventsnn.network import (
    Dense,
    Identity,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
)

ENGINES = (ReferenceEngine, TwinEngine, CompiledEngine)
SILENT = Rate(10**6)
RECORDED = RunOptions(max_events=5000, record_spikes=True, record_service=True)


def run_on(engine, network, mapping, stimulus, options=RECORDED):
    return engine(network, mapping, options).run(stimulus)


def rows(run, kind, core=None):
    """Rows of the log: rank, neuron, ordinal, destination, arrival, start, finish, released."""
    log = run.service[run.service["kind"] == kind]
    if core is not None:
        log = log[log["core"] == core]
    return sorted((row[2:] for row in log.tolist()), key=lambda row: (row[5], row))


def times(run, kind, core):
    """Arrival, start, finish, released at one server, in order of starts."""
    return [row[4:] for row in rows(run, kind, core)]


def counted(run, counter):
    return run.counters[:, COLUMN[counter]].tolist()


def star(sizes, neuron=None):
    """An input neuron, relays that each spike of it makes fire, by population, and a readout of them all."""
    populations = [Population("in", (1, 1, 1), Input()), Population("z", (1, 1, 1), Readout())]
    projections = []
    for name, size in sizes.items():
        populations.append(Population(name, (1, 1, size), neuron or Rate(10)))
        projections.append(Projection(f"0 {name}", "in", name, Dense(np.full((1, size), 10))))
        projections.append(Projection(f"1 {name}", name, "z", Dense(np.ones((size, 1), int))))
    return Network(populations, projections)


# -- by hand -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_messages_take_turns_on_links_by_hand(engine):
    """To tile 1 and tile 2 of a row: the second waits for the first link, then takes both."""
    line = {"topology": "mesh", "width": 3, "height": 1, "links": {"depth": "unbounded"}}
    network = star({"a": 1, "b": 1}, SILENT)
    architecture = architecture_of([core_kind()] * 3, line, {"input": 10, "hop_x": 15, "decode": 5})
    mapping = whole_on(network, architecture, {"a": 1, "b": 2, "z": 0})
    run = run_on(engine, network, mapping, events(100))
    assert times(run, 0, -1) == [(100, 100, 110, 110), (100, 110, 120, 120)]
    assert rows(run, 3, 0) == [
        (0, 0, 0, 0, 110, 110, 125, 125), (0, 0, 0, 1, 120, 125, 140, 140),
    ]  # fmt: skip
    assert times(run, 3, 4) == [(140, 140, 155, 155)]
    assert times(run, 1, 1) == [(125, 125, 130, 130)]
    assert times(run, 1, 2) == [(155, 155, 160, 160)]
    assert counted(run, "hops_x")[0] == 3
    assert run.decision_time == 160


@pytest.mark.parametrize("engine", ENGINES)
def test_messages_take_turns_on_the_bus_by_hand(engine):
    network = star(dict.fromkeys("abc", 1), SILENT)
    architecture = architecture_of([core_kind()] * 4, {"topology": "bus"}, {"input": 1, "bus": 20})
    mapping = whole_on(network, architecture, dict(zip("abcz", range(4), strict=True)))
    run = run_on(engine, network, mapping, events(0))
    assert times(run, 3, 0) == [(1, 1, 21, 21), (2, 21, 41, 41), (3, 41, 61, 61)]
    assert counted(run, "bus_transfers")[0] == 3
    assert run.decision_time == 61


@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_link_holds_the_serialiser_by_hand(engine):
    """One may wait in front of the link: the third message is held until the second is on it."""
    pair = {"topology": "mesh", "width": 1, "height": 2, "links": {"depth": 1}}
    network = star(dict.fromkeys("abcd", 1), SILENT)
    architecture = architecture_of([core_kind()] * 6, pair, {"input": 10, "hop_y": 30}, cores_of_tile=3)
    mapping = whole_on(network, architecture, {"a": 3, "b": 4, "c": 5, "d": 5, "z": 0})
    run = run_on(engine, network, mapping, events(100))
    assert times(run, 0, -1) == [
        (100, 100, 110, 110), (100, 110, 120, 120), (100, 120, 130, 140), (100, 140, 150, 170),
    ]  # fmt: skip
    assert times(run, 3, 2) == [  # tile 0 to the north
        (110, 110, 140, 140), (120, 140, 170, 170), (140, 170, 200, 200), (170, 200, 230, 230),
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_a_freed_slot_goes_to_who_waits_longest_by_hand(engine):
    """Two relays send three messages each to a core with one place, the first relay more slowly.

    b's first is served from 1 on, its second waits from 2 on, its third is held from 3 on; a's first, of the
    lower rank, is held from 4 on.
    """
    run = run_on(engine, *two_relays(serialise_of_a=4))
    assert times(run, 0, 1) == [(0, 0, 1, 1), (0, 1, 2, 2), (0, 2, 3, 101)]
    assert times(run, 0, 0) == [(0, 0, 4, 201), (0, 201, 205, 301), (0, 301, 305, 401)]
    assert [row[0] for row in rows(run, 1, 2)] == [2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_freed_slot_goes_by_law_2_among_those_held_since_one_tick_by_hand(engine):
    """a's first is served from 1 on, b's first waits; both second ones are held from 2 on."""
    run = run_on(engine, *two_relays(serialise_of_a=1))
    assert times(run, 0, 0) == [(0, 0, 1, 1), (0, 1, 2, 101), (0, 101, 102, 301)]
    assert times(run, 0, 1) == [(0, 0, 1, 1), (0, 1, 2, 201), (0, 201, 202, 401)]
    assert [row[0] for row in rows(run, 1, 2)] == [1, 2, 1, 2, 1, 2]


def two_relays(serialise_of_a):
    """Network, mapping, stimulus."""
    kinds = [core_kind(times={"serialise": serialise_of_a}), core_kind(times={"serialise": 1})]
    slow = core_kind(input_depth=1, times={"decode": 100})
    network = star({"a": 3, "b": 3})
    return network, whole_on(network, architecture_of([*kinds, slow]), {"a": 0, "b": 1, "z": 2}), events(0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("policy", "landed", "lost"),
    [
        ("drop-new", [0, 1, 4], [(2, 20, 20), (3, 30, 30)]),
        ("drop-old", [0, 3, 4], [(1, 10, 20), (2, 20, 30)]),
    ],
)
def test_a_full_fifo_drops_by_hand(engine, policy, landed, lost):
    """Messages every 10 ticks, a service takes 100, one may wait; the fifth comes later."""
    network = Network(
        [Population("in", (1, 1, 5), Input()), Population("z", (1, 1, 5), Readout())],
        [Projection("p", "in", "z", Identity(np.array([1])))],
    )
    kind = core_kind(1, policy, times={"decode": 100})
    mapping = whole_on(network, architecture_of([kind]), {"z": 0})
    stimulus = events(0, 10, 20, 30, 150, neurons=[0, 1, 2, 3, 4])
    run = run_on(engine, network, mapping, stimulus)
    assert [row[1] for row in rows(run, 1, 0)] == landed
    assert run.trace.readout[-1].tolist() == [int(j in landed) for j in range(5)]
    assert [(row[1], row[4], row[6]) for row in rows(run, 4, 0)] == lost
    assert counted(run, "messages_dropped") == [0, 2]
    assert counted(run, "messages_received") == [0, 3]
    assert run.decision_time == 300


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("depth", "starts"), [("unbounded", [0, 5]), (1, [0, 15]), (0, [0, 25])])
def test_a_core_stalls_while_its_output_is_full_by_hand(engine, depth, starts):
    """Three spikes of each service of 5 ticks, sent in 10 ticks each: at 5, 15 and 25 one is taken."""
    network = star({"a": 3})
    kind = core_kind(output_depth=depth, times={"decode": 5, "serialise": 10})
    mapping = whole_on(network, architecture_of([kind, core_kind()]), {"a": 0, "z": 1})
    run = run_on(engine, network, mapping, events(0, 0))
    assert [row[5] for row in rows(run, 1, 0)] == starts
    assert times(run, 0, 0)[0] == (5, 5, 15, 15)
    assert run.decision_time == 65


@pytest.mark.parametrize("engine", ENGINES)
def test_spikes_of_a_scan_count_as_waiting_from_its_end_by_hand(engine):
    """A scan behind a message; three spikes wait when it is over, so the core waits for two to be taken."""
    network = star({"a": 3}, neuron=Signed(10, 1))
    kind = core_kind(output_depth=0, times={"decode": 5, "update": 2, "serialise": 10})
    mapping = whole_on(network, architecture_of([kind, core_kind()]), {"a": 0, "z": 1})
    run = run_on(engine, network, mapping, events(0, 0))
    assert times(run, 1, 0) == [(0, 0, 5, 5), (0, 5, 10, 10)]
    assert times(run, 2, 0) == [(5, 10, 16, 16), (10, 36, 42, 42)]
    assert times(run, 0, 0) == [(16, 16, 26, 26), (16, 26, 36, 36), (16, 36, 46, 46)]


# -- deadlock ------------------------------------------------------------------------------------------


def ring(neurons=4):
    """Two populations; every neuron's spike takes two neurons of the other above threshold."""
    forth = 10 * (np.eye(neurons, dtype=int) + np.roll(np.eye(neurons, dtype=int), 1, axis=1))
    start = Identity(np.array([10]))
    return Network(
        [
            Population("in", (1, 1, neurons), Input()),
            Population("a", (1, 1, neurons), Rate(10)),
            Population("b", (1, 1, neurons), Rate(10)),
        ],
        [
            Projection("in-a", "in", "a", start),
            Projection("in-b", "in", "b", start),
            Projection("a-b", "a", "b", Dense(forth), None, 1),
            Projection("b-a", "b", "a", Dense(forth), None, 1),
        ],
        {"output": "b"},
    )


def ring_on(network_on_chip=None, **fifos):
    kinds = [core_kind(**fifos)] * 2
    actions = dict.fromkeys(("input", "serialise", "hop_x", "bus", "decode", "synapse"), 1000)
    network = ring()
    return network, whole_on(network, architecture_of(kinds, network_on_chip, actions), {"a": 0, "b": 1})


STARTED = events(0, 0, 0, 0, neurons=[0, 1, 2, 3])  # four spikes on each


@pytest.mark.parametrize("fifos", [{"input_depth": 1, "output_depth": 1}, {"input_depth": 1}])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_ring_of_two_cores_with_one_place_each_is_a_deadlock(engine, fifos):
    """Outside truth B9; the FIFO at the output is as deep as the one at the input unless said."""
    network, mapping = ring_on(**fifos)
    wanted = (
        r"deadlock at [\d.]+ us: core 0 waits for room at core 1, core 1 waits for room at core 0; nothing"
    )
    with pytest.raises(Deadlock, match=wanted):
        run_on(engine, network, mapping, STARTED)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("network_on_chip", "wanted"),
    [
        (
            {"topology": "mesh", "width": 2, "height": 1},
            "link of tile 0 to the east for room at core 1, core 1 waits at ",
        ),
        ({"topology": "bus"}, "the bus for room at core 0; "),
    ],
)
def test_a_deadlock_names_links_on_the_way(engine, network_on_chip, wanted):
    links = {"links": {"depth": 1}}
    network, mapping = ring_on(network_on_chip | links, input_depth=1, output_depth=1)
    with pytest.raises(Deadlock, match="us: core 0 waits at " + wanted):
        run_on(engine, network, mapping, STARTED)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "fifos",
    [
        {"input_depth": 1, "policy": "drop-new", "output_depth": 1},
        {"input_depth": 1, "output_depth": "unbounded"},
        {"output_depth": 0},
    ],
)
def test_a_ring_that_may_drop_or_put_aside_goes_on_for_ever(engine, fifos):
    network, mapping = ring_on(**fifos)
    with pytest.raises(EventLimitReached):
        run_on(engine, network, mapping, STARTED, replace(RECORDED, max_events=300))


def test_a_deadlock_names_the_cycle_and_when_it_closed():
    waits = {-1: (2, 50, -1), 2: (5, 1_500_000, -1), 5: (3, 9, -1), 3: (5, 12_300_000, -1)}
    error = deadlock(waits, 7, NetworkOnChip(topology="ideal"))
    assert str(error).startswith(
        "sample 7: deadlock at 12.3 us: core 3 waits for room at core 5, core 5 waits for room at core 3; "
        "nothing else is pending. Take deeper FIFOs, "
    )


# -- queues against closed forms -----------------------------------------------------------------------


def line_of_one(size=1):
    """An input neuron and a readout."""
    return Network(
        [Population("in", (1, 1, size), Input()), Population("z", (1, 1, size), Readout())],
        [Projection("p", "in", "z", Identity(np.array([1])))],
    )


@pytest.mark.parametrize(("jitter", "wait"), [({}, 0.75), ({"decode": ("gamma", 10**6)}, 1.5)])
def test_mean_waits_of_one_core_are_those_of_queueing_theory(jitter, wait):
    """Poisson arrivals, load 0.6: services of one length (M/D/1), and exponential ones (M/M/1).

    The mean wait is load / (1 - load) services if these are exponential, half of it if they are constant
    (Pollaczek and Khinchine). 40 seeds; the first 500 of 4,000 messages are left out.
    """
    service, load = 10**6, 0.6
    network = line_of_one()
    architecture = architecture_of([core_kind()], None, {"decode": service}, jitter=jitter)
    mapping = whole_on(network, architecture, {"z": 0})
    means = []
    for seed in range(40):
        gaps = np.random.default_rng(seed).exponential(service / load, 4000)
        options = RunOptions(record_service=True, seed=seed)
        engine = CompiledEngine(network, mapping, options)
        log = engine.run(events(*np.cumsum(gaps).astype(np.int64).tolist())).service
        served = np.sort(log[log["kind"] == 1], order="arrival")[500:]
        means.append((served["start"] - served["arrival"]).mean() / service)
    deviation = np.std(means, ddof=1) / np.sqrt(len(means))
    assert deviation < 0.03 * wait
    assert abs(np.mean(means) - wait) < 3 * deviation


@pytest.mark.parametrize("slowest", ["input", "decode", "serialise", "last"])
def test_a_line_of_servers_is_as_fast_as_its_slowest_and_holds_no_more_than_it_may(slowest):
    """60 events at once, FIFOs of one to three places: one message a longest service, none lost."""
    lengths = {"input": 20, "decode": 30, "serialise": 10, "last": 25} | {slowest: 40}
    network = star({"a": 1})
    middle = {name: lengths[name] for name in ("decode", "serialise")}
    kinds = [
        core_kind(3, output_depth=1, times=middle),
        core_kind(2, times={"decode": lengths["last"]}),
    ]
    architecture = architecture_of(kinds, None, {"input": lengths["input"]})
    mapping = whole_on(network, architecture, {"a": 0, "z": 1})
    engine = CompiledEngine(network, mapping, RECORDED)
    run = engine.run(events(*[0] * 60))
    finishes = np.array([row[2] for row in times(run, 1, 1)])
    assert len(finishes) == 60
    assert (np.diff(finishes)[20:] == 40).all()
    for core, places in ((0, 3), (1, 2)):
        assert most_waiting(run.service, core) == (places if slowest_is_at_or_behind(core, slowest) else 0)


def slowest_is_at_or_behind(core, slowest):
    """Whether messages pile up in front of a core of the line."""
    return slowest in (("decode", "serialise", "last"), ("last",))[core]


def most_waiting(service, core):
    """The largest number that waited in front of a core, who comes and goes at one tick left out."""
    log = service[(service["core"] == core) & (service["kind"] == 1)]
    changes = [(t, 1) for t in log["start"].tolist()] + [(t, 0) for t in log["arrival"].tolist()]
    waiting = most = 0
    for _, leaves in sorted(changes, key=lambda change: (change[0], -change[1])):
        waiting += 1 - 2 * leaves
        most = max(most, waiting)
    return most


# -- random chips --------------------------------------------------------------------------------------


def random_case(seed, **features):
    """Network, mapping, stimulus and options; small, with cycles and gates now and then."""
    rng = generator(seed, 12)
    kind = str(rng.choice(["signed", "rate", "mixed"]))
    delays, lazy, readout = rng.random(3) < (0.5, 0.5, 0.7)
    network = networks.random_network(seed, kind, bool(delays), bool(lazy), bool(readout))
    if readout and rng.random() < 0.2:
        network = networks.with_cycles(network, seed)
    if rng.random() < 0.2:
        network = networks.with_gates(network, seed)
    rule = str(rng.choice(["none", "margin:0.4", "max-probability:0.6"]))
    options = replace(RECORDED, max_events=800, exit_rule=parse_rule(rule), seed=seed % 2**32)
    stimulus = networks.random_stimulus(seed + 2, network, events=30)
    return network, random_chip(seed, network, **features), stimulus, options


def outcome(engine, stimulus):
    """A run, or how it failed."""
    try:
        return engine.run(stimulus, 3)
    except (Deadlock, EventLimitReached) as error:
        return error


FEATURES = {name: st.booleans() for name in ("links", "bounded", "zeros", "jitter", "shared")}


@asserts_at_least(14)
@few(25)
@given(SEEDS, st.fixed_dictionaries(FEATURES))
def test_the_engines_agree_on_links_and_bounded_fifos(seed, features):
    network, mapping, stimulus, options = random_case(seed, **features)
    first, *others = [outcome(engine(network, mapping, options), stimulus) for engine in ENGINES]
    if isinstance(first, Exception):
        assert {repr(other) for other in others} == {repr(first)}
        return
    asserting()
    for other in others:
        assert_same_run(first, other)
        if other.parts is not None:
            np.testing.assert_array_equal(first.parts, other.parts)


def test_the_random_chips_block_drop_stall_and_lock():
    found = dict.fromkeys(("blocked", "dropped", "late", "Deadlock", "early"), 0)
    for seed in range(40):
        network, mapping, stimulus, options = random_case(seed)
        run = outcome(ReferenceEngine(network, mapping, options), stimulus)
        if isinstance(run, Exception):
            found[type(run).__name__] = found.get(type(run).__name__, 0) + 1
            continue
        log = run.service
        found["blocked"] += bool((log["released"] > log["finish"]).any())
        found["dropped"] += bool((log["kind"] == 4).any())
        found["late"] += bool((log["start"] > log["arrival"])[log["kind"] == 3].any())
        found["early"] += run.decided_early
    assert min(found.values()) >= 2, found


def settled_case(seed, **features):
    """A case that runs to its end, nothing decided early, and its run on the reference engine."""
    network, mapping, stimulus, options = random_case(seed, **features)
    options = replace(options, exit_rule=None)
    run = outcome(ReferenceEngine(network, mapping, options), stimulus)
    assume(not isinstance(run, Exception))
    return network, mapping, stimulus, options, run


@asserts_at_least(6)
@few(10)
@given(SEEDS)
def test_what_parts_count_adds_up_to_the_populations(seed):
    network, mapping, _, _, run = settled_case(seed)
    asserting()
    columns = [COLUMN[name] for name in PART_COUNTERS]
    stop = np.cumsum([len(mapping.parts[name]) for name in network.order])
    for rank, own in enumerate(np.split(run.parts, stop[:-1])):
        np.testing.assert_array_equal(own.sum(axis=0)[columns], run.counters[rank, columns])
    others = [COLUMN[name] for name in COUNTERS if name not in PART_COUNTERS]
    assert not run.parts[:, others].any()
    served = run.service[run.service["kind"] == 1]
    received = {}
    places = [part for name in network.order for part in mapping.parts[name]]
    for part, row in zip(places, run.parts, strict=True):
        received[part.core] = received.get(part.core, 0) + row[COLUMN["messages_received"]]
    assert all(number == (served["core"] == core).sum() for core, number in received.items())


@asserts_at_least(6)
@few(10)
@given(SEEDS)
def test_every_copy_sent_lands_or_is_dropped_once(seed):
    network, mapping, _, options, run = settled_case(seed)
    asserting()
    engine = ReferenceEngine(network, mapping, options)
    ordinal, wanted, first = {}, set(), np.cumsum([0, *map(len, engine.destinations)])
    for rank, neuron in zip(run.spikes.rank.tolist(), run.spikes.neuron.tolist(), strict=True):
        number = ordinal[rank, neuron] = ordinal.get((rank, neuron), -1) + 1
        for place, to in enumerate(engine.destinations[rank]):
            if neuron in to.edges:
                wanted.add((rank, neuron, number, int(first[rank]) + place))
    for kinds in ([0], [1, 4]):
        rows_of = run.service[np.isin(run.service["kind"], kinds)]
        messages = [row[2:6] for row in rows_of.tolist()]
        assert len(messages) == len(set(messages))
        assert set(messages) == wanted
    sent, received, dropped = (
        run.counters[:, COLUMN[f"messages_{name}"]].sum() for name in ("sent", "received", "dropped")
    )
    assert sent == received + dropped == len(wanted)


@asserts_at_least(6)
@few(10)
@given(SEEDS)
def test_what_is_in_flight_at_a_decision_is_what_neither_landed_nor_was_dropped(seed):
    network, mapping, stimulus, options = random_case(seed)
    options = replace(options, exit_rule=parse_rule("margin:0.1"))
    sample = TwinSample(TwinEngine(network, mapping, options), stimulus, 3)
    try:
        run = sample.run()
    except (Deadlock, EventLimitReached):
        assume(False)
    asserting()
    sent, received, dropped = (
        run.counters[:, COLUMN[f"messages_{name}"]].sum() for name in ("sent", "received", "dropped")
    )
    assert sample.transport.in_flight == sent - received - dropped
    log = run.service
    assert received == ((log["kind"] == 1) & (log["finish"] <= run.decision_time)).sum()
    assert dropped == (log["kind"] == 4).sum()


@asserts_at_least(6)
@few(10)
@given(SEEDS)
def test_littles_law_at_every_serialiser_link_and_core(seed):
    """The number of messages present over time, seen in the twin's queues, is the sum of their stays."""
    network, mapping, stimulus, options, run = settled_case(seed)
    asserting()
    sample = TwinSample(TwinEngine(network, mapping, options), stimulus, 3)
    present_time = {}
    step = sample.env.step

    def watch():
        until = sample.env.peek()
        for stations in (sample.transport.serialisers, sample.transport.links, sample.transport.cores):
            for station in stations.values() if np.isfinite(until) else ():
                messages = sum(hasattr(job, "payload") for _, job, *_ in station.queue.items)
                messages += station.row is not None and station.row[0] != 2
                place = station.kind, station.number
                present_time[place] = present_time.get(place, 0) + messages * (until - sample.env.now)
        step()

    sample.env.step = watch
    assert_same_run(sample.run(), run)
    for (kind, number), integral in present_time.items():
        kinds = [kind, 4] if kind == 1 else [kind]
        jobs = run.service[np.isin(run.service["kind"], kinds) & (run.service["core"] == number)]
        jobs["finish"] = jobs["released"]
        assert integral == swept(jobs) == (jobs["released"] - jobs["arrival"]).sum()


@asserts_at_least(6)
@few(10)
@given(SEEDS, st.booleans())
def test_an_accelerator_without_delay_gives_the_ideal_run(seed, shared):
    network, mapping, stimulus, options = random_case(seed, bounded=False, shared=shared, factor=0)
    ideal = outcome(ReferenceEngine(network, None, options), stimulus)
    assume(not isinstance(ideal, Exception))
    runs = [outcome(engine(network, mapping, options), stimulus) for engine in ENGINES]
    # Copies for several parts count towards the limit one by one: it may stop the accelerator alone.
    assume(not isinstance(runs[0], Exception))
    asserting()
    for run in runs:
        np.testing.assert_array_equal(spike_table(run), spike_table(ideal))
        assert run.digest == ideal.digest


@asserts_at_least(6)
@few(10)
@given(SEEDS, st.integers(2, 50), st.booleans())
def test_all_delays_times_k_give_all_times_times_k(seed, k, zeros):
    network, _, stimulus, options = random_case(seed)
    network = without_biases_over_time(networks.without_currents(network))
    slow_network = slowed(network, k)
    slow_stimulus = Stimulus(stimulus.time * k, stimulus.neuron)
    chips = [random_chip(seed, network, jitter=False, zeros=zeros, factor=factor) for factor in (1, k)]
    runs = [outcome(engine(network, chips[0], options), stimulus) for engine in ENGINES]
    slow_runs = [outcome(engine(slow_network, chips[1], options), slow_stimulus) for engine in ENGINES]
    if isinstance(runs[0], Exception):
        assert {type(run) for run in runs + slow_runs} == {type(runs[0])}
        return
    asserting()
    for run, slow in zip(runs, slow_runs, strict=True):
        np.testing.assert_array_equal(spike_table(run) * [k, 1, 1, 1], spike_table(slow))
        np.testing.assert_array_equal(run.counters, slow.counters)
        np.testing.assert_array_equal(run.trace.energy, slow.trace.energy)
        assert run.decision_time * k == slow.decision_time
        begun = run.service[run.service["start"] <= run.decision_time]
        for name in ("arrival", "start", "finish", "released"):
            begun[name] *= k
        slow_begun = slow.service[slow.service["start"] <= slow.decision_time]
        np.testing.assert_array_equal(np.sort(begun), np.sort(slow_begun))


@asserts_at_least(5)
@few(10)
@given(SEEDS)
def test_the_order_of_declaration_is_irrelevant(seed):
    network, mapping, stimulus, options = random_case(seed)
    rng = generator(seed)
    populations, projections = list(network.populations.values()), list(network.projections.values())
    shuffled = Network(
        [populations[i] for i in rng.permutation(len(populations))],
        [projections[i] for i in rng.permutation(len(projections))],
    )
    parts = {name: mapping.parts[name] for name in shuffled.populations}
    other = replace(mapping, parts=parts)
    engines = (ReferenceEngine, TwinEngine)
    runs = [outcome(engine(network, mapping, options), stimulus) for engine in engines]
    others = [outcome(engine(shuffled, other, options), stimulus) for engine in engines]
    if isinstance(runs[0], Exception):
        assert {repr(run) for run in runs + others} == {repr(runs[0])}
        return
    asserting()
    for run, again in zip(runs, others, strict=True):
        assert_same_run(run, again)
        np.testing.assert_array_equal(run.parts, again.parts)
