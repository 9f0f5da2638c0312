"""The step schedule on an accelerator: when each step ends, and what it takes.

What happens in a step does not depend on time; here it is played on the cores once it is known. A core has a
neuron unit, which walks its parts of populations one after another, by rank, and beside it a receiving
unit, which serves messages first come first served. In step k:

- A part's walk begins when its core's neuron unit is free, the step has begun, and the part has heard all
  that it uses in this step: everyone who sends to it over a delay of d steps has walked step k - d, and the
  messages have been served. With ``dependency``, everyone it sends to has walked step k - 1, too.
- The walk visits neurons by index. Each takes ``access``, ``update`` if it is active, ``fire`` per spike;
  then each of its spikes is sent to each destination where it has synapses, ``serialise`` each, in series
  with the walk. Inputs only send, in the time of ``input`` at the port. Readouts are not walked.
- The way of a message, and its service in decode + ceil(fan-out / PE) cycles: ``ways``. A delay of d steps
  is that of its charge; the message is sent and served in step k all the same.

With ``barrier`` a step is over with the last walk or service; then come the barrier and ``step``. With
``totals`` it lasts as long as its busiest unit is busy, instead. With ``dependency`` nobody waits for
everybody, each neuron unit spends ``step`` after its last walk, and every unit and link takes the messages of
a step before those of the next, so that when a step is over does not depend on later ones.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Generator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN, COUNTERS
from eventsnn.engine.reference.walkers import Copy, Walker, make_walkers
from eventsnn.engine.reference.ways import WALK, Message, Ways
from eventsnn.engine.seeds import PURPOSE_SERIALISE
from eventsnn.engine.service import SERIALISED, TESTED
from eventsnn.hardware import Chip, Mapping
from eventsnn.network import Network

Spikes = dict[int, list[tuple[int, int]]]  # by neuron: (ordinal, payload)
Walk = Generator[tuple[Message, int, int], int, int]


class ChipSteps:
    """The steps of one sample on its accelerator.

    ``counters`` (int64, shape (parts, counters)) and ``service`` (rows of ``SERVICE``) tell what was
    done so far, ``over`` when each step was over, ticks.
    """

    def __init__(self, network: Network, mapping: Mapping, chip: Chip, step: int, key: int) -> None:
        self.chip, self.length = chip, step
        self.architecture = mapping.architecture
        self.synchronisation = self.architecture.synchronisation
        self.walkers = make_walkers(network, mapping, step)
        self.counters: NDArray[np.int64] = np.zeros((len(self.walkers), len(COUNTERS)), dtype=np.int64)
        self.service: list[tuple[int, ...]] = []
        self.over: list[int] = []
        self.ways = Ways(chip, key, self.service.append, self._served)
        self.of_core: dict[int, list[Walker]] = defaultdict(list)
        for walker in self.walkers:
            self.of_core[walker.part.core].append(walker)
        self.unit_free = dict.fromkeys(self.of_core, 0)
        self.begin = self.end = 0

    def play(self, spikes: list[Spikes], active: list[set[int]]) -> None:
        """Play the next step: what was emitted in it and which neurons were active, by rank."""
        self.step, self.spikes, self.active = len(self.over), spikes, active
        barrier = self.synchronisation.kind == "barrier"
        self.begin = self.over[-1] if barrier and self.over else 0
        if self.synchronisation.pace == "input":
            self.begin = max(self.begin, (self.step + 1) * self.length)
        self.end = max([self.begin, *self.over[-1:]])
        self._count(next(walker for walker in self.walkers if walker.is_input), "steps", 1)
        if self.synchronisation.timing == "totals":
            self._add_up()
        else:
            self._let_happen()
        if barrier:
            self.end += self.chip.barrier + self.chip.step
        else:
            for core, free in self.unit_free.items():
                self.unit_free[core] = max(free, self.begin) + self.chip.step
            self.end = max(self.end, *self.unit_free.values())
        self.over.append(self.end)

    def _count(self, walker: Walker, counter: str, amount: int) -> None:
        self.counters[walker.number, COLUMN[counter]] += amount

    # -- each message followed -----------------------------------------------------------------------

    def _let_happen(self) -> None:
        self.waiting = {core: deque(w for w in of if not w.is_readout) for core, of in self.of_core.items()}
        for walker in self.walkers:
            walker.walked_before = walker.walked
            walker.missing = sum(len(copy.senders) for copy in walker.incoming if copy.late == 0)
        for core in self.waiting:
            self._plan_walk(core)
        self.ways.run()
        for walker in self.walkers:
            if walker.is_readout:
                walker.walked = max((self._heard(copy) for copy in walker.incoming), default=0)
        for walker in self.walkers:
            for copy in walker.incoming:
                copy.heard.pop(self.step - copy.late, None)

    def _heard(self, copy: Copy) -> int:
        """When all had been heard of a copy that is used in this step."""
        return copy.heard[self.step - copy.late]

    def _plan_walk(self, core: int) -> None:
        """Plan the next walk of a core, once all that it waits for is known."""
        if not self.waiting[core] or self.waiting[core][0].missing:
            return
        walker = self.waiting[core][0]
        walker.missing = -1  # planned
        ticks = [self.begin, self.unit_free[core], *(self._heard(copy) for copy in walker.incoming)]
        if self.synchronisation.kind == "dependency":
            ticks += [copy.receiver.walked_before for copy in walker.copies]
        start = max(ticks)
        begin = partial(self._go_on, walker, self._walk(walker, start), start, None)
        self.ways.at(start, WALK, (walker.rank, walker.number, 0, 0), 0, begin)

    def _go_on(self, walker: Walker, walk: Walk, start: int, left: int | None) -> None:
        """Let a walk go on from when its last message left."""
        try:
            message, reached, done = next(walk) if left is None else walk.send(left)
        except StopIteration as stop:
            self._end_walk(walker, start, stop.value)
            return
        message.copy.receiver.missing += message.copy.late == 0

        def leave() -> None:
            now = self.ways.now
            self.service.append((SERIALISED, walker.part.core, *message.key, reached, reached, done, now))
            self._go_on(walker, walk, start, now)

        self.ways.send(message, done, leave)

    def _end_walk(self, walker: Walker, start: int, end: int) -> None:
        self._note_walk(walker, start, end)
        walker.walked = self.unit_free[walker.part.core] = end
        self.end = max(self.end, end)
        for copy in walker.copies:
            self._hear(copy, end)
        self.waiting[walker.part.core].popleft()
        self._plan_walk(walker.part.core)

    def _served(self, message: Message) -> None:
        self._note_service(message)
        self.end = max(self.end, self.ways.now)
        self._hear(message.copy, self.ways.now)

    def _hear(self, copy: Copy, tick: int) -> None:
        """A walk or a message that the receiver of a copy has to hear of is over at a tick."""
        copy.heard[self.step] = max(copy.heard[self.step], tick)
        if copy.late == 0:
            copy.receiver.missing -= 1
            self._plan_walk(copy.receiver.part.core)

    # -- sums, nobody waiting ------------------------------------------------------------------------

    def _add_up(self) -> None:
        """The step lasts as long as the busiest unit has to do; only the neuron units' log is kept."""
        busy: dict[int, int] = defaultdict(int)
        for core, walkers in self.of_core.items():
            clock = self.begin
            for walker in walkers:
                walk, start = self._walk(walker, clock), clock
                try:
                    message, reached, clock = next(walk)
                    while True:
                        self.service.append((SERIALISED, core, *message.key, reached, reached, clock, clock))
                        busy[message.copy.to.part.core] += self.ways.service_time(message)
                        self._note_service(message)
                        message, reached, clock = walk.send(clock)
                except StopIteration as stop:
                    clock = stop.value
                self._note_walk(walker, start, clock)
            self.end = max(self.end, clock)
        self.end = max(self.end, self.begin + max(busy.values(), default=0))

    # -- walks -------------------------------------------------------------------------------------------

    def _walk(self, walker: Walker, clock: int) -> Walk:
        """Yields each message, when the walk reaches it and when it is sent; is told when it left.

        Returns when the walk is over.
        """
        core = walker.part.core
        costs, spikes = self.chip.core(core), self.spikes[walker.rank]
        for j in walker.neurons:
            mine = spikes.get(j, [])
            if not (walker.is_input or walker.is_readout):
                clock += costs.access + costs.fire * len(mine)
                clock += costs.update if j in self.active[walker.rank] else 0
            for ordinal, payload in mine:
                self._count(walker, _counter_of(walker, payload), 1)
                for copy in walker.copies:
                    if j in copy.to.edges:
                        key = (walker.rank, j, ordinal, copy.place)
                        message = self.ways.message(key, core, copy)
                        self._note_message(walker, copy)
                        time = self.ways.drawn(costs.serialise, PURPOSE_SERIALISE, key)
                        clock = yield message, clock, clock + time
        return clock

    # -- counting ----------------------------------------------------------------------------------------

    def _note_message(self, walker: Walker, copy: Copy) -> None:
        source, target = walker.part.core, copy.to.part.core
        hops_x, hops_y = self.architecture.hops(source, target)
        self._count(walker, "messages_sent", 1)
        self._count(walker, "hops_x", hops_x)
        self._count(walker, "hops_y", hops_y)
        self._count(walker, "bus_transfers", int(self.architecture.network_on_chip.topology == "bus"))

    def _note_service(self, message: Message) -> None:
        self._count(message.copy.receiver, "messages_received", 1)
        self._count(message.copy.receiver, "synapses_served", message.synapses)

    def _note_walk(self, walker: Walker, start: int, end: int) -> None:
        if walker.is_input or walker.is_readout:
            return
        size, active = len(walker.neurons), self.active[walker.rank]
        self._count(walker, "neuron_accesses", size)
        self._count(walker, "active_updates", sum(j in active for j in walker.neurons))
        self.service.append((TESTED, walker.part.core, walker.rank, size, 0, -1, start, start, end, end))


def _counter_of(walker: Walker, payload: int) -> str:
    if walker.is_input:
        return "input_events"
    return "spikes_positive" if payload > 0 else "spikes_negative"
