"""What any engine takes and gives: a stimulus in, one sample's run out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide import ExitRule, check_rule
from eventsnn.decide.requirements import Setting, require_followable
from eventsnn.engine.request import FEATURES, check_request, needed_features, stimulus_features
from eventsnn.engine.stimulus import (
    TICKS_PER_MICROSECOND,
    Stimulus,
    check_stimulus,
    stimulus_from_events,
)
from eventsnn.errors import InvalidRequest, NotYetSupported
from eventsnn.hardware import Mapping
from eventsnn.network import Network
from eventsnn.network.decision import LARGEST_WEIGHT, decision_weights, weights_of_neurons
from eventsnn.network.rest import in_state

Int64 = NDArray[np.int64]
__all__ = [
    "TICKS_PER_MICROSECOND",
    "Engine",
    "History",
    "RunOptions",
    "SampleRun",
    "SpikeList",
    "Stimulus",
    "Trace",
    "output_scale",
    "output_weights",
    "stimulus_from_events",
]


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
        ``event``: a threshold is tested at each delivery; ``step``: once per timestep, layer by layer
        (``eventsnn.engine.request`` says what a step is).
    step : int
        Ticks of a timestep in the step schedule; 0 takes the one period of the network's neurons.
    ties : str
        ``ordered``: simultaneous events of a population go by neuron index; ``seeded``: by a hash of
        (seed, sample, time, population, neuron).
    history_period : int
        Ticks between the rows of ``SampleRun.history``; 0 keeps none. On an accelerator in steps they are
        ticks of its own time, and a step counts once it is over there.
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

    def __post_init__(self) -> None:
        if self.exit_rule is not None:
            check_rule(self.exit_rule)
        for name, allowed in (("schedule", ("event", "step")), ("ties", ("ordered", "seeded"))):
            if getattr(self, name) not in allowed:
                raise InvalidRequest(
                    f"{name} is {getattr(self, name)!r}; allowed are {', '.join(map(repr, allowed))}"
                )
        for name in ("step", "history_period"):
            if not 0 <= getattr(self, name) < 2**62:
                raise InvalidRequest(f"{name} is {getattr(self, name)} ticks; allowed are 0 to 2^62")


@dataclass(frozen=True)
class Trace:
    """The readout and the totals at every check, in time order.

    Attributes
    ----------
    time : int64 ticks, shape (checks,)
    readout : int64, shape (checks, classes)
        Charge in quanta (readout populations) or spike counts, as they are: decisions weigh them first where
        the output's units differ (``output_weights``).
    synaptic_operations, spikes, energy : int64, shape (checks,)
        Totals at ``time`` plus the decision unit's latency; energy is dynamic, in attojoules, without that
        of the decision unit.
    input_events : int64, shape (checks,)
        Events of the input so far, those of that tick or step included.
    """

    time: Int64
    readout: Int64
    synaptic_operations: Int64
    spikes: Int64
    energy: Int64
    input_events: Int64


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
        As ``SampleRun.counters``, everything at or before ``time`` included: of steps on an accelerator
        those that were over there.
    readout : int64, shape (rows, classes)
    """

    time: Int64
    counters: Int64
    readout: Int64


@dataclass(frozen=True)
class SampleRun:
    """Everything one sample gave.

    ``counters`` has shape (ranks, counters) in the columns of ``counting.COUNTERS``;
    ``prediction`` is -1 when undecided; times are ticks since the sample's start. ``counts`` are the
    emitted spikes of each neuron by population (signed neurons, max gates: initial count and summed
    payloads), ``charge`` what was left, ``lost`` what was removed by cause (hard_reset, clamp, leak,
    refractory), all int64 of shape (neurons,). ``parts`` has shape (parts, counters), the parts in the order
    of ``network.order`` and of ``mapping.parts``; None without an accelerator. It holds what is counted at a
    core or on the way from it: ``PART_COUNTERS``, which add up to the population's; in steps these are the
    spikes and the counters of hardware.
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
    service: NDArray[Any] | None = field(default=None, repr=False)
    history: History | None = field(default=None, repr=False)
    parts: Int64 | None = field(default=None, repr=False)


def output_scale(network: Network) -> float:
    """Logit per unit of the readout: per quantum of a readout, per count of a firing population.

    Spikes of a spiking softmax are draws from its probabilities; one is taken as one logit. Where the
    decision weighs its channels it is the logit per unit of a weighed readout.
    """
    population = network.populations[network.output]
    neuron = population.neuron
    if neuron.drawn:
        return 1.0
    units = np.atleast_1d(neuron.unit)
    if decision_weights(population) is not None:
        return float(units.max()) / LARGEST_WEIGHT
    return float(units[0])


def output_weights(network: Network) -> Int64 | None:
    """What a count of each output neuron weighs in the decision, shape (classes,); None: all the same."""
    return weights_of_neurons(network.populations[network.output])


class Engine(ABC):
    """Runs samples of one network, ideal or on an accelerator. Holds no state between samples.

    ``supports`` names what an engine can do beyond the basics (``request.FEATURES``); it refuses a request
    that needs more. ``step`` is the length of a timestep in ticks, 0 in the event schedule.

    Raises
    ------
    InvalidRequest
        The network cannot run as the options say.
    NotYetSupported
        This engine cannot do it.
    """

    supports: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        self.network = network
        self.mapping = mapping
        self.options = options or RunOptions()
        self.step = check_request(network, self.options.schedule, self.options.step, mapping)
        options = self.options
        needed = needed_features(network, mapping, options.schedule, options.ties, options.history_period)
        self._refuse_unsupported(needed)
        self._require_followable(events=True)

    def _require_followable(self, events: bool) -> None:
        rule = self.options.exit_rule
        if rule is not None:
            spikes = self.network.populations[self.network.output].neuron.emits != "nothing"
            weighs = output_weights(self.network) is not None
            require_followable(rule, Setting(spikes, weighs, self.step > 0, events=events))

    def _refuse_unsupported(self, needed: set[str]) -> None:
        lacking = sorted(FEATURES[name] for name in needed - self.supports)
        if lacking:
            raise NotYetSupported(
                f"the {type(self).__name__} does not support {', '.join(lacking)}; use engine='reference'"
            )

    def check(self, stimulus: Stimulus) -> None:
        """Refuse a stimulus that is not for this network or engine; every run starts with it."""
        check_stimulus(stimulus, self.network)
        self._refuse_unsupported(stimulus_features(stimulus))
        self._require_followable(events=stimulus.analog is None)

    def begin_at(self, charge: dict[str, Int64], counts: dict[str, Int64]) -> Engine:
        """An engine whose samples begin with a settled state: that of a run that has come to rest.

        It may be this one, changed; only what is returned is to be used. Signed neurons, exact max gates not
        behind the input, and readouts without currents keep such a state (``network.rest``).

        Parameters
        ----------
        charge, counts
            As of ``SampleRun``.
        """
        network = self.network
        populations = in_state(network, charge, counts)
        begun = Network(populations, list(network.projections.values()), network.metadata)
        return type(self)(begun, self.mapping, self.options)

    @abstractmethod
    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample.

        Raises
        ------
        InvalidEvents, InvalidRequest, NotYetSupported
            The stimulus is not one this engine can run on this network.
        ChargeOverflow, EventLimitReached
        """
