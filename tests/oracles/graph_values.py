"""Every value of a conversion graph by the words of its operations, in NumPy and float64.

Written from ``eventsnn/convert/graph/operations.py`` alone; knows neither importers nor passes.
"""

import numpy as np

from eventsnn.convert.graph.operations import (
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Input,
    LinearMap,
    MaxPool,
    Quantised,
    Rearrange,
    ReLU,
    Softmax,
    Step,
)


def graph_values(graph, batch):
    """The value of every node, float64 (samples, *node.shape), for a batch (samples, *input shape)."""
    values = {}
    for node in graph:
        if isinstance(node.operation, Input):
            value = np.asarray(batch, dtype=np.float64)
        else:
            read = [values[name] for name in node.inputs]
            value = RULES[type(node.operation)](node.operation, read, node)
        assert value.dtype == np.float64, node.name
        assert value.shape == (len(batch), *node.shape), (node.name, value.shape, node.shape)
        values[node.name] = value
    return values


def in_order_of(node, original):
    """The original's value of a node, in the order of the node's: what ``graph_values`` should give."""
    if node.arrangement is None:
        return original.reshape(len(original), *node.shape)
    return original.reshape(len(original), -1)[:, node.arrangement]


def along(values, rows, columns, reduce):
    """``reduce`` over the values of each window (samples, channels, values): (samples, channels, y, x)."""
    found = np.empty((*values.shape[:2], len(rows.first), len(columns.first)))
    for i, (top, bottom) in enumerate(zip(rows.first, rows.end, strict=True)):
        for j, (left, right) in enumerate(zip(columns.first, columns.end, strict=True)):
            assert 0 <= top < bottom <= values.shape[2], "a window without a row, or outside"
            assert 0 <= left < right <= values.shape[3], "a window without a column, or outside"
            window = values[:, :, top : bottom : rows.step, left : right : columns.step]
            found[:, :, i, j] = reduce(window.reshape(*window.shape[:2], -1))
    return found


def convolution(operation, read, node):
    (value,) = read
    padded = np.pad(value, ((0, 0), (0, 0), *operation.padding))
    out, in_group, taps_y, taps_x = operation.weight.shape
    samples, channels = value.shape[:2]
    assert channels == in_group * operation.groups
    height, width = node.shape[1:]
    found = np.zeros((samples, out, height, width))
    each = out // operation.groups
    for group in range(operation.groups):
        here = slice(group * each, (group + 1) * each)
        source = padded[:, group * in_group : (group + 1) * in_group]
        for ky in range(taps_y):
            for kx in range(taps_x):
                top, left = ky * operation.dilation[0], kx * operation.dilation[1]
                seen = source[:, :, top :: operation.stride[0], left :: operation.stride[1]]
                seen = seen[:, :, :height, :width]
                found[:, here] += np.einsum("nchw,oc->nohw", seen, operation.weight[here, :, ky, kx])
    reach = [(taps - 1) * step for taps, step in zip((taps_y, taps_x), operation.dilation, strict=True)]
    for axis in (0, 1):  # the last window fits, and no further one would
        length = padded.shape[2 + axis] - reach[axis] - 1
        assert length // operation.stride[axis] + 1 == node.shape[1 + axis], node.name
    return found + operation.bias


def dense(operation, read, node):
    return read[0] @ operation.weight.T + operation.bias


def linear_map(operation, read, node):
    flat = read[0].reshape(len(read[0]), -1)
    return (operation.matrix @ flat.T).T.reshape(len(flat), *node.shape) + operation.bias


def affine(operation, read, node):
    return operation.factor * read[0] + operation.shift


def average_pool(operation, read, node):
    sums = along(read[0], operation.rows, operation.columns, lambda window: window.sum(axis=2))
    return sums / operation.divisor


def max_pool(operation, read, node):
    return along(read[0], operation.rows, operation.columns, lambda window: window.max(axis=2))


def add(operation, read, node):
    assert len(read) >= 2
    assert all(value.shape == read[0].shape for value in read), node.name
    return sum(read[1:], read[0])


def concatenate(operation, read, node):
    return np.concatenate(read, axis=operation.axis + 1)


def rearrange(operation, read, node):
    flat = read[0].reshape(len(read[0]), -1)
    assert operation.indices.dtype == np.int64
    assert operation.indices.shape == node.shape, node.name
    assert operation.indices.min(initial=0) >= -1
    assert operation.indices.max(initial=0) < flat.shape[1]
    return np.where(operation.indices >= 0, flat[:, operation.indices], 0.0)


def relu(operation, read, node):
    value = np.maximum(read[0], 0.0)
    return value if operation.ceiling is None else np.minimum(value, operation.ceiling)


ROUNDINGS = {
    "floor": np.floor,
    "half-even": np.rint,
    "half-up": lambda value: np.floor(value + 0.5),
}


def quantised(operation, read, node):
    levels = ROUNDINGS[operation.rounding](read[0] / operation.unit + operation.shift)
    return operation.unit * np.clip(levels, operation.lowest, operation.largest)


def step(operation, read, node):
    (value,) = read
    return np.where(value > 0, operation.high, np.where(value < 0, operation.low, operation.at_zero))


def softmax(operation, read, node):
    flat = read[0].reshape(len(read[0]), -1)
    above = flat - flat.max(axis=1, keepdims=True)
    logarithm = above - np.log(np.exp(above).sum(axis=1, keepdims=True))
    return (logarithm if operation.logarithm else np.exp(logarithm)).reshape(read[0].shape)


RULES = {
    Convolution: convolution,
    Dense: dense,
    LinearMap: linear_map,
    Affine: affine,
    AveragePool: average_pool,
    MaxPool: max_pool,
    Add: add,
    Concatenate: concatenate,
    Rearrange: rearrange,
    ReLU: relu,
    Quantised: quantised,
    Step: step,
    Softmax: softmax,
}
