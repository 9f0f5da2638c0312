"""Class 0 of law 2: what a population does by itself at a tick.

Inputs come in, currents take charges to threshold, touched neurons are tested, clocks strike.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.bounded import queue_scans
from eventsnn.engine.kernels.crossings import pop_crossing
from eventsnn.engine.kernels.draws import seeded_order
from eventsnn.engine.kernels.firing import append_spikes, fire_rate, payload_of, step_rate, test_signed
from eventsnn.engine.kernels.first_spike import step_first_spike
from eventsnn.engine.kernels.gates import step_gates, test_gates
from eventsnn.engine.kernels.leaks import catch_up, leaves_enough
from eventsnn.engine.kernels.records import (
    KIND_EXACT_GATE,
    KIND_FIRST_SPIKE,
    KIND_INPUT,
    KIND_RATE,
    KIND_RATE_GATE,
    KIND_READOUT,
    KIND_SIGNED,
    KIND_SOFTMAX,
    NEVER,
)
from eventsnn.engine.kernels.softmax import run_clock
from eventsnn.engine.kernels.sorting import sort_by_neuron
from eventsnn.engine.kernels.streams import request_scans
from eventsnn.engine.kernels.synaptic import update_synaptic
from eventsnn.engine.order import NEURON_BITS

NEURON_UPDATES = COLUMN["neuron_updates"]


@inlined
def _enter_input(st, live, stimulus_time, stimulus_word, now):
    """Input events of this tick become spikes."""
    n = st.scalar.input_next
    while n < len(stimulus_time) and stimulus_time[n] == now:
        word = stimulus_word[n]
        append_spikes(st.firing.lists, live, st.scalar, word >> 32, payload_of(word), 1)
        n += 1
    st.scalar.input_next = n


@inner
def _still_cross(factors, count, rank, row, live, flagged, neurons, currents, scalar, now, end):
    """Leaks are due before a crossing: without one that stands after them, nothing happens at its tick."""
    for q in range(count):
        if leaves_enough(factors, flagged[q], row, live, neurons.charge, currents, now, end):
            catch_up(factors, rank, row, live, neurons, currents, scalar, now, end)
            return count
    return np.int64(0)


@inner
def _seeded_order(flagged, scratch, digits, count, offset, key, now, rank):
    """Neurons that stand in ascending order go by their seeded places."""
    for q in range(count):
        neuron = flagged[q] - offset
        flagged[q] = (seeded_order(key, now, rank, neuron) << 32) | neuron
    sort_by_neuron(flagged, 0, count, scratch, digits)
    for q in range(count):
        flagged[q] = offset + (flagged[q] & 0xFFFFFFFF)


@inlined
def _count_fired(plan, st, rank, first):
    """Count the tests of neurons that fired, by part; their spikes are listed from ``first`` on."""
    row = plan.population[rank]
    before = np.int64(-1)
    for i in range(first, st.rank[rank].list_stop):
        neuron = st.firing.lists[i] >> 32
        if neuron != before:
            st.parts[plan.part_of[row.offset + neuron], NEURON_UPDATES] += 1
        before = neuron


@inlined
def _cross(plan, st, settings, ideal, rank, now, end):
    """Fire the neurons of this rank whose current takes them to threshold at this tick."""
    row, live = plan.population[rank], st.rank[rank]
    count = np.int64(0)
    while st.scalar.crossings > 0:
        if st.firing.crossings[0].tick != now or (st.firing.crossings[0].key >> NEURON_BITS) != rank:
            break
        j = row.offset + pop_crossing(st.firing.crossings, st.scalar)
        if st.neurons.candidate[j] == now:  # else superseded by an earlier one
            st.neurons.candidate[j] = NEVER
            st.firing.flagged[count] = j
            count += 1
    if live.leak_next <= now:
        count = _still_cross(
            plan.factors, count, rank, row, live, st.firing.flagged, st.neurons, st.currents, st.scalar, now,
            end,
        )  # fmt: skip
    if settings.seeded and count > 1:
        _seeded_order(
            st.firing.flagged, st.scratch, st.digits, count, row.offset, settings.seed_key, now, rank
        )
    if count > 0:
        first = live.list_stop
        fired = fire_rate(
            count, rank, row, live, st.neurons, st.currents, st.firing, st.scalar, settings.max_events, now,
            end, np.int64(0),
        )  # fmt: skip
        st.counters[rank, NEURON_UPDATES] += fired
        if ideal is None:
            _count_fired(plan, st, rank, first)


@inlined
def _test(plan, st, settings, ideal, streams, queues, rank, kind, now):
    """Test the touched neurons of signed populations, or touched exact gates.

    On an accelerator their cores scan them first.
    """
    row, live = plan.population[rank], st.rank[rank]
    if streams is not None:
        request_scans(plan, st, settings, streams, rank, now)
    if queues is not None:
        queue_scans(plan, st, queues, rank, now)
    if kind == KIND_SIGNED:
        st.counters[rank, NEURON_UPDATES] += test_signed(
            row, live, st.neurons, st.firing.lists, st.scalar, st.scalar.settled
        )
        if ideal is None:
            for part in range(row.part_start, row.part_stop):
                st.parts[part, NEURON_UPDATES] += st.part[part].tested
    else:
        test_gates(
            row, live, plan.synapses.edges, st.gates.estimates, st.neurons, st.firing.lists,
            st.counters[rank], st.scalar,
        )  # fmt: skip


@inlined
def _strike(plan, st, settings, ideal, rank, now, end):
    """An event of a spiking softmax's clock."""
    row = plan.population[rank]
    events = run_clock(
        rank, row, st.rank[rank], st.neurons, st.currents.quanta, st.firing, plan.tables, st.scalar,
        settings.seed_key, now, end, settings.step,
    )  # fmt: skip
    st.counters[rank, NEURON_UPDATES] += row.neurons * events
    if ideal is None:
        for part in range(row.part_start, row.part_stop):
            st.parts[part, NEURON_UPDATES] += plan.part[part].neurons * events


