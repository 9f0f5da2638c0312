"""Latency and energy of a sample by the step after which it stops, from a YAML file or a shipped preset.

A table or an affine law of a whole network on a whole chip, as papers on early exit publish it; nothing of it
depends on what a sample does within its steps. ``docs/hardware.md`` has the format.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from eventsnn import arguments
from eventsnn.errors import InvalidHardware, InvalidRequest
from eventsnn.hardware.actions import Strict
from eventsnn.hardware.documents import places, preset_or_file, yaml_names
from eventsnn.hardware.quantities import ENERGY_UNITS, TIME_UNITS, Number, Quantity

RELATIVE = "relative"
"""The unit of costs that a source states as multiples of one of its own."""
UNITS: dict[str, dict[str, float]] = {"latency": TIME_UNITS, "energy": ENERGY_UNITS}
SI = {"latency": "s", "energy": "J"}


def _exact(value: float, unit: str, what: str) -> Fraction:
    """A number as it is written, in seconds, joules or as it is: no bit is lost."""
    allowed = {**UNITS[what], RELATIVE: 1.0}
    if unit not in allowed:
        raise ValueError(f"unit {unit!r} is not a unit of {what}; allowed are {', '.join(allowed)}")
    return Fraction(repr(value)) * Fraction(repr(allowed[unit]))


class Table(Strict):
    """One value a step, from the first step on, all of one unit and source."""

    values: Annotated[tuple[Number, ...], Field(min_length=1, max_length=65536)]
    unit: str
    kind: Literal["published", "measured", "derived", "estimated", "assumed"]
    origin: Literal["documented", "fitted", "scaled", "inherited", "assumed"] | None = None
    source: str = Field(min_length=1)


class Cost(Strict):
    """Latency or energy: ``after`` so many steps in all, ``each`` step's own, or ``fixed`` + ``per_step``."""

    after: Table | None = None
    each: Table | None = None
    fixed: Quantity | None = None
    per_step: Quantity | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Cost:
        forms = (self.after is not None, self.each is not None, self.per_step is not None)
        if sum(forms) != 1 or (self.fixed is not None and self.per_step is None):
            raise ValueError(
                "give one of: 'after', a table of what so many steps cost in all; 'each', a table of what "
                "each step costs; 'per_step', with or without 'fixed'"
            )
        if self.after is not None and any(b < a for a, b in pairwise(self.after.values)):
            raise ValueError(
                "after: what more steps cost in all is not less; for costs of each step write 'each'"
            )
        units = {part.unit for part in (self.fixed, self.per_step) if part is not None}
        if RELATIVE in units and len(units) > 1:
            raise ValueError(f"fixed and per_step: both are {RELATIVE}, or none is")
        return self

    @property
    def steps(self) -> int | None:
        """The most steps it knows; None for any number."""
        table = self.after or self.each
        return None if table is None else len(table.values)

    @property
    def unit(self) -> str:
        """The unit as written."""
        part = self.after or self.each or self.per_step
        assert part is not None
        return part.unit

    def totals(self, what: str) -> Callable[[int], Fraction]:
        """What so many steps cost in all, in seconds, joules or relative; ``what`` is latency or energy.

        Raises
        ------
        ValueError
            Its unit is not one of that.
        """
        if self.per_step is not None:
            one = _exact(self.per_step.value, self.per_step.unit, what)
            fixed = Fraction(0) if self.fixed is None else _exact(self.fixed.value, self.fixed.unit, what)
            return lambda steps: fixed + steps * one
        table = self.after or self.each
        assert table is not None
        values = [_exact(value, table.unit, what) for value in table.values]
        after = values if self.each is None else list(accumulate(values))
        return lambda steps: after[steps - 1]


class StepCosts(Strict):
    """What a network on a chip costs by the step after which a sample stops; latency, energy or both."""

    format: Literal["eventsnn-step-costs"]
    schema_: Literal[1] = Field(alias="schema")
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    not_modelled: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    latency: Cost | None = None
    energy: Cost | None = None

    @model_validator(mode="after")
    def _costs_something(self) -> StepCosts:
        found = self.costs
        if not found:
            raise ValueError("give 'latency', 'energy', or both")
        for what, cost in found.items():
            try:
                cost.totals(what)
            except ValueError as error:
                raise ValueError(f"{what}: {error}") from error
        lengths = {what: cost.steps for what, cost in found.items() if cost.steps is not None}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"tables of different lengths: {lengths}; give both for the same steps")
        return self

    @property
    def costs(self) -> dict[str, Cost]:
        """Those of latency and energy that are given."""
        given = {"latency": self.latency, "energy": self.energy}
        return {what: cost for what, cost in given.items() if cost is not None}

    @property
    def steps(self) -> int | None:
        """The most steps it knows; None for any number."""
        return next((cost.steps for cost in self.costs.values() if cost.steps is not None), None)

    def unit(self, what: str) -> str:
        """The unit of what ``total`` gives: ``s``, ``J`` or ``relative``."""
        return RELATIVE if self.costs[what].unit == RELATIVE else SI[what]

    def total(self, what: str, steps: int) -> Fraction:
        """Latency or energy of a sample that stops after so many steps, exactly.

        Raises
        ------
        InvalidRequest
            No whole number from 1 to the most that it knows, or this cost is not given.
        """
        if what not in self.costs:
            raise InvalidRequest(f"{self.name!r} has no {what}; it has {', '.join(self.costs)}")
        if steps < 1 or (self.steps is not None and steps > self.steps):
            upto = "" if self.steps is None else f" to {self.steps}"
            raise InvalidRequest(
                f"a sample that stops after {steps} steps: {self.name!r} knows steps from 1{upto}"
            )
        return self._totals[what](steps)

    @cached_property
    def _totals(self) -> dict[str, Callable[[int], Fraction]]:
        return {what: cost.totals(what) for what, cost in self.costs.items()}


def _presets() -> Traversable:
    return resources.files("eventsnn.hardware.stepped") / "presets"


def step_cost_names() -> list[str]:
    """The shipped costs by step."""
    return yaml_names(_presets())


def parse_step_costs(data: Any, where: str) -> StepCosts:
    """Validate a parsed YAML document.

    Raises
    ------
    InvalidHardware
        Each wrong place on its own line, with its path in the document.
    """
    try:
        return StepCosts.model_validate(data)
    except ValidationError as error:
        raise InvalidHardware(
            f"{where} is not a valid cost by step:\n"
            + places(error, StepCosts)
            + f"\ncorrect these places, or start from a preset ({', '.join(step_cost_names())})"
        ) from error


def load_step_costs(source: str | os.PathLike[str] | StepCosts) -> StepCosts:
    """Costs by step from a preset's name or a YAML file.

    Raises
    ------
    InvalidHardware
        No such preset or file, not YAML, or not valid.
    """
    if isinstance(source, StepCosts):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidHardware(
            f"a cost by step is a {type(source).__name__}; give a preset's name, a file, or a StepCosts"
        )
    name = arguments.path(source, "a cost by step", InvalidHardware)
    return parse_step_costs(preset_or_file(name, _presets(), "cost by step", "a cost by step"), name)
