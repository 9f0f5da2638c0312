"""D9: how long the first things a user does take.

    python benchmarks/start_up.py [--json] [--quick]

``eventsnn --help`` and ``import eventsnn`` are whole processes, interpreter included, the fastest of
several; ``eventsnn demo`` runs in an empty folder with an empty ``NUMBA_CACHE_DIR``, so everything is
compiled. Python's own start bounds the first two, Numba's compiler the third. Wall-clock time; no data are
needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import Figure, Report, arguments, machine, one_thread

HELP_BAR = IMPORT_BAR = 0.3
DEMO_BAR = 60.0


def seconds(command: list[str], folder: str, **environment: str) -> float:
    """Wall-clock seconds of a process that must succeed."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={"D9": {"machine": machine()}})
    program = str(Path(sys.executable).with_name("eventsnn"))
    short = {
        "python": [sys.executable, "-c", "pass"],
        "eventsnn --help": [program, "--help"],
        "import eventsnn": [sys.executable, "-c", "import eventsnn"],
    }
    with tempfile.TemporaryDirectory() as folder:
        found = {
            name: sorted(seconds(command, folder) for _ in range(3 if chosen.quick else 10))
            for name, command in short.items()
        }
        cache = Path(folder) / "cache"
        cache.mkdir()
        cold = seconds([program, "demo"], folder, NUMBA_CACHE_DIR=str(cache))
        warm = seconds([program, "demo"], folder, NUMBA_CACHE_DIR=str(cache))
    report.add(
        "D9",
        Figure("eventsnn --help, s", found["eventsnn --help"][0], HELP_BAR, at_most=True),
        Figure("import eventsnn, s", found["import eventsnn"][0], IMPORT_BAR, at_most=True),
        Figure("first eventsnn demo, s", cold, DEMO_BAR, at_most=True),
        seconds=found, first_demo=cold, second_demo=warm,
    )  # fmt: skip
    rows = [[name, f"{times[0]:.3f}", f"{times[-1]:.3f}"] for name, times in found.items()]
    rows += [["eventsnn demo, first", f"{cold:.1f}", ""], ["eventsnn demo, second", f"{warm:.1f}", ""]]
    report.table("D9: start-up, seconds", "what|fastest|slowest", rows)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
