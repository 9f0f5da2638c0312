"""Conversion graphs: node by node, and random ones with every operation at every place."""

import math

import numpy as np
from scipy import sparse

from eventsnn.convert.graph.graph import Graph, Node
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
    Windows,
)


def places(shape):
    return np.arange(math.prod(shape)).reshape(shape)


def channels_last(shape):
    """Places that show a value (channels, y, x) as (y, x, channels)."""
    return places(shape).transpose(1, 2, 0)


def channels_first(shape):
    """Places that show a value (y, x, channels) as (channels, y, x)."""
    return places(shape).transpose(2, 0, 1)


def padded(shape, border):
    """Places with a border of zeros: ((before, after) along y, along x)."""
    return np.pad(places(shape), ((0, 0), *border), constant_values=-1)


def pool_windows(length, taps, stride=1, before=0, after=0, dilation=1):
    """A pool's windows along an axis, as frameworks place them; None where one reads nothing."""
    cells = (length + before + after - (taps - 1) * dilation - 1) // stride + 1
    first, end = [], []
    for cell in range(cells):
        read = [cell * stride - before + tap * dilation for tap in range(taps)]
        read = [place for place in read if 0 <= place < length]
        if not read:
            return None
        first.append(read[0])
        end.append(read[-1] + 1)
    return Windows(tuple(first), tuple(end), dilation) if cells > 0 else None


def read_by(windows):
    """How many inputs each window reads."""
    ends = zip(windows.first, windows.end, strict=True)
    return [len(range(first, end, windows.step)) for first, end in ends]


