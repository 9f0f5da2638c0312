"""Layers, one after the other, as populations and projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.calibration import Calibration
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input as InputOperation
from eventsnn.convert.graph.operations import MaxPool
from eventsnn.convert.lowering.bias_spikes import bias_spikes
from eventsnn.convert.lowering.branches import wires as wires_of
from eventsnn.convert.lowering.coded import Coded, Lowered
from eventsnn.convert.lowering.correction import Followed, mean_of_channels, original_charge
from eventsnn.convert.lowering.families import Family, Place
from eventsnn.convert.lowering.gates import gate_synapses
from eventsnn.convert.lowering.listed import of_population
from eventsnn.convert.lowering.names import FIRST_SPIKES, INPUT, population_names, projection_name
from eventsnn.convert.lowering.steps import BITS_OF_SPIKES
from eventsnn.convert.lowering.weight_bits import of_few_bits
from eventsnn.convert.lowering.wires import Wires
from eventsnn.convert.normalisation import Normalisation
from eventsnn.convert.quantise import to_quanta, weight_quanta
from eventsnn.errors import InvalidRequest, UnsupportedLayer
from eventsnn.network import FirstSpike, Identity, Input, Neuron, Population, Projection, SumPool
from eventsnn.network import MaxPool as MaxPoolSynapses
from eventsnn.network.decision import with_decision_weights

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

ALIKE = 1e-12
"""Biases of a channel's neurons that differ by less, relative to the largest, are one."""


