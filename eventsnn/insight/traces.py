"""Look-ups in the log of one run: a message's route, a neuron's last landing, what a server did meanwhile."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.contract import SampleRun, SpikeList
from eventsnn.engine.lowering.layout import destinations, fan_out_in_part
from eventsnn.engine.seeds import PURPOSE_DECODE, draw, sample_key
from eventsnn.engine.service import DELIVERED, DROPPED, TESTED
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Chip, Mapping, Part
from eventsnn.insight.reach import sources_of
from eventsnn.insight.service import Server, jobs_by_server, routes, units
from eventsnn.network import Network, Projection

Int64 = NDArray[np.int64]
BLOCK = 4096


class Traces:
    """One run on an accelerator, indexed.

    Parameters
    ----------
    run : SampleRun
        With ``record_spikes`` and ``record_service``.
    network, mapping : Network, Mapping
    seed, input_end : int
        Of the run, and the tick at which its input ended.
    step : int
        Ticks of a timestep of the network in the step schedule (``Engine.step``), 0 in the event schedule.

    Raises
    ------
    InvalidRequest
        The run has no list of spikes or no service log.
    """

    def __init__(
        self, run: SampleRun, network: Network, mapping: Mapping, seed: int, input_end: int, step: int = 0
    ) -> None:
        if run.service is None or run.spikes is None:
            raise InvalidRequest(
                "a run is profiled by its spikes and its service log, and this one has not kept both; use "
                "RunOptions(record_spikes=True, record_service=True) and an accelerator"
            )
        self.run, self.network, self.mapping = run, network, mapping
        self.service: NDArray[Any] = run.service
        self.spikes: SpikeList = run.spikes
        self.chip = Chip(mapping)
        self.input_end, self.step, self.steps = input_end, step, step > 0
        self.key = sample_key(seed, run.index)
        self.order = network.order
        self.rank_of = {name: rank for rank, name in enumerate(network.order)}
        self.copies: list[tuple[Projection, Part]] = [
            copy for copies in destinations(network, mapping) for copy in copies
        ]
        sizes = [population.size for population in network]
        self._offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._sources: dict[tuple[str, int], NDArray[np.bool_]] = {}
        self._fan_out: dict[int, Int64] = {}

    # -- spikes --------------------------------------------------------------------------------------

    @cached_property
    def _spikes_by_sender(self) -> tuple[Int64, Int64]:
        """Senders in ascending order, and the place of each spike in the list."""
        sender = self._offset[self.spikes.rank] + self.spikes.neuron
        place = np.argsort(sender, kind="stable")
        return sender[place], place

    def spike_tick(self, rank: int, neuron: int, ordinal: int) -> int:
        """When a neuron emitted its ``ordinal``-th spike, from 0."""
        senders, place = self._spikes_by_sender
        first = int(np.searchsorted(senders, self._offset[rank] + neuron))
        return int(self.spikes.time[place[first + ordinal]])

    def spike_ticks(self, rank: Int64, neuron: Int64, ordinal: Int64) -> Int64:
        """When neurons emitted their spikes of these ordinals; see ``spike_tick``."""
        senders, place = self._spikes_by_sender
        first = np.searchsorted(senders, self._offset[rank] + neuron)
        return self.spikes.time[place[first + ordinal]]

    def spike_before(self, rank: int, neuron: int, tick: int) -> int | None:
        """A neuron's last spike before a tick."""
        senders, place = self._spikes_by_sender
        sender = self._offset[rank] + neuron
        times = self.spikes.time[
            place[np.searchsorted(senders, sender) : np.searchsorted(senders, sender, side="right")]
        ]
        upto = int(np.searchsorted(times, tick))
        return int(times[upto - 1]) if upto else None

    def last_spike(self, rank: int, tick: int) -> tuple[int, int] | None:
        """Tick and neuron of a population's last spike up to a tick."""
        rows = np.flatnonzero((self.spikes.rank == rank) & (self.spikes.time <= tick))
        return (
            None if len(rows) == 0 else (int(self.spikes.time[rows[-1]]), int(self.spikes.neuron[rows[-1]]))
        )

    # -- messages ------------------------------------------------------------------------------------

    @cached_property
    def _routes(self) -> tuple[Int64, Int64, Int64]:
        rows, starts = routes(self.service)
        first = self.service[rows[starts[:-1]]]
        return rows, starts, self._offset[first["rank"]] + first["neuron"]

    def route(self, row: int) -> Int64:
        """All rows of the message that a row is of, from the serialiser on."""
        rows, starts, senders = self._routes
        sought = self.service[row]
        sender = self._offset[sought["rank"]] + sought["neuron"]
        low, high = np.searchsorted(senders, sender), np.searchsorted(senders, sender, side="right")
        heads = self.service[rows[starts[low:high]]]
        same = (heads["ordinal"] == sought["ordinal"]) & (heads["destination"] == sought["destination"])
        message = low + int(np.argmax(same))
        return rows[starts[message] : starts[message + 1]]

    # -- landings ------------------------------------------------------------------------------------

    @cached_property
    def _landings(self) -> dict[int, Int64]:
        """Deliveries on each rank, by (finish, law-2 order)."""
        rows = np.flatnonzero(self.service["kind"] == DELIVERED)
        target = np.array([self.rank_of[part.population] for _, part in self.copies], dtype=np.int64)
        log = self.service[rows]
        ranks = target[log["destination"]] if len(rows) else np.zeros(0, dtype=np.int64)
        order = np.lexsort(
            (log["destination"], log["ordinal"], log["neuron"], log["rank"], log["finish"], ranks)
        )
        rows, ranks = rows[order], ranks[order]
        pieces = np.split(rows, np.flatnonzero(np.diff(ranks)) + 1) if len(rows) else []
        return {self.rank_of[self.copies[self.service["destination"][p[0]]][1].population]: p for p in pieces}

    def last_landing(self, rank: int, tick: int, neuron: int | None = None) -> int | None:
        """The last delivery on a population up to a tick, on one of its neurons if that is given."""
        rows = self._landings.get(rank, np.zeros(0, dtype=np.int64))
        stop = int(np.searchsorted(self.service["finish"][rows], tick, side="right"))
        while stop > 0:
            block = rows[max(0, stop - BLOCK) : stop]
            hits = np.flatnonzero(self._reaches(block, rank, neuron))
            if len(hits):
                return int(block[hits[-1]])
            stop -= len(block)
        return None

    def last_landing_of_all(self, tick: int) -> int | None:
        """The last delivery on any population up to a tick."""
        found = [self.last_landing(rank, tick) for rank in self._landings]
        landings = [row for row in found if row is not None]
        return max(landings, key=lambda row: int(self.service["finish"][row]), default=None)

    def _reaches(self, rows: Int64, rank: int, neuron: int | None) -> NDArray[np.bool_]:
        """Whether each delivery on a rank has a synapse to a neuron."""
        if neuron is None:
            return np.ones(len(rows), dtype=bool)
        own = self.part_of(rank, neuron)
        found = np.zeros(len(rows), dtype=bool)
        for place in np.unique(self.service["destination"][rows]):
            projection, part = self.copies[place]
            if part == own:
                mine = self.service["destination"][rows] == place
                sources = self._sources_of(projection, neuron)
                found[mine] = sources[self.service["neuron"][rows[mine]]]
        return found

    def _sources_of(self, projection: Projection, neuron: int) -> NDArray[np.bool_]:
        key = projection.name, neuron
        if key not in self._sources:
            self._sources[key] = sources_of(self.network, projection, neuron)
        return self._sources[key]

    # -- places and servers --------------------------------------------------------------------------

    def part_of(self, rank: int, neuron: int) -> Part:
        """The share of a population that a neuron is in."""
        name = self.order[rank]
        _, width, channels = self.network.populations[name].shape
        y, channel = neuron // (width * channels), neuron % channels
        return next(
            part
            for part in self.mapping.parts[name]
            if part.y0 <= y < part.y1 and part.c0 <= channel < part.c1
        )

    def scan(self, rank: int, neuron: int, tick: int, finish: int) -> int:
        """The row of the scan that tested a neuron at a tick and ended at another."""
        core = self.part_of(rank, neuron).core
        rows = self._jobs[units(self.steps)[TESTED], core]
        ends = self.service["finish"][rows]
        log = self.service[
            rows := rows[np.searchsorted(ends, finish) : np.searchsorted(ends, finish, side="right")]
        ]
        found = (log["kind"] == TESTED) & (log["rank"] == rank) & (log["arrival"] == tick)
        return int(rows[np.flatnonzero(found)[0]])

    @cached_property
    def _jobs(self) -> dict[Server, Int64]:
        found = jobs_by_server(self.service, self.steps)
        return {server: rows[self.service["kind"][rows] != DROPPED] for server, rows in found.items()}

    def meanwhile(self, row: int) -> dict[str, int]:
        """What a job's server did while the job waited: ticks by population served, blocked, idle."""
        job = self.service[row]
        begin, end = int(job["arrival"]), int(job["start"])
        rows = self._jobs[units(self.steps)[int(job["kind"])], int(job["core"])]
        low = np.searchsorted(self.service["released"][rows], begin, side="right")
        high = np.searchsorted(self.service["start"][rows], end)
        others = self.service[rows[low:high]]
        start, finish, released = (
            np.clip(others[name], begin, end) for name in ("start", "finish", "released")
        )
        # A population is named for its threshold tests, and for what the core serves of its messages.
        what, place = np.unique(2 * others["rank"] + (others["kind"] == TESTED), return_inverse=True)
        ticks = np.zeros(len(what), dtype=np.int64)
        np.add.at(ticks, place, finish - start)
        found = {
            self.order[code // 2] + (" (test)" if code % 2 else ""): spent
            for code, spent in zip(what.tolist(), ticks.tolist(), strict=True)
        }
        found["blocked"] = int((released - finish).sum())
        found["stalled"] = end - begin - sum(found.values())
        return {name: spent for name, spent in found.items() if spent}

    # -- what a delivery is made of ------------------------------------------------------------------

    def parts_of_service(self, row: int) -> tuple[int, int, int]:
        """Ticks a delivery took to decode, for its synapses, and for the tests among them."""
        job = self.service[row]
        place = int(job["destination"])
        projection, part = self.copies[place]
        costs = self.chip.core(part.core)
        message = (int(job["rank"]), int(job["neuron"]), int(job["ordinal"]), place)
        decode = int(costs.decode[draw(self.key, PURPOSE_DECODE, *message, 0) % len(costs.decode)])
        if place not in self._fan_out:
            self._fan_out[place] = fan_out_in_part(self.network, projection, part)
        cycles = -(-int(self._fan_out[place][message[1]]) // costs.processing_elements)
        model = self.network.populations[part.population].neuron
        at_once = model.tested == "at delivery"
        update = cycles * costs.update if at_once and not self.steps else 0  # in steps the scan does it
        return decode, int(job["finish"] - job["start"]) - decode - update, update
