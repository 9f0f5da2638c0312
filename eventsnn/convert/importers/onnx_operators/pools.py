"""Pools, and reductions over axes, which are pools with one window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from eventsnn.convert.graph.graph import Float64
from eventsnn.convert.graph.operations import AveragePool, MaxPool, Operation, Windows
from eventsnn.convert.importers.onnx_operators.linear import image
from eventsnn.convert.importers.onnx_operators.windows import cells, pads_of, pair, read_or_padded, windows
from eventsnn.convert.importers.onnx_refusals import MixesSamples, refusal
from eventsnn.convert.importers.onnx_walk import Walk

Make = Callable[[Windows, Windows, Float64], Operation]
"""From rows, columns and the number of values in each window to a pool."""


def _maximum(rows: Windows, columns: Windows, counts: Float64) -> Operation:
    return MaxPool(rows, columns)


def _mean(rows: Windows, columns: Windows, counts: Float64) -> Operation:
    return AveragePool(rows, columns, counts)


def _sum(rows: Windows, columns: Windows, counts: Float64) -> Operation:
    return AveragePool(rows, columns, np.ones_like(counts))


def _pool(make: Make) -> Callable[[Walk, onnx.NodeProto], None]:
    def pool(walk: Walk, node: onnx.NodeProto) -> None:
        value, attributes = image(walk, node), walk.attributes(node)
        kernel = pair(node, attributes, "kernel_shape")
        stride, dilation = pair(node, attributes, "strides"), pair(node, attributes, "dilations")
        size = (value.shape[1], value.shape[2])
        same = attributes.get("auto_pad", "NOTSET").startswith("SAME")
        if same and (stride[0] > kernel[0] or stride[1] > kernel[1]):
            raise refusal(node, "auto_pad with a stride above the window; export it with pads")
        pads = pads_of(node, attributes, size, kernel, stride, dilation)
        ceil = bool(attributes.get("ceil_mode", 0))
        count = [cells(node, size[k], kernel[k], stride[k], dilation[k], pads[k], ceil) for k in (0, 1)]
        rows, columns = (
            windows(node, count[k], size[k], kernel[k], stride[k], dilation[k], pads[k][0]) for k in (0, 1)
        )
        if attributes.get("count_include_pad", 0):
            in_rows, in_columns = (
                read_or_padded(count[k], size[k], kernel[k], stride[k], dilation[k], pads[k]) for k in (0, 1)
            )
        else:
            in_rows, in_columns = _read(rows), _read(columns)
        operation = make(rows, columns, np.outer(in_rows, in_columns))
        walk.give(node, operation, [value], (*value.full[:2], *count))

    return pool


def _read(axis: Windows) -> Float64:
    """How many inputs each window reads."""
    pairs = zip(axis.first, axis.end, strict=True)
    return np.array([len(range(first, end, axis.step)) for first, end in pairs], dtype=np.float64)


def _global(make: Make) -> Callable[[Walk, onnx.NodeProto], None]:
    def pool(walk: Walk, node: onnx.NodeProto) -> None:
        value = image(walk, node)
        _, height, width = value.shape
        operation = make(
            Windows((0,), (height,)), Windows((0,), (width,)), np.full((1, 1), height * width, float)
        )
        walk.give(node, operation, [value], (*value.full[:2], 1, 1))

    return pool


def _reduction(make: Make) -> Callable[[Walk, onnx.NodeProto], None]:
    def reduction(walk: Walk, node: onnx.NodeProto) -> None:
        value, attributes = walk.value(node), walk.attributes(node)
        rank = len(value.full)
        given = attributes.get("axes", [])
        if walk.given(node, 1):
            given = walk.parameter(node, 1, "axes").tolist()
        if not given and attributes.get("noop_with_empty_axes", 0):
            walk.alias(node, value)
            return
        chosen = sorted({axis % rank for axis in given} if given else range(rank))
        offset = rank - len(value.shape)
        if chosen[0] < offset:
            raise MixesSamples(node, f"it reduces over axis 0 of shape {walk.shown(value.full)}")
        axes = [axis - offset for axis in chosen]
        kept = [axis for axis in range(len(value.shape)) if axis not in axes]
        keep = bool(attributes.get("keepdims", 1))
        full = tuple(
            1 if axis in chosen else length
            for axis, length in enumerate(value.full)
            if keep or axis not in chosen
        )
        if walk.has_batch_axis(full) != walk.has_batch_axis(value.full):
            raise MixesSamples(node, f"shape {walk.shown(value.full)} becomes {walk.shown(full)}")
        places = np.arange(int(np.prod(value.shape))).reshape(value.shape)
        moved = places.transpose(*kept, *axes)
        channels = int(np.prod([value.shape[axis] for axis in kept]))
        # Over the two last axes of an image as they are; otherwise in one row.
        box = value.shape if axes == [1, 2] and len(kept) == 1 else (channels, 1, places.size // channels)
        rows, columns = Windows((0,), (box[1],)), Windows((0,), (box[2],))
        operation = make(rows, columns, np.full((1, 1), float(box[1] * box[2])))
        read = walk.arranged(node, value, np.ascontiguousarray(moved).reshape(box), "as channels")
        order = np.arange(channels).reshape(walk.shape_of(full))
        walk.give_inside(node, operation, read, (channels, 1, 1), order, full)

    return reduction


OPERATORS = {
    "MaxPool": _pool(_maximum),
    "AveragePool": _pool(_mean),
    "GlobalMaxPool": _global(_maximum),
    "GlobalAveragePool": _global(_mean),
    "ReduceMax": _reduction(_maximum),
    "ReduceMean": _reduction(_mean),
    "ReduceSum": _reduction(_sum),
}
