"""How numbers, tables and progress look in the terminal. Everything but results goes to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventsnn.report.si import NO_VALUE as NO_VALUE
from eventsnn.report.si import percent as percent
from eventsnn.report.si import si as si
from eventsnn.report.tables import Table


@dataclass
class Listing:
    """A table to be: its rows, and the columns that a narrow terminal does without."""

    columns: tuple[str, ...]
    optional: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    sections: set[int] = field(default_factory=set)

    def add_row(self, *cells: str) -> None:
        """Append a row, one cell a column."""
        self.rows.append(cells)

    def add_section(self) -> None:
        """Draw a line before the next row."""
        self.sections.add(len(self.rows))

    def shown(self, width: int) -> list[int]:
        """The columns that fit a width; optional ones go first, from the right."""
        kept = list(range(len(self.columns)))
        widest = [max(len(c) for c in column) for column in zip(self.columns, *self.rows, strict=True)]
        for column in reversed(range(len(self.columns))):
            if sum(widest[i] + 3 for i in kept) <= width:
                break
            if self.columns[column] in self.optional:
                kept.remove(column)
        return kept


COMPILING = "compiling the engine's kernels for this kind of run: once, up to a minute; then they are kept"


def table(*columns: str, optional: tuple[str, ...] = ()) -> Listing:
    """An empty table, its first column left-aligned, the others right-aligned."""
    return Listing(columns, optional)


def listing(found: Table) -> Listing:
    """A report's table for the terminal, details in brackets."""
    made = Listing(tuple(found.header))
    for row in found.rows:
        made.add_row(*(f"{cell.main} ({cell.detail})" if cell.detail else cell.main for cell in row))
    return made


def print_table(made: Listing, title: str = "") -> None:
    """A table under its title on standard output; no cell is ever cut to make it fit."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    terminal = Console().width if sys.stdout.isatty() else 1000
    kept = made.shown(terminal)
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in kept:
        drawn.add_column(made.columns[column], justify="right" if column else "left", no_wrap=True)
    for number, row in enumerate(made.rows):
        if number in made.sections:
            drawn.add_section()
        drawn.add_row(*(row[column] for column in kept))
    sys.stdout.write(f"{title}\n" if title else "")
    sys.stdout.flush()
    Console(file=sys.stdout, width=1000, highlight=False, soft_wrap=True).print(drawn)


def print_json(value: Any) -> None:
    """One JSON object on standard output; NaN becomes null."""
    sys.stdout.write(json_text(value) + "\n")


def json_text(value: Any) -> str:
    """A JSON object as text; NaN becomes null."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def note(text: str) -> None:
    """A line for the person, on standard error."""
    sys.stderr.write(text + "\n")


@contextmanager
def resumable(output: Path | None) -> Iterator[None]:
    """Say on an interrupt that what is done is kept, where it is."""
    try:
        yield
    except KeyboardInterrupt:
        if output is not None:
            note("finished samples are kept; the same command goes on from there")
        raise


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, driven by samples; yields ``update(done, total)``."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from eventsnn.compilation import said_when_compiling

    console = Console(stderr=True)

    def compiling() -> None:
        console.print(COMPILING, highlight=False, soft_wrap=True)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with (
        said_when_compiling(compiling),
        Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress,
    ):
        # Nothing is done until the engine's kernels are compiled, once per installation.
        task = progress.add_task(f"{label} (preparing kernels)", total=None)

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, description=label)

        yield update


def summary_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """A run's summary as (quantity, value) lines; an accelerator's figures are said to be modelled."""
    from eventsnn.results.latency import NO_TIME

    modelled = "" if summary["energy_j"] is None else " (model figures)"

    def spread(name: str, unit: str = "", missing: str = "") -> str:
        values = summary[name]
        if values is None:
            return f"{NO_VALUE} ({missing})" if missing else NO_VALUE
        return (
            f"{si(values['mean'], unit)} mean, {si(values['p50'], unit)} median, "
            f"{si(values['p95'], unit)} p95"
        )

    between = summary.get("energy_interval_j")
    interval = (
        []
        if between is None
        else [("mean energy within the bands", " to ".join(si(v, "J") for v in between["mean"]))]
    )
    return [
        ("samples", str(summary["samples"])),
        ("accuracy", percent(summary["accuracy"])),
        ("synaptic operations", spread("synaptic_operations")),
        ("spikes", spread("spikes")),
        ("input events", spread("input_events")),
        (f"time to decision{modelled}", spread("latency_s", "s", NO_TIME)),
        (f"energy{modelled}", spread("energy_j", "J", "no accelerator modelled")),
        *interval,
        ("decided early", percent(summary["decided_early"])),
        *([("none of these", percent(summary["rejected"]))] if summary["rejected"] else []),
    ]


def model_figures(hardware: str) -> str:
    """The sentence that every table with an accelerator carries."""
    from eventsnn.hardware import load_architecture

    architecture = load_architecture(hardware)
    return (
        f"accelerator {architecture.name} is a model: times and energies are model figures, not measurements"
    )
