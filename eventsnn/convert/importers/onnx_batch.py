"""A model's operators in turn, with a batch size that tells the batch axis from the others.

A model is walked first with a batch size that occurs nowhere in it: if every operator then leaves each
sample to itself, it takes batches of any size. Otherwise it may be bound to the size that it declares or
that one of its reshapes holds; it is then evaluated so many samples at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import count

import numpy as np
import onnx
from onnx import checker

from eventsnn.convert.graph.graph import Shape
from eventsnn.convert.graph.operations import Input
from eventsnn.convert.importers.onnx_file import Dim, Model
from eventsnn.convert.importers.onnx_operators import OPERATORS
from eventsnn.convert.importers.onnx_refusals import MixesSamples, refusal, title
from eventsnn.convert.importers.onnx_session import CannotRun, run_node, tensor_array
from eventsnn.convert.importers.onnx_walk import Value, Walk
from eventsnn.errors import InvalidFile, UnsupportedLayer

HINTS = {
    **dict.fromkeys(("LSTM", "GRU", "RNN", "Loop", "Scan"), "recurrent networks have no conversion"),
    **dict.fromkeys(
        (
            "LeakyRelu",
            "PRelu",
            "Elu",
            "Selu",
            "Sigmoid",
            "HardSwish",
            "Tanh",
            "Softplus",
            "Gelu",
        ),
        "spiking neurons rectify: train the network with ReLU in its place",
    ),
    **dict.fromkeys(("ArgMax", "TopK"), "name the class scores before it with --output-node NAME"),
    **dict.fromkeys(
        ("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"),
        "a training graph: name the class scores before it with --output-node NAME",
    ),
    "If": "export the model with its branches resolved (constant folding)",
}
"""What to do about operators that are met often and have no conversion."""
RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
SUBGRAPHS = {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}
LARGEST_UNBATCHED = 3
"""Axes of an image: a model's fixed input with more is a batch."""


@dataclass(frozen=True, eq=False)
class Walked:
    """A walk that went to the end.

    Attributes
    ----------
    walk : Walk
    dims : tuple of int
        The input's shape in it.
    bound : tuple of int or None
        The same where the model takes no other; None: any number of samples.
    """

    walk: Walk
    dims: Shape
    bound: Shape | None


def walk_model(
    model: Model, nodes: list[onnx.NodeProto], name: str, kind: np.dtype[np.generic], dims: tuple[Dim, ...]
) -> Walked:
    """The walk with a batch of any size; where an operator is against it, with that of the model's own.

    Raises
    ------
    UnsupportedLayer
        An operator has no conversion, or mixes samples with every batch size.
    """
    first, image = dims[0], tuple(length for length in dims[1:] if isinstance(length, int))
    refused: UnsupportedLayer = UnsupportedLayer(
        f"input {name!r} of shape ({first}) is a single number a sample; an image has more"
    )
    if image:
        unused = _unused_size(model, dims)
        try:
            walk = _walk(model, nodes, name, kind, unused, (unused, *image), True)
            if walk.computes_with_shapes:
                another = _unused_size(model, dims, above=unused)
                _compare(walk, _walk(model, nodes, name, kind, another, (another, *image), True))
            return Walked(walk, (unused, *image), None)
        except MixesSamples as error:
            refused, own = error, first if isinstance(first, int) and first > 0 else error.hint
        if own is not None:
            full = (own, *image)
            try:
                return Walked(_walk(model, nodes, name, kind, own, full), full, full)
            except MixesSamples as error:
                refused = error
    if isinstance(first, int) and first > 1 and len(dims) <= LARGEST_UNBATCHED:
        full = (first, *image)
        try:
            return Walked(_walk(model, nodes, name, kind, 1, full), full, full)
        except UnsupportedLayer as error:
            refused = refused if image else error
    raise refused


