"""Readouts: they integrate, and their charge is the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from eventsnn.network.neurons.base import (
    LEAK_ONE,
    Neuron,
    added,
    check_leak,
    check_parameters,
    check_start_time,
    check_synapse,
    require,
)


@dataclass(frozen=True)
class Readout(Neuron):
    """Neurons that only integrate; the largest charge is the decision.

    ``unit`` is the activation (logit) per quantum. ``period`` is that of ``IntegrateAndFire`` when the
    population takes its bias as a current, or 0 when the bias is a charge at time 0. ``start_time`` is that
    of ``IntegrateAndFire``, for readouts with a ``period``. ``leak_period`` and ``leak_factor`` are those of
    ``IntegrateAndFire``: a leaky integrator; so is ``synapse_factor``.
    """

    kind: ClassVar[str] = "readout"
    only_read: ClassVar[bool] = True
    rule = "readout"
    tested = "never"
    emits = "nothing"
    loads = (True, False)
    unit: float = 1.0
    period: int = 0
    start_time: int = added(0)
    leak_period: int = added(0)
    leak_factor: int = added(LEAK_ONE)
    synapse_factor: int = added(0)

    def __post_init__(self) -> None:
        check_parameters(self)
        require(
            0 <= self.period <= 2**31,
            f"period is {self.period} ticks; allowed are 0 (bias at time 0) to 2^31",
        )
        check_start_time(self)
        check_leak(self)
        check_synapse(self)
        require(
            self.start_time == 0 or self.period > 0,
            f"a readout with the start_time {self.start_time} has its bias as a charge at time 0; a start is "
            "for readouts with a period, beside rate neurons",
        )

    def parameters_of_rule(self) -> dict[str, int | str]:
        synaptic: dict[str, int | str] = (
            {"synapse_factor": self.synapse_factor} if self.synapse_factor else {}
        )
        return synaptic | {
            "period": max(1, self.period), "start_time": self.start_time, "leak_period": self.leak_period,
            "leak_factor": self.leak_factor,
        }  # fmt: skip

    @property
    def current_period(self) -> int:
        return self.period

    def in_quanta(self, scale: Fraction, rounded: Callable[[int], int]) -> Readout:
        del rounded
        return replace(self, unit=float(self.unit / scale))

    def comes_to_rest(self, biased: bool) -> bool:
        return not (biased or self.leak_period or self.synapse_factor)