class GraphBuilder:
    """Adds nodes one by one; names count up: conv1, relu2, ..."""

    def __init__(self, shape, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes = [Node("input", Input(), (), tuple(shape), "input")]

    def graph(self, output=None):
        return Graph(self.nodes, output or self.nodes[-1].name)

    def shape(self, name):
        return next(node.shape for node in self.nodes if node.name == name)

    def add_node(self, word, operation, inputs, shape, name=None):
        name = name or f"{word}{len(self.nodes)}"
        self.nodes.append(Node(name, operation, tuple(inputs), tuple(shape), word))
        return name

    # -- linear ----------------------------------------------------------------------------------

    def conv(self, read, out, kernel=3, stride=1, padding=0, dilation=1, groups=1, bias=True, name=None):
        channels, *size = self.shape(read)
        kernel, stride, dilation = (v if isinstance(v, tuple) else (v, v) for v in (kernel, stride, dilation))
        if not isinstance(padding, tuple):
            padding = ((padding, padding), (padding, padding))
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        free = [n + sum(p) - r for n, p, r in zip(size, padding, reach, strict=True)]
        if min(free) < 0:
            return None
        shape = (out, *(f // s + 1 for f, s in zip(free, stride, strict=True)))
        weight = self.rng.normal(size=(out, channels // groups, *kernel)) / math.sqrt(
            math.prod(kernel) * channels / groups
        )
        biases = np.zeros((out, 1, 1))
        if bias:
            biases = self.rng.normal(size=shape if bias == "all" else (out, 1, 1))
        operation = Convolution(weight, biases, stride, padding, dilation, groups)
        return self.add_node("conv", operation, [read], shape, name)

    def dense(self, read, out, name=None):
        (features,) = self.shape(read)
        weight = self.rng.normal(size=(out, features)) / math.sqrt(features)
        return self.add_node("dense", Dense(weight, self.rng.normal(size=out)), [read], (out,), name)

    def linear_map(self, read, shape):
        size = (math.prod(shape), math.prod(self.shape(read)))
        matrix = self.rng.normal(size=size) * (self.rng.random(size) < 0.2)
        bias = self.rng.normal(size=shape)
        return self.add_node("map", LinearMap(sparse.csr_array(matrix), bias), [read], shape)

    # -- pools -----------------------------------------------------------------------------------

    def pool_windows(self, read, taps, stride, padding=0, dilation=1, after=None):
        _, height, width = self.shape(read)
        after = padding if after is None else after
        return [pool_windows(n, taps, stride, padding, after, dilation) for n in (height, width)]

    def max_pool(self, read, taps=2, stride=2, padding=0, dilation=1, after=None, name=None):
        rows, columns = self.pool_windows(read, taps, stride, padding, dilation, after)
        if rows is None or columns is None:
            return None
        shape = (self.shape(read)[0], len(rows.first), len(columns.first))
        return self.add_node("max", MaxPool(rows, columns), [read], shape, name)

    def average_pool(
        self, read, taps=2, stride=2, padding=0, dilation=1, after=None, counted=True, name=None
    ):
        rows, columns = self.pool_windows(read, taps, stride, padding, dilation, after)
        if rows is None or columns is None:
            return None
        shape = (self.shape(read)[0], len(rows.first), len(columns.first))
        divisor = np.full(shape[1:], float(taps * taps))
        if not counted:
            divisor = np.outer(read_by(rows), read_by(columns)).astype(float)
        return self.add_node("mean", AveragePool(rows, columns, divisor), [read], shape, name)

    def global_average(self, read, name=None):
        channels, height, width = self.shape(read)
        operation = AveragePool(
            Windows((0,), (height,)), Windows((0,), (width,)), np.full((1, 1), float(height * width))
        )
        return self.add_node("mean", operation, [read], (channels, 1, 1), name)

    # -- the rest --------------------------------------------------------------------------------

    def relu(self, read, ceiling=None, name=None):
        return self.add_node("relu", ReLU(ceiling), [read], self.shape(read), name)

    def quantised(self, read, each="one"):
        unit = self.rng.uniform(0.1, 0.4, size=self.drawn(read, each))
        rounding = self.rng.choice(["floor", "half-even", "half-up"])
        shift = self.rng.uniform(0.1, 0.3)  # no value that occurs by itself, as 0 does, is on an edge
        operation = Quantised(np.asarray(unit), -1, 7, shift, str(rounding))
        return self.add_node("quantised", operation, [read], self.shape(read))

    def step(self, read, values=(-1.0, 1.0, 0.0)):
        return self.add_node("step", Step(*values), [read], self.shape(read))

    def softmax(self, read, logarithm=False):
        return self.add_node("softmax", Softmax(logarithm), [read], self.shape(read))

    def drawn(self, read, each):
        """Shape of parameters that differ between these."""
        shape = self.shape(read)
        channel = (shape[0], *[1] * (len(shape) - 1))
        return {"channel": channel, "last": shape[-1:], "all": shape, "one": ()}[each]

    def affine(self, read, each="channel", signs=False, name=None):
        shape, drawn = self.shape(read), self.drawn(read, each)
        factor = self.rng.uniform(0.5, 1.5, size=drawn)
        if signs:
            factor = factor * self.rng.choice([-1.0, 1.0], size=drawn)
        shift = self.rng.normal(size=drawn)
        operation = Affine(np.asarray(factor), np.asarray(shift))
        return self.add_node("norm", operation, [read], shape, name)

    def add(self, *read, name=None):
        return self.add_node("add", Add(), read, self.shape(read[0]), name)

    def concatenate(self, *read, axis=0, name=None):
        shape = list(self.shape(read[0]))
        shape[axis] = sum(self.shape(name)[axis] for name in read)
        return self.add_node("cat", Concatenate(axis), read, shape, name)

    def rearrange(self, read, indices, word="move", name=None):
        indices = np.ascontiguousarray(indices, dtype=np.int64)
        return self.add_node(word, Rearrange(indices), [read], indices.shape, name)

    def flatten(self, read, name=None):
        return self.rearrange(read, places(self.shape(read)).reshape(-1), "flatten", name)

    def to_last(self, read):
        return self.rearrange(read, channels_last(self.shape(read)), "transpose")

    def to_first(self, read):
        return self.rearrange(read, channels_first(self.shape(read)), "transpose")

    def pad(self, read, border):
        return self.rearrange(read, padded(self.shape(read), border), "pad")


class RandomGraph(GraphBuilder):
    """Draws nodes; few values are left unused."""

    def __init__(self, seed, length=12, calm=False):
        rng = np.random.default_rng(seed)
        first = (int(rng.integers(1, 4)), int(rng.integers(5, 9)), int(rng.integers(5, 9)))
        self.last_channel = rng.random() < 0.25
        super().__init__((*first[1:], first[0]) if self.last_channel else first, seed)
        self.calm = calm
        value = "input"
        if self.last_channel:
            if rng.random() < 0.5:
                value = self.affine(value, "last")
            value = self.to_first(value)
        self.open = [value]
        while len(self.nodes) < length:
            self.draw()
        self.finish()

    def pick(self):
        """One of the last values."""
        return self.open[-1 - int(min(self.rng.geometric(0.6) - 1, len(self.open) - 1))]

    def draw(self):
        rule = self.rng.choice(list(RandomGraph.RULES), p=RandomGraph.CHANCES)
        found = getattr(self, rule)(self.pick())
        if found is not None:
            assert len(self.shape(found)) == 3
            self.open.append(found)

    def integer(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def maybe(self, chance):
        return self.rng.random() < chance

    def draw_conv(self, read):
        channels = self.shape(read)[0]
        groups = int(self.rng.choice([g for g in (1, 2, 3, channels) if channels % g == 0]))
        out = groups * self.integer(1, 2 if groups > 1 else 4)
        border = tuple((self.integer(0, 2), self.integer(0, 2)) for _ in range(2))
        return self.conv(
            read,
            out,
            (self.integer(1, 3), self.integer(1, 3)),
            (self.integer(1, 2), self.integer(1, 2)),
            border if self.maybe(0.5) else 0,
            self.integer(1, 2),
            groups,
            [False, True, True, "all"][self.integer(0, 3)],
        )

    def draw_padded_conv(self, read):
        return self.draw_conv(self.pad(read, ((1, 0), (self.integer(0, 1), 2))))

    def draw_average(self, read):
        if self.maybe(0.5):
            return self.average_pool(read)
        padding = self.integer(0, 1)
        taps, stride, dilation = self.integer(2, 3), self.integer(1, 2), self.integer(1, 2)
        return self.average_pool(
            read, taps, stride, padding, dilation, self.integer(0, 1), counted=self.maybe(0.5)
        )

    def draw_max(self, read):
        if self.maybe(0.5):
            return self.max_pool(read)
        taps, stride, dilation = self.integer(2, 3), self.integer(1, 2), self.integer(1, 2)
        return self.max_pool(read, taps, stride, self.integer(0, 1), dilation, self.integer(0, 1))

    def draw_relu(self, read):
        return self.relu(read, 1.5 if self.maybe(0.2) else None)

    def draw_other_activation(self, read):
        if self.maybe(0.7):
            return self.quantised(read, self.rng.choice(["one", "channel", "last", "all"]))
        return self.step(read, [(-1.0, 1.0, 0.0), (0.0, 1.0, 1.0), (2.0, -1.0, 0.0)][self.integer(0, 2)])

    def draw_norm(self, read):
        each = self.rng.choice(["channel", "channel", "all", "one"])
        return self.affine(read, each, signs=self.maybe(0.3))

    def draw_add(self, read):
        shape = self.shape(read)
        others = [name for name in self.open if self.shape(name) == shape]
        other = others[self.integer(0, len(others) - 1)]
        if self.maybe(0.3):
            other = self.conv(other, shape[0], 1)
        if self.maybe(0.3):  # some channels of another value, zeros for the rest
            cut = places(shape).copy()
            cut[self.integer(0, shape[0] - 1)] = -1
            other = self.rearrange(other, cut, "slice")
        return self.add(read, other, read) if self.maybe(0.1) else self.add(read, other)

    def draw_concatenate(self, read):
        others = [name for name in self.open if self.shape(name)[1:] == self.shape(read)[1:]]
        others = [name for name in others if self.shape(name)[0] <= 6]
        if self.shape(read)[0] > 6 or not others:
            return None
        other = others[self.integer(0, len(others) - 1)]
        if self.maybe(0.3):
            last = [self.to_last(read), self.to_last(other)]
            return self.to_first(self.concatenate(*last, axis=2))
        return self.concatenate(read, other)

    def draw_last(self, read):
        """Element by element with channels last."""
        value = self.to_last(read)
        if self.maybe(0.5):
            value = self.affine(value, "last")
        return self.to_first(self.relu(value))

    def draw_move(self, read):
        shape = self.shape(read)
        at = places(shape)
        moved = [
            lambda: self.rng.permutation(at),
            lambda: at[:, ::2, ::2],
            lambda: at[: max(1, shape[0] // 2)],
            lambda: np.repeat(at, 2, axis=1)[:, : shape[1] + 1],
            lambda: np.pad(at, ((1, 0), (0, 1), (0, 0)), constant_values=-1),
            lambda: at.transpose(0, 2, 1),
            lambda: self.rng.permutation(at.reshape(-1)).reshape(shape),
        ]
        return self.rearrange(read, moved[self.integer(0, len(moved) - 1)]())

    RULES: dict[str, float] = {  # noqa: RUF012
        "draw_conv": 6,
        "draw_padded_conv": 1,
        "draw_average": 3,
        "draw_max": 2,
        "draw_relu": 4,
        "draw_other_activation": 1,
        "draw_norm": 4,
        "draw_add": 3,
        "draw_concatenate": 2,
        "draw_last": 1,
        "draw_move": 1,
    }
    CHANCES = np.array(list(RULES.values())) / sum(RULES.values())

    def finish(self):
        value = self.open[-1]
        read = {name for node in self.nodes for name in node.inputs}
        ends = [value, *(name for name in self.open[:-1] if name not in read and self.maybe(0.8))]
        features = [self.flatten(self.global_average(name) if self.maybe(0.3) else name) for name in ends]
        value = features[0] if len(features) == 1 else self.concatenate(*features)
        if self.maybe(0.3):
            value = self.affine(value, "all")
        value = self.dense(value, 5)
        if self.maybe(0.3):
            value = self.dense(self.relu(value) if self.maybe(0.7) else value, 4)
        if self.maybe(0.2):
            value = self.relu(value)
        if self.maybe(0.3):
            value = self.softmax(value, self.maybe(0.5))


def random_graph(seed, length=12):
    return RandomGraph(seed, length).graph()


def random_batch(graph, samples=3, seed=0):
    return np.random.default_rng(seed).normal(size=(samples, *graph.nodes[graph.input].shape))
