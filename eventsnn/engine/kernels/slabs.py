"""Layer slabs: the event schedule one population at a time over a slab of time, instead of tick by tick.

Where spikes never go back, take no time and hold nothing up, what a population does depends on those before
it only. So each runs through the slab alone: spikes of lower ranks come from their lists, with a *mark* for
every tick at which there are some, and its charges, weights and crossings stay close to the processor. At the
end lists are merged into the log by (tick, rank): the run is that of ``loop.advance``, to the last spike.
Slabs cover the ticks up to the end of the input, or to its last event; what follows is the loop's.
"""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.checks import record_check
from eventsnn.engine.kernels.crossings import fit_buckets, next_crossing
from eventsnn.engine.kernels.currents import open_window
from eventsnn.engine.kernels.landing import count_spikes, deliver, next_test
from eventsnn.engine.kernels.leaks import leak_charges
from eventsnn.engine.kernels.log import HEADER, count_words
from eventsnn.engine.kernels.own_events import own_events
from eventsnn.engine.kernels.records import DRAIN_LOG, GROW_SLAB, KIND_INPUT, NEVER, RUNNING
from eventsnn.engine.kernels.sorting import ascending, sort_by_neuron

SYNAPTIC_OPERATIONS = COLUMN["synaptic_operations"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]


@inlined
def start_window(plan, st, rank, start, end, until):
    """Open a population's next window, its leak before it; it ends at ``until`` at the latest."""
    row, live = plan.population[rank], st.rank[rank]
    if live.leak_next == start and start <= end:
        leak_charges(
            plan.factors, row, live.bias_start, live.bias_length, st.neurons, st.currents, start, end
        )  # fmt: skip
        live.leak_next = start + row.leak_period
    open_window(rank, row, live, st.neurons, st.currents, st.firing, st.scalar, start, end, until)


@inlined
def _next_own(st, settings, rank, stimulus_time):
    """When a population has an input or a test."""
    tick = st.rank[rank].test_due
    n = st.scalar.input_next
    if rank == settings.input_rank and n < len(stimulus_time):
        tick = min(tick, stimulus_time[n])
    return tick


@inlined
def _note(plan, st, settings, slabs, rank, tick):
    """Put the spikes of a tick in order, and mark where they stand."""
    live, lists = st.rank[rank], st.firing.lists
    start, stop = live.list_done, live.list_stop
    if stop == start:
        return
    if not ascending(lists, start, stop):
        sort_by_neuron(lists, start, stop, st.scratch, st.digits)
    row, counters = plan.population[rank], st.counters[rank]
    count_spikes(rank, row, live, lists, counters, st.scalar, settings.output_rank)
    live.list_done = stop
    n = st.scalar.marks
    if n == len(slabs.mark):
        st.scalar.status = GROW_SLAB
        return
    mark = slabs.mark[n]
    mark.tick, mark.start, mark.stop, mark.operations = tick, start, stop, 0
    st.scalar.marks = n + 1


@inner
def _run_population(plan, st, settings, full, slabs, rank, until, stimulus_time, stimulus_word):
    """All that a population does before a tick, those before it having done so."""
    live, counters, end = st.rank[rank], st.counters[rank], st.scalar.input_end
    first, last = slabs.incoming_start[rank], slabs.incoming_start[rank + 1]
    slabs.first[rank] = st.scalar.marks
    st.scalar.calendar_at = -1  # time begins anew
    for i in range(first, last):
        slabs.cursor[i] = slabs.first[plan.destination[slabs.incoming[i]].source]
    while st.scalar.status == RUNNING:
        tick = _next_own(st, settings, rank, stimulus_time)
        for i in range(first, last):
            at = slabs.cursor[i]
            if at < slabs.stop[plan.destination[slabs.incoming[i]].source]:
                tick = min(tick, slabs.mark[at].tick)
        if full is not None:
            before = min(tick, live.window_end)
            tick = min(tick, next_crossing(st.firing.crossings, st.scalar, st.neurons.candidate, before))
        if full is not None and live.window_end < until and live.window_end <= tick:
            fit_buckets(st.firing.crossings, st.scalar, live.window_length)
            start_window(plan, st, rank, live.window_end, end, until)
            continue
        if tick >= until:
            break
        st.scalar.output_changed = 0
        for i in range(first, last):
            d, at = slabs.incoming[i], slabs.cursor[i]
            if at < slabs.stop[plan.destination[d].source] and slabs.mark[at].tick == tick:
                mark = slabs.mark[at]
                before = counters[SYNAPTIC_OPERATIONS]
                deliver(
                    plan, st, settings, full, 1, full, st.firing.lists, mark.start, mark.stop, d, True, tick,
                    end,
                )  # fmt: skip
                mark.operations += counters[SYNAPTIC_OPERATIONS] - before
                slabs.cursor[i] = at + 1
        if live.test_due == tick:  # an event of the model, whatever comes of it
            st.scalar.last_tick = max(st.scalar.last_tick, tick)
        own_events(
            plan, st, settings, full, 1, full, 1, None, None, rank, stimulus_time, stimulus_word, tick, end
        )
        _note(plan, st, settings, slabs, rank, tick)
        if rank == settings.output_rank and st.scalar.output_changed and st.scalar.status == RUNNING:
            if st.scalar.checks + 3 > len(st.trace):
                st.scalar.status = GROW_SLAB
                return
            record_check(plan, st, settings, tick, end)
    slabs.stop[rank] = st.scalar.marks
    count_words(
        st.firing.lists, live.list_start, live.list_stop, rank, plan.population, plan.destination,
        plan.fan_out, st.rank, st.neurons.emitted, st.counters,
    )  # fmt: skip


