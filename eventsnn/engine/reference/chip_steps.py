"""The step schedule on an accelerator: when each step ends, and what it takes.

What happens in a step does not depend on time; here it is played on the cores once it is known. A core has a
neuron unit, which scans its parts of populations one after another, by rank, and beside it a receiving
unit, which serves messages first come first served. In step k:

- A part's scan begins when its core's neuron unit is free, the step has begun, and the part has heard all
  that it uses in this step: who sends to it over a delay of d steps has been scanned in step k - d, and the
  messages have been served. With ``dependency``, who it sends to has been scanned in step k - 1, too.
- The scan visits neurons by index. Each takes ``access``, ``update`` if it is active, ``fire`` per spike;
  then each of its spikes is sent to each destination where it has synapses, ``serialise`` each, in series
  with the scan. Inputs only send, in the time of ``input`` at the port. Readouts are not scanned.
- The route of a message, and its service in decode + ceil(fan-out / PE) cycles: ``places``; a core's
  serialiser serves what its scan comes to. A delay of d steps is that of its charge; the message is sent and
  served in step k all the same.

With ``barrier`` a step is over with the last scan or service; then come the barrier and ``step``. With
``totals`` it lasts as long as its busiest unit is busy, instead. With ``dependency`` nobody waits for
everybody, each neuron unit spends ``step`` after its last scan, and every unit and link takes the messages of
a step before those of the next, so that when a step is over does not depend on later ones.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN, COUNTERS
from eventsnn.engine.order import DELIVERY, TEST, EventKey
from eventsnn.engine.reference.counting import sending, spike_counter
from eventsnn.engine.reference.parts import Destination, PlacedPart, place_parts
from eventsnn.engine.reference.places import Message, Place, Places
from eventsnn.engine.service import SERIALISED, TESTED
from eventsnn.hardware import Chip
from eventsnn.network import Network

Spikes = dict[int, list[tuple[int, int]]]  # by neuron: (ordinal, payload)
SCANS_FIRST = -1  # rank of begins of scans among events, before all messages


@dataclass
class StepScan:
    """A part's scan in a step: when it began, and how far it has come."""

    part: PlacedPart
    begin: int
    clock: int


