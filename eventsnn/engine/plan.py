"""The network and its mapping as flat arrays: what the compiled kernels read and never write.

Populations are numbered by rank. A *destination* is one copy of a spike: (projection, core). Kernels
are stored per source channel and stride phase, taps in ascending target order, so that for one spike
and one kernel row both targets and weights are contiguous.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware import INPUT_PORT, Mapping, Part, Timing
from eventsnn.network import Axis, Conv2d, Dense, Input, Network, Projection, Rate, Readout, Signed
from eventsnn.results.counters import COUNTERS

# Columns of Plan.population.
(
    OFFSET, SIZE, KIND, THRESHOLD, LEVELS, INITIAL, SETTLE, HYSTERESIS_LOW, HYSTERESIS_HIGH, GRADED,
    HARD, STRICT, MULTISPIKE, CLAMPED, CLAMP, PERIOD, HAS_CURRENT, DESTINATION_START,
    DESTINATION_STOP, DIRECT, LARGEST_WEIGHT, PART_START, PART_STOP, TEST_AT_START, BIASED_NEURONS,
    POPULATION_COLUMNS,
) = range(26)  # fmt: skip

KIND_INPUT, KIND_SIGNED, KIND_RATE, KIND_READOUT = range(4)

# Columns of Plan.destination.
(
    TARGET, CORE, IS_DENSE, DELAY, Y0, Y1, C0, C1, FAN_OUT, WEIGHTS, TABLE_Y, TABLE_X, PHASES,
    PHASES_X, BLOCK, STEP_Y, STEP_X, OUT_GROUP, IN_GROUP, SOURCE_X, SOURCE_C, TARGET_X, TARGET_C,
    TARGET_KIND, TARGET_CLAMPED, MERGED, DESTINATION_COLUMNS,
) = range(27)  # fmt: skip


class Plan(NamedTuple):
    """Read-only arrays; int64 unless said. Few, with named columns: see ``kernels.State``."""

    population: NDArray[np.int64]  # (ranks, POPULATION_COLUMNS)
    destination: NDArray[np.int64]  # (destinations, DESTINATION_COLUMNS)
    weights: NDArray[np.int32]  # flat
    fan_out: NDArray[np.int32]  # (full or effective, destinations x source neurons)
    tables: NDArray[np.int64]  # (rows, 4): first target, taps, phase, first tap
    phases: NDArray[np.int64]  # (rows, 3): offset in the block, taps along y, taps along x
    neuron: NDArray[np.int32]  # (current or core part, neurons)
    part_core: NDArray[np.int64]  # (parts,)
    hops: NDArray[np.int64]  # (x or y, parts, destinations)
    timing: NDArray[np.int64]  # the accelerator's times, lanes, and whether there is one
    energy: NDArray[np.int64]  # (counters,) attojoules per count
    jitter: NDArray[np.int64]  # (transit or service, table length) inverse-CDF tables


FULL_FAN_OUT, EFFECTIVE_FAN_OUT = range(2)
CURRENT, PART = range(2)

# Places in Plan.timing.
(
    T_INPUT, T_SERIALISE, T_HOP_X, T_HOP_Y, T_DECODE, T_SYNAPSE, T_UPDATE, T_FIRE, T_DECISION,
    T_LANES, ON_HARDWARE, TIMES,
) = range(12)  # fmt: skip


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
    return projection.synapses.fan_out(source, target, effective, part.box)


class _Lowered(NamedTuple):
    """One projection as kernels read it; offsets are into this projection's own arrays."""

    weights: NDArray[np.int32]
    tables_y: NDArray[np.int64]
    tables_x: NDArray[np.int64]
    phases: NDArray[np.int64]
    columns: dict[int, int]


def _axis_phases(axis: Axis) -> list[list[int]]:
    """Taps of each stride phase, in ascending target order."""
    return [
        [k for k in reversed(range(axis.taps)) if (k * axis.dilation) % axis.stride == phase]
        for phase in range(axis.stride)
    ]


