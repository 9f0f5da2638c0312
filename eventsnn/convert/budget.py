"""Levels of each layer under a budget of synaptic operations.

Few levels cost little and lose much, in one layer more than in another. On calibration samples each layer
alone is made coarse, once with each number of levels on offer: how far the class scores move is what that
loses (errors of several layers are taken to add up), and the final counts times the synapses they are sent
through is what it costs. Of all choices within the budget the one of least loss is taken, by dynamic
programming over the cost.

A signed neuron may send spikes that it takes back later; those are not in the cost, which is that of final
counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.activations import in_population_order
from eventsnn.convert.calibration import calibrate
from eventsnn.convert.choices import least_loss
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input, MaxPool, Quantised, Step
from eventsnn.convert.lowering.branches import wires
from eventsnn.convert.lowering.gates import gate_synapses
from eventsnn.convert.lowering.listed import of_population
from eventsnn.convert.lowering.signed import SignedFamily
from eventsnn.convert.lowering.values import LayerValues
from eventsnn.convert.lowering.windows import largest_of_windows
from eventsnn.convert.samples import Samples
from eventsnn.convert.settings import DEFAULT_LEVELS, Settings
from eventsnn.convert.trained import TrainedLayers
from eventsnn.errors import InvalidRequest

Float64 = NDArray[np.float64]

CHOICES = (1, 2, 3, 5, 7, 10, 15, 22, 31)
"""Levels that a layer may have: each about half as many again as the one before."""

MOST_SAMPLES = 64
HELD_VALUES = 2**25
"""Values of all layers together, of the samples that are looked at: 256 MB."""

AT_ONCE = ("charge", "analog")
"""Codings in which a pixel comes as one delivery, whatever its value."""


@dataclass(frozen=True)
class Plan:
    """Levels chosen, and what they are expected to cost and to lose.

    Attributes
    ----------
    levels : tuple of int
        Of the layers whose levels can be chosen, from input to output.
    asked : str
        The budget as it was given.
    budget, expected, least : float
        Synaptic operations a sample: allowed, of this choice, of the cheapest.
    loss : float
        Expected squared error of the class scores, relative to their variance over the samples.
    uniform : dict
        The same of one number for all layers: ``levels``, ``expected_sops``, ``expected_loss``.
    samples : int
        Looked at.
    """

    levels: tuple[int, ...]
    asked: str
    budget: float
    expected: float
    least: float
    loss: float
    uniform: Mapping[str, float]
    samples: int

    def document(self, names: Sequence[str]) -> dict[str, Any]:
        """As it stands in a network's metadata, ``conversion.levels_budget``; ``names`` of the layers."""
        return {
            "asked": self.asked,
            "budget_sops": self.budget,
            "expected_sops": self.expected,
            "expected_loss": self.loss,
            "least_sops": self.least,
            "levels": dict(zip(names, self.levels, strict=True)),
            "uniform": dict(self.uniform),
            "samples": self.samples,
        }


