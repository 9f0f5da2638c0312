"""The demo does what the README says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eventsnn.cli.demo import summary_cells
from eventsnn.results.results import Results
from eventsnn.run.demo import run_demo

ROOT = Path(__file__).resolve().parents[1]


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


def test_the_readme_shows_these_figures(outcome):
    """The table of all recordings, as ``eventsnn demo`` prints it."""
    shown = re.findall(r"^(?: all +margin:0.9| +full) +(.*)$", (ROOT / "README.md").read_text(), re.M)
    assert len(shown) == 2
    for row, results in zip(shown, (outcome.stopped, outcome.full), strict=True):
        printed = " ".join(summary_cells(results.summary())).replace("\u00a0", " ")
        assert row.split() == printed.split()


def test_the_picture_is_drawn_from_these_results(outcome, tmp_path):
    pytest.importorskip("matplotlib")
    folder = Path(outcome.files["results"]).parent
    command = [sys.executable, ROOT / "docs" / "demo_curve.py", folder, tmp_path / "curve.svg"]
    subprocess.run(command, check=True)
    drawn, shown = (
        re.search(r"<desc>(.*)</desc>", path.read_text())[1]
        for path in (tmp_path / "curve.svg", ROOT / "docs" / "demo-curve.svg")
    )
    assert drawn == shown
    whole = outcome.full
    assert f"{1e3 * whole.latency_s.mean():.1f} ms {100 * whole.accuracy:.1f} %" in shown
    assert "var(--" not in (tmp_path / "curve.svg").read_text()
