"""The event schedule's messages on the twin: spikes join serialisers, scans cores, and cores may drop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import simpy
from simpy.events import ProcessGenerator

from eventsnn.engine.failures import deadlock
from eventsnn.engine.order import JOIN, EventKey
from eventsnn.engine.reference.parts import Destination
from eventsnn.engine.service import DELIVERED, DROPPED, PASSED, SERIALISED, TESTED
from eventsnn.engine.twin.stations import Message, Planned, Station, Stations, priority
from eventsnn.errors import Deadlock
from eventsnn.hardware import Chip, Part

if TYPE_CHECKING:
    from eventsnn.engine.twin.events import TwinSample


@dataclass(eq=False)
class Scan:
    """Threshold tests of part of a population, and the copies that leave when they are over."""

    key: EventKey
    tested: int
    copies: list[Message] = field(default_factory=list)

    @property
    def words(self) -> tuple[int, int, int, int]:
        """What the log names it by."""
        return self.key.rank, self.tested, 0, -1


class TwinTransport(Stations):
    """All messages of one sample; ``in_flight`` counts those that have neither landed nor been dropped."""

    def __init__(self, sample: TwinSample, chip: Chip) -> None:
        super().__init__(chip, sample.key, sample.service)
        self.sample, self.in_flight = sample, 0
        self.open(sample.env)

    def turn(self, _: simpy.Event) -> None:
        """The tick is one of the model's."""
        self.sample.open_tick()

    # -- spikes and scans come in --------------------------------------------------------------------

    def send(
        self, key: EventKey, payload: int, source: int, to: Destination, ready: int, scan: Scan | None
    ) -> None:
        """A copy enters its serialiser's queue once its spike is formed, or the scan over that found it."""
        message = self.message(key, payload, source, to, to.projection.delay)
        self.in_flight += 1
        if scan is None:
            self._join_at(ready, source, message)
        else:
            scan.copies.append(message)

    def _join_at(self, ready: int, core: int, message: Message) -> None:
        self.cores[core].unsent += 1

        def join(_: simpy.Event) -> None:
            self.serialisers[core].queue.put((self.clock, message))

        self.plan(message, ready - self.clock, JOIN, join)

    def request_scan(self, key: EventKey, part: Part, tested: int) -> Scan:
        """Queue a scan at its part's core."""
        scan = Scan(key, tested)
        self._queue(self.cores[part.core], scan)
        return scan

    def _queue(self, core: Station, job: Message | Scan) -> None:
        core.queue.put((self.clock, job))
        self._stir(core)

    # -- cores ---------------------------------------------------------------------------------------

    def _stir(self, core: Station) -> None:
        """Something came to a core, or its serialiser took a message: it may have something to begin."""
        if core.stirred is not None and not core.stirred.triggered:
            core.stirred.succeed()

    def _may_begin(self, core: Station) -> bool:
        depth = self.chip.core(core.number).output_depth
        return bool(core.queue.items) and (depth is None or core.unsent <= depth)

    def work(self, station: Station) -> ProcessGenerator:
        """Cores wait for their serialisers, too, and serve scans among messages."""
        return self._work(station) if station.kind == DELIVERED else super().work(station)

    def _work(self, core: Station) -> ProcessGenerator:
        while True:
            while not self._may_begin(core):
                core.stirred = self.env.event()
                yield core.stirred
            arrival, job = yield core.queue.get()
            serve: Callable[..., ProcessGenerator] = self._scan if job.tested else self.serve
            yield from serve(core, job, arrival)

    def serve(self, station: Station, message: Message, arrival: int) -> ProcessGenerator:
        """A core may begin another job when its serialiser has taken a message."""
        if station.kind == SERIALISED:
            self.cores[station.number].unsent -= 1
            self._stir(self.cores[station.number])
        yield from super().serve(station, message, arrival)

    def land(self, message: Message) -> None:
        """Its charge lands."""
        self.in_flight -= 1
        self.sample.count_at(message.to.part, "messages_received", 1)
        self.sample.deliver(message.to, message.key.neuron, message.payload)

    def _scan(self, core: Station, scan: Scan, arrival: int) -> ProcessGenerator:
        costs = self.chip.core(core.number)
        ticks = -(-scan.tested // costs.processing_elements) * costs.update
        core.row = (TESTED, core.number, *scan.words, arrival, self.clock, self.clock + ticks)
        yield Planned(self.env, ticks, priority(scan.key))
        self.release(core)
        for message in scan.copies:
            self._join_at(self.clock + costs.fire, core.number, message)

    def arrive(self, core: Station, message: Message, _: simpy.Event) -> None:
        """A message waits at its core, or is dropped, or another one for it."""
        costs, items = self.chip.core(core.number), core.queue.items
        waiting = [entry for entry in items if not entry[1].tested]
        full = costs.input_depth is not None and len(waiting) >= costs.input_depth
        if full and costs.policy == "drop-new":
            self._drop(core, self.clock, message)
            return
        if full and costs.policy == "drop-old":
            items.remove(waiting[0])
            self._drop(core, *waiting[0])
        self._queue(core, message)

    def _drop(self, core: Station, arrival: int, message: Message) -> None:
        self.in_flight -= 1
        self.sample.count_at(message.to.part, "messages_dropped", 1)
        self.service.append((DROPPED, core.number, *message.words, arrival, *(self.clock,) * 3))

    # -- the end -------------------------------------------------------------------------------------

    def log_unfinished(self, decision_time: int) -> None:
        """Log what is still being served or held, or waits."""
        for station in (*self.serialisers.values(), *self.links.values(), *self.cores.values()):
            if station.row is not None:
                finish = station.row[-1]
                released = finish if station.kind == DELIVERED else max(finish, decision_time)
                self.service.append((*station.row, released))
            for arrival, job in station.queue.items:
                kind = TESTED if job.tested else station.kind
                never = (decision_time + 1,) * 3
                self.service.append((kind, station.number, *job.words, arrival, *never))

    def deadlock(self) -> Deadlock:
        """SimPy has nothing left to do: follow each serialiser to the core it waits for in the end."""
        waits = {}
        for core, station in self.serialisers.items():
            chain = [station]
            while chain[-1].waits_for is not None:
                chain.append(chain[-1].waits_for)
            if len(chain) > 1:
                since = max(held.row[-1] for held in chain[:-1] if held.row is not None)
                waits[core] = (chain[-1].number, since, chain[1].number if chain[1].kind == PASSED else -1)
        return deadlock(waits, self.sample.index, self.architecture.network_on_chip)
