"""The values of an ONNX model, by onnxruntime on the file as it is, and of the graph made of it."""

import numpy as np
import onnxruntime
from builders.onnx_models import save

from eventsnn.convert.importers.onnx import import_onnx
from oracles.graph_values import graph_values

KINDS = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(double)": np.float64}


def by_onnxruntime(path, batch, names=None):
    """The file as it is, at its own batch size, on float64 samples."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    kind = KINDS[given.type]
    size = given.shape[0] if isinstance(given.shape[0], int) else len(batch)
    if len(given.shape) == batch.ndim - 1:
        parts = [session.run(names, {given.name: one.astype(kind)}) for one in batch]
        return [np.stack(column) for column in zip(*parts, strict=True)]
    parts = [
        session.run(names, {given.name: batch[k : k + size].astype(kind)}) for k in range(0, len(batch), size)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def checked(made, tmp_path, output="y", samples=3, tolerance=1e-6, lowest=-3, largest=3, **settings):
    """Import, and compare every node with onnxruntime, and the output with the file as it is."""
    path = save(made, tmp_path / "model.onnx")
    original = import_onnx(path, output, **settings)
    graph = original.graph
    batch = (
        np.random.default_rng(21)
        .integers(lowest, largest + 1, (samples, *graph.nodes[graph.input].shape))
        .astype(np.float64)
    )
    values = graph_values(graph, batch)
    known = original.evaluate(batch, list(graph.nodes))
    assert list(known) == list(graph.nodes)
    for name, value in values.items():
        assert known[name].dtype == np.float64
        np.testing.assert_allclose(
            value, known[name], rtol=tolerance, atol=tolerance * max(1, np.abs(value).max()), err_msg=name
        )
    names = [one.name for one in made.graph.output]
    if output in names:
        (raw,) = by_onnxruntime(path, batch, [output])
        given = known[graph.output].ravel()
        limit = tolerance * max(1, np.abs(given).max())
        np.testing.assert_allclose(given, raw.astype(float).ravel(), rtol=tolerance, atol=limit)
    return original


def kinds(original):
    """The operations of a graph by name, in order, without the input."""
    return [type(one.operation).__name__ for one in original.graph.nodes.values()][1:]
