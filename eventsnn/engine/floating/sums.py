"""Weighted sums of a layer's spikes in floating point: whole vectors at a time, as a tensor library adds.

Windows become one matrix product per kernel tap, dense layers one product, listed synapses a sparse one.
Numbers are integers held as floats, so sums are exact below 2^24 (float32) or 2^53 (float64), in any order.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from eventsnn.network import Conv2d, Dense, Network, Projection, Sparse

Float = NDArray[np.floating[Any]]
Shape = tuple[int, int, int]


class FloatSums:
    """What the spikes of one projection's source add to its target population.

    Attributes
    ----------
    source : int
        Rank of the source population.
    delay : int
        Steps from emission to arrival.
    fan_out, effective : int64 arrays, shape (source neurons,)
        Existing synapses of each source neuron, with and without zero weights.
    """

    def __init__(self, network: Network, projection: Projection, step: int, dtype: str) -> None:
        source, target = (network.populations[n] for n in (projection.source, projection.target))
        self.source = network.order.index(projection.source)
        self.delay = projection.delay // step
        self.fan_out = network.fan_out(projection)
        self.effective = network.fan_out(projection, effective=True)
        self._source, self._target, self._dtype = source.shape, target.shape, dtype
        self._own = projection.own_shape(source.shape)
        self._channels = slice(*projection.channels(source.shape))
        synapses = projection.synapses
        self._synapses: Conv2d | Dense | Sparse = (
            synapses if isinstance(synapses, (Dense, Sparse)) else synapses.as_conv2d(source.shape[2])
        )
        self._weight = self._arranged(self._synapses.weight.astype(dtype))

    def weighted(self, payload: Float) -> Float:
        """Charge that summed payloads of shape (source neurons,) bring to each target neuron."""
        return self._sum(payload, self._weight)

    def reached(self, count: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The target neurons with a synapse, of whatever weight, from a source that spiked."""
        return self._sum((count > 0).astype(self._dtype), self._ones) > 0

    @cached_property
    def _ones(self) -> Any:
        return self._arranged(np.ones(self._synapses.weight.shape, dtype=self._dtype))

    def _arranged(self, weight: Float) -> Any:
        if not isinstance(self._synapses, Sparse):
            return weight
        indices, indptr = self._synapses.indices, self._synapses.indptr
        shape = (len(self.fan_out), int(np.prod(self._own)))
        return scipy.sparse.csr_array((weight, indices, indptr), shape=shape)

    def _sum(self, payload: Float, weight: Any) -> Float:
        if isinstance(self._synapses, Sparse):
            own = weight.T @ payload
        elif isinstance(self._synapses, Dense):
            own = _pooled(payload.reshape(self._source), *self._synapses.pool).reshape(-1) @ weight
        else:
            own = _correlate(self._synapses, payload.reshape(self._source), self._own, weight)
        found = np.zeros(self._target, dtype=self._dtype)
        found[..., self._channels] = own.reshape(self._own)
        return found.reshape(-1)


def _pooled(values: Float, rows: int, columns: int) -> Float:
    """Sums over whole cells of a (y, x, channel) image; what fills no whole cell is left out."""
    height, width, channels = values.shape[0] // rows, values.shape[1] // columns, values.shape[2]
    whole = values[: height * rows, : width * columns]
    pooled: Float = whole.reshape(height, rows, width, columns, channels).sum(axis=(1, 3))
    return pooled


def _correlate(conv: Conv2d, values: Float, own: Shape, weight: Float) -> Float:
    """Each tap takes the cells it sees to their targets by one product per group of channels."""
    in_group, groups = weight.shape[2], conv.groups
    cells = _pooled(values, conv.y.pool, conv.x.pool)
    cells = cells.reshape(*cells.shape[:2], groups, in_group)
    target_y = conv.y.target_of_tap(values.shape[0], own[0])[:: conv.y.pool][: cells.shape[0]]
    target_x = conv.x.target_of_tap(values.shape[1], own[1])[:: conv.x.pool][: cells.shape[1]]
    found = np.zeros((own[0], own[1], groups, own[2] // groups), dtype=weight.dtype)
    for ky in range(conv.y.taps):
        rows = np.flatnonzero(target_y[:, ky] >= 0)
        for kx in range(conv.x.taps):
            columns = np.flatnonzero(target_x[:, kx] >= 0)
            tap = weight[ky, kx].reshape(in_group, groups, -1).transpose(1, 0, 2)
            seen = cells[np.ix_(rows, columns)].reshape(-1, groups, in_group).transpose(1, 0, 2)
            given = (seen @ tap).transpose(1, 0, 2).reshape(len(rows), len(columns), *found.shape[2:])
            found[np.ix_(target_y[rows, ky], target_x[columns, kx])] += given
    return found
