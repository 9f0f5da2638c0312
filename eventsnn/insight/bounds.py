"""The least time that a run's work takes an accelerator, and what each core's time goes into.

A server does one job at a time, so no run is shorter than what its busiest server has to do (Floorline 2025;
Intel's max-affine model of Loihi 2, 2026). Behind a barrier that holds of every step: it lasts as long as the
largest work of a server in it, and the barrier. Without one it holds of all steps together. In the event
schedule it holds of all jobs that reached a server within a window: from the first one's arrival to the end
of the last it takes at least as long as they do. Times that vary count as the shortest there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN
from eventsnn.engine.contract import SampleRun
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Chip, Mapping
from eventsnn.insight.counted import active_in_steps, begun, logged_work, tested_in_events
from eventsnn.insight.service import NEURON_UNIT, SERIALISER, Server
from eventsnn.insight.work import Work, Workload
from eventsnn.network import Network

Int64 = NDArray[np.int64]

WINDOWS = 20
SENDING = (NEURON_UNIT, SERIALISER)


@dataclass(frozen=True)
class Bound:
    """Of one sample.

    Attributes
    ----------
    kind : str
        How the accelerator synchronises: ``none``, ``barrier``, ``dependency``.
    work : Work
        Of each server by timestep, or in the event schedule by window of time.
    edges : int64 array, shape (windows + 1,)
        Ticks between which the windows lie; empty in the step schedule.
    pause : int
        Ticks after each step: the barrier and the least time of a step.
    begin, end : int
        Ticks between which the work was done: of the first step's beginning and the last one's end, or of
        the first job's arrival and the last one's end.
    workload : Workload
        The same work, wherever the network lies.
    """

    kind: str
    work: Work
    edges: Int64
    pause: int
    begin: int
    end: int
    workload: Workload = field(repr=False)

    @property
    def time(self) -> int:
        """Ticks that the work took."""
        return self.end - self.begin

    @cached_property
    def _totals(self) -> tuple[list[Server], Int64]:
        """Servers, and each one's own time by window, shape (servers, windows)."""
        servers = sorted(self.work.ticks)
        return servers, np.array([self.work.total(server) for server in servers], dtype=np.int64).reshape(
            len(servers), self.work.windows
        )

    @property
    def by_window(self) -> Int64:
        """The bound of each step, its pause included, or of each window; int64, shape (windows,)."""
        servers, totals = self._totals
        if self.kind == "dependency":  # there the units that scan pause, and nobody else
            sending = np.array([server[0] in SENDING for server in servers], dtype=np.int64)
            totals = totals + self.pause * sending.reshape(-1, 1)
            return np.maximum(totals.max(axis=0, initial=0), self.pause)
        return totals.max(axis=0, initial=0) + self.pause

    @property
    def ticks(self) -> int:
        """The bound of the run: no shorter ``time`` is possible with these spikes."""
        if self.kind == "barrier":
            return int(self.by_window.sum())
        return max(self.bounding.values(), default=0) if self.kind == "none" else self._of_steps()

    def _of_steps(self) -> int:
        """Without a barrier: of all steps together, those that scan pausing after each."""
        pauses = self.pause * self.work.windows
        servers, totals = self._totals
        own = zip(servers, totals.sum(axis=1).tolist(), strict=True)
        return max([pauses, *(ticks + pauses * (server[0] in SENDING) for server, ticks in own)])

    @property
    def bounding(self) -> dict[Server, int]:
        """Ticks of the bound, pauses left out, by the server whose work they are; the largest first.

        Behind a barrier another one may be the busiest in each step.
        """
        servers, totals = self._totals
        if not servers:
            return {}
        if self.kind == "barrier":
            largest = totals.argmax(axis=0)
            own = totals[largest, np.arange(self.work.windows)]
            found = np.bincount(largest, own, len(servers)).astype(np.int64)
        else:
            sums = totals.sum(axis=1)
            found = np.where(np.arange(len(servers)) == sums.argmax(), sums, 0)
        named = {server: int(ticks) for server, ticks in zip(servers, found, strict=True) if ticks}
        return dict(sorted(named.items(), key=lambda item: -item[1]))

    def to_dict(self) -> dict[str, Any]:
        """What is this sample's own, as JSON values; times in ticks of 1 ps."""
        found = {
            "time_ps": self.time,
            "bound_ps": self.ticks,
            "pause_ps": self.pause,
            "by_window_ps": self.by_window.tolist(),
        }
        return found | ({"window_edges_ps": self.edges.tolist()} if len(self.edges) else {})


def bound(run: SampleRun, network: Network, mapping: Mapping, step: int = 0, windows: int = WINDOWS) -> Bound:
    """The lower bound of a run's time on its accelerator, from what was done, not from how long it took.

    Parameters
    ----------
    run : SampleRun
        With ``record_spikes`` and ``record_service``.
    network, mapping : Network, Mapping
    step : int
        ``Engine.step``: 0 in the event schedule.
    windows : int
        Into how many equal ones the event schedule is cut; the step schedule has its steps.

    Raises
    ------
    InvalidRequest
        The run has not kept what is needed.
    """
    if run.service is None or run.spikes is None:
        raise InvalidRequest(
            "a bound counts the jobs and spikes of a run, and this one has not kept both; use "
            "RunOptions(record_spikes=True, record_service=True) and an accelerator"
        )
    load = workload(run, network, mapping, step)
    if step:
        end = run.decision_time - (Chip(mapping).decision if run.decided_early else 0)
        begin = step if mapping.architecture.synchronisation.pace == "input" else 0
        return least(load, mapping, begin, end)
    jobs = begun(run.service, run.decision_time)
    begin, end = int(jobs["arrival"].min(initial=2**62)), int(jobs["finish"].max(initial=0))
    begin = min(begin, end)
    edges = begin + (end - begin) * np.arange(windows + 1, dtype=np.int64) // windows
    return Bound("none", logged_work(jobs, network, mapping, edges), edges, 0, begin, end, load)


def least(load: Workload, mapping: Mapping, begin: int = 0, end: int = 0) -> Bound:
    """The lower bound of work where a mapping lays it, of a run that lasted from ``begin`` to ``end``.

    In the step schedule spikes are the network's alone, so this bounds the time on a chip that nothing has
    run on. In the event schedule it holds of runs with the same spikes.
    """
    chip, kind = Chip(mapping), mapping.architecture.synchronisation.kind
    pause = chip.step if kind != "none" else 0
    pause += chip.barrier if kind == "barrier" else 0
    none = np.zeros(0, dtype=np.int64)
    return Bound(kind, load.work(mapping), none, pause, begin, end, load)


def workload(run: SampleRun, network: Network, mapping: Mapping, step: int = 0) -> Workload:
    """The spikes of a run as work that can lie elsewhere, too: by step, or all of it as one window.

    In the event schedule other places would change when signed and rate neurons fire, and how often.
    """
    assert run.spikes is not None
    assert run.service is not None
    if not step:
        looked = tested_in_events(begun(run.service, run.decision_time), network, mapping)
        window = np.zeros(len(run.spikes.time), dtype=np.int64)
        return Workload(network, run.spikes, window, 1, False, looked)
    steps = int(run.counters[:, COLUMN["steps"]].sum())
    window = run.spikes.time // step - 1
    plain = Workload(network, run.spikes, window, steps, True)
    spikes_of = {
        (rank, number): plain.spikes_of(name, part.box)
        for rank, name in enumerate(network.order)
        for number, part in enumerate(mapping.parts[name])
    }
    looked = active_in_steps(run.service, network, mapping, spikes_of)
    return Workload(network, run.spikes, window, steps, True, looked)
