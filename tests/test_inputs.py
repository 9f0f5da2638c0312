"""Payloads, analog values and durations, in both schedules."""

from dataclasses import replace

import numpy as np
import pytest
from builders.draws import SEEDS
from builders.floors import asserting, asserts_at_least
from builders.networks import (
    random_network,
    random_stimulus,
    single,
    with_analog,
    with_payloads,
    with_rates,
    without_currents,
)
from builders.runs import OPTIONS, run
from builders.stimuli import events
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.naive import quantised_network
from oracles.naive_events import analog_sums
from oracles.naive_steps import time_stepped

from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, Stimulus
from eventsnn.errors import ChargeOverflow, EventLimitReached, InvalidEvents, InvalidRequest
from eventsnn.network import (
    Axis,
    Conv2d,
    Identity,
    Input,
    MaxGate,
    MaxPool,
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
STEPS = RunOptions(record_spikes=True, schedule="step", step=10)


def analog(*values, **more):
    return events(analog=np.array(values, dtype=np.int64), **more)


@asserts_at_least(33)
@given(SEEDS, st.booleans(), st.booleans(), st.booleans(), ENGINE)
@EXAMPLES
def test_quiescent_counts_with_payloads_and_analog_values(seed, delays, lazy, rested, engine):
    """Law 9 from graded spikes and analog charges: the quantised network of the weighted sums."""
    network = without_currents(random_network(seed, "signed", delays, lazy))
    stimulus = with_analog(with_payloads(random_stimulus(seed, network), seed), network, seed)
    counts, charges = quantised_network(network, summed(stimulus, network), analog_sums(network, stimulus))
    try:
        result = run(network.at_rest() if rested else network, stimulus, engine)
    except EventLimitReached:
        return
    asserting()
    for name in network.order:
        if isinstance(network.populations[name].neuron, Signed):
            np.testing.assert_array_equal(result.counts[name], counts[name])
        elif name != network.input:
            np.testing.assert_array_equal(result.charge[name], charges[name])
    assert result.first_event == 0


def summed(stimulus, network):
    """What each input neuron sent in all."""
    total = np.zeros(network.populations[network.input].size, dtype=np.int64)
    np.add.at(total, stimulus.neuron, stimulus.payload)
    return total


@asserts_at_least(30)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), ENGINE)
@EXAMPLES
def test_analog_values_in_the_step_schedule(seed, kind, engine):
    """Law 8 with currents and charges from analog values."""
    step = 100
    network = with_rates(random_network(seed, kind, True), seed, step)
    targets = {p.target: network.populations[p.target].neuron for p in network.outgoing(network.input)}
    if any(getattr(neuron, "refractory_drop", False) for neuron in targets.values()):
        return
    asserting()
    stimulus = with_analog(random_stimulus(seed, network, span=10 * step), network, seed)
    result = run(network, stimulus, engine, replace(STEPS, step=step))
    sums = {name: np.array(values) for name, values in analog_sums(network, stimulus).items()}
    flows = {name: targets[name].kind == "rate" or getattr(targets[name], "period", 0) > 0 for name in sums}
    currents = {name: values for name, values in sums.items() if flows[name]}
    charges = {name: values for name, values in sums.items() if not flows[name]}
    steps = result.decision_time // step
    emitted, charge, _ = time_stepped(network, stimulus, step, steps, currents, charges)
    for rank, name in enumerate(network.order):
        if name == network.input:
            continue
        np.testing.assert_array_equal(result.counts[name], emitted[name].sum(axis=0))
        np.testing.assert_array_equal(result.charge[name], charge[name][-1])
        fed = [p for p in network.incoming(name) if p.source == network.input]
        if len(fed) == len(network.incoming(name)):
            assert result.counters[rank, COLUMN["multiplications"]] == sum(network.synapses(p) for p in fed)


@pytest.mark.parametrize("options", [OPTIONS, STEPS])
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_payload_multiplies_the_weight(engine, options):
    """+3 and -1 over a weight of 5; a multiplication for the 3 alone, one synaptic operation each."""
    stimulus = events(4, 25, payload=np.array([3, -1]))
    result = run(single(Readout(), 5), stimulus, engine, options)
    assert result.charge["n"].tolist() == [10]
    assert result.spikes.payload.tolist() == [3, -1]
    assert result.counters[0, COLUMN["input_events"]] == 2
    assert result.counters[1, COLUMN["multiplications"]] == 1
    assert result.counters[1, COLUMN["synaptic_operations"]] == 2


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_spikes_of_one_neuron_at_one_tick_keep_their_order(engine):
    """First +9, then -9 at threshold 9: it fires; the other way round it does not."""
    for payload, count in (([9, -9], 1), ([-9, 9], 0)):
        stimulus = events(4, 4, payload=np.array(payload))
        assert run(single(Rate(9)), stimulus, engine).counts["n"].tolist() == [count]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_an_analog_value_is_a_current_for_rate_neurons(engine):
    """3 x 64 parts of 256 are 0.75 and round to 1 quantum per 10 ticks: threshold 2 at 20, 40, ..."""
    network = single(Rate(2, period=10), 3)
    result = run(network, analog(64, duration=50), engine)
    assert result.spikes.time.tolist() == [20, 40]
    assert result.decision_time == 50
    assert result.counters[1, COLUMN["current_updates"]] == 5
    assert result.counters[1, COLUMN["multiplications"]] == 1
    assert result.counters[1, COLUMN["synaptic_operations"]] == 0
    assert result.trace.time[0] == 20


