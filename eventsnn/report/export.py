"""Results for other tools: a row for each sample, or NeuroBench's metrics."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from eventsnn.errors import InvalidRequest
from eventsnn.insight.countings import Countings
from eventsnn.output import JSON, replaced_whole
from eventsnn.results.results import Results
from eventsnn.results.tabular import WRITERS, sample_columns

LEFT_OUT = {
    "Footprint": "a property of the network's file, not of a run",
    "ConnectionSparsity": "a property of the network's file, not of a run",
    "ActivationSparsity": "zeros over timesteps, which a run by events does not have",
    "MembraneUpdates": "counted there once a neuron and timestep",
}
NOT_COUNTED = (
    "counted there step by step from what each layer reads: a run by events needs the length of a step "
    "(step_us, --step-us), a run in steps its samples (countings=, --network and --data)"
)


def neurobench(results: Results, countings: Countings | None = None) -> dict[str, Any]:
    """What a run measured, under the names of NeuroBench 2 (github.com/NeuroBench/neurobench).

    Operations are those of its definition (``eventsnn.insight.countings.neurobench``), if ``countings`` have
    them. What was not measured is named, with the reason, and has no number.
    """
    found: dict[str, Any] = {}
    left_out = dict(LEFT_OUT)
    if results.accuracy is None:
        left_out["ClassificationAccuracy"] = "samples lack labels"
    else:
        found["ClassificationAccuracy"] = results.accuracy
    counted = {} if countings is None else countings.means().get("neurobench", {})
    if counted:
        names = {"Effective_MACs": "effective_macs", "Effective_ACs": "effective_acs", "Dense": "dense"}
        found["SynapticOperations"] = {name: counted[quantity] for name, quantity in names.items()}
    else:
        left_out["SynapticOperations"] = NOT_COUNTED
    about = {
        "samples": len(results),
        "digest": results.digest,
        "version": results.configuration.get("version"),
    }
    return {**found, "eventsnn": {**about, "left_out": left_out}}


Writer = Callable[[str | os.PathLike[str], Results, Countings | None], None]


def _write_neurobench(path: str | os.PathLike[str], results: Results, countings: Countings | None) -> None:
    with replaced_whole(path, JSON) as aside:
        aside.write_text(json.dumps(neurobench(results, countings), indent=1) + "\n", encoding="utf-8")


def _table(ending: str) -> Writer:
    def write(path: str | os.PathLike[str], results: Results, countings: Countings | None) -> None:
        columns = sample_columns(results.table)
        about: dict[str, Any] = {"digest": results.digest}
        if countings is not None:
            columns |= countings.columns()
            about |= {"countings": countings.means()}
        WRITERS[ending](path, columns, about)

    return write


KINDS: dict[str, Writer] = {
    "csv": _table(".csv"),
    "json": _table(".json"),
    "parquet": _table(".parquet"),
    "neurobench": _write_neurobench,
}


def export(
    results: Results, to: str, path: str | os.PathLike[str], countings: Countings | None = None
) -> None:
    """Write results as ``csv``, ``json``, ``parquet`` (extra ``tables``) or ``neurobench``.

    ``countings`` of the same results (``eventsnn.countings``) are further columns, and the operations of
    ``neurobench``.

    Raises
    ------
    InvalidRequest
        Another kind, countings of other results, or a path that cannot be written.
    MissingExtra
        The extra is not installed.
    """
    if to not in KINDS:
        raise InvalidRequest(
            f"results cannot be exported to {to!r}; allowed are {', '.join(KINDS)}, and nir on the command "
            "line "
            "(eventsnn.run.spikes in Python)"
        )
    if countings is not None and countings.results.digest != results.digest:
        raise InvalidRequest("the countings are of other results; count these (eventsnn.countings)")
    KINDS[to](path, results, countings)
