"""Bounded queues, of both schedules: messages whose order nothing can be computed ahead for, event by event.

Serialisers, links and cores are *places*. Each serves the messages that wait in its queue one at a time; a
serialiser or link that is done with one keeps it, blocked, until the next place has room. Whatever a message
comes to is an event of its own: it is done with at its serialiser and at each link, arrives at its core,
lands. Events wait in a binary heap in the order of law 2, ends of scans beside them.

A slot that falls free at a place lets the sender go that was blocked longest, whose place then serves its
next, and so on: a chain, followed step by step by ``move_on``.

In the event schedule spikes join their serialiser's queue, and cores serve scans among messages. In steps a
scan of a core's neurons is the serialiser's next (``steps_bounded``), and the core receives on its own.
"""

import numpy as np

from eventsnn.compilation import inlined
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels import records
from eventsnn.engine.kernels.messages import (
    book_message,
    count_spike,
    count_touched,
    free_message,
    hops_drawn,
    new_message,
    ordinal_of,
    service_time,
    time_drawn,
)
from eventsnn.engine.kernels.places import (
    CLASS_1,
    RANK_SHIFT,
    block,
    has_room,
    join,
    kind_of_service,
    log_at,
    occupy,
    plan_event,
    queue_event,
    take_longest,
)
from eventsnn.engine.order import DESTINATION_BITS, DESTINATION_MASK
from eventsnn.engine.seeds import PURPOSE_HOP_X, PURPOSE_HOP_Y, PURPOSE_SERIALISE
from eventsnn.engine.service import DELIVERED, DROPPED, TESTED

MESSAGES_DROPPED = COLUMN["messages_dropped"]


# -- a message's route --------------------------------------------------------------------------------------


@inlined
def send_bounded(plan, st, settings, net, rank, first, stop, now):
    """Put all copies of new spikes of a population on their way."""
    row = plan.population[rank]
    kind = row.kind
    scanned = kind == records.KIND_SIGNED or kind == records.KIND_EXACT_GATE
    for i in range(first, stop):
        word = st.firing.lists[i]
        neuron = word >> 32
        j = row.offset + neuron
        ordinal = ordinal_of(st, settings, j)
        part = np.int64(plan.part_of[j])
        own = plan.part[part]
        done = st.parts[part]
        count_spike(done, kind, word)
        for d in range(row.destination_start, row.destination_stop):
            to = plan.destination[d]
            if to.reaches_all == 0 and plan.fan_out[to.fan_out + neuron].full == 0:
                continue
            node = new_message(net.message, st.scalar)
            if node < 0:
                return
            route = plan.route[own.routes + d]
            book_message(done, route, plan.chip.uses_bus)
            book_message(st.counters[rank], route, plan.chip.uses_bus)
            st.scalar.in_flight += 1
            net.message[node].order = (rank << RANK_SHIFT) | CLASS_1 | neuron
            net.message[node].key = (ordinal << DESTINATION_BITS) | d
            net.message[node].word = word
            net.message[node].leg = route.leg
            net.message[node].part = part
            net.message[node].tested = 0
            if scanned:
                scan = st.part[part].scan
                net.message[node].next = -1
                if net.message[scan].first < 0:
                    net.message[scan].first = node
                else:
                    net.message[net.message[scan].last].next = node
                net.message[scan].last = node
            else:
                net.place[own.server].unsent += 1
                plan_event(st, settings, net, now + own.fire, node, records.STAGE_JOIN)


@inlined
def queue_scans(plan, st, net, rank, now):
    """A test scans its touched neurons part by part, each scan queued at its core like a message."""
    row = plan.population[rank]
    count_touched(plan, st, rank)
    for part in range(row.part_start, row.part_stop):
        tested = st.part[part].tested
        if tested == 0:
            continue
        node = new_message(net.message, st.scalar)
        if node < 0:
            return
        net.message[node].order = rank << RANK_SHIFT
        net.message[node].key = part
        net.message[node].word = 0
        net.message[node].part = part
        net.message[node].tested = tested
        net.message[node].first = -1
        st.part[part].scan = node
        join(net.place, net.message, plan.part[part].server, node, now)


@inlined
def _begin(plan, st, settings, net, p, node, now):
    """A place begins to serve a message, or a scan."""
    message = net.message
    part, key = plan.part[message[node].part], message[node].key
    rank, neuron = message[node].order >> RANK_SHIFT, message[node].word >> 32
    ordinal, d = key >> DESTINATION_BITS, key & DESTINATION_MASK
    kind, stage = net.place[p].kind, records.STAGE_DONE
    if kind == records.PLACE_CORE:
        stage = records.STAGE_LAND
        time = service_time(plan, settings, rank, neuron, ordinal, d)
    else:
        table, purpose, hop = part.serialise, np.int64(PURPOSE_SERIALISE), np.int64(0)
        if kind == records.PLACE_LINK:
            link = plan.leg[message[node].leg - 1]
            table, purpose, hop = link.table, link.purpose, link.hop
        time = time_drawn(plan, settings, table, purpose, rank, neuron, ordinal, d, hop)
    occupy(st, settings, net, p, node, max(now, net.place[p].free), time, stage)


