"""Steps on a chip that is played event by event: links and a bus, bounded queues, random times, a log.

As ``reference.ways``: events go by (time, walks first, the message's rank, neuron, ordinal and destination,
stage on its way). A message holds the server it is at (its sender's walk, or a link) until the next place
has room. Each message stands in one list at most: a server's queue, or those that wait for its room.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import GROW_HEAP, RUNNING, STATUS
from eventsnn.engine.kernels.messages import hops_drawn, time_drawn
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
    log_row,
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


# -- walks -------------------------------------------------------------------------------------------------


@inner
def _plan_walk(walks, ways, core):
    """Plan the next walk of a core, once all that it waits for is known."""
    place = walks.unit[core, UNIT_NEXT]
    if place == walks.core[core, U_PART_STOP]:
        return
    p = walks.of_core[place]
    if walks.live[p, L_MISSING] != 0:
        return
    walks.live[p, L_MISSING] = NONE
    _push(ways.event, ways.scalar, ready(walks, p), np.int64(WALKS_FIRST) + p, 0, p)


@inner
def _hear(walks, ways, d, tick):
    """A walk or a message that the receiver of a copy has to hear of is over at a tick."""
    to, slot = walks.copy[d], walks.scalar[STEPS_PLAYED] % walks.heard.shape[1]
    walks.heard[d, slot] = max(walks.heard[d, slot], tick)
    if to[C_LATE] == 0:
        walks.live[to[C_PART], L_MISSING] -= 1
        _plan_walk(walks, ways, to[C_CORE])


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
def _go_on(walks, ways, settings, status, p, clock):
    """Let a walk go on at a tick, to its next message or its end."""
    row, live = walks.part[p], walks.live[p]
    walked = row[W_IS_INPUT] == 0
    rank = row[W_RANK]
    while live[L_SPIKE] < live[L_STOP]:
        i = live[L_SPIKE]
        neuron = walks.words[i] >> 32
        if live[L_COPY] == NONE:  # the walk reaches this spike
            live[L_COPY] = row[W_COPY_START]
            live[L_ORDINAL] = walks.ordinal[row[W_OFFSET] + neuron]
            walks.ordinal[row[W_OFFSET] + neuron] += 1
            if walked and (i == live[L_FIRST] or walks.words[i - 1] >> 32 != neuron):
                following = place_in_part(row, neuron) + 1
                time, active = stretch_time(row, walks.active, live[L_POSITION], following)
                spikes = i + 1
                while spikes < live[L_STOP] and walks.words[spikes] >> 32 == neuron:
                    spikes += 1
                clock += time + row[W_FIRE] * (spikes - i)
                live[L_POSITION] = following
                live[L_ACTIVE] += active
        while live[L_COPY] < row[W_COPY_STOP]:
            d = live[L_COPY]
            live[L_COPY] = d + 1
            to = walks.copy[d]
            if walks.fan_out[to[C_FAN_OUT] + neuron] == 0:
                continue
            m = _new_message(ways.message, ways.scalar)
            if m < 0:
                status[STATUS] = GROW_HEAP
                return
            time = time_drawn(
                walks.times, walks.spread, row[W_SERIALISE], settings.seed_key, PURPOSE_SERIALISE, rank,
                neuron, live[L_ORDINAL], d, 0,
            )  # fmt: skip
            new = ways.message[m]
            new[M_PART], new[M_COPY], new[M_NEURON], new[M_ORDINAL] = p, d, neuron, live[L_ORDINAL]
            new[M_STAGE], new[M_HOP], new[M_SERVER], new[M_NEXT] = 0, 0, NONE, NONE
            new[M_JOINED], new[M_START], new[M_DONE] = clock, clock, clock + time
            if to[C_LATE] == 0:
                walks.live[to[C_PART], L_MISSING] += 1
            walks.counters[p, MESSAGES_SENT] += 1
            walks.counters[p, HOPS_X] += walks.hops[0, p, d]
            walks.counters[p, HOPS_Y] += walks.hops[1, p, d]
            walks.counters[p, BUS_TRANSFERS] += walks.chip[ON_BUS]
            _push_message(ways.event, ways.message, walks.part, ways.scalar, m, clock + time, ASKS)
            return
        live[L_SPIKE] = i + 1
        live[L_COPY] = NONE
    if walked:
        time, active = stretch_time(row, walks.active, live[L_POSITION], row[W_SIZE])
        clock += time
        walks.counters[p, NEURON_ACCESSES] += row[W_SIZE]
        walks.counters[p, ACTIVE_UPDATES] += live[L_ACTIVE] + active
        if settings.log_service:
            log_row(
                walks.service, walks.scalar, status, WALKED, walks.core[row[W_CORE], U_NUMBER], rank,
                row[W_SIZE], 0, -1, live[L_BEGIN], live[L_BEGIN], clock, clock,
            )  # fmt: skip
    live[L_OVER] = walks.unit[row[W_CORE], UNIT_FREE] = clock
    walks.scalar[END] = max(walks.scalar[END], clock)
    for d in range(row[W_COPY_START], row[W_COPY_STOP]):
        _hear(walks, ways, d, clock)
    walks.unit[row[W_CORE], UNIT_NEXT] += 1
    _plan_walk(walks, ways, row[W_CORE])


# -- the way of a message ------------------------------------------------------------------------------------


@inner
def _has_room(server):
    return server[S_DEPTH] < 0 or server[S_WAITING] + server[S_COMING] < server[S_DEPTH]


@inner
def _next_server(walks, ways, m):
    """The link a message goes to next, or the receiving unit of its core."""
    p, d, hop = ways.message[m, M_PART], ways.message[m, M_COPY], ways.message[m, M_HOP]
    if walks.chip[LINKED]:
        links = walks.hops[0, p, d] + walks.hops[1, p, d]
        if walks.chip[ON_BUS]:
            links = np.int64(1)
        if hop < links:
            return ways.route[ways.route_start[p, d] + hop]
    return walks.copy[d, C_CORE]


@inner
def _link_time(walks, ways, settings, m):
    message = ways.message[m]
    p, d, hop = message[M_PART], message[M_COPY], message[M_HOP] - 1
    table, purpose = walks.chip[HOP_X], PURPOSE_HOP_X
    if walks.chip[ON_BUS]:
        table, purpose = walks.chip[BUS], PURPOSE_BUS
    elif hop >= walks.hops[0, p, d]:
        table, purpose = walks.chip[HOP_Y], PURPOSE_HOP_Y
        hop -= walks.hops[0, p, d]
    return time_drawn(
        walks.times, walks.spread, table, settings.seed_key, purpose, walks.part[p, W_RANK],
        message[M_NEURON], message[M_ORDINAL], d, hop,
    )  # fmt: skip


@inner
def _transit(walks, settings, message):
    """What hops take where links do not queue."""
    if walks.chip[LINKED]:
        return np.int64(0)
    p, d = message[M_PART], message[M_COPY]
    rank, neuron, ordinal = walks.part[p, W_RANK], message[M_NEURON], message[M_ORDINAL]
    return hops_drawn(
        walks.times, walks.spread, walks.chip[HOP_X], settings.seed_key, PURPOSE_HOP_X, rank, neuron, ordinal,
        d, walks.hops[0, p, d],
    ) + hops_drawn(
        walks.times, walks.spread, walks.chip[HOP_Y], settings.seed_key, PURPOSE_HOP_Y, rank, neuron, ordinal,
        d, walks.hops[1, p, d],
    )  # fmt: skip


@inner
def _serve_next(walks, ways, settings, v):
    """Begin the next service of a server, if it is idle."""
    server = ways.server[v]
    m = server[S_HEAD]
    if m < 0 or server[S_BUSY]:
        return
    message = ways.message[m]
    server[S_HEAD] = message[M_NEXT]
    if server[S_HEAD] < 0:
        server[S_TAIL] = NONE
    server[S_WAITING] -= 1
    server[S_BUSY] = 1
    message[M_NEXT], message[M_SERVER] = NONE, v
    start = max(ways.scalar[NOW], server[S_FREE])
    message[M_START] = start
    if v >= len(walks.core):
        done, state = start + _link_time(walks, ways, settings, m), ASKS
    else:
        p, d = message[M_PART], message[M_COPY]
        synapses = np.int64(walks.fan_out[walks.copy[d, C_FAN_OUT] + message[M_NEURON]])
        done, state = start + service_time(
            walks.copy[d], walks.times, walks.spread, settings.seed_key, walks.part[p, W_RANK],
            message[M_NEURON], message[M_ORDINAL], d, synapses,
        ), IS_OVER  # fmt: skip
    message[M_DONE] = done
    _push_message(ways.event, ways.message, walks.part, ways.scalar, m, done, state)


@inner
def _join(walks, ways, settings, m, v):
    """A message enters a server's queue, or its service if the server is idle."""
    server = ways.server[v]
    ways.message[m, M_JOINED] = ways.scalar[NOW]
    if server[S_TAIL] < 0:
        server[S_HEAD] = m
    else:
        ways.message[server[S_TAIL], M_NEXT] = m
    server[S_TAIL] = m
    server[S_WAITING] += 1
    _serve_next(walks, ways, settings, v)


