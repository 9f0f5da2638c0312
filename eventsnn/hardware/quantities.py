"""Numbers with a unit, a kind, an origin and a source: the only way a cost enters an architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

TICKS_PER_SECOND = 10**12
# Sums of times and energies must stay within 64 bits.
LONGEST_S = 1000.0
LARGEST_J = 1e-3
ATTOJOULES_PER_JOULE = 10**18

TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}
ENERGY_UNITS = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15, "aJ": 1e-18}
POWER_UNITS = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "nW": 1e-9}
FREQUENCY_UNITS = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}


ORIGINS: dict[str, str] = {
    "documented": "its source says it of this accelerator, or of the part that is modelled; at most units "
    "were converted, sums or differences taken",
    "fitted": "chosen so that the model gives published figures: a line through powers, micro-benchmarks",
    "scaled": "a published figure times a factor: another width, size or chip",
    "inherited": "the figure of another accelerator or process, unchanged",
    "assumed": "chosen, for want of a source",
}
"""How a number came to stand for an accelerator, and what each word means."""
CONTRADICTORY = (("published", "assumed"), ("assumed", "documented"), ("assumed", "fitted"))


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is a truth value; give a number")
    return value


def _whole(value: Any) -> Any:
    """YAML's numbers alone: no truth value, no text; 4.0 is 4."""
    if isinstance(_no_truth_value(value), str):
        raise ValueError(f"{value!r} is a text; give a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_no_truth_value), Field(ge=0, allow_inf_nan=False)]
# A value as it stands, or an end of its band.
End = Literal["low", "nominal", "high"]
ENDS: tuple[End, End] = ("low", "high")
ALL_ENDS: tuple[End, ...] = ("low", "nominal", "high")


class Quantity(BaseModel):
    """A non-negative number, its unit, how it is known, and where from.

    ``kind`` is ``published`` (the number stands in the source), ``measured`` (by who wrote the file),
    ``derived`` (computed from published ones), ``estimated`` or ``assumed``; ``basis`` what the source
    looked at. ``origin`` says how the number came to stand for this accelerator, one of ``ORIGINS``; None is
    not said. ``band`` is the lowest and the highest value it may have, in the same unit; without one the
    value stands alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Number
    unit: str
    kind: Literal["published", "measured", "derived", "estimated", "assumed"]
    source: str = Field(min_length=1)
    basis: Literal["silicon", "simulation", "specification"] | None = None
    origin: Literal["documented", "fitted", "scaled", "inherited", "assumed"] | None = None
    band: tuple[Number, Number] | None = None

    @model_validator(mode="after")
    def _known_as_it_came(self) -> Quantity:
        if (self.kind, self.origin) in CONTRADICTORY:
            raise ValueError(
                f"kind {self.kind!r} and origin {self.origin!r} contradict each other: a figure that "
                "stands in its source is not assumed, and one that is assumed is not documented"
            )
        return self

    @model_validator(mode="after")
    def _inside_its_band(self) -> Quantity:
        if self.band is not None and not self.band[0] <= self.value <= self.band[1]:
            raise ValueError(f"value {self.value:g} {self.unit} lies outside its band {list(self.band)}")
        return self

    def end(self, end: End) -> Quantity:
        """The quantity at an end of its band; itself if it has none."""
        if end == "nominal" or self.band is None:
            return self
        return self.at(self.band[ENDS.index(end)])

    def at(self, value: float) -> Quantity:
        """The same quantity with another value, and no band."""
        return self.model_copy(update={"value": value, "band": None})

    def _scaled(self, units: dict[str, float], what: str) -> float:
        if self.unit not in units:
            raise ValueError(f"unit {self.unit!r} is not a unit of {what}; allowed are {', '.join(units)}")
        return self.value * units[self.unit]

    def ticks(self, clock_hz: float) -> int:
        """A time in whole ticks of 1 ps; ``cycles`` are cycles of the clock, 0 Hz if there is none."""
        if self.unit == "cycles":
            if clock_hz == 0:
                raise ValueError("a time in cycles needs a 'clock'; give one, or the time in seconds")
            seconds = self.value / clock_hz
        else:
            seconds = self._scaled(TIME_UNITS, "time (or 'cycles')")
        if seconds > LONGEST_S:
            raise ValueError(f"{self.value:g} {self.unit} is longer than an action may take, {LONGEST_S} s")
        return round(seconds * TICKS_PER_SECOND)

    def joules(self) -> float:
        """An energy in joules."""
        return self._scaled(ENERGY_UNITS, "energy")

    def attojoules(self) -> int:
        """An energy in whole attojoules: integers, so that sums are exact and order-free."""
        joules = self.joules()
        if joules > LARGEST_J:
            raise ValueError(f"{self.value:g} {self.unit} is more than an action may cost, {LARGEST_J} J")
        return round(joules * ATTOJOULES_PER_JOULE)

    def watts(self) -> float:
        """A power in watts."""
        return self._scaled(POWER_UNITS, "power")

    def hertz(self) -> float:
        """A frequency in hertz."""
        return self._scaled(FREQUENCY_UNITS, "frequency")

    def count(self, units: Sequence[str] = ()) -> int:
        """A plain count, of one of ``units`` if any are named: nothing is converted, not even thousands."""
        if units and self.unit not in units:
            raise ValueError(
                f"unit {self.unit!r} is not what is counted here; allowed are {', '.join(units)}"
            )
        if self.value != int(self.value):
            raise ValueError(f"{self.value} {self.unit} is not a whole number")
        return int(self.value)
