"""The front door: every kind of model file is read by its content, and what does not fit it is refused."""

import re
import sys
from textwrap import dedent

import h5py
import numpy as np
import onnx
import pytest
import torch
from builders import onnx_models
from builders.keras_files import write
from torch import nn

from eventsnn.convert import convert, load_model
from eventsnn.convert.definitions import DEFINITIONS
from eventsnn.convert.graph.graph import Original
from eventsnn.errors import InvalidFile, InvalidNetwork, InvalidRequest, MissingFile, UnsupportedLayer

torch.set_num_threads(1)

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 1)).astype(np.uint8).transpose(0, 3, 1, 2)

DEFINITION = """
    from torch import nn
    from sizes import HIDDEN, CLASSES

    class Net(nn.Module):
        def __init__(self, classes=CLASSES):
            super().__init__()
            self.first, self.norm = nn.Conv2d(1, HIDDEN, 3), nn.BatchNorm2d(HIDDEN)
            self.last = nn.Linear(16 * HIDDEN, classes)

        def forward(self, x):
            return self.last(self.norm(self.first(x)).relu().flatten(1))

    def build():
        return Net()

    def wide():
        return Net(5)

    def untrained(rate):
        return Net()

    def text():
        return "net"

    def failing():
        return 1 / 0

    SIZE = 3
"""


@pytest.fixture
def folder(tmp_path):
    """A definition, a file that it imports, and parameters."""
    (tmp_path / "net.py").write_text(dedent(DEFINITION))
    (tmp_path / "sizes.py").write_text("HIDDEN, CLASSES = 4, 3\n")
    sys.modules.pop("sizes", None)
    return tmp_path


@pytest.fixture
def trained(folder, monkeypatch):
    """A model of the definition with parameters of its own, as its author has it."""
    monkeypatch.syspath_prepend(folder)
    namespace = {"__name__": "net"}
    exec((folder / "net.py").read_text(), namespace)
    torch.manual_seed(5)
    model = namespace["build"]()
    with torch.no_grad():
        model.norm.running_mean.uniform_(-0.3, 0.3)
    return model.eval()


