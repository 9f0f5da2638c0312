"""Delivery: the charge of spikes lands on their targets, one contiguous run of synapses at a time.

A run of spikes of one source is delivered to one destination by one call. Rate neurons in the event
schedule are tested after each spike; all others only collect charge and are tested later, so the order
of their spikes cannot be observed.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import (
    BIAS_LENGTH,
    BIAS_START,
    CELL_PIXEL,
    CELL_ROWS,
    CELL_TAPS,
    CELL_TARGET,
    CELL_WEIGHT,
    CELL_WEIGHT_ROW,
    CELLS,
    CHANNEL_BLOCK,
    CHANNELS,
    CLAMP,
    CLAMPED,
    EDGE_TARGETS,
    EDGES,
    EFFECTIVE_FAN_OUT,
    FAN_OUT,
    GROUP,
    HEADROOM,
    HIGH,
    IN_GROUP,
    IS_SPARSE,
    LARGEST_WEIGHT,
    LOST_CLAMP,
    LOST_REFRACTORY,
    LOW,
    MERGED,
    OFFSET,
    OUT_GROUP,
    PERIOD,
    PIECE_TARGETS,
    REFRACTORY_DROP,
    ROW_PIXELS,
    ROW_TARGETS,
    RUNNING,
    STATUS,
    STEP_PIXELS,
    TARGET,
    TARGET_OFFSET,
    TOUCH_OFFSET,
    TOUCHED_START,
    TOUCHED_STOP,
    WEIGHTS,
)
from eventsnn.engine.kernels.currents import floor_charge, sweep
from eventsnn.engine.kernels.firing import fire_rate, held_clamp, payload_of
from eventsnn.engine.kernels.rows import (
    add_row,
    add_row_signs,
    add_unit_row_signs,
    clamp_row,
    gather_flagged,
    mark_falling,
)
from eventsnn.results.counters import COLUMN

SYNAPTIC_OPERATIONS = COLUMN["synaptic_operations"]
EFFECTIVE = COLUMN["effective_synaptic_operations"]
MULTIPLICATIONS = COLUMN["multiplications"]
NEURON_UPDATES = COLUMN["neuron_updates"]


@inlined
def _runs(to, cells, neuron):
    """Where a spike lands: first target and weight, runs along y and x, their length, and y strides.

    A run is what is contiguous in both targets and weights: a whole kernel row if all channels of
    neighbouring targets are reached, else the reached channels of one target.
    """
    channels = to[CHANNELS]
    pixel = np.int64(np.uint32(neuron) // np.uint32(channels))
    channel = neuron - pixel * channels
    cell = cells[to[CELLS] + pixel]
    rows, taps = np.int64(cell[CELL_ROWS]), np.int64(cell[CELL_TAPS])
    target = to[TARGET_OFFSET] + cell[CELL_TARGET]
    weight = to[WEIGHTS] + channel * to[CHANNEL_BLOCK] + cell[CELL_WEIGHT]
    weight_row = np.int64(cell[CELL_WEIGHT_ROW])
    if to[MERGED]:
        return target, weight, rows, np.int64(1), taps * to[OUT_GROUP], weight_row
    # Channels of this kernel that lie in the destination's part.
    start = (channel // to[IN_GROUP]) * to[OUT_GROUP]
    low, high = max(to[LOW], start), min(to[HIGH], start + to[OUT_GROUP])
    return target + low, weight + low - start, rows, taps, max(high - low, 0), weight_row


@inlined
def _headroom(charge, row, live, scalar, rank, size, largest):
    """Law 1: make sure that a payload of this size cannot take any charge out of 32 bits."""
    if live[HEADROOM] < size * largest:
        sweep(charge, row, live, scalar, rank, size * largest)
    live[HEADROOM] -= size * largest


@inner
def _clamp(row, live, charge, quanta, base, shift, lost, a, length, now, end):
    """Raise a run of rate neurons to the lower clamp."""
    bias_length = live[BIAS_LENGTH]
    if bias_length == 0:
        clamp_row(charge, lost, LOST_CLAMP, a, length, held_clamp(row))
        return
    first, offset = live[BIAS_START], row[OFFSET]
    for j in range(a, a + length):
        c = first + (j - offset) % bias_length
        sofar = floor_charge(np.int64(quanta[c]), min(now, end), row[PERIOD]) - base[c]
        value = np.int64(charge[j]) + shift[c] + sofar
        if value < row[CLAMP]:
            lost[LOST_CLAMP, j] += value - row[CLAMP]
            charge[j] = np.int32(row[CLAMP] - shift[c] - sofar)


@inner
def _drop_row(charge, weights, ready, lost, a, b, length, payload, now):
    """Take back what a row added to refractory neurons."""
    for i in range(length):
        if ready[a + i] > now:
            dropped = payload * np.int64(weights[b + i])
            charge[a + i] = np.int32(charge[a + i] - np.int32(dropped))
            lost[LOST_REFRACTORY, a + i] += dropped


@inner
def deliver_rate(
    words, start, stop, to, row, live, cells, edges, weights, fan_out, charge, emitted, quanta, base, shift,
    ready, lost, candidate, crossings, lists, flagged, counters, scalar, counts_effective, max_events,
    now, end,
):  # fmt: skip
    """Deliver spikes to rate neurons of the event schedule, with a test after each."""
    rank, largest = to[TARGET], row[LARGEST_WEIGHT]
    # Read once: stores to charges keep the compiler from doing it.
    drops, clamped, has_currents = row[REFRACTORY_DROP] != 0, row[CLAMPED] != 0, live[BIAS_LENGTH] > 0
    row_targets, piece_targets, out_group = to[ROW_TARGETS], to[PIECE_TARGETS], to[OUT_GROUP]
    operations = effective = graded = np.int64(0)
    delivered = np.int64(0)
    for s in range(start, stop):
        word = words[s]
        neuron, payload = word >> 32, payload_of(word)
        _headroom(charge, row, live, scalar, rank, abs(payload), largest)
        if scalar[STATUS] != RUNNING:
            return delivered
        count = reached = np.int64(0)
        if to[IS_SPARSE]:
            for e in range(edges[to[EDGES] + neuron], edges[to[EDGES] + neuron + 1]):
                j = to[TARGET_OFFSET] + edges[to[EDGE_TARGETS] + e]
                charge[j] = np.int32(charge[j] + np.int32(payload) * weights[to[WEIGHTS] + e])
                if drops:
                    _drop_row(charge, weights, ready, lost, j, to[WEIGHTS] + e, 1, payload, now)
                if clamped:
                    _clamp(row, live, charge, quanta, base, shift, lost, j, 1, now, end)
                if charge[j] >= 0:
                    flagged[count] = j
                    count += 1
                reached += 1
        else:
            target, weight, rows, pieces, length, weight_row = _runs(to, cells, neuron)
            reached = rows * pieces * length
            for i in range(rows):
                for k in range(pieces):
                    a = target + i * row_targets + k * piece_targets
                    b = weight + i * weight_row + k * out_group
                    if payload == 1:
                        signs = add_unit_row_signs(charge, weights, a, b, length)
                    else:
                        signs = add_row_signs(charge, weights, a, b, length, payload)
                    if drops:
                        _drop_row(charge, weights, ready, lost, a, b, length, payload, now)
                    if clamped:
                        _clamp(row, live, charge, quanta, base, shift, lost, a, length, now, end)
                    # A clamp may raise a charge to where its current crosses.
                    if signs >= 0 or (clamped and has_currents):
                        before = count
                        count = gather_flagged(charge, a, length, flagged, count)
                        if has_currents and not clamped:
                            mark_falling(flagged, before, count, weights, b - a, payload)
        if reached == 0:
            continue
        delivered += 1
        operations += reached
        if counts_effective:
            effective += fan_out[to[FAN_OUT] + neuron, EFFECTIVE_FAN_OUT]
        if payload != 1 and payload != -1:
            graded += reached
        if count > 0:
            fire_rate(
                flagged, count, rank, row, live, charge, emitted, quanta, base, shift, ready, lost, candidate,
                crossings, lists, scalar, max_events, now, end, np.int64(0),
            )  # fmt: skip
            if scalar[STATUS] != RUNNING:
                return delivered
    counters[SYNAPTIC_OPERATIONS] += operations
    counters[EFFECTIVE] += effective
    counters[MULTIPLICATIONS] += graded
    counters[NEURON_UPDATES] += operations
    return delivered


@inner
def deliver_charge(
    words, start, stop, to, row, live, cells, edges, weights, fan_out, charge, touched, ready, lost, counters,
    scalar, counts_effective, now,
):  # fmt: skip
    """Deliver spikes to neurons that are tested later, or never: only charge and marks."""
    rank, largest, group = to[TARGET], row[LARGEST_WEIGHT], row[GROUP]
    drops, target_offset = row[REFRACTORY_DROP] != 0, to[TARGET_OFFSET]
    row_targets, piece_targets, out_group = to[ROW_TARGETS], to[PIECE_TARGETS], to[OUT_GROUP]
    operations = effective = graded = np.int64(0)
    delivered = np.int64(0)
    marks = row[TOUCH_OFFSET]
    low, high = live[TOUCHED_START], live[TOUCHED_STOP]
    for s in range(start, stop):
        word = words[s]
        neuron, payload = word >> 32, payload_of(word)
        _headroom(charge, row, live, scalar, rank, abs(payload), largest)
        if scalar[STATUS] != RUNNING:
            return delivered
        reached = np.int64(0)
        if to[IS_SPARSE]:
            for e in range(edges[to[EDGES] + neuron], edges[to[EDGES] + neuron + 1]):
                j = edges[to[EDGE_TARGETS] + e]
                a = target_offset + j
                charge[a] = np.int32(charge[a] + np.int32(payload) * weights[to[WEIGHTS] + e])
                if drops:
                    _drop_row(charge, weights, ready, lost, a, to[WEIGHTS] + e, 1, payload, now)
                if marks >= 0:
                    mark = j // group
                    touched[marks + mark] = 1
                    low, high = min(low, mark), max(high, mark + 1)
                reached += 1
        else:
            target, weight, rows, pieces, length, weight_row = _runs(to, cells, neuron)
            reached = rows * pieces * length
            for i in range(rows):
                for k in range(pieces):
                    a = target + i * row_targets + k * piece_targets
                    b = weight + i * weight_row + k * out_group
                    add_row(charge, weights, a, b, length, payload)
                    if drops:
                        _drop_row(charge, weights, ready, lost, a, b, length, payload, now)
                    if marks >= 0 and group == 1:
                        _mark(touched, marks + a - target_offset, length)
            if marks >= 0 and reached > 0:
                if group == 1:
                    first = target - target_offset
                    last = first + (rows - 1) * row_targets + (pieces - 1) * piece_targets + length
                else:
                    cell = cells[to[CELLS] + neuron // to[CHANNELS]]
                    first, taps = np.int64(cell[CELL_PIXEL]), np.int64(cell[CELL_TAPS])
                    for i in range(rows):
                        for k in range(taps):
                            touched[marks + first + i * to[ROW_PIXELS] + k * to[STEP_PIXELS]] = 1
                    last = first + (rows - 1) * to[ROW_PIXELS] + (taps - 1) * to[STEP_PIXELS] + 1
                low, high = min(low, first), max(high, last)
        if reached == 0:
            continue
        delivered += 1
        operations += reached
        if counts_effective:
            effective += fan_out[to[FAN_OUT] + neuron, EFFECTIVE_FAN_OUT]
        if payload != 1 and payload != -1:
            graded += reached
    live[TOUCHED_START], live[TOUCHED_STOP] = low, high
    counters[SYNAPTIC_OPERATIONS] += operations
    counters[EFFECTIVE] += effective
    counters[MULTIPLICATIONS] += graded
    return delivered


@inner
def _mark(touched, a, length):
    first = np.uint64(a)
    for i in range(np.uint64(length)):
        touched[first + i] = 1
