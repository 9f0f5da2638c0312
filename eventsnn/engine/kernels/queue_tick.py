"""One tick on an accelerator with queues that are followed event by event (``kernels.queues``)."""

import numpy as np

from eventsnn.compilation import inlined
from eventsnn.engine.columns import (
    CROSSINGS,
    EVENTS,
    IN_FLIGHT,
    INPUT_END,
    INPUT_NEXT,
    LAST_TICK,
    LIST_DONE,
    LIST_STOP,
    M_STAGE,
    NEVER,
    P_RANK_ORDER,
    P_TIME,
    PART_SERVER,
    PART_START,
    PART_STOP,
    RUN_UNTIL,
    RUNNING,
    SCANS,
    STAGE_SCANNED,
    STATUS,
    STOP_AT,
    TARGET,
    TEST_DUE,
    TEST_NEXT,
)
from eventsnn.engine.kernels.landing import count_spikes, deliver_message, next_test
from eventsnn.engine.kernels.own_events import own_events
from eventsnn.engine.kernels.queues import RANK_SHIFT, handle, move_on, pop_event, send_queued
from eventsnn.engine.order import NEURON_BITS


@inlined
def _due_rank(st, settings, stimulus_time, now):
    """The lowest rank that has something of class 0 to do at this tick, or the number of ranks."""
    rank = np.int64(len(st.rank))
    n = st.scalar[INPUT_NEXT]
    if n < len(stimulus_time) and stimulus_time[n] == now:
        rank = np.int64(settings.input_rank)
    if st.scalar[CROSSINGS] > 0 and st.crossings[0, 0] == now:
        rank = min(rank, st.crossings[0, 1] >> NEURON_BITS)
    if st.scalar[TEST_NEXT] == now:
        for r in range(rank):
            if st.rank[r, TEST_DUE] == now:
                return r
    return rank


@inlined
def _send_new(plan, st, settings, queues, rank, now):
    """Hand the spikes that a population has just emitted to the accelerator."""
    live = st.rank[rank]
    start, stop = live[LIST_DONE], live[LIST_STOP]
    if stop > start:
        count_spikes(
            rank, plan.population[rank], live, st.lists, st.counters[rank], st.scalar, settings.output_rank
        )
        send_queued(plan, st, settings, queues, rank, start, stop, now)
        live[LIST_DONE] = stop


@inlined
def run_tick_queues(plan, st, settings, full, queues, stimulus_time, stimulus_word, now):
    """Everything that happens at one tick: whatever comes first by law 2, until nothing is left.

    Returns whether that was more than ends of scans and crossings.
    """
    end = st.scalar[INPUT_END]
    ranks = np.int64(len(plan.population))
    more = False
    while st.scalar[STATUS] == RUNNING:
        rank, top = _due_rank(st, settings, stimulus_time, now), ranks
        if st.scalar[EVENTS] > 0 and queues.event[0, P_TIME] == now:
            top = queues.event[0, P_RANK_ORDER] >> RANK_SHIFT
        if rank == ranks and top == ranks:
            break
        if rank <= top:
            own_events(
                plan, st, settings, full, None, None, queues, rank, stimulus_time, stimulus_word, now, end
            )
            first, last = plan.population[rank, PART_START], plan.population[rank, PART_STOP]
        else:
            node = pop_event(queues.event, queues.message, st.scalar)
            more = more or queues.message[node, M_STAGE] != STAGE_SCANNED
            d = handle(plan, st, settings, queues, node, now)
            rank = np.int64(-1)
            if d >= 0:
                deliver_message(plan, st, settings, full, d, now, end)
                rank = plan.destination[d, TARGET]
            first, last = np.int64(-2), np.int64(0)
        if rank >= 0:
            _send_new(plan, st, settings, queues, rank, now)
        for part in range(first, last):
            p = plan.part[part, PART_SERVER] if part >= 0 else st.scratch[part + 3]
            while p >= 0 and st.scalar[STATUS] == RUNNING:
                p = move_on(plan, st, settings, queues, p, now)
    if st.scalar[TEST_NEXT] <= now:
        next_test(st)
    return more


@inlined
def is_stuck(st, tick):
    """Whether messages are in flight and nothing can move them; ``tick`` is what else is due."""
    s = st.scalar
    return tick == NEVER and s[EVENTS] == 0 and s[IN_FLIGHT] > 0 and s[STOP_AT] == NEVER


@inlined
def next_event_tick(st, queues, tick):
    """When the next event is due, ``tick`` being when anything else is.

    A run at rest, cores at most scanning, lasts no longer than its input.
    """
    s = st.scalar
    if s[EVENTS] == 0:
        return tick
    first = queues.event[0, P_TIME]
    if tick == NEVER and s[EVENTS] == s[SCANS] and s[IN_FLIGHT] == 0 and s[STOP_AT] == NEVER:
        if s[LAST_TICK] >= s[RUN_UNTIL]:
            return tick
        return min(first, s[RUN_UNTIL])
    return min(tick, first)
