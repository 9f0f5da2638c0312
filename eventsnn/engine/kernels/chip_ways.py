"""Steps on a chip that is played event by event: links and a bus, bounded queues, random times, a log.

As ``reference.ways``: events go by (time, walks first, the message's rank, neuron, ordinal and destination,
stage on its way). A message holds the server it is at (its sender's walk, or a link) until the next place
has room. Each message stands in one list at most: a server's queue, or those that wait for its room.

What an event entails at its tick stands on an agenda, so that each thing is done at one place of the code:
this is one large function, which takes far less time to compile than one that calls many.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.kernels.messages import hops_drawn, log_service, time_drawn
from eventsnn.engine.kernels.records import (
    ARRIVES,
    ASKS,
    GROW_HEAP,
    IS_OVER,
    RUNNING,
)
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
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS
from eventsnn.engine.seeds import PURPOSE_BUS, PURPOSE_HOP_X, PURPOSE_HOP_Y, PURPOSE_SERIALISE
from eventsnn.engine.service import DELIVERED, PASSED, SERIALISED, TESTED

STAGE_BITS = 12
WALKS_FIRST = -(np.int64(1) << 62)  # places of walks are below those of messages
NONE = -1
MOVE, JOIN, SERVE, GO_ON, PLAN_WALK = range(5)  # what stands on the agenda


# -- the heap ----------------------------------------------------------------------------------------------


@inner
def _before(event, i, j):
    if event[i].time != event[j].time:
        return event[i].time < event[j].time
    if event[i].place != event[j].place:
        return event[i].place < event[j].place
    return event[i].stage < event[j].stage


@inner
def _swap(event, i, j):
    a, b = event[i], event[j]
    a.time, b.time = b.time, a.time
    a.place, b.place = b.place, a.place
    a.stage, b.stage = b.stage, a.stage
    a.what, b.what = b.what, a.what


@inner
def _push(event, scalar, time, place, stage, what):
    i = scalar.events
    scalar.events = i + 1
    event[i].time, event[i].place, event[i].stage, event[i].what = time, place, stage, what
    while i > 0 and _before(event, i, (i - 1) >> 1):
        _swap(event, i, (i - 1) >> 1)
        i = (i - 1) >> 1


@inner
def _pop(event, scalar):
    """Remove the first event, which is left at the place that is returned."""
    last = scalar.events - 1
    scalar.events = last
    _swap(event, 0, last)
    i = np.int64(0)
    while True:
        child = 2 * i + 1
        if child >= last:
            return last
        if child + 1 < last and _before(event, child + 1, child):
            child += 1
        if not _before(event, child, i):
            return last
        _swap(event, i, child)
        i = child


@inner
def _push_message(event, message, part, scalar, m, time, state):
    """Plan what happens to a message next."""
    message[m].state = state
    message[m].stage += 1
    place = (part[message[m].part].rank << NEURON_BITS) | message[m].neuron
    stage = (message[m].ordinal << DESTINATION_BITS) | message[m].to_copy
    _push(event, scalar, time, place, (stage << STAGE_BITS) | message[m].stage, m)


@inner
def _goes_before(message, part, i, j):
    """Whether message i is let in before message j: blocked longer, then law 2."""
    if message[i].since != message[j].since:
        return message[i].since < message[j].since
    rank_i, rank_j = part[message[i].part].rank, part[message[j].part].rank
    if rank_i != rank_j:
        return rank_i < rank_j
    if message[i].neuron != message[j].neuron:
        return message[i].neuron < message[j].neuron
    if message[i].ordinal != message[j].ordinal:
        return message[i].ordinal < message[j].ordinal
    return message[i].to_copy < message[j].to_copy


# -- messages ----------------------------------------------------------------------------------------------


@inner
def _new_message(message, scalar):
    """A free row, or -1."""
    m = scalar.spare
    if m >= 0:
        scalar.spare = message[m].next
        return m
    m = scalar.messages
    if m == len(message):
        return np.int64(NONE)
    scalar.messages = m + 1
    return m


@inner
def _has_room(server, v):
    depth = server[v].depth
    return depth < 0 or server[v].waiting + server[v].coming < depth


@inner
def _wait_for_room(message, part, server, v, m):
    """Put a blocked message among those that wait for a server's room, in the order they are let in."""
    before, after = np.int64(NONE), server[v].blocked
    while after >= 0 and _goes_before(message, part, after, m):
        before, after = after, message[after].next
    message[m].next = after
    if before < 0:
        server[v].blocked = m
    else:
        message[before].next = m


