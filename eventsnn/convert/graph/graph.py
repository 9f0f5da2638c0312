"""A trained network as a graph of few operations: what importers give, passes rewrite, families lower."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.operations import Input, Operation

Float64 = NDArray[np.float64]
Shape = tuple[int, ...]

Evaluate = Callable[[Float64, Sequence[str]], Mapping[str, Float64]]
"""``evaluate(values, names)``: the *original's* values under these names, as its own framework computes
them, for a batch. ``values`` float64, shape (samples, *input shape); the answers (samples, *node shape)."""


@dataclass(frozen=True, eq=False)
class Derived:
    """How a value that the original never has follows from one that it has: ``factor * v + shift``.

    Attributes
    ----------
    name : str
        Of the original's value v, to be put in the order that ``arrangement`` says.
    factor, shift : float64 array
        Broadcast to the value's shape.
    activated : bool
        Whether the operation (an activation) is then applied: ``operation(factor * v + shift)``.
    """

    name: str
    factor: Float64
    shift: Float64
    activated: bool = False


@dataclass(frozen=True, eq=False)
class Node:
    """One operation with its place.

    Attributes
    ----------
    name : str
        Unique. The original's name for the value: a pass that computes the same value keeps the name.
    operation : Operation
    inputs : tuple of str
        Names of the nodes read, in order.
    shape : tuple of int
        Of one sample's value: ``(channels, y, x)`` or ``(features,)``.
    origin : str
        The original's word for the operation, for messages: ``Conv``, ``Conv2d``, ``torch.cat``.
    arrangement : int64 array or None
        Where a pass changed the order of the values: the place in the original's flattened value of each
        value here, shape as ``shape``. None: the same order.
    derived : Derived or None
        Where a pass made a value that the original never has, under a new name, and it is known: how it
        follows from one that the original has.
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    shape: Shape
    origin: str = ""
    arrangement: NDArray[np.int64] | None = None
    derived: Derived | None = None


class Graph:
    """Nodes in topological order, one input, one output with the class scores. Never changed.

    Attributes
    ----------
    nodes : dict of str to Node
    input, output : str
    """

    def __init__(self, nodes: Iterable[Node], output: str) -> None:
        self.nodes: dict[str, Node] = {}
        for node in nodes:
            if node.name in self.nodes:
                raise ValueError(f"two nodes are called {node.name!r}")
            for name in node.inputs:
                if name not in self.nodes:
                    raise ValueError(f"node {node.name!r} reads {name!r}, which no node before it computes")
            self.nodes[node.name] = node
        (self.input,) = (node.name for node in self.nodes.values() if isinstance(node.operation, Input))
        self.output = self.nodes[output].name

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.nodes.values())

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a value."""
        return [node for node in self.nodes.values() if name in node.inputs]


@dataclass(frozen=True, eq=False)
class Original:
    """What an importer gives.

    Attributes
    ----------
    graph : Graph
    evaluate : callable
        The original on a batch; knows every name of ``graph``.
    framework : str
        Name and version, for the network's record: ``torch 2.13.0``, ``onnxruntime 1.23.0``.
    """

    graph: Graph
    evaluate: Evaluate
    framework: str
