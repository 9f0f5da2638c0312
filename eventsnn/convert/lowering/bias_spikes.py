"""Biases as spikes: neurons of a constant current that fire at a rate in proportion to the bias.

The alternative to currents of B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), section 2.2.1,
after D. Neil and S.-C. Liu (2016): external spikes of constant rate, with their sign in the weight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.network import Identity, IntegrateAndFire, Population, Projection, Upsample

Int32 = NDArray[np.int32]

PARTS = 8
"""Spikes of a bias neuron for one threshold: what is not a whole one stays below a 16th of it."""


def bias_spikes(
    name: str, shape: tuple[int, int, int], bias: Int32, threshold: int, period: int
) -> tuple[list[Population], list[Projection]]:
    """The neurons that fire a layer's bias, and their synapses.

    Where a channel has one bias, one neuron fires it for all rows and columns; else there is a neuron for
    each, in a population for the biases above 0 and one for those below.

    Parameters
    ----------
    name : str
        Of the population that takes the bias.
    shape : (int, int, int)
        Its shape (y, x, channel).
    bias : int32 array, shape (channels,) or (neurons,)
        Quanta a period.
    threshold : int
        Of its neurons, in quanta.
    period : int
        Ticks.
    """
    worth = -(-threshold // PARTS)
    neuron = IntegrateAndFire(worth, initial_charge=worth // 2, period=period)
    source = f"{name}#bias"
    if bias.size == shape[2]:
        population = Population(source, (1, 1, shape[2]), neuron, bias=np.abs(bias))
        synapses = Upsample(np.sign(bias) * worth, shape[0], shape[1])
        return [population], [Projection(f"{source}-{name}", source, name, synapses)]
    populations, projections = [], []
    for sign in (1, -1):
        own = np.maximum(sign * bias, 0)
        if own.any():
            source = f"{name}#bias{'+' if sign > 0 else '-'}"
            populations.append(Population(source, shape, neuron, bias=own))
            like = Identity(np.array([sign * worth]))
            projections.append(Projection(f"{source}-{name}", source, name, like))
    return populations, projections
