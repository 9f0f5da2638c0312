"""Runs killed at random moments, until each is done: 70 of 70 kills lose nothing and change nothing.

    python benchmarks/kills.py [--json] [--quick]

A run with a results file is started again and again and killed (SIGKILL) after a random time, one process or
two; each time its journal stays, and the next goes on. When a run ends by itself its digest must be that of a
run that was never stopped, nothing but the results file may be left, and no process of a killed run may
live for longer than five seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine

import eventsnn
from eventsnn.events import make_events, write_nmnist
from eventsnn.run.demo import shipped

KILLS = 70
QUICK = 6
GRACE_S = 5.0
LATEST_S = 4.0
RECORDINGS = 40
EVENTS = 30_000
NAME = "kills survived"


def write_recordings(folder: Path, count: int) -> None:
    """Noise in the N-MNIST layout."""
    rng = np.random.default_rng(0)
    for number in range(count):
        place = folder / str(number % 10)
        place.mkdir(parents=True, exist_ok=True)
        time_us = np.sort(rng.integers(0, 300_000, EVENTS))
        x, y, p = rng.integers(0, 34, EVENTS), rng.integers(0, 34, EVENTS), rng.integers(0, 2, EVENTS) > 0
        write_nmnist(place / f"{number:05d}.bin", make_events(time_us, x, y, p))


def below(process: int) -> list[int]:
    """Process numbers of all below a process."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found += [child, *below(child)]
    return found


def lives(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def outlived(processes: list[int]) -> float:
    """Seconds until none of them lives."""
    begun = time.monotonic()
    while any(map(lives, processes)) and time.monotonic() - begun < 4 * GRACE_S:
        time.sleep(0.02)
    return time.monotonic() - begun


def killed_until_done(command: list[str], output: Path, rng: np.random.Generator) -> tuple[int, float, str]:
    """Kills that a run took, the longest that a process outlived one, and the digest at last."""
    kills, longest = 0, 0.0
    while True:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            # The file is assembled at the end, which a run that goes on reaches sooner and sooner.
            process.communicate(timeout=rng.uniform(0.2, LATEST_S))
        except subprocess.TimeoutExpired:
            processes = below(process.pid)
            process.kill()
            process.communicate()
            longest = max(longest, outlived(processes))
            kills += 1
            continue
        if process.returncode:
            raise SystemExit(f"a run that went on after {kills} kills ended with {process.returncode}")
        left = sorted(path.name for path in output.parent.iterdir())
        if left != [output.name]:
            raise SystemExit(f"beside the results file there is {left}")
        return kills, longest, eventsnn.Results.load(output).digest


def measure(report: Report, wanted: int) -> list[tuple[Any, ...]]:
    """Kill runs until there were as many kills as wanted."""
    rng, rows = np.random.default_rng(70), []
    kills = survived = 0
    longest = 0.0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_recordings(folder / "set", RECORDINGS)
        network, data = shipped("models/demo.h5"), f"nmnist:{folder / 'set'}"
        digest = eventsnn.simulate(network, data, hardware="event-conv-small").digest
        while kills < wanted:
            workers = 1 + len(rows) % 2
            output = folder / str(len(rows)) / "results.h5"
            output.parent.mkdir()
            command = [
                sys.executable,
                "-m",
                "eventsnn",
                "run",
                str(network),
                "--data",
                data,
                "-o",
                str(output),
            ]
            command += ["--hardware", "event-conv-small", "--workers", str(workers)]
            took, lived, found = killed_until_done(command, output, rng)
            rows.append((workers, took, f"{lived:.2f}", "equal" if found == digest else "DIFFERENT"))
            kills += took
            survived += took if found == digest else 0
            longest = max(longest, lived)
    report.add(
        "kills",
        Figure(NAME, survived / kills, 1.0),
        Figure("longest that a process outlived its parent, s", longest, GRACE_S, at_most=True),
        kills=kills,
        runs=len(rows),
    )
    return rows


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={"kills": {"machine": machine()}})
    rows = measure(report, QUICK if chosen.quick else KILLS)
    report.table("kills", "workers|kills|longest life after, s|digest", rows)
    report.show(chosen.json)


if __name__ == "__main__":
    main()
