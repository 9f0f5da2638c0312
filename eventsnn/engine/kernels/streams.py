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
from eventsnn.counting.counters import COLUMN
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
from eventsnn.engine.kernels.order import comes_before
from eventsnn.engine.kernels.records import KIND_EXACT_GATE, KIND_SIGNED, NEVER, RUNNING
from eventsnn.engine.order import DESTINATION_BITS, DESTINATION_MASK, NEURON_BITS
from eventsnn.engine.seeds import PURPOSE_HOP_X, PURPOSE_HOP_Y, PURPOSE_SERIALISE
from eventsnn.engine.service import DELIVERED, PASSED, SERIALISED, TESTED

MESSAGES_RECEIVED = COLUMN["messages_received"]


# -- servers and their streams ----------------------------------------------------------------------------


@inlined
def _is_before(server, a, b):
    """Whether a server is done with what it serves next before another is; the order names neurons, too."""
    one, other = server[a], server[b]
    return comes_before(
        one.at, one.at_order, 0, one.at_message, other.at, other.at_order, 0, other.at_message
    )


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
    one, other = message[a], message[b]
    return comes_before(one.time, one.order, 0, one.key, other.time, other.order, 0, other.key)


@inner
def _first_stream(stream, server, message, s):
    """The stream whose head arrives first at a server, or -1."""
    best = np.int64(-1)
    for q in range(server[s].first_stream, server[s].last_stream):
        head = stream[q].head
        if head >= 0 and (best < 0 or _is_earlier(message, head, stream[best].head)):
            best = q
    return best


@inlined
def _serve(server, message, s, q, node):
    """A server's next message is the head of a stream."""
    server[s].next_stream = q
    server[s].at = max(server[s].busy, message[node].time) + message[node].service
    server[s].at_order = message[node].order
    server[s].at_message = message[node].key


@inner
def _look(stream, server, tree, message, s):
    """Find what a server serves next."""
    node = server[s].accepted_head
    if node >= 0:
        server[s].next_stream = -1
        server[s].at = message[node].end
        server[s].at_order = message[node].order
        server[s].at_message = message[node].key
    else:
        q = _first_stream(stream, server, message, s)
        if q >= 0:
            _serve(server, message, s, q, stream[q].head)
        else:
            server[s].at = NEVER
    _place(server, tree, s)


@inner
def _append(stream, server, tree, message, q, node):
    """A message joins a stream as the last to arrive; where hops take random times it is sorted in."""
    tail = stream[q].tail
    if stream[q].head < 0:
        message[node].next = -1
        stream[q].head = stream[q].tail = node
    elif stream[q].sorts == 0 or _is_earlier(message, tail, node):
        message[node].next = -1
        message[tail].next = node
        stream[q].tail = node
        return
    else:
        before, after = np.int64(-1), stream[q].head
        while _is_earlier(message, after, node):
            before, after = after, message[after].next
        message[node].next = after
        if before >= 0:
            message[before].next = node
            return
        stream[q].head = node
    # The stream has a new head: the server may have a new next.
    s = stream[q].server
    if server[s].accepted_head >= 0:
        return
    if server[s].at != NEVER and server[s].next_stream != q:
        if _is_earlier(message, stream[server[s].next_stream].head, node):
            return
    _serve(server, message, s, q, node)
    _place(server, tree, s)


@inlined
def _remove_head(stream, message, q):
    node = stream[q].head
    stream[q].head = message[node].next
    return node


@inner
def _take(stream, server, tree, message, s):
    """Remove the message that a server is done with."""
    node, q = server[s].accepted_head, server[s].next_stream
    if node >= 0:
        server[s].accepted_head = message[node].next
    else:
        node = _remove_head(stream, message, q)
        server[s].busy = server[s].at
    message[node].end = server[s].at
    _look(stream, server, tree, message, s)
    return node


@inner
def _accept(stream, server, message, s, now, order):
    """Fix when a core serves what arrived before a tick, or at it and before a place in law 2."""
    while True:
        q = _first_stream(stream, server, message, s)
        if q < 0:
            return
        node = stream[q].head
        time = message[node].time
        if time > now or (time == now and message[node].order >= order):
            return
        _remove_head(stream, message, q)
        server[s].busy = max(server[s].busy, time) + message[node].service
        message[node].end = server[s].busy
        message[node].next = -1
        if server[s].accepted_head < 0:
            server[s].accepted_head = node
        else:
            message[server[s].accepted_tail].next = node
        server[s].accepted_tail = node


# -- messages ------------------------------------------------------------------------------------------


@inlined
def _go(plan, settings, net, node, leg, rank, neuron, ordinal, d, left):
    """A message sets out at a tick on a leg of its way."""
    step = plan.leg[leg]
    time = left + step.offset
    if step.last:
        if step.draw_x:
            time += hops_drawn(
                plan, settings, plan.chip.hop_x_table, PURPOSE_HOP_X, rank, neuron, ordinal, d,
                step.draw_x,
            )  # fmt: skip
        if step.draw_y:
            time += hops_drawn(
                plan, settings, plan.chip.hop_y_table, PURPOSE_HOP_Y, rank, neuron, ordinal, d,
                step.draw_y,
            )  # fmt: skip
        service = service_time(plan, settings, rank, neuron, ordinal, d)
    else:
        service = time_drawn(plan, settings, step.table, step.purpose, rank, neuron, ordinal, d, step.hop)
    net.message[node].time = time
    net.message[node].service = service
    net.message[node].leg = leg
    _append(net.stream, net.server, net.tree, net.message, step.to, node)