STATES = {
    "plain": lambda model: model.state_dict(),
    "checkpoint": lambda model: {"epoch": 3, "state_dict": model.state_dict(), "best": 0.9},
    "parallel": lambda model: {"net": nn.DataParallel(model).state_dict()},
    "without counts": lambda model: {
        name: value for name, value in model.state_dict().items() if "num_batches" not in name
    },
    "with others": lambda model: {"teacher": nn.Linear(2, 2).state_dict(), "model": model.state_dict()},
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_parameters_and_the_function_that_builds_their_model(folder, trained, state):
    torch.save(state(trained), folder / "state.pt")
    found = load_model(folder / "state.pt", definition=f"{folder / 'net.py'}:build")
    assert not found.training
    x = torch.rand(2, 1, 6, 6)
    assert torch.equal(found(x), trained(x))
    assert convert(found, IMAGES).checksum == convert(trained, IMAGES).checksum
    assert "eventsnn_definition" not in sys.modules


def test_a_class_is_a_definition_as_well(folder, trained):
    torch.save(trained.state_dict(), folder / "state.pt")
    assert type(load_model(folder / "state.pt", definition=f"{folder / 'net.py'}:Net")).__name__ == "Net"


WRONG = {
    "no such file": ("none.py:build", MissingFile, r"there is no file .*none\.py"),
    "no python": ("state.pt:build", InvalidRequest, r"no Python file"),
    "no callable": ("net.py:built", InvalidRequest, r"no callable 'built'; it has Net, build, wide,"),
    "not callable": ("net.py:SIZE", InvalidRequest, r"no callable 'SIZE'"),
    "raises": ("net.py:failing", InvalidRequest, r"raised ZeroDivisionError: division by zero at line 27"),
    "arguments": ("net.py:untrained", InvalidRequest, r"raised TypeError.*'rate'.*without arguments"),
    "no module": ("net.py:text", InvalidRequest, r"returned a str"),
    "syntax": ("broken.py:build", InvalidRequest, r"raised SyntaxError.*at line 2"),
    "exits": ("exits.py:build", InvalidRequest, r"raised SystemExit: 3 at line 2"),
    "other model": (
        "net.py:wide",
        InvalidFile,
        r"last\.weight is \(3, 64\) in the file and \(5, 64\) in the model",
    ),
}


@pytest.mark.parametrize(("given", "error", "match"), WRONG.values(), ids=WRONG)
def test_a_definition_that_does_not_work_is_one_message(folder, trained, given, error, match):
    torch.save(trained.state_dict(), folder / "state.pt")
    (folder / "broken.py").write_text("import torch\ndef build(:\n")
    (folder / "exits.py").write_text("import sys\nsys.exit(3)\n")
    before = list(sys.path)
    with pytest.raises(error, match=match):
        load_model(folder / "state.pt", definition=str(folder / given))
    assert sys.path == before
    assert "eventsnn_definition" not in sys.modules


@pytest.mark.parametrize("given", ["resnet", "net.py", ":build", "net.py:", "net.py:a b"])
def test_a_definition_is_a_file_and_a_name(folder, trained, given):
    torch.save(trained.state_dict(), folder / "state.pt")
    with pytest.raises(InvalidRequest, match=r"give a Python file and the function"):
        load_model(folder / "state.pt", definition=given)


def test_names_that_do_not_match_are_told(folder, trained):
    state = trained.state_dict()
    state["fc.weight"] = state.pop("last.weight")
    state |= {f"more.{k}": torch.ones(1) for k in range(8)}
    torch.save(state, folder / "state.pt")
    with pytest.raises(InvalidFile) as refused:
        load_model(folder / "state.pt", definition=f"{folder / 'net.py'}:build")
    told = str(refused.value)
    assert "it lacks last.weight; the model has no fc.weight, more.0, " in told
    assert "and 3 more. Give" in told


def test_parameters_of_several_models_are_not_guessed_from(folder, trained):
    torch.save({"teacher": trained.state_dict(), "student": trained.state_dict()}, folder / "state.pt")
    with pytest.raises(InvalidFile, match=r"several models \(teacher, student\)"):
        load_model(folder / "state.pt", definition=f"{folder / 'net.py'}:build")


def test_a_file_of_parameters_runs_nothing_without_a_definition(folder, trained):
    torch.save({"definition": "net.py:build", "state_dict": trained.state_dict()}, folder / "state.pt")
    with pytest.raises(InvalidFile, match="--definition"):
        load_model(folder / "state.pt")
    torch.save(nn.Sequential(nn.Linear(2, 2)), folder / "whole.pt")
    with pytest.raises(InvalidRequest, match="a whole Sequential"):
        load_model(folder / "whole.pt", definition=f"{folder / 'net.py'}:build")


def onnx_net(dynamic=False, shape=(1, 6, 6)):
    rng = np.random.default_rng(1)
    constants = {
        "w": rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "v": rng.normal(size=(64, 3)).astype(np.float32),
    }
    nodes = [
        onnx_models.node("Conv", "x w", "a"),
        onnx_models.node("Relu", "a", "b"),
        onnx_models.node("Flatten", "b", "c"),
        onnx_models.node("MatMul", "c v", "y"),
    ]
    return onnx_models.model(nodes, (1, "H", "W") if dynamic else shape, constants=constants)


@pytest.mark.parametrize("name", ["net.onnx", "net.bin"])
def test_onnx_is_told_by_its_content(tmp_path, name):
    onnx.save(onnx_net(), tmp_path / name)
    found = load_model(tmp_path / name)
    assert isinstance(found, Original)
    assert convert(found, IMAGES).populations["a"].shape == (4, 4, 4)


def test_onnx_takes_an_output_and_a_shape(tmp_path):
    onnx.save(onnx_net(dynamic=True), tmp_path / "net.onnx")
    with pytest.raises(UnsupportedLayer, match="input_shape"):
        load_model(tmp_path / "net.onnx")
    found = load_model(tmp_path / "net.onnx", input_shape=[1, 6, 6], output="y")
    assert found.graph.output == "y"
    with pytest.raises(InvalidRequest, match="no value 'z'"):
        load_model(tmp_path / "net.onnx", input_shape=(1, 6, 6), output="z")
    for shape in ((1, 6), (1, 6, 0), (1, 6, 6.0)):
        with pytest.raises(InvalidRequest, match="input_shape is"):
            load_model(tmp_path / "net.onnx", input_shape=shape)


def keras_net(path, **options):
    rng = np.random.default_rng(2)
    kernel, dense = rng.normal(size=(3, 3, 1, 4)), rng.normal(size=(64, 3))
    layers = [
        (
            "Conv2D",
            {"kernel_size": [3, 3], "activation": "relu", "padding": "valid", "filters": 4},
            {"kernel": kernel, "bias": np.zeros(4)},
        ),
        ("Flatten", {}, {}),
        ("Dense", {"activation": "softmax", "units": 3}, {"kernel": dense, "bias": np.zeros(3)}),
    ]
    return write(path, layers, shape=(6, 6, 1), **options)


def test_keras_is_told_by_its_content(tmp_path):
    keras_net(tmp_path / "net.h5", backend=None)
    with pytest.raises(InvalidRequest, match="--backend theano"):
        load_model(tmp_path / "net.h5")
    one, other = (load_model(tmp_path / "net.h5", backend=name) for name in ("theano", "tensorflow"))
    x = IMAGES / 255.0
    outputs = [found.evaluate(x, [found.graph.output])[found.graph.output] for found in (one, other)]
    assert not np.allclose(*outputs)
    assert convert(other, IMAGES).metadata["conversion"]["layers"][0]["activation"] == "ReLU"


def test_arguments_of_another_kind_of_file_are_refused(tmp_path):
    torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "torch")
    onnx.save(onnx_net(), tmp_path / "onnx")
    keras_net(tmp_path / "keras")
    given = {"definition": "net.py:build", "output": "y", "input_shape": (2,), "backend": "theano"}
    belongs = {
        "torch": {"definition"},
        "onnx": {"output", "input_shape"},
        "keras": {"input_shape", "backend"},
    }
    for file, own in belongs.items():
        for name in given.keys() - own:
            with pytest.raises(
                InvalidRequest, match=rf"^{name} .*{re.escape(file)} holds an? .*leave it out"
            ):
                load_model(tmp_path / file, **{name: given[name]})


