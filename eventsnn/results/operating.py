"""Points of a curve of error against operations that the literature reports.

B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), figures and notebooks: the best error, the first
within one point of it, a joint optimum of both, and the error at the original's operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WITHIN = 0.01


@dataclass(frozen=True)
class OperatingPoint:
    """A mean error (share) and mean operations; ``place`` is the row of the curve."""

    error: float
    operations: float
    place: int


def operating_points(
    error: NDArray[np.float64], operations: NDArray[np.float64], original: float | None = None
) -> dict[str, OperatingPoint | None]:
    """Four points of a curve, in any order of its rows.

    Parameters
    ----------
    error : float64 array, shape (points,)
        Shares from 0 to 1.
    operations : float64 array, shape (points,)
    original : float, optional
        Multiply-accumulates of the original.

    Returns
    -------
    dict
        ``best``: least error, then fewest operations. ``within_one_point``: fewest operations whose error is
        at most a hundredth above the best. ``joint``: nearest to no error at no operations, both divided by
        the largest on the curve, by Euclid's distance. ``at_original``: least error with at most
        ``original`` operations; None where that is unknown, or every point needs more.
    """
    order = np.lexsort((operations, error))
    best = int(order[0])
    # Shares are means of 0 and 1: a hundredth is meant, not what its rounding makes of it.
    allowed = np.flatnonzero(error <= error[best] + WITHIN + 1e-12)
    within = int(allowed[np.lexsort((error[allowed], operations[allowed]))[0]])
    distance = np.hypot(error / (error.max() or 1.0), operations / (operations.max() or 1.0))
    found: dict[str, OperatingPoint | None] = {
        name: OperatingPoint(float(error[place]), float(operations[place]), place)
        for name, place in (("best", best), ("within_one_point", within), ("joint", int(distance.argmin())))
    }
    affordable = [] if original is None else [place for place in order if operations[place] <= original]
    found["at_original"] = None
    if affordable:
        place = int(affordable[0])
        found["at_original"] = OperatingPoint(float(error[place]), float(operations[place]), place)
    return found
