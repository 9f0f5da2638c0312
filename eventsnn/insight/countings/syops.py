"""syops: operations of the dense layer times the mean of what it reads (``syops.ops``).

Of syops 0.0.5, summed over calls: a layer's multiply-accumulates at every tap, padding included, and one
addition for each bias. A call whose input holds at most two values, both in [0, 1], counts as accumulates, of
that many times the input's mean; any other as multiply-accumulates, all of them. Pools count a value read as
one, neurons that integrate and fire one accumulate a call each. Other neurons are zero operations there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from eventsnn.insight.countings.activity import Given
from eventsnn.insight.countings.base import Counted, Counting
from eventsnn.insight.countings.layers import Layer


class Syops(Counting):
    """``acs``, ``macs`` and their dense ``total`` of each layer, pool and population of neurons."""

    name: ClassVar[str] = "syops"
    package: ClassVar[str] = "syops 0.0.5"
    quantities: ClassVar[tuple[str, ...]] = ("acs", "macs", "total")

    def modules(self) -> Mapping[str, Callable[[Layer, Given], Counted]]:
        return {
            "conv2d": lambda layer, given: _counted(_dense(layer), layer, given),
            "conv_transpose2d": lambda layer, given: _counted(_transposed(layer), layer, given),
            "linear": lambda layer, given: _counted(_dense(layer), layer, given),
            "average_pool": lambda layer, given: _counted(layer.size, layer, given),
            "max_pool": lambda layer, given: _counted(layer.size, layer, given),
            "upsample": lambda layer, given: _counted(math.prod(layer.own), layer, given),
            "neurons": _neurons,
        }


def _dense(layer: Layer) -> int:
    assert layer.synapses is not None
    return layer.synapses.dense_macs(layer.shape) + layer.biased * math.prod(layer.own)


def _transposed(layer: Layer) -> int:
    """A transposed convolution is taken for one: its kernel at every position of what it gives."""
    synapses: Any = layer.synapses
    return math.prod(layer.own[:2]) * int(synapses.weight.size) + layer.biased * math.prod(layer.own)


def _neurons(layer: Layer, given: Given) -> Counted:
    updates = given.steps * layer.size
    return updates, 0, updates


def _counted(operations: int, layer: Layer, given: Given) -> Counted:
    """A call's operations, by the mean and the kind of each call's input."""
    starts = np.flatnonzero(np.diff(given.step, prepend=-1))
    value, size = given.value, np.diff(starts, append=len(given.step))
    if not len(starts):
        return 0.0, 0.0, operations * given.steps
    most, least = np.maximum.reduceat(value, starts), np.minimum.reduceat(value, starts)
    between = (value != np.repeat(most, size)) & (value != np.repeat(least, size))
    # Zeros are a value, too, unless every cell holds another.
    two = (most == least) | ((size == layer.size) & ~np.logical_or.reduceat(between, starts))
    spiking = two & (most <= 1) & (least >= 0)
    mean = np.add.reduceat(value, starts) / layer.size
    return (
        operations * float(mean[spiking].sum()),
        operations * int((~spiking).sum()),
        operations * given.steps,
    )