def planned(original: TrainedLayers, samples: Samples, settings: Settings, coding: str | None) -> Plan:
    """The levels of least expected loss within ``settings.levels_budget``.

    Parameters
    ----------
    original : TrainedLayers
    samples : Samples
        With the network's unit and normalisation.
    settings : Settings
    coding : str or None
        Of the input.

    Raises
    ------
    InvalidRequest
        No layer has levels to choose, or the budget is below the cheapest choice.
    """
    layers = original.layers
    family = SignedFamily(replace(settings, levels=None, levels_budget=None), layers)
    family.check()
    choosing = [layer for layer in layers[1:] if family.searched(layer)]
    if not choosing:
        raise InvalidRequest(
            f"levels_budget is {settings.levels_budget!r}, but no layer has levels to choose: quantisers and "
            "steps bring their own. Leave it out"
        )
    base = settings.levels if isinstance(settings.levels, int) else DEFAULT_LEVELS
    offered = sorted({*CHOICES, base})
    look = _Look(original, _few(samples, layers), family, coding)
    cost = np.zeros((len(choosing), len(offered)))
    loss = np.zeros_like(cost)
    for k, levels in enumerate(offered):
        coarse = SignedFamily(replace(settings, levels=levels, levels_budget=None), layers)
        scale = calibrate(layers, original.evaluate, look.samples, coarse).scale
        for place, layer in enumerate(choosing):
            cost[place, k], loss[place, k] = look.at(layer, scale[layer.name], levels)
    fixed, column = look.fixed(choosing), offered.index(base)
    uniform = fixed + float(cost[:, column].sum())
    amount, of_uniform = settings.budget
    budget = amount * uniform if of_uniform else amount
    kept = [offered.index(levels) for levels in CHOICES]
    least = fixed + float(cost[:, kept].min(axis=1).sum())
    if budget < least:
        raise InvalidRequest(
            f"levels_budget is {settings.levels_budget!r}, {budget:,.0f} synaptic operations a sample; with "
            f"the fewest levels these layers need {least:,.0f}, {fixed:,.0f} of them whatever the levels. "
            "Give more"
        )
    rows = np.arange(len(choosing))
    # Equal levels may just fit, which costs rounded up do not see.
    tried = [least_loss(cost[:, kept], loss[:, kept], budget - fixed)]
    tried += [[k] * len(choosing) for k, c in enumerate(kept) if fixed + cost[:, c].sum() <= budget]
    chosen = min(tried, key=lambda each: float(loss[rows, np.array(kept)[each]].sum()))
    columns = np.array(kept)[chosen]
    return Plan(
        tuple(CHOICES[k] for k in chosen),
        str(settings.levels_budget),
        budget,
        fixed + float(cost[rows, columns].sum()),
        least,
        float(loss[rows, columns].sum()),
        {"levels": base, "expected_sops": uniform, "expected_loss": float(loss[:, column].sum())},
        look.samples.count,
    )


