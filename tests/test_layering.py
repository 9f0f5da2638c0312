"""Graphs as layers: every layer's value is the node's of its name, and which branches it has."""

import numpy as np
import pytest

from eventsnn.convert.graph.layering import layers_of
from eventsnn.convert.graph.linear import matrices
from eventsnn.convert.graph.operations import (
    AveragePool,
    Convolution,
    Dense,
    Input,
    LinearMap,
    MaxPool,
    Quantised,
    ReLU,
    Softmax,
    Step,
)
from eventsnn.errors import InvalidRequest, UnsupportedLayer
from tests.builders.graphs import GraphBuilder, places, random_batch, random_graph
from tests.oracles.graph_values import RULES, graph_values
from tests.oracles.layer_values import layer_values

WAYS = ["folded", "population"]


def check_layers(graph, average_pools="population"):
    """The layers of a graph, after a check of each value and of the form that ``layers.py`` promises."""
    layers = layers_of(graph, average_pools)
    batch = random_batch(graph)
    values, found = graph_values(graph, batch), layer_values(layers, batch)
    for layer in layers:
        if layer.name in values:
            expected = values[layer.name].reshape(len(batch), -1)
            order = slice(None) if layer.arrangement is None else layer.arrangement.reshape(-1)
            given = found[layer.name].reshape(len(batch), -1)
            np.testing.assert_allclose(given, expected[:, order], 1e-9, 1e-9, err_msg=layer.name)
        elif layer.derived is not None:
            given = derived_values(layer, values)
            np.testing.assert_allclose(found[layer.name], given, 1e-9, 1e-9, err_msg=layer.name)
        check_form(layer, layers)
    scores, expected = found[layers[-1].name].reshape(len(batch), -1), values[graph.output]
    if isinstance(graph.nodes[graph.output].operation, Softmax):
        np.testing.assert_array_equal(scores.argsort(axis=1), expected.argsort(axis=1))
    else:
        np.testing.assert_allclose(scores, expected.reshape(len(batch), -1), 1e-9, 1e-9)
    assert [isinstance(layer.operation, Input) for layer in layers] == [True] + [False] * (len(layers) - 1)
    read = {branch.source for layer in layers for branch in layer.branches}
    assert {layer.name for layer in layers[:-1]} - read <= {layers[0].name}
    return layers


def derived_values(layer, values):
    """A layer's value from the original's, by the words of ``Derived``."""
    value = values[layer.derived.name]
    value = value.reshape(len(value), -1)
    order = places(layer.shape) if layer.arrangement is None else layer.arrangement
    value = layer.derived.factor * value[:, order] + layer.derived.shift
    if layer.derived.activated:
        value = RULES[type(layer.operation)](layer.operation, [value], None)
    return value


def check_form(layer, layers):
    """Branches read layers before, stay inside, and have factors only where weights cannot hold them."""
    before = {other.name: other for other in layers[: [other.name for other in layers].index(layer.name)]}
    assert len(layer.shape) == 3
    assert np.broadcast_shapes(layer.bias.shape, layer.shape) == layer.shape
    assert layer.arrangement is None or layer.arrangement.shape == layer.shape
    assert (not layer.branches) == isinstance(layer.operation, Input)
    for branch in layer.branches:
        source = before[branch.source]
        assert branch.factor is None or branch.linear is None or isinstance(branch.linear, AveragePool)
        if branch.linear is None and branch.indices is None:
            assert source.shape[1:] == layer.shape[1:] or isinstance(layer.operation, MaxPool)
        if branch.indices is not None:
            assert branch.indices.dtype == np.int64
            assert branch.indices.min() >= -1
            assert branch.indices.max() < np.prod(source.shape)


@pytest.mark.parametrize("average_pools", WAYS)
def test_every_layer_has_the_value_of_its_node(average_pools):
    operations, derived = set(), 0
    for seed in range(120):
        layers = check_layers(random_graph(seed, length=8 + seed % 20), average_pools)
        operations |= {type(layer.operation) for layer in layers}
        derived += sum(layer.derived is not None for layer in layers)
    assert operations == {Input, ReLU, Quantised, Step, MaxPool, type(None)}
    assert derived > 10