@inlined
def send_streams(plan, st, settings, net, rank, first, stop, now):
    """Put all copies of a population's spikes of this tick, sorted by neuron, on their way."""
    row = plan.population[rank]
    kind = row.kind
    part = row.part_start
    whole = row.part_stop - part == 1
    scanned = kind == KIND_SIGNED or kind == KIND_EXACT_GATE
    for i in range(first, stop):
        word = st.firing.lists[i]
        neuron = word >> 32
        j = row.offset + neuron
        ordinal = ordinal_of(st, settings, j)
        if not whole:
            part = np.int64(plan.part_of[j])
        own = plan.part[part]
        done = st.parts[part]
        count_spike(done, kind, word)
        ready = st.part[part].ready if scanned else now + own.fire
        core = own.core
        for d in range(row.destination_start, row.destination_stop):
            to = plan.destination[d]
            if to.reaches_all == 0 and plan.fan_out[to.fan_out + neuron].full == 0:
                continue
            node = new_message(net.message, st.scalar)
            if node < 0:
                return
            start = max(ready, net.serialiser[core + 1])
            left = start + time_drawn(
                plan, settings, own.serialise, PURPOSE_SERIALISE, rank, neuron, ordinal, d, 0
            )
            net.serialiser[core + 1] = left
            if settings.log_service:
                log_service(
                    st.service, st.scalar, SERIALISED, core, rank, neuron, ordinal, d, ready, start, left,
                    left,
                )  # fmt: skip
            route = plan.route[own.routes + d]
            book_message(done, route, plan.chip.uses_bus)
            book_message(st.counters[rank], route, plan.chip.uses_bus)
            net.message[node].order = (rank << NEURON_BITS) | neuron
            net.message[node].key = (ordinal << DESTINATION_BITS) | d
            net.message[node].word = word
            _go(plan, settings, net, node, route.leg, rank, neuron, ordinal, d, left)


@inlined
def _log_done(st, net, s, node, kind):
    """Log what a server has done with a message, or will have."""
    message = net.message
    key, end = message[node].key, message[node].end
    log_service(
        st.service, st.scalar, kind, net.server[s].number, message[node].order >> NEURON_BITS,
        message[node].word >> 32, key >> DESTINATION_BITS, key & DESTINATION_MASK, message[node].time,
        end - message[node].service, end, end,
    )  # fmt: skip


@inlined
def pass_link(plan, st, settings, net, s):
    """A link is done with a message, which goes on."""
    node = _take(net.stream, net.server, net.tree, net.message, s)
    if settings.log_service:
        _log_done(st, net, s, node, PASSED)
    rank, key = net.message[node].order >> NEURON_BITS, net.message[node].key
    _go(
        plan, settings, net, node, net.message[node].leg + 1, rank, net.message[node].word >> 32,
        key >> DESTINATION_BITS, key & DESTINATION_MASK, net.message[node].end,
    )  # fmt: skip


@inlined
def pass_links(plan, st, settings, net, before):
    """All that links are done with first and before a tick; returns when what follows is due.

    No message can still be sent that would have been served instead.
    """
    while st.scalar.status == RUNNING:
        s = net.tree[1]
        if net.server[s].at >= before or net.server[s].is_link == 0:
            break
        pass_link(plan, st, settings, net, s)
    return net.server[net.tree[1]].at


@inlined
def next_landing(plan, st, settings, net, rank, now):
    """Where the next message of this rank lands now, or -1; its word is left in ``scratch[0]``."""
    while st.scalar.status == RUNNING:
        s = net.tree[1]
        if net.server[s].at != now or (net.server[s].at_order >> NEURON_BITS) != rank:
            break
        if net.server[s].is_link:
            pass_link(plan, st, settings, net, s)
            continue
        node = _take(net.stream, net.server, net.tree, net.message, s)
        if settings.log_service:
            _log_done(st, net, s, node, DELIVERED)
        d = net.message[node].key & DESTINATION_MASK
        st.scratch[0] = net.message[node].word
        free_message(net.message, st.scalar, node)
        st.counters[plan.destination[d].target, MESSAGES_RECEIVED] += 1
        st.parts[plan.destination[d].target_part, MESSAGES_RECEIVED] += 1
        return d
    return np.int64(-1)


@inlined
def request_scans(plan, st, settings, net, rank, now):
    """A test scans its touched neurons part by part, each scan queued at its core like a message."""
    row = plan.population[rank]
    count_touched(plan, st, rank)
    for part in range(row.part_start, row.part_stop):
        tested, own = st.part[part].tested, plan.part[part]
        if tested == 0:
            continue
        s = own.server
        _accept(net.stream, net.server, net.message, s, now, rank << NEURON_BITS)
        start = max(now, net.server[s].busy)
        finish = start + -(-tested // own.lanes) * own.update
        net.server[s].busy = finish
        st.part[part].ready = finish + own.fire
        if settings.log_service:
            log_service(
                st.service, st.scalar, TESTED, own.core, rank, tested, 0, -1, now, start, finish, finish
            )
        _look(net.stream, net.server, net.tree, net.message, s)


@inlined
def log_rest(st, net, until):
    """Log what has come to servers by a tick and is not done."""
    for s in range(len(net.server)):
        while net.server[s].at != NEVER and st.scalar.status == RUNNING:
            node = _take(net.stream, net.server, net.tree, net.message, s)
            if net.message[node].time > until:
                break
            _log_done(st, net, s, node, PASSED if net.server[s].is_link else DELIVERED)
