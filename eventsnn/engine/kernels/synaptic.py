"""Neurons with a synaptic current: what arrives goes into it, and the charge takes it in each update.

An update is a step, or in the event schedule a multiple of the population's period. So are updated readouts
that leak in the step schedule: their synaptic factor is 0. Deliveries add to ``Neurons.charge``, which holds
what the last update left of the current, and what has come since; the charge stands in ``Neurons.membrane``.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.firing import append_spikes
from eventsnn.engine.kernels.leaks import leaked
from eventsnn.engine.kernels.records import (
    CHARGE_LIMIT,
    EVENT_LIMIT,
    KIND_SYNAPTIC,
    LOST_CLAMP,
    LOST_LEAK,
    LOST_RESET,
    NEVER,
    OVERFLOW,
)

NEURON_UPDATES = COLUMN["neuron_updates"]


@inner
def integrate_synaptic(rank, row, live, neurons, quanta, factors, scalar):
    """Both states leak, the current takes the bias, the charge the current; whether any current flowed."""
    charge, membrane, offset, length = neurons.charge, neurons.membrane, row.offset, live.bias_length
    flowed, largest = False, np.int64(0)
    for j in range(row.neurons):
        value, current = membrane[offset + j], np.int64(charge[offset + j])
        if row.leak_period > 0:
            left = leaked(value, np.int64(factors[row.leak_factors + j]))
            neurons.lost[LOST_LEAK, offset + j] += value - left
            value = left
        if length > 0:
            current += np.int64(quanta[live.bias_start + j % length])
        value += current
        if max(abs(current), abs(value)) > CHARGE_LIMIT:
            scalar.status = OVERFLOW
            scalar.bad_rank = rank
            scalar.bad_neuron = j
            return flowed
        membrane[offset + j] = value
        flowed = flowed or current != 0
        left = np.int64(0)
        if row.synapse_factor > 0:
            left = leaked(current, np.int64(factors[row.synapse_factors + j]))
        charge[offset + j] = np.int32(left)
        largest = max(largest, abs(left))
    live.headroom = CHARGE_LIMIT - largest
    return flowed


@inner
def fire_synaptic(row, live, neurons, lists, scalar, max_events, now):
    """Test, reset and clamp each neuron of a population that has been updated."""
    membrane, ready, threshold, strict = neurons.membrane, neurons.ready, row.threshold, row.strict
    for j in range(row.offset, row.offset + row.neurons):
        value = membrane[j]
        if value >= threshold + strict and (row.refractory == 0 or now >= ready[j]):
            spikes = np.int64(1)
            if row.hard:
                neurons.lost[LOST_RESET, j] += value - threshold
                value = np.int64(0)
            else:
                if row.multispike and row.refractory == 0:
                    spikes = (value - strict) // threshold
                    if spikes > max_events:
                        scalar.status = EVENT_LIMIT
                        return
                value -= spikes * threshold
            if live.counted_at_once:
                neurons.emitted[j] += np.int32(spikes)
            append_spikes(lists, live, scalar, j - row.offset, 1, spikes)
            if row.refractory > 0:
                ready[j] = now + row.refractory
        if row.clamped and value < row.clamp:
            neurons.lost[LOST_CLAMP, j] += value - row.clamp
            value = row.clamp
        membrane[j] = value


@inlined
def update_synaptic(plan, st, settings, rank, now):
    """One update, if it is time, of a population with a synaptic current."""
    row, live = plan.population[rank], st.rank[rank]
    if settings.step > 0:
        due = now > row.start_time
    else:
        due = live.test_due == now
    if due:
        flowed = integrate_synaptic(
            rank, row, live, st.neurons, st.currents.quanta, plan.factors, st.scalar
        )  # fmt: skip
        if row.kind == KIND_SYNAPTIC:
            if row.test_period == 0 or now % row.test_period == 0:
                st.counters[rank, NEURON_UPDATES] += row.neurons
                fire_synaptic(row, live, st.neurons, st.firing.lists, st.scalar, settings.max_events, now)
        elif flowed or live.active or live.biased > 0:
            st.scalar.output_changed = 1
        live.active = 0
        if settings.step == 0:
            live.test_due = now + row.update_period
            if live.test_due > live.update_end:
                live.test_due = NEVER
