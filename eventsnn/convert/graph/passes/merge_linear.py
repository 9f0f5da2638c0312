"""Linear operations one after the other, with no activation between them, merged into one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np

from eventsnn.convert.graph.graph import Graph, Node
from eventsnn.convert.graph.linear.composition import composed
from eventsnn.convert.graph.linear.matrices import LIMIT, TooManyEntries
from eventsnn.convert.graph.linear.response import response
from eventsnn.convert.graph.linear.scaling import bias_of, rearranged, with_bias, without_bias
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap, Rearrange
from eventsnn.convert.graph.places import by_channel, in_axes_of, in_order, is_in_order, taken
from eventsnn.convert.graph.rewriting import Draft
from eventsnn.errors import UnsupportedLayer

AveragePools = Literal["folded", "population"]
LINEAR = (Convolution, Dense, AveragePool, LinearMap)


def merge_linear(graph: Graph, average_pools: AveragePools = "population") -> Graph:
    """Chains of linear operations as one each, under the name of the last.

    Parameters
    ----------
    graph : Graph
    average_pools : str
        ``"folded"``: averages merge into the linear operation behind them. ``"population"``: those of
        activations stay apart from what follows.

    Raises
    ------
    UnsupportedLayer
        What two amount to has too many weights to be stored; names both.
    """
    draft = Draft(graph)
    for name in graph.nodes:
        node = draft.nodes[name]
        if isinstance(node.operation, LINEAR):
            _merge(draft, node, average_pools)
    return draft.finish()


def _merge(draft: Draft, node: Node, average_pools: AveragePools) -> None:
    before, moved = draft.nodes[node.inputs[0]], None
    if isinstance(before.operation, Rearrange):
        before, moved = draft.nodes[before.inputs[0]], before
    first, second = before.operation, node.operation
    assert isinstance(second, LINEAR)
    if not isinstance(first, LINEAR) or (isinstance(first, AveragePool) and average_pools == "population"):
        return
    source, middle = draft.nodes[before.inputs[0]].shape, before.shape
    bias = np.broadcast_to(in_axes_of(bias_of(first), middle), middle)
    try:
        linear = without_bias(first, middle)
        if moved is not None:
            assert isinstance(moved.operation, Rearrange)
            indices = moved.operation.indices
            if not (is_in_order(indices, math.prod(middle)) and isinstance(second, Dense | LinearMap)):
                linear, middle = rearranged(linear, indices, source, middle), moved.shape
            bias = taken(bias, indices, 0.0)
        merged = composed(second, linear, source, middle, node.shape)
    except TooManyEntries as error:
        raise too_large(node, before, error) from error
    read = draft.nodes[node.inputs[0]].shape
    shift = response(second, by_channel(bias, read), read, node.shape) + in_axes_of(
        bias_of(second), node.shape
    )
    merged = with_bias(merged, shift, node.shape)
    inputs = before.inputs
    if isinstance(merged, Dense) and len(source) != 1:
        flat = in_order((math.prod(source),))
        name = draft.fresh(before.inputs[0], "flat")
        inputs = (draft.put(Node(name, Rearrange(flat), inputs, flat.shape, "flatten")).name,)
    draft.put(replace(node, operation=merged, inputs=inputs))


def too_large(node: Node, before: Node, error: TooManyEntries) -> UnsupportedLayer:
    """The refusal of two operations whose product cannot be stored."""
    words = (node.origin or type(node.operation).__name__, before.origin or type(before.operation).__name__)
    average = isinstance(before.operation, AveragePool)
    remedy = "keep averages apart (average_pools='population')" if average else "put an activation between"
    return UnsupportedLayer(
        f"{words[0]} {node.name!r} follows {words[1]} {before.name!r} with no activation between them; as "
        f"one layer they have {error.args[0]:,} weights or more, above the limit of {LIMIT:,}; {remedy}"
    )
