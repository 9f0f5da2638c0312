"""Local threshold balancing: a ceiling that rises by what it cuts off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

BINS = 2**14
"""Equal parts of the range in which values are counted."""

ROUNDS = 1000
"""The more, the nearer the ceiling comes to the largest value."""


class Balanced:
    """The ceiling theta after ``ROUNDS`` times ``theta += 2 mean(max(0, x - theta))``, from 0.

    That is gradient descent on the squared error of cutting values off, with a step that it is stopped after:
    of values that decay, what is cut off in the mean goes down as one over the rounds.

    Parameters
    ----------
    largest : float
        The largest value; the ceiling stays at or below it.
    count : int
        Values in all, zeros too.

    References
    ----------
    T. Bu, M. Li, Z. Yu, "Inference-scale complexity in ANN-SNN conversion for high-performance and low-power
    applications", CVPR 2025, arXiv:2409.03368. There a round is a batch, of activations that the ceilings of
    the layers before already cut; here it is all samples, and the activations are the original's, so that
    neither the order of samples nor the size of batches changes a scale.
    """

    def __init__(self, largest: float, count: int) -> None:
        self.largest, self.count = largest, count
        self.numbers, self.sums = np.zeros(BINS), np.zeros(BINS)

    def add(self, positive: Float64) -> None:
        """Take more values in, 0 and more, none above the largest."""
        flat = positive.reshape(-1)
        place = np.minimum((flat * (BINS / self.largest)).astype(np.int64), BINS - 1)
        self.numbers += np.bincount(place, minlength=BINS)
        self.sums += np.bincount(place, weights=flat, minlength=BINS)

    def best(self) -> float:
        """The ceiling; what it cuts off is exact at the bins' edges and linear between them."""
        edges = np.linspace(0, self.largest, BINS + 1)
        above = np.append(np.cumsum(self.sums[::-1])[::-1], 0)
        numbers = np.append(np.cumsum(self.numbers[::-1])[::-1], 0)
        cut_off = (above - edges * numbers) / self.count
        theta = 0.0
        for _ in range(ROUNDS):
            theta = min(self.largest, theta + 2 * float(np.interp(theta, edges, cut_off)))
        return theta
