"""A NIR graph without sub-graphs: cells, the chains of operations between them, one input and one output.

*Cells* are nodes with neurons (Input, IF, LIF, ...); *operations* are what is linear between them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventsnn.errors import InvalidNetwork

CELLS = ("Input", "IF", "LIF", "LI", "I", "Threshold", "CubaLIF", "CubaLI")
OPERATIONS = ("Affine", "Linear", "Scale", "Conv1d", "Conv2d", "AvgPool2d", "SumPool2d", "Flatten", "Delay")
MOST_CHAINS = 64
"""Chains that end in one cell."""


@dataclass(frozen=True)
class Chain:
    """What lies between two cells.

    Attributes
    ----------
    source, target : str
        Names of cells, or of the Output.
    operations : tuple of str
        Names of nodes, in the order of the signal.
    """

    source: str
    target: str
    operations: tuple[str, ...]

    @property
    def name(self) -> str:
        """For messages."""
        return " -> ".join((self.source, *self.operations, self.target))


@dataclass(frozen=True)
class FlatGraph:
    """Nodes by name, sub-graphs dissolved (``outer.inner``), and the edges between them."""

    nodes: Mapping[str, Any]
    edges: tuple[tuple[str, str], ...]

    def kind(self, name: str) -> str:
        """The node's type, as NIR calls it."""
        return type(self.nodes[name]).__name__

    def only(self, kind: str) -> str:
        """The one node of a type.

        Raises
        ------
        InvalidNetwork
            None, or several.
        """
        found = [name for name in self.nodes if self.kind(name) == kind]
        if len(found) != 1:
            told = ", ".join(map(repr, found)) or "none"
            raise InvalidNetwork(
                f"the NIR graph has {told} as its {kind} nodes; networks here have exactly one"
            )
        return found[0]

    @property
    def cells(self) -> list[str]:
        """Names of cells."""
        return [name for name in self.nodes if self.kind(name) in CELLS]

    def chains(self) -> list[Chain]:
        """Every path from a cell to a cell or the Output through operations alone.

        Raises
        ------
        InvalidNetwork
            Operations that form a cycle, or too many paths.
        """
        before: dict[str, list[str]] = defaultdict(list)
        for source, target in self.edges:
            before[target].append(source)
        found: list[Chain] = []
        for target in [*self.cells, *(n for n in self.nodes if self.kind(n) == "Output")]:
            mine: list[Chain] = []
            waiting: list[tuple[str, tuple[str, ...]]] = [(s, ()) for s in before[target]]
            while waiting:
                name, operations = waiting.pop()
                if self.kind(name) in CELLS:
                    mine.append(Chain(name, target, operations))
                elif name in operations:
                    raise InvalidNetwork(
                        f"the nodes {', '.join(map(repr, operations))} form a cycle without neurons, which "
                        "has no definite value; put a neuron into it"
                    )
                elif self.kind(name) == "Output":
                    raise InvalidNetwork(f"the Output node {name!r} has an outgoing edge; remove it")
                else:
                    waiting += [(s, (name, *operations)) for s in before[name]]
                if len(mine) + len(waiting) > MOST_CHAINS:
                    raise InvalidNetwork(
                        f"more than {MOST_CHAINS} paths of operations end in node {target!r}; merge parallel "
                        "ones"
                    )
            found += sorted(mine, key=lambda chain: (chain.source, chain.operations))
        return found


def flat(graph: Any) -> FlatGraph:
    """A graph with every sub-graph's nodes in it, its Input and Output dissolved into edges.

    Raises
    ------
    InvalidNetwork
        Edges to nodes that are not there, the same edge twice, an empty graph, names that clash, sub-graphs
        without exactly one Input and Output where they are connected.
    """
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    entries: dict[str, str] = {}
    exits: dict[str, str] = {}

    def add(prefix: str, one: Any) -> None:
        for name, node in one.nodes.items():
            full = f"{prefix}{name}"
            if full in nodes:
                raise InvalidNetwork(f"two nodes of the NIR graph are called {full!r}; rename one")
            if type(node).__name__ == "NIRGraph":
                add(f"{full}.", node)
                entries[full], exits[full] = _end(full, node, "Input"), _end(full, node, "Output")
            else:
                nodes[full] = node
        if len(set(one.edges)) < len(one.edges):
            twice = next(edge for edge in one.edges if one.edges.count(edge) > 1)
            raise InvalidNetwork(
                f"the edge from {prefix}{twice[0]} to {prefix}{twice[1]} is there twice; an edge adds its "
                "signal once: leave one, or put a Scale of 2 between"
            )
        for source, target in one.edges:
            for end in (source, target):
                if end not in one.nodes:
                    raise InvalidNetwork(
                        f"an edge of the NIR graph names the node {prefix}{end!r}, not there"
                    )
            edges.append((f"{prefix}{source}", f"{prefix}{target}"))

    add("", graph)
    if not nodes:
        raise InvalidNetwork("the NIR graph has no nodes")
    while any(source in exits or target in entries for source, target in edges):
        edges = [(exits.get(source, source), entries.get(target, target)) for source, target in edges]
    inner = {*entries.values(), *exits.values()}
    for name in inner:
        before = [source for source, target in edges if target == name]
        after = [target for source, target in edges if source == name]
        edges = [edge for edge in edges if name not in edge]
        edges += [(source, target) for source in before for target in after]
        del nodes[name]
    if len(set(edges)) < len(edges):
        twice = next(edge for edge in edges if edges.count(edge) > 1)
        raise InvalidNetwork(f"nodes {twice[0]!r} and {twice[1]!r} are connected twice by way of a sub-graph")
    return FlatGraph(nodes, tuple(edges))


def _end(name: str, graph: Any, kind: str) -> str:
    found = [key for key, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(found) != 1:
        told = ", ".join(found) or "none"
        raise InvalidNetwork(f"the sub-graph {name!r} has {told} as its {kind} nodes; it needs exactly one")
    return f"{name}.{found[0]}"
