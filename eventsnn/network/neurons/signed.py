"""Signed neurons: the quantised ReLU of the input so far, exact whatever the order (law 9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from eventsnn.network.neurons.base import (
    LONGEST_SETTLE,
    THRESHOLD_LIMIT,
    Neuron,
    added,
    check_parameters,
    require,
)


@dataclass(frozen=True)
class Signed(Neuron):
    """The L-level quantised ReLU of the input so far (design, law 9).

    A test asks for ``p = clip(S + floor(V / threshold), lowest, levels) - S`` and emits it as ``|p|`` unit
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
    lowest : int
        The smallest count, at most 0: below 0 a neuron has emitted more -1 than +1, as quantisers of values
        on both sides of 0 do (ST-BIF), and what max-pools over unrectified values read.
    """

    kind: ClassVar[str] = "signed"
    rule = "signed"
    tested = "after deliveries"
    emits = "signed spikes"
    current_period = 0
    loads = (True, True)
    threshold: int
    levels: int
    graded: bool = False
    settle_time: int = 0
    hysteresis_low: int = 0
    hysteresis_high: int = 0
    unit: tuple[float, ...] = (1.0,)
    lowest: int = added(0)

    def __post_init__(self) -> None:
        check_parameters(self)
        require(
            1 <= self.threshold <= THRESHOLD_LIMIT,
            f"signed threshold is {self.threshold} quanta; allowed are 1 to {THRESHOLD_LIMIT}",
        )
        require(
            1 <= self.levels <= 2**15 - 1,
            f"signed levels is {self.levels}; allowed are 1 to {2**15 - 1}",
        )
        require(
            1 - 2**15 <= self.lowest <= 0,
            f"signed lowest is {self.lowest}; allowed are {1 - 2**15} to 0",
        )
        require(
            0 <= self.settle_time <= LONGEST_SETTLE,
            f"settle_time is {self.settle_time} ticks; allowed are 0 to 10^15 (1000 s)",
        )
        require(
            min(self.hysteresis_low, self.hysteresis_high) >= 0
            and max(self.hysteresis_low, self.hysteresis_high) <= THRESHOLD_LIMIT,
            f"hysteresis is ({self.hysteresis_low}, {self.hysteresis_high}) quanta; "
            f"allowed are 0 to {THRESHOLD_LIMIT}",
        )

    def parameters_of_rule(self) -> dict[str, int | str]:
        return {
            "threshold": self.threshold, "levels": self.levels, "settle_time": self.settle_time,
            "hysteresis_low": self.hysteresis_low, "hysteresis_high": self.hysteresis_high,
            "graded": int(self.graded), "lowest": self.lowest,
        }  # fmt: skip

    @property
    def initial_charge(self) -> int:
        """Half a level: the rounding shift of the quantised ReLU."""
        return self.threshold // 2

    @property
    def starting_charge(self) -> int:
        return self.initial_charge

    @property
    def largest_count(self) -> int:
        return self.levels

    @property
    def lowest_count(self) -> int:
        return self.lowest

    def in_quanta(self, scale: Fraction, rounded: Callable[[int], int]) -> Signed:
        del scale
        return replace(
            self,
            threshold=rounded(self.threshold),
            hysteresis_low=rounded(self.hysteresis_low),
            hysteresis_high=rounded(self.hysteresis_high),
        )

    def comes_to_rest(self, biased: bool) -> bool:
        return True
