"""A graph in the hands of a pass: nodes are put, replaced and read elsewhere; then a graph again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from eventsnn.convert.graph.graph import Graph, Node
from eventsnn.convert.graph.operations import Input, Operation
from eventsnn.errors import InvalidNetwork


class Draft:
    """Nodes by name, in any order, and which of them is the output."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = dict(graph.nodes)
        self.output = graph.output

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a value."""
        return [node for node in self.nodes.values() if name in node.inputs]

    def only_reader(self, name: str, reader: str) -> bool:
        """Whether nothing but one node needs a value."""
        return name != self.output and [node.name for node in self.readers(name)] == [reader]

    def operation(self, name: str) -> Operation:
        """The operation of a node."""
        return self.nodes[name].operation

    def put(self, node: Node) -> Node:
        """Add a node, or put it in the place of the one of its name."""
        self.nodes[node.name] = node
        return node

    def redirect(self, old: str, new: str, readers: Iterable[str] | None = None) -> None:
        """Let readers of one value (all of them, and the output, unless named) read another."""
        chosen = None if readers is None else set(readers)
        for node in list(self.nodes.values()):
            if old in node.inputs and (chosen is None or node.name in chosen):
                inputs = tuple(new if name == old else name for name in node.inputs)
                self.nodes[node.name] = replace(node, inputs=inputs)
        if chosen is None and self.output == old:
            self.output = new

    def fresh(self, name: str, word: str) -> str:
        """A name that no node has: ``name#word``, with a number where that is taken."""
        return fresh_name(self.nodes, name, word)

    def finish(self) -> Graph:
        """The graph, in topological order, without nodes that do not reach the output.

        Raises
        ------
        InvalidNetwork
            The output does not depend on the input.
        """
        order = topological(self.nodes, self.output)
        if not any(isinstance(node.operation, Input) for node in order):
            raise InvalidNetwork(
                f"the class scores {self.output!r} do not depend on the input of the network; name the "
                "output that does"
            )
        return Graph(order, self.output)


def fresh_name(taken: Iterable[str], name: str, word: str) -> str:
    """``name#word``, or with a number after it, as no name in ``taken``."""
    taken = set(taken)
    found, number = f"{name}#{word}", 2
    while found in taken:
        found, number = f"{name}#{word}{number}", number + 1
    return found


def topological(nodes: dict[str, Node], output: str) -> list[Node]:
    """What ``output`` needs, every node behind those it reads."""
    order: dict[str, Node] = {}
    waiting = [output]
    while waiting:
        node = nodes[waiting[-1]]
        missing = [name for name in node.inputs if name not in order]
        if missing:
            waiting.extend(reversed(missing))
        else:
            waiting.pop()
            order.setdefault(node.name, node)
    return list(order.values())
