"""What operators build the graph with: values, constants, nodes, and the batch axis.

Every tensor of a model is either a constant (it depends on no input) or a value. The model is walked with
one batch size, so that shapes which it computes are numbers. While that size is above 1, each value keeps
the batch as its first axis, and an operator that would move, cut or mix samples is refused. With batch 1,
all that there is belongs to the one sample, wherever its axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import onnx
from onnx import helper

from eventsnn.convert.graph.graph import Node, Shape
from eventsnn.convert.graph.operations import Affine, Int64, Operation, Rearrange
from eventsnn.convert.importers.onnx_refusals import MixesSamples, refusal
from eventsnn.convert.importers.onnx_session import Array, Source, tensor_array
from eventsnn.errors import InvalidNetwork


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the input.

    Attributes
    ----------
    node : str
        The graph's node that holds it.
    full : tuple of int
        Its shape in the walk, batch axis (if it has one) first.
    shape : tuple of int
        Of one sample: the node's.
    integer : dtype or None
        Of a value in integers, of which only rearrangements and casts are understood.
    """

    node: str
    full: Shape
    shape: Shape
    integer: np.dtype[Any] | None = None


class Walk:
    """The graph under construction.

    Parameters
    ----------
    batch : int
        Size of the batch axis.
    opset : int
    initialisers : dict of str to onnx.TensorProto
    taken : set of str
        Names of the model's tensors.
    any_batch : bool
        Whether ``batch`` stands for any size.

    Attributes
    ----------
    nodes : dict of str to Node
        Of the graph, in order.
    sources : dict of str to Source
        Where ``evaluate`` finds the value of each node.
    values : dict of str to Value
        Tensors of the model that depend on the input.
    levels : dict of str to (Value, int)
        Tensors of quantised integers: their value without the zero point, and the zero point.
    of_shapes : set of str
        Constants that depend on the shape of a value, and so perhaps on the batch size.
    computes_with_shapes : bool
        Whether one of them is a parameter of the network.
    """

    def __init__(
        self,
        batch: int,
        opset: int,
        initialisers: Mapping[str, onnx.TensorProto],
        taken: Set[str],
        any_batch: bool = False,
    ) -> None:
        self.batch = batch
        self.opset = opset
        self.any_batch = any_batch
        self.nodes: dict[str, Node] = {}
        self.sources: dict[str, Source] = {}
        self.values: dict[str, Value] = {}
        self.levels: dict[str, tuple[Value, int]] = {}
        self.of_shapes: set[str] = set()
        self.computes_with_shapes = False
        self._initialisers = initialisers
        self._taken = taken
        self._constants: dict[str, Array] = {}

    def attributes(self, node: onnx.NodeProto) -> dict[str, Any]:
        """A node's attributes by name; words as str."""
        found = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        return {
            name: value.decode(errors="replace") if isinstance(value, bytes) else value
            for name, value in found.items()
        }

    def is_constant(self, name: str) -> bool:
        """Whether a tensor depends on no input."""
        return name in self._constants or name in self._initialisers

    def keep_constant(self, name: str, array: Array, of_shapes: bool = False) -> None:
        """Take note of a tensor computed from constants, ``of_shapes`` if from the shape of a value."""
        self._constants[name] = array
        if of_shapes:
            self.of_shapes.add(name)

    def constant(self, name: str) -> Array:
        """The array of a constant. NaN is refused, naming the initialiser."""
        if name in self._constants:
            return self._constants[name]
        array = tensor_array(self._initialisers[name])
        if array.dtype.kind not in "iubOUS" and np.isnan(array).any():
            raise InvalidNetwork(
                f"initialiser {name!r} holds NaN; a trained network has finite weights: export it again"
            )
        return array

    def know(self, name: str, value: Value) -> None:
        """Take note of a tensor that the graph's node of that name holds."""
        self.sources[name] = Source(name, value.shape)
        self.values[name] = value

    def given(self, node: onnx.NodeProto, place: int) -> bool:
        """Whether a node has that input."""
        return len(node.input) > place and node.input[place] != ""

    def value(self, node: onnx.NodeProto, place: int = 0, integers: bool = False) -> Value:
        """The value that a node reads there.

        Raises
        ------
        UnsupportedLayer
            It is a constant, or in integers (without ``integers``).
        """
        name = node.input[place]
        if name not in self.values:
            raise refusal(node, f"it reads the constant {name!r} where an activation is expected")
        found = self.values[name]
        if found.integer is not None and not integers:
            raise refusal(
                node,
                f"it computes with {found.integer} numbers; cast the input to float before any arithmetic",
            )
        return found

    def parameter(self, node: onnx.NodeProto, place: int, what: str) -> Array:
        """The constant that a node reads there; ``what`` names it in the refusal of a computed one."""
        name = node.input[place]
        if not self.is_constant(name):
            raise refusal(
                node,
                f"its {what} {name!r} is computed from the network's input; only constants have a conversion",
            )
        return self.constant(name)

    def numbers(self, node: onnx.NodeProto, place: int, what: str) -> Array:
        """A constant as float64: a parameter of the network, not a shape, place or axis."""
        self.computes_with_shapes |= node.input[place] in self.of_shapes
        return self.parameter(node, place, what).astype(np.float64)

    def has_batch_axis(self, full: Shape) -> bool:
        """Whether the first axis of a tensor's shape is the batch."""
        return self.batch != 1 or (len(full) > 1 and full[0] == 1)

    def shape_of(self, full: Shape) -> Shape:
        """One sample's shape of a tensor's."""
        return full[1:] if self.has_batch_axis(full) else full

    def add(
        self, name: str, operation: Operation, inputs: Sequence[Value], shape: Shape, origin: str
    ) -> None:
        """A node of the graph. Parameters that are not finite are refused."""
        for field in fields(operation):  # type: ignore[arg-type]
            parameter = getattr(operation, field.name)
            if isinstance(parameter, np.ndarray) and not np.isfinite(parameter).all():
                raise InvalidNetwork(
                    f"node {name!r} ({origin}): its {field.name} holds NaN or infinity; a trained network "
                    "has finite weights: export it again"
                )
        if name in self.nodes:
            raise InvalidNetwork(f"two nodes of the model compute {name!r}; export it again")
        self.nodes[name] = Node(name, operation, tuple(value.node for value in inputs), shape, origin)

    def give(
        self, node: onnx.NodeProto, operation: Operation, inputs: Sequence[Value], full: Shape, place: int = 0
    ) -> None:
        """A node for an operator's output, under the output's name."""
        name, shape = node.output[place], self.shape_of(full)
        self.add(name, operation, inputs, shape, node.op_type)
        self.know(name, Value(name, full, shape, inputs[0].integer))

    def give_inside(
        self,
        node: onnx.NodeProto,
        operation: Operation,
        value: Value,
        inner: Shape,
        order: Int64,
        full: Shape,
    ) -> None:
        """An operator's output as a rearranged ``operation``.

        ``inner`` is the shape of one sample's value of ``operation``, ``order`` (shape ``shape_of(full)``)
        the place in it of each of the output's values: a permutation.
        """
        if inner == order.shape and np.array_equal(order.ravel(), np.arange(order.size)):
            self.give(node, operation, [value], full)
            return
        back = np.empty(order.size, np.int64)
        back[order.ravel()] = np.arange(order.size)
        name = self.free_name(f"{node.output[0]} in its own order")
        self.add(name, operation, [value], inner, node.op_type)
        self.sources[name] = Source(node.output[0], order.shape, (Rearrange(back.reshape(inner)),))
        self.give(node, Rearrange(order), [Value(name, (self.batch, *inner), inner)], full)

    def alias(self, node: onnx.NodeProto, value: Value, place: int = 0) -> None:
        """An output that is its input: no node."""
        self.values[node.output[place]] = value

    def between(
        self, value: Value, operation: Affine | Rearrange, full: Shape, what: str, origin: str
    ) -> Value:
        """A node that no tensor of the model stands for, computed from ``value``."""
        shape = self.shape_of(full)
        name = self.free_name(f"{value.node} {what}")
        self.add(name, operation, [value], shape, origin)
        known = self.sources[value.node]
        self.sources[name] = Source(known.tensor, known.shape, (*known.steps, operation))
        return Value(name, full, shape, value.integer)

    def arranged(self, node: onnx.NodeProto, value: Value, indices: Int64, what: str) -> Value:
        """The value in another arrangement, or itself where that is the one it has."""
        shape = indices.shape
        if shape == value.shape and np.array_equal(indices.ravel(), np.arange(indices.size)):
            return value
        return self.between(value, Rearrange(indices), (self.batch, *shape), what, node.op_type)

    def free_name(self, wanted: str) -> str:
        """A name that neither the graph nor the model has."""
        while wanted in self.nodes or wanted in self._taken:
            wanted += "'"
        return wanted

    def shown(self, full: Shape) -> str:
        """A tensor's shape for messages; the batch is N while it stands for any."""
        axes = [
            "N" if place == 0 and self.batch == size and self.any_batch else str(size)
            for place, size in enumerate(full)
        ]
        return f"({', '.join(axes)})"

    def result_shape(self, node: onnx.NodeProto, *shapes: Shape) -> Shape:
        """The shape to which tensors broadcast."""
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError as error:
            raise self.misfit(node, *shapes) from error

    def misfit(self, node: onnx.NodeProto, *shapes: Shape) -> MixesSamples:
        """The error for shapes that would fit together with another batch size perhaps."""
        hints = [shape[0] for shape in shapes if shape and shape[0] not in (1, self.batch)]
        listed = ", ".join(map(self.shown, shapes))
        return MixesSamples(node, f"shapes {listed} do not fit together", max(hints, default=None))

    def broadcast(self, node: onnx.NodeProto, value: Value, full: Shape) -> Value:
        """A value with its values repeated to a larger shape."""
        if value.full == full:
            return value
        places = np.arange(int(np.prod(value.shape)))
        if self.batch == 1:
            indices = np.broadcast_to(places.reshape(value.full), full).reshape(self.shape_of(full))
        elif len(full) == len(value.full) and full[0] == value.full[0]:
            indices = np.broadcast_to(places.reshape(value.shape), full[1:])
        else:
            raise MixesSamples(node, f"shape {self.shown(value.full)} becomes {self.shown(full)}")
        return self.arranged(node, value, np.ascontiguousarray(indices), "repeated")

    def per_sample(self, node: onnx.NodeProto, constant: Array, full: Shape) -> Array:
        """A constant for one sample of a tensor of that shape, with as many axes."""
        array = constant.reshape((1,) * (len(full) - constant.ndim) + constant.shape)
        if not self.has_batch_axis(full):
            return array
        if (array != array[:1]).any():
            raise MixesSamples(node, "its constant differs from sample to sample", len(array))
        return array[0]
