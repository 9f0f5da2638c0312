"""Messages on an accelerator whose queues are unbounded: computed ahead, in streams.

What a spike's copy has to wait for at its serialiser is known when it is emitted. Links and cores are
*servers*: each serves the messages of its streams in the order in which they arrive, so ``finish =
max(arrival, busy until) + service``. A stream holds the messages on their way from one server to another,
which arrive in the order in which they were sent: a list with a head and a tail. Of a server only what it
serves next needs a place among pending events, at the tick when that is done (AT); a tournament of the
servers finds the first. What a core serves next may change until it has begun: a message sent later may
arrive earlier. So a threshold scan, which takes its turn at its core, first has the core *accept* what
arrived before it.

Each message is a row of 64 bytes; free rows are listed.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import (
    ACCEPTED_HEAD,
    ACCEPTED_TAIL,
    AT,
    AT_MESSAGE,
    AT_ORDER,
    BUSY,
    DESTINATION_START,
    DESTINATION_STOP,
    FAN_OUT,
    FIRST_STREAM,
    FULL_FAN_OUT,
    HOP_X_TABLE,
    HOP_Y_TABLE,
    KIND,
    KIND_EXACT_GATE,
    KIND_SIGNED,
    LAST_STREAM,
    LEG_DRAW_X,
    LEG_DRAW_Y,
    LEG_HOP,
    LEG_LAST,
    LEG_OFFSET,
    LEG_PURPOSE,
    LEG_TABLE,
    LEG_TO,
    M_END,
    M_LEG,
    M_MESSAGE,
    M_NEXT,
    M_ORDER,
    M_SERVICE,
    M_TIME,
    M_WORD,
    NEVER,
    NEXT_STREAM,
    OFFSET,
    PART_CORE,
    PART_FIRE,
    PART_LANES,
    PART_READY,
    PART_SERIALISE,
    PART_SERVER,
    PART_START,
    PART_STOP,
    PART_TESTED,
    PART_UPDATE,
    PART_WAYS,
    RUNNING,
    SERVER_IS_LINK,
    SERVER_NUMBER,
    STATUS,
    STREAM_HEAD,
    STREAM_SERVER,
    STREAM_SORTS,
    STREAM_TAIL,
    TARGET,
    TARGET_PART,
    USES_BUS,
    WAY_LEG,
)
from eventsnn.engine.kernels.messages import (
    DELIVERED,
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


# -- servers and their streams ----------------------------------------------------------------------------


@inlined
def _is_before(server, a, b):
    if server[a, AT] != server[b, AT]:
        return server[a, AT] < server[b, AT]
    if server[a, AT_ORDER] != server[b, AT_ORDER]:
        return server[a, AT_ORDER] < server[b, AT_ORDER]
    return server[a, AT_MESSAGE] < server[b, AT_MESSAGE]


@inner
def _place(server, tree, s):
    """Play a server's matches on its way up the tournament, its time having changed."""
    i = (s + (len(tree) >> 1)) >> 1
    while i > 0:
        left, right = tree[2 * i], tree[2 * i + 1]
        winner = right if _is_before(server, right, left) else left
        if tree[i] == winner and winner != s:
            return
        tree[i] = winner
        i >>= 1


@inlined
def _is_earlier(message, a, b):
    """Whether a message arrives before another."""
    if message[a, M_TIME] != message[b, M_TIME]:
        return message[a, M_TIME] < message[b, M_TIME]
    if message[a, M_ORDER] != message[b, M_ORDER]:
        return message[a, M_ORDER] < message[b, M_ORDER]
    return message[a, M_MESSAGE] < message[b, M_MESSAGE]


@inner
def _first_stream(stream, server, message, s):
    """The stream whose head arrives first at a server, or -1."""
    best = np.int64(-1)
    for q in range(server[s, FIRST_STREAM], server[s, LAST_STREAM]):
        head = stream[q, STREAM_HEAD]
        if head >= 0 and (best < 0 or _is_earlier(message, head, stream[best, STREAM_HEAD])):
            best = q
    return best


@inlined
def _serve(server, message, s, q, node):
    """A server's next message is the head of a stream."""
    server[s, NEXT_STREAM] = q
    server[s, AT] = max(server[s, BUSY], message[node, M_TIME]) + message[node, M_SERVICE]
    server[s, AT_ORDER] = message[node, M_ORDER]
    server[s, AT_MESSAGE] = message[node, M_MESSAGE]


@inner
def _look(stream, server, tree, message, s):
    """Find what a server serves next."""
    node = server[s, ACCEPTED_HEAD]
    if node >= 0:
        server[s, NEXT_STREAM] = -1
        server[s, AT] = message[node, M_END]
        server[s, AT_ORDER] = message[node, M_ORDER]
        server[s, AT_MESSAGE] = message[node, M_MESSAGE]
    else:
        q = _first_stream(stream, server, message, s)
        if q >= 0:
            _serve(server, message, s, q, stream[q, STREAM_HEAD])
        else:
            server[s, AT] = NEVER
    _place(server, tree, s)