def _compare(walk: Walk, other: Walk) -> None:
    """Refuse parameters that are others with another batch size."""
    for one, two in zip(walk.nodes.values(), other.nodes.values(), strict=True):
        for field in fields(one.operation):  # type: ignore[arg-type]
            values = (getattr(operation, field.name) for operation in (one.operation, two.operation))
            if not np.array_equal(*values):
                raise UnsupportedLayer(
                    f"node {one.name!r} ({one.origin}): its {field.name} depends on the batch size; export "
                    "the model without computing with the number of samples"
                )


def _unused_size(model: Model, dims: tuple[Dim, ...], above: int = 100) -> int:
    """A number that occurs in the model nowhere, to tell the batch axis by."""
    used = {length for length in dims if isinstance(length, int)}
    tensors = list(model.proto.graph.initializer)
    for node in model.proto.graph.node:
        for attribute in node.attribute:
            used.update(attribute.ints)
            used.add(attribute.i)
            if attribute.HasField("t"):
                tensors.append(attribute.t)
    for tensor in tensors:
        used.update(tensor.dims)
        if (
            tensor.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
            and np.prod(tensor.dims) <= 64
        ):
            used.update(tensor_array(tensor).ravel().tolist())
    return next(size for size in count(above + 1) if size not in used)


def _walk(
    model: Model,
    nodes: list[onnx.NodeProto],
    name: str,
    kind: np.dtype[np.generic],
    batch: int,
    full: Shape,
    any_batch: bool = False,
) -> Walk:
    """Every operator in turn: constants are computed, the others added to the graph.

    Raises
    ------
    UnsupportedLayer
        By node and operator.
    InvalidFile
        A node with attributes or inputs that its operator does not have.
    """
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = model.proto.ir_version, {"": model.opset}
    taken = {made for node in nodes for made in node.output}
    walk = Walk(batch, model.opset, model.initialisers, taken, any_batch)
    shape = walk.shape_of(full)
    walk.add(name, Input(), (), shape, "Input")
    walk.know(name, Value(name, full, shape, kind if kind.kind in "iu" else None))
    for node in nodes:
        if node.domain not in ("", "ai.onnx"):
            raise refusal(
                node, "it is no operator of the ONNX standard; export the model without optimising it"
            )
        for read in node.input:
            if (
                read
                and not walk.is_constant(read)
                and read not in walk.values
                and not (read in walk.levels and node.op_type == "DequantizeLinear")
            ):
                raise refusal(
                    node,
                    f"it reads {read!r}, which has no conversion here: a further result of a node, or "
                    "quantised integers",
                )
        inner = any(attribute.type in SUBGRAPHS for attribute in node.attribute)
        if inner or node.op_type in RANDOM:
            raise refusal(node, HINTS.get(node.op_type, "this operator has no conversion"))
        if node.op_type in OPERATORS:
            _check(node, context)
        if all(walk.is_constant(read) for read in node.input if read):
            _compute(walk, node)
        elif node.op_type in OPERATORS:
            OPERATORS[node.op_type](walk, node)
        else:
            raise refusal(
                node, HINTS.get(node.op_type, "this operator has no conversion; replace it and train again")
            )
    return walk


def _check(node: onnx.NodeProto, context: checker.C.CheckerContext) -> None:
    """Refuse a node whose inputs and attributes are not those of its operator in that opset."""
    try:
        checker.check_node(node, context)
    except (checker.ValidationError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{title(node)} is no valid operator ({error}); export the model again") from error


def _compute(walk: Walk, node: onnx.NodeProto) -> None:
    """An operator on constants alone."""
    read = [walk.constant(name) if name else None for name in node.input]
    try:
        results = run_node(node, read, walk.opset)
    except CannotRun as error:
        raise refusal(node, f"onnxruntime cannot compute it from its constants: {error}") from error
    for name, array in zip(node.output, results, strict=True):
        if name:
            walk.keep_constant(name, array, not walk.of_shapes.isdisjoint(node.input))