@inlined
def _step(plan, st, settings, special, rank, kind, now):
    """What the step schedule does at every step: rates, gates of rates, readouts with a current."""
    row, live = plan.population[rank], st.rank[rank]
    if special is not None and kind == KIND_RATE_GATE:
        step_gates(
            row, live, plan.synapses.edges, st.gates, st.neurons, st.firing.lists, st.counters[rank],
            st.scalar, now,
        )  # fmt: skip
    elif special is not None and kind == KIND_FIRST_SPIKE and st.scalar.next_step == now:
        st.counters[rank, NEURON_UPDATES] += step_first_spike(
            rank, row, live, st.neurons, st.currents.quanta, st.firing.lists, st.scalar, now,
            st.scalar.input_end,
        )  # fmt: skip
    elif kind == KIND_READOUT:
        if live.biased > 0 and now > row.start_time:
            st.scalar.output_changed = 1
    elif kind == KIND_RATE and st.scalar.next_step == now and now > row.start_time:
        tested = row.test_period == 0 or now % row.test_period == 0
        if tested:
            st.counters[rank, NEURON_UPDATES] += row.neurons
        step_rate(
            rank, row, live, st.neurons, st.currents, st.firing, st.scalar, settings.max_events, now,
            settings.step, tested,
        )  # fmt: skip


@inlined
def own_events(
    plan, st, settings, full, events, special, ideal, streams, queues, rank, stimulus_time, stimulus_word,
    now, end,
):  # fmt: skip
    """Everything of class 0 that a population does at this tick."""
    live = st.rank[rank]
    kind = plan.population[rank].kind
    if kind == KIND_INPUT:
        _enter_input(st, live, stimulus_time, stimulus_word, now)
    elif kind == KIND_SIGNED:
        if live.test_due == now:
            _test(plan, st, settings, ideal, streams, queues, rank, kind, now)
    elif full is not None:
        if special is not None and kind == KIND_EXACT_GATE:
            if live.test_due == now:
                _test(plan, st, settings, ideal, streams, queues, rank, kind, now)
        elif special is not None and kind == KIND_SOFTMAX:
            if live.test_due == now or settings.step > 0:
                _strike(plan, st, settings, ideal, rank, now, end)
        elif plan.population[rank].synaptic:
            if ideal is not None:
                update_synaptic(plan, st, settings, rank, now)
        elif settings.step > 0:
            if ideal is not None:
                _step(plan, st, settings, special, rank, kind, now)
        elif events is not None:
            if kind == KIND_RATE and st.scalar.crossings > 0 and st.firing.crossings[0].tick == now:
                _cross(plan, st, settings, ideal, rank, now, end)
