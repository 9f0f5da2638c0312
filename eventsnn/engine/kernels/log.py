"""The log of spikes: what the digest hashes, and what is counted from it.

Some counts of a spike need a table entry of its neuron that nothing else touches. Looked up one spike at
a time between other work each is a cache miss to be waited for; over a stretch of the log they overlap.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import (
    COUNTED,
    COUNTED_AT_ONCE,
    DESTINATION_START,
    DESTINATION_STOP,
    DIRECT,
    EFFECTIVE_FAN_OUT,
    FAN_OUT,
    HIGH_RANK,
    KIND,
    KIND_RATE,
    LIST_DONE,
    LIST_START,
    LIST_STOP,
    LOGGED,
    LOW_RANK,
    OFFSET,
    TARGET,
)
from eventsnn.engine.kernels.sorting import ascending, sort_by_neuron
from eventsnn.results.counters import COLUMN

EFFECTIVE = COLUMN["effective_synaptic_operations"]

# Words a group of spikes takes in the log before its spikes: time, two of the population's key, count.
HEADER = 4


@inlined
def write_log(plan, st, now):
    """Hand the last tick's spikes to the log, by rank; whether there was room."""
    low, high = st.scalar[LOW_RANK], st.scalar[HIGH_RANK]
    room = len(st.log) - st.scalar[LOGGED]
    for rank in range(low, high + 1):
        room -= st.rank[rank, LIST_STOP] - st.rank[rank, LIST_START] + HEADER
    if room < 0:
        return False
    n = st.scalar[LOGGED]
    st.scalar[LOW_RANK], st.scalar[HIGH_RANK] = len(st.rank), -1
    for rank in range(low, high + 1):
        live = st.rank[rank]
        first, stop = live[LIST_START], live[LIST_STOP]
        if stop == first:
            continue
        if not ascending(st.lists, first, stop):  # emitted in parts: a settle pass, or a cycle
            sort_by_neuron(st.lists, first, stop, st.scratch, st.digits)
        st.log[n] = now
        st.log[n + 1] = plan.keys[rank, 0]
        st.log[n + 2] = plan.keys[rank, 1]
        st.log[n + 3] = stop - first
        n += HEADER
        for i in range(first, stop):
            st.log[n] = st.lists[i]
            n += 1
        live[LIST_STOP] = first
        live[LIST_DONE] = first
    st.scalar[LOGGED] = n
    return True


@inner
def count_log(population, destination, keys, fan_out, rank_table, emitted, counters, log, scalar):
    """Count what has been logged since the last call: spikes of neurons, effective operations."""
    position, stop = scalar[COUNTED], scalar[LOGGED]
    rank = np.int64(0)
    while position < stop:
        while keys[rank, 0] != log[position + 1] or keys[rank, 1] != log[position + 2]:
            rank = (rank + 1) % len(keys)
        first = position + HEADER
        position = first + log[position + 3]
        row = population[rank]
        if row[KIND] == KIND_RATE and not rank_table[rank, COUNTED_AT_ONCE]:
            offset = row[OFFSET]
            for i in range(first, position):
                emitted[offset + (log[i] >> 32)] += np.int32(1)
        if row[DIRECT]:
            for d in range(row[DESTINATION_START], row[DESTINATION_STOP]):
                table = destination[d, FAN_OUT]
                effective = np.int64(0)
                for i in range(first, position):
                    effective += np.int64(fan_out[table + (log[i] >> 32), EFFECTIVE_FAN_OUT])
                counters[destination[d, TARGET], EFFECTIVE] += effective
    scalar[COUNTED] = stop
