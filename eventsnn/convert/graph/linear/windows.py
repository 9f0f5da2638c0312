"""Which inputs the windows of convolutions and pools read along one axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.operations import Convolution, Windows

Int64 = NDArray[np.int64]


class Axis(NamedTuple):
    """A convolution's windows along one axis: cell k's tap j reads ``k stride - before + j dilation``."""

    taps: int
    stride: int
    before: int
    dilation: int

    def places(self, cells: int) -> Int64:
        """What each cell's taps read, shape (cells, taps): outside of the input where there is padding."""
        first = np.arange(cells) * self.stride - self.before
        return first[:, None] + np.arange(self.taps) * self.dilation

    def after(self, length: int, cells: int) -> int | None:
        """The padding behind that gives so many cells; None where none does."""
        reach = (self.taps - 1) * self.dilation + 1
        after = max(0, (cells - 1) * self.stride + reach - length - self.before)
        found = (length + self.before + after - reach) // self.stride + 1
        return after if found == cells else None


def axis_of(convolution: Convolution, axis: int) -> Axis:
    """A convolution's windows along y (0) or x (1)."""
    return Axis(
        convolution.weight.shape[2 + axis],
        convolution.stride[axis],
        convolution.padding[axis][0],
        convolution.dilation[axis],
    )


def pairs_of(places: Int64, length: int) -> tuple[Int64, Int64, Int64]:
    """(cell, tap, input) of every tap that lies in an input of ``length``."""
    cells, taps = np.nonzero((places >= 0) & (places < length))
    return cells, taps, places[cells, taps]


def pairs_of_windows(windows: Windows) -> tuple[Int64, Int64]:
    """(cell, input) of everything that a pool's windows read."""
    cells: list[int] = []
    inputs: list[int] = []
    for cell, (first, end) in enumerate(zip(windows.first, windows.end, strict=True)):
        read = range(first, end, windows.step)
        cells += [cell] * len(read)
        inputs += read
    return np.array(cells, dtype=np.int64), np.array(inputs, dtype=np.int64)


def counts(windows: Windows) -> Int64:
    """How many inputs each window reads."""
    read = zip(windows.first, windows.end, strict=True)
    return np.array([len(range(first, end, windows.step)) for first, end in read], dtype=np.int64)


def regular(windows: Windows, length: int) -> Axis | None:
    """A pool's windows as those of a convolution; None where they are not evenly spaced."""
    cells = len(windows.first)
    read = counts(windows)
    taps, step = int(read.max()), windows.step
    if read.min() < 1:
        return None
    first = np.array(windows.first)
    last = first + (read - 1) * step
    strides = {1, *np.diff(first).tolist(), *np.diff(last).tolist()} if cells > 1 else {1}
    for stride in sorted(stride for stride in strides if stride > 0):
        for before in range((taps - 1) * step + 1):
            axis = Axis(taps, stride, before, step)
            places = axis.places(cells)
            inside = (places >= 0) & (places < length)
            if axis.after(length, cells) is None or not (inside.sum(axis=1) == read).all():
                continue
            if (np.where(inside, places, length).min(axis=1) == first).all():
                return axis
    return None
