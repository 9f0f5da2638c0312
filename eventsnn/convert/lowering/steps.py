"""What rate neurons and gates do in a number of steps, for layers that are calibrated one after the other.

Rows are samples, each with its steps in order: row ``s steps + k`` is step k of sample s. The rules are
those of the step schedule (law 8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.lowering.windows import largest_of_windows
from eventsnn.network import IntegrateAndFire, MaxPool

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

MOST_STEPS = 64
"""Steps that are looked at; of longer samples as many, each longer."""

BITS_OF_SPIKES, BITS_OF_PLACE = 12, 28
"""In the winner's number: its spikes in this step, and its place among the sources, below its estimate."""


def spikes_of_steps(
    charge: Float64, quanta: Float64, neuron: IntegrateAndFire, steps: int, start: Any = 0
) -> Int64:
    """Spikes in each step of neurons that are given a charge in each, and a bias.

    Parameters
    ----------
    charge : float64 array, shape (samples * steps, y, x, channel)
        Quanta of each step.
    quanta : float64 array, shape (y, x, channel)
        The bias over all steps.
    neuron : IntegrateAndFire
    steps : int
    start : int or int64 array, shape (channels,)
        Charge at the start beside the neuron's own.
    """
    given = np.rint(charge.reshape(-1, steps, *charge.shape[1:])).astype(np.int64)
    given += np.rint(quanta / steps).astype(np.int64)
    left = np.full(given[:, 0].shape, neuron.starting_charge, dtype=np.int64) + start
    found = np.zeros_like(given)
    for step in range(steps):
        left += given[:, step]
        spikes = np.maximum(left // neuron.threshold, 0)
        if neuron.reset == "hard" or not neuron.multispike:
            spikes = np.minimum(spikes, 1)
        left = RESETS[neuron.reset](left, spikes, neuron.threshold)
        found[:, step] = spikes
    return found.reshape(charge.shape)


RESETS: dict[str, Callable[[Int64, Int64, int], Int64]] = {
    "soft": lambda left, spikes, threshold: left - spikes * threshold,
    "hard": lambda left, spikes, threshold: np.where(spikes > 0, 0, left),
}


def spikes_of_winners(spikes: NDArray[Any], gates: MaxPool, steps: int) -> Int64:
    """Spikes in each step that gates pass on: of the source with the largest count so far.

    The first of several such sources; whatever the gates' filter, averages are compared.

    Parameters
    ----------
    spikes : integer array, shape (samples * steps, y, x, channel)
    gates : MaxPool
    steps : int
    """
    parts = spikes.reshape(-1, steps, *spikes.shape[1:]).astype(np.int64)
    so_far = np.cumsum(parts, axis=1)
    size = int(np.prod(spikes.shape[1:]))
    place = (size - 1 - np.arange(size, dtype=np.int64)).reshape(spikes.shape[1:])
    number = (((so_far << BITS_OF_PLACE) | place) << BITS_OF_SPIKES) | parts
    found = largest_of_windows(number.reshape(spikes.shape), gates)
    return np.asarray(found & (2**BITS_OF_SPIKES - 1))
