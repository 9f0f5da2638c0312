"""The SimPy twin: the accelerator once more, as processes with queues in front of them.

A second opinion on the hardware path, for tests only. The other engines say what happens to a message at
each event; here each serialiser, link and core is a process that takes jobs from a store, holds them for
their service time, and waits for what it needs. A slot of a bounded FIFO is a unit of a SimPy resource, which
a message requests from its last sender and gives back when its service begins. Neuron arithmetic and
counting are the reference engine's; time, order and queues are not.

The order of law 2 is SimPy's own: its heap sorts by (time, priority, push), and the priority of a model
event is the rest of its ``EventKey`` as one integer. All lie above SimPy's priorities 0 and 1, so the
bookkeeping of processes, stores and resources at a tick is over before the tick's next model event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import simpy
from simpy.events import NORMAL, EventPriority, ProcessGenerator

from eventsnn.engine.contract import SampleRun, Stimulus
from eventsnn.engine.failures import deadlock
from eventsnn.engine.order import ARRIVAL, DELIVERY, JOIN, LANDING, LINKED, SENT, TEST, EventKey
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.reference.event import EventSample
from eventsnn.engine.reference.state import Destination
from eventsnn.engine.seeds import (
    PURPOSE_BUS,
    PURPOSE_DECODE,
    PURPOSE_HOP_X,
    PURPOSE_HOP_Y,
    PURPOSE_SERIALISE,
    PURPOSE_SYNAPSE,
)
from eventsnn.engine.service import DELIVERED, DROPPED, PASSED, SERIALISED, TESTED
from eventsnn.hardware import Chip

# Bits of an EventKey's fields after the time in a priority; a neuron is stored plus one.
_BITS = EventKey(time=0, rank=32, kind=1, neuron=32, ordinal=64, destination=32, stage=16)
_END_OF_TICK = EventPriority(1 << (sum(_BITS) + 1))
_AFTER_TICK = EventPriority(_END_OF_TICK + 1)


def priority(key: EventKey) -> EventPriority:
    """A model event's place within its tick as one integer above SimPy's own priorities."""
    place = 0
    for value, bits in zip(key._replace(neuron=key.neuron + 1)[1:], _BITS[1:], strict=True):
        place = (place << bits) | value
    return EventPriority(NORMAL + 1 + place)


class Planned(simpy.Event):
    """A SimPy timeout with a priority of its own, and what to do when its turn comes."""

    def __init__(
        self, env: simpy.Environment, delay: int, place: EventPriority, *then: Callable[[simpy.Event], None]
    ) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        self.callbacks = list(then)
        env.schedule(self, place, delay)


@dataclass
class _Copy:
    """One copy of a spike; ``key`` holds its tick of emission, ``slot`` its claim on a bounded FIFO."""

    key: EventKey
    payload: int
    to: Destination
    core: int
    message: tuple[int, int, int, int]  # rank, neuron, ordinal, place of the destination
    slot: simpy.Event | None = None


@dataclass
class _Scan:
    """Threshold tests of part of a population, and the copies that leave when they are over."""

    key: EventKey
    tested: int
    copies: list[_Copy] = field(default_factory=list)

    @property
    def message(self) -> tuple[int, int, int, int]:
        """What the log names it by."""
        return self.key.rank, self.tested, 0, -1


@dataclass
class _Station:
    """A serialiser, a link or the inlet of a core: what waits, slots if few may, what is being served.

    ``waits_for`` is the station that its message waits for, ``row`` what the log will say of the job held.
    """

    kind: int
    number: int
    queue: simpy.Store
    slots: simpy.PriorityResource | None = None
    unsent: int = 0  # of a core: messages that its serialiser has not taken
    stirred: simpy.Event | None = None  # of a core: something came, or was taken
    waits_for: _Station | None = None
    row: tuple[int, ...] | None = None


class TwinEngine(ReferenceEngine):
    """The reference engine's neurons on an accelerator built from SimPy processes."""

    supports: ClassVar[frozenset[str]] = frozenset(
        {
            "refractory",
            "leak",
            "source",
            "payload",
            "max_gate",
            "cycle",
            "output",
            "links",
            "bounded",
            "shared",
        }
    )

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample; see ``Engine.run``."""
        self.check(stimulus)
        return TwinSample(self, stimulus, index).run()


class TwinSample(EventSample):
    """One sample's simulation.

    ``in_flight`` counts the messages emitted that have neither landed nor been dropped, ``planned`` the model
    events to come that are no step of a message. ``self.now`` is the tick of the last model event; SimPy's
    clock may be ahead of it while a core ends a scan that no spike came of.
    """

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int) -> None:
        super().__init__(engine, stimulus, index)
        self.env = simpy.Environment(initial_time=0)
        self.over = self.env.event()
        self.tick_open = False
        self.planned = self.in_flight = 0
        self.crossings: set[tuple[int, int]] = set()  # neurons whose next crossing is planned
        cores = sorted({part.core for part in self.parts}) if self.chip else []
        self.serialisers = {core: self._station(SERIALISED, core, None) for core in cores}
        self.cores = {core: self._inlet(core) for core in cores}
        self.links: dict[int, _Station] = {}
        for core in cores:
            self.env.process(self._serialise(self.serialisers[core]))
            self.env.process(self._work(self.cores[core]))

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
        self._finish_at_rest()
        while not self.over.triggered:
            if self.env.peek() == float("inf"):
                raise self._deadlock()
            self.env.step()
        self._log_unfinished(self.now if self.stop_at is None else self.stop_at)
        return self._result()

    def _log_unfinished(self, decision_time: int) -> None:
        """Log what is still being served or held, or waits."""
        for station in (*self.serialisers.values(), *self.links.values(), *self.cores.values()):
            if station.row is not None:
                held = station.kind in (SERIALISED, PASSED)
                finish = station.row[-1]
                self.service.append((*station.row, max(finish, decision_time) if held else finish))
            for arrival, job, *_ in station.queue.items:
                kind = TESTED if isinstance(job, _Scan) else station.kind
                times = (arrival, *(decision_time + 1,) * 3)
                self.service.append((kind, station.number, *job.message, *times))

    def _schedule(
        self,
        time: int,
        rank: int,
        kind: int,
        neuron: int,
        ordinal: int,
        destination: int,
        event: tuple[Any, ...],
    ) -> None:
        key = EventKey(time, rank, kind, neuron, ordinal, destination)
        self.planned += 1
        if event[0] == "crossing":
            self.crossings.add((rank, neuron))
        self._plan(key, partial(self._occur, key, event))

    def _schedule_crossing(self, rank: int, j: int) -> None:
        """Schedule the next crossing of a neuron; the one before, if it is still to come, is void."""
        if (rank, j) in self.crossings:
            self.crossings.remove((rank, j))
            self.planned -= 1
        super()._schedule_crossing(rank, j)

    def _plan(self, key: EventKey, then: Callable[..., None]) -> Planned:
        return Planned(self.env, key.time - self.clock, priority(key), then)

    def _occur(self, key: EventKey, event: tuple[Any, ...], _: simpy.Event) -> None:
        """A model event's turn has come."""
        if self._is_superseded(key, event):
            return
        self.planned -= 1
        if event[0] == "crossing":
            self.crossings.remove((key.rank, key.neuron))
        self._open_tick()
        getattr(self, f"_on_{event[0]}")(key, *event[1:])

    def _open_tick(self) -> None:
        """Before the first model event of a tick: note the totals due, and plan the tick's end."""
        if not self.tick_open:
            self.tick_open, self.now = True, self.clock
            self._before_tick(self.now)
            Planned(self.env, 0, _END_OF_TICK, self._close_tick)

    def _close_tick(self, _: simpy.Event) -> None:
        """The exit check; then the run may be over, or its settle pass due in this same tick."""
        self.tick_open = False
        undecided = self.stop_at is None
        self._end_of_tick()
        if undecided and self.stop_at is not None:
            Planned(self.env, self.stop_at - self.now, _AFTER_TICK, self._finish)
        self._finish_at_rest()

    def _finish_at_rest(self) -> None:
        if self.planned == 0 and self.in_flight == 0 and not self._settle() and self.stop_at is None:
            self._finish()

    def _finish(self, _: simpy.Event | None = None) -> None:
        if not self.over.triggered:
            self.over.succeed()

    def _deadlock(self) -> Exception:
        """SimPy has nothing left to do: follow each serialiser to the core it waits for in the end."""
        waits = {}
        for core, station in self.serialisers.items():
            chain = [station]
            while chain[-1].waits_for is not None:
                chain.append(chain[-1].waits_for)
            if len(chain) > 1:
                since = max(held.row[-1] for held in chain[:-1] if held.row is not None)
                waits[core] = (chain[-1].number, since, chain[1].number if chain[1].kind == PASSED else -1)
        return deadlock(waits, self.index, self.costs.architecture.network_on_chip)

    # -- stations ----------------------------------------------------------------------------------------

    def _station(self, kind: int, number: int, depth: int | None) -> _Station:
        slots = None if depth is None else simpy.PriorityResource(self.env, depth)
        return _Station(kind, number, simpy.Store(self.env), slots)

    def _inlet(self, core: int) -> _Station:
        costs = self.costs.core(core)
        return self._station(DELIVERED, core, costs.input_depth if costs.policy == "block" else None)

    def _link(self, number: int) -> _Station:
        if number not in self.links:
            depth = self.costs.architecture.network_on_chip.link_depth
            self.links[number] = self._station(PASSED, number, depth)
            self.env.process(self._transmit(self.links[number]))
        return self.links[number]

    def _hold(self, station: _Station, copy: _Copy, arrival: int, ticks: int, stage: int) -> Planned:
        """Serve a copy; over at its turn in the order of law 2."""
        end = self.clock + ticks
        station.row = (station.kind, station.number, *copy.message, arrival, self.clock, end)
        return self._plan(copy.key._replace(time=end, stage=stage), self._model_event)

    def _model_event(self, _: simpy.Event) -> None:
        """An event of a copy: the tick is one of the model's."""
        self._open_tick()

    def _claim(self, station: _Station, place: _Station, copy: _Copy) -> ProcessGenerator:
        """Hold a copy until there is room for it in a place; longest blocked first, ties by law 2."""
        if place.slots is not None:
            station.waits_for = place
            turn: Any = (self.clock, priority(copy.key))
            copy.slot = place.slots.request(priority=turn)
            yield copy.slot
            station.waits_for = None
        assert station.row is not None
        self.service.append((*station.row, self.clock))
        station.row = None

    def _give_back(self, place: _Station, slot: Any) -> None:
        if slot is not None and place.slots is not None:
            place.slots.release(slot)

    def _serialise(self, station: _Station) -> ProcessGenerator:
        """Messages of a core leave one by one."""
        core = station.number
        while True:
            arrival, copy = yield station.queue.get()
            self.cores[core].unsent -= 1
            self._stir(self.cores[core])
            ticks = self.drawn(self.costs.core(core).serialise, PURPOSE_SERIALISE, *copy.message)
            yield self._hold(station, copy, arrival, ticks, SENT)
            yield from self._pass_on(station, copy, 0)

    def _transmit(self, station: _Station) -> ProcessGenerator:
        """Messages cross a link one by one."""
        while True:
            arrival, copy, number = yield station.queue.get()
            self._give_back(station, copy.slot)
            copy.slot = None
            ticks = self._crossing_time(copy, number)
            yield self._hold(station, copy, arrival, ticks, LINKED + number)
            yield from self._pass_on(station, copy, number + 1)

    def _pass_on(self, station: _Station, copy: _Copy, number: int) -> ProcessGenerator:
        """To link ``number`` of the copy's way, or to its core."""
        architecture = self.costs.architecture
        route = architecture.route(copy.core, copy.to.part.core)
        if number < len(route):
            link = self._link(route[number])
            yield from self._claim(station, link, copy)
            link.queue.put((self.clock, copy, number))
            return
        yield from self._claim(station, self.cores[copy.to.part.core], copy)
        arrival = self.clock + copy.to.projection.delay
        if not route:
            for purpose, table, hops in self._hops(copy):
                arrival += sum(self.drawn(table, purpose, *copy.message, hop) for hop in range(hops))
        self._plan(copy.key._replace(time=arrival, stage=ARRIVAL), partial(self._arrive, copy))

    def _hops(self, copy: _Copy) -> list[tuple[int, Any, int]]:
        """Purpose, times and number of the hops of a copy, first along x, then along y."""
        hops_x, hops_y = self.costs.architecture.hops(copy.core, copy.to.part.core)
        return [(PURPOSE_HOP_X, self.costs.hop_x, hops_x), (PURPOSE_HOP_Y, self.costs.hop_y, hops_y)]

    def _crossing_time(self, copy: _Copy, number: int) -> int:
        if self.costs.architecture.network_on_chip.topology == "bus":
            return self.drawn(self.costs.bus, PURPOSE_BUS, *copy.message)
        ways = [(purpose, table, hop) for purpose, table, n in self._hops(copy) for hop in range(n)]
        purpose, table, hop = ways[number]
        return self.drawn(table, purpose, *copy.message, hop)

    # -- cores -------------------------------------------------------------------------------------------

    def _stir(self, core: _Station) -> None:
        """Something came to a core, or its serialiser took a message: it may have something to begin."""
        if core.stirred is not None and not core.stirred.triggered:
            core.stirred.succeed()

    def _may_begin(self, core: _Station) -> bool:
        depth = self.costs.core(core.number).output_depth
        return bool(core.queue.items) and (depth is None or core.unsent <= depth)

    def _work(self, core: _Station) -> ProcessGenerator:
        """Messages are served and scans are made, first come first served."""
        while True:
            while not self._may_begin(core):
                core.stirred = self.env.event()
                yield core.stirred
            arrival, job = yield core.queue.get()
            if isinstance(job, _Scan):
                yield from self._scan(core, arrival, job)
                continue
            self._give_back(core, job.slot)
            yield self._hold(core, job, arrival, self._service_time(job), LANDING)
            assert core.row is not None
            self.service.append((*core.row, self.clock))
            core.row = None
            self.in_flight -= 1
            self.count_at(job.to.part, "messages_received", 1)
            self.deliver(job.to, job.key.neuron, job.payload)

    def _service_time(self, copy: _Copy) -> int:
        part, to = copy.to.part, copy.to
        costs = self.costs.core(part.core)
        cycle = self.drawn(self.costs.synapse(part.population, part.core), PURPOSE_SYNAPSE, *copy.message)
        if self.answers_at_once(to.target):
            cycle += costs.update
        cycles = -(-len(to.edges[copy.key.neuron]) // costs.processing_elements)
        return self.drawn(costs.decode, PURPOSE_DECODE, *copy.message) + cycles * cycle

    def _scan(self, core: _Station, arrival: int, scan: _Scan) -> ProcessGenerator:
        costs = self.costs.core(core.number)
        end = self.clock + -(-scan.tested // costs.processing_elements) * costs.update
        core.row = (TESTED, core.number, *scan.message, arrival, self.clock, end)
        yield Planned(self.env, end - self.clock, priority(scan.key))
        self.service.append((*core.row, self.clock))
        core.row = None
        core.unsent += len(scan.copies)
        for copy in scan.copies:
            self._join_at(self.clock + costs.fire, copy)

    def _arrive(self, copy: _Copy, _: simpy.Event) -> None:
        """A copy reaches its core, and waits or is dropped, or another one for it."""
        self._open_tick()
        core = self.cores[copy.to.part.core]
        costs, items = self.costs.core(core.number), core.queue.items
        waiting = [job for job in items if isinstance(job[1], _Copy)]
        full = costs.input_depth is not None and len(waiting) >= costs.input_depth
        if full and costs.policy == "drop-new":
            self._drop(core, self.clock, copy)
            return
        if full and costs.policy == "drop-old":
            items.remove(waiting[0])
            self._drop(core, *waiting[0])
        core.queue.put((self.clock, copy))
        self._stir(core)

    def _drop(self, core: _Station, arrival: int, copy: _Copy) -> None:
        self.in_flight -= 1
        self.count_at(copy.to.part, "messages_dropped", 1)
        times = (arrival, self.clock, self.clock, self.clock)
        self.service.append((DROPPED, core.number, *copy.message, *times))

    # -- spikes and scans come in --------------------------------------------------------------------------

    def _emit(self, rank: int, j: int, payload: int, ready: int, scan: _Scan | None = None) -> None:
        """A spike leaves its neuron at this tick."""
        ordinal = self._note_spike(rank, j, payload)
        core = self.engine.part_of[rank][j].core
        for number, to in enumerate(self.engine.destinations[rank]):
            if j not in to.edges:
                continue
            key = EventKey(self.now, rank, DELIVERY, j, ordinal, number)
            if self.chip is None:
                arrival = self.now + to.projection.delay
                self._schedule(arrival, *key[1:6], ("delivery", payload))
                continue
            self._route(rank, j, to)
            place = self._place(rank, number)
            copy = _Copy(key, payload, to, core, (rank, j, ordinal, place))
            self.in_flight += 1
            if scan is not None:
                scan.copies.append(copy)
                continue
            self.cores[core].unsent += 1
            self._join_at(ready, copy)

    def _join_at(self, ready: int, copy: _Copy) -> None:
        """A copy enters the serialiser's queue once its spike is formed."""
        queue = self.serialisers[copy.core].queue

        def join(_: simpy.Event) -> None:
            self._open_tick()
            queue.put((self.clock, copy))

        self._plan(copy.key._replace(time=ready, stage=JOIN), join)

    def _request_scans(self, rank: int, touched: list[int]) -> dict[int, Any]:
        """Queue the scans; a spike of theirs leaves when its scan ends."""
        scans: dict[int, _Scan] = {}
        parts = () if self.chip is None else self.engine.parts[self.network.order[rank]]
        for number, part in enumerate(parts):
            mine = [j for j in touched if self.engine.part_of[rank][j] == part]
            if mine:
                scan = _Scan(EventKey(self.now, rank, TEST, -1, 0, number, SENT), len(mine))
                self.cores[part.core].queue.put((self.clock, scan))
                self._stir(self.cores[part.core])
                scans.update(dict.fromkeys(mine, scan))
        return scans
