"""The converted network against the original model: layer by layer, and decision by decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.activations import batches, layer_values
from eventsnn.convert.encoded import encoded_counts
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input
from eventsnn.convert.lowering.listed import of_population
from eventsnn.convert.lowering.names import population_names
from eventsnn.convert.normalisation import normalisation
from eventsnn.convert.quantised import quantised_activations
from eventsnn.convert.samples import Samples, read_samples
from eventsnn.convert.shares import shares, softmax
from eventsnn.convert.trained import TrainedLayers, trained_model
from eventsnn.errors import InvalidRequest
from eventsnn.network import Network
from eventsnn.network.contract import IMAGE_CODINGS
from eventsnn.network.decision import weights_of_neurons

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class LayerCheck:
    """One layer's agreement over all samples and neurons; values are activations (logits for a readout).

    Attributes
    ----------
    name : str
        Of the population.
    neuron : str
        ``"signed"``, ``"rate"``, ``"readout"``; ``"softmax"``, whose values are the shares of all spikes
        beside the softmax of the original's scores.
    mean_activation : float
        Mean absolute value in the original model, to judge the differences by.
    mean_difference, largest_difference : float
        Of |converted - original|.
    correlation : float
        Pearson's; if one side is constant, 1 when both are equal everywhere and 0 otherwise.
    saturated : float
        Share of signed neurons at their largest count, 0 for other kinds.
    decisions : float or None
        Of the output: the share of samples for which network and model decide alike. None elsewhere.
    """

    name: str
    neuron: str
    mean_activation: float
    mean_difference: float
    largest_difference: float
    correlation: float
    saturated: float
    decisions: float | None = None


@dataclass(frozen=True)
class Comparison:
    """A network beside its model.

    Attributes
    ----------
    layers : list of LayerCheck
        Spiking populations and the readout, from input to output.
    decisions, model_decisions : int64 array, shape (samples,)
        Output neuron of the largest activation, the first of several; -1 where spiking outputs are all
        silent, so that nothing is decided.
    """

    layers: list[LayerCheck]
    decisions: Int64
    model_decisions: Int64

    def first_wrong(self, correlation: float = 0.95) -> str | None:
        """The first layer whose values correlate with the original's by less; None if there is none."""
        return next((layer.name for layer in self.layers if layer.correlation < correlation), None)

    @property
    def agreement(self) -> float:
        """The share of samples for which both decide alike."""
        return float((self.decisions == self.model_decisions).mean())