def by_name(layers):
    return {layer.name: layer for layer in layers}


def words(layer):
    """(source, kind of linear) of each branch."""
    return [(b.source, type(b.linear).__name__ if b.linear else None) for b in layer.branches]


# -- residual networks -------------------------------------------------------------------------------


def test_a_linear_branch_of_an_addition_is_never_rectified():
    b = GraphBuilder((2, 6, 6))
    x = b.relu(b.affine(b.conv("input", 4, padding=1)), name="stem")
    y = b.relu(b.affine(b.conv(x, 4, padding=1)), name="inner")
    y = b.affine(b.conv(y, 4, padding=1), name="norm")
    x = b.relu(b.add(y, x, name="sum"), name="block")
    y = b.relu(b.conv(x, 6, padding=1, stride=2), name="inner2")
    short = b.affine(b.conv(x, 6, 1, stride=2))
    x = b.relu(b.add(b.conv(y, 6, padding=1), short), name="block2")
    b.dense(b.flatten(b.global_average(x)), 5, name="scores")
    layers = by_name(check_layers(b.graph(), "folded"))
    assert list(layers) == ["input", "stem", "inner", "block", "inner2", "block2", "scores"]
    assert words(layers["block"]) == [("inner", "Convolution"), ("stem", None)]
    assert words(layers["block2"]) == [("inner2", "Convolution"), ("block", "Convolution")]
    assert layers["block"].folded == ("conv7", "norm", "sum", "block")
    assert (layers["block"].path, layers["block"].origin) == ("conv7", "conv")
    assert words(layers["scores"]) == [("block2", "Dense")]
    assert layers["scores"].branches[0].linear.weight.shape == (5, 6 * 3 * 3)
    apart = check_layers(b.graph())
    assert apart[-2].operation is None
    assert words(apart[-2]) == [("block2", "AveragePool")]


def test_a_shortcut_that_slices_and_pads_reads_by_indices():
    b = GraphBuilder((2, 6, 6))
    x = b.relu(b.conv("input", 2, padding=1), name="stem")
    y = b.conv(b.relu(b.conv(x, 4, padding=1, stride=2), name="inner"), 4, padding=1)
    short = np.pad(places((2, 6, 6))[:, ::2, ::2], ((1, 1), (0, 0), (0, 0)), constant_values=-1)
    b.relu(b.add(y, b.rearrange(x, short)), name="block")
    b.dense(b.flatten("block"), 3)
    branch = by_name(check_layers(b.graph()))["block"].branches[1]
    assert (branch.source, branch.linear, branch.first_channel) == ("stem", None, 1)
    assert np.array_equal(branch.indices, short[1:3])  # the channels of zeros have no synapses


def test_sums_without_activations_are_distributed_to_all_that_read_them():
    b = GraphBuilder((2, 6, 6))
    x = b.conv("input", 4, padding=1, name="stem")
    for k in range(3):
        y = b.relu(b.affine(x), name=f"pre{k}")
        y = b.conv(b.relu(b.affine(b.conv(y, 4, padding=1)), name=f"inner{k}"), 4, padding=1)
        x = b.add(x, y)
    b.dense(b.flatten(b.global_average(b.relu(b.affine(x), name="end"), name="mean")), 5, name="scores")
    layers = by_name(check_layers(b.graph()))
    assert [name for name in layers if layers[name].operation is None] == ["mean", "scores"]
    stem = ("input", "Convolution")
    assert words(layers["pre0"]) == [stem]
    assert words(layers["pre2"]) == [stem, ("inner0", "Convolution"), ("inner1", "Convolution")]
    assert words(layers["end"]) == [stem, *((f"inner{k}", "Convolution") for k in range(3))]


