"""Law 4: fan-out is exact for every kind, border, stride, padding, dilation and group."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.naive import (
    concatenated_edges,
    dense_edges,
    per_channel_edges,
    taps_along,
    transposed_taps_along,
    upsample_edges,
    window_edges,
)

import eventsnn
from eventsnn.errors import InvalidNetwork
from eventsnn.network import (
    AveragePool,
    Axis,
    Box,
    Conv2d,
    Dense,
    Identity,
    Input,
    MaxGate,
    MaxPool,
    Network,
    Population,
    Projection,
    Readout,
    Sparse,
    SumPool,
    Upsample,
    conv1d,
)

# -- every kind, with its explicit edge list written as slow loops ------------------------------------


def random_weight(draw, shape):
    return np.random.default_rng(draw(st.integers(0, 2**16))).integers(-2, 3, shape)


@st.composite
def axes(draw, most_pool=2):
    """(source length, Axis, its naive walk): kernels 1-7, strides 1-3, padding 0-3 a side, dilation 1-3."""
    pool, cells = draw(st.integers(1, most_pool)), draw(st.integers(1, 9))
    length = cells * pool + draw(st.integers(0, pool - 1))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    if draw(st.booleans()):
        taps, extra = draw(st.integers(1, 7)), draw(st.integers(0, 2))
        # At least one target is left after cutting the ends off.
        extra += max(0, 1 - ((cells - 1) * stride + (taps - 1) * dilation + 1 + extra - before - after))
        axis = Axis(taps, stride, before, after, dilation, pool, True, extra)
        return length, axis, transposed_taps_along(length, taps, stride, before, after, dilation, pool, extra)
    taps = draw(st.integers(1, min(7, (cells + before + after - 1) // dilation + 1)))
    axis = Axis(taps, stride, before, after, dilation, pool)
    return length, axis, taps_along(length, taps, stride, before, after, dilation, pool)


@st.composite
def convolutions(draw):
    """(source shape, Conv2d, target shape, edges): each axis ordinary or transposed, groups, folded pools."""
    (height, y, along_y), (width, x, along_x) = draw(axes()), draw(axes())
    groups = draw(st.integers(1, 3))
    in_group, out_group = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    weight = random_weight(draw, (y.taps, x.taps, in_group, out_group * groups))
    source = (height, width, in_group * groups)
    return source, Conv2d(weight, y, x, groups), *window_edges(source, weight, along_y, along_x, groups)


@st.composite
def pools(draw):
    """Overlapping, touching and gapped windows, dividing the source or not."""
    (height, y, along_y), (width, x, along_x) = draw(axes(1)), draw(axes(1))
    source = (height, width, draw(st.integers(1, 4)))
    kind = draw(st.sampled_from([AveragePool, SumPool, MaxPool]))
    if kind is MaxPool:
        return source, MaxPool(y, x), *per_channel_edges(source, [1], along_y, along_x)
    weight = random_weight(draw, draw(st.sampled_from([1, source[2]])))
    return source, kind(weight, y, x), *per_channel_edges(source, weight, along_y, along_x)


@st.composite
def others(draw):
    """Dense, identity, upsampling, one-dimensional convolution, listed synapses."""
    source = tuple(draw(st.tuples(*[st.integers(1, 4)] * 3)))
    size = int(np.prod(source))
    kind = draw(st.sampled_from(["dense", "identity", "upsample", "conv1d", "sparse", "permutation"]))
    if kind == "dense":
        pool = tuple(draw(st.tuples(*[st.integers(1, side) for side in source[:2]])))
        cells = (source[0] // pool[0]) * (source[1] // pool[1]) * source[2]
        weight = random_weight(draw, (cells, draw(st.integers(1, 6))))
        return source, Dense(weight, pool), *dense_edges(source, weight, pool)
    if kind == "conv1d":
        length, axis, along = draw(axes())
        weight = random_weight(draw, (axis.taps, source[2], 2))
        source = (1, length, source[2])
        only = taps_along(1, 1, 1, 0, 0, 1, 1)
        return source, conv1d(weight, axis), *window_edges(source, weight[None], only, along, 1)
    if kind == "sparse":
        target = tuple(draw(st.tuples(*[st.integers(1, 4)] * 3)))
        pairs = st.tuples(st.integers(0, size - 1), st.integers(0, int(np.prod(target)) - 1))
        weights = draw(st.dictionaries(pairs, st.integers(-2, 2), max_size=30))
        edges = [(s, t, w) for (s, t), w in weights.items()]
        rows, columns, values = zip(*edges, strict=True) if edges else ((), (), ())
        return source, Sparse.from_edges(rows, columns, values, size, target), target, edges
    if kind == "permutation":
        order = draw(st.permutations([0, 1, 2]))
        indices = [(y, x, c) for y in range(source[0]) for x in range(source[1]) for c in range(source[2])]
        ordered = sorted(indices, key=lambda index: [index[axis] for axis in order])
        edges = [(indices.index(index), ordered.index(index), 5) for index in indices]
        return source, Sparse.permutation(source, tuple(order), 5), (1, 1, size), edges
    weight = random_weight(draw, draw(st.sampled_from([1, source[2]])))
    if kind == "upsample":
        factors = draw(st.tuples(*[st.integers(1, 4)] * 2))
        return source, Upsample(weight, *factors), *upsample_edges(source, weight, factors)
    return source, Identity(weight), *upsample_edges(source, weight, (1, 1))


any_kind = st.one_of(convolutions(), pools(), others())
# Max gates take one projection, without a bias.
summed_kind = any_kind.filter(lambda case: case[1].kind != "max_pool")


def per_source(edges, size, keep=lambda s, t, w: True):
    found = [0] * size
    for s, t, w in edges:
        found[s] += keep(s, t, w)
    return found


def box_in(draw, target):
    y0, y1 = sorted(draw(st.tuples(*[st.integers(0, target[0])] * 2)))
    c0, c1 = sorted(draw(st.tuples(*[st.integers(0, target[2])] * 2)))
    return Box(y0, y1, c0, c1)


def ends_in(box, target):
    def keep(_s, t, _w):
        return box.y0 <= t // (target[1] * target[2]) < box.y1 and box.c0 <= t % target[2] < box.c1

    return keep


def listed(arrays):
    assert [array.dtype for array in arrays] == [np.int64, np.int64, np.int32]
    return list(zip(*(array.tolist() for array in arrays), strict=True))


def one_projection(source, synapses, **more):
    target = synapses.target_shape(source)
    neuron = MaxGate() if synapses.kind == "max_pool" else Readout()
    return Network(
        [Population("in", source, Input()), Population("out", target, neuron)],
        [Projection("p", "in", "out", synapses, **more)],
    )


@given(any_kind, st.data())
@settings(max_examples=500, deadline=None, derandomize=True)
def test_fan_out_and_edges_equal_the_naive_list(case, data):
    source, synapses, target, edges = case
    size = int(np.prod(source))
    assert synapses.target_shape(source) == target
    assert Counter(listed(synapses.edges(source, target))) == Counter(edges)
    fan_out = synapses.fan_out(source, target)
    assert (fan_out.dtype, fan_out.tolist()) == (np.int64, per_source(edges, size))
    fan_in = np.bincount([t for _, t, _ in edges], minlength=int(np.prod(target)))
    assert fan_out.sum() == fan_in.sum() == len(edges)
    box = box_in(data.draw, target)
    for effective in (False, True):
        inside = ends_in(box, target)
        expected = per_source(edges, size, lambda s, t, w: inside(s, t, w) and (w != 0 or not effective))  # noqa: B023
        assert synapses.fan_out(source, target, effective, box).tolist() == expected
        everywhere = per_source(edges, size, lambda s, t, w: w != 0 or not effective)  # noqa: B023
        assert synapses.fan_out(source, target, effective).tolist() == everywhere


@given(any_kind, st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_kind_survives_its_file(tmp_path_factory, case, data):
    source, synapses, target, _ = case
    size = data.draw(st.sampled_from([target[2], int(np.prod(target))]))
    bias = None if synapses.kind == "max_pool" else np.arange(size)
    network = one_projection(source, synapses, bias=bias)
    path = tmp_path_factory.mktemp("net") / "net.h5"
    network.save(path)
    loaded = eventsnn.load(path)
    assert loaded.checksum == network.checksum
    assert type(loaded.projections["p"].synapses) is type(synapses)
    for found, expected in zip(loaded.edges("p"), network.edges("p"), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(loaded.bias("out"), network.bias("out"))


# -- concatenation --------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_projections_side_by_side_concatenate_their_channels(tmp_path_factory, data):
    source, synapses, target, edges = data.draw(summed_kind)
    branches = [(target, edges)]
    kinds = [synapses]
    size, cells = int(np.prod(source)), target[0] * target[1]
    for channels in data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)):
        pairs = st.tuples(st.integers(0, size - 1), st.integers(0, cells * channels - 1))
        chosen = sorted(data.draw(st.sets(pairs, max_size=20)))
        rows, columns = zip(*chosen, strict=True) if chosen else ((), ())
        shape = (*target[:2], channels)
        kinds.append(Sparse.from_edges(rows, columns, [1] * len(chosen), size, shape))
        branches.append((shape, [(s, t, 1) for s, t in chosen]))
    whole = (*target[:2], sum(shape[2] for shape, _ in branches))
    offsets = np.cumsum([0, *(shape[2] for shape, _ in branches)]).tolist()
    projections = [
        Projection(f"{i}", "in", "out", kind, np.full(kind.target_shape(source)[2], i + 1), 0, offsets[i])
        for i, kind in enumerate(kinds)
    ]
    populations = [Population("in", source, Input()), Population("out", whole, Readout())]
    network = Network(populations, projections)
    box = box_in(data.draw, whole)
    for projection, expected in zip(projections, concatenated_edges(branches), strict=True):
        assert Counter(listed(network.edges(projection))) == Counter(expected)
        assert network.fan_out(projection).tolist() == per_source(expected, size)
        inside = per_source(expected, size, ends_in(box, whole))
        assert projection.fan_out(source, whole, box=box).tolist() == inside
    owner = np.repeat(np.arange(len(kinds)), np.diff(offsets)) + 1
    np.testing.assert_array_equal(network.bias("out").reshape(whole), np.broadcast_to(owner, whole))
    path = tmp_path_factory.mktemp("net") / "net.h5"
    network.save(path)
    assert eventsnn.load(path).checksum == network.checksum


def test_a_bias_per_neuron_of_a_concatenated_branch_goes_to_its_own_channels():
    source = (2, 1, 1)
    one = Projection("a", "in", "out", Identity(np.ones(1, int)), np.array([10, 20]))
    two = Projection("b", "in", "out", Identity(np.ones(1, int)), np.array([7]), channel_offset=1)
    populations = [Population("in", source, Input()), Population("out", (2, 1, 2), Readout())]
    assert Network(populations, [one, two]).bias("out").tolist() == [10, 7, 20, 7]


def test_a_shape_or_a_gap_that_does_not_fit_is_refused():
    populations = [Population("in", (1, 1, 2), Input()), Population("out", (1, 1, 5), Readout())]
    first = Projection("a", "in", "out", Identity(np.ones(1, int)))
    with pytest.raises(
        InvalidNetwork, match=r"channel 2 of population 'out' .* receives nothing: .*channel 0 on"
    ):
        Network(populations, [first])
    with pytest.raises(InvalidNetwork, match=r"channel 2 of population 'out' .* receives nothing"):
        Network(populations, [first, replace(first, name="b", channel_offset=3)])
    with pytest.raises(InvalidNetwork, match=r"from channel 4 on, but 'out' .* at least 6 channels"):
        Network(populations, [first, replace(first, name="b", channel_offset=4)])
    three = Projection("b", "in", "out", Dense(np.ones((2, 3), int)), np.arange(5), channel_offset=2)
    with pytest.raises(InvalidNetwork, match=r"'b' has 5 biases; its synapses end in shape \(1, 1, 3\)"):
        Network(populations, [first, three])


# -- against PyTorch --------------------------------------------------------------------------------------


def applied(synapses, values):
    """The charges (y, x, channel) that the synapses bring from spike counts (y, x, channel)."""
    target = synapses.target_shape(values.shape)
    charge = np.zeros(int(np.prod(target)), dtype=np.int64)
    source, reached, weight = synapses.edges(values.shape, target)
    np.add.at(charge, reached, values.reshape(-1)[source] * weight)
    return charge.reshape(target)


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_transposed_convolution_equals_pytorch(data):
    torch = pytest.importorskip("torch")
    draw = data.draw
    geometry, lengths = [], []
    for _ in range(2):
        stride, dilation, taps = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
        extra = draw(st.integers(0, max(stride, dilation) - 1))
        length = draw(st.integers(1, 6))
        longest = (length - 1) * stride + dilation * (taps - 1) + 1 + extra
        padding = draw(st.integers(0, min(3, (longest - 1) // 2)))
        geometry.append(Axis(taps, stride, padding, padding, dilation, 1, True, extra))
        lengths.append(length)
    y, x = geometry
    groups, in_group, out_group = (draw(st.integers(1, 3)) for _ in range(3))
    kernel = random_weight(draw, (groups * in_group, out_group, y.taps, x.taps))
    values = random_weight(draw, (*lengths, groups * in_group))
    expected = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(values).double().permute(2, 0, 1)[None],
        torch.from_numpy(kernel).double(),
        stride=(y.stride, x.stride),
        padding=(y.pad_before, x.pad_before),
        output_padding=(y.output_padding, x.output_padding),
        groups=groups,
        dilation=(y.dilation, x.dilation),
    )[0].permute(1, 2, 0)
    by_group = kernel.reshape(groups, in_group, out_group, y.taps, x.taps)
    weight = by_group.transpose(3, 4, 1, 0, 2).reshape(y.taps, x.taps, in_group, -1)
    found = applied(Conv2d(weight, y, x, groups), values)
    np.testing.assert_array_equal(found, expected.numpy())


def test_pools_upsampling_flattening_and_conv1d_equal_pytorch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    values = np.random.default_rng(1).integers(0, 9, (7, 8, 3))
    image = torch.from_numpy(values).double().permute(2, 0, 1)[None]

    def check(synapses, expected, of=values):
        np.testing.assert_array_equal(applied(synapses, of), expected[0].permute(1, 2, 0).numpy())

    window = Axis(3, 2, 1, 1)
    check(SumPool(np.ones(1, int), window, window), functional.avg_pool2d(image, 3, 2, 1) * 9)
    check(AveragePool.global_pool(values.shape, np.array([2])), image.sum((2, 3), keepdim=True) * 2)
    check(Upsample(np.ones(1, int), 2, 3), functional.interpolate(image, scale_factor=(2, 3), mode="nearest"))
    one = image[:, :, :1, :1]
    check(Upsample(np.ones(1, int), 4, 5), one.expand(1, 3, 4, 5), values[:1, :1])
    flat = applied(Sparse.permutation(values.shape, (2, 0, 1)), values).reshape(-1)
    np.testing.assert_array_equal(flat, image.reshape(-1).numpy())
    kernel = np.random.default_rng(2).integers(-3, 4, (4, 1, 6))
    expected = functional.conv1d(
        image[:, :, 0], torch.from_numpy(kernel).double().permute(2, 1, 0), stride=2, padding=1, groups=3
    )
    check(conv1d(kernel, Axis(4, 2, 1, 1), groups=3), expected[:, :, None], values[:1])


# -- known numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "synapses", "expected"),
    [
        ((14, 14, 8), Conv2d(np.ones((3, 3, 8, 16), int), Axis(3, 2), Axis(3, 2)), 41_472),
        ((28, 28, 1), Conv2d(np.ones((3, 3, 1, 8), int), Axis(3, 1, 1, 1), Axis(3, 1, 1, 1)), 53_792),
        ((4, 4, 2), Dense(np.ones((8, 5), int), pool=(2, 2)), 160),
        ((5, 5, 2), Dense(np.ones((8, 5), int), pool=(2, 2)), 160),
        ((6, 6, 3), AveragePool(np.ones(1, int), Axis(2, 2), Axis(2, 2)), 108),
        ((6, 6, 3), AveragePool(np.ones(1, int), Axis(3, 2), Axis(3, 2)), 108),
        ((6, 6, 3), SumPool.global_pool((6, 6, 3), np.ones(1, int)), 108),
        ((7, 7, 3), SumPool(np.ones(1, int), Axis(3, 2), Axis(3, 2)), 243),
        ((7, 7, 3), MaxPool(Axis(3, 2), Axis(3, 2)), 243),
        ((7, 7, 3), MaxPool.global_pool((7, 7, 3)), 147),
        ((6, 6, 3), Identity(np.ones(3, int)), 108),
        ((1, 1, 3), Upsample(np.ones(3, int), 6, 6), 108),
        ((6, 6, 3), Sparse.permutation((6, 6, 3), (2, 0, 1)), 108),
    ],
)
def test_known_synapse_counts(source, synapses, expected):
    network = one_projection(source, synapses)
    assert network.synapses() == expected
    assert int(network.fan_out("p").sum()) == expected
    assert len(network.edges("p")[0]) == expected


def test_pixels_that_fill_no_pooling_cell_have_no_synapses():
    conv = Conv2d(np.ones((3, 3, 1, 1), int), Axis(3, 1, 1, 1, pool=2), Axis(3, 1, 1, 1, pool=2))
    fan_out = one_projection((17, 17, 1), conv).fan_out("p").reshape(17, 17)
    assert fan_out[16].sum() == fan_out[:, 16].sum() == 0
    assert fan_out[:16, :16].min() == 4


def test_dense_macs_of_vggsnn_equal_the_published_count():
    shape, found, weights = (48, 48, 2), [], 0
    for width in (64, 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool", 10):
        if width == "pool":
            synapses = AveragePool(np.ones(1, int), Axis(2, 2), Axis(2, 2))
        elif width == 10:
            synapses = Dense(np.ones((int(np.prod(shape)), width), np.int32))
        else:
            kernel = np.ones((3, 3, shape[2], width), np.int32)
            synapses = Conv2d(kernel, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))
        if width != "pool":
            found.append(synapses.dense_macs(shape))
            weights += synapses.weight.size
        shape = synapses.target_shape(shape)
    assert found == [
        2_654_208, 169_869_312, 169_869_312, 339_738_624, 169_869_312, 339_738_624, 84_934_656, 84_934_656,
        46_080,
    ]  # fmt: skip
    assert (sum(found), weights) == (1_361_654_784, 9_263_232)


def test_dense_macs_are_blind_to_borders():
    conv = Conv2d(np.ones((3, 3, 1, 8), int), Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))
    network = one_projection((28, 28, 1), conv)
    assert (network.dense_macs("p"), network.dense_macs()) == (56_448, 56_448)
    assert network.synapses("p") == 53_792
    up = Conv2d(np.ones((4, 4, 3, 8), int), *[Axis(4, 2, 1, 1, transposed=True)] * 2)
    assert one_projection((7, 7, 3), up).dense_macs() == 7 * 7 * 4 * 4 * 3 * 8


# -- listed synapses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "bsr"])
def test_a_scipy_matrix_becomes_its_stored_entries(form):
    matrix = scipy.sparse.random_array((6, 8), density=0.4, rng=3, dtype=np.int8).asformat(form)
    synapses = Sparse.from_scipy(matrix, (2, 2, 2))
    dense = np.zeros((6, 8), int)
    source, target, weight = synapses.edges((1, 2, 3), (2, 2, 2))
    dense[source, target] = weight
    np.testing.assert_array_equal(dense, matrix.toarray())
    assert (np.diff(target)[np.diff(source) == 0] > 0).all()


def test_stored_zeros_are_synapses_and_the_matrix_stays_writeable():
    matrix = scipy.sparse.csr_array(([5, 0, -1], [1, 0, 2], [0, 2, 3]), shape=(2, 3), dtype=np.int32)
    synapses = Sparse.from_scipy(matrix, (1, 1, 3))
    assert synapses.indices.tolist() == [0, 1, 2]
    assert synapses.weight.tolist() == [0, 5, -1]
    assert synapses.fan_out((1, 1, 2), (1, 1, 3)).tolist() == [2, 1]
    assert synapses.fan_out((1, 1, 2), (1, 1, 3), effective=True).tolist() == [1, 1]
    matrix.data[0] = 9
    assert synapses.weight.tolist() == [0, 5, -1]


def two_targets(source, target, weight):
    return Sparse.from_edges(source, target, weight, 3, (1, 1, 2))


def one_weight(indptr, indices, shape=(1, 1, 1)):
    return Sparse(np.ones(1, int), np.array(indptr), np.array(indices), shape)


def pooled_network(weight):
    populations = [Population("in", (2, 2, 3), Input()), Population("out", (1, 1, 3), Readout())]
    return Network(populations, [Projection("p", "in", "out", SumPool(weight, Axis(2), Axis(2)))])


def projected(**values):
    return Projection("p", "a", "b", Identity(np.ones(1, int)), **values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Axis(2.5), "taps of a window is 2.5; it must be a whole number"),
        (lambda: Axis(3, output_padding=1), "output_padding belongs to a transposed axis"),
        (lambda: Axis(3, transposed=True, output_padding=-1), "padding 0 or more"),
        (lambda: conv1d(np.ones((1, 3, 2, 2), int), Axis(3)), "conv1d weight has 4 dimensions; it needs 3"),
        (lambda: Upsample(np.ones(1, int), 0, 2), "upsample factor y is 0; it must be at least 1"),
        (lambda: Upsample(np.ones(1, int), 2, 1.5), "upsample factor x is 1.5; it must be a whole number"),
        (lambda: SumPool(np.ones(1), Axis(2), Axis(2)), "sum_pool weight has dtype float64"),
        (
            lambda: pooled_network(np.ones(2, int)),
            "projection 'p' from 'in': sum_pool has 2 weights for 3 channels",
        ),
        (lambda: Dense(np.ones((4, 2), int), pool=(0, 2)), "dense pool is"),
        (lambda: two_targets([0, 0], [1, 1], [2, 3]), "from neuron 0 to neuron 1 is listed twice"),
        (lambda: two_targets([0, 3], [0, 1], [2, 3]), "is 3; allowed are 0 to 2"),
        (lambda: two_targets([0, 1], [0, -1], [2, 3]), "is -1; allowed are 0 to 1"),
        (lambda: two_targets([0, 1], [0], [2, 3]), "lists 2 sources, 1 targets and 2 weights"),
        (lambda: two_targets([0.5], [0], [2]), "source has 1 dimensions and dtype float64"),
        (lambda: two_targets([0], [0], [2.5]), "sparse weight has dtype float64"),
        (lambda: one_weight([0, 2], [0]), "is no row pointer"),
        (lambda: one_weight([0, 1], [0, 0]), "1 weights and 2 target"),
        (lambda: one_weight([0, 1], [0], (1, 1, 0)), "sparse target shape is"),
        (lambda: Sparse.from_scipy(np.ones((2, 2)), (1, 1, 2)), "ndarray is no two-dimensional SciPy sparse"),
        (lambda: Sparse.from_scipy(scipy.sparse.eye_array(3), (1, 1, 2)), "has 3 columns, its target"),
        (
            lambda: Sparse.from_scipy(scipy.sparse.coo_array(([1, 1], ([0, 0], [0, 0]))), (1, 1, 1)),
            "from neuron 0 to neuron 0 is listed twice",
        ),
        (lambda: Sparse.permutation((1, 2, 3), (0, 1, 1)), "give the axes 0, 1, 2 once each"),
        (lambda: Sparse.permutation((1, 2, 3), (0, 1, 2), shape=(1, 1, 5)), "a target of 6 neurons"),
        (
            lambda: one_projection((1, 1, 3), Sparse.permutation((1, 1, 2), (0, 1, 2))),
            "has rows for 2 source neurons",
        ),
        (lambda: projected(channel_offset=-1), "channel_offset -1"),
        (lambda: projected(delay=0.5), "delay of projection 'p' is 0.5"),
    ],
)
def test_synapses_that_cannot_be_are_refused(make, message):
    with pytest.raises(InvalidNetwork, match=message):
        make()


# -- memory and files ---------------------------------------------------------------------------------------


def test_questions_about_large_weights_make_no_copy_of_them():
    dense = Dense(np.ones((4096, 2048), np.int32))
    kernel = np.ones((7, 7, 512, 256), np.int32)
    populations = [Population("in", (1, 1, 4096), Input()), Population("out", (1, 1, 2048), Readout())]
    tracemalloc.start()
    Dense(dense.weight)
    dense.fan_out((1, 1, 4096), (1, 1, 2048), effective=True)
    conv = Conv2d(kernel, Axis(7), Axis(7))
    conv.fan_out((7, 7, 512), (1, 1, 256), effective=True, box=Box(0, 1, 3, 200))
    assert Network(populations, [Projection("p", "in", "out", dense)]).checksum
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < min(dense.weight.nbytes, kernel.nbytes) / 4


def test_shipped_networks_keep_their_checksum():
    """What the schema gained later stays out at its default; loading compares the checksum itself."""
    model = Path(eventsnn.__file__).parents[1] / "models" / "nmnist.h5"
    network = eventsnn.load(model)
    assert network.checksum == "8a25c6898d69fe415f1e35b029a2483e"
