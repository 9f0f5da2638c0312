"""Layers of spiking neurons as populations and projections: no calibration, voltages become quanta.

A voltage is counted in thresholds of its own neuron; a threshold has so many quanta (``network.quanta``).
Weights and biases before rounding stay in the network for the engines in floating point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input as InputOperation
from eventsnn.convert.graph.operations import MaxPool, Spiking
from eventsnn.convert.lowering.branches import wires as wires_of
from eventsnn.convert.lowering.gates import gate_synapses
from eventsnn.convert.lowering.listed import of_population
from eventsnn.convert.lowering.names import INPUT, population_names, projection_name
from eventsnn.convert.lowering.wires import Wires
from eventsnn.convert.normalisation import Normalisation
from eventsnn.errors import UnsupportedLayer
from eventsnn.network import Identity, Input, IntegrateAndFire, Population, Projection, Readout, SumPool
from eventsnn.network.neurons import LEAK_ONE
from eventsnn.network.quanta import Chosen, quanta_for, rounded

Float64 = NDArray[np.float64]

ANALOG_SCALE = 255 * 2**12
"""Parts of an analog value: bytes of images, divided by 255, are whole numbers of them."""

ALIKE = 1e-12
"""Biases of a channel's neurons that differ by less, relative to the largest, are one."""

OR_QUANTA = 2**8
"""Threshold of the neurons that stand for a pool of maxima."""


