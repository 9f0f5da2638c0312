"""Neurons that fire once: by hand, against a few lines of NumPy, on both engines; converted from layers."""

from dataclasses import replace

import numpy as np
import pytest
from builders.draws import SEEDS, generator
from builders.networks import random_network, random_stimulus, with_payloads
from builders.rates import STEP_US, driven, lenet, lowered
from builders.runs import assert_same_run
from builders.stimuli import events
from hypothesis import given, settings
from oracles.naive_steps import by_step, frames, matrix
from oracles.values_of_layers import layer_values

from eventsnn.convert.settings import Settings
from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, make_engine
from eventsnn.errors import EventsnnError, InvalidNetwork, InvalidRequest
from eventsnn.network import (
    Dense,
    FirstSpike,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    load_network,
)
from eventsnn.network.bounds import charge_bound

STEP = RunOptions(schedule="step", record_spikes=True)


def pair(neuron, weight, bias=None):
    weight = np.array(weight)
    return Network(
        [Population("in", (1, 1, len(weight)), Input()), Population("n", (1, 1, weight.shape[1]), neuron)],
        [Projection("p", "in", "n", Dense(weight), bias)],
    )


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_spike_is_a_current_from_then_on(engine):
    """Weight 3 from step 1 on and current 1: 1, 5, 9, 13 after steps 0 to 3; step 3 is the first at 10."""
    network = pair(FirstSpike(10, period=1), [[3]], [1])
    run = make_engine(engine, network, None, STEP).run(events(1, 9))
    assert run.spikes.time[run.spikes.rank == 1].tolist() == [4]
    assert (run.counts["n"].tolist(), run.charge["n"].tolist()) == ([1], [0])
    assert run.counters[1, COLUMN["neuron_updates"]] == 4
    assert run.counters[1, COLUMN["synaptic_operations"]] == 2
    more = pair(FirstSpike(20, period=1), [[3]], [1])
    waits = make_engine(engine, more, None, STEP).run(events(1, 2))
    assert waits.charge["n"].tolist() == [1 + 4 + 7]  # three currents, and 3 + 6 of the spikes
    assert not waits.counts["n"].any()


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_the_first_alone_fires_in_an_output(engine):
    """10, 12 and 12 in one step: the largest, the first of two; afterwards nobody."""
    network = pair(FirstSpike(10, period=1, alone=True), [[10, 12, 12]])
    run = make_engine(engine, network, None, STEP).run(events(1, 5))
    assert run.counts["n"].tolist() == [0, 1, 0]
    assert run.prediction == 1


