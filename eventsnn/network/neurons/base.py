"""What every neuron kind shares: its limits, the check of its parameters, and what it says of itself.

All charges are int32 quanta and all times int64 ticks (1 ps). ``unit`` ties a population to the
trained model: the activation that one spike (or, for a readout, one quantum) stands for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from eventsnn.arguments import check_fields, number, shown
from eventsnn.errors import InvalidNetwork

CHARGE_LIMIT = 2**31 - 1
THRESHOLD_LIMIT = 2**20
LONGEST_SETTLE = 10**15
LONGEST_INTERVAL = 2**38
LEAK_ONE = 2**30
LOGIT_BITS = 48


@dataclass(frozen=True)
class Neuron:
    """A neuron model. Parameters only; the engines hold the rules. Kinds are frozen dataclasses.

    Attributes
    ----------
    kind : str
        The kind's name in network files, checksums and messages.
    """

    kind: ClassVar[str]

    @property
    def unit(self) -> float | tuple[float, ...]:
        """Activation that one spike or quantum stands for: one value, or one a channel."""
        raise NotImplementedError


def added(default: Any) -> Any:
    """A parameter that schema 1 gained later: at its default it stays out of files and checksums."""
    return field(default=default, metadata={"omitted_at_default": True})


def require(condition: bool, message: str) -> None:
    """``InvalidNetwork`` with this message where the condition does not hold."""
    if not condition:
        raise InvalidNetwork(message)


def check_parameters(neuron: Any) -> None:
    """Numbers, truth values and names as their annotations say; units are above 0."""
    check_fields(neuron, f"{neuron.kind} {{}}", InvalidNetwork)
    units = neuron.unit if isinstance(neuron.unit, tuple) else (neuron.unit,)
    require(min(units) > 0, f"{neuron.kind} unit is {shown(neuron.unit)}; it must be above 0")


def leak_factor_of(tau: float, period: float) -> int:
    """The ``leak_factor`` of a leak with time constant ``tau`` at each ``period``, both in one unit.

    ``round(2^30 exp(-period / tau))``; with the step schedule ``period`` is the step.
    """
    tau, period = (
        number(value, f"{what} of a leak", InvalidNetwork)
        for what, value in (("time constant", tau), ("period", period))
    )
    require(
        math.isfinite(tau) and tau > 0 and math.isfinite(period) and period > 0,
        f"a leak of time constant {tau} each {period} is not possible; both must be above 0",
    )
    return round(LEAK_ONE * math.exp(-period / tau))


def neuron_parameters(neuron: Neuron) -> dict[str, Any]:
    """The parameters of a neuron model as plain numbers and strings, for files and checksums."""
    return {
        item.name: getattr(neuron, item.name)
        for item in fields(neuron)
        if not (item.metadata.get("omitted_at_default") and getattr(neuron, item.name) == item.default)
    }
