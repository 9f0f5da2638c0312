"""Nodes that change nothing, that add a value to itself, or that nobody reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventsnn.convert.graph.graph import Graph, Node
from eventsnn.convert.graph.operations import (
    Add,
    Affine,
    Concatenate,
    Operation,
    Rearrange,
    ReLU,
)
from eventsnn.convert.graph.places import by_channel, is_in_order
from eventsnn.convert.graph.rewriting import Draft


def drop_plain(graph: Graph) -> Graph:
    """A graph without nodes that return what they read, and without those that the output does not need.

    ``x + x`` becomes ``2 x``. A ReLU of a value that a ReLU or a pool of one made is none.
    """
    draft = Draft(graph)
    for name in list(draft.nodes):
        node = draft.nodes[name]
        if isinstance(node.operation, Add):
            node = _sum_of_different(draft, node)
        if changes_nothing(draft, node):
            draft.redirect(name, node.inputs[0])
    return draft.finish()


def _sum_of_different(draft: Draft, node: Node) -> Node:
    """An addition of values of which each occurs once, or the multiple of one."""
    times = {name: node.inputs.count(name) for name in node.inputs}
    if len(times) == len(node.inputs):
        return node
    inputs = []
    for name, count in times.items():
        if count == 1 or len(times) == 1:
            inputs.append(name)
            continue
        own = draft.fresh(name, f"times{count}")
        multiple = _multiple(count, node.shape)
        order = draft.nodes[name].arrangement
        inputs.append(draft.put(Node(own, multiple, (name,), node.shape, node.origin, order)).name)
    if len(times) == 1:
        return draft.put(
            replace(node, operation=_multiple(len(node.inputs), node.shape), inputs=(inputs[0],))
        )
    return draft.put(replace(node, inputs=tuple(inputs)))


def _multiple(count: int, shape: tuple[int, ...]) -> Affine:
    return Affine(by_channel(np.array(float(count)), shape), by_channel(np.array(0.0), shape))


def changes_nothing(draft: Draft, node: Node) -> bool:
    """Whether a node's value is the one it reads."""
    operation: Operation = node.operation
    if isinstance(operation, Affine):
        return bool((operation.factor == 1).all() and (operation.shift == 0).all())
    if isinstance(operation, Rearrange):
        before = draft.nodes[node.inputs[0]]
        return before.shape == node.shape and is_in_order(operation.indices, operation.indices.size)
    if isinstance(operation, Add | Concatenate):
        return len(node.inputs) == 1
    if isinstance(operation, ReLU):
        before = draft.nodes[node.inputs[0]]
        return isinstance(before.operation, ReLU) and _at_most(before.operation, operation)
    return False


def _at_most(inner: ReLU, outer: ReLU) -> bool:
    """Whether no value of the inner one is above the outer's ceiling."""
    if outer.ceiling is None:
        return True
    return inner.ceiling is not None and inner.ceiling <= outer.ceiling
