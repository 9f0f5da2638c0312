"""Weights that repeat over cells of neighbouring sources, held once a cell: folded average pooling.

The synapses are the same; a network's convolutions and dense layers read a source in cells of ``pool``
neurons, so that a weight that a pool was folded into need not be held for each of them.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eventsnn.convert.lowering.wires import ConvolutionWires, DenseWires
from eventsnn.network import Axis

Float64 = NDArray[np.float64]
Shape3 = tuple[int, int, int]


def pooled_convolution(found: ConvolutionWires) -> ConvolutionWires:
    """The same synapses, with a kernel of one weight a cell where it is made of equal blocks."""
    weight, axes = found.weight, list(found.axes)
    for k, axis in enumerate(found.axes):
        for pool in range(axis.stride, 1, -1):
            if axis.stride % pool or axis.taps % pool or not _equal_blocks(weight, k, pool):
                continue
            smaller = _in_cells(axis, pool, found.source[k], found.target[k])
            if smaller is not None:
                axes[k], weight = smaller, weight.take(range(0, axis.taps, pool), axis=k)
                break
    if axes == list(found.axes):
        return found
    return replace(found, weight=np.ascontiguousarray(weight), axes=(axes[0], axes[1]))


def _equal_blocks(weight: NDArray[np.float64], axis: int, pool: int) -> bool:
    """Whether an axis is made of blocks of ``pool`` equal values."""
    length = weight.shape[axis]
    if length % pool:
        return False
    firsts = weight.take(range(0, length, pool), axis=axis)
    return all(
        np.array_equal(weight.take(range(shift, length, pool), axis=axis), firsts) for shift in range(1, pool)
    )


def _in_cells(axis: Axis, pool: int, length: int, targets: int) -> Axis | None:
    """The axis in cells of ``pool`` sources; None if it would have other synapses."""
    if axis.dilation != 1 or axis.pad_before % pool:
        return None
    for after in (axis.pad_after // pool, -(-axis.pad_after // pool)):
        smaller = Axis(axis.taps // pool, axis.stride // pool, axis.pad_before // pool, after, 1, pool)
        if smaller.target_length(length) != targets:
            continue
        wanted = np.full((length, axis.taps), -1, dtype=np.int64)
        tap = np.arange(smaller.taps) * pool + (np.arange(length) % pool)[:, None]
        wanted[np.arange(length)[:, None], tap] = smaller.target_of_tap(length, targets)
        if np.array_equal(wanted, axis.target_of_tap(length, targets)):
            return smaller
    return None


def dense_rows(weight: Float64, source: Shape3, first_channel: int) -> DenseWires:
    """All-to-all synapses of weight (targets, channels, y, x).

    Rows and columns that ``weight`` has fewer of than the source are behind the last whole cell.
    """
    pool, cells = [1, 1], weight
    for k in (0, 1):
        length, own = source[1 + k], weight.shape[2 + k]
        for size in range(own, 1, -1):
            if own % size == 0 and length // size * size == own and _equal_blocks(cells, 2 + k, size):
                pool[k] = size
                cells = cells.take(range(0, own, size), axis=2 + k)
                break
    rows = cells.transpose(2, 3, 1, 0).reshape(-1, len(weight))
    shape = (source[1], source[2], source[0])
    return DenseWires(
        shape, (1, 1, len(weight)), first_channel, np.ascontiguousarray(rows), (pool[0], pool[1])
    )


def dense_map(matrix: sparse.csr_array, source: Shape3, first_channel: int) -> DenseWires | None:
    """A matrix (targets, flattened sources) as all-to-all synapses; None if some are missing.

    Rows and columns behind the last whole cell of a pool may be.
    """
    there = np.bincount(matrix.indices, minlength=prod(source)).reshape(source)
    if ((there != 0) & (there != matrix.shape[0])).any() or not there.any():
        return None
    rows, columns = (int(np.flatnonzero(there.any(axis=axes))[-1]) + 1 for axes in ((0, 2), (0, 1)))
    if not there[:, :rows, :columns].all():
        return None
    weight = matrix.toarray().reshape(-1, *source)[:, :, :rows, :columns]
    found = dense_rows(weight, source, first_channel)
    whole = [source[1 + k] // found.pool[k] * found.pool[k] for k in (0, 1)]
    return found if whole == [rows, columns] else None
