"""The operations that the original needs for one sample, node by node, by both conventions.

*Border-blind* is the literature's: every neuron reads a full window, ``neurons x fan-in``. *Border-exact*
counts the synapses that exist; taps that fall on padding are none. Rueckauer et al. 2017, Frontiers in
Neuroscience 11:682, count two operations a multiply-accumulate and one a neuron with a bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from eventsnn.convert.graph.graph import Graph, Shape
from eventsnn.convert.graph.linear.windows import axis_of, pairs_of
from eventsnn.convert.graph.operations import Convolution, Dense, LinearMap


@dataclass(frozen=True)
class Operations:
    """Of one node with weights.

    Attributes
    ----------
    name, origin : str
        As of the node.
    neurons : int
    exact, blind : int
        Multiply-accumulates by existing synapses, and by neurons times fan-in.
    biases : int
        Neurons that add a bias: all, unless every bias of the node is zero.
    """

    name: str
    origin: str
    neurons: int
    exact: int
    blind: int
    biases: int


def operations_of(graph: Graph) -> tuple[Operations, ...]:
    """Operations of every weighted node, in order, of a graph as an importer gives it.

    Factors and shifts (batch norm), pools, additions and activations are not counted, as in the
    literature's figures.
    """
    found = []
    for node in graph:
        operation = node.operation
        if isinstance(operation, Convolution | Dense | LinearMap):
            exact, blind = COUNTS[type(operation)](operation, graph.nodes[node.inputs[0]].shape, node.shape)
            neurons = math.prod(node.shape)
            biases = neurons if operation.bias.any() else 0
            found.append(Operations(node.name, node.origin, neurons, exact, blind, biases))
    return tuple(found)


def total(operations: Iterable[Operations], border_blind: bool = False) -> int:
    """Two for each multiply-accumulate and one for each neuron with a bias, summed over nodes."""
    return sum(2 * (each.blind if border_blind else each.exact) + each.biases for each in operations)


def _convolution(operation: Convolution, source: Shape, target: Shape) -> tuple[int, int]:
    out, inside, taps_y, taps_x = operation.weight.shape
    windows = [
        pairs_of(axis_of(operation, axis).places(target[1 + axis]), source[1 + axis])[0].size
        for axis in (0, 1)
    ]
    return out * inside * windows[0] * windows[1], math.prod(target) * inside * taps_y * taps_x


def _dense(operation: Dense, source: Shape, target: Shape) -> tuple[int, int]:
    return operation.weight.size, operation.weight.size


def _linear_map(operation: LinearMap, source: Shape, target: Shape) -> tuple[int, int]:
    return int(operation.matrix.nnz), int(operation.matrix.nnz)


COUNTS: dict[type, Callable[..., tuple[int, int]]] = {
    Convolution: _convolution,
    Dense: _dense,
    LinearMap: _linear_map,
}
