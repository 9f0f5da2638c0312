"""The rival's side of ``inference.py``: onnxruntime runs a trained network, one image at a time.

    .venv-peers/bin/python benchmarks/rival_onnxruntime.py JOB.npz RESULT.npz

It runs in the rivals' own environment and imports nothing of this project. A job holds a chain of layers with
their float32 parameters, and images; the result holds the logits, and CPU and wall-clock seconds of each
timed image: one thread, onnxruntime's own optimisation of the graph in full.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def model(layers: list[dict[str, Any]], arrays: Any, shape: tuple[int, ...]) -> bytes:
    """The chain as an ONNX file; shape of an image: (1, channels, height, width)."""
    nodes, initialisers, value = [], [], "input"
    for place, layer in enumerate(layers):
        names = [f"{value}"]
        for parameter in layer["parameters"]:
            names.append(f"{parameter}{place}")
            initialisers.append(numpy_helper.from_array(arrays[names[-1]], names[-1]))
        value = f"value{place}"
        nodes.append(helper.make_node(layer["operator"], names, [value], **layer["attributes"]))
    graph = helper.make_graph(
        nodes, "chain",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)],
        initialisers,
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    return made.SerializeToString()


def main(source: str, target: str) -> None:
    """Run a job."""
    with np.load(source) as file:
        job, arrays = json.loads(str(file["job"])), {name: file[name] for name in file.files}
    images = arrays["images"][:, None]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = model(job["layers"], arrays, images.shape[1:])
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    logits = np.concatenate([session.run(None, {"input": image})[0] for image in images])
    seconds = np.zeros((2, job["repeats"], job["timed"]))
    for repeat in range(job["repeats"]):
        for place in range(job["timed"]):
            given = {"input": images[place]}
            began = time.process_time(), time.perf_counter()
            session.run(None, given)
            seconds[:, repeat, place] = time.process_time() - began[0], time.perf_counter() - began[1]
    np.savez(target, logits=logits, seconds=seconds, version=onnxruntime.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
