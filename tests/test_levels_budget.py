"""Levels under a budget of operations: the best choice, what it costs, and what is told of it."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from eventsnn.cli.commands import app
from eventsnn.convert import QCFS, convert, quantised_activations
from eventsnn.convert.budget import CHOICES
from eventsnn.convert.choices import least_loss
from eventsnn.errors import InvalidRequest
from eventsnn.network import load_network

torch.set_num_threads(1)


@pytest.mark.parametrize("seed", range(40))
def test_the_choice_is_that_of_trying_all(seed):
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(1, 6))
    cost = np.cumsum(rng.uniform(0.1, 3, (layers, 4)), axis=1)
    loss = np.sort(rng.uniform(0, 1, (layers, 4)), axis=1)[:, ::-1]
    if seed % 4 == 0:  # more levels may cost less, too
        cost = cost[:, rng.permutation(4)]
    least, most = cost.min(axis=1).sum(), cost.max(axis=1).sum()
    budget = float(rng.uniform(least, most))
    rows = np.arange(layers)
    fitting = [
        loss[rows, list(choice)].sum()
        for choice in product(range(4), repeat=layers)
        if cost[rows, list(choice)].sum() <= budget
    ]
    nearly = [
        loss[rows, list(choice)].sum()
        for choice in product(range(4), repeat=layers)
        if cost[rows, list(choice)].sum() <= budget - layers * (budget - least) / 20_000
    ]
    chosen = least_loss(cost, loss, budget)
    assert cost[rows, chosen].sum() <= budget * (1 + 1e-9)
    assert min(fitting) - 1e-12 <= loss[rows, chosen].sum() <= min(nearly, default=np.inf) + 1e-12


def test_a_budget_of_the_cheapest_and_of_all():
    cost, loss = np.array([[1.0, 5.0], [2.0, 6.0]]), np.array([[3.0, 1.0], [4.0, 0.0]])
    assert least_loss(cost, loss, 3.0) == [0, 0]
    assert least_loss(cost, loss, 7.0) == [0, 1]
    assert least_loss(cost, loss, 11.0) == [1, 1]


def model(positive=False, pool=nn.MaxPool2d, activation=nn.ReLU):
    torch.manual_seed(4)
    found = nn.Sequential(
        nn.Conv2d(1, 4, 3), activation(), pool(2), nn.Conv2d(4, 6, 3), activation(), nn.Flatten(),
        nn.Linear(54, 12), nn.ReLU(), nn.Linear(12, 5),
    ).double()  # fmt: skip
    if positive:
        with torch.no_grad():
            for parameter in found.parameters():
                parameter.abs_()
    return found.eval()


def images(count=24):
    return np.random.default_rng(0).integers(0, 256, (count, 1, 12, 12), dtype=np.uint8)


def operations(network, data):
    """Synaptic operations of final counts a sample, projection by projection."""
    counts = quantised_activations(network, data.transpose(0, 2, 3, 1).astype(np.int64))
    counts["input"] = (data.reshape(len(data), -1) != 0).astype(int)  # a charge is one delivery
    total = 0
    for projection in network.projections.values():
        source, target = (network.populations[name].shape for name in (projection.source, projection.target))
        total += (np.abs(counts[projection.source]) @ projection.synapses.fan_out(source, target)).sum()
    return total / len(data)


@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
def test_expected_operations_are_those_of_the_counts(pool):
    data = images()
    found = {}
    for levels in CHOICES:
        network = convert(model(pool=pool), data, levels=levels, levels_budget="100%")
        told = network.metadata["conversion"]["levels_budget"]
        found[levels] = told
        assert told["samples"] == len(data)
        assert told["expected_sops"] <= told["budget_sops"] * (1 + 1e-9)
        assert told["budget_sops"] == told["uniform"]["expected_sops"]
        assert told["expected_loss"] <= told["uniform"]["expected_loss"] + 1e-12
        assert told["uniform"]["levels"] == levels
        uniform = convert(model(pool=pool), data, levels=levels)
        # Other layers' rounding is not in what is expected of a layer.
        assert told["uniform"]["expected_sops"] == pytest.approx(operations(uniform, data), rel=0.25)
        built = [one["levels"] for one in network.metadata["conversion"]["layers"] if "levels" in one]
        assert built == list(told["levels"].values())
    assert list(found[1]["levels"].values()) == [1, 1, 1]
    costs = [found[levels]["budget_sops"] for levels in CHOICES]
    assert costs == sorted(costs)


def test_of_one_layer_the_cost_is_exact_and_a_run_needs_it():
    """All weights above 0: no spike is taken back, so that a run needs the final counts' operations."""
    torch.manual_seed(0)
    chain = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(75, 4)
    ).double()  # fmt: skip
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter.abs_()
    data = images(8)
    network = convert(chain, data, levels=7, levels_budget="100%", verify=8, threshold=2**16)
    told = network.metadata["conversion"]
    assert told["levels_budget"]["levels"] == {"conv2d_0": 7}
    exact = operations(network, data)
    assert told["levels_budget"]["expected_sops"] == pytest.approx(exact, rel=2e-3)
    assert told["verified"]["mean_synaptic_operations"] >= exact
    other = network.at_rest()
    assert "verified" not in other.metadata["conversion"]


