"""Walks of parts over their neurons in a timestep: which were active, what a stretch of a walk takes."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.currents import floor_charge
from eventsnn.engine.kernels.messages import time_drawn
from eventsnn.engine.kernels.records import KIND_EXACT_GATE, KIND_RATE, KIND_SIGNED, KIND_SOFTMAX
from eventsnn.engine.seeds import PURPOSE_DECODE, PURPOSE_SYNAPSE

INPUT_EVENTS = COLUMN["input_events"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]
MESSAGES_SENT = COLUMN["messages_sent"]
MESSAGES_RECEIVED = COLUMN["messages_received"]
HOPS_X = COLUMN["hops_x"]
HOPS_Y = COLUMN["hops_y"]
BUS_TRANSFERS = COLUMN["bus_transfers"]
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
def mark_charged(population, rank_table, charge, quanta, active, now, end, step):
    """A step begins: which rate and softmax neurons hold charge or get a current?

    The others' marks are taken away.
    """
    for rank in range(len(population)):
        row = population[rank]
        start, stop = row.offset, row.offset + row.neurons
        first, length = rank_table[rank].bias_start, rank_table[rank].bias_length
        if row.kind == KIND_RATE:
            _mark_charged(active, charge, start, stop, np.int32(-(row.threshold + row.strict)))
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
    clears = kind == KIND_RATE or kind == KIND_SOFTMAX  # a test clears the others' marks
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
    """Active neurons at the places ``start`` to ``stop`` of a part's walk."""
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
    """The place of a neuron in the walk of its part."""
    channels, width = part.channels, part.width
    if width == channels:
        return neuron - part.first_pixel * channels
    pixel = np.int64(np.uint32(neuron) // np.uint32(channels))
    return (pixel - part.first_pixel) * width + neuron - pixel * channels - part.first_channel


@inner
def stretch_time(part, active, start, stop):
    """(time of the neurons at these places of a walk, active ones among them), spikes left out."""
    count = count_active(active, part, start, stop)
    return part.access * (stop - start) + part.update * count, count


# -- spikes by part ----------------------------------------------------------------------------------------


@inner
def sort_by_part(rank_table, population, lists, part, live, part_of, words):
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
            live[first_part].first = stop
            for i in range(end - start):
                words[stop + i] = lists[start + i]
            stop += end - start
            live[first_part].stop = stop
        else:
            for p in range(first_part, last_part):
                live[p].stop = 0
            offset = population[rank].offset
            for i in range(start, end):
                live[part_of[offset + (lists[i] >> 32)]].stop += 1
            for p in range(first_part, last_part):
                live[p].first = stop
                stop += live[p].stop
                live[p].stop = live[p].first
            for i in range(start, end):
                p = part_of[offset + (lists[i] >> 32)]
                words[live[p].stop] = lists[i]
                live[p].stop += 1
        first_part = last_part


@inner
def count_spikes(part, live, words, counters):
    """Book the spikes of a step by part."""
    for p in range(len(part)):
        first, stop = live[p].first, live[p].stop
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
def service_time(walks, settings, rank, neuron, ordinal, d, synapses):
    """How long the receiving unit of its core is busy with a message."""
    copy = walks.copy[d]
    decode = time_drawn(walks, settings, copy.decode, PURPOSE_DECODE, rank, neuron, ordinal, d, 0)
    cycle = time_drawn(walks, settings, copy.synapse, PURPOSE_SYNAPSE, rank, neuron, ordinal, d, 0)
    return decode + -(-synapses // copy.lanes) * cycle


@inlined
def ready(walks, p):
    """When a part's walk can begin, all it waits for in this step being known."""
    row = walks.part[p]
    step = walks.scalar.steps_played
    start = max(walks.scalar.begin, walks.unit[row.core].free)
    memory = walks.heard.shape[1]
    for i in range(row.in_start, row.in_stop):
        d = walks.incoming[i]
        late = walks.copy[d].late
        if late == 0 or (not walks.chip.barrier and late <= step):
            start = max(start, walks.heard[d, (step - late) % memory])
    if not walks.chip.barrier:
        for d in range(row.copy_start, row.copy_stop):
            start = max(start, walks.live[walks.copy[d].part].over_before)
    return start
