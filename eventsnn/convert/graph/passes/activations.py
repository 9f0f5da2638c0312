"""Activations right after a max-pool moved before it: a maximum commutes with what never decreases."""

from __future__ import annotations

from dataclasses import replace

from eventsnn.convert.graph.graph import Graph, Node
from eventsnn.convert.graph.operations import MaxPool, Operation, Quantised, ReLU, Step
from eventsnn.convert.graph.passes.deriving import activated_value
from eventsnn.convert.graph.rewriting import Draft


def activate_before_pools(graph: Graph) -> Graph:
    """Pools of activated values in place of activations of pooled ones.

    The pool takes the activation's name and value; the activation before it, whose value the original
    never has, is called ``name#before`` after it. Only where nothing else reads the pool.

    Pools over values below 0 need negative counts; pools over rectified ones do not.
    """
    draft = Draft(graph)
    for name in graph.nodes:
        while _moves(draft, draft.nodes[name]):
            _move(draft, draft.nodes[name])
    return draft.finish()


def never_decreases(operation: Operation) -> bool:
    """Whether an operation is an activation of which a maximum may be taken before or behind."""
    if isinstance(operation, Quantised):
        return bool((operation.unit > 0).all()) and (
            operation.unit.size == 1 or operation.unit.shape[-2:] == (1, 1)
        )
    if isinstance(operation, Step):
        return operation.low <= operation.at_zero <= operation.high
    return isinstance(operation, ReLU)


def _moves(draft: Draft, node: Node) -> bool:
    if not never_decreases(node.operation):
        return False
    pool = draft.nodes[node.inputs[0]]
    return isinstance(pool.operation, MaxPool) and draft.only_reader(pool.name, node.name)


def _move(draft: Draft, node: Node) -> None:
    """Swap; several pools in a row one after the other, so that the first is left with the activation."""
    pool = draft.nodes[node.inputs[0]]
    before = draft.nodes[pool.inputs[0]]
    activation = draft.put(
        Node(
            draft.fresh(node.name, "before"),
            node.operation,
            pool.inputs,
            before.shape,
            node.origin,
            before.arrangement,
            activated_value(before),
        )
    )
    draft.put(
        replace(
            pool,
            name=node.name,
            inputs=(activation.name,),
            arrangement=node.arrangement,
            derived=None,  # a new name's is an activation's, not a pool's
        )
    )
    del draft.nodes[pool.name]
    while _moves(draft, draft.nodes[activation.name]):
        _move(draft, draft.nodes[activation.name])
