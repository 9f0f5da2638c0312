"""Bias correction: the mean error of each channel, layer by layer, behind layers of whole numbers.

The network so far is evaluated on calibration samples: signed neurons exactly (law 9), rate neurons step by
step, under an input of constant rate. What a channel's value is too
high in the mean, over samples and pixels, against the original's is taken off its bias.

References
----------
M. Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019,
arXiv:1906.04721, section 4.2 (there without data); Y. Li et al., "A free lunch from ANN: towards efficient,
accurate spiking neural networks calibration", ICML 2021, arXiv:2106.06984, section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.lowering.steps import spikes_of_winners
from eventsnn.convert.lowering.windows import largest_of_windows
from eventsnn.convert.lowering.wires import Wires
from eventsnn.convert.samples import Samples
from eventsnn.network import MaxPool

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

HELD_BYTES = 2**28
"""Counts of all samples are held up to this size; beyond it fewer samples are followed, evenly taken."""

TOGETHER = 2**20
"""Values of a layer that are summed together: 8 MB."""


def followed_samples(layers: Sequence[Layer], count: int, steps: int = 1) -> NDArray[np.int64]:
    """Places of the samples that are followed: all, or as many as may be held, evenly taken."""
    held = sum(prod(layer.shape) for layer in layers) * 2 * steps
    most = min(count, max(-(-16 // steps), HELD_BYTES // held))
    return np.linspace(0, count - 1, most).round().astype(np.int64)


class Followed:
    """The counts of the layers so far, for the samples that are followed.

    Where these are played in several ``steps``, rows are the steps of one sample after the other's.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        samples: Samples,
        places: NDArray[np.int64],
        unit: float,
        steps: int = 1,
    ) -> None:
        first, self.steps = layers[0], steps
        image = np.concatenate([samples.values(int(k), int(k) + 1) for k in places])
        image = image.reshape(-1, *first.shape).transpose(0, 2, 3, 1).reshape(len(places), -1)
        self.counts: dict[str, NDArray[Any]] = {first.name: np.repeat(image / (unit * steps), steps, axis=0)}
        self.readers = {
            layer.name: sum(branch.source == layer.name for other in layers for branch in other.branches)
            for layer in layers
        }

    def charge(self, layer: Layer, wires: Sequence[Wires], weights: Sequence[Int32], rows: slice) -> Float64:
        """What a layer's neurons have received, biases apart, shape (rows, y, x, channel)."""
        total: Float64 | None = None
        for branch, way, weight in zip(layer.branches, wires, weights, strict=True):
            sums = way.sums(self.counts[branch.source][rows].astype(np.float64), weight)
            if total is None:
                total = np.zeros((len(sums), *layer.shape[1:], layer.shape[0]))
            total[..., way.channels] += sums
        assert total is not None
        return total

    def parts(self, layer: Layer) -> list[slice]:
        """Rows that are looked at together: whole samples."""
        count = len(next(iter(self.counts.values())))
        size = max(1, TOGETHER // (prod(layer.shape) * self.steps)) * self.steps
        return [slice(begin, begin + size) for begin in range(0, count, size)]

    def keep(self, layer: Layer, counts: Sequence[NDArray[Any]]) -> None:
        """Hold a layer's counts, and drop those that nothing will read any more."""
        found = np.concatenate(counts)
        self.counts[layer.name] = found.reshape(len(found), -1)
        for branch in layer.branches:
            self.readers[branch.source] -= 1
            if not self.readers[branch.source]:
                self.counts.pop(branch.source, None)

    def keep_largest(self, layer: Layer, gates: MaxPool, source: tuple[int, int, int]) -> None:
        """Hold the counts of gates: the largest of each window; in steps, what the largest so far gets."""
        (branch,) = layer.branches
        held = self.counts[branch.source].reshape(-1, *source)
        if self.steps > 1:
            passed = spikes_of_winners(held, gates, self.steps).astype(held.dtype)
            self.keep(layer, [passed])
        else:
            self.keep(layer, [largest_of_windows(held, gates)])


def mean_of_channels(parts: Sequence[NDArray[Any]]) -> Float64:
    """The mean over samples and pixels of values (samples, y, x, channel), which come in parts."""
    count = sum(part.size for part in parts) // parts[0].shape[-1]
    return np.asarray(sum(part.sum(axis=(0, 1, 2), dtype=np.float64) for part in parts) / count)


def original_charge(layer: Layer, wires: Sequence[Wires], mean: dict[str, Float64], bias: Float64) -> Float64:
    """The original's mean value before the activation, (y, x, channel): linear, so of the means."""
    total = np.zeros((*layer.shape[1:], layer.shape[0])) + bias
    for branch, way in zip(layer.branches, wires, strict=True):
        total[..., way.channels] += way.sums(mean[branch.source].reshape(1, -1))[0]
    return total
