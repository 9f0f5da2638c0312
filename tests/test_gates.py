"""Max gates: exact ones are the maximum at rest, the others pass the spikes of the largest rate."""

from dataclasses import replace

import numpy as np
import pytest
from builders.accelerators import architecture
from builders.cases import parameters_of
from builders.draws import SEEDS
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network, random_stimulus, with_gates, without_currents
from builders.runs import OPTIONS, run
from builders.stimuli import events
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.naive import quantised_network
from oracles.naive_events import TickByTick

import eventsnn
from eventsnn.counting.counters import COLUMN
from eventsnn.engine import make_engine
from eventsnn.errors import EventLimitReached, InvalidNetwork
from eventsnn.hardware import map_network
from eventsnn.network import (
    Axis,
    Dense,
    Identity,
    Input,
    MaxGate,
    MaxPool,
    Network,
    Population,
    Projection,
    Rate,
    Signed,
    leak_factor_of,
)

ENGINE_NAMES = ("reference", "compiled")
ENGINE = st.sampled_from(ENGINE_NAMES)
EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
FILTERS = ("average", "finite_impulse", "exponential")


@asserts_at_least(40)
@given(SEEDS, st.booleans(), st.booleans(), st.integers(0, 2), st.booleans(), ENGINE)
@EXAMPLES
def test_quiescent_gates_are_the_quantised_networks_maxima(seed, delays, lazy, settle, rested, engine):
    """Law 9 with overlapping windows, whatever order +1 and -1 arrive in, from nothing and from rest."""
    network = without_currents(random_network(seed, "signed", delays, lazy))
    network = with_gates(network, seed, settle_time=700 * settle)
    stimulus = random_stimulus(seed, network)
    inputs = np.bincount(stimulus.neuron, minlength=network.populations[network.input].size)
    counts, charges = quantised_network(network, inputs)
    schedules = [OPTIONS]
    if not delays and not lazy:
        schedules.append(replace(OPTIONS, schedule="step", step=700))
    for options in schedules:
        try:
            result = run(network.at_rest() if rested else network, stimulus, engine, options)
        except EventLimitReached:
            return
        for name in network.order:
            if isinstance(network.populations[name].neuron, (Signed, MaxGate)):
                np.testing.assert_array_equal(result.counts[name], counts[name])
            elif name != network.input:
                np.testing.assert_array_equal(result.charge[name], charges[name])
    asserting()


@asserts_at_least(14)
@given(SEEDS, st.sampled_from(["signed", "rate"]), st.sampled_from(("exact", *FILTERS)), ENGINE)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_gates_on_an_accelerator(seed, kind, filter, engine):
    """Law 10: without times the ideal run's spikes; with times, exact gates end at the maximum (law 9)."""
    network = without_currents(random_network(seed, kind))
    network = with_gates(network, seed, filter, **parameters_of(filter))
    stimulus = random_stimulus(seed, network)
    options = replace(OPTIONS, max_events=3000)
    try:
        ideal = run(network, stimulus, engine, options)
        free, slow = (on_chip(network, stimulus, engine, options, scale) for scale in (0, 100))
    except EventLimitReached:
        return
    asserting()
    for name in ("time", "rank", "neuron", "payload"):
        np.testing.assert_array_equal(getattr(free.spikes, name), getattr(ideal.spikes, name))
    if kind == "signed" and filter == "exact":
        for name in network.order:
            np.testing.assert_array_equal(slow.counts[name], ideal.counts[name])


