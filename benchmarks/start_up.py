"""D9: how long the first things a user does take.

    python benchmarks/start_up.py [--json] [--quick]

``eventsnn --help`` and ``import eventsnn`` are whole processes, interpreter included, the fastest of
several; ``eventsnn demo`` runs in an empty folder with an empty ``NUMBA_CACHE_DIR``, so everything is
compiled. Python's own start bounds the first two, Numba's compiler the third. Wall-clock time, which other
programs lengthen: CPU seconds stand beside it. No data are needed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import Figure, Report, arguments, machine, one_thread

HELP_BAR = IMPORT_BAR = 0.3
DEMO_BAR = 60.0


def seconds(command: list[str], folder: str, **environment: str) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a process that must succeed."""
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True, capture_output=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - started, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


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
        Figure("eventsnn --help, s", found["eventsnn --help"][0][0], HELP_BAR, at_most=True),
        Figure("import eventsnn, s", found["import eventsnn"][0][0], IMPORT_BAR, at_most=True),
        Figure("first eventsnn demo, s", cold[0], DEMO_BAR, at_most=True),
        wall_and_cpu_seconds=found | {"first demo": [cold], "second demo": [warm]},
        load_average=os.getloadavg()[0],
    )  # fmt: skip
    rows = [[name, f"{t[0][0]:.3f}", f"{t[-1][0]:.3f}", f"{t[0][1]:.3f}"] for name, t in found.items()]
    for name, (wall, cpu) in (("first", cold), ("second", warm)):
        rows.append([f"eventsnn demo, {name}", f"{wall:.1f}", "", f"{cpu:.1f}"])
    report.table("D9: start-up, seconds", "what|fastest|slowest|CPU", rows)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
