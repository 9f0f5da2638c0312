"""The commands of docs/conversion.md run as they stand there, on models and images made for them."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from builders import onnx_models
from builders.keras_files import write
from torch import nn
from typer.testing import CliRunner

from eventsnn.cli.commands import app

torch.set_num_threads(1)

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "conversion.md").read_text()
COMMANDS = re.findall(r"^eventsnn (convert .*)$", TEXT, re.M)


def chain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 12), nn.ReLU(), nn.Linear(12, 6)
    )


def onnx_model(shape=(1, 8, 8), outputs=("scores",)):
    rng = np.random.default_rng(1)
    constants = {"w": rng.normal(size=(3, 1, 3, 3)), "v": rng.normal(size=(108, 6))}
    nodes = [
        onnx_models.node("Conv", "x w", "a"),
        onnx_models.node("Relu", "a", "b"),
        onnx_models.node("Flatten", "b", "c"),
        onnx_models.node("MatMul", "c v", "scores"),
        onnx_models.node("Neg", "scores", "other"),
    ]
    given = {name: value.astype(np.float32) for name, value in constants.items()}
    return onnx_models.model(nodes, shape, outputs, given)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(chain(), "MODEL.pt")
    torch.save({"state_dict": chain().state_dict()}, "STATE.pt")
    Path("net.py").write_text(
        "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), "
        "nn.Flatten(), nn.Linear(108, 12), nn.ReLU(), nn.Linear(12, 6))\n"
    )
    onnx.save(onnx_model(), "MODEL.onnx")
    onnx.save(onnx_model(outputs=("scores", "other")), "SEVERAL.onnx")
    onnx.save(onnx_model(shape=(1, "H", "W")), "OPEN.onnx")
    rng = np.random.default_rng(2)
    conv = {"kernel_size": [3, 3], "activation": "relu", "padding": "valid", "filters": 3}
    layers = [
        ("Conv2D", conv, {"kernel": rng.normal(size=(3, 3, 1, 3)), "bias": np.zeros(3)}),
        ("Flatten", {}, {}),
        ("Dense", {"units": 6}, {"kernel": rng.normal(size=(108, 6)), "bias": np.zeros(6)}),
    ]
    write("MODEL.h5", layers, shape=(8, 8, 1), backend=None)
    Path("models").symlink_to(Path(__file__).resolve().parents[1] / "models")
    digits = rng.integers(0, 256, (12, 28, 28)).astype(np.uint8)
    np.savez("MNIST.npz", train_x=digits, train_y=np.arange(12) % 10)
    for name in ("TRAIN.npz", "TEST.npz"):
        np.savez(name, x=rng.integers(0, 256, (12, 8, 8)).astype(np.uint8), y=np.arange(12) % 6)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(files, command):
    if "--page" in command:
        pytest.importorskip("matplotlib")
    done = CliRunner().invoke(app, shlex.split(command))
    assert done.exit_code == 0, done.output + str(done.exception)
    assert Path("NET.h5").exists()
    assert Path("PAGE.html").exists() == ("--page" in command)
    if "--json" in command:
        assert json.loads(done.stdout)["samples"] == 12


def test_every_kind_of_file_has_its_command():
    assert len(COMMANDS) >= 13
    told = " ".join(COMMANDS)
    for word in (
        "--definition",
        "--output-node",
        "--input-shape",
        "--backend",
        ".onnx",
        "MODEL.h5",
        "--verify",
        "models/lenet5.pt",
    ):
        assert word in told
