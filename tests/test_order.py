"""Law 2 beyond chains of layers: cycles, named outputs, seeded ties."""

from dataclasses import replace

import numpy as np
import pytest
from builders.draws import SEEDS
from builders.floors import asserting, asserts_at_least
from builders.networks import (
    random_network,
    random_stimulus,
    with_cycles,
    with_gates,
    with_rates,
    without_currents,
)
from builders.runs import OPTIONS, run
from builders.stimuli import events
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.naive import quantised_network
from oracles.naive_events import TickByTick
from oracles.naive_steps import time_stepped

import eventsnn
from eventsnn.decide import parse_rule
from eventsnn.engine.order import EventKey, seeded_place
from eventsnn.engine.seeds import PURPOSE_TIES, draw, sample_key
from eventsnn.errors import EventLimitReached, InvalidNetwork
from eventsnn.network import (
    Dense,
    Identity,
    Input,
    MaxGate,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
)

ENGINE_NAMES = ("reference", "compiled")
ENGINE = st.sampled_from(ENGINE_NAMES)
EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)


# -- cycles ------------------------------------------------------------------------------------------


def one(name, source, target, delay=0, weight=10):
    return Projection(name, source, target, Identity(np.array([weight])), None, delay)


def populations(*names, neuron=None):
    return [
        Population(name, (1, 1, 1), Input() if name == "in" else neuron or Rate(10, multispike=False))
        for name in names
    ]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_ring_carries_a_spike_round(engine):
    """a -> b -> a, 3 and 4 ticks: one spike goes round every 7, until max_events or a decision."""
    ring = Network(
        populations("in", "a", "b", "out"),
        [one("0", "in", "a"), one("1", "a", "b", 3), one("2", "b", "a", 4), one("3", "b", "out", 0, 2)],
    )
    assert ring.order == ("in", "a", "b", "out")
    assert ring.cycles == {"a": {"a", "b"}, "b": {"a", "b"}}
    with pytest.raises(EventLimitReached, match="max_events = 50"):
        run(ring, events(0), engine, replace(OPTIONS, max_events=50))
    stopped = run(ring, events(0), engine, replace(OPTIONS, schedule="step", step=1))
    assert stopped.spikes.time.tolist() == [1, 1]  # rate networks stop with the input
    short = Network(ring.populations.values(), [*list(ring.projections.values())[:3], one("3", "b", "out")])
    options = replace(OPTIONS, exit_rule=parse_rule("max-probability:0.5"))
    result = run(short, events(0), engine, options)
    assert (result.spikes.time.tolist(), result.decision_time) == ([0, 0, 3, 3], 3)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_delivery_backwards_is_tested_at_its_own_tick(engine):
    """b's spike of tick 5 lands on a at 8, after a's own events of that tick, and fires it then."""
    network = Network(
        populations("in", "a", "b"),
        [one("0", "in", "a", 0, 5), one("1", "a", "b", 5), one("2", "b", "a", 3, 5)],
        output="b",
    )
    result = run(network, events(0, 0, 8), engine)
    a = result.spikes.time[result.spikes.rank == 1]
    assert a.tolist() == [0, 8]
    assert result.spikes.time[result.spikes.rank == 2].tolist() == [5, 13]


@given(SEEDS, ENGINE)
@EXAMPLES
def test_recurrent_networks_are_time_stepped_ones(seed, engine):
    """Law 8 with cycles: what goes back arrives d steps later."""
    step = 100
    network = with_rates(without_currents(random_network(seed, "rate")), seed, step)
    network = with_cycles(network, seed, step)
    stimulus = random_stimulus(seed, network, span=15 * step)
    result = run(network, stimulus, engine, replace(OPTIONS, schedule="step", step=step, max_events=10**9))
    steps = result.decision_time // step
    emitted, charge, _ = time_stepped(network, stimulus, step, steps)
    for name in network.order:
        if name != network.input:
            np.testing.assert_array_equal(result.counts[name], emitted[name].sum(axis=0))
            np.testing.assert_array_equal(result.charge[name], charge[name][-1])


def test_rank_is_the_depth_of_the_condensation():
    """b and c are one place on the paths; d, with the shorter direct path, comes after them."""
    network = Network(
        populations("in", "d", "c", "b", "e"),
        [
            one("0", "in", "c"),
            one("1", "c", "b", 1),
            one("2", "b", "c", 1),
            one("3", "b", "d"),
            one("4", "in", "d"),
            one("5", "d", "e"),
            one("6", "in", "e"),
        ],
    )
    assert network.order == ("in", "b", "c", "d", "e")


def test_cycles_and_outputs_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(InvalidNetwork, match="form a cycle through a, b, and '2' in it has no delay"):
        Network(populations("in", "a", "b"), [one("0", "in", "a"), one("1", "a", "b", 1), one("2", "b", "a")])
    with pytest.raises(InvalidNetwork, match="form a cycle through a, and '1' in it has no delay"):
        Network(populations("in", "a"), [one("0", "in", "a"), one("1", "a", "a")])
    loop = [one("0", "in", "a"), one("1", "a", "b", 1), one("2", "b", "a", 1)]
    with pytest.raises(InvalidNetwork, match="exactly one output population; found none"):
        Network(populations("in", "a", "b"), loop)
    with pytest.raises(InvalidNetwork, match="the output is named 'x'"):
        Network(populations("in", "a", "b"), loop, output="x")
    with pytest.raises(InvalidNetwork, match="'c' is not the output, 'a'"):
        Network(
            [*populations("in", "a"), Population("c", (1, 1, 1), Readout())],
            [one("0", "in", "a"), one("1", "a", "c")],
            output="a",
        )
    named = Network(populations("in", "a", "b"), loop, output="a")
    assert (named.output, named.metadata["output"]) == ("a", "a")
    named.save(tmp_path / "net.h5")
    loaded = eventsnn.load(tmp_path / "net.h5")
    assert (loaded.output, loaded.checksum) == ("a", named.checksum)
    assert Network(populations("in", "a", "b"), loop, output="b").checksum != named.checksum
    default = Network(populations("in", "a"), loop[:1])
    assert Network(populations("in", "a"), loop[:1], output="a").checksum == default.checksum
    signed = populations("in", "a", "b", neuron=Signed(10, 3))
    with pytest.raises(InvalidNetwork, match="form a cycle through a, b; whether and where"):
        Network(signed, loop, output="b").at_rest()


