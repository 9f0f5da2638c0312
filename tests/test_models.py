"""The trained networks that lie in ``models/``: each has its card, and converts at the error on the card."""

import argparse
import importlib.util
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import eventsnn  # noqa: E402
from eventsnn.convert import QCFS, compare, convert, quantised_activations  # noqa: E402
from eventsnn.convert.definitions import definition  # noqa: E402
from eventsnn.convert.definitions.trained import load_trained  # noqa: E402
from eventsnn.events import image_set  # noqa: E402

MODELS = Path(__file__).resolve().parents[1] / "models"
DATA = pytest.mark.skipif("EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA does not name the data")
EVERY = 20
"""Of MNIST's 10,000 test images; these are in no order of classes."""


def test_every_trained_network_has_its_card_and_is_small():
    text = (MODELS / "README.md").read_text()
    for path in MODELS.glob("*.pt"):
        card = MODELS / f"{path.stem}.md"
        assert card.name in text
        assert path.stat().st_size < 1_000_000
        for line in ("trained on", "tested on", "command", "seed", "licence"):
            assert re.search(rf"^\| {line}s? \|", card.read_text(), re.M), (card.name, line)


def mnist(split, every):
    with np.load(Path(os.environ["EVENTSNN_DATA"]) / "mnist" / "mnist.npz") as archive:
        return archive[f"{split}_x"][::every, None], archive[f"{split}_y"][::every].astype(np.int64)


def decisions(model, network, images):
    """Of the trained network and of the integer network that its spikes end with."""
    with torch.no_grad():
        of_model = model(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    ends = quantised_activations(network, images.transpose(0, 2, 3, 1).astype(np.int64))
    return of_model, ends[network.output].argmax(axis=1)


def spiking(network, images, labels):
    """Of runs spike by spike."""
    results = eventsnn.simulate(network, image_set(images.transpose(0, 2, 3, 1), labels))
    return np.array([sample.prediction for sample in results.table.samples])


@DATA
def test_the_binary_network_keeps_its_error_as_spikes():
    model = load_trained(MODELS / "binarynet.pt")
    for module in model:
        if hasattr(module, "weight") and module.weight.dim() > 1:
            assert set(module.weight.unique().tolist()) == {-1.0, 1.0}
    calibration, _ = mnist("train", 600)
    images, labels = mnist("test", EVERY)
    network = convert(model, calibration)
    of_model, integer = decisions(model, network, images)
    spikes = spiking(network, images[::10], labels[::10])
    errors = [100 * float((found != labels).mean()) for found in (of_model, integer)]
    print(f"{len(labels)} images: error {errors[0]:.2f} %, as spikes {errors[1]:.2f} %")  # noqa: T201 (pytest -s shows it)
    assert errors[0] < 5
    assert abs(errors[1] - errors[0]) <= 1.5
    assert np.array_equal(spikes, integer[::10])


@DATA
@pytest.mark.parametrize("levels", [15, 31])
def test_lenet_keeps_its_error_as_spikes(levels):
    model = load_trained(MODELS / "lenet5.pt")
    calibration, _ = mnist("train", 120)
    images, labels = mnist("test", EVERY)
    network = convert(model, calibration, levels=levels, scales="channel", bias_correction=True)
    of_model, integer = decisions(model, network, images)
    assert (of_model == labels).mean() > 0.985
    assert (integer != of_model).sum() <= 5
    spikes = spiking(network, images[::25], labels[::25])
    assert np.array_equal(spikes, integer[::25])


@pytest.fixture
def recipe(monkeypatch):
    """Loads a recipe by its name."""
    monkeypatch.syspath_prepend(str(MODELS))
    made = []

    def load(name):
        spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        made.append(name)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    yield load
    for name in ("train_images", *made):
        sys.modules.pop(name, None)


def pictures(split):
    draw = np.random.default_rng(len(split))
    return draw.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8), draw.integers(0, 3, 60)


def test_training_that_was_stopped_ends_with_the_same_weights(recipe, tmp_path, monkeypatch):
    train_images = recipe("train_images")
    monkeypatch.setattr(train_images, "load", lambda data, split: pictures(split))
    parameters = {"channels": 1, "size": 8, "classes": 3, "widths": [4], "each": 1, "hidden": [6]}
    found = []
    for name, minutes in (("whole.pt", 60), ("stopped.pt", 0)):
        options = argparse.Namespace(
            data="mnist", batch=20, weight_decay=0.01, learning_rate=0.01, epochs=3, smoothing=0.1, seed=1,
            output=tmp_path / name, minutes=minutes,
        )  # fmt: skip
        ended = False
        starts = 0
        while not ended:
            torch.manual_seed(1)
            model = definition("binarynet", **parameters)
            ended = train_images.train(model, options)
            starts += 1
        assert starts == (1 if minutes else 3)
        assert max(float(model[place].weight.detach().abs().max()) for place in (0, 5)) <= 1
        found.append(model.state_dict())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    options.seed = 2
    with pytest.raises(SystemExit, match="of another command"):
        train_images.train(model, options)


def test_moved_images_are_windows_of_the_padded_ones(recipe):
    shifted = recipe("train_images").shifted
    images = np.random.default_rng(0).integers(1, 256, (300, 2, 4, 5), dtype=np.uint8)
    moved = shifted(images, 1, True, np.random.default_rng(1))
    seen = set()
    for before, after in zip(images, moved, strict=True):
        padded = np.pad(before, ((0, 0), (1, 1), (1, 1)))
        windows = {
            (y, x, flip): padded[:, y : y + 4, x : x + 5][:, :, :: -1 if flip else 1]
            for y in range(3) for x in range(3) for flip in (False, True)
        }  # fmt: skip
        seen |= {key for key, window in windows.items() if np.array_equal(window, after)}
        assert any(np.array_equal(window, after) for window in windows.values())
    assert len(seen) == 18


def test_weights_in_whole_numbers_of_quanta_leave_no_neuron_apart(recipe):
    finetune = recipe("finetune_quantised")
    torch.manual_seed(0)
    model = definition("resnet20", levels=7)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.running_mean.shape, generator=generator))
            module.weight.data.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 12, 12), dtype=np.uint8)
    finetune.set_ceilings(model, finetune.scaled(images))
    assert len({m.theta.item() for m in model.modules() if isinstance(m, QCFS)}) == 19
    before = compare(model, convert(model, images), images).layers
    finetune.whole_numbers(model, 2**14)
    after = compare(model, convert(model, images), images).layers
    assert max(layer.largest_difference for layer in before[:-1]) > 0.01
    assert max(layer.largest_difference for layer in after[:-1]) < 1e-5


def test_normalisation_goes_into_the_first_layer(recipe):
    finetune = recipe("finetune_quantised")
    torch.manual_seed(0)
    original, other = definition("resnet20").eval(), definition("resnet20").eval()
    other.load_state_dict(finetune.with_normalisation(original.state_dict()))
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
    wanted = original.bn1(original.conv1(finetune.normalised(images)))
    found = other.bn1(other.conv1(finetune.scaled(images)))
    assert torch.allclose(found[:, :, 1:-1, 1:-1], wanted[:, :, 1:-1, 1:-1], atol=1e-5)
    assert not torch.allclose(found, wanted, atol=1e-3)