@pytest.mark.parametrize(
    ("value", "quanta"), [(127, 0), (128, 1), (-127, 0), (-128, -1), (384, 2), (-384, -2)]
)
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_halves_of_a_quantum_round_away_from_zero(engine, value, quanta):
    assert run(single(Readout()), analog(value), engine).charge["n"].tolist() == [quanta]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_an_analog_value_is_a_charge_for_signed_neurons(engine):
    """Charge 4 of threshold 8, 20 more: 24 // 8 = 3 counts at tick 0, whatever the projection's delay."""
    network = single(Signed(8, 5), 20)
    network = Network(network.populations.values(), [replace(network.projections["p"], delay=700)])
    result = run(network, analog(256), engine)
    assert result.spikes.time.tolist() == [0, 0, 0]
    assert result.counters[1, COLUMN["neuron_updates"]] == 1
    assert result.decision_time == 0


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_analog_multiplications_count_every_synapse(engine):
    """Zeros too: a dense computation of all existing synapses, at the border as well."""
    conv = Conv2d(np.ones((3, 3, 1, 2), int), Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))
    network = Network(
        [Population("in", (4, 4, 1), Input()), Population("n", (4, 4, 2), Signed(1000, 3))],
        [Projection("p", "in", "n", conv)],
    )
    result = run(network, analog(*[0] * 16), engine)
    assert result.counters[1, COLUMN["multiplications"]] == network.synapses() == 2 * 100
    assert result.counters[1, COLUMN["neuron_updates"]] == 32


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_currents_flow_until_the_end_of_the_duration(engine):
    network = single(Rate(10, period=10), 0, bias=np.array([10]))
    assert run(network, events(5), engine).spikes.time.tolist() == [5]
    result = run(network, events(5, duration=35), engine)
    assert result.spikes.time[result.spikes.rank == 1].tolist() == [10, 20, 30]
    assert result.decision_time == 35
    assert result.charge["n"].tolist() == [5]


def test_the_end_of_a_stimulus():
    assert events(5, 9).end == 9
    assert events(5, 9, duration=7).end == 9
    assert events(5, 9, duration=12).end == 12
    assert (analog(1).end, analog(1).first) == (0, 0)
    assert (events(5, 9).first, events(5, analog=np.array([1])).first) == (5, 0)


TWO = single(Readout(), inputs=2)


@pytest.mark.parametrize(
    ("stimulus", "message"),
    [
        (events(), "neither events nor analog values"),
        (events(5, 3), "not sorted by"),
        (Stimulus(np.array([5, 5]), np.array([1, 0])), "not sorted by"),
        (Stimulus(np.array([5]), np.array([2])), "input neurons are 2 to 2; the population 'in' has 0 to 1"),
        (Stimulus(np.array([5]), np.array([-1])), "input neurons are -1"),
        (Stimulus(np.array([5, 6]), np.array([1])), "input neuron has shape"),
        (Stimulus(np.array([0.5]), np.array([1])), "input time has shape .* dtype float64"),
        (events(-1), "ticks from 0"),
        (events(5, payload=np.array([0])), "payload is 0"),
        (events(5, payload=np.array([1, 2])), "input payload has shape"),
        (events(5, payload=np.array([2**31])), "leaves the 32-bit range"),
        (events(5, duration=-1), "duration is -1 ticks"),
        (analog(1, 2, 3), "analog values have shape"),
        (events(analog=np.array([0.5, 1.0])), "dtype float64"),
    ],
)
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_what_is_no_stimulus_is_refused(engine, stimulus, message):
    with pytest.raises(InvalidEvents, match=message):
        run(TWO, stimulus, engine)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (single(Rate(9, lower_clamp=-5), -1), OPTIONS, "lower clamp and negative biases"),
        (single(Rate(9, multispike=False)), OPTIONS, "no definite time to fire"),
        (single(Rate(9, refractory=10, refractory_drop=True, period=10)), STEPS, "drops charge while"),
        (single(Rate(9, period=20)), STEPS, "per 20 ticks, a step is 10"),
    ],
)
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_currents_of_analog_values_are_checked_as_biases_are(engine, network, options, message):
    with pytest.raises(InvalidRequest, match=message):
        run(network, analog(256), engine, options)
    run(network, analog(0), engine, options)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_analog_values_beyond_32_bits_are_refused(engine):
    with pytest.raises(InvalidEvents, match="give neuron 0 of population 'n' 2147483648 quanta"):
        run(single(Rate(9), 2**20, scale=1), analog(2**11), engine)
    with pytest.raises(ChargeOverflow, match="population 'n' is about to leave the 32-bit range"):
        run(single(Signed(2**20, 5), 1, scale=1), analog(2**31 - 1), engine)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_analog_values_cannot_feed_max_gates(engine):
    network = Network(
        [Population("in", (2, 2, 1), Input()), Population("gate", (1, 1, 1), MaxGate())],
        [Projection("p", "in", "gate", MaxPool.global_pool((2, 2, 1)))],
    )
    with pytest.raises(InvalidEvents, match="cannot feed the max gates 'gate'"):
        run(network, analog(1, 2, 3, 4), engine)
    with pytest.raises(InvalidEvents, match="analog_scale"):
        run(network, analog(1), engine)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_analog_values_add_over_the_projections_and_to_biases(engine):
    """0.4 + 0.4 quanta of two projections round to 1 together; the bias of 2 makes 3."""
    network = Network(
        [Population("in", (1, 1, 1), Input(analog_scale=10)), Population("n", (1, 1, 1), Readout())],
        [
            Projection("a", "in", "n", Identity(np.array([1])), np.array([2])),
            Projection("b", "in", "n", Identity(np.array([1]))),
        ],
    )
    result = run(network, analog(4), engine)
    assert result.charge["n"].tolist() == [3]
    assert result.counters[1, COLUMN["multiplications"]] == 2
