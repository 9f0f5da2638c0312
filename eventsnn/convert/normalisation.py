"""The normalisation of a model's images, folded into its first layer.

A model that was trained on normalised images reads ``((low + (high - low) v) - mean) / std`` for an image
value v, per channel. The network takes v itself: the factor goes into the weights, the shift into the
bias. Zero padding adds zeros to the *normalised* image, so a neuron at the border, which has fewer taps,
has a bias of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.quantise import per_source
from eventsnn.convert.stages import Stage
from eventsnn.errors import InvalidRequest
from eventsnn.network.synapses.windows import convolved, pooled

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Normalisation:
    """What the model reads for an image value v: ``((low + (high - low) v) - mean) / deviation``.

    Attributes
    ----------
    low, high : float
    mean, deviation : float64 array, shape (channels,)
    """

    low: float
    high: float
    mean: Float64
    deviation: Float64

    def of(self, values: Float64) -> Float64:
        """Image values of shape (samples, channels, ...) as the model reads them."""
        wide = (-1, *(1,) * (values.ndim - 2))
        scaled = self.low + (self.high - self.low) * values
        normalised: Float64 = (scaled - self.mean.reshape(wide)) / self.deviation.reshape(wide)
        return normalised

    def folded_into(self, stage: Stage) -> Stage:
        """The first stage, reading image values instead of normalised ones; exact in real numbers.

        Its bias has one value per channel, or one per neuron where borders make a difference.
        """
        shift = (self.low - self.mean) / self.deviation
        added = _sums_over_taps(stage, stage.weight, shift).reshape(-1, stage.target[2])
        if _every_tap_exists(stage):
            added = added[:1]
        bias = (stage.bias + added).reshape(-1)
        factor = (self.high - self.low) / self.deviation
        return replace(stage, weight=stage.weight * per_source(stage, factor), bias=bias)


def normalisation(
    input_range: Sequence[float] | None,
    mean: Sequence[float] | None,
    deviation: Sequence[float] | None,
    channels: int,
) -> Normalisation | None:
    """What was asked for, for images of so many channels; None without any.

    Raises
    ------
    InvalidRequest
        Neither one value nor one for each channel.
    """
    if input_range is None and mean is None and deviation is None:
        return None
    low, high = input_range or (0.0, 1.0)
    return Normalisation(
        low,
        high,
        _of_channels(mean or (0.0,), channels, "input_mean"),
        _of_channels(deviation or (1.0,), channels, "input_std"),
    )


def _of_channels(values: Sequence[float], channels: int, name: str) -> Float64:
    if len(values) not in (1, channels):
        raise InvalidRequest(
            f"{name} has {len(values)} values, but the model's input has {channels} channels; give one "
            "value, or one for each channel"
        )
    return np.broadcast_to(np.asarray(values, dtype=np.float64), channels).copy()


def _sums_over_taps(stage: Stage, weight: Float64, values: Float64) -> Float64:
    """What a source of constant values, one a channel, gives each target neuron: only taps that exist."""
    image = np.broadcast_to(values, (1, *stage.source)).astype(np.float64)
    if stage.axes is None:
        return np.asarray(pooled(image, stage.pool).reshape(1, -1) @ weight, dtype=np.float64).reshape(-1)
    summed = convolved(image, weight, stage.axes, stage.groups, stage.target)
    return summed.astype(np.float64, copy=False).reshape(-1)


def _every_tap_exists(stage: Stage) -> bool:
    """Whether no target neuron lies at a border where taps are missing."""
    if stage.axes is None:
        return True
    taps = _sums_over_taps(stage, np.ones_like(stage.weight), np.ones(stage.source[2]))
    return float(taps.min()) == np.prod(stage.weight.shape[:3]) * np.prod(stage.pool)
