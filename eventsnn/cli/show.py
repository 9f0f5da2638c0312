"""How numbers, tables and progress look in the terminal. Everything but results goes to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_PREFIXES = {4: "T", 3: "G", 2: "M", 1: "k", 0: "", -1: "m", -2: "µ", -3: "n", -4: "p", -5: "f"}


def si(value: float | None, unit: str = "", digits: int = 3) -> str:
    """A number with an SI prefix and its unit: 1234567 -> '1.23 M'; '-' for None or NaN."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return f"0 {unit}".rstrip()
    power = max(-5, min(4, math.floor(math.log10(abs(value)) / 3)))
    scaled = float(f"{value / 1000.0**power:.{digits}g}")
    if abs(scaled) >= 1000 and power < 4:
        scaled, power = scaled / 1000, power + 1
    text = f"{scaled:.{digits}g}" if abs(scaled) < 10**digits else f"{scaled:.0f}"
    return f"{text} {_PREFIXES[power]}{unit}".rstrip()


def percent(share: float | None) -> str:
    """A share as a percentage; '-' for None."""
    return "-" if share is None else f"{100 * share:.1f} %"


def table(title: str, *columns: str) -> Table:
    """An empty table, its first column left-aligned, the others right-aligned."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right", no_wrap=index > 0)
    return made


def print_table(made: Table) -> None:
    """A table on standard output, as wide as it needs when that is not a terminal."""
    from rich.console import Console

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140)
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
