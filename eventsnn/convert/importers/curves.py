"""Functions of one value, element by element, as compositions of scales, clips and one rounding.

Networks trained with integer activations write them in many ways: ``theta * floor(clip(x / theta, 0, 1) * L
+ 1/2) / L``, ``s * clip(round(x / s), 0, 15)``, ``(y - x).detach() + x`` around either. What they compute is
found here by following the arithmetic, so that names of classes do not matter.

Three kinds, each of a value ``x``; arrays broadcast to its shape:

- ``Ramp``: ``clip(x / unit + shift, low, high)``;
- ``Stairs``: ``scale * clip(rounding(x / unit + shift), lowest, largest) + offset``;
- ``Jump``: one of three values, below, at and above a point.

Each operation gives the composed curve, or None where it is none of the three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

NEARLY = 1e-9
"""Bounds on levels are integers up to rounding errors of this relative size."""

_ROUND: dict[str, Callable[[Float64], Float64]] = {"floor": np.floor, "half-even": np.rint}


@dataclass(frozen=True, eq=False)
class Ramp:
    """``clip(x / unit + shift, low, high)``."""

    unit: Float64
    shift: Float64
    low: Float64
    high: Float64

    def scaled(self, factor: Float64) -> Ramp | None:
        """Times a factor of one sign, not zero."""
        if (factor > 0).all():
            return Ramp(self.unit / factor, self.shift * factor, self.low * factor, self.high * factor)
        if (factor < 0).all():
            return Ramp(self.unit / factor, self.shift * factor, self.high * factor, self.low * factor)
        return None

    def divided(self, divisor: Float64) -> Ramp | None:
        """Divided by numbers of one sign: apart from ``scaled``, as both round."""
        if (divisor > 0).all():
            return Ramp(self.unit * divisor, self.shift / divisor, self.low / divisor, self.high / divisor)
        if (divisor < 0).all():
            return Ramp(self.unit * divisor, self.shift / divisor, self.high / divisor, self.low / divisor)
        return None

    def moved(self, by: Float64) -> Ramp | None:
        """Plus a number."""
        return Ramp(self.unit, self.shift + by, self.low + by, self.high + by)

    def clamped(self, low: Float64, high: Float64) -> Ramp | None:
        """At least ``low``, then at most ``high``."""
        return replace(
            self,
            low=np.minimum(np.maximum(self.low, low), high),
            high=np.minimum(np.maximum(self.high, low), high),
        )

    def rounded(self, rounding: str) -> Stairs | None:
        """Rounded to integers. A rounding never decreases, so it may be done before the clip."""
        if not (self.unit > 0).all():
            return None
        low, high = _ROUND[rounding](self.low), _ROUND[rounding](self.high)
        one = np.ones_like(self.unit)
        return Stairs(self.unit, self.shift, rounding, low, high, one, np.zeros_like(one))

    def decided(self, decide: Callable[[float], float]) -> Jump | None:
        """A function of the sign alone: ``decide`` of a negative number, of 0, of a positive one."""
        low, high = np.unique(self.low), np.unique(self.high)
        if not (self.unit > 0).all() or len(low) > 1 or len(high) > 1 or not low[0] <= 0 <= high[0]:
            return None
        return Jump(
            self.shift * self.unit,
            decide(float(np.sign(low[0]))),
            decide(0.0),
            decide(float(np.sign(high[0]))),
        )


@dataclass(frozen=True, eq=False)
class Stairs:
    """``scale * clip(rounding(x / unit + shift), lowest, largest) + offset``."""

    unit: Float64
    shift: Float64
    rounding: str
    lowest: Float64
    largest: Float64
    scale: Float64
    offset: Float64

    def scaled(self, factor: Float64) -> Stairs | None:
        """Times a factor other than zero."""
        if not (factor != 0).all():
            return None
        return replace(self, scale=self.scale * factor, offset=self.offset * factor)

    def divided(self, divisor: Float64) -> Stairs | None:
        """Divided by numbers."""
        if not (divisor != 0).all():
            return None
        return replace(self, scale=self.scale / divisor, offset=self.offset / divisor)

    def moved(self, by: Float64) -> Stairs | None:
        """Plus a number."""
        return replace(self, offset=self.offset + by)

    def clamped(self, low: Float64, high: Float64) -> Stairs | None:
        """At least ``low``, then at most ``high``: None where that is no level and makes a difference."""
        if not ((self.scale > 0).all() or (self.scale < 0).all()):
            return None
        bounds = ((low - self.offset) / self.scale, (high - self.offset) / self.scale)
        below, above = bounds if (self.scale > 0).all() else bounds[::-1]
        lowest, largest = np.broadcast_arrays(self.lowest, self.largest)
        for bound in (below, above):
            within = np.where((lowest < bound) & (bound < largest), bound, 0.0)
            level = np.rint(within)
            if (np.abs(within - level) > NEARLY * np.maximum(1, np.abs(level))).any():
                return None
        below, above = np.rint(below), np.rint(above)
        return replace(
            self,
            lowest=np.minimum(np.maximum(lowest, below), above),
            largest=np.minimum(np.maximum(largest, below), above),
        )

    def rounded(self, rounding: str) -> Stairs | None:
        """The same, where the values are integers already."""
        whole = (np.rint(self.scale) == self.scale).all() and (np.rint(self.offset) == self.offset).all()
        return self if whole else None

    def decided(self, decide: Callable[[float], float]) -> Jump | None:
        """No rule: a step of levels jumps between them, at no place that is given."""
        return None


@dataclass(frozen=True, eq=False)
class Jump:
    """``below`` where ``x + moved_by < 0``, ``at`` where it is 0, ``above`` where it is more."""

    moved_by: Float64
    below: float
    at: float
    above: float

    def _each(self, function: Callable[[Float64], Float64], *numbers: Float64) -> Jump | None:
        if any(np.size(number) != 1 for number in numbers):
            return None
        three = function(np.array([self.below, self.at, self.above]))
        return Jump(self.moved_by, *(float(value) for value in np.ravel(three)))

    def scaled(self, factor: Float64) -> Jump | None:
        """Times a number."""
        return self._each(lambda three: three * factor.ravel(), factor)

    def divided(self, divisor: Float64) -> Jump | None:
        """Divided by a number."""
        return self._each(lambda three: three / divisor.ravel(), divisor)

    def moved(self, by: Float64) -> Jump | None:
        """Plus a number."""
        return self._each(lambda three: three + by.ravel(), by)

    def clamped(self, low: Float64, high: Float64) -> Jump | None:
        """At least ``low``, then at most ``high``."""
        return self._each(lambda three: np.minimum(np.maximum(three, low.ravel()), high.ravel()), low, high)

    def rounded(self, rounding: str) -> Jump | None:
        """Rounded to integers."""
        return self._each(_ROUND[rounding])

    def decided(self, decide: Callable[[float], float]) -> Jump | None:
        """A function of the sign."""
        return Jump(self.moved_by, *(decide(float(np.sign(v))) for v in (self.below, self.at, self.above)))


Curve = Ramp | Stairs | Jump


def identity(rank: int) -> Ramp:
    """``x`` itself, of a value with so many axes."""
    shape = (1,) * rank
    return Ramp(np.ones(shape), np.zeros(shape), np.full(shape, -np.inf), np.full(shape, np.inf))
