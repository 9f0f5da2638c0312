"""Listed synapses that are a convolution after all: folded averages that leave rows over, and the like.

A convolution's synapses are a product: which source rows a target row reads, which columns, which
channels, each whatever the others are; and their weights go by the taps of both axes. What is of this
form is found here with its geometry (stride, padding, dilation, cells of pooled neurons), so that a
kernel is stored instead of every synapse. The synapses are the same, each with its weight: nothing is
added, not even one of weight zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.lowering.wires import ChannelWires, ConvolutionWires, SparseWires, Wires
from eventsnn.network import Axis

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

ALIKE = 1e-12
"""Weights of one tap that differ by less, relative to the largest, are one: sums in another order."""

SHORT = 16
"""Up to so many cells every stride and padding is tried; beyond, those that neighbouring windows say."""


def regular_wires(found: SparseWires) -> Wires:
    """The same synapses as a convolution or channel by channel; what is neither stays as it is."""
    if not len(found.indices) or not _is_product(found):
        return found
    rows = np.repeat(np.arange(len(found.indptr) - 1), np.diff(found.indptr))
    places = [*np.unravel_index(found.indices, found.target), *np.unravel_index(rows, found.source)]
    patterns = []
    for axis in range(3):
        pattern = np.zeros((found.target[axis], found.source[axis]), dtype=np.bool_)
        pattern[places[axis], places[3 + axis]] = True
        patterns.append(pattern)
    counts = [int(pattern.sum()) for pattern in patterns]
    groups = _groups(patterns[2])
    if counts[0] * counts[1] * counts[2] != len(found.indices) or groups is None:
        return found
    # Every pair of rows meets every pair of columns and of channels: a block of weights.
    pairs = [
        (np.cumsum(pattern.reshape(-1)) - 1)[places[axis] * pattern.shape[1] + places[3 + axis]]
        for axis, pattern in enumerate(patterns)
    ]
    block = np.empty(counts)
    block[pairs[0], pairs[1], pairs[2]] = found.weight
    tolerance = ALIKE * float(np.abs(block).max())
    axes = []
    for k in (0, 1):
        along = _axis(patterns[k], np.moveaxis(block, k, 0), tolerance)
        if along is None:
            return found
        axes.append(along.axis)
        block = block.take(along.first, axis=k)
    in_group = found.source[2] // groups
    target, source = np.nonzero(patterns[2])
    weight = np.zeros((*block.shape[:2], in_group, found.target[2]))
    weight[:, :, source % in_group, target] = block
    geometry = (axes[0], axes[1])
    each = in_group == 1 and found.target[2] == found.source[2]
    if each and np.ptp(weight, axis=(0, 1)).max() <= tolerance:
        return ChannelWires(found.source, found.target, found.first_channel, weight[0, 0, 0].copy(), geometry)
    return ConvolutionWires(found.source, found.target, found.first_channel, weight, geometry, groups)


def _is_product(found: SparseWires) -> bool:
    """Whether the fan-out of sources is one of rows times one of columns times one of channels."""
    fan_out = np.diff(found.indptr).reshape(found.source).astype(np.float64)
    sums = [fan_out.sum(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    product = sums[0][:, None, None] * sums[1][:, None] * sums[2]
    return bool(np.allclose(fan_out * fan_out.sum() ** 2, product, rtol=1e-9))


def _groups(pattern: Bool) -> int | None:
    """Groups of the channels (target, source); None where they are no equal blocks in order."""
    targets, sources = pattern.shape
    inside = int(pattern[0].sum())
    if not inside or sources % inside or targets % (sources // inside):
        return None
    groups = sources // inside
    own = np.arange(targets)[:, None] // (targets // groups) == np.arange(sources) // inside
    return groups if np.array_equal(own, pattern) else None


@dataclass(frozen=True, eq=False)
class _Along:
    """An axis, and for each of its taps the first of the pairs (target, source) that it connects."""

    axis: Axis
    first: Int64


def _axis(pattern: Bool, block: Float64, tolerance: float) -> _Along | None:
    """The axis of fewest taps and windows by which pairs of one tap have one weight.

    ``pattern`` (targets, sources) says which pairs there are; ``block`` has a row of weights for each.
    """
    length = pattern.shape[1]
    target, source = np.nonzero(pattern)
    for pool in _pools(pattern):
        cells = pattern[:, : length // pool * pool : pool]
        found = []
        for axis in _windows(cells, pool):
            tap = _taps(axis, pattern)
            if tap is None:
                continue
            tap = tap[target, source]
            names, first = np.unique(tap, return_index=True)
            if len(names) == axis.taps and np.abs(block - block[first[tap]]).max() <= tolerance:
                found.append(_Along(axis, first))
        if found:
            return min(found, key=lambda along: along.axis.taps)
    return None


def _pools(pattern: Bool) -> Iterator[int]:
    """Cells of neighbouring sources that every target reads whole, nothing behind the last whole cell."""
    length = pattern.shape[1]
    for pool in range(length, 0, -1):
        whole = length // pool * pool
        cells = pattern[:, :whole].reshape(len(pattern), -1, pool)
        if not pattern[:, whole:].any() and (cells == cells[:, :, :1]).all():
            yield pool


def _windows(cells: Bool, pool: int) -> Iterator[Axis]:
    """Geometries that these cells could be read by."""
    targets, length = cells.shape
    reading = np.flatnonzero(cells.any(axis=1))
    first = cells[reading].argmax(axis=1)
    last = length - 1 - cells[reading, ::-1].argmax(axis=1)
    gaps = np.concatenate([np.diff(np.flatnonzero(row)) for row in cells])
    dilation = int(gaps[0]) if len(gaps) else 1
    if (gaps != dilation).any():
        return
    strides = {*np.diff(first).tolist(), *np.diff(last).tolist(), 1, length}
    if length <= SHORT:
        strides |= set(range(1, 2 * length + 1))
    for stride in sorted(stride for stride in strides if stride > 0):
        befores = set((reading * stride - first).tolist())
        if length <= SHORT:
            befores |= set(range(2 * length + 1))
        for before in sorted(before for before in befores if before >= 0):
            reach = int((last - (reading * stride - before)).max())
            if reach < 0 or reach % dilation:
                continue
            after = max(0, (targets - 1) * stride + reach + 1 - length - before)
            yield Axis(reach // dilation + 1, stride, before, after, dilation, pool)


def _taps(axis: Axis, pattern: Bool) -> Int64 | None:
    """The tap of each pair (target, source); None where the axis has other pairs than the pattern."""
    targets, length = pattern.shape
    if axis.target_length(length) != targets:
        return None
    reached = axis.target_of_tap(length, targets)
    source, tap = np.nonzero(reached >= 0)
    found = np.full(pattern.shape, -1, dtype=np.int64)
    found[reached[source, tap], source] = tap
    return found if np.array_equal(found >= 0, pattern) else None
