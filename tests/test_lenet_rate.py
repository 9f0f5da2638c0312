"""The LeNet-5 of a Keras file on MNIST as rate neurons (needs EVENTSNN_DATA)."""

import os
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn.counting.counters import COLUMN

pytest.importorskip("torch", reason="Keras files are rebuilt in PyTorch")
DATA = os.environ.get("EVENTSNN_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="EVENTSNN_DATA is not set")
STEPS, STEP_US = 50, 2000.0


@pytest.fixture(scope="module")
def lenet():
    """The original, calibration images, every hundredth test image with its label, and its logits."""
    from eventsnn.convert.importers.keras import import_keras

    original = import_keras(Path(DATA) / "pretrained" / "lenet5_98.96.h5")
    with np.load(Path(DATA) / "mnist" / "mnist.npz") as file:
        train, images, labels = file["train_x"][::120], file["test_x"][7::100], file["test_y"][7::100]
    output = original.graph.output
    found = original.evaluate(images[:, None] / 255, [output])[output].reshape(100, -1)
    return original, train[:, None] / 255, images[..., None], labels.astype(int), found


def curve(lenet, **settings):
    """Decisions (samples, steps) and mean operations of each step."""
    original, train, images, _, _ = lenet
    network = eventsnn.convert(
        original, train, "rate", input="analog", duration_us=STEPS * STEP_US, spikes_at_lambda=STEPS,
        **settings,
    )  # fmt: skip
    results = eventsnn.simulate(network, images, schedule="step", step_us=STEP_US, history_us=STEP_US)
    histories = [results.history(sample.index) for sample in results.table.samples]
    decided = [
        np.where((h.readout == 0).all(axis=1), -1, h.readout.argmax(axis=1)) for h in histories
    ]  # fmt: skip
    operations = np.mean(
        [h.counters[:, :, COLUMN["synaptic_operations"]].sum(axis=1) for h in histories], axis=0
    )
    return np.array(decided), operations, network


@pytest.fixture(scope="module")
def robust(lenet):
    return curve(lenet, percentile=99.9)


def test_the_rate_network_errs_as_the_original_does(lenet, robust):
    """Outside truth A2 on a hundredth of its images: the original's 1.04 % and little more."""
    *_, labels, logits = lenet
    decided, operations, network = robust
    original = int((logits.argmax(axis=1) != labels).sum())
    assert int((decided[:, -1] != labels).sum()) <= original + 1
    assert (decided[:, -1] == logits.argmax(axis=1)).mean() >= 0.99
    wrong = (decided != labels[:, None]).mean(axis=0)
    assert wrong[0] > 0.8  # deep layers are silent at first
    # The toolbox's curve: 3.4 million at the end of 50 steps, synapses into padding counted.
    assert 2e6 < operations[-1] < 3.6e6
    near = int(np.flatnonzero(wrong <= original / 100 + 0.01)[0])
    assert operations[near] < 2_346_734 / 2
    assert network.metadata["conversion"]["percentile"] == 99.9


def test_the_largest_activation_is_a_scale_that_decides_later(lenet, robust):
    labels = lenet[3]
    (early, most, _), (late, fewer, _) = robust, curve(lenet, percentile=100)
    wrong = [(decided != labels[:, None]).mean(axis=0) for decided in (early, late)]
    assert (wrong[0][3:7] < wrong[1][3:7]).all()
    assert fewer[-1] < most[-1]


@pytest.mark.parametrize("filter", ["finite_impulse", "exponential"])
def test_gates_of_every_filter_decide_as_the_original_does(lenet, filter):
    """Outside truth A15: the LeNet with max-pools, in the event schedule; average gates see above."""
    original, train, images, _, logits = lenet
    tau = {"max_pool_tau_us": 20_000.0} if filter == "exponential" else {}
    network = eventsnn.convert(
        original, train, "rate", input="analog", spikes_at_lambda=STEPS, max_pool=filter, **tau
    )
    results = eventsnn.simulate(network, images[::2])
    assert (results.table.column("prediction") == logits.argmax(axis=1)[::2]).mean() >= 0.98