@inner
def _append(stream, server, tree, message, q, node):
    """A message joins a stream as the last to arrive; where hops take random times it is sorted in."""
    tail = stream[q, STREAM_TAIL]
    if stream[q, STREAM_HEAD] < 0:
        message[node, M_NEXT] = -1
        stream[q, STREAM_HEAD] = stream[q, STREAM_TAIL] = node
    elif stream[q, STREAM_SORTS] == 0 or _is_earlier(message, tail, node):
        message[node, M_NEXT] = -1
        message[tail, M_NEXT] = node
        stream[q, STREAM_TAIL] = node
        return
    else:
        before, after = np.int64(-1), stream[q, STREAM_HEAD]
        while _is_earlier(message, after, node):
            before, after = after, message[after, M_NEXT]
        message[node, M_NEXT] = after
        if before >= 0:
            message[before, M_NEXT] = node
            return
        stream[q, STREAM_HEAD] = node
    # The stream has a new head: the server may have a new next.
    s = stream[q, STREAM_SERVER]
    if server[s, ACCEPTED_HEAD] >= 0:
        return
    if server[s, AT] != NEVER and server[s, NEXT_STREAM] != q:
        if _is_earlier(message, stream[server[s, NEXT_STREAM], STREAM_HEAD], node):
            return
    _serve(server, message, s, q, node)
    _place(server, tree, s)


@inlined
def _remove_head(stream, message, q):
    node = stream[q, STREAM_HEAD]
    stream[q, STREAM_HEAD] = message[node, M_NEXT]
    return node


@inner
def _take(stream, server, tree, message, s):
    """Remove the message that a server is done with."""
    node, q = server[s, ACCEPTED_HEAD], server[s, NEXT_STREAM]
    if node >= 0:
        server[s, ACCEPTED_HEAD] = message[node, M_NEXT]
    else:
        node = _remove_head(stream, message, q)
        server[s, BUSY] = server[s, AT]
    message[node, M_END] = server[s, AT]
    _look(stream, server, tree, message, s)
    return node


@inner
def _accept(stream, server, message, s, now, order):
    """Fix when a core serves what arrived before a tick, or at it and before a place in law 2."""
    while True:
        q = _first_stream(stream, server, message, s)
        if q < 0:
            return
        node = stream[q, STREAM_HEAD]
        time = message[node, M_TIME]
        if time > now or (time == now and message[node, M_ORDER] >= order):
            return
        _remove_head(stream, message, q)
        server[s, BUSY] = max(server[s, BUSY], time) + message[node, M_SERVICE]
        message[node, M_END] = server[s, BUSY]
        message[node, M_NEXT] = -1
        if server[s, ACCEPTED_HEAD] < 0:
            server[s, ACCEPTED_HEAD] = node
        else:
            message[server[s, ACCEPTED_TAIL], M_NEXT] = node
        server[s, ACCEPTED_TAIL] = node


# -- messages ------------------------------------------------------------------------------------------


@inlined
def _go(plan, settings, net, node, leg, rank, neuron, ordinal, d, left):
    """A message sets out at a tick on a leg of its way."""
    step = plan.leg[leg]
    time = left + step[LEG_OFFSET]
    if step[LEG_LAST]:
        if step[LEG_DRAW_X]:
            time += hops_drawn(
                plan, settings, plan.chip[HOP_X_TABLE], PURPOSE_HOP_X, rank, neuron, ordinal, d,
                step[LEG_DRAW_X],
            )  # fmt: skip
        if step[LEG_DRAW_Y]:
            time += hops_drawn(
                plan, settings, plan.chip[HOP_Y_TABLE], PURPOSE_HOP_Y, rank, neuron, ordinal, d,
                step[LEG_DRAW_Y],
            )  # fmt: skip
        service = service_time(plan, settings, rank, neuron, ordinal, d)
    else:
        service = time_drawn(
            plan, settings, step[LEG_TABLE], step[LEG_PURPOSE], rank, neuron, ordinal, d, step[LEG_HOP]
        )
    net.message[node, M_TIME] = time
    net.message[node, M_SERVICE] = service
    net.message[node, M_LEG] = leg
    _append(net.stream, net.server, net.tree, net.message, step[LEG_TO], node)


