"""Rearranged values that are a grid of their source's, and windows that lie regularly on it, as axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.operations import Windows
from eventsnn.network import Axis

Int64 = NDArray[np.int64]
Shape3 = tuple[int, int, int]

MOST_TRIALS = 20_000
"""Geometries tried for the windows of one axis."""


@dataclass(frozen=True)
class Line:
    """Places along one axis: place i is the source's coordinate ``first + step i`` where that exists.

    Attributes
    ----------
    places, length : int
        Places, and coordinates of the source.
    first, step : int
    """

    places: int
    length: int
    first: int = 0
    step: int = 1

    def coordinates(self) -> Int64:
        """The source's coordinate of each place, -1 for a zero."""
        found = self.first + self.step * np.arange(self.places, dtype=np.int64)
        return np.where((found >= 0) & (found < self.length), found, -1)


@dataclass(frozen=True)
class Grid:
    """Channel ``c`` of the rearranged values is the source's ``c + shift``; rows and columns are lines."""

    shift: int
    rows: Line
    columns: Line


def grid_of(indices: Int64 | None, source: Shape3) -> Grid | None:
    """The grid that rearranged values are, None if they are none.

    Parameters
    ----------
    indices : int64 array of three axes (channel, y, x), or None
        Places in the flattened source, -1 for a zero. None: the source itself.
    source : (int, int, int)
        Its shape (channels, y, x).
    """
    height, width = source[1:]
    if indices is None:
        return Grid(0, Line(height, height), Line(width, width))
    if indices.ndim != 3 or not (indices >= 0).any():
        return None
    there = indices >= 0
    at = np.argwhere(there)[0]
    channel, y, x = np.unravel_index(indices[tuple(at)], source)
    lines = []
    for axis, (place, coordinate, length) in enumerate(
        zip(at[1:], (int(y), int(x)), (height, width), strict=True), start=1
    ):
        along = indices[tuple(slice(None) if k == axis else int(at[k]) for k in range(3))]
        where = np.flatnonzero(along >= 0)
        step = length
        if len(where) > 1:
            other = np.unravel_index(int(along[where[1]]), source)[axis]
            step, rest = divmod(int(other) - coordinate, int(where[1] - where[0]))
            if step < 1 or rest:
                return None
        lines.append(Line(indices.shape[axis], length, coordinate - step * int(place), step))
    found = Grid(int(channel) - int(at[0]), lines[0], lines[1])
    return found if np.array_equal(_indices(found, indices.shape[0], source), indices) else None


def _indices(grid: Grid, channels: int, source: Shape3) -> Int64:
    channel = np.arange(channels) + grid.shift
    channel = np.where((channel >= 0) & (channel < source[0]), channel, -1)
    parts = np.ix_(channel, grid.rows.coordinates(), grid.columns.coordinates())
    there = (parts[0] >= 0) & (parts[1] >= 0) & (parts[2] >= 0)
    return np.where(there, (parts[0] * source[1] + parts[1]) * source[2] + parts[2], -1)


def convolution_axis(
    line: Line, taps: int, stride: int, padding: tuple[int, int], dilation: int, targets: int
) -> Axis | None:
    """The axis of windows on a line, in the source's own coordinates; None if no axis says it."""
    place = np.arange(targets)[:, None] * stride - padding[0] + np.arange(taps) * dilation
    before = line.step * padding[0] - line.first
    if before < 0:
        return None
    span = line.step * (taps - 1) * dilation + 1
    needed = (targets - 1) * line.step * stride + span - line.length - before
    # What a plain layer says of itself stays as it is; else as much padding as its windows need.
    for after in dict.fromkeys((padding[1], max(0, needed))):
        axis = Axis(taps, line.step * stride, before, after, line.step * dilation)
        if axis.target_length(line.length) == targets and _same(axis, line, place):
            return axis
    return None


def window_axis(windows: Windows, line: Line) -> Axis | None:
    """The axis of a pool's windows on a line; None if they are irregular."""
    coordinates = line.coordinates()
    cells = [
        coordinates[first : end : windows.step] for first, end in zip(windows.first, windows.end, strict=True)
    ]
    wanted = [cell[cell >= 0] for cell in cells]
    if not all(len(cell) for cell in wanted):
        return None
    dilation = line.step * windows.step
    most = max(map(len, wanted))
    for taps, stride, before in _trials(wanted, most, dilation, line.length):
        if before < 0:
            continue
        span = (taps - 1) * dilation + 1
        after = max(0, (len(wanted) - 1) * stride + span - line.length - before)
        axis = Axis(taps, stride, before, after, dilation)
        if axis.target_length(line.length) != len(wanted):
            continue
        starts = np.arange(len(wanted)) * stride - before
        found = starts[:, None] + np.arange(taps) * dilation
        if all(
            np.array_equal(row[(row >= 0) & (row < line.length)], cell)
            for row, cell in zip(found, wanted, strict=True)
        ):
            return axis
    return None


def _trials(cells: list[Int64], most: int, dilation: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Geometries (taps, stride, padding before): the evident ones, then what little else is possible."""
    full = [k for k, cell in enumerate(cells) if len(cell) == most]
    firsts = {k: int(cells[k][0]) for k in full}
    if len(cells) == 1:
        yield most, most * dilation, 0
        yield most, most * dilation + int(cells[0][0]), 0
    if len(full) > 1:
        stride = (firsts[full[-1]] - firsts[full[0]]) // (full[-1] - full[0])
        if stride > 0:
            yield most, stride, full[0] * stride - firsts[full[0]]
    tried = 0
    for taps, stride in product(range(most, most + 4), range(1, length + 1)):
        for before in range(taps * dilation):
            if tried >= MOST_TRIALS:
                return
            tried += 1
            yield taps, stride, before


def _same(axis: Axis, line: Line, place: Int64) -> bool:
    """Whether an axis connects what windows over these places of a line do, shape (targets, taps)."""
    there = (place >= 0) & (place < line.places)
    coordinate = np.where(there, line.coordinates()[np.where(there, place, 0)], -1)
    wanted = np.full((line.length, place.shape[1]), -1, dtype=np.int64)
    target, tap = np.nonzero(coordinate >= 0)
    wanted[coordinate[target, tap], tap] = target
    return np.array_equal(axis.target_of_tap(line.length, len(place)), wanted)
