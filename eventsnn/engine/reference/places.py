"""Serialisers, links and cores: places that serve messages one at a time, in both schedules.

A copy of a spike on an accelerator is a message. It goes its route leg by leg, from its core's serialiser
over each link into the destination core, and lands when that has served it. A serialiser or link that has
served a message keeps it until the next place has room, and serves nothing meanwhile; a slot that falls free
goes at once to who was blocked longest, at one tick by law 2.

The event schedule has spikes join their serialiser's queue, scans among the messages of a core, and cores
that drop (``transport``). In steps a serialiser serves next what its core's scan comes to (``chip_steps``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
from eventsnn.engine.service import DELIVERED, PASSED, SERIALISED, TESTED
from eventsnn.hardware import Chip


class Leg(NamedTuple):
    """A step of a route: the ticks that a link takes for the message, or the way into a core."""

    to: Place
    ticks: int


@dataclass(eq=False)
class Message:
    """One copy of a spike; ``key`` holds its tick of emission, ``gone`` how many legs it has gone."""

    key: EventKey
    payload: int
    to: Destination
    source: Place  # the serialiser
    route: list[Leg]
    gone: int = 0
    tested: ClassVar[int] = 0

    @property
    def words(self) -> tuple[int, int, int, int]:
        """What the log names it by, and its random times are keyed by."""
        return self.key.rank, self.key.neuron, self.key.ordinal, self.key.destination

    @property
    def synapses(self) -> int:
        """How many synapses it is served by."""
        return len(self.to.edges[self.key.neuron])


@dataclass(eq=False)
class Scan:
    """Threshold tests of a part's neurons, and the spikes that leave when they are over."""

    key: EventKey
    tested: int
    spikes: list[Message] = field(default_factory=list)

    @property
    def words(self) -> tuple[int, int, int, int]:
        """What the log names it by."""
        return self.key.rank, self.tested, 0, -1


@dataclass(eq=False)
class Place:
    """A serialiser, link or core; ``kind`` is what it does to messages. Its jobs are served as they came.

    A serialiser or link keeps what it has served until there is room at ``awaits``. ``blocked``: the places
    that wait for room here, and their turns.
    """

    kind: int
    number: int
    depth: float = inf  # messages that may wait here
    policy: str = "block"
    output_depth: float = inf  # messages that may wait for the serialiser of a core that begins a job
    waiting: deque[tuple[int, Any]] = field(default_factory=deque)
    served: Message | Scan | None = None
    arrival: int = 0
    start: int = 0
    finish: int = 0
    free: int = 0  # since when
    granted: int = 0  # messages on their way to a slot
    unsent: int = 0  # messages of a core that its serialiser has not begun with
    awaits: Place | None = None
    blocked: list[tuple[Any, Place]] = field(default_factory=list)

    def messages(self) -> list[tuple[int, Any]]:
        """Those that wait, longest first; scans are none."""
        return [entry for entry in self.waiting if not entry[1].tested]

    def has_room(self) -> bool:
        """Whether a message may leave for here."""
        bounded = self.policy == "block" and self.depth < inf
        return not bounded or len(self.messages()) + self.granted < self.depth

    def does(self, job: Message | Scan) -> int:
        """What it does to a job, as the log calls it."""
        return TESTED if job.tested else self.kind


