"""Places that serve messages one at a time: what waits there, who is held by it, and what comes next.

A message is a row of ``QUEUED_MESSAGE``, and so is a scan that takes its turn among messages.
"""

import numpy as np

from eventsnn.compilation import inlined
from eventsnn.engine.kernels.draws import seeded_order
from eventsnn.engine.kernels.heap import pop, push
from eventsnn.engine.kernels.messages import log_service
from eventsnn.engine.kernels.order import comes_before
from eventsnn.engine.kernels.records import GROW_MESSAGES, PLACE_LINK, PLACE_SERIALISER, POLICY_BLOCK
from eventsnn.engine.order import DESTINATION_BITS, DESTINATION_MASK, NEURON_BITS
from eventsnn.engine.service import DELIVERED, PASSED, SERIALISED, TESTED

CLASS_1 = 1 << NEURON_BITS
RANK_SHIFT = NEURON_BITS + 1


# -- events ----------------------------------------------------------------------------------------------


@inlined
def queue_event(st, net, time, node, stage):
    """Queue what comes next for a message, or for a scan."""
    count = st.scalar.events
    if count == len(net.event):
        st.scalar.status = GROW_MESSAGES
        return
    st.scalar.events = count + 1
    message = net.message[node]
    message.stage = stage
    push(net.event, count, time, message.order, message.key, message.word, node)


@inlined
def next_event(st, net):
    """Remove the first event; returns its message or scan."""
    pop(net.event, st.scalar.events)
    st.scalar.events -= 1
    return net.event[st.scalar.events].message


@inlined
def plan_event(st, settings, net, time, node, stage):
    """Queue what comes next for a message; seeded ties give it another place at every tick."""
    if settings.seeded:
        rank, neuron = net.message[node].order >> RANK_SHIFT, net.message[node].word >> 32
        order = seeded_order(settings.seed_key, time, rank, neuron)
        net.message[node].order = (rank << RANK_SHIFT) | CLASS_1 | order
    queue_event(st, net, time, node, stage)


# -- queues ------------------------------------------------------------------------------------------------


@inlined
def join(place, message, p, node, now):
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
def has_room(place, p):
    """Whether a message may leave for a place."""
    return place[p].policy != POLICY_BLOCK or place[p].waiting + place[p].granted < place[p].depth


@inlined
def block(place, message, p, q):
    """A sender waits for room: behind those blocked before, at one tick by law 2."""
    place[p].awaits = q
    own = message[place[p].served]
    before, after = np.int64(-1), place[q].blocked
    while after >= 0:
        other = message[place[after].served]
        if comes_before(
            own.end, own.order, own.word >> 32, own.key, other.end, other.order, other.word >> 32, other.key
        ):
            break
        before, after = after, place[after].blocked_next
    place[p].blocked_next = after
    if before < 0:
        place[q].blocked = p
    else:
        place[before].blocked_next = p


@inlined
def occupy(st, settings, net, p, node, start, time, stage):
    """A place serves a message for a time from a tick on."""
    net.place[p].served = node
    net.message[node].service, net.message[node].end = start, start + time
    plan_event(st, settings, net, start + time, node, stage)


@inlined
def take_longest(net, p):
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


# -- the log ---------------------------------------------------------------------------------------------


@inlined
def log_at(st, net, kind, p, node, start, finish, released):
    """Note what a place did with a message or scan."""
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
def kind_of_service(net, p, node):
    """What a place does to a message or scan, in the log's terms."""
    if net.message[node].tested > 0:
        return TESTED
    kind = net.place[p].kind
    if kind == PLACE_SERIALISER:
        return SERIALISED
    return PASSED if kind == PLACE_LINK else DELIVERED
