"""The network and its mapping as flat arrays: what the compiled kernels read and never write.

Populations are numbered by rank. A *destination* is one copy of a spike: (projection, core). Where the
spikes of a source pixel land is one *cell*: a first target, a first weight, and how many contiguous runs
follow at which strides. Weights are stored per source channel and stride phase, taps in ascending target
order, so that for one spike and one kernel row both targets and weights are contiguous.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COUNTERS
from eventsnn.counting.digest import population_key
from eventsnn.engine.kernels import records as k
from eventsnn.engine.request import takes_current
from eventsnn.engine.softmax_tables import exponentials, logit_unit, waits
from eventsnn.engine.times import Times
from eventsnn.engine.ways import NO_WAYS, Ways
from eventsnn.hardware import INPUT_PORT, Chip, Mapping, Part
from eventsnn.network import (
    Axis,
    Conv2d,
    Dense,
    Input,
    IntegrateAndFire,
    MaxGate,
    MaxPool,
    Network,
    Population,
    Projection,
    Readout,
    Signed,
    Softmax,
    Sparse,
)
from eventsnn.network.neurons import unknown_kind

Shape = tuple[int, int, int]
FILTERS = {
    "average": k.FILTER_AVERAGE,
    "finite_impulse": k.FILTER_FINITE_IMPULSE,
    "exponential": k.FILTER_EXPONENTIAL,
}
# Populations whose neurons are tested once they have been delivered to.
MARKED = (k.KIND_SIGNED, k.KIND_EXACT_GATE, k.KIND_RATE_GATE)
# Tables of currents shorter than this are repeated: passes over neurons run a table at a time.
TABLE_LANES = 256


class Plan(NamedTuple):
    """Read-only arrays, some of them of ``records``; int64 unless said."""

    population: k.Records  # (ranks,) POPULATION
    destination: k.Records  # (destinations,) DESTINATION
    cells: k.Records  # (destinations x source pixels,) CELL
    edges: NDArray[np.int64]  # of sparse destinations: row pointers, then targets
    weights: NDArray[np.int32]  # flat
    fan_out: k.Records  # (destinations x source neurons,) FAN_OUT
    keys: NDArray[np.int64]  # (ranks, 2) what the digest calls a population
    part_of: NDArray[np.int32]  # (neurons,) part on a core
    part: k.Records  # (parts,) PART
    way: k.Records  # (parts x destinations of their population,) WAY
    leg: k.Records  # (legs,) LEG
    chip: k.Records  # CHIP, one
    energy: NDArray[np.int64]  # (ranks, counters) attojoules per count
    times: NDArray[np.int64]  # (tables, length) equally likely times
    spread: NDArray[np.int64]  # (tables,) how many there are to draw from: 1 is a constant
    tables: NDArray[np.int64]  # of a spiking softmax: waiting times, then exponentials


class Currents(NamedTuple):
    """The constant currents of a sample as tables, one after the other by rank.

    A table holds one value per channel (repeated to make it long) or per neuron; the current of neuron j
    of a rank is ``quanta[start + j % length]``. Length 0: the population takes none.
    """

    quanta: NDArray[np.int32]
    start: NDArray[np.int64]  # (ranks,)
    length: NDArray[np.int64]  # (ranks,)
    biased: NDArray[np.int64]  # (ranks,) neurons with a current


def ideal_parts(network: Network) -> dict[str, tuple[Part, ...]]:
    """Every population whole, on no core."""
    return {p.name: (Part(p.name, INPUT_PORT, 0, p.shape[0], 0, p.shape[2]),) for p in network}


def destinations(network: Network, mapping: Mapping | None) -> list[list[tuple[Projection, Part]]]:
    """Per rank, the copies a spike is sent as, in the order of law 2: (projection name, core)."""
    parts = ideal_parts(network) if mapping is None else mapping.parts
    return [
        [
            (projection, part)
            for projection in network.outgoing(name)
            for part in sorted(parts[projection.target], key=lambda part: part.core)
        ]
        for name in network.order
    ]


def fan_out_in_part(
    network: Network, projection: Projection, part: Part, effective: bool = False
) -> NDArray[np.int64]:
    """Existing synapses of each source neuron that end in a part of the target population."""
    source = network.populations[projection.source].shape
    target = network.populations[projection.target].shape
    return projection.fan_out(source, target, effective, part.box)


def initial_charge(network: Network) -> NDArray[np.int64]:
    """The charge of every neuron at time 0, by rank: initial charge, plus biases that are charges."""
    pieces = []
    for population in network:
        neuron = population.neuron
        charge = np.zeros(population.size, dtype=np.int64)
        if not neuron.holds_charge:
            pieces.append(charge)
            continue
        if population.initial_charge is not None:
            pieces.append(population.initial_charge.astype(np.int64))
            continue
        charge += neuron.starting_charge
        if not takes_current(population):
            charge += network.bias(population.name)
        pieces.append(charge)
    return np.concatenate(pieces)


def initial_count(network: Network) -> NDArray[np.int32]:
    """The count every neuron starts from, by rank: zero but for a network at rest."""
    pieces = []
    for population in network:
        given = population.initial_count
        pieces.append(np.zeros(population.size, dtype=np.int32) if given is None else given)
    return np.concatenate(pieces).astype(np.int32)


def currents(network: Network, added: dict[str, NDArray[np.int64]] | None = None) -> Currents:
    """The tables of currents; ``added`` quanta per neuron come on top (an analog input)."""
    tables, starts, lengths, biased = [], [], [], []
    position = 0
    for population in network:
        table = np.zeros(0, dtype=np.int64)
        count = 0
        if takes_current(population):
            value = network.bias(population.name)
            if added is not None and population.name in added:
                value = value + added[population.name]
            count = int(np.count_nonzero(value))
            if count:
                table = _folded(value, population.shape[2])
        tables.append(table)
        starts.append(position)
        lengths.append(len(table))
        biased.append(count)
        position += len(table)
    quanta = np.concatenate(tables).astype(np.int32) if position else np.zeros(1, dtype=np.int32)
    return Currents(quanta, np.array(starts), np.array(lengths), np.array(biased))


def _folded(value: NDArray[np.int64], channels: int) -> NDArray[np.int64]:
    """One value per channel if pixels agree, repeated to fill a pass; else as it is."""
    pixels = value.reshape(-1, channels)
    if not (pixels == pixels[0]).all():
        return value
    fitting = [n for n in range(1, len(pixels) + 1) if len(pixels) % n == 0 and n * channels <= TABLE_LANES]
    return np.tile(pixels[0], max(fitting, default=1))


# -- projections as cells --------------------------------------------------------------------------------


class _Kernel(NamedTuple):
    """A projection's weights, and how its targets lie; offsets are into its own weights."""

    weights: NDArray[np.int32]
    channel_block: int
    in_group: int
    out_group: int
    phases: NDArray[np.int64]  # (phases y x phases x, 3): offset in a block, taps along y, taps along x
    phases_x: int
    y: _Landing
    x: _Landing


