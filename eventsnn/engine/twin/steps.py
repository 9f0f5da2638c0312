"""The SimPy twin of the step schedule: a step on the accelerator once more, as processes.

A second opinion on time, for tests only. What happens in a step is the reference engine's; here each core's
neuron unit is a process that scans its parts. A part waits for SimPy events: the scans of those it hears from
in the same step, and the services of their messages (``stations``). Time is SimPy's clock, never computed
ahead: ``access``, ``update``, ``fire`` and ``serialise`` pass as timeouts.

Each step has an environment of its own, as no unit takes messages of a step before those of the one before;
what outlives it is when each unit was free again, and when was heard what later steps use.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
import simpy
from numpy.typing import NDArray
from simpy.events import ProcessGenerator

from eventsnn.counting.counters import COLUMN, COUNTERS
from eventsnn.engine.contract import RunOptions
from eventsnn.engine.order import DELIVERY, EventKey
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.reference.counting import sending, spike_counter
from eventsnn.engine.reference.parts import Destination, PlacedPart, place_parts
from eventsnn.engine.request import FEATURES
from eventsnn.engine.service import TESTED
from eventsnn.engine.twin.stations import Message, Stations
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Chip, Mapping
from eventsnn.network import Network


class TwinSteps(Stations):
    """The steps of one sample on its accelerator; tells what ``reference.chip_steps.ChipSteps`` tells.

    ``services`` are those asked for in this step of each copy, ``heard`` when the last scan or service of a
    copy in a step was over, by its place and the step.
    """

    def __init__(self, network: Network, chip: Chip, length: int, key: int) -> None:
        super().__init__(chip, key, [])
        self.parts, self.length = place_parts(network, chip.mapping, length), length
        self.counters: NDArray[np.int64] = np.zeros((len(self.parts), len(COUNTERS)), dtype=np.int64)
        self.synchronisation = self.architecture.synchronisation
        self.depends = self.synchronisation.kind == "dependency"
        self.adds_up = self.synchronisation.timing == "totals"
        self.placed = {part.part: part for part in self.parts}
        self.heard: dict[tuple[int, int], int] = defaultdict(int)
        self.over: list[int] = []
        self.heaps: dict[int, list[Message]] = defaultdict(list)  # to be served, by core, where times add up

    # -- a step ------------------------------------------------------------------------------------------

    def play(self, spikes: list[dict[int, list[tuple[int, int]]]], active: list[set[int]]) -> None:
        """Play the next step: what was emitted in it, (ordinal, payload) by neuron, and who was active."""
        self.step, self.spikes, self.active = len(self.over), spikes, active
        before = self.over[-1] if self.over else 0
        begin = 0 if self.depends else before
        if self.synchronisation.pace == "input":
            begin = max(begin, (self.step + 1) * self.length)
        self.open(simpy.Environment(initial_time=begin))
        self._count(next(part for part in self.parts if part.neuron.is_input), {"steps": 1})
        self.scans = [self.env.event() for _ in self.parts]
        self.services: dict[int, list[simpy.Event]] = defaultdict(list)
        units = [self.env.process(self._scan_parts(core)) for core in self.numbers]
        self.env.run()
        assert all(unit.triggered for unit in units)
        end = max(self.clock, before, self._serve_heaps(begin))
        for part in self.parts:
            if part.is_readout:
                part.scanned.append(max(map(self._was_heard, part.incoming), default=0))
        self.over.append(end if self.depends else end + self.chip.barrier + self.chip.step)

    def _count(self, part: PlacedPart, amounts: dict[str, int]) -> None:
        for counter, amount in amounts.items():
            self.counters[part.number, COLUMN[counter]] += amount

    def land(self, message: Message) -> None:
        """A message's service is over at this tick."""
        receiver = self.placed[message.to.part]
        self._count(receiver, {"messages_received": 1, "synapses_served": message.synapses})
        self.heard[message.to.place, self.step] = self.clock
        message.served.succeed()

    def _was_heard(self, to: Destination) -> int:
        """When all of a copy that is used in this step had been heard; needs that step to be over."""
        return self.heard[to.place, self.step - to.late]

    def _serve_heaps(self, begin: int) -> int:
        """Where times add up: every receiving unit works on all that it gets from the step's beginning on."""
        env = simpy.Environment(initial_time=begin)

        def work(messages: list[Message]) -> ProcessGenerator:
            for message in messages:
                yield env.timeout(self.service_time(message))
                self.land(message)

        for messages in self.heaps.values():
            env.process(work(messages))
        env.run()
        self.heaps.clear()
        return int(env.now)

    # -- neuron units ------------------------------------------------------------------------------------

    def _scan_parts(self, core: int) -> ProcessGenerator:
        """A core's neuron unit in one step."""
        yield self.until(self.free[TESTED, core])
        for part in self.parts:
            if part.core != core or part.is_readout:
                continue
            if not self.adds_up:
                yield from self._wait_to_begin(part)
            yield from self._scan(part)
            part.scanned.append(self.clock)
            for to in part.copies:
                self.heard[to.place, self.step] = self.clock
            self.scans[part.number].succeed()
        if self.depends:
            yield self.env.timeout(self.chip.step)
        self.free[TESTED, core] = self.clock

    def _wait_to_begin(self, part: PlacedPart) -> ProcessGenerator:
        """All that a part uses in this step has been served, and under ``dependency`` its targets follow."""
        prompt = [to for to in part.incoming if not to.late]
        senders = {to.projection.source for to in prompt}
        yield self.env.all_of([self.scans[p.number] for p in self.parts if p.part.population in senders])
        yield self.env.all_of([served for to in prompt for served in self.services[to.place]])
        for to in part.incoming:
            if to.late:
                yield self.until(self._was_heard(to))
        if self.depends and self.step:
            for to in part.copies:
                yield self.until(self.placed[to.part].scanned[self.step - 1])

    def _scan(self, part: PlacedPart) -> ProcessGenerator:
        """Visit neurons by index; messages leave one by one, and hold the scan until they have left."""
        start, costs = self.clock, self.chip.core(part.core)
        is_input, active = part.neuron.is_input, self.active[part.rank]
        owed = 0  # ticks of neurons that had nothing to send
        for j in part.neurons:
            spikes = self.spikes[part.rank].get(j, [])
            if not is_input:
                owed += costs.access + (costs.update if j in active else 0) + costs.fire * len(spikes)
            for ordinal, payload in spikes:
                self._count(part, {spike_counter(part.neuron, payload): 1})
                for to in part.copies:
                    if j in to.edges:
                        yield self.env.timeout(owed)
                        owed = 0
                        key = EventKey(0, part.rank, DELIVERY, j, ordinal, to.place)
                        yield from self._send(part, self.message(key, payload, part.core, to))
        yield self.env.timeout(owed)
        if not is_input:
            size, updates = len(part.neurons), len(active.intersection(part.neurons))
            self._count(part, {"neuron_accesses": size, "active_updates": updates})
            times = (start, start, self.clock, self.clock)
            self.service.append((TESTED, part.core, part.rank, size, 0, -1, *times))

    def _send(self, part: PlacedPart, message: Message) -> ProcessGenerator:
        self._count(part, sending(self.architecture, part.core, message.to.part.core))
        serialiser, message.served = self.serialisers[part.core], self.env.event()
        if self.adds_up:
            yield self.hold(serialiser, message, self.clock)
            self.release(serialiser)
            self.heaps[message.to.part.core].append(message)
        else:
            self.services[message.to.place].append(message.served)
            yield from self.serve(serialiser, message, self.clock)


class StepTwinEngine(ReferenceEngine):
    """The reference engine's steps on an accelerator built from SimPy processes.

    Raises
    ------
    InvalidRequest
        No accelerator, or the event schedule.
    """

    supports: ClassVar[frozenset[str]] = frozenset(FEATURES)
    chip_steps: ClassVar[Any] = TwinSteps

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        super().__init__(network, mapping, options)
        if not self.step or self.chip is None:
            raise InvalidRequest(
                "the twin of the step schedule needs schedule='step' and an accelerator (a mapping); for the "
                "event schedule there is TwinEngine, for steps without an accelerator engine='reference'"
            )
