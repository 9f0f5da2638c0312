"""Curves written as a table or drawn, as the name of the file says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.report.curve_plot import BEGINNINGS, write_curve_plot
from eventsnn.results.curves import joined
from eventsnn.results.results import Results
from eventsnn.results.stops import stops_of_rules
from eventsnn.results.tabular import WRITERS, write_table

WITHIN = 0.01
"""The survival of stop times is drawn at the cheapest threshold that costs no more accuracy."""


def write_curves(
    path: str | os.PathLike[str], results: Results, curves: dict[str, NDArray[Any]], title: str
) -> None:
    """Write curves of one run, by rule.

    Raises
    ------
    InvalidRequest
        An ending that is of no table and no plot, or a path that cannot be written.
    MissingExtra
        What the kind of file needs is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending in BEGINNINGS:
        times = cheap_stop_times(results, curves)
        write_curve_plot(path, curves, len(results), times, f"{title}, {len(results)} samples")
    elif ending in WRITERS:
        about = {
            "samples": len(results),
            "digest": results.digest,
            "version": results.configuration["version"],
        }
        write_table(path, joined(curves, len(results)), about)
    else:
        raise InvalidRequest(
            f"{path} has the ending {ending!r}; allowed are {', '.join([*WRITERS, *BEGINNINGS])}"
        )


def cheap_stop_times(
    results: Results, curves: dict[str, NDArray[Any]]
) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """Of each rule the cheapest threshold within a point of the full run, and when samples stop there."""
    if results.accuracy is None:
        return {}
    chosen = {}
    for rule, rows in curves.items():
        allowed = rows[rows["accuracy"] >= results.accuracy - WITHIN]
        if len(allowed):
            chosen[rule] = float(allowed[np.argmin(allowed["synaptic_operations"])]["threshold"])
    if not chosen:
        return {}
    thresholds = np.unique(list(chosen.values()))
    found = stops_of_rules(results.table, list(chosen), thresholds)
    return {
        rule: (threshold, stops.latency_s[:, int(np.searchsorted(thresholds, threshold))])
        for (rule, threshold), stops in zip(chosen.items(), found, strict=True)
    }
