"""Operators that only move values, and those that ask for a shape.

What an operator moves is found by letting onnxruntime apply it to the places themselves. Where the batch
axis counts, this is done with two and with three samples: an operator that leaves each to itself does the
same to every one.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from eventsnn.convert.graph.graph import Shape
from eventsnn.convert.graph.operations import Int64, Rearrange
from eventsnn.convert.importers.onnx_refusals import MixesSamples, refusal
from eventsnn.convert.importers.onnx_session import Array, CannotRun, run_node
from eventsnn.convert.importers.onnx_walk import Value, Walk

EXACT = 2**24
"""Integers below are exact in float32, the one type that all these operators take in every version."""
TARGETS = {"Reshape": 1, "Expand": 1, "Resize": 3}
"""Operators that are told the batch size, in the first number of which input."""


def _rearrange(walk: Walk, node: onnx.NodeProto) -> None:
    value = walk.value(node, integers=True)
    parameters = [
        walk.parameter(node, place, f"input {place}") if name else None
        for place, name in enumerate(node.input)
        if place > 0
    ]
    for place, (full, indices) in enumerate(_places(walk, node, value, parameters)):
        if not node.output[place]:
            continue
        same = indices.shape == value.shape and np.array_equal(indices.ravel(), np.arange(indices.size))
        if same:
            walk.alias(node, Value(value.node, full, value.shape, value.integer), place)
        else:
            walk.give(node, Rearrange(indices), [value], full, place)


def _places(
    walk: Walk, node: onnx.NodeProto, value: Value, parameters: list[Array | None]
) -> list[tuple[Shape, Int64]]:
    """Of each output the shape, and the places in one sample of the input."""
    if walk.batch == 1:
        found = [moved.astype(np.int64) for moved in _apply(walk, node, value.full, parameters, 1)]
        return [(moved.shape, moved.reshape(walk.shape_of(moved.shape)) - 1) for moved in found]
    size = math.prod(value.shape)
    for samples in (2, 3):
        outputs = _apply(walk, node, value.full, parameters, samples)
        for moved in outputs:
            first = moved[:1] if moved.ndim else moved
            apart = np.arange(len(moved) if moved.ndim else 1).reshape(-1, *(1,) * (moved.ndim - 1)) * size
            if moved.ndim == 0 or len(moved) != samples or not (moved == first + apart * (first > 0)).all():
                known = f"shape {walk.shown(value.full)} becomes {moved.shape} with {samples} samples"
                raise MixesSamples(node, known, _hint(node, parameters))
    return [((walk.batch, *moved.shape[1:]), moved[0].astype(np.int64) - 1) for moved in outputs]


def _apply(
    walk: Walk, node: onnx.NodeProto, full: Shape, parameters: list[Array | None], samples: int
) -> list[Array]:
    """The operator on the places from 1 on of so many samples, so that zeros are what it fills in."""
    shape = full if walk.batch == 1 else (samples, *full[1:])
    given = list(parameters)
    told = TARGETS.get(node.op_type, 0) - 1
    if 0 <= told < len(given) and walk.batch != 1:
        target = given[told]
        if target is not None and target.size and target.flat[0] == walk.batch:
            given[told] = np.concatenate([[samples], target[1:]]).astype(target.dtype)
    places = np.arange(1, math.prod(shape) + 1).reshape(shape)
    try:
        # In digits, of which each is exact.
        digits, base = [], 1
        while base == 1 or places.max(initial=0) // base:
            digits.append((base, places // base % EXACT))
            base *= EXACT
        moved = [
            [
                array.astype(np.int64) * unit
                for array in run_node(node, [digit.astype(np.float32), *given], walk.opset)
            ]
            for unit, digit in digits
        ]
    except CannotRun as error:
        raise MixesSamples(node, f"onnxruntime on shape {shape}: {error}", _hint(node, parameters)) from error
    return [sum(column[1:], column[0]) for column in zip(*moved, strict=True)]


def _hint(node: onnx.NodeProto, parameters: list[Array | None]) -> int | None:
    told = TARGETS.get(node.op_type, 0) - 1
    target = parameters[told] if 0 <= told < len(parameters) else None
    return int(target.flat[0]) if target is not None and target.size and target.flat[0] > 0 else None


def _pad(walk: Walk, node: onnx.NodeProto) -> None:
    """Padding with zeros, or with what is there (edge, reflect)."""
    attributes = walk.attributes(node)
    filled = np.array(attributes.get("value", 0.0))
    if walk.given(node, 2):
        filled = walk.numbers(node, 2, "filling")
    if attributes.get("mode", "constant") == "constant" and filled.any():
        raise refusal(node, f"it pads with {filled.ravel()[0]:g}; only zeros have a conversion")
    _rearrange(walk, node)


def _resize(walk: Walk, node: onnx.NodeProto) -> None:
    """Resize and Upsample by nearest neighbours."""
    attributes = walk.attributes(node)
    if attributes.get("mode", "nearest") != "nearest":
        raise refusal(node, f"mode {attributes['mode']!r} blends values; only 'nearest' has a conversion")
    if attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise refusal(node, "tf_crop_and_resize has no conversion")
    _rearrange(walk, node)


def _shape(walk: Walk, node: onnx.NodeProto) -> None:
    full, attributes = walk.value(node, integers=True).full, walk.attributes(node)
    part = full[attributes.get("start", 0) : attributes.get("end", len(full))]
    walk.keep_constant(node.output[0], np.array(part, dtype=np.int64), of_shapes=True)


def _size(walk: Walk, node: onnx.NodeProto) -> None:
    size = math.prod(walk.value(node, integers=True).full)
    walk.keep_constant(node.output[0], np.array(size, dtype=np.int64), of_shapes=True)


MOVING = (
    "DepthToSpace", "Expand", "Flatten", "Gather", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip
OPERATORS = {
    **dict.fromkeys(MOVING, _rearrange),
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "Shape": _shape,
    "Size": _size,
}