@inlined
def _fill(st, before, operations, spikes):
    """Totals of the checks before a tick."""
    while st.scalar.filled < st.scalar.checks and st.trace[st.scalar.filled].time < before:
        row = st.trace[st.scalar.filled]
        row.synaptic_operations, row.spikes, row.energy = operations, spikes, 0
        st.scalar.filled += 1


@inner
def _merge(plan, st, slabs):
    """Write all lists to the log by (tick, rank), and totals to the checks; whether there was room."""
    ranks = len(plan.population)
    room = len(st.log) - st.scalar.logged - HEADER * st.scalar.marks
    for rank in range(ranks):
        room -= st.rank[rank].list_stop - st.rank[rank].list_start
        slabs.place[rank] = slabs.first[rank]
    if room < 0:
        return False
    n, lists = st.scalar.logged, st.firing.lists
    operations, spikes = st.scalar.slab_operations, st.scalar.slab_spikes
    while True:
        tick = np.int64(NEVER)
        for rank in range(ranks):
            if slabs.place[rank] < slabs.stop[rank]:
                tick = min(tick, slabs.mark[slabs.place[rank]].tick)
        _fill(st, tick, operations, spikes)
        if tick == NEVER:
            break
        for rank in range(ranks):
            at = slabs.place[rank]
            if at == slabs.stop[rank] or slabs.mark[at].tick != tick:
                continue
            slabs.place[rank] = at + 1
            mark = slabs.mark[at]
            operations += mark.operations
            if plan.population[rank].kind != KIND_INPUT:
                spikes += mark.stop - mark.start
            st.log[n] = tick
            st.log[n + 1] = plan.keys[rank, 0]
            st.log[n + 2] = plan.keys[rank, 1]
            st.log[n + 3] = mark.stop - mark.start
            n += HEADER
            for i in range(mark.start, mark.stop):
                st.log[n] = lists[i]
                n += 1
        st.scalar.last_tick = max(st.scalar.last_tick, tick)
    st.scalar.logged = st.scalar.counted = n
    st.scalar.slab_operations, st.scalar.slab_spikes = operations, spikes
    for rank in range(ranks):
        st.rank[rank].list_stop = st.rank[rank].list_done = st.rank[rank].list_start
    return True


@inner
def run_slabs(plan, st, settings, full, slabs, stimulus_time, stimulus_word):
    """Run up to the end of the input, slab by slab; the status tells why it came back before.

    After ``DRAIN_LOG`` it goes on where it was.
    """
    s = st.scalar
    stop = s.input_end + 1
    if settings.settle_pass:  # it shares the last tick, whose spikes are logged together
        stop = stimulus_time[len(stimulus_time) - 1] if len(stimulus_time) > 0 else np.int64(0)
    while s.slab_next < stop or s.marks > 0:
        if s.marks == 0:
            until = min(s.slab_next + settings.slab, stop)
            for rank in range(len(plan.population)):
                _run_population(plan, st, settings, full, slabs, rank, until, stimulus_time, stimulus_word)
                if s.status != RUNNING:
                    return
            s.slab_next = until
        if not _merge(plan, st, slabs):
            s.status = DRAIN_LOG
            return
        s.marks = 0
    s.slab_done = 1
    s.low_rank, s.high_rank = len(st.rank), -1
    s.window_next = NEVER
    for rank in range(len(st.rank)):
        s.window_next = min(s.window_next, st.rank[rank].window_end)
    next_test(st)