# -- ties ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_seeded_ties_reorder_the_neurons_of_a_population(engine):
    """+9 of neuron 0 and -9 of neuron 1 at one tick: who comes first is a hash of seed, sample and time."""
    network = Network(
        [Population("in", (1, 1, 2), Input()), Population("n", (1, 1, 1), Rate(9))],
        [Projection("p", "in", "n", Dense(np.array([[9], [-9]])))],
    )
    stimulus = events(5, 5, neurons=[0, 1])
    assert run(network, stimulus, engine).counts["n"].tolist() == [1]
    found = []
    for seed in range(3):
        for index in range(8):
            options = replace(OPTIONS, ties="seeded", seed=seed)
            result = run(network, stimulus, engine, options, index)
            key = sample_key(seed, index)
            first = draw(key, PURPOSE_TIES, 5, 0, 0) < draw(key, PURPOSE_TIES, 5, 0, 1)
            assert result.counts["n"].tolist() == [int(first)]
            assert result.spikes.neuron[:2].tolist() == [0, 1]  # listed by neuron all the same
            found.append(first)
    assert 6 < sum(found) < 18


def test_a_seeded_place_keeps_all_else_of_the_order():
    place = seeded_place(sample_key(1, 2))
    keys = [
        EventKey(7, r, c, n, o, d)
        for r in (0, 1)
        for c in (0, 1)
        for n in (-1, 3, 4)
        for o in (0, 1)
        for d in (0, 1)
    ]
    ordered = sorted(keys, key=place)
    assert [(k.rank, k.kind) for k in ordered] == sorted((k.rank, k.kind) for k in keys)
    for start in range(0, len(ordered), 12):
        group = ordered[start : start + 12]
        assert group[0].neuron == -1
        for i in range(0, 12, 4):
            assert len({k.neuron for k in group[i : i + 4]}) == 1
            assert [(k.ordinal, k.destination) for k in group[i : i + 4]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert place(EventKey(7, 0, 1, 3, 0, 0))[3] < 2**31


@asserts_at_least(33)
@given(SEEDS, st.integers(0, 3), ENGINE)
@EXAMPLES
def test_final_counts_do_not_depend_on_ties(seed, tie_seed, engine):
    """Outside truth A6: seeded order, delays, gates; every count is the quantised network's."""
    network = without_currents(random_network(seed, "signed", seed % 2 == 0, seed % 3 == 0))
    network = with_gates(network, seed)
    stimulus = random_stimulus(seed, network, span=50)
    inputs = np.bincount(stimulus.neuron, minlength=network.populations[network.input].size)
    counts, charges = quantised_network(network, inputs)
    try:
        result = run(network, stimulus, engine, replace(OPTIONS, ties="seeded", seed=tie_seed))
    except EventLimitReached:
        return
    asserting()
    for name in network.order:
        if isinstance(network.populations[name].neuron, (Signed, MaxGate)):
            np.testing.assert_array_equal(result.counts[name], counts[name])
        elif name != network.input:
            np.testing.assert_array_equal(result.charge[name], charges[name])


@given(SEEDS, ENGINE)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_seeded_runs_repeat_and_depend_on_their_seed(seed, engine):
    network = random_network(seed, "rate")
    stimulus = random_stimulus(seed, network, span=20)
    runs = [run(network, stimulus, engine, replace(OPTIONS, ties="seeded", seed=s)) for s in (1, 1, 2, 3, 4)]
    assert runs[0].digest == runs[1].digest
    np.testing.assert_array_equal(runs[0].counters[0], runs[2].counters[0])


@asserts_at_least(16)
@given(SEEDS, st.integers(0, 2**32 - 1), ENGINE)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_seeded_ties_equal_every_tick_visited(seed, tie_seed, engine):
    """Law 2 to the letter: deliveries of one population and tick in the order of the hash."""
    network = random_network(seed, "rate", seed % 2 == 0)
    populations = [
        replace(p, neuron=replace(p.neuron, period=p.neuron.period // 40 + 1))
        if isinstance(p.neuron, Rate)
        else p
        for p in without_currents(network)
    ]
    projections = [replace(p, delay=p.delay // 40) for p in network.projections.values()]
    network = Network(populations, projections)
    stimulus = random_stimulus(seed, network, span=100)
    try:
        result = run(network, stimulus, engine, replace(OPTIONS, ties="seeded", seed=tie_seed))
    except EventLimitReached:
        return
    asserting()
    key = sample_key(tie_seed, 0)
    oracle = TickByTick(
        network, stimulus, result.decision_time, tie=lambda *words: draw(key, PURPOSE_TIES, *words) >> 22
    )
    columns = [getattr(result.spikes, name).tolist() for name in ("time", "rank", "neuron", "payload")]
    assert list(zip(*columns, strict=True)) == oracle.spikes
