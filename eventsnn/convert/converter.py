"""``convert``: a trained PyTorch model and calibration data in, a spiking network out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from eventsnn.convert.chain import module_chain, require_decision
from eventsnn.convert.qcfs import QCFS
from eventsnn.convert.quantise import integer_synapses, to_quanta
from eventsnn.convert.samples import Samples, read_samples, stage_outputs
from eventsnn.convert.scales import Float64, best_ceiling, floored, robust_maximum
from eventsnn.convert.settings import DEFAULT_LEVELS, Settings
from eventsnn.convert.stages import INPUT, Stage, build_stages
from eventsnn.errors import InvalidNetwork, InvalidRequest
from eventsnn.network import Input, Network, Population, Projection, Rate, Readout, Signed
from eventsnn.network.decision import with_decision_weights

TICKS_PER_MICROSECOND = 10**6
LONGEST_PERIOD = 2 * 10**9
"""Ticks (2 ms): the longer a current's period, the finer its integer quanta; 2^31 is the limit."""

READOUT_THRESHOLDS = 16
"""The largest calibration logit stands for this many thresholds of charge: 2^18 quanta by default."""


def convert(
    model: nn.Module,
    calibration: Any,
    neuron: str = "signed",
    levels: int | None = None,
    *,
    input_scale: float = 1.0,
    input_shape: tuple[int, ...] | None = None,
    percentile: float = 99.9,
    threshold: int = 2**14,
    graded: bool = False,
    settle_time_us: float = 0,
    hysteresis: float = 0.0,
    duration_us: float | None = None,
    scales: str = "layer",
    spikes_at_lambda: float = 15,
    metadata: Mapping[str, Any] | None = None,
) -> Network:
    """Convert a trained model into a network of spiking neurons fed by events.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of Conv2d and Linear layers, each followed by batch norm (or not) and ReLU or QCFS, with
        average pools that do not overlap, Flatten, Dropout and Identity between. Used in evaluation
        mode, as a copy. If it ends in Conv2d or Linear the output is a readout, whose largest charge is
        the decision; if it ends in an activation the output population fires and the largest count is.
    calibration : float array or tensor, RecordingSet, or list of recordings
        Model inputs of shape (samples, channels, height, width), or (samples, features); or recordings,
        taken as event counts times ``input_scale``. Sets the scales: representative, never the test set.
    neuron : str
        ``"signed"``: quantised ReLUs, exact once the input has drained. ``"rate"``: spike rates.
    levels : int, optional
        Signed neurons in place of a ReLU: steps between 0 and its ceiling, default 15. QCFS layers bring
        their own, which ``levels`` must equal if given.
    input_scale : float
        What one event adds to its pixel and channel of the model's input.
    input_shape : tuple of int, optional
        (channels, height, width); needed for a list of recordings.
    percentile : float
        Rate neurons: lambda is this percentile of a layer's *non-zero* activations; 100 is the maximum.
    threshold : int
        Quanta per level or spike, up to 2^16: the resolution of the integer weights.
    graded : bool
        Signed neurons emit one payload instead of several unit spikes.
    settle_time_us : float
        Signed neurons: microseconds between the first delivery and the test it causes.
    hysteresis : float
        Signed neurons: thresholds that the charge must pass its bounds by while input streams.
    duration_us : float, optional
        Rate neurons: microseconds over which a bias is delivered, as a constant current. Default the
        mean time of the last event of the calibration recordings.
    scales : str
        ``"layer"``, or ``"channel"``: each channel's own ceiling or lambda, folded into the weights,
        except for QCFS layers of signed neurons, which keep theirs.
    spikes_at_lambda : float
        Rate neurons: spikes over the whole recording that stand for the activation lambda.
    metadata : mapping, optional
        JSON values kept in the network beside ``"conversion"``, which this function writes.

    Returns
    -------
    Network
        Populations ``input`` and one per weighted layer, named by the module's path.

    Raises
    ------
    UnsupportedLayer
        A part of the model has no faithful conversion; names the module and what to do.
    InvalidNetwork
        Weights or calibration data not finite or of the wrong shape, a layer that is never active,
        integer weights beyond 32 bits.
    InvalidRequest
        Settings that are out of range or contradict each other or the model.

    Notes
    -----
    With u the activation of one spike, weights are ``round(w u_in / u_out threshold)`` and biases
    ``round(b / u_out threshold)``. Signed: u = theta / levels, the bias is a charge at time 0; theta is
    the QCFS module's, or the ceiling of least squared error over a grid (``scales.best_ceiling``). Rate:
    u = lambda / spikes_at_lambda, soft reset, several spikes at a tick allowed, initial charge 0.

    References
    ----------
    B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), sections 2.2.2 (percentile) and 2.2.3
    (batch norm). Departures: the input is events and not scaled to [0, 1], so lambda of the input is
    ``input_scale``; there are no time steps, so a rate has no maximum and lambda stands for a number of
    spikes instead of one per step. T. Bu et al., ICLR 2022, arXiv:2303.04347 (QCFS, half a threshold
    of initial charge).
    """
    settings = Settings(
        neuron, levels, input_scale, percentile, threshold, graded, settle_time_us, hysteresis,
        duration_us, scales, spikes_at_lambda,
    )  # fmt: skip
    threshold, levels = int(threshold), None if levels is None else int(levels)
    settings = replace(settings, threshold=threshold, levels=levels)
    chain = module_chain(model)
    samples = read_samples(calibration, chain, input_scale, input_shape)
    stages = build_stages(chain, samples.shape)
    require_decision(stages[-1].path, stages[-1].target)
    period, periods = _current(settings, samples, stages)
    populations = [Population(INPUT, stages[0].source, Input(unit=float(input_scale)))]
    projections = []
    unit = np.full(stages[0].source[2], float(input_scale))
    for stage, output in stage_outputs(chain, stages, samples.values):
        source, unit_in = populations[-1].name, unit
        unit = _unit(stage, output, settings)
        synapses = integer_synapses(stage, unit_in, unit, threshold)
        bias = stage.bias / unit * threshold / periods
        quanta = to_quanta(bias, f"a bias of layer {stage.name!r}") if stage.bias.any() else None
        populations.append(Population(stage.name, stage.target, _neuron(stage, unit, settings, period)))
        projections.append(Projection(f"{source}-{stage.name}", source, stage.name, synapses, quanta))
    populations[-1] = with_decision_weights(populations[-1])
    conversion = _record(settings, samples, stages, populations)
    return Network(populations, projections, {**(metadata or {}), "conversion": conversion})


