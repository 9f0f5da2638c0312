"""Laws of the step schedule on random accelerators: engines agree, networks do what they do without one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from builders.cases import random_case
from builders.draws import SEEDS, few, generator
from builders.floors import asserting, asserts_at_least
from builders.runs import assert_same_run
from builders.step_chips import random_step_mapping, synchronised
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles.leaky import leaky_case
from oracles.naive_chip import Chip as NaiveChip
from oracles.naive_chip import ChipNet, run_chip
from oracles.naive_steps import by_step

from eventsnn.counting.counters import COLUMN, MODEL_COUNTERS
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.errors import ChargeOverflow, EventLimitReached, InvalidNetwork, InvalidRequest
from eventsnn.hardware import Chip
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate

FEATURES = (
    "step",
    "refractory",
    "leak",
    "gate",
    "rate_gate",
    "softmax",
    "cycle",
    "analog",
    "history",
    "lowest",
)
FEATURE = st.sampled_from(FEATURES)
KIND = st.sampled_from(["barrier", "dependency"])
ENGINES = ("reference", "compiled")
ENGINE = st.sampled_from(ENGINES)


def drawn_case(seed, feature):
    """A random network of the step schedule, its input and options."""
    try:
        network, stimulus, options = random_case(seed, feature, True)
    except (InvalidNetwork, InvalidRequest):
        assume(False)
    return network, stimulus, options


def run(engine, network, mapping, stimulus, options):
    try:
        return make_engine(engine, network, mapping, options).run(stimulus, 3)
    except (EventLimitReached, ChargeOverflow, InvalidRequest):
        return assume(False)


def check_agreement(seed, feature, log, **chip):
    network, stimulus, options = drawn_case(seed, feature)
    mapping = random_step_mapping(seed, network, **chip)
    options = replace(options, record_service=log)
    one, other = (run(engine, network, mapping, stimulus, options) for engine in ENGINES)
    asserting()
    assert_same_run(one, other)
    np.testing.assert_array_equal(one.parts, other.parts)
    assert (one.history is None) == (other.history is None)
    if one.history is not None:
        for name in ("time", "counters", "readout"):
            np.testing.assert_array_equal(getattr(one.history, name), getattr(other.history, name), name)
    rows, ranks = [], [network.order.index(name) for name in network.order for _ in mapping.parts[name]]
    told_apart = [COLUMN[name] for name in ("spikes_positive", "messages_sent", "neuron_accesses", "steps")]
    rows = np.zeros_like(one.counters)
    np.add.at(rows, ranks, one.parts)
    np.testing.assert_array_equal(rows[:, told_apart], one.counters[:, told_apart])
    return one


@asserts_at_least(24)
@few(40)
@given(SEEDS, FEATURE, KIND)
def test_the_engines_agree_on_plain_chips(seed, feature, kind):
    check_agreement(seed, feature, False, kind=kind)


@asserts_at_least(9)
@few(15)
@given(SEEDS, FEATURE, st.booleans(), st.booleans())
def test_the_engines_agree_on_totals(seed, feature, jitter, log):
    check_agreement(seed, feature, log, kind="barrier", timing="totals", jitter=jitter)


@asserts_at_least(36)
@few(60)
@given(SEEDS, FEATURE, KIND, *[st.booleans()] * 4)
def test_the_engines_agree_on_chips_with_links_bounded_queues_and_random_times(
    seed, feature, kind, log, jitter, links, depth
):
    depth = depth and kind == "barrier"
    check_agreement(seed, feature, log, kind=kind, jitter=jitter, links=links, depth=depth)


def test_random_chips_make_messages_wait_and_hold_their_senders():
    waited = held = shared = split = 0
    for seed in range(40):
        try:
            network, stimulus, options = random_case(seed, "step", True)
        except InvalidNetwork:
            continue
        mapping = random_step_mapping(seed, network, links=True, depth=True)
        options = replace(options, record_service=True, max_events=10**6)
        log = make_engine("compiled", network, mapping, options).run(stimulus).service
        waited += bool((log["start"] > log["arrival"]).any())
        held += bool((log["released"] > log["finish"])[log["kind"] == 0].any())
        cores = [part.core for parts in mapping.parts.values() for part in parts]
        shared += len(set(cores)) < len(cores)
        split += len(cores) > len(mapping.parts)
    assert min(waited, held, shared, split) >= 10


@asserts_at_least(24)
@few(40)
@given(SEEDS, FEATURE, KIND, ENGINE)
def test_a_network_does_on_a_chip_what_it_does_without(seed, feature, kind, engine):
    network, stimulus, options = drawn_case(seed, feature)
    ideal = run(engine, network, None, stimulus, options)
    chip = run(engine, network, random_step_mapping(seed, network, kind), stimulus, options)
    asserting()
    for name in ("time", "rank", "neuron", "payload"):
        np.testing.assert_array_equal(getattr(chip.spikes, name), getattr(ideal.spikes, name))
    model = [COLUMN[name] for name in MODEL_COUNTERS]
    np.testing.assert_array_equal(chip.counters[:, model], ideal.counters[:, model])
    for name in ("readout", "synaptic_operations", "spikes"):
        np.testing.assert_array_equal(getattr(chip.trace, name), getattr(ideal.trace, name))
    for name in network.order:
        np.testing.assert_array_equal(chip.counts[name], ideal.counts[name])
        np.testing.assert_array_equal(chip.charge[name], ideal.charge[name])
        for cause in chip.lost:
            np.testing.assert_array_equal(chip.lost[cause][name], ideal.lost[cause][name])
    assert (chip.prediction, chip.decided_early) == (ideal.prediction, ideal.decided_early)


@asserts_at_least(15)
@few(25)
@given(SEEDS, FEATURE, KIND, ENGINE)
def test_a_history_holds_the_steps_that_were_over_on_the_chip(seed, feature, kind, engine):
    network, stimulus, options = drawn_case(seed, feature)
    mapping = random_step_mapping(seed, network, kind)
    decided = run(engine, network, mapping, stimulus, options).decision_time
    period = max(1, decided // (1 + seed % 40))
    found = run(engine, network, mapping, stimulus, replace(options, history_period=period))
    asserting()
    history, trace = found.history, found.trace
    assert history.time.tolist() == [period * (i + 1) for i in range(max(1, -(-decided // period)))]
    np.testing.assert_array_equal(history.counters[-1], found.counters)
    total = history.counters.sum(axis=1)[:, COLUMN["synaptic_operations"]]
    for row, time in enumerate(history.time[:-1]):
        seen, later = np.flatnonzero(trace.time <= time), np.flatnonzero(trace.time > time)
        if len(seen):
            np.testing.assert_array_equal(history.readout[row], trace.readout[seen[-1]])
            assert total[row] >= trace.synaptic_operations[seen[-1]]
        if len(later):
            assert total[row] <= trace.synaptic_operations[later[0]]


@asserts_at_least(12)
@few(20)
@given(SEEDS, FEATURE, ENGINE)
def test_a_chip_without_times_in_the_pace_of_its_input_gives_the_ideal_run(seed, feature, engine):
    network, stimulus, options = drawn_case(seed, feature)
    at_once = synchronised(pace="input", latency=[])
    mapping = random_step_mapping(seed, network, change=at_once, zero=1.0)
    ideal = run(engine, network, None, stimulus, options)
    found = run(engine, network, mapping, stimulus, options)
    asserting()
    np.testing.assert_array_equal(found.trace.time, ideal.trace.time)
    for name in ("digest", "decision_time", "first_event"):
        assert getattr(found, name) == getattr(ideal, name)
    assert (found.history is None) == (ideal.history is None)
    if ideal.history is not None:
        model = [COLUMN[name] for name in MODEL_COUNTERS]
        for name in ("time", "readout"):
            np.testing.assert_array_equal(getattr(found.history, name), getattr(ideal.history, name), name)
        np.testing.assert_array_equal(found.history.counters[..., model], ideal.history.counters[..., model])


@asserts_at_least(15)
@few(25)
@given(SEEDS, FEATURE, ENGINE)
def test_adding_up_never_takes_longer_than_following_messages(seed, feature, engine):
    network, stimulus, options = drawn_case(seed, feature)
    runs = []
    for timing in ("totals", "messages"):
        mapping = random_step_mapping(seed, network, change=synchronised(timing=timing, pace="free"))
        runs.append(run(engine, network, mapping, stimulus, options))
    asserting()
    assert [found.first_event for found in runs] == [0, 0]
    assert (runs[0].trace.time <= runs[1].trace.time).all()


@asserts_at_least(15)
@few(25)
@given(SEEDS, FEATURE, st.booleans(), ENGINE)
def test_waiting_for_whom_one_hears_is_no_slower_than_a_barrier_that_takes_no_time(
    seed, feature, links, engine
):
    network, stimulus, options = drawn_case(seed, feature)
    runs = []
    for kind in ("dependency", "barrier"):
        change = synchronised(kind=kind, latency=[])
        mapping = random_step_mapping(seed, network, change=change, links=links)
        runs.append(run(engine, network, mapping, stimulus, options))
    asserting()
    assert (runs[0].trace.time <= runs[1].trace.time).all()


@asserts_at_least(15)
@few(25)
@given(SEEDS, FEATURE, st.sampled_from(["margin:0.4", "max-probability:0.6"]), KIND, ENGINE)
def test_an_exit_run_is_a_prefix(seed, feature, rule, kind, engine):
    network, stimulus, options = drawn_case(seed, feature)
    mapping = random_step_mapping(seed, network, kind)
    full = run(engine, network, mapping, stimulus, replace(options, exit_rule=None))
    stopped = run(engine, network, mapping, stimulus, replace(options, exit_rule=parse_rule(rule)))
    asserting()
    checks = len(stopped.trace.time)
    for name in ("time", "readout", "synaptic_operations", "spikes", "energy"):
        np.testing.assert_array_equal(getattr(stopped.trace, name), getattr(full.trace, name)[:checks], name)
    thought = make_engine("reference", network, mapping, options).chip.decision
    if stopped.decided_early:
        assert stopped.decision_time == stopped.trace.time[-1] + thought
    else:
        assert stopped.decision_time == full.decision_time == full.trace.time[-1]


@asserts_at_least(15)
@few(25)
@given(SEEDS, FEATURE, KIND, st.booleans())
def test_messages_are_conserved_and_serve_the_synapses_of_their_spikes(seed, feature, kind, links):
    network, stimulus, options = drawn_case(seed, feature)
    mapping = random_step_mapping(seed, network, kind, links=links)
    found = run("compiled", network, mapping, stimulus, options)
    asserting()
    total = dict(zip(COLUMN, found.counters.sum(axis=0).tolist(), strict=True))
    assert total["messages_sent"] == total["messages_received"]
    assert total["messages_dropped"] == 0
    served = 0
    for projection in network.projections.values():
        mine = found.spikes.rank == network.order.index(projection.source)
        served += int(network.fan_out(projection)[found.spikes.neuron[mine]].sum())
    assert total["synapses_served"] == served
    if not any(projection.delay for projection in network.projections.values()):
        assert total["synaptic_operations"] == served


@asserts_at_least(7)
@few(12)
@given(SEEDS, FEATURE, KIND, st.integers(2, 7))
def test_all_times_scale(seed, feature, kind, factor):
    """Law 10: a free-running chip with all its times times a factor takes that factor longer."""
    network, stimulus, options = drawn_case(seed, feature)
    runs = []
    for scale in (1, factor):

        def scaled(document, scale=scale):
            return scale_times(synchronised(pace="free")(document), scale)

        mapping = random_step_mapping(seed, network, kind, scaled, links=bool(seed % 2))
        runs.append(run("compiled", network, mapping, stimulus, options))
    asserting()
    np.testing.assert_array_equal(runs[1].trace.time, factor * runs[0].trace.time)


def scale_times(document, factor):
    if isinstance(document, dict):
        if document.get("unit") == "ps":
            return document | {"value": document["value"] * factor}
        return {key: scale_times(value, factor) for key, value in document.items()}
    if isinstance(document, list):
        return [scale_times(value, factor) for value in document]
    return document


@pytest.mark.parametrize("engine", ENGINES)
def test_a_leaky_network_behind_barriers_for_a_thousand_steps(engine):
    """Outside truth A7 on a chip: barriers keep layers in step."""
    network, stimulus, expected, _ = leaky_case()
    mapping = random_step_mapping(5, network)
    found = make_engine(engine, network, mapping, RunOptions(schedule="step", record_spikes=True)).run(
        stimulus
    )
    for name, fired in expected.items():
        np.testing.assert_array_equal(by_step(found, network, name, 10**6, 1000), fired)
    assert found.counters[:, COLUMN["steps"]].sum() == 1000


# -- the oracle ------------------------------------------------------------------------------------------


def chain(seed):
    """Layers one behind the other that answer a step later: what the oracle knows."""
    rng = generator(seed)
    sizes = [int(n) for n in rng.integers(2, 9, int(rng.integers(3, 6)))]
    populations, projections = [Population("0", (1, 1, sizes[0]), Input())], []
    for i, (n, m) in enumerate(pairwise(sizes)):
        neuron = Rate(int(rng.integers(1, 12)), strict=True, reset="hard", multispike=False, period=1000)
        bias = rng.integers(-2, 4, m) * (rng.random(m) < 0.5) if rng.random() < 0.5 else None
        populations.append(Population(str(i + 1), (1, 1, m), neuron, bias=bias))
        synapses = Dense(rng.integers(-4, 10, (n, m)))
        projections.append(Projection(str(i), str(i), str(i + 1), synapses, None, 1000))
    return Network(populations, projections)


def as_oracle(network, mapping):
    """The network and its mapping in the oracle's words; neurons are numbered by rank."""
    first, core, threshold, is_input, bias = {}, [], [], [], []
    for population in network:
        first[population.name] = len(core)
        for channel in range(population.size):
            core += [p.core for p in mapping.parts[population.name] if p.c0 <= channel < p.c1]
        threshold += [getattr(population.neuron, "threshold", 0)] * population.size
        bias += network.bias(population.name).tolist()
        is_input += [isinstance(population.neuron, Input)] * population.size
    synapses = []
    for p in network.projections.values():
        source, target, weight = network.edges(p)
        synapses.append([source + first[p.source], target + first[p.target], weight])
    source, target, weight = np.concatenate(synapses, axis=1)
    kind = np.zeros_like(source)
    of_neurons = (np.array(values) for values in (is_input, threshold, core))
    return ChipNet(*of_neurons, source, target, weight, kind, np.array(bias))


