"""What drawn spikes of an output are compared by: their shares, and the softmax of the original's scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def shares(counts: NDArray[Any]) -> Float64:
    """Each neuron's part of its sample's spikes; 0 where there are none."""
    rows = counts.reshape(len(counts), -1)
    return np.asarray(rows / np.maximum(1, rows.sum(axis=1, keepdims=True))).reshape(counts.shape)


def softmax(scores: Float64) -> Float64:
    """The softmax over each sample's values, of the same shape."""
    rows = scores.reshape(len(scores), -1)
    found = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=np.float64).reshape(scores.shape)
