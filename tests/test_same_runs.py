"""Both engines give the same run, bit for bit, whatever the network, input and options."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
    random_network,
    random_stimulus,
    with_analog,
    with_cycles,
    with_gates,
    with_payloads,
    with_rates,
)
from test_gates import parameters_of
from test_twin import ACTIONS, architecture, random_limits

from eventsnn.decide import parse_rule
from eventsnn.engine import ENGINES, RunOptions, make_engine
from eventsnn.errors import ChargeOverflow, DoesNotFit, EventLimitReached, InvalidRequest
from eventsnn.hardware import map_network
from eventsnn.network import Network, Readout, Softmax

KINDS = ("signed", "rate", "mixed")
GATES = ("exact", "average", "finite_impulse", "exponential")
# Signed neurons that toggle, and cycles, would keep the reference engine busy for long.
OPTIONS = RunOptions(record_spikes=True, max_events=4000)


def assert_same_run(one, other):
    """Digest, counters, trace, counts, charges, losses, spikes, history."""
    for name in ("time", "rank", "neuron", "payload"):
        np.testing.assert_array_equal(getattr(one.spikes, name), getattr(other.spikes, name), name)
    for name in ("time", "readout", "synaptic_operations", "spikes", "energy"):
        np.testing.assert_array_equal(getattr(one.trace, name), getattr(other.trace, name), name)
    for name in one.charge:
        np.testing.assert_array_equal(one.counts[name], other.counts[name], name)
        np.testing.assert_array_equal(one.charge[name], other.charge[name], name)
    assert one.lost.keys() == other.lost.keys()
    for cause, lost in one.lost.items():
        for name in lost:
            np.testing.assert_array_equal(lost[name], other.lost[cause][name], f"{cause} {name}")
    np.testing.assert_array_equal(one.counters, other.counters)
    for name in ("prediction", "decision_time", "decided_early", "first_event", "digest"):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.history is None) == (other.history is None)
    if one.history is not None and other.history is not None:
        for name in ("time", "counters", "readout"):
            np.testing.assert_array_equal(getattr(one.history, name), getattr(other.history, name), name)


def with_softmax(network, seed, step=0):
    """The same network with its readout a spiking softmax."""
    rng = np.random.default_rng([seed, 6])
    variant = str(rng.choice(["clock", "independent"]))
    populations = []
    for p in network:
        if isinstance(p.neuron, Readout):
            interval = int(rng.integers(1, 4)) * step if step else int(rng.integers(1, 2000))
            unit = float(10.0 ** rng.uniform(-4, -1))
            p = replace(p, neuron=Softmax(variant, unit, p.neuron.period, interval))
        populations.append(p)
    return Network(populations, network.projections.values())


def random_case(seed, feature, stepped):
    """A network, its input and options that use a feature, besides others now and then."""
    rng = np.random.default_rng([seed, 7])
    step = int(rng.integers(1, 2000)) if stepped else 0
    kind = "rate" if feature in ("leak", "rate_gate") else str(rng.choice(KINDS))
    small = feature == "cycle"
    network = random_network(seed, kind, bool(rng.random() < 0.5) and not small, bool(rng.random() < 0.4))
    if feature in ("leak", "step") or rng.random() < 0.4 or step:
        network = with_rates(network, seed, step)
    if feature == "cycle":
        network = with_cycles(network, seed, step or int(rng.integers(1, 1500)))
    if feature == "gate":
        settle = int(rng.integers(0, 3)) * (step or 700)
        network = with_gates(network, seed, "exact", settle)
    elif feature == "rate_gate":
        chosen = str(rng.choice(GATES[1:]))
        parameters = parameters_of(chosen)
        if step:
            parameters["period"] = step
        network = with_gates(network, seed, chosen, **parameters)
    if feature == "softmax":
        network = with_softmax(network, seed, step)
    stimulus = random_stimulus(seed, network, span=20 * step if step else 20_000)
    if rng.random() < 0.3:
        stimulus = with_payloads(stimulus, seed)
    takes_analog = not any(p.neuron.kind == "max_gate" for p in network)
    if takes_analog and rng.random() < (0.8 if feature == "analog" else 0.15):
        stimulus = with_analog(stimulus, network, seed)
    if rng.random() < 0.4:
        stimulus = replace(stimulus, duration=int(stimulus.time[-1]) + int(rng.integers(0, 8000)))
    rule = str(rng.choice(["none", "margin:0.5", "max-probability:0.9"]))
    options = replace(
        OPTIONS,
        exit_rule=parse_rule(rule),
        schedule="step" if step else "event",
        step=step,
        seed=int(rng.integers(0, 1000)),
        ties="seeded" if feature == "seeded" else "ordered",
        history_period=int(rng.integers(1, 3000)) if rng.random() < 0.5 or feature == "history" else 0,
    )
    return network, stimulus, options


def random_mapping(seed, network):
    """Cores under which most populations are split, with times and energies of every action."""
    rng = np.random.default_rng([seed, 8])
    times = {name: int(rng.integers(0, 40)) for name in ACTIONS if name != "multiply"}
    energies = {name: int(rng.integers(0, 10**6)) for name in ACTIONS}
    limits = random_limits(rng, network)
    return map_network(network, architecture(*limits, times, energies, {}))


def outcome(engine, network, mapping, stimulus, options):
    """A run, or what stopped it."""
    try:
        return make_engine(engine, network, mapping, options).run(stimulus, 3)
    except (EventLimitReached, ChargeOverflow, InvalidRequest) as error:
        return type(error)


def compare(seed, feature, stepped, mapped=False):
    """Run a case on both engines; whether it ran."""
    network, stimulus, options = random_case(seed, feature, stepped)
    mapping = None
    if mapped:
        try:
            mapping = random_mapping(seed, network)
        except DoesNotFit:
            return False
    found = [outcome(engine, network, mapping, stimulus, options) for engine in ENGINES]
    if isinstance(found[0], type) or isinstance(found[1], type):
        assert found[0] is found[1]
        return False
    assert_same_run(*found)
    return True


FEATURES = ("step", "history", "seeded", "analog", "leak", "gate", "rate_gate", "softmax", "cycle")


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("feature", FEATURES)
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_engines_give_the_same_run(feature, stepped, seed):
    compare(seed, feature, stepped)


@pytest.mark.parametrize("feature", ["seeded", "leak", "gate", "rate_gate", "softmax", "cycle"])
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_engines_give_the_same_run_on_an_accelerator(feature, seed):
    compare(seed, feature, False, mapped=True)
