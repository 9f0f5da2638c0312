"""D7: one worker process against two, through ``simulate``, with equal digests.

    EVENTSNN_DATA=... python benchmarks/workers.py [--json] [--quick]

Workload A replays rate-coded digits as recordings, enough for a minute of work. Wall-clock time of the whole
call: starting the processes, sending them the job and collecting results are in it, and bound it when the
work is short. Each process has one thread; nothing is pinned to a CPU.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread
from networks import UNIT_US, NoData, Workload, bernoulli

import eventsnn
from eventsnn.events import Recording
from eventsnn.network import Network

BAR = 1.85
UNITS = 128
DISTINCT = 32
NAME = "1 worker / 2 workers, wall clock"
EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])


def recordings(workload: Workload, count: int) -> list[Recording]:
    """Rate-coded digits as event recordings, over and over."""
    events = []
    for sample in bernoulli(workload.pixels(DISTINCT), UNITS):
        step, y, x, _ = np.nonzero(sample)
        each = np.zeros(len(step), dtype=EVENT)
        each["t"], each["x"], each["y"], each["p"] = step * UNIT_US, x, y, True
        events.append(each)
    return [
        Recording(events[i % DISTINCT], int(workload.labels[i % DISTINCT]), i, f"digit {i}")
        for i in range(count)
    ]


def wall_seconds(network: Network, given: list[Recording], workers: int) -> tuple[float, str]:
    """Of one call of ``simulate``, with its digest."""
    started = time.perf_counter()
    results = eventsnn.simulate(network, given, workers=workers)
    return time.perf_counter() - started, results.digest


def measure(report: Report, workload: Workload, seconds: float) -> list[list[Any]]:
    """Enough recordings for ``seconds`` in one process, then both."""
    network = workload.rate
    wall_seconds(network, recordings(workload, 2), 1)
    probe, _ = wall_seconds(network, recordings(workload, DISTINCT), 1)
    given = recordings(workload, max(DISTINCT, round(seconds / probe * DISTINCT)))
    one, digest = wall_seconds(network, given, 1)
    two, digest_of_two = wall_seconds(network, given, 2)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    why, failed = "", False
    if digest != digest_of_two:
        why, failed = f"digests differ: {digest} and {digest_of_two}", True
    elif cores < 2:
        why = "there is one core"
    report.add(
        "D7",
        Figure(NAME, None if why else one / two, BAR, skipped=why, failed=failed),
        recordings=len(given), seconds={"1": one, "2": two}, digest=digest, cores=cores,
        load_average=os.getloadavg()[0],
    )  # fmt: skip
    return [
        ["1", len(given), f"{one:.1f}", "1.00", digest],
        ["2", len(given), f"{two:.1f}", f"{one / two:.2f}", digest_of_two],
    ]


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={"D7": {"machine": machine()}})
    try:
        rows = measure(report, Workload("A"), 15.0 if chosen.quick else 60.0)
    except NoData as reason:
        report.add("D7", Figure(NAME, None, BAR, skipped=str(reason)))
        rows = []
    report.table("D7: worker processes", "workers|recordings|seconds|speed-up|digest", rows)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
