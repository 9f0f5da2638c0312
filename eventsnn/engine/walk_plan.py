"""What the kernels that play timesteps on an accelerator are given: a mapped network as flat arrays.

Most chips are *plain*: times are constant, nothing queues but messages at cores, and what a core waits for in
a step is sent by populations of lower ranks than those on it that wait. Then cores are played one after
another, by rank. All others are played event by event, for which there are ``Ways``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COUNTERS
from eventsnn.engine.kernels import records as w
from eventsnn.engine.plan import Plan, destinations, fan_out_in_part
from eventsnn.engine.times import Times
from eventsnn.hardware import Chip, Mapping, Part
from eventsnn.network import Network, Projection

Copy = tuple[int, Projection, Part]  # rank of the source, what, where to


class Walks(NamedTuple):
    """The parts of a network on the cores of a chip; what changes stands below ``hops``."""

    part: w.Records  # (parts,) WALK_PART
    copy: w.Records  # (copies,) WALK_COPY
    core: w.Records  # (cores,) WALK_CORE
    incoming: NDArray[np.int64]  # copies by the part they end in
    of_core: NDArray[np.int64]  # parts by their core, by rank, readouts left out
    stream: w.Records  # (parts x their copies,) WALK_STREAM, by the core the copy ends on
    stream_of: NDArray[np.int64]  # (parts, copies) its place there
    fan_out: NDArray[np.int32]  # (copies x source neurons,)
    times: NDArray[np.int64]  # (tables, length) equally likely times
    spread: NDArray[np.int64]  # (tables,) how many there are to draw from
    chip: w.Records  # WALK_CHIP, one
    part_of: NDArray[np.int32]  # (neurons,)
    hops: NDArray[np.int64]  # (x or y, parts, copies)
    words: NDArray[np.int64]  # (spikes of a step,) by part
    message: w.Records  # (capacity,) WALK_WAITING, by stream
    ordinal: NDArray[np.int64]  # (neurons,) spikes emitted, for random times and the log
    counters: NDArray[np.int64]  # (parts, counters)
    live: w.Records  # (parts,) WALK_LIVE
    unit: w.Records  # (cores,) WALK_UNIT
    heard: NDArray[np.int64]  # (copies, steps remembered) when a copy's messages had been served
    service: w.Records  # (capacity,) engine.service.SERVICE
    checked: NDArray[np.int64]  # (checks,) when the step of an exit check was over
    scalar: w.Records  # WALK_SCALARS, one


class Ways(NamedTuple):
    """What is under way on a chip that is played event by event."""

    route: NDArray[np.int64]  # servers on the ways between parts and copies, receiving units left out
    route_start: NDArray[np.int64]  # (parts, copies)
    server: w.Records  # (receiving units and links,) WALK_SERVER
    message: w.Records  # (capacity,) WALK_MESSAGE
    event: w.Records  # (capacity,) WALK_EVENT
    agenda: NDArray[np.int64]  # (capacity, 3) what is to be done at this tick, and with what
    scalar: w.Records  # WAY_SCALARS, one


class WalkPlan:
    """A mapped network, ready to make fresh ``Walks`` and ``Ways`` for every sample."""

    def __init__(self, network: Network, mapping: Mapping, step: int, logs: bool) -> None:
        self.network, self.mapping, self.chip, self.step = network, mapping, Chip(mapping), step
        self.logs = logs
        self.times = Times()
        self.copies: list[Copy] = [
            (rank, projection, part)
            for rank, copies in enumerate(destinations(network, mapping))
            for projection, part in copies
        ]
        self.parts = [(r, part) for r, name in enumerate(network.order) for part in mapping.parts[name]]
        numbers = sorted({part.core for _, part in self.parts})
        self.core_of = {number: place for place, number in enumerate(numbers)}
        self.numbers = numbers
        self.copy_rows, self.fan_out = self._copy_rows()
        self.part_rows, self.incoming = self._part_rows()
        self.part_of = self._part_of()
        self.hops = self._hops()
        self.stream = self._streams()
        self.core_rows, self.of_core = self._core_rows()
        self.chip_row = self._chip_row()
        totals = self.chip_row.totals != 0
        self.is_general = not totals and (logs or self._varies() or self._queues() or self._mixes())

    # -- lowering ------------------------------------------------------------------------------------

    def _copy_rows(self) -> tuple[w.Records, NDArray[np.int32]]:
        rows = w.records(w.WALK_COPY, len(self.copies))
        tables: list[NDArray[Any]] = [np.zeros(1, dtype=np.int32)]
        start = 1
        for row, (_, projection, part) in zip(rows, self.copies, strict=True):
            core = self.chip.core(part.core)
            table = fan_out_in_part(self.network, projection, part).astype(np.int32)
            rank = self.network.order.index(projection.target)
            row.part = self.parts.index((rank, part))
            row.core = self.core_of[part.core]
            row.late = projection.delay // self.step
            row.fan_out = start
            row.decode = self.times.row(core.decode)
            row.synapse = self.times.row(self.chip.synapse(part.population, part.core))
            row.lanes = core.processing_elements
            tables.append(table)
            start += len(table)
        return rows, np.concatenate(tables)

    def _part_rows(self) -> tuple[w.Records, NDArray[np.int64]]:
        rows = w.records(w.WALK_PART, len(self.parts))
        ranks = np.array([rank for rank, _, _ in self.copies], dtype=np.int64)
        senders = np.bincount([rank for rank, _ in self.parts], minlength=len(self.network.order))
        incoming: list[int] = []
        offsets = np.cumsum([0, *(population.size for population in self.network)])
        for number, (row, (rank, part)) in enumerate(zip(rows, self.parts, strict=True)):
            population = self.network.populations[part.population]
            _, width, channels = population.shape
            costs = self.chip.core(part.core)
            row.rank, row.core, row.offset = rank, self.core_of[part.core], offsets[rank]
            row.first_pixel, row.channels = part.y0 * width, channels
            row.first_channel, row.width = part.c0, part.c1 - part.c0
            row.neurons = (part.y1 - part.y0) * width * (part.c1 - part.c0)
            row.is_input = population.neuron.is_input
            row.is_readout = population.neuron.emits == "nothing"
            row.access, row.update, row.fire = costs.access, costs.update, costs.fire
            row.serialise = self.times.row(costs.serialise)
            row.copy_start, row.copy_stop = np.searchsorted(ranks, [rank, rank + 1])
            mine = np.flatnonzero(self.copy_rows.part == number)
            row.in_start = len(incoming)
            incoming += mine.tolist()
            row.in_stop = len(incoming)
            row.senders = senders[ranks[mine[self.copy_rows[mine].late == 0]]].sum()
        return rows, np.array(incoming or [0], dtype=np.int64)

    def _part_of(self) -> NDArray[np.int32]:
        boxes = [np.zeros(population.shape, dtype=np.int32) for population in self.network]
        for number, (rank, part) in enumerate(self.parts):
            boxes[rank][part.y0 : part.y1, :, part.c0 : part.c1] = number
        return np.concatenate([box.reshape(-1) for box in boxes])

    def _hops(self) -> NDArray[np.int64]:
        """Hops along x and y between parts and copies; 0 where a part does not send a copy."""
        found = np.zeros((2, len(self.parts), max(1, len(self.copies))), dtype=np.int64)
        for i, (rank, part) in enumerate(self.parts):
            for j, (source, _, target) in enumerate(self.copies):
                if source == rank:
                    found[:, i, j] = self.mapping.architecture.hops(part.core, target.core)
        return found

    def _streams(self) -> NDArray[np.int64]:
        streams = [
            (int(self.copy_rows[copy].core), part, copy)
            for part, row in enumerate(self.part_rows)
            for copy in range(row.copy_start, row.copy_stop)
        ]
        return np.array(sorted(streams), dtype=np.int64).reshape(-1, 3)

    def _core_rows(self) -> tuple[w.Records, NDArray[np.int64]]:
        rows = w.records(w.WALK_CORE, len(self.numbers))
        of_core: list[int] = []
        walked = self.part_rows.is_readout == 0
        for core, row in enumerate(rows):
            row.number = self.numbers[core]
            row.part_start = len(of_core)
            of_core += np.flatnonzero((self.part_rows.core == core) & walked).tolist()
            row.part_stop = len(of_core)
            row.stream_start, row.stream_stop = np.searchsorted(self.stream[:, 0], [core, core + 1])
        return rows, np.array(of_core or [0], dtype=np.int64)

    def _chip_row(self) -> w.Records:
        row = w.record(w.WALK_CHIP)
        architecture, chip = self.mapping.architecture, self.chip
        synchronisation, noc = architecture.synchronisation, architecture.network_on_chip
        row.barrier = synchronisation.kind == "barrier"
        row.totals = synchronisation.timing == "totals"
        row.paced = synchronisation.pace == "input"
        row.barrier_time, row.step_time = chip.barrier, chip.step
        row.linked, row.on_bus = noc.has_links, noc.topology == "bus"
        row.hop_x, row.hop_y, row.bus = (
            self.times.row(table) for table in (chip.hop_x, chip.hop_y, chip.bus)
        )
        late = self.copy_rows.late.max(initial=0)
        row.latest = 0 if row.barrier else late
        row.input_part = np.argmax(self.part_rows.is_input)
        return row

    # -- which chips are plain -------------------------------------------------------------------------

    def _varies(self) -> bool:
        """Whether any time is drawn."""
        return bool((self.times.spread() > 1).any())

    def _queues(self) -> bool:
        """Whether anything but messages at a core queues, or queues are bounded."""
        depths = [self.chip.core(number).input_depth for number in self.numbers]
        return bool(self.chip_row.linked) or any(depth is not None for depth in depths)

    def _mixes(self) -> bool:
        """Whether a core may serve what its walks do not wait for before what they do."""
        waits = self.part_rows[self.part_rows.senders > 0]
        for core, part, _ in self.stream:
            mine = waits[waits.core == core]
            if len(mine) and self.part_rows[part].rank >= mine.rank.min():
                return True
        return False

    # -- what a run is given and gives -----------------------------------------------------------------

    def price(self, plan: Plan) -> Plan:
        """The plan of the ideal run with this accelerator's energies."""
        chip = plan.chip.copy()
        chip.priced = 1
        return plan._replace(chip=chip, energy=self.chip.energy(self.network.order, steps=True))

    def moments(
        self, walks: Walks, first_event: int, early: bool, checks: int
    ) -> tuple[int, int, NDArray[np.int64]]:
        """Of a run that is over: decision time, first event, and the time of each check."""
        over = int(walks.scalar.over)
        checked = walks.checked[:checks]
        if not early:
            checked[-1] = over
        return (
            over + (self.chip.decision if early else 0),
            first_event if self.chip_row.paced else 0,
            checked,
        )

    # -- fresh arrays ------------------------------------------------------------------------------------

    def fresh_walks(self, spikes: int, messages: int, services: int, checks: int) -> Walks:
        """Arrays of a sample; capacities: spikes of a step, messages of a step, rows of the log, checks."""
        stream_of = np.zeros((len(self.parts), max(1, len(self.copies))), dtype=np.int64)
        stream_of[self.stream[:, 1], self.stream[:, 2]] = np.arange(len(self.stream))
        stream = w.records(w.WALK_STREAM, len(self.stream))
        stream.part, stream.copy_at = self.stream[:, 1], self.stream[:, 2]
        named = self.is_general or self.logs or self._varies()
        live = w.records(w.WALK_LIVE, len(self.parts))
        return Walks(
            part=self.part_rows, copy=self.copy_rows, core=self.core_rows, incoming=self.incoming,
            of_core=self.of_core, stream=stream, stream_of=stream_of,
            fan_out=self.fan_out, times=self.times.tables(), spread=self.times.spread(), chip=self.chip_row,
            part_of=self.part_of, hops=self.hops,
            words=np.zeros(spikes, dtype=np.int64),
            message=w.records(w.WALK_WAITING, 1 if self.is_general else messages),
            ordinal=np.zeros(len(self.part_of) if named else 1, dtype=np.int64),
            counters=np.zeros((len(self.parts), len(COUNTERS)), dtype=np.int64), live=live,
            unit=w.records(w.WALK_UNIT, len(self.numbers)),
            heard=np.zeros((max(1, len(self.copies)), int(self.chip_row.latest) + 1), dtype=np.int64),
            service=np.zeros(services, w.SERVICE_ROW),
            checked=np.zeros(checks, dtype=np.int64), scalar=w.record(w.WALK_SCALARS),
        )  # fmt: skip

    def fresh_ways(self, messages: int) -> Ways | None:
        """Arrays of a sample for chips that are not plain; ``messages`` may be under way at once."""
        if not self.is_general:
            return None
        architecture = self.mapping.architecture
        routes: dict[tuple[int, int], tuple[int, ...]] = {
            (i, j): architecture.route(part.core, target.core)
            for i, (rank, part) in enumerate(self.parts)
            for j, (source, _, target) in enumerate(self.copies)
            if source == rank
        }
        links = {link: len(self.numbers) + n for n, link in enumerate(sorted(set().union(*routes.values())))}
        start = np.zeros((len(self.parts), max(1, len(self.copies))), dtype=np.int64)
        flat: list[int] = []
        for (i, j), route in routes.items():
            start[i, j] = len(flat)
            flat += [links[link] for link in route]
        server = w.records(w.WALK_SERVER, len(self.numbers) + len(links))
        server.head = server.tail = server.blocked = -1
        server.number = [*self.numbers, *sorted(links)]
        depths = [self.chip.core(number).input_depth for number in self.numbers]
        depths += [architecture.network_on_chip.link_depth] * len(links)
        server.depth = [-1 if depth is None else depth for depth in depths]
        scalar = w.record(w.WAY_SCALARS)
        scalar.spare = -1
        return Ways(
            route=np.array(flat or [0], dtype=np.int64), route_start=start, server=server,
            message=w.records(w.WALK_MESSAGE, messages),
            event=w.records(w.WALK_EVENT, messages + len(self.parts)),
            agenda=np.zeros((len(self.copies) + len(server) + 16, 3), dtype=np.int64), scalar=scalar,
        )  # fmt: skip
