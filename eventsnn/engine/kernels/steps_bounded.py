"""Steps on an accelerator that is followed event by event: links, bounded queues, random times, a log.

As ``reference.places``. Messages go through the bounded queues of both schedules (``bounded``). A core scans
one part after another, and its serialiser holds the message that a scan has come to until it is sent: then
the scan goes on. Begins of scans are events, before those of messages at their tick.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.kernels.bounded import handle, move_on
from eventsnn.engine.kernels.messages import book_message, free_message, log_service, new_message, time_drawn
from eventsnn.engine.kernels.places import CLASS_1, RANK_SHIFT, next_event, occupy, queue_event
from eventsnn.engine.kernels.records import PLACE_SERIALISER, RUNNING, STAGE_DONE, STAGE_SCAN
from eventsnn.engine.kernels.scans import (
    ACTIVE_UPDATES,
    MESSAGES_RECEIVED,
    NEURON_ACCESSES,
    SYNAPSES_SERVED,
    place_in_part,
    ready,
    stretch_time,
)
from eventsnn.engine.order import DESTINATION_BITS
from eventsnn.engine.seeds import PURPOSE_SERIALISE
from eventsnn.engine.service import TESTED

SCANS_FIRST = -(np.int64(1) << 62)  # in the order of events, below all messages
NONE = -1


@inner
def _plan_scan(steps, st, net, core):
    """Plan the next scan of a core, once all that it waits for is known."""
    place = steps.unit[core].next_part
    if place == steps.unit[core].part_stop:
        return
    p = steps.of_core[place]
    if steps.scan[p].missing != 0:
        return
    steps.scan[p].missing = NONE
    node = new_message(net.message, st.scalar)
    if node < 0:
        return
    net.message[node].order = SCANS_FIRST + p
    net.message[node].key = net.message[node].word = 0
    net.message[node].part = p
    queue_event(st, net, ready(steps, p), node, STAGE_SCAN)


@inlined
def _hear(steps, st, net, d, tick):
    """A scan, or the service of a message, that the receiver of a copy has to hear of is over at a tick."""
    slot = steps.scalar.played % steps.heard.shape[1]
    steps.heard[d, slot] = max(steps.heard[d, slot], tick)
    to = steps.destination[d]
    if to.late == 0:
        steps.scan[to.target_part].missing -= 1
        if steps.scan[to.target_part].missing == 0:
            _plan_scan(steps, st, net, steps.part[to.target_part].unit)


@inlined
def _reach_spike(steps, st, p, i):
    """The scan of a part reaches a spike: the time of the neurons up to it, if it is its neuron's first."""
    row, scan = steps.part[p], steps.scan[p]
    neuron = steps.words[i] >> 32
    scan.next_copy = row.destination_start
    scan.ordinal = steps.ordinal[row.offset + neuron]
    steps.ordinal[row.offset + neuron] += 1
    if row.is_input or (i > scan.first and steps.words[i - 1] >> 32 == neuron):
        return np.int64(0)
    following = place_in_part(row, neuron) + 1
    time, active = stretch_time(row, st.active, scan.position, following)
    scan.position = following
    scan.active += active
    spikes = i + 1
    while spikes < scan.stop and steps.words[spikes] >> 32 == neuron:
        spikes += 1
    return time + row.fire * (spikes - i)


@inlined
def _send(steps, st, settings, net, p, s, neuron, d, clock):
    """A scan reaches a message at a tick: it is done with it when the message is sent."""
    row, ordinal = steps.part[p], steps.scan[p].ordinal
    node = new_message(net.message, st.scalar)
    if node < 0:
        return
    route = steps.route[row.routes + d]
    message = net.message[node]
    message.order = (row.rank << RANK_SHIFT) | CLASS_1 | neuron
    message.key = (ordinal << DESTINATION_BITS) | d
    message.word = neuron << 32
    message.leg, message.part, message.tested, message.place, message.time = route.leg, p, 0, s, clock
    if steps.destination[d].late == 0:
        steps.scan[steps.destination[d].target_part].missing += 1
    book_message(steps.counters[p], route, steps.chip.uses_bus)
    st.scalar.in_flight += 1
    time = time_drawn(steps, settings, row.serialise, PURPOSE_SERIALISE, row.rank, neuron, ordinal, d, 0)
    occupy(st, settings, net, s, node, clock, time, STAGE_DONE)


