"""Activations as whole quanta: the one place where weights and biases are rounded, halves to even."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.lowering.wires import Wires
from eventsnn.errors import InvalidNetwork
from eventsnn.network.neurons import CHARGE_LIMIT

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


TOGETHER = 2**22
"""Weights that are rounded together: large layers have a hundred million."""


def weight_quanta(wires: Wires, unit_in: Float64, unit_out: Float64, threshold: int, layer: str) -> Int32:
    """The weights of a layer's synapses, in quanta.

    A spike of source channel i moves target channel j by ``round(w unit_in[i] / unit_out[j] threshold)``.

    Parameters
    ----------
    wires : Wires
    unit_in, unit_out : float64 arrays, one value a channel of the wires' source and target
        Activation that one spike stands for, and that ``threshold`` quanta stand for.
    threshold : int
        Quanta.
    layer : str
        Its name, for messages.

    Raises
    ------
    InvalidNetwork
        A weight leaves 32 bits, or all of them round to zero.
    """
    shape = wires.weight.shape
    factors = [
        np.broadcast_to(wires.of_source(unit_in), shape),
        np.broadcast_to(wires.of_target(unit_out), shape),
    ]
    weight = np.empty(shape, dtype=np.int32)
    rows = max(1, TOGETHER * len(weight) // max(1, weight.size))
    for begin in range(0, len(weight), rows):
        part = slice(begin, begin + rows)
        scaled = wires.weight[part] * factors[0][part] / factors[1][part] * threshold
        weight[part] = to_quanta(scaled, f"a weight of layer {layer!r}")
    if wires.weight.any() and not weight.any():
        raise InvalidNetwork(
            f"all weights of layer {layer!r} round to zero quanta, so it would receive nothing; use a "
            "larger threshold"
        )
    return weight


def to_quanta(values: Float64, what: str) -> Int32:
    """Rounded quanta, refused outside 32 bits; ``what`` names them in the message."""
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= CHARGE_LIMIT:
        raise InvalidNetwork(
            f"{what} would be {largest:.3g} quanta, beyond the 32-bit range (2^31 - 1): it is very large "
            "against the layer's activations. Use a smaller threshold, more representative calibration "
            "data, or scales='layer'"
        )
    return np.rint(values).astype(np.int32)
