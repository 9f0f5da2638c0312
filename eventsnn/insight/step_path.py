"""The critical path of a decision in the step schedule: what the last step, and each before it, waited for.

The decision waits for its step to be over, that for the last scan or service, a service for its message, a
message for the scan that sent it. A scan waited for a message or a scan that it had to hear of, for its
core's neuron unit, for the step before to be over (barrier) or for those it sends to (dependency): what
ended at the tick at which it began. A step paced by its input may have waited for that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN
from eventsnn.engine.service import DELIVERED, SERIALISED, TESTED
from eventsnn.hardware import Part
from eventsnn.insight.backwards import Backwards, Origin, port_or_core

Int64 = NDArray[np.int64]
Found = Origin | Callable[[], Any]  # where the path begins, or how it goes on
Scanned = tuple[int, int]  # a part that is scanned: its rank, and its number among its population's


class StepPath(Backwards):
    """The critical path in the step schedule.

    Every method that goes back returns the origin or how to go on: paths are longer than Python's stack.
    """

    def _origin(self) -> Origin:
        self.synchronisation = self.traces.mapping.architecture.synchronisation
        self.barrier = self.synchronisation.kind == "barrier"
        # What comes after the work of each step.
        chip = self.traces.chip
        self.pause = chip.step + (chip.barrier if self.barrier else 0)
        steps = int(self.run.counters[:, COLUMN["steps"]].sum())
        if self.barrier:
            self._add("step end", "", "", self.now - self.pause)
        found: Found = partial(self._over, steps - 1)
        while not isinstance(found, tuple):
            found = found()
        return found

    # -- which rows are of which step ----------------------------------------------------------------

    @cached_property
    def step_of_row(self) -> Int64:
        """The step that each row of the log is of, from 0."""
        traces = self.traces
        log = traces.service
        found = np.zeros(len(log), dtype=np.int64)
        scans = log["kind"] == TESTED
        ticks = traces.spike_ticks(log["rank"][~scans], log["neuron"][~scans], log["ordinal"][~scans])
        found[~scans] = ticks // traces.step - 1
        rows = np.flatnonzero(scans)
        rows = rows[np.lexsort([log[name][rows] for name in ("finish", "start", "core", "rank")])]
        for piece in _runs(rows, log["rank"][rows], log["core"][rows]):
            parts = len(self._parts_on(int(log["rank"][piece[0]]), int(log["core"][piece[0]])))
            found[piece] = np.arange(len(piece)) // parts
        return found

    @cached_property
    def _rows_of_steps(self) -> dict[int, Int64]:
        rows = np.argsort(self.step_of_row, kind="stable")
        return {int(self.step_of_row[p[0]]): p for p in _runs(rows, self.step_of_row[rows])}

    def _rows(self, step: int, kind: int, **values: int) -> Int64:
        """Rows of a kind in a step that have these values, in order of time."""
        rows = self._rows_of_steps.get(step, np.zeros(0, dtype=np.int64))
        log = self.traces.service
        rows = rows[log["kind"][rows] == kind]
        for name, value in values.items():
            rows = rows[log[name][rows] == value]
        return rows[np.lexsort((log["released"][rows], log["start"][rows]))]

    def _parts_on(self, rank: int, core: int | None = None) -> list[int]:
        """Parts of a population by number, on a core if that is given."""
        parts = self.traces.mapping.parts[self.traces.order[rank]]
        return [number for number, part in enumerate(parts) if core is None or part.core == core]

    def _scan(self, step: int, scanned: Scanned) -> tuple[int, int] | None:
        """When a part's scan in a step began and ended, or None where the log does not tell."""
        rank, number = scanned
        traces = self.traces
        core = traces.mapping.parts[traces.order[rank]][number].core
        log = traces.service
        scans = self._rows(step, TESTED, rank=rank, core=core)
        if len(scans):
            row = scans[self._parts_on(rank, core).index(number)]
            return int(log["start"][row]), int(log["released"][row])
        sent = self._rows(step, SERIALISED, rank=rank, core=core)  # inputs only send
        return (int(log["start"][sent[0]]), int(log["released"][sent[-1]])) if len(sent) else None

    def _scanned(self, step: int, row: int) -> Scanned:
        """The part whose scan in a step a row is of, or that sent its message."""
        job, traces = self.traces.service[row], self.traces
        rank, core = int(job["rank"]), int(job["core"])
        if job["kind"] == TESTED:
            place = self._rows(step, TESTED, rank=rank, core=core).tolist().index(row)
            return rank, self._parts_on(rank, core)[place]
        part = traces.part_of(rank, int(job["neuron"]))
        return rank, traces.mapping.parts[traces.order[rank]].index(part)

    # -- back ----------------------------------------------------------------------------------------

    def _before(self, step: int) -> Found:
        """From the beginning of a step, all waiting for the one before it."""
        if step == 0 or (self._is_paced(step) and not len(self._ends(step - 1, self.now - self.pause))):
            return self._first(step)
        self._add("step end", "", "", self.now - self.pause)
        return partial(self._over, step - 1)

    def _first(self, step: int) -> Origin:
        return ("step input", self.traces.network.input, -1) if self._is_paced(step) else ("start", "", -1)

    def _is_paced(self, step: int) -> bool:
        """Whether a step that begins now may have waited for its input."""
        return self.synchronisation.pace == "input" and self.now == (step + 1) * self.traces.step

    def _ends(self, step: int, tick: int) -> Int64:
        """Rows of a step that end at a tick, services first."""
        return np.concatenate(
            [self._rows(step, kind, released=tick) for kind in (DELIVERED, TESTED, SERIALISED)]
        )

    def _over(self, step: int) -> Found:
        """From the end of a step's work, at ``now``."""
        if self.synchronisation.timing == "totals":
            return self._total(step)
        ends = self._ends(step, self.now)
        if len(ends) and self.traces.service["kind"][ends[0]] == DELIVERED:
            return partial(self._from_landing, step, int(ends[0]))
        if len(ends):
            return partial(self._from_scan, step, int(ends[0]))
        return partial(self._before if self.barrier else self._idle, step)  # nothing of it ended now

    def _total(self, step: int) -> Found:
        """A step as long as its busiest unit was busy; all begin with it."""
        log = self.traces.service
        rows = self._rows_of_steps.get(step, np.zeros(0, dtype=np.int64))
        if len(rows):
            last = rows[log["finish"][rows] == self.now]
            begin = int(log["start"][rows].min())
            if len(last):
                layer = self.traces.order[log["rank"][last[-1]]]
                self._add("walk", layer, port_or_core(int(log["core"][last[-1]])), begin)
            else:
                self._add("services", "", "", begin)
        return partial(self._before, step)

    def _from_landing(self, step: int, landing: int) -> Found:
        self._service(landing)
        self._travel(landing)
        return partial(self._from_scan, step, landing)

    def _from_scan(self, step: int, row: int) -> Found:
        """From a point in the scan that a row is of, or that sent its message, and on from its beginning."""
        traces = self.traces
        log = traces.service
        job = log[row]
        rank = int(job["rank"])
        layer = traces.order[rank]
        scanned = self._scanned(step, row)
        core = traces.mapping.parts[layer][scanned[1]].core
        scan = self._scan(step, scanned)
        assert scan is not None  # it sent a message, or is in the log itself
        messages = self._rows(step, SERIALISED, rank=rank, core=core)
        inside = (log["start"][messages] >= scan[0]) & (log["released"][messages] <= self.now)
        sent = int((log["released"] - log["start"])[messages[inside]].sum())
        spent = {"messages": sent, "neurons": self.now - scan[0] - sent}
        behind = {what: ticks for what, ticks in spent.items() if ticks}
        self._add("walk", layer, port_or_core(core), scan[0], behind)
        return partial(self._before_scan, step, scanned)

    def _before_scan(self, step: int, scanned: Scanned) -> Found:
        """From the beginning of a scan, at ``now``: what ended then and had to."""
        traces = self.traces
        name = traces.order[scanned[0]]
        heard = self._heard(step, traces.mapping.parts[name][scanned[1]])
        if heard is not None:
            return heard
        before = self._unit_before(step, scanned)
        if before is not None:
            return partial(self._from_scan, step, before)
        if self.barrier:
            return partial(self._before, step)
        return self._before_scan_without_barrier(step, scanned)

    def _heard(self, step: int, part: Part) -> Found | None:
        """Back to a message that a part used in a step, or a scan that it had to hear of, over at ``now``."""
        traces = self.traces
        for place, (projection, copy) in enumerate(traces.copies):
            if copy != part:
                continue
            earlier = step - projection.delay // traces.step
            landed = self._rows(earlier, DELIVERED, destination=place, released=self.now)
            if len(landed):
                return partial(self._from_landing, earlier, int(landed[-1]))
            for kind in (TESTED, SERIALISED):
                rank = traces.rank_of[projection.source]
                scans = self._rows(earlier, kind, rank=rank, released=self.now)
                if len(scans):
                    return partial(self._from_scan, earlier, int(scans[-1]))
        return None

    def _unit_before(self, step: int, scanned: Scanned) -> int | None:
        """The scan in a step after which the same core went on, now, to this one."""
        core = self.traces.mapping.parts[self.traces.order[scanned[0]]][scanned[1]].core
        rows = np.concatenate(
            [self._rows(step, kind, core=core, released=self.now) for kind in (SERIALISED, TESTED)]
        )
        ranks = self.traces.service["rank"][rows]
        rows = rows[ranks <= scanned[0]]
        earlier = [row for row in rows.tolist() if self._scanned(step, row) < scanned]
        return earlier[-1] if earlier else None

    # -- without a barrier ---------------------------------------------------------------------------

    def _before_scan_without_barrier(self, step: int, scanned: Scanned) -> Found:
        """From the beginning of a scan that waited for something of the step before."""
        traces = self.traces
        name = traces.order[scanned[0]]
        core = traces.mapping.parts[name][scanned[1]].core
        if step > 0:
            found = self._receivers(step - 1, name)
            if found is not None:
                return found
            if len(self._unit_ends(step - 1, core)):
                return partial(self._unit, step - 1, core, name)
        if self._is_paced(step):
            return self._first(step)
        # An input that had nothing to send is in no log, but was waited for all the same.
        for projection in traces.network.incoming(name):
            earlier = step - projection.delay // traces.step
            if projection.source == traces.network.input and earlier >= 0:
                for number in self._parts_on(traces.rank_of[projection.source]):
                    if self._scan(earlier, (traces.rank_of[projection.source], number)) is None:
                        return partial(
                            self._before_scan, earlier, (traces.rank_of[projection.source], number)
                        )
        return self._first(0) if step == 0 else partial(self._unit, step - 1, core, name)

    def _receivers(self, step: int, name: str) -> Found | None:
        """Back to a receiver of a population, whose scan in a step ended, or all it heard, at ``now``."""
        traces = self.traces
        for projection in traces.network.outgoing(name):
            target = projection.target
            scans = self._rows(step, TESTED, rank=traces.rank_of[target], released=self.now)
            if len(scans):
                return partial(self._from_scan, step, int(scans[-1]))
            if traces.network.populations[target].neuron.emits == "nothing":
                for part in traces.mapping.parts[target]:
                    heard = self._heard(step, part)
                    if heard is not None:
                        return heard
        return None

    def _idle(self, step: int) -> Found:
        """From the end of a step, at which none of its work ended: a unit's pause, or that of one idle."""
        parts = self.traces.mapping.parts.values()
        for core in sorted({part.core for own in parts for part in own}):
            if len(self._unit_ends(step, core)):
                return partial(self._unit, step, core, "")
        if step == 0:
            return self._first(0)
        if not any(len(self._ends(earlier, self.now)) for earlier in range(step)):
            self._add("step end", "", "", self.now - self.pause)
        return partial(self._over, step - 1)

    def _unit_ends(self, step: int, core: int) -> Int64:
        """Rows of a core's neuron unit in a step whose end was a pause ago."""
        tick = self.now - self.pause
        return np.concatenate(
            [self._rows(step, kind, core=core, released=tick) for kind in (SERIALISED, TESTED)]
        )

    def _unit(self, step: int, core: int, layer: str) -> Found:
        """From when a core's neuron unit was free after a step, at ``now``."""
        ends = self._unit_ends(step, core)
        self._add("step end", layer, port_or_core(core), self.now - self.pause)
        if len(ends):
            return partial(self._from_scan, step, int(ends[-1]))
        if step == 0:
            return self._first(0)
        return partial(self._unit, step - 1, core, layer)  # it had nothing to do in that step


def _runs(rows: Int64, *keys: Int64) -> list[Int64]:
    """Rows in pieces along which all keys stay the same."""
    if len(rows) == 0:
        return []
    change = np.zeros(len(rows) - 1, dtype=bool)
    for key in keys:
        change |= np.diff(key) != 0
    return np.split(rows, np.flatnonzero(change) + 1)
