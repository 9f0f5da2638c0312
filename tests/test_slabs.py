"""Populations one after another over slabs of time give the run that goes tick by tick, of any length."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from builders.cases import random_case
from builders.draws import SEEDS, few
from builders.floors import asserting, asserts_at_least
from builders.runs import assert_same_run, outcome
from hypothesis import given
from hypothesis import strategies as st

from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, Stimulus, compiled
from eventsnn.engine.compiled import CompiledEngine
from eventsnn.engine.lowering import capacities
from eventsnn.errors import ChargeOverflow
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, Readout, Signed

FEATURES = ("none", "analog", "leak", "refractory", "lowest")


def slabbed(network, stimulus, options, ticks):
    """A run in slabs of so many ticks, or what stopped it; and whether there were slabs."""
    with mock.patch.object(compiled, "slab_ticks", return_value=ticks):
        has = CompiledEngine(network, None, options)._machine.has_slabs
        return outcome("compiled", network, None, stimulus, options), has


@pytest.mark.parametrize("feature", FEATURES)
@asserts_at_least(5)
@few(70)
@given(SEEDS, st.sampled_from([1, 7, 300, 10**15]))
def test_slabs_of_any_length_give_the_reference_run(feature, seed, ticks):
    network, stimulus, options = random_case(seed, feature, False)
    expected = outcome("reference", network, None, stimulus, options)
    run, has = slabbed(network, stimulus, options, ticks)
    if isinstance(expected, type):
        assert run is expected
        return
    if has:
        asserting()
    assert_same_run(expected, run)


def chain(*neurons, weights):
    """One neuron a population, one after the other, between an input and a readout."""
    names = ["in", *(f"layer{i}" for i in range(len(neurons))), "out"]
    kinds = [Input(), *neurons, Readout()]
    populations = [Population(n, (1, 1, 1), kind) for n, kind in zip(names, kinds, strict=True)]
    projections = [
        Projection(f"to {b}", a, b, Dense(np.array([[w]], dtype=np.int32)))
        for a, b, w in zip(names, names[1:], weights, strict=False)
    ]
    return Network(populations, projections)


def test_a_chain_by_hand():
    """Threshold 2: each second event fires, and the readout gets 5 quanta at its tick."""
    network = chain(Rate(2, period=100), weights=[1, 5])
    stimulus = Stimulus(np.array([3, 10, 11, 40]), np.zeros(4, dtype=np.int64))
    for ticks in (1, 5, 100):
        run, has = slabbed(network, stimulus, RunOptions(record_spikes=True), ticks)
        assert has
        assert run.spikes.time[run.spikes.rank == 1].tolist() == [10, 40]
        # A check when the readout has changed, and the end.
        assert run.trace.time.tolist() == [10, 40, 40]
        assert run.trace.readout[:, 0].tolist() == [5, 10, 10]
        # What its spikes did by then: 2 and 4 of the input, 1 and 2 of the layer.
        assert run.trace.synaptic_operations.tolist() == [3, 6, 6]
        assert run.trace.spikes.tolist() == [1, 2, 2]


def test_a_charge_that_overflows_is_named_as_tick_by_tick():
    """The second layer overflows at tick 1, the first at tick 9, which a slab comes to before."""
    big = 2**30
    populations = [Population(n, (1, 1, 1), Input() if n == "in" else Readout()) for n in ("in", "out")]
    populations.insert(1, Population("late", (1, 1, 1), Signed(2**20, 1, settle_time=10**6)))
    populations.insert(2, Population("early", (1, 1, 1), Signed(2**20, 1, settle_time=10**6)))
    weight = {"late": big // 4, "early": big}
    projections = [
        Projection(n, "in", n, Dense(np.array([[weight[n]]], dtype=np.int32))) for n in ("late", "early")
    ]
    projections += [
        Projection(f"{n} on", n, "out", Dense(np.array([[1]], dtype=np.int32))) for n in ("late", "early")
    ]
    network = Network(populations, projections)
    assert network.order.index("late") != network.order.index("early")
    stimulus = Stimulus(np.arange(12), np.zeros(12, dtype=np.int64))
    assert CompiledEngine(network)._machine.has_slabs
    with pytest.raises(ChargeOverflow, match="'early'"):
        CompiledEngine(network).run(stimulus)


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(exit_rule=parse_rule("margin:0.5")),
        RunOptions(history_period=10),
        RunOptions(ties="seeded"),
        RunOptions(schedule="step", step=10**9),
    ],
)
def test_who_looks_in_between_has_none(options):
    network = chain(Rate(2, period=10**9), weights=[1, 5])
    assert not CompiledEngine(network, None, options)._machine.has_slabs
    assert CompiledEngine(
        network,
        None,
        replace(options, exit_rule=None, history_period=0, ties="ordered", schedule="event", step=0),
    )._machine.has_slabs


def test_buffers_grow_as_slabs_need():
    network, options = chain(Rate(2, period=100), weights=[1, 5]), RunOptions(record_spikes=True)
    stimulus = Stimulus(np.arange(300) * 3, np.zeros(300, dtype=np.int64))
    engine = CompiledEngine(network, None, options)
    room = engine._start.capacities
    room.marks, room.log, room.trace, room.lists = 2, 16, 4, np.full(3, 8)
    assert engine._machine.has_slabs
    expected = outcome("reference", network, None, stimulus, options)
    assert_same_run(expected, engine.run(stimulus, 3))
    assert min(room.marks, room.log, room.trace) > 100


def test_slabs_get_shorter_where_lists_would_get_long():
    network, options = chain(Rate(2, period=100), weights=[1, 5]), RunOptions(record_spikes=True)
    stimulus = Stimulus(np.arange(30_000) * 3, np.zeros(30_000, dtype=np.int64))
    engine = CompiledEngine(network, None, options)
    room = engine._start.capacities
    with mock.patch.object(capacities, "SLAB_SPIKES", 100):
        room.lists = np.full(3, 40)
        run = engine.run(stimulus, 3)
    # A sixteenth of the usual 4,096 events a slab are 256, and half as many spikes: then lists grow.
    assert (room.sixteenths, room.lists.tolist()) == (1, [640, 160, 40])
    assert_same_run(outcome("compiled", network, None, stimulus, options), run)
