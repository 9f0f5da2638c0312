"""Messages on an accelerator with bounded queues, or in whose order nothing can be computed ahead.

Serialisers, links and cores are *places*. Each serves the messages that wait in its queue one at a time; a
serialiser or link that is done with one keeps it, blocked, until the next place has room. Whatever a message
comes to is an event of its own: it joins its serialiser's queue, is done with there and at each link, arrives
at its core, lands. They wait in a binary heap in the order of law 2, ends of scans beside them.

A slot that falls free at a place lets the sender go that was blocked longest, whose place then serves its
next, and so on: a chain, followed step by step by ``move_on``.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.draws import seeded_order
from eventsnn.engine.kernels.messages import (
    book_message,
    count_spike,
    count_touched,
    free_message,
    hops_drawn,
    log_service,
    new_message,
    ordinal_of,
    service_time,
    time_drawn,
)
from eventsnn.engine.kernels.records import (
    GROW_MESSAGES,
    KIND_EXACT_GATE,
    KIND_SIGNED,
    PLACE_CORE,
    PLACE_LINK,
    PLACE_SERIALISER,
    POLICY_BLOCK,
    POLICY_DROP_OLD,
    STAGE_ARRIVE,
    STAGE_DONE,
    STAGE_JOIN,
    STAGE_LAND,
    STAGE_SCANNED,
)
from eventsnn.engine.order import DESTINATION_BITS, DESTINATION_MASK, NEURON_BITS
from eventsnn.engine.seeds import PURPOSE_HOP_X, PURPOSE_HOP_Y, PURPOSE_SERIALISE
from eventsnn.engine.service import DELIVERED, DROPPED, PASSED, SERIALISED, TESTED

MESSAGES_RECEIVED = COLUMN["messages_received"]
MESSAGES_DROPPED = COLUMN["messages_dropped"]

CLASS_1 = 1 << NEURON_BITS
RANK_SHIFT = NEURON_BITS + 1


# -- events ----------------------------------------------------------------------------------------------


@inlined
def _is_before(message, time, node, heap, j):
    """Whether an event of a message comes before event j in the order of law 2."""
    if time != heap[j].time:
        return time < heap[j].time
    if message[node].order != heap[j].rank_order:
        return message[node].order < heap[j].rank_order
    one, other = message[node].word >> 32, message[heap[j].word].word >> 32
    if one != other:  # neurons that seeded ties gave one place
        return one < other
    return message[node].key < heap[j].ordinal_destination


@inlined
def _copy(heap, i, j):
    """Event j stands at i, too."""
    heap[i].time = heap[j].time
    heap[i].rank_order = heap[j].rank_order
    heap[i].ordinal_destination = heap[j].ordinal_destination
    heap[i].word = heap[j].word


@inlined
def _set(heap, message, i, time, node):
    heap[i].time = time
    heap[i].rank_order = message[node].order
    heap[i].ordinal_destination = message[node].key
    heap[i].word = node


@inner
def _push(heap, message, scalar, time, node, stage):
    """Queue what comes next for a message, or the end of a scan."""
    i = scalar.events
    if i == len(heap):
        scalar.status = GROW_MESSAGES
        return
    message[node].stage = stage
    scalar.events = i + 1
    while i > 0:
        parent = (i - 1) >> 1
        if not _is_before(message, time, node, heap, parent):
            break
        _copy(heap, i, parent)
        i = parent
    _set(heap, message, i, time, node)


@inner
def pop_event(heap, message, scalar):
    """Remove the first event; returns its message or scan."""
    last = scalar.events - 1
    scalar.events = last
    first = heap[0].word
    time, node = heap[last].time, heap[last].word
    i = np.int64(0)
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        if child + 1 < last:
            right = heap[child + 1].word
            if _is_before(message, heap[child + 1].time, right, heap, child):
                child += 1
        if _is_before(message, time, node, heap, child):
            break
        _copy(heap, i, child)
        i = child
    _set(heap, message, i, time, node)
    return first


@inlined
def _plan_event(st, settings, net, time, node, stage):
    """Queue what comes next for a message; seeded ties give it another place at every tick."""
    if settings.seeded:
        rank, neuron = net.message[node].order >> RANK_SHIFT, net.message[node].word >> 32
        order = seeded_order(settings.seed_key, time, rank, neuron)
        net.message[node].order = (rank << RANK_SHIFT) | CLASS_1 | order
    _push(net.event, net.message, st.scalar, time, node, stage)


# -- queues ------------------------------------------------------------------------------------------------


@inlined
def _join(place, message, p, node, now):
    """A message, or a scan, waits at a place."""
    message[node].time = now
    message[node].place = p
    message[node].next = -1
    if place[p].head < 0:
        place[p].head = node
    else:
        message[place[p].tail].next = node
    place[p].tail = node


@inlined
def _has_room(place, p):
    """Whether a message may leave for a place."""
    return place[p].policy != POLICY_BLOCK or place[p].waiting + place[p].granted < place[p].depth


@inlined
def _block(place, message, p, q):
    """A sender waits for room: behind those blocked before, at one tick by law 2."""
    place[p].awaits = q
    node = place[p].served
    before, after = np.int64(-1), place[q].blocked
    while after >= 0:
        other = place[after].served
        if message[other].end > message[node].end:
            break
        if message[other].end == message[node].end:
            if message[other].order > message[node].order:
                break
            if message[other].order == message[node].order:
                one, own = message[other].word >> 32, message[node].word >> 32
                if one > own or (one == own and message[other].key > message[node].key):
                    break
        before, after = after, place[after].blocked_next
    place[p].blocked_next = after
    if before < 0:
        place[q].blocked = p
    else:
        place[before].blocked_next = p


@inlined
def _log(st, net, kind, p, node, start, finish, released):
    message = net.message
    order, key = message[node].order, message[node].key
    neuron, ordinal, d = message[node].word >> 32, key >> DESTINATION_BITS, key & DESTINATION_MASK
    if kind == TESTED:
        neuron, ordinal, d = message[node].tested, np.int64(0), np.int64(-1)
    log_service(
        st.service, st.scalar, kind, net.place[p].number, order >> RANK_SHIFT, neuron, ordinal, d,
        message[node].time, start, finish, released,
    )  # fmt: skip


@inlined
def _log_kind(net, p, node):
    """What a place does to a message or scan, in the log's terms."""
    if net.message[node].tested > 0:
        return TESTED
    kind = net.place[p].kind
    if kind == PLACE_SERIALISER:
        return SERIALISED
    return PASSED if kind == PLACE_LINK else DELIVERED


