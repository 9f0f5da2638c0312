"""Linear operations with factors before or behind them, cut to channels, or to some of their outputs.

Everything here is without biases: results have a bias of zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eventsnn.convert.graph.linear.matrices import matrix_of, product, selection
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap
from eventsnn.convert.graph.places import by_channel

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Shape = tuple[int, ...]
Linear = Convolution | Dense | AveragePool | LinearMap


def no_bias(shape: Shape) -> Float64:
    """A bias of zero for values of a shape: one a channel."""
    return np.zeros((shape[0], *[1] * (len(shape) - 1)))


def bias_of(linear: Linear) -> Float64:
    """The bias of an operation; an average has none."""
    return np.zeros(1) if isinstance(linear, AveragePool) else linear.bias


def with_bias(linear: Linear, bias: Float64, target: Shape) -> Convolution | Dense | LinearMap:
    """A linear operation with another bias, which broadcasts to ``target``."""
    if isinstance(linear, AveragePool):
        raise AssertionError("an average has no bias")
    if isinstance(linear, Dense):
        return replace(linear, bias=np.broadcast_to(bias, target).reshape(-1).copy())
    return replace(linear, bias=by_channel(bias, target))


def without_bias(linear: Linear, target: Shape) -> Linear:
    """A linear operation with a bias of zero."""
    if isinstance(linear, AveragePool):
        return linear
    return with_bias(linear, no_bias(target), target)


def as_map(matrix: sparse.csr_array, target: Shape) -> LinearMap:
    """A matrix as an operation."""
    return LinearMap(sparse.csr_array(matrix), no_bias(target))


def scaled(linear: Linear, factor: Float64, source: Shape, target: Shape) -> Linear:
    """``factor * linear(x)``; ``factor`` broadcasts to ``target``. Averages become other operations.

    Raises
    ------
    TooManyEntries
        A factor for each neuron of a convolution makes it a matrix.
    """
    factor = by_channel(factor, target)
    if isinstance(linear, Dense):
        return Dense(linear.weight * factor.reshape(-1)[:, None], np.zeros(factor.size))
    if isinstance(linear, Convolution) and factor.shape[-2:] == (1, 1):
        return replace(linear, weight=linear.weight * factor[..., None], bias=no_bias(target))
    matrix = matrix_of(linear, source, target)
    each = np.broadcast_to(factor, target).reshape(-1)
    data = matrix.data * np.repeat(each, np.diff(matrix.indptr))
    return as_map(sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape), target)


def reading_scaled(
    linear: Linear, factor: Float64, source: Shape, target: Shape
) -> tuple[Linear, Float64 | None]:
    """``linear(factor * x)`` as an operation and a factor behind it, None but for averages.

    Raises
    ------
    TooManyEntries
    """
    factor = by_channel(factor, source)
    if isinstance(linear, Dense):
        return Dense(linear.weight * factor.reshape(-1), np.zeros(len(linear.weight))), None
    if factor.shape[-2:] == (1, 1):
        if isinstance(linear, AveragePool):
            return linear, factor
        if isinstance(linear, Convolution):
            out, inside = linear.weight.shape[:2]
            each = np.repeat(factor.reshape(linear.groups, inside), out // linear.groups, axis=0)
            return replace(linear, weight=linear.weight * each[:, :, None, None], bias=no_bias(target)), None
    matrix = matrix_of(linear, source, target)
    each = np.broadcast_to(factor, source).reshape(-1)
    data = matrix.data * each[matrix.indices]
    return as_map(sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape), target), None


def of_channels(
    linear: Linear, channels: tuple[int, int], source: Shape, target: Shape
) -> tuple[Linear, int, Shape]:
    """What a linear operation makes of some channels alone, first to one past the last of them.

    Returns
    -------
    operation, first output channel, shape of its output: only the outputs that these channels reach.
    """
    if channels == (0, source[0]):
        return without_bias(linear, target), 0, target
    return CUTS[type(linear)](linear, channels, source, target)


def _cut_convolution(
    linear: Convolution, channels: tuple[int, int], source: Shape, target: Shape
) -> tuple[Linear, int, Shape]:
    first, stop = channels
    out, inside = linear.weight.shape[:2]
    if linear.groups == 1:
        return replace(linear, weight=linear.weight[:, first:stop], bias=no_bias(target)), 0, target
    if first % inside or stop % inside:
        return _cut_matrix(linear, channels, source, target)
    each = out // linear.groups
    group, last = first // inside, stop // inside
    own = ((last - group) * each, *target[1:])
    weight = linear.weight[group * each : last * each]
    return replace(linear, weight=weight, bias=no_bias(own), groups=last - group), group * each, own


def _cut_dense(
    linear: Dense, channels: tuple[int, int], source: Shape, target: Shape
) -> tuple[Linear, int, Shape]:
    return Dense(linear.weight[:, slice(*channels)], np.zeros(len(linear.weight))), 0, target


def _cut_average(
    linear: AveragePool, channels: tuple[int, int], source: Shape, target: Shape
) -> tuple[Linear, int, Shape]:
    return linear, channels[0], (channels[1] - channels[0], *target[1:])


def _cut_matrix(
    linear: Linear, channels: tuple[int, int], source: Shape, target: Shape
) -> tuple[Linear, int, Shape]:
    size = math.prod(source[1:])
    matrix = matrix_of(linear, source, target)
    cut = matrix.tocsc()[:, channels[0] * size : channels[1] * size].tocsr()
    return as_map(cut, target), 0, target


CUTS: dict[type, Callable[..., tuple[Linear, int, Shape]]] = {
    Convolution: _cut_convolution,
    Dense: _cut_dense,
    AveragePool: _cut_average,
    LinearMap: _cut_matrix,
}


def rearranged(linear: Linear, indices: Int64, source: Shape, target: Shape) -> Linear:
    """A rearrangement of the outputs of a linear operation.

    Parameters
    ----------
    indices : int64 array of the shape after it
        Places in the flattened output of ``linear``, -1 for a zero.
    source, target : tuple of int
        Shapes before and after ``linear``.

    Raises
    ------
    TooManyEntries
    """
    flat = indices.reshape(-1)
    if isinstance(linear, Dense) and (flat >= 0).all():
        return Dense(linear.weight[flat], np.zeros(flat.size))
    channels = whole_channels(indices, target)
    if channels is not None and isinstance(linear, Convolution) and linear.groups == 1:
        return replace(linear, weight=linear.weight[channels], bias=no_bias(indices.shape))
    matrix = product(selection(indices, math.prod(target)), matrix_of(linear, source, target))
    return as_map(matrix, indices.shape)


def whole_channels(indices: Int64, shape: Shape) -> Int64 | None:
    """Which channels of a shape the indices pick, if they pick whole channels in order."""
    if indices.ndim != 3 or len(shape) != 3 or indices.shape[1:] != shape[1:]:
        return None
    size = math.prod(shape[1:])
    first = indices[:, 0, 0]
    if (first < 0).any() or (first % size).any():
        return None
    expected = first[:, None] + np.arange(size)
    return first // size if np.array_equal(indices.reshape(len(first), -1), expected) else None
