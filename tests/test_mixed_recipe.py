"""The recipe that trains over many lengths of a timestep."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import eventsnn  # noqa: E402
from eventsnn.network import (  # noqa: E402
    Dense,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
)

MODELS = Path(__file__).resolve().parents[1] / "models"
RECIPES = (
    "checkpoints",
    "train_mixed_steps",
    "train_cifar10_dvs_steps",
    "train_cifar10_dvs",
    "train_event_counts",
    "train_images",
)
SHAPES = ((4, 5, 2), (6, 3, 1), (5, 3, 2))
SIDE = 10


@pytest.fixture(scope="module")
def recipe():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(MODELS))
        import train_mixed_steps as module
    yield module
    for name in RECIPES:
        sys.modules.pop(name, None)


def options(recipe, **changed):
    given = {
        "output": None, "minutes": 60, "seed": 1, "epochs": 3, "steps": 2, "learning_rate": 0.01,
        "weight_decay": 0.1, "mixed": [2, 8], "mirror": True,
    }  # fmt: skip
    return argparse.Namespace(**given | changed)


def counts(recipe, n, bins):
    rng = np.random.default_rng(2)
    found = rng.poisson(0.4, (n, bins, 2, SIDE, SIDE)).astype(np.uint8)
    return recipe.Counts(found, rng.integers(0, 10, n), np.arange(bins))


def test_all_steps_at_once_are_step_by_step(recipe):
    fire = sys.modules["train_cifar10_dvs_steps"].Fire
    torch.manual_seed(0)
    # More neurons than one block, in the layout of a convolution's output.
    arriving = (torch.randn(6, 3, 9, 8, 11) * 0.6 + 0.2).bfloat16()
    arriving.requires_grad_(True)
    assert arriving[0].numel() > recipe.BLOCK
    given = torch.randn(arriving.shape).bfloat16()
    spikes = recipe.FireInSteps.apply(arriving)
    spikes.backward(given)
    plain = arriving.detach().float().requires_grad_(True)
    charge, wanted = torch.zeros_like(plain[0]), []
    for each in plain:
        charge = charge + each
        wanted.append(fire.apply(charge))
        charge = charge - wanted[-1]
    torch.stack(wanted).backward(given.float())
    assert torch.equal(spikes.float(), torch.stack(wanted))
    assert 0.1 < float(spikes.detach().float().mean()) < 0.9
    # Charges are kept with 8 bits.
    assert float((arriving.grad.float() - plain.grad).abs().max()) < 0.05
    assert float(plain.grad.abs().max()) > 1


def test_scores_are_those_of_the_network_in_steps(recipe):
    torch.manual_seed(3)
    model = recipe.Steps(0.0, SIDE, SHAPES).eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        # Few and simple weights, so that every sum is exact in bfloat16.
        weight = rng.choice([-1, 0, 0, 1, 1], layer.convolution.weight.shape) / 4
        layer.convolution.weight.copy_(torch.from_numpy(weight))
        layer.square.fill_(1 - 1e-5)
    x = torch.from_numpy(rng.poisson(0.3, (5, 4, 2, SIDE, SIDE)).astype(np.float32))
    found = recipe.scores(model, x, 5.0)
    assert torch.allclose(found, model(x), atol=1e-5)
    assert float(found.std()) > 0.01
    assert torch.allclose(recipe.scores(model, x, 2.5), 2 * found, atol=1e-5)


def test_scales_make_what_arrives_one_in_the_mean(recipe):
    torch.manual_seed(0)
    model = recipe.Steps(0.0, SIDE, SHAPES)
    x = torch.from_numpy(np.random.default_rng(0).poisson(1.0, (3, 8, 2, SIDE, SIDE)).astype(np.float32))
    recipe.measure_scales(model, x)
    for layer in model.layers:
        arriving = layer.convolution(x.flatten(0, 1)) * layer.factor(layer.square)[:, None, None]
        fired = arriving.square().mean((0, 2, 3))
        assert torch.allclose(fired[layer.square > 0.01], torch.ones(()), atol=2e-3)
        x = layer(x)


@pytest.mark.parametrize("mixed", [None, (2, 8), (3, 64)])
def test_a_draw_cuts_a_window_into_steps(recipe, mixed):
    rng, seen, shares, begins = np.random.default_rng(0), set(), set(), set()
    for _ in range(200):
        edges, end, share = recipe.draw_edges(40, options(recipe, mixed=mixed, steps=5), rng)
        assert (np.diff(edges) > 0).all()
        assert edges[-1] < end <= 40
        assert end - edges[0] == round(40 * share)
        seen.add(len(edges))
        shares.add(share)
        begins.add(int(edges[1] - edges[0]))
    if mixed is None:
        assert (seen, shares, begins) == ({5}, {1.0}, {8})
        return
    # The border of the first step lies anywhere, so that there may be one step more.
    assert min(seen) in (mixed[0], mixed[0] + 1)
    assert max(seen) <= min(mixed[1] + 1, 40)
    assert shares == set(recipe.SHARES)
    assert min(len(seen), len(begins)) > 4


@pytest.mark.parametrize("mixed", [None, [2, 6]])
def test_training_that_was_stopped_ends_with_the_same_weights(recipe, tmp_path, monkeypatch, mixed):
    monkeypatch.setattr(recipe, "BATCH", 8)
    data, found = counts(recipe, 16, 12), []
    for name, minutes in (("whole", 60), ("stopped", 0)):
        given = options(recipe, output=tmp_path / name, minutes=minutes, mixed=mixed)
        starts, ended = 0, False
        while not ended:
            torch.manual_seed(0)
            model = recipe.Steps(0.3, SIDE, SHAPES)
            begun = model.layers[0].convolution.weight.detach().clone()
            ended = recipe.train(model, data, None, given)
            starts += 1
        assert starts == (1 if minutes else 3)
        assert not torch.equal(model.layers[0].convolution.weight, begun)
        found.append(model.state_dict())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    given.mixed = [2, 7]
    with pytest.raises(SystemExit, match="of another command"):
        recipe.train(model, data, None, given)


def test_layers_are_those_of_the_network_begun_from(recipe):
    found = recipe.shapes_of(eventsnn.load(MODELS / "cifar10dvs.h5"))
    assert found == [(32, 5, 2), (64, 3, 1), (96, 3, 2), (128, 3, 1), (128, 3, 2)]
    populations = [
        Population("input", (2, 2, 2), Input()),
        Population("hidden", (1, 1, 3), Rate(4)),
        Population("output", (1, 1, 10), Readout()),
    ]
    projections = [
        Projection("one", "input", "hidden", Dense(np.ones((8, 3), np.int32))),
        Projection("two", "hidden", "output", Dense(np.ones((3, 10), np.int32))),
    ]
    with pytest.raises(SystemExit, match="hidden is reached by dense"):
        recipe.shapes_of(Network(populations, projections))


def test_events_are_counted_in_bins_from_the_first(recipe, tmp_path):
    t = np.array([1000, 5999, 6000, 6001, 20000])
    x, y, p = np.array([0, 3, 19, 18, 2]), np.array([0, 2, 19, 19, 5]), np.array([0, 1, 1, 1, 0])
    events = eventsnn.make_events(t, x, y, p)

    class Set(list):
        height, labels = 20, np.array([7])

        def downsampled(self, factor):
            assert factor == 2
            halved = events.copy()
            halved["x"] //= 2
            halved["y"] //= 2
            return Recordings([argparse.Namespace(events=halved)])

    class Recordings(list):
        height, labels = 10, np.array([7])

    found = recipe.count_events(Set(), SIDE, 5000)
    assert found.bins.shape == (1, 4, 2, SIDE, SIDE)
    assert found.labels == 7
    wanted = np.zeros((4, 2, SIDE, SIDE))
    wanted[0, 0, 0, 0] = wanted[0, 1, 1, 1] = 1
    wanted[1, 1, 9, 9] = 2
    wanted[3, 0, 2, 1] = 1
    assert (found.bins[0] == wanted).all()
