"""A NIR graph read through: its cells, the chains between them, every shape."""

from __future__ import annotations

import warnings
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from eventsnn.arguments import shown
from eventsnn.errors import InvalidNetwork, NirWarning
from eventsnn.nir.cells import Cell, cell
from eventsnn.nir.choices import Choices, said_in, settled
from eventsnn.nir.graph import Chain, FlatGraph, flat
from eventsnn.nir.operations import NirShape, Operation, numbers, operation


class Described:
    """What is in a graph, checked.

    Attributes
    ----------
    choices : Choices
        Of the graph; a cell may have its own.
    flat : FlatGraph
    input, output : str
        Names of the Input and Output nodes.
    readout : str or None
        The Output's name where it is a population of its own: what reaches it is summed up. None where a cell
        is the output.
    cells : dict of Cell
        By name, the Input left out.
    chains : list of Chain
        Those that end in a population.
    shapes : dict of tuple
        NIR's shape of the Input and every cell.

    Raises
    ------
    InvalidNetwork, UnsupportedLayer, InvalidFile, InvalidRequest
        As ``from_nir``.
    """

    def __init__(self, graph: Any, where: str, asked: Choices) -> None:
        self.choices = settled(asked, said_in(graph.metadata or {}, where), where)
        self.flat: FlatGraph = flat(graph)
        self.input, self.output = self.flat.only("Input"), self.flat.only("Output")
        self.cells: dict[str, Cell] = {}
        for name in self.flat.cells:
            if name != self.input:
                self.cells[name] = self._cell(name, asked)
        self._all_chains = self.flat.chains()
        self.shapes: dict[str, NirShape] = {self.input: declared(self.flat, self.input)}
        self._find_shapes()
        self.readout = self._readout()
        ends = [chain.target for chain in self._all_chains]
        self.chains = [c for c, end in zip(self._all_chains, ends, strict=True) if end in self.cells]
        if self.choices.step_us is None:
            self._require_no_step()

    def _cell(self, name: str, asked: Choices) -> Cell:
        node = self.flat.nodes[name]
        said = said_in(node.metadata or {}, f"node {name!r}")
        of_graph = {key: getattr(self.choices, key) for key in Choices.__dataclass_fields__}
        if not said:
            return cell(name, node, self.choices)
        return cell(name, node, settled(asked, of_graph | said, f"node {name!r}"))

    # -- shapes -------------------------------------------------------------------------------------------

    def operations(self, chain: Chain) -> list[Operation]:
        """A chain's operations, from the shape of its source on."""
        found: list[Operation] = []
        before = self.shapes[chain.source]
        for name in chain.operations:
            found.append(operation(name, self.flat.nodes[name], before))
            before = found[-1].after
        return found

    def _arriving(self, chain: Chain) -> NirShape:
        found = self.operations(chain)
        return found[-1].after if found else self.shapes[chain.source]

    def _find_shapes(self) -> None:
        """By what cells say, or what reaches those with one value for all neurons."""
        self.shapes |= {name: one.shape for name, one in self.cells.items() if prod(one.shape) > 1}
        missing = [name for name in self.cells if name not in self.shapes]
        while missing:
            reached = [c for c in self._all_chains if c.target in missing and c.source in self.shapes]
            if not reached:
                raise InvalidNetwork(
                    f"the shape of node {missing[0]!r} is not known: it has one value for all neurons, and "
                    "nothing of a known shape reaches it"
                )
            chain = reached[0]
            arriving, said = self._arriving(chain), self.cells[chain.target].shape
            if prod(arriving) > 1:
                warnings.warn(
                    f"node {chain.target!r} has one value for all neurons; it is taken for each of "
                    f"{arriving}",
                    NirWarning,
                    stacklevel=5,
                )
            self.shapes[chain.target] = arriving if prod(arriving) > 1 else said
            missing.remove(chain.target)
        for chain in self._all_chains:
            if chain.target == self.output:
                continue
            arriving, wanted = self._arriving(chain), self.shapes[chain.target]
            # A single neuron may be said as (), (1,) or (1, 1, 1).
            if arriving != wanted and not prod(arriving) == prod(wanted) == 1:
                raise InvalidNetwork(
                    f"{arriving} reaches node {chain.target!r} by way of {chain.name}, and it has the shape "
                    f"{wanted}"
                )

    def _readout(self) -> str | None:
        incoming = [chain for chain in self._all_chains if chain.target == self.output]
        if not incoming:
            raise InvalidNetwork(f"nothing reaches the Output node {self.output!r}")
        shapes = {self._arriving(chain) for chain in incoming}
        wanted = declared(self.flat, self.output)
        if {prod(shape) for shape in shapes} != {prod(wanted)} or (shapes != {wanted} and prod(wanted) > 1):
            told = ", ".join(map(str, sorted(shapes)))
            raise InvalidNetwork(
                f"the Output node {self.output!r} says its shape is {wanted}, and {told} reaches it"
            )
        if len(incoming) == 1 and not incoming[0].operations and incoming[0].source != self.input:
            return None
        one, none = np.ones(()), np.zeros(())
        self.shapes[self.output] = wanted
        self.cells[self.output] = Cell(self.output, False, self.choices, one, none, none, None, none, None)
        return self.output

    @cached_property
    def output_population(self) -> str:
        """The population that is the network's output."""
        if self.readout is not None:
            return self.readout
        return next(chain.source for chain in self._all_chains if chain.target == self.output)

    @cached_property
    def looped(self) -> list[str]:
        """Cells that reach themselves without a Delay: their own spikes come back one step later."""
        return [c.source for c in self.chains if c.source == c.target and not self._delays(c)]

    def _delays(self, chain: Chain) -> bool:
        return any(self.flat.kind(name) == "Delay" for name in chain.operations)

    def _require_no_step(self) -> None:
        """Where nothing depends on the length of a step it need not be said."""
        for name, node in self.flat.nodes.items():
            kind = self.flat.kind(name)
            bias = getattr(node, "bias", None)
            biased = bias is not None and bool(np.asarray(bias).any())
            if biased or kind == "Delay":
                what = "a bias, which comes in every step" if biased else "delays"
                raise InvalidNetwork(
                    f"node {name!r} ({kind}) has {what}, and NIR does not say how long a step is; give "
                    "step_us (--step-us), the timestep it was trained with"
                )


def declared(graph: FlatGraph, name: str) -> NirShape:
    """The shape that an Input or Output says it has."""
    node = graph.nodes[name]
    shape = (getattr(node, "output_type", None) or {}).get("output")
    array = numbers(shape)
    if array is None:
        raise InvalidNetwork(f"node {name!r} has {shown(shape)} as its shape; give whole numbers")
    whole = np.isfinite(array).all() and not (array % 1).any() and bool((array >= 1).all())
    if not whole or array.prod() >= 2**31 or len(array) > 3:
        raise InvalidNetwork(
            f"node {name!r} has {shown(shape)} as its shape; it holds up to three whole numbers from 1 on"
        )
    return tuple(int(one) for one in array)
