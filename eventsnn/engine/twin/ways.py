"""The ways of messages on the SimPy twin's accelerator, in the step schedule.

Each link and each receiving unit is a process that takes messages from a store. A slot of a bounded queue is
a unit of a SimPy resource, which a message requests from the server before it and gives back when its service
begins there. Of the events of one tick, messages go by (rank, neuron, ordinal, destination), after all
bookkeeping, as in ``twin``.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray
from simpy.events import ProcessGenerator

from eventsnn import hardware
from eventsnn.counting.counters import COLUMN, COUNTERS
from eventsnn.engine.order import DELIVERY, EventKey
from eventsnn.engine.reference.state import Destination, lies_in, make_destinations
from eventsnn.engine.seeds import (
    PURPOSE_BUS,
    PURPOSE_DECODE,
    PURPOSE_HOP_X,
    PURPOSE_HOP_Y,
    PURPOSE_SYNAPSE,
    draw,
)
from eventsnn.engine.service import DELIVERED, PASSED
from eventsnn.engine.twin.events import Planned, priority
from eventsnn.network import Network


@dataclass(eq=False)
class Copy:
    """Where spikes of a population are sent; ``late``: steps until their charge is used.

    ``services`` are those asked for in this step, ``last`` when the last walk or service of it was over, and
    ``heard`` the same of each step that is over.
    """

    place: int
    to: Destination
    late: int
    senders: list[Part]
    receiver: Part
    services: list[simpy.Event] = field(default_factory=list)
    last: int = 0
    heard: list[int] = field(default_factory=list)


@dataclass(eq=False)
class Part:
    """A part of a population; ``over`` is its walk in this step, ``walked`` when it had walked each step."""

    number: int
    rank: int
    core: int
    neurons: list[int]
    neuron: Any
    out: list[Copy] = field(default_factory=list)
    incoming: list[Copy] = field(default_factory=list)
    walked: list[int] = field(default_factory=list)
    over: Any = None


@dataclass
class Message:
    """A spike on its way through ``stations``; ``slot`` is its claim on a bounded queue."""

    key: tuple[int, int, int, int]
    copy: Copy
    stations: deque[Station]
    times: deque[int]
    served: simpy.Event
    slot: Any = None


@dataclass
class Station:
    """A link or a receiving unit: who waits, and slots if only so many may."""

    kind: int
    number: int
    queue: simpy.Store
    slots: simpy.PriorityResource | None


def make_parts(network: Network, chip: hardware.Chip, length: int) -> list[Part]:
    """The parts of all populations, by rank, and the copies between them."""
    found: dict[str, list[Part]] = {}
    by_place: dict[hardware.Part, Part] = {}
    for rank, population in enumerate(network):
        found[population.name] = []
        for place in chip.mapping.parts[population.name]:
            neurons = [j for j in range(population.size) if lies_in(population, j, place)]
            part = Part(len(by_place), rank, place.core, neurons, population.neuron)
            found[population.name].append(part)
            by_place[place] = part
    number = 0
    for name, destinations in zip(network.order, make_destinations(network, chip.mapping), strict=True):
        for to in destinations:
            late = to.projection.delay // length
            copy = Copy(number, to, late, found[name], by_place[to.part])
            number += 1
            copy.receiver.incoming.append(copy)
            for part in found[name]:
                part.out.append(copy)
    return list(by_place.values())


class TwinWays:
    """Links and receiving units of an accelerator, and messages on their way, in one step after the other.

    ``env`` and ``stations`` are those of the step at hand, ``free`` (by kind and number of a unit) is when
    each was free again. ``counters`` (int64, shape (parts, counters)) and ``service`` (rows of
    ``SERVICE``) tell what was done so far.
    """

    def __init__(self, chip: hardware.Chip, key: int, parts: int) -> None:
        self.chip, self.architecture, self.key = chip, chip.architecture, key
        self.env = simpy.Environment()
        self.stations: dict[tuple[int, int], Station] = {}
        self.free: dict[tuple[int, int], int] = defaultdict(int)
        self.counters: NDArray[np.int64] = np.zeros((parts, len(COUNTERS)), dtype=np.int64)
        self.service: list[tuple[int, ...]] = []

    @property
    def clock(self) -> int:
        """SimPy's time, ticks."""
        return int(self.env.now)

    def until(self, tick: int) -> simpy.Event:
        """Over at a tick, or at once if that has passed."""
        return self.env.timeout(max(0, tick - self.clock))

    def count(self, part: Part, counter: str, amount: int = 1) -> None:
        """Book something at a part."""
        self.counters[part.number, COLUMN[counter]] += amount

    def drawn(self, table: NDArray[np.int64], purpose: int, key: tuple[int, ...], hop: int = 0) -> int:
        """The time of one action of a message."""
        return int(table[draw(self.key, purpose, *key, hop) % len(table)])

    def turn(self, message: Message, ticks: int) -> Planned:
        """So many ticks from now, at the message's place among the events of that tick."""
        rank, neuron, ordinal, place = message.key
        return Planned(self.env, ticks, priority(EventKey(0, rank, DELIVERY, neuron, ordinal, place)))

    def message(self, part: Part, copy: Copy, key: tuple[int, int, int, int]) -> Message:
        """A message at its sender, counted, with the stations of its way and the times between them."""
        target, chip = copy.receiver.core, self.chip
        hops_x, hops_y = self.architecture.hops(part.core, target)
        on_bus = self.architecture.network_on_chip.topology == "bus"
        for name, amount in {"messages_sent": 1, "hops_x": hops_x, "hops_y": hops_y}.items():
            self.count(part, name, amount)
        self.count(part, "bus_transfers", int(on_bus))
        times = deque(self.drawn(chip.hop_x, PURPOSE_HOP_X, key, hop) for hop in range(hops_x))
        times.extend(self.drawn(chip.hop_y, PURPOSE_HOP_Y, key, hop) for hop in range(hops_y))
        if on_bus:
            times.append(self.drawn(chip.bus, PURPOSE_BUS, key))
        depth = self.architecture.network_on_chip.link_depth
        way = deque(self._station(PASSED, n, depth) for n in self.architecture.route(part.core, target))
        if not way:
            times = deque([sum(times)])
        way.append(self._station(DELIVERED, target, chip.core(target).input_depth))
        return Message(key, copy, way, times, self.env.event())

    def _station(self, kind: int, number: int, depth: int | None) -> Station:
        """A link or a receiving unit of this step, at work."""
        if (kind, number) not in self.stations:
            slots = None if depth is None else simpy.PriorityResource(self.env, depth)
            station = Station(kind, number, simpy.Store(self.env), slots)
            self.stations[kind, number] = station
            self.env.process(self._serve(station))
        return self.stations[kind, number]

    def _serve(self, station: Station) -> ProcessGenerator:
        """Messages of a step one by one, those of the step before being over."""
        yield self.until(self.free[station.kind, station.number])
        while True:
            joined, message = yield station.queue.get()
            if station.slots is not None:
                station.slots.release(message.slot)
            start, is_link = self.clock, station.kind == PASSED
            yield self.turn(message, message.times.popleft() if is_link else self.service_time(message))
            done = self.clock
            if is_link:
                yield from self.pass_on(message)
            else:
                self.note_served(message)
            self.free[station.kind, station.number] = self.clock
            self.service.append((station.kind, station.number, *message.key, joined, start, done, self.clock))

    def pass_on(self, message: Message) -> ProcessGenerator:
        """Hold a message until the next station has room; longest blocked first, then by law 2."""
        station = message.stations.popleft()
        if station.slots is not None:
            place: Any = (self.clock, message.key)
            message.slot = station.slots.request(priority=place)
            yield message.slot
        if station.kind == PASSED:
            station.queue.put((self.clock, message))
            return
        arrival = self.turn(message, message.times.popleft() if message.times else 0)
        assert arrival.callbacks is not None
        arrival.callbacks.append(partial(self._arrive, station, message))

    def _arrive(self, station: Station, message: Message, _: simpy.Event) -> None:
        station.queue.put((self.clock, message))

    def service_time(self, message: Message) -> int:
        """How long its receiving unit is busy with a message."""
        part = message.copy.to.part
        costs, synapse = self.chip.core(part.core), self.chip.synapse(part.population, part.core)
        cycles = -(-self._synapses(message) // costs.processing_elements)
        cycle = self.drawn(synapse, PURPOSE_SYNAPSE, message.key)
        return self.drawn(costs.decode, PURPOSE_DECODE, message.key) + cycles * cycle

    def _synapses(self, message: Message) -> int:
        return len(message.copy.to.edges[message.key[1]])

    def note_served(self, message: Message) -> None:
        """A message's service is over at this tick."""
        self.count(message.copy.receiver, "messages_received")
        self.count(message.copy.receiver, "synapses_served", self._synapses(message))
        message.copy.last = self.clock
        message.served.succeed()
