"""Runs in timesteps under a cost by step: what stopped samples cost, and the curve of a rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting import COLUMN
from eventsnn.decide import ExitRule
from eventsnn.errors import InvalidRequest
from eventsnn.hardware.stepped import StepCosts, Stepped, cost_of_stops
from eventsnn.results.stops import stops
from eventsnn.results.table import ResultTable

Int64 = NDArray[np.int64]


def steps_of(table: ResultTable) -> Int64:
    """Timesteps that each sample of a run took to its decision, shape (samples,).

    Raises
    ------
    InvalidRequest
        The run has no timesteps.
    """
    step_ps = _step_ps(table)
    if table.configuration.get("architecture") is not None:
        return np.array([int(s.counters[:, COLUMN["steps"]].sum()) for s in table.samples], dtype=np.int64)
    return np.array([-(-s.decision_time_ps // step_ps) for s in table.samples], dtype=np.int64)


def _step_ps(table: ResultTable) -> int:
    if table.configuration.get("schedule") != "step":
        raise InvalidRequest(
            "these results have no timesteps: they are of the event schedule; a cost by step is of runs with "
            "--schedule step"
        )
    return int(table.configuration["step_ps"])


def cost_of_run(table: ResultTable, costs: StepCosts, full: int | None = None) -> Stepped:
    """What the samples of a run cost, by the steps that each took; see ``cost_of_stops``.

    ``full`` is, unless given, the most steps of a run that nothing stops. One with an exit rule does not say
    how long it would have gone on.

    Raises
    ------
    InvalidRequest
        The run has no timesteps, or an exit rule and no ``full``.
    """
    taken = steps_of(table).tolist()
    if full is None:
        if table.configuration.get("exit") not in (None, "none"):
            raise InvalidRequest(
                "this run has an exit rule, and its results do not say how many steps a sample takes that "
                "nothing stops; give full= (--full)"
            )
        full = max(taken, default=None)
    return cost_of_stops(costs, taken, full)


def stepped_curve(
    table: ResultTable, costs: StepCosts, rule: str | ExitRule, thresholds: Any, full: int | None = None
) -> list[dict[str, Any]]:
    """Accuracy and costs of a rule by threshold, from the traces of a run without an exit rule.

    Returns
    -------
    list of dict
        ``threshold``, ``accuracy`` (NaN where a label is unknown), ``rejected`` (share of samples), and
        ``Stepped.to_dict``.

    Raises
    ------
    InvalidRequest
        The run has no timesteps, or an accelerator: its traces know times there, not steps.
    """
    step_ps = _step_ps(table)
    if table.configuration.get("architecture") is not None:
        raise InvalidRequest(
            "the traces of a run on an accelerator have its times, not steps; take a curve by step of a run "
            "without --hardware, which decides the same"
        )
    found = stops(table, rule, thresholds)
    whole, first = steps_of(table), table.column("first_event_ps")
    rows = []
    for place, threshold in enumerate(found.thresholds):
        time_ps = np.round(found.latency_s[:, place] * 1e12).astype(np.int64) + first
        early = -(-time_ps // step_ps)
        taken = np.where(found.early[:, place], early, whole)
        right = np.where(found.label < 0, np.nan, found.prediction[:, place] == found.label)
        rejected = float(found.rejected[:, place].mean())
        row = {"threshold": float(threshold), "accuracy": float(right.mean()), "rejected": rejected}
        most = int(whole.max()) if full is None else full
        rows.append(row | cost_of_stops(costs, taken.tolist(), most).to_dict())
    return rows
