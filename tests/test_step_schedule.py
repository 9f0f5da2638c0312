"""Law 8: the step schedule is a time-stepped network, spike for spike."""

from dataclasses import replace

import numpy as np
import pytest
from builders.draws import SEEDS, generator
from builders.networks import (
    random_network,
    random_stimulus,
    single,
    with_payloads,
    with_rates,
    without_currents,
)
from builders.stimuli import events
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.leaky import leaky_case
from oracles.naive import quantised_network
from oracles.naive_steps import by_step, matrix, time_stepped

from eventsnn.counting.counters import COLUMN
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.engine.contract import Engine
from eventsnn.engine.request import number_of_steps
from eventsnn.errors import InvalidRequest
from eventsnn.network import (
    Identity,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
)

ENGINE_NAMES = ("reference", "compiled")
ENGINE = st.sampled_from(ENGINE_NAMES)
KINDS = st.sampled_from(["signed", "rate", "mixed"])
EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def run(network, stimulus, engine="reference", step=0, **options):
    chosen = RunOptions(schedule="step", step=step, record_spikes=True, **options)
    return make_engine(engine, network, None, chosen).run(stimulus)


def without_hysteresis(network):
    return network.with_neurons(hysteresis_low=0, hysteresis_high=0)


@given(SEEDS, KINDS, st.booleans(), st.booleans(), ENGINE)
@EXAMPLES
def test_the_step_schedule_is_a_time_stepped_network(seed, kind, delays, lazy, engine):
    """Every spike, charge and loss equals the dense oracle's, whatever the neurons and delays."""
    step = int(generator(seed).integers(1, 2000))
    network = without_hysteresis(with_rates(random_network(seed, kind, delays, lazy), seed, step))
    stimulus = random_stimulus(seed, network, span=20 * step)
    if seed % 2:
        stimulus = with_payloads(stimulus, seed)
    if seed % 3 == 0:
        stimulus = replace(stimulus, duration=int(stimulus.time[-1]) + seed % (5 * step))
    result = run(network, stimulus, engine, step)
    steps = result.decision_time // step
    assert result.decision_time == steps * step
    covered = number_of_steps(stimulus, step)
    settles = all(p.neuron.kind != "rate" and getattr(p.neuron, "period", 0) == 0 for p in network)
    assert steps >= covered if settles else steps == covered
    emitted, charge, lost = time_stepped(network, stimulus, step, steps + 3 * settles)
    for rank, name in enumerate(network.order):
        found = by_step(result, network, name, step, steps)
        np.testing.assert_array_equal(found, emitted[name][:steps])
        assert not emitted[name][steps:].any()
        if name == network.input:
            continue
        np.testing.assert_array_equal(result.counts[name], emitted[name].sum(axis=0))
        np.testing.assert_array_equal(result.charge[name], charge[name][-1])
        for cause in result.lost:
            np.testing.assert_array_equal(result.lost[cause][name], lost[name][cause])
        row, neuron = result.counters[rank], network.populations[name].neuron
        if neuron.kind == "rate":
            assert row[COLUMN["neuron_updates"]] == steps * len(charge[name][0])
        biased = np.count_nonzero(network.bias(name)) if getattr(neuron, "period", 0) else 0
        assert row[COLUMN["current_updates"]] == biased * steps
        operations = 0
        for projection in network.incoming(name):
            late = projection.delay // step
            spikes = np.bincount(
                result.spikes.neuron[
                    (result.spikes.rank == network.order.index(projection.source))
                    & (result.spikes.time <= (steps - late) * step)
                ],
                minlength=network.populations[projection.source].size,
            )
            operations += int(spikes @ matrix(network, projection, ones=True).sum(axis=1))
        assert row[COLUMN["synaptic_operations"]] == operations


