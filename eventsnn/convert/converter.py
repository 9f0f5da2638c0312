"""``convert``: a trained model and calibration data in, a spiking network out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eventsnn.convert.budget import planned
from eventsnn.convert.calibration import calibrate
from eventsnn.convert.coding import check_range, coding_of, duration_of, unit_of
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations_count import operations_of
from eventsnn.convert.lowering.correction import Followed, followed_samples
from eventsnn.convert.lowering.families import Family
from eventsnn.convert.lowering.names import population_names
from eventsnn.convert.lowering.network import Lower
from eventsnn.convert.lowering.rate import RateFamily
from eventsnn.convert.lowering.signed import TICKS_PER_MICROSECOND, SignedFamily
from eventsnn.convert.lowering.weight_bits import refuse_one_bit
from eventsnn.convert.normalisation import normalisation
from eventsnn.convert.records import conversion_record, equalisation_record, layer_records
from eventsnn.convert.samples import Samples, read_samples
from eventsnn.convert.settings import LONGEST_PERIOD_US, OPTIONS, Settings
from eventsnn.convert.trained import TrainedLayers, trained_model
from eventsnn.convert.trained_on import training_data
from eventsnn.convert.verification import verify as verify_samples
from eventsnn.convert.verification import with_verification
from eventsnn.errors import InvalidRequest, UnsupportedLayer
from eventsnn.network import InputContract, Network
from eventsnn.network.training import NAME
from eventsnn.provenance import started

ANALOG_SCALE = 2**20
"""Parts of an analog value: a current of x P / T per period P is a small share of x."""

FAMILIES: dict[str, type[Family]] = {"signed": SignedFamily, "rate": RateFamily}


def convert(
    model: Any,
    calibration: Any,
    neuron: str = "signed",
    levels: int | Sequence[int] | Mapping[str, int] | None = None,
    *,
    levels_budget: str | float | None = None,
    input_scale: float | None = None,
    input_shape: tuple[int, ...] | None = None,
    percentile: float = 99.9,
    threshold: int = 2**14,
    graded: bool = False,
    settle_time_us: float = 0,
    hysteresis: float = 0.0,
    duration_us: float | None = None,
    scales: str = "layer",
    spikes_at_lambda: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    input: str | None = None,
    max_rate_hz: float | None = None,
    input_range: Sequence[float] | None = None,
    input_mean: float | Sequence[float] | None = None,
    input_std: float | Sequence[float] | None = None,
    scale_rule: str = "percentile",
    average_pools: str = "folded",
    count_zeros: bool = False,
    max_pool: str = "average",
    max_pool_tau_us: float | None = None,
    equalise: bool = False,
    weight_bits: int | None = None,
    bias_correction: bool = False,
    reset: str = "soft",
    initial_charge: str | None = None,
    period_us: float | None = None,
    softmax: str = "charge",
    bias: str = "current",
    voltage_clamp_us: float | Sequence[float] | None = None,
    charge_calibration: bool = False,
    test_every: int | Sequence[int] | Mapping[str, int] | None = None,
    spike_code: str = "rate",
    one_spike: bool = False,
    verify: int = 0,
    trained_on: Any = None,
) -> Network:
    """Convert a trained model into a network of spiking neurons fed by events or images.

    The network carries what its input means (``Network.contract``), and a run takes it from there.

    Parameters
    ----------
    model : torch.nn.Module or Original
        A feed-forward network with class scores at its end, as a PyTorch module (used in evaluation mode,
        as a copy) or as an importer read it from an ONNX or Keras file. Linear operations of every
        kind, ReLU, quantisers (QCFS, ST-BIF), steps, average and max pools, additions, concatenations.
        If it ends in a linear operation the output is a readout, whose largest charge is the
        decision; if it ends in an activation the output population fires and the largest count is.
    calibration : array or tensor, ImageSet, RecordingSet, or list of recordings
        Sets the scales: representative, never the test set. Arrays are model inputs of shape (samples,
        channels, height, width), or (samples, features) for a model that starts with Linear; an ImageSet
        is (samples, height, width, channels). Images are read by one rule, here and in runs: uint8 means
        / 255, bool is 0 or 1, floats stay as they are and reach 16 at most. Recordings become event
        counts times ``input_scale``.
    neuron : str
        ``"signed"``: quantised ReLUs, exact once the input has drained. ``"rate"``: spike rates.
    levels : int, sequence of int, or mapping of str to int, optional
        Signed neurons in place of a ReLU: steps between 0 and its ceiling, default 15. One number for
        all, one for each such layer from input to output, or some by name. Quantisers bring their own,
        which a number must equal if given.
    levels_budget : float or str, optional
        Signed neurons in place of a ReLU: levels for each layer, 1 to 31, those of least expected loss
        whose final counts need so many synaptic operations a sample at most, in the mean over
        calibration samples; or a share of what ``levels`` for all would need, as ``"50%"``. What was chosen,
        and what it is expected to cost, stands in ``metadata["conversion"]["levels_budget"]``.
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
        except for quantisers of signed neurons, which keep theirs.
    spikes_at_lambda : float, optional
        Rate neurons: spikes over the whole recording that stand for the activation lambda. Default 15;
        for quantisers, whose lambda is their own ceiling, their levels.
    scale_rule : str
        Rate neurons: lambda is the ``"percentile"``, or ``"balanced"``: local threshold balancing.
    average_pools : str
        ``"folded"``: the weights behind an average pool take it in, and every spike of the layer before
        reaches the targets of its cell. ``"population"``: the averages spike themselves.
    count_zeros : bool
        Rate neurons: lambda is the percentile of all activations, zeros too.
    max_pool : str
        Rate neurons: what the gates of a max-pool compare, ``"average"`` rates, ``"finite_impulse"`` or
        ``"exponential"`` (``MaxGate``). Signed ones are exact.
    max_pool_tau_us : float, optional
        Exponential gates need it: the time constant of their memory, in microseconds.
    equalise : bool
        Cross-layer equalisation before anything else: each channel's weights before a ReLU are divided by a
        factor, and those behind it multiplied, so that both are of one size; for one scale a layer.
        ``metadata["conversion"]["equalised"]`` says where it was left out: additions, quantisers, steps.
    weight_bits : int, optional
        2 to 8: every synapse's weight is a whole multiple of a step, up to 2^(bits - 1) - 1 of them on each
        side of 0. One step a channel of the target or a layer, as ``scales``, of least squared error.
        Biases keep theirs; pools and shortcuts have one weight a channel anyway.
    bias_correction : bool
        Each channel's mean error on the calibration data, with the layers before already in spikes, is taken
        off its bias. Rate neurons are played in up to 64 steps for that, under an input of constant rate.
    reset : str
        Rate neurons: ``"soft"`` takes the threshold off at a spike, ``"hard"`` all charge, so that what was
        above the threshold is lost.
    initial_charge : str, optional
        Rate neurons: ``"zero"`` or ``"half"`` a threshold, whose counts round down or to the nearest.
        Default: zero, and of quantisers what they add before rounding down.
    period_us : float, optional
        Rate neurons: microseconds in which a bias delivers its whole number of quanta, and so the step of
        runs in the step schedule. Default 2000, or the duration if that is shorter.
    softmax : str
        Rate neurons: how class scores decide. ``"charge"``: the largest charge. ``"clock"``: a Poisson clock,
        of one spike a ``period_us`` in the mean, says when one of them spikes, and the softmax of the charges
        which. ``"independent"``: each spikes with that probability, once a period. A period adds the scores
        once to the charges; the largest count decides.
    bias : str
        Rate neurons: ``"current"``, or ``"spikes"``: neurons beside a layer fire its bias at a constant rate,
        eight spikes for a threshold, into synapses of its sign.
    voltage_clamp_us : float or sequence of float, optional
        Rate neurons: microseconds until which a layer's charge is held and what arrives is dropped, so that
        its input has settled. One number is the time for each layer before it; several are one a layer (rate
        neurons and class scores), from the first on.
    charge_calibration : bool
        Rate neurons: as ``bias_correction``, but each channel's mean error is made up by the charge that its
        neurons start with; that stays below the threshold.
    test_every : int, sequence of int, or mapping of str to int, optional
        Rate neurons, step schedule: a layer is tested once in so many steps and holds what arrives between,
        and one of its spikes stands for as many times more. One number, one a layer, or some by name.
    spike_code : str
        Rate neurons: ``"rate"``, or ``"first_spike"``: every neuron, one for each value of the input too,
        fires once a sample, and its value is lambda by the number of the step; the class that fires first is
        the decision. For images, with ``period_us`` as the step (``FirstSpike``).
    one_spike : bool
        Rate neurons: at most one spike a test. In the step schedule, with as many steps as
        ``spikes_at_lambda``, activations then saturate at lambda, as those of quantisers do.
    verify : int
        Signed neurons: so many calibration samples are simulated, and every neuron's final count compared
        with ``quantised_activations``. None may deviate; ``metadata["conversion"]["verified"]`` then says
        ``{"samples": N, "neurons": M, "deviating": 0}``.
    metadata : mapping, optional
        JSON values kept in the network beside ``"conversion"`` and ``"provenance"``, which this function
        writes.
    trained_on : str, ImageSet, RecordingSet, or a list of these, optional
        The data that trained the model, as ``"images:MNIST.npz:train"``. The network names them, with a hash
        of each sample, and runs with a certificate and ``calibrate`` refuse these.
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
        Populations ``input`` and one per activation, max-pool and unrectified value that is pooled or
        read out, named by the path of the weighted module before it.

    Raises
    ------
    UnsupportedLayer
        A part of the model has no faithful conversion; names the module and what to do.
    InvalidNetwork
        Weights or calibration data not finite or of the wrong shape, a layer that is never active,
        integer weights beyond 32 bits; a neuron that deviates where ``verify`` asked.
    InvalidRequest
        Settings that are out of range or contradict each other or the model.

    Notes
    -----
    With u the activation of one spike, weights are ``round(w u_in / u_out threshold)`` and biases
    ``round(b / u_out threshold)``. Signed: u = theta / levels, the bias is a charge at time 0; theta is
    the quantiser's, or the ceiling of least squared error over a grid (``scales.best_ceiling``). Rate:
    u = lambda / spikes_at_lambda; several spikes at a tick, unless asked otherwise.

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
    asked = {name: _json(given[name]) for name in OPTIONS}
    differing = {name: value for name, value in asked.items() if value != _json(OPTIONS[name].default)}
    taken = started("convert", {"options": differing})
    trained = trained_model(model)
    data = [*training_data(trained_on), *trained.trained_on]
    samples = read_samples(calibration, trained.reading, input_shape, input, settings.normalised)
    layers = trained.layers_of(samples.shape, settings.average_pools, settings.equalise)
    network = lowered_network(layers, samples, settings, metadata)
    operations = operations_of(trained.original(samples.shape).graph)
    macs = {"exact": sum(each.exact for each in operations), "blind": sum(each.blind for each in operations)}
    told = {
        **network.metadata,
        "conversion": {**network.metadata["conversion"], "original_macs": macs},
        "provenance": [taken()],
        **({NAME: data} if data else {}),
    }
    return Network(network.populations.values(), network.projections.values(), told)


