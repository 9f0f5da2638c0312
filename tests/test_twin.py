"""The hardware path: compiled engine, reference engine and SimPy twin agree, and its laws hold."""

import hypothesis.strategies as st
import networks
import numpy as np
import pytest
from hypothesis import assume, given, settings

from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, Stimulus
from eventsnn.engine.compiled import CompiledEngine
from eventsnn.engine.order import EventKey
from eventsnn.engine.plan import destinations, fan_out_in_part
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.twin import TwinEngine, TwinSample, priority
from eventsnn.errors import DoesNotFit, EventLimitReached
from eventsnn.hardware import map_network
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.mapping import stored_weights
from eventsnn.network import Input, Network, Population, Projection, Rate, Readout, Signed
from eventsnn.results.counters import COLUMN

ENGINES = (CompiledEngine, ReferenceEngine, TwinEngine)
ACTIONS = ("input", "serialise", "hop_x", "hop_y", "decode", "synapse", "multiply", "update", "fire", "decision")
LIMIT = 3000
SEEDS = st.integers(0, 2**32 - 1)


def quantity(value, unit):
    return {"value": value, "unit": unit, "kind": "assumed", "source": "drawn by a test"}


def architecture(mesh, neurons, weights, lanes, times, energies, jitter):
    """An architecture document from plain numbers; ``jitter`` is (distribution, mean, deviation) by action."""
    actions = {}
    for name in ACTIONS:
        actions[name] = {"energy": quantity(energies.get(name, 0), "aJ")}
        if name != "multiply":
            actions[name]["time"] = quantity(times.get(name, 0), "ps")
        if name in jitter:
            distribution, mean, deviation = jitter[name]
            actions[name]["jitter"] = {
                "distribution": distribution,
                "mean": quantity(mean, "ps"),
                "deviation": quantity(deviation, "ps"),
            }
    document = {
        "format": "eventsnn-architecture",
        "schema": 1,
        "name": "drawn",
        "description": "drawn by a test",
        "clock": quantity(1, "GHz"),
        "mesh": {"width": mesh[0], "height": mesh[1]},
        "core": {
            "neurons": quantity(neurons, "neurons"),
            "weights": quantity(weights, "weights"),
            "processing_elements": quantity(lanes, "lanes"),
            "input_fifo": {"depth": "unbounded"},
        },
        "static_power": quantity(1, "mW"),
        "actions": actions,
    }
    return parse_architecture(document, "test")


def random_limits(rng, network):
    """Core limits under which most populations are split, by channels and often by rows."""
    layers = [p for p in network if not isinstance(p.neuron, Input)]
    row = max(p.shape[1] for p in layers)
    channel = max(stored_weights(network, p, 1) for p in layers)
    largest = max(p.size for p in layers)
    neurons = int(rng.integers(row, max(row + 1, min(largest, 8 * row))))
    weights = channel * int(rng.integers(1, 30))
    mesh = (int(rng.integers(1, 13)), int(rng.integers(1, 13)))
    return mesh, neurons, weights, int(rng.integers(1, 17))


def random_times(rng, fastest=1):
    """Times in ticks; a core's services take at least ``fastest``, the rest may take none."""
    scale = int(rng.choice([3, 50, 3000]))
    times = {name: int(rng.integers(0, scale)) for name in ACTIONS if name != "multiply"}
    for name in ("decode", "update"):
        times[name] += fastest
    for name in ("serialise", "fire", "hop_x", "decision"):
        times[name] *= int(rng.random() < 0.8)
    return times


def random_jitter(rng):
    kinds = ("uniform", "normal", "lognormal", "gamma")
    return {
        name: (str(rng.choice(kinds)), int(rng.integers(0, 3000)), int(rng.integers(1, 2000)))
        for name in ("serialise", "decode")
        if rng.random() < 0.4
    }


def place(network, limits, times, energies=None, jitter=None):
    """The network on a chip, or None where it does not fit."""
    try:
        return map_network(network, architecture(*limits, times, energies or {}, jitter or {}))
    except DoesNotFit:
        return None


def random_mapping(seed, network, jitter=True):
    rng = np.random.default_rng(seed)
    energies = {name: int(rng.integers(0, 10**6)) for name in ACTIONS}
    for _ in range(4):
        limits, times = random_limits(rng, network), random_times(rng)
        mapping = place(network, limits, times, energies, random_jitter(rng) if jitter else {})
        if mapping is not None:
            return mapping
    return None


def random_options(seed):
    rng = np.random.default_rng(seed)
    rule = rng.choice(["none", "margin:0.4", "margin:0.9", "max-probability:0.6", "max-probability:0.95"])
    return RunOptions(
        exit_rule=parse_rule(str(rule)),
        seed=int(rng.integers(0, 2**63)),
        max_events=LIMIT,
        record_spikes=True,
        record_service=True,
    )


def run_all(network, stimulus, mapping, options, engines=ENGINES, index=3):
    """One run of each engine; all of them, or none, reach the event limit (then None is returned)."""
    runs = []
    for engine in engines:
        try:
            runs.append(engine(network, mapping, options).run(stimulus, index))
        except EventLimitReached:
            runs.append(None)
    assert len({run is None for run in runs}) == 1
    return None if runs[0] is None else runs


def spike_table(run):
    return np.stack([run.spikes.time, run.spikes.rank, run.spikes.neuron, run.spikes.payload], axis=1)


def same_arrays(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def assert_same_run(one, other):
    """Every field of two runs, the service log in any order."""
    np.testing.assert_array_equal(spike_table(one), spike_table(other))
    np.testing.assert_array_equal(one.counters, other.counters)
    for name in ("time", "readout", "synaptic_operations", "spikes", "energy"):
        np.testing.assert_array_equal(getattr(one.trace, name), getattr(other.trace, name), name)
    for name in ("digest", "prediction", "decision_time", "decided_early", "first_event", "index"):
        assert getattr(one, name) == getattr(other, name), name
    same_arrays(one.counts, other.counts)
    same_arrays(one.charge, other.charge)
    for cause in one.lost:
        same_arrays(one.lost[cause], other.lost[cause])
    assert (one.service is None) == (other.service is None)
    if one.service is not None:
        np.testing.assert_array_equal(np.sort(one.service), np.sort(other.service))


def check_agreement(seed, kind, lazy, delays, on_chip=True):
    """One random network, chip, stimulus and options on every engine; False where the draw is void."""
    readout = seed % 4 != 0
    network = networks.random_network(seed, kind, delays, lazy, readout)
    mapping = random_mapping(seed + 1, network) if on_chip else None
    if on_chip and mapping is None:
        return None
    stimulus = networks.random_stimulus(seed + 2, network, events=30)
    runs = run_all(network, stimulus, mapping, random_options(seed + 3))
    if runs is None:
        return None
    for run in runs[1:]:
        assert_same_run(runs[0], run)
    return mapping, runs
