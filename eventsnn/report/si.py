"""Numbers as a reader wants them: three digits, an SI prefix and a unit."""

from __future__ import annotations

import math

NO_VALUE = "–"
SPACE = "\u00a0"  # a number and its unit stay on one line
_PREFIXES = {
    -18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"
}  # fmt: skip


def prefix_of(value: float) -> tuple[float, str]:
    """The factor and name of the SI prefix that leaves one to three digits before the point."""
    if value == 0 or not math.isfinite(value):
        return 1.0, ""
    exponent = 3 * math.floor(math.log10(abs(value)) / 3 + 1e-12)
    exponent = min(max(exponent, min(_PREFIXES)), max(_PREFIXES))
    return 10.0**exponent, _PREFIXES[exponent]


def three_digits(value: float) -> str:
    """A number of at most three digits before the point with three significant ones in all."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)) + 1e-12)
    return f"{value:.{max(digits, 0)}f}"


def si(value: float | None, unit: str = "") -> str:
    """``si(1234.0, 'J')`` is 1.23 kJ; whole numbers below 1000 stay whole; a dash for None and NaN."""
    if value is None or math.isnan(value):
        return NO_VALUE
    if value == int(value) and abs(value) < 1000:
        return f"{int(value)}{SPACE}{unit}".rstrip()
    # Rounding first moves 999.9 to the next prefix.
    rounded = float(f"{value:.3g}")
    factor, prefix = prefix_of(rounded)
    return f"{three_digits(rounded / factor)}{SPACE}{prefix}{unit}".rstrip()


def percent(share: float | None) -> str:
    """``percent(0.9)`` is 90.0 %; a dash for None and NaN."""
    if share is None or math.isnan(share):
        return NO_VALUE
    return f"{100 * share:.1f}{SPACE}%"
