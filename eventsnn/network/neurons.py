"""Neuron models: what a population does with charge. Parameters only; the engines hold the rules.

All charges are int32 quanta and all times int64 ticks (1 ps). ``unit`` ties a population to the
trained model: the activation that one spike (or, for a readout, one quantum) stands for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import check_fields, number, shown, text, whole
from eventsnn.errors import InvalidNetwork
from eventsnn.network.decision import check_decision_weights

CHARGE_LIMIT = 2**31 - 1
THRESHOLD_LIMIT = 2**20
LONGEST_SETTLE = 10**15
LONGEST_INTERVAL = 2**38
LEAK_ONE = 2**30
LOGIT_BITS = 48


def _added(default: Any) -> Any:
    """A parameter that schema 1 gained later: at its default it stays out of files and checksums."""
    return field(default=default, metadata={"omitted_at_default": True})


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidNetwork(message)


def _check_parameters(neuron: Any) -> None:
    """Numbers, truth values and names as their annotations say; units are above 0."""
    check_fields(neuron, f"{neuron.kind} {{}}", InvalidNetwork)
    units = neuron.unit if isinstance(neuron.unit, tuple) else (neuron.unit,)
    _require(min(units) > 0, f"{neuron.kind} unit is {shown(neuron.unit)}; it must be above 0")


@dataclass(frozen=True)
class Input:
    """Neurons that emit what the recording says, and hold no charge.

    ``unit`` is the activation per spike. An analog value is a whole number of parts of
    ``analog_scale``: a value of ``analog_scale`` acts like one spike per bias period.
    """

    kind: ClassVar[str] = "input"
    unit: float = 1.0
    analog_scale: int = _added(256)

    def __post_init__(self) -> None:
        _check_parameters(self)
        _require(
            1 <= self.analog_scale <= 2**20,
            f"analog_scale is {self.analog_scale}; allowed are 1 to 2^20",
        )


@dataclass(frozen=True)
class Signed:
    """The L-level quantised ReLU of the input so far (design, law 9).

    A test asks for ``p = clip(S + floor(V / threshold), 0, levels) - S`` and emits it as ``|p|`` unit
    spikes of its sign, or as one graded payload; ``S`` is the running sum of what was emitted.

    Parameters
    ----------
    threshold : int
        Quanta per level, 1 to 2^20.
    levels : int
        The largest count, at least 1.
    graded : bool
        Emit one payload ``p`` instead of ``|p|`` unit spikes.
    settle_time : int
        Ticks between the first delivery since the last test and the next test; 0 tests once per tick.
    hysteresis_low, hysteresis_high : int
        While input streams, -1 may be asked for only below ``-hysteresis_low`` and +1 only at
        ``threshold + hysteresis_high`` or above. A settle pass at the end restores exact counts.
    unit : tuple of float
        Activation per count, one value for the population or one per channel.
    """

    kind: ClassVar[str] = "signed"
    threshold: int
    levels: int
    graded: bool = False
    settle_time: int = 0
    hysteresis_low: int = 0
    hysteresis_high: int = 0
    unit: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        _check_parameters(self)
        _require(
            1 <= self.threshold <= THRESHOLD_LIMIT,
            f"signed threshold is {self.threshold} quanta; allowed are 1 to {THRESHOLD_LIMIT}",
        )
        _require(
            1 <= self.levels <= 2**15 - 1,
            f"signed levels is {self.levels}; allowed are 1 to {2**15 - 1}",
        )
        _require(
            0 <= self.settle_time <= LONGEST_SETTLE,
            f"settle_time is {self.settle_time} ticks; allowed are 0 to 10^15 (1000 s)",
        )
        _require(
            min(self.hysteresis_low, self.hysteresis_high) >= 0
            and max(self.hysteresis_low, self.hysteresis_high) <= THRESHOLD_LIMIT,
            f"hysteresis is ({self.hysteresis_low}, {self.hysteresis_high}) quanta; "
            f"allowed are 0 to {THRESHOLD_LIMIT}",
        )

    @property
    def initial_charge(self) -> int:
        """Half a level: the rounding shift of the quantised ReLU."""
        return self.threshold // 2


@dataclass(frozen=True)
class Rate:
    """Integrate-and-fire neurons that approximate an activation by their spike rate.

    Parameters
    ----------
    threshold : int
        Quanta, 1 to 2^20. A neuron fires at ``V >= threshold`` (``V > threshold`` when ``strict``).
    reset : str
        ``"soft"`` subtracts the threshold, ``"hard"`` sets the charge to zero.
    multispike : bool
        Emit ``floor(V / threshold)`` spikes at one tick (soft reset only) instead of one.
    lower_clamp : int or None
        The charge is raised to this (at most 0) after each delivery, before the test.
    initial_charge : int
        Quanta at time 0, below the threshold.
    period : int
        Ticks in which a bias delivers its quanta once: a bias is a constant current (law 3).
    unit : tuple of float
        Activation per spike, one value for the population or one per channel.
    refractory : int
        A neuron that fired at tick t fires again at t + refractory at the earliest. Charge integrates
        meanwhile; at the end the neuron is tested again, as at a crossing. Above 0 a test emits one spike
        whatever ``multispike`` says. 0 is no such time.
    refractory_drop : bool
        Charge delivered while a neuron may not fire is lost instead (not with biases).
    leak_period, leak_factor : int
        At each multiple of ``leak_period`` ticks from the first on, before anything else of that tick,
        the charge (its current up to that tick included) becomes ``round_half_away(V leak_factor / 2^30)``:
        see ``leak_factor_of``. Period 0 is no leak. A leak makes no spike and keeps no run alive.
    """

    kind: ClassVar[str] = "rate"
    threshold: int
    reset: str = "soft"
    strict: bool = False
    multispike: bool = True
    lower_clamp: int | None = None
    initial_charge: int = 0
    period: int = 10**9
    unit: tuple[float, ...] = (1.0,)
    refractory: int = _added(0)
    refractory_drop: bool = _added(False)
    leak_period: int = _added(0)
    leak_factor: int = _added(LEAK_ONE)

    def __post_init__(self) -> None:
        _check_parameters(self)
        _require(
            1 <= self.threshold <= THRESHOLD_LIMIT,
            f"rate threshold is {self.threshold} quanta; allowed are 1 to {THRESHOLD_LIMIT}",
        )
        _require(self.reset in ("soft", "hard"), f"reset is {self.reset!r}; allowed are 'soft', 'hard'")
        _require(
            self.lower_clamp is None or -CHARGE_LIMIT <= self.lower_clamp <= 0,
            f"lower_clamp is {self.lower_clamp}; it must be at most 0",
        )
        _require(
            -CHARGE_LIMIT <= self.initial_charge < self.threshold,
            f"initial_charge {self.initial_charge} is not below the threshold {self.threshold}",
        )
        _require(
            1 <= self.period <= 2**31,
            f"period is {self.period} ticks; allowed are 1 to 2^31 (2.1 ms at 1 ps a tick)",
        )
        _require(
            0 <= self.refractory <= LONGEST_SETTLE,
            f"refractory is {self.refractory} ticks; allowed are 0 to 10^15 (1000 s)",
        )
        _require(
            self.refractory > 0 or not self.refractory_drop,
            "refractory_drop needs a refractory time above 0",
        )
        _require(
            0 <= self.leak_period <= LONGEST_SETTLE,
            f"leak_period is {self.leak_period} ticks; allowed are 0 (no leak) to 10^15 (1000 s)",
        )
        _require(
            0 <= self.leak_factor <= LEAK_ONE,
            f"leak_factor is {self.leak_factor}; allowed are 0 to 2^30, the part of the charge that stays",
        )
        _require(
            self.leak_period > 0 or self.leak_factor == LEAK_ONE,
            f"leak_factor {self.leak_factor} needs a leak_period above 0",
        )


def leak_factor_of(tau: float, period: float) -> int:
    """The ``leak_factor`` of a leak with time constant ``tau`` at each ``period``, both in one unit.

    ``round(2^30 exp(-period / tau))``; with the step schedule ``period`` is the step.
    """
    tau, period = (
        number(value, f"{what} of a leak", InvalidNetwork)
        for what, value in (("time constant", tau), ("period", period))
    )
    _require(
        math.isfinite(tau) and tau > 0 and math.isfinite(period) and period > 0,
        f"a leak of time constant {tau} each {period} is not possible; both must be above 0",
    )
    return round(LEAK_ONE * math.exp(-period / tau))


@dataclass(frozen=True)
class Readout:
    """Neurons that only integrate; the largest charge is the decision.

    ``unit`` is the activation (logit) per quantum. ``period`` is that of ``Rate`` when the population
    takes its bias as a current, or 0 when the bias is a charge at time 0.
    """

    kind: ClassVar[str] = "readout"
    unit: float = 1.0
    period: int = 0

    def __post_init__(self) -> None:
        _check_parameters(self)
        _require(
            0 <= self.period <= 2**31,
            f"period is {self.period} ticks; allowed are 0 (bias at time 0) to 2^31",
        )


@dataclass(frozen=True)
class MaxGate:
    """Gates of a max pool: each passes on the largest of its window (one ``max_pool`` projection).

    With the filter ``exact`` a gate keeps the signed sum received from each source neuron; a test (once
    per tick, or per ``settle_time`` as ``Signed``) asks for ``p = max(0, largest sum) - S`` and emits it as
    ``|p|`` unit spikes or one graded payload. At rest its count is the maximum of its sources' counts.

    The other filters forward spikes of rate neurons: a delivered spike first raises its source's estimate,
    then passes (at that tick, with its payload) each gate of which it has the largest estimate, ties to
    the lowest source index. Rueckauer et al. 2017, 2.2.6, and the Theano backend of snn_toolbox 0.6.0 with

    - ``average``: the running mean, compared as the count (all share the elapsed time);
    - ``finite_impulse``: ``floor(2^30 period / max(t, period))`` a spike at tick t (there x dt / t);
    - ``exponential``: ``2^20`` a spike, times ``factor / 2^30`` (half away from zero) at each multiple of
      ``period`` before anything else of that tick. (Theirs, ``1.005 s + 0.995 x``, grows.)

    There the largest is taken before the estimates are updated, here after; with one step's spikes at once
    all update first and the winner passes if it spiked.

    Parameters
    ----------
    filter : str
        ``exact``, ``average``, ``finite_impulse`` or ``exponential``.
    graded : bool
        Exact gates emit one payload ``p`` instead of ``|p|`` unit spikes.
    settle_time : int
        Ticks between the first delivery since the last test and the next test (exact gates).
    period : int
        Ticks: the time unit of ``finite_impulse``, the grid of ``exponential``.
    factor : int
        Of ``exponential``, in parts of 2^30: see ``leak_factor_of``.
    unit : tuple of float
        Activation per spike, that of the sources.
    """

    kind: ClassVar[str] = "max_gate"
    filter: str = "exact"
    graded: bool = False
    settle_time: int = 0
    period: int = 10**9
    factor: int = LEAK_ONE
    unit: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        _check_parameters(self)
        allowed = ("exact", "average", "finite_impulse", "exponential")
        _require(
            self.filter in allowed, f"max gate filter is {self.filter!r}; allowed are {', '.join(allowed)}"
        )
        _require(
            0 <= self.settle_time <= LONGEST_SETTLE,
            f"settle_time is {self.settle_time} ticks; allowed are 0 to 10^15 (1000 s)",
        )
        _require(
            self.filter == "exact" or not (self.graded or self.settle_time),
            f"max gates with the filter {self.filter!r} pass spikes as they come: graded and settle_time are "
            "for exact ones",
        )
        _require(
            1 <= self.period <= 2**32,
            f"period is {self.period} ticks; allowed are 1 to 2^32 (4.3 ms at 1 ps a tick)",
        )
        _require(
            0 <= self.factor <= LEAK_ONE,
            f"factor is {self.factor}; allowed are 0 to 2^30, the part of an estimate that stays",
        )


@dataclass(frozen=True)
class Softmax:
    """A spiking softmax output: neurons only integrate, spikes are drawn, and their counts are read.

    Nothing resets the charge (Rueckauer et al. 2017, 2.2.5, and snn_toolbox since 2018). Of the variants,
    ``clock`` (A; Nessler et al. 2009) lets an external Poisson clock decide that a spike occurs and the
    softmax competition over the charges who emits it; ``independent`` (B) lets every neuron spike with its
    softmax probability at each multiple of ``interval``, each by its own draw. The clock stops with the
    input. C, the argmax of the charge, is ``Readout``.

    Weights are integers, ``round(2^30 exp(-x))`` with ``x`` (the largest charge minus one's own, times
    ``unit``) rounded to 1/256, and waiting times come from an inverse-CDF table, so draws repeat on every
    machine; they are keyed by (seed, sample, rank, how many there were, neuron).

    Parameters
    ----------
    variant : str
        ``clock`` or ``independent``.
    unit : float
        Logit per quantum, 2^-48 to 2^13.
    period : int
        As ``Readout.period``: ticks in which a bias delivers its quanta once; 0, a charge at time 0.
    interval : int
        Ticks: mean time between spikes of the clock, or the grid of the independent draws.
    """

    kind: ClassVar[str] = "softmax"
    variant: str = "independent"
    unit: float = 1.0
    period: int = 0
    interval: int = 10**9

    def __post_init__(self) -> None:
        _check_parameters(self)
        _require(
            self.variant in ("clock", "independent"),
            f"softmax variant is {self.variant!r}; allowed are 'clock', 'independent'",
        )
        _require(
            math.isfinite(self.unit) and 2.0**-LOGIT_BITS <= self.unit <= 2.0**13,
            f"softmax unit is {self.unit}; allowed are 2^-48 to 2^13 logits a quantum",
        )
        _require(
            0 <= self.period <= 2**31,
            f"period is {self.period} ticks; allowed are 0 (bias at time 0) to 2^31",
        )
        _require(
            1 <= self.interval <= LONGEST_INTERVAL,
            f"interval is {self.interval} ticks; allowed are 1 to 2^38 (0.27 s at 1 ps a tick)",
        )


Neuron = Input | Signed | Rate | Readout | MaxGate | Softmax
NEURON_KINDS: dict[str, type[Any]] = {
    cls.kind: cls for cls in (Input, Signed, Rate, Readout, MaxGate, Softmax)
}


def unknown_kind(population: Population) -> InvalidNetwork:
    """The error of whoever meets neurons that it has no rule for."""
    return InvalidNetwork(
        f"population {population.name!r} has neurons of kind {shown(population.neuron)}, which are not "
        f"simulated here; known are {', '.join(NEURON_KINDS)}"
    )


def check_name(name: Any, what: str) -> str:
    """The name of a population or projection, as a group of the network file can bear it."""
    found = text(name, f"a {what} name", InvalidNetwork)
    _require(
        found not in ("", ".", "..") and "/" not in found,
        f"{what} name {found!r} is empty, a dot, or contains a slash",
    )
    _require(
        found.isprintable(),
        f"{what} name {found!r} holds a character that cannot be written; use letters, digits, signs",
    )
    return found


def whole_shape(shape: Any, what: str) -> tuple[int, int, int]:
    """``(y, x, channel)`` as ints, or a clear refusal."""
    allowed = "allowed is (y, x, channel), each a whole number, at least 1"
    if not isinstance(shape, tuple | list | np.ndarray) or len(shape) != 3:
        raise InvalidNetwork(f"{what} {shown(shape)}; {allowed}")
    try:
        y, x, channel = (whole(side, "a side", InvalidNetwork, 1) for side in shape)
    except InvalidNetwork as error:
        raise InvalidNetwork(f"{what} {shown(shape)}; {allowed}") from error
    return y, x, channel


def _array(values: Any, what: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InvalidNetwork(f"{what} is {shown(values)}, which is no array of numbers") from error


@dataclass(frozen=True, eq=False)
class Population:
    """The neurons of one layer.

    Parameters
    ----------
    name : str
        Unique in the network; no slash.
    shape : tuple of int
        ``(y, x, channel)``. A neuron's index is row-major in this order.
    neuron : Neuron
        The model all its neurons follow.
    initial_charge, initial_count : int32 array of shape (neurons,), or None
        State loaded at a sample's start instead of the neuron model's initial charge, the biases and a
        count of zero: see ``eventsnn.network.rest``. Signed neurons need both, a readout the charge, exact
        max gates the count.
    bias : int32 array of shape (channels,) or (neurons,), or None
        Quanta of the population itself, added to the biases of the projections that end here. Rate
        neurons with one may do without projections: a source of spikes at a constant rate.
    decision_weights : int64 array of shape (channels,), or None
        Of the network's output only: what a count of each channel weighs in the decision, in parts of 2^20
        of the largest; see ``eventsnn.network.decision``. None takes the units of its neurons.
    """

    name: str
    shape: tuple[int, int, int]
    neuron: Neuron
    initial_charge: NDArray[np.int32] | None = field(default=None, repr=False)
    initial_count: NDArray[np.int32] | None = field(default=None, repr=False)
    bias: NDArray[np.int32] | None = field(default=None, repr=False)
    decision_weights: NDArray[np.int64] | None = field(default=None, repr=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name(self.name, "population"))
        _require(
            type(self.neuron) in NEURON_KINDS.values(),
            f"population {self.name!r} has {shown(self.neuron)} as its neuron, which no engine knows; "
            f"allowed are {', '.join(kind.__name__ for kind in NEURON_KINDS.values())} themselves, not "
            "classes derived from them",
        )
        object.__setattr__(self, "shape", whole_shape(self.shape, f"population {self.name!r} has shape"))
        object.__setattr__(self, "size", math.prod(self.shape))
        _require(self.size < 2**31, f"population {self.name!r} has {self.size} neurons; limit is 2^31 - 1")
        self._check_unit()
        self._check_initial_state()
        self._check_bias()
        object.__setattr__(self, "decision_weights", check_decision_weights(self))

    def _check_unit(self) -> None:
        unit = self.neuron.unit
        values = len(unit) if isinstance(unit, tuple) else 1
        _require(
            values in (1, self.shape[2]),
            f"population {self.name!r} has {values} units for {self.shape[2]} channels; give one in all or "
            "one per channel",
        )

    def _check_bias(self) -> None:
        if self.bias is None:
            return
        array = _array(self.bias, f"population {self.name!r}: a bias")
        _require(
            np.issubdtype(array.dtype, np.integer) and array.shape in ((self.shape[2],), (self.size,)),
            f"population {self.name!r} has a bias of shape {array.shape} and dtype {array.dtype}; it takes "
            f"{self.shape[2]} (one a channel) or {self.size} (one a neuron) whole numbers of quanta",
        )
        _require(
            int(array.min()) >= -CHARGE_LIMIT and int(array.max()) <= CHARGE_LIMIT,
            f"population {self.name!r}: a bias leaves the 32-bit range; use a smaller threshold",
        )
        _require(
            not isinstance(self.neuron, (Input, MaxGate)),
            f"population {self.name!r} of {self.neuron.kind} neurons holds no charge and takes no bias",
        )
        array = np.ascontiguousarray(array, dtype=np.int32)
        array.flags.writeable = False
        object.__setattr__(self, "bias", array)

    def _check_initial_state(self) -> None:
        exact_gate = isinstance(self.neuron, MaxGate) and self.neuron.filter == "exact"
        needed = {"signed": (True, True), "readout": (True, False), "max_gate": (False, exact_gate)}.get(
            self.neuron.kind, (False, False)
        )
        given = (self.initial_charge is not None, self.initial_count is not None)
        _require(
            given in (needed, (False, False)),
            f"population {self.name!r} of {self.neuron.kind} neurons has initial state (charge, count) = "
            f"{given}; it takes {needed} or none",
        )
        most = CHARGE_LIMIT if exact_gate else getattr(self.neuron, "levels", 0)
        for name, low, high in (
            ("initial_charge", -CHARGE_LIMIT, CHARGE_LIMIT),
            ("initial_count", 0, most),
        ):
            if getattr(self, name) is None:
                continue
            array = _array(getattr(self, name), f"population {self.name!r}: {name}")
            _require(
                np.issubdtype(array.dtype, np.integer)
                and array.shape == (self.size,)
                and low <= int(array.min())
                and int(array.max()) <= high,
                f"population {self.name!r}: an initial state has one whole number a neuron from {low} to "
                f"{high}; {name} has shape {array.shape} and dtype {array.dtype}",
            )
            object.__setattr__(self, name, np.ascontiguousarray(array, dtype=np.int32))
        if (
            isinstance(self.neuron, Signed)
            and self.initial_charge is not None
            and self.initial_count is not None
        ):
            count = self.initial_count.astype(np.int64)
            asked = np.clip(count + self.initial_charge // self.neuron.threshold, 0, self.neuron.levels)
            _require(
                bool((asked == count).all()),
                f"population {self.name!r}: an initial state must be settled, so that no test would emit",
            )


def neuron_parameters(neuron: Neuron) -> dict[str, Any]:
    """The parameters of a neuron model as plain numbers and strings, for files and checksums."""
    return {
        item.name: getattr(neuron, item.name)
        for item in fields(neuron)
        if not (item.metadata.get("omitted_at_default") and getattr(neuron, item.name) == item.default)
    }
