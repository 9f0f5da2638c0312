"""Histograms of values that come batch by batch, whose range nobody knows before the last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

BINS = 64


@dataclass(frozen=True)
class Histogram:
    """How often values lie where.

    Attributes
    ----------
    start : float
        Lower edge of the first bin.
    width : float
        Of each bin, a power of two; 0 of a histogram without bins.
    counts : tuple of int
        Of values from one edge up to the next; the zeros are left out.
    zeros : int
        Values that are exactly 0, most of a rectified layer's.
    """

    start: float
    width: float
    counts: tuple[int, ...]
    zeros: int


class GrowingHistogram:
    """Bins at whole multiples of a power of two, which doubles where more than ``BINS`` would be needed."""

    def __init__(self) -> None:
        self.zeros = 0
        self._width = 0.0
        self._first = 0
        self._counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def add(self, values: Float64) -> None:
        """Count values of any shape, all finite."""
        flat = values[values != 0]
        self.zeros += values.size - flat.size
        if not flat.size:
            return
        lowest, highest = float(flat.min()), float(flat.max())
        if not self._counts.size:
            spread = max(highest - lowest, abs(highest) / BINS, abs(lowest) / BINS)
            self._width = float(2.0 ** np.floor(np.log2(spread / BINS)))
        while not self._holds(lowest, highest):
            self._double()
        place = np.floor(flat / self._width).astype(np.int64)
        first = int(place.min()) if not self._counts.size else min(self._first, int(place.min()))
        last = max(int(place.max()), self._first + self._counts.size - 1)
        grown = np.zeros((last if self._counts.size else int(place.max())) - first + 1, dtype=np.int64)
        begin = self._first - first
        if self._counts.size:
            grown[begin : begin + self._counts.size] = self._counts
        self._counts = grown + np.bincount(place - first, minlength=grown.size)
        self._first = first

    def _holds(self, lowest: float, highest: float) -> bool:
        ends = [np.floor(lowest / self._width), np.floor(highest / self._width)]
        if self._counts.size:
            ends += [self._first, self._first + self._counts.size - 1]
        return bool(max(ends) - min(ends) < BINS)

    def _double(self) -> None:
        self._width *= 2
        if self._counts.size:
            place = (np.arange(self._counts.size) + self._first) // 2
            self._first = int(place[0])
            self._counts = np.bincount(place - self._first, weights=self._counts).astype(np.int64)

    def found(self) -> Histogram:
        """What was counted so far."""
        return Histogram(self._first * self._width, self._width, tuple(self._counts.tolist()), self.zeros)
