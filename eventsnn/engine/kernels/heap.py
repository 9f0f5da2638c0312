"""Binary heaps, ordered as law 2 asks."""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.kernels.records import GROW_HEAP
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS


@inner
def push_crossing(heap, scalar, tick, rank, neuron):
    """Queue a crossing."""
    i = scalar.crossings
    if i == len(heap):
        scalar.status = GROW_HEAP
        return
    scalar.crossings = i + 1
    key = (rank << NEURON_BITS) | neuron
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent].tick < tick or (heap[parent].tick == tick and heap[parent].rank_neuron <= key):
            break
        heap[i].tick = heap[parent].tick
        heap[i].rank_neuron = heap[parent].rank_neuron
        i = parent
    heap[i].tick = tick
    heap[i].rank_neuron = key


@inner
def pop_crossing(heap, scalar):
    """Remove the first crossing; returns its neuron."""
    size = scalar.crossings - 1
    scalar.crossings = size
    neuron = heap[0].rank_neuron & ((np.int64(1) << NEURON_BITS) - 1)
    tick, key = heap[size].tick, heap[size].rank_neuron
    i = np.int64(0)
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            heap[right].tick < heap[child].tick
            or (heap[right].tick == heap[child].tick and heap[right].rank_neuron < heap[child].rank_neuron)
        ):
            child = right
        if tick < heap[child].tick or (tick == heap[child].tick and key <= heap[child].rank_neuron):
            break
        heap[i].tick = heap[child].tick
        heap[i].rank_neuron = heap[child].rank_neuron
        i = child
    heap[i].tick = tick
    heap[i].rank_neuron = key
    return neuron


@inner
def _before(heap, i, j):
    """Whether entry i comes before entry j in the order of law 2."""
    if heap[i].time != heap[j].time:
        return heap[i].time < heap[j].time
    if heap[i].rank_order != heap[j].rank_order:
        return heap[i].rank_order < heap[j].rank_order
    if heap[i].word >> 32 != heap[j].word >> 32:  # neurons that seeded ties gave one place
        return heap[i].word < heap[j].word
    return heap[i].ordinal_destination < heap[j].ordinal_destination


@inner
def _swap(heap, i, j):
    a, b = heap[i], heap[j]
    a.time, b.time = b.time, a.time
    a.rank_order, b.rank_order = b.rank_order, a.rank_order
    a.ordinal_destination, b.ordinal_destination = b.ordinal_destination, a.ordinal_destination
    a.word, b.word = b.word, a.word


@inner
def push_pending(heap, scalar, time, rank, order, ordinal, destination, word):
    """Queue a copy of a spike."""
    i = scalar.pending
    if i == len(heap):
        scalar.status = GROW_HEAP
        return
    heap[i].time = time
    heap[i].rank_order = (rank << NEURON_BITS) | order
    heap[i].ordinal_destination = (ordinal << DESTINATION_BITS) | destination
    heap[i].word = word
    scalar.pending = i + 1
    while i > 0:
        parent = (i - 1) >> 1
        if not _before(heap, i, parent):
            break
        _swap(heap, i, parent)
        i = parent


@inner
def pop_pending(heap, scalar):
    """Remove the first copy; its row is left at the place that is returned."""
    last = scalar.pending - 1
    scalar.pending = last
    _swap(heap, 0, last)
    i = np.int64(0)
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        if child + 1 < last and _before(heap, child + 1, child):
            child += 1
        if not _before(heap, child, i):
            break
        _swap(heap, i, child)
        i = child
    return last
