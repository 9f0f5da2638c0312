"""Messages on an accelerator: serialisers, links, input FIFOs and cores; blocking and dropping.

A copy of a spike is a message. It waits for its core's serialiser, then for each link of its way, then for
the destination core, and lands when that has served it. A serialiser or link that has served a message keeps
it until the next place has room, and serves nothing meanwhile; a slot that falls free goes at once to who was
blocked longest. A core begins nothing while too many messages wait for its serialiser.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eventsnn.engine.failures import deadlock
from eventsnn.engine.order import ARRIVAL, JOIN, LANDING, LINKED, SENT, TEST, EventKey
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
from eventsnn.errors import Deadlock
from eventsnn.hardware import CoreCosts, Part

if TYPE_CHECKING:
    from eventsnn.engine.reference.event import EventSample


@dataclass
class Message:
    """One copy of a spike; ``key`` holds its tick of emission, ``links`` how many links it has come to."""

    key: EventKey
    payload: int
    place: int  # of its destination among all copies
    source: int  # core
    to: Destination
    route: tuple[int, ...]
    links: int = 0

    @property
    def words(self) -> tuple[int, int, int, int]:
        """What its random times are keyed by, and the log names it by."""
        return self.key.rank, self.key.neuron, self.key.ordinal, self.place


@dataclass
class Scan:
    """Threshold tests of a part's neurons, and the spikes that leave when they are over."""

    rank: int
    number: int  # of the part among those of its population
    part: Part
    tested: int
    spikes: list[Message] = field(default_factory=list)

    @property
    def words(self) -> tuple[int, int, int, int]:
        """What the log names it by."""
        return self.rank, self.tested, 0, -1


@dataclass
class Sender:
    """A serialiser or a link: serves one message at a time and keeps it until the next place takes it."""

    kind: int
    number: int
    depth: int | None = None
    waiting: deque[tuple[int, Message]] = field(default_factory=deque)
    message: Message | None = None
    arrival: int = 0
    start: int = 0
    finish: int = 0
    awaits: Sender | Core | None = None
    blocked: list[tuple[Any, Sender]] = field(default_factory=list)  # who waits for room here, and its turn

    def has_room(self) -> bool:
        """Whether another message may come; an idle link has none waiting."""
        return self.depth is None or len(self.waiting) < self.depth


@dataclass
class Core:
    """A core that receives: jobs are messages and scans, first come first served."""

    number: int
    costs: CoreCosts
    jobs: list[tuple[int, Message | Scan]] = field(default_factory=list)
    job: Message | Scan | None = None
    arrival: int = 0
    start: int = 0
    finish: int = 0
    granted: int = 0  # messages on their way to a slot of the FIFO
    unsent: int = 0  # messages of its neurons that the serialiser has not begun with
    blocked: list[tuple[Any, Sender]] = field(default_factory=list)

    def messages(self) -> list[tuple[int, Message]]:
        """Those that wait, longest first."""
        return [(arrival, job) for arrival, job in self.jobs if isinstance(job, Message)]

    def is_full(self) -> bool:
        """Whether as many messages wait as may."""
        return self.costs.input_depth is not None and len(self.messages()) >= self.costs.input_depth

    def has_room(self) -> bool:
        """Whether a message may be sent here."""
        if self.costs.policy != "block" or self.costs.input_depth is None:
            return True
        return len(self.messages()) + self.granted < self.costs.input_depth

    def is_stalled(self) -> bool:
        """Whether too many messages wait for the serialiser to begin another job."""
        return self.costs.output_depth is not None and self.unsent > self.costs.output_depth