def once(network, seed, step):
    """The same network with neurons that fire once in place of rate neurons."""
    rng = generator(seed, 9)
    populations = []
    for p in network:
        neuron = p.neuron
        if isinstance(neuron, Rate):
            neuron = FirstSpike(int(rng.integers(50, 4000)), step, bool(rng.random() < 0.3))
        elif neuron.current_period:
            neuron = replace(neuron, period=step)
        populations.append(replace(p, neuron=neuron))
    projections = [replace(p, delay=p.delay // 500 * step) for p in network.projections.values()]
    return Network(populations, projections)


@given(SEEDS)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_engines_and_a_dense_oracle_agree(seed):
    step = 700
    network = once(random_network(seed, "rate", seed % 2 == 0), seed, step)
    stimulus = random_stimulus(seed, network, span=20 * step)
    if seed % 3 == 0:
        stimulus = with_payloads(stimulus, seed)
    options = replace(STEP, step=step)
    runs = [make_engine(name, network, None, options).run(stimulus) for name in ("reference", "compiled")]
    assert_same_run(*runs)
    steps = runs[0].decision_time // step
    inputs, _ = frames(network, stimulus, step, steps)
    emitted = {network.input: inputs}
    for name in network.order[1:]:
        population = network.populations[name]
        fired = emitted[name] = np.zeros((steps, population.size), dtype=np.int64)
        if not isinstance(population.neuron, FirstSpike):
            continue
        arrived = np.zeros_like(fired)
        for p in network.incoming(name):
            late = p.delay // step
            if late < steps:
                arrived[late:] += (emitted[p.source] @ matrix(network, p))[: steps - late]
        slopes = arrived.cumsum(axis=0) + network.bias(name)
        charge = slopes.cumsum(axis=0)
        ready = charge >= population.neuron.threshold
        first = np.where(ready.any(axis=0), ready.argmax(axis=0), steps)
        if population.neuron.alone and first.min() < steps:
            k = first.min()
            fired[k, int(np.where(first == k, charge[k], -(2**62)).argmax())] = 1
        elif not population.neuron.alone:
            of = np.flatnonzero(first < steps)
            fired[first[of], of] = 1
        np.testing.assert_array_equal(by_step(runs[0], network, name, step, steps), fired)


# -- converted --------------------------------------------------------------------------------------------


def converted(pool="max", steps=40, **more):
    rng = np.random.default_rng(3)
    layers, images = lenet(rng, pool), rng.random((20, 1, 12, 12))
    return layers, images, lowered(
        layers, images, input="analog", duration_us=STEP_US * steps, spike_code="first_spike",
        percentile=100, **more,
    )  # fmt: skip


@pytest.mark.parametrize("pool", ["max", "average"])
def test_a_converted_network_fires_each_neuron_once(pool, tmp_path):
    _, images, network = converted(pool)
    run = driven(network, images[0], 40)
    for name in ("input#first", "c1", "c3", "f5", "f6"):
        assert set(run.counts[name].tolist()) <= {0, 1}
    assert run.counts["f6"].sum() <= 1
    assert network.populations["f6"].neuron.alone
    if pool == "max":
        assert network.populations["s2"].neuron.kind == "first_spike"
    network.save(tmp_path / "n.h5")
    assert load_network(tmp_path / "n.h5").checksum == network.checksum
    assert charge_bound(network, "c1", "step") is None


def test_times_of_the_first_layer_are_those_of_its_values():
    """Values of the input fire at lambda / x, the step that their charge reaches the threshold in."""
    _, images, network = converted()
    neuron = network.populations["input"].neuron
    parts = np.rint(images[0].transpose(1, 2, 0).reshape(-1) * neuron.analog_scale / neuron.unit)
    stimulus = events()
    stimulus = replace(
        stimulus,
        analog=parts.astype(np.int64),
        duration=40 * STEP_US * 10**6,
        analog_time=40 * STEP_US * 10**6,
    )
    run = make_engine("compiled", network, None, STEP).run(stimulus)
    mine = run.spikes.rank == network.order.index("input#first")
    found = np.full(144, 10**6)
    found[run.spikes.neuron[mine]] = run.spikes.time[mine] // (STEP_US * 10**6)
    x = images[0].reshape(-1)
    exact = images.max() / x
    expected = np.ceil(exact)
    sure = (np.abs(exact - np.rint(exact)) > 0.01) & (exact < 39)
    assert sure.sum() > 100
    np.testing.assert_array_equal(found[sure], expected[sure])
    assert (found[exact > 41] == 10**6).all()


def test_a_max_pool_fires_with_the_first_of_its_window():
    layers, images, network = converted()
    values = layer_values(layers, images)
    assert values["s2"].shape[1:] == (4, 4, 4)
    run = driven(network, images[1], 40)
    c1 = run.counts["c1"].reshape(8, 8, 4)
    largest = c1.reshape(4, 2, 4, 2, 4).max(axis=(1, 3))
    np.testing.assert_array_equal(run.counts["s2"].reshape(4, 4, 4), largest)


REFUSED = {
    "reset": {"reset": "hard"},
    "one spike": {"one_spike": True},
    "charges": {"charge_calibration": True},
    "clamp": {"voltage_clamp_us": 10},
    "spikes": {"spikes_at_lambda": 20},
    "input": {"input": "poisson"},
}


@pytest.mark.parametrize("given_", REFUSED.values(), ids=REFUSED)
def test_what_neurons_that_fire_once_do_not_have_is_refused(given_):
    (name,) = given_
    with pytest.raises(EventsnnError, match=f"{name} is .* spike_code is 'first_spike'"):
        Settings(neuron="rate", spike_code="first_spike", **given_)


def test_refusals():
    with pytest.raises(InvalidRequest, match=r"fire once .* steps without an accelerator only"):
        make_engine("compiled", pair(FirstSpike(10), [[1]]), None, RunOptions())
    with pytest.raises(EventsnnError, match="neurons that fire once"):
        make_engine("float64", pair(FirstSpike(10), [[1]]), None, STEP)
    with pytest.raises(InvalidNetwork, match="first_spike threshold is 0"):
        FirstSpike(0)
    layers, images = lenet(np.random.default_rng(3), "max"), np.full((9, 1, 12, 12), -1.0)
    images[:, 0, 0, 0] = 1
    once_ = {"input": "analog", "duration_us": 20000, "spike_code": "first_spike"}
    with pytest.raises(EventsnnError, match="lie between -1 and 1"):
        lowered(layers, images, **once_)
