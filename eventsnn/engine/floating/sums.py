"""Weighted sums of a layer's spikes in floating point: whole vectors at a time, as a tensor library adds.

Numbers are integers held as floats, so sums are exact below 2^24 (float32) or 2^53 (float64), in any order.
Where a projection keeps what its quanta were rounded from (``exact_weight``) it is that which is summed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.network import Network, Projection

Float = NDArray[np.floating[Any]]


class FloatSums:
    """What the spikes of one projection's source add to its target population.

    Attributes
    ----------
    source : int
        Rank of the source population.
    delay : int
        Steps from emission to arrival.
    exact : bool
        Whether the projection keeps what its weights were rounded from.
    left_out : float64 array, shape (target neurons,)
        What rounding took off the bias of each.
    fan_out, effective : int64 arrays, shape (source neurons,)
        Existing synapses of each source neuron, with and without zero weights.
    """

    def __init__(self, network: Network, projection: Projection, step: int, dtype: str) -> None:
        source, target = (network.populations[n] for n in (projection.source, projection.target))
        self.source = network.order.index(projection.source)
        self.delay = projection.delay // step
        self.exact = projection.exact_weight is not None
        self.fan_out = network.fan_out(projection)
        self.effective = network.fan_out(projection, effective=True)
        self._target, self._dtype = target.shape, dtype
        self._shape, self._synapses = source.shape, projection.synapses
        self._own = projection.own_shape(source.shape)
        self._channels = slice(*projection.channels(source.shape))
        self._weights = self._summing(projection, source.shape)
        self.left_out = self._rounded_off(projection)

    def _summing(self, projection: Projection, source: tuple[int, int, int]) -> Callable[[Float], Float]:
        exact = projection.exact_weight
        if exact is None:
            return self._synapses.summing(source, lambda weight: weight.astype(self._dtype))
        # Weights by their number, wherever the kind of synapses puts them.
        synapses: Any = self._synapses
        numbered = replace(synapses, weight=np.arange(exact.size, dtype=np.int32).reshape(exact.shape))
        values = exact.reshape(-1).astype(self._dtype)
        return numbered.summing(source, lambda number: values[number])

    def _rounded_off(self, projection: Projection) -> Float:
        """What rounding took off the bias of each target neuron, float64."""
        found = np.zeros(self._target)
        if projection.exact_bias is not None and projection.bias is not None:
            off = projection.exact_bias - projection.bias
            whole = off.size == np.prod(self._own)
            found[..., self._channels] = off.reshape(self._own) if whole else off
        return found.reshape(-1)

    def weighted(self, payload: Float) -> Float:
        """Charge that summed payloads of shape (source neurons,) bring to each target neuron."""
        return self._placed(self._weights(payload[None]))

    def reached(self, count: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The target neurons with a synapse, of whatever weight, from a source that spiked."""
        return self._placed(self._ones((count > 0).astype(self._dtype)[None])) > 0

    @cached_property
    def _ones(self) -> Callable[[Float], Float]:
        return self._synapses.summing(self._shape, lambda weight: np.ones(weight.shape, dtype=self._dtype))

    def _placed(self, own: Float) -> Float:
        found = np.zeros(self._target, dtype=self._dtype)
        found[..., self._channels] = own.reshape(self._own)
        return found.reshape(-1)
