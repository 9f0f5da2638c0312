"""Spiking softmax outputs: integer weights, waiting times, and draws (see ``softmax_tables``)."""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.columns import (
    BIAS_LENGTH,
    BIAS_START,
    CLOCK_EVENT,
    CLOCK_NEXT,
    FILTER,
    INTERVAL,
    LOGIT_UNIT,
    NEVER,
    OFFSET,
    PERIOD,
    SIZE,
    TEST_DUE,
    VARIANT_CLOCK,
)
from eventsnn.engine.kernels.currents import floor_charge
from eventsnn.engine.kernels.draws import draw2, draw3
from eventsnn.engine.kernels.firing import append_spikes
from eventsnn.engine.seeds import PURPOSE_SOFTMAX_NEURON, PURPOSE_SOFTMAX_WAIT, PURPOSE_SOFTMAX_WINNER
from eventsnn.engine.softmax_tables import LOGIT_SHIFT, WAIT_BITS, WAITS

WAIT_LIMIT = 2**62


@inner
def _weights(row, live, charge, quanta, parts, tables, now, end):
    """Softmax weights of the charges, currents included, into ``parts``; returns their sum.

    ``tables`` are the waiting times, then the exponentials.
    """
    size, length, unit = row[SIZE], live[BIAS_LENGTH], row[LOGIT_UNIT]
    largest = np.int64(-NEVER)
    for j in range(size):
        value = np.int64(charge[row[OFFSET] + j])
        if length > 0:
            c = live[BIAS_START] + j % length
            value += floor_charge(np.int64(quanta[c]), min(now, end), row[PERIOD])
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
    if row[FILTER] == VARIANT_CLOCK:
        drawn = draw2(key, PURPOSE_SOFTMAX_WINNER, rank, event) % total
    else:
        drawn = np.int64(0)
    for j in range(row[SIZE]):
        if row[FILTER] == VARIANT_CLOCK:
            spikes = 0 <= drawn < parts[j]
            drawn -= parts[j]
        else:
            spikes = draw3(key, PURPOSE_SOFTMAX_NEURON, rank, event, j) % total < parts[j]
        if spikes:
            emitted[row[OFFSET] + j] += np.int32(1)
            append_spikes(lists, live, scalar, j, 1, 1)


@inner
def _next_event(rank, row, tables, key, event, last):
    """The tick of an event of the clock or the grid, the one before having been at ``last``."""
    interval = row[INTERVAL]
    if row[FILTER] != VARIANT_CLOCK:
        return last + interval
    wait = tables[draw2(key, PURPOSE_SOFTMAX_WAIT, rank, event) % WAITS]
    whole, rest = interval >> WAIT_BITS, interval & ((np.int64(1) << WAIT_BITS) - 1)
    if whole > (WAIT_LIMIT >> 1) // max(wait, np.int64(1)):
        return NEVER
    ticks = whole * wait + ((rest * wait + (np.int64(1) << (WAIT_BITS - 1))) >> WAIT_BITS)
    return last + max(np.int64(1), ticks)


@inner
def run_clock(
    rank, row, live, charge, emitted, quanta, parts, tables, lists, scalar, key, now, end, step
):  # fmt: skip
    """The events of the clock up to a tick, and when it is due next; returns how many there were.

    The clock's events inside a step belong to it; those of the grid are at the tick that closes it.
    """
    before = step > 0 and row[FILTER] == VARIANT_CLOCK
    events = np.int64(0)
    while True:
        tick = live[CLOCK_NEXT]
        if tick > min(now, end) or (before and tick == min(now, end)):
            break
        total = _weights(row, live, charge, quanta, parts, tables, now, end)
        _draw(rank, row, parts, total, emitted, lists, live, scalar, key, live[CLOCK_EVENT])
        events += 1
        live[CLOCK_EVENT] += 1
        live[CLOCK_NEXT] = _next_event(rank, row, tables, key, live[CLOCK_EVENT], tick)
    if step == 0:
        live[TEST_DUE] = live[CLOCK_NEXT] if live[CLOCK_NEXT] <= end else NEVER
    return events
