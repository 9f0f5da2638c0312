"""The activation that one spike stands for, found from a layer's activations on calibration data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

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
    positive = np.sort(activations[activations > 0], axis=None)
    if positive.size == 0:
        return 0.0
    # Sums over the values of one level are differences of running sums, so no value is visited twice.
    running = np.concatenate([[0.0], np.cumsum(positive)])
    count = np.arange(levels + 1)
    best, least = float(positive[-1]), np.inf
    for k in range(GRID):
        theta = float(positive[-1]) * (1 - 0.01 * k)
        value = count * theta / levels
        starts = np.searchsorted(positive, (count - 0.5) * theta / levels, side="left")
        ends = np.append(starts[1:], positive.size)
        # The sum of x^2 is the same for every ceiling and left out.
        error = float(np.sum(value * value * (ends - starts) - 2 * value * (running[ends] - running[starts])))
        if error < least:
            best, least = theta, error
    return best


def robust_maximum(activations: Float64, percentile: float) -> float:
    """The percentile of the non-zero activations, 0 if there are none.

    References
    ----------
    B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), section 2.2.2. Zeros are left out, as
    in the authors' toolbox; the paper does not say. With zeros, scales come out up to three times
    smaller.
    """
    positive = activations[activations > 0]
    return float(np.percentile(positive, percentile)) if positive.size else 0.0


def floored(of_channel: Float64, of_layer: float) -> Float64:
    """Scales per channel, each at least ``SMALLEST_SHARE`` of the layer's."""
    return np.maximum(of_channel, SMALLEST_SHARE * of_layer)
