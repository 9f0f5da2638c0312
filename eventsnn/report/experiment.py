"""What the cells of an experiment gave, as a table of plain values and as csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

SPREAD = ("mean", "p50", "p95")
QUANTITIES = ("latency_s", "synaptic_operations", "energy_j")


def rows(axes: Sequence[str], found: Sequence[tuple[dict[str, Any], Any, str, str]]) -> list[dict[str, Any]]:
    """A row of plain values for each cell.

    Parameters
    ----------
    axes : sequence of str
        The options that differ from cell to cell.
    found : sequence of tuples
        A cell's choices, its ``Results`` or None, the name of its file, and why it failed.
    """
    made = []
    for choices, results, file, failed in found:
        row: dict[str, Any] = {name: choices[name] for name in axes}
        summary = {} if results is None else results.summary()
        row |= {name: summary.get(name) for name in ("samples", "accuracy")}
        for quantity in QUANTITIES:
            values = summary.get(quantity) or {}
            row |= {f"{quantity}_{part}": values.get(part) for part in SPREAD}
        row |= {name: summary.get(name) for name in ("decided_early", "rejected")}
        row["digest"] = None if results is None else results.digest
        made.append(row | {"file": file, "failed": failed})
    return made


def csv_header(axes: Sequence[str]) -> bytes:
    """The first line of ``csv_text``: how a file of the same axes is known."""
    return csv_text(rows(axes, [(dict.fromkeys(axes), None, "", "")])).splitlines()[0].encode()


def csv_text(made: Sequence[dict[str, Any]]) -> str:
    """Rows as csv, with a line of names; what a cell does not have is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(made[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(made)
    return text.getvalue()
