"""Runs and what stopped them, side by side."""

import numpy as np
from hypothesis import assume

from builders.accelerators import random_split
from builders.cases import random_case
from builders.floors import asserting
from eventsnn.engine import ENGINES, RunOptions, make_engine
from eventsnn.errors import ChargeOverflow, DoesNotFit, EventLimitReached, InvalidRequest

# Signed neurons tested after every delivery toggle; a few random networks would run for minutes.
OPTIONS = RunOptions(record_spikes=True, max_events=20_000)


def run(network, stimulus, engine="reference", options=OPTIONS, index=0):
    """A sample without an accelerator."""
    return make_engine(engine, network, None, options).run(stimulus, index)


def spike_table(run):
    return np.stack([run.spikes.time, run.spikes.rank, run.spikes.neuron, run.spikes.payload], axis=1)


def same_arrays(one, other, of=""):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], f"{of} {name}")


def assert_same_run(one, other):
    """Every field of two runs but the state they leave; the service log in any order."""
    np.testing.assert_array_equal(spike_table(one), spike_table(other))
    for name in ("time", "readout", "synaptic_operations", "spikes", "energy"):
        np.testing.assert_array_equal(getattr(one.trace, name), getattr(other.trace, name), name)
    same_arrays(one.counts, other.counts)
    same_arrays(one.charge, other.charge)
    assert one.lost.keys() == other.lost.keys()
    for cause, lost in one.lost.items():
        same_arrays(lost, other.lost[cause], cause)
    np.testing.assert_array_equal(one.counters, other.counters)
    for name in ("digest", "prediction", "decision_time", "decided_early", "first_event", "index"):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.service is None) == (other.service is None)
    if one.service is not None:
        np.testing.assert_array_equal(np.sort(one.service), np.sort(other.service))
    assert (one.history is None) == (other.history is None)
    if one.history is not None:
        for name in ("time", "counters", "readout"):
            np.testing.assert_array_equal(getattr(one.history, name), getattr(other.history, name), name)


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
            mapping = random_split(seed, network)
        except DoesNotFit:
            assume(False)
    found = [outcome(engine, network, mapping, stimulus, options) for engine in ENGINES]
    if isinstance(found[0], type) or isinstance(found[1], type):
        assert found[0] is found[1]
        return False
    asserting()
    assert_same_run(*found)
    return True