@inlined
def _begin_scan(plan, st, net, p, node, now):
    """A core begins to scan the touched neurons of a part."""
    scan = net.message[node]
    part = plan.part[scan.part]
    time = -(-scan.tested // part.lanes) * part.update
    net.place[p].served = node
    scan.service, scan.end = now, now + time
    st.scalar.scans += 1
    queue_event(st, net, now + time, node, records.STAGE_SCANNED)


@inlined
def _leave(plan, st, settings, net, p, q, now):
    """The message that a serialiser or link holds goes on to the next place."""
    message, place = net.message, net.place
    node = place[p].served
    if settings.log_service:
        kind = kind_of_service(net, p, node)
        log_at(st, net, kind, p, node, message[node].service, message[node].end, now)
    place[p].served = place[p].awaits = -1
    place[p].free = now
    leg = message[node].leg
    message[node].leg = leg + 1
    if place[q].kind == records.PLACE_LINK:
        join(place, message, q, node, now)
        place[q].waiting += 1
        return
    step, key = plan.leg[leg], message[node].key
    rank, neuron = message[node].order >> RANK_SHIFT, message[node].word >> 32
    ordinal, d = key >> DESTINATION_BITS, key & DESTINATION_MASK
    time = now + step.offset
    for table, purpose, hops in (
        (plan.chip.hop_x_table, PURPOSE_HOP_X, step.draw_x),
        (plan.chip.hop_y_table, PURPOSE_HOP_Y, step.draw_y),
    ):
        time += hops_drawn(plan, settings, table, purpose, rank, neuron, ordinal, d, hops)
    place[q].granted += 1
    plan_event(st, settings, net, time, node, records.STAGE_ARRIVE)


@inlined
def _drop(plan, st, settings, net, p, node, now):
    """A message is lost at a full FIFO."""
    to = plan.destination[net.message[node].key & DESTINATION_MASK]
    st.scalar.in_flight -= 1
    st.counters[to.target, MESSAGES_DROPPED] += 1
    st.parts[to.target_part, MESSAGES_DROPPED] += 1
    if settings.log_service:
        log_at(st, net, DROPPED, p, node, now, now, now)
    free_message(net.message, st.scalar, node)


@inlined
def _arrive(plan, st, settings, net, p, node, now):
    """A message reaches its core: it waits, or is or makes another one dropped."""
    place = net.place
    place[p].granted -= 1
    net.message[node].time = now
    if place[p].policy != records.POLICY_BLOCK and place[p].waiting >= place[p].depth:
        lost = node
        if place[p].policy == records.POLICY_DROP_OLD:
            lost = take_longest(net, p)
            place[p].waiting -= 1
        _drop(plan, st, settings, net, p, lost, now)
        if lost == node:
            return
    join(place, net.message, p, node, now)
    place[p].waiting += 1


@inlined
def _end_scan(plan, st, settings, net, p, node, now):
    """The spikes that a scan found get ready."""
    message, part = net.message, plan.part[net.message[node].part]
    st.scalar.scans -= 1
    if settings.log_service:
        log_at(st, net, TESTED, p, node, message[node].service, now, now)
    net.place[p].served = -1
    spike = message[node].first
    while spike >= 0:
        following = message[spike].next
        net.place[p].unsent += 1
        plan_event(st, settings, net, now + part.fire, spike, records.STAGE_JOIN)
        spike = following
    free_message(message, st.scalar, node)


@inlined
def handle(plan, st, settings, net, node, now):
    """What an event does; returns where a message lands, or -1, its word in ``scratch[0]``.

    Places that may go on are left in ``scratch[1]`` and ``scratch[2]``.
    """
    message, place = net.message, net.place
    stage = message[node].stage
    p, q, landing = message[node].place, np.int64(-1), np.int64(-1)
    if stage == records.STAGE_JOIN:
        p = place[plan.part[message[node].part].server].partner
        join(place, message, p, node, now)
        place[p].waiting += 1
    elif stage == records.STAGE_DONE:
        q = plan.leg[message[node].leg].to
        if has_room(place, q):
            _leave(plan, st, settings, net, p, q, now)
        else:
            block(place, message, p, q)
    elif stage == records.STAGE_ARRIVE:
        p = plan.leg[message[node].leg - 1].to
        _arrive(plan, st, settings, net, p, node, now)
    elif stage == records.STAGE_SCANNED:
        _end_scan(plan, st, settings, net, p, node, now)
    else:
        if settings.log_service:
            log_at(st, net, DELIVERED, p, node, message[node].service, now, now)
        place[p].served, place[p].free = -1, now
        st.scalar.in_flight -= 1
        st.scratch[0] = message[node].word
        landing = message[node].key & DESTINATION_MASK
        free_message(message, st.scalar, node)
    st.scratch[1], st.scratch[2] = q, p
    return landing


@inlined
def move_on(plan, st, settings, net, p, now):
    """A place serves its next, if it is free to; returns the place that may go on because of it, or -1."""
    message, place = net.message, net.place
    node = place[p].head
    if node < 0 or place[p].served >= 0 or place[p].unsent > place[p].output_depth:
        return np.int64(-1)
    place[p].head = message[node].next
    if message[node].tested > 0:
        _begin_scan(plan, st, net, p, node, now)
        return np.int64(-1)
    place[p].waiting -= 1
    _begin(plan, st, settings, net, p, node, now)
    if place[p].kind == records.PLACE_SERIALISER:
        core = place[p].partner
        place[core].unsent -= 1
        return core
    sender = place[p].blocked
    if sender < 0 or not has_room(place, p):
        return np.int64(-1)
    place[p].blocked = place[sender].blocked_next
    _leave(plan, st, settings, net, sender, p, now)
    return sender


@inlined
def log_held(st, net, decided):
    """Log what is served or held, or waits, when the run is over."""
    message = net.message
    for p in range(len(net.place)):
        node = net.place[p].served
        if node >= 0:
            finish = message[node].end
            released = finish if net.place[p].kind == records.PLACE_CORE else max(finish, decided)
            log_at(st, net, kind_of_service(net, p, node), p, node, message[node].service, finish, released)
        node = net.place[p].head
        while node >= 0:
            log_at(st, net, kind_of_service(net, p, node), p, node, decided + 1, decided + 1, decided + 1)
            node = message[node].next
