"""How results came to be: records in tskit's provenance schema 1.1.0, beside the digest and not in it."""

import json
import sys

import h5py
import numpy as np
import pytest
from builders.recordings import random_events, small_network
from typer.testing import CliRunner

import eventsnn
from eventsnn import provenance
from eventsnn.cli.commands import app
from eventsnn.errors import EventsnnError, InvalidFile
from eventsnn.results.reader import checksum_of
from eventsnn.results.results import Results
from eventsnn.run import simulate as simulate_module

# The rules of the schema (python/tskit/provenance.schema.json of tskit-dev/tskit, version 1.1.0), by hand.
TEXT, OBJECT, NUMBER = str, dict, (int, float)
NEEDED = {"schema_version": TEXT, "software": OBJECT, "parameters": OBJECT, "environment": OBJECT}
SOFTWARE = {"name": TEXT, "version": TEXT}
OPTIONAL = {
    "environment": {"os": OBJECT, "libraries": OBJECT},
    "resources": dict.fromkeys(("elapsed_time", "user_time", "sys_time", "max_memory"), NUMBER),
}


def follows_schema(record):
    assert json.loads(json.dumps(record)) == record
    for rules, values in ((NEEDED, record), (SOFTWARE, record["software"])):
        for name, kind in rules.items():
            assert isinstance(values[name], kind), name
            assert values[name] != "", name
    for part, rules in OPTIONAL.items():
        for name, kind in rules.items():
            assert name not in record.get(part, {}) or isinstance(record[part][name], kind), name
    return True


def data(n=6):
    rng = np.random.default_rng(4)
    return [(random_events(rng, 40), number % 3) for number in range(n)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("provenance") / "r.h5"
    return path, eventsnn.simulate(small_network(), data(), output=path)


def test_a_results_file_says_how_it_came_to_be(saved):
    path, results = saved
    (record,) = Results.load(path).provenance
    assert follows_schema(record)
    assert record["schema_version"] == "1.1.0"
    assert record["software"] == {"name": "eventsnn", "version": eventsnn.__version__}
    assert record["parameters"]["command"] == "simulate"
    assert record["parameters"]["seed"] == 0
    assert record["parameters"]["network"] == results.configuration["network"]
    assert record["environment"]["libraries"]["numpy"] == {"version": np.__version__}
    resources = record["resources"]
    assert 0 < resources["elapsed_time"] < 600
    assert 1e6 < resources["max_memory"] < 1e12
    assert results.provenance == [record]


def test_provenance_is_no_part_of_the_digest(saved):
    _, results = saved
    again = eventsnn.simulate(small_network(), data())
    assert again.digest == results.digest
    assert again.provenance != results.provenance
    assert again.configuration == results.configuration


def test_a_run_that_goes_on_adds_a_record(tmp_path, monkeypatch, saved):
    path, kept = tmp_path / "r.h5", simulate_module._keep

    def after_two(outcome, done, *others):
        kept(outcome, done, *others)
        if len(done) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(simulate_module, "_keep", after_two)
    with pytest.raises(KeyboardInterrupt):
        eventsnn.simulate(small_network(), data(), output=path)
    with pytest.warns(eventsnn.errors.UnfinishedRun):
        (first,) = Results.load(path).provenance
    monkeypatch.setattr(simulate_module, "_keep", kept)
    done = eventsnn.simulate(small_network(), data(), output=path)
    assert len(done.provenance) == 2
    assert done.provenance[0] == first
    assert all(map(follows_schema, done.provenance))
    assert Results.load(path).provenance == done.provenance
    assert done.digest == saved[1].digest
    # Nothing was left to do: nothing is added.
    assert eventsnn.simulate(small_network(), data(), output=path).provenance == done.provenance
    assert [file.name for file in tmp_path.iterdir()] == ["r.h5"]


def test_a_changed_record_is_refused(saved, tmp_path):
    path = tmp_path / "changed.h5"
    path.write_bytes(saved[0].read_bytes())
    with h5py.File(path, "r+") as file:
        records = json.loads(file.attrs["provenance"])
        records[0]["resources"]["elapsed_time"] = 1e-3
        file.attrs["provenance"] = json.dumps(records)
    with pytest.raises(InvalidFile):
        Results.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"software": {"name": "eventsnn"}},
        {"software": {"name": "eventsnn", "version": ""}},
        {"parameters": []},
        {"environment": None},
        {"environment": {"os": "Linux"}},
        {"resources": {"elapsed_time": "1 s"}},
        {"resources": {"max_memory": True}},
        {"schema_version": 1.1},
    ],
)
def test_a_record_against_the_schema_is_refused(saved, tmp_path, change):
    with pytest.raises(InvalidFile, match="provenance"):
        provenance.require_records([saved[1].provenance[0] | change])
    path = tmp_path / "changed.h5"
    path.write_bytes(saved[0].read_bytes()[:-53])  # without the seal
    with h5py.File(path, "r+") as file:
        file.attrs["provenance"] = json.dumps([saved[1].provenance[0] | change])
        del file.attrs["checksum"]
        file.attrs["checksum"] = checksum_of(dict(file.attrs.items()))
    with pytest.raises(EventsnnError):
        Results.load(path)


def test_the_words_of_the_command_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/eventsnn", "run", "n.h5"])
    assert provenance.started("simulate", {})()["parameters"] == {
        "command": "simulate",
        "args": ["run", "n.h5"],
    }
    monkeypatch.setattr(sys, "argv", ["/lib/eventsnn/__main__.py", "run"])
    assert provenance.command_line() == ["run"]
    monkeypatch.setattr(sys, "argv", ["mine.py", "run"])
    assert provenance.started("simulate", {})()["parameters"] == {"command": "simulate"}


def test_inspect_shows_it(saved):
    path, results = saved
    shown = CliRunner().invoke(app, ["inspect", str(path)], env={"COLUMNS": "300"})
    assert "provenance" in shown.output
    assert "elapsed" in shown.output
    told = json.loads(CliRunner().invoke(app, ["inspect", str(path), "--json"]).stdout)
    assert told["provenance"] == results.provenance


def test_workers_are_counted(tmp_path):
    record = eventsnn.simulate(small_network(), data(3), workers=2).provenance[0]
    assert record["parameters"]["workers"] == 2
    assert record["resources"]["user_time"] > 0
