"""Copies of spikes that travel: delays, and an accelerator's serialisers, mesh and cores."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import (
    CORE,
    CORE_BUSY,
    DELAY,
    DESTINATION_START,
    DESTINATION_STOP,
    FAN_OUT,
    FULL_FAN_OUT,
    GROUP,
    GROW_SERVICE,
    KIND,
    KIND_EXACT_GATE,
    KIND_INPUT,
    KIND_RATE,
    KIND_RATE_GATE,
    KIND_SIGNED,
    OFFSET,
    ON_HARDWARE,
    PART_READY,
    PART_START,
    PART_STOP,
    PART_TESTED,
    SERIALISER_BUSY,
    SERVICES,
    STATUS,
    T_DECODE,
    T_FIRE,
    T_HOP_X,
    T_HOP_Y,
    T_INPUT,
    T_LANES,
    T_SERIALISE,
    T_SYNAPSE,
    T_UPDATE,
    TARGET_KIND,
    TOUCH_OFFSET,
    TOUCHED_START,
    TOUCHED_STOP,
)
from eventsnn.engine.kernels.draws import mix, seeded_order
from eventsnn.engine.kernels.heap import push_pending
from eventsnn.results.counters import COLUMN

MESSAGES_SENT = COLUMN["messages_sent"]
HOPS_X = COLUMN["hops_x"]
HOPS_Y = COLUMN["hops_y"]

# Values of contract.SERVICE_FIELDS' kind.
SERIALISED, DELIVERED, TESTED = range(3)


@inner
def jitter_draw(table, seed_key, purpose, rank, neuron, ordinal, destination):
    """Extra ticks for one message, from an inverse-CDF table."""
    if len(table) == 1:
        return table[0]
    key = mix(seed_key ^ np.uint64(purpose))
    key = mix(key ^ np.uint64(rank))
    key = mix(key ^ np.uint64(neuron))
    key = mix(key ^ np.uint64(ordinal))
    key = mix(key ^ np.uint64(destination))
    return table[np.int64(key >> np.uint64(11)) % len(table)]


@inner
def log_service(service, scalar, kind, core, rank, neuron, arrival, start, finish):
    """Note what a core did; see ``contract.SERVICE_FIELDS``."""
    n = scalar[SERVICES]
    if n == len(service):
        scalar[STATUS] = GROW_SERVICE
        return
    service[n, 0] = kind
    service[n, 1] = core
    service[n, 2] = rank
    service[n, 3] = neuron
    service[n, 4] = arrival
    service[n, 5] = start
    service[n, 6] = finish
    scalar[SERVICES] = n + 1


@inlined
def send(plan, st, settings, rank, word, now):
    """Put every copy of a spike on its way."""
    row = plan.population[rank]
    timing = plan.timing
    neuron = word >> 32
    j = row[OFFSET] + neuron
    ordinal = st.ordinal[j]
    st.ordinal[j] = ordinal + 1
    ready = now
    if timing[ON_HARDWARE]:
        if row[KIND] == KIND_SIGNED or row[KIND] == KIND_EXACT_GATE:
            ready = st.part[plan.part_of[j], PART_READY]
        elif row[KIND] == KIND_RATE or row[KIND] == KIND_RATE_GATE:
            ready = now + timing[T_FIRE]
    for d in range(row[DESTINATION_START], row[DESTINATION_STOP]):
        to = plan.destination[d]
        if plan.fan_out[FULL_FAN_OUT, to[FAN_OUT] + neuron] == 0:
            continue
        arrival = ready + to[DELAY]
        if timing[ON_HARDWARE]:
            part = plan.part_of[j]
            core = plan.part_core[part]
            start = max(ready, st.core[core + 1, SERIALISER_BUSY])
            service = timing[T_INPUT] if row[KIND] == KIND_INPUT else timing[T_SERIALISE]
            st.core[core + 1, SERIALISER_BUSY] = start + service
            if settings.log_service:
                log_service(
                    st.service, st.scalar, SERIALISED, core, rank, neuron, ready, start, start + service
                )
            hops_x, hops_y = plan.hops[0, part, d], plan.hops[1, part, d]
            extra = jitter_draw(plan.jitter[0], settings.seed_key, 1, rank, neuron, ordinal, d)
            transit = hops_x * timing[T_HOP_X] + hops_y * timing[T_HOP_Y] + extra
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
    timing = plan.timing
    cycles = -(-np.int64(plan.fan_out[FULL_FAN_OUT, to[FAN_OUT] + neuron]) // timing[T_LANES])
    per_cycle = timing[T_SYNAPSE]
    if to[TARGET_KIND] == KIND_RATE or to[TARGET_KIND] == KIND_RATE_GATE:
        per_cycle += timing[T_UPDATE]
    extra = jitter_draw(plan.jitter[1], settings.seed_key, 2, rank, neuron, ordinal, d)
    core = to[CORE]
    start = max(now, st.core[core + 1, CORE_BUSY])
    finish = start + timing[T_DECODE] + cycles * per_cycle + extra
    st.core[core + 1, CORE_BUSY] = finish
    if settings.log_service:
        log_service(st.service, st.scalar, DELIVERED, core, rank, neuron, now, start, finish)
    return finish


@inlined
def occupy_cores(plan, st, settings, rank, now):
    """On an accelerator a test scans its touched neurons core by core, queued like a message."""
    row = plan.population[rank]
    timing = plan.timing
    for part in range(row[PART_START], row[PART_STOP]):
        st.part[part, PART_TESTED] = 0
    group = row[GROUP]
    for g in range(st.rank[rank, TOUCHED_START], st.rank[rank, TOUCHED_STOP]):
        if st.touched[row[TOUCH_OFFSET] + g]:
            st.part[plan.part_of[row[OFFSET] + g * group], PART_TESTED] += group
    for part in range(row[PART_START], row[PART_STOP]):
        tested = st.part[part, PART_TESTED]
        if tested == 0:
            st.part[part, PART_READY] = now + timing[T_FIRE]
            continue
        core = plan.part_core[part]
        start = max(now, st.core[core + 1, CORE_BUSY])
        finish = start + -(-tested // timing[T_LANES]) * timing[T_UPDATE]
        st.core[core + 1, CORE_BUSY] = finish
        st.part[part, PART_READY] = finish + timing[T_FIRE]
        if settings.log_service:
            log_service(st.service, st.scalar, TESTED, core, rank, tested, now, start, finish)
