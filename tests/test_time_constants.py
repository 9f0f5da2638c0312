"""Synaptic currents, leaky readouts, time constants of single neurons: oracles, laws, refusals, files."""

from dataclasses import replace

import numpy as np
import pytest
from builders.accelerators import random_split
from builders.cases import random_case
from builders.draws import SEEDS, generator
from builders.floors import asserting, asserts_at_least
from builders.networks import (
    random_network,
    random_stimulus,
    single,
    with_payloads,
    with_rates,
    with_starts,
    with_time_constants,
)
from builders.runs import assert_same_run, compare
from builders.step_chips import random_step_mapping
from builders.stimuli import events
from builders.ticks import drawn_stimulus, shrunk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.naive_events import TickByTick
from oracles.naive_steps import by_step, time_stepped

from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.engine.floating.engine import FloatEngine
from eventsnn.errors import ChargeOverflow, EventLimitReached, InvalidNetwork, InvalidRequest
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
    leak_factor_of,
    load_network,
)
from eventsnn.network.bounds import charge_bound

ENGINE_NAMES = ("reference", "compiled")
ENGINE = st.sampled_from(ENGINE_NAMES)
LIMIT = 2**31 - 1


def run(network, stimulus, engine="reference", schedule="event", step=0, **more):
    options = RunOptions(schedule=schedule, step=step, record_spikes=True, **{"max_events": 4000} | more)
    return make_engine(engine, network, None, options).run(stimulus)


def few(examples):
    return settings(max_examples=examples, deadline=None, derandomize=True)


# -- oracles ---------------------------------------------------------------------------------------------


@asserts_at_least(30)
@given(SEEDS, st.booleans(), st.booleans(), st.booleans(), ENGINE)
@few(40)
def test_steps_are_those_of_the_equations(seed, delays, late, payloads, engine):
    """Spikes, charges, losses and updates of NumPy's int64, whatever the factors of each neuron."""
    step = int(generator(seed).integers(1, 2000))
    network = with_time_constants(with_rates(random_network(seed, "rate", delays), seed, step), seed, step)
    if late:
        network = with_starts(network, seed, 20 * step, step)
    stimulus = random_stimulus(seed, network, span=20 * step)
    stimulus = with_payloads(stimulus, seed) if payloads else stimulus
    try:
        result = run(network, stimulus, engine, "step", step)
    except (EventLimitReached, ChargeOverflow):
        return
    asserting()
    steps = result.decision_time // step
    emitted, charge, lost = time_stepped(network, stimulus, step, steps)
    for rank, name in enumerate(network.order):
        np.testing.assert_array_equal(by_step(result, network, name, step, steps), emitted[name])
        if name == network.input:
            continue
        np.testing.assert_array_equal(result.charge[name], charge[name][-1])
        for cause in result.lost:
            np.testing.assert_array_equal(result.lost[cause][name], lost[name][cause])
        neuron = network.populations[name].neuron
        if neuron.kind == "rate":
            tests = sum(
                k * step > neuron.start_time and not (neuron.test_period and k * step % neuron.test_period)
                for k in range(1, steps + 1)
            )
            assert result.counters[rank, COLUMN["neuron_updates"]] == tests * len(charge[name][0])


@asserts_at_least(24)
@given(SEEDS, st.sampled_from(["rate", "mixed"]), st.booleans(), st.booleans(), ENGINE)
@few(34)
def test_the_event_schedule_equals_every_tick_visited(seed, kind, delays, late, engine):
    """Updates on their grid in their turn by rank, leaks of readouts: as if looked at in every tick."""
    network = shrunk(with_time_constants(with_rates(random_network(seed, kind, delays), seed), seed))
    if late:
        network = with_starts(network, seed, 400)
    stimulus = drawn_stimulus(seed, network)
    try:
        result = run(network, stimulus, engine)
    except (EventLimitReached, ChargeOverflow, InvalidRequest):
        return
    asserting()
    oracle = TickByTick(network, stimulus, result.decision_time, after=100)
    columns = [getattr(result.spikes, name).tolist() for name in ("time", "rank", "neuron", "payload")]
    assert list(zip(*columns, strict=True)) == oracle.spikes
    for rank, name in enumerate(network.order):
        assert result.charge[name].tolist() == oracle.charge[rank]
        for cause, lost in result.lost.items():
            assert lost[name].tolist() == oracle.lost[rank][cause]


