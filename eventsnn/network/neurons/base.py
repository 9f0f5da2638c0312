"""What every neuron kind shares: its limits, the check of its parameters, and what it says of itself.

All charges are int32 quanta and all times int64 ticks (1 ps). ``unit`` ties a population to the
trained model: the activation that one spike (or, for a readout, one quantum) stands for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import check_fields, number, registered, shown
from eventsnn.errors import InvalidNetwork, NotYetSupported

CHARGE_LIMIT = 2**31 - 1
THRESHOLD_LIMIT = 2**20
LONGEST_SETTLE = 10**15
LONGEST_INTERVAL = 2**38
LEAK_ONE = 2**30
LOGIT_BITS = 48

Tested = Literal["never", "at delivery", "after deliveries"]
Emits = Literal["nothing", "unit spikes", "signed spikes", "what arrives"]

RULES: dict[str, set[str]] = {
    rule: set(names.split())
    for rule, names in {
        "input": "",
        "signed": "threshold levels lowest settle_time hysteresis_low hysteresis_high graded",
        "rate": "threshold hard strict multispike clamped clamp period refractory refractory_drop "
        "leak_period leak_factor start_time test_period synapse_factor",
        "first_spike": "threshold period alone",
        "readout": "period start_time leak_period leak_factor synapse_factor",
        "softmax": "period filter interval logit_unit",
        "exact_gate": "graded settle_time period factor",
        "rate_gate": "graded settle_time period factor filter",
    }.items()
}
"""What engines can do with a neuron, and the parameters that takes. A kind names a rule and gives these."""
# From the start, at each step, no leak, no synaptic current: a kind of one's own need not name them.
UNLESS_GIVEN = {
    "start_time": 0, "test_period": 0, "leak_period": 0, "leak_factor": LEAK_ONE, "synapse_factor": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Neuron(ABC):
    """A neuron model. Parameters only; the engines hold the ``RULES``. Kinds are frozen dataclasses.

    What others need to know of a kind it says here, so that nobody asks which kind it is. What has no
    natural default is abstract: a kind that does not say it cannot be made.

    Attributes
    ----------
    kind : str
        The kind's name in network files, checksums and messages.
    is_input : bool
        They emit what the recording says; nothing is projected to them.
    only_read : bool
        They are the output if anything: nothing is projected from them.
    holds_charge : bool
        They have a charge, to which weights and biases are added; others but the input compare what arrives.
    drawn : bool
        Their spikes are draws: a count stands for no activation, and is taken as one logit.
    """

    kind: ClassVar[str]
    is_input: ClassVar[bool] = False
    only_read: ClassVar[bool] = False
    holds_charge: ClassVar[bool] = True
    drawn: ClassVar[bool] = False

    @property
    @abstractmethod
    def rule(self) -> str:
        """What engines do with such a neuron: one of ``RULES``, refused by name if it is none."""

    @abstractmethod
    def parameters_of_rule(self) -> dict[str, int | str]:
        """The parameters of ``rule`` by the names of ``eventsnn.engine.kernels.records.POPULATION``.

        Those that ``RULES`` lists; what ``UNLESS_GIVEN`` names may be left out. Truth values are 0 or 1;
        ``filter`` is the name of a filter of gates or
        of a softmax's variant; ``period`` is at least 1.
        """

    @cached_property
    def ruled(self) -> Any:
        """``parameters_of_rule`` read as attributes."""
        listed = RULES.get(self.rule)
        later = {name: value for name, value in UNLESS_GIVEN.items() if listed and name in listed}
        told = self.parameters_of_rule()
        given = {**later, **told}
        wrong = (set(given) if listed is None else listed) ^ set(given)
        require(
            not wrong,
            f"{self.kind} neurons give {', '.join(told)} for the rule {self.rule!r}; {', '.join(wrong)} is "
            "missing or too much",
        )
        return SimpleNamespace(**given)

    @property
    @abstractmethod
    def tested(self) -> Tested:
        """When a neuron looks whether to emit: at each delivery, once what is due has landed, or never."""

    @property
    @abstractmethod
    def emits(self) -> Emits:
        """``what arrives``: its sources' payloads, passed on."""

    @property
    @abstractmethod
    def current_period(self) -> int:
        """Ticks in which a bias delivers its quanta once, as a current; 0: it is a charge at time 0."""

    @abstractmethod
    def comes_to_rest(self, biased: bool) -> bool:
        """Whether neurons change and emit only because of what arrives; ``biased``: they have a current."""

    @property
    def starting_charge(self) -> int:
        """Quanta at time 0, biases apart."""
        return 0

    @property
    def largest_start(self) -> int:
        """The largest charge that a neuron may start with."""
        return CHARGE_LIMIT

    @property
    def loads(self) -> tuple[bool, bool]:
        """Whether a sample may start from a loaded charge, and from a loaded count."""
        return False, False

    @property
    def largest_count(self) -> int:
        """The largest count that may be loaded."""
        return 0

    @property
    def lowest_count(self) -> int:
        """The smallest count that may be loaded."""
        return 0

    @property
    def leak_period(self) -> int:
        """Ticks between two leaks of the charge, 0 for none; in the step schedule that of a step."""
        return int(getattr(self.ruled, "leak_period", 0))

    @property
    def update_period(self) -> int:
        """Ticks between two updates of neurons with a synaptic current in the event schedule; 0 for others.

        That of their leak, or of their biases; 0, too, where they name neither.
        """
        if "synapse" not in self.features:
            return 0
        return self.leak_period or self.current_period

    @property
    def start_time(self) -> int:
        """Tick until which the charge is held and what arrives is dropped (the voltage clamp); 0 for none."""
        return int(getattr(self.ruled, "start_time", 0))

    @property
    def test_period(self) -> int:
        """Ticks between two tests in the step schedule; 0: each step is one."""
        return int(getattr(self.ruled, "test_period", 0))

    @property
    def hysteresis(self) -> bool:
        """Whether tests hold back while input streams, so that one more pass of tests gives exact counts."""
        ruled = self.ruled
        return self.rule == "signed" and bool(ruled.hysteresis_low or ruled.hysteresis_high)

    @property
    def features(self) -> frozenset[str]:
        """What an engine must do beyond the basics: keys of ``eventsnn.engine.request.FEATURES``."""
        rule = self.parameters_of_rule()
        found = {
            "refractory": rule.get("refractory"),
            "leak": rule.get("leak_period"),
            "start": rule.get("start_time"),
            "test_period": rule.get("test_period"),
            "synapse": rule.get("synapse_factor"),
            "max_gate": not (self.holds_charge or self.is_input),
            "softmax": self.rule == "softmax",
            "first_spike": self.rule == "first_spike",
        }
        return frozenset(name for name, needed in found.items() if needed)

    def whole_steps(self) -> dict[str, int]:
        """Ticks that must be whole steps in the step schedule, by what a message calls them."""
        rule = self.parameters_of_rule()
        found = {
            "a refractory time": rule.get("refractory"),
            "a settle_time": rule.get("settle_time"),
            "a start_time": rule.get("start_time") or None,
            "a test_period": rule.get("test_period") or None,
            "a filter period": rule["period"] if rule.get("filter") == "exponential" else None,
            "an interval": rule["interval"] if rule.get("filter") == "independent" else None,
        }
        return {what: int(ticks) for what, ticks in found.items() if ticks is not None}

    def refused_currents(self, negative: bool, stepped: bool) -> str | None:
        """Why these currents would have no definite effect, to be said after the population's name."""
        rule = self.ruled
        if self.rule != "rate":
            return None
        if rule.refractory_drop:
            return (
                "has biases and drops charge while refractory; which part of a current it would drop is not "
                "defined. Remove refractory_drop or the biases"
            )
        if stepped:
            return None
        if rule.clamped and negative:
            return (
                "has a lower clamp and negative biases; between two events the clamp would act at no "
                "definite tick. Remove the clamp or the negative biases, or use the step schedule"
            )
        if not (rule.multispike or rule.hard or rule.refractory):
            return (
                "has biases and emits one spike a test with soft reset; the rest of its charge would have no "
                "definite time to fire. Use multispike, hard reset, a refractory time, or the step schedule"
            )
        return None

    def settled_count(self, charge: NDArray[np.int64], count: Any = 0) -> NDArray[np.int64] | None:
        """The count once a charge is tested, by the quantised ReLU; None where charges are not counted.

        ``charge`` is what is left beside ``count``, both int64 arrays of one shape.
        """
        if self.rule != "signed":
            return None
        found: NDArray[np.int64] = np.clip(
            count + charge // self.ruled.threshold, self.ruled.lowest, self.ruled.levels
        )
        return found

    def in_quanta(self, scale: Fraction, rounded: Callable[[int], int]) -> Neuron:
        """The same neurons with charges in other quanta, old ones times ``scale``, ``rounded`` to whole ones.

        Raises
        ------
        NotYetSupported
            The kind does not say how.
        """
        raise NotYetSupported(
            f"{self.kind} neurons do not say what they are in other quanta, so they cannot be compact; run "
            "the network as it is"
        )

    @property
    def unit(self) -> float | tuple[float, ...]:
        """Activation that one spike or quantum stands for: one value, or one a channel."""
        raise NotImplementedError


