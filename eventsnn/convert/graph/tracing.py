"""Which of the original's nodes each layer is made of."""

from __future__ import annotations

from dataclasses import replace

from eventsnn.convert.graph.graph import Graph, Node
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Add, AveragePool, Convolution, Dense, LinearMap, MaxPool
from eventsnn.convert.graph.rewriting import topological

TELLING: tuple[tuple[type, ...], ...] = ((MaxPool,), (Convolution, Dense, LinearMap), (AveragePool,), (Add,))


def traced(layers: tuple[Layer, ...], graph: Graph) -> tuple[Layer, ...]:
    """Layers with ``path``, ``origin`` and ``folded`` from the original's graph.

    What lies between a layer and those before it is folded into it. Where an activation moved before a
    pool, the pool has the pool's nodes and the activation the rest.
    """
    names = {layer.name for layer in layers}
    folded = {layer.name: _between(graph, layer.name, names) for layer in layers}
    for layer in reversed(layers):
        before = [branch.source for branch in layer.branches if branch.source not in graph.nodes]
        if before and isinstance(layer.operation, MaxPool):
            own = folded[layer.name]
            kept = [node for node in own if isinstance(node.operation, MaxPool) or node.name == layer.name]
            folded[layer.name] = kept
            for name in before:
                folded[name] = [node for node in own if node not in kept]
    return tuple(_derived(_named(layer, folded[layer.name]), graph) for layer in layers)


def _derived(layer: Layer, graph: Graph) -> Layer:
    """A layer that is derived only from a value of the original's."""
    known = layer.derived is None or layer.derived.name in graph.nodes
    return layer if known else replace(layer, derived=None)


def _between(graph: Graph, name: str, layers: set[str]) -> list[Node]:
    """The original's nodes that a layer's value needs beyond the values of other layers, in order."""
    if name not in graph.nodes:
        return []
    ends = layers - {name}
    nodes = {n.name: replace(n, inputs=()) if n.name in ends else n for n in graph}
    return [node for node in topological(nodes, name) if node.name not in ends]


def _named(layer: Layer, folded: list[Node]) -> Layer:
    """A layer with its nodes; the last weighted one (else the pool, the addition) gives path and origin."""
    kinds = TELLING if isinstance(layer.operation, MaxPool) else TELLING[1:]
    for kind in kinds:
        telling = [node for node in folded if isinstance(node.operation, kind)]
        if telling:
            path, origin = telling[-1].name, telling[-1].origin
            break
    else:
        path, origin = layer.path, layer.origin
    return replace(layer, path=path, origin=origin, folded=tuple(node.name for node in folded))
