"""``eventsnn convert`` takes every kind of model file; a wrong one is one message and exit code 2."""

import json
import os
import sys

import numpy as np
import onnx
import pytest
import torch
from builders import onnx_models
from builders.keras_files import write
from onnx import helper
from torch import nn

from eventsnn.cli import app
from eventsnn.network import load_network

torch.set_num_threads(1)

DEFINITION = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))

def failing():
    return {}["x"]

def recurrent():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = nn.LSTM(6, 3)

        def forward(self, x):
            return self.cells(x.flatten(1, 2))[0][:, -1]

    return Net()
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A definition and images of 6 x 6 pixels, in the working directory."""
    rng = np.random.default_rng(3)
    images = {f"{split}_x": rng.integers(0, 256, (16, 6, 6)).astype(np.uint8) for split in ("train", "test")}
    np.savez(tmp_path / "images.npz", **images, train_y=np.arange(16) % 3, test_y=np.arange(16) % 3)
    np.savez(tmp_path / "none.npz", x=np.zeros((0, 6, 6), np.uint8))
    np.savez(tmp_path / "few.npz", x=images["train_x"][:3])
    np.savez(tmp_path / "tiny.npz", x=images["train_x"][:, :2, :2])
    np.savez(tmp_path / "range.npz", x=images["train_x"].astype(float))
    np.savez(tmp_path / "black.npz", x=np.zeros_like(images["train_x"]))
    np.savez(tmp_path / "nan.npz", x=np.full((16, 6, 6), np.nan))
    (tmp_path / "net.py").write_text(DEFINITION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(files, monkeypatch, capsys):
    """The command as a process has it: its exit code, standard output and standard error."""

    def command(model, *options, calibration="images.npz"):
        line = ["convert", model, "-o", "net.h5", "--calibration", f"images:{calibration}", *options]
        monkeypatch.setattr(sys, "argv", ["eventsnn", *line])
        code = app._run()
        return code, *capsys.readouterr()

    return command


def state(name="state.pt", change=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    found = model.state_dict()
    if change is not None:
        change(found)
    torch.save({"state_dict": found}, name)
    return name, "--definition", "net.py:build"


def convolution(shape=(1, 6, 6), more=(), outputs=("y",), constants=None, last="MatMul"):
    rng = np.random.default_rng(1)
    given = {
        "w": rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "v": rng.normal(size=(64, 3)).astype(np.float32),
        **(constants or {}),
    }
    nodes = [
        onnx_models.node("Conv", "x w", "a"),
        onnx_models.node("Relu", "a", "b"),
        onnx_models.node("Flatten", "b", "c"),
        onnx_models.node("MatMul", "c v", "y"),
        *more,
    ]
    return onnx_models.model(nodes, shape, outputs, given)


def exported(name="net.onnx", **given):
    onnx.save(convolution(**given), name)
    return (name,)


def keras(name="net.h5k", kind="Dense", backend="tensorflow"):
    rng = np.random.default_rng(2)
    conv = {"kernel_size": [3, 3], "activation": "relu", "padding": "valid", "filters": 4}
    layers = [
        ("Conv2D", conv, {"kernel": rng.normal(size=(3, 3, 1, 4)), "bias": np.zeros(4)}),
        ("Flatten", {}, {}),
        (
            kind,
            {"activation": "softmax", "units": 3},
            {"kernel": rng.normal(size=(64, 3)), "bias": np.zeros(3)},
        ),
    ]
    write(name, layers, shape=(6, 6, 1), backend=backend)
    return (name,)


DOORS = {
    "parameters": (state, "torch"),
    "onnx": (exported, "onnxruntime"),
    "onnx of open size": (lambda: (*exported(shape=(1, "H", "W")), "--input-shape", "1,6,6"), "onnxruntime"),
    "onnx output": (
        lambda: (*exported(outputs=("y", "b")), "--output-node", "MatMul of y"),
        "onnxruntime",
    ),
    "keras": (keras, "Keras"),
    "keras backend": (lambda: (*keras(backend=None), "--backend", "theano"), "Keras"),
}


@pytest.mark.parametrize(("make", "framework"), DOORS.values(), ids=DOORS)
def test_every_kind_of_file_converts_in_one_line(run, make, framework):
    code, out, err = run(*make(), "--check", "images:images.npz", "--json")
    assert code == 0, err
    assert json.loads(out)["samples"] == 16
    network = load_network("net.h5")
    assert framework in network.metadata["conversion"]
    assert network.contract.coding == "charge"


LEVELS = {
    "one": ("7", [7]),
    "listed": ("9,", None),
    "by name": ("0=31", [31]),
    "too many": ("7,15", None),
    "unknown": ("conv9=3", None),
    "half": ("0=3,4", None),
    "no name": ("=3", None),
    "twice": ("0=3,0=4", None),
}


@pytest.mark.parametrize(("text", "levels"), LEVELS.values(), ids=LEVELS)
def test_levels_of_all_layers_of_each_or_by_name(run, text, levels):
    code, _, err = run(*state(), "--levels", text, "--json")
    if levels is None:
        assert code == 2
        assert "levels" in err
        return
    assert code == 0, err
    told = load_network("net.h5").metadata["conversion"]["layers"]
    assert [layer["levels"] for layer in told if "levels" in layer] == levels


def not_finite(found):
    found["3.weight"][1, 2] = torch.nan


def without_external_data():
    onnx.save(convolution(), "net.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    os.remove("w.bin")
    return ("net.onnx",)


def training_graph():
    made = convolution(
        more=[onnx_models.node("SoftmaxCrossEntropyLoss", "y t", "loss", reduction="mean")], outputs=("loss",)
    )
    made.graph.input.append(helper.make_tensor_value_info("t", onnx.TensorProto.INT64, ["N"]))
    made.graph.output[0].type.tensor_type.shape.SetInParent()
    onnx.save(made, "net.onnx")
    return ("net.onnx",)


WRONG = {
    "recurrent": (lambda: (recurrent(), "--definition", "net.py:recurrent"), r"LSTM"),
    "recurrent keras": (lambda: keras(kind="LSTM"), "is a LSTM, which has no conversion"),
    "operator": (lambda: exported(more=[onnx_models.node("Erf", "y", "z")], outputs=("z",)), "Erf"),
    "open size": (lambda: exported(shape=(1, "H", "W")), "--input-shape"),
    "external data": (without_external_data, r"w\.bin, which is not beside the model"),
    "not finite": (lambda: state(change=not_finite), "NaN"),
    "training graph": (training_graph, "--output-node NAME"),
    "no scores": (lambda: exported(outputs=("b",)), "no score for each class; name the node"),
    "no file": (lambda: ("none.pt",), r"no model file none\.pt"),
    "no definition": (lambda: state()[:1], "--definition FILE.py:CALLABLE"),
    "no such callable": (
        lambda: (*state()[:2], "net.py:other"),
        "no callable 'other'; it has build, failing, recurrent",
    ),
    "failing definition": (lambda: (*state()[:2], "net.py:failing"), "raised KeyError: 'x' at line 8"),
    "no such definition file": (lambda: (*state()[:2], "n.py:other"), r"there is no file n\.py"),
    "another model's": (lambda: state(change=lambda s: s.pop("0.bias")), r"it lacks 0\.bias"),
    "definition of another file": (
        lambda: (*exported(), "--definition", "net.py:build"),
        "an ONNX model; leave",
    ),
    "no backend": (lambda: keras(backend=None), "--backend"),
    "no shape": (lambda: (*exported(), "--input-shape", "1x6x6"), "as 3,32,32"),
}


def recurrent():
    torch.save(nn.LSTM(6, 3).state_dict() | {}, "lstm.pt")
    held = torch.load("lstm.pt", weights_only=True)
    torch.save({f"cells.{name}": value for name, value in held.items()}, "lstm.pt")
    return "lstm.pt"


@pytest.mark.parametrize(("make", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_model_is_one_message(run, make, told):
    code, out, err = run(*make())
    assert (code, out) == (2, "")
    assert err.startswith("eventsnn: ")
    assert "Traceback" not in err
    assert told.replace("\\", "") in err
    assert not os.path.exists("net.h5")


SAMPLES = {
    "none": ("none.npz", "no samples|no images|0 images"),
    "few": ("few.npz", "has 3 of the 8 samples"),
    "too small": ("tiny.npz", "2, 2|2 x 2"),
    "out of range": ("range.npz", "0 to 1"),
    "black": ("black.npz", "never active"),
    "not finite": ("nan.npz", "NaN"),
}


@pytest.mark.parametrize(("data", "told"), SAMPLES.values(), ids=SAMPLES)
def test_wrong_calibration_data_are_one_message(run, data, told):
    code, out, err = run(*state(change=lambda s: s["0.bias"].fill_(-0.1)), calibration=data)
    assert (code, out) == (2, ""), err
    assert any(word in err for word in told.split("|")), err
    assert not os.path.exists("net.h5")


real = pytest.mark.skipif(
    "EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA does not name the data folder"
)


def digits(path, count):
    """MNIST images as the kind ``images:`` reads them."""
    with np.load(os.path.join(os.environ["EVENTSNN_DATA"], "mnist", "mnist.npz")) as file:
        arrays = {
            "train_x": file["train_x"][:200],
            "train_y": file["train_y"][:200],
            "test_x": file["test_x"][:count],
            "test_y": file["test_y"][:count],
        }
    np.savez(path, **arrays)


@real
def test_the_model_zoos_mnist_keeps_its_accuracy(run, files):
    digits(files / "mnist.npz", 2000)
    model = os.path.join(os.environ["EVENTSNN_DATA"], "pretrained", "mnist-8.onnx")
    check = ("--check", "images:mnist.npz", "--check-samples", "2000", "--json")
    code, out, err = run(model, "--input-range", "0,255", "--levels", "31", *check, calibration="mnist.npz")
    assert code == 0, err
    found = json.loads(out)
    assert found["model_accuracy"] == 0.984
    assert abs(found["accuracy"] - 0.984) <= 0.005


@real
def test_the_published_lenet_converts_from_its_file(run, files):
    digits(files / "mnist.npz", 1000)
    model = os.path.join(os.environ["EVENTSNN_DATA"], "pretrained", "lenet5_98.96.h5")
    check = ("--check", "images:mnist.npz", "--check-samples", "1000", "--json")
    code, out, err = run(model, "--levels", "31", *check, calibration="mnist.npz")
    assert code == 0, err
    found = json.loads(out)
    assert abs(found["accuracy"] - found["model_accuracy"]) <= 0.005
    assert found["operations"]["border_blind"] == 2_346_734
    assert found["operations"]["border_exact"] == 1_556_880 + 6_494
