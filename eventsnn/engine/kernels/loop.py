"""The event loop of the compiled engine.

One call of ``advance`` runs a sample until it ends or needs its buffers looked at. Inside a tick,
populations are visited by rank: first their tests, crossings or inputs (class 0), then the deliveries
of their spikes (class 1), which is the order of law 2. Spikes emitted at a tick stand in one list per
rank. Those without a delay are delivered from the list; copies that travel wait in a binary heap.
"""

import numpy as np

from eventsnn.compilation import inlined, inner, kernel, source_stamp
from eventsnn.engine.columns import (
    AT,
    BIAS_LENGTH,
    BIAS_START,
    CHECKS,
    COUNTED,
    CROSSINGS,
    DEADLOCK,
    DECISION_TIME,
    DESTINATION_START,
    DESTINATION_STOP,
    DIRECT,
    DONE,
    DRAIN_LOG,
    EARLY,
    FILLED,
    GROUP,
    GROW_TRACE,
    HIGH_RANK,
    INPUT_END,
    INPUT_NEXT,
    INTERLEAVED,
    KIND,
    KIND_SIGNED,
    LAST_TICK,
    LEAK_NEXT,
    LEAK_PERIOD,
    LIST_DONE,
    LIST_STOP,
    NEVER,
    NEXT_STEP,
    OUTPUT_CHANGED,
    P_ORDINAL_DESTINATION,
    P_RANK_ORDER,
    P_TIME,
    P_WORD,
    PENDING,
    RUN_UNTIL,
    RUNNING,
    SCANS,
    SETTLED,
    SIZE,
    STATUS,
    STEP_COMPUTED,
    STEPS_END,
    STOP_AT,
    TARGET,
    TEST_DUE,
    TEST_NEXT,
    TOUCH_OFFSET,
    TOUCHED_START,
    TOUCHED_STOP,
    WINDOW_END,
    WINDOW_NEXT,
)
from eventsnn.engine.kernels.checks import check, fill_totals, finish, record_history
from eventsnn.engine.kernels.currents import open_window
from eventsnn.engine.kernels.heap import pop_pending
from eventsnn.engine.kernels.landing import count_spikes, deliver, next_test
from eventsnn.engine.kernels.leaks import catch_up, leak_charges, leak_step
from eventsnn.engine.kernels.log import count_log, write_log
from eventsnn.engine.kernels.messages import send
from eventsnn.engine.kernels.own_events import own_events
from eventsnn.engine.kernels.queue_tick import is_stuck, next_event_tick, run_tick_queues
from eventsnn.engine.kernels.queues import log_held
from eventsnn.engine.kernels.sorting import ascending, sort_by_neuron
from eventsnn.engine.kernels.stream_tick import run_tick_streams
from eventsnn.engine.kernels.streams import log_rest, pass_links
from eventsnn.engine.kernels.walks import mark_charged, mark_reached
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS
from eventsnn.results.counters import COLUMN

INPUT_EVENTS = COLUMN["input_events"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]
NEURON_UPDATES = COLUMN["neuron_updates"]
MESSAGES_RECEIVED = COLUMN["messages_received"]


@inlined
def _next_copy(st, rank, now):
    """Where the next copy of this rank's spikes lands now, or -1; its word is left in ``scratch[0]``."""
    if st.scalar[PENDING] == 0:
        return np.int64(-1)
    if st.pending[0, P_TIME] != now or (st.pending[0, P_RANK_ORDER] >> NEURON_BITS) != rank:
        return np.int64(-1)
    at = pop_pending(st.pending, st.scalar)
    st.scratch[0] = st.pending[at, P_WORD]
    return st.pending[at, P_ORDINAL_DESTINATION] & ((np.int64(1) << DESTINATION_BITS) - 1)