def _axis_table(axis: Axis, source_length: int, target_length: int) -> tuple[NDArray[np.int64], int]:
    """Per source coordinate (first target, taps, phase, first tap), and the step between targets."""
    targets = axis.target_of_tap(source_length, target_length)
    phases = _axis_phases(axis)
    table = np.zeros((source_length, 4), dtype=np.int64)
    step = axis.dilation // int(np.gcd(axis.dilation, axis.stride))
    for source in range(source_length):
        phase = (source // axis.pool + axis.pad_before) % axis.stride
        taps = phases[phase]
        # The targets of one phase ascend in equal steps, so those inside are one consecutive run.
        inside = [i for i, k in enumerate(taps) if targets[source, k] >= 0]
        if inside:
            table[source] = (targets[source, taps[inside[0]]], len(inside), phase, inside[0])
    return table, step


def _lower_conv2d(conv: Conv2d, source: tuple[int, int, int], target: tuple[int, int, int]) -> _Lowered:
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
    tables_y, step_y = _axis_table(conv.y, source[0], target[0])
    tables_x, step_x = _axis_table(conv.x, source[1], target[1])
    columns = {
        IS_DENSE: 0, PHASES_X: len(phases_x), BLOCK: position, STEP_Y: step_y, STEP_X: step_x,
        OUT_GROUP: out_group, IN_GROUP: in_group,
    }  # fmt: skip
    phases = np.array(phase_rows, dtype=np.int64)
    return _Lowered(blocks.reshape(-1), tables_y, tables_x, phases, columns)


def _lower(projection: Projection, source: tuple[int, int, int], target: tuple[int, int, int]) -> _Lowered:
    synapses = projection.synapses
    if isinstance(synapses, Dense):
        # A dense row is chosen by the source neuron; the y table holds its number.
        rows = np.zeros((len(synapses.rows(source)), 4), dtype=np.int64)
        rows[:, 0] = synapses.rows(source)
        nothing = np.zeros((0, 4), dtype=np.int64)
        return _Lowered(
            synapses.weight.reshape(-1), rows, nothing, np.zeros((0, 3), dtype=np.int64), {IS_DENSE: 1}
        )
    conv = synapses if isinstance(synapses, Conv2d) else synapses.as_conv2d(source[2])
    return _lower_conv2d(conv, source, target)


def _population_row(network: Network, name: str) -> dict[int, int]:
    population = network.populations[name]
    neuron = population.neuron
    row = {SIZE: population.size}
    if isinstance(neuron, Input):
        return row | {KIND: KIND_INPUT}
    bias = network.bias(name)
    incoming = [np.abs(p.synapses.weight.astype(np.int64)).max(initial=0) for p in network.incoming(name)]
    row[LARGEST_WEIGHT] = max(1, int(max(incoming)))
    if isinstance(neuron, Signed):
        return row | {
            KIND: KIND_SIGNED, THRESHOLD: neuron.threshold, LEVELS: neuron.levels,
            INITIAL: neuron.initial_charge, SETTLE: neuron.settle_time,
            HYSTERESIS_LOW: neuron.hysteresis_low, HYSTERESIS_HIGH: neuron.hysteresis_high,
            GRADED: int(neuron.graded),
            TEST_AT_START: int(bool(bias.any()) and population.initial_charge is None),
        }  # fmt: skip
    if isinstance(neuron, Rate):
        return row | {
            KIND: KIND_RATE, THRESHOLD: neuron.threshold, INITIAL: neuron.initial_charge,
            HARD: int(neuron.reset == "hard"), STRICT: int(neuron.strict),
            MULTISPIKE: int(neuron.multispike), CLAMPED: int(neuron.lower_clamp is not None),
            CLAMP: neuron.lower_clamp or 0, PERIOD: neuron.period,
            HAS_CURRENT: int(bool(bias.any())), BIASED_NEURONS: int(np.count_nonzero(bias)),
        }  # fmt: skip
    has_current = isinstance(neuron, Readout) and neuron.period > 0 and bool(bias.any())
    return row | {
        KIND: KIND_READOUT, PERIOD: neuron.period if isinstance(neuron, Readout) else 0,
        HAS_CURRENT: int(has_current), BIASED_NEURONS: int(np.count_nonzero(bias)) if has_current else 0,
    }  # fmt: skip


def initial_charge(network: Network) -> NDArray[np.int32]:
    """The charge of every neuron at time 0, by rank: initial charge, plus biases that are charges."""
    pieces = []
    for name in network.order:
        population = network.populations[name]
        neuron = population.neuron
        charge = np.zeros(population.size, dtype=np.int64)
        if population.initial_charge is not None:
            pieces.append(population.initial_charge.astype(np.int64))
            continue
        if isinstance(neuron, (Signed, Rate)):
            charge += neuron.initial_charge
        if isinstance(neuron, Signed) or (isinstance(neuron, Readout) and neuron.period == 0):
            charge += network.bias(name)
        pieces.append(charge)
    return np.concatenate(pieces).astype(np.int32)


def initial_count(network: Network) -> NDArray[np.int32]:
    """The count every neuron starts from, by rank: zero but for a network at rest."""
    pieces = []
    for name in network.order:
        population = network.populations[name]
        given = population.initial_count
        pieces.append(np.zeros(population.size, dtype=np.int32) if given is None else given)
    return np.concatenate(pieces).astype(np.int32)


def build_plan(network: Network, mapping: Mapping | None = None) -> Plan:
    """Lower a network, and its mapping if it runs on an accelerator."""
    timing = None if mapping is None else Timing.of(mapping.architecture)
    parts = ideal_parts(network) if mapping is None else mapping.parts
    copies = destinations(network, mapping)
    rank_of = {name: rank for rank, name in enumerate(network.order)}
    population = np.zeros((len(network.order), POPULATION_COLUMNS), dtype=np.int64)
    part_of: list[NDArray] = []
    part_core: list[int] = []
    current: list[NDArray] = []
    offset = destination_count = 0
    for rank, name in enumerate(network.order):
        row = _population_row(network, name) | {OFFSET: offset}
        row[DESTINATION_START] = destination_count
        destination_count += len(copies[rank])
        row[DESTINATION_STOP] = destination_count
        row[DIRECT] = int(mapping is None and all(p.delay == 0 for p, _ in copies[rank]))
        row[PART_START] = len(part_core)
        shape = network.populations[name].shape
        box = np.full(shape, -1, dtype=np.int32)
        for part in parts[name]:
            box[part.y0 : part.y1, :, part.c0 : part.c1] = len(part_core)
            part_core.append(part.core)
        row[PART_STOP] = len(part_core)
        part_of.append(box.reshape(-1))
        has_current = row.get(HAS_CURRENT, 0)
        size = network.populations[name].size
        current.append(network.bias(name) if has_current else np.zeros(size, dtype=np.int64))
        offset += size
        for column, value in row.items():
            population[rank, column] = value

    rows: list[dict[int, int]] = []
    weights: list[NDArray] = []
    tables: list[NDArray] = []
    phases: list[NDArray] = []
    fan_out: list[NDArray] = []
    effective: list[NDArray] = []
    sizes = dict.fromkeys(("weights", "tables", "phases", "fan_out"), 0)
    placed: dict[str, dict[int, int]] = {}

    def append(store: list[NDArray], key: str, array: NDArray) -> int:
        start = sizes[key]
        store.append(array)
        sizes[key] += len(array)
        return start

    for rank, name in enumerate(network.order):
        source = network.populations[name].shape
        for projection, part in copies[rank]:
            target = network.populations[projection.target].shape
            if projection.name not in placed:
                lowered = _lower(projection, source, target)
                placed[projection.name] = lowered.columns | {
                    WEIGHTS: append(weights, "weights", lowered.weights),
                    TABLE_Y: append(tables, "tables", lowered.tables_y),
                    TABLE_X: append(tables, "tables", lowered.tables_x),
                    PHASES: append(phases, "phases", lowered.phases),
                }
            effective.append(fan_out_in_part(network, projection, part, effective=True))
            rows.append(
                placed[projection.name]
                | {
                    TARGET: rank_of[projection.target], CORE: part.core, DELAY: projection.delay,
                    Y0: part.y0, Y1: part.y1, C0: part.c0, C1: part.c1,
                    FAN_OUT: append(fan_out, "fan_out", fan_out_in_part(network, projection, part)),
                    SOURCE_X: source[1], SOURCE_C: source[2], TARGET_X: target[1], TARGET_C: target[2],
                    TARGET_CLAMPED: _population_row(network, projection.target).get(CLAMPED, 0),
                    TARGET_KIND: int(population[rank_of[projection.target], KIND]),
                    MERGED: int(
                        placed[projection.name].get(STEP_X, 0) == 1
                        and placed[projection.name].get(OUT_GROUP, 0) == target[2]
                        and part.c1 - part.c0 == target[2]
                    ),
                }
            )  # fmt: skip
    destination = np.zeros((len(rows), DESTINATION_COLUMNS), dtype=np.int64)
    for index, row in enumerate(rows):
        for column, value in row.items():
            destination[index, column] = value

    def joined(arrays: list[NDArray], dtype: Any, empty: tuple[int, ...] = (0,)) -> NDArray:
        return np.concatenate(arrays).astype(dtype) if arrays else np.zeros(empty, dtype=dtype)

    hops = np.zeros((2, len(part_core), len(rows)), dtype=np.int64)
    if mapping is not None:
        for i, source_core in enumerate(part_core):
            for j, row in enumerate(rows):
                hops[:, i, j] = mapping.architecture.hops(source_core, row[CORE])
    return Plan(
        population=population,
        destination=destination,
        weights=joined(weights, np.int32),
        fan_out=np.stack([joined(fan_out, np.int32), joined(effective, np.int32)]),
        tables=joined(tables, np.int64, (0, 4)),
        phases=joined(phases, np.int64, (0, 3)),
        neuron=np.stack([joined(current, np.int32), joined(part_of, np.int32)]),
        part_core=np.array(part_core, dtype=np.int64),
        hops=hops,
        timing=_times(timing),
        energy=np.zeros(len(COUNTERS), dtype=np.int64) if timing is None else timing.energy,
        jitter=_jitter_tables(timing),
    )


def _times(timing: Timing | None) -> NDArray[np.int64]:
    times = np.zeros(TIMES, dtype=np.int64)
    times[T_LANES] = 1
    if timing is not None:
        times[:] = (
            timing.input, timing.serialise, timing.hop_x, timing.hop_y, timing.decode, timing.synapse,
            timing.update, timing.fire, timing.decision, timing.processing_elements, 1,
        )  # fmt: skip
    return times


def _jitter_tables(timing: Timing | None) -> NDArray[np.int64]:
    """Both tables at one length: a constant is the same at every index."""
    if timing is None:
        return np.zeros((2, 1), dtype=np.int64)
    tables = (timing.transit_jitter, timing.service_jitter)
    length = max(len(table) for table in tables)
    return np.stack([np.broadcast_to(t, length) if len(t) == 1 else t for t in tables])
