"""Small ONNX models, written node by node as exporters write them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FREE = "N"


def node(kind, inputs, outputs, **attributes):
    """A node; names separated by blanks."""
    return helper.make_node(
        kind, inputs.split(" "), outputs.split(" "), name=f"{kind} of {outputs.split(' ')[0]}", **attributes
    )


def model(
    nodes,
    shape,
    outputs=("y",),
    constants=None,
    batch=FREE,
    opset=13,
    ir_version=8,
    kind=TensorProto.FLOAT,
    output_shapes=None,
    listed=False,
):
    """A model with one input ``x`` of shape (batch, *shape); ``listed``: initialisers stand among the inputs.

    ``batch`` None: the input has no batch axis.
    """
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    full = list(shape) if batch is None else [batch, *shape]
    inputs = [helper.make_tensor_value_info("x", kind, full)]
    if listed:
        inputs += [helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)) for one in tensors]
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (output_shapes or {}).get(name))
        for name in outputs
    ]
    graph = helper.make_graph(nodes, "network", inputs, given, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def single(kind, shape, *parameters, opset=13, outputs=1, **attributes):
    """One operator on the input and on constants; None leaves an input out."""
    names = ["x", *("" if value is None else f"c{place}" for place, value in enumerate(parameters))]
    constants = {f"c{place}": value for place, value in enumerate(parameters) if value is not None}
    made = ["y", "z", "w", "u", "v"][:outputs]
    one = helper.make_node(kind, names, made, name="the one", **attributes)
    return model([one], shape, made, constants, opset=opset)


def integers(rng, *shape, lowest=-3, largest=3):
    """Small whole numbers in float32: sums of products of them are exact in it."""
    return rng.integers(lowest, largest + 1, shape).astype(np.float32)


def i64(*values):
    """Shapes, axes, indices."""
    return np.array(values, dtype=np.int64)


def save(made, path):
    """The model in a file."""
    onnx.save_model(made, str(path))
    return path
