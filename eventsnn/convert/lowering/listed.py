"""Linear operations synapse by synapse: what no regular kind says."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eventsnn.convert.graph.layers import Branch, Layer
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap, Windows
from eventsnn.convert.lowering.wires import SparseWires
from eventsnn.network.synapses import Shape

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Shape3 = tuple[int, int, int]
Entries = tuple[Int64, Int64, Float64]
"""Output place, input place, weight; places in flattened (channel, y, x) values."""


def of_population(shape: Shape3) -> Shape:
    """The population's shape (y, x, channel) of a value of shape (channels, y, x)."""
    return shape[1], shape[2], shape[0]


def listed(branch: Branch, layer: Layer, source: Shape3) -> SparseWires:
    """A branch as listed synapses; every entry of the operation is one, those of weight zero too."""
    read = source if branch.indices is None else branch.indices.shape
    output, place, weight = ENTRIES[type(branch.linear)](branch.linear, read, layer)
    if branch.indices is not None:
        place = branch.indices.reshape(-1)[place]
        output, weight, place = output[place >= 0], weight[place >= 0], place[place >= 0]
    height, width = layer.shape[1:]
    channels = own_channels(branch, layer, source)
    if branch.factor is not None:
        weight = weight * np.broadcast_to(branch.factor, (channels, height, width)).reshape(-1)[output]
    matrix = sparse.coo_array(
        (weight, (_neuron(place, source), _neuron(output, (channels, height, width)))),
        shape=(prod(source), channels * height * width),
    ).tocsr()  # adds up what several rearranged values bring from one source
    matrix.sort_indices()
    return SparseWires(
        of_population(source),
        (height, width, channels),
        branch.first_channel,
        matrix.data,
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int64),
    )


def own_channels(branch: Branch, layer: Layer, source: Shape3) -> int:
    """The channels that a branch gives its layer."""
    linear = branch.linear
    if isinstance(linear, Convolution):
        return len(linear.weight)
    if isinstance(linear, LinearMap):
        return int(linear.matrix.shape[0]) // prod(layer.shape[1:])
    if isinstance(linear, Dense):
        return len(linear.weight) // prod(layer.shape[1:])
    read = source if branch.indices is None else branch.indices.shape
    return prod(read) // prod(layer.shape[1:]) if linear is None else int(read[0])


def _neuron(place: Int64, shape: Shape3) -> Int64:
    """The neuron (y, x, channel) at places of a flattened (channel, y, x) value."""
    cell = shape[1] * shape[2]
    return place % cell * shape[0] + place // cell


def _convolution(linear: Convolution, read: tuple[int, ...], layer: Layer) -> Entries:
    height, width = read[1:]
    out, in_group, kernel_y, kernel_x = linear.weight.shape
    rows = (height + sum(linear.padding[0]) - (kernel_y - 1) * linear.dilation[0] - 1) // linear.stride[0] + 1
    columns = (width + sum(linear.padding[1]) - (kernel_x - 1) * linear.dilation[1] - 1) // linear.stride[
        1
    ] + 1
    o, i, ky, kx, ty, tx = np.ix_(*map(np.arange, (out, in_group, kernel_y, kernel_x, rows, columns)))
    y = ty * linear.stride[0] - linear.padding[0][0] + ky * linear.dilation[0]
    x = tx * linear.stride[1] - linear.padding[1][0] + kx * linear.dilation[1]
    channel = o // (out // linear.groups) * in_group + i
    shape = (out, in_group, kernel_y, kernel_x, rows, columns)
    there = np.broadcast_to((y >= 0) & (y < height) & (x >= 0) & (x < width), shape)
    place = np.broadcast_to((channel * height + y) * width + x, shape)[there]
    output = np.broadcast_to((o * rows + ty) * columns + tx, shape)[there]
    return output, place, np.broadcast_to(linear.weight[..., None, None], shape)[there]


def _dense(linear: Dense, read: tuple[int, ...], layer: Layer) -> Entries:
    output, place = np.indices(linear.weight.shape).reshape(2, -1)
    return output, place, linear.weight.reshape(-1)


def _average(linear: AveragePool, read: tuple[int, ...], layer: Layer) -> Entries:
    channels, height, width = read
    (row, y), (column, x) = _of_windows(linear.rows), _of_windows(linear.columns)
    c, r, k = np.ix_(np.arange(channels), np.arange(len(y)), np.arange(len(x)))
    columns = len(linear.columns.first)
    output = (c * len(linear.rows.first) + row[r]) * columns + column[k]
    weight = 1 / np.broadcast_to(linear.divisor, (len(linear.rows.first), columns))[row[r], column[k]]
    place = (c * height + y[r]) * width + x[k]
    return output.reshape(-1), place.reshape(-1), np.broadcast_to(weight, place.shape).reshape(-1)


def _of_windows(windows: Windows) -> tuple[Int64, Int64]:
    """Cell and coordinate of everything that windows read."""
    parts = [
        np.arange(first, end, windows.step) for first, end in zip(windows.first, windows.end, strict=True)
    ]
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts]), np.concatenate(parts)


def _map(linear: LinearMap, read: tuple[int, ...], layer: Layer) -> Entries:
    matrix = linear.matrix.tocoo()
    return matrix.row.astype(np.int64), matrix.col.astype(np.int64), np.asarray(matrix.data, dtype=np.float64)


def _values(linear: None, read: tuple[int, ...], layer: Layer) -> Entries:
    place = np.arange(prod(read))
    return place, place, np.ones(len(place))


ENTRIES: dict[type[Any], Callable[[Any, tuple[int, ...], Layer], Entries]] = {
    Convolution: _convolution,
    Dense: _dense,
    AveragePool: _average,
    LinearMap: _map,
    type(None): _values,
}