def _unit(stage: Stage, output: Float64, settings: Settings) -> Float64:
    """The activation of one spike (of ``threshold`` quanta for a readout), shape (target channels,)."""
    channels = stage.target[2]
    if stage.activation is None:
        largest = float(np.abs(output).max(initial=0.0))
        return np.full(channels, (largest or 1.0) / READOUT_THRESHOLDS)
    signed = settings.neuron == "signed"
    if signed and isinstance(stage.activation, QCFS):
        ceiling = float(stage.activation.ceiling().detach())
        if not np.isfinite(ceiling):
            raise InvalidNetwork(
                f"layer {stage.path!r} is followed by a QCFS whose theta is {ceiling}; train again"
            )
        return np.full(channels, ceiling / _levels(stage, settings))
    steps = _levels(stage, settings) if signed else settings.spikes_at_lambda

    def scale(activations: Float64) -> float:
        if signed:
            return best_ceiling(activations, _levels(stage, settings))
        return robust_maximum(activations, settings.percentile)

    of_layer = scale(output)
    if of_layer <= 0:
        raise InvalidNetwork(
            f"layer {stage.path!r} is never active on the calibration data, so it has no scale; give data "
            "the model was trained for, with the right input_scale"
        )
    if not settings.per_channel:
        return np.full(channels, of_layer / steps)
    of_channel = np.array([scale(output[..., channel]) for channel in range(channels)])
    return floored(np.where(of_channel > 0, of_channel, of_layer), of_layer) / steps