def chip_of_oracle(mapping):
    """A chip of constant times in the oracle's words; its energies are attojoules."""
    architecture, chip = mapping.architecture, Chip(mapping)
    height = architecture.network_on_chip.height
    costs = {}
    for name, ours in {
        "send": "serialise", "receive": "decode", "access": "access", "update": "update", "spike": "fire",
        "hop_x": "hop_x", "hop_y": "hop_y", "synapse": "synapse",
    }.items():  # fmt: skip
        action = architecture.action(ours, 0)
        costs[name] = action.time.ticks(1e9), architecture.energy_attojoules(action)
    hops, synapse = zip(costs.pop("hop_x"), costs.pop("hop_y"), strict=True), costs.pop("synapse")
    hop_ps, hop_fj = hops
    return NaiveChip(
        {core: divmod(architecture.tile(core), height) for core in range(architecture.number_of_cores)},
        barrier_ps=chip.barrier, hop_ps=hop_ps, hop_fj=hop_fj, synapse_ps=synapse[:1], synapse_fj=synapse[1:],
        **{f"{name}_ps": time for name, (time, _) in costs.items()},
        **{f"{name}_fj": energy for name, (_, energy) in costs.items()},
    )  # fmt: skip


@asserts_at_least(36)
@few(60)
@given(SEEDS, ENGINE, st.sampled_from(["messages", "totals"]))
def test_chains_of_layers_on_shared_cores_are_the_oracles(seed, engine, timing):
    network, steps = chain(seed), 12

    def known_to_the_oracle(document):
        document["cores"]["one"]["processing_elements"]["value"] = 1
        return synchronised(pace="free", timing=timing)(document)

    mapping = random_step_mapping(seed, network, change=known_to_the_oracle, port=False)
    rng = generator(seed, 1)
    spikes = rng.random((steps, network.populations[network.input].size)) < 0.4
    step, neuron = np.nonzero(spikes)
    stimulus = Stimulus(step * 1000, neuron, duration=steps * 1000)
    found = run(engine, network, mapping, stimulus, RunOptions(schedule="step"))
    asserting()
    oracle = run_chip(as_oracle(network, mapping), chip_of_oracle(mapping), spikes)
    chip = Chip(mapping)
    times = oracle["event_driven_ps" if timing == "messages" else "simple_ps"]
    assert found.decision_time == sum(times) + steps * chip.step
    total = dict(zip(COLUMN, found.counters.sum(axis=0).tolist(), strict=True))
    names = {
        "synapses_served": "synaptic_events", "messages_sent": "messages", "hops_x": "hops_x",
        "hops_y": "hops_y", "active_updates": "updates", "neuron_accesses": "accesses",
    }  # fmt: skip
    for ours, theirs in names.items():
        assert total[ours] == oracle[theirs]
    step_energy = mapping.architecture.energy_attojoules(mapping.architecture.actions.step)
    assert found.trace.energy[-1] == oracle["total_fj"] + steps * step_energy
