"""Constant currents in closed form (law 3), and the windows that keep them out of the hot loop.

A rate neuron is held as U = V - shift, where V is its charge with the current up to its window's start
and shift the threshold less the largest charge the current can add inside the window. U < 0 then means
that nothing can happen, and the test of a whole row is a conjunction of signs. A neuron that is flagged
is looked at exactly; if its current alone takes it to threshold inside the window, that tick is queued.
Windows are a matter of speed only: no length changes a spike.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.kernels.crossings import push_crossing
from eventsnn.engine.kernels.records import CHARGE_LIMIT, NEVER, OVERFLOW, RUNNING
from eventsnn.engine.kernels.rows import add_unit_row_flagged, largest_magnitude

# A false flag costs about as much as so many neurons of a window's pass (measured, see benchmarks).
FALSE_FLAG_NEURONS = 400


@inlined
def close_early(row, live, scalar, now):
    """End a window that costs more by false flags than a new one would; see ``_choose_length``."""
    if live.window_end == NEVER:  # the one after the end of all currents
        return
    if live.false_flags * FALSE_FLAG_NEURONS > row.neurons and live.window_length > 1:
        live.window_end = min(live.window_end, now + 1)
        scalar.window_next = min(scalar.window_next, live.window_end)


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
    largest, worst = largest_magnitude(charge, row.offset, row.offset + row.neurons)
    # A rate neuron that fires or is clamped is left near minus its shift or its clamp.
    settled = live.window_charge + 2 * row.threshold + abs(row.clamp)
    live.headroom = CHARGE_LIMIT - max(largest, settled)
    if live.headroom < needed:
        scalar.status = OVERFLOW
        scalar.bad_rank = rank
        scalar.bad_neuron = worst - row.offset


@inner
def consider_crossing(
    value, quanta, base, sofar, ready, row, live, j, rank, candidate, crossings, scalar, now, end
):
    """Queue the tick at which a neuron's current, or the end of its refractory time, lets it fire.

    ``value`` is the charge at the window's start, ``base`` what the current had given by then, ``sofar`` what
    it has given since.
    """
    needed = row.threshold + row.strict - value + base
    period = row.period
    if quanta != 0 and needed > base + sofar:
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
    if tick < live.window_end and tick < candidate[j]:
        candidate[j] = tick
        push_crossing(crossings, scalar, tick, rank, j - row.offset, j, now)


@inner
def floor_share(quanta, whole, rest, share, period):
    """``floor_charge`` at ``whole * period + rest``, without a division: ``share`` is ``rest / period``.

    The product of doubles is off by less than one, which the remainder tells.
    """
    found = np.int64(np.float64(quanta) * share)
    over = quanta * rest - found * period
    return quanta * whole + found + np.int64(over >= period) - np.int64(over < 0)


@inner
def _window_tables(currents, first, length, threshold, since, until, period):
    """Tables of a window; returns the largest change of a charge, and of a current's charge inside it."""
    quanta, base, shift, delta = currents.quanta, currents.base, currents.shift, currents.delta
    whole_since, whole_until = since // period, until // period
    rest_since, rest_until = since - whole_since * period, until - whole_until * period
    share_since, share_until = rest_since / period, rest_until / period
    largest = gain_limit = np.int64(0)
    for c in range(np.uint64(first), np.uint64(first + length)):
        current = np.int64(quanta[c])
        at_start = floor_share(current, whole_since, rest_since, share_since, period)
        gained = floor_share(current, whole_until, rest_until, share_until, period) - at_start
        new_shift = threshold - max(np.int64(0), gained)
        change = at_start - base[c] + shift[c] - new_shift
        delta[c] = np.int32(change)
        base[c] = at_start
        shift[c] = np.int32(new_shift)
        largest = max(largest, abs(change))
        gain_limit = max(gain_limit, abs(gained))
    return largest, gain_limit


@inner
def open_window(rank, row, live, neurons, currents, firing, scalar, start, end, until):
    """Fold the last window's current into the charges, and queue who crosses in the next.

    It ends at ``until`` at the latest.
    """
    charge, ready, flagged = neurons.charge, neurons.ready, firing.flagged
    quanta, base, shift, delta = currents.quanta, currents.base, currents.shift, currents.delta
    period, length, first = row.period, live.bias_length, live.bias_start
    _choose_length(row, live)
    # The last window closes one tick late, so that a crossing at the end itself belongs to it.
    window_end = min(start + live.window_length, end + 1, live.leak_next, until) if start <= end else NEVER
    live.window_end = window_end
    live.false_flags = 0
    threshold = row.threshold + row.strict
    since, until = min(start, end), min(window_end, end)
    largest, gained = _window_tables(currents, first, length, threshold, since, until, period)
    live.window_charge = gained
    if live.headroom < largest:
        sweep(charge, row, live, scalar, rank, largest)
        if scalar.status != RUNNING:
            return
    live.headroom -= largest
    offset = row.offset
    for a in range(offset, offset + row.neurons, length):
        count = add_unit_row_flagged(charge, delta, a, first, length, flagged, 0, False)
        for q in range(count):
            j = flagged[q]
            c = first + j - a
            value = np.int64(charge[j]) + shift[c]
            free = ready[j] if len(ready) > 1 else np.int64(0)
            consider_crossing(
                value, np.int64(quanta[c]), base[c], np.int64(0), free, row, live, j, rank,
                neurons.candidate, firing.crossings, scalar, start, end,
            )  # fmt: skip


@inner
def _choose_length(row, live):
    """Shorter windows when false flags cost more than the passes over all neurons, longer when less.

    The longest is bounded by the charge a current adds in it: shifts must stay far inside 32 bits.
    """
    cost = live.false_flags * FALSE_FLAG_NEURONS
    if cost > row.neurons and live.window_length > 1:
        live.window_length //= 2
    elif 4 * cost < row.neurons and 2 * live.window_length <= live.window_limit:
        live.window_length *= 2
