"""The converted network against the original model, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from eventsnn.convert.chain import module_chain
from eventsnn.convert.quantised import quantised_activations
from eventsnn.convert.samples import read_samples, stage_outputs
from eventsnn.convert.stages import Stage, build_stages
from eventsnn.errors import InvalidRequest
from eventsnn.network import Input, Network, Rate, Readout, Signed

Float64 = NDArray[np.float64]


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
    """

    name: str
    neuron: str
    mean_activation: float
    mean_difference: float
    largest_difference: float
    correlation: float
    saturated: float


def layer_check(
    model: nn.Module,
    network: Network,
    samples: Any,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> list[LayerCheck]:
    """Compare a converted network with its model, layer by layer.

    Parameters
    ----------
    model : torch.nn.Module
        The one the network was converted from.
    network : Network
    samples : float array or tensor, RecordingSet, or list of recordings
        As for ``convert``; arrays are event counts times the network's input scale.
    activity : mapping of str to int64 array, shape (samples, neurons), optional
        Spike counts (readout: charges) of simulated runs on these samples, by population. Needed for
        rate neurons; signed ones are evaluated by ``quantised_activations`` without it.

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
    chain = module_chain(model)
    source = network.populations[network.input]
    unit = source.neuron.unit if isinstance(source.neuron, Input) else 1.0
    height, width, channels = source.shape
    read = read_samples(samples, chain, unit, _input_shape(samples, source.shape))
    stages = build_stages(chain, read.shape)
    _require_same(network, stages)
    if activity is None:
        if any(isinstance(population.neuron, Rate) for population in network):
            raise InvalidRequest(
                "what rate neurons end with depends on when their input arrives; give the counts of "
                "simulated runs as activity"
            )
        counts = read.values.numpy().reshape(-1, channels, height, width).transpose(0, 2, 3, 1) / unit
        whole = np.rint(counts)
        if np.abs(counts - whole).max(initial=0.0) > 1e-6 * max(1.0, float(whole.max(initial=0.0))):
            raise InvalidRequest(
                f"the samples are no whole multiples of the network's input scale {unit:.6g}, so no events "
                "give them; use event counts times the input scale"
            )
        activity = quantised_activations(network, whole.astype(np.int64))
    found = []
    for stage, output in stage_outputs(chain, stages, read.values):
        values = np.asarray(activity[stage.name]) if stage.name in activity else np.empty(0)
        if values.size != output.size:
            raise InvalidRequest(
                f"activity of population {stage.name!r} has {values.size} values; {len(output)} samples "
                f"have {output.size}"
            )
        found.append(_compare(network, stage, values.reshape(output.shape), output))
    return found


def _input_shape(samples: Any, shape: tuple[int, int, int]) -> tuple[int, ...] | None:
    """The model's input shape for the network's, unless the samples are rows of features."""
    return None if getattr(samples, "ndim", 0) == 2 else (shape[2], shape[0], shape[1])


def _require_same(network: Network, stages: list[Stage]) -> None:
    built = [(name, network.populations[name].shape) for name in network.order]
    asked = [(network.input, stages[0].source), *((stage.name, stage.target) for stage in stages)]
    if built != asked:
        raise InvalidRequest(
            f"the network has the layers {built}, the model gives {asked}; compare a network with the model "
            "it was converted from"
        )


def _compare(network: Network, stage: Stage, values: NDArray[Any], output: Float64) -> LayerCheck:
    neuron = network.populations[stage.name].neuron
    converted = values * np.asarray(neuron.unit, dtype=np.float64)
    difference = np.abs(converted - output)
    saturated = float((values >= neuron.levels).mean()) if isinstance(neuron, Signed) else 0.0
    return LayerCheck(
        name=stage.name,
        neuron="readout" if isinstance(neuron, Readout) else neuron.kind,
        mean_activation=float(np.abs(output).mean()),
        mean_difference=float(difference.mean()),
        largest_difference=float(difference.max()),
        correlation=_correlation(converted, output),
        saturated=saturated,
    )


def _correlation(first: Float64, second: Float64) -> float:
    a, b = (v.reshape(-1) - v.mean() for v in (first, second))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    if np.ptp(first) == 0 or np.ptp(second) == 0 or scale == 0:
        return float(np.array_equal(first, second))
    return min(1.0, max(-1.0, float(a @ b) / scale))