def test_more_budget_never_loses_more():
    losses = []
    for share in ("30%", "50%", "80%", "150%"):
        told = convert(model(), images(), levels_budget=share).metadata["conversion"]["levels_budget"]
        losses.append(told["expected_loss"])
    assert losses == sorted(losses, reverse=True)
    amount = convert(model(), images(), levels_budget=told["budget_sops"]).metadata["conversion"]
    assert amount["levels_budget"]["levels"] == told["levels"]


def test_layers_with_levels_of_their_own_keep_them():
    mixed = model(activation=lambda: QCFS(4))
    told = convert(mixed, images(), levels_budget="100%", scales="channel").metadata["conversion"]
    assert list(told["levels_budget"]["levels"]) == ["linear_6"]
    assert [one["levels"] for one in told["layers"] if "levels" in one][:1] == [4]
    own = nn.Sequential(nn.Conv2d(1, 2, 3), QCFS(4), nn.Flatten(), nn.Linear(200, 3))
    with pytest.raises(InvalidRequest, match="no layer has levels to choose"):
        convert(own, images(), levels_budget=9)


REFUSED = {
    "too little": ({"levels_budget": 100}, r"with the fewest levels these layers need [\d,]+"),
    "nothing": ({"levels_budget": 0}, "give synaptic operations a sample, as 2e6, or a share"),
    "below": ({"levels_budget": "-5%"}, "give synaptic operations"),
    "no number": ({"levels_budget": "half"}, "levels_budget is 'half'"),
    "true": ({"levels_budget": True}, "levels_budget is True"),
    "infinite": ({"levels_budget": "inf"}, "levels_budget is 'inf'"),
    "graded": ({"levels_budget": "50%", "graded": True}, "graded ones send one payload"),
    "listed": ({"levels_budget": "50%", "levels": [3, 3, 3]}, "one number for all, which it is a share of"),
    "both": ({"levels_budget": 1e6, "levels": 7}, "chooses the levels of each layer; give none"),
    "rate": ({"levels_budget": "50%", "neuron": "rate"}, "rate neurons have no levels_budget"),
}


@pytest.mark.parametrize(("settings", "match"), REFUSED.values(), ids=REFUSED)
def test_what_contradicts_is_refused(settings, match):
    with pytest.raises(InvalidRequest, match=match):
        convert(model(), images(), **settings)


def test_the_command_line_tells_the_choice_in_table_json_and_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(model().float(), "m.pt")
    np.savez("d.npz", x=images()[:, 0], y=np.arange(24) % 5)
    line = ["convert", "m.pt", "-o", "n.h5", "--calibration", "images:d.npz", "--levels-budget", "50%"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert "levels within" in done.output
    assert "as simulated; 15 everywhere would need" in done.output
    done = CliRunner().invoke(app, [*line, "--json"])
    told = json.loads(done.stdout)
    kept = load_network("n.h5").metadata["conversion"]
    assert told["levels_budget"] == kept["levels_budget"]
    assert told["verified"]["mean_synaptic_operations"] == told["synaptic_operations"]["mean"]
    assert kept["levels_budget"]["asked"] == "50%"
