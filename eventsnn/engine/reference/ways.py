"""The ways of the messages of a timestep: over links to the receiving unit of a core, and through it.

Links and receiving units serve one message at a time, first come first served. A message leaves a server when
the next place has room, else its server holds it and serves nothing meanwhile. A freed slot goes to whoever
has been blocked longest. Events go by (tick, class, key of the message, stage on its way).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.reference.walkers import Copy
from eventsnn.engine.seeds import (
    PURPOSE_BUS,
    PURPOSE_DECODE,
    PURPOSE_HOP_X,
    PURPOSE_HOP_Y,
    PURPOSE_SYNAPSE,
    draw,
)
from eventsnn.engine.service import DELIVERED, PASSED
from eventsnn.hardware import Chip

WALK, MESSAGE = 0, 1  # classes of events

Key = tuple[int, int, int, int]  # rank, neuron, ordinal, place of the copy among all
Act = Callable[[], None]


@dataclass
class Message:
    """One copy of a spike; ``way`` are the servers before it, ``link_times`` those of its links."""

    key: Key
    copy: Copy
    way: deque[Server]
    link_times: list[int]
    transit: int
    stage: int = 0

    @property
    def synapses(self) -> int:
        """How many of its neuron's synapses it serves."""
        return len(self.copy.to.edges[self.key[1]])


@dataclass
class Server:
    """A link or a receiving unit; ``coming`` messages are under way to it and have a slot of its queue."""

    kind: int
    number: int
    depth: int | None
    queue: deque[tuple[int, Message]] = field(default_factory=deque)
    coming: int = 0
    busy: bool = False
    free: int = 0
    blocked: list[tuple[int, Key, Message, Act]] = field(default_factory=list)

    def has_room(self) -> bool:
        """Whether one more message may come."""
        return self.depth is None or len(self.queue) + self.coming < self.depth


class Ways:
    """All links and receiving units of a chip, and what is to happen.

    Parameters
    ----------
    chip : Chip
    key : int
        The sample's, of random times.
    log : callable
        Takes the rows of ``SERVICE``.
    served : callable
        Told of each message when its service is over.
    """

    def __init__(
        self, chip: Chip, key: int, log: Callable[[tuple[int, ...]], None], served: Callable[[Message], None]
    ) -> None:
        self.chip, self.architecture, self.key = chip, chip.architecture, key
        self.log, self.served = log, served
        self.now = 0
        self.events: list[tuple[int, int, Key, int, Act]] = []
        self.receivers: dict[int, Server] = {}
        self.links: dict[int, Server] = {}

    def at(self, tick: int, kind: int, key: Key, stage: int, act: Act) -> None:
        """Plan an event."""
        heappush(self.events, (tick, kind, key, stage, act))

    def run(self) -> None:
        """Let everything happen that is planned."""
        while self.events:
            self.now, _, _, _, act = heappop(self.events)
            act()

    # -- times -------------------------------------------------------------------------------------------

    def drawn(self, table: NDArray[np.int64], purpose: int, key: Key, hop: int = 0) -> int:
        """The time of one action of a message."""
        return int(table[draw(self.key, purpose, *key, hop) % len(table)])

    def service_time(self, message: Message) -> int:
        """How long the receiving unit of its core is busy with a message."""
        part, synapses = message.copy.to.part, message.synapses
        costs = self.chip.core(part.core)
        cycle = self.drawn(self.chip.synapse(part.population, part.core), PURPOSE_SYNAPSE, message.key)
        cycles = -(-synapses // costs.processing_elements)
        return self.drawn(costs.decode, PURPOSE_DECODE, message.key) + cycles * cycle

    # -- a message's way ---------------------------------------------------------------------------------

    def message(self, key: Key, core: int, copy: Copy) -> Message:
        """A message with the way it will go from a core: along x, along y, to the receiving unit."""
        target = copy.to.part.core
        hops_x, hops_y = self.architecture.hops(core, target)
        times = [self.drawn(self.chip.hop_x, PURPOSE_HOP_X, key, hop) for hop in range(hops_x)]
        times += [self.drawn(self.chip.hop_y, PURPOSE_HOP_Y, key, hop) for hop in range(hops_y)]
        route = self.architecture.route(core, target)
        if self.architecture.network_on_chip.topology == "bus":
            times = [self.drawn(self.chip.bus, PURPOSE_BUS, key)]
        depth = self.architecture.network_on_chip.link_depth
        way = deque(self.links.setdefault(link, Server(PASSED, link, depth)) for link in route)
        depth = self.chip.core(target).input_depth
        way.append(self.receivers.setdefault(target, Server(DELIVERED, target, depth)))
        return Message(key, copy, way, times, 0 if route else sum(times))

    def send(self, message: Message, tick: int, leave: Act) -> None:
        """Plan that a message asks to leave its server at a tick; ``leave`` happens when it has."""
        message.stage += 1
        self.at(tick, MESSAGE, message.key, message.stage, partial(self._ask, message, leave))

    def _ask(self, message: Message, leave: Act) -> None:
        place = message.way[0]
        if place.has_room():
            self._enter(message)
            leave()
        else:
            heappush(place.blocked, (self.now, message.key, message, leave))

    def _enter(self, message: Message) -> None:
        place = message.way.popleft()
        if place.kind == PASSED:
            self._join(place, message)
            return
        place.coming += 1
        message.stage += 1
        arrive = partial(self._arrive, place, message)
        self.at(self.now + message.transit, MESSAGE, message.key, message.stage, arrive)

    def _arrive(self, place: Server, message: Message) -> None:
        place.coming -= 1
        self._join(place, message)

    def _join(self, place: Server, message: Message) -> None:
        place.queue.append((self.now, message))
        self._serve_next(place)

    def _serve_next(self, place: Server) -> None:
        """Begin the next service if the server is idle, and let in who is blocked."""
        if place.queue and not place.busy:
            joined, message = place.queue.popleft()
            place.busy, start = True, max(self.now, place.free)
            if place.kind == PASSED:
                done = start + message.link_times.pop(0)
                self.send(message, done, partial(self._leave, place, message, joined, start, done))
            else:
                done = start + self.service_time(message)
                message.stage += 1
                over = partial(self._over, place, message, joined, start)
                self.at(done, MESSAGE, message.key, message.stage, over)
        while place.blocked and place.has_room():
            _, _, message, leave = heappop(place.blocked)
            self._enter(message)
            leave()

    def _over(self, place: Server, message: Message, joined: int, start: int) -> None:
        self._leave(place, message, joined, start, self.now)
        self.served(message)

    def _leave(self, place: Server, message: Message, joined: int, start: int, done: int) -> None:
        """A server is rid of a message."""
        self.log((place.kind, place.number, *message.key, joined, start, done, self.now))
        place.busy, place.free = False, self.now
        self._serve_next(place)
