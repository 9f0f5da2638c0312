"""Concatenation, of activations and constants."""

from __future__ import annotations

import numpy as np
import onnx

from eventsnn.convert.graph.graph import Float64
from eventsnn.convert.graph.operations import Affine, Concatenate, Int64, Rearrange
from eventsnn.convert.importers.onnx_refusals import MixesSamples
from eventsnn.convert.importers.onnx_walk import Value, Walk


def _concatenate(walk: Walk, node: onnx.NodeProto) -> None:
    names = [name for name in node.input if name]
    values = {
        place: walk.value(node, place, integers=True)
        for place, name in enumerate(names)
        if name in walk.values
    }
    one = next(iter(values.values()))
    axis = walk.attributes(node).get("axis", 1) % len(one.full)
    shapes = [values[k].full if k in values else walk.constant(name).shape for k, name in enumerate(names)]
    lengths = [shape[axis] for shape in shapes if len(shape) == len(one.full)]
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(lengths) < len(shapes) or len(others) > 1:
        raise walk.misfit(node, *shapes)
    full = (*one.full[:axis], sum(lengths), *one.full[axis + 1 :])
    offset = len(full) - len(walk.shape_of(full))
    if axis < offset or any(len(value.full) - len(value.shape) != offset for value in values.values()):
        raise MixesSamples(node, "it puts samples one behind the other")
    axis -= offset
    constants = {
        place: walk.per_sample(node, walk.numbers(node, place, "constant"), shapes[place])
        for place in range(len(names))
        if place not in values
    }
    if len({value.node for value in values.values()}) == 1 and not any(
        array.any() for array in constants.values()
    ):
        parts = [_indices(values, place, constants) for place in range(len(names))]
        walk.give(node, Rearrange(np.concatenate(parts, axis)), [one], full)
        return
    parts_read = [
        values[place] if place in values else _constant(walk, node, one, constants[place], shapes[place])
        for place in range(len(names))
    ]
    walk.give(node, Concatenate(axis), parts_read, full)


def _indices(values: dict[int, Value], place: int, constants: dict[int, Float64]) -> Int64:
    if place in values:
        shape = values[place].shape
        return np.arange(int(np.prod(shape))).reshape(shape)
    return np.full(constants[place].shape, -1)


def _constant(
    walk: Walk, node: onnx.NodeProto, value: Value, array: Float64, shape: tuple[int, ...]
) -> Value:
    """A constant as a value: zeros, and its numbers added."""
    full = (walk.batch, *shape[1:]) if walk.batch != 1 else shape
    made = walk.between(value, Rearrange(np.full(array.shape, -1)), full, "left out", node.op_type)
    if not array.any():
        return made
    return walk.between(made, Affine(np.ones(()), array), full, "replaced", node.op_type)


OPERATORS = {"Concat": _concatenate}
