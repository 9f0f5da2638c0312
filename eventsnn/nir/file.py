"""NIR files: HDF5 in, a ``nir.NIRGraph`` out, whatever version wrote it, or one clear refusal."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from eventsnn.arguments import shown
from eventsnn.errors import InvalidFile, MissingExtra, MissingFile, NirWarning

DEEPEST = 32
"""Sub-graphs inside one another."""

NODES = {
    "Input": ("shape",),
    "Output": ("shape",),
    "NIRGraph": ("nodes", "edges"),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": ("weight", "stride", "padding", "dilation", "groups", "bias"),
    "Conv2d": ("weight", "stride", "padding", "dilation", "groups", "bias"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("start_dim", "end_dim"),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
}
"""What each node must hold; ``v_reset`` (0), ``w_in`` (1), ``input_type``, ``input_shape`` may be missing."""

ONE_EACH = {
    kind: tuple(n for n in names if n not in ("nodes", "edges"))
    for kind, names in NODES.items()
    if kind in ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
}
"""Neurons' arrays: one value a neuron each."""


def nir_package() -> ModuleType:
    """The package ``nir``.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import nir
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "NIR graphs are read and written with the package nir, which is not installed; install it with: "
            "pip install 'eventsnn[nir]'"
        ) from error
    return nir


def read_graph(path: str | os.PathLike[str]) -> tuple[Any, str]:
    """A NIR graph and the version that wrote it.

    Returns
    -------
    nir.NIRGraph
        Its types are not checked; whoever lowers it does.
    str
        As in the file; empty if it does not say.

    Raises
    ------
    MissingFile
        There is no such file.
    InvalidFile
        No HDF5, no NIR graph, or a damaged one; says which node and what is wrong.
    MissingExtra
        The package ``nir`` is not installed.
    """
    import h5py

    nir_package()
    if not Path(path).is_file():
        what = "a folder" if Path(path).is_dir() else "not there"
        raise MissingFile(f"{path} is {what}; give the path of a NIR graph (.nir)")
    try:
        with h5py.File(path, "r") as file:
            if "node" not in file:
                raise InvalidFile(
                    f"{path} has no group 'node', which holds the graph of a NIR file; it has "
                    f"{', '.join(sorted(file)) or 'nothing'}"
                )
            document = _document(file["node"], 0)
            version = _text(file["version"][()]) if "version" in file else ""
    except InvalidFile:
        raise
    except Exception as error:  # whatever h5py raises on damaged bytes
        raise InvalidFile(
            f"{path} cannot be read as a NIR graph (HDF5): {error}. It may be truncated; copy it again"
        ) from error
    if not isinstance(document, dict):
        raise InvalidFile(f"{path} has {shown(document)} in the place of its graph; it is no NIR file")
    try:
        graph = built("", document)
    except InvalidFile as error:
        raise InvalidFile(f"{path}: {error}") from error
    if type(graph).__name__ != "NIRGraph":
        # A file may hold one node by itself.
        raise InvalidFile(
            f"{path} holds a single {type(graph).__name__} node, no graph; put it between Input and Output "
            "with nir.NIRGraph.from_list"
        )
    return graph, version


def _document(item: Any, depth: int) -> Any:
    """A group as a dict, a data set as its value."""
    if hasattr(item, "items"):
        if depth > 4 * DEEPEST:
            raise InvalidFile("groups lie too deep inside one another for a NIR graph")
        return {str(name): _document(inside, depth + 1) for name, inside in item.items()}
    value = item[()]
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def built(name: str, document: Any, depth: int = 0) -> Any:
    """A node as an object of the package ``nir``.

    Raises
    ------
    InvalidFile
        Another type than NIR's, or fields that are missing, too many or of other forms.
    """
    nir = nir_package()
    where = f"node {name!r}" if name else "the graph"
    if not isinstance(document, dict):
        raise InvalidFile(f"{where} is {shown(document)} in the place of a node")
    kind = document.get("type")
    if not isinstance(kind, str) or kind not in NODES:
        raise InvalidFile(f"{where} has the type {shown(kind)}; NIR's are {', '.join(NODES)}")
    missing = [field for field in NODES[kind] if field not in document]
    if missing:
        raise InvalidFile(
            f"{where} ({kind}) lacks {', '.join(missing)}; write the file again with a present version of nir"
        )
    if depth > DEEPEST:
        raise InvalidFile(f"{where} lies {depth} sub-graphs deep; at most {DEEPEST}")
    fields = dict(document)
    if not isinstance(fields.get("metadata", {}), dict):
        raise InvalidFile(f"{where} ({kind}) has {shown(fields['metadata'])} as its metadata")
    if kind == "NIRGraph":
        return _graph(where, name, fields, depth)
    if kind in ONE_EACH:
        fields |= _of_one_shape(where, kind, fields)
    if kind == "Delay":
        fields["delay"] = np.asarray(fields["delay"])
    # nir computes with it before anybody has looked at it.
    declared = fields.get("input_shape")
    if kind in ("Conv1d", "Conv2d"):
        fields["input_shape"] = None
    try:
        node = nir.dict2NIRNode(fields)
    except Exception as error:  # nir asserts, and lets NumPy fail
        what = str(error) or type(error).__name__
        raise InvalidFile(f"{where} ({kind}) is not as NIR has it: {what}") from error
    if declared is not None:
        node.input_shape = declared
    return node


def _graph(where: str, name: str, fields: dict[str, Any], depth: int) -> Any:
    nir = nir_package()
    nodes = fields["nodes"]
    if not isinstance(nodes, dict):
        raise InvalidFile(f"{where} has {shown(nodes)} in the place of its nodes")
    inside = {key: built(f"{name}.{key}" if name else key, value, depth + 1) for key, value in nodes.items()}
    edges = np.asarray(fields["edges"], dtype=object)
    if edges.size == 0:
        edges = edges.reshape(0, 2)
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise InvalidFile(f"{where} has edges of shape {edges.shape}; each is a pair of names")
    named = [(_text(a), _text(b)) for a, b in edges.tolist()]
    metadata = fields.get("metadata", {})
    return nir.NIRGraph(inside, named, metadata=metadata, type_check=False)


def _of_one_shape(where: str, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A neuron's arrays, single numbers among them as often as there are neurons."""
    names = [*ONE_EACH[kind], *(n for n in ("v_reset", "w_in") if n in fields)]
    arrays: dict[str, Any] = {}
    for name in names:
        array = np.asarray(fields[name])
        if array.dtype.kind not in "fiub":
            raise InvalidFile(f"{where} ({kind}): {name} is {shown(fields[name])}, no array of numbers")
        arrays[name] = array
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) == 1:
        return arrays
    whole = {shape for shape in shapes if shape != ()}
    if len(whole) > 1:
        told = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InvalidFile(
            f"{where} ({kind}) has arrays of several shapes: {told}; each has one value a neuron"
        )
    single = [name for name, array in arrays.items() if array.shape == ()]
    if single != ["w_in"]:
        warnings.warn(
            f"{where} ({kind}) has one value for all neurons in {', '.join(single)}; it is taken for each",
            NirWarning,
            stacklevel=2,
        )
    (shape,) = whole
    return {name: np.broadcast_to(array, shape).copy() for name, array in arrays.items()}
