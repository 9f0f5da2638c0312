"""Runs as ``NIRGraphData``: every spike of every population, in seconds, by the nodes' names.

``EventData`` where all spikes are unit spikes, ``ValuedEventData`` with their payloads where some are not.
Neurons are numbered in NIR's order, (channels, y, x).
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventsnn.engine import SpikeList
from eventsnn.errors import InvalidRequest
from eventsnn.network import Network, Population
from eventsnn.nir.file import nir_package
from eventsnn.nir.forms import our_order
from eventsnn.nir.written_synapses import nir_shape
from eventsnn.output import HDF5, NOT_OURS, replaced_whole, require_replaceable

SECONDS = 1e-12
"""Of a tick."""


@dataclass(frozen=True)
class Spikes:
    """The spikes of one sample, and the tick at which it ended."""

    list: SpikeList
    end: int


def graph_data(network: Network, samples: Sequence[Spikes]) -> Any:
    """The spikes of samples as a ``nir.NIRGraphData``.

    Parameters
    ----------
    network : Network
    samples : sequence of Spikes
        One row each, in this order; rows are as long as the longest, filled up with index -1 at infinity.

    Raises
    ------
    InvalidRequest
        No samples.
    MissingExtra
        The package ``nir`` is not installed.
    """
    nir = nir_package()
    if not samples:
        raise InvalidRequest("there are no samples to write")
    end = max(sample.end for sample in samples) * SECONDS
    nodes = {}
    for rank, population in enumerate(network):
        spikes = _of_population(rank, population, samples, end)
        nodes[population.name] = nir.NIRNodeData(observables={"spikes": spikes})
    return nir.NIRGraphData(nodes=nodes)


def _of_population(rank: int, population: Population, samples: Sequence[Spikes], end: float) -> Any:
    nir = nir_package()
    order = our_order(nir_shape(population))
    rows = [(sample.list.rank == rank, sample.list) for sample in samples]
    longest = max(int(mine.sum()) for mine, _ in rows)
    index = np.full((len(samples), longest), -1, dtype=np.int64)
    time, value = np.full(index.shape, np.inf), np.zeros(index.shape)
    for row, (mine, spikes) in enumerate(rows):
        count = int(mine.sum())
        index[row, :count] = order[spikes.neuron[mine]]
        time[row, :count] = spikes.time[mine] * SECONDS
        value[row, :count] = spikes.payload[mine]
    if (value[index >= 0] == 1).all():
        return nir.EventData(index, time, population.size, end)
    return nir.ValuedEventData(index, time, population.size, end, value)


def write_graph_data(path: str | os.PathLike[str], data: Any) -> None:
    """Write ``NIRGraphData`` to a file.

    Raises
    ------
    InvalidRequest
        The path is none to write to, or a file of another kind is there.
    """
    content = io.BytesIO()
    require_replaceable(path, HDF5, NOT_OURS)
    nir_package().write_data(content, data)
    with replaced_whole(path, HDF5) as aside:
        aside.write_bytes(content.getbuffer())
