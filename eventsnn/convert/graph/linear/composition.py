"""Two linear operations one after the other as one, biases left out.

Exactly a convolution or a dense layer where the geometry allows without synapses that neither has;
else a sparse matrix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.linear.matrices import checked, matrix_of, product
from eventsnn.convert.graph.linear.scaling import as_map, no_bias
from eventsnn.convert.graph.linear.windows import Axis, axis_of, regular
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Shape = tuple[int, ...]
Linear = Convolution | Dense | AveragePool | LinearMap


def composed(second: Linear, first: Linear, source: Shape, middle: Shape, target: Shape) -> Linear:
    """``second(first(x))``.

    Parameters
    ----------
    second, first : Convolution, Dense, AveragePool or LinearMap
    source, middle, target : tuple of int
        Shapes of one sample before, between (as ``first`` ends) and after.

    Raises
    ------
    TooManyEntries
        The matrix that they amount to is too large to be stored.
    """
    if isinstance(second, Dense):
        return _dense_behind(second, first, source, middle, target)
    one = as_convolution(second, middle, target)
    other = as_convolution(first, source, middle)
    if one is not None and other is not None:
        merged = _convolutions(one, other, source, middle, target)
        if merged is not None:
            return merged
    return as_map(product(matrix_of(second, middle, target), matrix_of(first, source, middle)), target)


def _dense_behind(second: Dense, first: Linear, source: Shape, middle: Shape, target: Shape) -> Linear:
    zero = np.zeros(len(second.weight))
    if isinstance(first, Dense):
        return Dense(second.weight @ first.weight, zero)
    matrix = matrix_of(first, source, middle)
    columns = np.bincount(matrix.indices, minlength=matrix.shape[1]) > 0
    checked(len(second.weight) * int(columns.sum()))
    if columns.all():
        return Dense(np.ascontiguousarray((matrix.T @ second.weight.T).T), zero)
    return as_map(product(matrix_of(second, middle, target), matrix), target)


def as_convolution(linear: Linear, source: Shape, target: Shape) -> Convolution | None:
    """A convolution itself, an average of evenly spaced windows and one divisor as one; else None."""
    if isinstance(linear, Convolution):
        return linear
    if not isinstance(linear, AveragePool) or (linear.divisor != linear.divisor[0, 0]).any():
        return None
    rows, columns = regular(linear.rows, source[1]), regular(linear.columns, source[2])
    if rows is None or columns is None:
        return None
    weight = np.full((source[0], 1, rows.taps, columns.taps), 1 / linear.divisor[0, 0])
    return _convolution(weight, (rows, columns), source, target, source[0])


def _convolution(
    weight: Float64, axes: tuple[Axis, Axis], source: Shape, target: Shape, groups: int
) -> Convolution | None:
    after = [axis.after(source[1 + i], target[1 + i]) for i, axis in enumerate(axes)]
    if after[0] is None or after[1] is None:
        return None
    rows, columns = axes
    return Convolution(
        weight,
        no_bias(target),
        (rows.stride, columns.stride),
        ((rows.before, after[0]), (columns.before, after[1])),
        (rows.dilation, columns.dilation),
        groups,
    )


def _convolutions(
    second: Convolution, first: Convolution, source: Shape, middle: Shape, target: Shape
) -> Convolution | None:
    along_y, along_x = (
        merged_axis(axis_of(second, i), axis_of(first, i), source[1 + i], middle[1 + i], target[1 + i])
        for i in (0, 1)
    )
    groups = merged_groups(second, first)
    if along_y is None or along_x is None or groups is None:
        return None
    (rows, at_y), (columns, at_x) = along_y, along_x
    out, inside = len(second.weight), source[0] // groups
    checked(out * inside * rows.taps * columns.taps)
    weight = np.zeros((out, inside, rows.taps, columns.taps))
    for jy, jx in np.ndindex(second.weight.shape[2:]):
        for iy, ix in np.ndindex(first.weight.shape[2:]):
            both = _of_taps(second, first, second.weight[:, :, jy, jx], first.weight[:, :, iy, ix], groups)
            weight[:, :, at_y[jy, iy], at_x[jx, ix]] += both
    return _convolution(weight, (rows, columns), source, target, groups)


def merged_axis(
    second: Axis, first: Axis, source: int, middle: int, target: int
) -> tuple[Axis, Int64] | None:
    """The windows of both along one axis, and each pair of taps' place in the kernel (second's, first's).

    None where there is no such convolution: taps with gaps between them, or ``second`` reads padding where
    ``first``'s own window, were there one, would read inputs.
    """
    read = second.places(target)
    outside = read[(read < 0) | (read >= middle)]
    reads = outside[:, None] * first.stride - first.before + np.arange(first.taps) * first.dilation
    if ((reads >= 0) & (reads < source)).any():
        return None
    offsets = first.stride * second.dilation * np.arange(second.taps)[:, None]
    offsets = offsets + first.dilation * np.arange(first.taps)
    dilation = max(1, int(np.gcd.reduce(offsets, axis=None)))
    taps = offsets // dilation
    if len(np.unique(taps)) != taps.max() + 1:
        return None
    before = first.stride * second.before + first.before
    return Axis(int(taps.max()) + 1, first.stride * second.stride, before, dilation), taps


def by_itself(convolution: Convolution) -> bool:
    """Whether every output channel reads one input channel, and no two the same."""
    return convolution.weight.shape[1] == 1 and convolution.groups == len(convolution.weight)


def merged_groups(second: Convolution, first: Convolution) -> int | None:
    """Groups of both one after the other; None where no number of groups says it."""
    if by_itself(first) or second.groups == first.groups:
        return second.groups
    if by_itself(second):
        return first.groups
    return 1 if 1 in (first.groups, second.groups) else None


def _of_taps(
    second: Convolution, first: Convolution, after: Float64, before: Float64, groups: int
) -> Float64:
    """Weights (out channels, in channels of a group) of one tap after another."""
    out = len(after)
    if by_itself(first):
        each = before.reshape(groups, -1)
        return after * np.repeat(each, out // groups, axis=0)
    if by_itself(second):
        return after * before
    if second.groups == first.groups:
        a, b = after.reshape(groups, out // groups, -1), before.reshape(groups, -1, before.shape[1])
        return (a @ b).reshape(out, -1)
    return _full(after, second.groups) @ _full(before, first.groups)


def _full(weight: Float64, groups: int) -> Float64:
    """(out, in of a group) as (out, in), zeros between groups."""
    out, inside = weight.shape
    full = np.zeros((out, inside * groups))
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        full[rows, group * inside : (group + 1) * inside] = weight[rows]
    return full
