"""How sure a share of samples is: exact binomial intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.report.si import NO_VALUE, percent
from eventsnn.report.tables import Cell

CONFIDENCE = 0.95


def binomial_interval(
    successes: ArrayLike, trials: int, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval of a share by Clopper and Pearson (Biometrika 26:404-413, 1934).

    It holds the true share in at least ``confidence`` of all cases.

    Parameters
    ----------
    successes : int or float array, any shape
        From 0 to ``trials``; no whole number where a share is a mean over seeds.
    trials : int
        Samples, at least 1.
    confidence : float

    Returns
    -------
    low, high : float64 arrays of the shape of ``successes``, from 0 to 1; NaN where that is NaN
    """
    from scipy.stats import beta

    found, tail = np.asarray(successes, dtype=np.float64), (1 - confidence) / 2
    # At either end the beta distribution has no such quantile, and the interval is one-sided.
    low = np.where(found <= 0, 0.0, beta.ppf(tail, np.maximum(found, 1e-9), trials - found + 1))
    high = np.where(found >= trials, 1.0, beta.ppf(1 - tail, found + 1, np.maximum(trials - found, 1e-9)))
    unknown = np.isnan(found)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def share_interval(share: ArrayLike, trials: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``binomial_interval`` of shares of ``trials`` samples."""
    return binomial_interval(np.asarray(share, dtype=np.float64) * trials, trials)


def interval_text(share: float | None, trials: int) -> str:
    """The interval of a share as text; nothing where it is unknown."""
    if share is None or np.isnan(share):
        return ""
    low, high = share_interval(share, trials)
    return f"{percent(float(low))} to {percent(float(high))}"


def share_cell(share: float | None, trials: int) -> Cell:
    """A share with its interval below it."""
    return Cell(NO_VALUE if share is None else percent(share), interval_text(share, trials))
