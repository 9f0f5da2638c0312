"""Steps on an accelerator whose queues are unbounded: computed ahead, core by core, in streams.

So are steps that last as long as their busiest unit. All times are constant, so that the messages a part
sends to a destination reach its core in the order they were sent: a stream. A core's messages are served as
its streams are merged. By ranks, all that a core's scans wait for has been sent before they begin
(``lowering.steps``).
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.kernels.messages import book_message, log_service, service_time, time_drawn
from eventsnn.engine.kernels.order import comes_before
from eventsnn.engine.kernels.records import GROW_HEAP, RUNNING
from eventsnn.engine.kernels.scans import (
    ACTIVE_UPDATES,
    MESSAGES_RECEIVED,
    NEURON_ACCESSES,
    SYNAPSES_SERVED,
    place_in_part,
    ready,
    stretch_time,
)
from eventsnn.engine.order import NEURON_BITS
from eventsnn.engine.seeds import PURPOSE_SERIALISE
from eventsnn.engine.service import SERIALISED, TESTED


@inlined
def _reserve(steps, p, used):
    """Room for the messages of a part, a stretch for each stream; returns where the next stretch begins."""
    count = steps.scan[p].stop - steps.scan[p].first
    for d in range(steps.part[p].destination_start, steps.part[p].destination_stop):
        stream = steps.stream_of[p, d]
        own = steps.stream[stream]
        own.start = own.next = own.stop = used
        used += count
    return used


@inlined
def _scan(steps, st, settings, p, start):
    """Scan a part from a tick on: its messages go to their streams, or are added up; returns the end."""
    row, counters = steps.part[p], steps.counters[p]
    rank, core, totals = row.rank, row.unit, steps.chip.totals != 0
    scanned = row.is_input == 0 and row.is_readout == 0
    named = len(steps.ordinal) > 1  # by their ordinals, in random times and the log
    clock, place, count = start, np.int64(0), np.int64(0)
    i, stop = steps.scan[p].first, steps.scan[p].stop
    last, ordinal = np.int64(-1), np.int64(0)
    while i < stop:
        neuron = steps.words[i] >> 32
        if scanned and neuron != last:
            following = place_in_part(row, neuron) + 1
            time, active = stretch_time(row, st.active, place, following)
            spikes = i + 1
            while spikes < stop and steps.words[spikes] >> 32 == neuron:
                spikes += 1
            clock += time + row.fire * (spikes - i)
            place = following
            count += active
        last = neuron
        if named:
            ordinal = steps.ordinal[row.offset + neuron]
            steps.ordinal[row.offset + neuron] = ordinal + 1
        for d in range(row.destination_start, row.destination_stop):
            to = steps.destination[d]
            synapses = np.int64(steps.fan_out[to.fan_out + neuron].full)
            if synapses == 0:
                continue
            reached = clock
            clock += time_drawn(
                steps, settings, row.serialise, PURPOSE_SERIALISE, rank, neuron, ordinal, d, 0
            )
            service = service_time(steps, settings, rank, neuron, ordinal, d)
            route = steps.route[row.routes + d]
            book_message(counters, route, steps.chip.uses_bus)
            steps.counters[to.target_part, MESSAGES_RECEIVED] += 1
            steps.counters[to.target_part, SYNAPSES_SERVED] += synapses
            if totals:
                steps.unit[steps.part[to.target_part].unit].receiver_free += service
                if settings.log_service:
                    log_service(
                        st.service, st.scalar, SERIALISED, steps.unit[core].number, rank,
                        neuron, ordinal, d, reached, reached, clock, clock,
                    )  # fmt: skip
                continue
            stream = steps.stream_of[p, d]
            at = steps.stream[stream].stop
            steps.message[at].arrival = clock + steps.leg[route.leg].offset
            steps.message[at].service = service
            steps.message[at].place = i
            steps.stream[stream].stop = at + 1
        i += 1
    if scanned:
        time, active = stretch_time(row, st.active, place, row.neurons)
        clock += time
        counters[NEURON_ACCESSES] += row.neurons
        counters[ACTIVE_UPDATES] += count + active
        if settings.log_service:
            log_service(
                st.service, st.scalar, TESTED, steps.unit[core].number, rank,
                row.neurons, 0, -1, start, start, clock, clock,
            )  # fmt: skip
    return clock


@inner
def _earlier(message, words, i, rank_i, d_i, j, rank_j, d_j):
    """Whether message i of a stream is served before message j of another: by arrival, then law 2."""
    one, other = message[i], message[j]
    order_i = (rank_i << NEURON_BITS) | words[one.place] >> 32
    order_j = (rank_j << NEURON_BITS) | words[other.place] >> 32
    # Spikes of one neuron are of one part, and stand in the order in which they were emitted.
    return comes_before(one.arrival, order_i, one.place, d_i, other.arrival, order_j, other.place, d_j)


@inner
def _serve(first, stop, free, stream, part, message, words, heard, slot):
    """Serve the messages of one core's streams as they come; returns when all is done."""
    while True:
        best = second = np.int64(-1)
        for s in range(first, stop):
            if stream[s].next == stream[s].stop:
                continue
            if best < 0 or _earlier(
                message, words, stream[s].next, part[stream[s].part].rank, stream[s].destination,
                stream[best].next, part[stream[best].part].rank, stream[best].destination,
            ):  # fmt: skip
                best, second = s, best
            elif second < 0 or _earlier(
                message, words, stream[s].next, part[stream[s].part].rank, stream[s].destination,
                stream[second].next, part[stream[second].part].rank, stream[second].destination,
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
                message, words, i, part[stream[best].part].rank, stream[best].destination,
                stream[second].next, part[stream[second].part].rank, stream[second].destination,
            ):  # fmt: skip
                break
        stream[best].next = i
        d = stream[best].destination
        heard[d, slot] = max(heard[d, slot], free)


