"""Crossings that are due: those of the near future in a binary heap, the others in a calendar.

A neuron whose current takes it to threshold has a tick at which it will, unless a spike comes before. Many
wait at a time, most of them far ahead. A crossing goes into one of 256 buckets of equal length, in no
order; when a bucket's time has come, what of it still holds enters the heap, where law 2 orders a few. The
heap has all that is due up to the end of bucket ``calendar_at``, and what a neuron asks for at once.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.kernels.lanes import first_lane
from eventsnn.engine.kernels.records import GROW_HEAP, NEVER
from eventsnn.engine.order import NEURON_BITS

BUCKETS = 256
BITS = 64
SLACK = 3
"""Buckets may be 2^3 times as long as would do: the heap takes more, and they are set anew less often."""


@inner
def _push_near(queue, scalar, tick, key):
    i = scalar.crossings
    if i == len(queue):
        scalar.status = GROW_HEAP
        return
    scalar.crossings = i + 1
    while i > 0:
        parent = (i - 1) >> 1
        if queue[parent].tick < tick or (queue[parent].tick == tick and queue[parent].key <= key):
            break
        queue[i].tick = queue[parent].tick
        queue[i].key = queue[parent].key
        i = parent
    queue[i].tick = tick
    queue[i].key = key


@inner
def pop_crossing(queue, scalar):
    """Remove the first crossing; returns its neuron."""
    size = scalar.crossings - 1
    scalar.crossings = size
    neuron = queue[0].key & ((np.int64(1) << NEURON_BITS) - 1)
    tick, key = queue[size].tick, queue[size].key
    i = np.int64(0)
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            queue[right].tick < queue[child].tick
            or (queue[right].tick == queue[child].tick and queue[right].key < queue[child].key)
        ):
            child = right
        if tick < queue[child].tick or (tick == queue[child].tick and key <= queue[child].key):
            break
        queue[i].tick = queue[child].tick
        queue[i].key = queue[child].key
        i = child
    queue[i].tick = tick
    queue[i].key = key
    return neuron


@inlined
def _link(queue, n, bucket):
    """Put a row of the calendar into its bucket."""
    place = bucket & (BUCKETS - 1)
    queue[n].follows = queue[place].first
    queue[place].first = n + 1
    queue[place // BITS].occupied |= np.int64(np.uint64(1) << np.uint64(place % BITS))


@inlined
def _first_bucket(queue, at):
    """The first bucket behind ``at`` that holds something; there is one."""
    begin = (at + 1) & (BUCKETS - 1)
    word = begin // BITS
    mask = np.uint64(queue[word].occupied) & (~np.uint64(0) << np.uint64(begin % BITS))
    while mask == 0:
        word = (word + 1) & (BUCKETS // BITS - 1)
        mask = np.uint64(queue[word].occupied)
    place = word * BITS + np.int64(first_lane(mask))
    return at + 1 + ((place - begin) & (BUCKETS - 1))


@inlined
def _empty(queue, bucket):
    """Take all rows out of a bucket; returns the first."""
    place = bucket & (BUCKETS - 1)
    n = queue[place].first - 1
    queue[place].first = 0
    queue[place // BITS].occupied &= np.int64(~(np.uint64(1) << np.uint64(place % BITS)))
    return n


@inner
def _open(queue, scalar, candidate, bucket):
    """What still holds of a bucket enters the heap."""
    n = _empty(queue, bucket)
    while n >= 0:
        row = queue[n]
        after = row.follows - 1
        if candidate[row.neuron] == row.later_tick:  # else superseded by an earlier one
            _push_near(queue, scalar, row.later_tick, row.later_key)
        row.follows = scalar.later_free
        scalar.later_free = n + 1
        scalar.later -= 1
        n = after


@inner
def _set_bucket_length(queue, scalar, shift):
    """Buckets last 2^shift ticks from now on, or as long as all that is in them asks for."""
    all_rows = last = np.int64(0)
    at = scalar.calendar_at
    while scalar.later > 0:
        n = _empty(queue, _first_bucket(queue, at))
        while n >= 0:
            after = queue[n].follows - 1
            last = max(last, queue[n].later_tick)
            queue[n].follows = all_rows
            all_rows = n + 1
            scalar.later -= 1
            n = after
    covered = ((at + 1) << scalar.bucket_shift) - 1
    while (last >> shift) - (covered >> shift) > BUCKETS:
        shift += 1
    scalar.bucket_shift = shift
    at = scalar.calendar_at = covered >> shift
    while all_rows > 0:
        n = all_rows - 1
        row = queue[n]
        all_rows = row.follows
        bucket = row.later_tick >> shift
        if bucket <= at:
            _push_near(queue, scalar, row.later_tick, row.later_key)
            row.follows = scalar.later_free
            scalar.later_free = n + 1
        else:
            _link(queue, n, bucket)
            scalar.later += 1


@inner
def fit_buckets(queue, scalar, ticks):
    """Make buckets of such a length that all of them cover so many ticks, and not many times as many."""
    shift = np.int64(0)
    while (BUCKETS << shift) < ticks:
        shift += 1
    if not shift <= scalar.bucket_shift <= shift + SLACK:
        _set_bucket_length(queue, scalar, shift + 1)


@inner
def push_crossing(queue, scalar, tick, rank, neuron, j, now):
    """Queue a crossing of a rank's neuron, which is ``j`` of all."""
    key = (rank << NEURON_BITS) | neuron
    bucket = tick >> scalar.bucket_shift
    if bucket <= scalar.calendar_at or tick == now:
        _push_near(queue, scalar, tick, key)
        return
    if bucket - scalar.calendar_at > BUCKETS:
        if scalar.later == 0:  # nobody minds which buckets lie behind
            scalar.calendar_at = max(scalar.calendar_at, (now >> scalar.bucket_shift) - 1)
        shift = scalar.bucket_shift
        covered = (scalar.calendar_at + 1) << shift
        while (tick >> shift) - ((covered - 1) >> shift) > BUCKETS:
            shift += 1
        if shift > scalar.bucket_shift:
            _set_bucket_length(queue, scalar, shift + 1)
        bucket = tick >> scalar.bucket_shift
        if bucket <= scalar.calendar_at:
            _push_near(queue, scalar, tick, key)
            return
    n = scalar.later_free - 1
    if n >= 0:
        scalar.later_free = queue[n].follows
    else:
        n = scalar.later_used
        if n == len(queue):
            scalar.status = GROW_HEAP
            return
        scalar.later_used = n + 1
    row = queue[n]
    row.later_tick, row.later_key, row.neuron = tick, key, j
    _link(queue, n, bucket)
    scalar.later += 1


@inlined
def next_crossing(queue, scalar, candidate, before):
    """The tick of the first crossing, or NEVER if none is due at ``before`` or earlier.

    What is due until then is in the heap.
    """
    while scalar.crossings == 0:
        if scalar.later == 0:
            return np.int64(NEVER)
        bucket = _first_bucket(queue, scalar.calendar_at)
        if (bucket << scalar.bucket_shift) > before:
            return np.int64(NEVER)
        _open(queue, scalar, candidate, bucket)
        scalar.calendar_at = bucket
    return queue[0].tick
