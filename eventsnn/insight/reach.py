"""Which neurons reach a neuron: one target at a time, since all synapses of a large layer are too many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.network import Dense, Network, Projection, Sparse


def sources_of(network: Network, projection: Projection, target: int) -> NDArray[np.bool_]:
    """Source neurons of a projection with a synapse to a neuron, bool, shape (source neurons,)."""
    source = network.populations[projection.source].shape
    _, width, channels = network.populations[projection.target].shape
    first, stop = projection.channels(source)
    cell, channel = divmod(target, channels)
    if not first <= channel < stop:
        return np.zeros(int(np.prod(source)), dtype=bool)
    own = projection.own_shape(source)
    channel -= first
    synapses = projection.synapses
    if isinstance(synapses, Dense):
        return synapses.rows(source) >= 0
    if isinstance(synapses, Sparse):
        listed = np.flatnonzero(synapses.indices == cell * own[2] + channel)
        reached = np.zeros(int(np.prod(source)), dtype=bool)
        reached[np.searchsorted(synapses.indptr, listed, side="right") - 1] = True
        return reached
    window = synapses.as_conv2d(source[2])
    y, x = divmod(cell, width)
    rows = (window.y.target_of_tap(source[0], own[0]) == y).any(axis=1)
    columns = (window.x.target_of_tap(source[1], own[1]) == x).any(axis=1)
    group = channel // (window.weight.shape[3] // window.groups)
    heard = np.arange(source[2]) // window.weight.shape[2] == group
    return (rows[:, None, None] & columns[None, :, None] & heard).reshape(-1)
