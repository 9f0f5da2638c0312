"""Start times (the voltage clamp), tests each few steps, charges of single rate neurons."""

from dataclasses import replace

import numpy as np
import pytest
from builders.accelerators import random_mapping
from builders.cases import random_case
from builders.draws import SEEDS
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network, random_stimulus, single, with_payloads, with_rates, with_starts
from builders.runs import OPTIONS, assert_same_run, run
from builders.step_chips import random_step_mapping
from builders.stimuli import events
from builders.ticks import drawn_stimulus, shrunk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.naive_events import TickByTick
from oracles.naive_steps import by_step, time_stepped

from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.engine.request import number_of_steps
from eventsnn.errors import ChargeOverflow, EventLimitReached, InvalidNetwork, InvalidRequest
from eventsnn.network import Network, Rate, Readout, Signed, load_network
from eventsnn.network.bounds import InputLimits, charge_bound

ENGINE = st.sampled_from(["reference", "compiled"])
KINDS = st.sampled_from(["rate", "rate", "mixed"])
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)


def with_rate_neurons(network, **changes):
    """The same network with parameters of its rate neurons changed."""
    populations = [
        replace(p, neuron=replace(p.neuron, **changes)) if isinstance(p.neuron, Rate) else p for p in network
    ]
    return Network(populations, network.projections.values())


def expected_operations(network, result, name):
    """Existing synapses of the spikes that landed at the start or later, one spike after the other."""
    start = getattr(network.populations[name].neuron, "start_time", 0)
    start += 1 if start and result.stepped else 0
    found = 0
    for projection in network.incoming(name):
        fan_out = network.fan_out(projection)
        mine = result.spikes.rank == network.order.index(projection.source)
        landed = result.spikes.time[mine] + projection.delay
        counted = (landed >= start) & (landed <= result.decision_time)
        found += int(fan_out[result.spikes.neuron[mine][counted]].sum())
    return found


