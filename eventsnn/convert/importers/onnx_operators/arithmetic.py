"""Sums, products with constants, batch normalisation, and operators that do nothing in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper

from eventsnn.convert.graph.graph import Float64
from eventsnn.convert.graph.operations import Add, Affine
from eventsnn.convert.importers.onnx_refusals import refusal
from eventsnn.convert.importers.onnx_walk import Value, Walk

Kind = Callable[[Walk, onnx.NodeProto], None]
ONE = np.ones(())
ZERO = np.zeros(())


def affine(walk: Walk, node: onnx.NodeProto, value: Value, factor: Float64, shift: Float64) -> None:
    """``factor x + shift``; both broadcast with the value as tensors do."""
    full = walk.result_shape(node, value.full, factor.shape, shift.shape)
    operation = Affine(walk.per_sample(node, factor, full), walk.per_sample(node, shift, full))
    walk.give(node, operation, [walk.broadcast(node, value, full)], full)


def _added(walk: Walk, node: onnx.NodeProto, values: list[Value]) -> None:
    full = walk.result_shape(node, *(value.full for value in values))
    walk.give(node, Add(), [walk.broadcast(node, value, full) for value in values], full)


def _add(walk: Walk, node: onnx.NodeProto) -> None:
    """Add, and Sum of any number."""
    constants = [place for place, name in enumerate(node.input) if walk.is_constant(name)]
    values = [walk.value(node, place) for place in range(len(node.input)) if place not in constants]
    if not constants and len(values) == 1:
        walk.alias(node, values[0])
    elif not constants:
        _added(walk, node, values)
    elif len(values) == 1:
        arrays = [walk.numbers(node, place, "constant") for place in constants]
        affine(walk, node, values[0], ONE, sum(arrays[1:], arrays[0]))
    else:
        raise refusal(node, "it adds constants to several activations at once; write two additions")


def _subtract(walk: Walk, node: onnx.NodeProto) -> None:
    first, second = (walk.is_constant(name) for name in node.input)
    if second:
        affine(walk, node, walk.value(node, 0), ONE, -walk.numbers(node, 1, "constant"))
    elif first:
        affine(walk, node, walk.value(node, 1), -ONE, walk.numbers(node, 0, "constant"))
    else:
        minuend, subtrahend = walk.value(node, 0), walk.value(node, 1)
        negated = walk.between(subtrahend, Affine(-ONE, ZERO), subtrahend.full, "negated", node.op_type)
        _added(walk, node, [minuend, negated])


def _multiply(walk: Walk, node: onnx.NodeProto) -> None:
    first, second = (walk.is_constant(name) for name in node.input)
    if not first and not second:
        raise refusal(
            node, "it multiplies two activations (a gate); only products with constants have a conversion"
        )
    place = 0 if first else 1
    affine(walk, node, walk.value(node, 1 - place), walk.numbers(node, place, "constant"), ZERO)


def _divide(walk: Walk, node: onnx.NodeProto) -> None:
    if not walk.is_constant(node.input[1]):
        raise refusal(node, "it divides by an activation; only divisions by constants have a conversion")
    divisor = walk.numbers(node, 1, "constant")
    value = walk.value(node, 0)
    if not divisor.all():
        raise refusal(node, "it divides by zero")
    affine(walk, node, value, 1 / divisor, ZERO)


def _negate(walk: Walk, node: onnx.NodeProto) -> None:
    affine(walk, node, walk.value(node), -ONE, ZERO)


def _batch_norm(walk: Walk, node: onnx.NodeProto) -> None:
    """Batch normalisation with stored statistics: ``scale (x - mean) / sqrt(variance + epsilon) + shift``."""
    value, attributes = walk.value(node), walk.attributes(node)
    if attributes.get("training_mode", 0) or any(node.output[1:]):
        raise refusal(
            node, "it is in training mode (statistics of the batch); export the model in evaluation mode"
        )
    if len(value.full) < 2 or not walk.has_batch_axis(value.full):
        raise refusal(node, f"it reads shape {walk.shown(value.full)}, without samples and channels")
    names = ("scale", "shift", "mean", "variance")
    scale, shift, mean, variance = (walk.numbers(node, 1 + k, name) for k, name in enumerate(names))
    if (variance < 0).any():
        raise refusal(node, "its variance is negative; export the model again")
    factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    # Up to opset 8 there is one with a parameter a value: then the parameters have the sample's shape.
    wanted = (value.shape[0],) if attributes.get("spatial", 1) else value.shape
    if factor.shape != wanted:
        raise refusal(node, f"parameters of shape {factor.shape} where {wanted} are needed")
    shape = (*wanted, *(1,) * (len(value.shape) - len(wanted)))
    walk.give(
        node, Affine(factor.reshape(shape), (shift - mean * factor).reshape(shape)), [value], value.full
    )


def _cast(walk: Walk, node: onnx.NodeProto) -> None:
    """To floating point: the same value. To integers: only of integers that it holds."""
    value, wanted = walk.value(node, integers=True), walk.attributes(node)["to"]
    if wanted in FLOATING:
        walk.alias(node, Value(value.node, value.full, value.shape))
        return
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(wanted))
    if value.integer is None or kind.kind not in "iu" or not np.can_cast(value.integer, kind, "safe"):
        raise refusal(node, f"it rounds activations to {TensorProto.DataType.Name(wanted)}")
    walk.alias(node, Value(value.node, value.full, value.shape, kind))


FLOATING = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def _identity(walk: Walk, node: onnx.NodeProto) -> None:
    walk.alias(node, walk.value(node, integers=True))


def _dropout(walk: Walk, node: onnx.NodeProto) -> None:
    if walk.given(node, 2) and walk.parameter(node, 2, "training_mode").any():
        raise refusal(node, "it is in training mode; export the model in evaluation mode")
    walk.alias(node, walk.value(node))


OPERATORS: dict[str, Kind] = {
    "Add": _add,
    "Sum": _add,
    "Sub": _subtract,
    "Mul": _multiply,
    "Div": _divide,
    "Neg": _negate,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Identity": _identity,
    "Dropout": _dropout,
}
