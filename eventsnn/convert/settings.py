"""What a conversion was asked for, checked once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventsnn.convert.options import Options
from eventsnn.errors import InvalidRequest
from eventsnn.network.contract import DRAWN
from eventsnn.options import options_of

OPTIONS = options_of(Options)
ONLY_RATE = (
    *("max_pool", "max_pool_tau_us", "count_zeros", "reset", "initial_charge", "one_spike", "period_us"),
    *("softmax", "bias", "scale_rule", "voltage_clamp_us", "charge_calibration", "test_every"),
    *("spike_code", "percentile", "spikes_at_lambda"),
)
NO_FIRST_SPIKES = (
    *("max_pool", "reset", "initial_charge", "one_spike", "softmax", "bias", "voltage_clamp_us", "verify"),
    *("charge_calibration", "bias_correction", "test_every", "spikes_at_lambda"),
    *("input_mean", "input_std"),
)
LARGEST_THRESHOLD = 2**16
DEFAULT_LEVELS = 15
FEWEST, MOST = 2, 8
"""Bits of weights."""

LONGEST_PERIOD_US = 2000.0
"""The longer a current's period, the finer its integer quanta; 2^31 ticks is the limit."""

DEFAULT_SPIKES = 15.0
"""Spikes of a rate neuron that stand for lambda."""

LONGEST_US = 10**12
"""Microseconds; the tick counter of a run reaches a little further."""


