"""The network file as it is written: HDF5 with a schema number and a checksum over what the network computes.

``populations/<name>`` holds the attributes ``neuron``, ``shape`` and the neuron's parameters, and for a
network at rest the datasets ``initial_charge`` and ``initial_count``, with biases of its own ``bias``, and
of the output ``decision_weights`` (int64) where a count of its channels is not worth the same; with several
time constants ``leak_factors`` and ``synapse_factors``;
``projections/<name>`` holds ``kind``, ``source``, ``target``, ``delay``, ``channel_offset``, the datasets
``bias``, ``exact_weight`` and ``exact_bias`` (float64, what weights and bias were rounded from; both in the
checksum), and the fields of the synapses' kind: arrays (``weight``; ``indptr`` and ``indices`` of sparse
synapses) as datasets, an axis ``y`` as ``y_taps``, ``y_stride`` and so on, numbers as attributes. What
schema 1 gained later is left out at its default. ``metadata`` is a JSON attribute; of it only ``input``, the
input contract, and ``output`` are part of the checksum.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn import arguments
from eventsnn.errors import InvalidRequest
from eventsnn.network.neurons import neuron_parameters
from eventsnn.network.population import Population
from eventsnn.network.projections import Projection
from eventsnn.network.synapses import Axis, Synapses
from eventsnn.network.synapses.base import blocks
from eventsnn.output import hdf5_replaced_whole

if TYPE_CHECKING:
    from eventsnn.network.graph import Network

FORMAT = "eventsnn-network"
SCHEMA = 1
# Datasets, with the type that the checksum takes them in.
POPULATION_ARRAYS = {
    "initial_charge": "<i4",
    "initial_count": "<i4",
    "bias": "<i4",
    "decision_weights": "<i8",
}
# Likewise; the checksum takes their names, too.
POPULATION_FACTORS = ("leak_factors", "synapse_factors")
PROJECTION_FLOATS = ("exact_weight", "exact_bias")
# A parameter that is None has no HDF5 value: it is left out of the file and of the checksum.


def _population_attributes(population: Population) -> dict[str, Any]:
    parameters = neuron_parameters(population.neuron)
    return {
        "neuron": population.neuron.kind,
        "shape": list(population.shape),
        **{name: value for name, value in parameters.items() if value is not None},
    }


def _is_written(owner: Any, item: Field[Any]) -> bool:
    """Whether a field is in the file and the checksum: not if schema 1 gained it later and it is unused."""
    return not item.metadata.get("omitted_at_default") or getattr(owner, item.name) != item.default


def _axis_attributes(prefix: str, axis: Axis) -> dict[str, int]:
    written = [item.name for item in fields(axis) if _is_written(axis, item)]
    return {f"{prefix}_{name}": getattr(axis, name) for name in written}


def _projection_attributes(projection: Projection) -> dict[str, Any]:
    attributes: dict[str, Any] = {"kind": projection.synapses.kind}
    for item in fields(projection):
        if item.name in ("source", "target", "delay", "channel_offset") and _is_written(projection, item):
            attributes[item.name] = getattr(projection, item.name)
    for item in fields(projection.synapses):
        value = getattr(projection.synapses, item.name)
        if isinstance(value, Axis):
            attributes |= _axis_attributes(item.name, value)
        elif not isinstance(value, np.ndarray):
            attributes[item.name] = list(value) if isinstance(value, tuple) else value
    return attributes


def _synapse_arrays(synapses: Synapses) -> dict[str, NDArray[Any]]:
    values = {item.name: getattr(synapses, item.name) for item in fields(synapses)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def content_checksum(network: Network) -> str:
    """blake2b-128 over populations and projections, by name, declaration order left out."""
    digest = hashlib.blake2b(digest_size=16)

    def add(label: str, attributes: dict[str, Any]) -> None:
        digest.update(json.dumps([label, attributes], sort_keys=True).encode())

    def add_array(array: NDArray[Any], stored: str = "<i4") -> None:
        digest.update(repr(array.shape).encode())
        flat = array.reshape(-1)
        for part in blocks(flat.size):  # no copy where the bytes are already in this order
            digest.update(np.ascontiguousarray(flat[part], dtype=stored).data)

    for name in sorted(network.populations):
        population = network.populations[name]
        add(name, _population_attributes(population))
        for key, stored in POPULATION_ARRAYS.items():
            if getattr(population, key) is not None:
                add_array(getattr(population, key), stored)
        for key in POPULATION_FACTORS:
            if getattr(population, key) is not None:
                digest.update(key.encode())
                add_array(getattr(population, key))
    for name in sorted(network.projections):
        projection = network.projections[name]
        add(name, _projection_attributes(projection))
        for array in _synapse_arrays(projection.synapses).values():
            add_array(array, array.dtype.newbyteorder("<").str)
        if projection.bias is not None:
            add_array(projection.bias)
        for key in PROJECTION_FLOATS:
            if getattr(projection, key) is not None:
                digest.update(key.encode())
                add_array(getattr(projection, key), "<f8")
    if network.sinks != [network.output]:
        add("output", {"output": network.output})
    if network.contract is not None:
        add("input", network.contract.document())
    return digest.hexdigest()


def save_network(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network; an existing file is replaced only once the new one is whole.

    Raises
    ------
    InvalidRequest
        The path is none to write to, or a file of another kind is there.
    CannotWrite
        The disk is full.
    """
    path = arguments.path(path, "network file", InvalidRequest)
    with hdf5_replaced_whole(path, FORMAT) as file:
        file.attrs["format"] = FORMAT
        file.attrs["schema"] = SCHEMA
        file.attrs["checksum"] = network.checksum
        file.attrs["metadata"] = json.dumps(dict(network.metadata), sort_keys=True)
        for name, population in network.populations.items():
            group = file.create_group(f"populations/{name}")
            group.attrs.update(_population_attributes(population))
            for key in (*POPULATION_ARRAYS, *POPULATION_FACTORS):
                if getattr(population, key) is not None:
                    group.create_dataset(key, data=getattr(population, key), compression="gzip")
        for name, projection in network.projections.items():
            group = file.create_group(f"projections/{name}")
            group.attrs.update(_projection_attributes(projection))
            for key, array in _synapse_arrays(projection.synapses).items():
                group.create_dataset(key, data=array, compression="gzip", shuffle=True)
            if projection.bias is not None:
                group.create_dataset("bias", data=projection.bias)
            for key in PROJECTION_FLOATS:
                if getattr(projection, key) is not None:
                    group.create_dataset(key, data=getattr(projection, key), compression="gzip", shuffle=True)
