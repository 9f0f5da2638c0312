"""Stops that know the label: what no rule can do, to compare rules with. No run can follow them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


def first_correct(right: NDArray[np.bool_], decided: NDArray[np.bool_]) -> int:
    """The first check whose decision is right; the number of checks where none is."""
    found = np.flatnonzero(right & decided)
    return int(found[0]) if len(found) else len(right)


def stays_correct(right: NDArray[np.bool_], decided: NDArray[np.bool_]) -> int:
    """The first check from which on every decision is right; the number of checks where none is.

    The "optimal cut-off timestep" of Wu et al. (2025, Frontiers in Neuroscience).
    """
    wrong = np.flatnonzero(~(right & decided))
    return int(wrong[-1]) + 1 if len(wrong) else 0


ORACLES: dict[str, Callable[[NDArray[np.bool_], NDArray[np.bool_]], int]] = {
    "first-correct": first_correct,
    "stays-correct": stays_correct,
}
