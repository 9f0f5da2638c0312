"""Random times as integer inverse-CDF tables, so that draws repeat on every machine (design, law 10)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware.actions import Action

TABLE_LENGTH = 4096


def time_table(action: Action, clock_hz: float, factor: float = 1.0) -> NDArray[np.int64]:
    """Equally likely times of an action in ticks, ascending; one if its time is constant.

    A draw is a uniform index into the table. Negative values of a distribution are cut to zero and the table
    is shifted back to its mean, as far as that keeps it positive: an action that takes time takes at least a
    tick each time, so that services of none and of some time do not mix. ``factor`` scales all times (a
    process corner's).
    """
    if action.time is None:
        return np.zeros(1, dtype=np.int64)
    mean = round(action.time.ticks(clock_hz) * factor)
    jitter = action.jitter
    if jitter is None:
        return np.array([mean], dtype=np.int64)
    quantile = (np.arange(TABLE_LENGTH) + 0.5) / TABLE_LENGTH
    if jitter.distribution == "empirical":
        observed = np.array([value.ticks(clock_hz) for value in jitter.values], dtype=np.float64)
        if len(np.unique(observed)) == 1 or mean == 0:
            return np.array([mean], dtype=np.int64)
        values = np.quantile(observed, quantile) * (mean / observed.mean())
        return np.maximum(np.rint(values), 1).astype(np.int64)
    assert jitter.deviation is not None
    deviation = round(jitter.deviation.ticks(clock_hz) * factor)
    if deviation == 0 or mean == 0:
        return np.array([mean], dtype=np.int64)
    from scipy import stats

    if jitter.distribution == "uniform":
        half = deviation * np.sqrt(3.0)
        values = stats.uniform(mean - half, 2 * half).ppf(quantile)
    elif jitter.distribution == "normal":
        values = stats.norm(mean, deviation).ppf(quantile)
    elif jitter.distribution == "lognormal":
        variance = np.log1p((deviation / mean) ** 2)
        values = stats.lognorm(np.sqrt(variance), scale=mean * np.exp(-variance / 2)).ppf(quantile)
    else:
        shape = (mean / deviation) ** 2
        values = stats.gamma(shape, scale=deviation**2 / mean).ppf(quantile)
    values = np.maximum(values, 0.0)
    return np.maximum(np.rint(values + (mean - values.mean())), 1).astype(np.int64)
