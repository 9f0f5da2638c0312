"""Activations: rectifiers, sign, softmax."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx

from eventsnn.convert.graph.operations import Affine, ReLU, Softmax, Step
from eventsnn.convert.importers.onnx_quantised import Limited, Rounded
from eventsnn.convert.importers.onnx_refusals import refusal
from eventsnn.convert.importers.onnx_walk import Value, Walk

LARGEST = float(np.finfo(np.float32).max)


def _relu(walk: Walk, node: onnx.NodeProto) -> None:
    value = walk.value(node)
    walk.give(node, ReLU(), [value], value.full)


def _clip(walk: Walk, node: onnx.NodeProto) -> None:
    """Clip with its limits as attributes (up to opset 10) or as inputs."""
    attributes = walk.attributes(node)
    limits = [attributes.get("min", -math.inf), attributes.get("max", math.inf)]
    for place in (1, 2):
        if walk.given(node, place):
            limits[place - 1] = _one_number(walk, node, place)
    _clipped(walk, node, walk.value(node), *limits)


def _one_number(walk: Walk, node: onnx.NodeProto, place: int) -> float:
    found = walk.numbers(node, place, "limit")
    if np.isnan(found).any() or found.size == 0 or (found != found.flat[0]).any():
        raise refusal(node, "its limit is not one number for all values")
    return float(found.flat[0])


def _clipped(walk: Walk, node: onnx.NodeProto, value: Value, lowest: float, largest: float) -> None:
    lowest = -math.inf if lowest <= -LARGEST else lowest
    largest = math.inf if largest >= LARGEST else largest
    rectified = isinstance(walk.nodes[value.node].operation, ReLU)
    if rectified and lowest <= 0:
        lowest = 0.0 if largest < math.inf else -math.inf
    if (lowest, largest) == (-math.inf, math.inf):
        walk.alias(node, value)
    elif lowest == 0 and largest > 0:
        walk.give(node, ReLU(None if largest == math.inf else largest), [value], value.full)
    elif lowest < largest:
        walk.give(node, Limited(lowest, largest), [value], value.full)
    else:
        raise refusal(node, f"its limits {lowest:g} .. {largest:g} leave nothing of its input")


def _hard_sigmoid(walk: Walk, node: onnx.NodeProto) -> None:
    """``min(max(0, alpha x + beta), 1)``."""
    value, attributes = walk.value(node), walk.attributes(node)
    slope, offset = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    line = Affine(np.array(slope), np.array(offset))
    sloped = walk.between(value, line, value.full, f"sloped for {node.output[0]}", node.op_type)
    walk.give(node, ReLU(1.0), [sloped], value.full)


def _maximum(walk: Walk, node: onnx.NodeProto) -> None:
    """Max(x, 0)."""
    value, limit = _limited(walk, node)
    _clipped(walk, node, value, limit, math.inf)


def _minimum(walk: Walk, node: onnx.NodeProto) -> None:
    """Min(x, ceiling)."""
    value, limit = _limited(walk, node)
    _clipped(walk, node, value, -math.inf, limit)


def _limited(walk: Walk, node: onnx.NodeProto) -> tuple[Value, float]:
    constant = [walk.is_constant(name) for name in node.input]
    if sorted(constant) != [False, True]:
        raise refusal(node, "it compares activations; only one activation and one constant have a conversion")
    value = walk.value(node, constant.index(False))
    place = constant.index(True)
    limit = walk.numbers(node, place, "limit")
    if walk.result_shape(node, value.full, limit.shape) != value.full:
        raise refusal(
            node, f"its constant of shape {limit.shape} is larger than its input {walk.shown(value.full)}"
        )
    return value, _one_number(walk, node, place)


def _sign(walk: Walk, node: onnx.NodeProto) -> None:
    value = walk.value(node)
    walk.give(node, Step(-1.0, 1.0, 0.0), [value], value.full)


def _rounding(word: str) -> Callable[[Walk, onnx.NodeProto], None]:
    def rounded(walk: Walk, node: onnx.NodeProto) -> None:
        value = walk.value(node)
        reason = refusal(node, "it rounds without limits; only rounding followed by Clip has a conversion")
        walk.give(node, Rounded(word, str(reason)), [value], value.full)

    return rounded


def _softmax(walk: Walk, node: onnx.NodeProto) -> None:
    """Over one axis; up to opset 12 over all from ``axis`` on."""
    value = walk.value(node)
    whole = walk.opset < 13
    axis = walk.attributes(node).get("axis", 1 if whole else -1) % len(value.full)
    together = math.prod(value.full[axis:]) if whole else value.full[axis]
    if together != math.prod(value.shape) or (axis == 0 and walk.batch != 1):
        raise refusal(
            node,
            f"it goes over a part of each sample's values (shape {value.shape}); only one over all, the "
            "classes, has a conversion",
        )
    walk.give(node, Softmax(node.op_type == "LogSoftmax"), [value], value.full)


OPERATORS = {
    "Relu": _relu,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "Max": _maximum,
    "Min": _minimum,
    "Round": _rounding("half-even"),
    "Floor": _rounding("floor"),
    "Sign": _sign,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
