"""Every layer's range on the calibration data, batch by batch.

A first pass finds each layer's largest activations, how many are positive, and the range of the input. A
second, where a scale is still to be chosen, adds up the errors of all ceilings, or holds the activations
from the percentile up. Memory goes with the batch; the result is that of all samples at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.activations import batches, stage_outputs
from eventsnn.convert.chain import Step
from eventsnn.convert.qcfs import QCFS
from eventsnn.convert.samples import Samples
from eventsnn.convert.scales import Ceilings, Percentile, floored
from eventsnn.convert.settings import DEFAULT_LEVELS, Settings
from eventsnn.convert.stages import Stage
from eventsnn.errors import InvalidNetwork, InvalidRequest

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
        By stage without an activation (the readout): the largest magnitude.
    scale : dict of str to float64 array, shape (target channels,)
        By stage whose scale was chosen here: the ceiling or lambda of each channel.
    """

    lowest: float
    highest: float
    largest: dict[str, float]
    scale: dict[str, Float64]


def calibrate(
    chain: Sequence[Step], stages: Sequence[Stage], samples: Samples, settings: Settings
) -> Calibration:
    """Run the model on all samples.

    Raises
    ------
    InvalidNetwork
        A module does not take the values it gets, a layer is never active.
    InvalidRequest
        Levels that contradict the model's.
    """
    chosen = {s.name: s for s in stages if s.activation is not None and not _has_own(s, settings)}
    lowest, highest = np.inf, -np.inf
    largest = {stage.name: np.zeros(stage.target[2]) for stage in stages}
    positive = {stage.name: np.zeros(stage.target[2], dtype=np.int64) for stage in stages}
    for values in batches(samples, stages):
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        for stage, output in stage_outputs(chain, stages, samples.model_values(values)):
            flat = output.reshape(-1, stage.target[2])
            size = flat if stage.activation is not None else np.abs(flat)
            largest[stage.name] = np.maximum(largest[stage.name], size.max(axis=0))
            positive[stage.name] += (flat > 0).sum(axis=0)
    for name, stage in chosen.items():
        if not largest[name].max() > 0:
            raise InvalidNetwork(
                f"layer {stage.path!r} is never active on the calibration data, so it has no scale; give "
                "data the model was trained for, with the right input_scale"
            )
    searches = {n: _Search(s, largest[n], positive[n], settings) for n, s in chosen.items()}
    for values in batches(samples, stages) if searches else ():
        for stage, output in stage_outputs(chain, stages, samples.model_values(values)):
            if stage.name in searches:
                searches[stage.name].add(output)
    return Calibration(
        lowest,
        highest,
        {s.name: float(largest[s.name].max()) for s in stages if s.activation is None},
        {name: search.scale() for name, search in searches.items()},
    )


def levels_of(stage: Stage, settings: Settings) -> int:
    """The levels of a stage of signed neurons: a QCFS layer's own, else those asked for."""
    if not isinstance(stage.activation, QCFS):
        return settings.levels or DEFAULT_LEVELS
    own = stage.activation.levels
    if settings.levels not in (None, own):
        raise InvalidRequest(
            f"levels is {settings.levels}, but layer {stage.path!r} was trained with a QCFS of {own} levels; "
            "leave levels out, or train with the levels you want"
        )
    return own


def _has_own(stage: Stage, settings: Settings) -> bool:
    return settings.neuron == "signed" and isinstance(stage.activation, QCFS)


class _Search:
    """The scale of one layer and, where asked for, of each of its channels."""

    def __init__(
        self, stage: Stage, largest: Float64, positive: NDArray[np.int64], settings: Settings
    ) -> None:
        def search(most: float, count: int) -> Ceilings | Percentile:
            if settings.neuron == "signed":
                return Ceilings(most, levels_of(stage, settings))
            return Percentile(count, settings.percentile)

        self.layer = search(float(largest.max()), int(positive.sum()))
        self.channels = [
            search(float(most), int(count)) if count else None
            for most, count in zip(largest, positive, strict=True)
            if settings.per_channel
        ]
        self.count = stage.target[2]
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
            self.layer.add(part[part > 0])
            for channel, search in enumerate(self.channels):
                if search is not None:
                    search.add(part[:, channel][part[:, channel] > 0])

    def scale(self) -> Float64:
        if self._waiting:
            self._take()
        of_layer = self.layer.best()
        if not self.channels:
            return np.full(self.count, of_layer)
        found = [of_layer if search is None else search.best() for search in self.channels]
        return floored(np.array(found), of_layer)
