"""The event loop of the compiled engine.

One call of ``advance`` runs a sample until it ends or needs its buffers looked at. Inside a tick,
populations are visited by rank: first their tests, crossings or inputs (class 0), then the deliveries
of their spikes (class 1), which is the order of law 2. Spikes emitted at a tick stand in one list per
rank. Those without a delay are delivered from the list; copies that travel wait in a binary heap.
"""

import numpy as np

from eventsnn.compilation import inlined, inner, kernel, source_stamp
from eventsnn.engine.columns import (
    ACTIVE,
    BIAS_LENGTH,
    BIAS_START,
    BIASED,
    CHECKS,
    COUNTED,
    CROSSINGS,
    DELIVERIES,
    DESTINATION_START,
    DESTINATION_STOP,
    DIRECT,
    DONE,
    DRAIN_LOG,
    EARLY,
    EVENT_LIMIT,
    FILLED,
    GROUP,
    GROW_TRACE,
    HIGH_RANK,
    INPUT_END,
    INPUT_NEXT,
    INTERLEAVED,
    KIND,
    KIND_EXACT_GATE,
    KIND_INPUT,
    KIND_RATE,
    KIND_RATE_GATE,
    KIND_READOUT,
    KIND_SIGNED,
    KIND_SOFTMAX,
    LAST_TICK,
    LEAK_NEXT,
    LEAK_PERIOD,
    LIST_DONE,
    LIST_STOP,
    LOW_RANK,
    NEVER,
    NEXT_STEP,
    OFFSET,
    ON_HARDWARE,
    OUTPUT_CHANGED,
    P_ORDINAL_DESTINATION,
    P_RANK_ORDER,
    P_TIME,
    P_WORD,
    PENDING,
    RUN_UNTIL,
    RUNNING,
    SETTLE,
    SETTLED,
    SIZE,
    STATUS,
    STEP_COMPUTED,
    STEPS_END,
    STOP_AT,
    TARGET,
    TARGET_KIND,
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
from eventsnn.engine.kernels.delivery import deliver_charge, deliver_rate
from eventsnn.engine.kernels.draws import seeded_order
from eventsnn.engine.kernels.firing import append_spikes, fire_rate, payload_of, step_rate, test_signed
from eventsnn.engine.kernels.gates import deliver_gates, step_gates, test_gates
from eventsnn.engine.kernels.heap import pop_crossing, pop_pending, push_pending
from eventsnn.engine.kernels.leaks import catch_up, leak_charges, leak_step, leaves_enough
from eventsnn.engine.kernels.log import count_log, write_log
from eventsnn.engine.kernels.messages import accept, occupy_cores, send
from eventsnn.engine.kernels.softmax import run_clock
from eventsnn.engine.kernels.sorting import ascending, sort_by_neuron
from eventsnn.engine.kernels.walks import mark_charged, mark_reached
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS
from eventsnn.results.counters import COLUMN

INPUT_EVENTS = COLUMN["input_events"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]
NEURON_UPDATES = COLUMN["neuron_updates"]
MESSAGES_RECEIVED = COLUMN["messages_received"]


@inlined
def _enter_input(st, rank, live, stimulus_time, stimulus_word, now):
    """Input events of this tick become spikes."""
    n = st.scalar[INPUT_NEXT]
    while n < len(stimulus_time) and stimulus_time[n] == now:
        word = stimulus_word[n]
        append_spikes(st.lists, live, st.scalar, word >> 32, payload_of(word), 1)
        n += 1
    st.scalar[INPUT_NEXT] = n


@inner
def _still_cross(count, row, live, flagged, charge, lost, quanta, base, shift, now, end):
    """Leaks are due before a crossing: without one that stands after them, nothing happens at its tick."""
    for q in range(count):
        if leaves_enough(flagged[q], row, live, charge, quanta, base, shift, now, end):
            catch_up(row, live, charge, lost, quanta, base, shift, now, end)
            return count
    return np.int64(0)


@inner
def _seeded_order(flagged, scratch, digits, count, offset, key, now, rank):
    """Neurons that stand in ascending order go by their seeded places."""
    for q in range(count):
        neuron = flagged[q] - offset
        flagged[q] = (seeded_order(key, now, rank, neuron) << 32) | neuron
    sort_by_neuron(flagged, 0, count, scratch, digits)
    for q in range(count):
        flagged[q] = offset + (flagged[q] & 0xFFFFFFFF)


@inlined
def _cross(plan, st, settings, rank, now, end):
    """Fire the neurons of this rank whose current takes them to threshold at this tick."""
    row, live = plan.population[rank], st.rank[rank]
    count = np.int64(0)
    while st.scalar[CROSSINGS] > 0:
        if st.crossings[0, 0] != now or (st.crossings[0, 1] >> NEURON_BITS) != rank:
            break
        j = row[OFFSET] + pop_crossing(st.crossings, st.scalar)
        if st.candidate[j] == now:  # else superseded by an earlier one
            st.candidate[j] = NEVER
            st.flagged[count] = j
            count += 1
    if live[LEAK_NEXT] <= now:
        count = _still_cross(
            count, row, live, st.flagged, st.charge, st.lost, st.quanta, st.base, st.shift, now, end
        )
    if settings.seeded and count > 1:
        _seeded_order(st.flagged, st.scratch, st.digits, count, row[OFFSET], settings.seed_key, now, rank)
    if count > 0:
        fired = fire_rate(
            st.flagged, count, rank, row, live, st.charge, st.emitted, st.quanta, st.base, st.shift, st.ready,
            st.lost, st.candidate, st.crossings, st.lists, st.scalar, settings.max_events, now, end,
            np.int64(0),
        )  # fmt: skip
        st.counters[rank, NEURON_UPDATES] += fired


@inlined
def _count_spikes(rank, row, live, lists, counters, scalar, output_rank):
    """Book the spikes this rank has emitted since it was last looked at."""
    first, stop = live[LIST_DONE], live[LIST_STOP]
    scalar[LOW_RANK], scalar[HIGH_RANK] = min(scalar[LOW_RANK], rank), max(scalar[HIGH_RANK], rank)
    if rank == output_rank:
        scalar[OUTPUT_CHANGED] = 1
    if row[KIND] == KIND_INPUT:
        counters[INPUT_EVENTS] += stop - first
        return
    positive = np.int64(0)
    for i in range(first, stop):
        positive += np.int64(payload_of(lists[i]) > 0)
    counters[SPIKES_POSITIVE] += positive
    counters[SPIKES_NEGATIVE] += stop - first - positive


@inlined
def _deliver(plan, st, settings, full, words, start, stop, d, from_log, now, end):
    """Land spikes of one source at one destination."""
    to = plan.destination[d]
    rank = to[TARGET]
    row, live, counters = plan.population[rank], st.rank[rank], st.counters[rank]
    kind = to[TARGET_KIND]
    if full is None:
        delivered = deliver_charge(
            words, start, stop, to, row, live, plan.cells, plan.edges, plan.weights, plan.fan_out, st.charge,
            st.touched, st.ready, st.lost, counters, st.scalar, not from_log, now,
        )  # fmt: skip
    else:
        if kind == KIND_RATE and settings.step == 0:
            if live[LEAK_NEXT] <= now:
                catch_up(row, live, st.charge, st.lost, st.quanta, st.base, st.shift, now, end)
            delivered = deliver_rate(
                words, start, stop, to, row, live, plan.cells, plan.edges, plan.weights, plan.fan_out,
                st.charge, st.emitted, st.quanta, st.base, st.shift, st.ready, st.lost, st.candidate,
                st.crossings, st.lists, st.flagged, counters, st.scalar, not from_log, settings.max_events,
                now, end,
            )  # fmt: skip
        elif kind == KIND_EXACT_GATE or kind == KIND_RATE_GATE:
            delivered = deliver_gates(
                words, start, stop, to, row, live, plan.edges, plan.fan_out, st.estimates, st.decays,
                st.touched, st.emitted, st.lists, counters, st.scalar, not from_log, now, settings.step,
            )  # fmt: skip
        else:
            delivered = deliver_charge(
                words, start, stop, to, row, live, plan.cells, plan.edges, plan.weights, plan.fan_out,
                st.charge, st.touched, st.ready, st.lost, counters, st.scalar, not from_log, now,
            )  # fmt: skip
            if delivered > 0:
                live[ACTIVE] = 1
    tested = kind == KIND_SIGNED or kind == KIND_EXACT_GATE
    if tested and delivered > 0 and live[TEST_DUE] == NEVER:
        live[TEST_DUE] = now + row[SETTLE]
        st.scalar[TEST_NEXT] = min(st.scalar[TEST_NEXT], live[TEST_DUE])
    if kind == KIND_READOUT and delivered > 0:
        st.scalar[OUTPUT_CHANGED] = 1
    st.scalar[DELIVERIES] += delivered
    if st.scalar[DELIVERIES] > settings.max_events and st.scalar[STATUS] == RUNNING:
        st.scalar[STATUS] = EVENT_LIMIT


@inlined
def _next_copy(plan, st, settings, rank, now):
    """The destination of the next copy of this rank's spikes that lands now, or -1.

    Its word is left in ``scratch[0]``. On an accelerator a message that arrives is served first.
    """
    while st.scalar[PENDING] > 0 and st.scalar[STATUS] == RUNNING:
        if st.pending[0, P_TIME] != now or (st.pending[0, P_RANK_ORDER] >> NEURON_BITS) != rank:
            return -1
        at = pop_pending(st.pending, st.scalar)
        word, key = st.pending[at, P_WORD], st.pending[at, P_ORDINAL_DESTINATION]
        order = st.pending[at, P_RANK_ORDER] & ((np.int64(1) << NEURON_BITS) - 1)
        d = (key >> 1) & ((np.int64(1) << DESTINATION_BITS) - 1)
        if plan.chip[ON_HARDWARE]:
            if key & 1 == 0:
                ordinal = key >> (DESTINATION_BITS + 1)
                landing = accept(plan, st, settings, rank, word >> 32, ordinal, d, now)
                if landing > now:
                    if settings.seeded:
                        order = seeded_order(settings.seed_key, landing, rank, word >> 32)
                    push_pending(st.pending, st.scalar, landing, rank, order, ordinal, d, 1, word)
                    continue
            st.counters[plan.destination[d, TARGET], MESSAGES_RECEIVED] += 1
        st.scratch[0] = word
        return d
    return -1


@inlined
def _hand_on(plan, st, settings, full, rank, now, end):
    """Deliver this rank's spikes of this tick, and the copies of earlier ones that land now.

    Returns the rank to go on with: a delivery along a cycle may wake an earlier one.
    """
    row, live = plan.population[rank], st.rank[rank]
    first, stop = live[LIST_DONE], live[LIST_STOP]
    if stop > first:
        _count_spikes(rank, row, live, st.lists, st.counters[rank], st.scalar, settings.output_rank)
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
            d = _next_copy(plan, st, settings, rank, now)
            if d < 0:
                return rank + 1
        _deliver(plan, st, settings, full, words, i, min(i + chunk, stop), d, row[DIRECT] != 0, now, end)
        target = plan.destination[d, TARGET]
        if target <= rank and settings.step == 0:
            woken = st.rank[target]
            if woken[LIST_STOP] > woken[LIST_DONE] or woken[TEST_DUE] == now:
                return target
        if row[DIRECT]:
            d += 1
    return rank + 1


@inlined
def _test_others(plan, st, settings, rank, row, live, kind, now, end):
    """Class 0 of the populations that are neither input nor signed."""
    if kind == KIND_EXACT_GATE:
        if live[TEST_DUE] == now:
            if plan.chip[ON_HARDWARE]:
                occupy_cores(plan, st, settings, rank, now)
            test_gates(
                row, live, plan.edges, st.estimates, st.emitted, st.touched, st.lists, st.counters[rank],
                st.scalar,
            )  # fmt: skip
    elif kind == KIND_RATE_GATE:
        if settings.step > 0:
            step_gates(
                row, live, plan.edges, st.estimates, st.decays, st.emitted, st.touched, st.lists,
                st.counters[rank], st.scalar, now,
            )  # fmt: skip
    elif kind == KIND_SOFTMAX:
        if live[TEST_DUE] == now or settings.step > 0:
            st.counters[rank, NEURON_UPDATES] += row[SIZE] * run_clock(
                rank, row, live, st.charge, st.emitted, st.quanta, st.flagged, plan.tables, st.lists,
                st.scalar, settings.seed_key, now, end, settings.step,
            )  # fmt: skip
    elif kind == KIND_READOUT:
        if settings.step > 0 and live[BIASED] > 0:
            st.scalar[OUTPUT_CHANGED] = 1
    elif kind == KIND_RATE and settings.step > 0:
        if st.scalar[NEXT_STEP] == now:
            st.counters[rank, NEURON_UPDATES] += row[SIZE]
            step_rate(
                rank, row, live, st.charge, st.emitted, st.quanta, st.base, st.shift, st.ready, st.lost,
                st.candidate, st.crossings, st.lists, st.flagged, st.scalar, settings.max_events, now,
                settings.step,
            )  # fmt: skip
    elif kind == KIND_RATE and st.scalar[CROSSINGS] > 0 and st.crossings[0, 0] == now:
        _cross(plan, st, settings, rank, now, end)


@inlined
def _run_tick(plan, st, settings, full, stimulus_time, stimulus_word, now):
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
        kind = row[KIND]
        if full is not None and settings.played and not landing:
            mark_reached(row, live, st.touched, st.active, now)
        if landing:
            pass
        elif kind == KIND_INPUT:
            _enter_input(st, rank, live, stimulus_time, stimulus_word, now)
        elif kind == KIND_SIGNED:
            if live[TEST_DUE] == now:
                if plan.chip[ON_HARDWARE]:
                    occupy_cores(plan, st, settings, rank, now)
                st.counters[rank, NEURON_UPDATES] += test_signed(
                    rank, row, live, st.charge, st.emitted, st.touched, st.lists, st.scalar,
                    st.scalar[SETTLED],
                )  # fmt: skip
        elif full is not None:
            _test_others(plan, st, settings, rank, row, live, kind, now, end)
        if live[LIST_STOP] > live[LIST_DONE] or (row[DIRECT] == 0 and st.scalar[PENDING] > 0):
            rank = _hand_on(plan, st, settings, full, rank, now, end)
        else:
            rank += 1
        if landing and rank == ranks:
            landing = False
            rank = np.int64(0)
    if tests or st.scalar[TEST_NEXT] <= now:
        st.scalar[TEST_NEXT] = NEVER
        for r in range(len(st.rank)):
            st.scalar[TEST_NEXT] = min(st.scalar[TEST_NEXT], st.rank[r, TEST_DUE])


@inlined
def _next_tick(st, settings, stimulus_time):
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
    if tick == NEVER and st.scalar[STOP_AT] == NEVER and st.scalar[LAST_TICK] < st.scalar[RUN_UNTIL]:
        return st.scalar[RUN_UNTIL]  # a run that nothing stops lasts as long as its input
    return tick


@inlined
def _is_real(st, settings, stimulus_time, now):
    """Whether more is due at a tick than crossings, which may turn out to be superseded: then nothing was."""
    if settings.step > 0 or st.scalar[CROSSINGS] == 0 or st.crossings[0, 0] != now:
        return True
    if st.scalar[INPUT_NEXT] < len(stimulus_time) and stimulus_time[st.scalar[INPUT_NEXT]] == now:
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
    def advance(plan, st, settings, full, stimulus_time, stimulus_word):
        """Run until the sample ends or a buffer needs attention; the reason is in ``STATUS``.

        After ``DRAIN_LOG``, ``GROW_TRACE`` and ``STEP_COMPUTED`` the run goes on where it was (call again);
        after another ``GROW_*`` the sample is started afresh with larger buffers.

        ``full`` None leaves out, when compiling, all that networks of signed neurons and readouts in the
        event schedule have no use for: they compile in about half the time.
        """
        if sources == 0:
            return  # never: it makes the sources part of Numba's cache key
        s = st.scalar
        end = s[INPUT_END]
        s[STATUS] = RUNNING
        while s[STATUS] == RUNNING:
            now = _next_tick(st, settings, stimulus_time)
            if full is not None:
                if _open_windows(plan, st, now, end):
                    continue
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
                s[STATUS] = DONE
                return
            if s[FILLED] < s[CHECKS]:
                fill_totals(
                    plan.energy, plan.chip, plan.population, st.rank, st.counters, st.trace, s, now, end
                )
            before = s[LAST_TICK]
            real = _is_real(st, settings, stimulus_time, now)
            s[LAST_TICK] = now
            s[OUTPUT_CHANGED] = 0
            _run_tick(plan, st, settings, full, stimulus_time, stimulus_word, now)
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
