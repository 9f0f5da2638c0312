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
from eventsnn.engine.columns import (
    DESTINATION_START,
    DESTINATION_STOP,
    EVENTS,
    FAN_OUT,
    FULL_FAN_OUT,
    GROW_MESSAGES,
    HOP_X_TABLE,
    HOP_Y_TABLE,
    IN_FLIGHT,
    KIND,
    KIND_EXACT_GATE,
    KIND_SIGNED,
    LEG_DRAW_X,
    LEG_DRAW_Y,
    LEG_HOP,
    LEG_OFFSET,
    LEG_PURPOSE,
    LEG_TABLE,
    LEG_TO,
    M_END,
    M_FIRST,
    M_LAST,
    M_LEG,
    M_MESSAGE,
    M_NEXT,
    M_ORDER,
    M_PART,
    M_PLACE,
    M_SERVICE,
    M_STAGE,
    M_TESTED,
    M_TIME,
    M_WORD,
    OFFSET,
    P_ORDINAL_DESTINATION,
    P_RANK_ORDER,
    P_TIME,
    P_WORD,
    PART_FIRE,
    PART_LANES,
    PART_SCAN,
    PART_SERIALISE,
    PART_SERVER,
    PART_START,
    PART_STOP,
    PART_TESTED,
    PART_UPDATE,
    PART_WAYS,
    PLACE_CORE,
    PLACE_LINK,
    PLACE_SERIALISER,
    POLICY_BLOCK,
    POLICY_DROP_OLD,
    Q_AWAITS,
    Q_BLOCKED,
    Q_BLOCKED_NEXT,
    Q_DEPTH,
    Q_GRANTED,
    Q_HEAD,
    Q_KIND,
    Q_NUMBER,
    Q_OUTPUT_DEPTH,
    Q_PARTNER,
    Q_POLICY,
    Q_SERVED,
    Q_TAIL,
    Q_UNSENT,
    Q_WAITING,
    SCANS,
    STAGE_ARRIVE,
    STAGE_DONE,
    STAGE_JOIN,
    STAGE_LAND,
    STAGE_SCANNED,
    STATUS,
    TARGET,
    TARGET_PART,
    USES_BUS,
    WAY_LEG,
)
from eventsnn.engine.kernels.draws import seeded_order
from eventsnn.engine.kernels.messages import (
    DELIVERED,
    DROPPED,
    LINKED,
    SERIALISED,
    TESTED,
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
from eventsnn.engine.order import DESTINATION_BITS, DESTINATION_MASK, NEURON_BITS
from eventsnn.engine.seeds import PURPOSE_HOP_X, PURPOSE_HOP_Y, PURPOSE_SERIALISE
from eventsnn.results.counters import COLUMN

MESSAGES_RECEIVED = COLUMN["messages_received"]
MESSAGES_DROPPED = COLUMN["messages_dropped"]

CLASS_1 = 1 << NEURON_BITS
RANK_SHIFT = NEURON_BITS + 1


# -- events ----------------------------------------------------------------------------------------------


@inlined
def _is_before(message, time, node, heap, j):
    """Whether an event of a message comes before event j in the order of law 2."""
    if time != heap[j, P_TIME]:
        return time < heap[j, P_TIME]
    if message[node, M_ORDER] != heap[j, P_RANK_ORDER]:
        return message[node, M_ORDER] < heap[j, P_RANK_ORDER]
    one, other = message[node, M_WORD] >> 32, message[heap[j, P_WORD], M_WORD] >> 32
    if one != other:  # neurons that seeded ties gave one place
        return one < other
    return message[node, M_MESSAGE] < heap[j, P_ORDINAL_DESTINATION]


@inlined
def _copy(heap, i, j):
    """Event j stands at i, too."""
    for k in range(4):
        heap[i, k] = heap[j, k]


@inlined
def _set(heap, message, i, time, node):
    heap[i, P_TIME] = time
    heap[i, P_RANK_ORDER] = message[node, M_ORDER]
    heap[i, P_ORDINAL_DESTINATION] = message[node, M_MESSAGE]
    heap[i, P_WORD] = node


@inner
def _push(heap, message, scalar, time, node, stage):
    """Queue what comes next for a message, or the end of a scan."""
    i = scalar[EVENTS]
    if i == len(heap):
        scalar[STATUS] = GROW_MESSAGES
        return
    message[node, M_STAGE] = stage
    scalar[EVENTS] = i + 1
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
    last = scalar[EVENTS] - 1
    scalar[EVENTS] = last
    first = heap[0, P_WORD]
    time, node = heap[last, P_TIME], heap[last, P_WORD]
    i = np.int64(0)
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        if child + 1 < last:
            right = heap[child + 1, P_WORD]
            if _is_before(message, heap[child + 1, P_TIME], right, heap, child):
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
        rank, neuron = net.message[node, M_ORDER] >> RANK_SHIFT, net.message[node, M_WORD] >> 32
        order = seeded_order(settings.seed_key, time, rank, neuron)
        net.message[node, M_ORDER] = (rank << RANK_SHIFT) | CLASS_1 | order
    _push(net.event, net.message, st.scalar, time, node, stage)


# -- queues ------------------------------------------------------------------------------------------------


@inlined
def _join(place, message, p, node, now):
    """A message, or a scan, waits at a place."""
    message[node, M_TIME] = now
    message[node, M_PLACE] = p
    message[node, M_NEXT] = -1
    if place[p, Q_HEAD] < 0:
        place[p, Q_HEAD] = node
    else:
        message[place[p, Q_TAIL], M_NEXT] = node
    place[p, Q_TAIL] = node


@inlined
def _has_room(place, p):
    """Whether a message may leave for a place."""
    return place[p, Q_POLICY] != POLICY_BLOCK or place[p, Q_WAITING] + place[p, Q_GRANTED] < place[p, Q_DEPTH]


@inlined
def _block(place, message, p, q):
    """A sender waits for room: behind those blocked before, at one tick by law 2."""
    place[p, Q_AWAITS] = q
    node = place[p, Q_SERVED]
    before, after = np.int64(-1), place[q, Q_BLOCKED]
    while after >= 0:
        other = place[after, Q_SERVED]
        if message[other, M_END] > message[node, M_END]:
            break
        if message[other, M_END] == message[node, M_END]:
            if message[other, M_ORDER] > message[node, M_ORDER]:
                break
            if message[other, M_ORDER] == message[node, M_ORDER]:
                one, own = message[other, M_WORD] >> 32, message[node, M_WORD] >> 32
                if one > own or (one == own and message[other, M_MESSAGE] > message[node, M_MESSAGE]):
                    break
        before, after = after, place[after, Q_BLOCKED_NEXT]
    place[p, Q_BLOCKED_NEXT] = after
    if before < 0:
        place[q, Q_BLOCKED] = p
    else:
        place[before, Q_BLOCKED_NEXT] = p


@inlined
def _log(st, net, kind, p, node, start, finish, released):
    message = net.message
    order, key = message[node, M_ORDER], message[node, M_MESSAGE]
    neuron, ordinal, d = message[node, M_WORD] >> 32, key >> DESTINATION_BITS, key & DESTINATION_MASK
    if kind == TESTED:
        neuron, ordinal, d = message[node, M_TESTED], np.int64(0), np.int64(-1)
    log_service(
        st.service, st.scalar, kind, net.place[p, Q_NUMBER], order >> RANK_SHIFT, neuron, ordinal, d,
        message[node, M_TIME], start, finish, released,
    )  # fmt: skip


@inlined
def _log_kind(net, p, node):
    """What a place does to a message or scan, in the log's terms."""
    if net.message[node, M_TESTED] > 0:
        return TESTED
    kind = net.place[p, Q_KIND]
    if kind == PLACE_SERIALISER:
        return SERIALISED
    return LINKED if kind == PLACE_LINK else DELIVERED


# -- a message's way ---------------------------------------------------------------------------------------


@inlined
def send_queued(plan, st, settings, net, rank, first, stop, now):
    """Put all copies of new spikes of a population on their way."""
    row = plan.population[rank]
    kind = row[KIND]
    scanned = kind == KIND_SIGNED or kind == KIND_EXACT_GATE
    for i in range(first, stop):
        word = st.lists[i]
        neuron = word >> 32
        j = row[OFFSET] + neuron
        ordinal = ordinal_of(st, settings, j)
        part = np.int64(plan.part_of[j])
        own = plan.part[part]
        done = st.parts[part]
        count_spike(done, kind, word)
        for d in range(row[DESTINATION_START], row[DESTINATION_STOP]):
            if plan.fan_out[plan.destination[d, FAN_OUT] + neuron, FULL_FAN_OUT] == 0:
                continue
            node = new_message(net.message, st.scalar)
            if node < 0:
                return
            way = plan.way[own[PART_WAYS] + d]
            book_message(done, way, plan.chip[USES_BUS])
            book_message(st.counters[rank], way, plan.chip[USES_BUS])
            st.scalar[IN_FLIGHT] += 1
            net.message[node, M_ORDER] = (rank << RANK_SHIFT) | CLASS_1 | neuron
            net.message[node, M_MESSAGE] = (ordinal << DESTINATION_BITS) | d
            net.message[node, M_WORD] = word
            net.message[node, M_LEG] = way[WAY_LEG]
            net.message[node, M_PART] = part
            net.message[node, M_TESTED] = 0
            if scanned:
                scan = st.part[part, PART_SCAN]
                net.message[node, M_NEXT] = -1
                if net.message[scan, M_FIRST] < 0:
                    net.message[scan, M_FIRST] = node
                else:
                    net.message[net.message[scan, M_LAST], M_NEXT] = node
                net.message[scan, M_LAST] = node
            else:
                net.place[own[PART_SERVER], Q_UNSENT] += 1
                _plan_event(st, settings, net, now + own[PART_FIRE], node, STAGE_JOIN)


@inlined
def request_queued_scans(plan, st, net, rank, now):
    """A test scans its touched neurons part by part, each scan queued at its core like a message."""
    row = plan.population[rank]
    count_touched(plan, st, rank)
    for part in range(row[PART_START], row[PART_STOP]):
        tested = st.part[part, PART_TESTED]
        if tested == 0:
            continue
        node = new_message(net.message, st.scalar)
        if node < 0:
            return
        net.message[node, M_ORDER] = rank << RANK_SHIFT
        net.message[node, M_MESSAGE] = part
        net.message[node, M_WORD] = 0
        net.message[node, M_PART] = part
        net.message[node, M_TESTED] = tested
        net.message[node, M_FIRST] = -1
        st.part[part, PART_SCAN] = node
        _join(net.place, net.message, plan.part[part, PART_SERVER], node, now)


@inlined
def _begin(plan, st, settings, net, p, node, now):
    """A place begins to serve a message, or a scan."""
    message = net.message
    part, key = plan.part[message[node, M_PART]], message[node, M_MESSAGE]
    rank, neuron = message[node, M_ORDER] >> RANK_SHIFT, message[node, M_WORD] >> 32
    ordinal, d = key >> DESTINATION_BITS, key & DESTINATION_MASK
    kind, stage = net.place[p, Q_KIND], STAGE_DONE
    if kind == PLACE_CORE:
        stage = STAGE_LAND
        time = service_time(plan, settings, rank, neuron, ordinal, d)
    else:
        table, purpose, hop = part[PART_SERIALISE], np.int64(PURPOSE_SERIALISE), np.int64(0)
        if kind == PLACE_LINK:
            link = plan.leg[message[node, M_LEG] - 1]
            table, purpose, hop = link[LEG_TABLE], link[LEG_PURPOSE], link[LEG_HOP]
        time = time_drawn(plan, settings, table, purpose, rank, neuron, ordinal, d, hop)
    net.place[p, Q_SERVED] = node
    message[node, M_SERVICE], message[node, M_END] = now, now + time
    _plan_event(st, settings, net, now + time, node, stage)


@inlined
def _begin_scan(plan, st, net, p, node, now):
    message = net.message
    part = plan.part[message[node, M_PART]]
    time = -(-message[node, M_TESTED] // part[PART_LANES]) * part[PART_UPDATE]
    net.place[p, Q_SERVED] = node
    message[node, M_SERVICE], message[node, M_END] = now, now + time
    st.scalar[SCANS] += 1
    _push(net.event, message, st.scalar, now + time, node, STAGE_SCANNED)


@inlined
def _leave(plan, st, settings, net, p, q, now):
    """The message that a serialiser or link holds goes on to the next place."""
    message, place = net.message, net.place
    node = place[p, Q_SERVED]
    if settings.log_service:
        kind = _log_kind(net, p, node)
        _log(st, net, kind, p, node, message[node, M_SERVICE], message[node, M_END], now)
    place[p, Q_SERVED] = place[p, Q_AWAITS] = -1
    leg = message[node, M_LEG]
    message[node, M_LEG] = leg + 1
    if place[q, Q_KIND] == PLACE_LINK:
        _join(place, message, q, node, now)
        place[q, Q_WAITING] += 1
        return
    step, key = plan.leg[leg], message[node, M_MESSAGE]
    rank, neuron = message[node, M_ORDER] >> RANK_SHIFT, message[node, M_WORD] >> 32
    ordinal, d = key >> DESTINATION_BITS, key & DESTINATION_MASK
    time = now + step[LEG_OFFSET]
    for table, purpose, hops in (
        (plan.chip[HOP_X_TABLE], PURPOSE_HOP_X, step[LEG_DRAW_X]),
        (plan.chip[HOP_Y_TABLE], PURPOSE_HOP_Y, step[LEG_DRAW_Y]),
    ):
        time += hops_drawn(plan, settings, table, purpose, rank, neuron, ordinal, d, hops)
    place[q, Q_GRANTED] += 1
    _plan_event(st, settings, net, time, node, STAGE_ARRIVE)


@inlined
def _drop(plan, st, settings, net, p, node, now):
    """A message is lost at a full FIFO."""
    to = plan.destination[net.message[node, M_MESSAGE] & DESTINATION_MASK]
    st.scalar[IN_FLIGHT] -= 1
    st.counters[to[TARGET], MESSAGES_DROPPED] += 1
    st.parts[to[TARGET_PART], MESSAGES_DROPPED] += 1
    if settings.log_service:
        _log(st, net, DROPPED, p, node, now, now, now)
    free_message(net.message, st.scalar, node)


@inlined
def _take_longest(net, p):
    """Remove the message that has waited longest at a core, scans passed over."""
    place, message = net.place, net.message
    before, node = np.int64(-1), place[p, Q_HEAD]
    while message[node, M_TESTED] > 0:
        before, node = node, message[node, M_NEXT]
    after = message[node, M_NEXT]
    if before < 0:
        place[p, Q_HEAD] = after
    else:
        message[before, M_NEXT] = after
    if after < 0:
        place[p, Q_TAIL] = before
    return node


@inlined
def _arrive(plan, st, settings, net, p, node, now):
    """A message reaches its core: it waits, or is or makes another one dropped."""
    place = net.place
    place[p, Q_GRANTED] -= 1
    net.message[node, M_TIME] = now
    if place[p, Q_POLICY] != POLICY_BLOCK and place[p, Q_WAITING] >= place[p, Q_DEPTH]:
        lost = node
        if place[p, Q_POLICY] == POLICY_DROP_OLD:
            lost = _take_longest(net, p)
            place[p, Q_WAITING] -= 1
        _drop(plan, st, settings, net, p, lost, now)
        if lost == node:
            return
    _join(place, net.message, p, node, now)
    place[p, Q_WAITING] += 1


@inlined
def _end_scan(plan, st, settings, net, p, node, now):
    """The spikes that a scan found get ready."""
    message, part = net.message, plan.part[net.message[node, M_PART]]
    st.scalar[SCANS] -= 1
    if settings.log_service:
        _log(st, net, TESTED, p, node, message[node, M_SERVICE], now, now)
    net.place[p, Q_SERVED] = -1
    spike = message[node, M_FIRST]
    while spike >= 0:
        following = message[spike, M_NEXT]
        net.place[p, Q_UNSENT] += 1
        _plan_event(st, settings, net, now + part[PART_FIRE], spike, STAGE_JOIN)
        spike = following
    free_message(message, st.scalar, node)


@inlined
def handle(plan, st, settings, net, node, now):
    """What an event does; returns where a message lands, or -1, its word in ``scratch[0]``.

    Places that may go on are left in ``scratch[1]`` and ``scratch[2]``.
    """
    message, place = net.message, net.place
    stage = message[node, M_STAGE]
    p, q, landing = message[node, M_PLACE], np.int64(-1), np.int64(-1)
    if stage == STAGE_JOIN:
        p = place[plan.part[message[node, M_PART], PART_SERVER], Q_PARTNER]
        _join(place, message, p, node, now)
        place[p, Q_WAITING] += 1
    elif stage == STAGE_DONE:
        q = plan.leg[message[node, M_LEG], LEG_TO]
        if _has_room(place, q):
            _leave(plan, st, settings, net, p, q, now)
        else:
            _block(place, message, p, q)
    elif stage == STAGE_ARRIVE:
        p = plan.leg[message[node, M_LEG] - 1, LEG_TO]
        _arrive(plan, st, settings, net, p, node, now)
    elif stage == STAGE_SCANNED:
        _end_scan(plan, st, settings, net, p, node, now)
    else:
        to = plan.destination[message[node, M_MESSAGE] & DESTINATION_MASK]
        if settings.log_service:
            _log(st, net, DELIVERED, p, node, message[node, M_SERVICE], now, now)
        place[p, Q_SERVED] = -1
        st.scalar[IN_FLIGHT] -= 1
        st.counters[to[TARGET], MESSAGES_RECEIVED] += 1
        st.parts[to[TARGET_PART], MESSAGES_RECEIVED] += 1
        st.scratch[0] = message[node, M_WORD]
        landing = message[node, M_MESSAGE] & DESTINATION_MASK
        free_message(message, st.scalar, node)
    st.scratch[1], st.scratch[2] = q, p
    return landing


@inlined
def move_on(plan, st, settings, net, p, now):
    """A place serves its next, if it is free to; returns the place that may go on because of it, or -1."""
    message, place = net.message, net.place
    node = place[p, Q_HEAD]
    if node < 0 or place[p, Q_SERVED] >= 0 or place[p, Q_UNSENT] > place[p, Q_OUTPUT_DEPTH]:
        return np.int64(-1)
    place[p, Q_HEAD] = message[node, M_NEXT]
    if message[node, M_TESTED] > 0:
        _begin_scan(plan, st, net, p, node, now)
        return np.int64(-1)
    place[p, Q_WAITING] -= 1
    _begin(plan, st, settings, net, p, node, now)
    if place[p, Q_KIND] == PLACE_SERIALISER:
        core = place[p, Q_PARTNER]
        place[core, Q_UNSENT] -= 1
        return core
    sender = place[p, Q_BLOCKED]
    if sender < 0 or not _has_room(place, p):
        return np.int64(-1)
    place[p, Q_BLOCKED] = place[sender, Q_BLOCKED_NEXT]
    _leave(plan, st, settings, net, sender, p, now)
    return sender


@inlined
def log_held(st, net, decided):
    """Log what is served or held, or waits, when the run is over."""
    message = net.message
    for p in range(len(net.place)):
        node = net.place[p, Q_SERVED]
        if node >= 0:
            finish = message[node, M_END]
            released = finish if net.place[p, Q_KIND] == PLACE_CORE else max(finish, decided)
            _log(st, net, _log_kind(net, p, node), p, node, message[node, M_SERVICE], finish, released)
        node = net.place[p, Q_HEAD]
        while node >= 0:
            _log(st, net, _log_kind(net, p, node), p, node, decided + 1, decided + 1, decided + 1)
            node = message[node, M_NEXT]
