"""The trade-offs of a page: every exit rule on every full run, and where each rule costs little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide import RULES
from eventsnn.report.curve_files import cheap_stop_times
from eventsnn.report.savings import QUANTITIES, column
from eventsnn.report.sections import is_full, reference_of
from eventsnn.results.results import Results


@dataclass(frozen=True)
class Curve:
    """The trade-off of one full run under one exit rule.

    ``cheap`` is its cheapest threshold within a point of the full run, and the seconds at which samples stop
    there; None where there is none, as without labels.
    """

    run: int
    rule: str
    label: str
    rows: NDArray[Any]
    cheap: tuple[float, NDArray[Any]] | None = None

    @property
    def cheap_label(self) -> str:
        """The rule at that threshold."""
        return self.label if self.cheap is None else f"{self.label} at {self.cheap[0]:.4g}"


def curves_of(runs: Sequence[Results], labels: Sequence[str]) -> list[Curve]:
    """Every exit rule on every full run; each trace is read once for all rules."""
    several = sum(map(is_full, runs)) > 1
    found = []
    for number, (run, label) in enumerate(zip(runs, labels, strict=True)):
        if is_full(run):
            rows = run.curves(sorted(RULES))
            cheap = cheap_stop_times(run, rows)
            found += [
                Curve(number, rule, f"{rule}, {label}" if several else rule, rows[rule], cheap.get(rule))
                for rule in rows
            ]
    return found


def stopped_means(
    runs: Sequence[Results], labels: Sequence[str], curves: Sequence[Curve]
) -> list[tuple[str, dict[str, float], Results]]:
    """Ways of stopping: a name, the mean of each cost, and the full run with labels that it saves of.

    They are the runs with an exit rule whose full run is here, and the rules where they cost little.
    """
    fields = [field for _, field, _ in QUANTITIES]
    found = []
    for run, label in zip(runs, labels, strict=True):
        whole = reference_of(run, runs)
        if whole is not None and whole.accuracy is not None:
            found.append((label, {field: float(np.mean(column(run, field))) for field in fields}, whole))
    for curve in curves:
        if curve.cheap is not None:
            row = curve.rows[curve.rows["threshold"] == curve.cheap[0]][0]
            means = {field: float(row[field]) for field in fields}
            found.append((curve.cheap_label, means, runs[curve.run]))
    return found
