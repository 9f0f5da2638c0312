"""The step schedule on an accelerator as flat arrays.

Most chips are *computed ahead*: times are constant, nothing queues but messages at cores, and what a core
waits for in a step is sent by populations of lower ranks than those on it that wait. Then cores are played
one after another, by rank. All others are played event by event, over the places of ``routes``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COUNTERS
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Queues, Steps
from eventsnn.engine.lowering.accelerator import Costs, chip_record
from eventsnn.engine.lowering.capacities import Capacities
from eventsnn.engine.lowering.layout import Layout, fan_out_in_part
from eventsnn.engine.lowering.routes import build_routes, fresh_queues
from eventsnn.engine.lowering.times import Times
from eventsnn.hardware import Chip, Mapping


class StepArrays:
    """A mapped network, ready to make fresh ``Steps`` and ``Queues`` for every sample."""

    def __init__(self, layout: Layout, mapping: Mapping, step: int, logs: bool) -> None:
        self.layout, self.chip, self.logs = layout, Chip(mapping), logs
        self.times = Times()
        self.costs = Costs(self.chip, self.times, steps=True)
        self.cores = sorted({part.core for _, part in layout.parts})
        self.destination, self.fan_out = self._destinations(step)
        self.routes = build_routes(layout, self.chip, self.times, ahead=False, delayed=False)
        self.part, self.incoming = self._parts()
        self.stream = self._streams()
        self.unit, self.of_core = self._units()
        self.chip_record = self._chip_record()
        self.varies = bool((self.times.spread() > 1).any())
        totals = self.chip_record.totals != 0
        self.is_ahead = totals or not (logs or self.varies or self._queues() or self._mixes())

    # -- lowering ------------------------------------------------------------------------------------

    def _destinations(self, step: int) -> tuple[k.Records, k.Records]:
        network = self.layout.network
        rows, tables, start = [], [k.records(k.FAN_OUT, 1)], 1
        for copies in self.layout.copies:
            for projection, part in copies:
                table = fan_out_in_part(network, projection, part)
                target = network.populations[projection.target].neuron
                row = {
                    "target": network.order.index(projection.target), "fan_out": start,
                    "target_part": self.layout.number[part], "late": projection.delay // step,
                }  # fmt: skip
                rows.append(row | self.costs.copy(part, target))
                tables.append(k.records(k.FAN_OUT, len(table)))
                tables[-1].full = table
                start += len(table)
        return k.filled(k.DESTINATION, rows), np.concatenate(tables).view(np.recarray)

    def _parts(self) -> tuple[k.Records, NDArray[np.int64]]:
        """Parts, and the copies that end in each, one part's after the other's."""
        network, rows = self.layout.network, []
        incoming: list[int] = []
        ends = np.cumsum([len(copies) for copies in self.layout.copies])
        starts = ends - [len(copies) for copies in self.layout.copies]
        offsets = np.cumsum([0, *(population.size for population in network)])
        senders = np.bincount([rank for rank, _ in self.layout.parts], minlength=len(network.order))
        rank_of_copy = np.repeat(np.arange(len(ends)), ends - starts)
        for number, (rank, part) in enumerate(self.layout.parts):
            population = network.populations[part.population]
            neuron, (_, width, channels) = population.neuron, population.shape
            mine = np.flatnonzero(self.destination.target_part == number)
            at_once = mine[self.destination[mine].late == 0]
            row = {
                "core": part.core, "neurons": self.layout.neurons(part), "rank": rank,
                "offset": offsets[rank], "unit": self.cores.index(part.core),
                "first_pixel": part.y0 * width, "channels": channels,
                "first_channel": part.c0, "width": part.c1 - part.c0,
                "is_input": neuron.is_input, "is_readout": neuron.emits == "nothing",
                "destination_start": starts[rank], "destination_stop": ends[rank],
                "in_start": len(incoming), "in_stop": len(incoming) + len(mine),
                "senders": senders[rank_of_copy[at_once]].sum(),
                "routes": self.routes.first[number], "server": self.routes.core[number],
            }  # fmt: skip
            incoming += mine.tolist()
            rows.append(row | self.costs.part(part, neuron))
        return k.filled(k.PART, rows), np.array(incoming or [0], dtype=np.int64)

    def _streams(self) -> NDArray[np.int64]:
        """(core, part, copy) of every stream, by core; shape (streams, 3)."""
        streams = [
            (int(self.part[self.destination[copy].target_part].unit), part, copy)
            for part, row in enumerate(self.part)
            for copy in range(row.destination_start, row.destination_stop)
        ]
        return np.array(sorted(streams), dtype=np.int64).reshape(-1, 3)

    def _units(self) -> tuple[k.Records, NDArray[np.int64]]:
        """Cores, and the parts each scans."""
        units = k.records(k.UNIT, len(self.cores))
        of_core: list[int] = []
        scanned = self.part.is_readout == 0
        for unit, row in enumerate(units):
            row.number = self.cores[unit]
            row.part_start = len(of_core)
            of_core += np.flatnonzero((self.part.unit == unit) & scanned).tolist()
            row.part_stop = len(of_core)
            row.stream_start, row.stream_stop = np.searchsorted(self.stream[:, 0], [unit, unit + 1])
        return units, np.array(of_core or [0], dtype=np.int64)

    def _chip_record(self) -> k.Records:
        synchronisation = self.chip.architecture.synchronisation
        barrier = synchronisation.kind == "barrier"
        return chip_record(
            self.costs.whole()
            | {
                "barrier": barrier, "totals": synchronisation.timing == "totals",
                "paced": synchronisation.pace == "input", "barrier_time": self.chip.barrier,
                "step_time": self.chip.step, "input_part": int(np.argmax(self.part.is_input)),
                "latest": 0 if barrier else int(self.destination.late.max(initial=0)),
            }
        )  # fmt: skip

    # -- which chips are computed ahead ----------------------------------------------------------------

    def _queues(self) -> bool:
        """Whether anything but messages at a core queues, or queues are bounded."""
        depths = [self.chip.core(number).input_depth for number in self.cores]
        linked = self.chip.architecture.network_on_chip.has_links
        return linked or any(depth is not None for depth in depths)

    def _mixes(self) -> bool:
        """Whether a core may serve what its scans do not wait for before what they do."""
        waits = self.part[self.part.senders > 0]
        for unit, part, _ in self.stream:
            mine = waits[waits.unit == unit]
            if len(mine) and self.part[part].rank >= mine.rank.min():
                return True
        return False

    # -- fresh arrays ------------------------------------------------------------------------------------

    def fresh(self, spikes: int, room: Capacities) -> Steps:
        """Arrays of a sample in which so many spikes of a step may be."""
        parts, copies, neurons = len(self.part), max(1, len(self.destination)), len(self.layout.part_of)
        stream_of = np.zeros((parts, copies), dtype=np.int64)
        stream_of[self.stream[:, 1], self.stream[:, 2]] = np.arange(len(self.stream))
        stream = k.records(k.STEP_STREAM, len(self.stream))
        stream.part, stream.destination = self.stream[:, 1], self.stream[:, 2]
        named = not self.is_ahead or self.logs or self.varies
        return Steps(
            destination=self.destination, fan_out=self.fan_out, part_of=self.layout.part_of, part=self.part,
            route=self.routes.route, leg=self.routes.leg, chip=self.chip_record,
            times=self.times.tables(), spread=self.times.spread(), incoming=self.incoming,
            of_core=self.of_core, stream_of=stream_of, stream=stream,
            message=k.records(k.STEP_MESSAGE, room.pending if self.is_ahead else 1),
            words=np.zeros(spikes, dtype=np.int64),
            ordinal=np.zeros(neurons if named else 1, dtype=np.int64),
            counters=np.zeros((parts, len(COUNTERS)), dtype=np.int64), scan=k.records(k.SCAN, parts),
            unit=self.unit.copy(), heard=np.zeros((copies, int(self.chip_record.latest) + 1), dtype=np.int64),
            checked=np.zeros(room.trace, dtype=np.int64), scalar=k.record(k.STEP_SCALARS),
        )  # fmt: skip

    def fresh_queues(self, room: Capacities) -> Queues | None:
        """Places of a sample, if steps are played event by event."""
        return None if self.is_ahead else fresh_queues(self.routes, room.messages)
