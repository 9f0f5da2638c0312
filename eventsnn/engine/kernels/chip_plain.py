"""Steps on a plain chip, core by core; and steps that last as long as their busiest unit.

On a plain chip all times are constant, so that the messages a part sends to a destination reach its core in
the order they were sent: a stream. A core's messages are served as its streams are merged. By ranks, all that
a core's walks wait for has been sent before they begin (``walk_plan``).
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import GROW_HEAP, RUNNING, STATUS
from eventsnn.engine.kernels.messages import log_service, time_drawn
from eventsnn.engine.kernels.walks import (
    ACTIVE_UPDATES,
    BUS_TRANSFERS,
    HOPS_X,
    HOPS_Y,
    MESSAGES_RECEIVED,
    MESSAGES_SENT,
    NEURON_ACCESSES,
    SENT,
    SYNAPSES_SERVED,
    WALKED,
    place_in_part,
    ready,
    service_time,
    stretch_time,
)
from eventsnn.engine.seeds import PURPOSE_SERIALISE
from eventsnn.engine.walk_columns import (
    BEGIN,
    C_CORE,
    C_FAN_OUT,
    C_PART,
    END,
    HOP_X,
    HOP_Y,
    IS_SERVED,
    L_FIRST,
    L_OVER,
    L_STOP,
    ON_BUS,
    RECEIVER_FREE,
    STEPS_PLAYED,
    TOTALS,
    U_NUMBER,
    U_STREAM_START,
    U_STREAM_STOP,
    UNIT_FREE,
    W_COPY_START,
    W_COPY_STOP,
    W_CORE,
    W_FIRE,
    W_IS_INPUT,
    W_IS_READOUT,
    W_OFFSET,
    W_RANK,
    W_SENDERS,
    W_SERIALISE,
    W_SIZE,
)

M_ARRIVAL, M_SERVICE, M_PLACE = range(3)  # Walks.message
R_START, R_NEXT, R_STOP = range(3)  # Walks.reach


@inlined
def _reserve(walks, p, used):
    """Room for the messages of a part, a stretch for each stream; returns where the next stretch begins."""
    count = walks.live[p, L_STOP] - walks.live[p, L_FIRST]
    for d in range(walks.part[p, W_COPY_START], walks.part[p, W_COPY_STOP]):
        stream = walks.stream_of[p, d]
        for column in (R_START, R_NEXT, R_STOP):
            walks.reach[stream, column] = used
        used += count
    return used


@inlined
def _walk(walks, st, settings, p, start):
    """Walk a part from a tick on: its messages go to their streams, or are added up; returns the end."""
    row, counters = walks.part[p], walks.counters[p]
    rank, core, totals = row[W_RANK], row[W_CORE], walks.chip[TOTALS] != 0
    walked = row[W_IS_INPUT] == 0 and row[W_IS_READOUT] == 0
    named = len(walks.ordinal) > 1  # by their ordinals, in random times and the log
    clock, place, count = start, np.int64(0), np.int64(0)
    i, stop = walks.live[p, L_FIRST], walks.live[p, L_STOP]
    last, ordinal = np.int64(-1), np.int64(0)
    while i < stop:
        neuron = walks.words[i] >> 32
        if walked and neuron != last:
            following = place_in_part(row, neuron) + 1
            time, active = stretch_time(row, st.active, place, following)
            spikes = i + 1
            while spikes < stop and walks.words[spikes] >> 32 == neuron:
                spikes += 1
            clock += time + row[W_FIRE] * (spikes - i)
            place = following
            count += active
        last = neuron
        if named:
            ordinal = walks.ordinal[row[W_OFFSET] + neuron]
            walks.ordinal[row[W_OFFSET] + neuron] = ordinal + 1
        for d in range(row[W_COPY_START], row[W_COPY_STOP]):
            to = walks.copy[d]
            synapses = np.int64(walks.fan_out[to[C_FAN_OUT] + neuron])
            if synapses == 0:
                continue
            reached = clock
            clock += time_drawn(
                walks, settings, row[W_SERIALISE], PURPOSE_SERIALISE, rank, neuron, ordinal, d, 0
            )
            service = service_time(walks, settings, rank, neuron, ordinal, d, synapses)
            hops_x, hops_y = walks.hops[0, p, d], walks.hops[1, p, d]
            counters[MESSAGES_SENT] += 1
            counters[HOPS_X] += hops_x
            counters[HOPS_Y] += hops_y
            counters[BUS_TRANSFERS] += walks.chip[ON_BUS]
            walks.counters[to[C_PART], MESSAGES_RECEIVED] += 1
            walks.counters[to[C_PART], SYNAPSES_SERVED] += synapses
            if totals:
                walks.unit[to[C_CORE], RECEIVER_FREE] += service
                if settings.log_service:
                    log_service(
                        walks.service, st.scalar, SENT, walks.core[core, U_NUMBER], rank,
                        neuron, ordinal, d, reached, reached, clock, clock,
                    )  # fmt: skip
                continue
            stream = walks.stream_of[p, d]
            at = walks.reach[stream, R_STOP]
            transit = hops_x * walks.times[walks.chip[HOP_X], 0] + hops_y * walks.times[walks.chip[HOP_Y], 0]
            walks.message[at, M_ARRIVAL] = clock + transit
            walks.message[at, M_SERVICE] = service
            walks.message[at, M_PLACE] = i
            walks.reach[stream, R_STOP] = at + 1
        i += 1
    if walked:
        time, active = stretch_time(row, st.active, place, row[W_SIZE])
        clock += time
        counters[NEURON_ACCESSES] += row[W_SIZE]
        counters[ACTIVE_UPDATES] += count + active
        if settings.log_service:
            log_service(
                walks.service, st.scalar, WALKED, walks.core[core, U_NUMBER], rank,
                row[W_SIZE], 0, -1, start, start, clock, clock,
            )  # fmt: skip
    return clock


@inner
def _earlier(message, words, i, rank_i, d_i, j, rank_j, d_j):
    """Whether message i of a stream is served before message j of another: by arrival, then law 2."""
    if message[i, M_ARRIVAL] != message[j, M_ARRIVAL]:
        return message[i, M_ARRIVAL] < message[j, M_ARRIVAL]
    if rank_i != rank_j:
        return rank_i < rank_j
    place_i, place_j = message[i, M_PLACE], message[j, M_PLACE]
    neuron_i, neuron_j = words[place_i] >> 32, words[place_j] >> 32
    if neuron_i != neuron_j:
        return neuron_i < neuron_j
    if place_i != place_j:  # of one neuron, and so of one part
        return place_i < place_j
    return d_i < d_j


@inner
def _serve(first, stop, free, stream, part, message, words, reach, heard, slot):
    """Serve the messages of one core's streams as they come; returns when all is done."""
    while True:
        best = second = np.int64(-1)
        for s in range(first, stop):
            if reach[s, R_NEXT] == reach[s, R_STOP]:
                continue
            if best < 0 or _earlier(
                message, words, reach[s, R_NEXT], part[stream[s, 0], W_RANK], stream[s, 1],
                reach[best, R_NEXT], part[stream[best, 0], W_RANK], stream[best, 1],
            ):  # fmt: skip
                best, second = s, best
            elif second < 0 or _earlier(
                message, words, reach[s, R_NEXT], part[stream[s, 0], W_RANK], stream[s, 1],
                reach[second, R_NEXT], part[stream[second, 0], W_RANK], stream[second, 1],
            ):  # fmt: skip
                second = s
        if best < 0:
            return free
        i, last = reach[best, R_NEXT], reach[best, R_STOP]
        while True:
            free = max(free, message[i, M_ARRIVAL]) + message[i, M_SERVICE]
            i += 1
            if i == last:
                break
            if second >= 0 and not _earlier(
                message, words, i, part[stream[best, 0], W_RANK], stream[best, 1],
                reach[second, R_NEXT], part[stream[second, 0], W_RANK], stream[second, 1],
            ):  # fmt: skip
                break
        reach[best, R_NEXT] = i
        d = stream[best, 1]
        heard[d, slot] = max(heard[d, slot], free)


