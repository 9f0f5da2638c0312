"""onnxruntime as the authority: single nodes evaluated while importing, and the whole model afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from eventsnn.convert.graph.graph import Float64, Shape
from eventsnn.convert.graph.operations import Affine, Rearrange
from eventsnn.errors import InvalidFile, InvalidNetwork, InvalidRequest

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Source:
    """Where a node's value is found in the original.

    Attributes
    ----------
    tensor : str
        A tensor of the model.
    shape : tuple of int
        Of one sample's value of that tensor.
    steps : tuple of Affine or Rearrange
        What makes the node's value of the tensor's, one after the other; empty: it is the tensor's.
    """

    tensor: str
    shape: Shape
    steps: tuple[Affine | Rearrange, ...] = ()

    def value(self, tensor: Float64) -> Float64:
        """The node's values for a batch of the tensor's, (samples, *shape)."""
        for step in self.steps:
            if isinstance(step, Rearrange):
                flat = tensor.reshape(len(tensor), -1)
                tensor = np.where(step.indices >= 0, flat[:, step.indices], 0.0)
            else:
                tensor = step.factor * tensor + step.shift
        return tensor


class CannotRun(Exception):
    """onnxruntime's word on a model that it does not run."""


def session(model: bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session on the CPU that computes what the model says, node by node: without rewriting the graph
    no value depends on which others are asked for."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        # There is nothing to fall back to, and the attempt would be printed.
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # onnxruntime has a class of error for each status and no common base
        raise CannotRun(str(error)) from error


def run_node(node: onnx.NodeProto, read: Sequence[Array | None], opset: int) -> list[Array]:
    """One node alone on given inputs (None: left out).

    Raises
    ------
    CannotRun
        With onnxruntime's message.
    """
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    alone.name = ""
    del alone.input[:]
    names = ["" if value is None else f"input{place}" for place, value in enumerate(read)]
    alone.input.extend(names)
    present = {name: value for name, value in zip(names, read, strict=True) if value is not None}
    asked = [name for name in alone.output if name]
    graph = helper.make_graph(
        [alone],
        "one_node",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in present.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in asked],
    )
    # The IR version only says which fields a file may use; a low one is read by every onnxruntime.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    opened = session(model.SerializeToString())
    try:
        found = dict(zip(asked, opened.run(asked, present), strict=True))
    except Exception as error:
        raise CannotRun(str(error)) from error
    return [np.asarray(found[name]) if name else np.empty(0) for name in alone.output]


def tensor_array(tensor: onnx.TensorProto) -> Array:
    """A tensor of the file as an array.

    Raises
    ------
    InvalidFile
        What it holds is not of its shape, or of no known type.
    """
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidFile(
            f"initialiser {tensor.name!r} is damaged ({error}); export the model again"
        ) from error


class Evaluation:
    """Evaluates the original by onnxruntime: the ``evaluate`` of an ``Original``.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed, and kept: belongs to this object.
    input_name : str
    input_type : dtype
        Of the model's input.
    shapes : dict of str to tuple of int
        Of one sample's value of each node of the graph.
    sources : dict of str to Source
        Of the same nodes.
    bound : tuple of int or None
        None: the model takes any number of samples at once. Otherwise the only shape that its input may
        have; samples are given so many at a time, the last ones filled up with zeros.
    threads : int
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        input_name: str,
        input_type: np.dtype[Any],
        shapes: Mapping[str, Shape],
        sources: Mapping[str, Source],
        bound: Shape | None,
        threads: int = 1,
    ) -> None:
        self._model = model
        self._input, self._type = input_name, input_type
        self._shapes, self._sources = shapes, sources
        self._bound = bound
        self._threads = threads
        self._opened: tuple[list[str], onnxruntime.InferenceSession] | None = None

    def __call__(self, values: Float64, names: Sequence[str]) -> dict[str, Float64]:
        """Values (samples, *shape) of the named nodes, float64, for a batch.

        Raises
        ------
        InvalidRequest
            A name that the graph does not have, a batch of another shape, fractions for a model that reads
            integers.
        InvalidNetwork
            onnxruntime does not run the model, or gives a value of another size.
        """
        for name in names:
            if name not in self._shapes:
                raise InvalidRequest(f"the graph has no node {name!r}; its nodes: {', '.join(self._shapes)}")
        fed = self._fed(np.asarray(values))
        if not len(fed):  # some operators refuse to compute nothing
            return {name: np.zeros((0, *self._shapes[name])) for name in names}
        tensors = sorted({self._sources[name].tensor for name in names} - {self._input})
        try:
            found = self._tensors(fed, tensors) if tensors else {}
        except CannotRun as error:
            raise InvalidNetwork(
                f"onnxruntime cannot evaluate the model ({error}); export it again, in float32"
            ) from error
        found[self._input] = fed
        return {name: self._value(name, found[self._sources[name].tensor]) for name in names}

    def _fed(self, values: Array) -> Array:
        shape = self._shapes[self._input]
        if values.shape[1:] != shape:
            raise InvalidRequest(
                f"the model reads samples of shape {shape}; the batch has shape {values.shape}, "
                f"it must be (samples, {', '.join(map(str, shape))})"
            )
        with np.errstate(invalid="ignore"):
            fed = values.astype(self._type)
        if self._type.kind in "iub" and not np.array_equal(fed.astype(np.float64), values):
            raise InvalidRequest(
                f"input {self._input!r} of the model is {self._type}; the batch has values that are no such "
                "numbers: give them in the model's own range, without fractions"
            )
        return fed

    def _tensors(self, fed: Array, names: list[str]) -> dict[str, Array]:
        """The model's tensors, one row a sample."""
        opened = self._session(names)
        if self._bound is None:
            return dict(zip(names, self._run(opened, names, fed), strict=True))
        size = math.prod(self._bound) // math.prod(fed.shape[1:])
        parts = []
        for start in range(0, len(fed), size):
            part = fed[start : start + size]
            filled = np.zeros((size, *fed.shape[1:]), fed.dtype)
            filled[: len(part)] = part
            found = self._run(opened, names, filled.reshape(self._bound))
            parts.append([value.reshape(size, -1)[: len(part)] for value in found])
        return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}

    def _run(self, opened: onnxruntime.InferenceSession, names: list[str], fed: Array) -> list[Array]:
        try:
            return [np.asarray(value) for value in opened.run(names, {self._input: fed})]
        except Exception as error:  # see session()
            raise CannotRun(str(error)) from error

    def _session(self, names: list[str]) -> onnxruntime.InferenceSession:
        """The last one is kept: calibration asks for the same values again and again."""
        if self._opened is None or self._opened[0] != names:
            self._opened = None
            del self._model.graph.output[:]
            self._model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
            try:
                content = self._model.SerializeToString()
            except Exception as error:  # protobuf's own class, in its compiled part
                raise CannotRun(f"the model is too large for one file ({error})") from error
            self._opened = (names, session(content, self._threads))
        return self._opened[1]

    def _value(self, name: str, found: Array) -> Float64:
        source, shape, samples = self._sources[name], self._shapes[name], len(found)
        value = np.asarray(found, dtype=np.float64)
        if value.size != samples * math.prod(source.shape):
            raise InvalidNetwork(
                f"onnxruntime gives {source.tensor!r} the shape {value.shape} for {samples} samples, where "
                f"{(samples, *source.shape)} follows from the model's operators; please report the model"
            )
        return source.value(value.reshape(samples, *source.shape)).reshape(samples, *shape)
