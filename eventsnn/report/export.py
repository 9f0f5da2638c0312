"""Results for other tools: a row for each sample, or NeuroBench's metrics."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from eventsnn.counting.counters import COLUMN
from eventsnn.errors import InvalidRequest
from eventsnn.output import JSON, replaced_whole
from eventsnn.results.results import Results
from eventsnn.results.tabular import WRITERS, sample_columns

LEFT_OUT = {
    "Footprint": "a property of the network's file, not of a run",
    "ConnectionSparsity": "a property of the network's file, not of a run",
    "ActivationSparsity": "zeros over timesteps, which a run by events does not have",
    "MembraneUpdates": "counted there once a neuron and timestep",
}


def neurobench(results: Results) -> dict[str, Any]:
    """What a run measured, under the names of NeuroBench 2 (github.com/NeuroBench/neurobench).

    Its effective operations leave out zero weights. What it would call otherwise or was not measured is
    named, with the reason, and has no number.
    """
    means = {
        name: float(results.table.counter(COLUMN[name]).sum(axis=1).mean())
        for name in ("effective_synaptic_operations", "multiplications")
    }
    found: dict[str, Any] = {}
    left_out = dict(LEFT_OUT) | {"Dense": "operations of the network without events, once a timestep"}
    if results.accuracy is None:
        left_out["ClassificationAccuracy"] = "samples lack labels"
    else:
        found["ClassificationAccuracy"] = results.accuracy
    if means["multiplications"]:
        left_out["SynapticOperations"] = "graded payloads: multiplications by zero weights are not told apart"
    else:
        accumulates = means["effective_synaptic_operations"]
        found["SynapticOperations"] = {"Effective_MACs": 0.0, "Effective_ACs": accumulates}
    about = {
        "samples": len(results),
        "digest": results.digest,
        "version": results.configuration.get("version"),
    }
    return {**found, "eventsnn": {**about, "left_out": left_out}}


def _write_neurobench(path: str | os.PathLike[str], results: Results) -> None:
    with replaced_whole(path, JSON) as aside:
        aside.write_text(json.dumps(neurobench(results), indent=1) + "\n", encoding="utf-8")


def _table(ending: str) -> Callable[[str | os.PathLike[str], Results], None]:
    def write(path: str | os.PathLike[str], results: Results) -> None:
        WRITERS[ending](path, sample_columns(results.table), {"digest": results.digest})

    return write


KINDS: dict[str, Callable[[str | os.PathLike[str], Results], None]] = {
    "csv": _table(".csv"),
    "parquet": _table(".parquet"),
    "neurobench": _write_neurobench,
}


def export(results: Results, to: str, path: str | os.PathLike[str]) -> None:
    """Write results as ``csv``, ``parquet`` (extra ``tables``) or ``neurobench``.

    Raises
    ------
    InvalidRequest
        Another kind, or a path that cannot be written.
    MissingExtra
        The extra is not installed.
    """
    if to not in KINDS:
        raise InvalidRequest(
            f"results cannot be exported to {to!r}; allowed are {', '.join(KINDS)}, and nir on the command "
            "line "
            "(eventsnn.run.spikes in Python)"
        )
    KINDS[to](path, results)
