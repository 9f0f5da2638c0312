"""Experiments: every combination once, all checked before any is run, each resumed from its own file."""

import csv
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.errors import InvalidRequest
from eventsnn.run import experiment as module
from eventsnn.run.demo import shipped
from eventsnn.run.experiment import Experiment

ROOT = Path(__file__).resolve().parents[1]
NETWORK, DATA = str(shipped("models/demo.h5")), f"nmnist:{shipped('datasets/demo')}"
CHOICES = {
    "network": NETWORK,
    "data": DATA,
    "samples": 3,
    "hardware": ["none", "event-conv-small"],
    "exit": ["none", "margin:0.3"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    found = Experiment(CHOICES, tmp_path_factory.mktemp("an") / "cells")
    return found, found.run()


def test_every_combination_is_a_cell_and_gives_what_a_run_gives(made):
    found, outcomes = made
    assert [(one.cell.choices["hardware"], one.cell.choices["exit"]) for one in outcomes] == [
        (hardware, exit) for hardware in ("none", "event-conv-small") for exit in ("none", "margin:0.3")
    ]
    for one in outcomes:
        hardware = one.cell.choices["hardware"]
        alone = eventsnn.simulate(
            NETWORK,
            eventsnn.events.open_dataset(DATA).evenly(3),
            hardware=None if hardware == "none" else hardware,
            exit=one.cell.choices["exit"],
        )
        assert one.results.digest == alone.digest
    assert len({cell.path for cell in found.cells}) == 4


def test_what_is_done_is_not_run_again_and_what_is_new_is(made, monkeypatch):
    found, outcomes = made
    positions = []
    original = module.Job.run
    monkeypatch.setattr(module.Job, "run", lambda *a: positions.append(a[-1]) or original(*a))
    more = Experiment(CHOICES | {"exit": ["margin:0.3", "margin:0.5"]}, found.folder)
    assert [cell.done() for cell in more.cells] == [3, 0, 3, 0]
    again = more.run()
    assert len(positions) == 6
    assert again[0].results.digest == outcomes[1].results.digest
    manifest = json.loads((found.folder / "manifest.json").read_text())["cells"]
    assert len(manifest) == 6
    assert manifest[again[1].cell.path.name]["exit"] == "margin:0.5"
    assert [one.seconds for one in more.plan()] == [0.0] * 4


def test_a_plan_tries_a_sample_and_writes_nothing(tmp_path):
    found = Experiment(CHOICES | {"hardware": "event-conv-small"}, tmp_path / "cells")
    planned = found.plan()
    assert [(one.done, one.cell.samples) for one in planned] == [(0, 3), (0, 3)]
    assert all(one.seconds > 0 for one in planned)
    assert not (tmp_path / "cells").exists()


def test_all_cells_are_checked_before_any_is_run(tmp_path):
    wrong = CHOICES | {"exit": ["none", "margi:0.3"], "hardware": ["none", "no-such-chip"]}
    with pytest.raises(InvalidRequest, match=r"3 of 4 cells cannot be run, and none was") as told:
        Experiment(wrong, tmp_path / "cells")
    assert "hardware none, exit margi:0.3" in str(told.value)
    assert "no-such-chip" in str(told.value)
    assert not (tmp_path / "cells").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exits": "none"}, "there is no option 'exits'; did you mean 'exit'"),
        ({"exit": []}, "exit is an empty list"),
        ({"data": 3}, "data is 3; give KIND:PATH"),
        ({"seed": "one"}, "whole number"),
    ],
)
def test_what_is_not_meant_is_refused(tmp_path, change, message):
    with pytest.raises(InvalidRequest, match=message):
        Experiment(CHOICES | change, tmp_path / "cells")


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InvalidRequest, match="no experiment's"):
        Experiment(CHOICES, tmp_path)


def test_a_cell_that_fails_is_told_and_the_others_go_on(tmp_path):
    found = Experiment(
        CHOICES | {"hardware": "none", "exit": "none", "max_events": [1, 10**9]}, tmp_path / "c"
    )
    first, second = found.run()
    assert first.results is None
    assert "1" in first.failed
    assert len(second.results) == 3


PAGE = (ROOT / "docs" / "experiments.md").read_text()


def test_the_example_of_the_page_can_be_run(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = re.search(r"```toml\n(.*?)```", PAGE, re.S).group(1)
    found = Experiment(tomllib.loads(text), tmp_path / "cells")
    assert len(found.cells) == len({cell.path for cell in found.cells}) == 12
    assert "All twelve cells" in PAGE


def test_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    for name in ("models", "datasets"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) == 3


def config(tmp_path, text=""):
    file = tmp_path / "run.toml"
    file.write_text(
        f"network = {json.dumps(NETWORK)}\ndata = {json.dumps(DATA)}\n"
        'samples = 3\nexit = ["none", "margin:0.3"]\n' + text
    )
    return str(file)


def test_the_command_line_plans_runs_and_writes(tmp_path, made):
    file, output = config(tmp_path), tmp_path / "cells.csv"
    run = CliRunner()
    planned = run.invoke(app, ["sweep", "--config", file, "--plan", "--json"])
    cells = json.loads(planned.stdout)["cells"]
    assert [(cell["done"], cell["choices"]["exit"]) for cell in cells] == [(0, "none"), (0, "margin:0.3")]
    done = run.invoke(app, ["sweep", "--config", file, "-o", str(output), "--json"])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(output.read_text().splitlines()))
    digests = [one.results.digest for one in made[1][:2]]
    assert [row["digest"] for row in rows] == digests
    assert (rows[0]["decided_early"], rows[0]["rejected"]) == ("0.0", "0.0")
    assert [row["digest"] for row in json.loads(done.stdout)["cells"]] == digests
    assert np.isclose(float(rows[0]["latency_s_mean"]), made[1][0].results.latency_s.mean())
    assert sorted(path.name for path in (tmp_path / "run.cells").iterdir()) == sorted(
        [*(row["file"] for row in rows), "manifest.json"]
    )
    one = run.invoke(app, ["sweep", "--config", file, "--exit", "none", "--plan", "--json"])
    assert [cell["done"] for cell in json.loads(one.stdout)["cells"]] == [3]


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("", ["--set", "actions.synapse.time=5 ns"], "is an axis of an experiment"),
        ("", ["--seeds", "2"], "make the seed an axis"),
        ("", ["-o", "cells.txt"], "cells are written as"),
        ("bands = true", ["--plan"], "are for experiments"),
    ],
)
def test_accelerator_sweeps_and_experiments_are_kept_apart(tmp_path, text, more, message):
    found = CliRunner().invoke(app, ["sweep", "--config", config(tmp_path, text), *more])
    assert isinstance(found.exception, InvalidRequest)
    assert message in str(found.exception)