def test_what_is_added_to_itself_is_one_branch():
    b = GraphBuilder((2, 4, 4))
    x = b.relu("input", name="x")
    b.relu(b.add(b.affine(x), b.add(x, b.conv(x, 2, padding=1))), name="sum")
    branches = by_name(check_layers(b.graph()))["sum"].branches
    assert [(branch.linear is None, branch.factor is None) for branch in branches] == [
        (True, False),
        (False, True),
    ]


def test_a_convolution_of_a_sum_reads_each_part():
    b = GraphBuilder((2, 6, 6))
    x, y = (b.relu(b.conv("input", 4, padding=1)) for _ in range(2))
    both = b.add(b.affine(x), b.conv(y, 4, 1))
    b.relu(b.conv(both, 3, padding=1, name="conv"), name="behind")
    layer = by_name(check_layers(b.graph()))["behind"]
    assert words(layer) == [(x, "Convolution"), (y, "Convolution")]
    assert layer.bias.shape == (3, 6, 6)  # the shift before a padded convolution


# -- concatenation -----------------------------------------------------------------------------------


def parts(b):
    return [b.relu(b.conv("input", n, padding=1), name=f"part{n}") for n in (2, 4)]


def test_layers_behind_a_concatenation_have_a_branch_from_each_part():
    b = GraphBuilder((2, 6, 6))
    x = b.concatenate(*parts(b), name="cat")
    conv = b.relu(b.conv(x, 3, 1), name="conv")
    grouped = b.relu(b.conv(x, 6, 3, padding=1, groups=3), name="grouped")
    across = b.relu(b.conv(x, 4, 1, groups=2), name="across")
    pool = b.max_pool(x, name="pool")
    norm = b.relu(b.affine(x), name="norm")
    ends = [b.flatten(name) for name in (conv, grouped, across, pool, norm)]
    b.dense(b.concatenate(*ends), 4, name="scores")
    layers = by_name(check_layers(b.graph()))
    firsts = {name: [branch.first_channel for branch in layers[name].branches] for name in layers}
    assert words(layers["conv"]) == [("part2", "Convolution"), ("part4", "Convolution")]
    assert [branch.linear.weight.shape[1] for branch in layers["conv"].branches] == [2, 4]
    assert words(layers["grouped"]) == [("part2", "Convolution"), ("part4", "Convolution")]
    assert firsts["grouped"] == [0, 2]
    assert [branch.linear.groups for branch in layers["grouped"].branches] == [1, 2]
    assert words(layers["across"]) == [("part2", "LinearMap"), ("part4", "LinearMap")]
    assert words(layers["pool"]) == [("part2", None), ("part4", None)]
    assert firsts["pool"] == firsts["norm"] == [0, 2]
    assert all(branch.factor is not None for branch in layers["norm"].branches)
    assert [kind for _, kind in words(layers["scores"])] == ["Dense"] * 5
    assert all(branch.indices is None for branch in layers["scores"].branches)


def test_shuffled_channels_of_a_concatenation_are_columns_of_its_readers():
    b = GraphBuilder((2, 5, 5))
    x = b.concatenate(*(b.relu(b.conv("input", 3, 1)) for _ in range(2)))
    x = b.rearrange(x, places((6, 5, 5)).reshape(2, 3, 5, 5).swapaxes(0, 1).reshape(6, 5, 5))
    b.relu(b.conv(x, 4, padding=1), name="conv")
    b.dense(b.flatten(x), 4, name="dense")
    b.concatenate(b.flatten("conv"), "dense")
    layers = by_name(check_layers(b.graph()))
    for branch in layers["conv"].branches:
        assert branch.indices is None
        assert branch.linear.weight.shape == (4, 3, 3, 3)


