"""Steps on a chip that is played event by event: links and a bus, bounded queues, random times, a log.

As ``reference.ways``: events go by (time, walks first, the message's rank, neuron, ordinal and destination,
stage on its way). A message holds the server it is at (its sender's walk, or a link) until the next place
has room. Each message stands in one list at most: a server's queue, or those that wait for its room.

What an event entails at its tick stands on an agenda, so that each thing is done at one place of the code:
this is one large function, which takes far less time to compile than one that calls many.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import GROW_HEAP, RUNNING, STATUS
from eventsnn.engine.kernels.messages import hops_drawn, log_service, time_drawn
from eventsnn.engine.kernels.walks import (
    ACTIVE_UPDATES,
    BUS_TRANSFERS,
    HOPS_X,
    HOPS_Y,
    MESSAGES_RECEIVED,
    MESSAGES_SENT,
    NEURON_ACCESSES,
    PASSED,
    SENT,
    SERVED,
    SYNAPSES_SERVED,
    WALKED,
    place_in_part,
    ready,
    service_time,
    stretch_time,
)
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS
from eventsnn.engine.seeds import PURPOSE_BUS, PURPOSE_HOP_X, PURPOSE_HOP_Y, PURPOSE_SERIALISE
from eventsnn.engine.walk_columns import (
    ARRIVES,
    ASKS,
    BUS,
    C_CORE,
    C_FAN_OUT,
    C_LATE,
    C_PART,
    E_COLUMNS,
    E_PLACE,
    E_STAGE,
    E_TIME,
    E_WHAT,
    END,
    EVENTS,
    HOP_X,
    HOP_Y,
    IS_OVER,
    L_ACTIVE,
    L_BEGIN,
    L_COPY,
    L_FIRST,
    L_MISSING,
    L_ORDINAL,
    L_OVER,
    L_POSITION,
    L_SPIKE,
    L_STOP,
    LINKED,
    M_COPY,
    M_DONE,
    M_HOP,
    M_JOINED,
    M_NEURON,
    M_NEXT,
    M_ORDINAL,
    M_PART,
    M_SERVER,
    M_SINCE,
    M_STAGE,
    M_START,
    M_STATE,
    MESSAGES,
    NOW,
    ON_BUS,
    PLANNED,
    S_BLOCKED,
    S_BUSY,
    S_COMING,
    S_DEPTH,
    S_FREE,
    S_HEAD,
    S_NUMBER,
    S_TAIL,
    S_WAITING,
    SPARE,
    STEPS_PLAYED,
    U_NUMBER,
    U_PART_START,
    U_PART_STOP,
    UNIT_FREE,
    UNIT_NEXT,
    W_COPY_START,
    W_COPY_STOP,
    W_CORE,
    W_FIRE,
    W_IS_INPUT,
    W_OFFSET,
    W_RANK,
    W_SENDERS,
    W_SERIALISE,
    W_SIZE,
)

STAGE_BITS = 12
WALKS_FIRST = -(np.int64(1) << 62)  # places of walks are below those of messages
NONE = -1
MOVE, JOIN, SERVE, GO_ON, PLAN_WALK = range(5)  # what stands on the agenda


# -- the heap ----------------------------------------------------------------------------------------------


@inner
def _before(event, i, j):
    for column in (E_TIME, E_PLACE):
        if event[i, column] != event[j, column]:
            return event[i, column] < event[j, column]
    return event[i, E_STAGE] < event[j, E_STAGE]


@inner
def _swap(event, i, j):
    for column in range(E_COLUMNS):
        event[i, column], event[j, column] = event[j, column], event[i, column]


@inner
def _push(event, scalar, time, place, stage, what):
    i = scalar[EVENTS]
    scalar[EVENTS] = i + 1
    event[i, E_TIME], event[i, E_PLACE], event[i, E_STAGE], event[i, E_WHAT] = time, place, stage, what
    while i > 0 and _before(event, i, (i - 1) >> 1):
        _swap(event, i, (i - 1) >> 1)
        i = (i - 1) >> 1


@inner
def _pop(event, scalar):
    """Remove the first event, which is left at the place that is returned."""
    last = scalar[EVENTS] - 1
    scalar[EVENTS] = last
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
    message[m, M_STATE] = state
    message[m, M_STAGE] += 1
    place = (part[message[m, M_PART], W_RANK] << NEURON_BITS) | message[m, M_NEURON]
    stage = (message[m, M_ORDINAL] << DESTINATION_BITS) | message[m, M_COPY]
    _push(event, scalar, time, place, (stage << STAGE_BITS) | message[m, M_STAGE], m)


@inner
def _goes_before(message, part, i, j):
    """Whether message i is let in before message j: blocked longer, then law 2."""
    if message[i, M_SINCE] != message[j, M_SINCE]:
        return message[i, M_SINCE] < message[j, M_SINCE]
    rank_i, rank_j = part[message[i, M_PART], W_RANK], part[message[j, M_PART], W_RANK]
    if rank_i != rank_j:
        return rank_i < rank_j
    for column in (M_NEURON, M_ORDINAL):
        if message[i, column] != message[j, column]:
            return message[i, column] < message[j, column]
    return message[i, M_COPY] < message[j, M_COPY]


# -- messages ----------------------------------------------------------------------------------------------


@inner
def _new_message(message, scalar):
    """A free row, or -1."""
    m = scalar[SPARE]
    if m >= 0:
        scalar[SPARE] = message[m, M_NEXT]
        return m
    m = scalar[MESSAGES]
    if m == len(message):
        return np.int64(NONE)
    scalar[MESSAGES] = m + 1
    return m


@inner
def _has_room(server, v):
    depth = server[v, S_DEPTH]
    return depth < 0 or server[v, S_WAITING] + server[v, S_COMING] < depth


@inner
def _wait_for_room(message, part, server, v, m):
    """Put a blocked message among those that wait for a server's room, in the order they are let in."""
    before, after = np.int64(NONE), server[v, S_BLOCKED]
    while after >= 0 and _goes_before(message, part, after, m):
        before, after = after, message[after, M_NEXT]
    message[m, M_NEXT] = after
    if before < 0:
        server[v, S_BLOCKED] = m
    else:
        message[before, M_NEXT] = m


