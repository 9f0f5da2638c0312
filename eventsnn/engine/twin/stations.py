"""The stations of the SimPy twin's accelerator: serialisers, links and cores, in both schedules.

The reference engine says what happens to a message at each event; here each station is a process that takes
jobs from a store, holds them for their service time, and waits for what it needs. A slot of a bounded queue
is a unit of a SimPy resource, which a message requests from the station before it and gives back when its
service begins.

The order of law 2 is SimPy's own: its heap sorts by (time, priority, push), and the priority of a model
event is the rest of its ``EventKey`` as one integer. All lie above SimPy's priorities 0 and 1, so the
bookkeeping of processes, stores and resources at a tick is over before the tick's next model event.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import simpy
from numpy.typing import NDArray
from simpy.events import NORMAL, EventPriority, ProcessGenerator

from eventsnn.engine.order import ARRIVAL, LANDING, SENT, EventKey
from eventsnn.engine.reference.parts import Destination
from eventsnn.engine.seeds import (
    PURPOSE_BUS,
    PURPOSE_DECODE,
    PURPOSE_HOP_X,
    PURPOSE_HOP_Y,
    PURPOSE_SERIALISE,
    PURPOSE_SYNAPSE,
    draw,
)
from eventsnn.engine.service import DELIVERED, PASSED, SERIALISED
from eventsnn.hardware import Chip

# Bits of an EventKey's fields after the time in a priority; a neuron is stored plus one.
_BITS = EventKey(time=0, rank=32, kind=1, neuron=32, ordinal=64, destination=32, stage=16)
END_OF_TICK = EventPriority(1 << (sum(_BITS) + 1))
AFTER_TICK = EventPriority(END_OF_TICK + 1)


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


@dataclass(eq=False)
class Message:
    """One copy of a spike; ``key`` holds its tick of emission.

    ``legs``: the stations that it has still to go to, and the ticks that each link takes for it, or the way
    into a core; ``gone``: how many it has gone. ``slot``: its claim on a bounded queue.
    """

    key: EventKey
    payload: int
    to: Destination
    legs: deque[tuple[Station, int]]
    gone: int = 0
    ticks: int = 0  # of the leg that it is on
    slot: Any = None
    served: Any = None  # an event, of steps
    tested: ClassVar[int] = 0

    @property
    def words(self) -> tuple[int, int, int, int]:
        """What the log names it by, and its random times are keyed by."""
        return self.key[1], *self.key[3:6]

    @property
    def synapses(self) -> int:
        """How many synapses it is served by."""
        return len(self.to.edges[self.key.neuron])


@dataclass(eq=False)
class Station:
    """A serialiser, a link or a core: what waits, slots if few may, what is being served.

    ``waits_for`` is the station that its message waits for, ``row`` what the log will say of the job held.
    """

    kind: int
    number: int
    queue: simpy.Store
    slots: simpy.PriorityResource | None
    unsent: int = 0  # of a core: messages that its serialiser has not taken
    stirred: simpy.Event | None = None  # of a core: something came, or was taken
    waits_for: Station | None = None
    row: tuple[int, ...] | None = None


class Stations:
    """The stations of an accelerator, at work in an environment, and the messages at them.

    ``service`` is the log. Steps have an environment each: ``free`` (by kind and number) is when stations
    were free again.
    """

    def __init__(self, chip: Chip, key: int, service: list[tuple[int, ...]]) -> None:
        self.chip, self.architecture, self.key, self.service = chip, chip.architecture, key, service
        self.numbers = sorted({part.core for parts in chip.mapping.parts.values() for part in parts})
        self.free: dict[tuple[int, int], int] = defaultdict(int)

    def open(self, env: simpy.Environment) -> None:
        """Let all stations work in an environment; links do from their first message on."""
        self.env = env
        self.serialisers = {core: self._station(SERIALISED, core, None) for core in self.numbers}
        self.cores: dict[int, Station] = {}
        self.links: dict[int, Station] = {}
        for core in self.numbers:
            costs = self.chip.core(core)
            depth = costs.input_depth if costs.policy == "block" else None
            self.cores[core] = self._station(DELIVERED, core, depth)

    def _station(self, kind: int, number: int, depth: int | None) -> Station:
        slots = None if depth is None else simpy.PriorityResource(self.env, depth)
        station = Station(kind, number, simpy.Store(self.env), slots)
        self.env.process(self.work(station))
        return station

    def _link(self, number: int) -> Station:
        if number not in self.links:
            depth = self.architecture.network_on_chip.link_depth
            self.links[number] = self._station(PASSED, number, depth)
        return self.links[number]

    @property
    def clock(self) -> int:
        """SimPy's time, ticks."""
        return int(self.env.now)

    def until(self, tick: int) -> simpy.Event:
        """Over at a tick, or at once if that has passed."""
        return self.env.timeout(max(0, tick - self.clock))

    # -- what the schedules say ----------------------------------------------------------------------

    def turn(self, _: simpy.Event) -> None:
        """A message's turn has come."""

    def land(self, message: Message) -> None:
        """What comes of a message that its core has served."""
        raise NotImplementedError

    # -- times and routes ----------------------------------------------------------------------------

    def _drawn(self, table: NDArray[np.int64], purpose: int, key: EventKey, hop: int = 0) -> int:
        """The time of one action of a message."""
        return int(table[draw(self.key, purpose, key[1], *key[3:6], hop) % len(table)])

    def message(self, key: EventKey, payload: int, source: int, to: Destination, delay: int = 0) -> Message:
        """A message at a core, with its route: hops along x, then along y, over a link each if they queue."""
        chip, target = self.chip, to.part.core
        hops_x, hops_y = self.architecture.hops(source, target)
        times = [self._drawn(chip.hop_x, PURPOSE_HOP_X, key, hop) for hop in range(hops_x)]
        times += [self._drawn(chip.hop_y, PURPOSE_HOP_Y, key, hop) for hop in range(hops_y)]
        if self.architecture.network_on_chip.topology == "bus":
            times = [self._drawn(chip.bus, PURPOSE_BUS, key)]
        links = [self._link(number) for number in self.architecture.route(source, target)]
        last = self.cores[target], delay + (0 if links else sum(times))
        return Message(key, payload, to, deque([*zip(links, times, strict=False), last]))

    def service_time(self, message: Message) -> int:
        """How long a core is busy with a message."""
        part, key = message.to.part, message.key
        costs = self.chip.core(part.core)
        cycle = self._drawn(self.chip.synapse(part.population, part.core), PURPOSE_SYNAPSE, key)
        cycles = -(-message.synapses // costs.processing_elements)
        if message.to.at_once and self.architecture.synchronisation.kind == "none":
            cycle += costs.update
        return self._drawn(costs.decode, PURPOSE_DECODE, key) + cycles * cycle

    def _busy(self, station: Station, message: Message) -> int:
        if station.kind == SERIALISED:
            return self._drawn(self.chip.core(station.number).serialise, PURPOSE_SERIALISE, message.key)
        return message.ticks if station.kind == PASSED else self.service_time(message)

    # -- work ----------------------------------------------------------------------------------------

    def work(self, station: Station) -> ProcessGenerator:
        """Messages are served one by one."""
        yield self.until(self.free[station.kind, station.number])
        while True:
            arrival, message = yield station.queue.get()
            yield from self.serve(station, message, arrival)

    def serve(self, station: Station, message: Message, arrival: int) -> ProcessGenerator:
        """Serve a message, then let it land, or hold it until it may leave."""
        if message.slot is not None and station.slots is not None:
            station.slots.release(message.slot)
            message.slot = None
        yield self.hold(station, message, arrival)
        if station.kind == DELIVERED:
            self.release(station)
            self.land(message)
        else:
            yield from self._pass_on(station, message)

    def hold(self, station: Station, message: Message, arrival: int) -> Planned:
        """The service of a message; over at its turn in the order of law 2."""
        ticks = self._busy(station, message)
        times = arrival, self.clock, self.clock + ticks
        station.row = (station.kind, station.number, *message.words, *times)
        return self.plan(message, ticks, LANDING if station.kind == DELIVERED else SENT + message.gone)

    def plan(self, message: Message, ticks: int, stage: int, *then: Callable[[simpy.Event], None]) -> Planned:
        """So many ticks from now, at the message's turn."""
        return Planned(self.env, ticks, priority(message.key._replace(stage=stage)), self.turn, *then)

    def _pass_on(self, station: Station, message: Message) -> ProcessGenerator:
        """Hold a message until the next station has room; longest blocked first, ties by law 2."""
        place, message.ticks = message.legs.popleft()
        message.gone += 1
        if place.slots is not None:
            station.waits_for = place
            turn: Any = (self.clock, priority(message.key))
            message.slot = place.slots.request(priority=turn)
            yield message.slot
            station.waits_for = None
        self.release(station)
        if place.kind == PASSED:
            place.queue.put((self.clock, message))
        else:
            self.plan(message, message.ticks, ARRIVAL, partial(self.arrive, place, message))

    def release(self, station: Station) -> None:
        """A station is rid of its job, which is logged."""
        assert station.row is not None
        self.service.append((*station.row, self.clock))
        station.row, self.free[station.kind, station.number] = None, self.clock

    def arrive(self, core: Station, message: Message, _: simpy.Event) -> None:
        """A message waits at its core."""
        core.queue.put((self.clock, message))
