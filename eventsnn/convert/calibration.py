"""Every layer's range on the calibration data, batch by batch.

A first pass finds each layer's largest activations, how many are positive, and the range of the input. A
second, where a scale is still to be chosen, adds up the errors of all ceilings, or holds the activations
from the percentile up. Memory goes with the batch; the result is that of all samples at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.activations import batches, layer_values
from eventsnn.convert.graph.graph import Evaluate
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.lowering.families import Family
from eventsnn.convert.samples import Samples
from eventsnn.convert.scales import Search, floored
from eventsnn.errors import InvalidNetwork

Float64 = NDArray[np.float64]

TOGETHER = 2**21
"""Values of a layer that are looked at together: 16 MB."""


@dataclass(frozen=True)
class Calibration:
    """What the samples gave.

    Attributes
    ----------
    lowest, highest : float
        Of the input, before normalisation.
    largest : dict of str to float
        By layer: the largest magnitude.
    scale : dict of str to float64 array, shape (channels,)
        By layer whose scale was chosen here: the ceiling or lambda of each channel.
    mean : dict of str to float64 array, shape (y, x, channel)
        By layer, the input as the original reads it among them: the mean of each value over the samples
        that were asked for; empty if none were.
    """

    lowest: float
    highest: float
    largest: dict[str, float]
    scale: dict[str, Float64]
    mean: dict[str, Float64] = field(default_factory=dict)


def calibrate(
    layers: Sequence[Layer],
    evaluate: Evaluate,
    samples: Samples,
    family: Family,
    averaged: NDArray[np.int64] | None = None,
) -> Calibration:
    """Run the original on all samples.

    Parameters
    ----------
    layers : sequence of Layer
    evaluate : callable
        Of ``Original``.
    samples : Samples
    family : Family
    averaged : int64 array, optional
        Places of the samples whose mean values are wanted.

    Raises
    ------
    InvalidNetwork
        Values that are not finite, a layer that is never active.
    """
    chosen = {layer.name: layer for layer in layers if family.searched(layer)}
    wanted = np.zeros(samples.count, dtype=bool)
    wanted[averaged if averaged is not None else slice(0)] = True
    lowest, highest, begin = np.inf, -np.inf, 0
    channels = {layer.name: layer.shape[0] for layer in layers}
    largest = {name: np.zeros(count) for name, count in channels.items()}
    counted = {name: np.zeros(count, dtype=np.int64) for name, count in channels.items()}
    mean: dict[str, Float64] = {}
    for values in batches(samples, layers):
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        read = samples.model_values(values)
        rows = wanted[begin : begin + len(values)]
        begin += len(values)
        if rows.any():
            source = layers[0]
            image = read[rows].reshape(-1, *source.shape).transpose(0, 2, 3, 1)
            mean[source.name] = mean.get(source.name, 0) + image.sum(axis=0)
        for layer, output in layer_values(layers, evaluate, read):
            flat = _magnitudes(layer, output, family).reshape(-1, layer.shape[0])
            largest[layer.name] = np.maximum(largest[layer.name], flat.max(axis=0))
            counted[layer.name] += (flat > 0).sum(axis=0)
            if rows.any():
                mean[layer.name] = mean.get(layer.name, 0) + output[rows].sum(axis=0)
    for name, layer in chosen.items():
        if not largest[name].max() > 0:
            raise InvalidNetwork(
                f"layer {layer.path!r} is never active on the calibration data, so it has no scale; give "
                "data the model was trained for, with the right input_scale"
            )
    everything = {layer.name: samples.count * layer.shape[1] * layer.shape[2] for layer in layers}
    searches = {
        name: _Search(layer, largest[name], counted[name], everything[name], family)
        for name, layer in chosen.items()
    }
    for values in batches(samples, layers) if searches else ():
        for layer, output in layer_values(layers, evaluate, samples.model_values(values)):
            if layer.name in searches:
                searches[layer.name].add(_magnitudes(layer, output, family))
    return Calibration(
        lowest,
        highest,
        {layer.name: float(largest[layer.name].max()) for layer in layers},
        {name: search.scale() for name, search in searches.items()},
        {name: total / max(1, int(wanted.sum())) for name, total in mean.items()},
    )


def _magnitudes(layer: Layer, output: Float64, family: Family) -> Float64:
    """Values of a layer, regardless of their sign where both signs are kept (or read)."""
    return np.abs(output) if layer.operation is None and family.signed(layer) else output


class _Search:
    """The scale of one layer and, where asked for, of each of its channels."""

    def __init__(
        self, layer: Layer, largest: Float64, positive: NDArray[np.int64], everything: int, family: Family
    ) -> None:
        self.path = layer.path
        self.zeros = family.of_zeros
        self.count = layer.shape[0]
        # Of all values, zeros too, or of those above 0.
        counts = np.full(self.count, everything) if self.zeros else positive
        self.layer = family.search(layer, float(largest.max()), int(counts.sum()))
        self.channels: list[Search | None] = [
            family.search(layer, float(most), int(count)) if active else None
            for most, count, active in zip(largest, counts, positive, strict=True)
            if family.settings.per_channel
        ]
        self._waiting: list[Float64] = []

    def add(self, output: Float64) -> None:
        self._waiting.append(output.reshape(-1, self.count))
        if sum(part.size for part in self._waiting) >= TOGETHER:
            self._take()

    def _take(self) -> None:
        values = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting = []
        # In parts, so that the memory of sorting stays that of a part.
        rows = max(1, TOGETHER // self.count)
        for begin in range(0, len(values), rows):
            part = values[begin : begin + rows]
            self.layer.add(self._searched(part))
            for channel, search in enumerate(self.channels):
                if search is not None:
                    search.add(self._searched(part[:, channel]))

    def _searched(self, part: Float64) -> Float64:
        return np.maximum(part, 0).reshape(-1) if self.zeros else part[part > 0]

    def scale(self) -> Float64:
        if self._waiting:
            self._take()
        of_layer = self.layer.best()
        if not of_layer > 0:
            raise InvalidNetwork(
                f"layer {self.path!r} is so often 0 on the calibration data that its percentile, zeros "
                "counted, is zero; use a larger percentile, or leave count_zeros out"
            )
        if not self.channels:
            return np.full(self.count, of_layer)
        # A channel that is 0 up to the percentile takes the smallest scale there is.
        found = [of_layer if search is None else search.best() for search in self.channels]
        return floored(np.array(found), of_layer)