# -- engines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("feature", ["synaptic", "factors"])
def test_both_engines_give_the_same_run(feature, stepped):
    """Counters, traces, histories, exits and digests, too."""

    @asserts_at_least(22)
    @given(SEEDS)
    @few(28)
    def law(seed):
        compare(seed, feature, stepped)

    law()


@asserts_at_least(14)
@given(
    SEEDS,
    st.sampled_from(["synaptic", "factors"]),
    st.sampled_from([("barrier", "messages"), ("barrier", "totals"), ("dependency", "messages")]),
    st.booleans(),
)
@few(20)
def test_three_engines_agree_on_accelerators_that_step(seed, feature, way, links):
    try:
        network, stimulus, options = random_case(seed, feature, True)
        mapping = random_step_mapping(seed, network, kind=way[0], timing=way[1], links=links)
        options = replace(options, record_service=True)
        one = make_engine("reference", network, mapping, options).run(stimulus, 3)
    except (InvalidNetwork, InvalidRequest, EventLimitReached, ChargeOverflow):
        assume(False)
    asserting()
    for name in ("twin", "compiled"):
        other = make_engine(name, network, mapping, options).run(stimulus, 3)
        assert_same_run(one, other)
        np.testing.assert_array_equal(one.parts, other.parts)


def chain(neuron, readout, seed, step):
    """Two layers of such neurons and a readout, every neuron and channel with factors of its own."""
    rng = np.random.default_rng(seed)
    neurons = {"in": Input(), "a": neuron, "b": neuron, "c": readout}
    populations, projections = [], []
    for name, model in neurons.items():
        n, own = 5 if name != "c" else 3, {}
        if name != "in":
            for key in ("leak_factor", "synapse_factor"):
                factors = rng.integers(2**28, 2**30, n)
                model = replace(model, **{key: int(factors.max())})
                own[f"{key}s"] = factors
            own["bias"] = rng.integers(-3, 4, n)
        populations.append(Population(name, (1, 1, n), model, **own))
    for source, target in (("in", "a"), ("a", "b"), ("b", "c")):
        n = 3 if target == "c" else 5
        bias = rng.integers(0, 5, n) if target != "b" else None
        weight = rng.integers(-30, 60, (5, n))
        projections.append(Projection(source + target, source, target, Dense(weight), bias))
    return Network(populations, projections)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
@pytest.mark.parametrize("seed", range(6))
def test_without_delays_the_event_schedule_is_the_step_schedule(engine, seed):
    """Updates in turn by rank, at the end of each step: the same network, spike for spike, to the digest."""
    step = 100
    neuron = Rate(
        150, reset=("soft", "hard")[seed % 2], multispike=seed % 2 == 0, period=step, leak_period=step,
        refractory=step * (seed % 3), lower_clamp=-40 if seed % 2 else None,
    )  # fmt: skip
    network = chain(neuron, Readout(period=step, leak_period=step), seed, step)
    rng = np.random.default_rng(seed)
    time = rng.integers(0, 3000, 200)
    time += time % step == 0  # an event at the end of a step is of this one, or of the next
    time, source = np.divmod(np.sort(time * 5 + rng.integers(0, 5, 200)), 5)
    stimulus = Stimulus(time, source, duration=3000 + 37 * seed)
    stepped, free = (run(network, stimulus, engine, schedule) for schedule in ("step", "event"))
    assert stepped.counts["b"].sum() > 10
    for name in network.order[1:]:
        np.testing.assert_array_equal(stepped.charge[name], free.charge[name])
        np.testing.assert_array_equal(stepped.counts[name], free.counts[name])
        mine = [(r.spikes.time[r.spikes.rank == network.order.index(name)]).tolist() for r in (stepped, free)]
        assert mine[0] == mine[1]
    np.testing.assert_array_equal(stepped.trace.readout, free.trace.readout)
    assert stepped.decision_time == free.decision_time


# -- by hand ---------------------------------------------------------------------------------------------

HALF = 2**29


