"""The event loop of the compiled engine.

One call of ``advance`` runs a sample until it ends or needs its buffers looked at. Inside a tick,
populations are visited by rank: first their tests, crossings or inputs (class 0), then the deliveries
of their spikes (class 1), which is the order of law 2. Spikes emitted at a tick stand in one list per
rank. Those without a delay are delivered from the list; copies that travel wait in a binary heap.
"""

import numpy as np

from eventsnn.compilation import inlined, inner, kernel
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels import records
from eventsnn.engine.kernels.bounded import log_held
from eventsnn.engine.kernels.bounded_tick import is_stuck, next_event_tick, run_tick_bounded
from eventsnn.engine.kernels.checks import check, fill_totals, finish, record_history
from eventsnn.engine.kernels.chip_steps import keep_history, play_step
from eventsnn.engine.kernels.crossings import next_crossing
from eventsnn.engine.kernels.landing import count_spikes, deliver, next_test
from eventsnn.engine.kernels.leaks import catch_up, leak_step
from eventsnn.engine.kernels.log import count_log, take_back_log, write_log
from eventsnn.engine.kernels.messages import send
from eventsnn.engine.kernels.own_events import own_events
from eventsnn.engine.kernels.pending import pop_pending
from eventsnn.engine.kernels.scans import mark_charged, mark_reached
from eventsnn.engine.kernels.slabs import run_slabs, start_window
from eventsnn.engine.kernels.sorting import ascending, sort_by_neuron
from eventsnn.engine.kernels.stream_tick import run_tick_streams
from eventsnn.engine.kernels.streams import log_rest, pass_links
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS

INPUT_EVENTS = COLUMN["input_events"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]
NEURON_UPDATES = COLUMN["neuron_updates"]
MESSAGES_RECEIVED = COLUMN["messages_received"]


@inlined
def _next_copy(st, rank, now):
    """Where the next copy of this rank's spikes lands now, or -1; its word is left in ``scratch[0]``."""
    if st.scalar.pending == 0:
        return np.int64(-1)
    first = st.pending[st.scalar.pending_first]
    if first.time != now or (first.order >> NEURON_BITS) != rank:
        return np.int64(-1)
    at = pop_pending(st.pending, st.scalar)
    st.scratch[0] = st.pending[at].word
    return st.pending[at].key & ((np.int64(1) << DESTINATION_BITS) - 1)


@inlined
def _hand_on(plan, st, settings, full, events, special, rank, now, end):
    """Deliver this rank's spikes of this tick, and the copies of earlier ones that land now.

    Returns the rank to go on with: a delivery along a cycle may wake an earlier one.
    """
    row, live = plan.population[rank], st.rank[rank]
    first, stop = live.list_done, live.list_stop
    if stop > first:
        count_spikes(rank, row, live, st.firing.lists, st.counters[rank], st.scalar, settings.output_rank)
        if row.direct == 0:
            for i in range(first, stop):
                send(plan, st, settings, rank, st.firing.lists[i], now)
        if not ascending(st.firing.lists, first, stop):
            sort_by_neuron(st.firing.lists, first, stop, st.scratch, st.digits)
        live.list_done = stop
    if row.direct:
        chunk = np.int64(1) if row.interleaved else max(stop - first, np.int64(1))
        words = st.firing.lists
        d, d_stop = row.destination_start, row.destination_stop
    else:
        chunk = np.int64(1)
        words = st.scratch
        d = d_stop = np.int64(0)
        first, stop = np.int64(0), np.int64(1)
    i = first
    while st.scalar.status == records.RUNNING:
        if row.direct:
            if d == d_stop:
                i += chunk
                d = row.destination_start
            if i >= stop or d == d_stop:
                return rank + 1
        else:
            d = _next_copy(st, rank, now)
            if d < 0:
                return rank + 1
        deliver(
            plan, st, settings, full, events, special, words, i, min(i + chunk, stop), d, row.direct != 0,
            now, end,
        )  # fmt: skip
        target = plan.destination[d].target
        if target <= rank and settings.step == 0:
            woken = st.rank[target]
            if woken.list_stop > woken.list_done or woken.test_due == now:
                return target
        if row.direct:
            d += 1
    return rank + 1