@inner
def _wait_for_room(message, part, server, m):
    """Put a blocked message among those that wait for a server's room, in the order they are let in."""
    before, after = np.int64(NONE), server[S_BLOCKED]
    while after >= 0 and _goes_before(message, part, after, m):
        before, after = after, message[after, M_NEXT]
    message[m, M_NEXT] = after
    if before < 0:
        server[S_BLOCKED] = m
    else:
        message[before, M_NEXT] = m


@inner
def _leave(walks, ways, settings, status, m, v):
    """A message moves on to a server that has room for it.

    Returns the link that is free of it, or -1 if it was with its sender, whose walk goes on.
    """
    message, now = ways.message[m], ways.scalar[NOW]
    held = message[M_SERVER]
    rank, p = walks.part[message[M_PART], W_RANK], message[M_PART]
    if settings.log_service:
        kind, number = SENT, walks.core[walks.part[p, W_CORE], U_NUMBER]
        if held >= 0:
            kind, number = PASSED, ways.server[held, S_NUMBER]
        log_row(
            walks.service, walks.scalar, status, kind, number, rank, message[M_NEURON], message[M_ORDINAL],
            message[M_COPY], message[M_JOINED], message[M_START], message[M_DONE], now,
        )  # fmt: skip
    message[M_SERVER] = NONE
    if v >= len(walks.core):
        message[M_HOP] += 1
        _join(walks, ways, settings, m, v)
    else:
        ways.server[v, S_COMING] += 1
        arrival = now + _transit(walks, settings, message)
        _push_message(ways.event, ways.message, walks.part, ways.scalar, m, arrival, ARRIVES)
    if held >= 0:
        ways.server[held, S_BUSY] = 0
        ways.server[held, S_FREE] = now
        _serve_next(walks, ways, settings, held)
    else:
        _go_on(walks, ways, settings, status, p, now)
    return held