@inlined
def _link_time(walks, settings, rank, p, neuron, ordinal, d, hop):
    """How long a message is on a link; ``hop`` counts the links of its way."""
    chip, hops = walks.chip, walks.hops
    table, purpose = chip.hop_x, PURPOSE_HOP_X
    if chip.on_bus:
        table, purpose = chip.bus, PURPOSE_BUS
    elif hop >= hops[0, p, d]:
        table, purpose = chip.hop_y, PURPOSE_HOP_Y
        hop -= hops[0, p, d]
    return time_drawn(walks, settings, table, purpose, rank, neuron, ordinal, d, hop)


@inlined
def _transit(walks, settings, rank, p, neuron, ordinal, d):
    """What hops take where links do not queue."""
    table_x, table_y, hops = walks.chip.hop_x, walks.chip.hop_y, walks.hops[:, p, d]
    x = hops_drawn(walks, settings, table_x, PURPOSE_HOP_X, rank, neuron, ordinal, d, hops[0])
    return x + hops_drawn(walks, settings, table_y, PURPOSE_HOP_Y, rank, neuron, ordinal, d, hops[1])


@inner
def _plan(agenda, scalar, what, a, b):
    """Put something to be done at this tick on the agenda."""
    n = scalar.planned
    agenda[n, 0], agenda[n, 1], agenda[n, 2] = what, a, b
    scalar.planned = n + 1


@inner
def _hear(copy, heard, live, agenda, scalar, d, slot, tick):
    """A walk or a message that the receiver of a copy has to hear of is over at a tick."""
    heard[d, slot] = max(heard[d, slot], tick)
    if copy[d].late == 0:
        live[copy[d].part].missing -= 1
        _plan(agenda, scalar, PLAN_WALK, copy[d].core, 0)


# -- what is done ------------------------------------------------------------------------------------------


@inlined
def _plan_walk(walks, ways, core):
    """Plan the next walk of a core, once all that it waits for is known."""
    place = walks.unit[core].next_part
    if place < walks.core[core].part_stop:
        p = walks.of_core[place]
        if walks.live[p].missing == 0:
            walks.live[p].missing = NONE
            _push(ways.event, ways.scalar, ready(walks, p), np.int64(WALKS_FIRST) + p, 0, p)


@inlined
def _reach_spike(walks, st, p, i):
    """The walk of a part reaches a spike: the time of the neurons up to it, if it is its neuron's first."""
    row, live = walks.part[p], walks.live[p]
    neuron = walks.words[i] >> 32
    live.next_copy = row.copy_start
    live.ordinal = walks.ordinal[row.offset + neuron]
    walks.ordinal[row.offset + neuron] += 1
    if row.is_input or (i > live.first and walks.words[i - 1] >> 32 == neuron):
        return np.int64(0)
    following = place_in_part(row, neuron) + 1
    time, active = stretch_time(row, st.active, live.position, following)
    live.position = following
    live.active += active
    spikes = i + 1
    while spikes < live.stop and walks.words[spikes] >> 32 == neuron:
        spikes += 1
    return time + row.fire * (spikes - i)


@inlined
def _send(walks, ways, settings, scalar, p, neuron, d, clock):
    """A walk reaches a message at a tick: it is done with it when the message is sent."""
    row, to = walks.part[p], walks.copy[d]
    m = _new_message(ways.message, ways.scalar)
    if m < 0:
        scalar.status = GROW_HEAP
        return
    ordinal = walks.live[p].ordinal
    done = clock + time_drawn(
        walks, settings, row.serialise, PURPOSE_SERIALISE, row.rank, neuron, ordinal, d, 0
    )
    new = ways.message[m]
    new.part, new.to_copy, new.neuron, new.ordinal = p, d, neuron, ordinal
    new.stage, new.hop, new.server, new.next = 0, 0, NONE, NONE
    new.joined, new.start, new.done = clock, clock, done
    if to.late == 0:
        walks.live[to.part].missing += 1
    walks.counters[p, MESSAGES_SENT] += 1
    walks.counters[p, HOPS_X] += walks.hops[0, p, d]
    walks.counters[p, HOPS_Y] += walks.hops[1, p, d]
    walks.counters[p, BUS_TRANSFERS] += walks.chip.on_bus
    _push_message(ways.event, ways.message, walks.part, ways.scalar, m, done, ASKS)


