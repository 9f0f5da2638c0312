"""Projections: which synapses exist from one population to another, and what they weigh.

Every kind answers the same questions for a source and a target shape ``(y, x, channel)``: which
target shape it needs, each source neuron's fan-out, and the explicit list of its edges. A zero weight
is a synapse like any other; *effective* fan-out leaves it out. Weights are int32 quanta.

A projection may read its source through an average pool (``pool``): a spike at ``(y, x)`` then lands
as one at the pooled cell ``(y // pool_y, x // pool_x)``, the division by the cell's area being part of
the weights. Rows and columns that fill no whole cell have no synapses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork

Shape = tuple[int, int, int]
Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Box:
    """Rows ``y0`` to ``y1`` and channels ``c0`` to ``c1`` (ends excluded) of a target population."""

    y0: int
    y1: int
    c0: int
    c1: int


@dataclass(frozen=True)
class Axis:
    """Where the taps of a window land along one image axis.

    A tap ``k`` from the source cell ``s`` reaches the target ``(s + pad_before - k * dilation) /
    stride`` when that is a whole number inside the target.
    """

    taps: int
    stride: int = 1
    pad_before: int = 0
    pad_after: int = 0
    dilation: int = 1
    pool: int = 1

    def __post_init__(self) -> None:
        lowest = min(self.taps, self.stride, self.dilation, self.pool)
        if lowest < 1 or min(self.pad_before, self.pad_after) < 0:
            raise InvalidNetwork(
                f"window geometry {self} is not allowed: taps, stride, dilation and pool must be at "
                "least 1, padding 0 or more"
            )

    def target_length(self, source_length: int) -> int:
        """The number of whole window positions, 0 when the window does not fit."""
        cells = source_length // self.pool
        span = (self.taps - 1) * self.dilation + 1
        padded = cells + self.pad_before + self.pad_after
        return (padded - span) // self.stride + 1 if padded >= span and cells > 0 else 0

    def target_of_tap(self, source_length: int, target_length: int) -> Int64:
        """Target coordinate reached, shape (source_length, taps), -1 where there is none."""
        cell = np.arange(source_length, dtype=np.int64) // self.pool
        reach = cell[:, None] + self.pad_before - np.arange(self.taps) * self.dilation
        target = reach // self.stride
        exists = (reach % self.stride == 0) & (target >= 0) & (target < target_length)
        exists &= (cell < source_length // self.pool)[:, None]
        return np.where(exists, target, -1)


def _as_weights(weight: NDArray, dimensions: int, kind: str) -> Int32:
    """Integer weights as a read-only int32 array, or a clear refusal."""
    array = np.asarray(weight)
    if array.ndim != dimensions:
        raise InvalidNetwork(f"{kind} weight has {array.ndim} dimensions; it needs {dimensions}")
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidNetwork(
            f"{kind} weight has dtype {array.dtype}; weights are integer quanta: scale and round "
            "them first (eventsnn.convert does)"
        )
    if array.size and int(np.abs(array.astype(np.int64)).max()) >= 2**31:
        raise InvalidNetwork(f"{kind} weight leaves the 32-bit range; use a smaller threshold")
    array = np.ascontiguousarray(array, dtype=np.int32)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Convolution (cross-correlation, as trained).

    ``weight`` has shape ``(kernel_y, kernel_x, in_channels // groups, out_channels)``; the geometry of
    each axis is an ``Axis``.
    """

    kind: ClassVar[str] = "conv2d"
    weight: Int32
    y: Axis
    x: Axis
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _as_weights(self.weight, 4, self.kind))
        if self.weight.shape[:2] != (self.y.taps, self.x.taps):
            raise InvalidNetwork(
                f"conv2d kernel is {self.weight.shape[:2]}, its geometry says ({self.y.taps}, {self.x.taps})"
            )
        if self.groups < 1 or self.weight.shape[3] % self.groups:
            raise InvalidNetwork(
                f"conv2d has {self.weight.shape[3]} output channels, not divisible by groups={self.groups}"
            )

    def target_shape(self, source: Shape) -> Shape:
        """The target shape this projection needs for a source shape."""
        if source[2] != self.weight.shape[2] * self.groups:
            raise InvalidNetwork(
                f"conv2d reads {self.weight.shape[2] * self.groups} channels, its source has {source[2]}"
            )
        return (
            self.y.target_length(source[0]),
            self.x.target_length(source[1]),
            int(self.weight.shape[3]),
        )

    def fan_out(self, source: Shape, target: Shape, effective: bool = False, box: Box | None = None) -> Int64:
        """Existing synapses of each source neuron, int64, shape (source neurons,).

        ``effective`` leaves zero weights out; ``box`` counts only those that end in it.
        """
        box = box or Box(0, target[0], 0, target[2])
        existing = self.weight != 0 if effective else np.ones(self.weight.shape, dtype=bool)
        channel = np.arange(target[2])
        existing = existing & ((channel >= box.c0) & (channel < box.c1))
        grouped = existing.reshape(*self.weight.shape[:3], self.groups, -1)
        # (tap y, tap x, source channel): targets a spike reaches through this tap
        per_tap = grouped.sum(axis=4, dtype=np.int64).transpose(0, 1, 3, 2)
        per_tap = per_tap.reshape(*self.weight.shape[:2], source[2])
        row = self.y.target_of_tap(source[0], target[0])
        rows = ((row >= box.y0) & (row < box.y1)).astype(np.int64)
        columns = (self.x.target_of_tap(source[1], target[1]) >= 0).astype(np.int64)
        found: Int64 = np.einsum("yk,klc,xl->yxc", rows, per_tap, columns, optimize=True)
        return found.reshape(-1)

    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
        """Every synapse as (source index, target index, weight)."""
        ty = self.y.target_of_tap(source[0], target[0])
        tx = self.x.target_of_tap(source[1], target[1])
        in_group, out_group = self.weight.shape[2], self.weight.shape[3] // self.groups
        channel_in = np.arange(source[2])[:, None]
        channel_out = (channel_in // in_group) * out_group + np.arange(out_group)[None, :]
        sources, targets, weights = [], [], []
        for ky in range(self.y.taps):
            for kx in range(self.x.taps):
                sy, sx = np.nonzero((ty[:, ky] >= 0)[:, None] & (tx[:, kx] >= 0)[None, :])
                source_cell = ((sy * source[1] + sx) * source[2])[:, None, None] + channel_in
                target_cell = (ty[sy, ky] * target[1] + tx[sx, kx]) * target[2]
                target_index = target_cell[:, None, None] + channel_out
                tap = self.weight[ky, kx][channel_in % in_group, channel_out]
                shape = target_index.shape
                sources.append(np.broadcast_to(source_cell, shape).reshape(-1))
                targets.append(target_index.reshape(-1))
                weights.append(np.broadcast_to(tap, shape).reshape(-1))
        return _join(sources), _join(targets), np.concatenate(weights).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Dense:
    """All-to-all synapses; ``weight`` has shape (pooled source neurons, target neurons).

    The source is read in row-major ``(y, x, channel)`` order of its pooled cells.
    """

    kind: ClassVar[str] = "dense"
    weight: Int32
    pool: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _as_weights(self.weight, 2, self.kind))
        if min(self.pool) < 1:
            raise InvalidNetwork(f"dense pool is {self.pool}; each side must be at least 1")

    def target_shape(self, source: Shape) -> Shape:
        """The target shape this projection needs for a source shape."""
        cells = (source[0] // self.pool[0]) * (source[1] // self.pool[1]) * source[2]
        if cells != self.weight.shape[0]:
            raise InvalidNetwork(
                f"dense reads {self.weight.shape[0]} values, its source of shape {source} pooled by "
                f"{self.pool} has {cells}"
            )
        return (1, 1, int(self.weight.shape[1]))

    def rows(self, source: Shape) -> Int64:
        """The weight row each source neuron uses, -1 where it fills no whole cell."""
        pooled = (source[0] // self.pool[0], source[1] // self.pool[1])
        y, x, channel = np.indices(source, dtype=np.int64)
        cell_y, cell_x = y // self.pool[0], x // self.pool[1]
        row = (cell_y * pooled[1] + cell_x) * source[2] + channel
        return np.where((cell_y < pooled[0]) & (cell_x < pooled[1]), row, -1).reshape(-1)

    def fan_out(self, source: Shape, target: Shape, effective: bool = False, box: Box | None = None) -> Int64:
        """Existing synapses of each source neuron; see ``Conv2d.fan_out``."""
        box = box or Box(0, target[0], 0, target[2])
        weight = self.weight[:, box.c0 : box.c1]
        per_row = np.count_nonzero(weight, axis=1) if effective else weight.shape[1]
        rows = self.rows(source)
        per_row = np.broadcast_to(per_row, len(weight))
        return np.where(rows >= 0, per_row[rows], 0).astype(np.int64)

    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
        """Every synapse as (source index, target index, weight)."""
        del target
        rows = self.rows(source)
        existing = np.nonzero(rows >= 0)[0]
        n = self.weight.shape[1]
        return (
            np.repeat(existing, n),
            np.tile(np.arange(n, dtype=np.int64), len(existing)),
            self.weight[rows[existing]].reshape(-1),
        )


class _PerChannel:
    """Kinds that keep channels apart: one-to-one synapses inside a window, one weight a channel."""

    weight: Int32

    def as_conv2d(self, channels: int) -> Conv2d:
        """The same synapses as a depthwise convolution; every question is answered by it."""
        raise NotImplementedError

    def channel_weights(self, channels: int) -> Int32:
        """One weight per channel."""
        if self.weight.size not in (1, channels):
            raise InvalidNetwork(
                f"{type(self).__name__} has {self.weight.size} weights for {channels} channels; "
                "give one in all or one per channel"
            )
        return np.broadcast_to(self.weight, (channels,)).astype(np.int32)

    def target_shape(self, source: Shape) -> Shape:
        """The target shape this projection needs for a source shape."""
        return self.as_conv2d(source[2]).target_shape(source)

    def fan_out(self, source: Shape, target: Shape, effective: bool = False, box: Box | None = None) -> Int64:
        """Existing synapses of each source neuron; see ``Conv2d.fan_out``."""
        return self.as_conv2d(source[2]).fan_out(source, target, effective, box)

    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
        """Every synapse as (source index, target index, weight)."""
        return self.as_conv2d(source[2]).edges(source, target)


@dataclass(frozen=True, eq=False)
class AveragePool(_PerChannel):
    """Average pooling as synapses of their own: each source adds ``weight`` to its windows' sums."""

    kind: ClassVar[str] = "average_pool"
    weight: Int32
    y: Axis
    x: Axis

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _as_weights(self.weight, 1, self.kind))

    def as_conv2d(self, channels: int) -> Conv2d:
        """The same synapses as a depthwise convolution."""
        shape = (self.y.taps, self.x.taps, 1, channels)
        weight = np.broadcast_to(self.channel_weights(channels), shape)
        return Conv2d(weight, self.y, self.x, groups=channels)


@dataclass(frozen=True, eq=False)
class Identity(_PerChannel):
    """One synapse from each neuron to its like: residual additions and scaling."""

    kind: ClassVar[str] = "identity"
    weight: Int32

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _as_weights(self.weight, 1, self.kind))

    def as_conv2d(self, channels: int) -> Conv2d:
        """The same synapses as a depthwise 1x1 convolution."""
        weight = self.channel_weights(channels).reshape(1, 1, 1, channels)
        return Conv2d(weight, Axis(1), Axis(1), groups=channels)