NEURON_KINDS: dict[str, type[Neuron]] = {}
"""Kinds by name: what networks, and their files, may hold."""

Kind = TypeVar("Kind", bound=type[Neuron])


def register_neurons(cls: Kind) -> Kind:
    """Let networks and their files hold a kind; a decorator for kinds from outside the package.

    Raises
    ------
    InvalidNetwork
        It has no ``kind``, or another class has the same.
    """
    registered(NEURON_KINDS, cls, Neuron, InvalidNetwork)
    return cls


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


def check_start_time(neuron: Any) -> None:
    """``InvalidNetwork`` where a start time is not possible."""
    require(
        0 <= neuron.start_time <= LONGEST_SETTLE,
        f"start_time is {neuron.start_time} ticks; allowed are 0 (from the start) to 10^15 (1000 s)",
    )


def check_leak(neuron: Any) -> None:
    """``InvalidNetwork`` where a leak is not possible."""
    kind = neuron.kind
    require(
        0 <= neuron.leak_period <= LONGEST_SETTLE,
        f"{kind} leak_period is {neuron.leak_period} ticks; allowed are 0 (no leak) to 10^15 (1000 s)",
    )
    require(
        0 <= neuron.leak_factor <= LEAK_ONE,
        f"{kind} leak_factor is {neuron.leak_factor}; allowed are 0 to 2^30, the part that stays",
    )
    require(
        neuron.leak_period > 0 or neuron.leak_factor == LEAK_ONE,
        f"{kind} leak_factor {neuron.leak_factor} needs a leak_period above 0",
    )


def check_synapse(neuron: Any) -> None:
    """``InvalidNetwork`` where a synaptic current is not possible."""
    require(
        0 <= neuron.synapse_factor < LEAK_ONE,
        f"{neuron.kind} synapse_factor is {neuron.synapse_factor}; allowed are 0 (no synaptic current) to "
        "below 2^30",
    )


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