def _levels(stage: Stage, settings: Settings) -> int:
    if not isinstance(stage.activation, QCFS):
        return settings.levels or DEFAULT_LEVELS
    own = stage.activation.levels
    if settings.levels not in (None, own):
        raise InvalidRequest(
            f"levels is {settings.levels}, but layer {stage.path!r} was trained with a QCFS of {own} levels; "
            "leave levels out, or train with the levels you want"
        )
    return own


def _neuron(stage: Stage, unit: Float64, settings: Settings, period: int) -> Signed | Rate | Readout:
    if stage.activation is None:
        return Readout(unit=float(unit[0]) / settings.threshold, period=period if stage.bias.any() else 0)
    units = tuple(float(u) for u in (unit if np.ptp(unit) > 0 else unit[:1]))
    if settings.neuron == "rate":
        return Rate(settings.threshold, period=period or LONGEST_PERIOD, unit=units)
    margin = round(settings.hysteresis * settings.threshold)
    return Signed(
        settings.threshold,
        _levels(stage, settings),
        graded=settings.graded,
        settle_time=round(settings.settle_time_us * TICKS_PER_MICROSECOND),
        hysteresis_low=margin,
        hysteresis_high=margin,
        unit=units,
    )


def _current(settings: Settings, samples: Samples, stages: list[Stage]) -> tuple[int, float]:
    """The period of bias currents in ticks and the periods in a recording; 0 and 1 for charges at time 0."""
    if settings.neuron == "signed" or not any(stage.bias.any() for stage in stages):
        return 0, 1.0
    duration_us = settings.duration_us or samples.duration_us
    if not duration_us:
        raise InvalidRequest(
            "rate neurons take a bias as a constant current over the recording, whose duration is not known "
            "from this calibration data; give duration_us, the usual time of the last event in microseconds"
        )
    duration = max(1, round(duration_us * TICKS_PER_MICROSECOND))
    period = min(duration, LONGEST_PERIOD)
    # A current is off by up to half a quantum each period.
    if duration / period / 2 > settings.threshold / 16:
        raise InvalidRequest(
            f"over {duration_us:.6g} us the rounding of bias currents could add up to more than 1/16 of a "
            f"threshold of {settings.threshold} quanta; use a larger threshold (up to 65536)"
        )
    return period, duration / period


def _record(
    settings: Settings, samples: Samples, stages: list[Stage], populations: list[Population]
) -> dict[str, Any]:
    """What the network's file tells about its origin."""
    layers = []
    for stage, population in zip(stages, populations[1:], strict=True):
        neuron = population.neuron
        layer: dict[str, Any] = {"name": stage.name, "module": stage.path}
        layer["activation"] = None if stage.activation is None else type(stage.activation).__name__
        if isinstance(neuron, Signed):
            layer |= {"levels": neuron.levels, "theta": [u * neuron.levels for u in neuron.unit]}
        elif isinstance(neuron, Rate):
            layer["lambda"] = [u * settings.spikes_at_lambda for u in neuron.unit]
        layers.append(layer)
    record = {
        "neuron": settings.neuron,
        "input_scale": float(settings.input_scale),
        "scales": settings.scales,
        "calibration_samples": len(samples.values),
        "torch": str(torch.__version__),
        "layers": layers,
    }
    if settings.neuron == "rate":
        duration_us = settings.duration_us or samples.duration_us
        record["percentile"] = float(settings.percentile)
        record["spikes_at_lambda"] = float(settings.spikes_at_lambda)
        record["duration_us"] = duration_us
    return record