# -- a message's way ---------------------------------------------------------------------------------------


@inlined
def send_queued(plan, st, settings, net, rank, first, stop, now):
    """Put all copies of new spikes of a population on their way."""
    row = plan.population[rank]
    kind = row.kind
    scanned = kind == KIND_SIGNED or kind == KIND_EXACT_GATE
    for i in range(first, stop):
        word = st.lists[i]
        neuron = word >> 32
        j = row.offset + neuron
        ordinal = ordinal_of(st, settings, j)
        part = np.int64(plan.part_of[j])
        own = plan.part[part]
        done = st.parts[part]
        count_spike(done, kind, word)
        for d in range(row.destination_start, row.destination_stop):
            if plan.fan_out[plan.destination[d].fan_out + neuron].full == 0:
                continue
            node = new_message(net.message, st.scalar)
            if node < 0:
                return
            way = plan.way[own.ways + d]
            book_message(done, way, plan.chip.uses_bus)
            book_message(st.counters[rank], way, plan.chip.uses_bus)
            st.scalar.in_flight += 1
            net.message[node].order = (rank << RANK_SHIFT) | CLASS_1 | neuron
            net.message[node].key = (ordinal << DESTINATION_BITS) | d
            net.message[node].word = word
            net.message[node].leg = way.leg
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
                _plan_event(st, settings, net, now + own.fire, node, STAGE_JOIN)


@inlined
def request_queued_scans(plan, st, net, rank, now):
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
        _join(net.place, net.message, plan.part[part].server, node, now)


@inlined
def _begin(plan, st, settings, net, p, node, now):
    """A place begins to serve a message, or a scan."""
    message = net.message
    part, key = plan.part[message[node].part], message[node].key
    rank, neuron = message[node].order >> RANK_SHIFT, message[node].word >> 32
    ordinal, d = key >> DESTINATION_BITS, key & DESTINATION_MASK
    kind, stage = net.place[p].kind, STAGE_DONE
    if kind == PLACE_CORE:
        stage = STAGE_LAND
        time = service_time(plan, settings, rank, neuron, ordinal, d)
    else:
        table, purpose, hop = part.serialise, np.int64(PURPOSE_SERIALISE), np.int64(0)
        if kind == PLACE_LINK:
            link = plan.leg[message[node].leg - 1]
            table, purpose, hop = link.table, link.purpose, link.hop
        time = time_drawn(plan, settings, table, purpose, rank, neuron, ordinal, d, hop)
    net.place[p].served = node
    message[node].service, message[node].end = now, now + time
    _plan_event(st, settings, net, now + time, node, stage)