@inlined
def send_streams(plan, st, settings, net, rank, first, stop, now):
    """Put all copies of a population's spikes of this tick, sorted by neuron, on their way."""
    row = plan.population[rank]
    kind = row[KIND]
    part = row[PART_START]
    whole = row[PART_STOP] - part == 1
    scanned = kind == KIND_SIGNED or kind == KIND_EXACT_GATE
    for i in range(first, stop):
        word = st.lists[i]
        neuron = word >> 32
        j = row[OFFSET] + neuron
        ordinal = ordinal_of(st, settings, j)
        if not whole:
            part = np.int64(plan.part_of[j])
        own = plan.part[part]
        done = st.parts[part]
        count_spike(done, kind, word)
        ready = st.part[part, PART_READY] if scanned else now + own[PART_FIRE]
        core = own[PART_CORE]
        for d in range(row[DESTINATION_START], row[DESTINATION_STOP]):
            if plan.fan_out[plan.destination[d, FAN_OUT] + neuron, FULL_FAN_OUT] == 0:
                continue
            node = new_message(net.message, st.scalar)
            if node < 0:
                return
            start = max(ready, net.serialiser[core + 1])
            left = start + time_drawn(
                plan, settings, own[PART_SERIALISE], PURPOSE_SERIALISE, rank, neuron, ordinal, d, 0
            )
            net.serialiser[core + 1] = left
            if settings.log_service:
                log_service(
                    st.service, st.scalar, SERIALISED, core, rank, neuron, ordinal, d, ready, start, left,
                    left,
                )  # fmt: skip
            way = plan.way[own[PART_WAYS] + d]
            book_message(done, way, plan.chip[USES_BUS])
            book_message(st.counters[rank], way, plan.chip[USES_BUS])
            net.message[node, M_ORDER] = (rank << NEURON_BITS) | neuron
            net.message[node, M_MESSAGE] = (ordinal << DESTINATION_BITS) | d
            net.message[node, M_WORD] = word
            _go(plan, settings, net, node, way[WAY_LEG], rank, neuron, ordinal, d, left)


@inlined
def _log_done(st, net, s, node, kind):
    """Log what a server has done with a message, or will have."""
    message = net.message
    key, end = message[node, M_MESSAGE], message[node, M_END]
    log_service(
        st.service, st.scalar, kind, net.server[s, SERVER_NUMBER], message[node, M_ORDER] >> NEURON_BITS,
        message[node, M_WORD] >> 32, key >> DESTINATION_BITS, key & DESTINATION_MASK, message[node, M_TIME],
        end - message[node, M_SERVICE], end, end,
    )  # fmt: skip


@inlined
def pass_link(plan, st, settings, net, s):
    """A link is done with a message, which goes on."""
    node = _take(net.stream, net.server, net.tree, net.message, s)
    if settings.log_service:
        _log_done(st, net, s, node, LINKED)
    rank, key = net.message[node, M_ORDER] >> NEURON_BITS, net.message[node, M_MESSAGE]
    _go(
        plan, settings, net, node, net.message[node, M_LEG] + 1, rank, net.message[node, M_WORD] >> 32,
        key >> DESTINATION_BITS, key & DESTINATION_MASK, net.message[node, M_END],
    )  # fmt: skip


@inlined
def pass_links(plan, st, settings, net, before):
    """All that links are done with first and before a tick; returns when what follows is due.

    No message can still be sent that would have been served instead.
    """
    while st.scalar[STATUS] == RUNNING:
        s = net.tree[1]
        if net.server[s, AT] >= before or net.server[s, SERVER_IS_LINK] == 0:
            break
        pass_link(plan, st, settings, net, s)
    return net.server[net.tree[1], AT]


@inlined
def next_landing(plan, st, settings, net, rank, now):
    """Where the next message of this rank lands now, or -1; its word is left in ``scratch[0]``."""
    while st.scalar[STATUS] == RUNNING:
        s = net.tree[1]
        if net.server[s, AT] != now or (net.server[s, AT_ORDER] >> NEURON_BITS) != rank:
            break
        if net.server[s, SERVER_IS_LINK]:
            pass_link(plan, st, settings, net, s)
            continue
        node = _take(net.stream, net.server, net.tree, net.message, s)
        if settings.log_service:
            _log_done(st, net, s, node, DELIVERED)
        d = net.message[node, M_MESSAGE] & DESTINATION_MASK
        st.scratch[0] = net.message[node, M_WORD]
        free_message(net.message, st.scalar, node)
        st.counters[plan.destination[d, TARGET], MESSAGES_RECEIVED] += 1
        st.parts[plan.destination[d, TARGET_PART], MESSAGES_RECEIVED] += 1
        return d
    return np.int64(-1)


@inlined
def request_scans(plan, st, settings, net, rank, now):
    """A test scans its touched neurons part by part, each scan queued at its core like a message."""
    row = plan.population[rank]
    count_touched(plan, st, rank)
    for part in range(row[PART_START], row[PART_STOP]):
        tested, own = st.part[part, PART_TESTED], plan.part[part]
        if tested == 0:
            continue
        s = own[PART_SERVER]
        _accept(net.stream, net.server, net.message, s, now, rank << NEURON_BITS)
        start = max(now, net.server[s, BUSY])
        finish = start + -(-tested // own[PART_LANES]) * own[PART_UPDATE]
        net.server[s, BUSY] = finish
        st.part[part, PART_READY] = finish + own[PART_FIRE]
        if settings.log_service:
            log_service(
                st.service, st.scalar, TESTED, own[PART_CORE], rank, tested, 0, -1, now, start, finish, finish
            )
        _look(net.stream, net.server, net.tree, net.message, s)


@inlined
def log_rest(st, net, until):
    """Log what has come to servers by a tick and is not done."""
    for s in range(len(net.server)):
        while net.server[s, AT] != NEVER and st.scalar[STATUS] == RUNNING:
            node = _take(net.stream, net.server, net.tree, net.message, s)
            if net.message[node, M_TIME] > until:
                break
            _log_done(st, net, s, node, LINKED if net.server[s, SERVER_IS_LINK] else DELIVERED)
