"""One tick on an accelerator with queues that are followed event by event (``kernels.bounded``)."""

import numpy as np

from eventsnn.compilation import inlined
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.bounded import handle, move_on, send_bounded
from eventsnn.engine.kernels.landing import count_spikes, deliver_message, next_test
from eventsnn.engine.kernels.own_events import own_events
from eventsnn.engine.kernels.places import RANK_SHIFT, next_event
from eventsnn.engine.kernels.records import NEVER, RUNNING, STAGE_SCANNED
from eventsnn.engine.order import NEURON_BITS

MESSAGES_RECEIVED = COLUMN["messages_received"]


@inlined
def _due_rank(st, settings, stimulus_time, now):
    """The lowest rank that has something of class 0 to do at this tick, or the number of ranks."""
    rank = np.int64(len(st.rank))
    n = st.scalar.input_next
    if n < len(stimulus_time) and stimulus_time[n] == now:
        rank = np.int64(settings.input_rank)
    if st.scalar.crossings > 0 and st.firing.crossings[0].tick == now:
        rank = min(rank, st.firing.crossings[0].key >> NEURON_BITS)
    if st.scalar.test_next == now:
        for r in range(rank):
            if st.rank[r].test_due == now:
                return r
    return rank


@inlined
def _send_new(plan, st, settings, queues, rank, now):
    """Hand the spikes that a population has just emitted to the accelerator."""
    live = st.rank[rank]
    start, stop = live.list_done, live.list_stop
    if stop > start:
        row, counters = plan.population[rank], st.counters[rank]
        count_spikes(rank, row, live, st.firing.lists, counters, st.scalar, settings.output_rank)
        send_bounded(plan, st, settings, queues, rank, start, stop, now)
        live.list_done = stop


@inlined
def run_tick_bounded(plan, st, settings, full, queues, stimulus_time, stimulus_word, now):
    """Everything that happens at one tick: whatever comes first by law 2, until nothing is left.

    Returns whether that was more than ends of scans and crossings.
    """
    end = st.scalar.input_end
    ranks = np.int64(len(plan.population))
    more = False
    while st.scalar.status == RUNNING:
        rank, top = _due_rank(st, settings, stimulus_time, now), ranks
        if st.scalar.events > 0 and queues.event[0].time == now:
            top = queues.event[0].order >> RANK_SHIFT
        if rank == ranks and top == ranks:
            break
        if rank <= top:
            own_events(
                plan, st, settings, full, 1, full, None, None, queues, rank, stimulus_time, stimulus_word,
                now, end,
            )  # fmt: skip
            first, last = plan.population[rank].part_start, plan.population[rank].part_stop
        else:
            node = next_event(st, queues)
            more = more or queues.message[node].stage != STAGE_SCANNED
            d = handle(plan, st, settings, queues, node, now)
            rank = np.int64(-1)
            if d >= 0:
                st.counters[plan.destination[d].target, MESSAGES_RECEIVED] += 1
                st.parts[plan.destination[d].target_part, MESSAGES_RECEIVED] += 1
                deliver_message(plan, st, settings, full, d, now, end)
                rank = plan.destination[d].target
            first, last = np.int64(-2), np.int64(0)
        if rank >= 0:
            _send_new(plan, st, settings, queues, rank, now)
        for part in range(first, last):
            p = plan.part[part].server if part >= 0 else st.scratch[part + 3]
            while p >= 0 and st.scalar.status == RUNNING:
                p = move_on(plan, st, settings, queues, p, now)
    if st.scalar.test_next <= now:
        next_test(st)
    return more


@inlined
def is_stuck(st, tick):
    """Whether messages are in flight and nothing can move them; ``tick`` is what else is due."""
    s = st.scalar
    return tick == NEVER and s.events == 0 and s.in_flight > 0 and s.stop_at == NEVER


@inlined
def next_event_tick(st, queues, tick):
    """When the next event is due, ``tick`` being when anything else is.

    A run at rest, cores at most scanning, lasts no longer than its input.
    """
    s = st.scalar
    if s.events == 0:
        return tick
    first = queues.event[0].time
    if tick == NEVER and s.events == s.scans and s.in_flight == 0 and s.stop_at == NEVER:
        if s.last_tick >= s.run_until:
            return tick
        return min(first, s.run_until)
    return min(tick, first)
