"""Layers as integrate-and-fire neurons, whose rate approximates an activation.

After B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), sections 2.2.2 (percentile), 2.2.5
(spiking softmax) and 2.2.6 (max-pool gates).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.balancing import Balanced
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input, MaxPool, Quantised, ReLU, Step
from eventsnn.convert.lowering.asked import asked_of_layers
from eventsnn.convert.lowering.clamp import clamp_times
from eventsnn.convert.lowering.coded import Coded, Lowered, units
from eventsnn.convert.lowering.families import Family, Place, quanta_before_rounding, unknown_rounding
from eventsnn.convert.lowering.steps import MOST_STEPS, spikes_of_steps
from eventsnn.convert.scales import Percentile
from eventsnn.convert.settings import DEFAULT_SPIKES, LONGEST_PERIOD_US, Settings
from eventsnn.errors import InvalidRequest, UnsupportedLayer
from eventsnn.network import FirstSpike, IntegrateAndFire, MaxGate, Readout, Softmax, leak_factor_of

Float64 = NDArray[np.float64]

LONGEST_PERIOD = round(LONGEST_PERIOD_US * 10**6)
"""Ticks."""

FIRING = (ReLU, Quantised, type(None))
"""Operations that become neurons which fire."""

SIGNED = "convert with neuron='signed'"


class RateFamily(Family):
    """Lambda of each layer is so many spikes; biases as currents."""

    @property
    def period(self) -> int:
        """Ticks: of currents, and of steps."""
        asked = self.settings.period_us
        period = LONGEST_PERIOD if asked is None else max(1, round(asked * 10**6))
        return period if not self.duration_us else min(period, max(1, round(self.duration_us * 10**6)))

    def __init__(self, settings: Settings, layers: Sequence[Layer], duration_us: float | None = None) -> None:
        super().__init__(settings, layers, duration_us)
        firing = [n for n in layers if type(n.operation) in FIRING and not self.is_readout(n)]
        self.every = asked_of_layers("test_every", settings.test_every, layers, firing)
        self.clamped = clamp_times(settings.voltage_clamp_us, layers, duration_us)
        if settings.voltage_clamp_us is not None and settings.softmax != "charge":
            raise InvalidRequest(
                f"softmax is {settings.softmax!r}, whose draws have no start time, and voltage_clamp_us "
                "holds layers; leave softmax or voltage_clamp_us out"
            )

    @property
    def fires_once(self) -> bool:
        """Whether values are times of first spikes."""
        return self.settings.spike_code == "first_spike"

    @property
    def whole_steps(self) -> float:
        """Periods in a sample."""
        assert self.duration_us is not None
        return self.duration_us * 10**6 / self.period

    def start_time(self, layer: Layer) -> int:
        return round(self.clamped.get(layer.name, 0.0) * 10**6)

    def spikes(self, layer: Layer) -> float:
        """Spikes that stand for lambda: one a step where values are times, fewer where tests are rarer."""
        if self.fires_once:
            return self.whole_steps
        return spikes_of_lambda(self.settings, layer) / (self.every[layer.name] or 1)

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
        if isinstance(operation, Quantised):
            return self._not_quantised(layer, operation)
        if isinstance(operation, MaxPool) and any(
            branch.source not in self.never_negative
            and not isinstance(self.layers[branch.source].operation, Input)
            for branch in layer.branches
        ):
            return f"compares values that can be negative, and a rate is not; {SIGNED}"
        return None

    def searched(self, layer: Layer) -> bool:
        return type(layer.operation) in (ReLU, type(None)) and not self.is_readout(layer)

    def search(self, layer: Layer, most: float, count: int) -> Percentile | Balanced:
        del layer
        if self.settings.scale_rule == "balanced":
            return Balanced(most, count)
        return Percentile(count, self.settings.percentile)

    @property
    def of_zeros(self) -> bool:
        return self.settings.count_zeros or self.settings.scale_rule == "balanced"

    def activation(self, place: Place, scale: Float64 | None) -> Lowered:
        """``spikes_at_lambda`` spikes stand for the scale that was chosen."""
        assert scale is not None
        return self._firing(scale / self.spikes(place.layer), 0, place.layer)

    def quantised(self, place: Place, scale: Float64 | None) -> Lowered:
        """Lambda is the quantiser's own ceiling; what it adds before rounding is a charge at the start."""
        del scale
        operation = place.layer.operation
        assert isinstance(operation, Quantised)
        ceiling = self.own_unit(place.layer, operation) * operation.largest
        start = quanta_before_rounding(operation, self.settings.threshold)
        return self._firing(ceiling / self.spikes(place.layer), start, place.layer)

    @property
    def steps(self) -> int:
        if not self.duration_us:
            return 1
        return min(MOST_STEPS, math.ceil(self.duration_us * 10**6 / self.period))

    def counts(self, neuron: Any, charge: Float64, quanta: Float64, start: Any) -> NDArray[np.int64]:
        return spikes_of_steps(charge, quanta, neuron, self.steps, start)

    def _firing(self, unit: Float64, start: int, layer: Layer) -> Lowered:
        """Neurons of a unit, that start with a charge of their own unless one was asked for."""
        settings = self.settings
        if self.fires_once:
            once = FirstSpike(settings.threshold, self.period, unit=units(unit))
            return Lowered(once, unit, Coded(unit))
        if settings.initial_charge is not None:
            start = settings.threshold // 2 if settings.initial_charge == "half" else 0
        neuron = IntegrateAndFire(
            settings.threshold, settings.reset, multispike=not settings.one_spike, initial_charge=start,
            period=self.period, unit=units(unit), test_period=(self.every[layer.name] or 0) * self.period,
        )  # fmt: skip
        return Lowered(neuron, unit, Coded(unit))

    def _not_quantised(self, layer: Layer, operation: Quantised) -> str | None:
        """Why a quantiser has no rate."""
        self.own_unit(layer, operation)
        if operation.lowest < 0:
            return f"has levels below zero, and a rate has none; {SIGNED}"
        if reason := unknown_rounding(operation):
            return reason
        if quanta_before_rounding(operation, self.settings.threshold) >= self.settings.threshold:
            return f"is above zero without any input, and a neuron would fire at once; {SIGNED}"
        return None

    def max_pool(self, place: Place, scale: Float64 | None) -> Lowered:
        """Gates that pass on the spikes of the source with the largest estimate."""
        del scale
        (source,) = place.sources
        if self.fires_once:
            once = FirstSpike(self.settings.threshold, self.period, unit=units(source.value))
            return Lowered(once, source.unit, source)
        gate = MaxGate(filter=self.settings.max_pool, unit=units(source.value))
        tau = self.settings.max_pool_tau_us
        if tau is not None:
            gate = replace(gate, period=self.period, factor=leak_factor_of(tau, self.period / 10**6))
        elif gate.filter == "finite_impulse":
            gate = replace(gate, period=self.period)
        return Lowered(gate, source.unit, source)

    def lowered(self, place: Place, scale: Float64 | None, largest: float) -> Lowered:
        """A layer's neurons; of the class scores those that read or draw them."""
        found = super().lowered(place, scale, largest)
        variant = self.settings.softmax
        if self.fires_once and self.is_readout(place.layer):
            unit = np.full(place.channels, (largest or 1.0) / self.whole_steps)
            found = self._firing(unit, 0, place.layer)
        if self.fires_once and place.last:
            neuron: Any = found.neuron
            return replace(found, neuron=replace(neuron, alone=True))
        if variant == "charge" or not place.last:
            return found
        # A period adds the scores once, as a step of the toolbox's does: the longer, the surer.
        assert self.duration_us is not None
        assert isinstance(found.neuron, Readout)
        logit = found.neuron.unit * (self.duration_us * 10**6 / self.period)
        return replace(found, neuron=Softmax(variant, logit, interval=self.period))

    def check(self) -> None:
        """Also refuse a period beyond the sample, and draws of class scores without scores or time."""
        super().check()
        if self.fires_once and not self.duration_us:
            raise InvalidRequest(
                "spike_code is 'first_spike', and how long samples are is not known from this data; "
                "calibrate on images, and give duration_us and period_us, the step"
            )
        asked = self.settings.period_us
        if asked is not None and self.duration_us and asked > self.duration_us:
            raise InvalidRequest(
                f"period_us is {asked:g}, and a sample lasts {self.duration_us:g} us; give a shorter period"
            )
        if self.settings.softmax == "charge":
            return
        last = self.layers[self.last]
        if not self.is_readout(last):
            raise UnsupportedLayer(
                f"layer {last.path!r} ({last.origin}), the last one, fires by itself, and softmax is "
                f"{self.settings.softmax!r}; leave softmax out, or the activation behind the class scores"
            )
        if not self.duration_us:
            raise InvalidRequest(
                f"softmax is {self.settings.softmax!r}, which draws spikes over the duration of a sample, "
                "and that is not known from this calibration data; give duration_us"
            )

    rules: ClassVar = {
        ReLU: activation,
        Quantised: quantised,
        Step: activation,  # refused by name
        MaxPool: max_pool,
        type(None): activation,
    }


def spikes_of_lambda(settings: Settings, layer: Layer) -> float:
    """Spikes that stand for lambda: as asked, else a quantiser's levels, else ``DEFAULT_SPIKES``."""
    if settings.spikes_at_lambda is not None:
        return float(settings.spikes_at_lambda)
    return float(layer.operation.largest) if isinstance(layer.operation, Quantised) else DEFAULT_SPIKES
