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
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import eventsnn
from eventsnn.errors import EventsnnWarning, InvalidEvents, InvalidRequest, WorkerLost
from eventsnn.run import chunks
from eventsnn.run.chunks import Job, place, run_chunk
from eventsnn.run.cluster import run_in_executor
from eventsnn.run.workers import run_in_processes
from eventsnn.version import __version__


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


def test_no_thread_fails_where_workers_are_ended_after_an_error(monkeypatch):
    failures = []
    monkeypatch.setattr(threading, "excepthook", lambda failed: failures.append(failed.exc_value))
    for _ in range(8):
        before = set(threading.enumerate())
        with pytest.raises(InvalidEvents):
            list(run_in_processes(refusing, list(range(9)), 2))
        for thread in set(threading.enumerate()) - before:
            thread.join(20)
    assert failures == []


def test_after_an_error_an_executor_of_the_users_is_asked_to_begin_no_more():
    futures = []

    class Kept(ThreadPoolExecutor):
        def submit(self, *call):
            futures.append(super().submit(*call))
            return futures[-1]

    with Kept(1) as executor, pytest.raises(InvalidEvents):
        list(run_in_executor(executor, slowly_refusing, list(range(9)), 2, str))
    assert any(future.cancelled() for future in futures)


def slowly_refusing():
    def run(position):
        time.sleep(0.2)
        raise InvalidEvents(f"sample {position} is none")

    return run


def test_what_was_done_before_an_error_is_not_lost():
    job = Job(refusing)
    ran = run_chunk(job.key, job.sent, place()[:2], __version__, [1, 2, 3, 4])
    assert ran.outcomes == [1, 2]
    assert isinstance(ran.failure, InvalidEvents)


class Recorded(ThreadPoolExecutor):
    """Threads that keep what they were given."""

    def __init__(self, workers=2):
        super().__init__(workers)
        self.given = []

    def submit(self, call, key, sent, *rest):
        self.given.append((sent is not None, rest[-1]))
        return super().submit(call, key, sent, *rest)


def test_chunks_grow_while_samples_are_short_and_all_end_together(monkeypatch):
    # By this clock every chunk is over soon, whatever the machine does meanwhile.
    ticks = itertools.count()
    monkeypatch.setattr(
        chunks, "time", SimpleNamespace(perf_counter=lambda: next(ticks) * chunks.CHUNK_S / 1000)
    )
    with Recorded() as executor:
        found = run_in_executor(executor, doubled, list(range(4000)), 2, str)
        assert sorted(found) == list(range(0, 8000, 2))
    sizes = [len(positions) for _, positions in executor.given]
    assert sizes[0] == sizes[-1] == 1
    assert 100 < max(sizes) <= 1000
    assert len(sizes) < 400


def test_the_job_is_sent_once_to_a_process_and_asked_for_by_the_others():
    """Each worker lacks it at first; here all threads share what their process has."""
    with Recorded() as executor:
        assert sorted(run_in_executor(executor, doubled, list(range(50)), 2, str)) == list(range(0, 100, 2))
    assert 1 <= sum(sent for sent, _ in executor.given) <= 2


class Far(Recorded):
    """Processes by turns, each of which has only what it was sent: the last call is answered by the next."""

    def __init__(self, workers):
        super().__init__(1)
        self.jobs = [{} for _ in range(workers)]
        self.sent_to = [0] * workers

    def submit(self, call, key, sent, *rest):
        turn = len(self.given)
        self.given.append((sent is not None, rest[-1]))
        number = turn % len(self.jobs)

        def there():
            chunks._jobs, kept = self.jobs[number], chunks._jobs
            chunks._here.__dict__.clear()
            self.sent_to[number] += sent is not None
            place, chunks.place = chunks.place, lambda: ("far", number, 0)
            try:
                return call(key, sent, *rest)
            finally:
                chunks._jobs, chunks.place = kept, place

        return ThreadPoolExecutor.submit(self, there)


