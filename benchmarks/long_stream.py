"""A long recording replayed as a stream: the memory that it takes, in parts and read whole.

    python benchmarks/long_stream.py [--json] [--quick]

Random events of a 34x34 camera, 20,000 a second, for one minute and for ten (Prophesee DAT, 8 bytes each),
through ``models/demo.h5``: decided every 10 ms on a window of 100 ms. Each run is a process of its own, and
its peak is what the system says (``ru_maxrss``), interpreter and compiled code included. Decisions are the
same in both ways. No data are needed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread

NUMBER = "long stream"
MODEL = Path(__file__).resolve().parents[1] / "models/demo.h5"
RATE_HZ, SIDE, BLOCK = 20_000, 34, 1 << 20
MINUTES = (1, 10)
RUN = """
import resource, sys
import eventsnn
from eventsnn.events import long_recordings
network, data, large = sys.argv[1:]
long_recordings.LARGE_BYTES = int(large)
found = eventsnn.stream(network, data, decide_every_us=10_000, window_us=100_000)
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(most, found.digest, found.decisions["host_ns"].sum())
"""


def write(path: Path, events: int) -> None:
    """Random events, block by block."""
    draw = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(b"% Data file containing CD events\n% Version 2\n% Width 34\n% Height 34\n\x0c\x08")
        for begin in range(0, events, BLOCK):
            number = np.arange(begin, min(begin + BLOCK, events))
            records = np.empty((len(number), 2), "<u4")
            records[:, 0] = number * (10**6 // RATE_HZ)
            x, y = draw.integers(0, SIDE, (2, len(number)))
            records[:, 1] = x | y << 14 | draw.integers(0, 2, len(number)) << 28
            file.write(records.tobytes())


def peak(path: Path, large: int) -> tuple[float, str, float]:
    """MiB at most, the digest, and seconds of simulating."""
    words = [sys.executable, "-c", RUN, str(MODEL), f"events:{path}", str(large)]
    done = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return float(done[0]), done[1], float(done[2]) / 1e9


def main() -> None:
    """Measure and print."""
    given = arguments(str(__doc__))
    one_thread()
    report, rows = Report(), []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in MINUTES[:1] if given.quick else MINUTES:
            path, events = Path(folder) / "long.dat", minutes * 60 * RATE_HZ
            write(path, events // 60 if given.quick else events)
            parts, whole = peak(path, 0), peak(path, 1 << 62)
            assert parts[1] == whole[1], "decisions differ"
            figures = (path.stat().st_size / 2**20, parts[0], whole[0], parts[2])
            rows.append([str(minutes), *(f"{figure:.0f}" for figure in figures)])
            report.add(
                NUMBER,
                Figure(f"{minutes} min: MiB at most, in parts", parts[0], None),
                Figure(f"{minutes} min: MiB at most, read whole", whole[0], None),
            )
    report.add(NUMBER, machine=machine())
    report.table("peak memory of a stream, MiB", "minutes|file|in parts|whole|seconds simulating", rows)
    report.show(given.json)


if __name__ == "__main__":
    main()
