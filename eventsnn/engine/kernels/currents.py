"""Constant currents in closed form (law 3), and the windows that keep them out of the hot loop.

A rate neuron is held as U = V - shift, where V is its charge with the current up to its window's start
and shift the threshold less the largest charge the current can add inside the window. U < 0 then means
that nothing can happen, and the test of a whole row is a conjunction of signs. A neuron that is flagged
is looked at exactly; if its current alone takes it to threshold inside the window, that tick is queued.
Windows are a matter of speed only: no length changes a spike.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import (
    BAD_NEURON,
    BAD_RANK,
    BIAS_LENGTH,
    BIAS_START,
    CHARGE_LIMIT,
    CLAMP,
    FALSE_FLAGS,
    HEADROOM,
    LEAK_NEXT,
    NEVER,
    OFFSET,
    OVERFLOW,
    PERIOD,
    RUNNING,
    SIZE,
    STATUS,
    STRICT,
    THRESHOLD,
    WINDOW_CHARGE,
    WINDOW_END,
    WINDOW_LENGTH,
    WINDOW_LIMIT,
    WINDOW_NEXT,
)
from eventsnn.engine.kernels.heap import push_crossing
from eventsnn.engine.kernels.rows import add_unit_row_signs, gather_flagged, largest_magnitude

# A false flag costs about as much as so many neurons of a window's pass (measured, see benchmarks).
FALSE_FLAG_NEURONS = 400


@inlined
def close_early(row, live, scalar, now):
    """End a window that costs more by false flags than a new one would; see ``_choose_length``."""
    if live[WINDOW_END] == NEVER:  # the one after the end of all currents
        return
    if live[FALSE_FLAGS] * FALSE_FLAG_NEURONS > row[SIZE] and live[WINDOW_LENGTH] > 1:
        live[WINDOW_END] = min(live[WINDOW_END], now + 1)
        scalar[WINDOW_NEXT] = min(scalar[WINDOW_NEXT], live[WINDOW_END])


@inner
def floor_charge(quanta, time, period):
    """floor(quanta * time / period) without leaving 64 bits."""
    whole = time // period
    rest = time - whole * period
    if rest == 0:
        return quanta * whole
    return quanta * whole + (quanta * rest) // period


@inner
def first_tick_reaching(needed, quanta, period):
    """The smallest tick at which ``floor_charge`` is at least ``needed``; quanta > 0."""
    whole = needed // quanta
    rest = needed - whole * quanta
    return whole * period + -((-rest * period) // quanta)


@inner
def sweep(charge, row, live, scalar, rank, needed):
    """Law 1: measure how much charge can be added before 32 bits could be left, or stop the run."""
    largest, worst = largest_magnitude(charge, row[OFFSET], row[OFFSET] + row[SIZE])
    # A rate neuron that fires or is clamped is left near minus its shift or its clamp.
    settled = live[WINDOW_CHARGE] + 2 * row[THRESHOLD] + abs(row[CLAMP])
    live[HEADROOM] = CHARGE_LIMIT - max(largest, settled)
    if live[HEADROOM] < needed:
        scalar[STATUS] = OVERFLOW
        scalar[BAD_RANK] = rank
        scalar[BAD_NEURON] = worst - row[OFFSET]


@inner
def consider_crossing(value, quanta, base, ready, row, live, j, rank, candidate, crossings, scalar, now, end):
    """Queue the tick at which a neuron's current, or the end of its refractory time, lets it fire.

    ``value`` is the charge at the window's start, ``base`` what the current had given by then.
    """
    needed = row[THRESHOLD] + row[STRICT] - value + base
    period = row[PERIOD]
    if quanta != 0 and needed > floor_charge(quanta, min(now, end), period):
        if quanta < 0:
            return
        first = first_tick_reaching(needed, quanta, period)
        if first > end:
            return
        tick = max(first, ready)
    elif quanta == 0 and needed > 0:
        return
    else:
        tick = max(now, ready)
    if tick < live[WINDOW_END] and tick < candidate[j]:
        candidate[j] = tick
        push_crossing(crossings, scalar, tick, rank, j - row[OFFSET])


@inner
def open_window(
    rank, row, live, charge, quanta, base, shift, delta, ready, candidate, crossings, flagged, scalar, start,
    end,
):  # fmt: skip
    """Fold the last window's current into the charges, and queue who crosses in the next."""
    period, length, first = row[PERIOD], live[BIAS_LENGTH], live[BIAS_START]
    _choose_length(row, live)
    # The last window closes one tick late, so that a crossing at the end itself belongs to it.
    window_end = min(start + live[WINDOW_LENGTH], end + 1, live[LEAK_NEXT]) if start <= end else NEVER
    live[WINDOW_END] = window_end
    live[FALSE_FLAGS] = 0
    largest = np.int64(0)
    gain_limit = np.int64(0)
    threshold = row[THRESHOLD] + row[STRICT]
    since, until = min(start, end), min(window_end, end)
    for c in range(first, first + length):
        current = np.int64(quanta[c])
        at_start = floor_charge(current, since, period)
        gained = floor_charge(current, until, period) - at_start
        new_shift = threshold - max(np.int64(0), gained)
        change = at_start - base[c] + shift[c] - new_shift
        delta[c] = np.int32(change)
        base[c] = at_start
        shift[c] = np.int32(new_shift)
        largest = max(largest, abs(change))
        gain_limit = max(gain_limit, abs(gained))
    live[WINDOW_CHARGE] = gain_limit
    if live[HEADROOM] < largest:
        sweep(charge, row, live, scalar, rank, largest)
        if scalar[STATUS] != RUNNING:
            return
    live[HEADROOM] -= largest
    offset = row[OFFSET]
    for a in range(offset, offset + row[SIZE], length):
        if add_unit_row_signs(charge, delta, a, first, length) < 0:
            continue
        count = gather_flagged(charge, a, length, flagged, 0)
        for q in range(count):
            j = flagged[q]
            c = first + j - a
            value = np.int64(charge[j]) + shift[c]
            free = ready[j] if len(ready) > 1 else np.int64(0)
            consider_crossing(
                value, np.int64(quanta[c]), base[c], free, row, live, j, rank, candidate, crossings, scalar,
                start, end,
            )  # fmt: skip


@inner
def _choose_length(row, live):
    """Shorter windows when false flags cost more than the passes over all neurons, longer when less.

    The longest is bounded by the charge a current adds in it: shifts must stay far inside 32 bits.
    """
    cost = live[FALSE_FLAGS] * FALSE_FLAG_NEURONS
    if cost > row[SIZE] and live[WINDOW_LENGTH] > 1:
        live[WINDOW_LENGTH] //= 2
    elif 4 * cost < row[SIZE] and 2 * live[WINDOW_LENGTH] <= live[WINDOW_LIMIT]:
        live[WINDOW_LENGTH] *= 2
