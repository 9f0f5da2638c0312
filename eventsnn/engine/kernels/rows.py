"""The innermost loops: one row of synapses, targets and weights both contiguous.

Indices are unsigned: with signed ones Numba adds a wrap-around test for each access, and the loop is not
vectorised (0.8 against 4 to 7 G additions a second on one AVX2 core). Sums are cast back to int32, to
which Numba's promotion to int64 would otherwise halve the lanes.
"""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.kernels.lanes import (
    BLOCK,
    SHORT_BLOCK,
    add,
    add_short,
    add_times,
    add_times_short,
    first_lane,
    nonnegative,
    nonnegative_short,
    positive,
    positive_short,
)


@inner
def add_row(charge, weights, a, b, length, payload):
    """charge[a:a+length] += payload * weights[b:b+length]."""
    x, y, stop, factor = np.uint64(a), np.uint64(b), np.uint64(a + length), np.int32(payload)
    block, short = np.uint64(BLOCK), np.uint64(SHORT_BLOCK)
    if payload == 1:
        while x + block <= stop:
            add(charge, weights, x, y)
            x, y = x + block, y + block
        while x + short <= stop:
            add_short(charge, weights, x, y)
            x, y = x + short, y + short
    else:
        while x + block <= stop:
            add_times(charge, weights, x, y, factor)
            x, y = x + block, y + block
        while x + short <= stop:
            add_times_short(charge, weights, x, y, factor)
            x, y = x + short, y + short
    while x < stop:
        charge[x] = np.int32(charge[x] + factor * weights[y])
        x, y = x + np.uint64(1), y + np.uint64(1)


@inner
def _append(flagged, out, x, mask, rising):
    """Append the lanes of a block that are set, complemented where they do not rise; the new count."""
    while mask != 0:
        lane = first_lane(mask)
        j = np.int64(x + lane)
        flagged[out] = j if (rising >> lane) & np.uint64(1) else ~j
        out += np.uint64(1)
        mask &= mask - np.uint64(1)
    return out


@inner
def add_unit_row_flagged(charge, weights, a, b, length, flagged, count, marks):
    """charge[a:a+length] += weights[b:b+length], and append which charges are 0 or more then, ascending.

    Charges are shifted so that a neuron that needs a look is not negative: load, add, store and test are one
    vector step. ``marks``: those whose charge did not rise are complemented (see ``firing.fire_rate``).
    Returns the new count.
    """
    x, y, stop, out = np.uint64(a), np.uint64(b), np.uint64(a + length), np.uint64(count)
    block, short, one = np.uint64(BLOCK), np.uint64(SHORT_BLOCK), np.uint64(1)
    every = ~np.uint64(0)
    while x + block <= stop:
        mask = add(charge, weights, x, y)
        if mask != 0:
            out = _append(flagged, out, x, mask, positive(weights, y) if marks else every)
        x, y = x + block, y + block
    while x + short <= stop:
        mask = add_short(charge, weights, x, y)
        if mask != 0:
            out = _append(flagged, out, x, mask, positive_short(weights, y) if marks else every)
        x, y = x + short, y + short
    while x < stop:
        value = np.int32(charge[x] + weights[y])
        charge[x] = value
        if value >= 0:
            flagged[out] = np.int64(x) if weights[y] > 0 or not marks else ~np.int64(x)
            out += one
        x, y = x + one, y + one
    return np.int64(out)


@inner
def add_row_signs(charge, weights, a, b, length, payload):
    """As ``add_row``; negative unless some charge is now 0 or more: a conjunction of sign bits."""
    first, other = np.uint64(a), np.uint64(b)
    signs, factor = np.int32(-1), np.int32(payload)
    for i in range(np.uint64(length)):
        value = np.int32(charge[first + i] + factor * weights[other + i])
        charge[first + i] = value
        signs = np.int32(signs & value)
    return signs


@inner
def clamp_row(charge, lost, cause, a, length, floor):
    """Raise charges to ``floor``, booking what that creates as negative loss."""
    first = np.uint64(a)
    lowest = np.int32(floor)
    for i in range(np.uint64(length)):
        lowest = min(lowest, charge[first + i])
    if lowest >= floor:
        return
    for i in range(np.uint64(length)):
        value = charge[first + i]
        if value < floor:
            lost[cause, first + i] += np.int64(value) - np.int64(floor)
            charge[first + i] = np.int32(floor)


@inner
def gather_flagged(charge, a, length, flagged, count):
    """Append the indices of charges that are 0 or more, ascending; returns the new count."""
    first, last = np.uint64(a), np.uint64(a + length)
    out, one = np.uint64(count), np.uint64(1)
    block, short = np.uint64(BLOCK), np.uint64(SHORT_BLOCK)
    while first + block <= last:
        mask = nonnegative(charge, first)
        while mask != 0:
            flagged[out] = np.int64(first + first_lane(mask))
            out += one
            mask &= mask - one
        first += block
    while first + short <= last:
        mask = nonnegative_short(charge, first)
        while mask != 0:
            flagged[out] = np.int64(first + first_lane(mask))
            out += one
            mask &= mask - one
        first += short
    for i in range(first, last):
        if charge[i] >= 0:
            flagged[out] = np.int64(i)
            out += one
    return np.int64(out)


@inner
def mark_falling(flagged, first, stop, weights, shift, payload):
    """Complement the flagged indices whose charge the last spike did not raise.

    ``shift`` takes an index of the row to that of its weight.
    """
    for q in range(first, stop):
        if weights[flagged[q] + shift] * payload <= 0:
            flagged[q] = ~flagged[q]


@inner
def largest_magnitude(charge, start, stop):
    """(largest absolute charge, where)."""
    high, low = np.int32(0), np.int32(0)
    for i in range(np.uint64(start), np.uint64(stop)):
        high = max(high, charge[i])
        low = min(low, charge[i])
    largest = max(np.int64(high), -np.int64(low))
    for i in range(start, stop):
        if abs(np.int64(charge[i])) == largest:
            return largest, i
    return largest, start
