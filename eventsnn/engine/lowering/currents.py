"""The constant currents of a sample, as tables that kernels pass over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.request import takes_current
from eventsnn.network import Network

# Tables of currents shorter than this are repeated: passes over neurons run a table at a time.
TABLE_LANES = 256


class Currents(NamedTuple):
    """The constant currents of a sample as tables, one after the other by rank.

    A table holds one value per channel (repeated to make it long) or per neuron; the current of neuron j
    of a rank is ``quanta[start + j % length]``. Length 0: the population takes none.
    """

    quanta: NDArray[np.int32]
    start: NDArray[np.int64]  # (ranks,)
    length: NDArray[np.int64]  # (ranks,)
    biased: NDArray[np.int64]  # (ranks,) neurons with a current


def currents(network: Network, added: dict[str, NDArray[np.int64]] | None = None) -> Currents:
    """The tables of currents; ``added`` quanta per neuron come on top (an analog input)."""
    tables, starts, lengths, biased = [], [], [], []
    position = 0
    for population in network:
        table = np.zeros(0, dtype=np.int64)
        count = 0
        if takes_current(population):
            value = network.bias(population.name)
            if added is not None and population.name in added:
                value = value + added[population.name]
            count = int(np.count_nonzero(value))
            if count:
                table = _folded(value, population.shape[2])
        tables.append(table)
        starts.append(position)
        lengths.append(len(table))
        biased.append(count)
        position += len(table)
    quanta = np.concatenate(tables).astype(np.int32) if position else np.zeros(1, dtype=np.int32)
    return Currents(quanta, np.array(starts), np.array(lengths), np.array(biased))


def current_charge(quanta: NDArray[np.int64], period: int, time: int) -> NDArray[np.int64]:
    """floor(quanta * time / period), elementwise, without leaving 64 bits."""
    whole, rest = divmod(time, period)
    return quanta * whole + (quanta * rest) // period


def _folded(value: NDArray[np.int64], channels: int) -> NDArray[np.int64]:
    """One value per channel if pixels agree, repeated to fill a pass; else as it is."""
    pixels = value.reshape(-1, channels)
    if not (pixels == pixels[0]).all():
        return value
    fitting = [n for n in range(1, len(pixels) + 1) if len(pixels) % n == 0 and n * channels <= TABLE_LANES]
    return np.tile(pixels[0], max(fitting, default=1))
