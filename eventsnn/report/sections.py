"""What the report page says, as tables of text; nothing here knows about HTML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting import COLUMN
from eventsnn.report.comparison import warnings_of
from eventsnn.report.energy import architecture_of, between_text
from eventsnn.report.intervals import interval_text, share_cell
from eventsnn.report.si import NO_VALUE, SPACE, percent, si
from eventsnn.report.tables import Cell, Table
from eventsnn.results.comparison import compare
from eventsnn.results.latency import NO_TIME
from eventsnn.results.results import Results, distribution
from eventsnn.results.training import trained_text

# Rows that an accelerator's model gives.
MODELLED = ("Latency per sample", "Energy per sample")
INPUT_KEYS = ("input", "duration_ps", "max_rate_hz", "origin", "scale_currents")


def is_full(run: Results) -> bool:
    """Whether a run had no exit rule, so that its traces go to the end."""
    return run.configuration.get("exit") in (None, "none")


def run_labels(runs: Sequence[Results]) -> list[str]:
    """A short name for each run, all different: what tells them apart is added until they are."""
    labels = ["full run" if is_full(run) else f"exit {run.configuration['exit']}" for run in runs]
    for key, word in (
        ("hardware", "on "),
        ("data_path", "data "),
        ("network", "network "),
        ("schedule", "schedule "),
        ("input", "input "),
        ("seed", "seed "),
    ):
        if len(set(labels)) == len(labels):
            break
        values = [run.configuration.get(key) for run in runs]
        if len(set(map(str, values))) > 1:
            labels = [f"{label}, {word}{_short(v, key)}" for label, v in zip(labels, values, strict=True)]
    repeated = Counter(labels)
    return [
        label if repeated[label] == 1 else f"{label} ({1 + labels[:i].count(label)})"
        for i, label in enumerate(labels)
    ]


def _short(value: Any, key: str) -> str:
    if value is None:
        return {"hardware": "no accelerator", "input": "of events"}.get(key, "in memory")
    if key == "network":
        return str(value)[:8]
    return Path(value).name if key == "data_path" else str(value)


def reference_of(run: Results, runs: Sequence[Results]) -> Results | None:
    """The full run of the same network, accelerator and samples that an exit run compares with."""
    if is_full(run):
        return None

    def what(one: Results) -> tuple[Any, ...]:
        keys = ("network", "architecture", "schedule", "step_ps", "ties", "seed", "data", *INPUT_KEYS)
        return [one.configuration.get(key) for key in keys], one.table.column("index").tolist()

    return next((other for other in runs if is_full(other) and what(other) == what(run)), None)


def headline(runs: Sequence[Results], labels: Sequence[str]) -> Table:
    """The numbers that matter, a column for each run."""
    columns = [_headline_column(run, reference_of(run, runs)) for run in runs]
    modelled = any(architecture_of(run) is not None for run in runs)
    names = {name: "model figures" if modelled and name in MODELLED else "" for name in columns[0]}
    rows = [[Cell(name, names[name]), *(column[name] for column in columns)] for name in names]
    return Table(["", *labels], rows)


def _headline_column(run: Results, full: Results | None) -> dict[str, Cell]:
    correct, labels = int(run.correct.sum()), run.table.column("label")
    if run.accuracy is None:
        missing = int((labels < 0).sum())
        accuracy = Cell(NO_VALUE, f"{missing} of {len(run)} samples have no label")
    else:
        around = f"95{SPACE}% interval {interval_text(run.accuracy, len(run))}"
        accuracy = Cell(percent(run.accuracy), f"{correct} of {len(run)}; {around}")
    rejected = int(run.rejected.sum())
    undecided = int((run.table.column("prediction") < 0).sum()) - rejected
    others = f", {rejected} none of these" if rejected else ""
    early = run.table.column("decided_early")
    rule = run.configuration.get("exit")
    return {
        "Samples": Cell(str(len(run)), f"{undecided} undecided{others}{_left_out(run)}"),
        "Accuracy": accuracy,
        "Synaptic operations per sample": _spread(run, full, "synaptic_operations", "SOP"),
        "Latency per sample": _spread(run, full, "latency_s", "s"),
        "Energy per sample": _spread(run, full, "energy_j", "J"),
        "Spikes per sample": _spread(run, full, "spikes", ""),
        "Input events per sample": _spread(run, full, "input_events", ""),
        "Decided early": Cell(NO_VALUE, "no exit rule")
        if is_full(run)
        else Cell(percent(float(early.mean())), f"{int(early.sum())} of {len(run)} by {rule}"),
    }


def _left_out(run: Results) -> str:
    """Samples that no figure is of, since they could not be read."""
    failed = len(run.failures)
    return f", {failed} more could not be read" if failed else ""


def _values(run: Results, name: str) -> NDArray[Any]:
    return run.latency_s if name == "latency_s" else run.table.column(name)


def _spread(run: Results, full: Results | None, name: str, unit: str) -> Cell:
    """Mean; median, 95th percentile and maximum; and the ratio to the full run."""
    found = distribution(_values(run, name))
    if found is None:
        return Cell(NO_VALUE, NO_TIME if name == "latency_s" else "no accelerator modelled")
    p50, p95, most = (si(found[key], unit) for key in ("p50", "p95", "max"))
    detail = f"median {p50}, p95 {p95}, max {most}"
    whole = None if full is None else distribution(_values(full, name))
    if whole is not None and whole["mean"] > 0:
        detail += f"; {found['mean'] / whole['mean']:.2f}{SPACE}× the full run"
    around = run.energy_interval_j if name == "energy_j" else None
    if around is not None:
        detail += f"; the mean lies in {between_text(*around['mean'])} by the values' bands"
    return Cell(f"mean {si(found['mean'], unit)}", detail)


def notes(runs: Sequence[Results], labels: Sequence[str]) -> list[str]:
    """What a reader must know before comparing the columns."""
    found = warnings_of(compare(runs), labels) if len(runs) > 1 else []
    for run, label in zip(runs, labels, strict=True):
        if told := trained_text(run.table):
            found.append(f"In {label}: {told}. Its accuracy says little about other samples.")
    ideal = [label for run, label in zip(runs, labels, strict=True) if architecture_of(run) is None]
    if ideal:
        found.append(
            f"No accelerator was modelled in: {', '.join(ideal)}. Spikes take no time there, so latency "
            "is the time of the input needed (none where all input stands at one instant), and there is no "
            "energy."
        )
    found += [
        f"In {label}: {free_running(run)}."
        for run, label in zip(runs, labels, strict=True)
        if free_running(run)
    ]
    return found


def free_running(run: Results) -> str:
    """What latency means where recordings were played as fast as steps can be done; empty elsewhere."""
    architecture = architecture_of(run)
    if architecture is None or architecture.synchronisation.kind == "none":
        return ""
    if architecture.synchronisation.pace != "free" or run.configuration.get("input") is not None:
        return ""
    return (
        f"the timesteps of {architecture.name} follow each other at once (pace: free), so the recordings "
        "were played as fast as it takes them, and latency counts from the start; with 'pace: input' in its "
        "'synchronisation' steps wait for their input"
    )


def per_class(run: Results) -> Table | None:
    """Each class that occurs; None when no sample has a label."""
    classes = run.per_class()
    if not classes:
        return None
    rows = []
    for name, found in classes.items():
        means = {k: None if found[k] is None else found[k]["mean"] for k in ("latency_s", "energy_j")}
        cells = [
            Cell(str(found["samples"])),
            share_cell(found["accuracy"], found["samples"]),
            Cell(si(found["synaptic_operations"]["mean"], "SOP")),
            Cell(si(means["latency_s"], "s")),
            Cell(si(means["energy_j"], "J")),
        ]
        rows.append([Cell(name), *cells])
    return Table(["Class", "Samples", "Accuracy", "Operations", "Latency", "Energy"], rows)


def layer_means(run: Results, *counters: str) -> NDArray[np.float64]:
    """Mean per sample of the sum of some counters, shape (layers,)."""
    return sum(run.table.counter(COLUMN[name]).mean(axis=0) for name in counters)


LAYER_COLUMNS: dict[str, tuple[tuple[str, ...], str]] = {
    "Input events": (("input_events",), ""),
    "Spikes": (("spikes_positive", "spikes_negative"), ""),
    "of them negative": (("spikes_negative",), ""),
    "Operations": (("synaptic_operations",), "SOP"),
    "without zero weights": (("effective_synaptic_operations",), "SOP"),
    "Neuron updates": (("neuron_updates",), ""),
}


def layers(run: Results) -> Table:
    """Counters of each layer, mean per sample."""
    columns = [layer_means(run, *counters) for counters, _ in LAYER_COLUMNS.values()]
    units = [unit for _, unit in LAYER_COLUMNS.values()]

    def cells(values: Sequence[float]) -> list[Cell]:
        return [Cell(si(float(v), unit)) for v, unit in zip(values, units, strict=True)]

    rows = [[Cell(name), *cells([c[i] for c in columns])] for i, name in enumerate(run.table.order)]
    rows.append([Cell("all layers"), *cells([c.sum() for c in columns])])
    return Table(["Layer", *LAYER_COLUMNS], rows, totals=1)


def mean_history(run: Results, *counters: str) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Times in seconds and the mean per sample of the sum of some counters over all layers.

    A sample that is decided keeps its final count. None without a history of every sample.
    """
    histories = [sample.history for sample in run.table.samples if sample.history is not None]
    if len(histories) < len(run):
        return None
    longest = max(histories, key=lambda history: len(history.time_ps))
    total = np.zeros(len(longest.time_ps))
    columns = [COLUMN[name] for name in counters]
    for history in histories:
        counted = history.counters[:, :, columns].sum(axis=(1, 2))
        total[: len(counted)] += counted
        total[len(counted) :] += counted[-1]
    return np.r_[0, longest.time_ps] * 1e-12, np.r_[0, total / len(histories)]


def curve_table(curve: NDArray[Any], samples: int) -> Table:
    """A trade-off curve of so many samples, a row for each threshold."""
    rows = [
        [
            Cell(f"{row['threshold']:g}"),
            share_cell(float(row["accuracy"]), samples),
            Cell(si(float(row["latency_s"]), "s")),
            Cell(si(float(row["synaptic_operations"]), "SOP")),
            Cell(si(float(row["energy_j"]), "J")),
            Cell(percent(float(row["decided_early"]))),
        ]
        for row in curve
    ]
    return Table(["Threshold", "Accuracy", "Latency", "Operations", "Energy", "Decided early"], rows)


def configuration(runs: Sequence[Results], labels: Sequence[str]) -> Table:
    """What was run, a column for each run; the accelerator and the dense work stand elsewhere."""
    elsewhere = ("architecture", "dense_work")
    keys = dict.fromkeys(key for run in runs for key in run.configuration if key not in elsewhere)
    rows = [[Cell(k), *(Cell(_plain(run.configuration.get(k))) for run in runs)] for k in keys]
    rows.append([Cell("digest"), *(Cell(run.digest) for run in runs)])
    return Table(["", *labels], rows, totals=1)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
