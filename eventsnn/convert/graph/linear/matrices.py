"""Linear operations as sparse matrices on flattened values, up to a limit of stored entries."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eventsnn.convert.graph.linear.windows import axis_of, pairs_of, pairs_of_windows
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Shape = tuple[int, ...]
Linear = Convolution | Dense | AveragePool | LinearMap

LIMIT = 50_000_000
"""Stored entries of one matrix: 600 MB with their columns."""


class TooManyEntries(Exception):
    """A matrix above ``LIMIT``; the argument is the number of entries, or what is known of it."""


def matrix_of(linear: Linear, source: Shape, target: Shape) -> sparse.csr_array:
    """A linear operation as a matrix (target values, source values); a weight of zero is stored.

    Raises
    ------
    TooManyEntries
    """
    return MATRICES[type(linear)](linear, source, target)


def checked(entries: int) -> None:
    """Refuse above the limit."""
    if entries > LIMIT:
        raise TooManyEntries(entries)


def entries(rows: Int64, columns: Int64, values: Float64, shape: tuple[int, int]) -> sparse.csr_array:
    """A matrix of these entries."""
    return sparse.coo_array((values.reshape(-1), (rows.reshape(-1), columns.reshape(-1))), shape).tocsr()


def _convolution(linear: Convolution, source: Shape, target: Shape) -> sparse.csr_array:
    (_, height, width), (out, cells_y, cells_x) = source, target
    y, tap_y, from_y = pairs_of(axis_of(linear, 0).places(cells_y), height)
    x, tap_x, from_x = pairs_of(axis_of(linear, 1).places(cells_x), width)
    inside = linear.weight.shape[1]
    checked(out * inside * y.size * x.size)
    o = np.arange(out)[:, None, None, None]
    i = np.arange(inside)[None, :, None, None] + o // (out // linear.groups) * inside
    rows = (o * cells_y + y[:, None]) * cells_x + x + 0 * i
    columns = (i * height + from_y[:, None]) * width + from_x
    values = linear.weight[:, :, tap_y[:, None], tap_x[None, :]]
    return entries(rows, columns, values, (math.prod(target), math.prod(source)))


def _dense(linear: Dense, source: Shape, target: Shape) -> sparse.csr_array:
    rows, columns = linear.weight.shape
    checked(rows * columns)
    start = np.arange(rows + 1, dtype=np.int64) * columns
    return sparse.csr_array(
        (linear.weight.reshape(-1), np.tile(np.arange(columns), rows), start), shape=(rows, columns)
    )


def _average_pool(linear: AveragePool, source: Shape, target: Shape) -> sparse.csr_array:
    channels, height, width = source
    y, from_y = pairs_of_windows(linear.rows)
    x, from_x = pairs_of_windows(linear.columns)
    checked(channels * y.size * x.size)
    c = np.arange(channels)[:, None, None]
    rows = (c * target[1] + y[:, None]) * target[2] + x
    columns = (c * height + from_y[:, None]) * width + from_x
    values = np.broadcast_to(1 / linear.divisor[y[:, None], x], rows.shape)
    return entries(rows, columns, values, (math.prod(target), math.prod(source)))


def _linear_map(linear: LinearMap, source: Shape, target: Shape) -> sparse.csr_array:
    return linear.matrix


MATRICES: dict[type, Callable[..., sparse.csr_array]] = {
    Convolution: _convolution,
    Dense: _dense,
    AveragePool: _average_pool,
    LinearMap: _linear_map,
}


def selection(indices: Int64, size: int) -> sparse.csr_array:
    """The matrix of a rearrangement of ``size`` values."""
    flat = indices.reshape(-1)
    rows = np.nonzero(flat >= 0)[0]
    return entries(rows, flat[rows], np.ones(rows.size), (flat.size, size))


def product(second: sparse.csr_array, first: sparse.csr_array) -> sparse.csr_array:
    """``second @ first``, an entry wherever both have one on the way: sums of zero are stored, too.

    Raises
    ------
    TooManyEntries
    """
    work = np.concatenate([[0], np.cumsum(np.diff(first.indptr)[second.indices])])[second.indptr]
    blocks: list[sparse.csr_array] = []
    row, found, rows = 0, 0, second.shape[0]
    structure = pattern(first)
    while row < rows:  # in blocks of rows, to see a matrix too large before it is there
        stop = max(row + 1, int(np.searchsorted(work, work[row] + LIMIT, side="right")) - 1)
        part = second[row:stop]
        block = pattern(part) @ structure
        found += block.nnz
        checked(found)
        blocks.append(filled(block, part @ first))
        row = stop
    return sparse.csr_array(sparse.vstack(blocks, format="csr")) if len(blocks) > 1 else blocks[0]


def pattern(matrix: sparse.csr_array) -> sparse.csr_array:
    """Where a matrix has entries: one each."""
    return sparse.csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)


def filled(structure: sparse.csr_array, values: sparse.csr_array) -> sparse.csr_array:
    """``values`` with a stored zero wherever ``structure`` has an entry and they have none."""
    for matrix in (structure, values):
        matrix.sort_indices()
    if structure.nnz == values.nnz:
        return values
    keys = [
        np.repeat(np.arange(m.shape[0], dtype=np.int64), np.diff(m.indptr)) * m.shape[1] + m.indices
        for m in (structure, values)
    ]
    data = np.zeros(structure.nnz)
    data[np.searchsorted(keys[0], keys[1])] = values.data
    return sparse.csr_array((data, structure.indices, structure.indptr), shape=structure.shape)