@pytest.mark.parametrize("schedule", ["step", "event"])
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_synaptic_current_by_hand(engine, schedule):
    """64 arrive once: J is 64, 32, 16, 8, V takes each and halves before: 64, 64, 48, 32."""
    neuron = Readout(period=10, leak_period=10, leak_factor=HALF, synapse_factor=HALF)
    found = run(single(neuron, 64), events(3, duration=40), engine, schedule)
    assert found.trace.time.tolist() == [10, 20, 30, 40, 40]
    assert found.trace.readout[:, 0].tolist() == [64, 64, 48, 32, 32]
    assert found.decision_time == 40


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_neuron_fires_long_after_its_input(engine):
    """Threshold 100, 64 arrive at tick 3, nothing leaks: V is 64 at 10, 96 at 20, 112 at 30."""
    neuron = Rate(100, period=10, synapse_factor=HALF)
    for schedule in ("step", "event"):
        found = run(single(neuron, 64), events(3, duration=60), engine, schedule)
        assert found.spikes.time[found.spikes.rank == 1].tolist() == [30]
        assert found.charge["n"].tolist() == [12 + 8 + 4 + 2]
        assert found.counters[1, COLUMN["neuron_updates"]] == 6


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_leaky_readout_forgets_its_bias_too(engine):
    """In steps of 10: V/2 + 64. Between events: what has flowed by a multiple of 10 is halved there."""
    network = single(Readout(period=10, leak_period=10, leak_factor=HALF), 100, np.array([64]))
    stimulus = events(0, duration=40)
    stepped = run(network, stimulus, engine, "step")
    assert stepped.trace.readout[:, 0].tolist() == [164, 146, 137, 133, 133]  # halves away from zero
    free = run(network, stimulus, engine)
    assert free.charge["n"].tolist() == [67]  # (100 + 64) / 2, (82 + 64) / 2, (73 + 64) / 2, (69 + 64) / 2
    history = run(network, stimulus, engine, history_period=5).history
    assert history.readout[:, 0].tolist() == [132, 82, 114, 73, 105, 69, 101, 67]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_leaky_readout_reads_a_current_for_very_long(engine):
    """What has flowed in all is far beyond 32 bits; the charge is not."""
    network = single(Readout(period=10, leak_period=10, leak_factor=HALF), 1, np.array([2**28]))
    found = run(network, events(0, duration=4000), engine)
    assert found.charge["n"].tolist() == [2**28]


@pytest.mark.parametrize("schedule", ["step", "event"])
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_each_neuron_leaks_by_its_own_factor(engine, schedule):
    factors = np.array([0, HALF, 3 * 2**28, 2**30])
    population = Population(
        "n", (1, 1, 4), Readout(period=10, leak_period=10), leak_factors=factors
    )  # the largest is 2^30
    network = Network(
        [Population("in", (1, 1, 4), Input()), population],
        [Projection("p", "in", "n", Identity(np.array([100])))],
    )
    found = run(network, events(*[3] * 4, neurons=range(4), duration=20), engine, schedule)
    leaks = 1 if schedule == "step" else 2
    assert found.charge["n"].tolist() == [0, 100 >> leaks, (75, 56)[leaks - 1], 100]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("schedule", ["step", "event"])
@pytest.mark.parametrize(
    ("weight", "payloads", "stops"),
    [
        (LIMIT, (1,), False),
        (2**16, (2**15 - 1,), False),
        (2**16, (2**15,), True),  # the current
        (LIMIT, (1, 1), True),
        (2**30, (1, 1), True),  # the charge: 2^30 and, a step later, 1.5 x 2^30 more
        (2**29, (1, 1), False),  # 2^29, and 2^29 + 2^28 more
    ],
)
def test_both_states_are_guarded(schedule, sign, weight, payloads, stops):
    neuron = Readout(period=10, synapse_factor=HALF)
    n = len(payloads)
    stimulus = Stimulus(np.arange(n) * 10 + 5, np.zeros(n, np.int64), np.array(payloads))
    for engine in ENGINE_NAMES:
        if stops:
            with pytest.raises(ChargeOverflow, match="neuron 0 of population 'n'"):
                run(single(neuron, sign * weight), stimulus, engine, schedule)
        else:
            run(single(neuron, sign * weight), stimulus, engine, schedule)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_engines_step_every_time_constant(dtype):
    """The exact exponentials in float64; in float32 near them."""
    rng, step, n, steps = np.random.default_rng(5), 10**6, 6, 50
    taus, synaptic = rng.uniform(1, 9, (2, n))
    leaks, synapses = (np.array([leak_factor_of(t, 1.0) for t in values]) for values in (taus, synaptic))
    neuron = Readout(
        period=step, leak_period=step, leak_factor=int(leaks.max()), synapse_factor=int(synapses.max())
    )
    network = Network(
        [
            Population("in", (1, 1, n), Input()),
            Population("n", (1, 1, n), neuron, leak_factors=leaks, synapse_factors=synapses),
        ],
        [Projection("p", "in", "n", Identity(rng.integers(1, 1000, n)))],
    )
    frames = rng.random((steps, n)) < 0.3
    time, source = np.nonzero(frames)
    options = RunOptions(schedule="step")
    engine = FloatEngine(network, None, options, dtype, leaks={"n": np.exp(-1 / taus)})
    found = engine.run(Stimulus(time * step, source, duration=steps * step))
    weight = network.projections["p"].synapses.weight
    current = voltage = np.zeros(n)
    for frame in frames:
        current = current * (synapses / 2**30) + frame * weight
        voltage = voltage * np.exp(-1 / taus) + current
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    assert found.exact_charge["n"].dtype == dtype
    np.testing.assert_allclose(found.exact_charge["n"], voltage, rtol=tolerance)


