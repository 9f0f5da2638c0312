"""Where a rule would have stopped each sample, at each of many thresholds, from one run's traces (law 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import shown
from eventsnn.decide import ORACLES, REJECTED, ExitRule, parse_kind
from eventsnn.decide.requirements import Setting, require_followable
from eventsnn.errors import InvalidExitRule, InvalidRequest
from eventsnn.results.following import Followed, Moments, follow_oracle, follow_program
from eventsnn.results.latency import time_passed
from eventsnn.results.table import ResultTable, SampleRecord
from eventsnn.results.traces import Trace, classes_of, pack_trace

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
        -1 where undecided, -2 for "none of these".
    latency_s : float64 array, shape (samples, thresholds)
        Seconds since the first event; NaN where no time passes in any sample.
    synaptic_operations, spikes : int64 array, shape (samples, thresholds)
    energy_j : float64 array, shape (samples, thresholds)
        NaN without an accelerator; that of the decision unit included, if the run says what it costs.
    decision_operations : int64 array, shape (samples, thresholds)
        Readout values that the decision unit compared, counted apart from other operations.
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
    decision_operations: Int64
    label: Int64
    full_prediction: Int64

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """Whether a sample was answered "none of these", shape (samples, thresholds)."""
        return self.prediction == REJECTED


COLUMNS = {
    "early": "?", "prediction": "i8", "latency_s": "f8", "synaptic_operations": "i8", "spikes": "i8",
    "energy_j": "f8", "decision_operations": "i8",
}  # fmt: skip
"""Fields of ``Stops`` by sample and threshold, and their types."""


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


def rules_by_name(rules: str | ExitRule | Sequence[str | ExitRule]) -> dict[str, str | ExitRule]:
    """Rules, and names of oracles, by what results call them: one text for each, however it was written.

    Raises
    ------
    InvalidRequest
        None, or two of one name.
    InvalidExitRule
        Unknown.
    """
    if not isinstance(rules, str | ExitRule | Sequence):
        raise InvalidRequest(f"rules are {shown(rules)}; give a rule or a list of them")
    given = [rules] if isinstance(rules, str | ExitRule) else list(rules)
    asked = [rule if rule in ORACLES else parse_kind(rule) for rule in given]
    names = [rule if isinstance(rule, str) else rule.name for rule in asked]
    if not names or len(set(names)) != len(names):
        raise InvalidRequest(f"rules are {names}; give one or more, each once")
    return dict(zip(names, asked, strict=True))


def stops(table: ResultTable, rule: str | ExitRule, thresholds: Any) -> Stops:
    """Where a rule stops each sample at each threshold: as many separate runs would.

    Parameters
    ----------
    table : ResultTable
        A run without an exit rule.
    rule : str or ExitRule
        An exit rule's text without its threshold, or a rule, with each of ``thresholds`` in place of its
        own; a rule of one's own is asked in Python. Or an oracle, ``first-correct`` or ``stays-correct``.
    thresholds : float array
        Values from 0 to 1.

    Raises
    ------
    InvalidExitRule
        Unknown rule, one that cannot be followed in these traces, or a threshold outside 0 to 1.
    InvalidRequest
        The run had an exit rule: its traces end where it stopped. Or it had one output, and decided
        nothing. Or an oracle is asked, and a label is unknown.
    """
    return stops_of_rules(table, [rule], thresholds)[0]


def stops_of_rules(table: ResultTable, rules: Sequence[str | ExitRule], thresholds: Any) -> list[Stops]:
    """``stops`` of several rules: each trace is read once for all."""
    from eventsnn.decide.program import program_of

    asked = [rule if rule in ORACLES else parse_kind(rule) for rule in rules]
    chosen = thresholds_of(thresholds)
    _require_full_run(table)
    for rule in asked:
        _require_followable(table, rule)
    programs = [None if isinstance(rule, str) else program_of(rule) for rule in asked]
    shape = (len(table.samples), len(chosen))
    found: list[list[NDArray[Any]]] = [[np.empty(shape, kind) for kind in COLUMNS.values()] for _ in asked]
    for row, sample in enumerate(table.samples):
        run = _FullRun.of(table, sample)
        for rule, program, columns in zip(asked, programs, found, strict=True):
            if isinstance(rule, str):
                followed = follow_oracle(rule, chosen, run.moments, sample.label)
            else:
                followed = follow_program(rule, program, chosen, run.moments)
            for column, value in zip(columns, run.outcomes(followed), strict=True):
                column[row] = value
    whole = np.array([sample.latency_s for sample in table.samples])
    if np.isnan(time_passed(whole, table.configuration)).any():
        for columns in found:
            columns[2][:] = np.nan
    label, prediction = table.column("label"), table.column("prediction")
    ends: dict[str, Any] = {"label": label, "full_prediction": prediction}
    return [Stops(chosen, **dict(zip(COLUMNS, columns, strict=True)), **ends) for columns in found]


def _require_full_run(table: ResultTable) -> None:
    if any(classes_of(sample.trace) < 2 for sample in table.samples):
        raise InvalidRequest("these results are of a network with one output; a decision needs two")
    if table.configuration.get("exit") not in (None, "none"):
        raise InvalidRequest(
            f"these results were run with the exit rule {table.configuration['exit']!r}, so their traces "
            "end where it stopped; run again with --exit none and take the curve of that"
        )


def _require_followable(table: ResultTable, rule: str | ExitRule) -> None:
    configuration = table.configuration
    if isinstance(rule, str):
        if (table.column("label") < 0).any():
            raise InvalidRequest(f"the oracle {rule!r} knows the labels, and some of these samples have none")
        return
    steps = configuration.get("schedule") == "step"
    readout = configuration.get("readout")
    counted = configuration.get("input") not in ("analog", "charge")
    require_followable(
        rule,
        Setting(
            spikes=None if readout is None else readout == "counts",
            weighs=table.decision_weights is not None,
            steps=steps,
            times=not (steps and configuration.get("hardware") is not None),
            events=counted and all("input_events" in sample.trace for sample in table.samples),
        ),
    )


@dataclass(frozen=True, eq=False)
class _FullRun:
    """A full run's sample, read and unpacked once for all rules; ``trace`` has a row more than checks."""

    sample: SampleRecord
    trace: dict[str, Int64]
    moments: Moments
    watts: float
    delay_ps: int
    joules: float  # of an operation of the decision unit

    @classmethod
    def of(cls, table: ResultTable, sample: SampleRecord) -> _FullRun:
        packed: Trace = pack_trace(sample.trace)
        trace = {name: packed[name] for name in packed}
        configuration = table.configuration
        moments = Moments(
            weighed_readout(table, trace["readout"])[:-1],
            trace["time_ps"][:-1] - sample.first_event_ps,
            trace.get("input_events", np.zeros_like(trace["time_ps"]))[:-1],
            table.readout_scale,
            sample.prediction,
        )
        return cls(
            sample, trace, moments, float(configuration.get("static_watts", 0.0)),
            int(configuration.get("decision_latency_ps", 0)),
            int(configuration.get("decision_energy_aj", 0)) * 1e-18,
        )  # fmt: skip

    def outcomes(self, followed: Followed) -> tuple[NDArray[Any], ...]:
        """A sample's row of ``Stops``."""
        sample, trace, check = self.sample, self.trace, followed.check
        early = check < len(self.moments.readout)
        time_ps = np.where(early, trace["time_ps"][check] + self.delay_ps, sample.decision_time_ps)
        latency = (time_ps - sample.first_event_ps) * 1e-12
        operations = followed.looks * self.moments.readout.shape[1]
        energy = np.full(len(check), sample.energy_j)
        if not np.isnan(sample.energy_j):
            energy = np.where(early, trace["energy_aj"][check] * 1e-18 + self.watts * latency, energy)
            energy += operations * self.joules
        return (
            early,
            followed.prediction,
            latency,
            np.where(early, trace["synaptic_operations"][check], sample.synaptic_operations),
            np.where(early, trace["spikes"][check], sample.spikes),
            energy,
            operations,
        )


def weighed_readout(table: ResultTable, readout: Int64) -> Int64:
    """What the decision looked at, check by check, shape (checks, classes)."""
    weights = table.decision_weights
    return readout if weights is None else readout * np.tile(weights, readout.shape[1] // len(weights))
