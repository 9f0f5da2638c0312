"""Steps on a plain chip, core by core; and steps that last as long as their busiest unit.

On a plain chip all times are constant, so that the messages a part sends to a destination reach its core in
the order they were sent: a stream. A core's messages are served as its streams are merged. By ranks, all that
a core's walks wait for has been sent before they begin (``walk_plan``).
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.kernels.messages import log_service, time_drawn
from eventsnn.engine.kernels.records import GROW_HEAP, RUNNING
from eventsnn.engine.kernels.walks import (
    ACTIVE_UPDATES,
    BUS_TRANSFERS,
    HOPS_X,
    HOPS_Y,
    MESSAGES_RECEIVED,
    MESSAGES_SENT,
    NEURON_ACCESSES,
    SYNAPSES_SERVED,
    place_in_part,
    ready,
    service_time,
    stretch_time,
)
from eventsnn.engine.seeds import PURPOSE_SERIALISE
from eventsnn.engine.service import SERIALISED, TESTED


@inlined
def _reserve(walks, p, used):
    """Room for the messages of a part, a stretch for each stream; returns where the next stretch begins."""
    count = walks.live[p].stop - walks.live[p].first
    for d in range(walks.part[p].copy_start, walks.part[p].copy_stop):
        stream = walks.stream_of[p, d]
        own = walks.stream[stream]
        own.start = own.next = own.stop = used
        used += count
    return used


@inlined
def _walk(walks, st, settings, p, start):
    """Walk a part from a tick on: its messages go to their streams, or are added up; returns the end."""
    row, counters = walks.part[p], walks.counters[p]
    rank, core, totals = row.rank, row.core, walks.chip.totals != 0
    walked = row.is_input == 0 and row.is_readout == 0
    named = len(walks.ordinal) > 1  # by their ordinals, in random times and the log
    clock, place, count = start, np.int64(0), np.int64(0)
    i, stop = walks.live[p].first, walks.live[p].stop
    last, ordinal = np.int64(-1), np.int64(0)
    while i < stop:
        neuron = walks.words[i] >> 32
        if walked and neuron != last:
            following = place_in_part(row, neuron) + 1
            time, active = stretch_time(row, st.active, place, following)
            spikes = i + 1
            while spikes < stop and walks.words[spikes] >> 32 == neuron:
                spikes += 1
            clock += time + row.fire * (spikes - i)
            place = following
            count += active
        last = neuron
        if named:
            ordinal = walks.ordinal[row.offset + neuron]
            walks.ordinal[row.offset + neuron] = ordinal + 1
        for d in range(row.copy_start, row.copy_stop):
            to = walks.copy[d]
            synapses = np.int64(walks.fan_out[to.fan_out + neuron])
            if synapses == 0:
                continue
            reached = clock
            clock += time_drawn(
                walks, settings, row.serialise, PURPOSE_SERIALISE, rank, neuron, ordinal, d, 0
            )
            service = service_time(walks, settings, rank, neuron, ordinal, d, synapses)
            hops_x, hops_y = walks.hops[0, p, d], walks.hops[1, p, d]
            counters[MESSAGES_SENT] += 1
            counters[HOPS_X] += hops_x
            counters[HOPS_Y] += hops_y
            counters[BUS_TRANSFERS] += walks.chip.on_bus
            walks.counters[to.part, MESSAGES_RECEIVED] += 1
            walks.counters[to.part, SYNAPSES_SERVED] += synapses
            if totals:
                walks.unit[to.core].receiver_free += service
                if settings.log_service:
                    log_service(
                        walks.service, st.scalar, SERIALISED, walks.core[core].number, rank,
                        neuron, ordinal, d, reached, reached, clock, clock,
                    )  # fmt: skip
                continue
            stream = walks.stream_of[p, d]
            at = walks.stream[stream].stop
            transit = hops_x * walks.times[walks.chip.hop_x, 0] + hops_y * walks.times[walks.chip.hop_y, 0]
            walks.message[at].arrival = clock + transit
            walks.message[at].service = service
            walks.message[at].place = i
            walks.stream[stream].stop = at + 1
        i += 1
    if walked:
        time, active = stretch_time(row, st.active, place, row.neurons)
        clock += time
        counters[NEURON_ACCESSES] += row.neurons
        counters[ACTIVE_UPDATES] += count + active
        if settings.log_service:
            log_service(
                walks.service, st.scalar, TESTED, walks.core[core].number, rank,
                row.neurons, 0, -1, start, start, clock, clock,
            )  # fmt: skip
    return clock


@inner
def _earlier(message, words, i, rank_i, d_i, j, rank_j, d_j):
    """Whether message i of a stream is served before message j of another: by arrival, then law 2."""
    if message[i].arrival != message[j].arrival:
        return message[i].arrival < message[j].arrival
    if rank_i != rank_j:
        return rank_i < rank_j
    place_i, place_j = message[i].place, message[j].place
    neuron_i, neuron_j = words[place_i] >> 32, words[place_j] >> 32
    if neuron_i != neuron_j:
        return neuron_i < neuron_j
    if place_i != place_j:  # of one neuron, and so of one part
        return place_i < place_j
    return d_i < d_j


@inner
def _serve(first, stop, free, stream, part, message, words, heard, slot):
    """Serve the messages of one core's streams as they come; returns when all is done."""
    while True:
        best = second = np.int64(-1)
        for s in range(first, stop):
            if stream[s].next == stream[s].stop:
                continue
            if best < 0 or _earlier(
                message, words, stream[s].next, part[stream[s].part].rank, stream[s].copy_at,
                stream[best].next, part[stream[best].part].rank, stream[best].copy_at,
            ):  # fmt: skip
                best, second = s, best
            elif second < 0 or _earlier(
                message, words, stream[s].next, part[stream[s].part].rank, stream[s].copy_at,
                stream[second].next, part[stream[second].part].rank, stream[second].copy_at,
            ):  # fmt: skip
                second = s
        if best < 0:
            return free
        i, last = stream[best].next, stream[best].stop
        while True:
            free = max(free, message[i].arrival) + message[i].service
            i += 1
            if i == last:
                break
            if second >= 0 and not _earlier(
                message, words, i, part[stream[best].part].rank, stream[best].copy_at,
                stream[second].next, part[stream[second].part].rank, stream[second].copy_at,
            ):  # fmt: skip
                break
        stream[best].next = i
        d = stream[best].copy_at
        heard[d, slot] = max(heard[d, slot], free)


