"""Delivery: the charge of spikes lands on their targets, one contiguous run of synapses at a time.

A run of spikes of one source is delivered to one destination by one call. Rate neurons in the event
schedule are tested after each spike; all others only collect charge and are tested later, so the order
of their spikes cannot be observed.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.currents import floor_charge, sweep
from eventsnn.engine.kernels.firing import fire_rate, held_clamp, payload_of
from eventsnn.engine.kernels.records import LOST_CLAMP, LOST_REFRACTORY, RUNNING
from eventsnn.engine.kernels.rows import (
    add_row,
    add_row_signs,
    add_unit_row_flagged,
    clamp_row,
    gather_flagged,
    mark_falling,
)

SYNAPTIC_OPERATIONS = COLUMN["synaptic_operations"]
MULTIPLICATIONS = COLUMN["multiplications"]
NEURON_UPDATES = COLUMN["neuron_updates"]


@inlined
def _runs(to, cells, neuron):
    """Where a spike lands: first target and weight, runs along y and x, their length, and y strides.

    A run is what is contiguous in both targets and weights: a whole kernel row if all channels of
    neighbouring targets are reached, else the reached channels of one target.
    """
    channels = to.channels
    pixel = np.int64(np.uint32(neuron) // np.uint32(channels))
    channel = neuron - pixel * channels
    cell = cells[to.cells + pixel]
    rows, taps = np.int64(cell.rows), np.int64(cell.taps)
    target = to.target_offset + cell.target
    weight = to.weights + channel * to.channel_block + cell.weight
    weight_row = np.int64(cell.weight_row)
    if to.merged:
        return target, weight, rows, np.int64(1), taps * to.out_group, weight_row
    # Channels of this kernel that lie in the destination's part.
    start = (channel // to.in_group) * to.out_group
    low, high = max(to.low, start), min(to.high, start + to.out_group)
    return target + low, weight + low - start, rows, taps, max(high - low, 0), weight_row


@inlined
def _headroom(charge, row, live, scalar, rank, size, largest):
    """Law 1: make sure that a payload of this size cannot take any charge out of 32 bits."""
    if live.headroom < size * largest:
        sweep(charge, row, live, scalar, rank, size * largest)
    live.headroom -= size * largest


@inner
def _clamp(row, live, neurons, currents, a, length, now, end):
    """Raise a run of rate neurons to the lower clamp."""
    charge, lost, bias_length = neurons.charge, neurons.lost, live.bias_length
    if bias_length == 0:
        clamp_row(charge, lost, LOST_CLAMP, a, length, held_clamp(row))
        return
    first, offset = live.bias_start, row.offset
    for j in range(a, a + length):
        c = first + (j - offset) % bias_length
        sofar = floor_charge(np.int64(currents.quanta[c]), min(now, end), row.period) - currents.base[c]
        value = np.int64(charge[j]) + currents.shift[c] + sofar
        if value < row.clamp:
            lost[LOST_CLAMP, j] += value - row.clamp
            charge[j] = np.int32(row.clamp - currents.shift[c] - sofar)


@inner
def _drop_row(neurons, weights, a, b, length, payload, now):
    """Take back what a row added to refractory neurons."""
    charge, ready, lost = neurons.charge, neurons.ready, neurons.lost
    for i in range(length):
        if ready[a + i] > now:
            dropped = payload * np.int64(weights[b + i])
            charge[a + i] = np.int32(charge[a + i] - np.int32(dropped))
            lost[LOST_REFRACTORY, a + i] += dropped


@inner
def deliver_rate(
    words, start, stop, to, row, live, synapses, weights, neurons, currents, firing, counters, scalar,
    max_events, now, end,
):  # fmt: skip
    """Deliver spikes to rate neurons of the event schedule, with a test after each."""
    edges, charge, flagged = synapses.edges, neurons.charge, firing.flagged
    rank, largest = to.target, row.largest_weight
    # Read once: stores to charges keep the compiler from doing it.
    drops, clamped, has_currents = row.refractory_drop != 0, row.clamped != 0, live.bias_length > 0
    row_targets, piece_targets, out_group = to.row_targets, to.piece_targets, to.out_group
    operations = graded = np.int64(0)
    delivered = np.int64(0)
    for s in range(start, stop):
        word = words[s]
        neuron, payload = word >> 32, payload_of(word)
        _headroom(charge, row, live, scalar, rank, abs(payload), largest)
        if scalar.status != RUNNING:
            return delivered
        count = reached = np.int64(0)
        if to.is_sparse:
            for e in range(edges[to.edges + neuron], edges[to.edges + neuron + 1]):
                j = to.target_offset + edges[to.edge_targets + e]
                charge[j] = np.int32(charge[j] + np.int32(payload) * weights[to.weights + e])
                if drops:
                    _drop_row(neurons, weights, j, to.weights + e, 1, payload, now)
                if clamped:
                    _clamp(row, live, neurons, currents, j, 1, now, end)
                if charge[j] >= 0:
                    flagged[count] = j
                    count += 1
                reached += 1
        else:
            target, weight, rows, pieces, length, weight_row = _runs(to, synapses.cells, neuron)
            reached = rows * pieces * length
            for i in range(rows):
                for k in range(pieces):
                    a = target + i * row_targets + k * piece_targets
                    b = weight + i * weight_row + k * out_group
                    if payload == 1 and not drops and not clamped:
                        count = add_unit_row_flagged(
                            charge, weights, a, b, length, flagged, count, has_currents
                        )
                        continue
                    signs = add_row_signs(charge, weights, a, b, length, payload)
                    if drops:
                        _drop_row(neurons, weights, a, b, length, payload, now)
                    if clamped:
                        _clamp(row, live, neurons, currents, a, length, now, end)
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
        if payload != 1 and payload != -1:
            graded += reached
        if count > 0:
            fire_rate(
                count, rank, row, live, neurons, currents, firing, scalar, max_events, now, end, np.int64(0)
            )
            if scalar.status != RUNNING:
                return delivered
    counters[SYNAPTIC_OPERATIONS] += operations
    counters[MULTIPLICATIONS] += graded
    counters[NEURON_UPDATES] += operations
    return delivered


@inner
def deliver_charge(words, start, stop, to, row, live, synapses, weights, neurons, counters, scalar, now):
    """Deliver spikes to neurons that are tested later, or never: only charge and marks."""
    edges, charge, touched = synapses.edges, neurons.charge, neurons.touched
    rank, largest, group = to.target, row.largest_weight, row.group
    drops, target_offset = row.refractory_drop != 0, to.target_offset
    row_targets, piece_targets, out_group = to.row_targets, to.piece_targets, to.out_group
    operations = graded = np.int64(0)
    delivered = np.int64(0)
    marks = row.touch_offset
    low, high = live.touched_start, live.touched_stop
    for s in range(start, stop):
        word = words[s]
        neuron, payload = word >> 32, payload_of(word)
        _headroom(charge, row, live, scalar, rank, abs(payload), largest)
        if scalar.status != RUNNING:
            return delivered
        reached = np.int64(0)
        if to.is_sparse:
            for e in range(edges[to.edges + neuron], edges[to.edges + neuron + 1]):
                j = edges[to.edge_targets + e]
                a = target_offset + j
                charge[a] = np.int32(charge[a] + np.int32(payload) * weights[to.weights + e])
                if drops:
                    _drop_row(neurons, weights, a, to.weights + e, 1, payload, now)
                if marks >= 0:
                    mark = j // group
                    touched[marks + mark] = 1
                    low, high = min(low, mark), max(high, mark + 1)
                reached += 1
        else:
            target, weight, rows, pieces, length, weight_row = _runs(to, synapses.cells, neuron)
            reached = rows * pieces * length
            for i in range(rows):
                for k in range(pieces):
                    a = target + i * row_targets + k * piece_targets
                    b = weight + i * weight_row + k * out_group
                    add_row(charge, weights, a, b, length, payload)
                    if drops:
                        _drop_row(neurons, weights, a, b, length, payload, now)
                    if marks >= 0 and group == 1:
                        _mark(touched, marks + a - target_offset, length)
            if marks >= 0 and reached > 0:
                if group == 1:
                    first = target - target_offset
                    last = first + (rows - 1) * row_targets + (pieces - 1) * piece_targets + length
                else:
                    cell = synapses.cells[to.cells + neuron // to.channels]
                    first, taps = np.int64(cell.pixel), np.int64(cell.taps)
                    for i in range(rows):
                        for k in range(taps):
                            touched[marks + first + i * to.row_pixels + k * to.step_pixels] = 1
                    last = first + (rows - 1) * to.row_pixels + (taps - 1) * to.step_pixels + 1
                low, high = min(low, first), max(high, last)
        if reached == 0:
            continue
        delivered += 1
        operations += reached
        if payload != 1 and payload != -1:
            graded += reached
    live.touched_start, live.touched_stop = low, high
    counters[SYNAPTIC_OPERATIONS] += operations
    counters[MULTIPLICATIONS] += graded
    return delivered


@inner
def _mark(touched, a, length):
    first = np.uint64(a)
    for i in range(np.uint64(length)):
        touched[first + i] = 1
