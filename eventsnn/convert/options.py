"""The options of a conversion: what ``convert`` takes by name, and the command line by flag.

``Settings`` are these, checked. ``docs/extending.md`` says how to add one.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventsnn.options import option

Levels = int | tuple[int, ...] | dict[str, int]
"""Of all layers, one each from input to output, or some by name."""


@dataclass(frozen=True)
class Options:
    """What a user may set about a conversion, in the order of the command line; ``convert`` tells more."""

    neuron: str = option("signed", "signed or rate.", allowed=("signed", "rate"))
    input: str | None = option(
        None,
        "events, analog, charge, poisson or bernoulli; images are charge (signed), analog (rate).",
        allowed=("events", "analog", "charge", "poisson", "bernoulli"),
    )
    duration_us: float | None = option(
        None, "How long a sample lasts; of recordings the mean last event.", unit="us"
    )
    max_rate_hz: float | None = option(None, "Of drawn spikes, for a pixel of 1; default 1000.", unit="Hz")
    input_range: tuple[float, float] | None = option(None, "What the model reads for 0 and 1, as 0,255.")
    input_mean: tuple[float, ...] | None = option(
        None, "Mean the model's images are normalised by, one or per channel."
    )
    input_std: tuple[float, ...] | None = option(None, "Deviation, one value or one per channel.")
    levels: Levels | None = option(
        None,
        "Levels of signed neurons: 15, one a layer as 7,15,31, or conv1=31,conv2=15 (QCFS brings its own).",
    )
    levels_budget: str | float | None = option(
        None,
        "Choose levels of 1 to 31 by layer, of least loss within so many synaptic operations a sample, or a "
        "share of what --levels for all would need, as 50%.",
    )
    input_scale: float | None = option(None, "What one event adds to the model's input.")
    settle_time_us: float = option(0.0, "Time between signed neurons' tests, microseconds.", unit="us")
    hysteresis: float = option(0.0, "Hysteresis of signed neurons, in levels.")
    graded: bool = option(False, "Signed neurons emit one payload instead of unit spikes.")
    scales: str = option(
        "layer", "Scale of ReLU layers: one a layer, or one a channel.", allowed=("layer", "channel")
    )
    percentile: float = option(99.9, "Rate neurons: of the non-zero activations.")
    scale_rule: str = option(
        "percentile",
        "Rate neurons: lambda is a percentile, or balanced: it rises by what it cuts off.",
        allowed=("percentile", "balanced"),
    )
    average_pools: str = option(
        "folded",
        "Average pools: folded into the weights behind them, or a population each.",
        allowed=("folded", "population"),
    )
    count_zeros: bool = option(False, "Rate neurons: the percentile is of all activations, zeros too.")
    max_pool: str = option(
        "average",
        "Gates of rate neurons compare average rates, finite_impulse (early spikes weigh more), or "
        "exponential (late ones do).",
        allowed=("average", "finite_impulse", "exponential"),
    )
    max_pool_tau_us: float | None = option(
        None, "Exponential gates: the time constant that they forget spikes with.", unit="us"
    )
    equalise: bool = option(
        False, "Give channels weights of one size before and behind each ReLU (cross-layer equalisation)."
    )
    weight_bits: int | None = option(
        None, "Weights of 2 to 8 bits: whole multiples of one step a layer, or a channel (--scales)."
    )
    bias_correction: bool = option(
        False, "Take the mean error of each channel out of its bias, layer by layer."
    )
    verify: int = option(
        0, "Signed neurons: samples to simulate, every final count compared with the quantised network's."
    )
    threshold: int = option(2**14, "Quanta per level or spike.")
    spikes_at_lambda: float | None = option(
        None, "Rate neurons: spikes that stand for the activation lambda; 15, of QCFS layers their levels."
    )
    reset: str = option(
        "soft",
        "Rate neurons: a spike takes off the threshold (soft), or all charge (hard).",
        allowed=("soft", "hard"),
    )
    initial_charge: str | None = option(
        None,
        "Rate neurons: zero, or half a threshold; by default zero, of QCFS layers what they round by.",
        allowed=("zero", "half"),
    )
    period_us: float | None = option(
        None,
        "Rate neurons: the period of biases, the step of runs in steps; 2000, or the duration.",
        unit="us",
    )
    softmax: str = option(
        "charge",
        "Rate neurons: class scores are a charge, or spikes drawn by their softmax: one at a time by a "
        "Poisson clock, or independent ones in each period_us.",
        allowed=("charge", "clock", "independent"),
    )
    bias: str = option(
        "current",
        "Rate neurons: a bias is a constant current, or spikes of a constant rate.",
        allowed=("current", "spikes"),
    )
    voltage_clamp_us: tuple[float, ...] | None = option(
        None,
        "Rate neurons: hold a layer until its input has settled: this time for each layer before it, or one "
        "time a layer.",
        unit="us",
    )
    charge_calibration: bool = option(
        False, "Rate neurons: put the mean error of each channel into its initial charge, layer by layer."
    )
    test_every: Levels | None = option(
        None,
        "Rate neurons: steps between two tests: of all layers, one a layer as 1,2,4, or conv1=1,conv2=2 "
        "(--schedule step).",
    )
    spike_code: str = option(
        "rate",
        "Rate neurons: rate, or first_spike: a neuron fires once, the earlier the larger its value "
        "(--schedule step).",
        allowed=("rate", "first_spike"),
    )
    one_spike: bool = option(
        False, "Rate neurons: at most one spike a step, so that activations saturate (--schedule step)."
    )