@inlined
def _begin_scan(plan, st, net, p, node, now):
    message = net.message
    part = plan.part[message[node].part]
    time = -(-message[node].tested // part.lanes) * part.update
    net.place[p].served = node
    message[node].service, message[node].end = now, now + time
    st.scalar.scans += 1
    _push(net.event, message, st.scalar, now + time, node, STAGE_SCANNED)


@inlined
def _leave(plan, st, settings, net, p, q, now):
    """The message that a serialiser or link holds goes on to the next place."""
    message, place = net.message, net.place
    node = place[p].served
    if settings.log_service:
        kind = _log_kind(net, p, node)
        _log(st, net, kind, p, node, message[node].service, message[node].end, now)
    place[p].served = place[p].awaits = -1
    leg = message[node].leg
    message[node].leg = leg + 1
    if place[q].kind == PLACE_LINK:
        _join(place, message, q, node, now)
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
    _plan_event(st, settings, net, time, node, STAGE_ARRIVE)


@inlined
def _drop(plan, st, settings, net, p, node, now):
    """A message is lost at a full FIFO."""
    to = plan.destination[net.message[node].key & DESTINATION_MASK]
    st.scalar.in_flight -= 1
    st.counters[to.target, MESSAGES_DROPPED] += 1
    st.parts[to.target_part, MESSAGES_DROPPED] += 1
    if settings.log_service:
        _log(st, net, DROPPED, p, node, now, now, now)
    free_message(net.message, st.scalar, node)


@inlined
def _take_longest(net, p):
    """Remove the message that has waited longest at a core, scans passed over."""
    place, message = net.place, net.message
    before, node = np.int64(-1), place[p].head
    while message[node].tested > 0:
        before, node = node, message[node].next
    after = message[node].next
    if before < 0:
        place[p].head = after
    else:
        message[before].next = after
    if after < 0:
        place[p].tail = before
    return node


@inlined
def _arrive(plan, st, settings, net, p, node, now):
    """A message reaches its core: it waits, or is or makes another one dropped."""
    place = net.place
    place[p].granted -= 1
    net.message[node].time = now
    if place[p].policy != POLICY_BLOCK and place[p].waiting >= place[p].depth:
        lost = node
        if place[p].policy == POLICY_DROP_OLD:
            lost = _take_longest(net, p)
            place[p].waiting -= 1
        _drop(plan, st, settings, net, p, lost, now)
        if lost == node:
            return
    _join(place, net.message, p, node, now)
    place[p].waiting += 1


@inlined
def _end_scan(plan, st, settings, net, p, node, now):
    """The spikes that a scan found get ready."""
    message, part = net.message, plan.part[net.message[node].part]
    st.scalar.scans -= 1
    if settings.log_service:
        _log(st, net, TESTED, p, node, message[node].service, now, now)
    net.place[p].served = -1
    spike = message[node].first
    while spike >= 0:
        following = message[spike].next
        net.place[p].unsent += 1
        _plan_event(st, settings, net, now + part.fire, spike, STAGE_JOIN)
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
    if stage == STAGE_JOIN:
        p = place[plan.part[message[node].part].server].partner
        _join(place, message, p, node, now)
        place[p].waiting += 1
    elif stage == STAGE_DONE:
        q = plan.leg[message[node].leg].to
        if _has_room(place, q):
            _leave(plan, st, settings, net, p, q, now)
        else:
            _block(place, message, p, q)
    elif stage == STAGE_ARRIVE:
        p = plan.leg[message[node].leg - 1].to
        _arrive(plan, st, settings, net, p, node, now)
    elif stage == STAGE_SCANNED:
        _end_scan(plan, st, settings, net, p, node, now)
    else:
        to = plan.destination[message[node].key & DESTINATION_MASK]
        if settings.log_service:
            _log(st, net, DELIVERED, p, node, message[node].service, now, now)
        place[p].served = -1
        st.scalar.in_flight -= 1
        st.counters[to.target, MESSAGES_RECEIVED] += 1
        st.parts[to.target_part, MESSAGES_RECEIVED] += 1
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
    if place[p].kind == PLACE_SERIALISER:
        core = place[p].partner
        place[core].unsent -= 1
        return core
    sender = place[p].blocked
    if sender < 0 or not _has_room(place, p):
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
            released = finish if net.place[p].kind == PLACE_CORE else max(finish, decided)
            _log(st, net, _log_kind(net, p, node), p, node, message[node].service, finish, released)
        node = net.place[p].head
        while node >= 0:
            _log(st, net, _log_kind(net, p, node), p, node, decided + 1, decided + 1, decided + 1)
            node = message[node].next
