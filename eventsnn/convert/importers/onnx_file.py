"""Reading an ONNX file: what is damaged, foreign, missing or too old is refused before anything is built."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper, helper, inliner

from eventsnn.convert.graph.graph import Shape
from eventsnn.errors import InvalidFile, InvalidRequest, MissingFile, UnsupportedLayer

Dim = int | str
LOWEST_OPSET = 7
IMAGE_TYPES = [np.dtype(word) for word in ("f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")]


@dataclass(frozen=True, eq=False)
class Model:
    """A model as it stands in its file.

    Attributes
    ----------
    proto : onnx.ModelProto
    opset : int
    initialisers : dict of str to onnx.TensorProto
    inputs : dict of str to onnx.ValueInfoProto
        True inputs: those that no initialiser is given for.
    outputs : tuple of str
    """

    proto: onnx.ModelProto
    opset: int
    initialisers: Mapping[str, onnx.TensorProto]
    inputs: Mapping[str, onnx.ValueInfoProto]
    outputs: tuple[str, ...]


def read_model(path: str | os.PathLike[str]) -> Model:
    """Read an ONNX file and the files of external data that belong to it.

    Raises
    ------
    MissingFile
        The file, or one with external data, is not there.
    InvalidFile
        Truncated, of another format, or older than opset 7.
    """
    place = Path(path)
    if not place.is_file():
        raise MissingFile(f"no model file {place}; give the path of an .onnx file")
    try:
        proto = onnx.load_model_from_string(place.read_bytes())
    except DecodeError as error:
        raise InvalidFile(
            f"{place} is no ONNX file, or it is truncated ({error}); export the model again"
        ) from error
    if not proto.graph.node or not proto.graph.output or not proto.opset_import:
        raise InvalidFile(
            f"{place} is no ONNX file, or it is truncated: it holds no graph; export the model again"
        )
    opset = next((one.version for one in proto.opset_import if one.domain in ("", "ai.onnx")), 0)
    if opset == 0:
        raise InvalidFile(f"{place} uses no operators of the ONNX standard; export the network itself")
    if opset < LOWEST_OPSET:
        raise InvalidFile(
            f"{place} is of opset {opset}; opset {LOWEST_OPSET} and newer are read: convert it with "
            f"onnx.version_converter.convert_version(model, 13), or export it again"
        )
    _load_external_data(proto, place)
    if proto.functions:
        proto = inliner.inline_local_functions(proto)
    if proto.graph.sparse_initializer:
        name = proto.graph.sparse_initializer[0].values.name
        raise UnsupportedLayer(f"initialiser {name!r} is sparse; export the model with dense initialisers")
    initialisers = {tensor.name: tensor for tensor in proto.graph.initializer}
    inputs = {one.name: one for one in proto.graph.input if one.name not in initialisers}
    return Model(proto, opset, initialisers, inputs, tuple(one.name for one in proto.graph.output))


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _load_external_data(proto: onnx.ModelProto, place: Path) -> None:
    """Read tensors kept in files beside the model; those files may lie nowhere else."""
    for tensor in _tensors(proto.graph):
        if not external_data_helper.uses_external_data(tensor):
            continue
        told = {entry.key: entry.value for entry in tensor.external_data}
        location = PurePosixPath(told.get("location", "").replace("\\", "/"))
        if not location.parts or location.is_absolute() or ".." in location.parts:
            raise InvalidFile(
                f"{place}: initialiser {tensor.name!r} names external data at {str(location)!r}; it must be "
                "a file in the model's folder"
            )
        data = place.parent / location
        if not data.is_file():
            raise MissingFile(
                f"{place}: the weights of {tensor.name!r} lie in {location.name}, which is not beside the "
                f"model; put it at {data}, or export the model into one file"
            )
        try:
            offset = int(told.get("offset", 0))
            length = int(told.get("length", data.stat().st_size - offset))
        except ValueError as error:
            raise InvalidFile(f"{place}: where {tensor.name!r} begins in {data} is no number") from error
        if offset < 0 or length < 0 or offset + length > data.stat().st_size:
            raise InvalidFile(
                f"{data} is truncated: {tensor.name!r} needs {offset + length} bytes of it, it has "
                f"{data.stat().st_size}; copy it again"
            )
        external_data_helper.load_external_data_for_tensor(tensor, str(place.parent))
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def dims_of(info: onnx.ValueInfoProto) -> tuple[Dim, ...] | None:
    """A tensor's declared shape, free axes by their names ("?" without one); None if none is declared."""
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(
        one.dim_value if one.HasField("dim_value") else one.dim_param or "?" for one in kind.shape.dim
    )


def type_of(info: onnx.ValueInfoProto) -> np.dtype[Any]:
    """A tensor's declared type of numbers.

    Raises
    ------
    UnsupportedLayer
        None that images are given in.
    """
    number = info.type.tensor_type.elem_type
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(number)) if number else None
    if kind is None or kind not in IMAGE_TYPES:
        raise UnsupportedLayer(
            f"input {info.name!r} is of type {onnx.TensorProto.DataType.Name(number)}; images are floats or "
            "integers"
        )
    return kind


def input_dims(info: onnx.ValueInfoProto, given: Shape | None) -> tuple[Dim, ...]:
    """The input's shape, batch axis first; every other axis a number.

    Parameters
    ----------
    info : onnx.ValueInfoProto
    given : tuple of int or None
        Of one sample, where the file leaves it free.

    Raises
    ------
    UnsupportedLayer
        Another axis than the batch's is free and not given.
    InvalidRequest
        What is given contradicts the file.
    """
    dims = dims_of(info)
    shown = f"({', '.join(map(str, dims))})" if dims is not None else "no shape"
    if dims == ():
        raise UnsupportedLayer(f"input {info.name!r} is a single number; an image network reads images")
    if given is not None:
        if dims is not None and (
            len(given) != len(dims) - 1
            or any(isinstance(own, int) and own != one for own, one in zip(dims[1:], given, strict=True))
        ):
            raise InvalidRequest(f"input_shape {given} does not fit input {info.name!r} with {shown}")
        return (dims[0] if dims is not None else "N", *given)
    if dims is None or any(not isinstance(own, int) or own < 1 for own in dims[1:]):
        free = [str(own) for own in (dims or ())[1:] if not isinstance(own, int) or own < 1]
        raise UnsupportedLayer(
            f"input {info.name!r} has {'shape ' if dims else ''}{shown}"
            + (f" with {', '.join(map(repr, free))} free" if free else "")
            + "; export the model with a fixed image size, or give a sample's shape: --input-shape C,H,W "
            "(input_shape=(channels, y, x) in Python)"
        )
    return dims