@dataclass(frozen=True)
class Lower:
    """Lowers the layers of one network.

    Attributes
    ----------
    layers : sequence of Layer
    family : Family
    found : Calibration
    unit : float
        Activation of an input spike.
    normalisation : Normalisation or None
    analog_scale : int or None
        Of an analog input.
    periods : float
        Periods of a bias current in a sample; 1 for charges at time 0.
    period : int
        Ticks of such a period; 0 for charges.
    followed : Followed or None
        Calibration samples whose counts biases are corrected on.
    """

    layers: Sequence[Layer]
    family: Family
    found: Calibration
    unit: float
    normalisation: Normalisation | None = None
    analog_scale: int | None = None
    periods: float = 1.0
    period: int = 0
    followed: Followed | None = None

    def __call__(self) -> tuple[list[Population], list[Projection], dict[str, Lowered]]:
        """The populations, the projections, and what became of each layer, by its name."""
        names, coded = population_names(self.layers), {}
        populations: list[Population] = []
        projections: list[Projection] = []
        made: dict[str, Lowered] = {}
        below: set[str] = set()  # layers whose counts go below 0
        by_name = {layer.name: layer for layer in self.layers}
        for layer in self.layers:
            name = names[layer.name]
            if isinstance(layer.operation, InputOperation):
                coded[layer.name] = self._input_code(layer)
                populations.append(self._input(layer))
                if self.family.fires_once:
                    names[layer.name] = FIRST_SPIKES
                    population, projection, coded[layer.name] = self._first_spikes(layer, names[layer.name])
                    populations, projections = [*populations, population], [*projections, projection]
                continue
            shapes = [by_name[branch.source].shape for branch in layer.branches]
            sources = [coded[branch.source] for branch in layer.branches]
            if isinstance(layer.operation, MaxPool):
                self._check_gate(layer, by_name, sources)
                place = Place(layer, name, (), sources, False, layer.name == self.layers[-1].name)
                lowered = self.family.lowered(place, None, 0.0)
                source = names[layer.branches[0].source]
                read = layer.branches[0].source
                if read in below:
                    below.add(layer.name)
                padded = sources[0].constant is None and read not in below
                synapses = gate_synapses(layer, shapes[0], padded)
                taken = [p.name for p in projections]
                synapses_ = self._pooled(synapses) if self.family.fires_once else synapses
                projections.append(Projection(projection_name(source, name, taken), source, name, synapses_))
                bias, biased = None, False
                if self.followed is not None:
                    self.followed.keep_largest(layer, synapses, of_population(shapes[0]))
                charge = None
            else:
                ways = [wires_of(b, layer, shape) for b, shape in zip(layer.branches, shapes, strict=True)]
                gained = [
                    w if c.gain is None else w.times_source(c.gain)
                    for w, c in zip(ways, sources, strict=True)
                ]
                place = Place(
                    layer, name, gained, sources, layer.name in self.family.never_negative,
                    layer.name == self.layers[-1].name,
                )  # fmt: skip
                lowered = self.family.lowered(
                    place, self.found.scale.get(layer.name), self.found.largest[layer.name]
                )
                if lowered.neuron.lowest_count < 0:
                    below.add(layer.name)
                parts, bias, charge = self._charged(layer, name, ways, gained, sources, lowered)
                biased = bias is not None
                for branch, way, weight in zip(layer.branches, gained, parts, strict=True):
                    source = names[branch.source]
                    taken = [p.name for p in projections]
                    projections.append(
                        Projection(
                            projection_name(source, name, taken),
                            source,
                            name,
                            way.synapses(weight),
                            channel_offset=way.first_channel,
                        )
                    )
                whole = len(parts) == 1 and gained[0].target == of_population(layer.shape)
                if bias is not None and whole and not self._bias_fires:
                    projections[-1] = replace(projections[-1], bias=bias)
                    bias = None
            if bias is not None and self._bias_fires:
                threshold = self.family.settings.threshold
                fire, carry = bias_spikes(name, of_population(layer.shape), bias, threshold, self.period)
                start = self.family.start_time(layer)
                fire = [replace(p, neuron=self._held(p.neuron, start)) for p in fire]
                populations, projections = populations + fire, projections + carry
                bias, biased = None, False
            neuron = self._timed(lowered.neuron, biased)
            lowered = replace(lowered, neuron=self._held(neuron, self.family.start_time(layer)))
            coded[layer.name] = lowered.coded
            made[layer.name] = lowered
            population = Population(name, of_population(layer.shape), lowered.neuron, bias=bias)
            if charge is not None:
                each = np.tile(charge, population.size // len(charge)).astype(np.int32)
                population = replace(population, initial_charge=each)
            populations.append(population)
        self._check_output(self.layers[-1], made)
        populations[-1] = with_decision_weights(populations[-1])
        return populations, projections, made

    @property
    def _bias_fires(self) -> bool:
        return self.family.settings.bias == "spikes"

    # -- currents --------------------------------------------------------------------------------------------

    def _timed(self, neuron: Neuron, biased: bool) -> Any:
        """Neurons with the period of their currents."""
        if not self.period or not (neuron.rule == "rate" or neuron.only_read):
            return neuron
        timed: Any = neuron
        return replace(timed, period=self.period if biased or not neuron.only_read else 0)

    def _held(self, neuron: Neuron, start: int) -> Any:
        """Neurons that are held until a tick; a readout has a period then, whether it has a bias or not."""
        held: Any = neuron
        if not start:
            return held
        if held.only_read and not held.period:
            held = replace(held, period=self.family.period)
        return replace(held, start_time=start)

    # -- the input -------------------------------------------------------------------------------------------

    def _input(self, layer: Layer) -> Population:
        scale = {} if self.analog_scale is None else {"analog_scale": self.analog_scale}
        return Population(INPUT, of_population(layer.shape), Input(unit=self.unit, **scale))

    def _input_code(self, layer: Layer) -> Coded:
        unit, norm = np.full(layer.shape[0], self.unit), self.normalisation
        if norm is None:
            return Coded(unit)
        return Coded(unit, norm.shift if norm.shift.any() else None, norm.factor)

    def _first_spikes(self, layer: Layer, name: str) -> tuple[Population, Projection, Coded]:
        """A neuron for each value of the input, which fires at its time."""
        if self.found.lowest < 0 or self.found.highest <= 0:
            raise InvalidRequest(
                "spike_code is 'first_spike', and the calibration images lie between "
                f"{self.found.lowest:g} and {self.found.highest:g}; times stand for values of 0 and more"
            )
        threshold = self.family.settings.threshold
        unit = np.full(layer.shape[0], self.found.highest * self.period_share)
        weight = to_quanta(self.unit / unit[:1] * threshold, "the weight of the input")
        neuron = FirstSpike(threshold, self.family.period, unit=(float(unit[0]),))
        population = Population(name, of_population(layer.shape), neuron)
        return population, Projection(f"{INPUT}-{name}", INPUT, name, Identity(weight)), Coded(unit)

    @property
    def period_share(self) -> float:
        """Of a sample, how long one period is."""
        assert self.family.duration_us is not None
        return self.family.period / (self.family.duration_us * 10**6)

    def _pooled(self, gates: MaxPoolSynapses) -> SumPool:
        """The first spike of a window makes the neuron behind it fire in the same step."""
        return SumPool(np.array([self.family.settings.threshold]), gates.y, gates.x)

    # -- charges ---------------------------------------------------------------------------------------------

    def _charged(
        self,
        layer: Layer,
        name: str,
        ways: Sequence[Wires],
        gained: Sequence[Wires],
        sources: Sequence[Coded],
        lowered: Lowered,
    ) -> tuple[list[Int32], Int32 | None, NDArray[np.int64] | None]:
        """Weights of each branch, the bias of a layer, starting charges of channels if set, in quanta."""
        threshold, resolution = self.family.settings.threshold, lowered.resolution
        weights = [
            weight_quanta(way, source.unit, resolution[way.channels], threshold, name)
            for way, source in zip(gained, sources, strict=True)
        ]
        read: Sequence[Wires] = ways
        if (bits := self.family.settings.weight_bits) is not None:
            per_channel = self.family.settings.per_channel
            weights = [
                of_few_bits(way, weight, bits, per_channel, name)
                for way, weight in zip(gained, weights, strict=True)
            ]
            read = [
                way.holding(weight, source.value, resolution[way.channels], threshold)
                for way, weight, source in zip(ways, weights, sources, strict=True)
            ]
        own = np.broadcast_to(layer.bias, layer.shape).transpose(1, 2, 0)
        bias = own.astype(np.float64)
        for way, source in zip(read, sources, strict=True):
            if source.constant is not None:
                constant = np.broadcast_to(source.constant, way.source).reshape(1, -1)
                bias = bias.copy()
                bias[..., way.channels] += way.sums(constant)[0]
        charge = None
        if self.followed is not None:
            bias, charge = self._corrected(layer, ways, gained, weights, own, bias, lowered)
        if not (bias.any() or lowered.start):
            return weights, None, charge
        rows = bias.reshape(-1, layer.shape[0])
        if float(np.ptp(rows, axis=0).max()) <= ALIKE * float(np.abs(rows).max()):
            rows = rows[:1]
        quanta = (rows / resolution * threshold / self.periods).reshape(-1) + lowered.start
        return weights, to_quanta(quanta, f"a bias of layer {name!r}"), charge

    def _corrected(
        self,
        layer: Layer,
        ways: Sequence[Wires],
        gained: Sequence[Wires],
        weights: Sequence[Int32],
        own: Float64,
        bias: Float64,
        lowered: Lowered,
    ) -> tuple[Float64, NDArray[np.int64] | None]:
        """The bias less the mean error of each channel; the layer's counts are kept for those after it.

        With ``charge_calibration`` the bias as it was, and charges at the start that make the error up.
        """
        assert self.followed is not None
        followed, neuron = self.followed, lowered.neuron
        by_charge = self.family.settings.charge_calibration
        threshold = self.family.settings.threshold
        charges = [followed.charge(layer, gained, weights, part) for part in followed.parts(layer)]

        def in_quanta(value: Float64) -> NDArray[np.int64]:
            return np.rint(value / lowered.resolution * threshold).astype(np.int64)

        if neuron.only_read:
            # Of a readout nothing is cut: the mean charge of the original follows from its mean values.
            wanted = original_charge(layer, ways, self.found.mean, own)
            found = mean_of_channels(charges) * followed.steps * (lowered.resolution / threshold)
            found = found + bias.mean(axis=(0, 1))
            error = found - wanted.mean(axis=(0, 1))
            return (bias, in_quanta(-error)) if by_charge else (bias - error, None)

        def counts_with(bias: Float64, start: Any = lowered.start) -> list[NDArray[Any]]:
            most = neuron.largest_count or 2**BITS_OF_SPIKES - 1
            small = np.promote_types(*map(np.min_scalar_type, (neuron.lowest_count, most)))
            quanta = bias / lowered.resolution * threshold
            return [self.family.counts(neuron, charge, quanta, start).astype(small) for charge in charges]

        found = mean_of_channels(counts_with(bias)) * followed.steps * lowered.coded.value
        if lowered.coded.constant is not None:
            found = found + lowered.coded.constant
        error = found - self.found.mean[layer.name].mean(axis=(0, 1))
        if by_charge:
            charge = np.minimum(in_quanta(-error) + neuron.starting_charge, neuron.largest_start)
            followed.keep(layer, counts_with(bias, charge - neuron.starting_charge))
            return bias, charge
        bias = bias - error
        followed.keep(layer, counts_with(bias))
        return bias, None

    # -- refusals --------------------------------------------------------------------------------------------

    def _check_gate(self, layer: Layer, by_name: dict[str, Layer], sources: Sequence[Coded]) -> None:
        """Gates compare counts from 0 on, of one population."""
        reads_input = any(isinstance(by_name[b.source].operation, InputOperation) for b in layer.branches)
        if len(sources) != 1:
            raise UnsupportedLayer(
                f"layer {layer.path!r} ({layer.origin}) pools {len(sources)} layers at once; gates compare "
                "the neurons of one population. Pool each of them before they are concatenated"
            )
        if (
            reads_input
            and not self.family.fires_once
            and (self.found.lowest < 0 or self.analog_scale is not None)
        ):
            raise UnsupportedLayer(
                f"layer {layer.path!r} ({layer.origin}) pools the input, and gates compare counts of spikes "
                "from 0 on; give images of 0 and more as input 'charge' or 'poisson', or put a convolution "
                "before the pool"
            )

    def _check_output(self, layer: Layer, made: dict[str, Lowered]) -> None:
        coded = made[layer.name].coded
        if coded.constant is not None and (np.ptp(coded.unit) or np.ptp(coded.constant)):
            raise UnsupportedLayer(
                f"layer {layer.path!r} ({layer.origin}), the last one, has values below zero on scales that "
                "differ from channel to channel, so its counts cannot be compared; leave its activation out"
            )
