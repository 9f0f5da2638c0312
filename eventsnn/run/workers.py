"""Samples in several processes, none of which outlives this one."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from eventsnn.decide import ExitRule
from eventsnn.errors import EventsnnError, EventsnnWarning, InvalidRequest, WorkerLost

Outcome = TypeVar("Outcome")
# What runs one sample by its position; made once in each process.
Runner = Callable[[int], Outcome]
CHUNK_S = 0.1
"""Samples are handed over so many at a time that a chunk lasts about as long: a message costs next to nothing
beside it, and progress is shown often enough."""

PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl
LOOK_S = 1.0

# A worker process keeps its runner here: one engine, many samples.
_worker: dict[str, Any] = {}


def _start_worker(make_runner: Callable[[], Runner[Any]]) -> None:
    # An interrupt reaches the whole group; only the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    _worker["runner"] = make_runner()


def _die_with_parent() -> None:
    """End this process when its parent ends, however that ends.

    A thread waits for it; but compiled code keeps threads waiting for the length of a sample, so that on
    Linux the kernel is asked as well.
    """
    import multiprocessing
    from multiprocessing.connection import wait as wait_for

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        wait_for([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
        # It may have ended before the kernel was asked.
        if os.getppid() != parent.pid:
            os._exit(1)


@dataclass(frozen=True)
class _Chunk:
    """What samples one after the other gave, up to the first that failed."""

    outcomes: list[Any]
    noted: list[tuple[type[Warning], str]]
    failure: Exception | None
    seconds: float


def _run_in_worker(positions: list[int]) -> _Chunk:
    outcomes: list[Any] = []
    failure, began = None, time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EventsnnWarning)
        try:
            outcomes.extend(map(_worker["runner"], positions))  # what comes before an error is kept
        except Exception as error:
            failure = error
            if not isinstance(error, EventsnnError):
                error.add_note(f"In a worker process:\n{traceback.format_exc()}")
    noted = [(warned.category, str(warned.message)) for warned in caught]
    return _Chunk(outcomes, noted, failure, time.perf_counter() - began)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Interrupts wait for the end of the block; processes started in it never see one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_in_processes(
    make_runner: Callable[[], Runner[Outcome]], positions: list[int], workers: int
) -> Iterator[Outcome]:
    """Outcomes as they come. Spawned, not forked: progress threads and compiled code survive that.

    Parameters
    ----------
    make_runner : callable
        Picklable; called once in each process.
    positions : list of int
        What to run.
    workers : int
        Processes.

    Raises
    ------
    WorkerLost
        A process ended before its sample was done.
    """
    import multiprocessing

    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(make_runner,)
    )
    running: set[Future[_Chunk]] = set()
    begin, size = 0, 1
    try:
        while begin < len(positions) or running:
            # A short queue per worker keeps them busy without holding every sample's future.
            while begin < len(positions) and len(running) < 3 * workers:
                fair = max(1, (len(positions) - begin) // (2 * workers))  # all end at about the same time
                end = begin + min(size, fair)
                with _interrupts_held():
                    running.add(pool.submit(_run_in_worker, positions[begin:end]))
                begin = end
            done, running = _first_done(pool, running)
            size = max([_fitting(future, size) for future in done])
            yield from _outcomes(done)
    except BaseException as error:
        _kill(pool)
        if isinstance(error, BrokenProcessPool):
            raise WorkerLost(
                "a worker process ended before its sample was done: it was killed, or memory ran out (fewer "
                "workers, --workers, need less of it), or a script with workers does not guard its main "
                "module (if __name__ == '__main__':)"
            ) from error
        raise
    pool.shutdown()


def _first_done(
    pool: ProcessPoolExecutor, running: set[Future[Any]]
) -> tuple[set[Future[Any]], set[Future[Any]]]:
    """``wait`` for the first, as long as every process lives."""
    from multiprocessing.connection import wait as wait_for

    lost = False
    while True:
        done, still = wait(running, LOOK_S, FIRST_COMPLETED)
        if done:
            return done, still
        # A process killed while it sends a result leaves the pool waiting for the rest of it for ever.
        if lost:
            raise BrokenProcessPool("a process ended")
        lost = bool(wait_for([process.sentinel for process in list(pool._processes.values())], 0))


def _fitting(future: Future[_Chunk], size: int) -> int:
    """How many samples last as long as a chunk should, after this one; at most twice as many as before."""
    if _failed(future):
        return 1
    chunk = future.result()
    fitting = int(CHUNK_S * len(chunk.outcomes) / max(chunk.seconds, 1e-9))
    return min(max(1, fitting), 2 * size)


def _failed(future: Future[_Chunk]) -> bool:
    return future.exception() is not None or future.result().failure is not None


def _outcomes(done: set[Future[_Chunk]]) -> Iterator[Any]:
    """What chunks gave, those that failed last: a failure loses no sample that is done."""
    for future in sorted(done, key=_failed):
        chunk = future.result()
        for category, text in chunk.noted:
            warnings.warn(text, category, stacklevel=2)
        yield from chunk.outcomes
        if chunk.failure is not None:
            raise chunk.failure


def _kill(pool: ProcessPoolExecutor) -> None:
    """End the processes: what is running would otherwise be waited for, however long it takes."""
    for process in list((pool._processes or {}).values()):
        process.kill()
    # Where one was killed while it sent a result, the pool's thread waits for the rest.
    with suppress(AttributeError, OSError):
        queue: Any = pool._result_queue
        queue._writer.close()
    pool.shutdown(wait=False, cancel_futures=True)


def require_picklable(rule: ExitRule | None) -> None:
    """Refuse an exit rule of the user's own that no other process could load.

    Raises
    ------
    InvalidRequest
    """
    main = sys.modules["__main__"]
    # A main module without a file (a notebook, standard input) is not there in another process.
    typed = (
        not os.path.isfile(getattr(main, "__file__", None) or "") and getattr(main, "__spec__", None) is None
    )
    try:
        sent = pickle.loads(pickle.dumps(rule))
        reason = None if str(sent) == str(rule) else "what arrives there is another rule"
    except Exception as error:
        reason = str(error)
    if reason is None and typed and type(rule).__module__ == "__main__":
        reason = "its class was typed in, and is in no file"
    if reason is not None:
        raise InvalidRequest(
            f"exit rule {type(rule).__name__} cannot be sent to other processes: {reason}. Define its class "
            "at the top of a module that can be imported, or use workers=1"
        )


def require_samples_picklable(samples: Any) -> None:
    """Refuse a data set with code of the user's that no other process could load.

    Raises
    ------
    InvalidRequest
    """
    if not getattr(samples, "objects", None):
        return
    try:
        pickle.dumps(samples)
    except Exception as error:
        raise InvalidRequest(
            f"the data set cannot be sent to other processes: {error}. Define its transforms at the top of a "
            "module that can be imported, or use workers=1"
        ) from error
