"""The benchmarks: what can be checked of them without timing anything, without data and without rivals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py"))


def test_every_script_has_its_line_in_the_readme() -> None:
    text = (FOLDER / "README.md").read_text()
    assert [name for name in SCRIPTS if f"`{name}`" not in text] == []


def test_all_benchmarks_with_bars_are_run_by_make_bench() -> None:
    listed = set(re.findall(r"`python benchmarks/(\w+)\.py", (FOLDER / "README.md").read_text()))
    run = re.search(r"^SCRIPTS = \((.*?)^\)", (FOLDER / "run_all.py").read_text(), re.M | re.S)
    assert run is not None
    assert set(re.findall(r'"(\w+)"', run[1])) == listed - {"nmnist", "digests", "run_all"}


@pytest.mark.parametrize(
    "script",
    [
        "engine_speed",
        "rivals",
        "edge_list",
        "scaling",
        "workers",
        "accelerators",
        "lenet_rate",
        "resnet20",
        "integer_networks",
        "trained",
        "certified",
        "i2e",
        "nir_nmnist",
        "event_files",
    ],
)
def test_without_data_a_script_says_why_it_measured_nothing(script: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "EVENTSNN_DATA"}
    command = [sys.executable, str(FOLDER / f"{script}.py"), "--json", "--quick"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    entries = json.loads(done.stdout)
    assert entries
    for entry in entries.values():
        assert entry["holds"] is None
        assert "make bench-peers" in entry["skipped"] or "EVENTSNN_DATA" in entry["skipped"]


def test_the_accelerator_model_prints_its_figures_as_json_and_all_hold() -> None:
    command = [sys.executable, str(FOLDER / "hardware.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert list(found) == ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B10", "B14"]
    assert all(held is True for entry in found.values() for held in entry["held"].values())


WALK = """
import numpy as np
from bare_stream import walk_of
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.network import Axis, Conv2d, Dense, Input, Network, Population, Projection, Rate, Readout

draw = np.random.default_rng(0)
axis = Axis(3, pad_before=1, pad_after=1)
conv = Conv2d(draw.integers(-40, 60, (3, 3, 2, 5)), axis, axis)
pooled = Dense(draw.integers(-40, 60, (3 * 3 * 5, 4)), (2, 2))
network = Network(
    [
        Population("input", (6, 6, 2), Input()),
        Population("hidden", (6, 6, 5), Rate(100, period=1000)),
        Population("readout", (1, 1, 4), Readout(period=1000)),
    ],
    [
        Projection("a", "input", "hidden", conv, draw.integers(-9, 20, 5).astype(np.int32)),
        Projection("b", "hidden", "readout", pooled, draw.integers(-9, 20, 4).astype(np.int32)),
    ],
)
time, neuron = np.sort(draw.integers(0, 9000, 300)), draw.integers(0, 72, 300)
order = np.lexsort((neuron, time))
stimulus = Stimulus(time[order], neuron[order])
run = make_engine("reference", network, None, RunOptions(record_spikes=True)).run(stimulus)
print(walk_of(network, stimulus, run).operations, run.counters.sum(axis=0)[3])
"""


def test_the_bare_stream_does_what_the_run_did() -> None:
    # walk_of raises if operations or any neuron's charge differ.
    done = subprocess.run(
        [sys.executable, "-c", WALK], cwd=FOLDER, capture_output=True, text=True, check=True
    )
    walked, counted = map(int, done.stdout.split())
    assert walked == counted > 10_000
