"""E1: events a second that each reader of recordings gives.

    python benchmarks/readers.py [--json] [--quick]

Files of 5 million random events of a 128x128 camera in 8 s, which the project's own writers write (of text a
tenth). Read whole, and in chunks of 65,536 events; the file is in the system's cache. Memory bounds it: an
event is 13 bytes, written once in blocks that fit a cache. No data are needed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from measure import Figure, Report, alternate, arguments, machine, pin_one_thread

from eventsnn.errors import MissingExtra
from eventsnn.events import FORMATS, make_events, read_chunks, read_events, write_events

NUMBER = "E1"
EVENTS, SENSOR, DURATION_US = 5_000_000, (128, 128), 8_000_000
BARS = {"aedat2": 2e7, "five-byte": 2e7}
UNSAID = ("five-byte", "npy", "npz", "csv", "parquet")


def recording(count: int) -> np.ndarray:
    """Random events, fields t (us), x, y, p."""
    draw = np.random.default_rng(0)
    t = np.sort(draw.integers(0, DURATION_US, count))
    x, y = draw.integers(0, SENSOR[0], count), draw.integers(0, SENSOR[1], count)
    return make_events(t, x, y, draw.integers(0, 2, count))


def measure(report: Report, name: str, file: Path, count: int, repeats: int) -> list[str]:
    """One format; its row of the table."""
    try:
        write_events(file, recording(count), sensor=SENSOR, format=name)
    except MissingExtra as error:
        report.add(NUMBER, Figure(f"{name}: events a second", None, None, skipped=str(error)))
        return []
    said = {"sensor": SENSOR} if name in UNSAID else {}
    jobs = {"whole": lambda: read_events(file, **said)}
    if FORMATS[name].chunks is not None:
        jobs["chunks"] = lambda: sum(len(part) for part in read_chunks(file, **said))
    times = alternate(jobs, repeats)
    rates = {how: count / spent.median for how, spent in times.items()}
    report.add(
        NUMBER,
        Figure(f"{name}: events a second", rates["whole"], BARS.get(name)),
        **{f"{name}, {how}": spent.detail() for how, spent in times.items()},
    )
    size = file.stat().st_size / count
    chunks = f"{rates['chunks'] / 1e6:.1f}" if "chunks" in rates else "-"
    return [name, f"{size:.1f}", f"{rates['whole'] / 1e6:.1f}", chunks, f"{times['whole'].spread:.0%}"]


def main() -> None:
    """Measure and print."""
    pin_one_thread()
    given = arguments(__doc__)
    report = Report()
    count, rows = EVENTS // 10 if given.quick else EVENTS, []
    with tempfile.TemporaryDirectory() as folder:
        for name, known in FORMATS.items():
            if known.write is None:
                continue
            file = Path(folder) / f"a{known.suffixes[0]}"
            here = count // 10 if name == "csv" else count
            rows.append(measure(report, name, file, here, 2 if given.quick else 5))
            file.unlink(missing_ok=True)
    title = f"{count} events: millions a second"
    report.table(title, "format|bytes/event|whole|chunks|spread", [row for row in rows if row])
    report.add(NUMBER, machine=machine())
    report.show(given.json)


if __name__ == "__main__":
    main()