@inlined
def _link_time(walks, settings, rank, p, neuron, ordinal, d, hop):
    """How long a message is on a link; ``hop`` counts the links of its way."""
    chip, hops = walks.chip, walks.hops
    table, purpose = chip[HOP_X], PURPOSE_HOP_X
    if chip[ON_BUS]:
        table, purpose = chip[BUS], PURPOSE_BUS
    elif hop >= hops[0, p, d]:
        table, purpose = chip[HOP_Y], PURPOSE_HOP_Y
        hop -= hops[0, p, d]
    return time_drawn(walks, settings, table, purpose, rank, neuron, ordinal, d, hop)


@inlined
def _transit(walks, settings, rank, p, neuron, ordinal, d):
    """What hops take where links do not queue."""
    table_x, table_y, hops = walks.chip[HOP_X], walks.chip[HOP_Y], walks.hops[:, p, d]
    x = hops_drawn(walks, settings, table_x, PURPOSE_HOP_X, rank, neuron, ordinal, d, hops[0])
    return x + hops_drawn(walks, settings, table_y, PURPOSE_HOP_Y, rank, neuron, ordinal, d, hops[1])


@inner
def _plan(agenda, scalar, what, a, b):
    """Put something to be done at this tick on the agenda."""
    n = scalar[PLANNED]
    agenda[n, 0], agenda[n, 1], agenda[n, 2] = what, a, b
    scalar[PLANNED] = n + 1


@inner
def _hear(copy, heard, live, agenda, scalar, d, slot, tick):
    """A walk or a message that the receiver of a copy has to hear of is over at a tick."""
    heard[d, slot] = max(heard[d, slot], tick)
    if copy[d, C_LATE] == 0:
        live[copy[d, C_PART], L_MISSING] -= 1
        _plan(agenda, scalar, PLAN_WALK, copy[d, C_CORE], 0)


# -- what is done ------------------------------------------------------------------------------------------


@inlined
def _plan_walk(walks, ways, core):
    """Plan the next walk of a core, once all that it waits for is known."""
    place = walks.unit[core, UNIT_NEXT]
    if place < walks.core[core, U_PART_STOP]:
        p = walks.of_core[place]
        if walks.live[p, L_MISSING] == 0:
            walks.live[p, L_MISSING] = NONE
            _push(ways.event, ways.scalar, ready(walks, p), np.int64(WALKS_FIRST) + p, 0, p)


