"""Samples, a chunk at a time, over anything that runs calls elsewhere (``concurrent.futures.Executor``).

What a run needs (the network, its weights, settings) goes to a worker once: a chunk names it by its checksum,
and a worker that does not have it says so, and is given it with the next. A chunk whose worker ended is run
again; one that ends its workers again and again is run sample by sample, alone, until the sample to blame is
known. No sample that came back is run again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import socket
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from eventsnn.errors import EventsnnError, EventsnnWarning, InvalidRequest, WorkerLost
from eventsnn.version import __version__

Outcome = TypeVar("Outcome")
# What runs one sample by its position; made once in each thread that runs any.
Runner = Callable[[int], Outcome]
CHUNK_S = 1.0
"""Samples are handed over so many at a time that a chunk lasts about as long: a message, and a scheduler's
few milliseconds, cost next to nothing beside it, and progress is shown often enough."""
LOOK_S = 1.0
LOSSES = 2
"""A chunk lost so often is run sample by sample, each alone; a sample lost so often alone is to blame."""
JOBS_KEPT = 4

Place = tuple[str, int, int]
_jobs: dict[str, Callable[[], Runner[Any]]] = {}
_here = threading.local()


@dataclass(frozen=True)
class Ran:
    """What samples one after the other gave, up to the first that failed."""

    place: Place
    outcomes: list[Any]
    noted: list[tuple[type[Warning], str]]
    failure: Exception | None
    seconds: float


@dataclass(frozen=True)
class Lacking:
    """What a worker says that was not given the job."""

    place: Place


def place() -> Place:
    """Where this is: machine, process, thread."""
    return socket.gethostname(), os.getpid(), threading.get_ident()


def keep_job(key: str, sent: bytes) -> None:
    """Keep what a run needs in this process, for all its threads."""
    while len(_jobs) >= JOBS_KEPT:
        _jobs.pop(next(iter(_jobs)), None)
    _jobs[key] = pickle.loads(sent)


def run_chunk(key: str, sent: bytes | None, home: tuple[str, int], version: str, chunk: list[int]) -> Any:
    """Run samples here: ``Ran``, or ``Lacking`` where the job was not sent and is not here."""
    outcomes: list[Any] = []
    failure, began = None, time.perf_counter()
    # In the process that asks, warnings are given as ever.
    with _noting(home == place()[:2]) as noted:
        try:
            if version != __version__:
                raise InvalidRequest(
                    f"a worker on {socket.gethostname()} has eventsnn {__version__}, this is {version}; "
                    "results are equal for equal versions: install the same on both"
                )
            if sent is not None and key not in _jobs:
                keep_job(key, sent)
            if key not in _jobs:
                return Lacking(place())
            # An engine has a state: each thread has one of its own.
            if getattr(_here, "key", None) != key:
                _here.runner, _here.key = _jobs[key](), key
            outcomes.extend(map(_here.runner, chunk))  # what comes before an error is kept
        except Exception as error:
            failure = error
            if not isinstance(error, EventsnnError):
                error.add_note(f"In a worker:\n{traceback.format_exc()}")
    return Ran(place(), outcomes, noted, failure, time.perf_counter() - began)


_collecting = threading.Lock()
_collected: dict[int, list[tuple[type[Warning], str]]] = {}
_before: list[Any] = []


@contextmanager
def _noting(at_home: bool) -> Iterator[list[tuple[type[Warning], str]]]:
    """Warnings of ours that this thread gives; filters of a process are changed once for all its threads."""
    noted: list[tuple[type[Warning], str]] = []
    if at_home:
        yield noted
        return
    with _collecting:
        if not _collected:
            _before[:] = [warnings.catch_warnings()]
            _before[0].__enter__()
            warnings.simplefilter("always", EventsnnWarning)
            _before.append(warnings.showwarning)
            warnings.showwarning = _show
        _collected[threading.get_ident()] = noted
    try:
        yield noted
    finally:
        with _collecting:
            del _collected[threading.get_ident()]
            if not _collected:
                _before[0].__exit__(None, None, None)


def _show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    noted = _collected.get(threading.get_ident())
    if noted is None or not issubclass(category, EventsnnWarning):
        _before[1](message, category, *where, **more)
    else:
        noted.append((category, str(message)))


@dataclass
class _Chunk:
    """Samples under way together: how often their worker was lost, and how often while they ran alone."""

    positions: list[int]
    losses: int = 0
    alone: int = 0
    sent: bool = False


class Job:
    """What every chunk of a run needs, as it is sent."""

    def __init__(self, make_runner: Callable[[], Runner[Any]]) -> None:
        self.sent = pickle.dumps(make_runner)
        self.key = hashlib.blake2b(self.sent, digest_size=16).hexdigest()


class Chunks:
    """The samples of a run over an executor.

    Parameters
    ----------
    executor : Executor
        Anything with its ``submit``.
    job : Job
        What makes the runner.
    positions : list of int
        What to run.
    crew : int
        How many chunks the executor runs at once, if it does not turn out to run more.
    name : callable
        What a sample is called, by its position.
    has_job : bool
        Whether every worker has the job from its start.
    look : callable
        Asked where nothing happens for a while: futures that will never be done, as their worker ended.
    """

    def __init__(
        self,
        executor: Executor,
        job: Job,
        positions: list[int],
        crew: int,
        name: Callable[[int], str] = str,
        has_job: bool = False,
        look: Callable[[], set[Future[Any]]] = set,
    ) -> None:
        self._executor, self._job, self._positions, self._crew = executor, job, positions, crew
        self._name, self._look = name, look
        self._running: dict[Future[Any], _Chunk] = {}
        self._again: deque[_Chunk] = deque()
        self._suspects: deque[_Chunk] = deque()
        self._begin, self._size = 0, 1
        self._seen: set[Place] = set()
        # Nobody has said yet that the job is lacking; without it the first would.
        self._lacking: set[Place | None] = set() if has_job else {None}
        self._home = place()[:2]

    def outcomes(self) -> Iterator[Any]:
        """What samples give, as they come.

        Raises
        ------
        WorkerLost
            A sample ended its worker again and again, or no worker lived until its first was done.
        EventsnnError
            As a sample says.
        """
        while True:
            self._submit()
            if not self._running:
                return
            yield from self._gathered(self._first_done())

    def cancel(self) -> None:
        """Ask the executor not to begin what it has not begun."""
        for future in self._running:
            future.cancel()

    def _submit(self) -> None:
        # A short queue per worker keeps them busy without holding every sample's future.
        while len(self._running) < 2 * max(self._crew, len(self._seen)) + 1:
            chunk = self._next()
            if chunk is None:
                return
            given = sum(other.sent for other in self._running.values())
            chunk.sent = given < len(self._lacking)
            sent = self._job.sent if chunk.sent else None
            try:
                future = self._executor.submit(
                    run_chunk, self._job.key, sent, self._home, __version__, chunk.positions
                )
            except BrokenExecutor as error:
                raise WorkerLost(
                    "a worker ended before its sample was done, and the executor takes no more; give one "
                    "that starts its workers anew, or let eventsnn start processes (workers)"
                ) from error
            self._running[future] = chunk

    def _next(self) -> _Chunk | None:
        if any(chunk.losses >= LOSSES for chunk in self._running.values()):
            return None  # a suspect runs alone
        if self._again:
            return self._again.popleft()
        left = len(self._positions) - self._begin
        if left:
            fair = max(1, left // (2 * max(self._crew, len(self._seen))))  # all end at about the same time
            begin, self._begin = self._begin, self._begin + min(self._size, fair)
            return _Chunk(self._positions[begin : self._begin])
        # Whatever else there is to do is done, and kept, before it.
        return self._suspects.popleft() if self._suspects and not self._running else None

    def _first_done(self) -> list[Future[Any]]:
        while True:
            done = wait(self._running, LOOK_S, FIRST_COMPLETED).done or self._look() & self._running.keys()
            if done:
                return list(done)

    def _gathered(self, done: list[Future[Any]]) -> Iterator[Any]:
        """What futures gave, those that failed last: a failure loses no sample that is done."""
        ended = [(self._running.pop(future), _result(future)) for future in done]
        found = [(chunk, result) for chunk, result in ended if isinstance(result, Ran)]
        for chunk, result in ended:
            if isinstance(result, Lacking):
                self._lacking.add(result.place)
                (self._again if chunk.losses < LOSSES else self._suspects).append(chunk)
            elif isinstance(result, Ran):
                self._note(chunk, result)
        failure: Exception | None = None
        for _, result in found:
            for category, text in result.noted:
                warnings.warn(text, category, stacklevel=2)
            yield from result.outcomes
            failure = failure or result.failure
        if failure is not None:
            raise failure
        for chunk, result in ended:
            if not isinstance(result, Ran | Lacking):
                self._lost(chunk, result)

    def _note(self, chunk: _Chunk, result: Ran) -> None:
        self._seen.add(result.place)
        if chunk.sent:
            # Where it came to one that had it, those who lack it will say so again.
            self._lacking = self._lacking - {result.place} if result.place in self._lacking else set()
        if result.failure is None:
            # At most twice as many as before: the first sample of a worker takes longer than others.
            fitting = int(CHUNK_S * len(result.outcomes) / max(result.seconds, 1e-9))
            self._size = min(max(1, fitting), 2 * max(self._size, len(chunk.positions)))

    def _lost(self, chunk: _Chunk, error: BaseException | None) -> None:
        alone = chunk.losses >= LOSSES
        chunk.losses += 1
        chunk.alone += alone
        self._size = 1
        if chunk.alone >= LOSSES:
            raise WorkerLost(
                f"a worker ended before its sample was done: {self._name(chunk.positions[0])}, "
                f"{chunk.losses} times, {chunk.alone} of them with nothing else running. It was killed, or "
                "memory ran out, at this sample"
            ) from error
        if not self._seen and chunk.losses >= LOSSES:
            raise WorkerLost(
                "a worker process ended before its sample was done, and none lived until its first was: it "
                "was killed, or memory ran out (fewer workers, --workers, need less of it), or a script with "
                "workers does not guard its main module (if __name__ == '__main__':)"
            ) from error
        if chunk.losses < LOSSES or len(chunk.positions) == 1:
            (self._again if chunk.losses < LOSSES else self._suspects).append(chunk)
        else:
            self._suspects.extend(_Chunk([position], chunk.losses) for position in chunk.positions)


def _result(future: Future[Any]) -> Any:
    """What a future gave; of a worker that ended, the error that says so, or None of one that never will."""
    if not future.done():
        return None
    try:
        return future.result()
    except BaseException as error:
        if not isinstance(error, _lost_errors()):
            if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("eventsnn"):
                raise InvalidRequest(
                    "a worker does not have eventsnn; install the same version there"
                ) from error
            raise
        return error


def _lost_errors() -> tuple[type[BaseException], ...]:
    """What executors say where a worker ended."""
    scheduler = sys.modules.get("distributed.scheduler")
    known = () if scheduler is None else (scheduler.KilledWorker,)
    return (BrokenExecutor, CancelledError, *known)