@inner
def _let_in(walks, ways, settings, status, v):
    """Let in who waits for a server's room; what that frees upstream lets in others."""
    while v >= 0 and status[STATUS] == RUNNING:
        m = ways.server[v, S_BLOCKED]
        if m < 0 or not _has_room(ways.server[v]):
            return
        ways.server[v, S_BLOCKED] = ways.message[m, M_NEXT]
        ways.message[m, M_NEXT] = NONE
        v = _leave(walks, ways, settings, status, m, v)


@inner
def _happen(walks, ways, settings, status, m):
    """The next event of a message."""
    message, now = ways.message[m], ways.scalar[NOW]
    if message[M_STATE] == ASKS:
        v = _next_server(walks, ways, m)
        if not _has_room(ways.server[v]):
            message[M_SINCE] = now
            _wait_for_room(ways.message, walks.part, ways.server[v], m)
            return
        held = _leave(walks, ways, settings, status, m, v)
        if held >= 0:
            _let_in(walks, ways, settings, status, held)
        return
    d = message[M_COPY]
    to = walks.copy[d]
    v = to[C_CORE]
    if message[M_STATE] == ARRIVES:
        ways.server[v, S_COMING] -= 1
        _join(walks, ways, settings, m, v)
        _let_in(walks, ways, settings, status, v)
        return
    if settings.log_service:
        log_row(
            walks.service, walks.scalar, status, SERVED, ways.server[v, S_NUMBER],
            walks.part[message[M_PART], W_RANK], message[M_NEURON], message[M_ORDINAL], d, message[M_JOINED],
            message[M_START], now, now,
        )  # fmt: skip
    ways.server[v, S_BUSY] = 0
    ways.server[v, S_FREE] = now
    walks.counters[to[C_PART], MESSAGES_RECEIVED] += 1
    walks.counters[to[C_PART], SYNAPSES_SERVED] += walks.fan_out[to[C_FAN_OUT] + message[M_NEURON]]
    walks.scalar[END] = max(walks.scalar[END], now)
    message[M_NEXT] = ways.scalar[SPARE]
    ways.scalar[SPARE] = m
    _serve_next(walks, ways, settings, v)
    _let_in(walks, ways, settings, status, v)
    _hear(walks, ways, d, now)


@inlined
def play_events(walks, ways, settings, status):
    """One step; its begin is known, its end is left in ``END``."""
    for p in range(len(walks.part)):
        live = walks.live[p]
        live[L_MISSING] = walks.part[p, W_SENDERS]
        live[L_SPIKE], live[L_COPY] = live[L_FIRST], NONE
        live[L_POSITION], live[L_ACTIVE] = 0, 0
    for core in range(len(walks.core)):
        walks.unit[core, UNIT_NEXT] = walks.core[core, U_PART_START]
    for core in range(len(walks.core)):
        _plan_walk(walks, ways, core)
    while ways.scalar[EVENTS] > 0 and status[STATUS] == RUNNING:
        at = _pop(ways.event, ways.scalar)
        ways.scalar[NOW] = ways.event[at, E_TIME]
        what = ways.event[at, E_WHAT]
        if ways.event[at, E_PLACE] < 0:
            walks.live[what, L_BEGIN] = ways.scalar[NOW]
            _go_on(walks, ways, settings, status, what, ways.scalar[NOW])
        else:
            _happen(walks, ways, settings, status, what)
