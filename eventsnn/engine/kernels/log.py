"""The log of spikes: what the digest hashes, and what is counted from it.

Some counts of a spike need a table entry of its neuron that nothing else touches. Looked up one spike at
a time between other work each is a cache miss to be waited for; over a stretch of the log they overlap.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.records import KIND_RATE, KIND_SYNAPTIC
from eventsnn.engine.kernels.sorting import ascending, sort_by_neuron

EFFECTIVE = COLUMN["effective_synaptic_operations"]

# Words a group of spikes takes in the log before its spikes: time, two of the population's key, count.
HEADER = 4


@inlined
def write_log(plan, st, now):
    """Hand the last tick's spikes to the log, by rank; whether there was room."""
    low, high = st.scalar.low_rank, st.scalar.high_rank
    room = len(st.log) - st.scalar.logged
    for rank in range(low, high + 1):
        room -= st.rank[rank].list_stop - st.rank[rank].list_start + HEADER
    if room < 0:
        return False
    n = st.scalar.logged
    st.scalar.log_before, st.scalar.low_before, st.scalar.high_before = n, low, high
    st.scalar.low_rank, st.scalar.high_rank = len(st.rank), -1
    for rank in range(low, high + 1):
        live = st.rank[rank]
        first, stop = live.list_start, live.list_stop
        live.list_written = stop
        if stop == first:
            continue
        if not ascending(st.firing.lists, first, stop):  # emitted in parts: a settle pass, or a cycle
            sort_by_neuron(st.firing.lists, first, stop, st.scratch, st.digits)
        st.log[n] = now
        st.log[n + 1] = plan.keys[rank, 0]
        st.log[n + 2] = plan.keys[rank, 1]
        st.log[n + 3] = stop - first
        n += HEADER
        for i in range(first, stop):
            st.log[n] = st.firing.lists[i]
            n += 1
        live.list_stop = first
        live.list_done = first
    st.scalar.logged = n
    return True


@inlined
def take_back_log(st):
    """The tick that was just written is not over: its spikes stand in the lists again."""
    st.scalar.logged = st.scalar.log_before
    st.scalar.low_rank, st.scalar.high_rank = st.scalar.low_before, st.scalar.high_before
    for rank in range(st.scalar.low_before, st.scalar.high_before + 1):
        st.rank[rank].list_stop = st.rank[rank].list_done = st.rank[rank].list_written


@inner
def count_words(words, first, stop, rank, population, destination, fan_out, rank_table, emitted, counters):
    """Count what spikes of a rank did: counts of rate neurons, effective operations."""
    row = population[rank]
    if (row.kind == KIND_RATE or row.kind == KIND_SYNAPTIC) and not rank_table[rank].counted_at_once:
        offset = row.offset
        for i in range(first, stop):
            emitted[offset + (words[i] >> 32)] += np.int32(1)
    if row.direct:
        for d in range(row.destination_start, row.destination_stop):
            if population[destination[d].target].start_time > 0:
                continue  # counted as they landed
            table = destination[d].fan_out
            effective = np.int64(0)
            for i in range(first, stop):
                effective += np.int64(fan_out[table + (words[i] >> 32)].effective)
            counters[destination[d].target, EFFECTIVE] += effective


@inner
def count_log(population, destination, keys, fan_out, rank_table, emitted, counters, log, scalar):
    """Count what has been logged since the last call."""
    position, stop = scalar.counted, scalar.logged
    rank = np.int64(0)
    while position < stop:
        while keys[rank, 0] != log[position + 1] or keys[rank, 1] != log[position + 2]:
            rank = (rank + 1) % len(keys)
        first = position + HEADER
        position = first + log[position + 3]
        count_words(
            log, first, position, rank, population, destination, fan_out, rank_table, emitted, counters
        )
    scalar.counted = stop
