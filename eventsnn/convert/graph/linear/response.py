"""What a linear operation makes of given values: how shifts and biases pass through it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.linear.windows import axis_of, counts
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap

Float64 = NDArray[np.float64]
Shape = tuple[int, ...]
Linear = Convolution | Dense | AveragePool | LinearMap


def response(linear: Linear, values: Float64, source: Shape, target: Shape) -> Float64:
    """``linear(values)`` without the bias.

    Parameters
    ----------
    linear : Convolution, Dense, AveragePool or LinearMap
    values : float64 array
        Broadcasts to ``source``.
    source, target : tuple of int
        Shapes of one sample before and after.

    Returns
    -------
    float64 array that broadcasts to ``target``: (channels, 1, 1) where neither ``values`` nor borders
    make a difference between pixels.
    """
    if not values.any():
        return np.zeros((target[0], *[1] * (len(target) - 1)))
    return RESPONSES[type(linear)](linear, values, source, target)


def one_a_channel(values: Float64, shape: Shape) -> bool:
    """Whether values that broadcast to (channels, y, x) are the same for all pixels."""
    return (values.ndim < 3 and values.size == 1) or values.shape[-2:] == (1, 1)


def _convolution(linear: Convolution, values: Float64, source: Shape, target: Shape) -> Float64:
    if one_a_channel(values, source):
        return _convolution_of_channels(linear, np.broadcast_to(values, (source[0], 1, 1)), source, target)
    groups, (out, inside, taps_y, taps_x) = linear.groups, linear.weight.shape
    padded = np.pad(np.broadcast_to(values, source), ((0, 0), *linear.padding))
    padded = padded.reshape(groups, inside, *padded.shape[1:])
    weight = linear.weight.reshape(groups, out // groups, inside, taps_y, taps_x)
    found = np.zeros((groups, out // groups, target[1] * target[2]))
    (step_y, step_x), (apart_y, apart_x) = linear.stride, linear.dilation
    for ky in range(taps_y):
        for kx in range(taps_x):
            rows = slice(ky * apart_y, ky * apart_y + (target[1] - 1) * step_y + 1, step_y)
            columns = slice(kx * apart_x, kx * apart_x + (target[2] - 1) * step_x + 1, step_x)
            seen = padded[:, :, rows, columns].reshape(groups, inside, -1)
            found += weight[..., ky, kx] @ seen
    return found.reshape(target)


def _convolution_of_channels(linear: Convolution, values: Float64, source: Shape, target: Shape) -> Float64:
    """One value a channel: each tap adds its sum over the channels wherever it lies in the input."""
    groups, (out, inside, taps_y, taps_x) = linear.groups, linear.weight.shape
    weight = linear.weight.reshape(groups, out // groups, inside, taps_y, taps_x)
    sums = np.einsum("goiyx,gi->goyx", weight, values.reshape(groups, inside)).reshape(out, taps_y, taps_x)
    exists = []
    for axis in (0, 1):
        places = axis_of(linear, axis).places(target[1 + axis])
        exists.append(((places >= 0) & (places < source[1 + axis])).astype(np.float64))
    if all(every.all() for every in exists):
        return sums.sum(axis=(1, 2))[:, None, None]
    return np.einsum("jy,oyx,kx->ojk", exists[0], sums, exists[1], optimize=True)


def _dense(linear: Dense, values: Float64, source: Shape, target: Shape) -> Float64:
    return (linear.weight @ np.broadcast_to(values, source).reshape(-1)).reshape(target)


def _average_pool(linear: AveragePool, values: Float64, source: Shape, target: Shape) -> Float64:
    if one_a_channel(values, source):
        share = share_read(linear)
        share = share[:1, :1] if (share == share[0, 0]).all() else share
        return np.broadcast_to(values, (source[0], 1, 1)) * share
    full = np.broadcast_to(values, source)
    rows = [full[:, a : b : linear.rows.step].sum(axis=1) for a, b in spans(linear.rows)]
    along = np.stack(rows, axis=1)
    cells = [along[:, :, a : b : linear.columns.step].sum(axis=2) for a, b in spans(linear.columns)]
    return np.stack(cells, axis=2) / linear.divisor


def spans(windows) -> zip:  # type: ignore[no-untyped-def, type-arg]
    """First and end of each window."""
    return zip(windows.first, windows.end, strict=True)


def share_read(pool: AveragePool) -> Float64:
    """What an average of ones is, shape (y, x): below 1 where padding was counted."""
    return counts(pool.rows)[:, None] * counts(pool.columns)[None, :] / pool.divisor


def _linear_map(linear: LinearMap, values: Float64, source: Shape, target: Shape) -> Float64:
    return (linear.matrix @ np.broadcast_to(values, source).reshape(-1)).reshape(target)


RESPONSES: dict[type, Callable[..., Float64]] = {
    Convolution: _convolution,
    Dense: _dense,
    AveragePool: _average_pool,
    LinearMap: _linear_map,
}
