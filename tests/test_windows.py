"""Sums over windows, unfolded or tap by tap, against the synapses one by one."""

import numpy as np
import pytest

from eventsnn.network import Axis, Conv2d
from eventsnn.network.synapses import windows


@pytest.mark.parametrize("seed", range(100))
def test_sums_are_those_of_the_synapses(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    axes, shape = [], []
    while len(axes) < 2:
        axis = Axis(*(int(rng.integers(low, 4)) for low in (1, 1, 0, 0, 1)), pool=int(rng.integers(1, 3)))
        length = int(rng.integers(1, 10))
        if axis.target_length(length) > 0:
            axes.append(axis)
            shape.append(length)
    groups = int(rng.choice([1, 1, 2]))
    channels = groups * int(rng.integers(1, 3))
    weight = rng.integers(-9, 10, (axes[0].taps, axes[1].taps, channels // groups, groups * 2))
    synapses, source = Conv2d(weight, *axes, groups=groups), (*shape, channels)
    target = synapses.target_shape(source)
    values = rng.integers(-9, 10, (5, int(np.prod(source)))).astype(np.float64)
    wanted = np.zeros((5, int(np.prod(target))))
    for i, j, w in zip(*synapses.edges(source, target), strict=True):
        wanted[:, j] += values[:, i] * w
    summed = synapses.summing(source, lambda held: held.astype(np.float64))
    np.testing.assert_array_equal(summed(values), wanted)
    monkeypatch.setattr(windows, "PATCHES", 1)  # a sample at a time, or tap by tap
    np.testing.assert_array_equal(summed(values), wanted)
