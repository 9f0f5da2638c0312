"""Grid leaks: at each multiple of a period, before all else of its tick, every charge shrinks.

In the event schedule a population with a current is leaked as a window opens, windows ending at leaks.
Others, and all after the end of the input, catch up when they are next looked at.
"""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.columns import (
    BIAS_LENGTH,
    BIAS_START,
    LEAK_FACTOR,
    LEAK_NEXT,
    LEAK_PERIOD,
    LOST_LEAK,
    OFFSET,
    PERIOD,
    SIZE,
    STRICT,
    THRESHOLD,
)
from eventsnn.engine.kernels.currents import floor_charge

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
def leak_charges(row, first, length, charge, lost, quanta, base, shift, now, end):
    """One leak of a whole population at a tick; whether it took anything.

    What is held is V less a shift; with a current (``length`` above 0) it lacks what has come since the
    window began.
    """
    factor, offset, threshold = row[LEAK_FACTOR], row[OFFSET], row[THRESHOLD] + row[STRICT]
    took = False
    for j in range(offset, offset + row[SIZE]):
        held = threshold
        if length > 0:
            c = first + (j - offset) % length
            held = shift[c] + floor_charge(np.int64(quanta[c]), min(now, end), row[PERIOD]) - base[c]
        value = np.int64(charge[j]) + held
        left = leaked(value, factor)
        if left != value:
            lost[LOST_LEAK, j] += value - left
            charge[j] = np.int32(left - held)
            took = True
    return took


@inner
def catch_up(row, live, charge, lost, quanta, base, shift, now, end):
    """The leaks up to a tick, that tick included, of a population without a current, or after its end."""
    period = row[LEAK_PERIOD]
    while live[LEAK_NEXT] <= now:
        took = leak_charges(
            row, live[BIAS_START], live[BIAS_LENGTH], charge, lost, quanta, base, shift, live[LEAK_NEXT], end
        )
        live[LEAK_NEXT] += period
        if not took:  # what one leak leaves alone, none takes
            live[LEAK_NEXT] = (now // period + 1) * period


@inner
def leak_step(population, charge, lost, quanta, base, shift, now):
    """The leaks of a step, which come before all it receives; currents are in the charges."""
    for rank in range(len(population)):
        if population[rank, LEAK_PERIOD] > 0:
            leak_charges(
                population[rank], np.int64(0), np.int64(0), charge, lost, quanta, base, shift, now, now
            )


@inner
def leaves_enough(j, row, live, charge, quanta, base, shift, now, end):
    """Whether a neuron of a population that has to catch up will be at threshold when it has."""
    threshold, period = row[THRESHOLD] + row[STRICT], row[LEAK_PERIOD]
    value = np.int64(charge[j]) + threshold
    if live[BIAS_LENGTH] > 0:
        c = live[BIAS_START] + (j - row[OFFSET]) % live[BIAS_LENGTH]
        given = floor_charge(np.int64(quanta[c]), min(now, end), row[PERIOD])
        value += shift[c] + given - base[c] - threshold
    tick = live[LEAK_NEXT]
    while tick <= now and value >= threshold:
        left = leaked(value, row[LEAK_FACTOR])
        if left == value:
            break
        value = left
        tick += period
    return value >= threshold