@inlined
def _reach_spike(walks, st, p, i):
    """The walk of a part reaches a spike: the time of the neurons up to it, if it is its neuron's first."""
    row, live = walks.part[p], walks.live[p]
    neuron = walks.words[i] >> 32
    live[L_COPY] = row[W_COPY_START]
    live[L_ORDINAL] = walks.ordinal[row[W_OFFSET] + neuron]
    walks.ordinal[row[W_OFFSET] + neuron] += 1
    if row[W_IS_INPUT] or (i > live[L_FIRST] and walks.words[i - 1] >> 32 == neuron):
        return np.int64(0)
    following = place_in_part(row, neuron) + 1
    time, active = stretch_time(row, st.active, live[L_POSITION], following)
    live[L_POSITION] = following
    live[L_ACTIVE] += active
    spikes = i + 1
    while spikes < live[L_STOP] and walks.words[spikes] >> 32 == neuron:
        spikes += 1
    return time + row[W_FIRE] * (spikes - i)


@inlined
def _send(walks, ways, settings, status, p, neuron, d, clock):
    """A walk reaches a message at a tick: it is done with it when the message is sent."""
    row, to = walks.part[p], walks.copy[d]
    m = _new_message(ways.message, ways.scalar)
    if m < 0:
        status[STATUS] = GROW_HEAP
        return
    ordinal = walks.live[p, L_ORDINAL]
    done = clock + time_drawn(
        walks, settings, row[W_SERIALISE], PURPOSE_SERIALISE, row[W_RANK], neuron, ordinal, d, 0
    )
    new = ways.message[m]
    new[M_PART], new[M_COPY], new[M_NEURON], new[M_ORDINAL] = p, d, neuron, ordinal
    new[M_STAGE], new[M_HOP], new[M_SERVER], new[M_NEXT] = 0, 0, NONE, NONE
    new[M_JOINED], new[M_START], new[M_DONE] = clock, clock, done
    if to[C_LATE] == 0:
        walks.live[to[C_PART], L_MISSING] += 1
    walks.counters[p, MESSAGES_SENT] += 1
    walks.counters[p, HOPS_X] += walks.hops[0, p, d]
    walks.counters[p, HOPS_Y] += walks.hops[1, p, d]
    walks.counters[p, BUS_TRANSFERS] += walks.chip[ON_BUS]
    _push_message(ways.event, ways.message, walks.part, ways.scalar, m, done, ASKS)


@inlined
def _go_on(walks, ways, st, settings, status, p):
    """Let a walk go on now, to its next message or its end."""
    row, live = walks.part[p], walks.live[p]
    clock = ways.scalar[NOW]
    while live[L_SPIKE] < live[L_STOP]:
        i = live[L_SPIKE]
        neuron = walks.words[i] >> 32
        if live[L_COPY] == NONE:
            clock += _reach_spike(walks, st, p, i)
        d = live[L_COPY]
        while d < row[W_COPY_STOP] and walks.fan_out[walks.copy[d, C_FAN_OUT] + neuron] == 0:
            d += 1
        live[L_COPY] = d + 1
        if d < row[W_COPY_STOP]:
            _send(walks, ways, settings, status, p, neuron, d, clock)
            return
        live[L_SPIKE] = i + 1
        live[L_COPY] = NONE
    if row[W_IS_INPUT] == 0:
        time, active = stretch_time(row, st.active, live[L_POSITION], row[W_SIZE])
        clock += time
        walks.counters[p, NEURON_ACCESSES] += row[W_SIZE]
        walks.counters[p, ACTIVE_UPDATES] += live[L_ACTIVE] + active
        if settings.log_service:
            log_service(
                walks.service, status, WALKED, walks.core[row[W_CORE], U_NUMBER], row[W_RANK],
                row[W_SIZE], 0, -1, live[L_BEGIN], live[L_BEGIN], clock, clock,
            )  # fmt: skip
    live[L_OVER] = walks.unit[row[W_CORE], UNIT_FREE] = clock
    walks.scalar[END] = max(walks.scalar[END], clock)
    slot = walks.scalar[STEPS_PLAYED] % walks.heard.shape[1]
    for d in range(row[W_COPY_START], row[W_COPY_STOP]):
        _hear(walks.copy, walks.heard, walks.live, ways.agenda, ways.scalar, d, slot, clock)
    walks.unit[row[W_CORE], UNIT_NEXT] += 1
    _plan(ways.agenda, ways.scalar, PLAN_WALK, row[W_CORE], 0)