@given(SEEDS, st.booleans(), st.booleans(), ENGINE)
@EXAMPLES
def test_signed_networks_settle_to_the_quantised_network(seed, delays, lazy, engine):
    """Law 9 in steps: deliveries and settle times are waited for, hysteresis ends in a settle pass."""
    step = 1000
    network = without_currents(with_rates(random_network(seed, "signed", delays, lazy), seed, step))
    stimulus = random_stimulus(seed, network)
    result = run(network, stimulus, engine, step)
    inputs = np.bincount(stimulus.neuron, minlength=network.populations[network.input].size)
    counts, charges = quantised_network(network, inputs)
    for name in network.order:
        if isinstance(network.populations[name].neuron, Signed):
            np.testing.assert_array_equal(result.counts[name], counts[name])
        elif name != network.input:
            np.testing.assert_array_equal(result.charge[name], charges[name])


@given(SEEDS, KINDS, st.floats(0.1, 0.99), ENGINE)
@EXAMPLES
def test_an_exit_run_is_a_prefix(seed, kind, threshold, engine):
    """Law 6: checks stand at the ends of steps; the stopped run is the head of the full one."""
    step = 500
    network = with_rates(random_network(seed, kind, True), seed, step)
    stimulus = random_stimulus(seed, network)
    full = run(network, stimulus, engine, step)
    stopped = run(network, stimulus, engine, step, exit_rule=parse_rule(f"max-probability:{threshold}"))
    length, checks = len(stopped.spikes.time), len(stopped.trace.time)
    if stopped.decided_early:
        assert length == (full.spikes.time <= stopped.decision_time).sum()
        assert stopped.trace.time[-1] == stopped.decision_time
        assert (
            stopped.counters[:, COLUMN["synaptic_operations"]].sum() == stopped.trace.synaptic_operations[-1]
        )
    else:
        assert (length, stopped.prediction) == (len(full.spikes.time), full.prediction)
    for name in ("time", "rank", "neuron", "payload"):
        np.testing.assert_array_equal(getattr(stopped.spikes, name), getattr(full.spikes, name)[:length])
    for name in ("time", "readout", "synaptic_operations", "spikes"):
        np.testing.assert_array_equal(getattr(stopped.trace, name), getattr(full.trace, name)[:checks])


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_leaky_network_of_three_layers_for_a_thousand_steps(engine):
    network, stimulus, expected, charge = leaky_case()
    result = run(network, stimulus, engine)
    for name, fired in expected.items():
        np.testing.assert_array_equal(by_step(result, network, name, 10**6, 1000), fired)
        assert 100 < np.sum(fired) < 2000
    np.testing.assert_array_equal(result.charge["c"], charge)


def identity_layer(neuron, n):
    """``n`` neurons, each driven by one analog value, weight 1 quantum a part."""
    return Network(
        [Population("in", (1, 1, n), Input(analog_scale=1)), Population("n", (1, 1, n), neuron)],
        [Projection("p", "in", "n", Identity(np.array([1])))],
    )


def analog(values, duration):
    nothing = np.zeros(0, dtype=np.int64)
    return Stimulus(nothing, nothing, analog=np.asarray(values, dtype=np.int64), duration=duration)


def integrate_and_fire(charge, current, threshold, steps, hard=False):
    """Counts and charges of IF neurons under constant currents, one test a step."""
    charge, count = charge.copy(), np.zeros_like(charge)
    for _ in range(steps):
        charge += current
        fired = charge >= threshold
        count += fired
        charge = np.where(fired, 0 if hard else charge - threshold, charge)
    return count, charge


