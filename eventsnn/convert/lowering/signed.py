"""Layers as signed neurons, exact once their input has drained (law 9).

Where values go below zero counts do, too (``Signed.lowest``). Two-valued steps have no count of 0: their
lower value is a constant that the layers after them take into their biases, at the borders too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import MaxPool, Quantised, ReLU, Step
from eventsnn.convert.lowering.asked import asked_of_layers
from eventsnn.convert.lowering.coded import Coded, Lowered, units
from eventsnn.convert.lowering.families import (
    READOUT_THRESHOLDS,
    Family,
    Place,
    quanta_before_rounding,
    unknown_rounding,
)
from eventsnn.convert.scales import Ceilings
from eventsnn.convert.settings import DEFAULT_LEVELS, Settings
from eventsnn.errors import InvalidRequest
from eventsnn.network import MaxGate, Signed

Float64 = NDArray[np.float64]
TICKS_PER_MICROSECOND = 10**6

READOUT_QUANTA = 2.0**29
"""A readout's charge stays below, with spikes that overtake each other four times as much."""

MOST_READOUT_THRESHOLDS = 1024
"""The largest calibration logit stands for at most so many: 2^24 quanta by default."""


class SignedFamily(Family):
    """The L-level quantised ReLU of the input so far, and what else is one."""

    def __init__(self, settings: Settings, layers: Sequence[Layer], duration_us: float | None = None) -> None:
        super().__init__(settings, layers, duration_us)
        self.asked = asked_of_layers(
            "levels", settings.levels, layers, [n for n in self.layers.values() if self.searched(n)]
        )

    def refused(self, layer: Layer) -> str | None:
        operation = layer.operation
        if isinstance(operation, Quantised):
            self.own_unit(layer, operation)
            self.levels(layer)
            if reason := unknown_rounding(operation):
                return reason
        if isinstance(operation, Step):
            middle = (operation.low + operation.high) / 2
            if not operation.low < operation.high or operation.at_zero not in (
                operation.low,
                operation.high,
                middle,
            ):
                return (
                    f"steps from {operation.low:g} to {operation.high:g} with {operation.at_zero:g} at 0; a "
                    "neuron has the lower, the higher value or the middle there"
                )
        return None

    def searched(self, layer: Layer) -> bool:
        kinds = {ReLU, type(None)}
        return type(layer.operation) in kinds and not self.is_readout(layer)

    def search(self, layer: Layer, most: float, count: int) -> Ceilings:
        return Ceilings(most, self.levels(layer))

    def levels(self, layer: Layer) -> int:
        """Steps between 0 and the ceiling: a quantiser's own, else those asked for."""
        asked = self.asked[layer.name]
        if not isinstance(layer.operation, Quantised):
            return asked or DEFAULT_LEVELS
        own = layer.operation.largest - layer.operation.lowest
        if asked not in (None, own):
            what = "quantiser" if layer.operation.lowest else "QCFS"
            raise InvalidRequest(
                f"levels is {asked}, but layer {layer.path!r} was trained with a {what} of {own} levels; "
                "leave levels out, or train with the levels you want"
            )
        return own

    def counts(self, neuron: Any, charge: Float64, quanta: Float64, start: Any) -> NDArray[np.int64]:
        whole = np.rint(quanta + start) + neuron.starting_charge
        found: NDArray[np.int64] = neuron.settled_count((charge + whole).astype(np.int64))
        return found

    def readout_thresholds(self, place: Place, largest: float) -> int:
        """As many as leave room in 32 bits whatever the counts, so that rounding decides next to nothing.

        Where an average pool is folded into the last layer its weights are small, and rounded to 2^18 quanta
        a logit they moved decisions of a network whose activations are exact.
        """
        reached = np.abs(place.layer.bias).max(initial=0.0)
        charges = np.zeros((1, *place.wires[0].target[:2], place.channels))
        for wires, source in zip(place.wires, place.sources, strict=True):
            if source.most is None:
                return READOUT_THRESHOLDS
            constant = 0.0 if source.constant is None else np.abs(source.constant)
            each = source.most * np.abs(source.unit) + constant
            counts = np.tile(each, wires.source[0] * wires.source[1])[None]
            charges[..., wires.channels] += wires.sums(counts, np.abs(wires.weight))
        reached += charges.max()
        fitting = READOUT_QUANTA / self.settings.threshold * largest / max(reached, largest)
        return int(2 ** np.floor(np.log2(np.clip(fitting, READOUT_THRESHOLDS, MOST_READOUT_THRESHOLDS))))

    # -- neurons ---------------------------------------------------------------------------------------------

    def _neuron(self, levels: int, unit: Float64, threshold: int | None = None, lowest: int = 0) -> Signed:
        settings = self.settings
        margin = round(settings.hysteresis * settings.threshold)
        return Signed(
            settings.threshold if threshold is None else threshold,
            levels,
            graded=settings.graded,
            settle_time=self.settle_time,
            hysteresis_low=margin,
            hysteresis_high=margin,
            unit=units(unit),
            lowest=lowest,
        )

    @property
    def settle_time(self) -> int:
        return round(self.settings.settle_time_us * TICKS_PER_MICROSECOND)

    def relu(self, place: Place, scale: Float64 | None) -> Lowered:
        """A quantised ReLU whose ceiling was chosen."""
        assert scale is not None
        levels = self.levels(place.layer)
        unit = scale / levels
        return Lowered(self._neuron(levels, unit), unit, Coded(unit, most=levels))

    def linear(self, place: Place, scale: Float64 | None) -> Lowered:
        """Values on both sides of 0, as many levels on each."""
        if place.never_negative:
            return self.relu(place, scale)
        assert scale is not None
        levels = self.levels(place.layer)
        unit = scale / levels
        return Lowered(self._neuron(levels, unit, lowest=-levels), unit, Coded(unit, most=levels))

    def quantised(self, place: Place, scale: Float64 | None) -> Lowered:
        """The model's own levels; its rounding is the charge that a neuron starts with."""
        del scale
        operation, threshold = place.layer.operation, self.settings.threshold
        assert isinstance(operation, Quantised)
        unit = self.own_unit(place.layer, operation)
        # Levels that do not hold 0 between them are counted from their lowest.
        offset = 0 if operation.lowest <= 0 < operation.largest else operation.lowest
        neuron = self._neuron(operation.largest - offset, unit, lowest=operation.lowest - offset)
        start = quanta_before_rounding(operation, threshold) - neuron.initial_charge - offset * threshold
        constant = offset * unit if offset else None
        coded = Coded(unit, constant, most=max(neuron.levels, -neuron.lowest))
        return Lowered(neuron, unit, coded, start, operation.rounding == "half-even")

    def step(self, place: Place, scale: Float64 | None) -> Lowered:
        """One level above 0, or with a value between at 0 two, one quantum each.

        The scale of the charge decides nothing; the largest weight of each layer or channel is taken as
        ``threshold`` quanta. Where all weights of a channel are of one size (of one bit, times what a batch
        norm multiplies the channel by) it is that size, so that they are exact.
        """
        del scale
        operation, threshold = place.layer.operation, self.settings.threshold
        assert isinstance(operation, Step)
        resolution, inverse = np.zeros(place.channels), np.zeros(place.channels)
        for wires, source in zip(place.wires, place.sources, strict=True):
            weight = np.abs(wires.weight * wires.of_source(source.value))
            of_channels = np.arange(place.channels)[wires.channels]
            np.maximum.at(resolution, of_channels, wires.largest(weight))
            finite = np.divide(1.0, weight, out=np.zeros_like(weight), where=weight > 0)
            np.maximum.at(inverse, of_channels, wires.largest(finite))
        of_one_size = np.isclose(resolution * inverse, 1.0, rtol=1e-12)
        own = of_one_size | (self.settings.per_channel and bool(resolution.all()))
        resolution = np.where(own, resolution, resolution.max() or 1.0)
        low, high = operation.low, operation.high
        at_middle = operation.at_zero not in (low, high)
        unit = np.full(place.channels, (high - low) / (1 + at_middle))
        constant = np.full(place.channels, low) if low else None
        if at_middle:
            neuron, start = self._neuron(2, unit, threshold=1), 1
        else:
            neuron = self._neuron(1, unit)
            start = threshold - (operation.at_zero == low) - neuron.initial_charge
        return Lowered(neuron, resolution, Coded(unit, constant, most=1 + at_middle), start)

    def max_pool(self, place: Place, scale: Float64 | None) -> Lowered:
        """Gates that follow the largest count."""
        del scale
        (source,) = place.sources
        gate = MaxGate(graded=self.settings.graded, settle_time=self.settle_time, unit=units(source.value))
        return Lowered(gate, source.unit, source)

    rules: ClassVar = {
        ReLU: relu,
        Quantised: quantised,
        Step: step,
        MaxPool: max_pool,
        type(None): linear,
    }
