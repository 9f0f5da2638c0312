"""Batch norm and other factors and shifts folded into weights.

Backwards into the linear operation before (Rueckauer et al. 2017, Frontiers in Neuroscience 11:682,
section 2.2.3), through averages, and through maxima where every factor is positive; else forwards into
the linear operations behind, with a bias for each neuron where borders make a difference. What is left
stays a factor of a branch and a bias of a layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from eventsnn.convert.graph.graph import Graph, Node
from eventsnn.convert.graph.linear.matrices import TooManyEntries
from eventsnn.convert.graph.linear.response import response, share_read
from eventsnn.convert.graph.linear.scaling import bias_of, reading_scaled, scaled, with_bias
from eventsnn.convert.graph.operations import (
    Affine,
    AveragePool,
    Convolution,
    Dense,
    LinearMap,
    MaxPool,
    Rearrange,
)
from eventsnn.convert.graph.passes.deriving import scaled_value, unscaled_value
from eventsnn.convert.graph.places import by_channel, in_axes_of, taken
from eventsnn.convert.graph.rewriting import Draft

WEIGHTED = (Convolution, Dense, LinearMap)


def fold_backwards(graph: Graph) -> Graph:
    """Affine operations folded into the linear operations before them.

    Where something else reads the linear operation, too, it gets its own copy of the weights. The scaled
    operation has the Affine's name; a pool in between has it, and the operation before a fresh one.
    """
    draft = Draft(graph)
    for name in graph.nodes:
        if isinstance(draft.operation(name), Affine):
            _back(draft, name)
    return draft.finish()


def _back(draft: Draft, name: str) -> None:
    node = draft.nodes[name]
    before = draft.nodes[node.inputs[0]]
    rule = BACK.get(type(before.operation))
    if rule is not None and _reaches_weights(draft, before, node):
        rule(draft, node, before)


def _reaches_weights(draft: Draft, before: Node, reader: Node) -> bool:
    """Whether there are weights (or another factor) right before, or behind pools that only we read."""
    if isinstance(before.operation, (*WEIGHTED, Affine)):
        return True
    if not isinstance(before.operation, AveragePool | MaxPool):
        return False
    if not draft.only_reader(before.name, reader.name):
        return False
    return _reaches_weights(draft, draft.nodes[before.inputs[0]], before)


def _back_into_weights(draft: Draft, node: Node, before: Node) -> None:
    operation, affine = before.operation, node.operation
    assert isinstance(affine, Affine)
    assert isinstance(operation, WEIGHTED)
    source = draft.nodes[before.inputs[0]].shape
    try:
        linear = scaled(operation, affine.factor, source, node.shape)
    except TooManyEntries:
        return  # a factor for each neuron of a large convolution: left where it is
    bias = affine.factor * in_axes_of(operation.bias, node.shape) + affine.shift
    linear = with_bias(linear, bias, node.shape)
    draft.put(replace(node, operation=linear, inputs=before.inputs, origin=before.origin))


def _back_into_affine(draft: Draft, node: Node, before: Node) -> None:
    first, second = before.operation, node.operation
    assert isinstance(first, Affine)
    assert isinstance(second, Affine)
    factor = by_channel(second.factor * first.factor, node.shape)
    shift = by_channel(second.factor * first.shift + second.shift, node.shape)
    draft.put(replace(node, operation=Affine(factor, shift), inputs=before.inputs))
    _back(draft, node.name)


def _back_through_average(draft: Draft, node: Node, before: Node) -> None:
    affine, pool = node.operation, before.operation
    assert isinstance(affine, Affine)
    assert isinstance(pool, AveragePool)
    share = share_read(pool)
    one_a_channel = affine.factor.shape[-2:] == affine.shift.shape[-2:] == (1, 1)
    if not one_a_channel or (share != share[0, 0]).any():
        return
    _through_pool(draft, node, before, Affine(affine.factor, affine.shift / share[0, 0]))


def _back_through_maximum(draft: Draft, node: Node, before: Node) -> None:
    affine = node.operation
    assert isinstance(affine, Affine)
    if affine.factor.shape[-2:] == affine.shift.shape[-2:] == (1, 1) and (affine.factor > 0).all():
        _through_pool(draft, node, before, affine)


def _through_pool(draft: Draft, node: Node, pool: Node, affine: Affine) -> None:
    value = draft.nodes[pool.inputs[0]]
    name = draft.fresh(node.name, "before")
    derived = scaled_value(value, affine.factor, affine.shift)
    draft.put(Node(name, affine, pool.inputs, value.shape, node.origin, value.arrangement, derived))
    draft.put(
        replace(pool, name=node.name, inputs=(name,), arrangement=node.arrangement, derived=node.derived)
    )
    del draft.nodes[pool.name]
    _back(draft, name)


BACK: dict[type, Callable[[Draft, Node, Node], None]] = {
    Convolution: _back_into_weights,
    Dense: _back_into_weights,
    LinearMap: _back_into_weights,
    Affine: _back_into_affine,
    AveragePool: _back_through_average,
    MaxPool: _back_through_maximum,
}


def fold_forwards(graph: Graph) -> Graph:
    """Affine operations folded into all linear operations that read them, also through pools.

    What an addition or an activation reads stays; a padded border gets biases of its own, since a shift
    is not added where there is padding.
    """
    draft = Draft(graph)
    for name in reversed(graph.nodes):
        if isinstance(draft.operation(name), Affine):
            _on(draft, name)
    return draft.finish()


def _on(draft: Draft, name: str) -> None:
    for reader in draft.readers(name):
        node = draft.nodes[name]
        rule = ON.get(type(reader.operation))
        if rule is not None and _leads_to_weights(draft, reader):
            rule(draft, node, reader)


def _leads_to_weights(draft: Draft, reader: Node) -> bool:
    """Whether a node is weighted or all that reads it, through moves and pools, is."""
    if isinstance(reader.operation, WEIGHTED):
        return True
    if not isinstance(reader.operation, AveragePool | MaxPool | Rearrange) or reader.name == draft.output:
        return False
    behind = draft.readers(reader.name)
    return bool(behind) and all(_leads_to_weights(draft, node) for node in behind)


def _on_into_weights(draft: Draft, node: Node, reader: Node) -> None:
    affine, operation = node.operation, reader.operation
    assert isinstance(affine, Affine)
    assert isinstance(operation, WEIGHTED)
    try:
        linear, _ = reading_scaled(operation, affine.factor, node.shape, reader.shape)
    except TooManyEntries:
        return
    shift = response(operation, affine.shift, node.shape, reader.shape)
    linear = with_bias(linear, in_axes_of(bias_of(operation), reader.shape) + shift, reader.shape)
    draft.put(replace(reader, operation=linear, inputs=node.inputs))


def _behind(draft: Draft, node: Node, reader: Node, affine: Affine) -> None:
    """Put the Affine behind a node that read it, and go on from there."""
    name = draft.fresh(reader.name, "unscaled")
    draft.put(replace(reader, name=name, inputs=node.inputs, derived=unscaled_value(reader, affine)))
    draft.put(replace(reader, operation=affine, inputs=(name,)))
    _on(draft, reader.name)


def _on_through_rearrange(draft: Draft, node: Node, reader: Node) -> None:
    affine, moved = node.operation, reader.operation
    assert isinstance(affine, Affine)
    assert isinstance(moved, Rearrange)
    factor = taken(np.broadcast_to(affine.factor, node.shape), moved.indices, 1.0)
    shift = taken(np.broadcast_to(affine.shift, node.shape), moved.indices, 0.0)
    behind = Affine(by_channel(factor, reader.shape), by_channel(shift, reader.shape))
    _behind(draft, node, reader, behind)


def _on_through_average(draft: Draft, node: Node, reader: Node) -> None:
    affine, pool = node.operation, reader.operation
    assert isinstance(affine, Affine)
    assert isinstance(pool, AveragePool)
    if affine.factor.shape[-2:] != (1, 1):
        return
    shift = response(pool, affine.shift, node.shape, reader.shape)
    _behind(draft, node, reader, Affine(affine.factor, by_channel(shift, reader.shape)))


def _on_through_maximum(draft: Draft, node: Node, reader: Node) -> None:
    affine = node.operation
    assert isinstance(affine, Affine)
    if affine.factor.shape[-2:] == affine.shift.shape[-2:] == (1, 1) and (affine.factor > 0).all():
        _behind(draft, node, reader, affine)


ON: dict[type, Callable[[Draft, Node, Node], None]] = {
    Convolution: _on_into_weights,
    Dense: _on_into_weights,
    LinearMap: _on_into_weights,
    Rearrange: _on_through_rearrange,
    AveragePool: _on_through_average,
    MaxPool: _on_through_maximum,
}