@pytest.mark.parametrize("levels", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_if_neurons_compute_the_quantised_relu(engine, levels):
    """Outside truth A5: after T = L steps the count is clip(floor(x L / threshold + 1/2), 0, L)."""
    threshold = 2**14
    x = np.random.default_rng(levels).integers(-2 * threshold, 3 * threshold, 200_000)
    expected = np.clip((2 * x * levels + threshold) // (2 * threshold), 0, levels)
    count, _ = integrate_and_fire(np.full_like(x, threshold // 2), x, threshold, levels)
    np.testing.assert_array_equal(count, expected)
    n = 1000  # the engine on a part of them, as neurons of one population
    neuron = Rate(threshold, multispike=False, initial_charge=threshold // 2, period=100)
    network = identity_layer(neuron, n)
    result = run(network, analog(x[:n], 100 * levels), engine)
    np.testing.assert_array_equal(result.counts["n"], expected[:n])


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_rates_under_a_constant_input_are_the_theory(engine, reset):
    """Outside truth A13: equations 5a and 5b of Rueckauer et al. 2017, as integers, at every T."""
    threshold, n = 1000, 997
    z = np.arange(1, n + 1)
    neuron = Rate(threshold, reset=reset, multispike=False, period=10)
    for steps in (1, 2, 7, 50, 333):
        result = run(identity_layer(neuron, n), analog(z, 10 * steps), engine)
        count, charge = result.counts["n"], result.charge["n"]
        if reset == "soft":
            # (5b): N = T z / threshold - V / threshold
            np.testing.assert_array_equal(count * threshold, steps * z - charge)
        else:
            # (5a): N (threshold + eps) = T z - V, eps = ceil(threshold / z) z - threshold
            epsilon = -(-threshold // z) * z - threshold
            np.testing.assert_array_equal(count * (threshold + epsilon), steps * z - charge)
            np.testing.assert_array_equal(result.lost["hard_reset"]["n"], count * epsilon)
        np.testing.assert_array_equal(
            count, integrate_and_fire(np.zeros_like(z), z, threshold, steps, reset == "hard")[0]
        )


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_step_takes_the_input_of_its_half_open_interval(engine):
    """Events at 9 and 10 with steps of 10: computed at ticks 10 and 20."""
    result = run(single(Rate(1, period=10)), events(9, 10, 10), engine)
    assert result.spikes.time.tolist() == [10, 10, 20, 20, 20, 20]
    assert result.spikes.rank.tolist() == [0, 1, 0, 0, 1, 1]
    assert result.decision_time == 20


@pytest.mark.parametrize(
    ("stimulus", "steps"),
    [
        (events(0), 1),
        (events(9), 1),
        (events(10), 2),
        (events(10, duration=11), 2),
        (events(10, duration=20), 2),
        (events(10, duration=21), 3),
        (events(10, duration=0), 2),
        (analog([1], 0), 1),
        (analog([1], 10), 1),
        (analog([1], 11), 2),
    ],
)
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_steps_cover_the_input_and_its_duration(engine, stimulus, steps):
    assert run(single(Rate(5, period=10)), stimulus, engine).decision_time == 10 * steps


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_many_spikes_or_one_a_step(engine):
    """7 quanta at threshold 3: two spikes at once, or one a step, the rest staying."""
    many, one = (Rate(3, multispike=m, period=10) for m in (True, False))
    assert run(single(many, 7), events(0, duration=30), engine).spikes.time.tolist() == [10, 10, 10]
    assert run(single(one, 7), events(0, duration=30), engine).spikes.time.tolist() == [10, 10, 20]
    strict = run(single(replace(many, strict=True), 6), events(0, duration=30), engine)
    assert strict.counts["n"].tolist() == [1]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_the_clamp_acts_after_the_reset_and_takes_negative_biases(engine):
    neuron = Rate(10, lower_clamp=-4, period=10, multispike=False)
    result = run(single(neuron, 12, np.array([-3])), events(25, duration=40), engine)
    assert result.spikes.time.tolist() == [30]  # -3, -4 (-6 clamped), 12 - 4 - 3 = 5, ...
    assert result.charge["n"].tolist() == [2]
    assert result.lost["clamp"]["n"].tolist() == [-2]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_refractory_times_in_steps(engine):
    """Fired in step 0, free again in step 3; charge integrates meanwhile, or is dropped."""
    neuron = Rate(2, period=10, refractory=30)
    every = events(*range(0, 60, 10))
    assert run(single(neuron, 2), every, engine).spikes.time[1::2].tolist()[:1] == [10]
    mine = run(single(neuron, 2), every, engine)
    assert mine.spikes.time[mine.spikes.rank == 1].tolist() == [10, 40]
    assert mine.charge["n"].tolist() == [8]
    dropped = run(single(replace(neuron, refractory_drop=True), 2), every, engine)
    assert dropped.spikes.time[dropped.spikes.rank == 1].tolist() == [10, 40]
    assert dropped.lost["refractory"]["n"].tolist() == [8]
    assert dropped.charge["n"].tolist() == [0]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_readout_with_a_bias_is_checked_every_step(engine):
    network = single(Readout(period=10), 5, np.array([2]))
    result = run(network, events(12, duration=40), engine)
    assert result.trace.time.tolist() == [10, 20, 30, 40, 40]
    assert result.trace.readout[:, 0].tolist() == [2, 9, 11, 13, 13]
    assert result.counters[1, COLUMN["current_updates"]] == 4


def two_rates(first, second):
    return Network(
        [
            Population("a", (1, 1, 1), Input()),
            Population("b", (1, 1, 1), first),
            Population("c", (1, 1, 1), second),
        ],
        [
            Projection("1", "a", "b", Identity(np.array([1]))),
            Projection("2", "b", "c", Identity(np.array([1]))),
        ],
    )


@pytest.mark.parametrize(
    ("network", "step", "message"),
    [
        (single(Signed(4, 2)), 0, "name no period"),
        (two_rates(Rate(4, period=10), Rate(4, period=20)), 0, r"several periods: 10 \('b'\), 20 \('c'\)"),
        (two_rates(Rate(4, period=10, leak_period=5), Rate(4, period=10)), 0, "several periods"),
        (single(Rate(4, period=10), 1, np.array([1])), 20, "has biases per 10 ticks, a step is 20"),
        (single(Rate(4, period=10, leak_period=5), 1), 10, "leak_period of 5 ticks, a step is 10"),
        (single(Rate(4, period=10, refractory=15), 1), 10, "refractory time of 15 ticks, which is no whole"),
        (single(Rate(4, period=10), delay=15), 10, "'p' has a delay of 15 ticks, which is no whole number"),
        (single(Signed(4, 2, settle_time=5)), 10, "settle_time of 5 ticks"),
        (single(Signed(4, 2, settle_time=10**9)), 5 * 10**9, "a step that divides 1000 us"),
        (
            single(Rate(4, period=10, refractory=10, refractory_drop=True), 1, np.array([1])),
            0,
            "drops charge",
        ),
    ],
)
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_what_has_no_steps_is_refused(engine, network, step, message):
    with pytest.raises(InvalidRequest, match=message):
        make_engine(engine, network, None, RunOptions(schedule="step", step=step))


@pytest.mark.parametrize(
    ("neuron", "bias", "message"),
    [
        (Rate(10, lower_clamp=-5), -1, "lower clamp and negative biases"),
        (Rate(10, multispike=False), 1, "no definite time to fire"),
        (Rate(10, refractory=5, refractory_drop=True), 1, "drops charge while refractory"),
    ],
)
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_what_the_event_schedule_cannot_do_is_refused_there(engine, neuron, bias, message):
    network = single(neuron, 1, np.array([bias]))
    with pytest.raises(InvalidRequest, match=message):
        make_engine(engine, network)
    if not neuron.refractory_drop:
        run(network, events(0), engine, 10**9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "steps"}, "schedule is 'steps'; allowed are 'event', 'step'"),
        ({"ties": "random"}, "ties is 'random'"),
        ({"step": -1}, "step is -1 ticks"),
        ({"history_period": -5}, "history_period is -5"),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(InvalidRequest, match=message):
        RunOptions(**options)


def test_an_engine_refuses_what_it_does_not_support():
    class Narrow(Engine):
        def run(self, stimulus, index=0):
            raise NotImplementedError

    network = single(Rate(4, period=10, refractory=5))
    with pytest.raises(NotImplementedError, match="Narrow does not support refractory times; use engine="):
        Narrow(network)
