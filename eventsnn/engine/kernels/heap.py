"""Binary heaps of int64 rows, ordered by their first columns as law 2 asks."""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.columns import (
    CROSSINGS,
    GROW_HEAP,
    P_ORDINAL_DESTINATION,
    P_RANK_ORDER,
    P_TIME,
    P_WORD,
    PENDING,
    STATUS,
)
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS


@inner
def push_crossing(heap, scalar, tick, rank, neuron):
    """Queue a crossing: rows (tick, rank and neuron)."""
    i = scalar[CROSSINGS]
    if i == len(heap):
        scalar[STATUS] = GROW_HEAP
        return
    scalar[CROSSINGS] = i + 1
    key = (rank << NEURON_BITS) | neuron
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent, 0] < tick or (heap[parent, 0] == tick and heap[parent, 1] <= key):
            break
        heap[i, 0] = heap[parent, 0]
        heap[i, 1] = heap[parent, 1]
        i = parent
    heap[i, 0] = tick
    heap[i, 1] = key


@inner
def pop_crossing(heap, scalar):
    """Remove the first crossing; returns its neuron."""
    size = scalar[CROSSINGS] - 1
    scalar[CROSSINGS] = size
    neuron = heap[0, 1] & ((np.int64(1) << NEURON_BITS) - 1)
    tick, key = heap[size, 0], heap[size, 1]
    i = np.int64(0)
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            heap[right, 0] < heap[child, 0]
            or (heap[right, 0] == heap[child, 0] and heap[right, 1] < heap[child, 1])
        ):
            child = right
        if tick < heap[child, 0] or (tick == heap[child, 0] and key <= heap[child, 1]):
            break
        heap[i, 0] = heap[child, 0]
        heap[i, 1] = heap[child, 1]
        i = child
    heap[i, 0] = tick
    heap[i, 1] = key
    return neuron


@inner
def _before(heap, i, j):
    """Whether entry i comes before entry j in the order of law 2."""
    if heap[i, P_TIME] != heap[j, P_TIME]:
        return heap[i, P_TIME] < heap[j, P_TIME]
    if heap[i, P_RANK_ORDER] != heap[j, P_RANK_ORDER]:
        return heap[i, P_RANK_ORDER] < heap[j, P_RANK_ORDER]
    if heap[i, P_WORD] >> 32 != heap[j, P_WORD] >> 32:  # neurons that seeded ties gave one place
        return heap[i, P_WORD] < heap[j, P_WORD]
    return heap[i, P_ORDINAL_DESTINATION] < heap[j, P_ORDINAL_DESTINATION]


@inner
def _swap(heap, i, j):
    for k in range(4):
        heap[i, k], heap[j, k] = heap[j, k], heap[i, k]


@inner
def push_pending(heap, scalar, time, rank, order, ordinal, destination, word):
    """Queue a copy of a spike."""
    i = scalar[PENDING]
    if i == len(heap):
        scalar[STATUS] = GROW_HEAP
        return
    heap[i, P_TIME] = time
    heap[i, P_RANK_ORDER] = (rank << NEURON_BITS) | order
    heap[i, P_ORDINAL_DESTINATION] = (ordinal << DESTINATION_BITS) | destination
    heap[i, P_WORD] = word
    scalar[PENDING] = i + 1
    while i > 0:
        parent = (i - 1) >> 1
        if not _before(heap, i, parent):
            break
        _swap(heap, i, parent)
        i = parent


@inner
def pop_pending(heap, scalar):
    """Remove the first copy; its row is left at the place that is returned."""
    last = scalar[PENDING] - 1
    scalar[PENDING] = last
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
