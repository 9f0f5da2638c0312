"""Slow, obvious oracles, independent of the package's own arithmetic."""

import numpy as np


def taps_along(length, taps, stride, before, after, dilation, pool):
    """A window's walk along one axis: the number of targets, and every (source, tap, target).

    The window lies over a padded row of cells and moves by the stride while it fits.
    """
    cells = length // pool
    row = [None] * before + list(range(cells)) + [None] * after
    found, target = [], 0
    while cells and target * stride + (taps - 1) * dilation < len(row):
        for tap in range(taps):
            cell = row[target * stride + tap * dilation]
            if cell is not None:
                found += [(cell * pool + i, tap, target) for i in range(pool)]
        target += 1
    return target, found


def transposed_taps_along(length, taps, stride, before, after, dilation, pool, output_padding):
    """The same for a transposed axis: every cell writes its taps on a row, whose ends are cut off.

    Output padding makes the row longer at its end before it is cut.
    """
    cells = length // pool
    if cells == 0:
        return 0, []
    row = [[] for _ in range((cells - 1) * stride + (taps - 1) * dilation + 1 + output_padding)]
    for source in range(cells * pool):
        for tap in range(taps):
            row[source // pool * stride + tap * dilation].append((source, tap))
    row = row[before : max(before, len(row) - after)]
    return len(row), [(source, tap, target) for target, at in enumerate(row) for source, tap in at]


def window_edges(source, weight, along_y, along_x, groups):
    """Every synapse of a convolution as (source index, target index, weight), one by one.

    source (y, x, channel); weight (ky, kx, in per group, out); along_y, along_x: what ``taps_along`` or
    ``transposed_taps_along`` returned. Also the target shape.
    """
    width, channels = source[1:]
    in_group, out = weight.shape[2:]
    (height, reach_y), (columns, reach_x) = along_y, along_x
    edges = []
    for sy, ky, ty in reach_y:
        for sx, kx, tx in reach_x:
            for co in range(out):
                first = co // (out // groups) * in_group
                for ci in range(in_group):
                    index = (sy * width + sx) * channels + first + ci
                    edges.append((index, (ty * columns + tx) * out + co, int(weight[ky, kx, ci, co])))
    return (height, columns, out), edges


def per_channel_edges(source, weight, along_y, along_x):
    """Every synapse of a pool, one by one; ``weight`` holds one value or one per channel."""
    width, channels = source[1:]
    (height, reach_y), (columns, reach_x) = along_y, along_x
    edges = []
    for sy, _, ty in reach_y:
        for sx, _, tx in reach_x:
            for c in range(channels):
                value = int(weight[c if len(weight) > 1 else 0])
                edges.append(((sy * width + sx) * channels + c, (ty * columns + tx) * channels + c, value))
    return (height, columns, channels), edges


def upsample_edges(source, weight, factors):
    """Every synapse of a nearest upsampling: each target looks up the source it repeats."""
    height, width, channels = source[0] * factors[0], source[1] * factors[1], source[2]
    edges = []
    for ty in range(height):
        for tx in range(width):
            for c in range(channels):
                index = (ty // factors[0] * source[1] + tx // factors[1]) * channels + c
                value = int(weight[c if len(weight) > 1 else 0])
                edges.append((index, (ty * width + tx) * channels + c, value))
    return (height, width, channels), edges


def dense_edges(source, weight, pool):
    """Every synapse of a dense layer behind a folded pool, one by one."""
    rows, columns = source[0] // pool[0], source[1] // pool[1]
    edges = []
    for y in range(rows * pool[0]):
        for x in range(columns * pool[1]):
            for c in range(source[2]):
                cell = (y // pool[0] * columns + x // pool[1]) * source[2] + c
                index = (y * source[1] + x) * source[2] + c
                edges += [(index, t, int(weight[cell, t])) for t in range(weight.shape[1])]
    return (1, 1, weight.shape[1]), edges


def concatenated_edges(branches):
    """Every synapse of branches (target shape, edges) that lie side by side in one target.

    One list per branch, in terms of the target (y, x, all channels).
    """
    channels = sum(shape[2] for shape, _ in branches)
    placed, before = [], 0
    for (_, _, own), edges in branches:
        placed.append([(s, t // own * channels + before + t % own, w) for s, t, w in edges])
        before += own
    return placed


def charges_received(network, counts):
    """Per population, what arrives at each neuron when every source emits ``counts`` in all."""
    received = {name: np.zeros(network.populations[name].size, dtype=np.int64) for name in network.order}
    for name, projection in network.projections.items():
        for source, target, weight in zip(*network.edges(name), strict=True):
            received[projection.target][target] += int(weight) * int(counts[projection.source][source])
    return received


def quantised_network(network, input_counts, analog=None):
    """Counts of every signed neuron and exact max gate, and charges, of the integer quantised network.

    ``analog`` holds what analog values add, by population.
    """
    counts = {name: np.zeros(network.populations[name].size, dtype=np.int64) for name in network.order}
    counts[network.input] = np.asarray(input_counts)
    charges = {}
    for name in network.order:
        neuron = network.populations[name].neuron
        if neuron.kind == "input":
            continue
        if neuron.kind == "max_gate":
            for projection in network.incoming(name):
                counts[name][:] = -(2**40)  # of nothing
                for source, target, _ in zip(*network.edges(projection), strict=True):
                    counts[name][target] = max(counts[name][target], counts[projection.source][source])
            continue
        total = charges_received(network, counts)[name] + network.bias(name)
        total += np.asarray((analog or {}).get(name, 0), dtype=np.int64)
        if neuron.kind == "signed":
            total += neuron.threshold // 2
            counts[name] = np.array(
                [min(max(int(v) // neuron.threshold, neuron.lowest), neuron.levels) for v in total],
                dtype=np.int64,
            )
        charges[name] = total
    return counts, charges
