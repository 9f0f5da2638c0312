"""Ticks on an accelerator whose queues are unbounded: tests and landings in the order of law 2."""

import numpy as np

from eventsnn.compilation import inlined
from eventsnn.engine.kernels.crossings import next_crossing
from eventsnn.engine.kernels.landing import count_spikes, deliver_message, next_test
from eventsnn.engine.kernels.own_events import own_events
from eventsnn.engine.kernels.records import RUNNING
from eventsnn.engine.kernels.sorting import ascending, sort_by_neuron
from eventsnn.engine.kernels.streams import next_landing, pass_links, send_streams
from eventsnn.engine.order import NEURON_BITS


@inlined
def _run_tick(plan, st, settings, full, streams, stimulus_time, stimulus_word, now):
    """Everything that happens at one tick; only populations with something to do are looked at.

    Nothing that happens concerns a population of a lower rank at this very tick (``lowering.routes``).
    """
    end = st.scalar.input_end
    rank, last = np.int64(0), len(plan.population) - 1
    tests = st.scalar.test_next == now
    inputs = st.scalar.input_next < len(stimulus_time) and stimulus_time[st.scalar.input_next] == now
    crosses = st.scalar.crossings > 0 and st.firing.crossings[0].tick == now
    if not (tests or inputs or crosses):
        rank = last + 1
    while st.scalar.status == RUNNING:
        if rank > last:
            first = streams.tree[1]
            if streams.server[first].at != now:
                break
            rank = last = streams.server[first].at_order >> NEURON_BITS
        live = st.rank[rank]
        own_events(
            plan, st, settings, full, 1, full, None, streams, None, rank, stimulus_time, stimulus_word, now,
            end,
        )  # fmt: skip
        start, stop = live.list_done, live.list_stop
        if stop > start:
            if not ascending(st.firing.lists, start, stop):
                sort_by_neuron(st.firing.lists, start, stop, st.scratch, st.digits)
            count_spikes(
                rank,
                plan.population[rank],
                live,
                st.firing.lists,
                st.counters[rank],
                st.scalar,
                settings.output_rank,
            )
            send_streams(plan, st, settings, streams, rank, start, stop, now)
            live.list_done = stop
        while st.scalar.status == RUNNING:
            d = next_landing(plan, st, settings, streams, rank, now)
            if d < 0:
                break
            deliver_message(plan, st, settings, full, d, now, end)
            last = max(last, plan.destination[d].target)
        rank += 1
    if st.scalar.test_next <= now:
        next_test(st)


@inlined
def _next_quiet_tick(plan, st, settings, full, streams, stimulus_time):
    """The tick of the next landing if nothing else is due before it or has to be done first, or -1."""
    s = st.scalar
    if s.output_changed or s.high_rank >= 0 or s.filled < s.checks or settings.history_period > 0:
        return np.int64(-1)
    before = min(s.test_next, s.stop_at)
    if s.input_next < len(stimulus_time):
        before = min(before, stimulus_time[s.input_next])
    if full is not None:
        before = min(before, s.window_next)
        before = min(before, next_crossing(st.firing.crossings, s, st.neurons.candidate, before))
    tick = pass_links(plan, st, settings, streams, before)
    return tick if tick < before else np.int64(-1)


@inlined
def run_tick_streams(plan, st, settings, full, streams, stimulus_time, stimulus_word, now):
    """Run a tick, and those behind it at which messages land and nothing else happens.

    Returns the last of them. Most ticks are of this kind: they need not go through the event loop.
    """
    while True:
        _run_tick(plan, st, settings, full, streams, stimulus_time, stimulus_word, now)
        if st.scalar.status != RUNNING:
            break
        following = _next_quiet_tick(plan, st, settings, full, streams, stimulus_time)
        if following < 0:
            break
        now = following
        st.scalar.last_tick = now
    return now