@inlined
def _serve_core(walks, core):
    unit, slot = walks.unit[core], walks.scalar[STEPS_PLAYED] % walks.heard.shape[1]
    unit[IS_SERVED] = 1
    free = _serve(
        walks.core[core, U_STREAM_START], walks.core[core, U_STREAM_STOP], unit[RECEIVER_FREE], walks.stream,
        walks.part, walks.message, walks.words, walks.reach, walks.heard, slot,
    )  # fmt: skip
    if free > unit[RECEIVER_FREE]:
        unit[RECEIVER_FREE] = free
        walks.scalar[END] = max(walks.scalar[END], free)


@inlined
def play_plain(walks, st, settings):
    """One step; its begin is known, its end is left in ``END``."""
    totals = walks.chip[TOTALS] != 0
    slot = walks.scalar[STEPS_PLAYED] % walks.heard.shape[1]
    used = np.int64(0)
    for core in range(len(walks.unit)):
        walks.unit[core, IS_SERVED] = 0
        if totals:
            walks.unit[core, UNIT_FREE] = walks.unit[core, RECEIVER_FREE] = walks.scalar[BEGIN]
    for p in range(len(walks.part)):
        row = walks.part[p]
        if row[W_IS_READOUT]:
            continue
        core = row[W_CORE]
        if totals:
            start = walks.unit[core, UNIT_FREE]
        else:
            used = _reserve(walks, p, used)
            if used > len(walks.message):
                st.scalar[STATUS] = GROW_HEAP
                return
            if row[W_SENDERS] > 0 and walks.unit[core, IS_SERVED] == 0:
                _serve_core(walks, core)
            start = ready(walks, p)
        end = _walk(walks, st, settings, p, start)
        if st.scalar[STATUS] != RUNNING:
            return
        walks.unit[core, UNIT_FREE] = walks.live[p, L_OVER] = end
        walks.scalar[END] = max(walks.scalar[END], end)
        for d in range(row[W_COPY_START], row[W_COPY_STOP]):
            walks.heard[d, slot] = max(walks.heard[d, slot], end)
    for core in range(len(walks.unit)):
        if totals:
            walks.scalar[END] = max(walks.scalar[END], walks.unit[core, RECEIVER_FREE])
        elif walks.unit[core, IS_SERVED] == 0:
            _serve_core(walks, core)
