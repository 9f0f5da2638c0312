"""What the counts of a population stand for, and what a family makes of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.network import Neuron

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Coded:
    """Values of a population: ``gain unit count + constant``, each with one value a channel.

    Attributes
    ----------
    unit : float64 array, shape (channels,)
        Activation of a count.
    constant : float64 array or None
        What a count of zero stands for, where that is not 0: counts start at 0, values need not.
    gain : float64 array or None
        What the model multiplies its input by (the normalisation of images).
    most : int or None
        The largest magnitude of a count that has settled, where there is one.
    """

    unit: Float64
    constant: Float64 | None = None
    gain: Float64 | None = None
    most: int | None = None

    @property
    def value(self) -> Float64:
        """What a count adds to the original's value."""
        return self.unit if self.gain is None else self.unit * self.gain


@dataclass(frozen=True, eq=False)
class Lowered:
    """A layer's neurons.

    Attributes
    ----------
    neuron : Neuron
    resolution : float64 array, shape (channels,)
        The activation that ``threshold`` quanta of charge stand for.
    coded : Coded
        What its counts stand for.
    start : int
        Quanta at time 0 beside biases and what the neurons start with themselves.
    ties : bool
        Whether charges that lie exactly between two levels are rounded otherwise than in the original.
    """

    neuron: Neuron
    resolution: Float64
    coded: Coded
    start: int = 0
    ties: bool = False


def units(values: Float64) -> tuple[float, ...]:
    """Units of a population: one, or one a channel where they differ."""
    return tuple(float(u) for u in (values if np.ptp(values) > 0 else values[:1]))