class Transport:
    """All messages of one sample on their accelerator.

    ``in_flight`` counts those emitted that have neither landed nor been dropped.
    """

    def __init__(self, sample: EventSample) -> None:
        assert sample.chip is not None
        self.sample, self.chip = sample, sample.chip
        self.architecture = self.chip.architecture
        numbers = {part.core for parts in sample.engine.parts.values() for part in parts}
        self.cores = {number: Core(number, self.chip.core(number)) for number in sorted(numbers)}
        self.serialisers = {number: Sender(SERIALISED, number) for number in sorted(numbers)}
        self.links: dict[int, Sender] = {}
        self.in_flight = 0

    @property
    def now(self) -> int:
        """The tick of the event at hand."""
        return self.sample.now

    def _plan(self, time: int, message: Message, stage: int, *event: Any) -> None:
        key = message.key._replace(time=time, stage=stage)
        self.sample.pending.add((key, ("move", *event)))

    def _log(self, kind: int, number: int, words: tuple[int, ...], *times: int) -> None:
        self.sample.service.append((kind, number, *words, *times))

    # -- spikes and scans come in --------------------------------------------------------------------

    def emit(self, message: Message, ready: int) -> None:
        """A spike's copy, which joins the serialiser's queue at ``ready``."""
        self.in_flight += 1
        self.cores[message.source].unsent += 1
        self._plan(ready, message, JOIN, self._join, message)

    def emit_with(self, scan: Scan, message: Message) -> None:
        """A copy of a spike that a scan found; it leaves when the scan is over."""
        self.in_flight += 1
        scan.spikes.append(message)

    def request(self, scan: Scan) -> None:
        """A scan joins the jobs of its core."""
        core = self.cores[scan.part.core]
        core.jobs.append((self.now, scan))
        self._begin(core)

    def _join(self, message: Message) -> None:
        serialiser = self.serialisers[message.source]
        serialiser.waiting.append((self.now, message))
        self._serve_next(serialiser)

    # -- serialisers and links -----------------------------------------------------------------------

    def _serve_next(self, server: Sender) -> None:
        """Begin with the next message, if idle and there is one."""
        if server.message is not None or not server.waiting:
            return
        server.arrival, message = server.waiting.popleft()
        server.message, server.start = message, self.now
        server.finish = self.now + self._time(server, message)
        stage = SENT if server.kind == SERIALISED else LINKED + message.links - 1
        self._plan(server.finish, message, stage, self._done, server, message)
        if server.kind == SERIALISED:
            self.cores[server.number].unsent -= 1
            self._begin(self.cores[server.number])
        else:
            self._grant(server)

    def _time(self, server: Sender, message: Message) -> int:
        drawn, words = self.sample.drawn, message.words
        if server.kind == SERIALISED:
            return drawn(self.chip.core(server.number).serialise, PURPOSE_SERIALISE, *words)
        if self.architecture.network_on_chip.topology == "bus":
            return drawn(self.chip.bus, PURPOSE_BUS, *words)
        hops_x, _ = self.architecture.hops(message.source, message.to.part.core)
        hop = message.links - 1
        if hop < hops_x:
            return drawn(self.chip.hop_x, PURPOSE_HOP_X, *words, hop)
        return drawn(self.chip.hop_y, PURPOSE_HOP_Y, *words, hop - hops_x)

    def _transit(self, message: Message) -> int:
        """The time of all hops where links do not queue."""
        hops_x, hops_y = self.architecture.hops(message.source, message.to.part.core)
        drawn, words = self.sample.drawn, message.words
        return sum(drawn(self.chip.hop_x, PURPOSE_HOP_X, *words, hop) for hop in range(hops_x)) + sum(
            drawn(self.chip.hop_y, PURPOSE_HOP_Y, *words, hop) for hop in range(hops_y)
        )

    def _done(self, server: Sender, message: Message) -> None:
        """A server is done with a message: it leaves if there is room for it, else its server is blocked."""
        place = self._next_place(message)
        if place.has_room():
            self._leave(server, message, place)
            return
        turn = self.sample.place(message.key._replace(time=self.now, stage=0))
        server.awaits = place
        place.blocked.append((turn, server))

    def _next_place(self, message: Message) -> Sender | Core:
        if message.links == len(message.route):
            return self.cores[message.to.part.core]
        link = message.route[message.links]
        if link not in self.links:
            self.links[link] = Sender(PASSED, link, self.architecture.network_on_chip.link_depth)
        return self.links[link]

    def _leave(self, server: Sender, message: Message, place: Sender | Core) -> None:
        """A message goes on to its next place, and its server to its next message."""
        times = (server.arrival, server.start, server.finish, self.now)
        self._log(server.kind, server.number, message.words, *times)
        server.message = server.awaits = None
        if isinstance(place, Sender):
            message.links += 1
            place.waiting.append((self.now, message))
            self._serve_next(place)
        else:
            place.granted += 1
            transit = 0 if message.route else self._transit(message)
            arrival = self.now + transit + message.to.projection.delay
            self._plan(arrival, message, ARRIVAL, self._arrive, message)
        self._serve_next(server)

    def _grant(self, place: Sender | Core) -> None:
        """Who has been blocked longest gets a slot that has fallen free."""
        while place.blocked and place.has_room():
            first = min(place.blocked, key=lambda entry: entry[0])
            place.blocked.remove(first)
            server = first[1]
            assert server.message is not None
            self._leave(server, server.message, place)

    # -- cores -----------------------------------------------------------------------------------------

    def _arrive(self, message: Message) -> None:
        """A message reaches its core: it waits, or is or makes another one dropped."""
        core = self.cores[message.to.part.core]
        core.granted -= 1
        if core.costs.policy != "block" and core.is_full():  # an idle core that may begin has none waiting
            arrival, lost = self.now, message
            if core.costs.policy == "drop-old":
                arrival, lost = core.messages()[0]
                core.jobs = [job for job in core.jobs if job[1] is not lost]
            self.in_flight -= 1
            self.sample.count_at(lost.to.part, "messages_dropped", 1)
            self._log(DROPPED, core.number, lost.words, arrival, self.now, self.now, self.now)
            if lost is message:
                return
        core.jobs.append((self.now, message))
        self._begin(core)

    def _begin(self, core: Core) -> None:
        """Begin the next job, if idle, not stalled, and there is one."""
        if core.job is not None or not core.jobs or core.is_stalled():
            return
        core.arrival, job = core.jobs.pop(0)
        core.job, core.start = job, self.now
        if isinstance(job, Scan):
            cycles = -(-job.tested // core.costs.processing_elements)
            core.finish = self.now + cycles * core.costs.update
            key = EventKey(core.finish, job.rank, TEST, -1, 0, job.number, SENT)
            self.sample.scan_ends.add((key, ("move", self._end_scan, core, job)))
        else:
            core.finish = self.now + self._service(core, job)
            self._plan(core.finish, job, LANDING, self._land, core, job)
            self._grant(core)

    def _service(self, core: Core, message: Message) -> int:
        drawn, words, part = self.sample.drawn, message.words, message.to.part
        cycle = drawn(self.chip.synapse(part.population, core.number), PURPOSE_SYNAPSE, *words)
        if self.sample.answers_at_once(message.to.target):
            cycle += core.costs.update
        cycles = -(-len(message.to.edges[message.key.neuron]) // core.costs.processing_elements)
        return drawn(core.costs.decode, PURPOSE_DECODE, *words) + cycles * cycle

    def _finish(self, core: Core, released: int) -> None:
        job, times = core.job, (core.arrival, core.start, core.finish, released)
        if job is not None:
            self._log(TESTED if isinstance(job, Scan) else DELIVERED, core.number, job.words, *times)
        core.job = None

    def _land(self, core: Core, message: Message) -> None:
        self._finish(core, self.now)
        self.in_flight -= 1
        self.sample.count_at(message.to.part, "messages_received", 1)
        self.sample.deliver(message.to, message.key.neuron, message.payload)
        self._begin(core)

    def _end_scan(self, core: Core, scan: Scan) -> None:
        self._finish(core, self.now)
        core.unsent += len(scan.spikes)
        for message in scan.spikes:
            self._plan(self.now + core.costs.fire, message, JOIN, self._join, message)
        self._begin(core)

    # -- the end -----------------------------------------------------------------------------------------

    def log_unfinished(self, decision_time: int) -> None:
        """Log what is still being served or held, or waits, when the run is over."""
        never = (decision_time + 1,) * 3
        for server in (*self.serialisers.values(), *self.links.values()):
            for arrival, message in server.waiting:
                self._log(server.kind, server.number, message.words, arrival, *never)
            if server.message is not None:
                released = max(server.finish, decision_time)
                times = (server.arrival, server.start, server.finish, released)
                self._log(server.kind, server.number, server.message.words, *times)
        for core in self.cores.values():
            self._finish(core, core.finish)
            for arrival, job in core.jobs:
                kind = TESTED if isinstance(job, Scan) else DELIVERED
                self._log(kind, core.number, job.words, arrival, *never)

    def deadlock(self) -> Deadlock:
        """The error when nothing is pending and messages are still in flight."""
        waits = {}
        for number, server in self.serialisers.items():
            if server.awaits is None:
                continue
            since, place = server.finish, server.awaits
            link = place.number if isinstance(place, Sender) else -1
            while isinstance(place, Sender):
                assert place.awaits is not None
                since, place = max(since, place.finish), place.awaits
            waits[number] = (place.number, since, link)
        return deadlock(waits, self.sample.index, self.architecture.network_on_chip)
