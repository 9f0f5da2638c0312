"""The recipe that trains in timesteps: what it writes is, in the step schedule, what was trained."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import eventsnn  # noqa: E402

MODELS = Path(__file__).resolve().parents[1] / "models"
RECIPES = (
    "checkpoints",
    "train_cifar10_dvs_steps",
    "train_cifar10_dvs",
    "train_event_counts",
    "train_images",
)
STEPS = 3


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(MODELS))
    import train_cifar10_dvs_steps as module

    monkeypatch.setattr(module, "SHAPES", ((4, 5, 2), (6, 3, 1), (5, 3, 2)))
    yield module
    for name in RECIPES:
        sys.modules.pop(name, None)


def counts(recipe, n, bins):
    rng = np.random.default_rng(2)
    found = rng.poisson(0.4, (n, bins, 2, recipe.SIDE, recipe.SIDE)).astype(np.uint8)
    return recipe.Counts(found, rng.integers(0, 10, n), np.arange(bins))


def events_of(data, recording, bin_us):
    """Events that are counted so, anywhere in their bin."""
    rng = np.random.default_rng(recording)
    where = np.repeat(np.argwhere(data.bins[recording] >= 0), data.bins[recording].reshape(-1), axis=0)
    t = where[:, 0] * bin_us + rng.integers(0, bin_us, len(where))
    order = np.argsort(t, kind="stable")
    _, p, y, x = where[order].T
    return eventsnn.make_events(t[order], x, y, p)


def test_the_integers_compute_what_was_trained(recipe):
    torch.manual_seed(0)
    model = recipe.Steps(0.0)
    for layer in model.layers:
        layer.convolution.weight.data += 0.4 * layer.convolution.weight.std()  # most of them fire
    data = counts(recipe, 6, 7)
    inputs = recipe.stepped(recipe.frames(data, np.arange(6), STEPS), STEPS)
    # Three bins a step: seven bins leave two of the last step empty.
    assert inputs.shape == (STEPS, 6, 2, 32, 32)
    assert float(inputs[0, 2].sum() * 16) == data.bins[2, :3].sum()
    assert float(inputs[2, 4].sum() * 16) == data.bins[4, 6].sum()
    model.train()
    for _ in range(90):
        model(inputs)
    model.eval().requires_grad_(False).double()
    network = recipe.integer_network(model, STEPS, 60)
    # With weights of whole quanta the charges are exact in float64, and so is every spike.
    for layer, projection in zip([*model.layers, model.readout], network.projections.values(), strict=True):
        if layer is not model.readout:
            value = 1 / 16 if projection.source == "input" else 1
            weight = projection.synapses.weight / (value * recipe.THRESHOLD)
            layer.convolution.weight.copy_(torch.from_numpy(weight).permute(3, 2, 0, 1))
            layer.gain.fill_(1)
            layer.square.fill_(1 - 1e-5)
            assert (layer.factor(layer.square) == 1).all()
    inputs = inputs.double()
    spikes = [inputs]
    for layer in model.layers:
        spikes.append(layer(spikes[-1]))
        assert 0.02 < float(spikes[-1].mean()) < 0.9
    samples = [(events_of(data, k, 20), int(label)) for k, label in enumerate(data.labels)]
    for position, (events, label) in enumerate(samples):
        found = eventsnn.simulate(
            network, [(events, label)], schedule="step", step_us=60, origin="file"
        ).table
        wanted = sum(float(layer[:, position].sum()) for layer in spikes[1:])
        assert found.column("spikes")[0] == wanted
        logits = model(inputs[:, position : position + 1])[0]
        top = logits.topk(2).values
        if top[0] - top[1] > 1e-3:
            assert found.column("prediction")[0] == int(logits.argmax())


def test_a_start_from_a_converted_network_takes_its_weights(recipe, monkeypatch):
    monkeypatch.undo()
    sys.path.insert(0, str(MODELS))
    try:
        network = eventsnn.load(MODELS / "cifar10dvs.h5")
        model = recipe.Steps(0.0).requires_grad_(False)
        recipe.start_from(model, network)
    finally:
        sys.path.remove(str(MODELS))
    image = np.random.default_rng(0).integers(0, 5, (32, 32, 2))
    weight = next(p for p in network.projections.values() if p.source == network.input).synapses.weight
    by_hand = sum(
        weight[ky, kx, c, 3] * image[2 * 4 + ky - 2, 2 * 5 + kx - 2, c]
        for ky in range(5) for kx in range(5) for c in range(2)
    )  # fmt: skip
    found = model.layers[0].convolution(torch.from_numpy(image.transpose(2, 0, 1)[None]).float())
    assert float(found[0, 3, 4, 5]) * recipe.THRESHOLD == pytest.approx(by_hand, rel=1e-4)
    dense = next(p for p in network.projections.values() if p.target == network.output).synapses.weight
    # Neuron (y, x, channel) = (1, 2, 7) of 4 x 4 x 128; PyTorch's place is (7, 1, 2).
    ratio = model.readout.weight[:, (7 * 4 + 1) * 4 + 2].numpy() / dense[(1 * 4 + 2) * 128 + 7]
    assert np.ptp(ratio) < 1e-3 * abs(ratio).max()


def test_spikes_pass_gradients_where_the_charge_is_near(recipe):
    charge = torch.tensor([-3.0, 0.5, 1.0, 1.2, 5.0], requires_grad=True)
    fired = recipe.Fire.apply(charge)
    assert fired.tolist() == [0, 0, 1, 1, 1]
    fired.sum().backward()
    # slope / 2 / (1 + (pi / 2 slope (V - 1))^2), slope 2.
    assert charge.grad[2] == 1
    assert charge.grad[1] == pytest.approx(1 / (1 + (np.pi / 2) ** 2), rel=1e-6)
    assert 0 < charge.grad[4] < 0.01


def test_training_that_was_stopped_ends_with_the_same_weights(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "BATCH", 8)
    data, found = counts(recipe, 16, 4), []
    for name, minutes in (("whole", 60), ("stopped", 0)):
        options = argparse.Namespace(
            output=tmp_path / name, minutes=minutes, seed=1, epochs=3, steps=2, learning_rate=0.01,
            weight_decay=0.1, test=None,
        )  # fmt: skip
        starts, ended = 0, False
        while not ended:
            torch.manual_seed(0)
            model = recipe.Steps(0.3)
            ended = recipe.train(model, data, None, options)
            starts += 1
        assert starts == (1 if minutes else 3)
        found.append(model.state_dict())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    options.seed = 2
    with pytest.raises(SystemExit, match="of another command"):
        recipe.train(model, data, None, options)