@inlined
def _serve_next(walks, ways, settings, v):
    """Begin the next service of a server if it is idle, and let in who waits for the slot that frees."""
    server = ways.server[v]
    m = server[S_HEAD]
    if m >= 0 and server[S_BUSY] == 0:
        message = ways.message[m]
        server[S_HEAD] = message[M_NEXT]
        if server[S_HEAD] < 0:
            server[S_TAIL] = NONE
        server[S_WAITING] -= 1
        server[S_BUSY] = 1
        start = max(ways.scalar[NOW], server[S_FREE])
        p, d, neuron, ordinal = message[M_PART], message[M_COPY], message[M_NEURON], message[M_ORDINAL]
        rank = walks.part[p, W_RANK]
        if v >= len(walks.core):
            state = np.int64(ASKS)
            time = _link_time(walks, settings, rank, p, neuron, ordinal, d, message[M_HOP] - 1)
        else:
            state = np.int64(IS_OVER)
            to = walks.copy[d]
            synapses = np.int64(walks.fan_out[to[C_FAN_OUT] + neuron])
            time = service_time(walks, settings, rank, neuron, ordinal, d, synapses)
        message[M_NEXT], message[M_SERVER], message[M_START], message[M_DONE] = NONE, v, start, start + time
        _push_message(ways.event, ways.message, walks.part, ways.scalar, m, start + time, state)
    m = server[S_BLOCKED]
    if m >= 0 and _has_room(ways.server, v):
        server[S_BLOCKED] = ways.message[m, M_NEXT]
        ways.message[m, M_NEXT] = NONE
        _plan(ways.agenda, ways.scalar, MOVE, m, v)


@inlined
def _join(ways, m, v):
    """A message enters a server's queue, or its service if the server is idle."""
    server = ways.server[v]
    ways.message[m, M_JOINED] = ways.scalar[NOW]
    if server[S_TAIL] < 0:
        server[S_HEAD] = m
    else:
        ways.message[server[S_TAIL], M_NEXT] = m
    server[S_TAIL] = m
    server[S_WAITING] += 1
    _plan(ways.agenda, ways.scalar, SERVE, v, 0)


@inlined
def _move(walks, ways, settings, status, m, v):
    """A message moves on to a server that has room for it, and frees the one it was held by."""
    message, now = ways.message[m], ways.scalar[NOW]
    held, p, d = message[M_SERVER], message[M_PART], message[M_COPY]
    rank = walks.part[p, W_RANK]
    if settings.log_service:
        kind, number = np.int64(SENT), walks.core[walks.part[p, W_CORE], U_NUMBER]
        if held >= 0:
            kind, number = np.int64(PASSED), ways.server[held, S_NUMBER]
        log_service(
            walks.service, status, kind, number, rank, message[M_NEURON], message[M_ORDINAL],
            d, message[M_JOINED], message[M_START], message[M_DONE], now,
        )  # fmt: skip
    message[M_SERVER] = NONE
    if held >= 0:
        ways.server[held, S_BUSY], ways.server[held, S_FREE] = 0, now
        _plan(ways.agenda, ways.scalar, SERVE, held, 0)
    else:
        _plan(ways.agenda, ways.scalar, GO_ON, p, 0)
    if v >= len(walks.core):
        message[M_HOP] += 1
        _plan(ways.agenda, ways.scalar, JOIN, m, v)
        return
    ways.server[v, S_COMING] += 1
    arrival = now
    if not walks.chip[LINKED]:
        arrival += _transit(walks, settings, rank, p, message[M_NEURON], message[M_ORDINAL], d)
    _push_message(ways.event, ways.message, walks.part, ways.scalar, m, arrival, ARRIVES)


