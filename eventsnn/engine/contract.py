"""What any engine takes and gives: a stimulus in, one sample's run out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide import ExitRule
from eventsnn.errors import InvalidEvents
from eventsnn.hardware import Mapping
from eventsnn.network import Network, Readout

TICKS_PER_MICROSECOND = 10**6
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Stimulus:
    """The input of one sample: spikes, analog values, or both.

    Parameters
    ----------
    time : int64 array, shape (events,)
        Ticks since the sample's start, sorted by (time, neuron).
    neuron : int64 array, shape (events,)
        Index into the input population.
    payload : int64 array, shape (events,), or None
        What each spike carries; None is +1 each. A graded payload costs a multiplication per target.
    analog : int64 array, shape (input neurons,), or None
        A value held from time 0 to the end of the input, in parts of ``Input.analog_scale``. Rate neurons
        and readouts with a period take the weighted sum as a constant current (law 3), signed neurons and
        readouts without one as a charge at time 0. The sum is computed once and counted as multiplications.
    duration : int or None
        Tick at which the input ends: currents flow until then. None is the tick of the last event.
    """

    time: Int64
    neuron: Int64
    payload: Int64 | None = None
    analog: Int64 | None = None
    duration: int | None = None

    @property
    def first(self) -> int:
        """Tick of the first event; 0 when an analog value is there from the start."""
        return 0 if self.analog is not None or not len(self.time) else int(self.time[0])

    @property
    def end(self) -> int:
        """Tick at which the input ends: currents flow until then."""
        last = int(self.time[-1]) if len(self.time) else 0
        return last if self.duration is None else max(last, self.duration)


def stimulus_from_events(events: NDArray, network: Network, where: str = "recording") -> Stimulus:
    """Address events as input spikes.

    Parameters
    ----------
    events : structured array with fields t (us), x, y, p
        Shape (events,), non-decreasing in t.
    network : Network
        Its input population has shape (height, width, 2), polarity ON = channel 1, or
        (height, width, 1), polarities merged.

    Raises
    ------
    InvalidEvents
        No events, events outside the input population, time going backwards or negative.
    """
    from eventsnn.events import validate_events

    height, width, channels = network.populations[network.input].shape
    if channels not in (1, 2):
        raise InvalidEvents(
            f"{where}: the network's input has {channels} channels; event streams need 2 (OFF, ON) or 1"
        )
    validate_events(events, height, width, where)
    if len(events) == 0:
        raise InvalidEvents(f"{where}: there are no events; a sample needs at least one")
    pixel = events["y"].astype(np.int64) * width + events["x"].astype(np.int64)
    neuron = pixel * 2 + events["p"].astype(np.int64) if channels == 2 else pixel
    time = events["t"].astype(np.int64) * TICKS_PER_MICROSECOND
    order = np.lexsort((neuron, time))
    return Stimulus(time[order], neuron[order])


@dataclass(frozen=True)
class RunOptions:
    """How a sample is run; nothing here but the exit rule and the seed can change a result.

    Parameters
    ----------
    exit_rule : ExitRule or None
        Checked at the end of each tick in which the readout changed, from the first input event on.
    seed : int
        For jitter draws; keyed with the sample index.
    max_events : int
        Deliveries after which the sample ends with ``EventLimitReached``.
    record_spikes : bool
        Keep every spike in ``SampleRun.spikes``.
    record_service : bool
        Keep what each core did when in ``SampleRun.service`` (with an accelerator only).
    schedule : str
        ``event``: a threshold is tested at each delivery; ``step``: once per timestep, layer by layer.
    step : int
        Ticks of a timestep in the step schedule; 0 takes the bias period of the network's rate neurons.
    ties : str
        ``ordered``: simultaneous events of a population go by neuron index; ``seeded``: by a hash of
        (seed, sample, time, population, neuron).
    history_period : int
        Ticks between the rows of ``SampleRun.history``; 0 keeps none.
    """

    exit_rule: ExitRule | None = None
    seed: int = 0
    max_events: int = 10**9
    record_spikes: bool = False
    record_service: bool = False
    schedule: str = "event"
    step: int = 0
    ties: str = "ordered"
    history_period: int = 0


@dataclass(frozen=True)
class Trace:
    """The readout and the totals at every check, in time order.

    Attributes
    ----------
    time : int64 ticks, shape (checks,)
    readout : int64, shape (checks, classes)
        Charge in quanta (readout populations) or spike counts.
    synaptic_operations, spikes, energy : int64, shape (checks,)
        Totals at ``time`` plus the decision unit's latency; energy is dynamic, in attojoules.
    """

    time: Int64
    readout: Int64
    synaptic_operations: Int64
    spikes: Int64
    energy: Int64


@dataclass(frozen=True)
class SpikeList:
    """Spikes in the order of law 2: time (ticks), rank, neuron, payload, all int64."""

    time: Int64
    rank: Int64
    neuron: Int64
    payload: Int64


@dataclass(frozen=True)
class History:
    """Counters over time: what had been counted at the end of each multiple of ``history_period``.

    Attributes
    ----------
    time : int64 ticks, shape (rows,)
        Multiples of the period, from one period on, the last one at or after the decision.
    counters : int64, shape (rows, ranks, counters)
        As ``SampleRun.counters``, everything at or before ``time`` included.
    readout : int64, shape (rows, classes)
    """

    time: Int64
    counters: Int64
    readout: Int64


SERVICE_FIELDS = np.dtype(
    [
        ("kind", "<i8"),  # 0 serialiser, 1 delivery, 2 threshold tests
        ("core", "<i8"),
        ("rank", "<i8"),  # population that emitted the message, or that is tested
        ("neuron", "<i8"),  # emitting neuron, or how many were tested
        ("arrival", "<i8"),
        ("start", "<i8"),
        ("finish", "<i8"),
    ]
)


@dataclass(frozen=True)
class SampleRun:
    """Everything one sample gave.

    ``counters`` has shape (ranks, counters) in the columns of ``results.counters.COUNTERS``;
    ``prediction`` is -1 when undecided; times are ticks since the sample's start. ``counts`` are the
    emitted spikes of each neuron by population (signed: initial count and summed payloads), ``charge``
    what was left, ``lost`` what was removed by cause, all int64 of shape (neurons,).
    """

    index: int
    prediction: int
    decision_time: int
    decided_early: bool
    first_event: int
    counters: Int64
    digest: str
    trace: Trace
    counts: dict[str, Int64] = field(repr=False)
    charge: dict[str, Int64] = field(repr=False)
    lost: dict[str, dict[str, Int64]] = field(repr=False)
    spikes: SpikeList | None = field(default=None, repr=False)
    service: NDArray | None = field(default=None, repr=False)
    history: History | None = field(default=None, repr=False)


def output_scale(network: Network) -> float:
    """Logit per unit of the readout: per quantum of a readout, per count of a firing population."""
    neuron = network.populations[network.output].neuron
    return float(neuron.unit if isinstance(neuron, Readout) else np.atleast_1d(neuron.unit)[0])


class Engine(ABC):
    """Runs samples of one network, ideal or on an accelerator. Holds no state between samples."""

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        self.network = network
        self.mapping = mapping
        self.options = options or RunOptions()

    @abstractmethod
    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample.

        Raises
        ------
        ChargeOverflow, EventLimitReached
        """
