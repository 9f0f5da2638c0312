"""Max gates: they pass on the largest of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.network.neurons.base import (
    CHARGE_LIMIT,
    LEAK_ONE,
    LONGEST_SETTLE,
    Emits,
    Neuron,
    Tested,
    check_parameters,
    require,
)


@dataclass(frozen=True)
class MaxGate(Neuron):
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
    holds_charge: ClassVar[bool] = False
    current_period = 0
    lowest_count = -CHARGE_LIMIT
    largest_count = CHARGE_LIMIT
    filter: str = "exact"
    graded: bool = False
    settle_time: int = 0
    period: int = 10**9
    factor: int = LEAK_ONE
    unit: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        check_parameters(self)
        allowed = ("exact", "average", "finite_impulse", "exponential")
        require(
            self.filter in allowed, f"max gate filter is {self.filter!r}; allowed are {', '.join(allowed)}"
        )
        require(
            0 <= self.settle_time <= LONGEST_SETTLE,
            f"settle_time is {self.settle_time} ticks; allowed are 0 to 10^15 (1000 s)",
        )
        require(
            self.filter == "exact" or not (self.graded or self.settle_time),
            f"max gates with the filter {self.filter!r} pass spikes as they come: graded and settle_time are "
            "for exact ones",
        )
        require(
            1 <= self.period <= 2**32,
            f"period is {self.period} ticks; allowed are 1 to 2^32 (4.3 ms at 1 ps a tick)",
        )
        require(
            0 <= self.factor <= LEAK_ONE,
            f"factor is {self.factor}; allowed are 0 to 2^30, the part of an estimate that stays",
        )

    @property
    def exact(self) -> bool:
        """Whether they keep signed sums and test them; the others pass spikes on as they come."""
        return self.filter == "exact"

    @property
    def rule(self) -> str:
        return "exact_gate" if self.exact else "rate_gate"

    def parameters_of_rule(self) -> dict[str, int | str]:
        found: dict[str, int | str] = {
            "graded": int(self.graded), "settle_time": self.settle_time, "period": self.period,
            "factor": self.factor,
        }  # fmt: skip
        return found if self.exact else found | {"filter": self.filter}

    @property
    def tested(self) -> Tested:
        return "after deliveries" if self.exact else "at delivery"

    @property
    def emits(self) -> Emits:
        return "signed spikes" if self.exact else "what arrives"

    @property
    def loads(self) -> tuple[bool, bool]:
        return False, self.exact

    def comes_to_rest(self, biased: bool) -> bool:
        return self.exact
