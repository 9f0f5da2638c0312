"""A graph as layers: every activation, pool of maxima, and what must be counted in spikes of its own.

Everything linear between layers becomes branches and biases of the layer behind it: a sum is never
rectified before it is complete, and a value that several layers read (the shortcuts of residual networks
whose additions have no activation) is distributed to them term by term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from eventsnn.convert.graph.forms import Form, moved, of_layer, scaled_form, side_by_side, sum_of, through
from eventsnn.convert.graph.graph import Derived, Graph, Node, Shape
from eventsnn.convert.graph.layers import Activation, Float64, Layer, Linear, Shape3
from eventsnn.convert.graph.linear.matrices import LIMIT, TooManyEntries
from eventsnn.convert.graph.linear.scaling import bias_of
from eventsnn.convert.graph.operations import (
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Input,
    LinearMap,
    MaxPool,
    Quantised,
    Rearrange,
    ReLU,
    Spiking,
    Step,
)
from eventsnn.convert.graph.passes.merge_linear import AveragePools
from eventsnn.convert.graph.places import in_axes_of
from eventsnn.convert.graph.simplification import simplified
from eventsnn.convert.graph.tracing import traced
from eventsnn.errors import InvalidRequest, UnsupportedLayer

WEIGHTED = (Convolution, Dense, LinearMap)
BETWEEN = (AveragePool, Affine, Add, Concatenate, Rearrange)


def layers_of(graph: Graph, average_pools: AveragePools = "population") -> tuple[Layer, ...]:
    """A network's layers, in topological order: the input first, the class scores last.

    Layers whose value the original never has (an activation or a factor moved past a pool) have names
    that it does not know; ``derived`` says how to have their values from the original's.

    Parameters
    ----------
    graph : Graph
        As an importer gives it; passes run here.
    average_pools : str
        ``"folded"``: averages merge into the linear operations behind them. ``"population"``: those of
        activations that a linear operation or a max-pool reads are layers of their own. Where an
        activation reads an average, or a sum with one, it is a branch in both.

    Raises
    ------
    UnsupportedLayer
        Something has no faithful form, by name: a softmax inside, values of rank 2, linear operations
        that amount to more weights than can be stored, a network without anything to convert.
    InvalidRequest
        An unknown ``average_pools``.
    """
    if average_pools not in ("folded", "population"):
        raise InvalidRequest(f"average_pools is {average_pools!r}; allowed are 'folded' and 'population'")
    return traced(_Layering(simplified(graph, average_pools), average_pools).run(), graph)


def three(shape: Shape) -> Shape3:
    """(channels, y, x); features are channels."""
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


def in_three(values: Float64, shape: Shape) -> Float64:
    """What broadcasts to a shape, with three axes."""
    values = in_axes_of(values, shape)
    return values.reshape(-1, 1, 1) if len(shape) == 1 else values


def derived_in_three(derived: Derived, shape: Shape) -> Derived:
    """With factors and shifts of three axes."""
    factor, shift = (in_three(each, shape) for each in (derived.factor, derived.shift))
    return replace(derived, factor=factor, shift=shift)


@dataclass
class _Layering:
    """Walks the graph: a form for every value, a layer for some."""

    graph: Graph
    average_pools: AveragePools

    def __post_init__(self) -> None:
        self.forms: dict[str, Form] = {}
        self.layers: dict[str, Layer] = {}

    def run(self) -> tuple[Layer, ...]:
        for node in self.graph:
            try:
                RULES[type(node.operation)](self, node)
            except TooManyEntries as error:
                raise UnsupportedLayer(
                    f"{node.origin or type(node.operation).__name__} {node.name!r} and the linear operations "
                    f"before it amount to {error.args[0]:,} weights or more, above the limit of {LIMIT:,}; "
                    "put an activation between them, or keep averages apart (average_pools='population')"
                ) from error
        last = self.last()
        needed, waiting = set(), [last]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting += [branch.source for branch in self.layers[name].branches]
        needed.add(self.graph.input)
        return tuple(layer for name, layer in self.layers.items() if name in needed)

    def last(self) -> str:
        """Name of the layer with the class scores."""
        output = self.graph.output
        form = self.forms[output]
        if len(form.terms) == 1 and form.is_values:
            term = form.terms[0]
            layer = self.layers[term.source]
            if term.indices is None and term.shape == layer.shape and not isinstance(layer.operation, Input):
                return layer.name
        if not any(layer.branches for layer in self.layers.values()) and form.is_values:
            raise UnsupportedLayer("the network has no weights; there is nothing to convert")
        return self.population(output)

    # -- layers --------------------------------------------------------------------------------------

    def layer(self, node: Node, operation: Input | Activation | MaxPool | None, form: Form | None) -> str:
        """A layer with the value of a node, of the sum it integrates (or pools)."""
        shape = three(node.shape)
        branches = () if form is None else tuple(t.branch(self.layers[t.source].shape) for t in form.terms)
        bias = np.zeros((shape[0], 1, 1)) if form is None else form.bias
        order = None if node.arrangement is None else node.arrangement.reshape(shape)
        derived = None if node.derived is None else derived_in_three(node.derived, node.shape)
        self.layers[node.name] = Layer(
            node.name, node.name, node.origin, operation, shape, branches, bias, order, derived=derived
        )
        return node.name

    def population(self, name: str) -> str:
        """A layer for a linear value."""
        if name in self.layers:
            return name
        return self.layer(self.graph.nodes[name], None, self.forms[name])

    # -- rules ---------------------------------------------------------------------------------------

    def input(self, node: Node) -> None:
        assert isinstance(node.operation, Input)
        self.forms[node.name] = of_layer(self.layer(node, node.operation, None), three(node.shape))

    def activation(self, node: Node) -> None:
        operation = node.operation
        assert isinstance(operation, Activation)
        if isinstance(operation, Quantised):
            operation = replace(operation, unit=in_three(operation.unit, node.shape))
        if isinstance(operation, Spiking):
            operation = operation.with_arrays(lambda values: in_three(values, node.shape))
        name = self.layer(node, operation, self.forms[node.inputs[0]])
        self.forms[name] = of_layer(name, three(node.shape))

    def max_pool(self, node: Node) -> None:
        assert isinstance(node.operation, MaxPool)
        (read,) = node.inputs
        form = self.forms[read]
        if not form.is_values:  # others that read it go on reading what it is made of
            form = of_layer(self.population(read), form.shape)
        name = self.layer(node, node.operation, form)
        self.forms[name] = of_layer(name, three(node.shape))

    def linear(self, node: Node) -> None:
        operation = node.operation
        assert isinstance(operation, Linear)
        shape = three(node.shape)
        bias = in_three(bias_of(operation), node.shape)
        self.forms[node.name] = through(self.forms[node.inputs[0]], operation, bias, shape)

    def average_pool(self, node: Node) -> None:
        self.linear(node)
        averages = any(isinstance(term.linear, AveragePool) for term in self.forms[node.name].terms)
        if self.average_pools == "population" and averages and self.leads_to_weights(node.name):
            self.forms[node.name] = of_layer(self.population(node.name), three(node.shape))

    def leads_to_weights(self, name: str) -> bool:
        """Whether a linear operation or a pool of maxima reads a value, through linear sums at most."""
        seen, waiting = {name}, [name]
        while waiting:
            for reader in self.graph.readers(waiting.pop()):
                if isinstance(reader.operation, (*WEIGHTED, MaxPool)):
                    return True
                if isinstance(reader.operation, BETWEEN) and reader.name not in seen:
                    seen.add(reader.name)
                    waiting.append(reader.name)
        return False

    def affine(self, node: Node) -> None:
        operation = node.operation
        assert isinstance(operation, Affine)
        factor, shift = (in_three(each, node.shape) for each in (operation.factor, operation.shift))
        self.forms[node.name] = scaled_form(self.forms[node.inputs[0]], factor, shift)

    def add(self, node: Node) -> None:
        self.forms[node.name] = sum_of([self.forms[name] for name in node.inputs])

    def concatenate(self, node: Node) -> None:
        self.forms[node.name] = side_by_side([self.forms[name] for name in node.inputs])

    def rearrange(self, node: Node) -> None:
        assert isinstance(node.operation, Rearrange)
        indices = node.operation.indices.reshape(three(node.shape))
        self.forms[node.name] = moved(self.forms[node.inputs[0]], indices)


RULES: dict[type, Callable[[_Layering, Node], None]] = {
    Input: _Layering.input,
    ReLU: _Layering.activation,
    Quantised: _Layering.activation,
    Step: _Layering.activation,
    Spiking: _Layering.activation,
    MaxPool: _Layering.max_pool,
    Convolution: _Layering.linear,
    Dense: _Layering.linear,
    LinearMap: _Layering.linear,
    AveragePool: _Layering.average_pool,
    Affine: _Layering.affine,
    Add: _Layering.add,
    Concatenate: _Layering.concatenate,
    Rearrange: _Layering.rearrange,
}
