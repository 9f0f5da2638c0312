"""The converted network against the original model: layer by layer, and decision by decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from eventsnn.convert.activations import batches, stage_outputs
from eventsnn.convert.chain import module_chain
from eventsnn.convert.encoded import encoded_counts
from eventsnn.convert.normalisation import normalisation
from eventsnn.convert.quantised import quantised_activations
from eventsnn.convert.samples import read_samples
from eventsnn.convert.stages import Stage, build_stages
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
        ``"signed"``, ``"rate"`` or ``"readout"``.
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

    @property
    def agreement(self) -> float:
        """The share of samples for which both decide alike."""
        return float((self.decisions == self.model_decisions).mean())


def layer_check(
    model: nn.Module,
    network: Network,
    samples: Any,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> list[LayerCheck]:
    """Compare a converted network with its model, layer by layer; the last layer's ``decisions`` too.

    Parameters
    ----------
    model : torch.nn.Module
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
    model: nn.Module,
    network: Network,
    samples: Any,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> Comparison:
    """``layer_check`` with every sample's decisions."""
    chain = module_chain(model)
    source = network.populations[network.input]
    unit: Any = source.neuron.unit
    height, width, channels = source.shape
    contract = network.contract
    coding = None if contract is None else contract.coding
    folded = contract is not None and contract.folded
    read = read_samples(samples, chain, _input_shape(samples, source.shape), coding, folded)
    if coding in IMAGE_CODINGS and read.counted:
        raise InvalidRequest(f"the network was converted for {coding} images; give images, not recordings")
    stages = build_stages(chain, read.shape)
    _require_same(network, stages)
    norm = None
    if contract is not None:
        norm = normalisation(contract.input_range, contract.mean, contract.deviation, channels)
    read = replace(read, unit=unit, normalisation=norm)
    if activity is None and any(population.neuron.tested == "at delivery" for population in network):
        raise InvalidRequest(
            "what rate neurons end with depends on when their input arrives; give the counts of simulated "
            "runs as activity"
        )
    if activity is not None:
        _require_shapes(activity, stages, read.count)
    sums = {stage.name: _Sums(network, stage) for stage in stages}
    decided: list[tuple[Int64, Int64]] = []
    begin = 0
    for values in batches(read, stages):
        end = begin + len(values)
        if activity is None:
            image = values.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
            found = encoded_counts(network, image, read.indices[begin:end])
            part: Mapping[str, NDArray[Any]] = quantised_activations(network, found.counts, found.analog)
        else:
            part = {stage.name: np.asarray(activity[stage.name])[begin:end] for stage in stages}
        for stage, output in stage_outputs(chain, stages, read.model_values(values)):
            counts = part[stage.name].reshape(output.shape)
            sums[stage.name].add(counts, output)
            if stage is stages[-1]:
                decided.append(_decisions(network, stage, counts, output))
        begin = end
    decisions, of_model = (np.concatenate(side) for side in zip(*decided, strict=True))
    layers = [sums[stage.name].check() for stage in stages]
    layers[-1] = replace(layers[-1], decisions=float((decisions == of_model).mean()))
    return Comparison(layers, decisions, of_model)


def _input_shape(samples: Any, shape: tuple[int, int, int]) -> tuple[int, ...] | None:
    """The model's input shape for the network's, where recordings do not tell it."""
    listed = isinstance(samples, list | tuple)
    return (shape[2], shape[0], shape[1]) if listed or hasattr(samples, "reader") else None


def _require_same(network: Network, stages: list[Stage]) -> None:
    built = [(name, network.populations[name].shape) for name in network.order]
    asked = [(network.input, stages[0].source), *((stage.name, stage.target) for stage in stages)]
    if built != asked:
        raise InvalidRequest(
            f"the network has the layers {built}, the model gives {asked}; compare a network with the model "
            "it was converted from"
        )


def _require_shapes(activity: Mapping[str, Any], stages: list[Stage], count: int) -> None:
    for stage in stages:
        values = np.asarray(activity[stage.name]) if stage.name in activity else np.empty(0)
        wanted = count * int(np.prod(stage.target))
        if values.size != wanted or len(values) != count:
            raise InvalidRequest(
                f"activity of population {stage.name!r} has {values.size} values; {count} samples have "
                f"{wanted}"
            )


def _decisions(network: Network, stage: Stage, counts: Int64, output: Float64) -> tuple[Int64, Int64]:
    """What network and model decide: the largest activation, not the largest count."""
    neuron = network.populations[stage.name].neuron
    rows, of_model = counts.reshape(len(counts), -1).astype(np.int64), output.reshape(len(output), -1)
    weights = weights_of_neurons(network.populations[stage.name])
    if weights is not None:
        rows = rows * weights
    found, wanted = rows.argmax(axis=1), of_model.argmax(axis=1)
    if neuron.emits != "nothing":
        found[(rows <= 0).all(axis=1)] = -1
        wanted[(of_model <= 0).all(axis=1)] = -1
    return found, wanted


class _Sums:
    """What a layer's check needs, added up batch by batch."""

    def __init__(self, network: Network, stage: Stage) -> None:
        self.name = stage.name
        self.neuron = network.populations[stage.name].neuron
        self.count = 0
        self.activation = self.difference = self.largest = self.saturated = 0.0
        self.range = np.array([[np.inf, -np.inf]] * 2)
        # Around the values of the first batch, against cancellation.
        self.centre: Float64 | None = None
        self.first: Float64 = np.zeros(2)
        self.second: Float64 = np.zeros((2, 2))

    def add(self, counts: Int64, output: Float64) -> None:
        converted = counts * np.asarray(self.neuron.unit, dtype=np.float64)
        difference = np.abs(converted - output)
        self.count += output.size
        self.activation += float(np.abs(output).sum())
        self.difference += float(difference.sum())
        self.largest = max(self.largest, float(difference.max()))
        if self.neuron.largest_count:
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
