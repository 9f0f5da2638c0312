"""Sums over windows, of many samples at once: what a layer of a tensor library computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.network.synapses.axis import Axis
from eventsnn.network.synapses.base import Float, Shape


def pooled(images: Float, pool: tuple[int, int]) -> Float:
    """Sums over pooled cells of (samples, y, x, channel); rows and columns left over are dropped."""
    n, height, width, channels = images.shape
    rows, columns = height // pool[0], width // pool[1]
    whole = images[:, : rows * pool[0], : columns * pool[1]]
    summed: Float = whole.reshape(n, rows, pool[0], columns, pool[1], channels).sum(axis=(2, 4))
    return summed


def convolved(
    images: Float, weight: NDArray[Any], axes: tuple[Axis, Axis], groups: int, target: Shape
) -> Float:
    """Sums (samples, *target), tap by tap: each sends a grid of sources to a grid of targets.

    ``weight`` is laid out as that of ``Conv2d``; its dtype is that of the sums.
    """
    cells = pooled(images, (axes[0].pool, axes[1].pool))
    reached_y, reached_x = (
        replace(axis, pool=1).target_of_tap(length, size)
        for axis, length, size in zip(axes, cells.shape[1:3], target[:2], strict=True)
    )
    found = np.zeros((len(images), *target), dtype=weight.dtype)
    in_group, out_group = weight.shape[2], weight.shape[3] // groups
    for ky in range(axes[0].taps):
        for kx in range(axes[1].taps):
            y, x = (np.flatnonzero(t >= 0) for t in (reached_y[:, ky], reached_x[:, kx]))
            reached = np.ix_(range(len(images)), reached_y[y, ky], reached_x[x, kx])
            sources = cells[:, y][:, :, x].reshape(-1, groups, in_group).transpose(1, 0, 2)
            tap = weight[ky, kx].reshape(in_group, groups, out_group).transpose(1, 0, 2)
            sums = (sources @ tap).transpose(1, 0, 2)
            found[reached] += sums.reshape(len(images), len(y), len(x), target[2])
    return found