Synapses = Conv2d | Dense | AveragePool | Identity
SYNAPSE_KINDS: dict[str, type] = {cls.kind: cls for cls in (Conv2d, Dense, AveragePool, Identity)}


def _join(parts: list[NDArray]) -> Int64:
    return np.concatenate(parts).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Projection:
    """The synapses from one population to another.

    Parameters
    ----------
    name, source, target : str
        Its own name and those of its populations.
    synapses : Synapses
        Which synapses exist and their weights.
    bias : int32 array or None
        Quanta added to each target: one value per channel, or one per target neuron. A charge at
        time 0 for signed neurons and readouts without a period, else quanta per period (law 3).
    delay : int
        Ticks from emission to delivery.
    """

    name: str
    source: str
    target: str
    synapses: Synapses
    bias: Int32 | None = None
    delay: int = 0

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name:
            raise InvalidNetwork(f"projection name {self.name!r} is empty or contains a slash")
        if not 0 <= self.delay < 2**62:
            raise InvalidNetwork(f"projection {self.name!r} has delay {self.delay}; it must be >= 0")
        if self.bias is not None:
            object.__setattr__(self, "bias", _as_weights(self.bias, 1, f"{self.name!r} bias"))

    def bias_of_neurons(self, target: Shape) -> Int64:
        """The bias of each target neuron, int64, shape (target neurons,)."""
        size = int(np.prod(target))
        if self.bias is None:
            return np.zeros(size, dtype=np.int64)
        if self.bias.size == target[2]:
            return np.tile(self.bias.astype(np.int64), target[0] * target[1])
        if self.bias.size == size:
            return self.bias.astype(np.int64)
        raise InvalidNetwork(
            f"projection {self.name!r} has {self.bias.size} biases; its target of shape {target} "
            f"takes {target[2]} (one a channel) or {size} (one a neuron)"
        )