@dataclass(frozen=True)
class Settings(Options):
    """Options of a conversion, checked.

    ``input_range``, ``input_mean`` and ``input_std`` become tuples of float, or stay None.

    Raises
    ------
    InvalidRequest
        A value out of range, or one that the chosen kind of neuron or input does not have.
    """

    def __post_init__(self) -> None:
        def require(condition: bool, name: str, allowed: str) -> None:
            if not condition:
                raise InvalidRequest(f"{name} is {getattr(self, name)!r}; allowed are {allowed}")

        def optional(name: str, allowed: str, most: float = math.inf) -> None:
            value = getattr(self, name)
            require(value is None or (_number(value) and 0 < value <= most), name, allowed)

        for name in (
            "neuron", "scales", "max_pool", "average_pools", "reset", "initial_charge", "softmax", "bias",
            "scale_rule", "spike_code",
        ):  # fmt: skip
            allowed = OPTIONS[name].allowed
            known = getattr(self, name) in (*allowed, OPTIONS[name].default)
            require(known, name, " and ".join(map(repr, allowed)))
        for name in ("levels", "test_every"):
            object.__setattr__(self, name, _levels(getattr(self, name), name))
        self._check_budget()
        object.__setattr__(self, "voltage_clamp_us", _numbers(self.voltage_clamp_us, "voltage_clamp_us"))
        times = self.voltage_clamp_us or (0.0,)
        require(min(times) >= 0 and max(times) <= LONGEST_US, "voltage_clamp_us", "0 to 10^12 microseconds")
        optional("input_scale", "finite numbers above 0")
        require(
            _number(self.percentile) and 0 < self.percentile <= 100,
            "percentile",
            "numbers above 0, at most 100",
        )
        require(
            _number(self.threshold) and 1 <= self.threshold <= LARGEST_THRESHOLD,
            "threshold",
            f"1 to {LARGEST_THRESHOLD} quanta",
        )
        require(int(self.threshold) == self.threshold, "threshold", "whole numbers of quanta")
        require(
            _number(self.settle_time_us) and 0 <= self.settle_time_us < 10**12,
            "settle_time_us",
            "0 to 10^12 microseconds",
        )
        require(_number(self.hysteresis) and 0 <= self.hysteresis <= 16, "hysteresis", "0 to 16 thresholds")
        optional("duration_us", "finite numbers above 0, at most 10^12 microseconds", LONGEST_US)
        optional("period_us", "finite numbers above 0, at most 2000 microseconds", LONGEST_PERIOD_US)
        optional("spikes_at_lambda", "finite numbers above 0")
        codings = OPTIONS["input"].allowed
        require(self.input is None or self.input in codings, "input", f"{', '.join(codings)}, and None")
        optional("max_rate_hz", "finite numbers above 0, up to 1e12", 1e12)
        object.__setattr__(self, "threshold", int(self.threshold))
        optional("max_pool_tau_us", "finite numbers above 0, at most 10^12 microseconds", LONGEST_US)
        if (self.max_pool == "exponential") != (self.max_pool_tau_us is not None):
            raise InvalidRequest(
                f"max_pool is {self.max_pool!r} and max_pool_tau_us is {self.max_pool_tau_us}; exponential "
                "gates need a time constant, some intervals between spikes long, and others have none"
            )
        require(
            _number(self.verify) and self.verify >= 0 and int(self.verify) == self.verify,
            "verify",
            "whole numbers of samples from 0 on",
        )
        require(
            self.weight_bits is None
            or (_number(self.weight_bits) and self.weight_bits in range(FEWEST, MOST + 1)),
            "weight_bits",
            f"{FEWEST} to {MOST} bits, the sign among them, and None",
        )
        require(isinstance(self.equalise, bool), "equalise", "True and False")
        self._check_normalisation()
        if self.max_rate_hz is not None and self.input not in DRAWN:
            raise InvalidRequest(
                f"max_rate_hz is {self.max_rate_hz:g}, but only {' and '.join(DRAWN)} input draws spikes at "
                "a rate; leave it out, or give input='poisson'"
            )
        if self.neuron == "rate":
            for name in ("levels", "levels_budget", "graded", "settle_time_us", "hysteresis", "verify"):
                if getattr(self, name) != OPTIONS[name].default:
                    raise InvalidRequest(
                        f"{name} is {getattr(self, name)!r}, but rate neurons have no {name} setting; leave "
                        "it out, or convert with neuron='signed'"
                    )
            self._check_calibration()
            self._check_code()
            for name in ("count_zeros", "percentile"):
                if self.scale_rule == "balanced" and getattr(self, name) != OPTIONS[name].default:
                    raise InvalidRequest(
                        f"{name} is of percentiles, and scale_rule is 'balanced', which takes none, but "
                        f"counts zeros; leave {name} out"
                    )
        else:
            for name in ONLY_RATE:
                if getattr(self, name) != OPTIONS[name].default:
                    raise InvalidRequest(
                        f"{name} is {getattr(self, name)!r}, but signed neurons have no {name} setting; "
                        "leave it out, or convert with neuron='rate'"
                    )

    def _check_calibration(self) -> None:
        """Errors of channels are corrected in one place, and on layers that are tested in each step."""
        asked = [name for name in ("bias_correction", "charge_calibration") if getattr(self, name)]
        if len(asked) == 2:
            raise InvalidRequest(
                "bias_correction and charge_calibration both take the mean error of each channel away; give "
                "one of them"
            )
        for name in ("voltage_clamp_us", "test_every"):
            if asked and getattr(self, name) is not None:
                raise InvalidRequest(
                    f"{asked[0]} plays layers that are tested in each step from the start, and {name} is "
                    f"{getattr(self, name)!r}; leave one of them out"
                )

    def _check_code(self) -> None:
        """Neurons that fire once have none of what rates are made with."""
        if self.spike_code == "rate":
            return
        for name in NO_FIRST_SPIKES:
            if getattr(self, name) != OPTIONS[name].default:
                raise InvalidRequest(
                    f"{name} is {getattr(self, name)!r}, and spike_code is {self.spike_code!r}, whose "
                    f"neurons fire once a sample and have no {name}; leave one of them out"
                )
        if self.input not in (None, "analog"):
            raise InvalidRequest(
                f"input is {self.input!r}, and spike_code is {self.spike_code!r}, which makes first spikes "
                "of analog images; leave input out"
            )

    def _check_normalisation(self) -> None:
        for name in ("input_range", "input_mean", "input_std"):
            object.__setattr__(self, name, _numbers(getattr(self, name), name))
        span = self.input_range
        if span is not None and (len(span) != 2 or span[0] >= span[1]):
            raise InvalidRequest(
                f"input_range is {span}; give the lowest and the highest value of the images that the model "
                "reads, as (0, 255)"
            )
        if self.input_std is not None and min(self.input_std) <= 0:
            raise InvalidRequest(f"input_std is {self.input_std}; each deviation is above 0")

    def _check_budget(self) -> None:
        if self.levels_budget is None:
            return
        amount, share = self.budget
        if not (math.isfinite(amount) and amount > 0):
            raise InvalidRequest(
                f"levels_budget is {self.levels_budget!r}; give synaptic operations a sample, as 2e6, or a "
                "share of what equal levels need, as 50%"
            )
        if self.graded:
            raise InvalidRequest(
                "levels_budget is of neurons that send a spike for each level, and graded ones send one "
                "payload whatever their levels; leave one of the two out"
            )
        if not (self.levels is None or (share and isinstance(self.levels, int))):
            what = "one number for all, which it is a share of" if share else "none"
            raise InvalidRequest(
                f"levels is {self.levels!r} and levels_budget {self.levels_budget!r}: the budget chooses the "
                f"levels of each layer; give {what}"
            )

    @property
    def budget(self) -> tuple[float, bool]:
        """``levels_budget`` as a number, and whether it is a share; NaN if it is none."""
        given = self.levels_budget
        if isinstance(given, str):
            text = given.strip()
            try:
                return (float(text[:-1]) / 100, True) if text.endswith("%") else (float(text), False)
            except ValueError:
                return math.nan, False
        return (float(given), False) if _number(given) else (math.nan, False)  # type: ignore[arg-type]

    @property
    def normalised(self) -> bool:
        """Whether the model reads images that were normalised."""
        return any(value is not None for value in (self.input_range, self.input_mean, self.input_std))

    @property
    def per_channel(self) -> bool:
        """One scale for each channel instead of one per layer."""
        return self.scales == "channel"


def _levels(given: Any, option: str) -> int | tuple[int, ...] | dict[str, int] | None:
    """Whole numbers of all layers, one each, or some by name."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {str(name): _level(value, option) for name, value in given.items()}
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return tuple(_level(value, option) for value in given)
    return _level(given, option)


def _level(value: Any, option: str) -> int:
    if not _number(value) or not 1 <= value <= 2**15 - 1:
        raise InvalidRequest(f"{option} is {value!r}; allowed are 1 to 32767")
    if int(value) != value:
        raise InvalidRequest(f"{option} is {value!r}; allowed are whole numbers")
    return int(value)


def _number(value: Any) -> bool:
    """A finite real number; truth values are none."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _numbers(values: Any, name: str) -> tuple[float, ...] | None:
    """One number or several as a tuple."""
    if values is None:
        return None
    listed = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(listed, Iterable) and not isinstance(listed, str | bytes | dict):
        found = list(listed)
    else:
        found = [listed]
    if not found or not all(map(_number, found)):
        raise InvalidRequest(f"{name} is {values!r}; give one finite number, or one for each channel")
    return tuple(float(value) for value in found)
