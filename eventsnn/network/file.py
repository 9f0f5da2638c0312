"""Reading a network file; ``network.writing`` says what is in one."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from eventsnn import arguments
from eventsnn.errors import InvalidFile, InvalidNetwork, InvalidRequest, MissingFile
from eventsnn.network.graph import Network
from eventsnn.network.neurons import NEURON_KINDS
from eventsnn.network.population import Population
from eventsnn.network.projections import Projection
from eventsnn.network.synapses import SYNAPSE_KINDS, Axis, Synapses
from eventsnn.network.writing import (
    FORMAT,
    POPULATION_ARRAYS,
    POPULATION_FACTORS,
    PROJECTION_FLOATS,
    SCHEMA,
)


def load_network(path: str | os.PathLike[str]) -> Network:
    """Read a network file.

    Raises
    ------
    MissingFile
        There is no such file.
    InvalidRequest
        ``path`` is no path.
    InvalidFile
        Not HDF5, another format or schema, truncated, or changed since it was written.
    """
    import h5py

    path = arguments.path(path, "network file", InvalidRequest)
    if not Path(path).is_file():
        what = "a folder" if Path(path).is_dir() else "not there"
        raise MissingFile(f"{path} is {what}; give the path of an eventsnn network file (.h5)")
    try:
        with h5py.File(path, "r") as file:
            _check_header(file, path)
            populations = [_read_population(g, n) for n, g in file["populations"].items()]
            projections = [_read_projection(g, n) for n, g in file["projections"].items()]
            metadata = json.loads(file.attrs.get("metadata", "{}"))
            checksum = str(file.attrs.get("checksum", ""))
        network = Network(populations, projections, metadata)
    except InvalidNetwork as error:
        raise InvalidFile(f"{path}: {error}") from error
    except Exception as error:  # whatever h5py raises where a file holds other things than ours
        if isinstance(error, InvalidFile):
            raise
        raise InvalidFile(
            f"{path} cannot be read as an eventsnn network: {error}. It may be truncated or another "
            "kind of file; write it again with 'eventsnn convert'"
        ) from error
    if network.checksum != checksum:
        raise InvalidFile(
            f"{path}: checksum is {checksum or 'missing'}, its content gives {network.checksum}; the "
            "file was changed or damaged after it was written"
        )
    return network


def is_network(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is a network of ours, whole or not."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except (OSError, RuntimeError):
        return False


def _check_header(file: Any, path: object) -> None:
    found = file.attrs.get("format")
    if found is None and "node" in file:
        raise InvalidFile(f"{path} is a NIR graph; make a network of it with eventsnn convert, or from_nir")
    if found != FORMAT:
        raise InvalidFile(
            f"{path}: format attribute is {found!r}; an eventsnn network has {FORMAT!r}. Results files "
            "and networks are different files"
        )
    schema = file.attrs.get("schema")
    if schema != SCHEMA:
        raise InvalidFile(
            f"{path}: schema {schema} is not readable by this version, which knows schema {SCHEMA}"
        )


def _plain(value: Any) -> Any:
    """HDF5 attribute values as the Python numbers they were written from."""
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    return value.item() if isinstance(value, np.generic) else value


def _read_population(group: Any, name: str) -> Population:
    kind = group.attrs["neuron"]
    if kind not in NEURON_KINDS:
        raise InvalidNetwork(f"population {name!r} has neuron {kind!r}; known are {', '.join(NEURON_KINDS)}")
    model = NEURON_KINDS[kind]
    parameters = {f.name: _plain(group.attrs[f.name]) for f in fields(model) if f.name in group.attrs}
    arrays = {key: group[key][...] for key in (*POPULATION_ARRAYS, *POPULATION_FACTORS) if key in group}
    return Population(name, tuple(group.attrs["shape"].tolist()), model(**parameters), **arrays)


def _read_axis(attributes: Any, prefix: str) -> Axis:
    stored = {item.name: f"{prefix}_{item.name}" for item in fields(Axis)}
    return Axis(**{name: _plain(attributes[key]) for name, key in stored.items() if key in attributes})


def _read_projection(group: Any, name: str) -> Projection:
    attributes, kind = group.attrs, group.attrs["kind"]
    if kind not in SYNAPSE_KINDS:
        raise InvalidNetwork(f"projection {name!r} has kind {kind!r}; known are {', '.join(SYNAPSE_KINDS)}")
    values: dict[str, Any] = {}
    for item in fields(SYNAPSE_KINDS[kind]):
        if f"{item.name}_taps" in attributes:
            values[item.name] = _read_axis(attributes, item.name)
        elif item.name in attributes:
            values[item.name] = _plain(attributes[item.name])
        else:
            values[item.name] = group[item.name][...]
    try:
        synapses: Synapses = SYNAPSE_KINDS[kind](**values)
    except InvalidNetwork as error:
        raise InvalidNetwork(f"projection {name!r}: {error}") from error
    bias = group["bias"][...] if "bias" in group else None
    source, target = str(attributes["source"]), str(attributes["target"])
    offset = _plain(attributes.get("channel_offset", 0))
    exact = {key: group[key][...] for key in PROJECTION_FLOATS if key in group}
    return Projection(name, source, target, synapses, bias, _plain(attributes["delay"]), offset, **exact)