class ChipSteps(Places):
    """The steps of one sample on its accelerator.

    ``counters`` (int64, shape (parts, counters)) and ``service`` (rows of ``SERVICE``) tell what was
    done so far, ``over`` when each step was over, ticks. ``heard``: by the place of a copy and step, when its
    senders had been scanned and its messages served; ``missing``: by part, the scans and messages of this
    step that it has still to hear of.
    """

    now = 0

    def __init__(self, network: Network, chip: Chip, length: int, key: int) -> None:
        super().__init__(chip, key, lambda event: event, [])
        self.length, self.synchronisation = length, self.architecture.synchronisation
        self.parts = place_parts(network, chip.mapping, length)
        self.placed = {part.part: part for part in self.parts}
        self.counters: NDArray[np.int64] = np.zeros((len(self.parts), len(COUNTERS)), dtype=np.int64)
        self.over: list[int] = []
        self.events: list[tuple[EventKey, Callable[[], None]]] = []
        self.heard: dict[tuple[int, int], int] = defaultdict(int)
        self.scans: dict[int, tuple[StepScan, Iterator[Message]]] = {}  # by core, with what it will come to
        self.unit_free = dict.fromkeys(self.cores, 0)
        self.begun = self.end = 0

    def play(self, spikes: list[Spikes], active: list[set[int]]) -> None:
        """Play the next step: what was emitted in it and which neurons were active, by rank."""
        self.step, self.spikes, self.active = len(self.over), spikes, active
        barrier = self.synchronisation.kind == "barrier"
        self.begun = self.over[-1] if barrier and self.over else 0
        if self.synchronisation.pace == "input":
            self.begun = max(self.begun, (self.step + 1) * self.length)
        self.end = max([self.begun, *self.over[-1:]])
        self._count(next(part for part in self.parts if part.neuron.is_input), {"steps": 1})
        if self.synchronisation.timing == "totals":
            self._add_up()
        else:
            self._let_happen()
        if barrier:
            self.end += self.chip.barrier + self.chip.step
        else:
            for core, free in self.unit_free.items():
                self.unit_free[core] = max(free, self.begun) + self.chip.step
            self.end = max(self.end, *self.unit_free.values())
        self.over.append(self.end)

    def _count(self, part: PlacedPart, amounts: dict[str, int]) -> None:
        for counter, amount in amounts.items():
            self.counters[part.number, COLUMN[counter]] += amount

    # -- each message followed -----------------------------------------------------------------------

    def plan(self, key: EventKey, act: Callable[[], None]) -> None:
        """Events of a step go by their keys, begins of scans first in their tick."""
        heappush(self.events, (key, act))

    def _let_happen(self) -> None:
        parts = [part for part in self.parts if not part.is_readout]
        self.waiting = {core: deque(part for part in parts if part.core == core) for core in self.cores}
        self.missing = {part: sum(map(self._senders, part.incoming)) for part in self.parts}
        for core in self.waiting:
            self._plan_scan(core)
        while self.events:
            key, act = heappop(self.events)
            self.now = key.time
            act()
        for part in self.parts:
            if part.is_readout:
                part.scanned.append(max(map(self._heard, part.incoming), default=0))

    def _senders(self, to: Destination) -> int:
        """Scans of this step that send a copy to be used in it."""
        return 0 if to.late else len(self.chip.mapping.parts[to.projection.source])

    def _heard(self, to: Destination) -> int:
        """When all had been heard of a copy that is used in this step."""
        return self.heard[to.place, self.step - to.late]

    def _plan_scan(self, core: int) -> None:
        """Plan the next scan of a core, once all that it waits for is known."""
        if not self.waiting[core] or self.missing[self.waiting[core][0]]:
            return
        part = self.waiting[core][0]
        self.missing[part] = -1  # planned
        ticks = [self.begun, self.unit_free[core], *map(self._heard, part.incoming)]
        if self.synchronisation.kind == "dependency" and self.step:
            ticks += [self.placed[to.part].scanned[self.step - 1] for to in part.copies]
        key = EventKey(max(ticks), SCANS_FIRST, TEST, part.number, 0, 0)
        self.plan(key, partial(self._begin_scan, part))

    def _begin_scan(self, part: PlacedPart) -> None:
        scan = StepScan(part, self.now, self.now)
        self.scans[part.core] = scan, self._messages(scan)
        self.serve_next(self.serialisers[part.core])

    def serve_next(self, place: Place) -> None:
        """A core's scan goes on when its serialiser is rid of a message: to the next one or to its end."""
        if place.kind != SERIALISED:
            super().serve_next(place)
            return
        scan, messages = self.scans[place.number]
        scan.clock = self.now
        message = next(messages, None)
        if message is None:
            self._end_scan(scan)
            return
        self.missing[self.placed[message.to.part]] += message.to.late == 0
        place.arrival = scan.clock
        self.serve(place, message, scan.clock)

    def _end_scan(self, scan: StepScan) -> None:
        part = scan.part
        self._note_scan(scan)
        part.scanned.append(scan.clock)
        self.unit_free[part.core] = scan.clock
        self.end = max(self.end, scan.clock)
        for to in part.copies:
            self._hear(to, scan.clock)
        self.waiting[part.core].popleft()
        self._plan_scan(part.core)

    def land(self, message: Message) -> None:
        """Its receiver has heard of it."""
        self._note_service(message)
        self.end = max(self.end, self.now)
        self._hear(message.to, self.now)

    def _hear(self, to: Destination, tick: int) -> None:
        """A scan or a message that the receiver of a copy has to hear of is over at a tick."""
        self.heard[to.place, self.step] = max(self.heard[to.place, self.step], tick)
        if not to.late:
            self.missing[self.placed[to.part]] -= 1
            self._plan_scan(to.part.core)

    # -- sums, nobody waiting ------------------------------------------------------------------------

    def _add_up(self) -> None:
        """The step lasts as long as the busiest unit has to do; only the neuron units' log is kept."""
        busy: dict[int, int] = defaultdict(int)
        clocks = dict.fromkeys(self.cores, self.begun)
        for part in self.parts:
            scan = StepScan(part, clocks[part.core], clocks[part.core])
            for message in self._messages(scan):
                reached = scan.clock
                scan.clock += self.ticks(message.source, message)
                self.log(SERIALISED, message.source, message, reached, reached, scan.clock, scan.clock)
                busy[message.to.part.core] += self.service_time(message)
                self._note_service(message)
            self._note_scan(scan)
            clocks[part.core] = scan.clock
        self.end = max(self.end, *clocks.values(), self.begun + max(busy.values(), default=0))

    # -- scans, and counting -------------------------------------------------------------------------

    def _messages(self, scan: StepScan) -> Iterator[Message]:
        """Each message as a scan comes to it, at its ``clock``; who takes it sets that to when it left."""
        part, costs = scan.part, self.chip.core(scan.part.core)
        for j in part.neurons:
            spikes = self.spikes[part.rank].get(j, [])
            if not (part.neuron.is_input or part.is_readout):
                scan.clock += costs.access + costs.fire * len(spikes)
                scan.clock += costs.update if j in self.active[part.rank] else 0
            for ordinal, payload in spikes:
                self._count(part, {spike_counter(part.neuron, payload): 1})
                for to in part.copies:
                    if j in to.edges:
                        self._count(part, sending(self.architecture, part.core, to.part.core))
                        key = EventKey(0, part.rank, DELIVERY, j, ordinal, to.place)
                        yield self.message(key, payload, part.core, to)

    def _note_service(self, message: Message) -> None:
        receiver = self.placed[message.to.part]
        self._count(receiver, {"messages_received": 1, "synapses_served": message.synapses})

    def _note_scan(self, scan: StepScan) -> None:
        part, size = scan.part, len(scan.part.neurons)
        if part.neuron.is_input or part.is_readout:
            return
        updates = len(self.active[part.rank].intersection(part.neurons))
        self._count(part, {"neuron_accesses": size, "active_updates": updates})
        times = scan.begin, scan.begin, scan.clock, scan.clock
        self.service.append((TESTED, part.core, part.rank, size, 0, -1, *times))