@inlined
def _serve_core(walks, core):
    unit, slot = walks.unit[core], walks.scalar.steps_played % walks.heard.shape[1]
    unit.is_served = 1
    free = _serve(
        walks.core[core].stream_start, walks.core[core].stream_stop, unit.receiver_free, walks.stream,
        walks.part, walks.message, walks.words, walks.heard, slot,
    )  # fmt: skip
    if free > unit.receiver_free:
        unit.receiver_free = free
        walks.scalar.end = max(walks.scalar.end, free)


@inlined
def play_plain(walks, st, settings):
    """One step; its begin is known, its end is left in ``END``."""
    totals = walks.chip.totals != 0
    slot = walks.scalar.steps_played % walks.heard.shape[1]
    used = np.int64(0)
    for core in range(len(walks.unit)):
        walks.unit[core].is_served = 0
        if totals:
            walks.unit[core].free = walks.unit[core].receiver_free = walks.scalar.begin
    for p in range(len(walks.part)):
        row = walks.part[p]
        if row.is_readout:
            continue
        core = row.core
        if totals:
            start = walks.unit[core].free
        else:
            used = _reserve(walks, p, used)
            if used > len(walks.message):
                st.scalar.status = GROW_HEAP
                return
            if row.senders > 0 and walks.unit[core].is_served == 0:
                _serve_core(walks, core)
            start = ready(walks, p)
        end = _walk(walks, st, settings, p, start)
        if st.scalar.status != RUNNING:
            return
        walks.unit[core].free = walks.live[p].over = end
        walks.scalar.end = max(walks.scalar.end, end)
        for d in range(row.copy_start, row.copy_stop):
            walks.heard[d, slot] = max(walks.heard[d, slot], end)
    for core in range(len(walks.unit)):
        if totals:
            walks.scalar.end = max(walks.scalar.end, walks.unit[core].receiver_free)
        elif walks.unit[core].is_served == 0:
            _serve_core(walks, core)
