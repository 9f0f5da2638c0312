"""Spiking softmax outputs: integer weights, waiting times, and draws (see ``softmax_tables``)."""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.kernels.currents import floor_charge
from eventsnn.engine.kernels.draws import draw2, draw3
from eventsnn.engine.kernels.firing import append_spikes
from eventsnn.engine.kernels.records import NEVER, VARIANT_CLOCK
from eventsnn.engine.seeds import PURPOSE_SOFTMAX_NEURON, PURPOSE_SOFTMAX_WAIT, PURPOSE_SOFTMAX_WINNER
from eventsnn.engine.softmax_tables import LOGIT_SHIFT, WAIT_BITS, WAITS

WAIT_LIMIT = 2**62


@inner
def _weights(row, live, charge, quanta, parts, tables, now, end):
    """Softmax weights of the charges, currents included, into ``parts``; returns their sum.

    ``tables`` are the waiting times, then the exponentials.
    """
    size, length, unit = row.neurons, live.bias_length, row.logit_unit
    largest = np.int64(-NEVER)
    for j in range(size):
        value = np.int64(charge[row.offset + j])
        if length > 0:
            c = live.bias_start + j % length
            value += floor_charge(np.int64(quanta[c]), min(now, end), row.period)
        parts[j] = value
        largest = max(largest, value)
    last, half = len(tables) - WAITS, np.int64(1) << (LOGIT_SHIFT - 1)
    total = np.int64(0)
    for j in range(size):
        below = largest - parts[j]
        place = last
        if below <= WAIT_LIMIT // unit:  # the product fits
            place = min(last, (below * unit + half) >> LOGIT_SHIFT)
        parts[j] = tables[WAITS + place] if place < last else np.int64(0)
        total += parts[j]
    return total


@inner
def _draw(rank, row, parts, total, emitted, lists, live, scalar, key, event):
    """The spikes of one event of the clock or the grid, ascending."""
    if row.filter == VARIANT_CLOCK:
        drawn = draw2(key, PURPOSE_SOFTMAX_WINNER, rank, event) % total
    else:
        drawn = np.int64(0)
    for j in range(row.neurons):
        if row.filter == VARIANT_CLOCK:
            spikes = 0 <= drawn < parts[j]
            drawn -= parts[j]
        else:
            spikes = draw3(key, PURPOSE_SOFTMAX_NEURON, rank, event, j) % total < parts[j]
        if spikes:
            emitted[row.offset + j] += np.int32(1)
            append_spikes(lists, live, scalar, j, 1, 1)


@inner
def _next_event(rank, row, tables, key, event, last):
    """The tick of an event of the clock or the grid, the one before having been at ``last``."""
    interval = row.interval
    if row.filter != VARIANT_CLOCK:
        return last + interval
    wait = tables[draw2(key, PURPOSE_SOFTMAX_WAIT, rank, event) % WAITS]
    whole, rest = interval >> WAIT_BITS, interval & ((np.int64(1) << WAIT_BITS) - 1)
    if whole > (WAIT_LIMIT >> 1) // max(wait, np.int64(1)):
        return NEVER
    ticks = whole * wait + ((rest * wait + (np.int64(1) << (WAIT_BITS - 1))) >> WAIT_BITS)
    return last + max(np.int64(1), ticks)


@inner
def run_clock(rank, row, live, neurons, quanta, firing, tables, scalar, key, now, end, step):
    """The events of the clock up to a tick, and when it is due next; returns how many there were.

    The clock's events inside a step belong to it; those of the grid are at the tick that closes it.
    """
    parts, lists = firing.flagged, firing.lists
    before = step > 0 and row.filter == VARIANT_CLOCK
    events = np.int64(0)
    while True:
        tick = live.clock_next
        if tick > min(now, end) or (before and tick == min(now, end)):
            break
        total = _weights(row, live, neurons.charge, quanta, parts, tables, now, end)
        _draw(rank, row, parts, total, neurons.emitted, lists, live, scalar, key, live.clock_event)
        events += 1
        live.clock_event += 1
        live.clock_next = _next_event(rank, row, tables, key, live.clock_event, tick)
    if step == 0:
        live.test_due = live.clock_next if live.clock_next <= end else NEVER
    return events
