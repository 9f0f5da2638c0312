"""Integer rounding, the same for Python integers and int64 arrays."""

from __future__ import annotations

from typing import Any

from eventsnn.network.neurons import LEAK_ONE


def round_half_away(numerator: Any, denominator: int) -> Any:
    """``numerator / denominator`` to the nearest integer, halves away from zero; denominator above 0."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude * ((numerator > 0) * 1 - (numerator < 0) * 1)


def leaked(charge: int, factor: int) -> int:
    """What a grid leak leaves of a charge: ``round_half_away(charge factor / 2^30)``, |charge| < 2^31."""
    return int(round_half_away(charge * factor, LEAK_ONE))