def test_an_inception_block_with_averages_folded_or_apart():
    b = GraphBuilder((3, 6, 6))
    x = b.relu(b.conv("input", 4, padding=1), name="stem")
    branches = [
        b.relu(b.affine(b.conv(x, 2, 1))),
        b.relu(b.affine(b.conv(b.average_pool(x, 3, 1, 1, name="mean"), 3, 1)), name="behind"),
        b.max_pool(x, 3, 1, 1),
    ]
    b.relu(b.conv(b.concatenate(*branches), 4), name="next")
    b.global_average("next")
    folded, apart = (by_name(check_layers(b.graph(), way)) for way in WAYS)
    assert words(folded["behind"]) == [("stem", "Convolution")]
    assert folded["behind"].branches[0].linear.weight.shape == (3, 4, 3, 3)
    assert words(apart["behind"]) == [("mean", "Convolution")]
    assert (apart["mean"].operation, words(apart["mean"])) == (None, [("stem", "AveragePool")])
    for layers in (folded, apart):
        assert len(layers["next"].branches) == 3
        assert words(list(layers.values())[-1]) == [("next", "AveragePool")]


# -- pools -------------------------------------------------------------------------------------------


def test_a_pool_of_maxima_over_unrectified_values_reads_a_population():
    b = GraphBuilder((2, 8, 8))
    b.conv(b.max_pool(b.conv("input", 3, name="conv"), name="pool"), 2, name="next")
    layers = by_name(check_layers(b.graph()))
    assert layers["conv"].operation is None
    assert words(layers["pool"]) == [("conv", None)]
    b = GraphBuilder((2, 8, 8))
    x = b.conv("input", 2, padding=1, name="conv")
    b.add(b.max_pool(x, 3, 1, 1, name="pool"), b.relu(x, name="relu"))
    assert words(by_name(check_layers(b.graph()))["relu"]) == [("input", "Convolution")]
    b = GraphBuilder((2, 8, 8))
    x = b.relu("input")
    b.max_pool(b.concatenate(x, b.conv(x, 2, padding=1), name="cat"), name="pool")
    layers = by_name(check_layers(b.graph()))
    assert layers["cat"].operation is None
    assert words(layers["pool"]) == [("cat", None)]


def test_a_pool_of_maxima_reads_shifted_values_from_a_population():
    b = GraphBuilder((2, 4, 4))
    b.max_pool(b.affine(b.relu("input"), name="norm"))
    b.nodes[-2].operation.factor[:] = 1
    assert by_name(check_layers(b.graph()))["norm"].operation is None


def test_a_binary_network_with_pools_before_its_norms():
    """Convolution, pool, norm, sign: the norm goes into the convolution and the sign before the pool."""
    b = GraphBuilder((2, 8, 8))
    x = b.step(b.affine(b.max_pool(b.conv("input", 3, padding=1, name="conv"), name="pool"), name="norm"))
    b.dense(b.flatten(x), 4, name="scores")
    layers = check_layers(b.graph())
    assert [type(layer.operation) for layer in layers] == [Input, Step, MaxPool, type(None)]
    assert layers[1].folded == ("conv", "norm")
    assert (layers[1].derived.name, layers[1].derived.activated) == ("conv", True)
    np.testing.assert_array_equal(layers[1].derived.factor, b.nodes[3].operation.factor)
    assert all(layer.derived is None for layer in layers if layer is not layers[1])
    assert layers[2].folded == ("pool", x)
    assert [layer.path for layer in layers[1:]] == ["conv", "pool", "scores"]


def test_an_activation_behind_two_pools_moves_before_both():
    b = GraphBuilder((2, 8, 8))
    b.relu(
        b.max_pool(b.max_pool(b.conv("input", 3, name="conv"), 3, 1, name="one"), 2, 1, name="two"),
        name="relu",
    )
    b.dense(b.flatten("relu"), 3)
    layers = check_layers(b.graph())
    assert [type(layer.operation) for layer in layers[:-1]] == [Input, ReLU, MaxPool, MaxPool]
    assert layers[1].derived.name == "conv"
    assert layers[2].derived is None


def test_a_pool_whose_factor_went_into_the_weights_behind_is_derived_from_it():
    for pool in (GraphBuilder.max_pool, GraphBuilder.average_pool):
        b = GraphBuilder((2, 8, 8))
        b.relu(b.conv(pool(b, b.affine(b.relu("input")), name="pool"), 3))
        layer = check_layers(b.graph())[-2]
        assert (layer.derived.name, layer.derived.activated) == ("pool", False)


