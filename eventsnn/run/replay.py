"""A network that goes on from where it was: one stream of events, replayed interval by interval.

At the end of each interval the network comes to rest, as if no time passed: its state is then that of the
events it has received and not forgotten, whatever the intervals (design, law 9), and the next interval begins
with it. To forget an event is to receive it once more with the opposite sign.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting import COLUMN
from eventsnn.decide import decision, weighed
from eventsnn.engine import Engine, SampleRun, Stimulus
from eventsnn.engine.contract import output_weights
from eventsnn.errors import InvalidRequest
from eventsnn.network import Network

Int64 = NDArray[np.int64]
NOTHING: Int64 = np.zeros(0, dtype=np.int64)
NO_EVENT = -1
"""The time of the deciding event, where none decided."""


def require_rest(network: Network) -> None:
    """Refuse a network of which no settled state can be carried on.

    Raises
    ------
    InvalidRequest
    """
    if network.cycles:
        raise InvalidRequest(
            f"a stream goes on from a network at rest, and the projections form a cycle through "
            f"{', '.join(sorted(network.cycles))}, which may never come to it"
        )
    for population in network:
        neuron = population.neuron
        if not neuron.comes_to_rest(biased=neuron.current_period > 0):
            raise InvalidRequest(
                f"a stream goes on from a network at rest, and population {population.name!r} of "
                f"{neuron.kind} neurons never comes to it; convert the network with neuron='signed' "
                "(--neuron signed)"
            )
        gates = not neuron.holds_charge and not neuron.is_input
        if gates and network.incoming(population.name)[0].source == network.input:
            raise InvalidRequest(
                f"a stream cannot go on with max gates right behind the input (population "
                f"{population.name!r}): what they have received is no part of a state at rest"
            )


@dataclass
class Interval:
    """What happened up to a decision; times are ticks of the stream.

    Attributes
    ----------
    input_events, forgotten_events : int
        Events received, and received once more with the opposite sign.
    resets : int
    host_ns : int
        Nanoseconds that simulating took, carrying the state on included; reading and sorting events is not.
    counters : int64, shape (ranks, counters)
    digests : list of str
        Of the runs that were made.
    """

    counters: Int64
    input_events: int = 0
    forgotten_events: int = 0
    resets: int = 0
    host_ns: int = 0
    digests: list[str] = field(default_factory=list)

    def total(self, *names: str) -> int:
        """Sum of counters over all populations."""
        return sum(int(self.counters[:, COLUMN[name]].sum()) for name in names)


class Replay:
    """The state of a stream; ``advance`` moves it on.

    Parameters
    ----------
    engine : Engine
        Of a network that ``require_rest`` lets pass, without an accelerator, in the event schedule.
    window : int or None
        Ticks for which an event counts: one of tick t has been forgotten once tick t + window is over.
    reset_after : int or None
        Ticks without an event after which the network begins anew.

    Attributes
    ----------
    at_rest : SampleRun
        The last run: what it ended with is the state of the network.
    readout : list of int
        Charges or counts of the output, as they are.
    prediction : int
        -1 where all are zero.
    since, event : int
        Tick since which the decision has stood, and that of the event that made it so (an arrival, or one
        that was forgotten then); ``NO_EVENT`` where none did.
    """

    def __init__(self, engine: Engine, window: int | None, reset_after: int | None) -> None:
        self._engine, self._window, self._reset_after = engine, window, reset_after
        self.network = engine.network
        self._weights = output_weights(engine.network)
        self._last: int | None = None
        self._held_time = self._held_neuron = NOTHING
        self._runs = 0
        # What biases say is settled once: streams and resets begin with that.
        self._rest = engine.run(Stimulus(NOTHING, NOTHING, duration=0))
        self.start_counters = self._rest.counters
        self.start_operations = int(self._rest.counters[:, COLUMN["synaptic_operations"]].sum())
        self._begin(0)

    @property
    def held_events(self) -> int:
        """Events that count at present; all since the start or the last reset, where none is forgotten."""
        return len(self._held_time) if self._window is not None else self._received

    def _begin(self, now: int) -> None:
        self._engine = self._engine.begin_at(self._rest.charge, self._rest.counts)
        self._held_time = self._held_neuron = NOTHING
        self._last, self._received = None, 0
        self.since, self.event = now, NO_EVENT
        self._read(self._rest)

    def _read(self, run: SampleRun) -> None:
        self.at_rest = run
        output = self.network.output
        only_read = self.network.populations[output].neuron.only_read
        self.readout = (run.charge if only_read else run.counts)[output].tolist()
        self.prediction = decision(weighed(self.readout, self._weights))

    def advance(self, time: Int64, neuron: Int64, until: int) -> Interval:
        """Receive all events up to and including a tick.

        Parameters
        ----------
        time, neuron : int64, shape (events,)
            After the tick of the call before, non-decreasing; indices into the input population.
        """
        found = Interval(np.zeros_like(self.start_counters))
        begin = 0
        while (silence := self._silence(time, begin, until)) is not None:
            stop, now = silence
            self._receive(time[begin:stop], neuron[begin:stop], now, found)
            self._begin(now)
            found.resets += 1
            begin = stop
        self._receive(time[begin:], neuron[begin:], until, found)
        return found

    def _silence(self, time: Int64, begin: int, until: int) -> tuple[int, int] | None:
        """How many events come before the first silence that ends by ``until``, and when it ends."""
        if self._reset_after is None:
            return None
        before = [] if self._last is None else [self._last]
        known = np.concatenate([np.array(before, dtype=np.int64), time[begin:]])
        if not len(known):
            return None
        long = np.flatnonzero(np.diff(known, append=2**62) > self._reset_after)
        last = int(long[0])
        ends = int(known[last]) + self._reset_after
        return None if ends > until else (begin + last + 1 - len(before), ends)

    def _receive(self, time: Int64, neuron: Int64, until: int, found: Interval) -> None:
        if len(time):
            self._last = int(time[-1])
        self._received += len(time)
        found.input_events += len(time)
        gone_time = gone_neuron = NOTHING
        if self._window is not None:
            held_time = np.concatenate([self._held_time, time])
            held_neuron = np.concatenate([self._held_neuron, neuron])
            gone = int(np.searchsorted(held_time, until - self._window, side="right"))
            gone_time, gone_neuron = held_time[:gone] + self._window, held_neuron[:gone]
            self._held_time, self._held_neuron = held_time[gone:], held_neuron[gone:]
            found.forgotten_events += gone
        if len(time) + len(gone_time):
            self._run(_joined(time, neuron, gone_time, gone_neuron), found)

    def _run(self, stimulus: Stimulus, found: Interval) -> None:
        before = perf_counter_ns()
        run = self._engine.run(stimulus, self._runs)
        self._engine = self._engine.begin_at(run.charge, run.counts)
        found.host_ns += perf_counter_ns() - before
        self._runs += 1
        found.counters += run.counters
        found.digests.append(run.digest)
        was = self.prediction
        self._read(run)
        self._date(was, run, stimulus)

    def _date(self, was: int, run: SampleRun, stimulus: Stimulus) -> None:
        """When the decision came to be what it is, and by which event."""
        weights = 1 if self._weights is None else self._weights
        readout = run.trace.readout * weights
        winners = np.where(readout.any(axis=1), readout.argmax(axis=1), -1)
        other = np.flatnonzero(np.concatenate([[was], winners]) != self.prediction)
        if not len(other):
            return  # it has stood all the time
        # A settle pass may be the last word, after the last check.
        later = int(other[-1])
        self.since = int(run.trace.time[later] if later < len(winners) else run.decision_time)
        cause = int(np.searchsorted(stimulus.time, self.since, side="right")) - 1
        self.event = int(stimulus.time[max(cause, 0)])


def _joined(time: Int64, neuron: Int64, gone_time: Int64, gone_neuron: Int64) -> Stimulus:
    """Arrivals, and what is forgotten with the opposite sign, sorted by (time, neuron), arrivals first."""
    payload = np.ones(len(time) + len(gone_time), dtype=np.int64)
    payload[len(time) :] = -1
    all_time, all_neuron = np.concatenate([time, gone_time]), np.concatenate([neuron, gone_neuron])
    order = np.lexsort((-payload, all_neuron, all_time))
    return Stimulus(all_time[order], all_neuron[order], payload[order] if len(gone_time) else None)
