"""Slow, obvious oracles, independent of the package's own arithmetic."""

import numpy as np


def conv2d_edges(source, weight, stride, padding, dilation, groups, pool):
    """Every synapse of a convolution as (source index, target index, weight), one by one.

    source (y, x, channel); weight (ky, kx, in per group, out); padding (top, bottom, left, right).
    """
    height, width, channels = source
    ky, kx, in_group, out = weight.shape
    top, bottom, left, right = padding
    cells_y, cells_x = height // pool[0], width // pool[1]
    target_y = (cells_y + top + bottom - ((ky - 1) * dilation[0] + 1)) // stride[0] + 1
    target_x = (cells_x + left + right - ((kx - 1) * dilation[1] + 1)) // stride[1] + 1
    edges = []
    for ty in range(target_y):
        for tx in range(target_x):
            for co in range(out):
                group = co // (out // groups)
                for j in range(ky):
                    for i in range(kx):
                        cy = ty * stride[0] - top + j * dilation[0]
                        cx = tx * stride[1] - left + i * dilation[1]
                        if not (0 <= cy < cells_y and 0 <= cx < cells_x):
                            continue
                        for ci in range(in_group):
                            channel = group * in_group + ci
                            target = (ty * target_x + tx) * out + co
                            for py in range(pool[0]):
                                for px in range(pool[1]):
                                    y, x = cy * pool[0] + py, cx * pool[1] + px
                                    index = (y * width + x) * channels + channel
                                    edges.append((index, target, int(weight[j, i, ci, co])))
    return (target_y, target_x, out), edges


def charges_received(network, counts):
    """Per population, what arrives at each neuron when every source emits ``counts`` in all."""
    received = {name: np.zeros(network.populations[name].size, dtype=np.int64) for name in network.order}
    for name, projection in network.projections.items():
        for source, target, weight in zip(*network.edges(name), strict=True):
            received[projection.target][target] += int(weight) * int(counts[projection.source][source])
    return received


def quantised_network(network, input_counts):
    """Counts of every signed neuron and charges of the readout of the integer quantised network."""
    counts = {name: np.zeros(network.populations[name].size, dtype=np.int64) for name in network.order}
    counts[network.input] = np.asarray(input_counts)
    charges = {}
    for name in network.order:
        neuron = network.populations[name].neuron
        if neuron.kind == "input":
            continue
        total = charges_received(network, counts)[name] + network.bias(name)
        if neuron.kind == "signed":
            total += neuron.threshold // 2
            counts[name] = np.array(
                [min(max(int(v) // neuron.threshold, 0), neuron.levels) for v in total], dtype=np.int64
            )
        charges[name] = total
    return counts, charges
