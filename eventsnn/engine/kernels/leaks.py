"""Grid leaks: at each multiple of a period, before all else of its tick, every charge shrinks.

In the event schedule a population with a current is leaked as a window opens, windows ending at leaks.
Others, and all after the end of the input, catch up when they are next looked at.
"""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.kernels.currents import floor_charge
from eventsnn.engine.kernels.records import LOST_LEAK

# A leak factor is in parts of 2^30.
LEAK_BITS = 30


@inner
def leaked(value, factor):
    """``round_half_away(value factor / 2^30)``, whatever the value."""
    magnitude = abs(value)
    low = magnitude & ((np.int64(1) << LEAK_BITS) - 1)
    half = np.int64(1) << (LEAK_BITS - 1)
    left = (magnitude >> LEAK_BITS) * factor + ((low * factor + half) >> LEAK_BITS)
    return left if value >= 0 else -left


@inner
def leak_charges(row, first, length, neurons, currents, now, end):
    """One leak of a whole population at a tick; whether it took anything.

    What is held is V less a shift; with a current (``length`` above 0) it lacks what has come since the
    window began.
    """
    factor, offset, threshold = row.leak_factor, row.offset, row.threshold + row.strict
    charge, lost = neurons.charge, neurons.lost
    quanta, base, shift = currents.quanta, currents.base, currents.shift
    took = False
    for j in range(offset, offset + row.neurons):
        held = threshold
        if length > 0:
            c = first + (j - offset) % length
            held = shift[c] + floor_charge(np.int64(quanta[c]), min(now, end), row.period) - base[c]
        value = np.int64(charge[j]) + held
        left = leaked(value, factor)
        if left != value:
            lost[LOST_LEAK, j] += value - left
            charge[j] = np.int32(left - held)
            took = True
    return took


@inner
def catch_up(row, live, neurons, currents, now, end):
    """The leaks up to a tick, that tick included, of a population without a current, or after its end."""
    period = row.leak_period
    while live.leak_next <= now:
        took = leak_charges(row, live.bias_start, live.bias_length, neurons, currents, live.leak_next, end)
        live.leak_next += period
        if not took:  # what one leak leaves alone, none takes
            live.leak_next = (now // period + 1) * period


@inner
def leak_step(population, neurons, currents, now):
    """The leaks of a step, which come before all it receives; currents are in the charges."""
    for rank in range(len(population)):
        if population[rank].leak_period > 0 and now > population[rank].start_time:
            leak_charges(population[rank], np.int64(0), np.int64(0), neurons, currents, now, now)


@inner
def leaves_enough(j, row, live, charge, currents, now, end):
    """Whether a neuron of a population that has to catch up will be at threshold when it has."""
    threshold, period = row.threshold + row.strict, row.leak_period
    value = np.int64(charge[j]) + threshold
    if live.bias_length > 0:
        c = live.bias_start + (j - row.offset) % live.bias_length
        given = floor_charge(np.int64(currents.quanta[c]), min(now, end), row.period)
        value += currents.shift[c] + given - currents.base[c] - threshold
    tick = live.leak_next
    while tick <= now and value >= threshold:
        left = leaked(value, row.leak_factor)
        if left == value:
            break
        value = left
        tick += period
    return value >= threshold
