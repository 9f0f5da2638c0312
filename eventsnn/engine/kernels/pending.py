"""Copies of spikes that travel for a while, by law 2.

Where delays are alike copies land in the order in which they set out: those that come behind all others
stand in a queue, in the upper half of the rows. The others are in a binary heap in the lower half.
"""

from eventsnn.compilation import inlined, inner
from eventsnn.engine.kernels.heap import is_before, pop, push
from eventsnn.engine.kernels.records import GROW_HEAP
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS


@inlined
def _find_first(rows, scalar):
    """Note where the first copy stands."""
    queued = scalar.queue_stop - scalar.queue_first
    scalar.pending_first = scalar.queue_first
    if scalar.pending == queued:  # the heap holds none
        return
    if queued == 0:
        scalar.pending_first = 0
        return
    top = rows[0]
    if is_before(top.time, top.order, top.word, top.key, rows[scalar.queue_first]):
        scalar.pending_first = 0


@inlined
def _make_room(rows, scalar):
    """Whether there is a row behind the queue, which moves to the front of its half if that is worth it."""
    half = len(rows) >> 1
    if scalar.pending == 0:
        scalar.queue_first = scalar.queue_stop = half
    if scalar.queue_stop < len(rows):
        return True
    length = scalar.queue_stop - scalar.queue_first
    if 2 * length > len(rows) - half:
        return False
    for i in range(length):
        to, of = rows[half + i], rows[scalar.queue_first + i]
        to.time, to.order, to.key, to.word = of.time, of.order, of.key, of.word
    scalar.queue_first, scalar.queue_stop = half, half + length
    return True


@inner
def push_pending(rows, scalar, time, rank, order, ordinal, destination, word):
    """A copy of a spike sets out, to land at a time."""
    placed, key = (rank << NEURON_BITS) | order, (ordinal << DESTINATION_BITS) | destination
    if not _make_room(rows, scalar):
        scalar.status = GROW_HEAP
        return
    last = scalar.queue_stop - 1
    if scalar.queue_stop == scalar.queue_first or not is_before(time, placed, word, key, rows[last]):
        to = rows[scalar.queue_stop]
        to.time, to.order, to.key, to.word = time, placed, key, word
        scalar.queue_stop += 1
    else:
        count = scalar.pending - (scalar.queue_stop - scalar.queue_first)
        if count == len(rows) >> 1:
            scalar.status = GROW_HEAP
            return
        push(rows, count, time, placed, key, word, 0)
    scalar.pending += 1
    _find_first(rows, scalar)


@inner
def pop_pending(rows, scalar):
    """Remove the first copy; its row is left at the place that is returned."""
    at = scalar.pending_first
    if at >= len(rows) >> 1:
        scalar.queue_first += 1
    else:
        at = scalar.pending - (scalar.queue_stop - scalar.queue_first)
        pop(rows, at)
        at -= 1
    scalar.pending -= 1
    _find_first(rows, scalar)
    return at
