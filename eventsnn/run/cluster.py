"""Runs over a Dask cluster, and whatever else is a ``concurrent.futures.Executor``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

from eventsnn.arguments import shown
from eventsnn.errors import InvalidRequest, MissingExtra
from eventsnn.run.chunks import Chunks, Job, Outcome, Runner

CONNECTED_WITHIN_S = 15
MISSING = "Dask is not installed; pip install 'eventsnn[dask]'"


@contextmanager
def dask_client(address: str, workers: int | None = None) -> Iterator[Any]:
    """A client of a Dask cluster, for ``simulate(..., executor=client)``.

    Parameters
    ----------
    address : str
        Of a scheduler, as ``tcp://10.0.0.1:8786``; or ``local``: a cluster of processes on this machine, that
        ends with the block.
    workers : int, optional
        Processes of a local cluster; else one a processor.

    Raises
    ------
    MissingExtra
        Dask is not installed.
    InvalidRequest
        No scheduler answers there, or it has no worker.
    """
    try:
        # It has types for a part of its functions.
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise MissingExtra(MISSING) from error
    if address == "local":
        with (
            distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    try:
        client = distributed.Client(address, timeout=CONNECTED_WITHIN_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"no Dask scheduler answers at {address!r}: {error}. Give its address, as tcp://HOST:8786, "
            "or local"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECTED_WITHIN_S)
        except TimeoutError as error:
            raise InvalidRequest(
                f"the Dask scheduler at {address} has no worker; start one (dask worker)"
            ) from error
        yield client


def where_to_run(address: str | None, workers: int) -> AbstractContextManager[Any]:
    """What ``--dask`` and ``--workers`` name, as the executor of ``simulate``: None without an address."""
    if address is None:
        return nullcontext()
    return dask_client(address, workers if workers > 1 else None)


def require_executor(executor: Any) -> None:
    """Refuse what is neither an executor nor a Dask client.

    Raises
    ------
    InvalidRequest
    """
    if not callable(getattr(executor, "submit", None)):
        raise InvalidRequest(
            f"executor is {shown(executor)}; give what has the interface of concurrent.futures.Executor "
            "(submit, which returns a future), or a Dask client"
        )


def run_in_executor(
    executor: Any,
    make_runner: Callable[[], Runner[Outcome]],
    positions: list[int],
    workers: int,
    name: Callable[[int], str],
) -> Iterator[Outcome]:
    """Outcomes as they come; as ``run_in_processes``, which has no executor. It is not shut down."""
    crew = max(workers, getattr(executor, "_max_workers", 1))
    # Dask says of a job of many megabytes that it should be sent once, as it is: to each worker.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        if hasattr(executor, "get_executor"):
            crew = max(workers, sum(executor.nthreads().values()))
            # The same chunk is another call when it is run again.
            executor = executor.get_executor(pure=False)
        found: Executor = executor
        chunks = Chunks(found, Job(make_runner), positions, crew, name)
        try:
            yield from chunks.outcomes()
        except BaseException:
            chunks.cancel()
            raise
