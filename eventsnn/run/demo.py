"""The demo: shipped recordings, shipped network, modelled accelerator, with and without an exit rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventsnn.errors import InvalidRequest, MissingExtra
from eventsnn.results.results import Results
from eventsnn.run.simulate import simulate
from eventsnn.run.trace import write_sample_timeline

DEMO_HARDWARE = "event-conv-small"
DEMO_EXIT = "margin:0.9"


@dataclass
class DemoOutcome:
    """What the demo produced: both runs, the files by name, and what an extra would add."""

    stopped: Results
    full: Results
    files: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The exit run at top level, the full run under ``full`` (design, section 9)."""
        return {
            **self.stopped.to_dict(),
            "per_class": self.stopped.per_class(),
            "full": {**self.full.to_dict(), "per_class": self.full.per_class()},
            "files": self.files,
        }


def shipped(name: str) -> Path:
    """A file or folder that comes with the package, installed or in a checkout.

    Raises
    ------
    InvalidRequest
        The installation does not carry it.
    """
    package = Path(__file__).resolve().parents[1]
    for base in (package / "shipped", package.parent):
        if (base / name).exists():
            return base / name
    raise InvalidRequest(f"this installation does not carry {name}; install the released package again")


def run_demo(
    folder: Path, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> DemoOutcome:
    """Run the demo and write results, report and timeline into a folder."""
    if folder.exists() and not folder.is_dir():
        raise InvalidRequest(f"{folder} is a file; give a folder for the demo's files")
    folder.mkdir(parents=True, exist_ok=True)
    network, data = shipped("models/demo.h5"), f"nmnist:{shipped('datasets/demo')}"

    def half(start: int) -> Callable[[int, int], None] | None:
        if progress is None:
            return None
        report = progress
        return lambda done, total: report(start * total + done, 2 * total)

    stopped = simulate(network, data, DEMO_HARDWARE, DEMO_EXIT, workers=workers, progress=half(0))
    full = simulate(network, data, DEMO_HARDWARE, workers=workers, progress=half(1))
    outcome = DemoOutcome(stopped, full)
    for key, name, results in (("results", "results.h5", stopped), ("full_results", "results-full.h5", full)):
        results.save(folder / name)
        outcome.files[key] = str(folder / name)
    write_sample_timeline(network, data, DEMO_HARDWARE, 0, folder / "timeline.json", exit=DEMO_EXIT)
    outcome.files["timeline"] = str(folder / "timeline.json")
    try:
        from eventsnn.report.page import write_report

        write_report([stopped, full], folder / "report.html")
        outcome.files["report"] = str(folder / "report.html")
    except MissingExtra as error:
        outcome.missing.append(str(error))
    return outcome