def on_chip(network, stimulus, engine, options, scale):
    """On cores that hold half a population, with these ticks an action."""
    times = dict.fromkeys(
        ("input", "serialise", "hop_x", "hop_y", "decode", "synapse", "update", "fire"), scale
    )
    neurons = max(max(p.shape[1], p.size // 2) for p in network)
    chip = architecture((8, 8), neurons, 2**20, 4, times, {}, {})
    return make_engine(engine, network, map_network(network, chip), options).run(stimulus)


@asserts_at_least(38)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.sampled_from(("exact", *FILTERS)), ENGINE)
@EXAMPLES
def test_gates_equal_every_tick_visited(seed, kind, filter, engine):
    """Laws 2 and 4: which spikes pass at which tick, and how many values were compared."""
    network = random_network(seed, kind)
    populations = [
        replace(p, neuron=replace(p.neuron, period=max(1, p.neuron.period // 40)))
        if getattr(p.neuron, "period", 0)
        else p
        for p in network
    ]
    network = Network(populations, network.projections.values())
    network = with_gates(network, seed, filter, **parameters_of(filter))
    stimulus = random_stimulus(seed, network, span=400)
    try:
        result = run(network, stimulus, engine)
    except EventLimitReached:
        return
    asserting()
    oracle = TickByTick(network, stimulus, result.decision_time, after=50)
    columns = [getattr(result.spikes, name).tolist() for name in ("time", "rank", "neuron", "payload")]
    assert list(zip(*columns, strict=True)) == oracle.spikes
    for rank, name in enumerate(network.order):
        if isinstance(network.populations[name].neuron, MaxGate) and filter != "exact":
            (projection,) = network.incoming(name)
            source, target, _ = network.edges(projection)
            window = np.bincount(target, minlength=network.populations[name].size) - 1
            spikes = result.spikes.neuron[result.spikes.rank == network.order.index(projection.source)]
            looks = np.bincount(spikes, minlength=network.populations[projection.source].size)
            assert result.counters[rank, COLUMN["compares"]] == (window[target] * looks[source]).sum()
        assert not result.counters[rank, COLUMN["neuron_updates"]] or "max" not in name


def gated_rates(rates, gate, size=None):
    """Rate neurons of these quanta per 100 ticks at threshold 100, and one gate over all of them."""
    n = len(rates)
    return Network(
        [
            Population("in", (n, 1, 1), Input()),
            Population("rates", (n, 1, 1), Rate(1000, period=1000)),
            Population("gate", (1, 1, 1), gate),
        ],
        [
            Projection("none", "in", "rates", Identity(np.array([0])), np.array(rates)),
            Projection("pool", "rates", "gate", MaxPool.global_pool((n, 1, 1))),
        ],
    )


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("schedule", ["event", "step"])
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_the_output_rate_tends_to_the_largest_input_rate(engine, schedule, filter):
    """Outside truth A15: 0.13, 0.41 and 0.37 spikes a thousand ticks; but for a start the gate's is 0.41."""
    rates, end = [130, 410, 370], 2_000_000
    factor = leak_factor_of(100.0, 1.0) if filter == "exponential" else 2**30
    network = gated_rates(rates, MaxGate(filter, period=1000, factor=factor))
    options = replace(OPTIONS, max_events=10**6, schedule=schedule, step=1000 if schedule == "step" else 0)
    result = run(network, events(0, duration=end), engine, options)
    assert result.counts["rates"].tolist() == [260, 820, 740]
    gate = result.spikes.time[result.spikes.rank == network.order.index("gate")]
    assert abs(len(gate) - 820) <= 12
    # Once the estimates are apart, exactly the largest one's spikes pass.
    late = result.spikes.rank == network.order.index("rates")
    largest = result.spikes.time[late & (result.spikes.neuron == 1)]
    assert gate[gate > end // 4].tolist() == largest[largest > end // 4].tolist()


def one_gate(gate, n=2):
    return Network(
        [Population("in", (n, 1, 1), Input()), Population("gate", (1, 1, 1), gate)],
        [Projection("p", "in", "gate", MaxPool.global_pool((n, 1, 1)))],
    )


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_an_exact_gate_forwards_the_change_of_its_maximum(engine):
    """Sums (2, 0), (2, 3), (-1, 3), (-1, -2): the gate counts 2, 3, 3, 0."""
    payload = np.array([2, 3, -3, -5])
    stimulus = events(1, 2, 3, 4, neurons=[0, 1, 0, 1], payload=payload)
    result = run(one_gate(MaxGate()), stimulus, engine)
    mine = result.spikes.rank == 1
    assert result.spikes.time[mine].tolist() == [1, 1, 2, 4, 4, 4]
    assert result.spikes.payload[mine].tolist() == [1, 1, 1, -1, -1, -1]
    assert result.counters[1, COLUMN["compares"]] == 4
    assert result.counters[1, COLUMN["neuron_updates"]] == 0
    graded = run(one_gate(MaxGate(graded=True)), stimulus, engine)
    assert graded.spikes.payload[graded.spikes.rank == 1].tolist() == [2, 1, -3]
    lazy = run(one_gate(MaxGate(settle_time=2)), stimulus, engine)
    assert lazy.spikes.time[lazy.spikes.rank == 1].tolist() == [3, 3, 3, 6, 6, 6]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_gate_of_rates_passes_the_winner_after_its_update(engine):
    """Counts after each spike: (0,1) passes, (1,1) a tie to the lowest passes, (1,2) passes, (2,2) passes."""
    stimulus = events(1, 2, 3, 4, 5, neurons=[1, 0, 1, 0, 1])
    result = run(one_gate(MaxGate("average")), stimulus, engine)
    assert result.spikes.time[result.spikes.rank == 1].tolist() == [1, 2, 3, 4, 5]
    stimulus = events(1, 2, 3, 4, neurons=[0, 1, 1, 0])
    result = run(one_gate(MaxGate("average")), stimulus, engine)
    assert result.spikes.time[result.spikes.rank == 1].tolist() == [1, 3, 4]  # the tie at 2 is neuron 0's


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_finite_impulse_estimates_weigh_early_spikes_more(engine):
    """1 at 10; 1/2 + 1/3 + 1/4 at 20, 30, 40 pass 1 only with the last."""
    gate = MaxGate("finite_impulse", period=10)
    result = run(one_gate(gate), events(10, 20, 30, 40, neurons=[0, 1, 1, 1]), engine)
    assert result.spikes.time[result.spikes.rank == 1].tolist() == [10, 40]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_exponential_estimates_decay_on_their_grid(engine):
    """Halved at 10 and 20: two spikes of neuron 0 are worth half a one at 25."""
    gate = MaxGate("exponential", period=10, factor=2**29)
    result = run(one_gate(gate), events(1, 2, 25, 26, neurons=[0, 0, 1, 0]), engine)
    assert result.spikes.time[result.spikes.rank == 1].tolist() == [1, 2, 25, 26]
    result = run(one_gate(gate), events(1, 2, 9, 10, neurons=[0, 0, 1, 1]), engine)
    # 2 and 1 at 9; at the grid tick 10 first 1 and 1/2, then 1 1/2 wins
    assert result.spikes.time[result.spikes.rank == 1].tolist() == [1, 2, 10]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_in_a_step_all_estimates_are_updated_first(engine):
    """Neuron 1 spikes twice and wins though neuron 0 spiked earlier in the step; both its spikes pass."""
    options = replace(OPTIONS, schedule="step", step=10)
    result = run(one_gate(MaxGate("average")), events(0, 1, 2, 15, neurons=[0, 1, 1, 0]), engine, options)
    assert result.spikes.time[result.spikes.rank == 1].tolist() == [10, 10, 20]
    assert result.counters[1, COLUMN["compares"]] == 2


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_padding_is_never_the_maximum_and_costs_no_compare(engine):
    """Windows of 2 over 3 cells padded by 1 at both ends: 1, 2, 2, 1 existing inputs."""
    network = Network(
        [Population("in", (3, 1, 1), Input()), Population("gate", (4, 1, 1), MaxGate())],
        [Projection("p", "in", "gate", MaxPool(Axis(2, 1, 1, 1), Axis(1)))],
    )
    result = run(network, events(0, neurons=[0]), engine)
    assert result.counts["gate"].tolist() == [1, 1, 0, 0]
    assert result.counters[1, COLUMN["compares"]] == 1
    assert result.counters[1, COLUMN["synaptic_operations"]] == 2


def test_gates_survive_a_file(tmp_path):
    network = with_gates(random_network(5, "signed", True), 5, settle_time=30).at_rest()
    assert any(isinstance(p.neuron, MaxGate) for p in network)
    network.save(tmp_path / "net.h5")
    loaded = eventsnn.load(tmp_path / "net.h5")
    assert loaded.checksum == network.checksum
    assert [p.neuron for p in loaded] == [p.neuron for p in network]


POOL = MaxPool.global_pool((2, 1, 1))


def pooled(source, gate, synapses=POOL, bias=None, initial_count=None):
    return Network(
        [
            Population("in", (2, 1, 1), Input()),
            Population("n", (2, 1, 1), source),
            Population("gate", (1, 1, 1), gate, initial_count=initial_count),
        ],
        [Projection("1", "in", "n", Identity(np.array([1]))), Projection("2", "n", "gate", synapses, bias)],
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxGate("median"), "filter is 'median'; allowed are exact"),
        (lambda: MaxGate(settle_time=-1), "settle_time is -1"),
        (lambda: MaxGate("average", graded=True), "graded and settle_time are for exact ones"),
        (lambda: MaxGate("exponential", factor=2**31), "factor is 2147483648"),
        (lambda: MaxGate("finite_impulse", period=0), "period is 0 ticks"),
        (
            lambda: pooled(Rate(5), MaxGate(), Dense(np.ones((2, 1), int))),
            "max_pool synapses end in max gates",
        ),
        (lambda: pooled(Rate(5), Rate(5)), "max_pool synapses end in max gates, and nothing else"),
        (lambda: pooled(Rate(5), MaxGate(), bias=np.array([1])), "exactly one projection, without a bias"),
        (lambda: pooled(Signed(5, 2), MaxGate("average")), "'n' emits signed spikes; use the filter 'exact'"),
        (lambda: pooled(Rate(5), MaxGate(), initial_count=np.array([3], "i4")), "the largest of its window"),
        (lambda: pooled(Rate(5), MaxGate("average")).at_rest(), "'n' of rate neurons never comes to rest"),
        (lambda: one_gate(MaxGate("average")).at_rest(), "'gate' of max_gate neurons never comes to rest"),
    ],
)
def test_gates_that_cannot_be_are_refused(make, message):
    with pytest.raises(InvalidNetwork, match=message):
        make()
