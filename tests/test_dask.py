"""Runs over a Dask cluster of processes on this machine."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="Dask is not installed (eventsnn[dask])")

import eventsnn
from eventsnn.errors import InvalidRequest
from eventsnn.run.cluster import dask_client, run_in_executor
from eventsnn.run.demo import shipped

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def client():
    with dask_client("local", 2) as client:
        yield client


def ending_once(mark):
    """A runner that ends its process at sample 3, the first time."""

    def run(at):
        if at == 3 and not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * at

    return run


def test_results_are_those_of_one_process(client, tmp_path):
    network, data = shipped("models/demo.h5"), f"nmnist:{shipped('datasets/demo')}"
    alone = eventsnn.simulate(network, data, samples=6)
    steps = []
    there = eventsnn.simulate(
        network,
        data,
        samples=6,
        executor=client,
        progress=lambda done, _: steps.append(done),
        output=tmp_path / "r.h5",
    )
    assert there.digest == alone.digest
    assert steps == [1, 2, 3, 4, 5, 6]


def test_the_chunk_of_a_lost_worker_is_run_again(client, tmp_path):
    make = partial(ending_once, str(tmp_path / "mark"))
    found = list(run_in_executor(client, make, list(range(10)), 2, str))
    assert sorted(found) == list(range(0, 20, 2))
    assert (tmp_path / "mark").exists()


def test_where_no_scheduler_answers_is_said(monkeypatch):
    monkeypatch.setattr("eventsnn.run.cluster.CONNECTED_WITHIN_S", 1)
    with (
        pytest.raises(InvalidRequest, match="no Dask scheduler answers at"),
        dask_client("tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(InvalidRequest, match="no Dask scheduler answers at"), dask_client("nowhere at all"):
        pass
