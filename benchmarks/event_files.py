"""Emulated CIFAR10-DVS and N-MNIST in our file: how fast they are made and read, and how small.

    EVENTSNN_DATA=... python benchmarks/event_files.py [--json] [--quick]

200 pictures of CIFAR-10's test set, taken evenly, become streams of 128 x 128 pixels, 1.3 s and about
2 x 10^5 events: *emulated CIFAR10-DVS*. The bar on emulating is 10,000 streams within an hour on two cores.
Bytes are those of the whole file, against the 13 of the structured array and the 8 of AEDAT 2.0. Each
recording is read whole, verified, decoded into the structured array.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, pin_one_thread, si

NUMBER = "event files"
PICTURES = 200
QUICK = 20
REPEATS = 3
RATE_BAR = 2e7
RATIO_BAR = 5.0
EMULATION_BAR = 0.72


def cpu_seconds(job: Callable[[], Any]) -> float:
    """CPU seconds of this process for one job."""
    began = time.process_time()
    job()
    return time.process_time() - began


def read_all(path: Path) -> None:
    """Every recording of a file."""
    from eventsnn.events.event_file import open_event_file

    opened = open_event_file(path)
    for position in range(len(opened)):
        opened.read(position)


def measured(report: Report, name: str, path: Path, bars: bool) -> list[Any]:
    """Size and reading speed of a file; a row of the table."""
    from eventsnn.events.event_file import open_event_file

    opened = open_event_file(path)
    events, size = int(opened.recordings["events"].sum()), path.stat().st_size
    fastest = min(cpu_seconds(lambda: read_all(path)) for _ in range(REPEATS))
    ratio, rate = 13 * events / size, events / fastest
    report.add(
        NUMBER,
        Figure(f"{name}: events read per second", rate, RATE_BAR if bars else None),
        Figure(f"{name}: times smaller than the structured array", ratio, RATIO_BAR if bars else None),
        Figure(f"{name}: times smaller than AEDAT 2.0", 8 * events / size, None),
    )
    return [
        name, len(opened), si(events / len(opened)), f"{size / events:.2f}", f"{ratio:.2f}",
        f"{8 * events / size:.2f}", si(rate),
    ]  # fmt: skip


def compare(report: Report, data: Path, count: int) -> None:
    """Both sets."""
    from eventsnn.events import emulate_smooth_movement, image_set
    from eventsnn.run.emulated import emulate_cifar10_dvs
    from eventsnn.run.pictures import pictures_of
    from eventsnn.run.prepare import prepare_recordings

    with np.load(data / "cifar10" / "cifar10_lossless.npz") as file:
        residue, labels = file["test_resid"], file["test_y"]
    chosen = np.arange(count) * len(labels) // count
    c = np.cumsum(np.cumsum(residue[:, chosen], -1, dtype=np.uint8), -2, dtype=np.uint8)
    images = np.stack([c[1] + c[0], c[0], c[2] + c[0]], -1)
    emulate_smooth_movement(images[0], 0, 0)  # compiles
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        counts: list[int] = []
        emulating = cpu_seconds(
            lambda: counts.extend(len(emulate_smooth_movement(image, 0, k)) for k, image in enumerate(images))
        )
        pictures = pictures_of(image_set(images, labels[chosen].astype(int)))
        for size, factor in ((128, 1), (64, 2), (32, 4)):
            path = Path(folder) / f"emulated{size}.h5"
            whole = cpu_seconds(lambda p=path, f=factor: emulate_cifar10_dvs(pictures, p, downsample=f))
            name = f"emulated CIFAR10-DVS, {size} x {size}"
            rows.append(measured(report, name, path, factor == 1))
            if factor == 2:
                report.add(
                    NUMBER,
                    Figure("emulating and writing a stream, s", whole / count, EMULATION_BAR, at_most=True),
                    Figure("10,000 streams on two cores, minutes", whole / count * 10_000 / 120, None),
                )
        path = Path(folder) / "nmnist.h5"
        prepare_recordings(f"nmnist:{data / 'nmnist'}", path)
        rows.append(measured(report, "N-MNIST", path, True))
    report.add(
        NUMBER,
        Figure("events of an emulated stream, mean", float(np.mean(counts)), None),
        Figure("emulating a stream, s", emulating / count, None),
        streams=count,
        machine=machine(),
    )
    report.table(
        "recordings in our file, CPU seconds of one thread",
        "set|recordings|events each|bytes an event|of 13|of 8|read/s",
        rows,
    )


def main() -> None:
    """Measure and print."""
    given = arguments(str(__doc__))
    pin_one_thread()
    report, data = Report(), os.environ.get("EVENTSNN_DATA")
    if data:
        compare(report, Path(data), QUICK if given.quick else PICTURES)
    else:
        why = "EVENTSNN_DATA is not set; it names the folder with cifar10/ and nmnist/"
        report.add(NUMBER, Figure("events read per second", None, RATE_BAR, skipped=why))
    report.show(given.json)


if __name__ == "__main__":
    main()