@inlined
def _go_on(walks, ways, st, settings, scalar, p):
    """Let a walk go on now, to its next message or its end."""
    row, live = walks.part[p], walks.live[p]
    clock = ways.scalar.now
    while live.spike < live.stop:
        i = live.spike
        neuron = walks.words[i] >> 32
        if live.next_copy == NONE:
            clock += _reach_spike(walks, st, p, i)
        d = live.next_copy
        while d < row.copy_stop and walks.fan_out[walks.copy[d].fan_out + neuron] == 0:
            d += 1
        live.next_copy = d + 1
        if d < row.copy_stop:
            _send(walks, ways, settings, scalar, p, neuron, d, clock)
            return
        live.spike = i + 1
        live.next_copy = NONE
    if row.is_input == 0:
        time, active = stretch_time(row, st.active, live.position, row.neurons)
        clock += time
        walks.counters[p, NEURON_ACCESSES] += row.neurons
        walks.counters[p, ACTIVE_UPDATES] += live.active + active
        if settings.log_service:
            log_service(
                walks.service, scalar, TESTED, walks.core[row.core].number, row.rank,
                row.neurons, 0, -1, live.begin, live.begin, clock, clock,
            )  # fmt: skip
    live.over = walks.unit[row.core].free = clock
    walks.scalar.end = max(walks.scalar.end, clock)
    slot = walks.scalar.steps_played % walks.heard.shape[1]
    for d in range(row.copy_start, row.copy_stop):
        _hear(walks.copy, walks.heard, walks.live, ways.agenda, ways.scalar, d, slot, clock)
    walks.unit[row.core].next_part += 1
    _plan(ways.agenda, ways.scalar, PLAN_WALK, row.core, 0)


@inlined
def _serve_next(walks, ways, settings, v):
    """Begin the next service of a server if it is idle, and let in who waits for the slot that frees."""
    server = ways.server[v]
    m = server.head
    if m >= 0 and server.busy == 0:
        message = ways.message[m]
        server.head = message.next
        if server.head < 0:
            server.tail = NONE
        server.waiting -= 1
        server.busy = 1
        start = max(ways.scalar.now, server.free)
        p, d, neuron, ordinal = message.part, message.to_copy, message.neuron, message.ordinal
        rank = walks.part[p].rank
        if v >= len(walks.core):
            state = np.int64(ASKS)
            time = _link_time(walks, settings, rank, p, neuron, ordinal, d, message.hop - 1)
        else:
            state = np.int64(IS_OVER)
            to = walks.copy[d]
            synapses = np.int64(walks.fan_out[to.fan_out + neuron])
            time = service_time(walks, settings, rank, neuron, ordinal, d, synapses)
        message.next, message.server, message.start, message.done = NONE, v, start, start + time
        _push_message(ways.event, ways.message, walks.part, ways.scalar, m, start + time, state)
    m = server.blocked
    if m >= 0 and _has_room(ways.server, v):
        server.blocked = ways.message[m].next
        ways.message[m].next = NONE
        _plan(ways.agenda, ways.scalar, MOVE, m, v)


@inlined
def _join(ways, m, v):
    """A message enters a server's queue, or its service if the server is idle."""
    server = ways.server[v]
    ways.message[m].joined = ways.scalar.now
    if server.tail < 0:
        server.head = m
    else:
        ways.message[server.tail].next = m
    server.tail = m
    server.waiting += 1
    _plan(ways.agenda, ways.scalar, SERVE, v, 0)


@inlined
def _move(walks, ways, settings, scalar, m, v):
    """A message moves on to a server that has room for it, and frees the one it was held by."""
    message, now = ways.message[m], ways.scalar.now
    held, p, d = message.server, message.part, message.to_copy
    rank = walks.part[p].rank
    if settings.log_service:
        kind, number = np.int64(SERIALISED), walks.core[walks.part[p].core].number
        if held >= 0:
            kind, number = np.int64(PASSED), ways.server[held].number
        log_service(
            walks.service, scalar, kind, number, rank, message.neuron, message.ordinal,
            d, message.joined, message.start, message.done, now,
        )  # fmt: skip
    message.server = NONE
    if held >= 0:
        ways.server[held].busy, ways.server[held].free = 0, now
        _plan(ways.agenda, ways.scalar, SERVE, held, 0)
    else:
        _plan(ways.agenda, ways.scalar, GO_ON, p, 0)
    if v >= len(walks.core):
        message.hop += 1
        _plan(ways.agenda, ways.scalar, JOIN, m, v)
        return
    ways.server[v].coming += 1
    arrival = now
    if not walks.chip.linked:
        arrival += _transit(walks, settings, rank, p, message.neuron, message.ordinal, d)
    _push_message(ways.event, ways.message, walks.part, ways.scalar, m, arrival, ARRIVES)