@inlined
def _serve_core(steps, core):
    unit, slot = steps.unit[core], steps.scalar.played % steps.heard.shape[1]
    unit.is_served = 1
    free = _serve(
        unit.stream_start, unit.stream_stop, unit.receiver_free, steps.stream,
        steps.part, steps.message, steps.words, steps.heard, slot,
    )  # fmt: skip
    if free > unit.receiver_free:
        unit.receiver_free = free
        steps.scalar.end = max(steps.scalar.end, free)


@inlined
def play_ahead(steps, st, settings):
    """One step; its begin is known, its end is left in ``scalar.end``."""
    totals = steps.chip.totals != 0
    slot = steps.scalar.played % steps.heard.shape[1]
    used = np.int64(0)
    for core in range(len(steps.unit)):
        steps.unit[core].is_served = 0
        if totals:
            steps.unit[core].free = steps.unit[core].receiver_free = steps.scalar.begin
    for p in range(len(steps.part)):
        row = steps.part[p]
        if row.is_readout:
            continue
        core = row.unit
        if totals:
            start = steps.unit[core].free
        else:
            used = _reserve(steps, p, used)
            if used > len(steps.message):
                st.scalar.status = GROW_HEAP
                return
            if row.senders > 0 and steps.unit[core].is_served == 0:
                _serve_core(steps, core)
            start = ready(steps, p)
        end = _scan(steps, st, settings, p, start)
        if st.scalar.status != RUNNING:
            return
        steps.unit[core].free = steps.scan[p].over = end
        steps.scalar.end = max(steps.scalar.end, end)
        for d in range(row.destination_start, row.destination_stop):
            steps.heard[d, slot] = max(steps.heard[d, slot], end)
    for core in range(len(steps.unit)):
        if totals:
            steps.scalar.end = max(steps.scalar.end, steps.unit[core].receiver_free)
        elif steps.unit[core].is_served == 0:
            _serve_core(steps, core)