@inlined
def _ask(walks, ways, m):
    """A message is done where it is: it goes on if there is room where it goes next."""
    message = ways.message[m]
    p, d, hop = message[M_PART], message[M_COPY], message[M_HOP]
    v = walks.copy[d, C_CORE]
    if walks.chip[LINKED]:
        links = walks.hops[0, p, d] + walks.hops[1, p, d]
        if walks.chip[ON_BUS]:
            links = np.int64(1)
        if hop < links:
            v = ways.route[ways.route_start[p, d] + hop]
    if _has_room(ways.server, v):
        _plan(ways.agenda, ways.scalar, MOVE, m, v)
    else:
        message[M_SINCE] = ways.scalar[NOW]
        _wait_for_room(ways.message, walks.part, ways.server, v, m)


@inlined
def _end_service(walks, ways, settings, status, m):
    """The receiving unit of its core is done with a message."""
    message, now = ways.message[m], ways.scalar[NOW]
    d, v = message[M_COPY], message[M_SERVER]
    to = walks.copy[d]
    if settings.log_service:
        log_service(
            walks.service, status, SERVED, ways.server[v, S_NUMBER],
            walks.part[message[M_PART], W_RANK], message[M_NEURON], message[M_ORDINAL], d, message[M_JOINED],
            message[M_START], now, now,
        )  # fmt: skip
    ways.server[v, S_BUSY], ways.server[v, S_FREE] = 0, now
    walks.counters[to[C_PART], MESSAGES_RECEIVED] += 1
    walks.counters[to[C_PART], SYNAPSES_SERVED] += walks.fan_out[to[C_FAN_OUT] + message[M_NEURON]]
    walks.scalar[END] = max(walks.scalar[END], now)
    message[M_NEXT] = ways.scalar[SPARE]
    ways.scalar[SPARE] = m
    _plan(ways.agenda, ways.scalar, SERVE, v, 0)
    slot = walks.scalar[STEPS_PLAYED] % walks.heard.shape[1]
    _hear(walks.copy, walks.heard, walks.live, ways.agenda, ways.scalar, d, slot, now)


@inlined
def _next_event(walks, ways, settings, status):
    """Let the next event happen."""
    at = _pop(ways.event, ways.scalar)
    ways.scalar[NOW] = ways.event[at, E_TIME]
    what = ways.event[at, E_WHAT]
    if ways.event[at, E_PLACE] < 0:
        walks.live[what, L_BEGIN] = ways.scalar[NOW]
        _plan(ways.agenda, ways.scalar, GO_ON, what, 0)
    elif ways.message[what, M_STATE] == ASKS:
        _ask(walks, ways, what)
    elif ways.message[what, M_STATE] == ARRIVES:
        v = walks.copy[ways.message[what, M_COPY], C_CORE]
        ways.server[v, S_COMING] -= 1
        _plan(ways.agenda, ways.scalar, JOIN, what, v)
    else:
        _end_service(walks, ways, settings, status, what)


@inlined
def play_events(walks, ways, st, settings):
    """One step; its begin is known, its end is left in ``END``."""
    status = st.scalar
    for p in range(len(walks.part)):
        live = walks.live[p]
        live[L_MISSING] = walks.part[p, W_SENDERS]
        live[L_SPIKE], live[L_COPY] = live[L_FIRST], NONE
        live[L_POSITION], live[L_ACTIVE] = 0, 0
    for core in range(len(walks.core)):
        walks.unit[core, UNIT_NEXT] = walks.core[core, U_PART_START]
        _plan(ways.agenda, ways.scalar, PLAN_WALK, core, 0)
    while status[STATUS] == RUNNING:
        n = ways.scalar[PLANNED] - 1
        if n < 0:
            if ways.scalar[EVENTS] == 0:
                return
            _next_event(walks, ways, settings, status)
            continue
        ways.scalar[PLANNED] = n
        what, a, b = ways.agenda[n, 0], ways.agenda[n, 1], ways.agenda[n, 2]
        if what == MOVE:
            _move(walks, ways, settings, status, a, b)
        elif what == JOIN:
            _join(ways, a, b)
        elif what == SERVE:
            _serve_next(walks, ways, settings, a)
        elif what == GO_ON:
            _go_on(walks, ways, st, settings, status, a)
        else:
            _plan_walk(walks, ways, a)
