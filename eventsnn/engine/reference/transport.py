"""The event schedule's messages: spikes join serialisers, scans cores, and cores may drop.

A core begins nothing while too many messages wait for its serialiser.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from eventsnn.engine.failures import deadlock
from eventsnn.engine.order import JOIN, EventKey
from eventsnn.engine.reference.parts import Destination
from eventsnn.engine.reference.places import Message, Place, Places, Scan
from eventsnn.engine.service import DELIVERED, DROPPED, PASSED
from eventsnn.errors import Deadlock
from eventsnn.hardware import Chip, Part

if TYPE_CHECKING:
    from eventsnn.engine.reference.event import EventSample


class Transport(Places):
    """All messages of one sample; ``in_flight`` counts those that have neither landed nor been dropped."""

    def __init__(self, sample: EventSample, chip: Chip) -> None:
        super().__init__(chip, sample.key, sample.place, sample.service)
        self.sample, self.in_flight = sample, 0

    @property
    def now(self) -> int:
        """The tick of the event at hand."""
        return self.sample.now

    def plan(self, key: EventKey, act: Callable[[], None]) -> None:
        """A message's next event is one among the model's."""
        self.sample.pending.add((key, ("move", act)))

    # -- spikes and scans come in --------------------------------------------------------------------

    def send(
        self, key: EventKey, payload: int, source: int, to: Destination, ready: int, scan: Scan | None
    ) -> None:
        """A spike's copy goes when it is ready, or when the scan that found it is over."""
        message = self.message(key, payload, source, to, to.projection.delay)
        self.in_flight += 1
        if scan is None:
            self._emit(message, ready)
        else:
            scan.spikes.append(message)

    def request_scan(self, key: EventKey, part: Part, tested: int) -> Scan:
        """A scan joins the jobs of its part's core."""
        scan = Scan(key, tested)
        self.join(self.cores[part.core], scan)
        return scan

    def _emit(self, message: Message, ready: int) -> None:
        """A message joins its serialiser's queue when it is ready."""
        self.cores[message.source.number].unsent += 1
        self.plan_of(message, ready, JOIN, partial(self.join, message.source, message))

    def begin(self, place: Place, job: Any) -> None:
        """A scan takes its core's time as a message does; its end is no event of the model."""
        if not job.tested:
            super().begin(place, job)
            return
        costs = self.chip.core(place.number)
        place.served, place.start = job, self.now
        place.finish = self.now + -(-job.tested // costs.processing_elements) * costs.update
        end = partial(self._end_scan, place, costs.fire)
        self.sample.scan_ends.add((job.key._replace(time=place.finish), ("move", end)))

    def _end_scan(self, core: Place, fire: int) -> None:
        for message in self.release(core).spikes:
            self._emit(message, self.now + fire)
        self.serve_next(core)

    # -- cores ---------------------------------------------------------------------------------------

    def arrive(self, core: Place, message: Message) -> None:
        """A message waits at its core, or is lost, or another one for it."""
        drops = core.policy != "block" and core.depth < inf
        waiting = core.messages() if drops else []  # none if the core is idle and may begin
        if drops and len(waiting) >= core.depth:
            if core.policy == "drop-new":
                core.granted -= 1
                self._drop(core, self.now, message)
                return
            core.waiting.remove(waiting[0])
            self._drop(core, *waiting[0])
        super().arrive(core, message)

    def _drop(self, core: Place, arrival: int, message: Message) -> None:
        self.in_flight -= 1
        self.sample.count_at(message.to.part, "messages_dropped", 1)
        self.log(DROPPED, core, message, arrival, self.now, self.now, self.now)

    def land(self, message: Message) -> None:
        """Its charge lands."""
        self.in_flight -= 1
        self.sample.count_at(message.to.part, "messages_received", 1)
        self.sample.deliver(message.to, message.key.neuron, message.payload)

    # -- the end ---------------------------------------------------------------------------------------

    def log_unfinished(self, decision_time: int) -> None:
        """Log what is still being served or held, or waits, when the run is over."""
        for place in (*self.serialisers.values(), *self.links.values(), *self.cores.values()):
            if place.served is not None:
                released = place.finish if place.kind == DELIVERED else max(place.finish, decision_time)
                times = place.arrival, place.start, place.finish, released
                self.log(place.does(place.served), place, place.served, *times)
            for arrival, job in place.waiting:
                self.log(place.does(job), place, job, arrival, *(decision_time + 1,) * 3)

    def deadlock(self) -> Deadlock:
        """The error when nothing is pending and messages are still in flight."""
        waits = {}
        for number, place in self.serialisers.items():
            first, since = place.awaits, 0
            if first is None:
                continue
            while place.awaits is not None:
                since, place = max(since, place.finish), place.awaits
            waits[number] = (place.number, since, first.number if first.kind == PASSED else -1)
        return deadlock(waits, self.sample.index, self.architecture.network_on_chip)
