"""What the benchmarks share: one pinned thread, times with their spread, figures against bars, output.

Times are CPU seconds of this process, which on one pinned thread are its wall-clock seconds less what
other programs took from it; the tables say how many wall-clock seconds there were to a CPU second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def one_thread(pinned: bool = False) -> None:
    """Run this process, started again if need be, with one thread.

    Libraries read the number of threads as they load, so the environment must be there first.
    """
    if pinned and hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {_idlest_cpu()})
    if all(os.environ.get(name) == value for name, value in ONE_THREAD.items()):
        return
    os.environ.update(ONE_THREAD)
    os.execv(sys.executable, [sys.executable, *sys.argv])


def pin_one_thread() -> None:
    """The same, and only on the CPU that is idlest now."""
    one_thread(pinned=True)


def _idlest_cpu() -> int:
    def idle_ticks() -> dict[int, int]:
        with open("/proc/stat") as file:
            rows = [line.split() for line in file if line.startswith("cpu") and line[3].isdigit()]
        return {int(row[0][3:]): int(row[4]) for row in rows}

    before = idle_ticks()
    time.sleep(0.2)
    after = idle_ticks()
    return max(sorted(os.sched_getaffinity(0)), key=lambda cpu: after[cpu] - before[cpu])


@dataclass(frozen=True)
class Times:
    """Repeated times of one job, in seconds."""

    cpu: tuple[float, ...]
    wall: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the CPU seconds."""
        return median(self.cpu)

    @property
    def spread(self) -> float:
        """(Longest - shortest) / median of the CPU seconds."""
        return (max(self.cpu) - min(self.cpu)) / self.median

    def detail(self) -> dict[str, float]:
        """As JSON values."""
        return {
            "seconds": self.median, "fastest": min(self.cpu), "slowest": max(self.cpu),
            "repeats": len(self.cpu), "wall_per_cpu": sum(self.wall) / sum(self.cpu),
        }  # fmt: skip


def alternate(jobs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Times]:
    """Time jobs in turn, after one untimed run of each: what slows the machine for a while slows all."""
    cpu: dict[str, list[float]] = {name: [] for name in jobs}
    wall: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(repeats):
        for name, job in jobs.items():
            started, started_cpu = time.perf_counter(), time.process_time()
            job()
            cpu[name].append(time.process_time() - started_cpu)
            wall[name].append(time.perf_counter() - started)
    return {name: Times(tuple(cpu[name]), tuple(wall[name])) for name in jobs}


@dataclass(frozen=True)
class Figure:
    """One measured figure and the bar it is held to.

    ``within`` makes the bar a value to be met, to so much of it. ``value`` is None when it could not be
    measured: ``skipped`` says why, and ``failed`` whether that is a failure (results differ) and no mere lack
    (a rival is not installed).
    """

    name: str
    value: float | None
    bar: float | None
    at_most: bool = False
    within: float | None = None
    skipped: str = ""
    failed: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the bar holds; None when it was not measured or there is none."""
        if self.value is None or self.bar is None:
            return False if self.failed else None
        if self.within is not None:
            return bool(abs(self.value - self.bar) <= self.within * abs(self.bar))
        return bool(self.value <= self.bar if self.at_most else self.value >= self.bar)  # no NumPy bool

    @property
    def bar_text(self) -> str:
        """The bar with its direction."""
        if self.bar is not None and self.within is not None:
            return f"= {self.bar:.12g}" + (f" to {self.within:g} of it" if self.within else "")
        return "-" if self.bar is None else f"{'<=' if self.at_most else '>='} {self.bar:g}"


@dataclass
class Report:
    """What one script measured: figures by acceptance number, tables for readers, detail for JSON."""

    figures: dict[str, list[Figure]] = field(default_factory=dict)
    detail: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: list[tuple[str, list[str], list[list[str]]]] = field(default_factory=list)

    def add(self, number: str, *figures: Figure, **detail: Any) -> None:
        """Add figures and their detail to an acceptance number."""
        self.figures.setdefault(number, []).extend(figures)
        self.detail.setdefault(number, {}).update(detail)

    def table(self, title: str, columns: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add a table, if there are rows for it; its columns are named in one text, ``|`` between."""
        if rows:
            self.tables.append((title, columns.split("|"), [[str(cell) for cell in row] for row in rows]))

    def as_json(self) -> dict[str, Any]:
        """``{"D1": {"value", "bar", "holds", "detail"}}``; values and bars by figure."""
        found: dict[str, Any] = {}
        for number, figures in self.figures.items():
            verdicts = [figure.holds for figure in figures]
            holds = False if False in verdicts else (True if True in verdicts else None)
            found[number] = {
                "value": {figure.name: figure.value for figure in figures},
                "bar": {figure.name: figure.bar_text for figure in figures},
                "holds": holds,
                "held": {figure.name: figure.holds for figure in figures},
                "detail": self.detail[number],
            }
            reasons = {figure.name: figure.skipped for figure in figures if figure.skipped}
            if reasons:
                found[number]["skipped"] = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        return found

    def show(self, as_json: bool) -> None:
        """Print one JSON object and nothing else, or tables."""
        if as_json:
            print(json.dumps(self.as_json()))
            return
        console = _console()
        for title, columns, rows in self.tables:
            console.print(_table(title, columns, rows))
        show_verdicts(self.as_json())


def show_verdicts(results: Mapping[str, Any]) -> None:
    """Print every figure against its bar, and why some were not measured."""
    console = _console()
    rows = []
    for number, entry in results.items():
        for name, value in entry["value"].items():
            shown = "not measured" if value is None else f"{value:.3g}"
            held = {True: "holds", False: "missed", None: ""}[entry.get("held", {}).get(name)]
            rows.append([number, name, shown, entry["bar"][name], held])
    console.print(_table("against the bars", ["", "figure", "measured", "bar", ""], rows))
    for number, entry in results.items():
        if entry.get("skipped"):
            console.print(f"{number}, {entry['skipped']}", markup=False)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < 2 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def peak_memory_mb() -> float:
    """Peak memory of this process so far.

    Linux's ``ru_maxrss`` would count what the process that started this one had.
    """
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rival_python() -> Path | None:
    """The interpreter of the rivals' environment, None if it was not made."""
    path = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin" / "python"
    return path if path.is_file() else None


def machine() -> dict[str, Any]:
    """The processor and the versions that figures depend on."""
    from importlib.metadata import version

    model = platform.processor()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    names = ("eventsnn", "numpy", "numba")
    return {"processor": model, "python": platform.python_version()} | {n: version(n) for n in names}


def arguments(description: str, *more: Callable[[argparse.ArgumentParser], Any]) -> argparse.Namespace:
    """The command line all scripts share: --json, --quick, and what ``more`` adds."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--quick", action="store_true", help="fewer samples and repeats, for a first look")
    for add in more:
        add(parser)
    return parser.parse_args()


def si(value: float, unit: str = "") -> str:
    """A number with an SI prefix, three digits."""
    from eventsnn.report.si import si as formatted

    return formatted(value, unit)
