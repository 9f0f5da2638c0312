"""A branch as wires: as a convolution, all to all, or channel by channel where it is one, else listed.

What no rule here knows by its geometry is listed, and then looked at by its synapses (``regular_wires``).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Branch, Layer
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap
from eventsnn.convert.lowering.blocks import dense_map, dense_rows, pooled_convolution
from eventsnn.convert.lowering.grids import convolution_axis, grid_of, window_axis
from eventsnn.convert.lowering.listed import listed, of_population
from eventsnn.convert.lowering.regular import regular_wires
from eventsnn.convert.lowering.wires import ChannelWires, ConvolutionWires, Wires
from eventsnn.errors import UnsupportedLayer

Float64 = NDArray[np.float64]
Shape3 = tuple[int, int, int]


def wires(branch: Branch, layer: Layer, source: Shape3) -> Wires:
    """The synapses of one of a layer's branches.

    Parameters
    ----------
    branch : Branch
    layer : Layer
        The one it belongs to.
    source : (int, int, int)
        Shape (channels, y, x) of the layer that it reads.

    Raises
    ------
    UnsupportedLayer
        Another operation than those of ``Branch``.
    """
    kind = type(branch.linear)
    if kind not in KINDS:
        raise UnsupportedLayer(
            f"layer {layer.path!r} reads {branch.source!r} through a {kind.__name__}, which is not a linear "
            f"operation that synapses are made of; known are {', '.join(k.__name__ for k in KINDS)}"
        )
    found = KINDS[kind](branch, branch.linear, layer, source)
    return regular_wires(listed(branch, layer, source)) if found is None else found


def _convolution(branch: Branch, linear: Convolution, layer: Layer, source: Shape3) -> Wires | None:
    grid = grid_of(branch.indices, source)
    read = source if branch.indices is None else branch.indices.shape
    if grid is None or grid.shift or read[0] != source[0]:
        return None
    weight = _times_factor(linear.weight, branch, layer)
    axes = [
        convolution_axis(
            line,
            linear.weight.shape[2 + k],
            linear.stride[k],
            linear.padding[k],
            linear.dilation[k],
            layer.shape[1 + k],
        )
        for k, line in enumerate((grid.rows, grid.columns))
    ]
    if weight is None or axes[0] is None or axes[1] is None:
        return None
    found = ConvolutionWires(
        of_population(source),
        (*layer.shape[1:], len(weight)),
        branch.first_channel,
        np.ascontiguousarray(weight.transpose(2, 3, 1, 0)),
        (axes[0], axes[1]),
        linear.groups,
    )
    return pooled_convolution(found)


def _dense(branch: Branch, linear: Dense, layer: Layer, source: Shape3) -> Wires | None:
    size = prod(source)
    place = np.arange(size) if branch.indices is None else branch.indices.reshape(-1)
    if layer.shape[1:] != (1, 1) or len(place) != size or not np.array_equal(np.sort(place), np.arange(size)):
        return None
    weight = _times_factor(linear.weight, branch, layer)
    if weight is None:
        return None
    if not np.array_equal(place, np.arange(size)):
        by_source = np.empty_like(weight)
        by_source[:, place] = weight
        weight = by_source
    return dense_rows(weight.reshape(-1, *source), source, branch.first_channel)


def _average(branch: Branch, linear: AveragePool, layer: Layer, source: Shape3) -> Wires | None:
    grid = grid_of(branch.indices, source)
    read = source if branch.indices is None else branch.indices.shape
    if grid is None or grid.shift or read[0] != source[0] or np.ptp(linear.divisor):
        return None
    axes = [
        window_axis(windows, line)
        for windows, line in ((linear.rows, grid.rows), (linear.columns, grid.columns))
    ]
    weight = _of_channels(branch, source[0], 1 / float(linear.divisor.flat[0]))
    if weight is None or axes[0] is None or axes[1] is None:
        return None
    target = (*layer.shape[1:], source[0])
    return ChannelWires(of_population(source), target, branch.first_channel, weight, (axes[0], axes[1]))


def _values(branch: Branch, linear: None, layer: Layer, source: Shape3) -> Wires | None:
    del linear
    grid = grid_of(branch.indices, source)
    if grid is None:
        return None
    read = source if branch.indices is None else branch.indices.shape
    # The source's channels lie from -shift on, and all of them are read.
    if grid.shift > 0 or source[0] - grid.shift > read[0]:
        return None
    axes = [
        convolution_axis(line, 1, 1, (0, 0), 1, layer.shape[1 + k])
        for k, line in enumerate((grid.rows, grid.columns))
    ]
    first = branch.first_channel - grid.shift
    weight = _of_channels(branch, source[0], 1.0, -grid.shift)
    if weight is None or axes[0] is None or axes[1] is None:
        return None
    target = (*layer.shape[1:], source[0])
    return ChannelWires(of_population(source), target, first, weight, (axes[0], axes[1]))


def _map(branch: Branch, linear: LinearMap, layer: Layer, source: Shape3) -> Wires | None:
    if layer.shape[1:] != (1, 1) or branch.indices is not None or branch.factor is not None:
        return None
    return dense_map(linear.matrix, source, branch.first_channel)


KINDS: dict[type[Any], Callable[[Branch, Any, Layer, Shape3], Wires | None]] = {
    Convolution: _convolution,
    Dense: _dense,
    AveragePool: _average,
    LinearMap: _map,
    type(None): _values,
}


def _times_factor(weight: Float64, branch: Branch, layer: Layer) -> Float64 | None:
    """A weight of shape (outputs, ...) times the branch's factor; None where that is not one an output."""
    if branch.factor is None:
        return weight
    factor = np.broadcast_to(branch.factor, (len(weight), *layer.shape[1:])).reshape(len(weight), -1)
    if np.ptp(factor, axis=1).any():
        return None
    return weight * factor[:, 0].reshape(-1, *(1,) * (weight.ndim - 1))


def _of_channels(branch: Branch, channels: int, weight: float, first: int = 0) -> Float64 | None:
    """A weight times the branch's factor for channels from ``first`` on; None where pixels differ."""
    if branch.factor is None:
        return np.full(channels, weight)
    factor = np.asarray(branch.factor)
    if factor.size > 1 and (factor.ndim != 3 or factor.shape[1:] != (1, 1)):
        return None
    found: Float64 = np.broadcast_to(
        factor.reshape(-1), first + channels if factor.size == 1 else factor.size
    )
    return found[first : first + channels] * weight
