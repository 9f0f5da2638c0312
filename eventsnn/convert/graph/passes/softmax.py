"""Softmax at the end taken away: the order of the class scores, and so every decision, stays."""

from __future__ import annotations

import math

from eventsnn.convert.graph.graph import Graph, Node
from eventsnn.convert.graph.operations import Rearrange, Softmax
from eventsnn.convert.graph.places import is_permutation
from eventsnn.convert.graph.rewriting import Draft
from eventsnn.errors import UnsupportedLayer


def remove_softmax(graph: Graph) -> Graph:
    """A graph without the Softmax or LogSoftmax (or both) that it ends in.

    Everything else keeps its value; the output's are the scores before the softmax, of the same order.

    Raises
    ------
    UnsupportedLayer
        A softmax that other nodes compute with; names it.
    """
    draft = Draft(Draft(graph).finish())
    end = draft.nodes[draft.output]
    while _keeps_order(draft, end):
        before = draft.nodes[end.inputs[0]]
        if isinstance(end.operation, Softmax):
            draft.redirect(end.name, before.name)
        end = before
    graph = draft.finish()
    for node in graph:
        if isinstance(node.operation, Softmax):
            raise UnsupportedLayer(
                f"{node.origin or 'Softmax'} {node.name!r} is a softmax inside of the network, which spiking "
                "neurons do not compute; one converts only as the last node, where it changes no decision. "
                "Name an output before it, or train without it"
            )
    return graph


def _keeps_order(draft: Draft, node: Node) -> bool:
    """Whether a node at the end is a softmax or moves values alone."""
    if isinstance(node.operation, Rearrange):
        size = math.prod(draft.nodes[node.inputs[0]].shape)
        return is_permutation(node.operation.indices, size)
    return isinstance(node.operation, Softmax)
