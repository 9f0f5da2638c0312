"""How numbers, tables and progress look in the terminal. Everything but results goes to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from eventsnn.report.si import percent, si

if TYPE_CHECKING:
    from rich.table import Table


def table(*columns: str) -> Table:
    """An empty table, its first column left-aligned, the others right-aligned."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right", no_wrap=index > 0)
    return made


def print_table(made: Table, title: str = "") -> None:
    """A table under its title on standard output, as wide as it needs when that is not a terminal."""
    from rich.console import Console

    if title:
        sys.stdout.write(title + "\n")
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(made)


def print_json(value: Any) -> None:
    """One JSON object on standard output; NaN becomes null."""
    sys.stdout.write(json.dumps(_plain(value), allow_nan=False) + "\n")


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
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, driven by samples; yields ``update(done, total)``."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        # Nothing is done until the engine's kernels are compiled, once per installation.
        task = progress.add_task(f"{label} (preparing kernels)", total=None)

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, description=label)

        yield update


def summary_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """A run's summary as (quantity, value) lines."""

    def spread(name: str, unit: str = "") -> str:
        values = summary[name]
        if values is None:
            return "-"
        return (
            f"{si(values['mean'], unit)} mean, {si(values['p50'], unit)} median, "
            f"{si(values['p95'], unit)} p95"
        )

    return [
        ("samples", str(summary["samples"])),
        ("accuracy", percent(summary["accuracy"])),
        ("synaptic operations", spread("synaptic_operations")),
        ("spikes", spread("spikes")),
        ("input events", spread("input_events")),
        ("time to decision", spread("latency_s", "s")),
        ("energy", spread("energy_j", "J")),
        ("decided early", percent(summary["decided_early"])),
    ]
