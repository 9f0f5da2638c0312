"""Layers for conversion, by hand or at random, with weights that are exact in quanta."""

from dataclasses import replace
from math import prod

import numpy as np
from scipy import sparse

from eventsnn.convert.graph.layers import Branch, Layer
from eventsnn.convert.graph.operations import (
    AveragePool,
    Convolution,
    Dense,
    Input,
    LinearMap,
    MaxPool,
    Quantised,
    Step,
    Windows,
)

ZERO = np.zeros((1, 1, 1))


def image(shape):
    return Layer("x", "x", "input", Input(), shape, (), ZERO)


def layer(name, operation, shape, *branches, bias=ZERO, origin="Conv2d"):
    return Layer(name, name, origin, operation, shape, branches, np.asarray(bias, dtype=np.float64))


def windows(length, size, stride, padding=0, step=1, ceil=False):
    """The windows of a pool, cut to what exists."""
    span = (size - 1) * step + 1
    free = length + 2 * padding - span
    count = (-(-free // stride) if ceil else free // stride) + 1
    first, end = [], []
    for k in range(count):
        places = [
            p for p in range(k * stride - padding, k * stride - padding + span, step) if 0 <= p < length
        ]
        if not places:
            continue
        first.append(places[0])
        end.append(places[-1] + 1)
    return Windows(tuple(first), tuple(end), step)


def random_layers(seed, samples=4):
    """A random network of every operation, exact in binary fractions, and images of whole values."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(4, 8)), int(rng.integers(4, 8)))
    layers = [image(shape)]
    for number in range(int(rng.integers(2, 6))):
        layers.append(_random_layer(rng, f"l{number}", layers))
    last = layers[-1]
    outputs = int(rng.integers(2, 5))
    dense = Dense(_weights(rng, (outputs, prod(last.shape))), np.zeros(outputs))
    order = rng.permutation(prod(last.shape)) if rng.random() < 0.5 else np.arange(prod(last.shape))
    bias = rng.integers(-4, 5, (outputs, 1, 1)) / 2
    head = Branch(last.name, dense, order.astype(np.int64))
    layers.append(layer("head", _activation(rng), (outputs, 1, 1), head, bias=bias, origin="Linear"))
    images = rng.integers(0, 5, (samples, *shape)).astype(np.float64)
    return _read(layers), images


def _read(layers):
    """The layers that the last one needs."""
    needed = {layers[0].name, layers[-1].name}
    for one in reversed(layers):
        if one.name in needed:
            needed |= {branch.source for branch in one.branches}
    return [one for one in layers if one.name in needed]


def _weights(rng, shape):
    return rng.integers(-4, 5, shape) / 4


def _activation(rng):
    unit = np.full((1, 1, 1), 2.0 ** rng.integers(-1, 2))
    low = int(rng.choice([0, 0, -3]))
    kinds = [
        Quantised(unit, low, int(rng.integers(1, 6)), 0.5),
        Quantised(unit, low, int(rng.integers(1, 6)), 0.25, "half-up"),
        Step(0.0, 1.0, float(rng.integers(0, 2))),
        Step(-1.0, 1.0, float(rng.integers(-1, 2))),
    ]
    return kinds[int(rng.integers(len(kinds)))]


def _random_layer(rng, name, layers):
    source = layers[int(rng.integers(max(0, len(layers) - 2), len(layers)))]
    channels, height, width = source.shape
    if rng.random() < 0.3 and min(height, width) > 1:
        rows, columns = (_pool_windows(rng, length) for length in (height, width))
        shape = (channels, len(rows.first), len(columns.first))
        return layer(name, MaxPool(rows, columns), shape, Branch(source.name, None), origin="MaxPool2d")
    first, shape = _random_branch(rng, source)
    branches = [first]
    if rng.random() < 0.5:  # an addition, of whatever comes
        other = layers[int(rng.integers(len(layers)))]
        branches.append(_anything(rng, other, shape))
    if rng.random() < 0.3:  # concatenated channels
        other = layers[int(rng.integers(len(layers)))]
        more = int(rng.integers(1, 3))
        branches.append(replace(_anything(rng, other, (more, *shape[1:])), first_channel=shape[0]))
        shape = (shape[0] + more, *shape[1:])
    bias = rng.integers(-4, 5, (shape[0], 1, 1) if rng.random() < 0.7 else shape) / 2
    return layer(name, _activation(rng), shape, *branches, bias=bias)


def _pool_windows(rng, length):
    size = int(rng.integers(1, min(4, length + 1)))
    return windows(length, size, int(rng.integers(1, 3)), int(rng.integers(0, size // 2 + 1)))


def _random_branch(rng, source):
    channels, width = source.shape[0], source.shape[2]
    indices, read = None, source.shape
    if rng.random() < 0.5:
        place = np.arange(prod(source.shape)).reshape(source.shape)
        padded = np.pad(place, ((0, 0), (1, 0), (0, 2)), constant_values=-1)
        cut = [padded, place[:, ::2, ::2], place[:, 1:, : width - 1], padded[:, 1:, ::2]]
        cut = [one for one in cut if one.size and (one >= 0).any()]
        indices = np.ascontiguousarray(cut[int(rng.integers(len(cut)))]).astype(np.int64)
        read = indices.shape
    kind = rng.integers(4)
    if kind == 0:
        rows, columns = (_pool_windows(rng, length) for length in read[1:])
        counted = (len(rows.first), len(columns.first))
        divisor = np.full(counted, 4.0) if rng.random() < 0.5 else 2.0 ** rng.integers(0, 3, counted)
        factor = 2.0 ** rng.integers(-1, 2, (channels, 1, 1)) if rng.random() < 0.5 else None
        return Branch(source.name, AveragePool(rows, columns, divisor), indices, factor), (channels, *counted)
    if kind == 1:
        factor = 2.0 ** rng.integers(-1, 2, read if rng.random() < 0.3 else (read[0], 1, 1))
        return Branch(source.name, None, indices, factor), read
    groups = channels if rng.random() < 0.3 else 1
    out = groups * int(rng.integers(1, 4))
    taps = [int(rng.integers(1, min(4, length) + 1)) for length in read[1:]]
    padding = tuple((int(rng.integers(0, 3)), int(rng.integers(0, 3))) for _ in taps)
    stride = tuple(int(rng.integers(1, 4)) for _ in taps)
    dilation = tuple(
        int(rng.integers(1, 3)) if (t - 1) * 2 < n else 1 for t, n in zip(taps, read[1:], strict=True)
    )
    weight = _weights(rng, (out, channels // groups, *taps))
    shape = tuple(
        (n + sum(p) - (t - 1) * d - 1) // s + 1
        for n, p, t, d, s in zip(read[1:], padding, taps, dilation, stride, strict=True)
    )
    conv = Convolution(weight, ZERO, stride, padding, dilation, groups)
    return Branch(source.name, conv, indices), (out, *shape)


def _anything(rng, source, shape):
    """A branch from a layer of any shape to one of any other: a matrix, or values picked at will."""
    if rng.random() < 0.5:
        dense = rng.integers(-4, 5, (prod(shape), prod(source.shape))) / 4
        dense[rng.random(dense.shape) < 0.7] = 0
        return Branch(source.name, LinearMap(sparse.csr_array(dense), ZERO))
    return Branch(source.name, None, rng.integers(-1, prod(source.shape), shape))