@inlined
def _hand_on(plan, st, settings, full, rank, now, end):
    """Deliver this rank's spikes of this tick, and the copies of earlier ones that land now.

    Returns the rank to go on with: a delivery along a cycle may wake an earlier one.
    """
    row, live = plan.population[rank], st.rank[rank]
    first, stop = live[LIST_DONE], live[LIST_STOP]
    if stop > first:
        count_spikes(rank, row, live, st.lists, st.counters[rank], st.scalar, settings.output_rank)
        if row[DIRECT] == 0:
            for i in range(first, stop):
                send(plan, st, settings, rank, st.lists[i], now)
        if not ascending(st.lists, first, stop):
            sort_by_neuron(st.lists, first, stop, st.scratch, st.digits)
        live[LIST_DONE] = stop
    if row[DIRECT]:
        chunk = np.int64(1) if row[INTERLEAVED] else max(stop - first, np.int64(1))
        words = st.lists
        d, d_stop = row[DESTINATION_START], row[DESTINATION_STOP]
    else:
        chunk = np.int64(1)
        words = st.scratch
        d = d_stop = np.int64(0)
        first, stop = np.int64(0), np.int64(1)
    i = first
    while st.scalar[STATUS] == RUNNING:
        if row[DIRECT]:
            if d == d_stop:
                i += chunk
                d = row[DESTINATION_START]
            if i >= stop or d == d_stop:
                return rank + 1
        else:
            d = _next_copy(st, rank, now)
            if d < 0:
                return rank + 1
        deliver(plan, st, settings, full, words, i, min(i + chunk, stop), d, row[DIRECT] != 0, now, end)
        target = plan.destination[d, TARGET]
        if target <= rank and settings.step == 0:
            woken = st.rank[target]
            if woken[LIST_STOP] > woken[LIST_DONE] or woken[TEST_DUE] == now:
                return target
        if row[DIRECT]:
            d += 1
    return rank + 1


@inlined
def _run_tick(plan, st, settings, full, ideal, stimulus_time, stimulus_word, now):
    """Everything that happens at one tick, by rank and class."""
    end = st.scalar[INPUT_END]
    tests = st.scalar[TEST_NEXT] == now
    rank, ranks = np.int64(0), len(plan.population)
    # In a step all that was under way lands first: what goes back along a cycle, too.
    landing = settings.step > 0 and st.scalar[PENDING] > 0
    if full is not None and settings.played:
        mark_charged(plan.population, st.rank, st.charge, st.quanta, st.active, now, end, settings.step)
    if full is not None and settings.step > 0:
        leak_step(plan.population, st.charge, st.lost, st.quanta, st.base, st.shift, now)
    while rank < ranks and st.scalar[STATUS] == RUNNING:
        row, live = plan.population[rank], st.rank[rank]
        if not landing:
            if full is not None and settings.played:
                mark_reached(row, live, st.touched, st.active, now)
            own_events(
                plan, st, settings, full, ideal, None, None, rank, stimulus_time, stimulus_word, now, end
            )
        if live[LIST_STOP] > live[LIST_DONE] or (row[DIRECT] == 0 and st.scalar[PENDING] > 0):
            rank = _hand_on(plan, st, settings, full, rank, now, end)
        else:
            rank += 1
        if landing and rank == ranks:
            landing = False
            rank = np.int64(0)
    if tests or st.scalar[TEST_NEXT] <= now:
        next_test(st)


@inlined
def _next_tick(plan, st, settings, full, streams, queues, stimulus_time):
    tick = np.int64(NEVER)
    if settings.step > 0:
        if st.scalar[NEXT_STEP] <= st.scalar[STEPS_END]:
            tick = st.scalar[NEXT_STEP]
        elif settings.stop_with_input:
            return tick
        elif st.scalar[PENDING] > 0 or st.scalar[TEST_NEXT] < NEVER:
            return st.scalar[NEXT_STEP]  # a step in which nothing happens is one all the same
    if st.scalar[INPUT_NEXT] < len(stimulus_time):
        tick = min(tick, stimulus_time[st.scalar[INPUT_NEXT]])
    if st.scalar[PENDING] > 0:
        tick = min(tick, st.pending[0, P_TIME])
    if st.scalar[CROSSINGS] > 0:
        tick = min(tick, st.crossings[0, 0])
    tick = min(tick, st.scalar[TEST_NEXT])
    if streams is not None:
        before = tick
        if full is not None and st.scalar[WINDOW_NEXT] <= st.scalar[INPUT_END] + 1:
            before = min(before, st.scalar[WINDOW_NEXT])  # which may bring crossings
        tick = min(tick, pass_links(plan, st, settings, streams, before))
    if queues is not None:
        if is_stuck(st, tick):
            return tick
        tick = next_event_tick(st, queues, tick)
    if tick == NEVER and st.scalar[STOP_AT] == NEVER and st.scalar[LAST_TICK] < st.scalar[RUN_UNTIL]:
        return st.scalar[RUN_UNTIL]  # a run that nothing stops lasts as long as its input
    return tick


