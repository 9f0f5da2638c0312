"""Which tensor of a model holds the class scores."""

from __future__ import annotations

import onnx

from eventsnn.convert.importers.onnx_file import Dim, Model, dims_of
from eventsnn.errors import InvalidNetwork, InvalidRequest

FLOATING = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
)


def scores_tensor(model: Model, wanted: str | None) -> str:
    """The tensor with the class scores: the one named, or the only output that has a score a class.

    Raises
    ------
    InvalidRequest
        No tensor and no node of that name.
    InvalidNetwork
        No output is, or several are, of shape (samples, classes).
    """
    if wanted is not None:
        return _named(model, wanted)
    infos = list(model.proto.graph.output)
    if len(infos) > 1 and any(_known(info) is None for info in infos):
        inferred = onnx.shape_inference.infer_shapes(model.proto, data_prop=True)
        infos = list(inferred.graph.output)
    found = [info for info in infos if (dims := _known(info)) is None or is_scores(dims)]
    if len(infos) == 1 and [type(length) for length in _known(infos[0]) or ()] == [int]:
        found = infos  # without a batch axis scores have the shape (classes,): the walk tells
    if len(found) == 1 and (len(infos) == 1 or _known(found[0]) is not None):
        return found[0].name
    listed = ", ".join(f"{info.name!r} {_shown(info)}" for info in infos)
    what = "no output with class scores" if not found else "no single output with class scores"
    raise InvalidNetwork(
        f"the model has {what}, of shape (samples, classes): {listed}; name the node that has them with "
        "--output-node NAME (output=... in Python); of a training graph export the network without the loss"
    )


def _named(model: Model, wanted: str) -> str:
    made = {name for node in model.proto.graph.node for name in node.output if name}
    if wanted in made:
        return wanted
    nodes = [node for node in model.proto.graph.node if node.name == wanted and node.output]
    if len(nodes) != 1:
        raise InvalidRequest(
            f"the model has no node and no value {wanted!r} for its output; its outputs: "
            f"{', '.join(model.outputs)}; its last nodes: "
            + ", ".join(node.name or node.output[0] for node in model.proto.graph.node[-5:])
        )
    return nodes[0].output[0]


def is_scores(dims: tuple[Dim, ...]) -> bool:
    """Whether a shape, batch first, is a score for each of several classes (further axes of length 1)."""
    wide = [length for length in dims[1:] if length != 1]
    return len(wide) == 1


def _known(info: onnx.ValueInfoProto) -> tuple[Dim, ...] | None:
    """The declared shape if its axes but the batch's are numbers. What is no float tensor has shape ()."""
    if not info.type.HasField("tensor_type") or info.type.tensor_type.elem_type not in (0, *FLOATING):
        return () if info.type.WhichOneof("value") else None
    dims = dims_of(info)
    return None if dims is None or any(isinstance(length, str) for length in dims[1:]) else dims


def _shown(info: onnx.ValueInfoProto) -> str:
    dims = dims_of(info)
    return "of unknown shape" if dims is None else f"({', '.join(map(str, dims))})"
