"""Trade-off curves from recorded traces: one run serves every threshold (design, law 6)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide import ExitRule
from eventsnn.results.stops import stops
from eventsnn.results.table import ResultTable

CURVE_DTYPE = np.dtype(
    [
        ("threshold", "f8"),
        ("accuracy", "f8"),
        ("latency_s", "f8"),
        ("synaptic_operations", "f8"),
        ("spikes", "f8"),
        ("energy_j", "f8"),
        ("decided_early", "f8"),
    ]
)
DEFAULT_THRESHOLDS = np.concatenate([np.linspace(0.0, 0.9, 19), [0.95, 0.98, 0.99, 0.999, 1.0]])


def trade_off(
    table: ResultTable, rule: str | ExitRule = "margin", thresholds: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Mean accuracy, latency, operations and energy for every threshold.

    A sample stops at its first check whose confidence reaches the threshold, else with its full run:
    each row equals a separate run with that rule (design, law 6).

    Parameters
    ----------
    table, rule, thresholds
        As of ``eventsnn.results.stops.stops``, which also tells what is refused; ``DEFAULT_THRESHOLDS``
        unless given.

    Returns
    -------
    structured array with the fields of ``CURVE_DTYPE``, one row per threshold, means over samples;
    ``energy_j`` is NaN without an accelerator, ``accuracy`` is NaN without labels, ``latency_s`` is NaN
    where no time passes (``Results.latency_s``).
    """
    found = stops(table, rule, DEFAULT_THRESHOLDS if thresholds is None else thresholds)
    right = np.where(found.label[:, None] < 0, np.nan, found.prediction == found.label[:, None])
    curve = np.zeros(len(found.thresholds), dtype=CURVE_DTYPE)
    curve["threshold"] = found.thresholds
    for name, values in (
        ("accuracy", right),
        ("latency_s", found.latency_s),
        ("synaptic_operations", found.synaptic_operations),
        ("spikes", found.spikes),
        ("energy_j", found.energy_j),
        ("decided_early", found.early),
    ):
        # By sample in index order, as means of separate runs are taken.
        curve[name] = np.ascontiguousarray(values.T, dtype=np.float64).mean(axis=1)
    return curve
