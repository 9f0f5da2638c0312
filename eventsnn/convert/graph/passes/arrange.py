"""Rearrangements composed and moved out of the way: networks of any layout come out channels-first.

Every value of the graph is followed as a *view*: places in a value that is really stored. Rearrangements
only change the view. Element-wise operations, additions and concatenations work on what is stored where
the view is a permutation of it; whatever needs its own order (a convolution, a pool) gets one
rearrangement right before it, if any is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.graph import Graph, Node, Shape
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
    Spiking,
    Step,
)
from eventsnn.convert.graph.passes.padding import average_of_padded, convolution_of_padded
from eventsnn.convert.graph.passes.permuting import permuted, permuted_columns
from eventsnn.convert.graph.places import followed_by, in_order, inverse, is_in_order, is_permutation
from eventsnn.convert.graph.rewriting import Draft, fresh_name
from eventsnn.errors import UnsupportedLayer

Int64 = NDArray[np.int64]
ELEMENTWISE = (Affine, ReLU, Quantised, Step, Spiking, Softmax)


def arrange(graph: Graph) -> Graph:
    """Rearrangements only right before linear operations, pools, additions, concatenations, and the end.

    A value whose stored order changed says so in ``arrangement``; the input's does if the first layers
    read it in one other order (images with channels last). Zero padding becomes the convolution's own.
    Factors and shifts that are one a channel are stored as (channels, 1, 1).

    Raises
    ------
    UnsupportedLayer
        A value of another rank than 1 or 3 that is not only moved; names it.
    """
    arranged = _Arranging(graph, None).run()
    wanted = _wanted_of_input(arranged)
    if wanted is not None:
        arranged = _Arranging(graph, wanted).run()
    for node in arranged:
        if len(node.shape) not in (1, 3):
            raise UnsupportedLayer(
                f"{node.origin or type(node.operation).__name__} {node.name!r} has values of shape "
                f"{node.shape}; images (channels, y, x) and features convert. Reshape them to one of these"
            )
    return arranged


def _wanted_of_input(graph: Graph) -> Int64 | None:
    """The one other order in which everything reads the input, of the shape it is read in."""
    size, rank = math.prod(graph.nodes[graph.input].shape), len(graph.nodes[graph.input].shape)
    same_order = {graph.input}
    found: list[Int64] = []
    for node in graph:
        if not set(node.inputs) & same_order:
            continue
        if isinstance(node.operation, Rearrange):
            found.append(node.operation.indices)
        elif isinstance(node.operation, ELEMENTWISE):
            same_order.add(node.name)
        else:
            return None
    if not found or graph.output in same_order or not is_permutation(found[0], size):
        return None
    if any(other.shape != found[0].shape or not np.array_equal(other, found[0]) for other in found):
        return None
    useful = found[0].ndim == 3 or (found[0].ndim == 1 and rank not in (1, 3))
    return found[0] if useful else None


@dataclass(frozen=True, eq=False)
class _View:
    """A value as places (of its shape) in a stored node's; None: that very value."""

    base: str
    places: Int64 | None = None


