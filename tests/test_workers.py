"""Processes for samples, apart from simulation: what they raise, warn of, and how they end."""

import ctypes
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from eventsnn.errors import EventsnnWarning, InvalidEvents, WorkerLost
from eventsnn.run import workers
from eventsnn.run.workers import run_in_processes


class Noted(EventsnnWarning):
    """A warning of this test."""


def doubled():
    return lambda position: 2 * position


def warning():
    def run(position):
        warnings.warn(f"sample {position}", Noted, stacklevel=1)
        return position

    return run


def refusing():
    def run(position):
        if position == 3:
            raise InvalidEvents("sample 3 is none")
        return position

    return run


def dying_while_it_sends():
    """Killed after so much of a result has gone through the pipe that its beginning is read."""

    def run(position):
        if position == 2:
            threading.Thread(target=lambda: (time.sleep(0.05), os.kill(os.getpid(), signal.SIGKILL))).start()
            return bytes(200_000_000)
        return position

    return run


def deaf():
    """Runs compiled code that lets no other thread of Python run."""

    def run(position):
        sys.stdout.write(f"{os.getpid()}\n")
        sys.stdout.flush()
        return ctypes.PyDLL(None).sleep(60)

    return run


def test_every_position_is_run_once():
    assert sorted(run_in_processes(doubled, list(range(20)), 2)) == list(range(0, 40, 2))


def test_warnings_of_workers_are_given_here():
    with pytest.warns(Noted) as caught:
        list(run_in_processes(warning, [4, 7], 2))
    assert sorted(str(noted.message) for noted in caught) == ["sample 4", "sample 7"]


def test_an_error_of_a_worker_is_raised_here():
    with pytest.raises(InvalidEvents, match="sample 3 is none"):
        list(run_in_processes(refusing, list(range(9)), 2))


def test_what_was_done_before_an_error_is_not_lost(monkeypatch):
    monkeypatch.setitem(workers._worker, "runner", refusing())
    chunk = workers._run_in_worker([1, 2, 3, 4])
    assert chunk.outcomes == [1, 2]
    assert isinstance(chunk.failure, InvalidEvents)


def test_chunks_grow_while_samples_are_short_and_all_end_together(monkeypatch):
    sizes = []

    class Pool(ThreadPoolExecutor):
        _processes: ClassVar = {}

        def __init__(self, workers, context, initializer, initargs):
            super().__init__(workers, initializer=initializer, initargs=initargs)

        def submit(self, run, positions):
            sizes.append(len(positions))
            return super().submit(run, positions)

    # By this clock every chunk is over soon, whatever the machine does meanwhile.
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) * workers.CHUNK_S / 100)
    monkeypatch.setattr(workers, "time", clock)
    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(workers, "_start_worker", lambda make: workers._worker.update(runner=make()))
    assert sorted(run_in_processes(doubled, list(range(4000)), 2)) == list(range(0, 8000, 2))
    assert sizes[0] == sizes[-1] == 1
    assert 100 < max(sizes) <= 1000
    assert len(sizes) < 400


def test_a_worker_killed_while_it_sends_is_no_hang():
    begun, found = time.monotonic(), []
    with pytest.raises(WorkerLost, match="a worker process ended"):
        found.extend(run_in_processes(dying_while_it_sends, [0, 1, 2], 2))
    assert time.monotonic() - begun < 60


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing ends a process that does not look")
def test_compiled_code_does_not_outlive_the_parent_either():
    code = "import test_workers as t\nlist(t.run_in_processes(t.deaf, [0, 1], 2))"
    places = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": places},
    )
    workers = [int(process.stdout.readline()) for _ in range(2)]
    process.kill()
    # The pipe ends when the last that holds it has ended.
    process.communicate(timeout=5)
    assert not any(Path(f"/proc/{worker}/cmdline").exists() and is_running(worker) for worker in workers)


def is_running(process):
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
