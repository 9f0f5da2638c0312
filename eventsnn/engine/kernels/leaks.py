"""Grid leaks: at each multiple of a period, before all else of its tick, every charge shrinks.

In the event schedule rate neurons with a current are leaked as a window opens, windows ending at leaks.
Others, and all after the end of the input, catch up when they are next looked at.
"""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.kernels.currents import floor_charge, sweep
from eventsnn.engine.kernels.records import CHARGE_LIMIT, KIND_READOUT, LOST_LEAK, OVERFLOW, RUNNING

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
def leak_charges(factors, row, first, length, neurons, currents, now, end):
    """One leak of a whole population at a tick; whether it took anything.

    What is held is V less a shift; with a current (``length`` above 0) it lacks what has come since the
    window began.
    """
    offset, threshold = row.offset, row.threshold + row.strict
    shifted = row.leak_factors - offset  # the factor of neuron j is at ``shifted + j``
    charge, lost = neurons.charge, neurons.lost
    quanta, base, shift = currents.quanta, currents.base, currents.shift
    took = False
    for j in range(offset, offset + row.neurons):
        held = threshold
        if length > 0:
            c = first + (j - offset) % length
            held = shift[c] + floor_charge(np.int64(quanta[c]), min(now, end), row.period) - base[c]
        value = np.int64(charge[j]) + held
        left = leaked(value, np.int64(factors[shifted + j]))
        if left != value:
            lost[LOST_LEAK, j] += value - left
            charge[j] = np.int32(left - held)
            took = True
    return took


@inner
def _fold_current(rank, row, live, neurons, currents, scalar, now, end):
    """Put what a readout's current has given by a tick into its charges."""
    first, length = live.bias_start, live.bias_length
    quanta, base, delta = currents.quanta, currents.base, currents.delta
    largest = np.int64(0)
    for c in range(first, first + length):
        given = floor_charge(np.int64(quanta[c]), min(now, end), row.period)
        largest = max(largest, abs(given - base[c]))
        delta[c] = np.int32(given - base[c])
        base[c] = given
    if largest > CHARGE_LIMIT:
        scalar.status = OVERFLOW
        scalar.bad_rank = rank
        scalar.bad_neuron = 0
        return
    if live.headroom < largest:
        sweep(neurons.charge, row, live, scalar, rank, largest)
    live.headroom -= largest
    if scalar.status == RUNNING:
        for j in range(row.neurons):
            neurons.charge[row.offset + j] += delta[first + j % length]


@inner
def catch_up(factors, rank, row, live, neurons, currents, scalar, now, end):
    """The leaks up to a tick, that tick included, of rate neurons without a current or after its end.

    Those of readouts, too, with a current or without.
    """
    period = row.leak_period
    while live.leak_next <= now and scalar.status == RUNNING:
        tick = live.leak_next
        driven = row.kind == KIND_READOUT and live.bias_length > 0
        if driven:
            _fold_current(rank, row, live, neurons, currents, scalar, tick, end)
        took = leak_charges(
            factors, row, live.bias_start, live.bias_length, neurons, currents, tick, end
        )  # fmt: skip
        live.leak_next += period
        if not took and not (driven and tick <= end):  # what one leak leaves alone, none takes
            live.leak_next = (now // period + 1) * period


@inner
def leak_step(factors, population, neurons, currents, now):
    """The leaks of a step, which come before all it receives; currents are in the charges."""
    for rank in range(len(population)):
        row = population[rank]
        if row.leak_period > 0 and row.synaptic == 0 and now > row.start_time:
            leak_charges(factors, row, np.int64(0), np.int64(0), neurons, currents, now, now)


@inner
def leaves_enough(factors, j, row, live, charge, currents, now, end):
    """Whether a neuron of a population that has to catch up will be at threshold when it has."""
    threshold, period = row.threshold + row.strict, row.leak_period
    value = np.int64(charge[j]) + threshold
    if live.bias_length > 0:
        c = live.bias_start + (j - row.offset) % live.bias_length
        given = floor_charge(np.int64(currents.quanta[c]), min(now, end), row.period)
        value += currents.shift[c] + given - currents.base[c] - threshold
    tick = live.leak_next
    while tick <= now and value >= threshold:
        left = leaked(value, np.int64(factors[row.leak_factors + j - row.offset]))
        if left == value:
            break
        value = left
        tick += period
    return value >= threshold
