"""Scans of parts, neuron by neuron, in a timestep: which were active, what a stretch of a scan takes."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.currents import floor_charge
from eventsnn.engine.kernels.records import (
    KIND_EXACT_GATE,
    KIND_RATE,
    KIND_SIGNED,
    KIND_SOFTMAX,
    KIND_SYNAPTIC,
)

INPUT_EVENTS = COLUMN["input_events"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]
MESSAGES_RECEIVED = COLUMN["messages_received"]
SYNAPSES_SERVED = COLUMN["synapses_served"]
NEURON_ACCESSES = COLUMN["neuron_accesses"]
ACTIVE_UPDATES = COLUMN["active_updates"]
STEPS = COLUMN["steps"]


# -- active neurons ----------------------------------------------------------------------------------------


@inner
def _mark_charged(active, charge, start, stop, rest):
    for j in range(np.uint64(start), np.uint64(stop)):
        active[j] = np.uint8(charge[j] != rest)


@inner
def _mark_biased(active, quanta, start, stop, first, length):
    for a in range(start, stop, length):
        for c in range(length):
            active[a + c] |= np.uint8(quanta[first + c] != 0)


@inner
def mark_charged(population, rank_table, charge, membrane, quanta, active, now, end, step):
    """A step begins: which rate and softmax neurons hold charge or get a current?

    The others' marks are taken away.
    """
    for rank in range(len(population)):
        row = population[rank]
        start, stop = row.offset, row.offset + row.neurons
        first, length = rank_table[rank].bias_start, rank_table[rank].bias_length
        if row.kind == KIND_RATE and now > row.start_time:
            _mark_charged(active, charge, start, stop, np.int32(-(row.threshold + row.strict)))
            if length > 0:
                _mark_biased(active, quanta, start, stop, first, length)
        elif row.kind == KIND_SYNAPTIC and now > row.start_time:
            for j in range(start, stop):
                active[j] = np.uint8(charge[j] != 0 or membrane[j] != 0)
            if length > 0:
                _mark_biased(active, quanta, start, stop, first, length)
        elif row.kind == KIND_SOFTMAX:
            for j in range(start, stop):
                current = np.int64(0)
                if length > 0:
                    current = np.int64(quanta[first + (j - start) % length])
                given = floor_charge(current, min(now - step, end), row.period)
                active[j] = np.uint8(current != 0 or charge[j] + given != 0)
        else:
            for j in range(np.uint64(start), np.uint64(stop)):
                active[j] = np.uint8(0)


@inner
def mark_reached(row, live, touched, active, now):
    """A population's turn in the step: what was delivered to is active, once it is tested."""
    marks, kind, group = row.touch_offset, row.kind, row.group
    if marks < 0 or ((kind == KIND_SIGNED or kind == KIND_EXACT_GATE) and live.test_due != now):
        return
    # A test clears the others' marks.
    clears = kind == KIND_RATE or kind == KIND_SOFTMAX or kind == KIND_SYNAPTIC
    for g in range(live.touched_start, live.touched_stop):
        if touched[marks + g]:
            first = row.offset + g * group
            for j in range(np.uint64(first), np.uint64(first + group)):
                active[j] = np.uint8(1)
            if clears:
                touched[marks + g] = 0
    if clears:
        live.touched_start, live.touched_stop = row.neurons, 0


@inner
def _sum(active, start, stop):
    total = np.int64(0)
    for j in range(np.uint64(start), np.uint64(stop)):
        total += np.int64(active[j])
    return total


@inner
def count_active(active, part, start, stop):
    """Active neurons at the places ``start`` to ``stop`` of a part's scan."""
    channels, width = part.channels, part.width
    base = part.offset + part.first_pixel * channels
    if width == channels:
        return _sum(active, base + start, base + stop)
    total = np.int64(0)
    base += part.first_channel
    while start < stop:
        pixel = start // width
        channel = start - pixel * width
        length = min(width - channel, stop - start)
        first = base + pixel * channels + channel
        total += _sum(active, first, first + length)
        start += length
    return total


@inner
def place_in_part(part, neuron):
    """The place of a neuron in the scan of its part."""
    channels, width = part.channels, part.width
    if width == channels:
        return neuron - part.first_pixel * channels
    pixel = np.int64(np.uint32(neuron) // np.uint32(channels))
    return (pixel - part.first_pixel) * width + neuron - pixel * channels - part.first_channel


@inner
def stretch_time(part, active, start, stop):
    """(time of the neurons at these places of a scan, active ones among them), spikes left out."""
    count = count_active(active, part, start, stop)
    return part.access * (stop - start) + part.update * count, count


# -- spikes by part ----------------------------------------------------------------------------------------


@inner
def sort_by_part(rank_table, population, lists, part, scan, part_of, words):
    """Put the spikes of a step in order: by part, and as they stand in the list of their rank."""
    stop = np.int64(0)
    first_part = np.int64(0)
    while first_part < len(part):
        rank = part[first_part].rank
        last_part = first_part + 1
        while last_part < len(part) and part[last_part].rank == rank:
            last_part += 1
        start, end = rank_table[rank].list_start, rank_table[rank].list_stop
        if last_part == first_part + 1:
            scan[first_part].first = stop
            for i in range(end - start):
                words[stop + i] = lists[start + i]
            stop += end - start
            scan[first_part].stop = stop
        else:
            for p in range(first_part, last_part):
                scan[p].stop = 0
            offset = population[rank].offset
            for i in range(start, end):
                scan[part_of[offset + (lists[i] >> 32)]].stop += 1
            for p in range(first_part, last_part):
                scan[p].first = stop
                stop += scan[p].stop
                scan[p].stop = scan[p].first
            for i in range(start, end):
                p = part_of[offset + (lists[i] >> 32)]
                words[scan[p].stop] = lists[i]
                scan[p].stop += 1
        first_part = last_part


@inner
def count_spikes(part, scan, words, counters):
    """Book the spikes of a step by part."""
    for p in range(len(part)):
        first, stop = scan[p].first, scan[p].stop
        if part[p].is_input:
            counters[p, INPUT_EVENTS] += stop - first
            continue
        negative = np.int64(0)
        for i in range(first, stop):
            negative += np.int64(np.int32(words[i] & 0xFFFFFFFF) < 0)
        counters[p, SPIKES_POSITIVE] += stop - first - negative
        counters[p, SPIKES_NEGATIVE] += negative


# -- times -------------------------------------------------------------------------------------------------


@inlined
def ready(steps, p):
    """When a part's scan can begin, all it waits for in this step being known."""
    row = steps.part[p]
    step = steps.scalar.played
    start = max(steps.scalar.begin, steps.unit[row.unit].free)
    memory = steps.heard.shape[1]
    for i in range(row.in_start, row.in_stop):
        d = steps.incoming[i]
        late = steps.destination[d].late
        if late == 0 or (not steps.chip.barrier and late <= step):
            start = max(start, steps.heard[d, (step - late) % memory])
    if not steps.chip.barrier:
        for d in range(row.destination_start, row.destination_stop):
            start = max(start, steps.scan[steps.destination[d].target_part].over_before)
    return start