@dataclass
class Lowering:
    """Lowers the layers of one network.

    Attributes
    ----------
    layers : sequence of Layer
    step : int
        Ticks.
    threshold : int or None
        Quanta of a threshold, where they are not to be chosen.
    normalisation : Normalisation or None
        Of the input.
    kinds : mapping of str to str
        Classes of neurons, by path.
    chosen : dict of str to Chosen
        By population, once it is there.
    """

    layers: Sequence[Layer]
    step: int
    threshold: int | None = None
    normalisation: Normalisation | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    chosen: dict[str, Chosen] = field(default_factory=dict)
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)

    def __post_init__(self) -> None:
        named = [
            replace(layer, path=layer.name, origin=self.kinds.get(layer.name, layer.origin))
            for layer in self.layers
        ]
        self.names = population_names(named)
        self.by_name = {layer.name: layer for layer in self.layers}

    def __call__(self) -> tuple[list[Population], list[Projection]]:
        """The populations, the last of which is the output, and the projections."""
        for layer in self.layers:
            if isinstance(layer.operation, InputOperation):
                shape = of_population(layer.shape)
                self.populations.append(Population(INPUT, shape, Input(analog_scale=ANALOG_SCALE)))
            elif isinstance(layer.operation, MaxPool):
                self._pool(layer)
            else:
                self._neurons(layer)
        return self.populations, self.projections

    # -- neurons -----------------------------------------------------------------------------------------

    def _neurons(self, layer: Layer) -> None:
        name, operation = self.names[layer.name], layer.operation
        if operation is not None and not isinstance(operation, Spiking):
            raise UnsupportedLayer(
                f"layer {layer.path!r} ({layer.origin}) is an activation without time among spiking "
                "neurons; its values are no spikes. Leave it out, or use spiking neurons in its place"
            )
        if operation is None and layer is not self.layers[-1]:
            raise UnsupportedLayer(
                f"layer {layer.path!r} ({layer.origin}) is read as a value, not by synapses: a pool of "
                "maxima takes single spikes only. Put it right behind the neurons"
            )
        one = READ if operation is None else operation
        if not one.fires and layer is not self.layers[-1]:
            raise UnsupportedLayer(
                f"module {layer.name!r} ({self.kinds.get(layer.name)}) has voltages that others read, "
                "which only "
                "the output has; "
                "use neurons that fire in its place"
            )
        sources = [self.by_name[branch.source] for branch in layer.branches]
        ways = [
            wires_of(branch, layer, source.shape)
            for branch, source in zip(layer.branches, sources, strict=True)
        ]
        bias = np.broadcast_to(layer.bias, layer.shape).transpose(1, 2, 0).astype(np.float64)
        for place, (way, source) in enumerate(zip(ways, sources, strict=True)):
            if isinstance(source.operation, InputOperation) and self.normalisation is not None:
                bias = bias.copy()
                shift = np.broadcast_to(self.normalisation.shift, way.source).reshape(1, -1)
                bias[..., way.channels] += way.sums(shift)[0]
                ways[place] = way.times_source(self.normalisation.factor)
        unit = self._of_channels(layer, one.gain / one.threshold)
        scaled = [way.weight * way.of_target(unit[way.channels]) for way in ways]
        own = one.own_spike / one.threshold
        bias = bias * unit + self._of_channels(layer, one.drift / one.threshold)
        largest = max(float(np.abs(weight).max(initial=0)) for weight in (*scaled, own))
        quanta = quanta_for(name, largest, self.threshold)
        error = max(
            float(np.abs(np.rint(weight * quanta) / quanta - weight).max(initial=0))
            for weight in (*scaled, own)
        )
        self.chosen[name] = Chosen(quanta, largest, error)
        self._project(layer, name, sources, ways, [weight * quanta for weight in scaled], bias * quanta)
        if np.any(own):
            weight = self._of_channels(layer, own) * quanta
            self._add(name, name, Identity(rounded(weight, name)), weight, delay=self.step)
        start = rounded(self._of_channels(layer, one.start / one.threshold) * quanta, name)
        neuron = self._firing(layer, one, quanta, start) if one.fires else self._readout(one, quanta)
        alike = bool((start == start[0]).all()) and (one.fires or not start.any())
        shape = of_population(layer.shape)
        charge = None if alike else np.tile(start, prod(shape[:2])).astype(np.int32)
        self.populations.append(Population(name, shape, neuron, initial_charge=charge))

    def _of_channels(self, layer: Layer, values: Float64) -> Float64:
        """One value a channel.

        Raises
        ------
        UnsupportedLayer
            Pixels of a channel differ.
        """
        full = np.broadcast_to(values, layer.shape).reshape(layer.shape[0], -1)
        if (full != full[:, :1]).any():
            raise UnsupportedLayer(
                f"layer {layer.name!r}: thresholds or gains of a channel differ from pixel to pixel; give "
                "each channel one"
            )
        return np.ascontiguousarray(full[:, 0])

    def _readout(self, one: Spiking, quanta: int) -> Any:
        return self._leaking(Readout(unit=1 / quanta, period=self.step), one)

    def _leaking(self, neuron: Any, one: Spiking) -> Any:
        """Neurons with what a step leaves of the voltage and of the current."""
        if one.leak != 1:
            neuron = replace(neuron, leak_period=self.step, leak_factor=round(LEAK_ONE * one.leak))
        if one.synapse is not None:
            neuron = replace(neuron, synapse_factor=min(round(LEAK_ONE * one.synapse), LEAK_ONE - 1))
        return neuron

    def _firing(self, layer: Layer, one: Spiking, quanta: int, start: NDArray[np.int32]) -> Any:
        alike = bool((start == start[0]).all())
        found = IntegrateAndFire(
            quanta,
            "hard" if one.hard else "soft",
            strict=one.strict,
            multispike=one.many,
            lower_clamp=self._clamp(layer, one, quanta),
            initial_charge=int(start[0]) if alike else 0,
            period=self.step,
        )
        return self._leaking(found, one)

    def _clamp(self, layer: Layer, one: Spiking, quanta: int) -> int | None:
        if one.lowest is None:
            return None
        lowest = rounded(one.lowest / self._of_channels(layer, one.threshold) * quanta, layer.name)
        if (lowest != lowest[0]).any():
            raise UnsupportedLayer(
                f"layer {layer.name!r} has a lowest voltage and thresholds that differ; a population has "
                "one lowest charge. Leave it out, or give all neurons one threshold"
            )
        return int(lowest[0])

    # -- synapses ----------------------------------------------------------------------------------------

    def _project(
        self,
        layer: Layer,
        name: str,
        sources: Sequence[Layer],
        ways: Sequence[Wires],
        weights: Sequence[Float64],
        bias: Float64,
    ) -> None:
        """Projections of all branches; each channel's bias goes with the first that reaches it."""
        free = np.ones(layer.shape[0], dtype=bool)
        for source, way, weight in zip(sources, ways, weights, strict=True):
            own: Float64 | None = None
            if free[way.channels].all():
                free[way.channels] = False
                own = _few(bias[..., way.channels])
            synapses = way.synapses(rounded(weight, name))
            # What the input brings is not rounded in floating point, be its weights whole or not.
            read = isinstance(source.operation, InputOperation)
            self._add(
                self.names[source.name], name, synapses, weight, own, way.first_channel, always_exact=read
            )

    def _add(
        self,
        source: str,
        target: str,
        synapses: Any,
        weight: Float64,
        bias: Float64 | None = None,
        first_channel: int = 0,
        delay: int = 0,
        always_exact: bool = False,
    ) -> None:
        whole = None if bias is None else rounded(bias, target)
        same = not always_exact and np.array_equal(synapses.weight, weight)
        same_bias = bias is None or whole is None or np.array_equal(whole, bias)
        self.projections.append(
            Projection(
                projection_name(source, target, [p.name for p in self.projections]),
                source,
                target,
                synapses,
                whole,
                delay,
                channel_offset=first_channel,
                exact_weight=None if same else weight,
                exact_bias=None if same_bias else bias,
            )
        )

    # -- pools of maxima ---------------------------------------------------------------------------------

    def _pool(self, layer: Layer) -> None:
        """The maximum of single spikes: neurons without memory that any of them makes fire in its step."""
        (branch,) = layer.branches
        source = self.by_name[branch.source]
        single = isinstance(source.operation, Spiking) and not source.operation.many
        if not (single or isinstance(source.operation, MaxPool)):
            raise UnsupportedLayer(
                f"layer {layer.path!r} ({layer.origin}) takes the maximum of values that are not single "
                "spikes (the input, currents, sums of spikes, several spikes a step), which no neurons here "
                "do. Put it right behind neurons that fire once a step, or use average pools"
            )
        name = self.names[layer.name]
        gates = gate_synapses(layer, source.shape, padded=True)
        synapses = SumPool(np.array([OR_QUANTA]), gates.y, gates.x)
        self._add(self.names[source.name], name, synapses, synapses.weight.astype(np.float64))
        neuron = IntegrateAndFire(
            OR_QUANTA, "hard", multispike=False, period=self.step, leak_period=self.step, leak_factor=0
        )
        self.chosen[name] = Chosen(OR_QUANTA, 1.0, 0.0)
        self.populations.append(Population(name, of_population(layer.shape), neuron))


def _few(bias: Float64) -> Float64 | None:
    """A bias of shape (y, x, channel) as one value a channel, or one a neuron; None where all are 0."""
    if not bias.any():
        return None
    rows = bias.reshape(-1, bias.shape[2])
    if float(np.ptp(rows, axis=0).max()) <= ALIKE * float(np.abs(rows).max()):
        return rows[0].copy()
    return rows.reshape(-1)


READ = Spiking(np.array(1.0), np.array(1.0), np.array(0.0), np.array(0.0), fires=False)
"""Of a linear output: what reaches it is summed up, in its own unit."""
