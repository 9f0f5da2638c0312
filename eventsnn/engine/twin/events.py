"""The SimPy twin: the accelerator once more, as processes with queues in front of them.

A second opinion on the hardware path, for tests only: ``stations``, among which messages go as ``transport``
says. Neuron arithmetic and counting are the reference engine's; time, order and queues are not.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import simpy

from eventsnn.engine.contract import SampleRun, Stimulus
from eventsnn.engine.order import EventKey
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.reference.event import EventSample
from eventsnn.engine.twin.stations import AFTER_TICK, END_OF_TICK, Planned, priority
from eventsnn.engine.twin.transport import TwinTransport

SUPPORTED = frozenset(
    [
        "refractory",
        "leak",
        "start",
        "source",
        "payload",
        "max_gate",
        "cycle",
        "output",
        "links",
        "bounded",
        "shared",
    ]
)


class TwinSample(EventSample):
    """One sample's simulation.

    ``planned`` counts the model events to come that are no step of a message. ``self.now`` is the tick of the
    last model event; SimPy's clock may be ahead of it while a core ends a scan that no spike came of.
    """

    accelerator: ClassVar[Any] = TwinTransport

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int) -> None:
        self.env = simpy.Environment(initial_time=0)
        self.over = self.env.event()
        super().__init__(engine, stimulus, index)
        self.tick_open, self.planned = False, 0
        self.crossings: set[tuple[int, int]] = set()  # neurons whose next crossing is planned

    # -- the run and its ticks -----------------------------------------------------------------------

    def run(self) -> SampleRun:
        """Let SimPy run until the model is at rest or decided."""
        self._schedule_start()
        self._finish_at_rest()
        while not self.over.triggered:
            if self.env.peek() == float("inf"):
                raise self.transport.deadlock()
            self.env.step()
        if self.transport is not None:
            self.transport.log_unfinished(self.now if self.stop_at is None else self.stop_at)
        return self._result()

    def _schedule(self, key: EventKey, *event: Any) -> None:
        self.planned += 1
        if event[0] == "crossing":
            self.crossings.add((key.rank, key.neuron))
        Planned(self.env, key.time - int(self.env.now), priority(key), partial(self._occur, key, event))

    def _schedule_crossing(self, rank: int, j: int) -> None:
        """Schedule the next crossing of a neuron; the one before, if it is still to come, is void."""
        if (rank, j) in self.crossings:
            self.crossings.remove((rank, j))
            self.planned -= 1
        super()._schedule_crossing(rank, j)

    def _occur(self, key: EventKey, event: tuple[Any, ...], _: simpy.Event) -> None:
        """A model event's turn has come."""
        if self._is_superseded(key, event):
            return
        self.planned -= 1
        if event[0] == "crossing":
            self.crossings.remove((key.rank, key.neuron))
        self.open_tick()
        getattr(self, f"_on_{event[0]}")(key, *event[1:])

    def open_tick(self) -> None:
        """Before the first model event of a tick: note the totals due, and plan the tick's end."""
        if not self.tick_open:
            self.tick_open, self.now = True, int(self.env.now)
            self._before_tick(self.now)
            Planned(self.env, 0, END_OF_TICK, self._close_tick)

    def _close_tick(self, _: simpy.Event) -> None:
        """The exit check; then the run may be over, or its settle pass due in this same tick."""
        self.tick_open = False
        undecided = self.stop_at is None
        self._end_of_tick()
        if undecided and self.stop_at is not None:
            Planned(self.env, self.stop_at - self.now, AFTER_TICK, self._finish)
        self._finish_at_rest()

    def _finish_at_rest(self) -> None:
        if self.planned == 0 and self._in_flight() == 0 and not self._settle() and self.stop_at is None:
            self._finish()

    def _finish(self, _: simpy.Event | None = None) -> None:
        if not self.over.triggered:
            self.over.succeed()


class TwinEngine(ReferenceEngine):
    """The reference engine's neurons on an accelerator built from SimPy processes."""

    supports: ClassVar[frozenset[str]] = SUPPORTED
    event_sample: ClassVar[Any] = TwinSample
