"""The SimPy twin: the accelerator once more, as processes with queues in front of them.

A second opinion on the hardware path, for tests only. The other engines compute when a message is
served; here each core and each serialiser is a process that takes jobs from a store and holds them for
their service time, each message a process that hops, and waiting is what SimPy makes of it. Neuron
arithmetic and counting are the reference engine's; time, order and queues are not.

The order of law 2 is SimPy's own: its heap sorts by (time, priority, push), and the priority of a model
event is the rest of its ``EventKey`` as one integer. All lie above SimPy's priorities 0 and 1, so the
bookkeeping of processes and stores at a tick is over before the tick's next model event.

The runs of all engines are equal if every service of a core takes at least one tick, if the
accelerator takes no time at all, and without one. A mix of services of zero and more ticks is left
open: a job of zero ticks that waited for another to end at the same tick lands after it here (first
come, first served), and by its place in law 2 in the other engines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import simpy
from simpy.core import EventPriority
from simpy.events import NORMAL, ProcessGenerator

from eventsnn.engine.contract import SampleRun, Stimulus
from eventsnn.engine.order import DELIVERY, EventKey
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.reference.event import EventSample
from eventsnn.engine.reference.state import lies_in
from eventsnn.engine.seeds import (
    PURPOSE_DECODE,
    PURPOSE_HOP_X,
    PURPOSE_HOP_Y,
    PURPOSE_SERIALISE,
    PURPOSE_SYNAPSE,
)
from eventsnn.hardware import Chip, Part
from eventsnn.network import Input, Rate, Signed

SERIALISER, SERVED, TESTED = range(3)  # contract.SERVICE_FIELDS, kind

# Bits of an EventKey's fields after the time in a priority; a neuron is stored plus one.
_BITS = EventKey(time=0, rank=32, kind=1, neuron=32, ordinal=64, destination=32)
_END_OF_TICK = EventPriority(1 << (sum(_BITS) + 1))
_AFTER_TICK = EventPriority(_END_OF_TICK + 1)


def priority(key: EventKey) -> EventPriority:
    """A model event's place within its tick as one integer above SimPy's own priorities."""
    place = 0
    for value, bits in zip(key._replace(neuron=key.neuron + 1)[1:], _BITS[1:], strict=True):
        place = (place << bits) | value
    return EventPriority(NORMAL + 1 + place)


class _Planned(simpy.Event):
    """A SimPy timeout with a priority of its own, and what to do when its turn comes."""

    def __init__(
        self, env: simpy.Environment, delay: int, place: EventPriority, *then: Callable[[simpy.Event], None]
    ) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        self.callbacks = list(then)
        env.schedule(self, place, delay)


@dataclass(frozen=True)
class _Copy:
    """One copy of a spike; ``key`` holds its tick of emission."""

    key: EventKey
    payload: int


@dataclass
class _Job:
    """What a core or a serialiser is asked to do; ``message`` as in ``SERVICE_FIELDS``."""

    kind: int
    message: tuple[int, int, int, int]  # rank, neuron, ordinal, place of the destination
    arrival: int
    service: int
    finish: Callable[[], None]
    place: EventPriority = NORMAL


class TwinEngine(ReferenceEngine):
    """The reference engine's neurons on an accelerator built from SimPy processes."""

    supports: ClassVar[frozenset[str]] = frozenset({"refractory", "leak", "source", "payload"})

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample; see ``Engine.run``."""
        self.check(stimulus)
        return TwinSample(self, stimulus, index).run()


class TwinSample(EventSample):
    """One sample's simulation.

    ``in_flight`` counts the copies emitted that have not landed, ``planned`` the model events to come.
    ``self.now`` is the tick of the last model event; SimPy's clock may be ahead of it while a core
    ends a scan that no spike came of.
    """

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int) -> None:
        super().__init__(engine, stimulus, index)
        self.env = simpy.Environment(initial_time=0)
        self.over = self.env.event()
        self.closed = self.tick_open = False
        self.planned = self.in_flight = 0
        parts = [] if self.chip is None else [p for parts in engine.parts.values() for p in parts]
        cores = sorted({part.core for part in parts})
        self.serialisers = {core: self._server(core) for core in cores}
        self.cores = {core: self._server(core) for core in cores}
        self.scanned: dict[int, list[_Copy]] = {}  # copies that leave when their core's scan ends

    @property
    def clock(self) -> int:
        """SimPy's time, ticks."""
        return int(self.env.now)

    @property
    def costs(self) -> Chip:
        """The accelerator's times."""
        assert self.chip is not None
        return self.chip

    # -- the run and its ticks -----------------------------------------------------------------------

    def run(self) -> SampleRun:
        """Let SimPy run until the model is at rest or decided."""
        self._schedule_start()
        self.env.run(until=self.over)
        # Cores and serialisers end what they hold, for the service log; nothing lands any more.
        self.closed = True
        self.env.run()
        return self._result()

    def _schedule(
        self, time: int, rank: int, kind: int, neuron: int, ordinal: int, destination: int, event: tuple
    ) -> None:
        key = EventKey(time, rank, kind, neuron, ordinal, destination)
        self.planned += 1
        _Planned(self.env, time - self.clock, priority(key), partial(self._occur, key, event))

    def _occur(self, key: EventKey, event: tuple, _: simpy.Event) -> None:
        """A model event's turn has come."""
        if self.closed:
            return
        self._open_tick()
        self.planned -= 1
        getattr(self, f"_on_{event[0]}")(key, *event[1:])

    def _open_tick(self) -> None:
        """Before the first model event of a tick: note the totals due, and plan the tick's end."""
        if not self.tick_open:
            self.tick_open, self.now = True, self.clock
            self._before_tick(self.now)
            _Planned(self.env, 0, _END_OF_TICK, self._close_tick)

    def _close_tick(self, _: simpy.Event) -> None:
        """The exit check; then the run may be over, or its settle pass due in this same tick."""
        self.tick_open = False
        undecided = self.stop_at is None
        self._end_of_tick()
        if undecided and self.stop_at is not None:
            _Planned(self.env, self.stop_at - self.now, _AFTER_TICK, self._finish)
        if self.planned == 0 and self.in_flight == 0 and not self._settle():
            self._finish()

    def _finish(self, _: simpy.Event | None = None) -> None:
        if not self.over.triggered:
            self.over.succeed()

    # -- servers: one process each for a serialiser and a core -----------------------------------------

    def _server(self, core: int) -> simpy.Store:
        queue = simpy.Store(self.env)
        self.env.process(self._serve(core, queue))
        return queue

    def _serve(self, core: int, queue: simpy.Store) -> ProcessGenerator:
        while True:
            job: _Job = yield queue.get()
            start = self.clock
            yield _Planned(self.env, job.service, job.place)
            self.service.append((job.kind, core, *job.message, job.arrival, start, self.clock, self.clock))
            job.finish()

    # -- a spike's way -----------------------------------------------------------------------------------

    def _emit(self, rank: int, j: int, payload: int, ready: int) -> None:
        """A spike leaves its neuron at this tick."""
        del ready  # here a scan ends when its core says so
        neurons = self.neurons[rank]
        is_input = isinstance(neurons.model, Input)
        ordinal = self._note_spike(rank, j, payload)
        copies = [
            _Copy(EventKey(self.now, rank, DELIVERY, j, ordinal, number), payload)
            for number, destination in enumerate(self.engine.destinations[rank])
            if j in destination.edges
        ]
        self.in_flight += len(copies)
        if self.chip is None:
            for copy in copies:
                self._arrive_in(0, copy)
            return
        core = next(
            part.core for part in self._parts(rank) if lies_in(self.neurons[rank].population, j, part)
        )
        for copy in copies:  # a message is booked with its spike, wherever it will have to wait
            for counter, amount in zip(("hops_x", "hops_y"), self._hops(core, copy), strict=True):
                self._count(rank, counter, amount)
        self._count(rank, "messages_sent", len(copies))
        if isinstance(neurons.model, Signed):
            self.scanned[core].extend(copies)
        else:
            self._begin(self._leave, core, 0 if is_input else self.costs.core(core).fire, copies)

    def _parts(self, rank: int) -> tuple[Part, ...]:
        return self.engine.parts[self.network.order[rank]]

    def _hops(self, core: int, copy: _Copy) -> tuple[int, int]:
        assert self.engine.mapping is not None
        to = self.engine.destinations[copy.key.rank][copy.key.destination]
        return self.engine.mapping.architecture.hops(core, to.part.core)

    def _begin(self, process: Callable[..., ProcessGenerator], *arguments: Any) -> None:
        self.env.process(process(*arguments))

    def _leave(self, core: int, latency: int, copies: list[_Copy]) -> ProcessGenerator:
        """Copies enter the serialiser once their spikes are formed."""
        yield self.env.timeout(latency)
        for copy in copies:
            message = self._message(copy.key)
            service = self._drawn(self.costs.core(core).serialise, PURPOSE_SERIALISE, *message)
            depart = partial(self._begin, self._travel, core, copy)
            self.serialisers[core].put(_Job(SERIALISER, message, self.clock, service, depart))

    def _travel(self, core: int, copy: _Copy) -> ProcessGenerator:
        """First along x, then along y, then what jitter adds to the way."""
        hops_x, hops_y = self._hops(core, copy)
        message = self._message(copy.key)
        for hop in range(hops_x):
            yield self.env.timeout(self._drawn(self.costs.hop_x, PURPOSE_HOP_X, *message, hop))
        for hop in range(hops_y):
            yield self.env.timeout(self._drawn(self.costs.hop_y, PURPOSE_HOP_Y, *message, hop))
        self._arrive_in(0, copy)

    def _message(self, key: EventKey) -> tuple[int, int, int, int]:
        """What a copy's random times are keyed by."""
        return key.rank, key.neuron, key.ordinal, self._place(key.rank, key.destination)

    def _arrive_in(self, ticks: int, copy: _Copy) -> None:
        to = self.engine.destinations[copy.key.rank][copy.key.destination]
        at = self.clock + ticks + to.projection.delay
        self._schedule(at, *copy.key[1:], ("arrival", copy.payload))

    def _on_arrival(self, key: EventKey, payload: int) -> None:
        """A copy lands, or joins the queue of its core."""
        land = partial(self._land, key, payload)
        if self.chip is None:
            land()
            return
        to = self.engine.destinations[key.rank][key.destination]
        costs, message = self.costs.core(to.part.core), self._message(key)
        cycle = self._drawn(self.costs.synapse(to.part.population, to.part.core), PURPOSE_SYNAPSE, *message)
        if isinstance(self.neurons[to.target].model, Rate):
            cycle += costs.update
        cycles = -(-len(to.edges[key.neuron]) // costs.processing_elements)
        service = self._drawn(costs.decode, PURPOSE_DECODE, *message) + cycles * cycle
        job = _Job(SERVED, message, self.clock, service, land, priority(key))
        self.cores[to.part.core].put(job)

    def _land(self, key: EventKey, payload: int) -> None:
        if not self.closed:
            self._open_tick()
            self.in_flight -= 1
            self._on_delivery(key, payload)

    # -- threshold tests of signed neurons -----------------------------------------------------------------

    def _occupy_cores(self, rank: int, touched: list[int]) -> dict[int, int]:
        """Queue the scans; a spike of theirs leaves when its scan ends, so the ticks returned are void."""
        for part in () if self.chip is None else self._parts(rank):
            tested = sum(lies_in(self.neurons[rank].population, j, part) for j in touched)
            if tested:
                self.scanned[part.core] = []
                costs = self.costs.core(part.core)
                end = partial(self._begin, self._leave, part.core, costs.fire, self.scanned[part.core])
                service = -(-tested // costs.processing_elements) * costs.update
                self.cores[part.core].put(_Job(TESTED, (rank, tested, 0, -1), self.clock, service, end))
        return dict.fromkeys(touched, self.now)