@pytest.mark.parametrize("workers", [1, 3, 7])
def test_workers_get_the_job_and_hardly_ever_twice(workers):
    with Far(workers) as executor:
        assert sorted(run_in_executor(executor, doubled, list(range(900)), 2, str)) == list(range(0, 1800, 2))
        # Which worker a call comes to is not ours to say; it is asked for as seldom as that allows.
        assert 1 <= sum(executor.sent_to) <= 3 * workers
        assert len(executor.given) > 10 * workers


def ending(position, times, marks):
    """A runner that ends its process at a sample, so many times."""

    def run(at):
        with open(marks, "a") as file:
            file.write(f"{at}\n")
        if at == position and Path(marks).read_text().split().count(str(at)) <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * at

    return run


@pytest.mark.parametrize("times", [1, 3])
def test_the_chunk_of_a_lost_worker_is_run_again_and_nothing_that_came_back_is(tmp_path, times):
    marks = tmp_path / "marks"
    found = list(run_in_processes(partial(ending, 2, times, marks), list(range(8)), 2))
    assert sorted(found) == list(range(0, 16, 2))


def test_a_sample_that_ends_its_worker_again_and_again_is_named_and_all_others_are_done(tmp_path):
    found = []
    with pytest.raises(WorkerLost, match=r"sample 2, 4 times, 2 of them with nothing else running"):
        iter_into(found, run_in_processes(partial(ending, 2, 99, tmp_path / "m"), [0, 1, 2, 3, 4], 2))
    assert sorted(found) == [0, 2, 6, 8]


def iter_into(found, outcomes):
    for outcome in outcomes:
        found.append(outcome)


class Large:
    """A job of more than a pipe takes."""

    def __init__(self):
        self.weights = bytes(5_000_000)

    def __call__(self):
        return doubled()


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")
def test_a_worker_killed_before_it_has_its_job_is_no_hang():
    killed, stop = set(), threading.Event()

    def kill():
        while not (killed or stop.is_set()):
            for child in Path("/proc/self/task").glob("*/children"):
                with suppress(OSError):
                    kill_first(child.read_text().split())

    def kill_first(processes):
        for process in processes:
            if not killed and b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(int(process), signal.SIGKILL)
                killed.add(process)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        assert sorted(run_in_processes(Large(), list(range(8)), 2)) == list(range(0, 16, 2))
    finally:
        stop.set()
        killer.join()
    assert killed


def test_an_executor_that_takes_no_more_is_said():
    class Broken(ThreadPoolExecutor):
        def submit(self, *call):
            raise BrokenExecutor

    with Broken() as executor, pytest.raises(WorkerLost, match="takes no more"):
        list(run_in_executor(executor, doubled, [1], 2, str))


def test_workers_of_another_version_are_refused(monkeypatch):
    monkeypatch.setattr(chunks, "run_chunk", partial(older, chunks.run_chunk))
    with Recorded() as executor, pytest.raises(InvalidRequest, match=r"has eventsnn .*, this is 0\.0"):
        list(run_in_executor(executor, doubled, [1, 2], 2, str))


def older(call, key, sent, home, version, positions):
    return call(key, sent, home, "0.0", positions)


@pytest.mark.parametrize("given", ["local", 3, object()])
def test_what_is_no_executor_is_refused(given):
    with pytest.raises(InvalidRequest, match=r"concurrent\.futures\.Executor"):
        eventsnn.simulate("network.h5", "nmnist:none", executor=given)


def test_warnings_of_threads_elsewhere_are_each_their_own():
    job = Job(warning)
    with ThreadPoolExecutor(4) as threads:
        ran = [
            threads.submit(run_chunk, job.key, job.sent, ("elsewhere", 0), __version__, [number] * 20)
            for number in range(12)
        ]
        for number, one in enumerate(ran):
            assert [text for _, text in one.result().noted] == [f"sample {number}"] * 20
    assert warnings.showwarning.__module__ != "eventsnn.run.chunks"


def test_a_worker_killed_while_it_sends_is_no_hang():
    found = []
    with pytest.raises(WorkerLost, match="sample 2"):
        iter_into(found, run_in_processes(dying_while_it_sends, [0, 1, 2], 2))
    assert sorted(found) == [0, 1]


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
