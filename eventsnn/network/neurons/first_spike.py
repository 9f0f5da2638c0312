"""Neurons that fire once a sample: an early spike stands for a large value (time to first spike)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from eventsnn.network.neurons.base import THRESHOLD_LIMIT, Neuron, check_parameters, require


@dataclass(frozen=True)
class FirstSpike(Neuron):
    """Neurons whose first spike, at step t, stands for a rate of 1 / t; they fire no more in the sample.

    A spike that arrives is a current from then on: its weight, once in its step and in each that follows. A
    neuron that has fired holds no charge. Of the step schedule, without an accelerator.

    Parameters
    ----------
    threshold : int
        Quanta, 1 to 2^20; a neuron fires at ``V >= threshold``.
    period : int
        Ticks in which a bias, and each spike that arrived, delivers its quanta once: a step.
    alone : bool
        The first neuron of the population to fire is the only one: of several in one step that with the
        largest charge, equal ones by index. For outputs.
    unit : tuple of float
        Activation of a spike a step, divided by the steps of a sample; one value, or one per channel.

    References
    ----------
    B. Rueckauer and S.-C. Liu, "Conversion of analog to spiking neural networks using sparse temporal
    coding", ISCAS 2018.
    """

    kind: ClassVar[str] = "first_spike"
    rule = "first_spike"
    tested = "at delivery"
    emits = "unit spikes"
    threshold: int
    period: int = 10**9
    alone: bool = False
    unit: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        check_parameters(self)
        require(
            1 <= self.threshold <= THRESHOLD_LIMIT,
            f"first_spike threshold is {self.threshold} quanta; allowed are 1 to {THRESHOLD_LIMIT}",
        )
        require(
            1 <= self.period <= 2**31,
            f"period is {self.period} ticks; allowed are 1 to 2^31 (2.1 ms at 1 ps a tick)",
        )

    def parameters_of_rule(self) -> dict[str, int | str]:
        return {"threshold": self.threshold, "period": self.period, "alone": int(self.alone)}

    @property
    def current_period(self) -> int:
        return self.period

    def in_quanta(self, scale: Fraction, rounded: Callable[[int], int]) -> FirstSpike:
        del scale
        return replace(self, threshold=rounded(self.threshold))

    def comes_to_rest(self, biased: bool) -> bool:
        return False
