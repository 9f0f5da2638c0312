"""The values of layers (``eventsnn.convert.graph.layers``) by the words of their definition, loop by loop."""

import numpy as np

from eventsnn.convert.graph.operations import (
    AveragePool,
    Convolution,
    Dense,
    Input,
    LinearMap,
    MaxPool,
    Quantised,
    ReLU,
    Step,
)


def convolution(linear, value):
    padded = np.pad(value, ((0, 0), (0, 0), *linear.padding))
    out, inside, taps_y, taps_x = linear.weight.shape
    (stride_y, stride_x), (step_y, step_x) = linear.stride, linear.dilation
    rows = (padded.shape[2] - (taps_y - 1) * step_y - 1) // stride_y + 1
    columns = (padded.shape[3] - (taps_x - 1) * step_x - 1) // stride_x + 1
    found = np.zeros((len(value), out, rows, columns))
    for o in range(out):
        group = o // (out // linear.groups)
        for y in range(rows):
            for x in range(columns):
                ys = y * stride_y + np.arange(taps_y) * step_y
                xs = x * stride_x + np.arange(taps_x) * step_x
                seen = padded[:, group * inside : (group + 1) * inside][:, :, ys][:, :, :, xs]
                found[:, o, y, x] = (seen * linear.weight[o]).sum(axis=(1, 2, 3))
    return found


def windowed(operation, value, reduce):
    rows, columns = operation.rows, operation.columns
    found = np.zeros((*value.shape[:2], len(rows.first), len(columns.first)))
    for y in range(len(rows.first)):
        for x in range(len(columns.first)):
            window = value[
                :,
                :,
                rows.first[y] : rows.end[y] : rows.step,
                columns.first[x] : columns.end[x] : columns.step,
            ]
            found[:, :, y, x] = reduce(window.reshape(*value.shape[:2], -1))
    return found


LINEAR = {
    Convolution: convolution,
    Dense: lambda linear, value: value.reshape(len(value), -1) @ linear.weight.T,
    AveragePool: lambda linear, value: windowed(linear, value, lambda w: w.sum(axis=2)) / linear.divisor,
    LinearMap: lambda linear, value: value.reshape(len(value), -1) @ linear.matrix.toarray().T,
    type(None): lambda linear, value: value,
}


def quantised(operation, value):
    level = value / operation.unit + operation.shift
    level = {
        "floor": np.floor(level),
        "half-up": np.floor(level + 0.5),
        "half-even": np.rint(level),
    }[operation.rounding]
    return operation.unit * np.clip(level, operation.lowest, operation.largest)


def step(operation, value):
    return np.where(value > 0, operation.high, np.where(value == 0, operation.at_zero, operation.low))


def relu(operation, value):
    return np.clip(value, 0, np.inf if operation.ceiling is None else operation.ceiling)


ACTIVATION = {ReLU: relu, Quantised: quantised, Step: step, type(None): lambda operation, value: value}


def rearranged(branch, value):
    if branch.indices is None:
        return value
    flat = np.concatenate([value.reshape(len(value), -1), np.zeros((len(value), 1))], axis=1)
    return flat[:, branch.indices]


def before_activation(layer, values):
    """The sum of a layer's branches and its bias, (samples, channels, y, x)."""
    samples = len(next(iter(values.values())))
    total = np.zeros((samples, *layer.shape)) + layer.bias
    for branch in layer.branches:
        found = LINEAR[type(branch.linear)](branch.linear, rearranged(branch, values[branch.source]))
        found = found.reshape(samples, -1, *layer.shape[1:])
        if branch.factor is not None:
            found = found * branch.factor
        total[:, branch.first_channel : branch.first_channel + found.shape[1]] += found
    return total


def layer_values(layers, images):
    """Every layer's value by name, float64 (samples, channels, y, x)."""
    values = {}
    for layer in layers:
        if isinstance(layer.operation, Input):
            values[layer.name] = np.asarray(images, dtype=np.float64).reshape(-1, *layer.shape)
        elif isinstance(layer.operation, MaxPool):
            joined = np.concatenate([rearranged(b, values[b.source]) for b in layer.branches], axis=1)
            values[layer.name] = windowed(layer.operation, joined, lambda w: w.max(axis=2))
        else:
            values[layer.name] = ACTIVATION[type(layer.operation)](
                layer.operation, before_activation(layer, values)
            )
    return values


def evaluate(layers):
    """The function of an ``Original`` whose graph these layers are."""

    def found(images, names):
        values = layer_values(layers, images)
        return {name: values[name] for name in names}

    return found
