"""An engine's samples know nothing of each other, and its buffers need not be cleared (law 7)."""

from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from builders.cases import FEATURES, random_case
from builders.chips import random_chip
from builders.draws import SEEDS
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network, random_stimulus
from builders.runs import assert_same_run
from builders.step_chips import random_step_mapping
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.engine import ENGINES, Stimulus, make_engine
from eventsnn.errors import ChargeOverflow, Deadlock, EventLimitReached, InvalidRequest

FAILURES = (EventLimitReached, ChargeOverflow, InvalidRequest, Deadlock)


@contextmanager
def garbage():
    """New memory holds what would break a run that reads it before it has written it."""
    empty = np.empty

    def filled(*args, **kwargs):
        array = empty(*args, **kwargs)
        if array.dtype == np.int64:
            array[...] = 0x5A5A5A5A5A5A5A5A
        return array

    with mock.patch.object(np, "empty", filled):
        yield


def outcome(engine, stimulus, index):
    try:
        return engine.run(stimulus, index)
    except FAILURES as error:
        return error


def samples_of(stimulus):
    """Three samples: one, another that has neither analog values nor payloads, the first again."""
    count = max(1, len(stimulus.time) // 2)
    other = Stimulus(stimulus.time[:count], stimulus.neuron[:count], duration=stimulus.duration)
    return [(stimulus, 3), (other, 8), (stimulus, 3)]


def check(network, mapping, stimulus, options):
    """One engine for all samples, in memory full of garbage, against a fresh engine for each."""
    samples = samples_of(stimulus)
    with garbage():
        engine = make_engine("compiled", network, mapping, options)
        found = [outcome(engine, *sample) for sample in samples]
    # Compared once all have been run: nothing that a sample gave has changed since.
    expected = [outcome(make_engine("compiled", network, mapping, options), *sample) for sample in samples]
    if not any(isinstance(fresh, Exception) for fresh in expected):
        asserting()
    for run, fresh in zip(found, expected, strict=True):
        if isinstance(fresh, Exception):
            assert (type(run), str(run)) == (type(fresh), str(fresh))
            continue
        assert_same_run(run, fresh)
        for name in ("parts", "service"):
            np.testing.assert_array_equal(getattr(run, name), getattr(fresh, name), name)


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("feature", [*FEATURES, "synaptic", "factors"])
@asserts_at_least(6)
@given(SEEDS)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_samples_in_a_row_are_those_of_fresh_engines(feature, stepped, seed):
    network, stimulus, options = random_case(seed, feature, stepped)
    check(network, None, stimulus, options)


@pytest.mark.parametrize("feature", ["none", "history", "seeded", "analog", "softmax", "cycle"])
@asserts_at_least(4)
@given(SEEDS, st.booleans(), st.booleans())
@settings(max_examples=10, deadline=None, derandomize=True)
def test_samples_in_a_row_on_an_accelerator(feature, seed, plain, logs):
    network, stimulus, options = random_case(seed, feature, False)
    chip = random_chip(seed, network, links=not plain, bounded=not plain, shared=not plain)
    check(network, chip, stimulus, replace(options, max_events=1000, record_service=logs))


@pytest.mark.parametrize("feature", ["none", "history", "analog", "leak"])
@asserts_at_least(6)
@given(SEEDS, st.booleans(), st.booleans())
@settings(max_examples=10, deadline=None, derandomize=True)
def test_samples_in_a_row_step_by_step_on_an_accelerator(feature, seed, links, logs):
    network, stimulus, options = random_case(seed, feature, True)
    mapping = random_step_mapping(seed, network, links=links)
    check(network, mapping, stimulus, replace(options, record_service=logs))


def test_what_a_sample_gave_is_its_own():
    network = random_network(1, "signed")
    stimulus, engine = random_stimulus(1, network), make_engine("compiled", network)
    first, second = engine.run(stimulus), engine.run(stimulus)
    for name in network.order:
        for one, other in ((first.counts, second.counts), (first.charge, second.charge)):
            assert not np.shares_memory(one[name], other[name])
        # Signed neurons lose nothing: all samples show the same zeros, which nobody can write.
        for cause, lost in first.lost.items():
            assert not lost[name].any()
            with pytest.raises(ValueError, match="read-only"):
                second.lost[cause][name][:] = 1
    assert not np.shares_memory(first.trace.readout, second.trace.readout)
    assert not np.shares_memory(first.counters, second.counters)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint64])
def test_whole_numbers_of_any_width_are_the_same_input(engine, dtype):
    network = random_network(5, "signed")
    time = np.arange(40) * 3
    neuron = np.arange(40) % network.populations[network.input].size
    payload = 1 + np.arange(40) % 3
    given = [array.astype(dtype) for array in (time, neuron, payload)]
    expected = make_engine("reference", network).run(Stimulus(time, neuron, payload))
    assert make_engine(engine, network).run(Stimulus(*given)).digest == expected.digest
