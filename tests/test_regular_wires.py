"""Folded averages that leave rows over, and whatever else is a convolution, become one by synapses."""

import numpy as np
import pytest
import torch
from torch import nn

from eventsnn.convert import convert, quantised_activations
from eventsnn.convert.lowering.regular import regular_wires
from eventsnn.convert.lowering.wires import ChannelWires, ConvolutionWires, SparseWires
from eventsnn.convert.reading import Reading
from eventsnn.convert.samples import read_samples
from eventsnn.convert.verification import verify
from eventsnn.network import Axis, Conv2d

torch.set_num_threads(1)


def listed_by_hand(source, target, axes, weight, groups):
    """Every synapse of a convolution, one by one, by the definition of an axis."""
    in_group, out_group = weight.shape[2], weight.shape[3] // groups
    found = {}
    for index in np.ndindex(*source[:2]):
        for taps in np.ndindex(*weight.shape[:2]):
            at = []
            for axis, place, length, targets, tap in zip(axes, index, source, target, taps, strict=False):
                cell = place // axis.pool
                start = cell + axis.pad_before - tap * axis.dilation
                whole = cell < length // axis.pool and start % axis.stride == 0
                if whole and 0 <= start // axis.stride < targets:
                    at.append(start // axis.stride)
            if len(at) == 2:
                for out, inside in np.ndindex(weight.shape[3], in_group):
                    read = (*index, out // out_group * in_group + inside)
                    found[read, (*at, out)] = weight[(*taps, inside, out)]
    return found


def sparse_wires(synapses, source, target):
    ends = sorted(
        (int(np.ravel_multi_index(a, source)), int(np.ravel_multi_index(b, target)), w)
        for (a, b), w in synapses.items()
    )
    rows, columns, weight = (np.array(each) for each in zip(*ends, strict=True))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=int(np.prod(source))))])
    return SparseWires(source, target, 1, weight.astype(float), indptr, columns)


def edges(wires):
    """Synapses of wires as a network holds them, with whole weights."""
    kind = wires.synapses(np.rint(wires.weight * 100).astype(np.int32))
    ends = kind.edges(wires.source, wires.target)
    return sorted(zip(*(each.tolist() for each in ends), strict=True))


def drawn_axis(rng, length):
    while True:
        pool, taps, dilation = (int(rng.choice(each)) for each in ([1, 1, 2, 3], [1, 2, 3], [1, 1, 2]))
        span = (taps - 1) * dilation + 1
        before, after = (int(n) for n in rng.integers(0, span, 2))
        axis = Axis(taps, int(rng.integers(1, 4)), before, after, dilation, pool)
        targets = axis.target_length(length)
        reads = axis.target_of_tap(length, targets)[::pool] if targets else np.zeros((0, 1))
        if any((reads == target).sum() == taps for target in range(targets)):  # a whole window
            return axis


