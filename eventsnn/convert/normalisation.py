"""The normalisation of a model's images, folded into its first layer.

A model that was trained on normalised images reads ``((low + (high - low) v) - mean) / std`` for an image
value v, per channel. The network takes v itself: the factor goes into the weights, the shift into the
bias. Zero padding adds zeros to the *normalised* image, so a neuron at the border, which has fewer taps,
has a bias of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest

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

    @property
    def factor(self) -> Float64:
        """What an image value is multiplied by, one value a channel."""
        return (self.high - self.low) / self.deviation

    @property
    def shift(self) -> Float64:
        """What is added then: the model's value of an image value of 0, one a channel."""
        return (self.low - self.mean) / self.deviation


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
