"""The page of a stream: what was decided when, and what it took."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from eventsnn.output import HTML, replaced_whole
from eventsnn.report.si import NO_VALUE, percent, si
from eventsnn.report.tables import Cell, Table
from eventsnn.results.stream import StreamResults

MOST_BINS = 200
"""Of time, in a plot of operations."""

MOST_STEPS = 5000
"""Of a decision's plot; what comes later is left out, and said."""


def summary(results: StreamResults) -> Table:
    """A stream's figures; the host's times are measured, on whatever machine it ran."""
    found = results.to_dict()

    def spread(name: str, unit: str = "") -> str:
        values = found[name]
        if values is None:
            return NO_VALUE
        return f"{si(values['mean'], unit)} mean, {si(values['p95'], unit)} p95"

    def single(name: str, unit: str = "", scale: float = 1.0) -> str:
        return NO_VALUE if found[name] is None else si(found[name] * scale, unit)

    speed = found["replay_speed"]
    rows = [
        ("stream", f"{si(found['duration_s'], 's')}, {found['resets']} resets"),
        ("decisions", f"{found['decisions']}, {found['changes']} of them another than before"),
        ("accuracy", percent(found["accuracy"])),
        ("input events", single("total_input_events")),
        ("forgotten events", single("forgotten_events")),
        ("synaptic operations per event", single("operations_per_event")),
        ("synaptic operations per decision", spread("synaptic_operations")),
        ("deciding event to decision", spread("latency_s", "s")),
        ("host time per event (measured)", single("host_ns_per_event", "s", 1e-9)),
        ("replayed (measured)", NO_VALUE if speed is None else f"{speed:.3g} times as fast as recorded"),
        ("digest", found["digest"]),
    ]
    return Table(["quantity", "value"], [[Cell(name), Cell(value)] for name, value in rows])


def operations_per_event(results: StreamResults) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds at which bins of decisions begin, and operations per event in each, received or forgotten.

    In a gap between recordings events are only forgotten; without either nothing is drawn.
    """
    found = results.decisions
    edges = np.unique(np.linspace(0, len(results), min(len(results), MOST_BINS) + 1).astype(np.int64))[:-1]
    operations = np.add.reduceat(found["synaptic_operations"], edges)
    events = np.add.reduceat(found["input_events"] + found["forgotten_events"], edges)
    begins = np.concatenate([[0], found["time_ps"]])[edges] * 1e-12
    return begins, np.where(events > 0, operations / np.maximum(events, 1), np.nan)


def write_stream(results: StreamResults, path: str | os.PathLike[str]) -> None:
    """Write a self-contained page: the figures, decisions and operations over time.

    Raises
    ------
    MissingExtra
        jinja2 or matplotlib is not installed.
    InvalidRequest
        ``path`` cannot be written.
    """
    from eventsnn.report.page import rendered, require_extra
    from eventsnn.report.plots import Line, steps_over_time

    require_extra()
    configuration, found = results.configuration, results.decisions
    names = configuration["class_names"] or [str(number) for number in range(results.readout.shape[1])]
    time = found["time_ps"] * 1e-12
    lines, cut = [], ""
    for colour, (column, what) in enumerate((("prediction", "decided"), ("label", "label"))):
        steps = np.flatnonzero(np.diff(found[column], prepend=-2))
        if len(steps) > MOST_STEPS:
            cut = f"The first {MOST_STEPS} steps of each are drawn."
        steps = np.append(
            steps[:MOST_STEPS], len(time) - 1 if len(steps) <= MOST_STEPS else steps[MOST_STEPS]
        )
        if column == "prediction" or (found[column] >= 0).any():
            values = found[column][steps].astype(np.float64)
            if column == "label":
                values[values < 0] = np.nan  # a gap, which is no class
            lines.append(Line(what, time[steps], values, colour, colour))
    begins, operations = operations_per_event(results)
    said = configuration.get("data_path") or "a stream"
    page = rendered(
        "stream.html.j2",
        title=f"{configuration.get('network_path') or 'A network'} on {said}",
        version=configuration.get("version"),
        cut=cut,
        summary=summary(results),
        plots=[
            steps_over_time(lines, "class", "", "decisions", names),
            steps_over_time(
                [Line("", begins, operations, 0)],
                "operations per event, received or forgotten",
                "",
                "operations",
            ),
        ],
    )
    with replaced_whole(path, HTML) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(page)
