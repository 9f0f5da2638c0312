"""Layers as integrate-and-fire neurons, whose rate approximates an activation.

After B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), sections 2.2.2 (percentile) and 2.2.6
(max-pool gates).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input, MaxPool, Quantised, ReLU, Step
from eventsnn.convert.lowering.coded import Coded, Lowered, units
from eventsnn.convert.lowering.families import Family, Place
from eventsnn.convert.scales import Percentile
from eventsnn.network import IntegrateAndFire, MaxGate

Float64 = NDArray[np.float64]

LONGEST_PERIOD = 2 * 10**9
"""Ticks (2 ms): the longer a current's period, the finer its integer quanta; 2^31 is the limit."""

SIGNED = "convert with neuron='signed'"


class RateFamily(Family):
    """Soft reset, several spikes at a tick, initial charge 0; biases as currents."""

    def refused(self, layer: Layer) -> str | None:
        operation = layer.operation
        if isinstance(operation, Step):
            return (
                f"steps from {operation.low:g} to {operation.high:g}; the rate of a neuron grows with its "
                f"charge and is no step. {SIGNED[0].upper()}{SIGNED[1:]}"
            )
        if self.signed(layer) and not self.is_readout(layer):
            return (
                "has no activation, so its values can be negative, and a rate is not; put a ReLU behind it, "
                f"or {SIGNED}"
            )
        if isinstance(operation, Quantised) and operation.lowest < 0:
            return f"has levels below zero, and a rate has none; {SIGNED}"
        if isinstance(operation, MaxPool) and any(
            branch.source not in self.never_negative
            and not isinstance(self.layers[branch.source].operation, Input)
            for branch in layer.branches
        ):
            return f"compares values that can be negative, and a rate is not; {SIGNED}"
        return None

    def searched(self, layer: Layer) -> bool:
        return type(layer.operation) in (ReLU, Quantised, type(None)) and not self.is_readout(layer)

    def search(self, layer: Layer, most: float, count: int) -> Percentile:
        del layer, most
        return Percentile(count, self.settings.percentile)

    def activation(self, place: Place, scale: Float64 | None) -> Lowered:
        """``spikes_at_lambda`` spikes stand for the scale that was chosen."""
        assert scale is not None
        unit = scale / self.settings.spikes_at_lambda
        neuron = IntegrateAndFire(self.settings.threshold, period=LONGEST_PERIOD, unit=units(unit))
        return Lowered(neuron, unit, Coded(unit))

    def max_pool(self, place: Place, scale: Float64 | None) -> Lowered:
        """Gates that pass on the spikes of the source with the largest estimate."""
        del scale
        (source,) = place.sources
        gate = MaxGate(filter=self.settings.max_pool, unit=units(source.value))
        return Lowered(gate, source.unit, source)

    rules: ClassVar = {
        ReLU: activation,
        Quantised: activation,
        Step: activation,  # refused by name
        MaxPool: max_pool,
        type(None): activation,
    }
