"""Where a rule would have stopped each sample, at each of many thresholds, from one run's traces (law 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from eventsnn.results.traces import classes_of, pack_trace

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
    return stops_of_rules(table, [rule], thresholds)[0]


def stops_of_rules(table: ResultTable, rules: Sequence[str | ExitRule], thresholds: Any) -> list[Stops]:
    """``stops`` of several rules: each trace is read once for all."""
    asked, chosen = [rule_of(rule) for rule in rules], thresholds_of(thresholds)
    _require_full_run(table)
    shape = (len(table.samples), len(chosen))
    found: list[list[NDArray[Any]]] = [
        [np.empty(shape, kind) for kind in ("?", "i8", "f8", "i8", "i8", "f8")] for _ in asked
    ]
    for row, sample in enumerate(table.samples):
        checks = _Checks.of(table, sample)
        for rule, columns in zip(asked, found, strict=True):
            values = checks.stopped(rule, chosen, table.readout_scale)
            for column, value in zip(columns, values, strict=True):
                column[row] = value
    whole = np.array([sample.latency_s for sample in table.samples])
    if np.isnan(time_passed(whole, table.configuration)).any():
        for columns in found:
            columns[2][:] = np.nan
    label, prediction = table.column("label"), table.column("prediction")
    return [
        Stops(chosen, early, best, latency, operations, spikes, energy, label, prediction)
        for early, best, latency, operations, spikes, energy in found
    ]


def _require_full_run(table: ResultTable) -> None:
    if any(classes_of(sample.trace) < 2 for sample in table.samples):
        raise InvalidRequest("these results are of a network with one output; a decision needs two")
    if table.configuration.get("exit") not in (None, "none"):
        raise InvalidRequest(
            f"these results were run with the exit rule {table.configuration['exit']!r}, so their traces "
            "end where it stopped; run again with --exit none and take the curve of that"
        )


@dataclass(frozen=True, eq=False)
class _Checks:
    """A full run's sample at its checks.

    ``readout`` has shape (checks, classes), ``decided`` (checks,); the others have a row more, the end
    of the run, which is no check.
    """

    sample: SampleRecord
    trace: dict[str, Int64]
    readout: Int64
    decided: NDArray[np.bool_]
    best: Int64
    watts: float
    delay_ps: int

    @classmethod
    def of(cls, table: ResultTable, sample: SampleRecord) -> _Checks:
        """Read and unpacked, once for all rules."""
        packed = pack_trace(sample.trace)
        trace = {name: packed[name] for name in packed}
        readout = weighed_readout(table, trace["readout"])[:-1]
        decided: NDArray[np.bool_] = np.any(readout != 0, axis=1)
        decided &= trace["time_ps"][:-1] >= sample.first_event_ps
        return cls(
            sample, trace, readout, decided, np.append(readout.argmax(1), sample.prediction),
            float(table.configuration.get("static_watts", 0.0)),
            int(table.configuration.get("decision_latency_ps", 0)),
        )  # fmt: skip

    def stopped(self, rule: ExitRule, thresholds: Float64, scale: float) -> tuple[NDArray[Any], ...]:
        """A sample's row of ``Stops``: early, prediction, latency, operations, spikes, energy."""
        sample, trace = self.sample, self.trace
        check = _stopping_checks(rule, thresholds, self.readout, self.decided, scale)
        early = check < len(self.readout)
        time_ps = np.where(early, trace["time_ps"][check] + self.delay_ps, sample.decision_time_ps)
        latency = (time_ps - sample.first_event_ps) * 1e-12
        energy = np.full(len(thresholds), sample.energy_j)
        if not np.isnan(sample.energy_j):
            energy = np.where(early, trace["energy_aj"][check] * 1e-18 + self.watts * latency, energy)
        best = self.best[check]
        return (
            early,
            np.where(early, best, sample.prediction),
            latency,
            np.where(early, trace["synaptic_operations"][check], sample.synaptic_operations),
            np.where(early, trace["spikes"][check], sample.spikes),
            energy,
        )


def weighed_readout(table: ResultTable, readout: Int64) -> Int64:
    """What the decision looked at, check by check, shape (checks, classes)."""
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
