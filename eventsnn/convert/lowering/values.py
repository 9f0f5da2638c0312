"""Values of layers that the original does not have, from those that it has.

A pass may move an activation before a pool, or a factor through one; such a layer's value is computed here,
in float64, as its own definition says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import MaxPool, Quantised, ReLU, Step
from eventsnn.convert.lowering.branches import wires
from eventsnn.convert.lowering.gates import gate_synapses
from eventsnn.convert.lowering.windows import largest_of_windows
from eventsnn.convert.lowering.wires import Wires

Float64 = NDArray[np.float64]


class LayerValues:
    """Computes one layer from the values of those that it reads.

    Raises
    ------
    UnsupportedLayer
        A pool without regular windows.
    """

    def __init__(self, layer: Layer, layers: Mapping[str, Layer]) -> None:
        self.layer = layer
        self.wires: list[Wires] = []
        shapes = [layers[branch.source].shape for branch in layer.branches]
        if isinstance(layer.operation, MaxPool):
            self.gates = gate_synapses(layer, shapes[0], padded=True)
        else:
            self.wires = [wires(b, layer, shape) for b, shape in zip(layer.branches, shapes, strict=True)]

    def __call__(self, sources: Sequence[Float64]) -> Float64:
        """Values (samples, y, x, channel) for those of each branch's source, of such shapes."""
        layer = self.layer
        if isinstance(layer.operation, MaxPool):
            return np.asarray(largest_of_windows(sources[0], self.gates, -np.inf))
        total = np.zeros((len(sources[0]), *layer.shape[1:], layer.shape[0]))
        total += np.broadcast_to(layer.bias, layer.shape).transpose(1, 2, 0)
        for way, values in zip(self.wires, sources, strict=True):
            total[..., way.channels] += way.sums(values.reshape(len(values), prod(way.source)))
        return ACTIVATIONS[type(layer.operation)](layer.operation, total)


def derived_value(layer: Layer, value: Float64) -> Float64:
    """A layer's value from the original's that it is derived from, (samples, y, x, channel) both."""
    derived = layer.derived
    assert derived is not None
    factor, shift = (
        np.broadcast_to(each, layer.shape).transpose(1, 2, 0) for each in (derived.factor, derived.shift)
    )
    found = factor * value + shift
    return ACTIVATIONS[type(layer.operation)](layer.operation, found) if derived.activated else found


def _relu(operation: ReLU, charge: Float64) -> Float64:
    return np.clip(charge, 0, np.inf if operation.ceiling is None else operation.ceiling)


ROUNDINGS: dict[str, Callable[[Float64], Float64]] = {
    "floor": np.floor,
    "half-even": np.rint,
    "half-up": lambda values: np.floor(values + 0.5),
}


def _quantised(operation: Quantised, charge: Float64) -> Float64:
    unit = np.moveaxis(np.atleast_3d(operation.unit), 0, 2)
    level = ROUNDINGS[operation.rounding](charge / unit + operation.shift)
    return np.asarray(unit * np.clip(level, operation.lowest, operation.largest))


def _step(operation: Step, charge: Float64) -> Float64:
    return np.where(charge > 0, operation.high, np.where(charge == 0, operation.at_zero, operation.low))


ACTIVATIONS: dict[type[Any], Callable[[Any, Float64], Float64]] = {
    ReLU: _relu,
    Quantised: _quantised,
    Step: _step,
    type(None): lambda operation, charge: charge,
}
