"""The families of neurons that layers are lowered to, and what they share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import AveragePool, Input, MaxPool, Quantised, ReLU
from eventsnn.convert.lowering.coded import Coded, Lowered
from eventsnn.convert.lowering.wires import Wires
from eventsnn.convert.scales import Search
from eventsnn.convert.settings import Settings
from eventsnn.errors import InvalidNetwork, UnsupportedLayer
from eventsnn.network import Readout

Float64 = NDArray[np.float64]

READOUT_THRESHOLDS = 16
"""The largest calibration logit stands for at least so many thresholds of charge: 2^18 quanta by default."""

SHIFTS = {"floor": 0.0, "half-up": 0.5, "half-even": 0.5}
"""What is added before rounding down to round in this way; half to even but for ties."""


@dataclass(frozen=True, eq=False)
class Place:
    """A layer among the others, as a family sees it.

    Attributes
    ----------
    layer : Layer
    name : str
        Of its population.
    wires : list of Wires
        One a branch.
    sources : list of Coded
        What the counts that they read stand for.
    never_negative : bool
        Whether the original's values are 0 or more whatever the input.
    last : bool
    """

    layer: Layer
    name: str
    wires: Sequence[Wires]
    sources: Sequence[Coded]
    never_negative: bool
    last: bool

    @property
    def channels(self) -> int:
        return self.layer.shape[0]


class Family(ABC):
    """How layers become neurons.

    ``rules`` holds a function for each kind of operation; what it does not hold is refused by name.
    """

    rules: ClassVar[Mapping[type[Any], Callable[[Any, Place, Float64 | None], Lowered]]]

    def __init__(self, settings: Settings, layers: Sequence[Layer], duration_us: float | None = None) -> None:
        self.settings, self.duration_us = settings, duration_us
        self.layers = {layer.name: layer for layer in layers}
        self.never_negative = positive_layers(layers)
        self.last = layers[-1].name

    @abstractmethod
    def refused(self, layer: Layer) -> str | None:
        """Why a layer cannot be of this family, to end the sentence that names it; None if it can."""

    @abstractmethod
    def search(self, layer: Layer, most: float, count: int) -> Search:
        """The search of a scale for values of which the largest is ``most``, ``count`` of them."""

    @property
    def of_zeros(self) -> bool:
        """Whether such a search is of all values, zeros too, or of those above 0."""
        return False

    @abstractmethod
    def searched(self, layer: Layer) -> bool:
        """Whether a layer's scale is chosen on calibration data."""

    def check(self) -> None:
        """Refuse layers that have no such neurons, before any sample is looked at.

        Raises
        ------
        UnsupportedLayer
        """
        for layer in self.layers.values():
            if isinstance(layer.operation, Input):
                continue
            reason = None
            if not self.is_readout(layer) and type(layer.operation) not in self.rules:
                reason = f"has no {self.settings.neuron} neurons"
            reason = reason or self.refused(layer)
            if reason is not None:
                raise UnsupportedLayer(f"layer {layer.path!r} ({layer.origin}) {reason}")

    @property
    def steps(self) -> int:
        """Steps in which samples are played for bias correction; 1 where time does not matter."""
        return 1

    @abstractmethod
    def counts(self, neuron: Any, charge: Float64, quanta: Float64, start: Any) -> NDArray[np.int64]:
        """Counts in each step of neurons that were given a charge in it, both (samples steps, y, x, channel).

        ``quanta`` (y, x, channel) is the bias of a whole sample, ``start`` what neurons have at its
        start beside their own charge: one value, or one a channel.
        """

    @property
    def period(self) -> int:
        """Ticks of a period of currents; 0 where there are none."""
        return 0

    @property
    def fires_once(self) -> bool:
        """Whether values are times of first spikes."""
        return False

    def start_time(self, layer: Layer) -> int:
        """Tick until which a layer is held."""
        del layer
        return 0

    def own_unit(self, layer: Layer, operation: Quantised) -> Float64:
        """A quantiser's value of one level, for each channel."""
        unit = np.broadcast_to(operation.unit, layer.shape)
        if not np.isfinite(unit).all() or not (unit > 0).all():
            largest = operation.largest * float(unit.flat[0])
            raise InvalidNetwork(
                f"layer {layer.path!r} is followed by a QCFS whose theta is {largest}; train again"
            )
        of_channel = unit.reshape(layer.shape[0], -1)
        if np.ptp(of_channel, axis=1).any():
            raise UnsupportedLayer(
                f"layer {layer.path!r} is quantised in steps that differ from pixel to pixel; neurons have "
                "one a channel at most. Train with one step a layer or a channel"
            )
        return of_channel[:, 0].astype(np.float64)

    def is_readout(self, layer: Layer) -> bool:
        """Whether a layer's charge is the decision."""
        return layer.name == self.last and layer.operation is None

    def signed(self, layer: Layer) -> bool:
        """Whether a scale has to hold for values on both sides of 0."""
        return layer.operation is None and layer.name not in self.never_negative

    def readout_thresholds(self, place: Place, largest: float) -> int:
        """How many thresholds of charge the largest logit stands for."""
        del place, largest
        return READOUT_THRESHOLDS

    def lowered(self, place: Place, scale: Float64 | None, largest: float) -> Lowered:
        """A layer's neurons.

        Parameters
        ----------
        place : Place
        scale : float64 array, shape (channels,), or None
            What was chosen for it on calibration data.
        largest : float
            The largest magnitude of its values on calibration data.
        """
        if self.is_readout(place.layer):
            largest = largest or 1.0
            unit = np.full(place.channels, largest / self.readout_thresholds(place, largest))
            readout = Readout(unit=float(unit[0]) / self.settings.threshold)
            return Lowered(readout, unit, Coded(unit / self.settings.threshold))
        return self.rules[type(place.layer.operation)](self, place, scale)


def unknown_rounding(operation: Quantised) -> str | None:
    """Why neurons cannot round as a quantiser does; None if they can."""
    if operation.rounding in SHIFTS:
        return None
    return f"rounds in the way {operation.rounding!r}; known are {', '.join(SHIFTS)}"


def quanta_before_rounding(operation: Quantised, threshold: int) -> int:
    """What a quantiser adds before it rounds down, as charge.

    x / unit + shift >= n is charge + floor(shift threshold) >= n threshold in whole quanta.
    """
    return math.floor((operation.shift + SHIFTS[operation.rounding]) * threshold)


def positive_layers(layers: Sequence[Layer]) -> frozenset[str]:
    """Names of the layers whose values are 0 or more whatever the input."""
    found: set[str] = set()
    for layer in layers:
        by_rule = POSITIVE.get(type(layer.operation))
        if by_rule is not None and by_rule(layer, found):
            found.add(layer.name)
    return frozenset(found)


def _of_sources(layer: Layer, found: set[str]) -> bool:
    return all(branch.source in found for branch in layer.branches)


def _of_averages(layer: Layer, found: set[str]) -> bool:
    kinds = (AveragePool, type(None))
    weighted = any(type(branch.linear) not in kinds for branch in layer.branches)
    lowest = [0.0 if branch.factor is None else float(np.min(branch.factor)) for branch in layer.branches]
    return not weighted and min(lowest) >= 0 and float(layer.bias.min()) >= 0 and _of_sources(layer, found)


POSITIVE: dict[type[Any], Callable[[Layer, set[str]], bool]] = {
    ReLU: lambda layer, found: True,
    Quantised: lambda layer, found: getattr(layer.operation, "lowest", -1) >= 0,
    MaxPool: _of_sources,
    type(None): _of_averages,
}
