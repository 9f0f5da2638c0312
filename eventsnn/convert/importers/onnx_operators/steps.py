"""Comparisons with a constant, choices between two constants, and integers with a scale and a zero point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from eventsnn.convert.graph.graph import Float64
from eventsnn.convert.graph.operations import Affine, Quantised, Step
from eventsnn.convert.importers.onnx_operators.arithmetic import affine
from eventsnn.convert.importers.onnx_refusals import refusal
from eventsnn.convert.importers.onnx_session import Source
from eventsnn.convert.importers.onnx_walk import Value, Walk

BELOW = {"Greater": (0.0, 0.0), "GreaterOrEqual": (0.0, 1.0), "Less": (1.0, 0.0), "LessOrEqual": (1.0, 1.0)}
"""Of each comparison x ? c its value for x < c and for x = c."""
TURNED = {
    "Greater": "Less",
    "GreaterOrEqual": "LessOrEqual",
    "Less": "Greater",
    "LessOrEqual": "GreaterOrEqual",
}


def _compare(walk: Walk, node: onnx.NodeProto) -> None:
    """A comparison with a constant: 0 or 1."""
    first, second = (walk.is_constant(name) for name in node.input)
    if not first and not second:
        raise refusal(node, "it compares activations; only comparisons with a constant have a conversion")
    place = 0 if first else 1
    value, limit = walk.value(node, 1 - place), walk.numbers(node, place, "limit")
    if walk.result_shape(node, value.full, limit.shape) != value.full:
        raise refusal(
            node, f"its constant of shape {limit.shape} is larger than its input {walk.shown(value.full)}"
        )
    low, at_zero = BELOW[TURNED[node.op_type] if first else node.op_type]
    if limit.any():
        shift = Affine(np.ones(()), -walk.per_sample(node, limit, value.full))
        value = walk.between(value, shift, value.full, f"above the limit of {node.output[0]}", node.op_type)
    walk.give(node, Step(low, 1.0 - low, at_zero), [value], value.full)
    made = walk.values[node.output[0]]
    walk.values[node.output[0]] = Value(made.node, made.full, made.shape, np.dtype(bool))


def _choose(walk: Walk, node: onnx.NodeProto) -> None:
    """Where with a computed condition and two constants."""
    yes, no = walk.numbers(node, 1, "first choice"), walk.numbers(node, 2, "second choice")
    condition = walk.value(node, integers=True)
    _on_float(walk, node, condition, yes - no, no)


def _not(walk: Walk, node: onnx.NodeProto) -> None:
    condition = walk.value(node, integers=True)
    _on_float(walk, node, condition, -np.ones(()), np.ones(()))
    made = walk.values[node.output[0]]
    walk.values[node.output[0]] = Value(made.node, made.full, made.shape, np.dtype(bool))


def _on_float(walk: Walk, node: onnx.NodeProto, value: Value, factor: Float64, shift: Float64) -> None:
    affine(walk, node, Value(value.node, value.full, value.shape), factor, shift)


def _quantise(walk: Walk, node: onnx.NodeProto) -> None:
    """QuantizeLinear with one scale: levels, which only DequantizeLinear reads."""
    value = walk.value(node)
    scale, zero, kind = _scale(walk, node)
    limits = np.iinfo(kind)
    scaled = walk.between(
        value, Affine(1 / scale, np.zeros(())), value.full, f"scaled for {node.output[0]}", node.op_type
    )
    name = walk.free_name(f"{node.output[0]} as levels")
    operation = Quantised(np.ones(()), int(limits.min - zero), int(limits.max - zero), 0.0, "half-even")
    walk.add(name, operation, [scaled], value.shape, node.op_type)
    walk.sources[name] = Source(node.output[0], value.shape, (Affine(np.ones(()), np.array(-float(zero))),))
    walk.levels[node.output[0]] = (Value(name, value.full, value.shape), zero)


def _dequantise(walk: Walk, node: onnx.NodeProto) -> None:
    """DequantizeLinear of such levels."""
    if node.input[0] not in walk.levels:
        raise refusal(node, "it reads integers that no QuantizeLinear gives")
    value, own = walk.levels[node.input[0]]
    scale, zero, _ = _scale(walk, node)
    if zero != own:
        raise refusal(node, f"its zero point {zero} is not that of its levels, {own}")
    affine(walk, node, value, scale, np.zeros(()))


def _scale(walk: Walk, node: onnx.NodeProto) -> tuple[Float64, int, np.dtype[Any]]:
    scale = walk.numbers(node, 1, "scale")
    if walk.attributes(node).get("output_dtype", 0):
        raise refusal(node, "output_dtype is not read; export it with a zero point of that type")
    zero = walk.parameter(node, 2, "zero point") if walk.given(node, 2) else np.zeros((), np.uint8)
    if scale.size != 1 or zero.size != 1 or zero.dtype.kind not in "iu" or not scale.all():
        raise refusal(node, "only one scale and one whole zero point for all activations have a conversion")
    return scale.reshape(()), int(zero.flat[0]), zero.dtype


OPERATORS: dict[str, Callable[[Walk, onnx.NodeProto], None]] = {
    **dict.fromkeys(BELOW, _compare),
    "Where": _choose,
    "Not": _not,
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
}
