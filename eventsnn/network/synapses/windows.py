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


PATCHES = 2**20
"""Values of unfolded windows at a time: 8 MB. One sample may have four times as many."""


def convolved(
    images: Float, weight: NDArray[Any], axes: tuple[Axis, Axis], groups: int, target: Shape
) -> Float:
    """Sums (samples, *target) of images (samples, y, x, channel).

    ``weight`` is laid out as that of ``Conv2d``; its dtype is that of the sums.
    """
    cells = pooled(images, (axes[0].pool, axes[1].pool))
    unfolded = target[0] * target[1] * weight[..., 0].size
    if groups == 1 and unfolded <= 4 * PATCHES and not (axes[0].transposed or axes[1].transposed):
        return _unfolded(cells, weight, axes, target)
    return _tap_by_tap(cells, weight, axes, groups, target)


def _unfolded(cells: Float, weight: NDArray[Any], axes: tuple[Axis, Axis], target: Shape) -> Float:
    """A product with the window of every target, some samples at a time."""
    taps, channels = (axes[0].taps, axes[1].taps), weight.shape[2]
    matrix = weight.reshape(-1, target[2])
    found = np.empty((len(cells), *target), dtype=weight.dtype)
    size = max(1, PATCHES // (target[0] * target[1] * taps[0] * taps[1] * channels))
    last = [(n - 1) * axis.stride + 1 for n, axis in zip(target[:2], axes, strict=True)]
    reach = [(t - 1) * axis.dilation for t, axis in zip(taps, axes, strict=True)]
    height, width = (end + more for end, more in zip(last, reach, strict=True))
    for begin in range(0, len(cells), size):
        part = cells[begin : begin + size]
        # What no window reaches is cut, what is not there is zero.
        framed = np.zeros((len(part), height, width, channels), dtype=weight.dtype)
        top, left = axes[0].pad_before, axes[1].pad_before
        inside = framed[:, top : top + part.shape[1], left : left + part.shape[2]]
        inside[...] = part[:, : inside.shape[1], : inside.shape[2]]
        windows = np.empty((len(part), *target[:2], *taps, channels), dtype=weight.dtype)
        for ky in range(taps[0]):
            rows = framed[:, ky * axes[0].dilation :][:, : last[0] : axes[0].stride]
            for kx in range(taps[1]):
                windows[:, :, :, ky, kx] = rows[:, :, kx * axes[1].dilation :][
                    :, :, : last[1] : axes[1].stride
                ]
        sums = windows.reshape(-1, len(matrix)) @ matrix
        found[begin : begin + size] = sums.reshape(len(part), *target)
    return found


def _tap_by_tap(
    cells: Float, weight: NDArray[Any], axes: tuple[Axis, Axis], groups: int, target: Shape
) -> Float:
    """Each tap sends a grid of sources to a grid of targets."""
    reached_y, reached_x = (
        replace(axis, pool=1).target_of_tap(length, size)
        for axis, length, size in zip(axes, cells.shape[1:3], target[:2], strict=True)
    )
    found = np.zeros((len(cells), *target), dtype=weight.dtype)
    in_group, out_group = weight.shape[2], weight.shape[3] // groups
    for ky in range(axes[0].taps):
        for kx in range(axes[1].taps):
            y, x = (np.flatnonzero(t >= 0) for t in (reached_y[:, ky], reached_x[:, kx]))
            reached = np.ix_(range(len(cells)), reached_y[y, ky], reached_x[x, kx])
            sources = cells[:, y][:, :, x].reshape(-1, groups, in_group).transpose(1, 0, 2)
            tap = weight[ky, kx].reshape(in_group, groups, out_group).transpose(1, 0, 2)
            sums = (sources @ tap).transpose(1, 0, 2)
            found[reached] += sums.reshape(len(cells), len(y), len(x), target[2])
    return found