def _json(value: Any) -> Any:
    """An option as a JSON value."""
    if isinstance(value, Mapping):
        return {str(name): _json(each) for name, each in value.items()}
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, str | bool | int | float | None):
        return value
    return [_json(each) for each in value] if isinstance(value, Sequence) else str(value)


def lowered_network(
    original: TrainedLayers, samples: Samples, settings: Settings, metadata: Mapping[str, Any] | None = None
) -> Network:
    """The network of a model whose layers are known; the rest of ``convert``."""
    layers = original.layers
    require_decision(layers[-1])
    equal = equalisation_record(original.equalised, layers)
    coding = coding_of(samples, settings)
    duration = duration_of(samples, settings, coding)
    unit = unit_of(settings, coding, duration)
    corrected = settings.bias_correction or settings.charge_calibration
    biased = corrected or any(layer.bias.any() for layer in layers)
    _current(settings, duration, biased)
    norm = normalisation(settings.input_range, settings.input_mean, settings.input_std, layers[0].shape[0])
    samples = replace(samples, unit=unit, normalisation=norm)
    plan = None
    if settings.levels_budget is not None:
        plan = planned(original, samples, settings, coding)
        settings = replace(settings, levels=plan.levels, levels_budget=None)
    family = FAMILIES[settings.neuron](settings, layers, duration)
    family.check()
    if settings.weight_bits is not None:
        refuse_one_bit(layers, settings.weight_bits)
    places = followed_samples(layers, samples.count, family.steps) if corrected else None
    found = calibrate(layers, original.evaluate, samples, family, places)
    check_range(coding, found.lowest, found.highest, unit)
    shifted = norm is not None and bool(norm.shift.any())
    period, periods = _current(settings, duration, shifted or biased)
    lower = Lower(
        layers,
        family,
        found,
        unit,
        norm,
        ANALOG_SCALE if coding == "analog" else None,
        periods,
        period,
        None if places is None else Followed(layers, samples, places, unit, family.steps),
    )
    populations, projections, made = lower()
    contract = InputContract(
        coding, duration, found.lowest, found.highest,
        settings.input_range, settings.input_mean, settings.input_std,
    )  # fmt: skip
    record = conversion_record(settings, unit, duration, samples.count, original.version)
    if plan is not None:
        names = population_names(layers)
        chosen = [names[layer.name] for layer in layers[1:] if family.searched(layer)]
        record["levels_budget"] = plan.document(chosen)
    if equal is not None:
        record["equalised"] = equal
    record["layers"] = layer_records(settings, layers, made, populations, duration)
    named = {**(metadata or {}), "conversion": record}
    network = Network(populations, projections, named, contract=contract)
    if not settings.verify:
        return network
    return with_verification(network, verify_samples(network, samples, int(settings.verify)))


