"""Kinds that keep channels apart: pools, nearest upsampling, identity. All are depthwise convolutions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eventsnn.errors import InvalidNetwork
from eventsnn.network.synapses.axis import Axis, check_axes
from eventsnn.network.synapses.base import (
    Bool,
    Box,
    Int32,
    Int64,
    Shape,
    Synapses,
    Weighted,
    as_weights,
    whole,
)
from eventsnn.network.synapses.conv2d import Conv2d


class _PerChannel(Synapses):
    """Synapses from a channel to its like, all of one weight per channel."""

    @abstractmethod
    def channel_weights(self, channels: int) -> Int32:
        """The weight of each channel's synapses, int32, shape (channels,)."""

    @abstractmethod
    def axes(self) -> tuple[Axis, Axis]:
        """The geometry along y and x."""

    def as_conv2d(self, channels: int) -> Conv2d:
        """The same synapses as a depthwise convolution."""
        y, x = self.axes()
        weight = np.broadcast_to(self.channel_weights(channels), (y.taps, x.taps, 1, channels))
        return Conv2d(weight, y, x, groups=channels)

    def equivalent(self, source: Shape) -> Conv2d:
        return self.as_conv2d(source[2])

    def target_shape(self, source: Shape) -> Shape:
        y, x = self.axes()
        self.channel_weights(source[2])  # refuses weights that do not fit the channels
        return (y.target_length(source[0]), x.target_length(source[1]), source[2])

    def dense_work(self, source: Shape) -> tuple[int, int, int]:
        return 0, self.dense_macs(source), 0

    def stored_words(self, source: Shape) -> tuple[Int64, Int64]:
        target = self.target_shape(source)
        return np.ones(target[2], dtype=np.int64), np.zeros((target[0], target[2]), dtype=np.int64)

    def heard_in(self, source: Shape, target: Shape, box: Box) -> Bool:
        return self.equivalent(source).heard_in(source, target, box)

    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
        return self.as_conv2d(source[2]).edges(source, target)


class _Weighted(Weighted, _PerChannel):
    """Kinds that take ``weight``: one value in all, or one per channel."""

    weight: Int32

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", as_weights(self.weight, 1, self.kind))

    def channel_weights(self, channels: int) -> Int32:
        """The weight of each channel's synapses, int32, shape (channels,)."""
        if self.weight.size not in (1, channels):
            raise InvalidNetwork(
                f"{self.kind} has {self.weight.size} weights for {channels} channels; "
                "give one in all or one per channel"
            )
        return np.broadcast_to(self.weight, (channels,))


@dataclass(frozen=True, eq=False)
class _WeightedPool(_Weighted):
    weight: Int32
    y: Axis
    x: Axis

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axes(self.kind, self.y, self.x)

    def axes(self) -> tuple[Axis, Axis]:
        """The geometry along y and x."""
        return self.y, self.x

    @classmethod
    def global_pool(cls, source: Shape, weight: Int32) -> Self:
        """One window over the whole of a source of shape (y, x, channel); the target is (1, 1, channel)."""
        return cls(weight, Axis(source[0]), Axis(source[1]))


@dataclass(frozen=True, eq=False)
class AveragePool(_WeightedPool):
    """Average pooling as synapses of their own: each source adds ``weight`` to its windows' sums.

    The division by the window's area is part of ``weight``, which is therefore the same at the borders:
    padding counts as zeros (PyTorch's ``count_include_pad=True``). Windows may overlap. Sources behind
    the last whole window have no synapses unless ``pad_after`` makes room for another window.

    Parameters
    ----------
    weight : int32 array, shape (1,) or (channels,)
    y, x : Axis
        Window, stride and padding of each axis.
    """

    kind: ClassVar[str] = "average_pool"


@dataclass(frozen=True, eq=False)
class SumPool(_WeightedPool):
    """Sum pooling: each source adds ``weight`` to every window it lies in.

    Parameters
    ----------
    weight : int32 array, shape (1,) or (channels,)
    y, x : Axis
        Window, stride and padding of each axis; windows may overlap, see ``AveragePool``.
    """

    kind: ClassVar[str] = "sum_pool"


_ONE = as_weights([1], 1, "max_pool")


@dataclass(frozen=True, eq=False)
class MaxPool(_PerChannel):
    """Max pooling: which sources each gate compares. Only for populations of max gates.

    A synapse carries no weight of its own; each counts as 1. Padded cells are not there: they are never
    the maximum.

    Parameters
    ----------
    y, x : Axis
        Window, stride and padding of each axis; windows may overlap, see ``AveragePool``.
    """

    kind: ClassVar[str] = "max_pool"
    compares: ClassVar[bool] = True
    weight: ClassVar[Int32] = _ONE
    y: Axis
    x: Axis

    def __post_init__(self) -> None:
        check_axes(self.kind, self.y, self.x)

    def channel_weights(self, channels: int) -> Int32:
        """1 for each channel, int32, shape (channels,)."""
        return np.broadcast_to(self.weight, (channels,))

    def axes(self) -> tuple[Axis, Axis]:
        """The geometry along y and x."""
        return self.y, self.x

    def lowered_as(self, source: Shape) -> MaxPool:
        del source
        return self

    def stored_words(self, source: Shape) -> tuple[Int64, Int64]:
        one, none = super().stored_words(source)
        return 0 * one, none

    def weight_range(self, source: Shape) -> tuple[int, int]:
        del source
        return 0, 1

    def weight_count(self, source: Shape) -> int:
        del source
        return int(self.weight.size)

    @classmethod
    def global_pool(cls, source: Shape) -> Self:
        """One window over the whole of a source of shape (y, x, channel); the target is (1, 1, channel)."""
        return cls(Axis(source[0]), Axis(source[1]))


@dataclass(frozen=True, eq=False)
class Upsample(_Weighted):
    """Nearest-neighbour upsampling: each source reaches a block of ``y`` by ``x`` targets.

    From a source of shape (1, 1, channel) it is a broadcast to (``y``, ``x``, channel).

    Parameters
    ----------
    weight : int32 array, shape (1,) or (channels,)
    y, x : int
        Whole factors, at least 1.
    """

    kind: ClassVar[str] = "upsample"
    weight: Int32
    y: int
    x: int

    def __post_init__(self) -> None:
        super().__post_init__()
        for side in ("y", "x"):
            factor = whole(getattr(self, side), f"upsample factor {side}")
            if factor < 1:
                raise InvalidNetwork(f"upsample factor {side} is {factor}; it must be at least 1")
            object.__setattr__(self, side, factor)

    def axes(self) -> tuple[Axis, Axis]:
        """Transposed windows that touch without overlap: taps = stride = factor."""
        return Axis(self.y, self.y, transposed=True), Axis(self.x, self.x, transposed=True)


@dataclass(frozen=True, eq=False)
class Identity(_Weighted):
    """One synapse from each neuron to its like: residual additions and scaling.

    Parameters
    ----------
    weight : int32 array, shape (1,) or (channels,)
    """

    kind: ClassVar[str] = "identity"
    weight: Int32

    def axes(self) -> tuple[Axis, Axis]:
        """Windows of one neuron."""
        return Axis(1), Axis(1)
