"""A spiking softmax: spikes are drawn from the charges' probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from eventsnn.network.neurons.base import LOGIT_BITS, LONGEST_INTERVAL, Neuron, check_parameters, require


@dataclass(frozen=True)
class Softmax(Neuron):
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
    only_read: ClassVar[bool] = True
    drawn: ClassVar[bool] = True
    rule = "softmax"
    tested = "never"
    emits = "unit spikes"
    variant: str = "independent"
    unit: float = 1.0
    period: int = 0
    interval: int = 10**9

    def __post_init__(self) -> None:
        check_parameters(self)
        require(
            self.variant in ("clock", "independent"),
            f"softmax variant is {self.variant!r}; allowed are 'clock', 'independent'",
        )
        require(
            math.isfinite(self.unit) and 2.0**-LOGIT_BITS <= self.unit <= 2.0**13,
            f"softmax unit is {self.unit}; allowed are 2^-48 to 2^13 logits a quantum",
        )
        require(
            0 <= self.period <= 2**31,
            f"period is {self.period} ticks; allowed are 0 (bias at time 0) to 2^31",
        )
        require(
            1 <= self.interval <= LONGEST_INTERVAL,
            f"interval is {self.interval} ticks; allowed are 1 to 2^38 (0.27 s at 1 ps a tick)",
        )

    def parameters_of_rule(self) -> dict[str, int | str]:
        return {
            "period": max(1, self.period), "filter": self.variant, "interval": self.interval,
            "logit_unit": round(self.unit * 2**LOGIT_BITS),
        }  # fmt: skip

    @property
    def current_period(self) -> int:
        return self.period

    def in_quanta(self, scale: Fraction, rounded: Callable[[int], int]) -> Softmax:
        del rounded
        return replace(self, unit=float(self.unit / scale))

    def comes_to_rest(self, biased: bool) -> bool:
        return False