@inlined
def _is_real(st, settings, streams, queues, stimulus_time, now):
    """Whether more is due at a tick than crossings, which may turn out to be superseded: then nothing was.

    Nor is the end of a scan an event of the model.
    """
    if queues is not None and st.scalar[SCANS] > 0 and queues.event[0, P_TIME] == now:
        if st.scalar[INPUT_NEXT] < len(stimulus_time) and stimulus_time[st.scalar[INPUT_NEXT]] == now:
            return True
        return st.scalar[TEST_NEXT] == now
    if settings.step > 0 or st.scalar[CROSSINGS] == 0 or st.crossings[0, 0] != now:
        return True
    if st.scalar[INPUT_NEXT] < len(stimulus_time) and stimulus_time[st.scalar[INPUT_NEXT]] == now:
        return True
    if streams is not None and streams.server[streams.tree[1], AT] == now:
        return True
    return (st.scalar[PENDING] > 0 and st.pending[0, P_TIME] == now) or st.scalar[TEST_NEXT] == now


@inlined
def _open_windows(plan, st, upcoming, end):
    """Open the windows that begin at or before the upcoming tick, earliest first; whether there were any."""
    first = st.scalar[WINDOW_NEXT]
    # After the end one more opens, for neurons at threshold that are refractory beyond it.
    if first > min(upcoming, end + 1, st.scalar[STOP_AT]) or first == NEVER:
        return False
    following = np.int64(NEVER)
    for rank in range(len(plan.population)):
        live = st.rank[rank]
        if live[WINDOW_END] == first and st.scalar[STATUS] == RUNNING:
            if live[LEAK_NEXT] == first and first <= end:
                leak_charges(
                    plan.population[rank], live[BIAS_START], live[BIAS_LENGTH], st.charge, st.lost, st.quanta,
                    st.base, st.shift, first, end,
                )  # fmt: skip
                live[LEAK_NEXT] = first + plan.population[rank, LEAK_PERIOD]
            open_window(
                rank, plan.population[rank], live, st.charge, st.quanta, st.base, st.shift, st.delta,
                st.ready, st.candidate, st.crossings, st.flagged, st.scalar, first, end,
            )  # fmt: skip
        following = min(following, live[WINDOW_END])
    st.scalar[WINDOW_NEXT] = following
    return True


@inner
def _leak_all(population, rank_table, charge, lost, quanta, base, shift, now, end):
    """Bring every population's leaks up to a tick."""
    for rank in range(len(population)):
        if rank_table[rank, LEAK_NEXT] <= now:
            catch_up(population[rank], rank_table[rank], charge, lost, quanta, base, shift, now, end)


@inlined
def _test_all(plan, st, now):
    """Schedule a test of every neuron of the signed populations at this tick: the settle pass."""
    for rank in range(len(plan.population)):
        row = plan.population[rank]
        if row[KIND] == KIND_SIGNED:
            groups = row[SIZE] // row[GROUP]
            for g in range(groups):
                st.touched[row[TOUCH_OFFSET] + g] = 1
            st.rank[rank, TOUCHED_START] = 0
            st.rank[rank, TOUCHED_STOP] = groups
            st.rank[rank, TEST_DUE] = now
            st.scalar[TEST_NEXT] = now


@inlined
def _count(plan, st):
    count_log(
        plan.population, plan.destination, plan.keys, plan.fan_out, st.rank, st.emitted, st.counters, st.log,
        st.scalar,
    )  # fmt: skip