@pytest.mark.parametrize("seed", range(60))
def test_every_convolution_is_found_in_its_list(seed):
    rng = np.random.default_rng(seed)
    source = (int(rng.integers(3, 24)), int(rng.integers(3, 9)), int(rng.choice([2, 4])))
    axes = [drawn_axis(rng, length) for length in source[:2]]
    groups = int(rng.choice([1, 1, 2]))
    shape = (axes[0].taps, axes[1].taps, source[2] // groups, 2 * groups)
    weight = rng.normal(size=shape)
    target = (*(a.target_length(n) for a, n in zip(axes, source, strict=False)), 2 * groups)
    listed = sparse_wires(listed_by_hand(source, target, axes, weight, groups), source, target)
    found = regular_wires(listed)
    assert isinstance(found, ConvolutionWires)
    assert found.first_channel == 1
    assert found.weight.size <= weight.size
    assert edges(found) == edges(listed)
    one_less = listed_by_hand(source, target, axes, weight, groups)
    del one_less[next(iter(one_less))]
    if one_less:
        kept = sparse_wires(one_less, source, target)
        assert edges(regular_wires(kept)) == edges(kept)


def test_one_weight_a_channel_stays_channel_by_channel():
    weight = np.broadcast_to(np.array([0.5, 2.0]), (2, 3, 1, 2))
    axes = [Axis(2, 2), Axis(3, 3)]
    by_hand = listed_by_hand((5, 7, 2), (2, 2, 2), axes, weight, 2)
    found = regular_wires(sparse_wires(by_hand, (5, 7, 2), (2, 2, 2)))
    assert isinstance(found, ChannelWires)
    assert found.weight.tolist() == [0.5, 2.0]
    assert edges(found) == edges(sparse_wires(by_hand, (5, 7, 2), (2, 2, 2)))


def test_a_weight_that_differs_stays_listed():
    weight = np.ones((2, 2, 1, 1))
    by_hand = listed_by_hand((6, 6, 1), (3, 3, 1), [Axis(2, 2), Axis(2, 2)], weight, 1)
    by_hand[(4, 4, 0), (2, 2, 0)] += 1e-6
    assert isinstance(regular_wires(sparse_wires(by_hand, (6, 6, 1), (3, 3, 1))), SparseWires)


def behind(channels, *modules):
    return nn.Sequential(nn.Conv2d(channels, 2, 1), nn.ReLU(), *modules, nn.ReLU(), nn.Flatten())


# After the ReLU: what is folded; what it becomes.
REGULAR = {
    "rows over": ([nn.AvgPool2d(2), nn.Conv2d(2, 3, 3, padding=1)], (9, 9), "conv2d"),
    "columns over": ([nn.AvgPool2d(3), nn.Conv2d(2, 3, 3, padding=1)], (9, 11), "conv2d"),
    "strided": ([nn.AvgPool2d(2), nn.Conv2d(2, 3, 3, padding=1, stride=2)], (11, 9), "conv2d"),
    "grouped": ([nn.AvgPool2d(2), nn.Conv2d(2, 4, 3, padding=1, groups=2)], (7, 7), "conv2d"),
    "two averages": ([nn.AvgPool2d(2), nn.AvgPool2d(2), nn.Conv2d(2, 3, 3, padding=1)], (15, 14), "conv2d"),
    "ceil mode, whole windows": (
        [nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(2, 3, 3, padding=1)],
        (8, 8),
        "conv2d",
    ),
    "ceil mode, one divisor": (
        [nn.AvgPool2d(3, ceil_mode=True, divisor_override=9), nn.Conv2d(2, 3, 1)],
        (7, 7),
        "conv2d",
    ),
    "adaptive, every other": (
        [nn.AdaptiveAvgPool2d(4), nn.Conv2d(2, 3, 1, stride=2)],
        (14, 8),
        "conv2d",
    ),
    "alone": ([nn.AvgPool2d(2)], (7, 9), "average_pool"),
    "overlapping": ([nn.AvgPool2d(3, 2), nn.Conv2d(2, 3, 3, padding=1)], (9, 9), "sparse"),
    "adaptive, of two sizes": ([nn.AdaptiveAvgPool2d(3)], (8, 8), "sparse"),
    "ceil mode, two divisors": ([nn.AvgPool2d(2, ceil_mode=True)], (9, 9), "sparse"),
}


@pytest.mark.parametrize(("modules", "size", "kind"), REGULAR.values(), ids=REGULAR)
def test_synapses_are_those_of_the_original_s_derivative(modules, size, kind):
    """The Jacobian of the linear part in float64, all weights above 0, is the oracle: entry by entry."""
    torch.manual_seed(0)
    model = behind(1, *modules).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 + torch.rand_like(parameter))
    model.append(nn.Linear(model(torch.zeros(1, 1, *size).double()).shape[1], 3).double())
    images = np.random.default_rng(0).integers(0, 256, (8, 1, *size), dtype=np.uint8)
    network = convert(model, images, levels=7)
    name = network.order[2]
    (projection,) = [p for p in network.projections.values() if p.target == name]
    assert projection.synapses.kind == kind
    source, target = (network.populations[each] for each in (projection.source, name))

    linear = nn.Sequential(*modules)
    x = torch.zeros(1, 2, *size).double()
    jacobian = torch.autograd.functional.jacobian(linear, x)[0].squeeze(3).numpy()
    # (channel, y, x, channel, y, x) to (source neuron, target neuron)
    matrix = jacobian.transpose(4, 5, 3, 1, 2, 0).reshape(source.size, target.size)
    fan_out = projection.synapses.fan_out(source.shape, target.shape)
    assert np.array_equal(fan_out, (matrix != 0).sum(axis=1))
    wanted = matrix * source.neuron.unit / target.neuron.unit * target.neuron.threshold
    found = np.zeros(matrix.shape)
    rows, columns, weights = projection.synapses.edges(source.shape, target.shape)
    found[rows, columns] = weights
    assert np.abs(found - wanted).max() <= 0.5 + 1e-6
    assert np.array_equal(found != 0, matrix != 0)

    read = read_samples(images, Reading(lambda shape: True, 1), None, "charge", False)
    run = verify(network, read, 2)
    counts = quantised_activations(network, images[[0, 4]].transpose(0, 2, 3, 1).astype(np.int64))
    pixels = images[[0, 4]].reshape(2, -1)
    least = (pixels > 0).sum(axis=1) * 2  # a charge each, into the first layer's two channels
    dense = counts[name].reshape(2, -1).sum(axis=1) * 3
    own = counts[projection.source].reshape(2, -1) @ (matrix != 0).sum(axis=1)
    if isinstance(projection.synapses, Conv2d) and (fan_out == 0).any():
        assert counts[projection.source].reshape(2, -1)[:, fan_out == 0].any()
    # All weights are above 0, so that no count goes back on the way: exactly these.
    assert list(run.synaptic_operations) == list(least + own + dense)
