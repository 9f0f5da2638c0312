"""The commands and the code of docs/cifar10-dvs.md, on a small scale."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from builders.recordings import numbered_events
from typer.testing import CliRunner

from eventsnn.cli.commands import app
from eventsnn.events import open_dataset, write_aedat
from eventsnn.events.event_columns import CHUNK
from eventsnn.events.smooth import SmoothMovement

PAGE = (Path(__file__).resolve().parents[1] / "docs/cifar10-dvs.md").read_text()


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL", reason="I2E scales pictures with pillow")
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        Path("FOLDER/cat").mkdir(parents=True, exist_ok=True)
        write_aedat(f"FOLDER/cat/cifar10_cat_{number}.aedat", numbered_events())
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    np.savez("cifar10.npz", train_x=images[:3], train_y=[0, 1, 2], test_x=images[3:], test_y=[3])
    commands = [line for block in re.findall(r"```\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
    assert len(commands) == 6
    for line in commands:
        words = shlex.split(line.replace("--workers 2", "--workers 1"))
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, (line, done.output, done.exception)
    assert len(open_dataset("cifar10-dvs:cifar10dvs.h5")) == 2
    assert len(open_dataset("events:emulated.h5", "test")) == 1
    assert open_dataset("events:i2e.h5").height == 128
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    capsys.readouterr()
    exec(code, {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert sum(int(count) for count, _ in printed) == len(open_dataset("events:emulated.h5")[0].events)


def test_the_page_says_what_the_code_has():
    said = dict(re.findall(r"`(\w+)`[, ]+([\d.]+)", PAGE.partition("Settings, as")[2].partition("## I2E")[0]))
    assert {name: float(value.rstrip(".")) for name, value in said.items()} == vars(SmoothMovement())
    assert f"chunks of {CHUNK:,} events" in PAGE
    assert f"`p`: {CHUNK // 8:,} bytes" in PAGE