def layer_check(
    model: Any,
    network: Network,
    samples: Any,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> list[LayerCheck]:
    """Compare a converted network with its model, layer by layer; the last layer's ``decisions`` too.

    Parameters
    ----------
    model : torch.nn.Module, or what else ``convert`` takes
        The one the network was converted from.
    network : Network
    samples : array or tensor, ImageSet, RecordingSet, or list of recordings
        As for ``convert``; arrays for networks of events are event counts times the network's input
        scale, others images before the normalisation that the network has folded in.
    activity : mapping of str to int64 array, shape (samples, neurons), optional
        Spike counts (readout: charges) of simulated runs on these samples, by population. Needed for
        rate neurons; signed ones are evaluated by ``quantised_activations`` without it, on the input that
        a run with seed 0 would have.

    Returns
    -------
    list of LayerCheck
        Spiking populations and the readout, from input to output.

    Raises
    ------
    InvalidRequest
        The network is not this model's, the samples are no event counts, ``activity`` is missing or of
        another shape.
    """
    return compare(model, network, samples, activity).layers


def compare(
    model: Any,
    network: Network,
    samples: Any,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> Comparison:
    """``layer_check`` with every sample's decisions."""
    trained = trained_model(model)
    source = network.populations[network.input]
    contract = network.contract
    coding = None if contract is None else contract.coding
    folded = contract is not None and contract.folded
    read = read_samples(samples, trained.reading, _input_shape(samples, source.shape), coding, folded)
    if coding in IMAGE_CODINGS and read.counted:
        raise InvalidRequest(f"the network was converted for {coding} images; give images, not recordings")
    return compare_layers(trained.layers_of(read.shape, _average_pools(network)), network, read, activity)


def compare_layers(
    original: TrainedLayers,
    network: Network,
    read: Samples,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> Comparison:
    """``compare`` for a model whose layers are known."""
    names = population_names(original.layers)
    layers = [layer for layer in original.layers if not isinstance(layer.operation, Input)]
    _require_same(network, original.layers, names)
    neuron: Any = network.populations[network.input].neuron
    contract, norm = network.contract, None
    channels = original.layers[0].shape[0]
    if contract is not None:
        norm = normalisation(contract.input_range, contract.mean, contract.deviation, channels)
    read = replace(read, unit=neuron.unit, normalisation=norm)
    if activity is None and any(population.neuron.tested == "at delivery" for population in network):
        raise InvalidRequest(
            "what rate neurons end with depends on when their input arrives; give the counts of simulated "
            "runs as activity"
        )
    if activity is not None:
        _require_shapes(activity, layers, names, read.count)
    at_zero = _at_zero(network)
    sums = {
        layer.name: _Sums(network, names[layer.name], at_zero.get(names[layer.name], 0.0)) for layer in layers
    }
    decided: list[tuple[Int64, Int64]] = []
    begin = 0
    for values in batches(read, original.layers):
        end = begin + len(values)
        if activity is None:
            image = values.reshape(-1, *original.layers[0].shape).transpose(0, 2, 3, 1)
            found = encoded_counts(network, image, read.indices[begin:end])
            part: Mapping[str, NDArray[Any]] = quantised_activations(network, found.counts, found.analog)
        else:
            part = {name: np.asarray(counts)[begin:end] for name, counts in activity.items()}
        for layer, output in layer_values(original.layers, original.evaluate, read.model_values(values)):
            counts = part[names[layer.name]].reshape(output.shape)
            sums[layer.name].add(counts, output)
            if layer is layers[-1]:
                decided.append(_decisions(network, counts, output))
        begin = end
    decisions, of_model = (np.concatenate(side) for side in zip(*decided, strict=True))
    checks = [sums[layer.name].check() for layer in layers]
    checks[-1] = replace(checks[-1], decisions=float((decisions == of_model).mean()))
    return Comparison(checks, decisions, of_model)


def _average_pools(network: Network) -> str:
    """Whether averages were folded when the network was converted."""
    return str(network.metadata.get("conversion", {}).get("average_pools", "folded"))


def _at_zero(network: Network) -> dict[str, Float64]:
    """What counts of zero stand for, by population, where that is not 0."""
    told = network.metadata.get("conversion", {}).get("layers", ())
    return {layer["name"]: np.asarray(layer["at_zero"]) for layer in told if "at_zero" in layer}


def _input_shape(samples: Any, shape: tuple[int, int, int]) -> tuple[int, ...] | None:
    """The model's input shape for the network's, where recordings do not tell it."""
    listed = isinstance(samples, list | tuple)
    return (shape[2], shape[0], shape[1]) if listed or hasattr(samples, "reader") else None


def _require_same(network: Network, layers: Sequence[Layer], names: Mapping[str, str]) -> None:
    # What no layer gives and nothing is projected to fires biases.
    built = {
        p.name: p.shape for p in network if p.name in names.values() or network.incoming(p.name)
    }  # fmt: skip
    asked = {names[layer.name]: of_population(layer.shape) for layer in layers}
    if built != asked:
        raise InvalidRequest(
            f"the network has the layers {built}, the model gives {asked}; compare a network with the model "
            "it was converted from"
        )


def _require_shapes(
    activity: Mapping[str, Any], layers: Sequence[Layer], names: Mapping[str, str], count: int
) -> None:
    for layer in layers:
        name = names[layer.name]
        values = np.asarray(activity[name]) if name in activity else np.empty(0)
        wanted = count * int(np.prod(layer.shape))
        if values.size != wanted or len(values) != count:
            raise InvalidRequest(
                f"activity of population {name!r} has {values.size} values; {count} samples have {wanted}"
            )


def _decisions(network: Network, counts: Int64, output: Float64) -> tuple[Int64, Int64]:
    """What network and model decide: the largest activation, not the largest count."""
    population = network.populations[network.output]
    rows, of_model = counts.reshape(len(counts), -1).astype(np.int64), output.reshape(len(output), -1)
    weights = weights_of_neurons(population)
    if weights is not None:
        rows = rows * weights
    found, wanted = rows.argmax(axis=1), of_model.argmax(axis=1)
    if population.neuron.emits != "nothing":
        found[(rows <= 0).all(axis=1)] = -1
        if population.neuron.drawn:
            return found, wanted
        wanted[(of_model <= 0).all(axis=1)] = -1
    return found, wanted


class _Sums:
    """What a layer's check needs, added up batch by batch."""

    def __init__(self, network: Network, name: str, at_zero: Float64 | float = 0.0) -> None:
        self.name, self.at_zero = name, at_zero
        self.neuron = network.populations[name].neuron
        self.count = 0
        self.activation = self.difference = self.largest = self.saturated = 0.0
        self.range = np.array([[np.inf, -np.inf]] * 2)
        # Around the values of the first batch, against cancellation.
        self.centre: Float64 | None = None
        self.first: Float64 = np.zeros(2)
        self.second: Float64 = np.zeros((2, 2))

    def add(self, counts: Int64, output: Float64) -> None:
        converted = counts * np.asarray(self.neuron.unit, dtype=np.float64) + self.at_zero
        if self.neuron.drawn:
            converted, output = shares(counts), softmax(output)
        difference = np.abs(converted - output)
        self.count += output.size
        self.activation += float(np.abs(output).sum())
        self.difference += float(difference.sum())
        self.largest = max(self.largest, float(difference.max()))
        if self.neuron.rule == "signed":
            self.saturated += float((counts >= self.neuron.largest_count).sum())
        sides: Float64 = np.stack([converted.reshape(-1), output.reshape(-1)])
        self.range[:, 0] = np.minimum(self.range[:, 0], sides.min(axis=1))
        self.range[:, 1] = np.maximum(self.range[:, 1], sides.max(axis=1))
        if self.centre is None:
            self.centre = np.asarray(sides.mean(axis=1))
        sides = sides - self.centre[:, None]
        self.first = self.first + sides.sum(axis=1)
        self.second = self.second + sides @ sides.T

    def check(self) -> LayerCheck:
        return LayerCheck(
            name=self.name,
            neuron=self.neuron.kind,
            mean_activation=self.activation / self.count,
            mean_difference=self.difference / self.count,
            largest_difference=self.largest,
            correlation=self._correlation(),
            saturated=self.saturated / self.count,
        )

    def _correlation(self) -> float:
        spread = self.second - np.outer(self.first, self.first) / self.count
        scale = float(np.sqrt(max(spread[0, 0], 0.0) * max(spread[1, 1], 0.0)))
        constant = bool((self.range[:, 0] == self.range[:, 1]).any())
        if constant or scale == 0:
            return float(self.largest == 0)
        return min(1.0, max(-1.0, float(spread[0, 1]) / scale))
