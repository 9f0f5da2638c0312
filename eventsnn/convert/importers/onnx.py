"""ONNX models as conversion graphs.

Operators of opset 7 and newer that exporters of PyTorch, Keras, TensorFlow and CNTK write for feed-forward
image networks; ``onnx_operators`` has one small function for each. Everything that depends on no input is
computed by onnxruntime while importing.
"""

from __future__ import annotations

import os

import numpy as np

from eventsnn.convert.graph.graph import Graph, Original, Shape
from eventsnn.errors import InvalidNetwork, MissingExtra, UnsupportedLayer

try:
    import onnx
    import onnxruntime

    from eventsnn.convert.importers.onnx_batch import walk_model
    from eventsnn.convert.importers.onnx_file import Model, input_dims, read_model, type_of
    from eventsnn.convert.importers.onnx_output import scores_tensor
    from eventsnn.convert.importers.onnx_quantised import join_quantised
    from eventsnn.convert.importers.onnx_session import Evaluation
    from eventsnn.convert.importers.onnx_walk import Walk
except ModuleNotFoundError as error:
    if error.name not in ("onnx", "onnxruntime"):
        raise
    raise MissingExtra(
        f"reading ONNX models needs {error.name}, which is not installed; "
        "install it with: pip install 'eventsnn[onnx]'"
    ) from error


def import_onnx(
    path: str | os.PathLike[str],
    output: str | None = None,
    input_shape: Shape | None = None,
    threads: int = 1,
) -> Original:
    """Read a trained network from an ONNX file.

    Parameters
    ----------
    path : path
        Files with external data are found beside it.
    output : str, optional
        Name of a value, or of a node, to take for the class scores; needed where several outputs could be.
    input_shape : tuple of int, optional
        Of one sample, where the file leaves the size of images free.
    threads : int
        That onnxruntime may use to evaluate the original.

    Returns
    -------
    Original
        Nodes are called after the model's tensors.

    Raises
    ------
    MissingFile, InvalidFile
        The file or its external data is not there, truncated, foreign or older than opset 7.
    InvalidNetwork
        NaN in a weight, no class scores.
    UnsupportedLayer
        An operator without a faithful conversion, by name; free image size; several inputs.
    InvalidRequest
        No such output; an input shape that contradicts the file.
    """
    model = read_model(path)
    scores = scores_tensor(model, output)
    nodes, read = _ancestors(model, scores)
    inputs = [name for name in model.inputs if name in read]
    if len(inputs) != 1:
        raise UnsupportedLayer(
            f"{scores!r} depends on {len(inputs)} inputs ({', '.join(inputs) or 'none'}); a network with one "
            "input, the image, has a conversion"
        )
    info = model.inputs[inputs[0]]
    kind = type_of(info)
    walked = walk_model(model, nodes, info.name, kind, input_dims(info, input_shape))
    walk = walked.walk
    if scores not in walk.values:
        raise InvalidNetwork(f"{scores!r} does not depend on the values of the input; name another output")
    final = walk.values[scores]
    join_quantised(walk, final.node)
    if output is None and sum(length != 1 for length in final.shape) != 1:
        raise InvalidNetwork(
            f"output {scores!r} has shape {final.shape} a sample, which is no score for each class; name the "
            "node that has them with --output-node NAME (output=... in Python)"
        )
    graph = _pruned(walk, info.name, final.node)
    _prepare(model.proto, nodes, info, walked.bound, walked.dims)
    shapes = {node.name: node.shape for node in graph.nodes.values()}
    evaluate = Evaluation(model.proto, info.name, kind, shapes, walk.sources, walked.bound, threads)
    # Once through the original: that it runs, with more samples than one, and has the shapes found here.
    evaluate(np.zeros((2, *shapes[info.name])), list(shapes))
    return Original(graph, evaluate, f"onnxruntime {onnxruntime.__version__}")


def _ancestors(model: Model, scores: str) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes on which a tensor depends, in the file's order, and the tensors they read."""
    needed = {scores}
    nodes = []
    for node in reversed(model.proto.graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(name for name in node.input if name)
    return nodes[::-1], needed


def _pruned(walk: Walk, input_name: str, output: str) -> Graph:
    """The nodes that the output depends on, and the input."""
    needed = {input_name, output}
    for node in reversed(walk.nodes.values()):
        if node.name in needed:
            needed.update(node.inputs)
    return Graph((node for node in walk.nodes.values() if node.name in needed), output)


def _prepare(
    proto: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    info: onnx.ValueInfoProto,
    bound: Shape | None,
    dims: Shape,
) -> None:
    """Leave in the model what the output depends on, with the batch that it is evaluated with."""
    graph = proto.graph
    kept_nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    initialisers = {tensor.name for tensor in graph.initializer}
    kept_inputs = [
        onnx.ValueInfoProto.FromString(one.SerializeToString())
        for one in graph.input
        if one.name == info.name or one.name in initialisers
    ]
    for field in (graph.node, graph.input, graph.value_info, graph.quantization_annotation):
        del field[:]
    graph.node.extend(kept_nodes)
    graph.input.extend(kept_inputs)
    entry = next(one for one in graph.input if one.name == info.name).type.tensor_type.shape
    del entry.dim[:]
    for length in dims:
        entry.dim.add().dim_value = length
    if bound is None:
        entry.dim[0].dim_param = "batch"
