"""Jitter as integer inverse-CDF tables, so that draws repeat on every machine (design, law 10)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware.architecture import Jitter

TABLE_LENGTH = 4096


def jitter_table(jitter: Jitter | None, clock_hz: float) -> NDArray[np.int64]:
    """Equally likely extra times in ticks, ascending; one zero when there is no jitter.

    A draw is a uniform index into the table. A deviation of zero gives a table of one constant.
    Negative values of a distribution are cut to zero and the table is shifted back to its mean, as far
    as that keeps it non-negative.
    """
    if jitter is None:
        return np.zeros(1, dtype=np.int64)
    mean, deviation = jitter.mean.ticks(clock_hz), jitter.deviation.ticks(clock_hz)
    if deviation == 0:
        return np.array([mean], dtype=np.int64)
    from scipy import stats

    quantile = (np.arange(TABLE_LENGTH) + 0.5) / TABLE_LENGTH
    if jitter.distribution == "uniform":
        half = deviation * np.sqrt(3.0)
        values = stats.uniform(mean - half, 2 * half).ppf(quantile)
    elif jitter.distribution == "normal":
        values = stats.norm(mean, deviation).ppf(quantile)
    elif jitter.distribution == "lognormal":
        variance = np.log1p((deviation / max(mean, 1)) ** 2)
        values = stats.lognorm(np.sqrt(variance), scale=max(mean, 1) * np.exp(-variance / 2)).ppf(quantile)
    else:
        shape = (max(mean, 1) / deviation) ** 2
        values = stats.gamma(shape, scale=deviation**2 / max(mean, 1)).ppf(quantile)
    values = np.maximum(values, 0.0)
    return np.maximum(np.rint(values + (mean - values.mean())), 0).astype(np.int64)
