"""Random times as integer inverse-CDF tables, so that draws repeat on every machine (design, law 10)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware.actions import Action

TABLE_LENGTH = 4096


def time_table(action: Action, clock_hz: float, factor: float = 1.0) -> NDArray[np.int64]:
    """Equally likely times of an action in ticks, ascending; one if its time is constant.

    A draw is a uniform index into the table, of observed times into these. An action that takes time takes at
    least a tick each time, so that services of none and of some time do not mix; where a distribution goes
    below that it is cut, and shifted down so that the mean stays ``Action.time``. ``factor`` scales all times
    (a process corner's).
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
        return _about(np.sort(observed) * (mean / observed.mean()), mean)
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
    return _about(values, mean)


def _about(values: NDArray[np.float64], mean: int) -> NDArray[np.int64]:
    """Ascending values shifted so that their mean is ``mean`` once none is below a tick, in whole ticks."""
    number = len(values)
    # The k smallest are cut to a tick; the others, moved by shift[k], make up the rest of the sum.
    cut = np.arange(number)
    shift = (number * mean - cut - np.cumsum(values[::-1])[::-1]) / (number - cut)
    first = int(np.argmax(values + shift > 0.5))  # what rounds to a tick is not cut
    return np.maximum(np.rint(values + shift[first]), 1).astype(np.int64)
