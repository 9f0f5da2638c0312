"""Integrate-and-fire neurons, whose spike rate approximates an activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from eventsnn.network.neurons.base import (
    CHARGE_LIMIT,
    LEAK_ONE,
    LONGEST_SETTLE,
    THRESHOLD_LIMIT,
    Neuron,
    added,
    check_leak,
    check_parameters,
    check_start_time,
    check_synapse,
    require,
)


@dataclass(frozen=True)
class IntegrateAndFire(Neuron):
    """Integrate-and-fire neurons that approximate an activation by their spike rate.

    Files and options call them ``rate``, after the code they speak; each still spikes.

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
        see ``leak_factor_of``. Period 0 is no leak. A leak makes no spike and keeps no run alive. Where a
        population has ``leak_factors``, one a neuron, this is the largest of them.
    start_time : int
        The voltage clamp: before this tick the charge is held, what arrives is dropped, no current flows,
        nothing leaks and no test is made (Rueckauer et al. 2017). In the step schedule the steps that end
        at it or before.
    test_period : int
        Ticks between two tests, of the step schedule only: at its multiples; in the steps between them
        charge is held, leaks and grows. 0: each step is a test.
    synapse_factor : int
        Parts of 2^30 that a step leaves of the synaptic current: what arrives (biases too) goes into a
        current ``J = round_half_away(J synapse_factor / 2^30) + arriving``, and the charge takes J in every
        step; 0: what arrives is charge at once. In the event schedule neurons do at each multiple of
        ``leak_period`` (without a leak: of ``period``) what they do in a step, in their turn by rank, up to
        the end of the step that covers the end of the input. The largest of a population's
        ``synapse_factors``, where it has them.
    """

    kind: ClassVar[str] = "rate"
    rule = "rate"
    tested = "at delivery"
    emits = "unit spikes"
    loads = (True, False)
    threshold: int
    reset: str = "soft"
    strict: bool = False
    multispike: bool = True
    lower_clamp: int | None = None
    initial_charge: int = 0
    period: int = 10**9
    unit: tuple[float, ...] = (1.0,)
    refractory: int = added(0)
    refractory_drop: bool = added(False)
    leak_period: int = added(0)
    leak_factor: int = added(LEAK_ONE)
    start_time: int = added(0)
    test_period: int = added(0)
    synapse_factor: int = added(0)

    def __post_init__(self) -> None:
        check_parameters(self)
        require(
            1 <= self.threshold <= THRESHOLD_LIMIT,
            f"rate threshold is {self.threshold} quanta; allowed are 1 to {THRESHOLD_LIMIT}",
        )
        require(self.reset in ("soft", "hard"), f"reset is {self.reset!r}; allowed are 'soft', 'hard'")
        require(
            self.lower_clamp is None or -CHARGE_LIMIT <= self.lower_clamp <= 0,
            f"lower_clamp is {self.lower_clamp}; it must be at most 0",
        )
        require(
            -CHARGE_LIMIT <= self.initial_charge < self.threshold,
            f"initial_charge {self.initial_charge} is not below the threshold {self.threshold}",
        )
        require(
            1 <= self.period <= 2**31,
            f"period is {self.period} ticks; allowed are 1 to 2^31 (2.1 ms at 1 ps a tick)",
        )
        require(
            0 <= self.refractory <= LONGEST_SETTLE,
            f"refractory is {self.refractory} ticks; allowed are 0 to 10^15 (1000 s)",
        )
        require(
            self.refractory > 0 or not self.refractory_drop,
            "refractory_drop needs a refractory time above 0",
        )
        check_leak(self)
        check_synapse(self)
        require(
            not (self.synapse_factor and self.refractory_drop),
            "refractory_drop beside a synaptic current (synapse_factor) is not defined; leave one out",
        )
        check_start_time(self)
        require(
            0 <= self.test_period <= LONGEST_SETTLE,
            f"test_period is {self.test_period} ticks; allowed are 0 (each step) to 10^15 (1000 s)",
        )

    def parameters_of_rule(self) -> dict[str, int | str]:
        synaptic: dict[str, int | str] = (
            {"synapse_factor": self.synapse_factor} if self.synapse_factor else {}
        )
        return synaptic | {
            "threshold": self.threshold, "hard": int(self.reset == "hard"), "strict": int(self.strict),
            "multispike": int(self.multispike), "clamped": int(self.lower_clamp is not None),
            "clamp": self.lower_clamp or 0, "period": self.period, "refractory": self.refractory,
            "refractory_drop": int(self.refractory_drop), "leak_period": self.leak_period,
            "leak_factor": self.leak_factor, "start_time": self.start_time, "test_period": self.test_period,
        }  # fmt: skip

    @property
    def current_period(self) -> int:
        return self.period

    @property
    def largest_start(self) -> int:
        return self.threshold - 1

    @property
    def starting_charge(self) -> int:
        return self.initial_charge

    def in_quanta(self, scale: Fraction, rounded: Callable[[int], int]) -> IntegrateAndFire:
        del scale
        threshold = rounded(self.threshold)
        return replace(
            self,
            threshold=threshold,
            initial_charge=min(rounded(self.initial_charge), threshold - 1),
            lower_clamp=None if self.lower_clamp is None else rounded(self.lower_clamp),
        )

    def comes_to_rest(self, biased: bool) -> bool:
        return False
