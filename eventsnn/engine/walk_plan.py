"""What the kernels that play timesteps on an accelerator are given: a mapped network as flat arrays.

Most chips are *plain*: times are constant, nothing queues but messages at cores, and what a core waits for in
a step is sent by populations of lower ranks than those on it that wait. Then cores are played one after
another, by rank. All others are played event by event, for which there are ``Ways``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine import columns as k
from eventsnn.engine import walk_columns as w
from eventsnn.engine.contract import SERVICE_COLUMNS
from eventsnn.engine.plan import Plan, destinations, fan_out_in_part
from eventsnn.engine.times import Times
from eventsnn.hardware import Chip, Mapping, Part
from eventsnn.network import Input, Network, Projection, Readout
from eventsnn.results.counters import COUNTERS

Copy = tuple[int, Projection, Part]  # rank of the source, what, where to


class Walks(NamedTuple):
    """The parts of a network on the cores of a chip; what changes stands below ``hops``."""

    part: NDArray[np.int64]  # (parts, W_COLUMNS)
    copy: NDArray[np.int64]  # (copies, C_COLUMNS)
    core: NDArray[np.int64]  # (cores, U_COLUMNS)
    incoming: NDArray[np.int64]  # copies by the part they end in
    of_core: NDArray[np.int64]  # parts by their core, by rank, readouts left out
    stream: NDArray[np.int64]  # (parts x their copies, 2): part and copy, by the core the copy ends on
    stream_of: NDArray[np.int64]  # (parts, copies) its place there
    fan_out: NDArray[np.int32]  # (copies x source neurons,)
    times: NDArray[np.int64]  # (tables, length) equally likely times
    spread: NDArray[np.int64]  # (tables,) how many there are to draw from
    chip: NDArray[np.int64]  # (CHIP_COLUMNS,)
    part_of: NDArray[np.int32]  # (neurons,)
    hops: NDArray[np.int64]  # (x or y, parts, copies)
    words: NDArray[np.int64]  # (spikes of a step,) by part
    message: NDArray[np.int64]  # (capacity, 3) arrival, service, place in ``words``; by stream
    reach: NDArray[np.int64]  # (streams, 3) where its messages start, the next one, and the end
    ordinal: NDArray[np.int64]  # (neurons,) spikes emitted, for random times and the log
    counters: NDArray[np.int64]  # (parts, counters)
    live: NDArray[np.int64]  # (parts, L_COLUMNS)
    unit: NDArray[np.int64]  # (cores, UNIT_COLUMNS)
    heard: NDArray[np.int64]  # (copies, steps remembered) when a copy's messages had been served
    service: NDArray[np.int64]  # (capacity, contract.SERVICE_COLUMNS)
    checked: NDArray[np.int64]  # (checks,) when the step of an exit check was over
    scalar: NDArray[np.int64]  # (WALK_SCALARS,)


class Ways(NamedTuple):
    """What is under way on a chip that is played event by event."""

    route: NDArray[np.int64]  # servers on the ways between parts and copies, receiving units left out
    route_start: NDArray[np.int64]  # (parts, copies)
    server: NDArray[np.int64]  # (receiving units and links, S_COLUMNS)
    message: NDArray[np.int64]  # (capacity, M_COLUMNS)
    event: NDArray[np.int64]  # (capacity, E_COLUMNS)
    agenda: NDArray[np.int64]  # (capacity, 3) what is to be done at this tick, and with what
    scalar: NDArray[np.int64]  # (WAY_SCALARS,)


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
        totals = self.chip_row[w.TOTALS] != 0
        self.is_general = not totals and (logs or self._varies() or self._queues() or self._mixes())

    # -- lowering ------------------------------------------------------------------------------------

    def _copy_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        rows = np.zeros((len(self.copies), w.C_COLUMNS), dtype=np.int64)
        tables: list[NDArray[Any]] = [np.zeros(1, dtype=np.int32)]
        start = 1
        for row, (_, projection, part) in zip(rows, self.copies, strict=True):
            core = self.chip.core(part.core)
            table = fan_out_in_part(self.network, projection, part).astype(np.int32)
            rank = self.network.order.index(projection.target)
            row[w.C_PART] = self.parts.index((rank, part))
            row[w.C_CORE] = self.core_of[part.core]
            row[w.C_LATE] = projection.delay // self.step
            row[w.C_FAN_OUT] = start
            row[w.C_DECODE] = self.times.row(core.decode)
            row[w.C_SYNAPSE] = self.times.row(self.chip.synapse(part.population, part.core))
            row[w.C_LANES] = core.processing_elements
            tables.append(table)
            start += len(table)
        return rows, np.concatenate(tables)

    def _part_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = np.zeros((len(self.parts), w.W_COLUMNS), dtype=np.int64)
        ranks = np.array([rank for rank, _, _ in self.copies], dtype=np.int64)
        senders = np.bincount([rank for rank, _ in self.parts], minlength=len(self.network.order))
        incoming: list[int] = []
        offsets = np.cumsum([0, *(population.size for population in self.network)])
        for number, (row, (rank, part)) in enumerate(zip(rows, self.parts, strict=True)):
            population = self.network.populations[part.population]
            _, width, channels = population.shape
            costs = self.chip.core(part.core)
            row[w.W_RANK], row[w.W_CORE], row[w.W_OFFSET] = rank, self.core_of[part.core], offsets[rank]
            row[w.W_FIRST_PIXEL], row[w.W_CHANNELS] = part.y0 * width, channels
            row[w.W_LOW], row[w.W_WIDTH] = part.c0, part.c1 - part.c0
            row[w.W_SIZE] = (part.y1 - part.y0) * width * (part.c1 - part.c0)
            row[w.W_IS_INPUT] = isinstance(population.neuron, Input)
            row[w.W_IS_READOUT] = isinstance(population.neuron, Readout)
            row[w.W_ACCESS], row[w.W_UPDATE], row[w.W_FIRE] = costs.access, costs.update, costs.fire
            row[w.W_SERIALISE] = self.times.row(costs.serialise)
            row[[w.W_COPY_START, w.W_COPY_STOP]] = np.searchsorted(ranks, [rank, rank + 1])
            mine = np.flatnonzero(self.copy_rows[:, w.C_PART] == number)
            row[w.W_IN_START] = len(incoming)
            incoming += mine.tolist()
            row[w.W_IN_STOP] = len(incoming)
            row[w.W_SENDERS] = senders[ranks[mine[self.copy_rows[mine, w.C_LATE] == 0]]].sum()
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
            (int(self.copy_rows[copy, w.C_CORE]), part, copy)
            for part, row in enumerate(self.part_rows)
            for copy in range(row[w.W_COPY_START], row[w.W_COPY_STOP])
        ]
        return np.array(sorted(streams), dtype=np.int64).reshape(-1, 3)

    def _core_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = np.zeros((len(self.numbers), w.U_COLUMNS), dtype=np.int64)
        of_core: list[int] = []
        walked = self.part_rows[:, w.W_IS_READOUT] == 0
        for core, row in enumerate(rows):
            row[w.U_NUMBER] = self.numbers[core]
            row[w.U_PART_START] = len(of_core)
            of_core += np.flatnonzero((self.part_rows[:, w.W_CORE] == core) & walked).tolist()
            row[w.U_PART_STOP] = len(of_core)
            edges = np.searchsorted(self.stream[:, 0], [core, core + 1])
            row[[w.U_STREAM_START, w.U_STREAM_STOP]] = edges
        return rows, np.array(of_core or [0], dtype=np.int64)

    def _chip_row(self) -> NDArray[np.int64]:
        row = np.zeros(w.CHIP_COLUMNS, dtype=np.int64)
        architecture, chip = self.mapping.architecture, self.chip
        synchronisation, noc = architecture.synchronisation, architecture.network_on_chip
        row[w.BARRIER] = synchronisation.kind == "barrier"
        row[w.TOTALS] = synchronisation.timing == "totals"
        row[w.PACED] = synchronisation.pace == "input"
        row[w.BARRIER_TIME], row[w.STEP_TIME] = chip.barrier, chip.step
        row[w.LINKED], row[w.ON_BUS] = noc.has_links, noc.topology == "bus"
        tables = (chip.hop_x, chip.hop_y, chip.bus)
        row[[w.HOP_X, w.HOP_Y, w.BUS]] = [self.times.row(table) for table in tables]
        late = self.copy_rows[:, w.C_LATE].max(initial=0)
        row[w.LATEST] = 0 if row[w.BARRIER] else late
        row[w.INPUT_PART] = np.argmax(self.part_rows[:, w.W_IS_INPUT])
        return row

    # -- which chips are plain -------------------------------------------------------------------------

    def _varies(self) -> bool:
        """Whether any time is drawn."""
        return bool((self.times.spread() > 1).any())

    def _queues(self) -> bool:
        """Whether anything but messages at a core queues, or queues are bounded."""
        depths = [self.chip.core(number).input_depth for number in self.numbers]
        return bool(self.chip_row[w.LINKED]) or any(depth is not None for depth in depths)

    def _mixes(self) -> bool:
        """Whether a core may serve what its walks do not wait for before what they do."""
        waits = self.part_rows[self.part_rows[:, w.W_SENDERS] > 0]
        for core, part, _ in self.stream:
            mine = waits[waits[:, w.W_CORE] == core]
            if len(mine) and self.part_rows[part, w.W_RANK] >= mine[:, w.W_RANK].min():
                return True
        return False

    # -- what a run is given and gives -----------------------------------------------------------------

    def price(self, plan: Plan) -> Plan:
        """The plan of the ideal run with this accelerator's energies."""
        chip = plan.chip.copy()
        chip[k.PRICED] = 1
        return plan._replace(chip=chip, energy=self.chip.energy(self.network.order, steps=True))

    def moments(
        self, walks: Walks, first_event: int, early: bool, checks: int
    ) -> tuple[int, int, NDArray[np.int64]]:
        """Of a run that is over: decision time, first event, and the time of each check."""
        over = int(walks.scalar[w.OVER])
        checked = walks.checked[:checks]
        if not early:
            checked[-1] = over
        return (
            over + (self.chip.decision if early else 0),
            first_event if self.chip_row[w.PACED] else 0,
            checked,
        )

    # -- fresh arrays ------------------------------------------------------------------------------------

    def fresh_walks(self, spikes: int, messages: int, services: int, checks: int) -> Walks:
        """Arrays of a sample; capacities: spikes of a step, messages of a step, rows of the log, checks."""
        stream_of = np.zeros((len(self.parts), max(1, len(self.copies))), dtype=np.int64)
        stream_of[self.stream[:, 1], self.stream[:, 2]] = np.arange(len(self.stream))
        named = self.is_general or self.logs or self._varies()
        live = np.zeros((len(self.parts), w.L_COLUMNS), dtype=np.int64)
        return Walks(
            part=self.part_rows, copy=self.copy_rows, core=self.core_rows, incoming=self.incoming,
            of_core=self.of_core, stream=np.ascontiguousarray(self.stream[:, 1:]), stream_of=stream_of,
            fan_out=self.fan_out, times=self.times.tables(), spread=self.times.spread(), chip=self.chip_row,
            part_of=self.part_of, hops=self.hops,
            words=np.zeros(spikes, dtype=np.int64),
            message=np.zeros((1 if self.is_general else messages, 3), dtype=np.int64),
            reach=np.zeros((len(self.stream), 3), dtype=np.int64),
            ordinal=np.zeros(len(self.part_of) if named else 1, dtype=np.int64),
            counters=np.zeros((len(self.parts), len(COUNTERS)), dtype=np.int64), live=live,
            unit=np.zeros((len(self.numbers), w.UNIT_COLUMNS), dtype=np.int64),
            heard=np.zeros((max(1, len(self.copies)), int(self.chip_row[w.LATEST]) + 1), dtype=np.int64),
            service=np.zeros((services, SERVICE_COLUMNS), dtype=np.int64),
            checked=np.zeros(checks, dtype=np.int64), scalar=np.zeros(w.WALK_SCALARS, dtype=np.int64),
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
        server = np.zeros((len(self.numbers) + len(links), w.S_COLUMNS), dtype=np.int64)
        server[:, [w.S_HEAD, w.S_TAIL, w.S_BLOCKED]] = -1
        server[:, w.S_NUMBER] = [*self.numbers, *sorted(links)]
        depths = [self.chip.core(number).input_depth for number in self.numbers]
        depths += [architecture.network_on_chip.link_depth] * len(links)
        server[:, w.S_DEPTH] = [-1 if depth is None else depth for depth in depths]
        scalar = np.zeros(w.WAY_SCALARS, dtype=np.int64)
        scalar[w.SPARE] = -1
        return Ways(
            route=np.array(flat or [0], dtype=np.int64), route_start=start, server=server,
            message=np.zeros((messages, w.M_COLUMNS), dtype=np.int64),
            event=np.zeros((messages + len(self.parts), w.E_COLUMNS), dtype=np.int64),
            agenda=np.zeros((len(self.copies) + len(server) + 16, 3), dtype=np.int64), scalar=scalar,
        )  # fmt: skip