class _Landing(NamedTuple):
    """Per source coordinate: (first target, taps, phase, first tap); and the step between targets."""

    table: NDArray[np.int64]
    step: int


def _axis_phases(axis: Axis) -> list[list[int]]:
    """Taps of each stride phase, in ascending target order."""
    if axis.transposed:
        return [list(range(axis.taps))]
    return [
        [tap for tap in reversed(range(axis.taps)) if (tap * axis.dilation) % axis.stride == phase]
        for phase in range(axis.stride)
    ]


def _landing(axis: Axis, source_length: int, target_length: int) -> _Landing:
    targets = axis.target_of_tap(source_length, target_length)
    phases = _axis_phases(axis)
    table = np.zeros((source_length, 4), dtype=np.int64)
    step = axis.dilation if axis.transposed else axis.dilation // int(np.gcd(axis.dilation, axis.stride))
    for source in range(source_length):
        phase = 0 if axis.transposed else (source // axis.pool + axis.pad_before) % axis.stride
        taps = phases[phase]
        # The targets of one phase ascend in equal steps, so those inside are one consecutive run.
        inside = [i for i, tap in enumerate(taps) if targets[source, tap] >= 0]
        if inside:
            table[source] = (targets[source, taps[inside[0]]], len(inside), phase, inside[0])
    return _Landing(table, step)


def _convolution(conv: Conv2d, source: Shape, target: Shape) -> _Kernel:
    phases_y, phases_x = _axis_phases(conv.y), _axis_phases(conv.x)
    in_group, out_group = conv.weight.shape[2], conv.weight.shape[3] // conv.groups
    phase_rows, position = [], 0
    for taps_y in phases_y:
        for taps_x in phases_x:
            phase_rows.append((position, len(taps_y), len(taps_x)))
            position += len(taps_y) * len(taps_x) * out_group
    blocks = np.zeros((source[2], position), dtype=np.int32)
    for channel in range(source[2]):
        group = channel // in_group
        chosen = conv.weight[:, :, channel % in_group, group * out_group : (group + 1) * out_group]
        pieces = [chosen[np.ix_(taps_y, taps_x)].reshape(-1) for taps_y in phases_y for taps_x in phases_x]
        blocks[channel] = np.concatenate(pieces)
    return _Kernel(
        blocks.reshape(-1), position, in_group, out_group, np.array(phase_rows, dtype=np.int64),
        len(phases_x),
        _landing(conv.y, source[0], target[0]), _landing(conv.x, source[1], target[1]),
    )  # fmt: skip


def _convolution_cells(kernel: _Kernel, target: Shape, part: Part) -> k.Records:
    """Per source pixel, where its spikes land inside a part: records of ``CELL``."""
    (first_y, taps_y, phase_y, tap_y), (first_x, taps_x, phase_x, tap_x) = kernel.y.table.T, kernel.x.table.T
    # Rows of the part only: the first target row at or after y0, and no row at or after y1.
    skipped = np.clip(-((first_y - part.y0) // kernel.y.step), 0, taps_y)
    first_y, taps_y, tap_y = first_y + skipped * kernel.y.step, taps_y - skipped, tap_y + skipped
    rows = np.clip(-((first_y - part.y1) // kernel.y.step), 0, taps_y)
    phase = kernel.phases[phase_y[:, None] * kernel.phases_x + phase_x[None, :]]
    exists = (rows[:, None] > 0) & (taps_x[None, :] > 0)
    pixel = first_y[:, None] * target[1] + first_x[None, :]
    weight_row = phase[..., 2] * kernel.out_group
    weight = phase[..., 0] + tap_y[:, None] * weight_row + tap_x[None, :] * kernel.out_group
    cells = k.records(k.CELL, exists.size).reshape(exists.shape)
    cells.target = np.where(exists, pixel * target[2], 0)
    cells.weight = np.where(exists, weight, 0)
    cells.rows = np.where(exists, rows[:, None], 0)
    cells.taps = np.where(exists, taps_x[None, :], 0)
    cells.weight_row = np.where(exists, weight_row, 0)
    cells.pixel = np.where(exists, pixel, 0)
    return cells.reshape(-1)


def _dense_cells(dense: Dense, source: Shape) -> k.Records:
    """One run of all targets for each source pixel; a channel's weights follow the last one's."""
    row = dense.rows(source).reshape(-1, source[2])[:, 0]
    cells = k.records(k.CELL, len(row))
    cells.weight = np.where(row >= 0, row, 0) * dense.weight.shape[1]
    cells.rows = row >= 0
    cells.taps = row >= 0
    return cells


def _sparse_edges(
    sparse: Sparse, projection: Projection, target: Shape, part: Part
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Row pointers, targets in the target population, weights: those that end in a part."""
    cell, channel = np.divmod(sparse.indices, sparse.shape[2])
    channel = channel + projection.channel_offset
    y = cell // sparse.shape[1]
    inside = (y >= part.y0) & (y < part.y1) & (channel >= part.c0) & (channel < part.c1)
    counted = np.concatenate([[0], np.cumsum(inside)])
    return counted[sparse.indptr], (cell * target[2] + channel)[inside], sparse.weight[inside]


def _pointers(sorted_by: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(sorted_by, minlength=size))])


class _Builder:
    """Collects the arrays of a plan, projection by projection and copy by copy."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.rank_of = {name: rank for rank, name in enumerate(network.order)}
        self.rows: list[dict[str, int]] = []
        self.stores: dict[str, list[NDArray[Any]]] = {
            name: [] for name in ("weights", "cells", "edges", "fan_out", "effective")
        }
        self.sizes = dict.fromkeys(self.stores, 0)
        self.kernels: dict[str, tuple[_Kernel, int]] = {}
        self.estimates = 0
        # Of each population of gates: per part, targets, and places of their sources in the estimates.
        self.windows: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}

    def append(self, store: str, array: NDArray[Any]) -> int:
        """Put an array at the end of a store; returns where it starts."""
        start = self.sizes[store]
        self.stores[store].append(array)
        self.sizes[store] += len(array)
        return start

    def joined(self, store: str, dtype: Any) -> NDArray[Any]:
        """A store's arrays as one."""
        arrays = self.stores[store]
        return np.concatenate(arrays).astype(dtype, copy=False) if arrays else np.zeros(1, dtype=dtype)

    def joined_records(self, store: str, kind: np.dtype[np.void]) -> k.Records:
        """A store's records as one array."""
        arrays = self.stores[store]
        return np.concatenate(arrays).view(np.recarray) if arrays else k.records(kind, 0)

    def add(self, projection: Projection, part: Part, offset: int, kind: int) -> None:
        """One copy of the spikes of a projection's source."""
        source = self.network.populations[projection.source].shape
        target = self.network.populations[projection.target].shape
        first, stop = projection.channels(source)
        full = fan_out_in_part(self.network, projection, part).astype(np.int32)
        effective = fan_out_in_part(self.network, projection, part, effective=True).astype(np.int32)
        self.append("effective", effective)
        row = {
            "target": self.rank_of[projection.target], "target_kind": kind, "target_offset": offset,
            "core": part.core, "delay": projection.delay, "fan_out": self.append("fan_out", full),
            "channels": source[2], "low": max(part.c0 - first, 0), "high": min(part.c1, stop) - first,
        }  # fmt: skip
        if isinstance(projection.synapses, MaxPool):
            row |= self._gates(projection, part)
        elif isinstance(projection.synapses, Sparse):
            row |= self._sparse(projection.synapses, projection, target, part)
        else:
            row |= self._rows(projection, source, target, part)
        self.rows.append(row)

    def _sparse(self, sparse: Sparse, projection: Projection, target: Shape, part: Part) -> dict[str, int]:
        pointers, targets, weights = _sparse_edges(sparse, projection, target, part)
        return {
            "is_sparse": 1, "edges": self.append("edges", pointers),
            "edge_targets": self.append("edges", targets), "weights": self.append("weights", weights),
        }  # fmt: skip

    def _gates(self, projection: Projection, part: Part) -> dict[str, int]:
        source, target, _ = self.network.edges(projection)
        _, width, channels = self.network.populations[projection.target].shape
        y, channel = target // (width * channels), target % channels
        inside = (y >= part.y0) & (y < part.y1) & (channel >= part.c0) & (channel < part.c1)
        source, target = source[inside].astype(np.int64), target[inside].astype(np.int64)
        order, first = np.lexsort((target, source)), self.estimates
        size = self.network.populations[projection.source].size
        self.estimates += size
        self.windows.setdefault(projection.target, []).append((target, first + source))
        return {
            "edges": self.append("edges", _pointers(source, size)),
            "edge_targets": self.append("edges", target[order]), "estimates": first,
        }  # fmt: skip

    def window_fields(self, name: str) -> dict[str, int]:
        """Where the windows of a population of gates are listed, sources ascending."""
        target, place = (np.concatenate(c) for c in zip(*self.windows[name], strict=True))
        order = np.lexsort((place, target))
        return {
            "windows": self.append("edges", _pointers(target, self.network.populations[name].size)),
            "window_sources": self.append("edges", place[order]),
        }

    def _rows(self, projection: Projection, source: Shape, target: Shape, part: Part) -> dict[str, int]:
        synapses = projection.synapses
        first, stop = projection.channels(source)
        whole = first == 0 and stop == target[2] and part.c0 == 0 and part.c1 == target[2]
        if isinstance(synapses, Dense):
            cells = _dense_cells(synapses, source)
            n = synapses.weight.shape[1]
            if projection.name not in self.kernels:
                nowhere = _Landing(np.zeros((0, 4), dtype=np.int64), 1)
                flat = synapses.weight.reshape(-1)
                kernel = _Kernel(flat, n, source[2], n, np.zeros((0, 3), dtype=np.int64), 1, nowhere, nowhere)
                self.kernels[projection.name] = (kernel, self.append("weights", flat))
        else:
            conv = synapses.as_conv2d(source[2])
            if projection.name not in self.kernels:
                kernel = _convolution(conv, source, synapses.target_shape(source))
                self.kernels[projection.name] = (kernel, self.append("weights", kernel.weights))
            cells = _convolution_cells(self.kernels[projection.name][0], target, part)
        kernel, weights = self.kernels[projection.name]
        cells.target += first
        return {
            "cells": self.append("cells", cells), "channel_block": kernel.channel_block,
            "weights": weights,
            "merged": int(kernel.x.step == 1 and kernel.out_group == target[2] and whole),
            "in_group": kernel.in_group, "out_group": kernel.out_group,
            "row_targets": kernel.y.step * target[1] * target[2], "piece_targets": kernel.x.step * target[2],
            "row_pixels": kernel.y.step * target[1], "step_pixels": kernel.x.step,
        }  # fmt: skip


# -- populations -----------------------------------------------------------------------------------------


def _neuron_fields(network: Network, population: Population) -> dict[str, int]:
    neuron = population.neuron
    row = {"neurons": population.size, "touch_offset": -1, "group": 1}
    if isinstance(neuron, Input):
        return row | {"kind": k.KIND_INPUT}
    if isinstance(neuron, MaxGate):
        return row | {
            "kind": k.KIND_EXACT_GATE if neuron.filter == "exact" else k.KIND_RATE_GATE,
            "filter": FILTERS.get(neuron.filter, 0), "graded": int(neuron.graded),
            "settle_time": neuron.settle_time, "period": neuron.period, "factor": neuron.factor,
        }  # fmt: skip
    row["largest_weight"] = max(
        1, *(_largest(p.synapses.weight) for p in network.incoming(population.name)), 0
    )
    if isinstance(neuron, Signed):
        return row | {
            "kind": k.KIND_SIGNED, "threshold": neuron.threshold, "levels": neuron.levels,
            "settle_time": neuron.settle_time, "hysteresis_low": neuron.hysteresis_low,
            "hysteresis_high": neuron.hysteresis_high, "graded": int(neuron.graded),
        }  # fmt: skip
    if isinstance(neuron, IntegrateAndFire):
        return row | {
            "kind": k.KIND_RATE, "threshold": neuron.threshold, "hard": int(neuron.reset == "hard"),
            "strict": int(neuron.strict), "multispike": int(neuron.multispike),
            "clamped": int(neuron.lower_clamp is not None), "clamp": neuron.lower_clamp or 0,
            "period": neuron.period, "refractory": neuron.refractory,
            "refractory_drop": int(neuron.refractory_drop), "leak_period": neuron.leak_period,
            "leak_factor": neuron.leak_factor,
        }  # fmt: skip
    if not isinstance(neuron, Readout | Softmax):
        raise unknown_kind(population)
    row |= {"kind": k.KIND_READOUT, "period": max(1, getattr(neuron, "period", 0))}
    if isinstance(neuron, Softmax):
        variant = k.VARIANT_CLOCK if neuron.variant == "clock" else k.VARIANT_INDEPENDENT
        row |= {
            "kind": k.KIND_SOFTMAX, "filter": variant, "interval": neuron.interval,
            "logit_unit": logit_unit(neuron),
        }  # fmt: skip
    return row


def _largest(weight: NDArray[np.int32]) -> int:
    return max(abs(int(weight.max(initial=0))), abs(int(weight.min(initial=0))))


def _group(network: Network, population: Population, parts: tuple[Part, ...]) -> int:
    """Neurons that every delivery reaches together: a pixel's channels, or single neurons."""
    channels = population.shape[2]
    if any(part.c0 > 0 or part.c1 < channels for part in parts):
        return 1
    for projection in network.incoming(population.name):
        synapses = projection.synapses
        source = network.populations[projection.source].shape
        if isinstance(synapses, (Sparse, MaxPool)) or projection.channels(source) != (0, channels):
            return 1
        if not isinstance(synapses, Dense) and synapses.as_conv2d(source[2]).groups != 1:
            return 1
    return channels


def build_plan(
    network: Network,
    mapping: Mapping | None = None,
    queued: bool = False,
    ways: Ways = NO_WAYS,
    marked: bool = False,
) -> Plan:
    """Lower a network, and its mapping if it runs on an accelerator, where messages take ``ways``.

    ``queued``: every copy of a spike is queued, those without a delay too. ``marked``: deliveries leave marks
    on neurons that are not tested because of them, too.
    """
    chip = None if mapping is None else Chip(mapping)
    times = Times(ways.times)
    parts = ideal_parts(network) if mapping is None else mapping.parts
    copies = destinations(network, mapping)
    rows: list[dict[str, int]] = []
    part_of: list[NDArray[Any]] = []
    part_rows: list[dict[str, int]] = []
    number_of_part: dict[Part, int] = {}
    offset = touched = destination_count = 0
    for rank, item in enumerate(network):
        row = _neuron_fields(network, item) | {"offset": offset}
        if row["kind"] in MARKED or (marked and row["kind"] in (k.KIND_RATE, k.KIND_SOFTMAX)):
            row["group"] = _group(network, item, parts[item.name])
            row["touch_offset"] = touched
            touched += item.size // row["group"]
        row["destination_start"] = destination_count
        destination_count += len(copies[rank])
        row["destination_stop"] = destination_count
        row["direct"] = int(mapping is None and not queued and all(p.delay == 0 for p, _ in copies[rank]))
        targets = [p.target for p, _ in copies[rank]]
        row["interleaved"] = int(len(set(targets)) < len(targets))
        row["part_start"] = len(part_rows)
        box = np.full(item.shape, -1, dtype=np.int32)
        for part in parts[item.name]:
            box[part.y0 : part.y1, :, part.c0 : part.c1] = len(part_rows)
            number_of_part[part] = len(part_rows)
            size = (part.y1 - part.y0) * item.shape[1] * (part.c1 - part.c0)
            part_rows.append(_part_fields(part, size, row["kind"], chip, times))
        row["part_stop"] = len(part_rows)
        part_of.append(box.reshape(-1))
        offset += item.size
        rows.append(row)

    builder = _Builder(network)
    for rank in range(len(network.order)):
        for projection, part in copies[rank]:
            target = rows[builder.rank_of[projection.target]]
            builder.add(projection, part, target["offset"], target["kind"])
            builder.rows[-1]["target_part"] = number_of_part[part]
            if chip is not None:
                builder.rows[-1] |= _service_fields(part, target["kind"], chip, times)
    for name in builder.windows:
        rows[builder.rank_of[name]] |= builder.window_fields(name)
    part_table = k.filled(k.PART, part_rows)
    part_table.ways, part_table.server = ways.first, ways.core
    chip_record = _chip_record(chip, times)
    return Plan(
        population=k.filled(k.POPULATION, rows),
        destination=k.filled(k.DESTINATION, builder.rows),
        cells=builder.joined_records("cells", k.CELL),
        edges=builder.joined("edges", np.int64),
        weights=builder.joined("weights", np.int32),
        fan_out=k.as_records(
            np.stack([builder.joined(name, np.int32) for name in ("fan_out", "effective")], axis=1), k.FAN_OUT
        ),
        keys=np.stack([population_key(name) for name in network.order]),
        part_of=np.concatenate(part_of),
        part=part_table,
        way=ways.way,
        leg=ways.leg,
        chip=chip_record,
        energy=np.zeros((len(network.order), len(COUNTERS)), dtype=np.int64)
        if chip is None
        else chip.energy(network.order),
        times=times.tables(),
        spread=times.spread(),
        tables=_softmax_tables(network),
    )


def _softmax_tables(network: Network) -> NDArray[np.int64]:
    if not any(isinstance(population.neuron, Softmax) for population in network):
        return np.zeros(1, dtype=np.int64)
    return np.array(waits() + exponentials(), dtype=np.int64)


def _part_fields(part: Part, size: int, kind: int, chip: Chip | None, times: Times) -> dict[str, int]:
    row = {"core": part.core, "neurons": size, "lanes": 1}
    if chip is not None:
        core = chip.core(part.core)
        row["lanes"] = core.processing_elements
        row["serialise"] = times.row(core.serialise)
        row["update"] = core.update
        if kind not in (k.KIND_INPUT, k.KIND_SOFTMAX, k.KIND_READOUT):
            row["fire"] = core.fire
    return row


def _service_fields(part: Part, kind: int, chip: Chip, times: Times) -> dict[str, int]:
    core = chip.core(part.core)
    tested_at_once = kind in (k.KIND_RATE, k.KIND_RATE_GATE)
    return {
        "decode": times.row(core.decode), "synapse": times.row(chip.synapse(part.population, part.core)),
        "cycle_update": core.update if tested_at_once else 0, "lanes": core.processing_elements,
    }  # fmt: skip


def _chip_record(chip: Chip | None, times: Times) -> k.Records:
    row = k.record(k.CHIP)
    if chip is not None:
        row.on_hardware, row.decision_latency, row.priced = 1, chip.decision, 1
        row.hop_x_table, row.hop_y_table = times.row(chip.hop_x), times.row(chip.hop_y)
        row.uses_bus = chip.architecture.network_on_chip.topology == "bus"
    return row