class _Arranging:
    """Walks a graph and writes the arranged one."""

    def __init__(self, graph: Graph, wanted: Int64 | None) -> None:
        self.graph, self.wanted = graph, wanted
        self.stored: dict[str, Node] = {}
        self.views: dict[str, _View] = {}
        self.written: dict[tuple[str, Shape, bytes], str] = {}

    def run(self) -> Graph:
        for node in self.graph:
            self.views[node.name] = RULES[type(node.operation)](self, node)
        output = self.in_own_order(self.graph.output)
        draft = Draft(self.graph)
        draft.nodes, draft.output = self.stored, output
        return draft.finish()

    # -- views ---------------------------------------------------------------------------------------

    def shape(self, name: str) -> Shape:
        return self.stored[name].shape

    def seen(self, base: str, places: Int64) -> _View:
        """A view, said to be the value itself where it is."""
        plain = places.shape == self.shape(base) and is_in_order(places, places.size)
        return _View(base, None if plain else places)

    def places(self, name: str) -> Int64:
        view = self.views[name]
        return in_order(self.shape(view.base)) if view.places is None else view.places

    def is_permutation(self, name: str) -> bool:
        view = self.views[name]
        return view.places is None or is_permutation(view.places, math.prod(self.shape(view.base)))

    def put(self, node: Node) -> str:
        self.stored[node.name] = node
        return node.name

    def written_out(self, base: str, places: Int64, name: str) -> str:
        """A stored node with these places of another; ``name`` if that is free."""
        if places.shape == self.shape(base) and is_in_order(places, places.size):
            return base
        key = (base, places.shape, places.tobytes())
        if key not in self.written:
            taken = self.stored.keys() | self.graph.nodes.keys()
            own = self.graph.nodes.get(name)
            fits = own is not None and isinstance(own.operation, Rearrange)
            if not fits or name in self.stored or not np.array_equal(places, self.places(name)):
                name = fresh_name(taken, name, "arranged")
            origin = own.origin if own is not None else ""
            self.written[key] = self.put(Node(name, Rearrange(places), (base,), places.shape, origin))
        return self.written[key]

    def in_own_order(self, name: str) -> str:
        """A stored node with a value as the original has it."""
        view = self.views[name]
        return view.base if view.places is None else self.written_out(view.base, view.places, name)

    def as_permutation(self, name: str) -> _View:
        """A view that is a permutation, written out first where it repeats, drops or adds zeros."""
        if self.is_permutation(name):
            return self.views[name]
        places = self.places(name)
        stored = places if places.ndim in (1, 3) else places.reshape(-1)
        base = self.written_out(self.views[name].base, stored, name)
        return self.seen(base, in_order(places.shape))

    # -- rules ---------------------------------------------------------------------------------------

    def input(self, node: Node) -> _View:
        if self.wanted is None:
            return _View(self.put(node))
        before = node.arrangement
        order = self.wanted if before is None else before.reshape(-1)[self.wanted]
        self.put(replace(node, shape=self.wanted.shape, arrangement=order))
        return self.seen(node.name, inverse(self.wanted, node.shape))

    def rearrange(self, node: Node) -> _View:
        (name,) = node.inputs
        assert isinstance(node.operation, Rearrange)
        return self.seen(self.views[name].base, followed_by(self.views[name].places, node.operation.indices))

    def elementwise(self, node: Node) -> _View:
        view = self.as_permutation(node.inputs[0])
        shape = self.shape(view.base)
        if view.places is None:
            operation = permuted(node.operation, None, node.shape, shape)
            return _View(self.put(replace(node, operation=operation, inputs=(view.base,))))
        order = inverse(view.places, shape)
        operation = permuted(node.operation, order, node.shape, shape)
        self.put(self.reordered(node, operation, (view.base,), order))
        return _View(node.name, view.places)

    def reordered(self, node: Node, operation, inputs: tuple[str, ...], order: Int64) -> Node:  # type: ignore[no-untyped-def]
        """A node whose value is stored with ``order[j]`` of the original's in place j."""
        order = order if node.arrangement is None else node.arrangement.reshape(-1)[order]
        return Node(node.name, operation, inputs, order.shape, node.origin, order)

    def add(self, node: Node) -> _View:
        views = [self.as_permutation(name) for name in node.inputs]
        orders: list[tuple[Shape, Int64 | None]] = [(self.shape(view.base), view.places) for view in views]
        votes = [sum(_same(order, other) for other in orders) for order in orders]
        shape, places = orders[int(np.argmax(votes))]
        inputs = []
        for name, view, order in zip(node.inputs, views, orders, strict=True):
            if _same(order, (shape, places)):
                inputs.append(view.base)
                continue
            own = in_order(order[0]) if view.places is None else view.places
            wanted = in_order(shape) if places is None else inverse(places, shape)
            inputs.append(self.written_out(view.base, own.reshape(-1)[wanted], name))
        if places is None:
            return _View(self.put(replace(node, inputs=tuple(inputs))))
        self.put(self.reordered(node, node.operation, tuple(inputs), inverse(places, shape)))
        return _View(node.name, places)

    def concatenate(self, node: Node) -> _View:
        assert isinstance(node.operation, Concatenate)
        views = [self.as_permutation(name) for name in node.inputs]
        shapes = [self.shape(view.base) for view in views]
        places = [
            in_order(shape) if v.places is None else v.places for v, shape in zip(views, shapes, strict=True)
        ]
        bases = [view.base for view in views]
        if len({(len(shape), shape[1:]) for shape in shapes}) > 1:  # images and features: all as features
            flat = [in_order((math.prod(shape),)) for shape in shapes]
            bases = [self.written_out(b, p, n) for b, p, n in zip(bases, flat, node.inputs, strict=True)]
            shapes = [p.shape for p in flat]
        begins = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
        behind = [p + begin for p, begin in zip(places, begins[:-1], strict=True)]
        whole = np.concatenate(behind, axis=node.operation.axis)
        shape = (sum(s[0] for s in shapes), *shapes[0][1:])
        if whole.shape == shape and is_in_order(whole, whole.size):
            return _View(self.put(replace(node, operation=Concatenate(0), inputs=tuple(bases))))
        self.put(self.reordered(node, Concatenate(0), tuple(bases), inverse(whole, shape)))
        return _View(node.name, whole)

    def window_sums(self, node: Node) -> _View:
        """Convolutions and averages, which take a border of zeros into their own padding."""
        (name,) = node.inputs
        view, operation = self.views[name], node.operation
        if view.places is None:
            return _View(self.put(replace(node, inputs=(view.base,))))
        if isinstance(operation, Convolution):
            operation, places = convolution_of_padded(operation, view.places)
        else:
            assert isinstance(operation, AveragePool)
            operation, places = average_of_padded(operation, view.places)
        base = self.written_out(view.base, places, name)
        return _View(self.put(replace(node, operation=operation, inputs=(base,))))

    def max_pool(self, node: Node) -> _View:
        return _View(self.put(replace(node, inputs=(self.in_own_order(node.inputs[0]),))))

    def on_features(self, node: Node) -> _View:
        """Dense and LinearMap: a permutation goes into their columns."""
        (name,) = node.inputs
        if not self.is_permutation(name):
            flat = self.written_out(self.views[name].base, self.places(name).reshape(-1), name)
            return _View(self.put(replace(node, inputs=(flat,))))
        view = self.views[name]
        operation = node.operation
        if view.places is not None and not is_in_order(view.places, view.places.size):
            operation = permuted_columns(operation, inverse(view.places, (view.places.size,)))
        base = view.base
        if isinstance(operation, Dense):
            base = self.written_out(base, in_order((math.prod(self.shape(base)),)), name)
        return _View(self.put(replace(node, operation=operation, inputs=(base,))))


def _same(order: tuple[Shape, Int64 | None], other: tuple[Shape, Int64 | None]) -> bool:
    """Whether two views store their values in the same order."""
    (shape, places), (shape_2, places_2) = order, other
    if shape != shape_2 or (places is None) != (places_2 is None):
        return False
    return places is None or places_2 is None or np.array_equal(places, places_2)


RULES: dict[type, Callable[[_Arranging, Node], _View]] = {
    Input: _Arranging.input,
    Rearrange: _Arranging.rearrange,
    Affine: _Arranging.elementwise,
    ReLU: _Arranging.elementwise,
    Quantised: _Arranging.elementwise,
    Step: _Arranging.elementwise,
    Spiking: _Arranging.elementwise,
    Softmax: _Arranging.elementwise,
    Add: _Arranging.add,
    Concatenate: _Arranging.concatenate,
    Convolution: _Arranging.window_sums,
    AveragePool: _Arranging.window_sums,
    MaxPool: _Arranging.max_pool,
    Dense: _Arranging.on_features,
    LinearMap: _Arranging.on_features,
}
