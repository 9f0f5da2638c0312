"""The commands and the code of docs/cifar10-dvs.md, on a small scale."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from builders.recordings import numbered_events
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.events import open_dataset, write_aedat
from eventsnn.events.event_columns import CHUNK
from eventsnn.events.smooth import SmoothMovement

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/cifar10-dvs.md").read_text()
TRAINING = [
    line
    for text in (PAGE.partition("From pictures to the curve")[2], (ROOT / "docs/asynchrony.md").read_text())
    for line in re.findall(r"```\n(.*?)```", text, re.S)[0].splitlines()
]


def commands():
    """Of the page, in order."""
    return [line for block in re.findall(r"```\n(.*?)```", PAGE, re.S) for line in block.splitlines()]


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL", reason="I2E scales pictures with pillow")
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        Path("FOLDER/cat").mkdir(parents=True, exist_ok=True)
        write_aedat(f"FOLDER/cat/cifar10_cat_{number}.aedat", numbered_events())
    write_pictures(3, 1)
    here = [line for line in commands() if line not in TRAINING]
    assert len(here) == 6
    for line in here:
        run(line.replace("--workers 2", "--workers 1"))
    assert len(open_dataset("cifar10-dvs:cifar10dvs.h5")) == 2
    assert len(open_dataset("events:emulated.h5", "test")) == 1
    assert open_dataset("events:i2e.h5").height == 128
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    capsys.readouterr()
    exec(code, {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert sum(int(count) for count, _ in printed) == len(open_dataset("events:emulated.h5")[0].events)


def test_pictures_become_a_curve(tmp_path, monkeypatch, capfd):
    """Generation, training, conversion, replay, curve: the page's commands with small numbers."""
    pytest.importorskip("torch", reason="the recipes train with torch")
    monkeypatch.chdir(tmp_path)
    for folder in ("models", "benchmarks"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    before = set(sys.modules)
    write_pictures(8, 8)
    assert len(TRAINING) == 12
    for line in TRAINING:
        small = line.replace("--workers 2", "--workers 1")
        for option, most in (
            ("samples", 2 if "benchmarks" in line else 8),
            ("pictures", 8),
            ("epochs", 1),
            ("validation", 4),
        ):
            small = re.sub(rf"--{option} \d+", f"--{option} {most}", small)
        run(small)
    for name in set(sys.modules) - before:
        if (ROOT / "models" / f"{name}.py").exists() or (ROOT / "benchmarks" / f"{name}.py").exists():
            del sys.modules[name]
    results = eventsnn.Results.load("results.h5")
    assert len(results) == 8
    assert results.accuracy is not None
    network = eventsnn.load("counts.h5")
    for trained in ("steps.h5", "standard.h5", "mixed.h5"):
        assert [p.shape for p in network][1:] == [p.shape for p in eventsnn.load(trained)][1:]
    printed = " ".join(capfd.readouterr().out.split())
    assert "decisions that are not the quantised network's, all shares 0 <= 0 holds" in printed
    assert "mixed, event by event: accuracy, %" in printed


def write_pictures(train, test):
    images = np.random.default_rng(0).integers(0, 256, (train + test, 32, 32, 3)).astype(np.uint8)
    parts = {"train": slice(train), "test": slice(train, None)}
    columns = {f"{name}_x": images[part] for name, part in parts.items()}
    columns |= {f"{name}_y": np.arange(train + test)[part] % 10 for name, part in parts.items()}
    np.savez("cifar10.npz", **columns)


def run(line):
    """A command of the page, here."""
    words = shlex.split(line)
    if words[0] == "eventsnn":
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, (line, done.output, done.exception)
        return
    assert words[0] == "python"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words[1:])
        for name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):  # else a benchmark starts itself anew
            patch.setenv(f"{name}_NUM_THREADS", "1")
        runpy.run_path(str(ROOT / words[1]), run_name="__main__")


def test_the_page_says_what_the_code_has():
    said = dict(re.findall(r"`(\w+)`[, ]+([\d.]+)", PAGE.partition("Settings, as")[2].partition("## I2E")[0]))
    assert {name: float(value.rstrip(".")) for name, value in said.items()} == vars(SmoothMovement())
    assert f"chunks of {CHUNK:,} events" in PAGE
    assert f"`p`: {CHUNK // 8:,} bytes" in PAGE
