"""Weights of few bits: whole multiples of one step a channel (or a layer), as words of k bits hold them.

What is rounded is what a synapse holds, in quanta: the trained weight with the units of source and target and
the normalisation of images in it. Steps are whole quanta, so that the network's integers are exactly these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Convolution, Dense
from eventsnn.convert.lowering.wires import ChannelWires, Wires
from eventsnn.convert.quantise import to_quanta
from eventsnn.convert.scales import Ceilings
from eventsnn.errors import InvalidRequest

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

FEW = 8
"""A channel that sums up fewer weights says nothing about the bits that they have."""

TRIED, SMALLEST, ABOVE = 128, 20, 1.25
"""Steps that are tried together; the share of the largest that the smallest is; how far above it goes."""


def largest_multiple(bits: int) -> int:
    """Multiples on each side of 0: as many above as below."""
    return int(2 ** (bits - 1) - 1)


def refuse_one_bit(layers: Sequence[Layer], bits: int) -> None:
    """Refuse weights that are of one bit as they are: more would change nothing.

    Raises
    ------
    InvalidRequest
    """
    for layer in layers:
        for branch in layer.branches:
            if not isinstance(branch.linear, Convolution | Dense):
                continue
            size = np.abs(branch.linear.weight).reshape(len(branch.linear.weight), -1)
            alike = np.ptp(size, axis=1) <= 1e-6 * size.max(axis=1)
            if size.shape[1] >= FEW and size.any() and alike.all():
                raise InvalidRequest(
                    f"weight_bits is {bits}, but the weights of layer {layer.path!r} are of 1 bit already: "
                    "one magnitude in each channel, and signs. Leave weight_bits out"
                )


def of_few_bits(wires: Wires, weight: Int32, bits: int, per_channel: bool, layer: str) -> Int32:
    """Weights in quanta as multiples of a step, ``-m`` to ``m`` times it with ``m = 2^(bits - 1) - 1``.

    Parameters
    ----------
    wires : Wires
        What the weights are of. Pools and shortcuts have one weight a channel, which is its step.
    weight : int32 array
        Laid out as that of the wires.
    bits : int
    per_channel : bool
        A step for each channel of the target, or one for all.
    layer : str
        Its name, for messages.
    """
    if isinstance(wires, ChannelWires):
        return weight
    channels = wires.target[2] if per_channel else 1
    of_channel = np.broadcast_to(
        wires.of_target(np.arange(wires.target[2], dtype=np.float64)), weight.shape
    ).astype(np.int64)
    if not per_channel:
        of_channel = np.zeros_like(of_channel)
    values, most = weight.reshape(-1).astype(np.float64), largest_multiple(bits)
    order = np.argsort(of_channel, axis=None, kind="stable")
    ends = np.cumsum(np.bincount(of_channel.reshape(-1), minlength=channels))
    found = np.zeros(weight.size)
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        own = order[begin:end]
        if values[own].any():
            step = best_step(values[own], most)
            found[own] = step * multiples(values[own], step, most)
    return to_quanta(found.reshape(weight.shape), f"a weight of layer {layer!r}")


def best_step(values: Float64, most: int) -> float:
    """The whole step of least squared error, from 1 on; not all values are 0.

    Steps are tried from somewhat above those that the largest value is cut at (which may suit the others
    better) down to a twentieth: some evenly, then all about the best of these, or some evenly again.
    """
    size = np.abs(values[values != 0])
    end = max(1, math.ceil(ABOVE * size.max() / (most - 0.5)))
    first = max(1, end // SMALLEST)
    best, spacing = 1.0, 0
    while spacing != 1:
        spacing = max(1, -(-(end - first) // TRIED))
        steps = [float(step) for step in range(first, end + 1, spacing)]
        search = Ceilings(size.max(), most, [step * most for step in steps])
        search.add(size)
        best = search.best() / most
        first, end = max(1, round(best) - spacing), round(best) + spacing
    return round(best)


def multiples(values: Float64, step: float, most: int) -> Float64:
    """How many steps are nearest, ``-most`` to ``most``."""
    return np.clip(np.rint(values / step), -most, most)
