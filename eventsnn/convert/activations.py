"""The original's own values, layer by layer and a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.graph import Evaluate
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Convolution, Input
from eventsnn.convert.samples import Samples
from eventsnn.errors import InvalidNetwork

Float64 = NDArray[np.float64]

BATCH = 64
"""Samples together; fewer where a layer is large."""

BATCH_VALUES = 2**24
"""Values of a layer, or of the patches that a framework unfolds for it, in one batch: 128 MB."""


def batches(samples: Samples, layers: Sequence[Layer]) -> Iterator[Float64]:
    """The samples as the network's input stands for them, some at a time, in order."""
    size = batch_size(layers)
    for begin in range(0, samples.count, size):
        yield samples.values(begin, min(begin + size, samples.count))


def batch_size(layers: Sequence[Layer]) -> int:
    """Samples that are evaluated together: a power of two up to ``BATCH``."""
    size, largest = BATCH, max(map(_values, layers))
    while size > 1 and size * largest > BATCH_VALUES:
        size //= 2
    return size


def _values(layer: Layer) -> int:
    """Values that one sample needs in a layer."""
    most = prod(layer.shape)
    for branch in layer.branches:
        if isinstance(branch.linear, Convolution):
            weight = branch.linear.weight
            in_channels = weight.shape[1] * branch.linear.groups
            most = max(most, prod(weight.shape[2:]) * in_channels * prod(layer.shape[1:]))
    return most


def layer_values(
    layers: Sequence[Layer], evaluate: Evaluate, values: Float64
) -> Iterator[tuple[Layer, Float64]]:
    """Every layer but the input with the original's own values there, for one batch.

    Parameters
    ----------
    layers : sequence of Layer
    evaluate : callable
        Of ``Original``.
    values : float64 array, shape (samples, *input shape)
        As the original reads them.

    Yields
    ------
    layer : Layer
    output : float64 array, shape (samples, y, x, channel)
        After the activation; the class scores of a readout.

    Raises
    ------
    InvalidNetwork
        Values that are not finite, or of another size than the layer's.
    """
    wanted = [layer for layer in layers if not isinstance(layer.operation, Input)]
    found = evaluate(values, [layer.name for layer in wanted])
    for layer in wanted:
        yield layer, in_population_order(layer, np.asarray(found[layer.name], dtype=np.float64))


def in_population_order(layer: Layer, values: Float64) -> Float64:
    """A node's values, shape (samples, *node shape), as (samples, y, x, channel) of its population."""
    flat = values.reshape(len(values), -1)
    if layer.arrangement is not None:
        flat = flat[:, layer.arrangement.reshape(-1)]
    if flat.shape[1] != prod(layer.shape):
        raise InvalidNetwork(
            f"layer {layer.path!r} has {flat.shape[1]} values in the original and {prod(layer.shape)} in the "
            "graph"
        )
    if not np.isfinite(flat).all():
        raise InvalidNetwork(
            f"layer {layer.path!r} gives NaN or infinite values on these samples; train again or check them"
        )
    return np.ascontiguousarray(flat.reshape(len(flat), *layer.shape).transpose(0, 2, 3, 1))