def _few(samples: Samples, layers: Sequence[Layer]) -> Samples:
    """Some samples, evenly taken."""
    held = sum(prod(layer.shape) for layer in layers)
    count = min(samples.count, MOST_SAMPLES, max(8, HELD_VALUES // held))
    places = np.arange(count) * samples.count // count
    picked = np.concatenate([samples.read(int(place), int(place) + 1) for place in places])
    return replace(samples, count=count, read=lambda begin, end: picked[begin:end])


class _Look:
    """The original's values on some samples, and what follows from changing those of one layer."""

    def __init__(
        self, original: TrainedLayers, samples: Samples, family: SignedFamily, coding: str | None
    ) -> None:
        self.layers, self.samples, self.family = original.layers, samples, family
        self.by_name = {layer.name: layer for layer in self.layers}
        self.pools = {layer.name for layer in self.layers if isinstance(layer.operation, MaxPool)}
        raw = samples.values(0, samples.count)
        source = self.layers[0]
        read = samples.model_values(raw)
        names = [layer.name for layer in self.layers[1:]]
        answers: dict[str, list[Float64]] = {name: [] for name in names}
        for row in range(samples.count):
            for name, value in original.evaluate(read[row : row + 1], names).items():
                answers[name].append(in_population_order(self.by_name[name], np.asarray(value, np.float64)))
        self.values = {name: np.concatenate(found) for name, found in answers.items()}
        shape = (-1, *source.shape)
        self.values[source.name] = read.reshape(shape).transpose(0, 2, 3, 1)
        given = raw.reshape(shape).transpose(0, 2, 3, 1)
        self.inputs = (given != 0).astype(float) if coding in AT_ONCE else np.abs(given) / samples.unit
        last = self.values[self.layers[-1].name]
        self.spread = float(np.square(last - last.mean(axis=0)).sum()) or 1.0
        self.after = {layer.name: LayerValues(layer, self.by_name) for layer in self.layers[1:]}
        self.fan_out = {layer.name: self._fan_out(layer) for layer in self.layers}

    def _fan_out(self, layer: Layer) -> Float64:
        """Synapses that each neuron of a layer ends in, shape (y, x, channel)."""
        total = np.zeros(prod(layer.shape))
        source = of_population(layer.shape)
        for reader in self.layers:
            for branch in reader.branches:
                if branch.source != layer.name:
                    continue
                if reader.name in self.pools:
                    kind: Any = gate_synapses(reader, layer.shape, padded=True)
                else:
                    way = wires(branch, reader, layer.shape)
                    kind = way.synapses(np.zeros(way.weight.shape, dtype=np.int32))
                total += kind.fan_out(source, kind.target_shape(source))
        return total.reshape(source)

    def at(self, layer: Layer, scale: Float64, levels: int) -> tuple[float, float]:
        """Cost and loss of a layer with so many levels, whose ceilings are these."""
        unit = scale / levels
        lowest = -levels if self.family.signed(layer) else 0
        counts = np.clip(np.floor(self.values[layer.name] / unit + 0.5), lowest, levels)
        value = counts * unit
        if self.family.settings.bias_correction:  # which takes the mean error of each channel out
            value = value - (value - self.values[layer.name]).mean(axis=(0, 1, 2))
        return self.cost(layer, counts), self._loss(layer, value)

    def cost(self, layer: Layer, counts: Float64) -> float:
        """Synaptic operations a sample of final counts, and of the pools that pass them on."""
        total = float((np.abs(counts) * self.fan_out[layer.name]).sum()) / len(counts)
        for reader in self.layers:
            if reader.name in self.pools and reader.branches[0].source == layer.name:
                gates = gate_synapses(reader, layer.shape, padded=True)
                total += self.cost(reader, largest_of_windows(counts, gates, -np.inf))
        return total

    def _loss(self, layer: Layer, value: Float64) -> float:
        changed = {layer.name: value}
        behind = self.layers[self.layers.index(layer) + 1 :]
        for other in behind:
            read = [branch.source for branch in other.branches]
            if not changed.keys().isdisjoint(read):
                changed[other.name] = self.after[other.name](
                    [changed.get(name, self.values[name]) for name in read]
                )
        last = self.layers[-1].name
        if last not in changed:
            return 0.0
        return float(np.square(changed[last] - self.values[last]).sum()) / self.spread

    def fixed(self, choosing: Sequence[Layer]) -> float:
        """What the input costs, and layers that bring their own levels."""
        own = {layer.name for layer in choosing}
        total = 0.0
        for layer in self.layers:
            rule = COUNTS.get(type(layer.operation))
            if layer.name not in own and rule is not None:
                total += self.cost(layer, rule(self, layer))
        return total

    def of_input(self, layer: Layer) -> Float64:
        """Events, or one delivery for each pixel."""
        return self.inputs

    def of_quantiser(self, layer: Layer) -> Float64:
        """Counts of a quantiser's own levels."""
        operation = layer.operation
        assert isinstance(operation, Quantised)
        offset = 0 if operation.lowest <= 0 < operation.largest else operation.lowest
        unit = self.family.own_unit(layer, operation)
        return np.asarray(np.rint(self.values[layer.name] / unit) - offset)

    def of_step(self, layer: Layer) -> Float64:
        """Counts of a step: 0 and 1, or with a value between them 0, 1 and 2."""
        operation = layer.operation
        assert isinstance(operation, Step)
        between = operation.at_zero not in (operation.low, operation.high)
        share = (self.values[layer.name] - operation.low) / (operation.high - operation.low)
        return np.asarray(np.rint(share * (1 + between)))


COUNTS: dict[type[Any], Callable[[_Look, Layer], Float64]] = {
    Input: _Look.of_input,
    Quantised: _Look.of_quantiser,
    Step: _Look.of_step,
}
"""Final counts of layers whose levels nobody chooses."""