@inlined
def _run_tick(plan, st, settings, full, events, special, ideal, stimulus_time, stimulus_word, now):
    """Everything that happens at one tick, by rank and class."""
    end = st.scalar.input_end
    tests = st.scalar.test_next == now
    rank, ranks = np.int64(0), len(plan.population)
    # In a step all that was under way lands first: what goes back along a cycle, too.
    landing = settings.step > 0 and st.scalar.pending > 0
    if full is not None and settings.played:
        mark_charged(
            plan.population, st.rank, st.neurons.charge, st.neurons.membrane, st.currents.quanta, st.active,
            now, end, settings.step,
        )  # fmt: skip
    if full is not None and settings.step > 0:
        leak_step(plan.factors, plan.population, st.neurons, st.currents, now)
    while rank < ranks and st.scalar.status == records.RUNNING:
        row, live = plan.population[rank], st.rank[rank]
        if not landing:
            if full is not None and settings.played:
                mark_reached(row, live, st.neurons.touched, st.active, now)
            own_events(
                plan, st, settings, full, events, special, ideal, None, None, rank, stimulus_time,
                stimulus_word, now, end,
            )  # fmt: skip
        if live.list_stop > live.list_done or (row.direct == 0 and st.scalar.pending > 0):
            rank = _hand_on(plan, st, settings, full, events, special, rank, now, end)
        else:
            rank += 1
        if landing and rank == ranks:
            landing = False
            rank = np.int64(0)
    if tests or st.scalar.test_next <= now:
        next_test(st)


@inlined
def _next_tick(plan, st, settings, full, events, streams, queues, stimulus_time):
    tick = np.int64(records.NEVER)
    if settings.step > 0:
        if st.scalar.next_step <= st.scalar.steps_end:
            tick = st.scalar.next_step
        elif settings.stop_with_input:
            return tick
        elif st.scalar.pending > 0 or st.scalar.test_next < records.NEVER:
            return st.scalar.next_step  # a step in which nothing happens is one all the same
    if st.scalar.input_next < len(stimulus_time):
        tick = min(tick, stimulus_time[st.scalar.input_next])
    if st.scalar.pending > 0:
        tick = min(tick, st.pending[st.scalar.pending_first].time)
    tick = min(tick, st.scalar.test_next)
    if full is not None and events is not None and settings.step == 0:
        tick = min(tick, next_crossing(st.firing.crossings, st.scalar, st.neurons.candidate, tick))
    if streams is not None:
        before = tick
        if full is not None and st.scalar.window_next <= st.scalar.input_end + 1:
            before = min(before, st.scalar.window_next)  # which may bring crossings
        tick = min(tick, pass_links(plan, st, settings, streams, before))
    if queues is not None:
        if is_stuck(st, tick):
            return tick
        tick = next_event_tick(st, queues, tick)
    if (
        tick == records.NEVER
        and st.scalar.stop_at == records.NEVER
        and st.scalar.last_tick < st.scalar.run_until
    ):
        return st.scalar.run_until  # a run that nothing stops lasts as long as its input
    return tick


@inlined
def _is_real(st, settings, streams, queues, stimulus_time, now):
    """Whether more is due at a tick than crossings, which may turn out to be superseded: then nothing was.

    Nor is the end of a scan an event of the model.
    """
    if queues is not None and st.scalar.scans > 0 and queues.event[0].time == now:
        if st.scalar.input_next < len(stimulus_time) and stimulus_time[st.scalar.input_next] == now:
            return True
        return st.scalar.test_next == now
    if settings.step > 0 or st.scalar.crossings == 0 or st.firing.crossings[0].tick != now:
        return True
    if st.scalar.input_next < len(stimulus_time) and stimulus_time[st.scalar.input_next] == now:
        return True
    if streams is not None and streams.server[streams.tree[1]].at == now:
        return True
    copies = st.scalar.pending > 0 and st.pending[st.scalar.pending_first].time == now
    return copies or st.scalar.test_next == now


@inlined
def _open_windows(plan, st, upcoming, end):
    """Open the windows that begin at or before the upcoming tick, earliest first; whether there were any."""
    first = st.scalar.window_next
    # After the end one more opens, for neurons at threshold that are refractory beyond it.
    if first > min(upcoming, end + 1, st.scalar.stop_at) or first == records.NEVER:
        return False
    following = np.int64(records.NEVER)
    for rank in range(len(plan.population)):
        live = st.rank[rank]
        if live.window_end == first and st.scalar.status == records.RUNNING:
            start_window(plan, st, rank, first, end, np.int64(records.NEVER))
        following = min(following, live.window_end)
    st.scalar.window_next = following
    return True


@inner
def _leak_all(factors, population, rank_table, neurons, currents, scalar, now, end):
    """Bring every population's leaks up to a tick."""
    for rank in range(len(population)):
        if rank_table[rank].leak_next <= now:
            catch_up(
                factors, rank, population[rank], rank_table[rank], neurons, currents, scalar, now, end
            )  # fmt: skip


@inlined
def _test_all(plan, st, now):
    """Schedule a test of every neuron of the signed populations at this tick: the settle pass."""
    for rank in range(len(plan.population)):
        row = plan.population[rank]
        if row.kind == records.KIND_SIGNED:
            groups = row.neurons // row.group
            for g in range(groups):
                st.neurons.touched[row.touch_offset + g] = 1
            st.rank[rank].touched_start = 0
            st.rank[rank].touched_stop = groups
            st.rank[rank].test_due = now
            st.scalar.test_next = now


@inlined
def _count(plan, st):
    count_log(
        plan.population, plan.destination, plan.keys, plan.fan_out, st.rank, st.neurons.emitted, st.counters,
        st.log, st.scalar,
    )  # fmt: skip


