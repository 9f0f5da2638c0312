"""Runs killed at random moments, and workers of runs: nothing is lost, nothing changed, nothing done twice.

    python benchmarks/kills.py [--json] [--quick]

A run of two processes with a results file is started again and again and killed (SIGKILL) after a random
time; each time its journal stays, and the next goes on. Then runs of two processes, and runs over a Dask
cluster of two processes, of which a worker is killed now and then while the run goes on. When a run ends by
itself its digest must be that of a run that was never stopped, nothing but the results file may be left, no
sample that was done at a kill may have been written again since, and no process of a killed run may live for
longer than five seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine

import eventsnn
from eventsnn.events import make_events, write_nmnist
from eventsnn.run.demo import shipped

KILLS = 100
"""Of each kind."""
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


def finished(output: Path) -> dict[str, int]:
    """The samples that a run has kept so far, each with the moment it was written."""
    found = {}
    for file in output.with_name(f"{output.name}.partial").glob("sample-*"):
        with suppress(FileNotFoundError):
            found[file.name] = file.stat().st_mtime_ns
    return found


def again(before: dict[str, int], now: dict[str, int]) -> int:
    """How many samples that were done have been written again; a run that has ended keeps none here."""
    return sum(now.get(name, moment) != moment for name, moment in before.items())


def workers_of(process: int) -> list[int]:
    """Process numbers of the workers of a run, Dask's or its own."""
    found = []
    for child in below(process):
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


@dataclass
class Outcome:
    """What kills of a run, or of its workers, led to."""

    kills: int = 0
    longest: float = 0.0
    twice: int = 0
    kept: int = 0
    digest: str = ""


def ended(process: subprocess.Popen[bytes], output: Path, found: Outcome) -> Outcome:
    """A run that ended by itself, looked at."""
    if process.returncode:
        raise SystemExit(f"a run that went on after {found.kills} kills ended with {process.returncode}")
    left = sorted(path.name for path in output.parent.iterdir())
    if left != [output.name]:
        raise SystemExit(f"beside the results file there is {left}")
    found.digest = eventsnn.Results.load(output).digest
    return found


def run_killed(command: list[str], output: Path, rng: np.random.Generator, latest_s: float) -> Outcome:
    """Kill a run until it is done."""
    found, before = Outcome(), {}
    while True:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            # The file is assembled at the end, which a run that goes on reaches sooner and sooner.
            process.communicate(timeout=rng.uniform(0.2, latest_s))
        except subprocess.TimeoutExpired:
            processes = below(process.pid)
            process.kill()
            process.communicate()
            found.longest = max(found.longest, outlived(processes))
            found.kills += 1
            now = finished(output)
            found.twice += again(before, now)
            found.kept, before = max(found.kept, len(now)), now
            continue
        return ended(process, output, found)


def workers_killed(command: list[str], output: Path, rng: np.random.Generator, latest_s: float) -> Outcome:
    """Kill one worker of a run now and then, until it is done."""
    found, before = Outcome(), {}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while True:
        try:
            process.communicate(timeout=rng.uniform(0.5, latest_s))
        except subprocess.TimeoutExpired:
            now = finished(output)
            found.twice += again(before, now)
            found.kept, before = max(found.kept, len(now)), now
            # One that has not begun yet shows nothing.
            if now and (workers := workers_of(process.pid)):
                with suppress(ProcessLookupError):
                    os.kill(int(rng.choice(workers)), signal.SIGKILL)
                    found.kills += 1
            continue
        return ended(process, output, found)


KINDS = (
    ("run of two processes killed", run_killed, ("--workers", "2")),
    ("a worker of two processes killed", workers_killed, ("--workers", "2")),
    ("a worker of a Dask cluster of two killed", workers_killed, ("--workers", "2", "--dask", "local")),
)


def measure(report: Report, wanted: int) -> list[tuple[Any, ...]]:
    """Of each kind, kill until there were as many kills as wanted."""
    rng, rows = np.random.default_rng(70), []
    every: list[Outcome] = []
    equal = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_recordings(folder / "set", RECORDINGS)
        network, data = shipped("models/demo.h5"), f"nmnist:{folder / 'set'}"
        digest = eventsnn.simulate(network, data, hardware="event-conv-small").digest
        fixed = ["run", str(network), "--data", data, "--hardware", "event-conv-small"]
        for kind, kill, options in KINDS:
            command = [sys.executable, "-m", "eventsnn", *fixed, *options, "-o"]
            # How late a kill may come follows from how long a run takes on this machine, as busy as it is.
            began = time.monotonic()
            subprocess.run([*command, str(folder / "unstopped.h5")], check=True, stdout=subprocess.DEVNULL)
            latest_s = max(LATEST_S, time.monotonic() - began)
            (folder / "unstopped.h5").unlink()
            kills = 0
            while kills < wanted:
                output = folder / str(len(rows)) / "results.h5"
                output.parent.mkdir()
                share = 1.2 if kill is run_killed else 0.3
                found = kill([*command, str(output)], output, rng, share * latest_s)
                same = found.digest == digest
                lived = f"{found.longest:.2f}" if kill is run_killed else "-"
                rows.append((kind, found.kills, found.twice, lived, "equal" if same else "DIFFERENT"))
                print(*rows[-1], sep="; ", file=sys.stderr, flush=True)
                every.append(found)
                kills += found.kills
                equal += found.kills if same else 0
    kills = sum(found.kills for found in every)
    if not any(found.kept for found in every):
        raise SystemExit(
            "no sample was found in a journal at any kill; that nothing was done twice is not known"
        )
    report.add(
        "kills",
        Figure(NAME, equal / kills, 1.0),
        Figure("samples done twice", sum(found.twice for found in every), 0, at_most=True),
        Figure(
            "longest that a process outlived its parent, s",
            max(found.longest for found in every),
            GRACE_S,
            at_most=True,
        ),
        kills=kills,
        runs=len(rows),
    )
    return rows


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={"kills": {"machine": machine()}})
    rows = measure(report, QUICK if chosen.quick else KILLS)
    report.table("kills", "what|kills|done twice|longest life after, s|digest", rows)
    report.show(chosen.json)


if __name__ == "__main__":
    main()
