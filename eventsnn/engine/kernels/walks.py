"""Walks of parts over their neurons in a timestep: which were active, what a stretch of a walk takes."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import (
    BIAS_LENGTH,
    BIAS_START,
    GROUP,
    KIND,
    KIND_EXACT_GATE,
    KIND_RATE,
    KIND_SIGNED,
    KIND_SOFTMAX,
    LIST_START,
    LIST_STOP,
    OFFSET,
    PERIOD,
    SIZE,
    STRICT,
    TEST_DUE,
    THRESHOLD,
    TOUCH_OFFSET,
    TOUCHED_START,
    TOUCHED_STOP,
)
from eventsnn.engine.kernels.currents import floor_charge
from eventsnn.engine.kernels.messages import time_drawn
from eventsnn.engine.seeds import PURPOSE_DECODE, PURPOSE_SYNAPSE
from eventsnn.engine.walk_columns import (
    BARRIER,
    BEGIN,
    C_DECODE,
    C_LANES,
    C_LATE,
    C_PART,
    C_SYNAPSE,
    L_FIRST,
    L_OVER_BEFORE,
    L_STOP,
    STEPS_PLAYED,
    UNIT_FREE,
    W_ACCESS,
    W_CHANNELS,
    W_COPY_START,
    W_COPY_STOP,
    W_CORE,
    W_FIRST_PIXEL,
    W_IN_START,
    W_IN_STOP,
    W_IS_INPUT,
    W_LOW,
    W_OFFSET,
    W_RANK,
    W_UPDATE,
    W_WIDTH,
)
from eventsnn.results.counters import COLUMN

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

SENT, SERVED, WALKED, PASSED = range(4)  # values of contract.SERVICE_FIELDS' kind


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
        start, stop = row[OFFSET], row[OFFSET] + row[SIZE]
        first, length = rank_table[rank, BIAS_START], rank_table[rank, BIAS_LENGTH]
        if row[KIND] == KIND_RATE:
            _mark_charged(active, charge, start, stop, np.int32(-(row[THRESHOLD] + row[STRICT])))
            if length > 0:
                _mark_biased(active, quanta, start, stop, first, length)
        elif row[KIND] == KIND_SOFTMAX:
            for j in range(start, stop):
                current = np.int64(0)
                if length > 0:
                    current = np.int64(quanta[first + (j - start) % length])
                given = floor_charge(current, min(now - step, end), row[PERIOD])
                active[j] = np.uint8(current != 0 or charge[j] + given != 0)
        else:
            for j in range(np.uint64(start), np.uint64(stop)):
                active[j] = np.uint8(0)


@inner
def mark_reached(row, live, touched, active, now):
    """A population's turn in the step: what was delivered to is active, once it is tested."""
    marks, kind, group = row[TOUCH_OFFSET], row[KIND], row[GROUP]
    if marks < 0 or ((kind == KIND_SIGNED or kind == KIND_EXACT_GATE) and live[TEST_DUE] != now):
        return
    clears = kind == KIND_RATE or kind == KIND_SOFTMAX  # a test clears the others' marks
    for g in range(live[TOUCHED_START], live[TOUCHED_STOP]):
        if touched[marks + g]:
            first = row[OFFSET] + g * group
            for j in range(np.uint64(first), np.uint64(first + group)):
                active[j] = np.uint8(1)
            if clears:
                touched[marks + g] = 0
    if clears:
        live[TOUCHED_START], live[TOUCHED_STOP] = row[SIZE], 0


@inner
def _sum(active, start, stop):
    total = np.int64(0)
    for j in range(np.uint64(start), np.uint64(stop)):
        total += np.int64(active[j])
    return total


@inner
def count_active(active, part, start, stop):
    """Active neurons at the places ``start`` to ``stop`` of a part's walk."""
    channels, width = part[W_CHANNELS], part[W_WIDTH]
    base = part[W_OFFSET] + part[W_FIRST_PIXEL] * channels
    if width == channels:
        return _sum(active, base + start, base + stop)
    total = np.int64(0)
    base += part[W_LOW]
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
    channels, width = part[W_CHANNELS], part[W_WIDTH]
    if width == channels:
        return neuron - part[W_FIRST_PIXEL] * channels
    pixel = np.int64(np.uint32(neuron) // np.uint32(channels))
    return (pixel - part[W_FIRST_PIXEL]) * width + neuron - pixel * channels - part[W_LOW]


@inner
def stretch_time(part, active, start, stop):
    """(time of the neurons at these places of a walk, active ones among them), spikes left out."""
    count = count_active(active, part, start, stop)
    return part[W_ACCESS] * (stop - start) + part[W_UPDATE] * count, count


# -- spikes by part ----------------------------------------------------------------------------------------


@inner
def sort_by_part(rank_table, population, lists, part, live, part_of, words):
    """Put the spikes of a step in order: by part, and as they stand in the list of their rank."""
    stop = np.int64(0)
    first_part = np.int64(0)
    while first_part < len(part):
        rank = part[first_part, W_RANK]
        last_part = first_part + 1
        while last_part < len(part) and part[last_part, W_RANK] == rank:
            last_part += 1
        start, end = rank_table[rank, LIST_START], rank_table[rank, LIST_STOP]
        if last_part == first_part + 1:
            live[first_part, L_FIRST] = stop
            for i in range(end - start):
                words[stop + i] = lists[start + i]
            stop += end - start
            live[first_part, L_STOP] = stop
        else:
            for p in range(first_part, last_part):
                live[p, L_STOP] = 0
            offset = population[rank, OFFSET]
            for i in range(start, end):
                live[part_of[offset + (lists[i] >> 32)], L_STOP] += 1
            for p in range(first_part, last_part):
                live[p, L_FIRST] = stop
                stop += live[p, L_STOP]
                live[p, L_STOP] = live[p, L_FIRST]
            for i in range(start, end):
                p = part_of[offset + (lists[i] >> 32)]
                words[live[p, L_STOP]] = lists[i]
                live[p, L_STOP] += 1
        first_part = last_part


@inner
def count_spikes(part, live, words, counters):
    """Book the spikes of a step by part."""
    for p in range(len(part)):
        first, stop = live[p, L_FIRST], live[p, L_STOP]
        if part[p, W_IS_INPUT]:
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
    decode = time_drawn(walks, settings, copy[C_DECODE], PURPOSE_DECODE, rank, neuron, ordinal, d, 0)
    cycle = time_drawn(walks, settings, copy[C_SYNAPSE], PURPOSE_SYNAPSE, rank, neuron, ordinal, d, 0)
    return decode + -(-synapses // copy[C_LANES]) * cycle


@inlined
def ready(walks, p):
    """When a part's walk can begin, all it waits for in this step being known."""
    row = walks.part[p]
    step = walks.scalar[STEPS_PLAYED]
    start = max(walks.scalar[BEGIN], walks.unit[row[W_CORE], UNIT_FREE])
    memory = walks.heard.shape[1]
    for i in range(row[W_IN_START], row[W_IN_STOP]):
        d = walks.incoming[i]
        late = walks.copy[d, C_LATE]
        if late == 0 or (not walks.chip[BARRIER] and late <= step):
            start = max(start, walks.heard[d, (step - late) % memory])
    if not walks.chip[BARRIER]:
        for d in range(row[W_COPY_START], row[W_COPY_STOP]):
            start = max(start, walks.live[walks.copy[d, C_PART], L_OVER_BEFORE])
    return start
