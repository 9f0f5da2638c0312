"""Convolution and matrix products."""

from __future__ import annotations

import math

import numpy as np
import onnx

from eventsnn.convert.graph.graph import Float64, Shape
from eventsnn.convert.graph.operations import Convolution, Dense
from eventsnn.convert.importers.onnx_operators.windows import Pads, cells, pads_of, pair
from eventsnn.convert.importers.onnx_refusals import MixesSamples, refusal
from eventsnn.convert.importers.onnx_walk import Value, Walk


def convolution(walk: Walk, node: onnx.NodeProto) -> None:
    """Conv over two axes, with any padding, stride, dilation and groups."""
    weight = walk.numbers(node, 1, "weights")
    if weight.ndim != 4:
        raise refusal(
            node,
            f"weights of shape {weight.shape} convolve over {weight.ndim - 2} axes; only two (y, x) have a "
            "conversion",
        )
    value = image(walk, node)
    attributes = walk.attributes(node)
    groups = attributes.get("group", 1)
    if value.shape[0] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise refusal(
            node, f"weights of shape {weight.shape} in {groups} groups do not fit {value.shape[0]} channels"
        )
    stride, dilation = pair(node, attributes, "strides"), pair(node, attributes, "dilations")
    kernel = (weight.shape[2], weight.shape[3])
    if tuple(attributes.get("kernel_shape", kernel)) != kernel:
        raise refusal(node, f"kernel_shape {attributes['kernel_shape']} is not that of its weights, {kernel}")
    size = (value.shape[1], value.shape[2])
    pads: Pads = pads_of(node, attributes, size, kernel, stride, dilation)
    height, width = (cells(node, size[k], kernel[k], stride[k], dilation[k], pads[k]) for k in (0, 1))
    bias = walk.numbers(node, 2, "bias") if walk.given(node, 2) else np.zeros(len(weight))
    operation = Convolution(weight, bias.reshape(-1, 1, 1), stride, pads, dilation, groups)
    walk.give(node, operation, [value], (value.full[0], len(weight), height, width))


def image(walk: Walk, node: onnx.NodeProto) -> Value:
    """The (channels, y, x) that a node reads."""
    value = walk.value(node)
    if len(value.full) != 4:
        raise refusal(
            node,
            f"it reads shape {walk.shown(value.full)}; only images (samples, channels, y, x) have a "
            "conversion",
        )
    if not walk.has_batch_axis(value.full):
        raise MixesSamples(node, f"it takes the first axis of shape {walk.shown(value.full)} for the samples")
    return value


def matrix_product(walk: Walk, node: onnx.NodeProto) -> None:
    """MatMul with a constant matrix on either side."""
    left, right = node.input
    if not walk.is_constant(left) and not walk.is_constant(right):
        raise refusal(
            node, "it multiplies two activations; only products with constant weights have a conversion"
        )
    if walk.is_constant(right):
        weight = _matrix(walk, node, 1)
        value = walk.value(node, 0)
        _weigh(walk, node, value, weight.T, np.zeros(weight.shape[1]), len(value.full) - 1)
    else:
        weight = _matrix(walk, node, 0)
        value = walk.value(node, 1)
        if len(value.full) < 2:
            raise refusal(node, f"its right side of shape {walk.shown(value.full)} is no matrix")
        _weigh(walk, node, value, weight, np.zeros(len(weight)), len(value.full) - 2)


def _matrix(walk: Walk, node: onnx.NodeProto, place: int) -> Float64:
    weight = walk.numbers(node, place, "weights")
    if weight.ndim != 2:
        raise refusal(node, f"weights of shape {weight.shape}; only a matrix has a conversion")
    return weight


def general_product(walk: Walk, node: onnx.NodeProto) -> None:
    """Gemm: alpha A B + beta C with A the activations, B and C constant."""
    attributes = walk.attributes(node)
    if walk.is_constant(node.input[0]) or attributes.get("transA", 0):
        raise refusal(
            node,
            "its samples stand in columns (transA, or constant weights on the left); export it as x W + b",
        )
    value, weight = walk.value(node, 0), _matrix(walk, node, 1)
    weight = weight if attributes.get("transB", 0) else weight.T
    full = (*value.full[:-1], len(weight))
    bias = np.zeros(len(weight))
    if walk.given(node, 2):
        added = walk.numbers(node, 2, "bias")
        if walk.result_shape(node, full, added.shape) != full:
            raise refusal(
                node, f"its bias of shape {added.shape} does not fit its result of shape {walk.shown(full)}"
            )
        rows = np.atleast_1d(walk.per_sample(node, added, full))
        rows = rows.reshape(-1, rows.shape[-1])
        if (rows != rows[:1]).any():
            raise refusal(node, "its bias differs from row to row; only one a feature has a conversion")
        bias = attributes.get("beta", 1.0) * np.broadcast_to(rows[0], len(weight))
    alpha = attributes.get("alpha", 1.0)
    _weigh(walk, node, value, weight if alpha == 1 else alpha * weight, bias, len(value.full) - 1)


def _weigh(
    walk: Walk, node: onnx.NodeProto, value: Value, weight: Float64, bias: Float64, full_axis: int
) -> None:
    """``weight @ x + bias`` along one axis of the value: dense on a vector, 1 x 1 convolution otherwise."""
    if value.full[full_axis] != weight.shape[1]:
        raise refusal(node, f"weights for {weight.shape[1]} features meet shape {walk.shown(value.full)}")
    full: Shape = (*value.full[:full_axis], len(weight), *value.full[full_axis + 1 :])
    axis = full_axis - (len(value.full) - len(value.shape))
    if axis < 0:
        raise MixesSamples(node, f"it adds up over the samples of shape {walk.shown(value.full)}")
    if walk.has_batch_axis(full) != walk.has_batch_axis(value.full):
        raise MixesSamples(node, f"shape {walk.shown(value.full)} becomes {walk.shown(full)}")
    features, positions = value.shape[axis], math.prod(value.shape) // max(value.shape[axis], 1)
    places = np.arange(features * positions).reshape(value.shape)
    columns = np.moveaxis(places, axis, 0)
    results = np.arange(len(weight) * positions).reshape(len(weight), *columns.shape[1:])
    order = np.ascontiguousarray(np.moveaxis(results, 0, axis))
    if positions == 1:
        read = walk.arranged(node, value, columns.reshape(features), "as features")
        walk.give_inside(node, Dense(np.ascontiguousarray(weight), bias), read, (len(weight),), order, full)
        return
    read = walk.arranged(node, value, columns.reshape(features, positions, 1), "as columns")
    operation = Convolution(np.ascontiguousarray(weight)[:, :, None, None], bias.reshape(-1, 1, 1))
    walk.give_inside(node, operation, read, (len(weight), positions, 1), order, full)


OPERATORS = {"Conv": convolution, "MatMul": matrix_product, "Gemm": general_product}
