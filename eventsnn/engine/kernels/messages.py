"""Copies of spikes that travel: delays, and an accelerator's serialisers, mesh and cores."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import (
    CORE,
    CORE_BUSY,
    CYCLE_UPDATE,
    DECODE,
    DELAY,
    DESTINATION_START,
    DESTINATION_STOP,
    FAN_OUT,
    FULL_FAN_OUT,
    GROUP,
    GROW_SERVICE,
    HOP_X_TABLE,
    HOP_Y_TABLE,
    KIND,
    KIND_EXACT_GATE,
    KIND_RATE,
    KIND_RATE_GATE,
    KIND_SIGNED,
    LANES,
    OFFSET,
    ON_HARDWARE,
    PART_CORE,
    PART_FIRE,
    PART_LANES,
    PART_READY,
    PART_SERIALISE,
    PART_START,
    PART_STOP,
    PART_TESTED,
    PART_UPDATE,
    SERIALISER_BUSY,
    SERVICES,
    STATUS,
    SYNAPSE,
    TOUCH_OFFSET,
    TOUCHED_START,
    TOUCHED_STOP,
)
from eventsnn.engine.kernels.draws import mix, seeded_order
from eventsnn.engine.kernels.heap import push_pending
from eventsnn.engine.seeds import (
    PURPOSE_DECODE,
    PURPOSE_HOP_X,
    PURPOSE_HOP_Y,
    PURPOSE_SERIALISE,
    PURPOSE_SYNAPSE,
)
from eventsnn.results.counters import COLUMN

MESSAGES_SENT = COLUMN["messages_sent"]
HOPS_X = COLUMN["hops_x"]
HOPS_Y = COLUMN["hops_y"]

# Values of contract.SERVICE_FIELDS' kind.
SERIALISED, DELIVERED, TESTED, LINKED, DROPPED = range(5)


@inner
def time_drawn(times, spread, table, seed_key, purpose, rank, neuron, ordinal, destination, hop):
    """The time of one action of a message, from its inverse-CDF table."""
    if spread[table] == 1:
        return times[table, 0]
    key = mix(seed_key ^ np.uint64(purpose))
    key = mix(key ^ np.uint64(rank))
    key = mix(key ^ np.uint64(neuron))
    key = mix(key ^ np.uint64(ordinal))
    key = mix(key ^ np.uint64(destination))
    key = mix(key ^ np.uint64(hop))
    return times[table, np.int64(key >> np.uint64(11)) % spread[table]]


@inner
def hops_drawn(times, spread, table, seed_key, purpose, rank, neuron, ordinal, destination, hops):
    """The time of so many hops of a message one way."""
    if spread[table] == 1:
        return hops * times[table, 0]
    total = np.int64(0)
    for hop in range(hops):
        total += time_drawn(times, spread, table, seed_key, purpose, rank, neuron, ordinal, destination, hop)
    return total


@inner
def log_service(
    service, scalar, kind, core, rank, neuron, ordinal, destination, arrival, start, finish, released
):
    """Note what a core did; see ``contract.SERVICE_FIELDS``."""
    n = scalar[SERVICES]
    if n == len(service):
        scalar[STATUS] = GROW_SERVICE
        return
    service[n, 0] = kind
    service[n, 1] = core
    service[n, 2] = rank
    service[n, 3] = neuron
    service[n, 4] = ordinal
    service[n, 5] = destination
    service[n, 6] = arrival
    service[n, 7] = start
    service[n, 8] = finish
    service[n, 9] = released
    scalar[SERVICES] = n + 1


@inlined
def send(plan, st, settings, rank, word, now):
    """Put every copy of a spike on its way."""
    row = plan.population[rank]
    hardware = plan.chip[ON_HARDWARE] != 0
    neuron = word >> 32
    j = row[OFFSET] + neuron
    ordinal = st.ordinal[j]
    st.ordinal[j] = ordinal + 1
    ready = now
    part = plan.part_of[j]
    if hardware:
        if row[KIND] == KIND_SIGNED or row[KIND] == KIND_EXACT_GATE:
            ready = st.part[part, PART_READY]
        elif row[KIND] == KIND_RATE or row[KIND] == KIND_RATE_GATE:
            ready = now + plan.part[part, PART_FIRE]
    for d in range(row[DESTINATION_START], row[DESTINATION_STOP]):
        to = plan.destination[d]
        if plan.fan_out[FULL_FAN_OUT, to[FAN_OUT] + neuron] == 0:
            continue
        arrival = ready + to[DELAY]
        if hardware:
            core = plan.part[part, PART_CORE]
            start = max(ready, st.core[core + 1, SERIALISER_BUSY])
            service = time_drawn(
                plan.times, plan.spread, plan.part[part, PART_SERIALISE], settings.seed_key,
                PURPOSE_SERIALISE, rank, neuron, ordinal, d, 0,
            )  # fmt: skip
            st.core[core + 1, SERIALISER_BUSY] = start + service
            if settings.log_service:
                log_service(
                    st.service, st.scalar, SERIALISED, core, rank, neuron, ordinal, d, ready, start,
                    start + service, start + service,
                )  # fmt: skip
            hops_x, hops_y = plan.hops[0, part, d], plan.hops[1, part, d]
            transit = hops_drawn(
                plan.times, plan.spread, plan.chip[HOP_X_TABLE], settings.seed_key, PURPOSE_HOP_X, rank,
                neuron, ordinal, d, hops_x,
            ) + hops_drawn(
                plan.times, plan.spread, plan.chip[HOP_Y_TABLE], settings.seed_key, PURPOSE_HOP_Y, rank,
                neuron, ordinal, d, hops_y,
            )  # fmt: skip
            arrival = start + service + transit + to[DELAY]
            st.counters[rank, MESSAGES_SENT] += 1
            st.counters[rank, HOPS_X] += hops_x
            st.counters[rank, HOPS_Y] += hops_y
        order = neuron
        if settings.seeded:
            order = seeded_order(settings.seed_key, arrival, rank, neuron)
        push_pending(st.pending, st.scalar, arrival, rank, order, ordinal, d, 0, word)


@inlined
def accept(plan, st, settings, rank, neuron, ordinal, d, now):
    """A message reaches its core; returns when its charge will land."""
    to = plan.destination[d]
    cycles = -(-np.int64(plan.fan_out[FULL_FAN_OUT, to[FAN_OUT] + neuron]) // to[LANES])
    decode = time_drawn(
        plan.times, plan.spread, to[DECODE], settings.seed_key, PURPOSE_DECODE, rank, neuron, ordinal, d, 0
    )
    per_cycle = time_drawn(
        plan.times, plan.spread, to[SYNAPSE], settings.seed_key, PURPOSE_SYNAPSE, rank, neuron, ordinal, d, 0
    )
    core = to[CORE]
    start = max(now, st.core[core + 1, CORE_BUSY])
    finish = start + decode + cycles * (per_cycle + to[CYCLE_UPDATE])
    st.core[core + 1, CORE_BUSY] = finish
    if settings.log_service:
        log_service(
            st.service, st.scalar, DELIVERED, core, rank, neuron, ordinal, d, now, start, finish, finish
        )
    return finish


@inlined
def occupy_cores(plan, st, settings, rank, now):
    """On an accelerator a test scans its touched neurons core by core, queued like a message."""
    row = plan.population[rank]
    for part in range(row[PART_START], row[PART_STOP]):
        st.part[part, PART_TESTED] = 0
    group = row[GROUP]
    for g in range(st.rank[rank, TOUCHED_START], st.rank[rank, TOUCHED_STOP]):
        if st.touched[row[TOUCH_OFFSET] + g]:
            st.part[plan.part_of[row[OFFSET] + g * group], PART_TESTED] += group
    for part in range(row[PART_START], row[PART_STOP]):
        tested = st.part[part, PART_TESTED]
        if tested == 0:
            st.part[part, PART_READY] = now + plan.part[part, PART_FIRE]
            continue
        core = plan.part[part, PART_CORE]
        start = max(now, st.core[core + 1, CORE_BUSY])
        finish = start + -(-tested // plan.part[part, PART_LANES]) * plan.part[part, PART_UPDATE]
        st.core[core + 1, CORE_BUSY] = finish
        st.part[part, PART_READY] = finish + plan.part[part, PART_FIRE]
        if settings.log_service:
            log_service(st.service, st.scalar, TESTED, core, rank, tested, 0, -1, now, start, finish, finish)
