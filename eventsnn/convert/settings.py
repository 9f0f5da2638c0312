"""What a conversion was asked for, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from eventsnn.errors import InvalidRequest

LARGEST_THRESHOLD = 2**16
DEFAULT_LEVELS = 15


@dataclass(frozen=True)
class Settings:
    """The arguments of ``convert`` that are numbers and names; see there.

    Raises
    ------
    InvalidRequest
        A value out of range, or one that the chosen kind of neuron does not have.
    """

    neuron: str
    levels: int | None
    input_scale: float
    percentile: float
    threshold: int
    graded: bool
    settle_time_us: float
    hysteresis: float
    duration_us: float | None
    scales: str
    spikes_at_lambda: float

    def __post_init__(self) -> None:
        def require(condition: bool, name: str, allowed: str) -> None:
            if not condition:
                raise InvalidRequest(f"{name} is {getattr(self, name)!r}; allowed are {allowed}")

        require(self.neuron in ("signed", "rate"), "neuron", "'signed' and 'rate'")
        require(self.scales in ("layer", "channel"), "scales", "'layer' and 'channel'")
        require(self.levels is None or 1 <= self.levels <= 2**15 - 1, "levels", "1 to 32767")
        require(_positive(self.input_scale), "input_scale", "finite numbers above 0")
        require(0 < self.percentile <= 100, "percentile", "numbers above 0, at most 100")
        require(1 <= self.threshold <= LARGEST_THRESHOLD, "threshold", f"1 to {LARGEST_THRESHOLD} quanta")
        require(int(self.threshold) == self.threshold, "threshold", "whole numbers of quanta")
        require(self.levels is None or int(self.levels) == self.levels, "levels", "whole numbers")
        require(0 <= self.settle_time_us < 10**12, "settle_time_us", "0 to 10^12 microseconds")
        require(0 <= self.hysteresis <= 16, "hysteresis", "0 to 16 thresholds")
        require(
            self.duration_us is None or _positive(self.duration_us), "duration_us", "finite numbers above 0"
        )
        require(_positive(self.spikes_at_lambda), "spikes_at_lambda", "finite numbers above 0")
        if self.neuron == "rate":
            for name, default in (
                ("levels", None),
                ("graded", False),
                ("settle_time_us", 0),
                ("hysteresis", 0),
            ):
                if getattr(self, name) != default:
                    raise InvalidRequest(
                        f"{name} is {getattr(self, name)!r}, but rate neurons have no {name}; leave it out, "
                        "or convert with neuron='signed'"
                    )

    @property
    def per_channel(self) -> bool:
        """One scale for each channel instead of one per layer."""
        return self.scales == "channel"


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
