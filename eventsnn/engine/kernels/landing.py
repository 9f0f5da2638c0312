"""Spikes land: counting them when they are emitted, delivering them by kind of target."""

import numpy as np

from eventsnn.compilation import inlined
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.delivery import deliver_charge, deliver_rate
from eventsnn.engine.kernels.firing import payload_of
from eventsnn.engine.kernels.gates import deliver_gates
from eventsnn.engine.kernels.leaks import catch_up
from eventsnn.engine.kernels.records import (
    EVENT_LIMIT,
    KIND_EXACT_GATE,
    KIND_INPUT,
    KIND_RATE,
    KIND_RATE_GATE,
    KIND_READOUT,
    KIND_SIGNED,
    NEVER,
    RUNNING,
)

INPUT_EVENTS = COLUMN["input_events"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]
SYNAPTIC_OPERATIONS = COLUMN["synaptic_operations"]
EFFECTIVE = COLUMN["effective_synaptic_operations"]
MULTIPLICATIONS = COLUMN["multiplications"]
NEURON_UPDATES = COLUMN["neuron_updates"]


@inlined
def count_spikes(rank, row, live, lists, counters, scalar, output_rank):
    """Book the spikes this rank has emitted since it was last looked at."""
    first, stop = live.list_done, live.list_stop
    scalar.low_rank, scalar.high_rank = min(scalar.low_rank, rank), max(scalar.high_rank, rank)
    if rank == output_rank:
        scalar.output_changed = 1
    if row.kind == KIND_INPUT:
        counters[INPUT_EVENTS] += stop - first
        return
    positive = np.int64(0)
    for i in range(first, stop):
        positive += np.int64(payload_of(lists[i]) > 0)
    counters[SPIKES_POSITIVE] += positive
    counters[SPIKES_NEGATIVE] += stop - first - positive


@inlined
def _charge(plan, st, weights, words, start, stop, to, row, live, counters, now):
    """Land spikes on neurons that only collect charge."""
    return deliver_charge(
        words, start, stop, to, row, live, plan.synapses, weights, st.neurons, counters, st.scalar, now
    )


@inlined
def _fire(plan, st, settings, weights, words, start, stop, to, row, live, counters, now, end):
    """Land spikes on rate neurons of the event schedule."""
    return deliver_rate(
        words, start, stop, to, row, live, plan.synapses, weights, st.neurons, st.currents, st.firing,
        counters, st.scalar, settings.max_events, now, end,
    )  # fmt: skip


@inlined
def deliver(plan, st, settings, full, events, special, words, start, stop, d, from_log, now, end):
    """Land spikes of one source at one destination."""
    to = plan.destination[d]
    rank = to.target
    row, live, counters = plan.population[rank], st.rank[rank], st.counters[rank]
    kind = to.target_kind
    if full is not None:
        # A step takes what comes in it at the tick at which it ends.
        if now < row.start_time + np.int64(settings.step > 0):
            return  # the voltage clamp: dropped, and no operation
    narrow, wide = plan.synapses.narrow, plan.synapses.weights
    charges = full is None
    if full is not None:
        if events is not None:
            if live.leak_next <= now:
                catch_up(plan.factors, rank, row, live, st.neurons, st.currents, st.scalar, now, end)
        if events is not None and kind == KIND_RATE and settings.step == 0:
            if to.is_narrow:
                delivered = _fire(
                    plan, st, settings, narrow, words, start, stop, to, row, live, counters, now, end
                )
            else:
                delivered = _fire(
                    plan, st, settings, wide, words, start, stop, to, row, live, counters, now, end
                )
        elif special is not None and (kind == KIND_EXACT_GATE or kind == KIND_RATE_GATE):
            delivered = deliver_gates(
                words, start, stop, to, row, live, plan.synapses.edges, st.gates, st.neurons,
                st.firing.lists, counters, st.scalar, now, settings.step,
            )  # fmt: skip
        else:
            charges = True
    if charges:
        if to.is_narrow:
            delivered = _charge(plan, st, narrow, words, start, stop, to, row, live, counters, now)
        else:
            delivered = _charge(plan, st, wide, words, start, stop, to, row, live, counters, now)
        if full is not None and delivered > 0:
            live.active = 1
    if full is not None and from_log and row.start_time > 0:  # the log does not tell what was dropped
        for i in range(start, stop):
            counters[EFFECTIVE] += plan.fan_out[to.fan_out + (words[i] >> 32)].effective
    if not from_log and delivered > 0:  # one spike, whose copy travelled
        counters[EFFECTIVE] += plan.fan_out[to.fan_out + (words[start] >> 32)].effective
    tested = kind == KIND_SIGNED or kind == KIND_EXACT_GATE
    if tested and delivered > 0 and live.test_due == NEVER:
        live.test_due = now + row.settle_time
        st.scalar.test_next = min(st.scalar.test_next, live.test_due)
    if kind == KIND_READOUT and delivered > 0 and (settings.step > 0 or row.synaptic == 0):
        st.scalar.output_changed = 1
    st.scalar.deliveries += delivered
    if st.scalar.deliveries > settings.max_events and st.scalar.status == RUNNING:
        st.scalar.status = EVENT_LIMIT


@inlined
def deliver_message(plan, st, settings, full, d, now, end):
    """Land the message whose word is in ``scratch[0]``, and count it where it lands."""
    done, counters = st.parts[plan.destination[d].target_part], st.counters[plan.destination[d].target]
    operations, effective = counters[SYNAPTIC_OPERATIONS], counters[EFFECTIVE]
    graded, updates = counters[MULTIPLICATIONS], counters[NEURON_UPDATES]
    deliver(plan, st, settings, full, 1, full, st.scratch, np.int64(0), np.int64(1), d, False, now, end)
    done[SYNAPTIC_OPERATIONS] += counters[SYNAPTIC_OPERATIONS] - operations
    done[EFFECTIVE] += counters[EFFECTIVE] - effective
    done[MULTIPLICATIONS] += counters[MULTIPLICATIONS] - graded
    done[NEURON_UPDATES] += counters[NEURON_UPDATES] - updates


@inlined
def next_test(st):
    """Note when the next test of any population is due."""
    st.scalar.test_next = NEVER
    for r in range(len(st.rank)):
        st.scalar.test_next = min(st.scalar.test_next, st.rank[r].test_due)
