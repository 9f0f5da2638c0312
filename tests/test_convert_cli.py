"""``eventsnn convert`` on images: what it prints, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from eventsnn.cli.commands import app
from eventsnn.errors import InvalidRequest
from eventsnn.network import load_network

torch.set_num_threads(1)


@pytest.fixture
def files(tmp_path):
    """A model of bright quarters, and images whose label is the brightest quarter."""
    model = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    with torch.no_grad():
        for layer in (model[2], model[4]):
            layer.weight.copy_(torch.eye(4))
            layer.bias.fill_(0.05)
    torch.save(model, tmp_path / "model.pt")
    rng = np.random.default_rng(0)
    images = {}
    for split, count in (("train", 40), ("test", 24)):
        labels = np.arange(count) % 4
        x = rng.integers(0, 60, (count, 8, 8))
        for k, label in enumerate(labels):
            y, column = divmod(int(label), 2)
            x[k, 4 * y : 4 * y + 4, 4 * column : 4 * column + 4] += 150
        images |= {f"{split}_x": x.astype(np.uint8), f"{split}_y": labels}
    images["test_y"][:6] = (images["test_y"][:6] + 1) % 4  # a quarter of the labels is wrong
    np.savez(tmp_path / "images.npz", **images)
    return tmp_path


def run(files, *options):
    spec = f"images:{files / 'images.npz'}"
    command = ["convert", str(files / "model.pt"), "-o", str(files / "net.h5"), "--calibration", spec]
    return CliRunner().invoke(app, [*command, *options])


CASES = {
    "signed": ([], "charge"),
    "signed analog": (["--input", "analog"], "analog"),
    "signed poisson": (["--input", "poisson"], "poisson"),
    "rate": (["--neuron", "rate"], "analog"),
    "rate poisson": (["--neuron", "rate", "--input", "poisson", "--max-rate-hz", "2000"], "poisson"),
    "rate bernoulli": (["--neuron", "rate", "--input", "bernoulli", "--duration-us", "50000"], "bernoulli"),
    "rate as the literature's": (
        [
            *("--neuron", "rate", "--bias", "spikes", "--initial-charge", "half", "--softmax", "independent"),
            *("--spikes-at-lambda", "100", "--reset", "soft", "--period-us", "1000", "--bias-correction"),
        ],
        "analog",
    ),
    "normalised": (["--input-mean", "0.3", "--input-std", "0.5", "--input-range", "0,1"], "charge"),
}


@pytest.mark.parametrize(("options", "coding"), CASES.values(), ids=CASES)
def test_accuracy_stands_beside_the_originals(files, options, coding):
    spec = f"images:{files / 'images.npz'}"
    done = run(files, "--json", "--check", spec, "--check-split", "test", *options)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["samples"] == 24
    assert found["model_accuracy"] == 0.75
    assert found["accuracy"] == 0.75
    assert found["agreement"] == 1.0
    assert found["layers"][-1]["correlation"] > 0.98
    network = load_network(files / "net.h5")
    assert network.contract.coding == coding == found["input"]["coding"]
    assert network.checksum == found["checksum"]


def test_the_calibration_images_are_checked_where_nothing_else_is_given(files):
    done = run(files, "--samples", "20")
    assert done.exit_code == 0
    printed = done.stdout.replace("\N{NO-BREAK SPACE}", " ")
    assert "decisions agree with the original's: 100.0 %" in printed
    assert "accuracy: original 100.0 %, network 100.0 % (20 labelled images)" in printed


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--input-mean", "0.1;0.2"], "--input-mean is '0.1;0.2'; give numbers"),
        (["--input", "events"], "is for recordings"),
        (["--max-rate-hz", "100"], "only poisson and bernoulli"),
        (["--samples", "0"], "--samples is 0"),
        (["--check-split", "test"], "--check-split is of --check"),
    ],
)
def test_settings_that_do_not_fit_are_refused(files, options, match):
    done = run(files, *options)
    assert isinstance(done.exception, InvalidRequest)
    assert match in str(done.exception)
    assert not (files / "net.h5").exists()
