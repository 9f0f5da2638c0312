"""Law 4: fan-out is exact for every kind, border, stride, padding, dilation and group."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import conv2d_edges

from eventsnn.network import (
    AveragePool,
    Axis,
    Box,
    Conv2d,
    Dense,
    Identity,
    Input,
    Network,
    Population,
    Projection,
    Readout,
)


@st.composite
def convolutions(draw):
    """(source shape, Conv2d): kernels 1-7, strides 1-3, padding 0-3 a side, dilation, groups, pools."""
    axes, lengths = [], []
    for _ in range(2):
        pool = draw(st.integers(1, 2))
        cells = draw(st.integers(1, 9))
        dilation = draw(st.integers(1, 3))
        before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        most = (cells + before + after - 1) // dilation + 1
        taps = draw(st.integers(1, min(7, most)))
        axes.append(Axis(taps, draw(st.integers(1, 3)), before, after, dilation, pool))
        lengths.append(cells * pool + draw(st.integers(0, pool - 1)))
    groups = draw(st.integers(1, 3))
    in_group, out_group = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    shape = (axes[0].taps, axes[1].taps, in_group, out_group * groups)
    seed = draw(st.integers(0, 2**16))
    weight = np.random.default_rng(seed).integers(-2, 3, shape)
    return (lengths[0], lengths[1], in_group * groups), Conv2d(weight, *axes, groups)


def naive_edges(source, conv):
    y, x = conv.y, conv.x
    return conv2d_edges(
        source,
        conv.weight,
        (y.stride, x.stride),
        (y.pad_before, y.pad_after, x.pad_before, x.pad_after),
        (y.dilation, x.dilation),
        conv.groups,
        (y.pool, x.pool),
    )


@given(convolutions())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_convolution_edges_equal_the_naive_list(case):
    source, conv = case
    target, expected = naive_edges(source, conv)
    assert conv.target_shape(source) == target
    found = zip(*(array.tolist() for array in conv.edges(source, target)), strict=True)
    assert Counter(found) == Counter(expected)
    sources = np.array([edge[0] for edge in expected], dtype=np.int64)
    weights = np.array([edge[2] for edge in expected], dtype=np.int64)
    size = int(np.prod(source))
    np.testing.assert_array_equal(conv.fan_out(source, target), np.bincount(sources, minlength=size))
    effective = np.bincount(sources[weights != 0], minlength=size)
    np.testing.assert_array_equal(conv.fan_out(source, target, effective=True), effective)


@given(convolutions(), st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_fan_out_into_a_box_counts_the_edges_that_end_there(case, data):
    source, conv = case
    target = conv.target_shape(source)
    y0, y1 = sorted(data.draw(st.tuples(*[st.integers(0, target[0])] * 2)))
    c0, c1 = sorted(data.draw(st.tuples(*[st.integers(0, target[2])] * 2)))
    sources, targets, _ = conv.edges(source, target)
    y, channel = targets // (target[1] * target[2]), targets % target[2]
    inside = (y >= y0) & (y < y1) & (channel >= c0) & (channel < c1)
    expected = np.bincount(sources[inside], minlength=int(np.prod(source)))
    np.testing.assert_array_equal(conv.fan_out(source, target, box=Box(y0, y1, c0, c1)), expected)


def one_projection(source, synapses):
    target = synapses.target_shape(source)
    return Network(
        [Population("in", source, Input()), Population("out", target, Readout())],
        [Projection("p", "in", "out", synapses)],
    )


@pytest.mark.parametrize(
    ("source", "synapses", "expected"),
    [
        ((14, 14, 8), Conv2d(np.ones((3, 3, 8, 16), int), Axis(3, 2), Axis(3, 2)), 41_472),
        ((28, 28, 1), Conv2d(np.ones((3, 3, 1, 8), int), Axis(3, 1, 1, 1), Axis(3, 1, 1, 1)), 53_792),
        ((4, 4, 2), Dense(np.ones((8, 5), int), pool=(2, 2)), 160),
        ((5, 5, 2), Dense(np.ones((8, 5), int), pool=(2, 2)), 160),
        ((6, 6, 3), AveragePool(np.ones(1, int), Axis(2, 2), Axis(2, 2)), 108),
        ((6, 6, 3), AveragePool(np.ones(1, int), Axis(3, 2), Axis(3, 2)), 108),
        ((6, 6, 3), Identity(np.ones(3, int)), 108),
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