@kernel
def advance(
    plan, st, settings, full, events, special, ideal, slabs, streams, queues, steps, places, stimulus_time,
    stimulus_word,
):  # fmt: skip
    """Run until the sample ends or a buffer needs attention; the reason is in ``st.scalar.status``.

    After ``DRAIN_LOG``, ``GROW_TRACE``, ``GROW_HISTORY`` and ``ASK_RULE`` the run goes on where it was
    (call again); after another ``GROW_*`` the sample is started afresh with larger buffers.

    ``full`` None leaves out, when compiling, all that networks of signed neurons and readouts in the
    event schedule have no use for: they compile in about half the time. ``events`` None leaves out
    what only the event schedule has: currents' windows, crossings, leaks between steps; ``special`` None max
    gates, spiking softmax, neurons that fire once. Of ``ideal`` (no
    accelerator), ``streams`` and ``queues`` two are None, and what is for them left out; so are ``slabs``
    where there are none, ``steps`` without an accelerator that runs step by step, and ``places`` where its
    steps are computed ahead.
    """
    s = st.scalar
    end = s.input_end
    s.status = records.RUNNING
    if steps is not None:
        keep_history(st, settings, steps)
    if slabs is not None:
        if settings.slab > 0 and s.slab_done == 0:
            run_slabs(plan, st, settings, full, slabs, stimulus_time, stimulus_word)
            if s.status != records.RUNNING:
                s.counted = 0
                return
    while s.status == records.RUNNING:
        now = _next_tick(plan, st, settings, full, events, streams, queues, stimulus_time)
        if full is not None and events is not None:
            if _open_windows(plan, st, now, end):
                continue
        if queues is not None:
            if is_stuck(st, now):
                s.status = records.DEADLOCK
                return
        settles = settings.settle_pass and s.settled == 0 and s.stop_at > s.last_tick
        if now == records.NEVER and settles:
            # The settle pass shares the last tick; a decision that was out by then comes before it.
            fill_totals(
                plan.energy, plan.chip, plan.population, st.rank, st.counters, st.trace, s,
                s.last_tick + 1, end,
            )  # fmt: skip
            s.settled = 1
            _test_all(plan, st, s.last_tick + settings.step)
            continue
        writes = now != s.last_tick
        if writes:
            if s.checks + 3 > len(st.trace):
                s.status = records.GROW_TRACE
                return
            if not write_log(plan, st, s.last_tick):
                _count(plan, st)
                s.counted = 0
                s.status = records.DRAIN_LOG
                return
        over = now == records.NEVER or now > s.stop_at
        decided = s.stop_at if s.early else s.last_tick
        if settings.history_period > 0:
            _count(plan, st)
            record_history(plan, st, settings, decided if over else now, end)
            if s.status != records.RUNNING:
                return
        if over:
            _count(plan, st)
            if full is not None and events is not None:
                _leak_all(
                    plan.factors, plan.population, st.rank, st.neurons, st.currents, s, decided, end
                )  # fmt: skip
            finish(plan, st, settings, end)
            if streams is not None and settings.log_service:
                log_rest(st, streams, s.decision_time)
            if queues is not None and settings.log_service:
                log_held(st, queues, s.decision_time)
            if s.status == records.RUNNING:
                s.status = records.DONE
            return
        filled = s.filled
        if s.filled < s.checks:
            fill_totals(plan.energy, plan.chip, plan.population, st.rank, st.counters, st.trace, s, now, end)
        before = s.last_tick
        real = True
        if events is not None:
            real = _is_real(st, settings, streams, queues, stimulus_time, now)
        s.last_tick = now
        s.output_changed = 0
        if ideal is not None:
            _run_tick(plan, st, settings, full, events, special, ideal, stimulus_time, stimulus_word, now)
        if streams is not None:
            first = now
            now = run_tick_streams(plan, st, settings, full, streams, stimulus_time, stimulus_word, first)
            real = real or now > first
        if queues is not None:
            if run_tick_bounded(plan, st, settings, full, queues, stimulus_time, stimulus_word, now):
                real = True
        if events is not None:
            if not real and s.high_rank < 0:
                # Nothing was: a settle pass may still come at an earlier tick.
                s.last_tick, s.filled = before, filled
                if writes and settles and s.counted <= s.log_before:
                    take_back_log(st)
        if settings.step > 0 and now == s.next_step:
            s.next_step = now + settings.step
        if s.output_changed and s.status == records.RUNNING:
            check(plan, st, settings, stimulus_time, now, end)
        if steps is not None:
            asks = s.status == records.ASK_RULE
            if s.status == records.RUNNING or asks:
                s.status = records.RUNNING
                play_step(plan, st, settings, steps, places)
                if s.status != records.RUNNING:
                    return
                if asks:  # what a rule says stops nothing within the step
                    s.status = records.ASK_RULE
                    return
                keep_history(st, settings, steps)