# -- files, bounds, refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_files_keep_the_factors(tmp_path, seed):
    network = with_time_constants(random_network(seed, "rate"), seed, 100)
    network.save(tmp_path / "n.h5")
    found = load_network(tmp_path / "n.h5")
    assert found.checksum == network.checksum
    for name, population in network.populations.items():
        for key in ("leak_factor", "synapse_factor"):
            np.testing.assert_array_equal(population.factors(key), found.populations[name].factors(key))


def leaky(**more):
    return Population("n", (1, 2, 2), Rate(10, leak_period=5, leak_factor=9, synapse_factor=7), **more)


def test_factors_are_kept_in_their_shortest_form():
    same, by_channel, each = [9] * 4, [9, 3, 9, 3], [9, 3, 9, 9]
    assert leaky(leak_factors=same).leak_factors is None
    assert leaky(leak_factors=by_channel).leak_factors.tolist() == [9, 3]
    assert leaky(leak_factors=[9, 3]).factors("leak_factor").tolist() == by_channel
    assert leaky(leak_factors=each).leak_factors.tolist() == each
    assert leaky(synapse_factors=[7, 0]).factors("synapse_factor").tolist() == [7, 0, 7, 0]
    checksums = set()
    for more in ({}, {"leak_factors": [9, 3]}, {"leak_factors": each}, {"synapse_factors": [7, 3]}):
        source = Population("in", (1, 2, 2), Input())
        projection = Projection("p", "in", "n", Identity(np.array([1])))
        checksums.add(Network([source, leaky(**more)], [projection]).checksum)
    assert len(checksums) == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: leaky(leak_factors=[9, 3, 3]), "one a channel"),
        (lambda: leaky(leak_factors=[9, -1]), "from 0 to 1073741824"),
        (lambda: leaky(leak_factors=[9, 2**30 + 1]), "from 0 to 1073741824"),
        (lambda: leaky(leak_factors=[9.0, 3.0]), "dtype float64"),
        (lambda: leaky(leak_factors=[8, 3]), "leak_factor of its neurons is 9; it is the largest"),
        (lambda: leaky(synapse_factors=[7, 2**30]), "from 0 to 1073741823"),
        (lambda: leaky(synapse_factors=[8, 3]), "synapse_factor of its neurons is 7"),
        (
            lambda: Population("n", (1, 1, 2), Signed(5, 3), leak_factors=[1, 2]),
            "its signed neurons have no leak_period",
        ),
        (
            lambda: Population("n", (1, 1, 2), Rate(5), synapse_factors=[1, 2]),
            "its rate neurons have no synapse_factor",
        ),
    ],
)
def test_factors_that_cannot_be(make, message):
    with pytest.raises(InvalidNetwork, match=message):
        make()


def test_what_is_bounded_with_factors_of_single_neurons():
    """A leak only takes away; of a synaptic current nothing is proven."""
    neuron = Rate(100, lower_clamp=-50, leak_period=10, leak_factor=2**29)
    network = single(neuron, 30)
    assert charge_bound(network, "n") == 129
    several = replace(network.populations["n"], leak_factors=np.array([2**29]))
    assert (
        charge_bound(Network([network.populations["in"], several], network.projections.values()), "n") == 129
    )
    assert charge_bound(single(replace(neuron, synapse_factor=5), 30), "n") is None


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_what_the_event_schedule_refuses_of_synaptic_currents(engine):
    with pytest.raises(InvalidRequest, match="names no period"):
        run(single(Readout(synapse_factor=5)), events(0), engine)
    neuron = Rate(10, period=7, leak_period=5, synapse_factor=5)
    with pytest.raises(InvalidRequest, match="biases per 7 ticks and leaks each 5"):
        run(single(neuron, 1, np.array([1])), events(0), engine)
    run(single(neuron, 1), events(0), engine)
    network = single(Rate(10, period=7, synapse_factor=5), 1)
    with pytest.raises(InvalidRequest, match="knows accelerators in steps only"):
        make_engine(engine, network, random_split(1, network), RunOptions())
