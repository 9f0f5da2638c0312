"""Pools of PyTorch as lists of windows: padding, dilation, ceil mode and adaptive sizes are all in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eventsnn.convert.graph.operations import AveragePool, MaxPool, Operation, Windows
from eventsnn.convert.importers.torch_calls import Call
from eventsnn.convert.importers.torch_values import Float64, Value


def pair(number: Any) -> tuple[int, int]:
    """A size given as one number or one per axis."""
    if isinstance(number, tuple | list):
        first, second = number if len(number) == 2 else (number[0], number[0])
        return int(first), int(second)
    return int(number), int(number)


def max_pool2d(
    call: Call,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value:
    """MaxPool2d and its functions."""
    if return_indices:
        call.refuse(" returns the places of the largest values; only the values themselves have a conversion")
    source = call.image(input)
    shape = call.shape()
    axes = []
    for axis in (0, 1):
        length, step = source.shape[1 + axis], pair(dilation)[axis]
        width = pair(kernel_size)[axis]
        along = pair(stride or kernel_size)[axis]
        first, end = [], []
        for cell in range(shape[1 + axis]):
            begin = cell * along - pair(padding)[axis]
            taps = [place for place in range(begin, begin + width * step, step) if 0 <= place < length]
            if not taps:
                call.refuse(" has a window that lies in its padding as a whole; use less padding")
            first.append(taps[0])
            end.append(taps[-1] + 1)
        axes.append(Windows(tuple(first), tuple(end), step))
    return call.emit(MaxPool(*axes), source)


def avg_pool2d(
    call: Call,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """AvgPool2d and its functions."""
    source = call.image(input)
    shape = call.shape()
    axes, counted = [], []
    for axis in (0, 1):
        length, width, pad = source.shape[1 + axis], pair(kernel_size)[axis], pair(padding)[axis]
        begin = np.arange(shape[1 + axis]) * pair(stride or kernel_size)[axis] - pad
        end = np.minimum(begin + width, length + pad)  # a window of ceil mode ends with the padding
        inside = np.maximum(begin, 0), np.minimum(end, length)
        if (inside[0] >= inside[1]).any():
            call.refuse(" has a window that lies in its padding as a whole; use less padding")
        axes.append(Windows(tuple(inside[0].tolist()), tuple(inside[1].tolist())))
        counted.append(end - begin if count_include_pad else inside[1] - inside[0])
    divisor = np.outer(*counted).astype(np.float64)
    if divisor_override is not None:
        divisor = np.full_like(divisor, divisor_override)
    return call.emit(AveragePool(axes[0], axes[1], divisor), source)


def _adaptive(call: Call, source: Value) -> tuple[Windows, Windows]:
    axes = []
    for axis in (1, 2):
        length, cells = source.shape[axis], call.shape()[axis]
        first = tuple(cell * length // cells for cell in range(cells))
        axes.append(Windows(first, tuple(-(-(cell + 1) * length // cells) for cell in range(cells))))
    return axes[0], axes[1]


def adaptive_max_pool2d(call: Call, input: Any, output_size: Any, return_indices: bool = False) -> Value:
    """AdaptiveMaxPool2d and its function."""
    if return_indices:
        call.refuse(" returns the places of the largest values; only the values themselves have a conversion")
    source = call.image(input)
    return call.emit(MaxPool(*_adaptive(call, source)), source)


def adaptive_avg_pool2d(call: Call, input: Any, output_size: Any) -> Value:
    """AdaptiveAvgPool2d and its function."""
    source = call.image(input)
    rows, columns = _adaptive(call, source)
    counts = [np.subtract(windows.end, windows.first) for windows in (rows, columns)]
    return call.emit(AveragePool(rows, columns, np.outer(*counts).astype(np.float64)), source)


# -- over whole axes ---------------------------------------------------------------------------------


def mean(call: Call, input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    """The mean over axes of one sample."""
    return _over(call, input, dim, lambda rows, columns: AveragePool(rows, columns, _count(rows, columns)))


def total(call: Call, input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    """The sum over axes of one sample."""
    return _over(call, input, dim, lambda rows, columns: AveragePool(rows, columns, np.ones((1, 1))))


def amax(call: Call, input: Any, dim: Any = None, keepdim: bool = False) -> Value:
    """The largest value over axes of one sample."""
    return _over(call, input, dim, MaxPool)


def _count(rows: Windows, columns: Windows) -> Float64:
    return np.full((1, 1), float(rows.end[0] * columns.end[0]))


def _over(call: Call, input: Any, dim: Any, pool: Callable[[Windows, Windows], Operation]) -> Value:
    source = call.value(input)
    rank = len(source.shape) + 1
    given = dim if isinstance(dim, tuple | list) else () if dim is None else (dim,)
    axes = sorted({axis % rank for axis in given})
    if not axes or axes[0] == 0:
        call.refuse(" reduces the axis of samples; name the axes of one sample (dim=(2, 3) for the pixels)")
    shape = call.shape()
    channels = int(np.prod(shape))
    if rank != 4 or axes != [2, 3]:  # as images with one column, the values to reduce along it
        reduced = [axis - 1 for axis in axes]
        kept = [axis for axis in range(rank - 1) if axis not in reduced]
        places = np.arange(int(np.prod(source.shape)), dtype=np.int64).reshape(source.shape)
        moved = places.transpose(kept + reduced).reshape(channels, -1, 1)
        source = call.before_rearranged(source, moved, "arranged")
    rows, columns = (Windows((0,), (length,)) for length in source.shape[1:])
    operation = pool(rows, columns)
    if shape == (channels, 1, 1):
        return call.emit(operation, source)

    def change(values: Float64) -> Float64:
        return values.reshape(len(values), channels, 1, 1)

    pooled = call.inside("pooled", operation, [source], (channels, 1, 1), change)
    return call.rearranged(pooled, np.arange(channels, dtype=np.int64).reshape(shape))
