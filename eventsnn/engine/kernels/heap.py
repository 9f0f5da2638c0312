"""A binary heap of what is to come, ordered as law 2 asks."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.kernels.order import comes_before


@inlined
def is_before(time, order, word, key, event):
    return comes_before(
        time, order, word >> 32, key, event.time, event.order, event.word >> 32, event.key
    )  # fmt: skip


@inlined
def _copy(heap, i, j):
    """Event j stands at i, too."""
    to, of = heap[i], heap[j]
    to.time, to.order, to.key, to.word, to.message = of.time, of.order, of.key, of.word, of.message


@inlined
def _set(heap, i, time, order, key, word, message):
    to = heap[i]
    to.time, to.order, to.key, to.word, to.message = time, order, key, word, message


@inner
def push(heap, count, time, order, key, word, message):
    """Add an event to so many."""
    i = count
    while i > 0:
        parent = (i - 1) >> 1
        if not is_before(time, order, word, key, heap[parent]):
            break
        _copy(heap, i, parent)
        i = parent
    _set(heap, i, time, order, key, word, message)


@inner
def pop(heap, count):
    """Remove the first of so many events, which is left where the last one was."""
    last = count - 1
    of = heap[last]
    time, order, key, word, message = of.time, of.order, of.key, of.word, of.message
    _copy(heap, last, 0)
    i = np.int64(0)
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        if child + 1 < last:
            right = heap[child + 1]
            if is_before(right.time, right.order, right.word, right.key, heap[child]):
                child += 1
        if is_before(time, order, word, key, heap[child]):
            break
        _copy(heap, i, child)
        i = child
    if last > 0:
        _set(heap, i, time, order, key, word, message)
