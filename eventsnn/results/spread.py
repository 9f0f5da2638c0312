"""How a cost is spread over samples, and energy times delay both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = (50, 90, 95, 99)


def spread(values: NDArray[Any]) -> dict[str, float] | None:
    """Mean, the 50th, 90th, 95th and 99th percentile (linear between samples) and the maximum.

    None when there is nothing to describe: no sample, or values that are not known (NaN).
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size or np.isnan(array).any():
        return None
    named = {f"p{q}": float(np.percentile(array, q)) for q in QUANTILES}
    return {"mean": float(array.mean()), **named, "max": float(array.max())}


def energy_delay(energy_j: NDArray[Any], latency_s: NDArray[Any]) -> tuple[float, float] | None:
    """Energy times delay: the mean of the samples' products, and the product of the means, joule seconds.

    They differ by the covariance of the two: slow samples cost more energy, too, so that the product of means
    flatters a rule. None where one of them is not known.
    """
    energy, latency = np.asarray(energy_j, dtype=np.float64), np.asarray(latency_s, dtype=np.float64)
    if not energy.size or np.isnan([energy, latency]).any():
        return None
    return float((energy * latency).mean()), float(energy.mean() * latency.mean())
