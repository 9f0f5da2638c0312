"""What samples cost that stop after known steps: means, and energy times delay both ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from eventsnn.errors import InvalidRequest
from eventsnn.hardware.stepped.costs import StepCosts


@dataclass(frozen=True)
class Stepped:
    """Samples by the step after which they stopped, and what that costs; sums are exact, rounded once.

    Attributes
    ----------
    costs : StepCosts
    stops : dict of int
        Samples by number of steps, ascending.
    full : int
        Steps of a run that nothing stops.
    """

    costs: StepCosts
    stops: dict[int, int]
    full: int

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(self.stops.values())

    @property
    def mean_steps(self) -> float:
        """Steps a sample."""
        return float(self._mean({steps: Fraction(steps) for steps in self.stops}))

    def _mean(self, value: Mapping[int, Fraction]) -> Fraction:
        total = sum((number * value[steps] for steps, number in self.stops.items()), Fraction(0))
        return total / self.samples

    def _of(self, what: str) -> dict[int, Fraction]:
        return {steps: self.costs.total(what, steps) for steps in self.stops}

    def mean(self, what: str) -> float:
        """Mean latency or energy of a sample, in ``costs.unit(what)``."""
        return float(self._mean(self._of(what)))

    def saved(self, what: str) -> float | None:
        """The share of a full run's latency or energy that is saved; None if that costs nothing."""
        return _saved(self._mean(self._of(what)), self.costs.total(what, self.full))

    def energy_delay(self) -> dict[str, float | None] | None:
        """Energy times delay; None unless both are given.

        ``product_of_means`` and ``mean_of_products`` differ by the covariance of the two (``full`` has none),
        ``saved_...`` are shares of ``full``.
        """
        if self.costs.costs.keys() != {"latency", "energy"}:
            return None
        latency, energy = self._of("latency"), self._of("energy")
        means = self._mean(latency) * self._mean(energy)
        products = self._mean({steps: latency[steps] * energy[steps] for steps in self.stops})
        full = self.costs.total("latency", self.full) * self.costs.total("energy", self.full)
        return {
            "product_of_means": float(means),
            "mean_of_products": float(products),
            "full": float(full),
            "saved_by_product_of_means": _saved(means, full),
            "saved_by_mean_of_products": _saved(products, full),
        }

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = {
            "costs": self.costs.name,
            "samples": self.samples,
            "stops": {str(steps): number for steps, number in self.stops.items()},
            "mean_steps": self.mean_steps,
            "full_steps": self.full,
        }
        given = {what: self._cost(what) for what in self.costs.costs}
        return {**found, "latency": None, "energy": None, **given, "energy_delay": self.energy_delay()}

    def _cost(self, what: str) -> dict[str, Any]:
        return {
            "unit": self.costs.unit(what),
            "mean": self.mean(what),
            "full": float(self.costs.total(what, self.full)),
            "saved": self.saved(what),
        }


def _saved(value: Fraction, full: Fraction) -> float | None:
    return float(1 - value / full) if full else None


def cost_of_stops(
    costs: StepCosts, stops: Mapping[int, int] | Iterable[int], full: int | None = None
) -> Stepped:
    """What samples cost that stop after known steps.

    Parameters
    ----------
    costs : StepCosts
    stops : mapping or iterable of int
        Samples by number of steps, or the steps of each sample.
    full : int, optional
        Steps of a run that nothing stops; what ``costs`` knows at most, else the most that occur.

    Raises
    ------
    InvalidRequest
        No sample, a number of samples below 0, or steps that the costs do not know.
    """
    counted = dict(stops) if isinstance(stops, Mapping) else Counter(stops)
    if any(number < 0 for number in counted.values()):
        raise InvalidRequest(f"numbers of samples below 0: {counted}; give how many stop after each step")
    found = {int(steps): int(counted[steps]) for steps in sorted(counted) if counted[steps]}
    if not found:
        raise InvalidRequest("no sample stops after any step; give how many do after each")
    full = full if full is not None else costs.steps or max(found)
    if max(found) > full:
        raise InvalidRequest(f"a sample stops after {max(found)} steps, and the full run has {full}")
    for steps in (*found, full):
        for what in costs.costs:
            costs.total(what, steps)
    return Stepped(costs, found, full)
