"""Results for other tools."""

import csv
import json

import numpy as np
import pytest
from builders.recordings import random_events, small_network
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    rng = np.random.default_rng(6)
    path = tmp_path_factory.mktemp("export") / "r.h5"
    data = [(random_events(rng, 60), label) for label in range(3)]
    return path, eventsnn.simulate(small_network(), data, output=path)


def run(path, to, output):
    return CliRunner().invoke(app, ["export", str(path), "--to", to, "-o", str(output)])


def test_a_row_a_sample(saved, tmp_path):
    path, found = saved
    assert run(path, "csv", tmp_path / "r.csv").exit_code == 0
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert [int(row["prediction"]) for row in rows] == found.table.column("prediction").tolist()
    assert [float(row["latency_s"]) for row in rows] == found.latency_s.tolist()
    assert [row["digest"] for row in rows] == [sample.digest for sample in found.table.samples]
    assert {row["energy_j"] for row in rows} == {""}


def test_names_of_neurobench(saved, tmp_path):
    path, found = saved
    assert run(path, "neurobench", tmp_path / "n.json").exit_code == 0
    document = json.loads((tmp_path / "n.json").read_text())
    assert document["ClassificationAccuracy"] == found.accuracy
    # Those of a run by events need the length of a step: test_countings.
    assert "SynapticOperations" in document["eventsnn"]["left_out"]
    assert not set(document["eventsnn"]["left_out"]) & set(document)


def test_another_kind_is_refused(saved, tmp_path):
    assert "allowed are csv, json, parquet, neurobench" in str(run(saved[0], "xls", tmp_path / "x").exception)
