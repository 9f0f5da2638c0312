"""Runs against the first of them, as a table and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from eventsnn.report.si import NO_VALUE, percent, si
from eventsnn.report.tables import Cell, Table
from eventsnn.results.comparison import Comparison, Difference

NAMES = {
    "latency_s": ("Latency", "s"),
    "synaptic_operations": ("Synaptic operations", "SOP"),
    "spikes": ("Spikes", ""),
    "energy_j": ("Energy", "J"),
}
UNEQUAL = ("network", "data")
"""Where these differ, runs are no repetitions of one experiment."""


def warnings_of(found: Sequence[Comparison], labels: Sequence[str]) -> list[str]:
    """What must be known before figures are set against each other."""
    told = []
    for each, label in zip(found, labels[1:], strict=True):
        other = [word for word in UNEQUAL if word in each.differing]
        if not other:
            continue
        first, second, both = each.samples
        shared = (
            f"{both} samples are in both ({first} and {second}); differences are of these alone"
            if both
            else f"no sample is in both ({first} and {second}), so nothing is paired"
        )
        told.append(f"“{label}” is of other {' and '.join(other)} than “{labels[0]}”: {shared}.")
    return told


def comparison_table(found: Sequence[Comparison], labels: Sequence[str]) -> Table:
    """A column for each run but the first."""
    rows = [
        [Cell("Run otherwise"), *(Cell(", ".join(each.differing) or "in nothing") for each in found)],
        [Cell("Samples of both"), *(_samples(each) for each in found)],
        [Cell("Right in one alone"), *(_right(each) for each in found)],
    ]
    for name, (called, unit) in NAMES.items():
        cells = [_cell(each.costs.get(name), unit) for each in found]
        if any(cell.main != NO_VALUE for cell in cells):
            rows.append([Cell(called, "difference of a sample"), *cells])
    return Table([f"Against {labels[0]}", *labels[1:]], rows)


def _samples(found: Comparison) -> Cell:
    first, second, both = found.samples
    how = ", paired by what they hold" if found.by_content and both else ""
    return Cell(str(both), f"of {first} and {second}{how}")


def _right(found: Comparison) -> Cell:
    if found.p_value is None:
        return Cell(NO_VALUE, "no sample of both" if not found.samples[2] else "not every sample has a label")
    told = f"McNemar's exact test: p = {found.p_value:.2g}"
    return Cell(f"{found.only_other_right} here, {found.only_first_right} there", told)


def _cell(found: Difference | None, unit: str) -> Cell:
    if found is None:
        return Cell(NO_VALUE)
    ratio = "" if found.ratio is None else f"{found.ratio:.3g} × the mean; "
    between = (
        ""
        if found.low is None
        else f"95 % interval {_signed(found.low, unit)} to {_signed(found.high, unit)}; "
    )
    told = f"{ratio}{between}less in {percent(found.lower)}, more in {percent(found.higher)}"
    return Cell(_signed(found.mean, unit), told)


def _signed(value: float | None, unit: str) -> str:
    """A difference with its sign."""
    return ("+" if value is not None and value > 0 else "") + si(value, unit)
