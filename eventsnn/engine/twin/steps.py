"""The SimPy twin of the step schedule: a step on the accelerator once more, as processes.

A second opinion on time, for tests only. What happens in a step is the reference engine's; here each core's
neuron unit is a process that walks its parts. A part waits for SimPy events: the walks of those it hears from
in the same step, and the services of their messages (``twin_ways``). Time is SimPy's clock, never computed
ahead: ``access``, ``update``, ``fire`` and ``serialise`` pass as timeouts.

Each step has an environment of its own, as no unit takes messages of a step before those of the one before;
what outlives it is when each unit was free again, and when was heard what later steps use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, ClassVar

import simpy
from simpy.events import ProcessGenerator

from eventsnn.engine.contract import RunOptions, SampleRun, Stimulus
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.reference.step import StepSample
from eventsnn.engine.request import FEATURES
from eventsnn.engine.seeds import PURPOSE_SERIALISE
from eventsnn.engine.service import SERIALISED, TESTED
from eventsnn.engine.twin.ways import Copy, Message, Part, TwinWays, make_parts
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Chip, Mapping
from eventsnn.network import Network


class StepTwinEngine(ReferenceEngine):
    """The reference engine's steps on an accelerator built from SimPy processes.

    Raises
    ------
    InvalidRequest
        No accelerator, or the event schedule.
    """

    supports: ClassVar[frozenset[str]] = frozenset(FEATURES)

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        super().__init__(network, mapping, options)
        if not self.step or self.chip is None:
            raise InvalidRequest(
                "the twin of the step schedule needs schedule='step' and an accelerator (a mapping); for the "
                "event schedule there is TwinEngine, for steps without an accelerator engine='reference'"
            )

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample; see ``Engine.run``."""
        self.check(stimulus)
        return StepTwinSample(self, stimulus, index).run()


class StepTwinSample(StepSample):
    """The reference engine's steps, played on the twin's accelerator."""

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int) -> None:
        super().__init__(engine, stimulus, index)
        assert self.chip is not None
        played: Any = TwinSteps(self.network, self.chip, self.length, self.key)
        self.on_chip = played


class TwinSteps(TwinWays):
    """The steps of one sample on its accelerator; tells what ``reference.chip_steps.ChipSteps`` tells."""

    def __init__(self, network: Network, chip: Chip, length: int, key: int) -> None:
        self.walkers, self.length = make_parts(network, chip, length), length
        super().__init__(chip, key, len(self.walkers))
        self.synchronisation = self.architecture.synchronisation
        self.depends = self.synchronisation.kind == "dependency"
        self.adds_up = self.synchronisation.timing == "totals"
        self.of_core: dict[int, list[Part]] = defaultdict(list)
        for part in self.walkers:
            self.of_core[part.core].append(part)
        self.copies = [copy for part in self.walkers for copy in part.incoming]
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
        self.env = simpy.Environment(initial_time=begin)
        self.stations.clear()
        self.count(next(part for part in self.walkers if part.neuron.is_input), "steps")
        for part in self.walkers:
            part.over = self.env.event()
        for copy in self.copies:
            copy.services, copy.last = [], 0
        units = [self.env.process(self._walk_parts(core)) for core in self.of_core]
        self.env.run()
        assert all(unit.triggered for unit in units)
        end = max(self.clock, before, self._serve_heaps(begin))
        for copy in self.copies:
            copy.heard.append(copy.last)
        for part in self.walkers:
            if part.neuron.emits == "nothing":
                part.walked.append(max(map(self._was_heard, part.incoming), default=0))
        self.over.append(end if self.depends else end + self.chip.barrier + self.chip.step)

    def _all(self, events: Iterable[simpy.Event]) -> simpy.Event:
        return self.env.all_of(list(events))

    def _was_heard(self, copy: Copy) -> int:
        """When all of a copy that is used in this step had been heard; needs that step to be over."""
        return copy.heard[self.step - copy.late] if self.step >= copy.late else 0

    def _serve_heaps(self, begin: int) -> int:
        """Where times add up: every receiving unit works on all that it gets from the step's beginning on."""
        env = simpy.Environment(initial_time=begin)

        def work(messages: list[Message]) -> ProcessGenerator:
            for message in messages:
                yield env.timeout(self.service_time(message))
                self.note_served(message)

        for messages in self.heaps.values():
            env.process(work(messages))
        env.run()
        self.heaps.clear()
        return int(env.now)

    # -- neuron units ------------------------------------------------------------------------------------

    def _walk_parts(self, core: int) -> ProcessGenerator:
        """A core's neuron unit in one step."""
        yield self.until(self.free[TESTED, core])
        for part in self.of_core[core]:
            if part.neuron.emits == "nothing":
                continue
            if not self.adds_up:
                yield from self._wait_to_begin(part)
            yield from self._walk(part)
            part.walked.append(self.clock)
            for copy in part.out:
                copy.last = self.clock
            part.over.succeed()
        if self.depends:
            yield self.env.timeout(self.chip.step)
        self.free[TESTED, core] = self.clock

    def _wait_to_begin(self, part: Part) -> ProcessGenerator:
        """All that a part uses in this step has been served, and under ``dependency`` its targets follow."""
        prompt = [copy for copy in part.incoming if copy.late == 0]
        yield self._all(sender.over for copy in prompt for sender in copy.senders)
        yield self._all(served for copy in prompt for served in copy.services)
        for copy in part.incoming:
            if copy.late:
                yield self.until(self._was_heard(copy))
        if self.depends and self.step:
            for copy in part.out:
                yield self.until(copy.receiver.walked[self.step - 1])

    def _walk(self, part: Part) -> ProcessGenerator:
        """Visit neurons by index; messages leave one by one, and hold the walk until they have left."""
        start, costs = self.clock, self.chip.core(part.core)
        is_input, active = part.neuron.is_input, self.active[part.rank]
        owed = 0  # ticks of neurons that had nothing to send
        for j in part.neurons:
            spikes = self.spikes[part.rank].get(j, [])
            if not is_input:
                owed += costs.access + (costs.update if j in active else 0) + costs.fire * len(spikes)
            for ordinal, payload in spikes:
                sign = "spikes_positive" if payload > 0 else "spikes_negative"
                self.count(part, "input_events" if is_input else sign)
                for copy in part.out:
                    if j in copy.to.edges:
                        yield self.env.timeout(owed)
                        owed = 0
                        yield from self._send(part, copy, (part.rank, j, ordinal, copy.place))
        yield self.env.timeout(owed)
        if not is_input:
            size = len(part.neurons)
            self.count(part, "neuron_accesses", size)
            self.count(part, "active_updates", len(active.intersection(part.neurons)))
            times = (start, start, self.clock, self.clock)
            self.service.append((TESTED, part.core, part.rank, size, 0, -1, *times))

    def _send(self, part: Part, copy: Copy, key: tuple[int, int, int, int]) -> ProcessGenerator:
        message = self.message(part, copy, key)
        reached = self.clock
        yield self.turn(message, self.drawn(self.chip.core(part.core).serialise, PURPOSE_SERIALISE, key))
        done = self.clock
        if self.adds_up:
            self.heaps[copy.receiver.core].append(message)
        else:
            copy.services.append(message.served)
            yield from self.pass_on(message)
        self.service.append((SERIALISED, part.core, *key, reached, reached, done, self.clock))
