"""What stopping costs and saves: spreads, energy x delay, oracles, error against operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.report.intervals import interval_text
from eventsnn.report.si import NO_VALUE, SPACE, percent, si
from eventsnn.report.tables import Cell, Table
from eventsnn.results.hindsight import ORACLES, Hindsight, oracles, realised
from eventsnn.results.operating import OperatingPoint, operating_points
from eventsnn.results.results import Results
from eventsnn.results.spread import energy_delay, spread

QUANTITIES = (
    ("Latency", "latency_s", "s"),
    ("Synaptic operations", "synaptic_operations", "SOP"),
    ("Energy", "energy_j", "J"),
)
POINTS = {
    "best": "least error",
    "within_one_point": "within one point of it",
    "joint": "joint optimum",
    "at_original": "at the original's count",
}


def column(run: Results, name: str) -> NDArray[Any]:
    """A cost of every sample."""
    return run.latency_s if name == "latency_s" else run.table.column(name)


def spreads(run: Results) -> Table:
    """Mean, percentiles and maximum of each cost that is known."""
    header = ["Per sample", "Mean", "p50", "p90", "p95", "p99", "Max"]
    rows = []
    for name, field, unit in QUANTITIES:
        found = spread(column(run, field))
        if found is not None:
            rows.append([Cell(name), *(Cell(si(value, unit)) for value in found.values())])
    return Table(header, rows)


def energy_delays(runs: Sequence[Results], labels: Sequence[str], full: Sequence[Results | None]) -> Table:
    """Energy x delay of each run both ways, with what it saves of its full run's; no rows without energy."""
    rows = []
    for run, label, whole in zip(runs, labels, full, strict=True):
        found = energy_delay(run.table.column("energy_j"), run.latency_s)
        if found is None:
            continue
        of_full = None if whole is None else energy_delay(whole.table.column("energy_j"), whole.latency_s)
        saved = ["", ""]
        if of_full is not None and min(of_full) > 0:
            saved = [
                f"{percent(1 - one / other)} less than the full run's"
                for one, other in zip(found, of_full, strict=True)
            ]
        rows.append(
            [Cell(label), *(Cell(si(value, "J s"), told) for value, told in zip(found, saved, strict=True))]
        )
    return Table(["Run", "Mean of products", "Product of means"], rows)


def oracle_shares(stopped: Sequence[tuple[str, Mapping[str, float], Results]]) -> Table:
    """What each way of stopping saves of the mean costs of a full run, and its share of what oracles save.

    Parameters
    ----------
    stopped : sequence of tuples
        A name, the mean of each cost by its field, and the full run, which has labels.
    """
    known: dict[int, dict[str, Hindsight]] = {}
    rows = []
    for label, means, whole in stopped:
        if id(whole) not in known:
            known[id(whole)] = oracles(whole.table)
        cells = [_saved(means[field], whole, known[id(whole)], field, unit) for _, field, unit in QUANTITIES]
        rows.append([Cell(label), *cells])
    return Table(["Saved by", *(name for name, _, _ in QUANTITIES)], rows)


def _saved(mean: float, whole: Results, best: Mapping[str, Hindsight], field: str, unit: str) -> Cell:
    full = float(np.mean(column(whole, field)))
    if np.isnan([mean, full]).any() or full <= 0:
        return Cell(NO_VALUE)
    told = [f"{si(full, unit)} to {si(mean, unit)}"]
    for kind, name in ORACLES.items():
        possible = float(np.mean(getattr(best[kind], field)))
        share = realised(full, mean, possible)
        part = f"{percent(share)} of" if share is not None else "of"
        told.append(f"{part} the {percent(1 - possible / full)} of {name}")
    return Cell(percent(1 - mean / full), "; ".join(told))


def original_macs(run: Results) -> int | None:
    """Multiply-accumulates of the original by existing synapses; of files of before, of the dense network."""
    kept = run.configuration.get("original_macs")
    if isinstance(kept, dict) and isinstance(kept.get("exact"), int):
        return int(kept["exact"])
    layers = run.configuration.get("dense_work")
    return None if not layers else sum(int(layer["macs"]) for layer in layers)


def operating_table(curves: Mapping[str, tuple[NDArray[Any], Results]]) -> Table:
    """Error against operations of every curve: four points of it; curves without labels are left out."""
    rows = []
    for label, (curve, run) in curves.items():
        if np.isnan(curve["accuracy"]).any():
            continue
        macs = original_macs(run)
        found = operating_points(1 - curve["accuracy"], curve["synaptic_operations"], macs)
        cells = [_point(found[name], curve, len(run)) for name in POINTS]
        if found["at_original"] is None and macs is not None:
            cells[-1] = Cell(NO_VALUE, f"every point needs more than its {si(macs, 'MAC')}")
        elif macs is not None:
            cells[-1] = Cell(cells[-1].main, f"{cells[-1].detail}; it takes {si(macs, 'MAC')}")
        rows.append([Cell(label), *cells])
    return Table(["Rule", *(name[0].upper() + name[1:] for name in POINTS.values())], rows)


def _point(found: OperatingPoint | None, curve: NDArray[Any], samples: int) -> Cell:
    if found is None:
        return Cell(NO_VALUE, "the original's operations are not known")
    threshold = float(curve["threshold"][found.place])
    between = interval_text(found.error, samples)
    detail = f"95{SPACE}% interval {between}; {si(found.operations, 'SOP')} at threshold {threshold:.4g}"
    return Cell(f"{100 * found.error:.2f}{SPACE}%", detail)
