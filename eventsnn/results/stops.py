"""Where a rule would have stopped each sample, at each of many thresholds, from one run's traces (law 6)."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import shown
from eventsnn.decide import RULES, ExitRule, asks_to_stop, check_rule, kernel_of, started
from eventsnn.errors import InvalidExitRule, InvalidRequest
from eventsnn.results.latency import time_passed
from eventsnn.results.table import ResultTable, SampleRecord

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stops:
    """Outcomes of samples by threshold; a sample that nothing stops early has those of its full run.

    Attributes
    ----------
    thresholds : float64 array, shape (thresholds,)
    early : bool array, shape (samples, thresholds)
        Whether the rule stopped the sample at a check.
    prediction : int64 array, shape (samples, thresholds)
        -1 where undecided.
    latency_s : float64 array, shape (samples, thresholds)
        Seconds since the first event; NaN where no time passes in any sample.
    synaptic_operations, spikes : int64 array, shape (samples, thresholds)
    energy_j : float64 array, shape (samples, thresholds)
        NaN without an accelerator. The energy of the decision unit, counted apart, is left out of stopped
        samples.
    label, full_prediction : int64 array, shape (samples,)
        -1 where unknown, and where undecided at the end of the full run.
    """

    thresholds: Float64
    early: NDArray[np.bool_]
    prediction: Int64
    latency_s: Float64
    synaptic_operations: Int64
    spikes: Int64
    energy_j: Float64
    label: Int64
    full_prediction: Int64


def thresholds_of(values: Any) -> Float64:
    """Thresholds as an array of numbers from 0 to 1.

    Raises
    ------
    InvalidExitRule
        They are none.
    """
    try:
        chosen = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidExitRule(f"thresholds are {shown(values)}; give numbers from 0 to 1") from error
    if chosen.ndim != 1 or np.asarray(values).dtype.kind == "c":
        raise InvalidExitRule(f"thresholds are {shown(values)}; give a list of numbers from 0 to 1")
    if not ((chosen >= 0) & (chosen <= 1)).all():
        raise InvalidExitRule("thresholds of a curve lie from 0 to 1")
    return chosen


def rule_of(rule: str | ExitRule) -> ExitRule:
    """A rule to be asked at any threshold, by its name or as it is.

    Raises
    ------
    InvalidExitRule
        Unknown.
    """
    if isinstance(rule, str) and rule not in RULES:
        raise InvalidExitRule(f"exit rule {rule!r} is not known; allowed are {', '.join(sorted(RULES))}")
    return RULES[rule](0.0) if isinstance(rule, str) else check_rule(rule)


def stops(table: ResultTable, rule: str | ExitRule, thresholds: Any) -> Stops:
    """Where a rule stops each sample at each threshold: as many separate runs would.

    Parameters
    ----------
    table : ResultTable
        A run without an exit rule.
    rule : str or ExitRule
        An exit rule's name, or a rule, with each of ``thresholds`` in place of its own. A rule of one's own
        is asked in Python.
    thresholds : float array
        Values from 0 to 1.

    Raises
    ------
    InvalidExitRule
        Unknown rule, or a threshold outside 0 to 1.
    InvalidRequest
        The run had an exit rule: its traces end where it stopped. Or it had one output, and decided nothing.
    """
    asked, chosen = rule_of(rule), thresholds_of(thresholds)
    _require_full_run(table)
    watts = float(table.configuration.get("static_watts", 0.0))
    delay_ps = int(table.configuration.get("decision_latency_ps", 0))
    rows = [_of_sample(table, sample, asked, chosen, watts, delay_ps) for sample in table.samples]
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    early, prediction, latency, operations, spikes, energy = columns
    whole = np.array([sample.latency_s for sample in table.samples])
    if np.isnan(time_passed(whole, table.configuration)).any():
        latency = np.full_like(latency, np.nan)
    return Stops(
        chosen, early, prediction, latency, operations, spikes, energy,
        table.column("label"), table.column("prediction"),
    )  # fmt: skip


def _require_full_run(table: ResultTable) -> None:
    if any(sample.trace["readout"].shape[1] < 2 for sample in table.samples):
        raise InvalidRequest("these results are of a network with one output; a decision needs two")
    if table.configuration.get("exit") not in (None, "none"):
        raise InvalidRequest(
            f"these results were run with the exit rule {table.configuration['exit']!r}, so their traces "
            "end where it stopped; run again with --exit none and take the curve of that"
        )


def _of_sample(
    table: ResultTable, sample: SampleRecord, rule: ExitRule, thresholds: Float64, watts: float, delay_ps: int
) -> tuple[NDArray[Any], ...]:
    """A sample's row of ``Stops``: early, prediction, latency, operations, spikes, energy."""
    trace = sample.trace
    # The last row of a full run's trace is its end, not a check.
    readout = weighed_trace(table, sample)[:-1]
    decided: NDArray[np.bool_] = np.any(readout != 0, axis=1)
    decided &= trace["time_ps"][:-1] >= sample.first_event_ps
    check = _stopping_checks(rule, thresholds, readout, decided, table.readout_scale)
    early = check < len(readout)
    time_ps = np.where(early, trace["time_ps"][check] + delay_ps, sample.decision_time_ps)
    latency = (time_ps - sample.first_event_ps) * 1e-12
    energy = np.full(len(thresholds), sample.energy_j)
    if not np.isnan(sample.energy_j):
        energy = np.where(early, trace["energy_aj"][check] * 1e-18 + watts * latency, energy)
    best = np.append(readout.argmax(1), sample.prediction)[check]
    return (
        early,
        np.where(early, best, sample.prediction),
        latency,
        np.where(early, trace["synaptic_operations"][check], sample.synaptic_operations),
        np.where(early, trace["spikes"][check], sample.spikes),
        energy,
    )


def weighed_trace(table: ResultTable, sample: SampleRecord) -> Int64:
    """What the decision looked at, check by check, shape (checks, classes)."""
    readout: Int64 = sample.trace["readout"]
    weights = table.decision_weights
    return readout if weights is None else readout * np.tile(weights, readout.shape[1] // len(weights))


def _stopping_checks(
    rule: ExitRule, thresholds: Float64, readout: Int64, decided: NDArray[np.bool_], scale: float
) -> Int64:
    """The first check that stops a run at each threshold; the number of checks where none does."""
    code = kernel_of(rule)
    if code is None:
        found = (_asked(rule, threshold, readout, decided, scale) for threshold in thresholds.tolist())
        return np.fromiter(found, np.int64, len(thresholds))
    from eventsnn.decide.trace_kernels import confidences

    sure = np.empty(len(readout))
    confidences(np.ascontiguousarray(readout), scale, code, sure)
    # The first check that reaches a threshold is the first whose largest confidence so far does.
    sure[~decided] = -np.inf
    return np.searchsorted(np.maximum.accumulate(sure), thresholds, side="left").astype(np.int64)


def _asked(rule: ExitRule, threshold: float, readout: Int64, decided: NDArray[np.bool_], scale: float) -> int:
    """The same of a rule that has no kernel: it is asked as it is in a run with that threshold."""
    asked = copy(rule)
    object.__setattr__(asked, "threshold", threshold)
    asked.__post_init__()
    watching = started(asked)
    assert watching is not None
    checks: Iterable[int] = map(int, np.flatnonzero(decided))
    return next((n for n in checks if asks_to_stop(watching, readout[n].tolist(), scale)), len(readout))
