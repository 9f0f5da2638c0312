"""Random NIR graphs whose numbers are exact in binary, so that integers and floats agree."""

import nir
import numpy as np

STEP = 1e-3


def binary(rng, *shape, size=32, parts=16):
    """Whole multiples of 1 / parts."""
    return rng.integers(-size, size + 1, shape) / parts


def few(rng, *shape):
    """Powers of two."""
    return 2.0 ** rng.integers(-1, 3, shape)


def lengths(length, taps, stride, before, after, dilation=1):
    return (length + before + after - (taps - 1) * dilation - 1) // stride + 1


class Builder:
    """A chain of nodes with branches and loops; ``nodes`` and ``edges`` as ``nir.NIRGraph`` takes them."""

    def __init__(self, rng, shape, leaky=False, alike=False, resets=False):
        self.rng, self.leaky, self.alike, self.resets = rng, leaky, alike, resets
        self.nodes = {"input": nir.Input(np.array(shape))}
        self.edges = []
        self.last, self.shape = "input", tuple(shape)

    def add(self, node, shape, after=None):
        name = f"n{len(self.nodes)}"
        self.nodes[name] = node
        self.edges.append((after or self.last, name))
        self.last, self.shape = name, tuple(int(n) for n in shape)
        return name

    def conv2d(self):
        rng, (channels, height, width) = self.rng, self.shape
        groups = int(rng.choice([1, channels]))
        out = groups * int(rng.integers(1, 3))
        kernel = rng.integers(1, 4, 2)
        same = rng.random() < 0.3
        stride = np.ones(2, int) if same else rng.integers(1, 3, 2)
        padding = rng.integers(0, 2, 2)
        dilation = rng.integers(1, 3, 2)
        sides = []
        for n, k, s, p, d in zip((height, width), kernel, stride, padding, dilation, strict=True):
            sides.append(n if same else lengths(n, k, s, p, p, d))
        if min(sides) < 1:
            return
        weight = binary(rng, out, channels // groups, *kernel)
        bias = binary(rng, out) if rng.random() < 0.4 else np.zeros(out)
        given = "same" if same else tuple(int(p) for p in padding)
        node = nir.Conv2d(
            (height, width), weight, tuple(map(int, stride)), given, tuple(map(int, dilation)), groups, bias
        )
        self.add(node, (out, *sides))

    def conv1d(self):
        rng, (channels, length) = self.rng, self.shape
        out, taps, stride, padding = (int(v) for v in rng.integers(1, 4, 4))
        after = lengths(length, taps, stride, padding, padding)
        if after < 1:
            return
        bias = binary(rng, out)
        self.add(
            nir.Conv1d(length, binary(rng, out, channels, taps), stride, padding, 1, 1, bias), (out, after)
        )

    def pool(self):
        rng, (channels, height, width) = self.rng, self.shape
        kernel = 2 ** rng.integers(0, 2, 2)
        stride = kernel if rng.random() < 0.6 else rng.integers(1, 3, 2)
        padding = rng.integers(0, 2, 2) * (rng.random() < 0.3)
        sides = [
            lengths(n, k, s, p, p)
            for n, k, s, p in zip((height, width), kernel, stride, padding, strict=True)
        ]
        if min(sides) >= 1:
            kind = nir.SumPool2d if rng.random() < 0.5 else nir.AvgPool2d
            self.add(kind(kernel, np.array(stride), padding), (channels, *sides))

    def dense(self):
        rng = self.rng
        if len(self.shape) > 1:
            self.flatten()
        out, size = int(rng.integers(1, 6)), self.shape[0]
        weight = binary(rng, out, size)
        node = nir.Linear(weight) if rng.random() < 0.5 else nir.Affine(weight, binary(rng, out))
        self.add(node, (out,))

    def flatten(self):
        end = -1 if self.rng.random() < 0.5 else len(self.shape) - 1
        self.add(nir.Flatten({"input": np.array(self.shape)}, 0, end), (int(np.prod(self.shape)),))

    def scale(self):
        uniform = len(self.shape) > 1 and self.rng.random() < 0.5
        values = (
            few(self.rng, self.shape[0], *[1] * (len(self.shape) - 1))
            if uniform
            else few(self.rng, *self.shape)
        )
        self.add(nir.Scale(np.broadcast_to(values, self.shape).copy()), self.shape)

    def delay(self):
        self.add(nir.Delay(np.full(self.shape, STEP * int(self.rng.integers(1, 4)))), self.shape)

    def linear(self):
        """One operation that fits the shape."""
        choices = [self.scale, self.dense]
        if len(self.shape) == 3:
            choices += [self.conv2d, self.conv2d, self.pool]
        if len(self.shape) == 2:
            choices += [self.conv1d, self.conv1d]
        choices[int(self.rng.integers(len(choices)))]()

    def neurons(self):
        """Neurons of their own shape; half of them with one threshold a channel."""
        rng = self.rng
        channels = [self.shape[0], *[1] * (len(self.shape) - 1)]
        theta = few(rng, *(channels if rng.random() < 0.7 else self.shape))
        theta = theta.flat[0] if self.alike else theta
        theta = np.broadcast_to(theta, self.shape).copy()
        one = np.ones(self.shape)
        # The two lie a power of two apart, so that charges stay exact.
        reset = theta - few(rng, *([] if self.alike else channels)) * one if self.resets else 0 * one
        kind = rng.choice(["IF", "IF", "IF", "Threshold"])
        if self.leaky and kind == "IF":
            tau = STEP * float(rng.integers(1, 9))
            node = nir.LIF(one * tau, few(rng, *channels) * one, self.rest(one), theta, reset)
            if rng.random() < 0.5 and not self.resets:
                taus = [one * STEP * float(rng.integers(1, 9)) for _ in range(2)]
                node = nir.CubaLIF(*taus, node.r, node.v_leak, theta, reset, few(rng, *channels) * one)
        elif kind == "Threshold":
            node = nir.Threshold(theta)
        else:
            node = nir.IF(few(rng, *channels) * one, theta, reset)
        name = self.add(node, self.shape)
        if len(self.shape) == 1 and rng.random() < 0.3:
            self.loop(name)
        return name

    def rest(self, one):
        """``v_leak``: 0, or another for each channel."""
        channels = [self.shape[0], *[1] * (len(self.shape) - 1)]
        return binary(self.rng, *channels, size=8) * one if self.resets else 0 * one

    def loop(self, name):
        """Back onto itself, after a Delay or without."""
        size, shape = self.shape[0], self.shape
        start = name
        if self.rng.random() < 0.5:
            self.delay()
            start = self.last
        back = self.add(nir.Linear(binary(self.rng, size, size)), shape, after=start)
        self.edges.append((back, name))
        self.last = name

    def branch(self, source, shape):
        """A second way to where the chain is, if it is a row."""
        if len(self.shape) == 1 and len(shape) == 1:
            self.nodes[f"side{len(self.nodes)}"] = nir.Linear(binary(self.rng, self.shape[0], shape[0]))
            side = list(self.nodes)[-1]
            self.edges += [(source, side)]
            return side
        return None

    def graph(self):
        self.nodes["output"] = nir.Output(np.array(self.shape))
        self.edges.append((self.last, "output"))
        return nir.NIRGraph(self.nodes, self.edges, type_check=False)


def inside(graph):
    """The same graph, all of it inside a sub-graph."""
    outer = {
        "input": nir.Input(graph.nodes["input"].input_type["input"]),
        "all": graph,
        "output": nir.Output(graph.nodes["output"].output_type["output"]),
    }
    return nir.NIRGraph(outer, [("input", "all"), ("all", "output")], type_check=False)


def random_graph(rng, leaky=False, alike=False, resets=False):
    """One to three layers, some with a delay, a loop, a second branch, inside a sub-graph, a readout behind.

    ``alike``: all neurons of a layer have one threshold, as a lower clamp needs; ``resets``: a ``v_reset``
    and a ``v_leak`` that are not 0, as the hard reset allows.
    """
    shape = [(2, 5, 4), (1, 4, 4), (3, 6), (4,)][int(rng.integers(4))]
    made = Builder(rng, shape, leaky, alike, resets)
    for _ in range(int(rng.integers(1, 4))):
        source, before = made.last, made.shape
        if rng.random() < 0.2:
            made.delay()
        for _ in range(int(rng.integers(1, 4))):
            made.linear()
        side = made.branch(source, before) if rng.random() < 0.4 else None
        name = made.neurons()
        if side is not None:
            made.edges.append((side, name))
    if rng.random() < 0.3:
        made.dense()
        if rng.random() < 0.5:
            one = np.ones(made.shape)
            tau = STEP * float(rng.integers(1, 9))
            made.add(nir.LI(one * tau, one, 0 * one) if made.leaky else nir.I(2 * one), made.shape)
    found = made.graph()
    return inside(found) if rng.random() < 0.3 else found
