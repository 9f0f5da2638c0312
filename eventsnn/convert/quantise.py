"""A stage with its scales as integer synapses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.stages import Stage
from eventsnn.errors import InvalidNetwork
from eventsnn.network import Conv2d, Dense, Synapses
from eventsnn.network.neurons import CHARGE_LIMIT

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


def integer_synapses(stage: Stage, unit_in: Float64, unit_out: Float64, threshold: int) -> Synapses:
    """The synapses into a stage, in quanta.

    A spike of source channel i moves target channel j by ``round(w unit_in[i] / unit_out[j] threshold)``,
    halves to even.

    Parameters
    ----------
    stage : Stage
    unit_in, unit_out : float64 arrays, shapes (source channels,), (target channels,)
        Activation one spike stands for; for a readout, the activation of ``threshold`` quanta.
    threshold : int
        Quanta.

    Raises
    ------
    InvalidNetwork
        A weight leaves 32 bits, or all of them round to zero.
    """
    weight = to_quanta(
        stage.weight * per_source(stage, unit_in) / unit_out * threshold, f"a weight of layer {stage.name!r}"
    )
    if stage.weight.any() and not weight.any():
        raise InvalidNetwork(
            f"all weights of layer {stage.name!r} round to zero quanta, so it would receive nothing; use a "
            "larger threshold"
        )
    if stage.axes is None:
        return Dense(weight, stage.pool)
    return Conv2d(weight, *stage.axes, groups=stage.groups)


def per_source(stage: Stage, values: Float64) -> Float64:
    """Values of the source channels, in a shape that multiplies the stage's weight."""
    if stage.axes is None:
        return np.tile(values, stage.weight.shape[0] // len(values))[:, None]
    in_group, out_channels = stage.weight.shape[2:]
    group = np.arange(out_channels) // (out_channels // stage.groups)
    return values[group[None, :] * in_group + np.arange(in_group)[:, None]]


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
