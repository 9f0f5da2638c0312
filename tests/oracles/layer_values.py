"""Every value of a tuple of layers by the words of ``eventsnn/convert/graph/layers.py``.

Knows neither passes nor layering; linear operations are those of the oracle for graphs.
"""

import numpy as np

from eventsnn.convert.graph.graph import Node
from eventsnn.convert.graph.operations import (
    AveragePool,
    Convolution,
    Dense,
    Input,
    MaxPool,
)
from tests.oracles.graph_values import RULES


def layer_values(layers, batch):
    """The value of every layer, float64 (samples, channels, y, x).

    ``batch`` as the original reads it: (samples, *input shape).
    """
    values = {}
    for layer in layers:
        if isinstance(layer.operation, Input):
            order = layer.arrangement
            flat = np.asarray(batch, dtype=np.float64).reshape(len(batch), -1)
            values[layer.name] = flat.reshape(-1, *layer.shape) if order is None else flat[:, order]
            continue
        bias = np.asarray(layer.bias)
        if isinstance(layer.operation, MaxPool):
            assert not bias.any()
            read = side_by_side(layer, values)
        else:
            read = np.zeros((len(batch), *layer.shape)) + bias
            for branch in layer.branches:
                given = output(branch, values, layer.shape)
                read[:, branch.first_channel : branch.first_channel + given.shape[1]] += given
        value = read
        if layer.operation is not None:
            place = Node(layer.name, layer.operation, (), layer.shape)
            value = RULES[type(layer.operation)](layer.operation, [read], place)
        assert value.shape == (len(batch), *layer.shape), layer.name
        values[layer.name] = value
    return values


def seen(branch, values):
    """What the linear operation of a branch reads."""
    value = values[branch.source]
    if branch.indices is None:
        return value
    assert branch.indices.ndim == 3
    flat = value.reshape(len(value), -1)
    return np.where(branch.indices >= 0, flat[:, branch.indices], 0.0)


def side_by_side(layer, values):
    """What a max-pool reads: each of its channels from one branch."""
    parts = []
    for branch in sorted(layer.branches, key=lambda branch: branch.first_channel):
        assert branch.linear is None
        assert branch.factor is None
        assert branch.first_channel == sum(part.shape[1] for part in parts)
        parts.append(seen(branch, values))
    return np.concatenate(parts, axis=1)


def output(branch, values, shape):
    """What a branch gives, (samples, channels, y, x)."""
    read, linear = seen(branch, values), branch.linear
    if linear is None:
        given = read
    else:
        if isinstance(linear, Convolution):
            channels = len(linear.weight)
        elif isinstance(linear, AveragePool):
            channels = read.shape[1]
        elif isinstance(linear, Dense):
            channels, read = len(linear.weight), read.reshape(len(read), -1)
        else:
            channels = linear.matrix.shape[0] // (shape[1] * shape[2])
        if not isinstance(linear, AveragePool):
            assert not linear.bias.any(), "biases are the layer's"
        own = (channels,) if isinstance(linear, Dense) else (channels, *shape[1:])
        given = RULES[type(linear)](linear, [read], Node("branch", linear, (), own))
        given = given.reshape(len(read), channels, *shape[1:])
    if branch.factor is not None:
        assert linear is None or isinstance(linear, AveragePool)
        given = branch.factor * given
    return given
