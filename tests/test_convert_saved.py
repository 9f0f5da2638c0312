"""Saved models are read without running what their file says."""

import os
import pickle

import pytest
import torch
from torch import nn

from eventsnn.convert import QCFS, definition, load_model
from eventsnn.convert.definitions.trained import save_trained
from eventsnn.errors import InvalidFile, InvalidRequest

torch.set_num_threads(1)


def every_module():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding="same"),
        nn.BatchNorm2d(4),
        QCFS(4),
        nn.Sequential(nn.AvgPool2d(2), nn.Dropout2d(), nn.Identity()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5, bias=False),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Linear(5, 2),
    )


def test_a_saved_model_comes_back_in_evaluation_mode(tmp_path):
    model = every_module().train()
    path = tmp_path / "model.pt"
    torch.save(model, path)
    before = set(torch.serialization.get_safe_globals())
    found = load_model(path)
    assert set(torch.serialization.get_safe_globals()) == before
    assert not found.training
    assert isinstance(found[2], QCFS)
    assert found[2].levels == 4
    x = torch.rand(3, 2, 6, 6)
    assert torch.equal(found(x), model.eval()(x))


class Foreign(nn.Module):
    """Not a class that a file may name."""


class Command:
    """Runs a command when unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


REFUSED = {
    "parameters": (
        lambda: every_module().state_dict(),
        r"a state_dict of \d+ tensors\) without its architecture",
    ),
    "checkpoint": (
        lambda: {"state": every_module().state_dict(), "epoch": 3},
        r"a dictionary \(state, epoch\), no model; name what builds the model with --definition",
    ),
    "tensor": (lambda: torch.ones(3), "holds a Tensor, no model"),
    "own class": (lambda: nn.Sequential(Foreign()), r"needs the class .*Foreign.*--definition"),
    "tanh": (lambda: nn.Sequential(nn.Tanh()), r"holds a Tanh .*no conversion yet.*MaxPool2d.*ReLU"),
}


@pytest.mark.parametrize(("build", "match"), REFUSED.values(), ids=REFUSED)
def test_a_file_without_a_convertible_model_is_refused(tmp_path, build, match):
    path = tmp_path / "model.pt"
    torch.save(build(), path)
    with pytest.raises(InvalidFile, match=match):
        load_model(path)


@pytest.mark.parametrize(
    ("held", "what"), [({}, "nothing"), ({"epoch": 3}, r"a dictionary \(epoch\)"), ([1], "a list")], ids=str
)
def test_a_definition_without_parameters_is_refused(tmp_path, held, what):
    path = tmp_path / "model.pt"
    torch.save(held, path)
    with pytest.raises(InvalidFile, match=rf"holds {what}, no parameters .* for lenet5; save these with"):
        load_model(path, definition="lenet5")


def test_a_file_that_runs_a_command_does_not_run_it(tmp_path):
    path, target = tmp_path / "model.pt", tmp_path / "touched"
    torch.save(Command(target), path)
    with pytest.raises(InvalidFile, match=r"posix\.system|nt\.system"):
        load_model(path)
    path.write_bytes(pickle.dumps(Command(target), protocol=2))
    with pytest.raises(InvalidFile, match=r"cannot be read|needs the class"):
        load_model(path)
    assert not target.exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.script(nn.Sequential(nn.ReLU())).save(path)
    with pytest.raises(InvalidFile, match="is a TorchScript archive"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"hello world" * 100, b"PK\x03\x04", "half"], ids=str)
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "model.pt"
    if content == "half":
        torch.save(every_module(), path)
        content = path.read_bytes()[:3000]
    path.write_bytes(content)
    with pytest.raises(InvalidFile, match="truncated or another kind of file"):
        load_model(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model file .*missing\.pt"):
        load_model(tmp_path / "missing.pt")


SMALL = {"width": 2, "hidden": [3], "size": 8}


@pytest.fixture
def recipe(tmp_path):
    """A file as the recipes write it, and its model."""
    torch.manual_seed(0)
    model = definition("vgg7", **SMALL).eval()
    save_trained(tmp_path / "m.pt", model, "vgg7", SMALL)
    return tmp_path / "m.pt", model


@pytest.mark.parametrize("given", [None, "vgg7"])
def test_a_file_that_names_its_definition_needs_no_other(recipe, given):
    path, model = recipe
    found = load_model(path, definition=given)
    assert not found.training
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(found(images), model(images))


@pytest.mark.parametrize("given", ["vgg11", "net.py:build"])
def test_a_definition_that_contradicts_the_file_is_refused(recipe, given):
    with pytest.raises(InvalidRequest, match=f"names its own definition, 'vgg7', and '{given}' is another"):
        load_model(recipe[0], definition=given)


WRONG = {
    "no such": ({"definition": "os:system"}, "no definition 'os:system'"),
    "not a name": ({"definition": ["vgg7"]}, "unhashable"),
    "unknown parameter": ({"parameters": {"command": "ls"}}, "no parameter 'command'"),
    "no parameters": ({"parameters": 3}, "must be a mapping"),
    "out of range": ({"parameters": {**SMALL, "width": -2}}, "its definition"),
    "of another size": ({"parameters": {**SMALL, "width": 4}}, r"is \(2, 3, 3, 3\) in the file and \(4, 3"),
    "no weights": ({"state_dict": 3}, "no tensors by name"),
    "no tensors": ({"state_dict": {"features.0.weight": 3}}, "no tensors by name"),
    "numbered": ({"state_dict": {0: torch.ones(1)}}, "no tensors by name"),
    "too few": ({"state_dict": {}}, r"it lacks features\.0\.weight"),
}


@pytest.mark.parametrize(("change", "match"), WRONG.values(), ids=WRONG)
def test_a_file_that_does_not_fit_what_it_names_is_refused(recipe, change, match):
    path, model = recipe
    whole = {"definition": "vgg7", "parameters": SMALL, "state_dict": model.state_dict()}
    torch.save(whole | change, path)
    with pytest.raises(InvalidFile, match=match):
        load_model(path)


def test_a_recipe_s_file_runs_no_command(recipe, tmp_path):
    path, target = recipe[0], tmp_path / "touched"
    torch.save({"definition": "vgg7", "parameters": Command(target), "state_dict": {}}, path)
    with pytest.raises(InvalidFile, match=r"posix\.system|nt\.system"):
        load_model(path)
    assert not target.exists()