def _make_advance(sources):
    @kernel
    def advance(plan, st, settings, full, ideal, streams, queues, stimulus_time, stimulus_word):
        """Run until the sample ends or a buffer needs attention; the reason is in ``STATUS``.

        After ``DRAIN_LOG``, ``GROW_TRACE``, ``ASK_RULE`` and ``STEP_COMPUTED`` the run goes on where it was
        (call again);
        after another ``GROW_*`` the sample is started afresh with larger buffers.

        ``full`` None leaves out, when compiling, all that networks of signed neurons and readouts in the
        event schedule have no use for: they compile in about half the time. Of ``ideal`` (no
        accelerator), ``streams`` and ``queues`` two are None, and what is for them left out.
        """
        if sources == 0:
            return  # never: it makes the sources part of Numba's cache key
        s = st.scalar
        end = s[INPUT_END]
        s[STATUS] = RUNNING
        while s[STATUS] == RUNNING:
            now = _next_tick(plan, st, settings, full, streams, queues, stimulus_time)
            if full is not None:
                if _open_windows(plan, st, now, end):
                    continue
            if queues is not None:
                if is_stuck(st, now):
                    s[STATUS] = DEADLOCK
                    return
            settles = settings.settle_pass and s[SETTLED] == 0 and s[STOP_AT] > s[LAST_TICK]
            if now == NEVER and settles:
                # The settle pass shares the last tick; a decision that was out by then comes before it.
                fill_totals(
                    plan.energy, plan.chip, plan.population, st.rank, st.counters, st.trace, s,
                    s[LAST_TICK] + 1, end,
                )  # fmt: skip
                s[SETTLED] = 1
                _test_all(plan, st, s[LAST_TICK] + settings.step)
                continue
            if now != s[LAST_TICK]:
                if s[CHECKS] + 3 > len(st.trace):
                    s[STATUS] = GROW_TRACE
                    return
                if not write_log(plan, st, s[LAST_TICK]):
                    _count(plan, st)
                    s[COUNTED] = 0
                    s[STATUS] = DRAIN_LOG
                    return
            over = now == NEVER or now > s[STOP_AT]
            decided = s[STOP_AT] if s[EARLY] else s[LAST_TICK]
            if settings.history_period > 0:
                _count(plan, st)
                record_history(plan, st, settings, decided if over else now, end)
                if s[STATUS] != RUNNING:
                    return
            if over:
                _count(plan, st)
                if full is not None:
                    _leak_all(
                        plan.population, st.rank, st.charge, st.lost, st.quanta, st.base, st.shift, decided,
                        end,
                    )  # fmt: skip
                finish(plan, st, settings, end)
                if streams is not None and settings.log_service:
                    log_rest(st, streams, s[DECISION_TIME])
                if queues is not None and settings.log_service:
                    log_held(st, queues, s[DECISION_TIME])
                if s[STATUS] == RUNNING:
                    s[STATUS] = DONE
                return
            if s[FILLED] < s[CHECKS]:
                fill_totals(
                    plan.energy, plan.chip, plan.population, st.rank, st.counters, st.trace, s, now, end
                )
            before = s[LAST_TICK]
            real = _is_real(st, settings, streams, queues, stimulus_time, now)
            s[LAST_TICK] = now
            s[OUTPUT_CHANGED] = 0
            if ideal is not None:
                _run_tick(plan, st, settings, full, ideal, stimulus_time, stimulus_word, now)
            if streams is not None:
                first = now
                now = run_tick_streams(plan, st, settings, full, streams, stimulus_time, stimulus_word, first)
                real = real or now > first
            if queues is not None:
                if run_tick_queues(plan, st, settings, full, queues, stimulus_time, stimulus_word, now):
                    real = True
            if not real and s[HIGH_RANK] < 0:
                s[LAST_TICK] = before
            if settings.step > 0 and now == s[NEXT_STEP]:
                s[NEXT_STEP] = now + settings.step
            if s[OUTPUT_CHANGED] and s[STATUS] == RUNNING:
                check(plan, st, settings, now, end)
            if settings.played and s[STATUS] == RUNNING:
                s[STATUS] = STEP_COMPUTED

    return advance


# Numba's cache looks at this file's time stamp only, but other modules are compiled in.
advance = _make_advance(source_stamp())
