"""Copies of spikes that travel: delays, and what every message on an accelerator takes and is logged as."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.draws import mix, seeded_order
from eventsnn.engine.kernels.firing import payload_of
from eventsnn.engine.kernels.pending import push_pending
from eventsnn.engine.kernels.records import GROW_MESSAGES, GROW_SERVICE, KIND_INPUT
from eventsnn.engine.seeds import PURPOSE_DECODE, PURPOSE_SYNAPSE

INPUT_EVENTS = COLUMN["input_events"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]
MESSAGES_SENT = COLUMN["messages_sent"]
HOPS_X = COLUMN["hops_x"]
HOPS_Y = COLUMN["hops_y"]
BUS_TRANSFERS = COLUMN["bus_transfers"]


@inlined
def send(plan, st, settings, rank, word, now):
    """Put every copy of a spike on its way, without an accelerator."""
    row = plan.population[rank]
    neuron = word >> 32
    j = row.offset + neuron
    ordinal = st.ordinal[j]
    st.ordinal[j] = ordinal + 1
    for d in range(row.destination_start, row.destination_stop):
        to = plan.destination[d]
        if plan.fan_out[to.fan_out + neuron].full == 0:
            continue
        arrival = now + to.delay
        order = neuron
        if settings.seeded:
            order = seeded_order(settings.seed_key, arrival, rank, neuron)
        push_pending(st.pending, st.scalar, arrival, rank, order, ordinal, d, word)


# -- on an accelerator ---------------------------------------------------------------------------------


@inner
def _drawn(times, spread, table, seed_key, purpose, rank, neuron, ordinal, destination, hop):
    key = mix(seed_key ^ np.uint64(purpose))
    key = mix(key ^ np.uint64(rank))
    key = mix(key ^ np.uint64(neuron))
    key = mix(key ^ np.uint64(ordinal))
    key = mix(key ^ np.uint64(destination))
    key = mix(key ^ np.uint64(hop))
    return times[table, np.int64(key >> np.uint64(11)) % spread[table]]


@inlined
def time_drawn(tables, settings, table, purpose, rank, neuron, ordinal, destination, hop):
    """The time of one action of a message, from its inverse-CDF table: row ``table`` of the tables."""
    if tables.spread[table] == 1:
        return tables.times[table, 0]
    return _drawn(
        tables.times, tables.spread, table, settings.seed_key, purpose, rank, neuron, ordinal, destination,
        hop,
    )  # fmt: skip


@inlined
def hops_drawn(tables, settings, table, purpose, rank, neuron, ordinal, destination, hops):
    """The time of so many hops of a message one way."""
    total = np.int64(0)
    for hop in range(hops):
        total += time_drawn(tables, settings, table, purpose, rank, neuron, ordinal, destination, hop)
    return total


@inlined
def ordinal_of(st, settings, j):
    """A spike's place among those of its neuron, from 0.

    Where no random time and no log asks for it, its place among all spikes: ties go by that just as well, and
    it is at hand, whereas every neuron's count is a look-up far away.
    """
    if settings.named:
        ordinal = st.ordinal[j]
        st.ordinal[j] = ordinal + 1
    else:
        ordinal = st.scalar.spikes_sent
        st.scalar.spikes_sent = ordinal + 1
    return ordinal


@inlined
def new_message(message, scalar):
    """A free row, or -1."""
    node = scalar.messages_free
    if node >= 0:
        scalar.messages_free = message[node].next
        return node
    node = scalar.messages_used
    if node == len(message):
        scalar.status = GROW_MESSAGES
        return np.int64(-1)
    scalar.messages_used = node + 1
    return node


@inlined
def free_message(message, scalar, node):
    """Leave a row to the next message."""
    message[node].next = scalar.messages_free
    scalar.messages_free = node


@inlined
def service_time(plan, settings, rank, neuron, ordinal, d):
    """How long a message keeps the core it is for."""
    to = plan.destination[d]
    reached, lanes = plan.fan_out[to.fan_out + neuron].full, to.lanes
    cycles = np.int64(1)
    if reached > lanes:
        cycles = np.int64((np.uint32(reached) + np.uint32(lanes) - np.uint32(1)) // np.uint32(lanes))
    cycle = to.cycle_update + time_drawn(
        plan, settings, to.synapse, PURPOSE_SYNAPSE, rank, neuron, ordinal, d, 0
    )
    return cycles * cycle + time_drawn(plan, settings, to.decode, PURPOSE_DECODE, rank, neuron, ordinal, d, 0)


@inlined
def count_spike(counters, kind, word):
    """Count a spike where its neuron is."""
    if kind == KIND_INPUT:
        counters[INPUT_EVENTS] += 1
    elif payload_of(word) > 0:
        counters[SPIKES_POSITIVE] += 1
    else:
        counters[SPIKES_NEGATIVE] += 1


@inlined
def book_message(counters, route, bus):
    """Count a message that sets out, with its whole route."""
    counters[MESSAGES_SENT] += 1
    counters[HOPS_X] += route.hops_x
    counters[HOPS_Y] += route.hops_y
    counters[BUS_TRANSFERS] += bus


@inner
def log_service(
    service, scalar, kind, core, rank, neuron, ordinal, destination, arrival, start, finish, released
):
    """Note what a core did; see ``engine.service.SERVICE``."""
    n = scalar.services
    if n == len(service):
        scalar.status = GROW_SERVICE
        return
    service[n].kind = kind
    service[n].core = core
    service[n].rank = rank
    service[n].neuron = neuron
    service[n].ordinal = ordinal
    service[n].destination = destination
    service[n].arrival = arrival
    service[n].start = start
    service[n].finish = finish
    service[n].released = released
    scalar.services = n + 1


@inner
def _marked(touched, first, stop):
    """How many of a run of marks are set."""
    marked = np.int64(0)
    for i in range(np.uint64(first), np.uint64(stop)):
        marked += touched[i]
    return marked


@inlined
def count_touched(plan, st, rank):
    """How many neurons of each part of a population a test looks at."""
    row, group = plan.population[rank], plan.population[rank].group
    first, stop = st.rank[rank].touched_start, st.rank[rank].touched_stop
    if row.part_stop - row.part_start == 1:
        marked = _marked(st.neurons.touched, row.touch_offset + first, row.touch_offset + stop)
        st.part[row.part_start].tested = marked * group
        return
    for part in range(row.part_start, row.part_stop):
        st.part[part].tested = 0
    for g in range(first, stop):
        if st.neurons.touched[row.touch_offset + g]:
            st.part[plan.part_of[row.offset + g * group]].tested += group
