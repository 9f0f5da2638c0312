"""The demo does what the README says."""

import json

import pytest

from eventsnn.report.results import Results
from eventsnn.run.demo import run_demo


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo"))


def test_the_demo_is_right_and_stops_early(outcome):
    found = outcome.to_dict()
    assert found["samples"] >= 20
    assert found["accuracy"] >= 0.9
    assert found["full"]["accuracy"] >= 0.9
    assert found["decided_early"] > 0.5
    assert found["synaptic_operations"]["mean"] < found["full"]["synaptic_operations"]["mean"] / 2
    assert len(found["per_class"]) == 10
    json.dumps(found)


def test_the_demo_writes_its_files(outcome):
    assert outcome.files.keys() == {"results", "full_results", "timeline", "report"}
    assert Results.load(outcome.files["results"]).digest == outcome.stopped.digest
    with open(outcome.files["timeline"]) as file:
        assert json.load(file)["traceEvents"]


def test_the_demo_repeats_with_two_workers(outcome, tmp_path):
    again = run_demo(tmp_path, workers=2)
    assert again.stopped.digest == outcome.stopped.digest
    assert again.full.digest == outcome.full.digest
