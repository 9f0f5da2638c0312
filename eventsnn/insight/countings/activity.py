"""What the layers of a network were given in a sample: the tensors that a library would see, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting import COLUMN
from eventsnn.engine import SampleRun, Stimulus
from eventsnn.engine.request import number_of_steps, takes_current
from eventsnn.errors import InvalidRequest
from eventsnn.insight.countings.layers import Layer
from eventsnn.network import Network

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Given:
    """The values other than zero that a layer read, by (step, cell).

    Attributes
    ----------
    steps : int
        How often it was called.
    step, cell : int64, shape (values,)
    summed : float64, shape (values,)
        Spikes of the cell, summed with their signs; analog values.
    area : int
        Neurons of a cell: a value is ``summed / area``.
    """

    steps: int
    step: Int64
    cell: Int64
    summed: Float64
    area: int

    @property
    def value(self) -> Float64:
        """What stood in the tensor: a mean where a pool is folded."""
        return self.summed / self.area


class Activity:
    """One sample's spikes, cut into steps.

    Parameters
    ----------
    network : Network
    stimulus, run
        The sample, with its spikes recorded.
    step : int
        Ticks of a step of the run, in the step schedule; 0 in the event schedule.
    bins : int
        Ticks of a step in the event schedule; 0: all of the sample is one, for counts that are sums.

    Raises
    ------
    InvalidRequest
        An analog value that flows in for a time, and neither a step nor a bin to cut it by.
    """

    def __init__(self, network: Network, stimulus: Stimulus, run: SampleRun, step: int, bins: int) -> None:
        assert run.spikes is not None
        self._network, self._spikes = network, run.spikes
        # A step's spikes all carry the tick that it ends with.
        self._length, self._behind = step or bins, int(step > 0)
        self.steps = _steps(run, stimulus, step, bins)
        self._analog: Float64 | None = None
        if stimulus.analog is not None:
            neuron: Any = network.populations[network.input].neuron
            self._analog = stimulus.analog * (neuron.unit / neuron.analog_scale)
            for projection in network.outgoing(network.input):
                if not self._length and takes_current(network.populations[projection.target]):
                    raise InvalidRequest(
                        f"the analog input flows into {projection.target!r} as long as the sample lasts: how "
                        "often another library would read it depends on its step; give step_us (--step-us)"
                    )

    def given(self, layer: Layer) -> Given:
        """What a layer read."""
        if layer.source == self._network.input and self._analog is not None:
            return self._held(layer, self._analog)
        rank = self._network.order.index(layer.source)
        chosen = self._spikes.rank == rank
        neuron, payload = self._spikes.neuron[chosen], self._spikes.payload[chosen]
        step = np.zeros(len(neuron), dtype=np.int64)
        if self._length:
            step = (self._spikes.time[chosen] + layer.delay) // self._length - self._behind
        cell = layer.cells(self._network.populations[layer.source].shape)[neuron]
        inside = (step < self.steps) & (cell >= 0)
        key, place = np.unique(step[inside] * layer.size + cell[inside], return_inverse=True)
        summed: Float64 = np.bincount(place, weights=payload[inside], minlength=len(key)).astype(np.float64)
        return self._without_zeros(layer, key, summed)

    def _held(self, layer: Layer, analog: Float64) -> Given:
        """An image that stands still: read in every step by currents, in the first one by charges."""
        cell = layer.cells(self._network.populations[layer.source].shape)
        image = np.zeros(layer.size)
        np.add.at(image, cell[cell >= 0], analog[cell >= 0])
        steps = self.steps if takes_current(self._network.populations[layer.target]) else 1
        return self._without_zeros(layer, np.arange(steps * layer.size), np.tile(image, steps))

    def _without_zeros(self, layer: Layer, key: Int64, summed: Float64) -> Given:
        key, summed = key[summed != 0], summed[summed != 0]
        return Given(self.steps, *np.divmod(key, layer.size), summed, layer.area)


def _steps(run: SampleRun, stimulus: Stimulus, step: int, bins: int) -> int:
    """How often a library would have called its layers up to the decision."""
    played = int(run.counters[:, COLUMN["steps"]].sum())
    if step:
        return played or run.decision_time // step
    if not bins:
        return 1
    if run.decided_early:
        return run.decision_time // bins + 1
    assert run.spikes is not None
    last = int(run.spikes.time.max(initial=0)) // bins + 1
    return max(number_of_steps(stimulus, bins), last)