@inlined
def _go_on(steps, st, settings, net, s, now):
    """Let the scan at a serialiser go on, to its next message or its end."""
    core = net.place[s].partner
    p = steps.of_core[steps.unit[core].next_part]
    row, scan = steps.part[p], steps.scan[p]
    clock = now
    while scan.spike < scan.stop:
        i = scan.spike
        neuron = steps.words[i] >> 32
        if scan.next_copy == NONE:
            clock += _reach_spike(steps, st, p, i)
        d = scan.next_copy
        while d < row.destination_stop and steps.fan_out[steps.destination[d].fan_out + neuron].full == 0:
            d += 1
        scan.next_copy = d + 1
        if d < row.destination_stop:
            _send(steps, st, settings, net, p, s, neuron, d, clock)
            return
        scan.spike = i + 1
        scan.next_copy = NONE
    if row.is_input == 0:
        time, active = stretch_time(row, st.active, scan.position, row.neurons)
        clock += time
        steps.counters[p, NEURON_ACCESSES] += row.neurons
        steps.counters[p, ACTIVE_UPDATES] += scan.active + active
        if settings.log_service:
            log_service(
                st.service, st.scalar, TESTED, row.core, row.rank, row.neurons, 0, -1, scan.begin, scan.begin,
                clock, clock,
            )  # fmt: skip
    scan.over = steps.unit[core].free = clock
    steps.scalar.end = max(steps.scalar.end, clock)
    for d in range(row.destination_start, row.destination_stop):
        _hear(steps, st, net, d, clock)
    steps.unit[core].next_part += 1
    _plan_scan(steps, st, net, core)


@inlined
def _book_service(steps, st, net, d, neuron, now):
    """The receiving unit of its core is done with a message."""
    to = steps.destination[d]
    steps.counters[to.target_part, MESSAGES_RECEIVED] += 1
    steps.counters[to.target_part, SYNAPSES_SERVED] += steps.fan_out[to.fan_out + neuron].full
    steps.scalar.end = max(steps.scalar.end, now)
    _hear(steps, st, net, d, now)


@inlined
def play_events(steps, st, settings, net):
    """One step; its begin is known, its end is left in ``scalar.end``."""
    for p in range(len(steps.part)):
        scan = steps.scan[p]
        scan.missing = steps.part[p].senders
        scan.spike, scan.next_copy = scan.first, NONE
        scan.position, scan.active = 0, 0
    for core in range(len(steps.unit)):
        steps.unit[core].next_part = steps.unit[core].part_start
        _plan_scan(steps, st, net, core)
    while st.scalar.status == RUNNING and st.scalar.events > 0:
        now = net.event[0].time
        node = next_event(st, net)
        if net.message[node].stage == STAGE_SCAN:
            p = net.message[node].part
            steps.scan[p].begin = now
            free_message(net.message, st.scalar, node)
            st.scratch[1], st.scratch[2] = NONE, net.place[steps.part[p].server].partner
        else:
            d = handle(steps, st, settings, net, node, now)
            if d >= 0:
                _book_service(steps, st, net, d, st.scratch[0] >> 32, now)
        for i in range(1, 3):
            s = st.scratch[i]
            while s >= 0 and st.scalar.status == RUNNING:
                if net.place[s].kind != PLACE_SERIALISER:
                    s = move_on(steps, st, settings, net, s, now)
                    continue
                if net.place[s].served < 0:
                    _go_on(steps, st, settings, net, s, now)
                break
