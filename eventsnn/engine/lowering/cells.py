"""Where the spikes of a projection land: a convolution's or dense layer's weights, and cells of targets.

Where the spikes of a source pixel land is one *cell*: a first target, a first weight, and how many contiguous
runs follow at which strides. Weights are stored per source channel and stride phase, taps in ascending target
order, so that for one spike and one kernel row both targets and weights are contiguous.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.kernels import records as k
from eventsnn.hardware import Part
from eventsnn.network import Axis, Conv2d, Dense, MaxPool, Sparse

Shape = tuple[int, int, int]
Lowered = Conv2d | Dense | Sparse | MaxPool
"""What ``Synapses.lowered_as`` gives."""


def reaches_whole_pixels(synapses: Lowered) -> bool:
    """Whether what reaches a neuron reaches all channels of its pixel."""
    return synapses.kind == Dense.kind or getattr(synapses, "groups", None) == 1


class Kernel(NamedTuple):
    """A projection's weights, and how its targets lie; offsets are into its own weights."""

    weights: NDArray[np.int32]
    channel_block: int
    in_group: int
    out_group: int
    phases: NDArray[np.int64]  # (phases y x phases x, 3): offset in a block, taps along y, taps along x
    phases_x: int
    y: Landing
    x: Landing


class Landing(NamedTuple):
    """Per source coordinate: (first target, taps, phase, first tap); and the step between targets."""

    table: NDArray[np.int64]
    step: int


def _axis_phases(axis: Axis) -> list[list[int]]:
    """Taps of each stride phase, in ascending target order."""
    if axis.transposed:
        return [list(range(axis.taps))]
    return [
        [tap for tap in reversed(range(axis.taps)) if (tap * axis.dilation) % axis.stride == phase]
        for phase in range(axis.stride)
    ]


def _landing(axis: Axis, source_length: int, target_length: int) -> Landing:
    targets = axis.target_of_tap(source_length, target_length)
    phases = _axis_phases(axis)
    table = np.zeros((source_length, 4), dtype=np.int64)
    step = axis.dilation if axis.transposed else axis.dilation // int(np.gcd(axis.dilation, axis.stride))
    for source in range(source_length):
        phase = 0 if axis.transposed else (source // axis.pool + axis.pad_before) % axis.stride
        taps = phases[phase]
        # The targets of one phase ascend in equal steps, so those inside are one consecutive run.
        inside = [i for i, tap in enumerate(taps) if targets[source, tap] >= 0]
        if inside:
            table[source] = (targets[source, taps[inside[0]]], len(inside), phase, inside[0])
    return Landing(table, step)


def convolution(conv: Conv2d, source: Shape, target: Shape) -> Kernel:
    """A convolution's weights in the order in which spikes walk over them."""
    phases_y, phases_x = _axis_phases(conv.y), _axis_phases(conv.x)
    in_group, out_group = conv.weight.shape[2], conv.weight.shape[3] // conv.groups
    phase_rows, position = [], 0
    for taps_y in phases_y:
        for taps_x in phases_x:
            phase_rows.append((position, len(taps_y), len(taps_x)))
            position += len(taps_y) * len(taps_x) * out_group
    blocks = np.zeros((source[2], position), dtype=np.int32)
    for channel in range(source[2]):
        group = channel // in_group
        chosen = conv.weight[:, :, channel % in_group, group * out_group : (group + 1) * out_group]
        pieces = [chosen[np.ix_(taps_y, taps_x)].reshape(-1) for taps_y in phases_y for taps_x in phases_x]
        blocks[channel] = np.concatenate(pieces)
    return Kernel(
        blocks.reshape(-1), position, in_group, out_group, np.array(phase_rows, dtype=np.int64),
        len(phases_x),
        _landing(conv.y, source[0], target[0]), _landing(conv.x, source[1], target[1]),
    )  # fmt: skip


def convolution_cells(kernel: Kernel, target: Shape, part: Part) -> k.Records:
    """Per source pixel, where its spikes land inside a part: records of ``CELL``."""
    (first_y, taps_y, phase_y, tap_y), (first_x, taps_x, phase_x, tap_x) = kernel.y.table.T, kernel.x.table.T
    # Rows of the part only: the first target row at or after y0, and no row at or after y1.
    skipped = np.clip(-((first_y - part.y0) // kernel.y.step), 0, taps_y)
    first_y, taps_y, tap_y = first_y + skipped * kernel.y.step, taps_y - skipped, tap_y + skipped
    rows = np.clip(-((first_y - part.y1) // kernel.y.step), 0, taps_y)
    phase = kernel.phases[phase_y[:, None] * kernel.phases_x + phase_x[None, :]]
    exists = (rows[:, None] > 0) & (taps_x[None, :] > 0)
    pixel = first_y[:, None] * target[1] + first_x[None, :]
    weight_row = phase[..., 2] * kernel.out_group
    weight = phase[..., 0] + tap_y[:, None] * weight_row + tap_x[None, :] * kernel.out_group
    cells = k.records(k.CELL, exists.size).reshape(exists.shape)
    cells.target = np.where(exists, pixel * target[2], 0)
    cells.weight = np.where(exists, weight, 0)
    cells.rows = np.where(exists, rows[:, None], 0)
    cells.taps = np.where(exists, taps_x[None, :], 0)
    cells.weight_row = np.where(exists, weight_row, 0)
    cells.pixel = np.where(exists, pixel, 0)
    return cells.reshape(-1)


def dense_cells(dense: Dense, source: Shape) -> k.Records:
    """One run of all targets for each source pixel; a channel's weights follow the last one's."""
    row = dense.rows(source).reshape(-1, source[2])[:, 0]
    cells = k.records(k.CELL, len(row))
    cells.weight = np.where(row >= 0, row, 0) * dense.weight.shape[1]
    cells.rows = row >= 0
    cells.taps = row >= 0
    return cells


def dense(synapses: Dense, source: Shape) -> Kernel:
    """A dense layer's weights, as they are."""
    targets = synapses.weight.shape[1]
    none, nowhere = np.zeros((0, 3), dtype=np.int64), Landing(np.zeros((0, 4), dtype=np.int64), 1)
    return Kernel(synapses.weight.reshape(-1), targets, source[2], targets, none, 1, nowhere, nowhere)