def test_an_average_that_an_activation_reads_is_its_branch():
    b = GraphBuilder((2, 8, 8))
    x = b.relu("input")
    b.quantised(b.add(b.affine(b.average_pool(x)), b.max_pool(x)))
    for way in WAYS:
        last = check_layers(b.graph(), way)[-1]
        assert [kind for _, kind in words(last)] == ["AveragePool", None]
        assert last.branches[0].factor is not None


# -- ends --------------------------------------------------------------------------------------------


def test_networks_with_channels_last_read_their_input_in_order():
    b = GraphBuilder((6, 6, 2))
    x = b.relu(b.to_last(b.conv(b.to_first("input"), 3, name="conv")), name="relu")
    b.dense(b.flatten(x), 4, name="scores")
    layers = by_name(check_layers(b.graph()))
    assert layers["input"].shape == (2, 6, 6)
    assert layers["relu"].shape == (3, 4, 4)
    assert np.array_equal(layers["relu"].arrangement, places((4, 4, 3)).transpose(2, 0, 1))
    assert all(branch.indices is None for layer in layers.values() for branch in layer.branches)


def test_the_scores_are_an_activation_a_sum_or_an_average():
    b = GraphBuilder((2, 4, 4))
    b.flatten(b.relu(b.conv("input", 3, 4), name="relu"))
    assert check_layers(b.graph())[-1].name == "relu"
    b = GraphBuilder((2, 4, 4))
    b.softmax(b.flatten(b.global_average(b.relu(b.conv("input", 3)))))
    assert check_layers(b.graph())[-1].shape == (3, 1, 1)
    b = GraphBuilder((2, 4, 4))
    b.flatten(b.relu(b.conv("input", 3)))  # pixels as classes: in the order of the features
    last = check_layers(b.graph())[-1]
    assert last.shape == (12, 1, 1)
    assert np.array_equal(last.branches[0].indices, places((12, 1, 1)))


def test_weights_are_where_they_were():
    b = GraphBuilder((2, 4, 4))
    b.dense(b.flatten(b.relu(b.conv("input", 3, padding=1, name="conv"))), 4, name="scores")
    _, first, scores = check_layers(b.graph())
    conv, dense = b.nodes[1].operation, b.nodes[-1].operation
    (branch,) = first.branches
    assert isinstance(branch.linear, Convolution)
    np.testing.assert_array_equal(branch.linear.weight, conv.weight)
    np.testing.assert_array_equal(first.bias, conv.bias)
    assert isinstance(scores.branches[0].linear, Dense)
    np.testing.assert_array_equal(scores.branches[0].linear.weight, dense.weight)
    np.testing.assert_array_equal(scores.bias, dense.bias.reshape(4, 1, 1))


def test_what_cannot_be_layers_is_refused(monkeypatch):
    with pytest.raises(InvalidRequest, match="'apart'; allowed are 'folded' and 'population'"):
        layers_of(random_graph(0), "apart")
    b = GraphBuilder((2, 4, 4))
    b.flatten("input")
    with pytest.raises(UnsupportedLayer, match="no weights"):
        layers_of(b.graph())
    monkeypatch.setattr(matrices, "LIMIT", 500)
    b = GraphBuilder((2, 6, 6))
    x = b.relu("input")
    both = b.add(b.conv(x, 2, padding=1, name="inner"), b.conv(x, 2, padding=1))
    b.conv(both, 3, padding=1, name="outer")
    with pytest.raises(UnsupportedLayer, match=r"'outer' and the linear operations before it .* activation"):
        layers_of(b.graph())


def test_matrices_keep_their_synapses_of_weight_zero():
    b = GraphBuilder((2, 6, 6))
    x = b.conv("input", 2, padding=1)
    b.nodes[-1].operation.weight[:] = 0
    b.conv(x, 2, padding=1)
    (branch,) = check_layers(b.graph())[-1].branches
    assert isinstance(branch.linear, LinearMap)
    assert branch.linear.matrix.nnz > 0
    assert not branch.linear.matrix.data.any()
