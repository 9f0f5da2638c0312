"""What a branch gives, as synapses in floating point: laid out as the network's kinds, not rounded yet.

Populations have the shape (y, x, channel). Weights are multiplied by the scales of source and target
channels here, and rounded to quanta in ``lowering.quanta`` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eventsnn.network import AveragePool, Axis, Conv2d, Dense, Identity, Sparse, SumPool, Synapses
from eventsnn.network.synapses import Shape

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Wires(ABC):
    """Synapses between two populations with weights in activations.

    Attributes
    ----------
    source, target : (int, int, int)
        Shapes (y, x, channel) of the source population and of what the synapses end in.
    first_channel : int
        Where the latter begins in the target population.
    weight : float64 array
        Laid out as that of the synapses they become.
    """

    source: Shape
    target: Shape
    first_channel: int
    weight: Float64

    @abstractmethod
    def of_source(self, values: Float64) -> Float64:
        """One value a source channel, in a shape that multiplies the weight."""

    @abstractmethod
    def of_target(self, values: Float64) -> Float64:
        """One value a channel of ``target``, in a shape that multiplies the weight."""

    @abstractmethod
    def synapses(self, weight: Int32) -> Synapses:
        """The network's kind with these weights, shaped as ``weight``."""

    @abstractmethod
    def largest(self, weight: Float64) -> Float64:
        """The largest of weights shaped as ``weight`` into each channel of ``target``."""

    def times_source(self, values: Float64) -> Self:
        """With the weights of each source channel multiplied."""
        return replace(self, weight=self.weight * self.of_source(values))

    def holding(self, weight: Int32, unit_in: Float64, unit_out: Float64, threshold: int) -> Self:
        """With the weights, in activations, that these in quanta stand for."""
        scale = self.of_target(unit_out) / self.of_source(unit_in) / threshold
        return replace(self, weight=weight * scale)

    @property
    def channels(self) -> slice:
        """The target population's channels that they reach."""
        return slice(self.first_channel, self.first_channel + self.target[2])

    def sums(self, values: Float64, weight: NDArray[Any] | None = None) -> Float64:
        """What each target receives, for values of shape (samples, source neurons), float64.

        ``weight`` replaces the own one; whole weights and counts give exact sums up to 2^53.
        """
        own = self.weight if weight is None else np.asarray(weight, dtype=np.float64)
        kind = self.synapses(np.zeros(self.weight.shape, dtype=np.int32))
        summed = kind.summing(self.source, lambda held: np.broadcast_to(own, held.shape))
        return np.asarray(summed(values), dtype=np.float64).reshape(len(values), *self.target)


@dataclass(frozen=True, eq=False)
class ConvolutionWires(Wires):
    """A convolution; ``weight`` is (kernel_y, kernel_x, in_channels // groups, out_channels)."""

    axes: tuple[Axis, Axis]
    groups: int

    def of_source(self, values: Float64) -> Float64:
        in_group, out_channels = self.weight.shape[2:]
        group = np.arange(out_channels) // (out_channels // self.groups)
        return values[group[None, :] * in_group + np.arange(in_group)[:, None]]

    def of_target(self, values: Float64) -> Float64:
        return values

    def largest(self, weight: Float64) -> Float64:
        return np.asarray(weight.max(axis=(0, 1, 2)))

    def synapses(self, weight: Int32) -> Synapses:
        return Conv2d(weight, *self.axes, groups=self.groups)


@dataclass(frozen=True, eq=False)
class DenseWires(Wires):
    """All to all; ``weight`` is (pooled source neurons in (y, x, channel) order, targets)."""

    pool: tuple[int, int] = (1, 1)

    def of_source(self, values: Float64) -> Float64:
        return np.tile(values, len(self.weight) // len(values))[:, None]

    def of_target(self, values: Float64) -> Float64:
        return values

    def largest(self, weight: Float64) -> Float64:
        return np.asarray(weight.max(axis=0))

    def synapses(self, weight: Int32) -> Synapses:
        return Dense(weight, self.pool)


@dataclass(frozen=True, eq=False)
class ChannelWires(Wires):
    """One weight a channel, windows over its own channel; ``weight`` is (channels,)."""

    axes: tuple[Axis, Axis]

    def of_source(self, values: Float64) -> Float64:
        return values

    def of_target(self, values: Float64) -> Float64:
        return values

    def largest(self, weight: Float64) -> Float64:
        return weight

    def synapses(self, weight: Int32) -> Synapses:
        if self.axes == (Axis(1), Axis(1)):
            return Identity(weight)
        # A shortcut that leaves rows and columns out averages nothing.
        kind = SumPool if self.axes[0].taps == self.axes[1].taps == 1 else AveragePool
        return kind(weight, *self.axes)


@dataclass(frozen=True, eq=False)
class SparseWires(Wires):
    """Synapses listed one by one, a row per source neuron; ``weight`` is (synapses,), targets ascending."""

    indptr: Int64
    indices: Int64

    def of_source(self, values: Float64) -> Float64:
        return np.repeat(np.tile(values, prod(self.source[:2])), np.diff(self.indptr))

    def of_target(self, values: Float64) -> Float64:
        return values[self.indices % self.target[2]]

    def largest(self, weight: Float64) -> Float64:
        found = np.zeros(self.target[2])
        np.maximum.at(found, self.indices % self.target[2], weight)
        return found

    def synapses(self, weight: Int32) -> Synapses:
        return Sparse(weight, self.indptr, self.indices, self.target)