DAMAGED = {
    "onnx": ("a.onnx", lambda p: p.write_bytes(b"\x08\x09\x12\x07pytorch" + bytes(90)), "no ONNX file"),
    "onnx renamed": ("a.pt", lambda p: p.write_bytes(b"\x08\x0a:\x9e\x01" + bytes(90)), "no ONNX file"),
    "no onnx": ("a.onnx", lambda p: p.write_bytes(b"nothing"), "no ONNX file"),
    "empty onnx": ("a.onnx", lambda p: p.write_bytes(b""), "no ONNX file"),
    "empty h5": ("a.h5", lambda p: p.write_bytes(b""), "suffix .h5 of HDF5 files and is none"),
    "no weights": ("a.h5", lambda p: _attributes(p, model_config="x"), "model_config is damaged"),
    "weights alone": ("a.h5", lambda p: _attributes(p, layer_names=[]), "holds no architecture"),
}


def _attributes(path, **attributes):
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)


@pytest.mark.parametrize(("name", "write", "match"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_named(tmp_path, name, write, match):
    write(tmp_path / name)
    with pytest.raises(InvalidFile, match=match):
        load_model(tmp_path / name)


def test_parameters_that_are_not_finite_are_refused(folder, trained):
    trained.last.weight.data[0, 0] = torch.nan
    torch.save(trained.state_dict(), folder / "state.pt")
    with pytest.raises(InvalidNetwork, match=r"last.*NaN"):
        convert(load_model(folder / "state.pt", definition=f"{folder / 'net.py'}:build"), IMAGES)


def test_a_definition_of_ours_goes_by_its_name(folder, monkeypatch):
    monkeypatch.setitem(DEFINITIONS, "line", "torch.nn:Identity")
    torch.save({"weight": torch.ones(1)}, folder / "state.pt")
    with pytest.raises(InvalidFile, match="not hold the parameters of line: the model has no weight"):
        load_model(folder / "state.pt", definition="line")
    with pytest.raises(InvalidRequest, match=r"none of eventsnn's \(.*line.*\)"):
        load_model(folder / "state.pt", definition="lines")
