"""The largest of each window of a max-pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.network import MaxPool


def largest_of_windows(counts: NDArray[Any], gates: MaxPool, lowest: float = 0) -> NDArray[Any]:
    """The largest of each window of (samples, y, x, channel), and ``lowest`` if that is larger."""
    found = counts
    for k, axis in enumerate((gates.y, gates.x), start=1):
        targets = axis.target_of_tap(found.shape[k], axis.target_length(found.shape[k]))
        shape = list(found.shape)
        shape[k] = axis.target_length(found.shape[k])
        largest = np.full(shape, lowest, dtype=found.dtype)
        for tap in range(axis.taps):
            there = np.flatnonzero(targets[:, tap] >= 0)
            into = (slice(None),) * k + (targets[there, tap],)
            largest[into] = np.maximum(largest[into], found.take(there, axis=k))
        found = largest
    return found
