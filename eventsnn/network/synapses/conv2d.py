"""Convolutions: ordinary, grouped, depthwise, dilated, transposed, in two dimensions or one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network.synapses.axis import Axis, check_axes
from eventsnn.network.synapses.base import (
    Bool,
    Box,
    Float,
    Int32,
    Int64,
    Objects,
    Shape,
    Weighted,
    as_weights,
    signed_column_sums,
    whole,
)
from eventsnn.network.synapses.windows import convolved


@dataclass(frozen=True, eq=False)
class Conv2d(Weighted):
    """Convolution (cross-correlation, as trained), each axis ordinary or transposed.

    Parameters
    ----------
    weight : int32 array, shape (kernel_y, kernel_x, in_channels // groups, out_channels)
        Output channel ``o`` belongs to group ``o // (out_channels // groups)``. PyTorch's ``Conv2d``
        holds (out, in // groups, y, x), its ``ConvTranspose2d`` (in, out // groups, y, x) in groups of
        inputs; neither is flipped here.
    y, x : Axis
        Geometry of each axis.
    groups : int
        Groups of channels that do not see each other; as many as input channels is depthwise.

    Raises
    ------
    InvalidNetwork
        Weights are not integers, or do not fit the geometry or the groups.
    """

    kind: ClassVar[str] = "conv2d"
    weight: Int32
    y: Axis
    x: Axis
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", as_weights(self.weight, 4, self.kind))
        object.__setattr__(self, "groups", whole(self.groups, "conv2d groups"))
        check_axes(self.kind, self.y, self.x)
        if self.weight.shape[:2] != (self.y.taps, self.x.taps):
            raise InvalidNetwork(
                f"conv2d kernel is {self.weight.shape[:2]}, its geometry says ({self.y.taps}, {self.x.taps})"
            )
        if self.groups < 1 or self.weight.shape[3] % self.groups:
            raise InvalidNetwork(
                f"conv2d has {self.weight.shape[3]} output channels, not divisible by groups={self.groups}"
            )

    def equivalent(self, source: Shape) -> Conv2d:
        del source
        return self

    def target_shape(self, source: Shape) -> Shape:
        if source[2] != self.weight.shape[2] * self.groups:
            raise InvalidNetwork(
                f"conv2d reads {self.weight.shape[2] * self.groups} channels, its source has {source[2]}"
            )
        return (
            self.y.target_length(source[0]),
            self.x.target_length(source[1]),
            int(self.weight.shape[3]),
        )

    def dense_macs(self, source: Shape) -> int:
        return self.y.positions(source[0]) * self.x.positions(source[1]) * int(self.weight.size)

    def dense_work(self, source: Shape) -> tuple[int, int, int]:
        folded = max(self.y.pool, self.x.pool) > 1
        return self.dense_macs(source), prod(source) if folded else 0, int(self.weight.size)

    def stored_words(self, source: Shape) -> tuple[Int64, Int64]:
        target = self.target_shape(source)
        kernel = np.full(target[2], prod(self.weight.shape[:3]), dtype=np.int64)
        return kernel, np.zeros((target[0], target[2]), dtype=np.int64)

    def heard_in(self, source: Shape, target: Shape, box: Box) -> Bool:
        # By axis: many times faster than counting, and a large chip has thousands of parts.
        in_group, out_group = self.weight.shape[2], target[2] // self.groups
        y, x = self.y.target_of_tap(source[0], target[0]), self.x.target_of_tap(source[1], target[1])
        rows, columns = ((y >= box.y0) & (y < box.y1)).any(axis=1), (x >= 0).any(axis=1)
        channels = slice(box.c0 // out_group * in_group, -(-box.c1 // out_group) * in_group)
        found = np.zeros(source, dtype=np.bool_)
        if box.c0 < box.c1:
            found[np.flatnonzero(rows)[:, None], np.flatnonzero(columns), channels] = True
        return found.reshape(-1)

    def heard_by(self, source: Shape, target: Shape, neuron: int) -> Bool:
        y, x, channel = np.unravel_index(neuron, target)
        rows = (self.y.target_of_tap(source[0], target[0]) == y).any(axis=1)
        columns = (self.x.target_of_tap(source[1], target[1]) == x).any(axis=1)
        group = channel // (target[2] // self.groups)
        heard = np.arange(source[2]) // self.weight.shape[2] == group
        return (rows[:, None, None] & columns[None, :, None] & heard).reshape(-1)

    def signed_sums(self, source: Shape) -> tuple[Objects, Objects]:
        del source
        positive, negative = signed_column_sums(self.weight.reshape(-1, self.weight.shape[3]))
        cell = self.y.pool * self.x.pool
        return positive * cell, negative * cell

    def summing(self, source: Shape, weights: Callable[[Int32], NDArray[Any]]) -> Callable[[Float], Float]:
        target, weight = self.target_shape(source), weights(self.weight)

        def summed(values: Float) -> Float:
            images = values.reshape(-1, *source)
            return convolved(images, weight, (self.y, self.x), self.groups, target).reshape(len(values), -1)

        return summed

    def fan_out(self, source: Shape, target: Shape, effective: bool = False, box: Box | None = None) -> Int64:
        box = box or Box(0, target[0], 0, target[2])
        row = self.y.target_of_tap(source[0], target[0])
        rows = ((row >= box.y0) & (row < box.y1)).astype(np.int64)
        columns = (self.x.target_of_tap(source[1], target[1]) >= 0).astype(np.int64)
        per_tap = self._channels_reached(effective, box)
        found: Int64 = np.einsum("yk,klc,xl->yxc", rows, per_tap, columns, optimize=True)
        return found.reshape(-1)

    def _channels_reached(self, effective: bool, box: Box) -> Int64:
        """Target channels a spike reaches through each tap, shape (tap y, tap x, source channel)."""
        in_group, channels = self.weight.shape[2:]
        inside = (np.arange(channels) >= box.c0) & (np.arange(channels) < box.c1)

        def counted(existing: NDArray[np.bool_]) -> Int64:
            per_group = (existing & inside).reshape(in_group, self.groups, -1).sum(axis=2, dtype=np.int64)
            return per_group.T.reshape(-1)

        if not effective:
            reached = counted(np.ones((in_group, channels), dtype=bool))
            return np.broadcast_to(reached, (self.y.taps, self.x.taps, len(reached)))
        return np.array([[counted(tap != 0) for tap in row] for row in self.weight])

    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
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


def conv1d(weight: Any, axis: Axis, groups: int = 1) -> Conv2d:
    """A one-dimensional convolution onto populations of shape (1, length, channels).

    Parameters
    ----------
    weight : integer array, shape (taps, in_channels // groups, out_channels)
    axis : Axis
        Geometry along the length; ordinary or transposed.
    groups : int
        As in ``Conv2d``.
    """
    kernel = as_weights(weight, 3, "conv1d")
    return Conv2d(kernel[None], Axis(1), axis, groups)


def _join(parts: list[NDArray[Any]]) -> Int64:
    return np.concatenate(parts).astype(np.int64)
