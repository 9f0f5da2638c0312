"""Trade-off curves from recorded traces: one run serves every threshold (design, law 6)."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import shown
from eventsnn.decide import RULES, ExitRule, asks_to_stop, check_rule, decision, kernel_of, started
from eventsnn.errors import InvalidExitRule, InvalidRequest
from eventsnn.results import ResultTable, SampleRecord
from eventsnn.results.latency import time_passed

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


def trace_confidence(readout: NDArray[np.int64], code: int, scale: float) -> NDArray[np.float64]:
    """The confidence of the rule of a kernel at every check of a sample, shape (checks,)."""
    from eventsnn.decide.kernels import confidence

    return np.array([confidence(row, scale, code) for row in readout])


def stopping_check(confidences: NDArray[Any], decided: NDArray[np.bool_], threshold: float) -> int | None:
    """The first check that would stop a run, or None when none does."""
    stops = np.nonzero((confidences >= threshold) & decided)[0]
    return int(stops[0]) if len(stops) else None


def _asked_check(
    rule: ExitRule, threshold: float, readout: NDArray[np.int64], decided: NDArray[np.bool_], scale: float
) -> int | None:
    """``stopping_check`` of a rule that has no kernel: it is asked as it is in a run with that threshold."""
    asked = copy(rule)
    object.__setattr__(asked, "threshold", float(threshold))
    asked.__post_init__()
    watching = started(asked)
    assert watching is not None
    checks = (int(n) for n in np.flatnonzero(decided))
    return next((n for n in checks if asks_to_stop(watching, readout[n].tolist(), scale)), None)


def _weighed_trace(table: ResultTable, sample: SampleRecord) -> NDArray[np.int64]:
    """What the decision looked at, check by check, shape (checks, classes)."""
    readout: NDArray[np.int64] = sample.trace["readout"]
    weights = table.decision_weights
    return readout if weights is None else readout * np.tile(weights, readout.shape[1] // len(weights))


def trade_off(
    table: ResultTable, rule: str | ExitRule = "margin", thresholds: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Mean accuracy, latency, operations and energy for every threshold.

    A sample stops at its first check whose confidence reaches the threshold, else with its full run:
    each row equals a separate run with that rule (design, law 6).

    Parameters
    ----------
    table : ResultTable
        A run without an exit rule.
    rule : str or ExitRule
        An exit rule's name, ``margin`` or ``max-probability``; or a rule, with each of ``thresholds`` in
        place of its own. A rule of one's own is asked in Python.
    thresholds : float array, optional
        Values from 0 to 1.

    Returns
    -------
    structured array with the fields of ``CURVE_DTYPE``, one row per threshold, means over samples;
    ``energy_j`` is NaN without an accelerator, ``accuracy`` is NaN without labels, ``latency_s`` is NaN
    where no time passes (``Results.latency_s``). The energy of the decision unit, counted apart, is left out
    of stopped samples.

    Raises
    ------
    InvalidExitRule
        Unknown rule, or a threshold outside 0 to 1.
    InvalidRequest
        The run had an exit rule: its traces end where it stopped. Or it had one output, and decided nothing.
    """
    if isinstance(rule, str) and rule not in RULES:
        raise InvalidExitRule(f"exit rule {rule!r} is not known; allowed are {', '.join(sorted(RULES))}")
    asked = RULES[rule](0.0) if isinstance(rule, str) else check_rule(rule)
    code = kernel_of(asked)
    if any(sample.trace["readout"].shape[1] < 2 for sample in table.samples):
        raise InvalidRequest("these results are of a network with one output; a decision needs two")
    if table.configuration.get("exit") not in (None, "none"):
        raise InvalidRequest(
            f"these results were run with the exit rule {table.configuration['exit']!r}, so their traces "
            "end where it stopped; run again with --exit none and take the curve of that"
        )
    try:
        chosen = DEFAULT_THRESHOLDS if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidExitRule(f"thresholds are {shown(thresholds)}; give numbers from 0 to 1") from error
    if chosen.ndim != 1 or np.asarray(thresholds).dtype.kind == "c":
        raise InvalidExitRule(f"thresholds are {shown(thresholds)}; give a list of numbers from 0 to 1")
    if not ((chosen >= 0) & (chosen <= 1)).all():
        raise InvalidExitRule("thresholds of a curve lie from 0 to 1")
    rows = np.zeros((len(chosen), len(table.samples)), dtype=CURVE_DTYPE)
    static_watts = float(table.configuration.get("static_watts", 0.0))
    latency_ps = int(table.configuration.get("decision_latency_ps", 0))
    for column, sample in enumerate(table.samples):
        # The last row of a full run's trace is its end, not a check.
        readout, scale = _weighed_trace(table, sample)[:-1], table.readout_scale
        confidences = None if code is None else trace_confidence(readout, code, scale)
        decided: NDArray[np.bool_] = np.any(readout != 0, axis=1)
        decided &= sample.trace["time_ps"][:-1] >= sample.first_event_ps
        for row, threshold in enumerate(chosen):
            if confidences is None:
                check = _asked_check(asked, threshold, readout, decided, scale)
            else:
                check = stopping_check(confidences, decided, threshold)
            chosen_class = None if check is None else decision(readout[check].tolist())
            rows[row, column] = _outcome(sample, check, chosen_class, threshold, static_watts, latency_ps)
    curve = np.zeros(len(chosen), dtype=CURVE_DTYPE)
    whole = np.array([sample.latency_s for sample in table.samples])
    if np.isnan(time_passed(whole, table.configuration)).any():
        rows["latency_s"] = np.nan
    for name in CURVE_DTYPE.names or ():
        curve[name] = rows[name].mean(axis=1)
    return curve


def _outcome(
    sample: SampleRecord,
    check: int | None,
    prediction: int | None,
    threshold: float,
    static_watts: float,
    latency_ps: int,
) -> tuple[float, ...]:
    right = float("nan") if sample.label < 0 else float(sample.prediction == sample.label)
    if check is None:
        return (
            threshold,
            right,
            sample.latency_s,
            sample.synaptic_operations,
            sample.spikes,
            sample.energy_j,
            0.0,
        )
    trace = sample.trace
    latency = (int(trace["time_ps"][check]) + latency_ps - sample.first_event_ps) * 1e-12
    energy = float(trace["energy_aj"][check]) * 1e-18 + static_watts * latency
    return (
        threshold,
        right if sample.label < 0 else float(prediction == sample.label),
        latency,
        float(trace["synaptic_operations"][check]),
        float(trace["spikes"][check]),
        float("nan") if np.isnan(sample.energy_j) else energy,
        1.0,
    )
