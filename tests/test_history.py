"""Counters over time: a row at each multiple of a period, the same as runs cut there would give."""

from dataclasses import replace

import numpy as np
import pytest
from builders.draws import SEEDS
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network, random_stimulus, with_rates
from builders.runs import OPTIONS, run
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.counting.counters import COLUMN
from eventsnn.decide import parse_rule
from eventsnn.engine import Stimulus
from eventsnn.errors import EventLimitReached, InvalidRequest
from eventsnn.network import Dense, Input, Network, Population, Projection, Readout

ENGINE_NAMES = ("reference", "compiled")


@asserts_at_least(40)
@given(
    SEEDS,
    st.sampled_from(["signed", "rate", "mixed"]),
    st.sampled_from(["none", "margin:0.5"]),
    st.booleans(),
    st.sampled_from(ENGINE_NAMES),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_row_holds_what_was_counted_by_its_tick(seed, kind, rule, stepped, engine):
    """Against the spikes and checks themselves; the last row is the end of the run, whose digest stays."""
    network = random_network(seed, kind, True, not stepped)
    step = 500 if stepped else 0
    network = with_rates(network, seed, step)
    stimulus, period = random_stimulus(seed, network), 1 + seed % 3000
    schedule = "step" if stepped else "event"
    options = replace(OPTIONS, exit_rule=parse_rule(rule), schedule=schedule, step=step)
    try:
        plain = run(network, stimulus, engine, options)
    except EventLimitReached:
        return
    asserting()
    result = run(network, stimulus, engine, replace(options, history_period=period))
    assert result.digest == plain.digest
    assert plain.history is None
    rows = max(1, -(-result.decision_time // period))
    history, spikes = result.history, result.spikes
    assert history.time.tolist() == [period * (i + 1) for i in range(rows)]
    np.testing.assert_array_equal(history.counters[-1], result.counters)
    last = result.trace.readout[-1] if not result.decided_early else None
    for row, time in enumerate(history.time[:-1]):
        counters = history.counters[row]
        for rank, name in enumerate(network.order):
            mine = spikes.payload[(spikes.rank == rank) & (spikes.time <= time)]
            if name == network.input:
                assert counters[rank, COLUMN["input_events"]] == len(mine)
            else:
                assert counters[rank, COLUMN["spikes_positive"]] == (mine > 0).sum()
                assert counters[rank, COLUMN["spikes_negative"]] == (mine < 0).sum()
            period_of = getattr(network.populations[name].neuron, "period", 0)
            if period_of:
                end = result.decision_time if stepped else stimulus.end
                biased = np.count_nonzero(network.bias(name))
                assert counters[rank, COLUMN["current_updates"]] == biased * (min(time, end) // period_of)
        seen = result.trace.time <= time
        if seen.any() and not network.bias(network.output).any():
            np.testing.assert_array_equal(history.readout[row], result.trace.readout[seen][-1])
    if last is not None:
        np.testing.assert_array_equal(history.readout[-1], last)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_rows_before_at_and_after_events(engine):
    """Events at 5, 10 and 23, a row every 10: 10 counts two, 20 no more, 30 (past the decision) all."""
    network = Network(
        [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, 1), Readout(period=10))],
        [Projection("p", "in", "out", Dense(np.array([[4]])), np.array([1]))],
    )
    stimulus = Stimulus(np.array([5, 10, 23]), np.zeros(3, dtype=np.int64))
    history = run(network, stimulus, engine, replace(OPTIONS, history_period=10)).history
    assert history.time.tolist() == [10, 20, 30]
    assert history.counters[:, 0, COLUMN["input_events"]].tolist() == [2, 2, 3]
    assert history.counters[:, 1, COLUMN["synaptic_operations"]].tolist() == [2, 2, 3]
    assert history.counters[:, 1, COLUMN["current_updates"]].tolist() == [1, 2, 2]
    assert history.readout[:, 0].tolist() == [9, 10, 14]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_history_without_end_is_refused(engine):
    network = Network(
        [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, 1), Readout())],
        [Projection("p", "in", "out", Dense(np.array([[4]])))],
    )
    stimulus = Stimulus(np.array([0, 10**9]), np.zeros(2, dtype=np.int64))
    with pytest.raises(InvalidRequest, match="more than 1000000 rows by tick"):
        run(network, stimulus, engine, replace(OPTIONS, history_period=1))
