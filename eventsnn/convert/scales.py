"""The ceiling or percentile of a layer's activations on calibration data, all at once or part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class Search(Protocol):
    """A search of one scale over values that come part by part."""

    def add(self, positive: Float64) -> None:
        """Take more values in."""

    def best(self) -> float:
        """The scale."""


GRID = 95
"""Ceilings tried: the largest activation times 1, 0.99, ... 0.06."""

SMALLEST_SHARE = 1 / 64
"""A channel's scale is never below this share of its layer's: calibration saw too little of it."""


def best_ceiling(activations: Float64, levels: int) -> float:
    """The ceiling theta of a quantised ReLU with the least squared error.

    Minimises the sum of (x - theta / levels * clip(floor(x levels / theta + 1/2), 0, levels))^2 over
    theta = (1 - 0.01 k) max(x), k = 0 ... 94, exactly.

    Parameters
    ----------
    activations : float64 array
        Of any shape, zero or more; zeros cost nothing at any ceiling.
    levels : int

    Returns
    -------
    float
        0 if no activation is positive.

    References
    ----------
    Y. Li et al., "A free lunch from ANN: towards efficient, accurate spiking neural networks
    calibration", ICML 2021, arXiv:2106.06984; the grid is that of their code. The neuron here rounds to
    the nearest level and the code rounds down; and the grid runs over the whole set at once, with no
    moving average over batches.
    """
    positive = activations[activations > 0]
    if positive.size == 0:
        return 0.0
    search = Ceilings(float(positive.max()), levels)
    search.add(positive)
    return search.best()


class Ceilings:
    """The squared error of every ceiling of the grid, or of others, added up part by part."""

    def __init__(self, largest: float, levels: int, grid: Sequence[float] | None = None) -> None:
        self.levels = levels
        self.grid = [largest * (1 - 0.01 * k) for k in range(GRID)] if grid is None else list(grid)
        self.error = np.zeros(len(self.grid))

    def add(self, positive: Float64) -> None:
        """Take more activations in, all above 0 and none above the largest."""
        ordered = np.sort(positive, axis=None)
        # Sums over the values of one level are differences of running sums, so no value is visited twice.
        running = np.concatenate([[0.0], np.cumsum(ordered)])
        count = np.arange(self.levels + 1)
        for k, theta in enumerate(self.grid):
            value = count * theta / self.levels
            starts = np.searchsorted(ordered, (count - 0.5) * theta / self.levels, side="left")
            ends = np.append(starts[1:], ordered.size)
            # The sum of x^2 is the same for every ceiling and left out.
            spread = value * value * (ends - starts) - 2 * value * (running[ends] - running[starts])
            self.error[k] += float(np.sum(spread))

    def best(self) -> float:
        """The ceiling of least error, the largest of several."""
        return self.grid[int(np.argmin(self.error))]


def robust_maximum(activations: Float64, percentile: float) -> float:
    """The percentile of the non-zero activations, 0 if there are none.

    References
    ----------
    B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), section 2.2.2. Zeros are left out, as
    in the authors' toolbox; the paper does not say. With zeros, scales come out up to three times
    smaller.
    """
    positive = activations[activations > 0]
    if not positive.size:
        return 0.0
    search = Percentile(positive.size, percentile)
    search.add(positive)
    return search.best()


class Percentile:
    """The percentile of values that come part by part, exactly that of ``numpy.percentile``.

    Of ``count`` values only those from the percentile up are held, or those up to it where they are fewer.
    """

    def __init__(self, count: int, percentile: float) -> None:
        place = (count - 1) * (percentile / 100)
        self.below = int(np.floor(place))
        self.share = place - self.below
        self.from_top = count - self.below <= self.below + 2
        self.room = min(count - self.below if self.from_top else self.below + 2, count)
        self.held: Float64 = np.zeros(0)

    def add(self, positive: Float64) -> None:
        """Take more values in."""
        held = np.concatenate([self.held, positive.reshape(-1)])
        if held.size > self.room:
            cut = held.size - self.room
            held = (
                np.partition(held, cut)[cut:] if self.from_top else np.partition(held, self.room)[: self.room]
            )
        self.held = held

    def best(self) -> float:
        """The value between the two neighbours of the percentile."""
        held = np.sort(self.held)
        place = 0 if self.from_top else self.below
        low, high = float(held[place]), float(held[min(place + 1, held.size - 1)])
        if self.share >= 0.5:
            return high - (high - low) * (1 - self.share)
        return low + (high - low) * self.share


def floored(of_channel: Float64, of_layer: float) -> Float64:
    """Scales per channel, each at least ``SMALLEST_SHARE`` of the layer's."""
    return np.maximum(of_channel, SMALLEST_SHARE * of_layer)
