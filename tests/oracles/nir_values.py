"""A NIR graph stepped by the equations of its nodes, in NumPy: the oracle of everything read from NIR.

One node after the other, in NIR's own shapes, float64; nothing of the package. Sub-graphs are stepped inside
their node. A Delay gives what came in some steps before, 0 in the first ones; what a node reaches by going
round without one comes one step later.
"""

import numpy as np


def pair(value):
    array = np.atleast_1d(np.asarray(value)).reshape(-1)
    return tuple(int(v) for v in (array if len(array) == 2 else np.repeat(array, 2)))


def windows(x, kernel, stride, padding, dilation=(1, 1)):
    """(channels, out y, out x, kernel y, kernel x), zeros where there is nothing."""
    padded = np.pad(x, ((0, 0), padding[0], padding[1]))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    lengths = [(n - s) // t + 1 for n, s, t in zip(padded.shape[1:], spans, stride, strict=True)]
    found = np.zeros((x.shape[0], *lengths, *kernel))
    for i in range(lengths[0]):
        for j in range(lengths[1]):
            y, z = i * stride[0], j * stride[1]
            found[:, i, j] = padded[:, y : y + spans[0] : dilation[0], z : z + spans[1] : dilation[1]]
    return found


def conv2d(node, x):
    out, inside = node.weight.shape[:2]
    groups = int(np.asarray(node.groups).reshape(-1)[0])
    kernel, stride, dilation = node.weight.shape[2:], pair(node.stride), pair(node.dilation)
    if isinstance(node.padding, str) and node.padding == "same":
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        padding = [(s // 2, s - s // 2) for s in spans]
    elif isinstance(node.padding, str):
        padding = [(0, 0), (0, 0)]
    else:
        padding = [(p, p) for p in pair(node.padding)]
    rows = []
    for o in range(out):
        first = o // (out // groups) * inside
        seen = windows(x[first : first + inside], kernel, stride, padding, dilation)
        rows.append((seen * node.weight[o][:, None, None]).sum(axis=(0, 3, 4)))
    bias = np.broadcast_to(np.asarray(node.bias).reshape(-1), (out,))
    return np.array(rows) + bias[:, None, None]


class Row:
    """A Conv1d as a Conv2d of one row."""

    def __init__(self, node):
        def of_row(value, across):
            if isinstance(value, str):
                return value
            return (across, int(np.asarray(value).reshape(-1)[0]))

        self.weight, self.bias, self.groups = node.weight[:, :, None], node.bias, node.groups
        self.stride, self.dilation = of_row(node.stride, 1), of_row(node.dilation, 1)
        self.padding = of_row(node.padding, 0)


def pool(node, x, average):
    kernel = pair(node.kernel_size)
    padding = [(p, p) for p in pair(node.padding)]
    found = windows(x, kernel, pair(node.stride), padding).sum(axis=(3, 4))
    return found / np.prod(kernel) if average else found


def flatten(node, x):
    start = int(node.start_dim) % x.ndim
    end = int(node.end_dim) % x.ndim
    return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])


LINEAR = {
    "Affine": lambda node, x: node.weight @ x + node.bias,
    "Linear": lambda node, x: node.weight @ x,
    "Scale": lambda node, x: node.scale * x,
    "Conv2d": conv2d,
    "Conv1d": lambda node, x: conv2d(Row(node), x[:, None])[:, 0],
    "AvgPool2d": lambda node, x: pool(node, x, True),
    "SumPool2d": lambda node, x: pool(node, x, False),
    "Flatten": flatten,
}


class Stepped:
    """A graph, its state between steps.

    Parameters
    ----------
    graph : nir.NIRGraph
    reset, comparison, spikes, lower_clamp, integration, step_us
        As of ``from_nir``; all said.
    """

    def __init__(self, graph, **choices):
        self.graph, self.choices = graph, choices
        self.nodes = dict(graph.nodes)
        self.voltage, self.current, self.last = {}, {}, {}
        self.inner = {n: Stepped(g, **choices) for n, g in self.nodes.items() if hasattr(g, "nodes")}
        self.line = {
            name: self._line(name, node) for name, node in self.nodes.items() if hasattr(node, "delay")
        }
        self.order = self._order()

    def _line(self, name, node):
        """What has come in, of as many steps back as the longest delay."""
        return [np.zeros(np.shape(node.delay))] * self._late(node).max()

    def _late(self, node):
        """Steps, of each value."""
        return np.rint(np.asarray(node.delay) * 1e6 / self.choices["step_us"]).astype(int)

    def _order(self):
        """Nodes so that each comes after what it needs in the same step; who is left goes round.

        A node that fires may come before what leads back to it.
        """
        left, order = [name for name in self.nodes if name not in self.line], []
        while left:
            ready = [n for n in left if not self._waits_for(n, left)]
            if not ready:
                firing = [
                    n for n in left if type(self.nodes[n]).__name__ in ("IF", "LIF", "CubaLIF", "Threshold")
                ]
                # What it still waits for comes from itself.
                own = [n for n in firing if self._waits_for(n, left) <= self._behind(n)]
                ready = own[:1]
            order += ready
            left = [n for n in left if n not in ready]
        return order

    def _waits_for(self, name, left):
        return {s for s, t in self.graph.edges if t == name} & set(left)

    def _behind(self, name):
        found, waiting = set(), [name]
        while waiting:
            last = waiting.pop()
            new = {t for s, t in self.graph.edges if s == last and t not in self.line} - found
            found |= new
            waiting += new
        return found

    def step(self, x):
        """What comes out of the Output; ``self.now`` holds every node's value."""
        self.now = {name: self._delayed(name, line) for name, line in self.line.items()}
        for name in self.order:
            node = self.nodes[name]
            kind = type(node).__name__
            if kind == "Input":
                self.now[name] = x
                continue
            self.now[name] = self._value(name, kind, node, self._arriving(name))
        for name, line in self.line.items():
            line.append(self._arriving(name))
            del line[0]
        self.last = self.now
        return self.now[next(n for n in self.nodes if type(self.nodes[n]).__name__ == "Output")]

    def _delayed(self, name, line):
        """What came in as many steps before as each value is late."""
        late = self._late(self.nodes[name])
        if (late == late.max()).all():
            return line[0]
        return np.take_along_axis(np.stack(line), len(line) - late[None], axis=0)[0]

    def _arriving(self, name):
        arriving = 0.0
        for source, target in self.graph.edges:
            if target == name:
                arriving = arriving + self.now.get(source, self.last.get(source, 0.0))
        return np.asarray(arriving, dtype=np.float64)

    def _value(self, name, kind, node, x):
        if name in self.inner:
            return self.inner[name].step(x)
        if kind == "Output":
            return x
        if kind in LINEAR:
            return LINEAR[kind](node, x)
        return self._neurons(name, kind, node, x)

    def _left(self, tau):
        ratio = self.choices["step_us"] * 1e-6 / tau
        return np.exp(-ratio) if self.choices["integration"] == "exponential" else 1 - ratio

    def _neurons(self, name, kind, node, x):
        above = np.greater if self.choices["comparison"] == "greater" else np.greater_equal
        if kind == "Threshold":
            return above(x, node.threshold).astype(np.float64)
        v = self.voltage.get(name, np.zeros_like(x))
        if kind in ("IF", "I"):
            v = v + node.r * x
        else:
            if kind.startswith("Cuba"):
                left = self._left(node.tau_syn)
                current = self.current.get(name, np.zeros_like(x))
                x = self.current[name] = left * current + (1 - left) * node.w_in * x
            left = self._left(node.tau_mem if kind.startswith("Cuba") else node.tau)
            v = left * v + (1 - left) * (node.v_leak + node.r * x)
        if kind in ("I", "LI", "CubaLI"):
            self.voltage[name] = v
            return v
        theta = np.broadcast_to(node.v_threshold, v.shape)
        reset = np.broadcast_to(0.0 if node.v_reset is None else node.v_reset, v.shape)
        spikes = above(v, theta).astype(np.float64)
        if self.choices["reset"] == "hard":
            v = np.where(spikes > 0, reset, v)
        else:
            if self.choices["spikes"] == "many":
                whole = np.ceil(v / theta) - 1 if above is np.greater else np.floor(v / theta)
                spikes = spikes * whole
            v = v - spikes * theta
        if self.choices["lower_clamp"] is not None:
            v = np.maximum(v, self.choices["lower_clamp"])
        self.voltage[name] = v
        return spikes


def named(stepped, prefix=""):
    """Values of this step by the names that the network gives them."""
    found = {f"{prefix}{name}": value for name, value in stepped.now.items()}
    for name, inner in stepped.inner.items():
        found |= named(inner, f"{prefix}{name}.")
    return found


def channels_last(value):
    """A value in the order of a population's neurons."""
    value = np.asarray(value)
    return (np.moveaxis(value, 0, -1) if value.ndim > 1 else value).reshape(-1)
