"""``convert``: a trained PyTorch model and calibration data in, a spiking network out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from eventsnn.convert.calibration import Calibration, calibrate, levels_of
from eventsnn.convert.chain import module_chain, require_decision
from eventsnn.convert.coding import check_range, coding_of, duration_of, unit_of
from eventsnn.convert.normalisation import normalisation
from eventsnn.convert.qcfs import QCFS
from eventsnn.convert.quantise import integer_synapses, to_quanta
from eventsnn.convert.samples import read_samples
from eventsnn.convert.scales import Float64
from eventsnn.convert.settings import OPTIONS, Settings
from eventsnn.convert.stages import INPUT, Stage, build_stages
from eventsnn.errors import InvalidNetwork, InvalidRequest
from eventsnn.network import (
    Input,
    InputContract,
    IntegrateAndFire,
    Network,
    Population,
    Projection,
    Readout,
    Signed,
)
from eventsnn.network.decision import with_decision_weights

TICKS_PER_MICROSECOND = 10**6
LONGEST_PERIOD = 2 * 10**9
"""Ticks (2 ms): the longer a current's period, the finer its integer quanta; 2^31 is the limit."""

ANALOG_SCALE = 2**20
"""Parts of an analog value: a current of x P / T per period P is a small share of x."""

READOUT_THRESHOLDS = 16
"""The largest calibration logit stands for this many thresholds of charge: 2^18 quanta by default."""


def convert(
    model: nn.Module,
    calibration: Any,
    neuron: str = "signed",
    levels: int | None = None,
    *,
    input_scale: float | None = None,
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
    input: str | None = None,
    max_rate_hz: float | None = None,
    input_range: Sequence[float] | None = None,
    input_mean: float | Sequence[float] | None = None,
    input_std: float | Sequence[float] | None = None,
) -> Network:
    """Convert a trained model into a network of spiking neurons fed by events or images.

    The network carries what its input means (``Network.contract``), and a run takes it from there.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of Conv2d and Linear layers, each followed by batch norm (or not) and ReLU or QCFS, with
        average pools that do not overlap, Flatten, Dropout and Identity between. Used in evaluation
        mode, as a copy. If it ends in Conv2d or Linear the output is a readout, whose largest charge is
        the decision; if it ends in an activation the output population fires and the largest count is.
    calibration : array or tensor, ImageSet, RecordingSet, or list of recordings
        Sets the scales: representative, never the test set. Arrays are model inputs of shape (samples,
        channels, height, width), or (samples, features) for a model that starts with Linear; an ImageSet
        is (samples, height, width, channels). Images are read by one rule, here and in runs: uint8 means
        / 255, bool is 0 or 1, floats stay as they are and reach 16 at most. Recordings become event
        counts times ``input_scale``.
    neuron : str
        ``"signed"``: quantised ReLUs, exact once the input has drained. ``"rate"``: spike rates.
    levels : int, optional
        Signed neurons in place of a ReLU: steps between 0 and its ceiling, default 15. QCFS layers bring
        their own, which ``levels`` must equal if given.
    input_scale : float, optional
        The activation of one input spike: what one event adds to its pixel and channel of the model's
        input. Default 1; for charges 1/255; for Poisson and Bernoulli spikes
        1 / (max_rate_hz x duration).
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
        Microseconds that a sample lasts. Rate neurons deliver a bias over it, as a constant current.
        Default: of recordings the mean time of the last event after the origin (the file's time 0 for
        N-MNIST, else the first event); of images 100,000 (100 ms), where rate neurons or drawn spikes
        need a time.
    scales : str
        ``"layer"``, or ``"channel"``: each channel's own ceiling or lambda, folded into the weights,
        except for QCFS layers of signed neurons, which keep theirs.
    spikes_at_lambda : float
        Rate neurons: spikes over the whole recording that stand for the activation lambda.
    metadata : mapping, optional
        JSON values kept in the network beside ``"conversion"``, which this function writes.
    input : str, optional
        ``"events"``, ``"analog"``, ``"charge"``, ``"poisson"`` or ``"bernoulli"``: what a run will give.
        Default: recordings are events; an ImageSet, uint8 or bool arrays, arrays with negative values,
        and all arrays if the input is normalised are images, given as charges to signed neurons and as
        analog values to rate neurons; of other arrays it stays open, and events and images of one scale
        are both taken. ``"events"`` says that an array holds event counts times ``input_scale``, of any
        size.
    max_rate_hz : float, optional
        Poisson and Bernoulli input: spikes per second at an activation of 1. Default 1000.
    input_range, input_mean, input_std : optional
        How the model's images are normalised: for an image value v (0 to 1) it reads ``((low + (high -
        low) v) - mean) / std``. ``input_range`` is (low, high), default (0, 1); a model of raw bytes has
        (0, 255). ``input_mean`` and ``input_std`` are one value or one per channel. Folded into the first
        layer, per neuron where padding cuts its window: calibration and runs give images *before*
        normalisation. Images that were normalised already, with negative values, need none of these.

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

    Calibration goes batch by batch: memory does not grow with the samples, but for rate neurons by the
    activations above the percentile (a thousandth of them at 99.9).

    References
    ----------
    B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), sections 2.2.2 (percentile) and 2.2.3
    (batch norm). Departures: the input is events and not scaled to [0, 1], so lambda of the input is
    ``input_scale``; there are no time steps, so a rate has no maximum and lambda stands for a number of
    spikes instead of one per step. T. Bu et al., ICLR 2022, arXiv:2303.04347 (QCFS, half a threshold
    of initial charge).
    """
    given = locals().copy()  # the arguments, by name
    settings = Settings(**{name: given[name] for name in OPTIONS})
    chain = module_chain(model)
    samples = read_samples(calibration, chain, input_shape, input, settings.normalised)
    stages = build_stages(chain, samples.shape)
    require_decision(stages[-1].path, stages[-1].target)
    coding = coding_of(samples, settings)
    duration = duration_of(samples, settings, coding)
    unit_of_input = unit_of(settings, coding, duration)
    _current(settings, duration, stages)
    _require_own_scales(stages, settings)
    norm = normalisation(settings.input_range, settings.input_mean, settings.input_std, stages[0].source[2])
    samples = replace(samples, unit=unit_of_input, normalisation=norm)
    found = calibrate(chain, stages, samples, settings)
    check_range(coding, found.lowest, found.highest, unit_of_input)
    if norm is not None:
        stages = [norm.folded_into(stages[0]), *stages[1:]]
    period, periods = _current(settings, duration, stages)
    scale = {"analog_scale": ANALOG_SCALE} if coding == "analog" else {}
    populations = [Population(INPUT, stages[0].source, Input(unit=unit_of_input, **scale))]
    projections = []
    unit = np.full(stages[0].source[2], unit_of_input)
    for stage in stages:
        source, unit_in = populations[-1].name, unit
        unit = _unit(stage, found, settings)
        synapses = integer_synapses(stage, unit_in, unit, settings.threshold)
        bias = (stage.bias.reshape(-1, len(unit)) / unit * settings.threshold / periods).reshape(-1)
        quanta = to_quanta(bias, f"a bias of layer {stage.name!r}") if stage.bias.any() else None
        populations.append(Population(stage.name, stage.target, _neuron(stage, unit, settings, period)))
        projections.append(Projection(f"{source}-{stage.name}", source, stage.name, synapses, quanta))
    populations[-1] = with_decision_weights(populations[-1])
    contract = InputContract(
        coding, duration, found.lowest, found.highest,
        settings.input_range, settings.input_mean, settings.input_std,
    )  # fmt: skip
    conversion = _record(settings, samples.count, unit_of_input, duration, stages, populations)
    named = {**(metadata or {}), "conversion": conversion}
    return Network(populations, projections, named, contract=contract)