class Places:
    """All places of an accelerator during one sample, and the messages at them.

    A schedule says which tick it is ``now``, plans events, and is told of each message that lands. ``key`` is
    the sample's, of random times; ``order`` gives what a key is sorted by; ``service`` is the log, rows of
    ``SERVICE``.
    """

    def __init__(
        self, chip: Chip, key: int, order: Callable[[EventKey], Any], service: list[tuple[int, ...]]
    ) -> None:
        self.chip, self.architecture, self.key = chip, chip.architecture, key
        self.order, self.service = order, service
        self.steps = self.architecture.synchronisation.kind != "none"
        self.cores: dict[int, Place] = {}
        self.serialisers: dict[int, Place] = {}
        self.links: dict[int, Place] = {}
        for number in sorted({part.core for parts in chip.mapping.parts.values() for part in parts}):
            costs = chip.core(number)
            depths = _depth(costs.input_depth), _depth(costs.output_depth)
            self.cores[number] = Place(DELIVERED, number, depths[0], costs.policy, depths[1])
            self.serialisers[number] = Place(SERIALISED, number)

    # -- what the schedules say ----------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The tick of the event at hand."""
        raise NotImplementedError

    def plan(self, key: EventKey, act: Callable[[], None]) -> None:
        """Let something happen at an event's turn."""
        raise NotImplementedError

    def land(self, message: Message) -> None:
        """What comes of a message that its core has served."""
        raise NotImplementedError

    # -- times and routes ----------------------------------------------------------------------------

    def _drawn(self, table: NDArray[np.int64], purpose: int, key: EventKey, hop: int = 0) -> int:
        """The time of one action of a message."""
        words = key.rank, key.neuron, key.ordinal, key.destination
        return int(table[draw(self.key, purpose, *words, hop) % len(table)])

    def service_time(self, message: Message) -> int:
        """How long a core is busy with a message."""
        part, key = message.to.part, message.key
        costs = self.chip.core(part.core)
        cycles = -(-message.synapses // costs.processing_elements)
        cycle = self._drawn(self.chip.synapse(part.population, part.core), PURPOSE_SYNAPSE, key)
        if message.to.at_once and not self.steps:  # tested in the same pass; in steps a scan tests
            cycle += costs.update
        return self._drawn(costs.decode, PURPOSE_DECODE, key) + cycles * cycle

    def ticks(self, place: Place, message: Message) -> int:
        """How long a place is busy with a message."""
        if place.kind == SERIALISED:
            return self._drawn(self.chip.core(place.number).serialise, PURPOSE_SERIALISE, message.key)
        if place.kind == PASSED:
            return message.route[message.gone - 1].ticks
        return self.service_time(message)

    def message(self, key: EventKey, payload: int, source: int, to: Destination, delay: int = 0) -> Message:
        """A message and its route from a core: along x, along y, into its core after a delay."""
        target, chip = to.part.core, self.chip
        hops_x, hops_y = self.architecture.hops(source, target)
        ticks = [self._drawn(chip.hop_x, PURPOSE_HOP_X, key, hop) for hop in range(hops_x)]
        ticks += [self._drawn(chip.hop_y, PURPOSE_HOP_Y, key, hop) for hop in range(hops_y)]
        if self.architecture.network_on_chip.topology == "bus":
            ticks = [self._drawn(chip.bus, PURPOSE_BUS, key)]
        links = self.architecture.route(source, target)
        if not links:  # all hops are one leg
            ticks, delay = [], delay + sum(ticks)
        legs = [Leg(self._link(link), time) for link, time in zip(links, ticks, strict=True)]
        return Message(key, payload, to, self.serialisers[source], [*legs, Leg(self.cores[target], delay)])

    def _link(self, number: int) -> Place:
        depth = _depth(self.architecture.network_on_chip.link_depth)
        return self.links.setdefault(number, Place(PASSED, number, depth))

    # -- from place to place -------------------------------------------------------------------------

    def plan_of(self, message: Message, time: int, stage: int, act: Callable[[], None]) -> None:
        """Plan what comes next for a message."""
        self.plan(message.key._replace(time=time, stage=stage), act)

    def join(self, place: Place, job: Message | Scan) -> None:
        """A message, or a scan, waits at a place."""
        place.waiting.append((self.now, job))
        self.serve_next(place)

    def serve_next(self, place: Place) -> None:
        """Begin the next job, if the place is idle, not stalled by its serialiser, and there is one."""
        if place.served is None and place.waiting and place.unsent <= place.output_depth:
            place.arrival, job = place.waiting.popleft()
            self.begin(place, job)

    def begin(self, place: Place, job: Any) -> None:
        """A place begins to serve a message."""
        self.serve(place, job, max(self.now, place.free))
        if place.kind == SERIALISED:
            core = self.cores[place.number]
            core.unsent -= 1
            self.serve_next(core)
        while place.blocked and place.has_room():
            self._leave(heappop(place.blocked)[1])

    def serve(self, place: Place, message: Message, start: int) -> None:
        """A place serves a message from a tick on."""
        place.served, place.start, place.finish = message, start, start + self.ticks(place, message)
        if place.kind == DELIVERED:
            self.plan_of(message, place.finish, LANDING, partial(self._land, place, message))
        else:
            self.plan_of(message, place.finish, SENT + message.gone, partial(self._done, place, message))

    def _done(self, place: Place, message: Message) -> None:
        """A serialiser or link is done with a message: it leaves if there is room for it, else it is held."""
        ahead = message.route[message.gone].to
        if ahead.has_room():
            self._leave(place)
        else:
            place.awaits = ahead
            turn = self.order(message.key._replace(time=self.now, stage=0))
            heappush(ahead.blocked, (turn, place))

    def _leave(self, place: Place) -> None:
        """A message goes on to its next place, and its place to its next message."""
        message = self.release(place)
        leg = message.route[message.gone]
        message.gone += 1
        if leg.to.kind == PASSED:
            self.join(leg.to, message)
        else:
            leg.to.granted += 1
            self.plan_of(message, self.now + leg.ticks, ARRIVAL, partial(self.arrive, leg.to, message))
        self.serve_next(place)

    def arrive(self, core: Place, message: Message) -> None:
        """A message reaches its core."""
        core.granted -= 1
        self.join(core, message)

    def _land(self, core: Place, message: Message) -> None:
        self.release(core)
        self.land(message)
        self.serve_next(core)

    def release(self, place: Place) -> Any:
        """A place is rid of its job, which is logged and returned."""
        job = place.served
        assert job is not None
        self.log(place.does(job), place, job, place.arrival, place.start, place.finish, self.now)
        place.served, place.awaits, place.free = None, None, self.now
        return job

    def log(self, kind: int, place: Place, job: Message | Scan, *times: int) -> None:
        """Note what a place did: arrival, start, finish and release of a job."""
        self.service.append((kind, place.number, *job.words, *times))


def _depth(depth: int | None) -> float:
    return inf if depth is None else depth
