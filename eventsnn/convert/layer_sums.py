"""One layer of a network beside the original's values, added up batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.histogram import GrowingHistogram, Histogram
from eventsnn.convert.shares import shares, softmax
from eventsnn.network import Network

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A node of the original: its name there, and the original's word for the operation."""

    name: str
    origin: str


@dataclass(frozen=True)
class LayerCheck:
    """One layer's agreement over all samples and neurons; values are activations (logits for a readout).

    Attributes
    ----------
    name : str
        Of the population.
    neuron : str
        ``"signed"``, ``"rate"``, ``"readout"``; ``"softmax"``, whose values are the shares of all spikes
        beside the softmax of the original's scores.
    mean_activation : float
        Mean absolute value in the original model, to judge the differences by.
    mean_difference, largest_difference : float
        Of |converted - original|.
    correlation : float
        Pearson's; if one side is constant, 1 when both are equal everywhere and 0 otherwise.
    saturated : float
        Share of signed neurons at their largest count, 0 for other kinds.
    decisions : float or None
        Of the output: the share of samples for which network and model decide alike. None elsewhere.
    clipped : float
        Share of values that the original has beyond the scale by more than half a level: what saturation
        costs. Of a quantiser none.
    silent : float or None
        Share of neurons with a count of 0 on every sample; None for a readout.
    scale : tuple of float, or None
        The activation that the largest count (signed) or the spikes of lambda (rate) stand for: the lowest
        and the highest over channels. None where neither was chosen.
    histogram : Histogram
        Of the original's values.
    folded : tuple of Part
        The original's nodes that the population stands for.
    """

    name: str
    neuron: str
    mean_activation: float
    mean_difference: float
    largest_difference: float
    correlation: float
    saturated: float
    decisions: float | None = None
    clipped: float = 0.0
    silent: float | None = None
    scale: tuple[float, float] | None = None
    histogram: Histogram | None = None
    folded: tuple[Part, ...] = ()

    @property
    def scale_text(self) -> str:
        """The scale for a reader, or nothing."""
        if self.scale is None:
            return ""
        lowest, highest = self.scale
        return f"{highest:.4g}" if lowest == highest else f"{lowest:.4g} to {highest:.4g}"


class LayerSums:
    """What a layer's check needs.

    Parameters
    ----------
    network : Network
    name : str
        Of the population.
    told : mapping
        What the network's record of its conversion tells about it.
    """

    def __init__(self, network: Network, name: str, told: Mapping[str, Any]) -> None:
        self.name, self.told = name, told
        self.at_zero = np.asarray(told.get("at_zero", 0.0), dtype=np.float64)
        self.neuron = network.populations[name].neuron
        self.unit = np.asarray(self.neuron.unit, dtype=np.float64)
        contract = network.contract
        if self.neuron.start_time and contract is not None and contract.duration_us:
            # Held time is no part of a rate.
            whole = contract.duration_us * 10**6
            self.unit = self.unit * (whole / (whole - self.neuron.start_time))
        self.count = 0
        self.activation = self.difference = self.largest = self.saturated = self.clipped = 0.0
        self.range = np.array([[np.inf, -np.inf]] * 2)
        # Around the values of the first batch, against cancellation.
        self.centre: Float64 | None = None
        self.first: Float64 = np.zeros(2)
        self.second: Float64 = np.zeros((2, 2))
        self.active: NDArray[np.bool_] | None = None
        self.histogram = GrowingHistogram()

    def add(self, counts: Int64, output: Float64) -> None:
        """Some samples: counts (a readout's charges) and the original's values, (samples, y, x, channel)."""
        converted = counts * self.unit + self.at_zero
        if self.neuron.drawn:
            converted, output = shares(counts), softmax(output)
        difference = np.abs(converted - output)
        self.count += output.size
        self.activation += float(np.abs(output).sum())
        self.difference += float(difference.sum())
        self.largest = max(self.largest, float(difference.max()))
        if self.neuron.rule == "signed":
            most = self.neuron.largest_count
            self.saturated += float((counts >= most).sum())
            self.clipped += float((output > (most + 0.5 + 1e-9) * self.unit + self.at_zero).sum())
        if self.neuron.emits != "nothing":
            active = np.asarray((counts != 0).any(axis=0))
            self.active = active if self.active is None else self.active | active
        self.histogram.add(output)
        sides: Float64 = np.stack([converted.reshape(-1), output.reshape(-1)])
        self.range[:, 0] = np.minimum(self.range[:, 0], sides.min(axis=1))
        self.range[:, 1] = np.maximum(self.range[:, 1], sides.max(axis=1))
        if self.centre is None:
            self.centre = np.asarray(sides.mean(axis=1))
        sides = sides - self.centre[:, None]
        self.first = self.first + sides.sum(axis=1)
        self.second = self.second + sides @ sides.T

    def check(self, folded: tuple[Part, ...] = ()) -> LayerCheck:
        """What was added up."""
        return LayerCheck(
            name=self.name,
            neuron=self.neuron.kind,
            mean_activation=self.activation / self.count,
            mean_difference=self.difference / self.count,
            largest_difference=self.largest,
            correlation=self._correlation(),
            saturated=self.saturated / self.count,
            clipped=self.clipped / self.count,
            silent=None if self.active is None else float(1 - self.active.mean()),
            scale=self._scale(),
            histogram=self.histogram.found(),
            folded=folded,
        )

    def _scale(self) -> tuple[float, float] | None:
        if self.neuron.rule == "signed":
            found = self.neuron.largest_count * self.unit + self.at_zero
        elif "lambda" in self.told:
            found = np.asarray(self.told["lambda"], dtype=np.float64)
        else:
            return None
        return float(found.min()), float(found.max())

    def _correlation(self) -> float:
        spread = self.second - np.outer(self.first, self.first) / self.count
        scale = float(np.sqrt(max(spread[0, 0], 0.0) * max(spread[1, 1], 0.0)))
        constant = bool((self.range[:, 0] == self.range[:, 1]).any())
        if constant or scale == 0:
            return float(self.largest == 0)
        return min(1.0, max(-1.0, float(spread[0, 1]) / scale))
