"""Passes over the conversion graph: the same function, the same values by name, and what form is left."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from eventsnn.convert.graph.graph import Node
from eventsnn.convert.graph.linear import matrices
from eventsnn.convert.graph.linear.composition import composed
from eventsnn.convert.graph.linear.matrices import matrix_of
from eventsnn.convert.graph.linear.response import response
from eventsnn.convert.graph.linear.scaling import whole_channels
from eventsnn.convert.graph.linear.windows import pairs_of, pairs_of_windows, regular
from eventsnn.convert.graph.operations import (
    Affine,
    AveragePool,
    Convolution,
    Dense,
    LinearMap,
    MaxPool,
    Quantised,
    Rearrange,
    ReLU,
    Softmax,
    Windows,
)
from eventsnn.convert.graph.operations_count import operations_of, total
from eventsnn.convert.graph.passes.activations import activate_before_pools
from eventsnn.convert.graph.passes.arrange import arrange
from eventsnn.convert.graph.passes.batch_norm import fold_backwards, fold_forwards
from eventsnn.convert.graph.passes.deriving import activated_value, scaled_value, unscaled_value
from eventsnn.convert.graph.passes.merge_linear import merge_linear
from eventsnn.convert.graph.passes.plain import drop_plain
from eventsnn.convert.graph.passes.softmax import remove_softmax
from eventsnn.convert.graph.rewriting import Draft
from eventsnn.convert.graph.simplification import simplified
from eventsnn.errors import InvalidNetwork, UnsupportedLayer
from tests.builders.graphs import (
    GraphBuilder,
    RandomGraph,
    padded,
    places,
    pool_windows,
    random_batch,
    random_graph,
)
from tests.oracles.graph_values import graph_values, in_order_of


def merge_all(graph):
    return merge_linear(graph, "folded")


PASSES = [
    arrange,
    remove_softmax,
    drop_plain,
    fold_backwards,
    fold_forwards,
    activate_before_pools,
    merge_linear,
    merge_all,
]


def check_same(graph, rewritten, values, batch):
    """Every name both have has the same value, and the outputs have (the same order, behind a softmax)."""
    source = rewritten.nodes[rewritten.input]
    found = graph_values(rewritten, batch if source.arrangement is None else in_order_of(source, batch))
    for node in rewritten:
        if node.name in values:
            expected = in_order_of(node, values[node.name])
            np.testing.assert_allclose(found[node.name], expected, 1e-9, 1e-9, err_msg=node.name)
    ends = found[rewritten.output], values[graph.output]
    if isinstance(graph.nodes[graph.output].operation, Softmax):
        np.testing.assert_array_equal(*(end.argsort(axis=1) for end in ends))
    else:
        np.testing.assert_allclose(*ends, 1e-9, 1e-9)


@pytest.mark.parametrize("rewrite", PASSES, ids=lambda rewrite: rewrite.__name__)
def test_each_pass_leaves_every_value_as_it_is(rewrite):
    for seed in range(60):
        graph = random_graph(seed, length=8 + seed % 14)
        batch = random_batch(graph)
        check_same(graph, rewrite(graph), graph_values(graph, batch), batch)


def test_passes_in_any_order_leave_every_value_as_it_is():
    for seed in range(60, 110):
        graph = rewritten = random_graph(seed, length=8 + seed % 20)
        for place in np.random.default_rng(seed).permutation(len(PASSES)):
            rewritten = PASSES[place](rewritten)
        batch = random_batch(graph)
        check_same(graph, rewritten, graph_values(graph, batch), batch)


def test_the_random_graphs_have_every_operation_at_many_places():
    graphs = [random_graph(seed, length=8 + seed % 14) for seed in range(60)]
    kinds = [type(node.operation) for graph in graphs for node in graph]
    assert all(kinds.count(rule) >= 5 for rule in set(kinds))
    assert len(set(kinds)) == 13
    assert RandomGraph(0).CHANCES.sum() == pytest.approx(1)


def kinds_of(graph):
    return [type(node.operation).__name__ for node in graph]


def checked(builder, rewrite, output=None):
    """What a pass makes of a built graph, after the check of its values."""
    graph = builder.graph(output)
    batch = random_batch(graph)
    rewritten = rewrite(graph)
    check_same(graph, rewritten, graph_values(graph, batch), batch)
    return rewritten


# -- arrange -----------------------------------------------------------------------------------------


def channels_last_network():
    """As a framework with channels last exports it: transposes around every convolution and pool."""
    b = GraphBuilder((8, 8, 3))
    x = b.affine("input", "last", name="scale")
    x = b.to_last(b.conv(b.to_first(x), 4, padding=1, name="conv_a"))
    x = b.relu(b.affine(x, "last"), name="relu_a")
    x = b.to_last(b.max_pool(b.to_first(x), name="pool"))
    y = b.to_last(b.conv(b.to_first(x), 4, padding=1))
    y = b.relu(b.add(y, x), name="relu_b")
    y = b.concatenate(y, x, axis=2, name="cat")
    y = b.rearrange(y, np.pad(places(b.shape(y)), ((1, 0), (1, 1), (0, 0)), constant_values=-1))
    y = b.relu(b.to_last(b.conv(b.to_first(y), 2, name="conv_c")), name="relu_c")
    b.dense(b.flatten(y), 5)
    return b


def test_networks_with_channels_last_come_out_with_channels_first():
    arranged = checked(channels_last_network(), arrange)
    assert arranged.nodes["input"].shape == (3, 8, 8)
    assert np.array_equal(arranged.nodes["input"].arrangement, places((8, 8, 3)).transpose(2, 0, 1))
    assert arranged.nodes["relu_b"].shape == (4, 4, 4)
    assert arranged.nodes["scale"].operation.factor.shape == (3, 1, 1)
    assert arranged.nodes["conv_c"].operation.padding == ((1, 0), (1, 1))
    moves = [node for node in arranged if isinstance(node.operation, Rearrange)]
    assert [node.shape for node in moves] == [(2 * 3 * 4,)]  # the flattening before the dense layer
    assert np.array_equal(moves[0].operation.indices, np.arange(24))


def test_arranging_again_changes_nothing():
    once = arrange(channels_last_network().graph())
    again = arrange(once)
    assert kinds_of(again) == kinds_of(once)
    for node in once:
        other = again.nodes[node.name].arrangement
        assert (node.arrangement is None) == (other is None)
        assert node.arrangement is None or np.array_equal(node.arrangement, other)


def test_features_that_are_reshaped_to_an_image_are_read_as_one():
    b = GraphBuilder((36,))
    b.dense(b.flatten(b.conv(b.rearrange("input", places((1, 6, 6))), 2)), 3)
    arranged = checked(b, arrange)
    assert arranged.nodes["input"].shape == (1, 6, 6)
    assert kinds_of(arranged) == ["Input", "Convolution", "Rearrange", "Dense"]


def test_zero_padding_becomes_the_convolutions_and_the_averages_but_not_a_maximums():
    for build, kept in (
        (lambda b, x: b.conv(x, 2, padding=((1, 0), (0, 2))), 0),
        (lambda b, x: b.average_pool(x, 2, 1), 0),
        (lambda b, x: b.max_pool(x, 2, 1), 1),
    ):
        b = GraphBuilder((2, 5, 6))
        x = build(b, b.pad(b.relu("input"), ((1, 0), (0, 1))))
        b.dense(b.flatten(x), 3)
        arranged = checked(b, arrange)
        assert kinds_of(arranged).count("Rearrange") == 1 + kept


def test_a_border_on_some_channels_only_stays_before_the_convolution():
    b = GraphBuilder((2, 5, 5))
    cut = padded((2, 5, 5), ((1, 1), (1, 1)))
    cut[1] = np.pad(places((2, 5, 5))[1], ((2, 0), (0, 2)), constant_values=-1)
    b.conv(b.rearrange(b.relu("input"), cut), 2, name="conv")
    arranged = checked(b, arrange)
    assert arranged.nodes[arranged.nodes["conv"].inputs[0]].shape == (2, 6, 6)
    assert arranged.nodes["conv"].operation.padding == ((1, 0), (0, 1))  # what is zero on both


def test_an_input_already_in_another_order_moves_on_from_there():
    b = GraphBuilder((4, 4, 2))
    b.conv(b.to_first("input"), 2)
    order = np.random.default_rng(3).permutation(32).reshape(4, 4, 2)
    b.nodes[0] = replace(b.nodes[0], arrangement=order)
    assert np.array_equal(arrange(b.graph()).nodes["input"].arrangement, order.transpose(2, 0, 1))


def test_values_already_in_another_order_move_on_from_there():
    b = GraphBuilder((2, 3, 3))
    rng = np.random.default_rng(3)
    move = b.rearrange(b.conv("input", 2, 1), rng.permutation(18).reshape(2, 3, 3))
    b.conv(b.relu(move, name="relu"), 2, 2)
    order = rng.permutation(18).reshape(2, 3, 3)
    b.nodes[3] = replace(b.nodes[3], arrangement=order)
    graph = b.graph()
    batch = random_batch(graph)
    given = graph_values(graph, batch)["relu"].reshape(len(batch), 18)
    original = np.empty_like(given)
    original[:, order.reshape(-1)] = given
    arranged = arrange(graph)
    found = graph_values(arranged, batch)["relu"]
    assert not np.array_equal(found.reshape(given.shape), given)
    np.testing.assert_array_equal(found, original[:, arranged.nodes["relu"].arrangement])


def test_a_value_of_rank_two_is_refused_by_name():
    b = GraphBuilder((4, 6))
    b.relu("input", name="word")
    with pytest.raises(UnsupportedLayer, match=r"'input' has values of shape \(4, 6\)"):
        arrange(b.graph())


# -- factors and shifts ------------------------------------------------------------------------------


def test_a_batch_norm_folds_into_the_convolution_before_it():
    b = GraphBuilder((2, 5, 5))
    b.affine(b.conv("input", 3, padding=1, name="conv"), name="norm")
    (before, norm) = (b.nodes[1].operation, b.nodes[2].operation)
    folded = checked(b, fold_backwards)
    assert kinds_of(folded) == ["Input", "Convolution"]
    assert folded.nodes["norm"].origin == "conv"
    np.testing.assert_array_equal(
        folded.nodes["norm"].operation.weight, before.weight * norm.factor[..., None]
    )
    np.testing.assert_allclose(folded.nodes["norm"].operation.bias, norm.factor * before.bias + norm.shift)


def test_a_convolution_that_others_read_keeps_its_own_weights():
    b = GraphBuilder((2, 5, 5))
    conv = b.conv("input", 2, padding=1, name="conv")
    b.add(b.relu(b.affine(conv, name="norm")), conv)
    folded = checked(b, fold_backwards)
    assert kinds_of(folded).count("Convolution") == 2
    assert folded.nodes["conv"].operation is b.nodes[1].operation


@pytest.mark.parametrize("signs", [False, True])
def test_factors_pass_back_through_maxima_only_where_all_are_positive(signs):
    b = GraphBuilder((2, 6, 6))
    norm = b.affine(b.average_pool(b.max_pool(b.conv("input", 3), name="max")), name="norm")
    if signs:
        b.nodes[-1].operation.factor[1] = -0.5
    b.relu(norm)
    folded = checked(b, fold_backwards)
    assert ("Affine" in kinds_of(folded)) == signs
    assert kinds_of(folded)[:3] == ["Input", "Convolution", "MaxPool"]


def test_shifts_pass_averages_where_padding_counts_alike():
    for padding, kinds in ((0, ["AveragePool"]), (1, ["AveragePool", "Affine"])):
        b = GraphBuilder((2, 6, 6))
        b.affine(b.average_pool(b.conv("input", 3), padding=padding))
        assert kinds_of(checked(b, fold_backwards)) == ["Input", "Convolution", *kinds]


def test_factors_pass_maxima_forwards_only_where_all_are_positive():
    for factor, kinds in ((0.5, ["MaxPool"]), (-0.5, ["Affine", "MaxPool"]), (0.0, ["Affine", "MaxPool"])):
        b = GraphBuilder((2, 6, 6))
        b.conv(b.max_pool(b.affine(b.relu("input"), name="norm")), 3)
        b.nodes[-3].operation.factor[1] = factor
        assert kinds_of(checked(b, fold_forwards)) == ["Input", "ReLU", *kinds, "Convolution"]


def test_a_factor_of_zero_does_not_pass_a_maximum():
    b = GraphBuilder((2, 6, 6))
    b.affine(b.max_pool(b.conv("input", 3)), name="norm")
    b.nodes[-1].operation.factor[0] = 0
    assert kinds_of(checked(b, fold_backwards)) == ["Input", "Convolution", "MaxPool", "Affine"]


def test_factors_behind_an_activation_fold_forwards_with_biases_at_borders():
    for padding, shape in ((1, (3, 5, 5)), (0, (3, 1, 1))):
        b = GraphBuilder((2, 5, 5))
        b.conv(b.affine(b.relu("input")), 3, padding=padding, name="conv")
        folded = checked(b, fold_forwards)
        assert kinds_of(folded) == ["Input", "ReLU", "Convolution"]
        assert folded.nodes["conv"].operation.bias.shape == shape


def test_input_normalisation_folds_through_pools_and_flattening():
    b = GraphBuilder((2, 4, 4))
    x = b.average_pool(b.max_pool(b.affine("input"), 2, 1), 2, 1, padding=1)
    b.dense(b.flatten(x), 3)
    assert "Affine" not in kinds_of(checked(b, fold_forwards))


def test_what_an_addition_reads_stays():
    b = GraphBuilder((2, 4, 4))
    x = b.affine(b.relu("input"), name="norm")
    b.relu(b.add(x, b.conv(x, 2, padding=1)))
    folded = checked(b, fold_forwards)
    assert folded.nodes["norm"].inputs == ("relu1",)
    assert kinds_of(folded) == ["Input", "ReLU", "Affine", "Convolution", "Add", "ReLU"]


# -- linear operations in a row ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "kernel", "stride"),
    [
        ({"kernel": 3, "padding": 1, "stride": 2}, {"kernel": 1}, 3, 2),
        ({"kernel": 3, "padding": 1, "stride": 2}, {"kernel": 1, "stride": 2}, 3, 4),
        ({"kernel": 1}, {"kernel": 3, "padding": 1, "stride": 2}, 3, 2),
        ({"kernel": 1, "stride": 2}, {"kernel": 3, "padding": 1}, 3, 2),
        ({"kernel": 3, "padding": 2}, {"kernel": 3}, 5, 1),
        ({"kernel": 3, "padding": 1, "groups": 2}, {"kernel": 1, "groups": 2}, 3, 1),
        ({"kernel": 3, "padding": 1, "groups": 4}, {"kernel": 1}, 3, 1),
        ({"kernel": 2}, {"kernel": 3, "groups": 4}, 4, 1),
    ],
)
def test_convolutions_in_a_row_are_one(first, second, kernel, stride):
    b = GraphBuilder((4, 9, 9))
    b.conv(b.conv("input", 4, **first), 8, name="last", **second)
    merged = checked(b, merge_linear)
    assert kinds_of(merged) == ["Input", "Convolution"]
    last = merged.nodes["last"].operation
    assert last.weight.shape[2:] == (kernel, kernel)
    assert last.stride == (stride, stride)
    assert (last.weight != 0).all()


def test_what_is_no_convolution_is_a_matrix_of_the_synapses_that_exist():
    b = GraphBuilder((2, 6, 6))
    b.conv(b.conv("input", 2, padding=1), 3, padding=1, name="last")
    merged = checked(b, merge_linear)
    operation = merged.nodes["last"].operation
    assert isinstance(operation, LinearMap)
    reach = sum(min(y + 2, 5) - max(y - 2, 0) + 1 for y in range(6))
    assert operation.matrix.nnz == 2 * 3 * reach**2


def test_dense_layers_in_a_row_are_one_and_read_what_the_first_reads():
    b = GraphBuilder((2, 4, 4))
    b.dense(b.dense(b.flatten(b.conv("input", 3)), 6), 4, name="last")
    merged = checked(b, merge_linear)
    assert kinds_of(merged) == ["Input", "Rearrange", "Dense"]
    assert merged.nodes["last"].operation.weight.shape == (4, 32)


def test_averages_fold_into_convolutions_and_dense_layers_if_they_shall():
    b = GraphBuilder((2, 8, 8))
    x = b.average_pool(b.relu("input"), name="mean")
    b.dense(b.flatten(b.average_pool(b.relu(b.conv(x, 3, padding=1, name="conv")))), 4, name="dense")
    assert kinds_of(checked(b, merge_linear)).count("AveragePool") == 2
    merged = checked(b, merge_all)
    conv = merged.nodes["conv"].operation
    assert conv.weight.shape == (3, 2, 6, 6)
    assert (conv.stride, conv.padding) == ((2, 2), ((2, 2), (2, 2)))
    assert merged.nodes["dense"].operation.weight.shape == (4, 3 * 4 * 4)
    assert "AveragePool" not in kinds_of(merged)


def test_averages_with_gaps_or_rows_left_out_make_no_synapses_of_weight_zero():
    b = GraphBuilder((2, 8, 8))
    b.conv(b.average_pool(b.relu("input"), 2, 3), 3, 2, name="last")
    merged = checked(b, merge_all).nodes["last"].operation
    assert merged.matrix.nnz == (3 * 2 * 2) * (2 * 2 * 2) * (2 * 2)
    b = GraphBuilder((2, 5, 5))
    b.dense(b.flatten(b.average_pool(b.relu("input"))), 3, name="last")
    merged = checked(b, merge_all).nodes["last"].operation
    assert merged.matrix.nnz == 3 * 2 * 4 * 4


def test_pools_are_convolutions_only_where_their_windows_are():
    assert regular(Windows((0, 1), (2, 4)), 4) == (3, 2, 1, 1)
    assert regular(Windows((0, 2), (3, 4)), 4) == (3, 2, 0, 1)
    assert regular(Windows((1,), (3,)), 4) is None
    assert regular(Windows((0, 1, 4), (1, 2, 5)), 5) is None
    ranges = range(3, 8), range(1, 4), range(1, 4), range(2), range(2), range(1, 3)
    spaced = 0
    for length, taps, stride, before, after, dilation in product(*ranges):
        windows = pool_windows(length, taps, stride, before, after, dilation)
        axis = None if windows is None else regular(windows, length)
        if axis is not None:
            cells, _, read = pairs_of(axis.places(len(windows.first)), length)
            expected = pairs_of_windows(windows)
            np.testing.assert_array_equal((cells, read), expected)
            spaced += 1
    assert spaced > 200


def test_only_whole_channels_are_picked_from_a_convolution():
    at = places((3, 2, 2))
    assert whole_channels(at[[2, 0]], (3, 2, 2)).tolist() == [2, 0]
    assert whole_channels(at.reshape(-1)[1:9].reshape(2, 2, 2), (3, 2, 2)) is None
    assert whole_channels(at.transpose(0, 2, 1), (3, 2, 2)) is None


def test_averages_of_linear_values_merge_in_both_ways():
    b = GraphBuilder((2, 8, 8))
    b.relu(b.average_pool(b.conv("input", 3, padding=1)))
    for rewrite in (merge_linear, merge_all):
        assert kinds_of(checked(b, rewrite)) == ["Input", "Convolution", "ReLU"]


def test_too_many_weights_are_refused_with_both_names_and_the_remedy(monkeypatch):
    monkeypatch.setattr(matrices, "LIMIT", 1000)
    b = GraphBuilder((2, 6, 6))
    b.conv(b.conv("input", 2, padding=1, name="one"), 3, padding=1, name="two")
    with pytest.raises(UnsupportedLayer, match=r"'two' follows conv 'one' .* activation between"):
        merge_linear(b.graph())
    b = GraphBuilder((4, 6, 6))
    b.conv(b.average_pool("input", 3, 1, 1, counted=False, name="one"), 3, padding=1, name="two")
    with pytest.raises(UnsupportedLayer, match="average_pools='population'"):
        merge_all(b.graph())


def test_sums_that_cancel_and_weights_of_zero_stay_synapses():
    first = Convolution(np.array([[[[1.0]]], [[[1.0]]]]), np.zeros((2, 1, 1)))
    second = Convolution(
        np.array([[[[1.0, 0.0]], [[-1.0, 0.0]]]]), np.zeros((1, 1, 1)), padding=((0, 0), (1, 0))
    )
    shapes = (1, 2, 2), (2, 2, 2), (1, 2, 2)
    both = matrices.product(matrix_of(second, *shapes[1:]), matrix_of(first, *shapes[:2]))
    assert both.nnz == 6
    assert not both.data.any()


def test_products_in_blocks_of_rows_are_the_product(monkeypatch):
    b = GraphBuilder((2, 6, 6))
    b.conv(b.conv("input", 2, padding=1), 3, padding=1)
    one, two = (node.operation for node in b.nodes[1:])
    shapes = (2, 6, 6), (2, 6, 6), (3, 6, 6)
    whole = composed(two, one, *shapes).matrix
    blocks = []
    real = matrices.filled
    monkeypatch.setattr(matrices, "filled", lambda *both: blocks.append(1) or real(*both))
    monkeypatch.setattr(matrices, "LIMIT", whole.nnz)
    np.testing.assert_array_equal(composed(two, one, *shapes).matrix.toarray(), whole.toarray())
    assert len(blocks) > 1
    monkeypatch.setattr(matrices, "LIMIT", whole.nnz - 1)
    with pytest.raises(matrices.TooManyEntries):
        composed(two, one, *shapes)


def test_responses_are_those_of_the_matrix():
    rng = np.random.default_rng(5)
    for seed in range(30):
        for node in (graph := random_graph(seed, 14)):
            if isinstance(node.operation, Convolution | Dense | AveragePool | LinearMap):
                source = graph.nodes[node.inputs[0]].shape
                matrix = matrix_of(node.operation, source, node.shape)
                for drawn in (source, (source[0], *[1] * (len(source) - 1))):
                    values = rng.normal(size=drawn)
                    found = response(node.operation, values, source, node.shape)
                    expected = matrix @ np.broadcast_to(values, source).reshape(-1)
                    np.testing.assert_allclose(
                        np.broadcast_to(found, node.shape).reshape(-1), expected, 1e-9, 1e-12
                    )


# -- the end, activations, nodes without effect ------------------------------------------------------


def test_softmax_and_logsoftmax_leave_at_the_end_and_nowhere_else():
    b = GraphBuilder((4,))
    x = b.softmax(b.softmax(b.dense("input", 3, name="scores")), logarithm=True)
    b.rearrange(x, places((3, 1, 1)))
    assert kinds_of(remove_softmax(b.graph())) == ["Input", "Dense", "Rearrange"]
    b.dense(b.flatten(b.nodes[-1].name), 3)
    with pytest.raises(UnsupportedLayer, match=r"softmax 'softmax\d' is a softmax inside"):
        remove_softmax(b.graph())


def test_activations_move_before_maxima():
    b = GraphBuilder((2, 8, 8))
    x = b.relu(b.max_pool(b.max_pool(b.conv("input", 3)), 2, 1), name="relu")
    b.dense(b.flatten(b.quantised(b.max_pool(b.conv(x, 2, 1), 2, 1))), 3)
    moved = checked(b, activate_before_pools)
    assert kinds_of(moved)[:5] == ["Input", "Convolution", "ReLU", "MaxPool", "MaxPool"]
    assert kinds_of(moved)[5:8] == ["Convolution", "Quantised", "MaxPool"]
    assert isinstance(moved.nodes["relu"].operation, MaxPool)


def test_activations_stay_where_something_else_reads_the_pool_or_units_differ():
    b = GraphBuilder((2, 6, 6))
    pool = b.max_pool("input")
    b.add(b.relu(pool), pool)
    assert kinds_of(checked(b, activate_before_pools)) == ["Input", "MaxPool", "ReLU", "Add"]
    b = GraphBuilder((2, 6, 6))
    units = np.random.default_rng(0).uniform(0.1, 0.4, size=(2, 3, 3))
    b.add_node("quantised", Quantised(units, 0, 7), [b.max_pool("input")], (2, 3, 3))
    assert kinds_of(checked(b, activate_before_pools)) == ["Input", "MaxPool", "Quantised"]


def test_values_of_values_follow_from_the_first():
    at = (np.full((2, 1, 1), 3.0), np.full((2, 1, 1), 5.0))
    first = scaled_value(Node("x", ReLU(), (), (2, 4, 4)), *at)
    node = Node("y", ReLU(), (), (2, 4, 4), derived=first)
    both = scaled_value(node, *at)
    assert (both.name, both.factor[0, 0, 0], both.shift[0, 0, 0]) == ("x", 9, 20)
    activated = activated_value(node)
    assert (activated.name, activated.factor[0, 0, 0], activated.activated) == ("x", 3, True)
    assert scaled_value(replace(node, derived=activated), *at) is None
    assert unscaled_value(node, Affine(np.zeros((2, 1, 1)), at[1])) is None


def test_nodes_without_effect_and_those_nobody_needs_are_dropped():
    b = GraphBuilder((2, 4, 4))
    b.conv("input", 3, name="unread")
    x = b.relu(b.relu("input"), ceiling=None)
    x = b.add_node("identity", Affine(np.ones((2, 1, 1)), np.zeros((2, 1, 1))), [x], (2, 4, 4))
    x = b.rearrange(x, places((2, 4, 4)))
    b.add(b.add(x, x), x, x, name="sum")
    plain = checked(b, drop_plain)
    assert kinds_of(plain) == ["Input", "ReLU", "Affine", "Affine", "Add"]


def test_an_output_without_the_input_is_refused():
    draft = Draft(GraphBuilder((2,)).graph())
    draft.output = draft.put(Node("constant", ReLU(), (), (2,))).name
    with pytest.raises(InvalidNetwork, match="'constant' do not depend on the input"):
        draft.finish()


def test_all_passes_leave_few_kinds_of_places():
    for seed in range(110, 140):
        graph = random_graph(seed, length=16)
        for average_pools in ("folded", "population"):
            rewritten = simplified(graph, average_pools)
            batch = random_batch(graph)
            check_same(graph, rewritten, graph_values(graph, batch), batch)
            for node in rewritten:
                before = [rewritten.nodes[name].operation for name in node.inputs]
                weighted = isinstance(node.operation, Convolution | Dense | LinearMap)
                assert not (weighted and isinstance(before[0], Convolution | Dense | LinearMap | Affine))
                assert not isinstance(node.operation, Softmax)
                assert not any(
                    isinstance(o, Rearrange) and isinstance(node.operation, Rearrange) for o in before
                )


# -- counts ------------------------------------------------------------------------------------------


def geometry(layers, shape):
    """A network of these convolutions, pools and dense layers, with weights that take no room."""
    b = GraphBuilder(shape)
    x = "input"
    for kind, size, *rest in layers:
        if kind == "pool":
            x = b.max_pool(x, size, size)
        elif kind == "dense":
            x = b.flatten(x) if len(b.shape(x)) == 3 else x
            weight = np.broadcast_to(0.0, (size, b.shape(x)[0]))
            x = b.relu(b.add_node("dense", Dense(weight, np.ones(size)), [x], (size,)))
        else:
            kernel, padding = rest
            channels, height, width = b.shape(x)
            weight = np.broadcast_to(0.0, (size, channels, kernel, kernel))
            lost = kernel - 1 - 2 * padding
            operation = Convolution(weight, np.ones((size, 1, 1)), padding=((padding, padding),) * 2)
            x = b.relu(b.add_node("conv", operation, [x], (size, height - lost, width - lost)))
    return b.graph()


def test_operations_of_lenet_as_published():
    layers = [("conv", 6, 5, 0), ("pool", 2), ("conv", 16, 5, 0), ("pool", 2), ("conv", 120, 5, 2)]
    counted = operations_of(geometry([*layers, ("dense", 84), ("dense", 10)], (1, 28, 28)))
    assert total(counted, border_blind=True) == 2_346_734
    assert total(counted) == 1_556_880 + 6_494
    assert sum(each.biases for each in counted) == 6_494


def test_operations_of_vggsnn_by_layer():
    sizes = [64, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0]
    layers = [("conv", size, 3, 1) if size else ("pool", 2) for size in sizes]
    graph = geometry([*layers, ("dense", 10)], (2, 48, 48))
    blind = [each.blind / 1e6 for each in operations_of(graph)]
    layers = [2.654208, 169.869312, 169.869312, 339.738624, 169.869312, 339.738624]
    assert blind == [*layers, 84.934656, 84.934656, 0.046080]
    assert sum(node.operation.weight.size for node in graph if hasattr(node.operation, "weight")) == 9_263_232


def test_a_layer_without_biases_adds_none():
    b = GraphBuilder((2, 4, 4))
    b.conv(b.conv("input", 3, padding=1, bias=False), 2, padding=1)
    assert [each.biases for each in operations_of(b.graph())] == [0, 32]


def test_existing_synapses_are_those_of_the_matrix():
    for seed in range(20):
        graph = random_graph(seed, 12)
        for each in operations_of(graph):
            node = graph.nodes[each.name]
            matrix = matrix_of(node.operation, graph.nodes[node.inputs[0]].shape, node.shape)
            assert each.exact == matrix.nnz
            assert each.blind >= each.exact
