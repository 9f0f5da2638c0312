"""A network lowered for one way of running it: ``lower`` goes through it once and gives a machine.

A machine makes what changes while a sample runs, lets it advance, and tells what an accelerator has its own
of when it is over. The compiled engine runs any of them alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.contract import RunOptions
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Plan, Queues, Settings, Slabs, State, Steps, Streams
from eventsnn.engine.lowering.accelerator import Costs
from eventsnn.engine.lowering.capacities import Capacities
from eventsnn.engine.lowering.layout import Layout
from eventsnn.engine.lowering.plan import build_plan
from eventsnn.engine.lowering.routes import (
    build_routes,
    fresh_queues,
    fresh_streams,
    is_computed_ahead,
)
from eventsnn.engine.lowering.slabs import can_run_slabs, slabs
from eventsnn.engine.lowering.steps import StepArrays
from eventsnn.engine.lowering.times import Times
from eventsnn.hardware import Chip, Mapping
from eventsnn.network import Network

Int64 = NDArray[np.int64]
Input = tuple[Int64, Int64]  # ticks and spike words


class Played(NamedTuple):
    """What an accelerator may have its own of: times in ticks, counters by part."""

    decision_time: int
    first_event: int
    checked: Int64  # (checks,)
    parts: Int64 | None


class Machine(ABC):
    """What the compiled engine runs.

    ``moving`` is what changes during a sample beside its ``State``.
    """

    def __init__(self, plan: Plan, step: int) -> None:
        self.plan = plan
        # What a network has no use for is not compiled for it: see ``kernels.loop.advance``.
        kinds = set(plan.population.kind.tolist())
        sparing = kinds <= {k.KIND_INPUT, k.KIND_SIGNED, k.KIND_READOUT} and not step
        rows = plan.population
        sparing = sparing and not (rows.start_time.any() or rows.leak_period.any() or rows.synaptic.any())
        full = None if sparing else 1
        special = bool(kinds & {k.KIND_EXACT_GATE, k.KIND_RATE_GATE, k.KIND_SOFTMAX, k.KIND_FIRST_SPIKE})
        self.compiled = (full, None, 1 if special else None) if step else (full, 1, full)
        self.has_slabs = False

    @abstractmethod
    def fresh(self, room: Capacities, state: State) -> Any:
        """``moving`` as a sample begins."""

    @abstractmethod
    def advance(self, state: State, settings: Settings, moving: Any, given: Input) -> None:
        """Run until the sample ends or needs something; ``state.scalar.status`` tells what."""

    def enlarged_trace(self, moving: Any) -> Any:
        """``moving`` when the trace of checks has grown to twice its length."""
        return moving

    def played(self, state: State, moving: Any, first_event: int) -> Played:
        """A run that is over."""
        del moving
        checked = state.trace["time"][: state.scalar["checks"]]
        return Played(int(state.scalar["decision_time"]), first_event, checked, None)


class Ideal(Machine):
    """No accelerator, either schedule."""

    def __init__(self, network: Network, options: RunOptions, step: int) -> None:
        seeded = options.ties == "seeded" and not step
        super().__init__(build_plan(Layout(network), queued=seeded, stepped=step > 0), step)
        self.has_slabs = can_run_slabs(self.plan, options, step)
        self._slabs: Slabs | None = None

    def fresh(self, room: Capacities, state: State) -> Slabs | None:
        if not self.has_slabs:
            return None
        if self._slabs is None or len(self._slabs.mark) < room.marks:
            self._slabs = slabs(self.plan, room.marks)
        return self._slabs  # written before they are read: one for all samples

    def advance(self, state: State, settings: Settings, moving: Slabs | None, given: Input) -> None:
        from eventsnn.engine.kernels.loop import advance

        advance(self.plan, state, settings, *self.compiled, 1, moving, None, None, None, None, *given)


class _Spikewise(Machine):
    """An accelerator in the event schedule: counters by part are kept as things happen."""

    def played(self, state: State, moving: Any, first_event: int) -> Played:
        return super().played(state, moving, first_event)._replace(parts=state.parts)


class Streaming(_Spikewise):
    """All queues are unbounded: what messages wait for is computed ahead."""

    def __init__(self, layout: Layout, chip: Chip, queued: bool) -> None:
        times = Times()
        self.routes = build_routes(layout, chip, times, ahead=True)
        super().__init__(build_plan(layout, Costs(chip, times), self.routes, queued), 0)
        self.cores = chip.architecture.number_of_cores

    def fresh(self, room: Capacities, state: State) -> Streams:
        return fresh_streams(self.routes, self.cores, room.messages)

    def advance(self, state: State, settings: Settings, moving: Streams, given: Input) -> None:
        from eventsnn.engine.kernels.loop import advance

        advance(self.plan, state, settings, *self.compiled, None, None, moving, None, None, None, *given)


class Queueing(_Spikewise):
    """Messages are followed from event to event."""

    def __init__(self, layout: Layout, chip: Chip, queued: bool) -> None:
        times = Times()
        self.routes = build_routes(layout, chip, times, ahead=False)
        super().__init__(build_plan(layout, Costs(chip, times), self.routes, queued), 0)

    def fresh(self, room: Capacities, state: State) -> Queues:
        return fresh_queues(self.routes, room.messages)

    def advance(self, state: State, settings: Settings, moving: Queues, given: Input) -> None:
        from eventsnn.engine.kernels.loop import advance

        advance(self.plan, state, settings, *self.compiled, None, None, None, moving, None, None, *given)


class Stepping(Machine):
    """An accelerator in the step schedule.

    What happens in a step is the same there and without one; it is played on it afterwards.
    """

    def __init__(self, network: Network, mapping: Mapping, step: int, logs: bool) -> None:
        self.arrays = StepArrays(Layout(network, mapping), mapping, step, logs)
        plan = build_plan(Layout(network), marked=True, stepped=True)
        plan.chip.priced = 1
        chip = self.arrays.chip
        super().__init__(plan._replace(energy=chip.energy(network.order, steps=True)), step)

    def fresh(self, room: Capacities, state: State) -> tuple[Steps, Queues | None]:
        return self.arrays.fresh(len(state.firing.lists), room), self.arrays.fresh_queues(room)

    def advance(
        self, state: State, settings: Settings, moving: tuple[Steps, Queues | None], given: Input
    ) -> None:
        from eventsnn.engine.kernels.loop import advance

        advance(self.plan, state, settings, *self.compiled, 1, None, None, None, *moving, *given)

    def enlarged_trace(self, moving: tuple[Steps, Queues | None]) -> tuple[Steps, Queues | None]:
        steps, queues = moving
        checked = np.concatenate([steps.checked, np.zeros_like(steps.checked)])
        return steps._replace(checked=checked), queues

    def played(self, state: State, moving: tuple[Steps, Queues | None], first_event: int) -> Played:
        steps, early = moving[0], state.scalar.early
        over, checked = int(steps.scalar.over), steps.checked[: state.scalar.checks]
        if not early:
            checked[-1] = over
        return Played(
            over + (self.arrays.chip.decision if early else 0),
            first_event if steps.chip.paced else 0,
            checked,
            steps.counters,
        )


def lower(network: Network, mapping: Mapping | None, options: RunOptions, step: int) -> Machine:
    """The machine of a network, and of its mapping if it runs on an accelerator; ``step`` is in ticks."""
    if mapping is None:
        return Ideal(network, options, step)
    if step:
        return Stepping(network, mapping, step, options.record_service)
    chip, seeded = Chip(mapping), options.ties == "seeded"
    kind = Streaming if is_computed_ahead(network, chip, seeded) else Queueing
    return kind(Layout(network, mapping), chip, seeded)