@inlined
def _ask(walks, ways, m):
    """A message is done where it is: it goes on if there is room where it goes next."""
    message = ways.message[m]
    p, d, hop = message.part, message.to_copy, message.hop
    v = walks.copy[d].core
    if walks.chip.linked:
        links = walks.hops[0, p, d] + walks.hops[1, p, d]
        if walks.chip.on_bus:
            links = np.int64(1)
        if hop < links:
            v = ways.route[ways.route_start[p, d] + hop]
    if _has_room(ways.server, v):
        _plan(ways.agenda, ways.scalar, MOVE, m, v)
    else:
        message.since = ways.scalar.now
        _wait_for_room(ways.message, walks.part, ways.server, v, m)


@inlined
def _end_service(walks, ways, settings, scalar, m):
    """The receiving unit of its core is done with a message."""
    message, now = ways.message[m], ways.scalar.now
    d, v = message.to_copy, message.server
    to = walks.copy[d]
    if settings.log_service:
        log_service(
            walks.service, scalar, DELIVERED, ways.server[v].number,
            walks.part[message.part].rank, message.neuron, message.ordinal, d, message.joined,
            message.start, now, now,
        )  # fmt: skip
    ways.server[v].busy, ways.server[v].free = 0, now
    walks.counters[to.part, MESSAGES_RECEIVED] += 1
    walks.counters[to.part, SYNAPSES_SERVED] += walks.fan_out[to.fan_out + message.neuron]
    walks.scalar.end = max(walks.scalar.end, now)
    message.next = ways.scalar.spare
    ways.scalar.spare = m
    _plan(ways.agenda, ways.scalar, SERVE, v, 0)
    slot = walks.scalar.steps_played % walks.heard.shape[1]
    _hear(walks.copy, walks.heard, walks.live, ways.agenda, ways.scalar, d, slot, now)


@inlined
def _next_event(walks, ways, settings, scalar):
    """Let the next event happen."""
    at = _pop(ways.event, ways.scalar)
    ways.scalar.now = ways.event[at].time
    what = ways.event[at].what
    if ways.event[at].place < 0:
        walks.live[what].begin = ways.scalar.now
        _plan(ways.agenda, ways.scalar, GO_ON, what, 0)
    elif ways.message[what].state == ASKS:
        _ask(walks, ways, what)
    elif ways.message[what].state == ARRIVES:
        v = walks.copy[ways.message[what].to_copy].core
        ways.server[v].coming -= 1
        _plan(ways.agenda, ways.scalar, JOIN, what, v)
    else:
        _end_service(walks, ways, settings, scalar, what)


@inlined
def play_events(walks, ways, st, settings):
    """One step; its begin is known, its end is left in ``END``."""
    scalar = st.scalar
    for p in range(len(walks.part)):
        live = walks.live[p]
        live.missing = walks.part[p].senders
        live.spike, live.next_copy = live.first, NONE
        live.position, live.active = 0, 0
    for core in range(len(walks.core)):
        walks.unit[core].next_part = walks.core[core].part_start
        _plan(ways.agenda, ways.scalar, PLAN_WALK, core, 0)
    while scalar.status == RUNNING:
        n = ways.scalar.planned - 1
        if n < 0:
            if ways.scalar.events == 0:
                return
            _next_event(walks, ways, settings, scalar)
            continue
        ways.scalar.planned = n
        what, a, b = ways.agenda[n, 0], ways.agenda[n, 1], ways.agenda[n, 2]
        if what == MOVE:
            _move(walks, ways, settings, scalar, a, b)
        elif what == JOIN:
            _join(ways, a, b)
        elif what == SERVE:
            _serve_next(walks, ways, settings, a)
        elif what == GO_ON:
            _go_on(walks, ways, st, settings, scalar, a)
        else:
            _plan_walk(walks, ways, a)