def require_decision(layer: Layer) -> None:
    """Refuse a last layer with a single output: there would be nothing to decide between.

    Raises
    ------
    UnsupportedLayer
    """
    if int(np.prod(layer.shape)) < 2:
        raise UnsupportedLayer(
            f"layer {layer.path!r}, the last one, has one output; a decision needs two. Give the model an "
            "output for each class: two rows of weights, 0 and w, with the biases 0 and b, "
            "decide as the sign of w x + b does"
        )


def _current(settings: Settings, duration_us: float | None, biased: bool) -> tuple[int, float]:
    """The period of bias currents in ticks and the periods in a sample; 0 and 1 for charges at time 0."""
    if settings.neuron == "signed" or not biased:
        return 0, 1.0
    if not duration_us:
        raise InvalidRequest(
            "rate neurons take a bias as a constant current over the recording, whose duration is not known "
            "from this calibration data; give duration_us, the usual time of the last event in microseconds"
        )
    duration = max(1, round(duration_us * TICKS_PER_MICROSECOND))
    asked = LONGEST_PERIOD_US if settings.period_us is None else settings.period_us
    period = min(duration, max(1, round(asked * TICKS_PER_MICROSECOND)))
    # A current is off by up to half a quantum each period.
    if duration / period / 2 > settings.threshold / 16:
        raise InvalidRequest(
            f"over {duration_us:.6g} us the rounding of bias currents could add up to more than 1/16 of a "
            f"threshold of {settings.threshold} quanta; use a larger threshold (up to 65536), or a longer "
            "period_us (up to 2000)"
        )
    return period, duration / period
