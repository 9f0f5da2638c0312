"""Cross-layer equalisation: the same function, channels of one size, and what is left out by name."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from eventsnn.cli.commands import app
from eventsnn.convert import compare, convert, quantised_activations
from eventsnn.convert.graph.layering import layers_of
from eventsnn.convert.graph.operations import MaxPool, ReLU, Softmax
from eventsnn.convert.graph.passes.equalise import equalised
from eventsnn.convert.importers.torch_fx import import_torch
from eventsnn.errors import InvalidRequest
from eventsnn.network import load_network
from tests.builders.graphs import GraphBuilder, random_batch, random_graph
from tests.oracles.graph_values import graph_values
from tests.oracles.layer_values import layer_values

torch.set_num_threads(1)


def check(graph, average_pools):
    """Equalised layers of a graph, after a check of every value against the layers before."""
    layers = layers_of(graph, average_pools)
    found = equalised(layers, graph.nodes)
    batch = random_batch(graph)
    before, after = layer_values(layers, batch), layer_values(found.layers, batch)
    original = graph_values(graph, batch)
    assert [layer.name for layer in found.layers] == [layer.name for layer in layers]
    for old, new in zip(layers, found.layers, strict=True):
        assert (new.shape, new.path, new.folded) == (old.shape, old.path, old.folded)
        if new.derived is old.derived:
            np.testing.assert_allclose(after[new.name], before[old.name], 1e-9, 1e-9, err_msg=new.name)
        elif new.derived is not None:
            value = original[new.derived.name].reshape(len(batch), -1)
            order = slice(None) if new.arrangement is None else new.arrangement.reshape(-1)
            value = value[:, order].reshape(-1, *new.shape)
            value = new.derived.factor * value + new.derived.shift
            if new.derived.activated:
                value = np.maximum(value, 0)
            np.testing.assert_allclose(after[new.name], value, 1e-9, 1e-9, err_msg=new.name)
    last = layers[-1].name
    np.testing.assert_allclose(after[last], before[last], 1e-9, 1e-9)
    if not isinstance(graph.nodes[graph.output].operation, Softmax):
        scores = original[graph.output].reshape(len(batch), -1)
        np.testing.assert_allclose(after[last].reshape(len(batch), -1), scores, 1e-9, 1e-9)
    for name, factor in found.factors.items():
        np.testing.assert_allclose(after[name] * factor.reshape(-1, 1, 1), before[name], 1e-9, 1e-9)
    return found


@pytest.mark.parametrize("average_pools", ["folded", "population"])
def test_random_graphs_keep_their_function(average_pools):
    done = skipped = 0
    for seed in range(60):
        found = check(random_graph(seed, length=8 + seed % 20), average_pools)
        done, skipped = done + len(found.factors), skipped + len(found.skipped)
    assert done > 20
    assert skipped > 20


def chain(*modules, shape=(2, 8, 8)):
    torch.manual_seed(1)
    model = nn.Sequential(*modules).double().eval()
    return import_torch(model, shape).graph


CHAINS = {
    "convolutions": lambda: chain(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)
    ),
    "pools": lambda: chain(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 6), nn.ReLU(),
        nn.Linear(6, 3),
    ),
    "pool before the ReLU": lambda: chain(
        nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(36, 3),
    ),
    "averages": lambda: chain(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(20, 3),
    ),
    "groups": lambda: chain(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Conv2d(4, 6, 1, groups=2),
        nn.ReLU(), nn.Flatten(), nn.Linear(96, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("build", CHAINS.values(), ids=CHAINS)
def test_weights_before_and_behind_come_out_of_one_size(build):
    found = check(build(), "folded")
    assert len(found.factors) == 2 + (build is CHAINS["groups"])
    assert not found.skipped
    layers = {layer.name: layer for layer in found.layers}
    for name in found.factors:
        before = np.abs(layers[name].branches[0].linear.weight)
        before = before.reshape(len(before), -1).max(axis=1)
        pools = [
            each.name for each in found.layers
            if isinstance(each.operation, MaxPool) and each.branches[0].source == name
        ]  # fmt: skip
        (reader,) = [
            layer for layer in found.layers
            if layer.branches
            and layer.branches[0].source in (name, *pools)
            and layer.branches[0].linear is not None
        ]  # fmt: skip
        weight = np.abs(reader.branches[0].linear.weight)
        groups = getattr(reader.branches[0].linear, "groups", 1)
        if weight.ndim == 2:
            behind = weight.reshape(len(weight), len(before), -1).max(axis=(0, 2))
        else:
            behind = weight.reshape(groups, -1, *weight.shape[1:]).max(axis=(1, 3, 4)).reshape(-1)
        np.testing.assert_allclose(before, behind, 0.03)


def test_two_layers_by_hand():
    b = GraphBuilder((2,))
    hidden = b.relu(b.dense("input", 2))
    b.dense(hidden, 2)
    graph = b.graph()
    first, second = (graph.nodes[name].operation for name in ("dense1", "dense3"))
    first.weight[:] = [[8.0, 2.0], [0.0, 1.0]]
    second.weight[:] = [[2.0, 3.0], [-1.0, -9.0]]
    found = equalised(layers_of(graph))
    # Largest 8 and 1 before, 2 and 9 behind.
    np.testing.assert_allclose(found.factors[hidden], [2.0, 1 / 3])
    np.testing.assert_allclose(found.layers[1].branches[0].linear.weight, [[4.0, 1.0], [0.0, 3.0]])
    np.testing.assert_allclose(found.layers[2].branches[0].linear.weight, [[4.0, 1.0], [-2.0, -3.0]])


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.third, self.last = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(128, 3)

    def forward(self, x):
        x = torch.relu(self.first(x))
        y = torch.relu(self.second(x))
        return self.last(torch.relu(x + self.third(y)).flatten(1))


def test_what_additions_ceilings_and_signs_read_is_left_out_and_said():
    torch.manual_seed(0)
    found = check(import_torch(Residual().double(), (2, 8, 8)).graph, "folded")
    assert len(found.factors) == 1
    first, third = (found.skipped[name] for name in ("first", "third"))
    assert "read by 'third' without weights (an addition" in first
    assert "adds up what comes without weights (a shortcut" in third
    six = chain(nn.Conv2d(2, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(144, 3))
    assert list(equalised(layers_of(six)).skipped.values()) == ["has a ceiling of 6, one for all channels"]
    end = chain(nn.Flatten(), nn.Linear(128, 4), nn.ReLU())
    assert list(equalised(layers_of(end)).skipped.values()) == ["decides by its own values"]


def badly_scaled(spread=64.0):
    """A trained-like network of which channels differ in size by up to ``spread`` squared."""
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(72, 5),
    ).double()  # fmt: skip
    with torch.no_grad():
        for before, behind in ((0, 3), (3, 6)):
            factor = torch.logspace(0, 1, 8, spread, dtype=torch.float64)[torch.randperm(8)]
            model[before].weight *= factor.reshape(-1, 1, 1, 1)
            model[before].bias *= factor
            weight = model[behind].weight
            of_channels = weight.reshape(len(weight), 8, -1) / factor.reshape(1, 8, 1)
            weight.copy_(of_channels.reshape(weight.shape))
    return model.eval()


def images(count=40):
    return np.random.default_rng(0).integers(0, 256, (count, 1, 12, 12), dtype=np.uint8)


def error(model, network, data):
    """The mean squared error of the scores, relative to their variance."""
    with torch.no_grad():
        wanted = model(torch.from_numpy(data).double() / 255).numpy()
    charge = quantised_activations(network, data.transpose(0, 2, 3, 1).astype(np.int64))[network.output]
    found = charge * network.populations[network.output].neuron.unit
    return float(((found - wanted) ** 2).mean() / wanted.var())


def test_a_badly_scaled_network_gains_with_one_scale_a_layer():
    model, data = badly_scaled(), images()
    plain, even = (convert(model, data, levels=7, equalise=equalise) for equalise in (False, True))
    assert error(model, even, data) < error(model, plain, data) / 5
    told = even.metadata["conversion"]["equalised"]
    assert told == {"layers": ["conv2d_0", "conv2d_3"], "skipped": {}}
    assert "equalised" not in plain.metadata["conversion"]
    found = compare(model, even, data)
    assert min(layer.correlation for layer in found.layers) > 0.98
    # With all levels that there are, both are the original.
    for equalise in (False, True):
        fine = convert(model, data, levels=2**12, threshold=2**16, equalise=equalise)
        assert error(model, fine, data) < 1e-4


def test_spikes_end_as_the_quantised_network_says_and_rates_take_it_too():
    model, data = badly_scaled(), images(12)
    network = convert(model, data, levels=7, equalise=True, bias_correction=True, verify=2)
    assert network.metadata["conversion"]["verified"]["deviating"] == 0
    rate = convert(model, data, neuron="rate", equalise=True, duration_us=1e5)
    assert rate.metadata["conversion"]["equalised"]["layers"] == ["conv2d_0", "conv2d_3"]


def test_nothing_to_equalise_is_refused_with_every_reason():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(400, 3))
    with pytest.raises(InvalidRequest, match=r"equalise: no layer .*'0' has a ceiling of 6"):
        convert(model, images(), equalise=True)
    with pytest.raises(InvalidRequest, match="equalise is 'yes'; allowed are True and False"):
        convert(badly_scaled(), images(), equalise="yes")


def test_the_command_line_equalises_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(badly_scaled().float(), "m.pt")
    np.savez("d.npz", x=images(12)[:, 0], y=np.arange(12) % 5)
    line = ["convert", "m.pt", "-o", "n.h5", "--calibration", "images:d.npz", "--levels", "7", "--equalise"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert "equalised: conv2d_0, conv2d_3" in done.output
    done = CliRunner().invoke(app, [*line, "--json"])
    assert json.loads(done.stdout)["equalised"]["layers"] == ["conv2d_0", "conv2d_3"]
    assert load_network("n.h5").metadata["conversion"]["equalised"]["skipped"] == {}


def test_the_rules_are_of_relu_alone():
    found = check(random_graph(5, length=20), "folded")
    kinds = {layer.name: layer.operation for layer in found.layers}
    assert all(isinstance(kinds[name], ReLU) for name in found.factors)