@asserts_at_least(30)
@given(SEEDS, KINDS, st.booleans(), ENGINE)
@EXAMPLES
def test_the_event_schedule_equals_every_tick_visited(seed, kind, delays, engine):
    network = with_starts(shrunk(with_rates(random_network(seed, kind, delays), seed)), seed, 400)
    stimulus = drawn_stimulus(seed, network)
    try:
        result = run(network, stimulus, engine)
    except EventLimitReached:
        return
    asserting()
    oracle = TickByTick(network, stimulus, result.decision_time, after=100)
    columns = [getattr(result.spikes, name).tolist() for name in ("time", "rank", "neuron", "payload")]
    assert list(zip(*columns, strict=True)) == oracle.spikes
    for rank, name in enumerate(network.order):
        neuron = network.populations[name].neuron
        assert result.charge[name].tolist() == oracle.charge[rank]
        if name == network.input:
            continue
        assert result.counts[name].tolist() == oracle.count[rank]
        operations = result.counters[rank, COLUMN["synaptic_operations"]]
        object.__setattr__(result, "stepped", False)
        assert operations == expected_operations(network, result, name)
        biased = np.count_nonzero(oracle.current[rank])
        if biased:
            flowed = max(0, min(result.decision_time, stimulus.end) - neuron.start_time)
            assert result.counters[rank, COLUMN["current_updates"]] == biased * (flowed // neuron.period)


@asserts_at_least(35)
@given(SEEDS, KINDS, st.booleans(), st.sampled_from(["reference", "compiled", "float64"]))
@EXAMPLES
def test_the_step_schedule_is_a_time_stepped_network(seed, kind, delays, engine):
    step = 1 + seed % 1500
    network = with_rates(random_network(seed, kind, delays), seed, step)
    if engine == "float64":
        network = with_rate_neurons(network, leak_period=0, leak_factor=2**30)
    network = with_starts(network, seed, 20 * step, step)
    stimulus = random_stimulus(seed, network, span=20 * step)
    if seed % 2:
        stimulus = with_payloads(stimulus, seed)
    options = RunOptions(schedule="step", step=step, record_spikes=True)
    result = make_engine(engine, network, None, options).run(stimulus)
    steps = result.decision_time // step
    settles = all(p.neuron.kind != "rate" and getattr(p.neuron, "period", 0) == 0 for p in network)
    if settles or steps != number_of_steps(stimulus, step):
        return
    asserting()
    emitted, charge, lost = time_stepped(network, stimulus, step, steps)
    object.__setattr__(result, "stepped", True)
    for rank, name in enumerate(network.order):
        np.testing.assert_array_equal(by_step(result, network, name, step, steps), emitted[name])
        if name == network.input:
            continue
        np.testing.assert_array_equal(result.charge[name], charge[name][-1])
        for cause in result.lost:
            np.testing.assert_array_equal(result.lost[cause][name], lost[name][cause])
        neuron, row = network.populations[name].neuron, result.counters[rank]
        assert row[COLUMN["synaptic_operations"]] == expected_operations(network, result, name)
        if neuron.kind == "rate":
            period = neuron.test_period or step
            tested = [
                t for t in range(step, steps * step + 1, step) if t > neuron.start_time and not t % period
            ]
            assert row[COLUMN["neuron_updates"]] == len(tested) * len(charge[name][0])


@asserts_at_least(20)
@given(SEEDS, st.booleans())
@EXAMPLES
def test_engines_and_twin_agree_on_accelerators(seed, stepped):
    """Every field of the runs, on chips that follow messages, in both schedules."""
    network, stimulus, options = random_case(seed, "start", stepped)
    options = replace(options, record_service=True, history_period=options.history_period if stepped else 0)
    stimulus = stimulus if stepped else replace(stimulus, analog=None, duration=None)
    try:
        mapping = random_step_mapping(seed, network) if stepped else random_mapping(seed + 1, network)
        assume(mapping is not None)
        runs = [make_engine(n, network, mapping, options).run(stimulus, 3) for n in ("reference", "compiled")]
    except (EventLimitReached, ChargeOverflow, InvalidRequest, InvalidNetwork):
        return
    runs.append(make_engine("twin", network, mapping, options).run(stimulus, 3))
    asserting()
    for other in runs[1:]:
        assert_same_run(runs[0], other)
        np.testing.assert_array_equal(runs[0].parts, other.parts)


# -- by hand -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_one_held_neuron_by_hand(engine):
    """Threshold 10, current 3 a tick, weight 4, held until tick 5, of three spikes at 4, 5 and 9.

    The spike at 4 is dropped. Charge at 5: 0 + 4. At tick 7 it is 4 + 6 = 10: the first spike. At 9:
    6 + 4 = 10, the second. At 12 (the end) 9 is left.
    """
    network = single(Rate(10, period=1, start_time=5), 4, [3])
    stimulus = Stimulus(np.array([4, 5, 9]), np.zeros(3, dtype=np.int64), duration=12)
    result = run(network, stimulus, engine)
    mine = result.spikes.rank == 1
    assert result.spikes.time[mine].tolist() == [7, 9]
    assert result.charge["n"].tolist() == [9]
    row = dict(zip(COLUMN, result.counters[1].tolist(), strict=False))
    assert (row["synaptic_operations"], row["effective_synaptic_operations"]) == (2, 2)
    assert (row["neuron_updates"], row["current_updates"]) == (3, 7)
    assert not any(lost["n"].any() for lost in result.lost.values())


@pytest.mark.parametrize("engine", ["reference", "compiled", "float64"])
def test_one_held_neuron_in_steps_by_hand(engine):
    """Steps of 2, held until 4: of the spikes at 1, 4 and 8 in steps 0, 2 and 4 the first is dropped.

    Current 3 a step, weight 4, threshold 10: 7 after step 2, 10 in step 3 (a spike, 0 left), 7 after step 4.
    """
    network = single(Rate(10, period=2, start_time=4), 4, [3])
    stimulus = Stimulus(np.array([1, 4, 8]), np.zeros(3, dtype=np.int64))
    options = RunOptions(schedule="step", record_spikes=True)
    result = make_engine(engine, network, None, options).run(stimulus)
    assert result.spikes.time[result.spikes.rank == 1].tolist() == [8]
    assert result.charge["n"].tolist() == [7]
    row = dict(zip(COLUMN, result.counters[1].tolist(), strict=False))
    assert (row["synaptic_operations"], row["neuron_updates"], row["current_updates"]) == (2, 3, 3)


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_readout_is_held_by_hand(engine):
    """Current 3 each 2 ticks from tick 5 on: floor(27 / 2) - floor(15 / 2) = 6 by tick 9, one spike of 4."""
    network = single(Readout(period=2, start_time=5), 4, [3])
    result = run(network, events(1, 9), engine)
    assert result.charge["n"].tolist() == [6 + 4]
    assert result.trace.time.tolist() == [9, 9]
    assert result.counters[1, COLUMN["synaptic_operations"]] == 1


@pytest.mark.parametrize("engine", ["reference", "compiled", "float64"])
@pytest.mark.parametrize(("one", "times"), [(False, [3, 3, 6, 6]), (True, [3, 6])])
def test_a_neuron_tested_each_third_step_by_hand(engine, one, times):
    """11 a step, threshold 16: 33 at the first test (2 spikes or 1), what is over waits for the next."""
    network = single(Rate(16, period=1, test_period=3, multispike=not one), 11)
    stimulus = events(*range(6))
    options = RunOptions(schedule="step", record_spikes=True)
    result = make_engine(engine, network, None, options).run(stimulus)
    assert result.spikes.time[result.spikes.rank == 1].tolist() == times
    assert result.charge["n"].tolist() == [66 - 16 * len(times)]


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_charges_of_single_neurons_by_hand(engine):
    """Charges 9 and -5, threshold 10: one spike of weight 4 makes the first fire, not the second."""
    network = single(Rate(10), 4)
    (source, neuron) = network.populations.values()
    pair = replace(neuron, shape=(1, 1, 2), initial_charge=np.array([9, -5]))
    projection = replace(network.projections["p"], synapses=type(network.projections["p"].synapses)([[4, 4]]))
    result = run(Network([source, pair], [projection]), events(1), engine)
    assert result.counts["n"].tolist() == [1, 0]
    assert result.charge["n"].tolist() == [3, -1]


def test_starts_and_charges_are_kept_in_the_file(tmp_path):
    network = with_starts(random_network(5, "rate"), 5, 900)
    network.save(tmp_path / "n.h5")
    again = load_network(tmp_path / "n.h5")
    assert again.checksum == network.checksum
    held = [p for p in again if p.neuron.start_time]
    assert held
    assert any(p.initial_charge is not None for p in again)
    plain = with_rate_neurons(network, start_time=0)
    assert plain.checksum != network.checksum


def test_refusals():
    with pytest.raises(InvalidNetwork, match="start_time is -1 ticks"):
        Rate(10, start_time=-1)
    with pytest.raises(InvalidNetwork, match="bias as a charge at time 0"):
        Readout(start_time=5)
    with pytest.raises(InvalidNetwork, match="test_period is -2"):
        Rate(10, test_period=-2)
    with pytest.raises(InvalidRequest, match="event schedule does not do"):
        make_engine("compiled", single(Rate(10, test_period=3)), None, OPTIONS)
    with pytest.raises(InvalidRequest, match="a start_time of 5 ticks"):
        make_engine("compiled", single(Rate(10, period=2, start_time=5)), None, RunOptions(schedule="step"))
    with pytest.raises(InvalidNetwork, match="from -2147483647 to 9"):
        replace(single(Rate(10)).populations["n"], initial_charge=np.array([10]))
    with pytest.raises(InvalidNetwork, match="takes \\(True, True\\)"):
        replace(single(Signed(10, 3)).populations["n"], initial_charge=np.array([1]))


def test_charges_that_wait_for_their_test_have_no_bound():
    clamped, limits = Rate(100, lower_clamp=0, period=1), InputLimits(per_step=(0, 3))
    assert charge_bound(single(clamped, 5), "n", "step", limits) is not None
    assert charge_bound(single(replace(clamped, test_period=2), 5), "n", "step", limits) is None


@pytest.mark.parametrize("engine", ["reference", "compiled"])
@pytest.mark.parametrize("seed", range(6))
def test_a_network_tested_each_third_step_is_one_of_steps_thrice_as_long(seed, engine):
    """Group and sum: what arrives in three steps is one step's, in every layer."""
    network, step = random_network(seed, "rate"), 500
    populations = [
        replace(p, neuron=replace(p.neuron, period=step)) if p.neuron.current_period else p for p in network
    ]
    plain = Network(populations, [replace(p, bias=None) for p in network.projections.values()])
    stimulus = random_stimulus(seed, network)
    stimulus = replace(stimulus, duration=-(-int(stimulus.time[-1] + 1) // 1500) * 1500)
    grouped = with_rate_neurons(plain, test_period=3 * step)
    runs = [
        make_engine(engine, n, None, RunOptions(schedule="step", step=length, record_spikes=True)).run(
            stimulus
        )
        for n, length in ((grouped, step), (plain, 3 * step))
    ]
    for name in network.order[1:]:
        np.testing.assert_array_equal(runs[0].counts[name], runs[1].counts[name])
        np.testing.assert_array_equal(runs[0].charge[name], runs[1].charge[name])
    hidden = runs[0].spikes.rank > 0
    assert runs[0].spikes.time[hidden].tolist() == runs[1].spikes.time[runs[1].spikes.rank > 0].tolist()
