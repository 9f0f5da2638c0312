"""What the parts of exit rules have in common: names, parameters as text, checks of their values.

A part is a frozen dataclass. Its fields are its parameters, written as ``name=value`` in a rule's text (with
``-`` for ``_``, several values separated by ``;``). Each part says how it works in Python, which is what the
reference engine runs, and by ``code`` and its parameters which lines of ``kernels`` do the same. A part of
one's own needs no ``code``: a rule with it is asked in Python everywhere. It is called as its class, unless
it has a ``name``.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

from eventsnn.arguments import number
from eventsnn.errors import InvalidExitRule

PS_PER_US = 10**6
LONGEST_US = 2**40


@dataclass(frozen=True)
class Part:
    """One part of an exit rule."""

    name: ClassVar[str]
    code: ClassVar[int]
    of_spikes: ClassVar[bool | None] = None
    """Whether it needs an output that spikes (True), or one whose charge is read (False)."""
    of_steps: ClassVar[bool] = False
    """Whether it needs the step schedule."""
    of_time: ClassVar[bool] = False
    """Whether it looks at the time of a check."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # One derived from another works otherwise, and so is not called the same.
        if "name" not in vars(cls):
            cls.name = cls.__name__

    @property
    def parameters(self) -> dict[str, Any]:
        """Values by key, those that are not the default."""
        found = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.default is MISSING or value != item.default:
                found[item.name.replace("_", "-")] = value
        return found

    def numbers(self, name: str, least: float, most: float) -> tuple[float, ...]:
        """A parameter that is a list of numbers, checked and put back."""
        given = getattr(self, name)
        values = given if isinstance(given, list | tuple) else (given,)
        if not values:
            raise InvalidExitRule(f"{self._called(name)} is empty; give one value or more")
        found = tuple(self._number(name, value, least, most) for value in values)
        object.__setattr__(self, name, found)
        return found

    def within(self, name: str, least: float, most: float) -> None:
        """Check a parameter that is a number."""
        object.__setattr__(self, name, self._number(name, getattr(self, name), least, most))

    def positive(self, name: str) -> None:
        """Check a parameter that something is divided by: so far above 0 that no quotient overflows."""
        self.within(name, 1e-9, 1e12)

    def duration(self, name: str) -> None:
        """Check a parameter that is a time in microseconds, a picosecond or longer."""
        self.within(name, 1 / PS_PER_US, LONGEST_US)

    def whole(self, name: str, least: int, most: int) -> None:
        """Check a parameter that is a whole number."""
        value = self._number(name, getattr(self, name), least, most)
        if value != int(value):
            raise InvalidExitRule(
                f"{self._called(name)} is {value:g}; allowed are whole numbers from {least} to {most}"
            )
        object.__setattr__(self, name, int(value))

    def _number(self, name: str, value: Any, least: float, most: float) -> float:
        found = float(number(value, self._called(name), InvalidExitRule))
        if not least <= found <= most:
            raise InvalidExitRule(
                f"{self._called(name)} is {found:g}; allowed are numbers from {least:g} to {most:g}"
            )
        return found

    def _called(self, name: str) -> str:
        return f"{name.replace('_', '-')} of an exit rule"


def ticks(microseconds: float) -> int:
    """Microseconds as the nearest picosecond."""
    return round(microseconds * PS_PER_US)
