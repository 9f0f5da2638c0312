"""Samples in several processes, none of which outlives this one."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from eventsnn.decide import ExitRule
from eventsnn.errors import InvalidRequest
from eventsnn.run.chunks import Chunks, Job, Outcome, Runner, keep_job

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def _start_worker(key: str, reader: Connection) -> None:
    # An interrupt reaches the whole group; only the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    keep_job(key, reader.recv_bytes())
    reader.close()


def _feed(writer: Connection, sent: bytes) -> None:
    # A worker that ended before it had read all is found, and replaced, by its pool.
    with suppress(OSError):
        writer.send_bytes(sent)
    with suppress(OSError):
        writer.close()


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


class Processes(Executor):
    """Processes as an executor: each a pool of one, so that where one ends the others go on.

    Spawned, not forked: progress threads and compiled code survive that.

    Parameters
    ----------
    workers : int
        Processes.
    job : Job
        Given to each at its start.
    """

    def __init__(self, workers: int, job: Job) -> None:
        self._job = job
        self._pools: list[ProcessPoolExecutor | None] = [None] * workers
        self._given: list[set[Future[Any]]] = [set() for _ in self._pools]
        self._doubtful: set[int] = set()

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Run a call in the process that has the least to do."""
        for given in self._given:
            given -= {future for future in given if future.done()}
        number = min(range(len(self._pools)), key=lambda number: len(self._given[number]))
        with _interrupts_held():
            pool = self._pools[number]
            try:
                submit = partial(self._begin, number) if pool is None else pool.submit
                future = submit(call, *args, **named)
            except BrokenProcessPool:
                self._end(number)
                future = self._begin(number, call, *args, **named)
        self._given[number].add(future)
        return future

    def _begin(self, number: int, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Start a process with its first call.

        The job goes through a pipe of ours, whose other end only the process has: what multiprocessing hands
        over itself is written while it holds both ends, and where the process is killed before it has read
        that, and it is more than a pipe takes, it is waited for for ever.
        """
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        reader, writer = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(1, context, initializer=_start_worker, initargs=(self._job.key, reader))
        self._pools[number] = pool
        try:
            future = pool.submit(call, *args, **named)
        finally:
            reader.close()
        threading.Thread(target=_feed, args=(writer, self._job.sent), daemon=True).start()
        return future

    def look(self) -> set[Future[Any]]:
        """Calls that will never be done, as their process ended.

        One killed while it sends a result leaves its pool waiting for the rest of it for ever; so what is
        found ended twice in a row is taken for lost.
        """
        from multiprocessing.connection import wait as wait_for

        lost: set[Future[Any]] = set()
        for number, pool in enumerate(self._pools):
            sentinels = (
                [] if pool is None else [process.sentinel for process in list(pool._processes.values())]
            )
            if not wait_for(sentinels, 0):
                self._doubtful.discard(number)
            elif number not in self._doubtful:
                self._doubtful.add(number)
            else:
                self._doubtful.discard(number)
                lost |= self._given[number]
                self._end(number)
        return lost

    def _end(self, number: int) -> None:
        """End a process: what is running would otherwise be waited for, however long it takes."""
        pool, self._pools[number], self._given[number] = self._pools[number], None, set()
        if pool is None:
            return
        for process in list((pool._processes or {}).values()):
            process.kill()
        # Where it was killed while it sent a result, the pool's thread waits for the rest.
        with suppress(AttributeError, OSError):
            queue: Any = pool._result_queue
            queue._writer.close()
        pool.shutdown(wait=False, cancel_futures=True)

    def kill(self) -> None:
        """End all processes at once."""
        for number in range(len(self._pools)):
            self._end(number)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of any executor."""
        for pool in self._pools:
            if pool is not None:
                pool.shutdown(wait, cancel_futures=cancel_futures)


def run_in_processes(
    make_runner: Callable[[], Runner[Outcome]],
    positions: list[int],
    workers: int,
    name: Callable[[int], str] = "sample {}".format,
) -> Iterator[Outcome]:
    """Outcomes as they come.

    Parameters
    ----------
    make_runner : callable
        Picklable; called once in each process.
    positions : list of int
        What to run.
    workers : int
        Processes.
    name : callable
        What a sample is called, by its position.

    Raises
    ------
    WorkerLost
        A sample ended its process again and again, or no process lived until its first was done.
    """
    job = Job(make_runner)
    processes = Processes(workers, job)
    try:
        yield from Chunks(processes, job, positions, workers, name, True, processes.look).outcomes()
    except BaseException:
        # Nothing is cancelled here: a pool's thread that finds its process ended fails on a cancelled call.
        processes.kill()
        raise
    processes.shutdown()


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
