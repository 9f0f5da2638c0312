"""Exponential and logarithm without a mathematics library: tables, and IEEE additions and multiplications.

Libraries round the last digit as they please, and a stop that hangs on it would differ between machines.
Here each operation is one that IEEE 754 rounds in one way only (+, -, x, /, comparisons, conversions), and
the tables are computed in decimal arithmetic, so a result is bit for bit the same everywhere, compiled or
not. ``exponential`` is within 2 units in the last place, ``logarithm`` within 1e-15 (tests hold both to it).
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 64
"""Entries of the exponential table per factor of 2; half as many of the logarithm's."""
LEAST = -708.0
"""Below, an exponential counts as 0: it is less than 1e-307."""


def _tables() -> tuple[float, float, float, list[float], list[float]]:
    with localcontext() as context:
        context.prec = 40
        two = Decimal(2).ln()
        high = float(int(two / STEPS * 2**36)) / 2.0**36  # times a whole number below 2^20 it is exact
        low = float(two / STEPS - Decimal(high))
        roots = [float((-two * j / STEPS).exp()) for j in range(STEPS)]
        logarithms = [float((1 + (j + Decimal("0.5")) / STEPS).ln()) for j in range(STEPS)]
        return float(two), high, low, roots, logarithms


LN_2, _HIGH, _LOW, _roots, _logarithms = _tables()
_PER_STEP = STEPS / LN_2
_ROOTS: NDArray[np.float64] = np.array(_roots)  # 2^(-j / STEPS)
_HALVES: NDArray[np.float64] = 0.5 ** np.arange(1023.0)
_LOGARITHMS: NDArray[np.float64] = np.array(_logarithms)  # ln(1 + (j + 1/2) / STEPS)


def exponential(x: Any) -> Any:
    """e^x for x <= 0: 2^(-n / STEPS) from tables, times e^r by its series, |r| <= ln 2 / (2 STEPS)."""
    if x < LEAST:
        return 0.0
    n = int(0.5 - x * _PER_STEP)
    r = (x + n * _HIGH) + n * _LOW
    series = r + r * r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0))))
    root = _ROOTS[n % STEPS]
    return (root + root * series) * _HALVES[n // STEPS]


def logarithm(x: Any) -> Any:
    """ln x for finite x >= 1: halvings, then a table and the series about its entry."""
    halvings = 0
    while x >= 2.0:
        x *= 0.5
        halvings += 1
    j = int((x - 1.0) * STEPS)
    middle = 1.0 + (j + 0.5) / STEPS
    r = (x - middle) / middle
    series = r * (1.0 - r * (0.5 - r * (1.0 / 3.0 - r * (0.25 - r * (0.2 - r * (1.0 / 6.0 - r / 7.0))))))
    return halvings * LN_2 + (_LOGARITHMS[j] + series)
