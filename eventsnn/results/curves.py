"""Trade-off curves from recorded traces: one run serves every threshold (design, law 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.arguments import whole
from eventsnn.decide import ExitRule
from eventsnn.errors import InvalidRequest
from eventsnn.results.stops import Stops, stops_of_rules, thresholds_of
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
        ("decision_operations", "f8"),
        ("rejected", "f8"),
    ]
)
COSTS = ("latency_s", "synaptic_operations", "energy_j")
Z = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations
BYTES_OF_STOP = 49
"""What ``Stops`` takes for a sample and a threshold."""
MOST_BYTES = 1 << 28
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
    where no time passes (``Results.latency_s``). ``rejected`` is the share answered "none of these", which is
    neither right nor in ``accuracy``; ``decision_operations`` are what the decision unit compared.
    """
    return trade_offs(table, [rule], thresholds)[0]


def trade_offs(
    table: ResultTable, rules: Sequence[str | ExitRule], thresholds: NDArray[Any] | None = None
) -> list[NDArray[Any]]:
    """``trade_off`` of several rules; traces are read once for as many of them as memory allows."""
    chosen = thresholds_of(DEFAULT_THRESHOLDS if thresholds is None else thresholds)
    at_once = max(1, MOST_BYTES // max(1, BYTES_OF_STOP * len(table.samples) * len(chosen)))
    found: list[NDArray[Any]] = []
    for first in range(0, len(rules), at_once):
        found += map(_means, stops_of_rules(table, rules[first : first + at_once], chosen))
    return found


def _means(found: Stops) -> NDArray[Any]:
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
        ("decision_operations", found.decision_operations),
        ("rejected", found.rejected),
    ):
        # By sample in index order, as means of separate runs are taken.
        curve[name] = np.ascontiguousarray(values.T, dtype=np.float64).mean(axis=1)
    return curve


def even_thresholds(number: int) -> NDArray[np.float64]:
    """So many thresholds from 0 to 1: half of them evenly, half ever denser near 1.

    Confidences of softmax lie near 1, and there a curve has most of its points.

    Raises
    ------
    InvalidRequest
        Fewer than two.
    """
    number = whole(number, "thresholds", InvalidRequest, 2, 100_000)
    if number == 2:
        return np.array([0.0, 1.0])
    near = (number - 1) // 2
    even = np.linspace(0.0, 1.0, number - near)
    return np.sort(np.append(even, 1 - 10.0 ** -np.linspace(1.05, 8.05, near)))


def wilson_interval(share: ArrayLike, trials: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a share of ``trials`` lies with 95 %: E. B. Wilson, JASA 22:209-212, 1927.

    Parameters
    ----------
    share : float array, any shape
        From 0 to 1; NaN gives NaN.
    trials : int

    Returns
    -------
    low, high : float64 arrays of that shape
    """
    p = np.asarray(share, dtype=np.float64)
    middle = (p + Z * Z / (2 * trials)) / (1 + Z * Z / trials)
    half = Z / (1 + Z * Z / trials) * np.sqrt(p * (1 - p) / trials + Z * Z / (4 * trials * trials))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def pareto(cost: NDArray[Any], accuracy: NDArray[Any]) -> NDArray[np.bool_]:
    """Which points no other beats: none costs less or as much and is more accurate, or costs less and is as
    accurate. Points without a cost or an accuracy are on no front.

    Parameters
    ----------
    cost, accuracy : float arrays, shape (points,)
    """
    on_front = np.zeros(len(cost), dtype=bool)
    known = np.flatnonzero(~np.isnan(cost) & ~np.isnan(accuracy))
    best, at = -np.inf, np.inf
    for i in known[np.lexsort((-accuracy[known], cost[known]))].tolist():
        on_front[i] = accuracy[i] > best or (accuracy[i] == best and cost[i] == at)
        if accuracy[i] > best:
            best, at = accuracy[i], cost[i]
    return on_front


def joined(curves: dict[str, NDArray[Any]], samples: int) -> dict[str, NDArray[Any]]:
    """Curves of rules as one table.

    Parameters
    ----------
    curves : dict of structured arrays
        By rule, of ``CURVE_DTYPE``.
    samples : int
        Over which they are means.

    Returns
    -------
    dict of arrays, one row for each rule and threshold: ``rule``, the fields of ``CURVE_DTYPE``, the interval
    of the accuracy (Wilson, 95 %), and for each cost whether the point is on the front of all rules.
    """
    rows = np.concatenate(list(curves.values()))
    found: dict[str, NDArray[Any]] = {
        "rule": np.repeat(list(curves), [len(curve) for curve in curves.values()])
    }
    for name in CURVE_DTYPE.names or ():
        found[name] = rows[name]
        if name == "accuracy":
            found["accuracy_low"], found["accuracy_high"] = wilson_interval(rows[name], samples)
    for name in COSTS:
        found[f"front_{name}"] = pareto(rows[name], rows["accuracy"])
    return found