def _unit(stage: Stage, found: Calibration, settings: Settings) -> Float64:
    """The activation of one spike (of ``threshold`` quanta for a readout), shape (target channels,)."""
    channels = stage.target[2]
    if stage.activation is None:
        return np.full(channels, (found.largest[stage.name] or 1.0) / READOUT_THRESHOLDS)
    if stage.name in found.scale:
        steps = levels_of(stage, settings) if settings.neuron == "signed" else settings.spikes_at_lambda
        return found.scale[stage.name] / steps
    return np.full(channels, _own_ceiling(stage) / levels_of(stage, settings))


def _require_own_scales(stages: list[Stage], settings: Settings) -> None:
    """Refuse scales that the model brings and that cannot be, before the samples are looked at."""
    for stage in stages:
        if settings.neuron == "signed" and isinstance(stage.activation, QCFS):
            _own_ceiling(stage)
            levels_of(stage, settings)


def _own_ceiling(stage: Stage) -> float:
    """The theta of a QCFS layer."""
    assert isinstance(stage.activation, QCFS)
    ceiling = float(stage.activation.ceiling().detach())
    if not np.isfinite(ceiling):
        raise InvalidNetwork(
            f"layer {stage.path!r} is followed by a QCFS whose theta is {ceiling}; train again"
        )
    return ceiling


def _neuron(
    stage: Stage, unit: Float64, settings: Settings, period: int
) -> Signed | IntegrateAndFire | Readout:
    if stage.activation is None:
        return Readout(unit=float(unit[0]) / settings.threshold, period=period if stage.bias.any() else 0)
    units = tuple(float(u) for u in (unit if np.ptp(unit) > 0 else unit[:1]))
    if settings.neuron == "rate":
        return IntegrateAndFire(settings.threshold, period=period or LONGEST_PERIOD, unit=units)
    margin = round(settings.hysteresis * settings.threshold)
    return Signed(
        settings.threshold,
        levels_of(stage, settings),
        graded=settings.graded,
        settle_time=round(settings.settle_time_us * TICKS_PER_MICROSECOND),
        hysteresis_low=margin,
        hysteresis_high=margin,
        unit=units,
    )


def _current(settings: Settings, duration_us: float | None, stages: list[Stage]) -> tuple[int, float]:
    """The period of bias currents in ticks and the periods in a recording; 0 and 1 for charges at time 0."""
    if settings.neuron == "signed" or not any(stage.bias.any() for stage in stages):
        return 0, 1.0
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
    settings: Settings,
    samples: int,
    unit: float,
    duration_us: float | None,
    stages: list[Stage],
    populations: list[Population],
) -> dict[str, Any]:
    """What the network's file tells about its origin."""
    layers = []
    for stage, population in zip(stages, populations[1:], strict=True):
        neuron = population.neuron
        layer: dict[str, Any] = {"name": stage.name, "module": stage.path}
        layer["activation"] = None if stage.activation is None else type(stage.activation).__name__
        units = np.atleast_1d(neuron.unit).tolist()
        if neuron.emits == "signed spikes":
            layer |= {"levels": neuron.largest_count, "theta": [u * neuron.largest_count for u in units]}
        elif neuron.emits == "unit spikes":
            layer["lambda"] = [u * settings.spikes_at_lambda for u in units]
        layers.append(layer)
    record = {
        "neuron": settings.neuron,
        "input_scale": unit,
        "scales": settings.scales,
        "calibration_samples": samples,
        "torch": str(torch.__version__),
        "layers": layers,
    }
    if settings.neuron == "rate":
        record["percentile"] = float(settings.percentile)
        record["spikes_at_lambda"] = float(settings.spikes_at_lambda)
        record["duration_us"] = duration_us
    return record
