"""Max-pool gates: what they keep of each source neuron, and whom they let pass.

All gates on one core that see a source neuron have received the same of it, so what a gate keeps stands
once for each source neuron and copy of its spikes (``State.estimates``). A gate's window lists its
places there, sources ascending.
"""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.columns import (
    BAD_NEURON,
    BAD_RANK,
    CHARGE_LIMIT,
    EDGE_TARGETS,
    EDGES,
    EFFECTIVE_FAN_OUT,
    ESTIMATES,
    FACTOR,
    FAN_OUT,
    FILTER,
    FILTER_EXPONENTIAL,
    FILTER_FINITE_IMPULSE,
    GRADED,
    GROW_LISTS,
    KIND,
    KIND_EXACT_GATE,
    LIST_END,
    LIST_LIMIT,
    LIST_STOP,
    NEVER,
    OFFSET,
    OVERFLOW,
    PERIOD,
    RUNNING,
    SIZE,
    STATUS,
    TARGET,
    TEST_DUE,
    TOUCH_OFFSET,
    TOUCHED_START,
    TOUCHED_STOP,
    WINDOW_SOURCES,
    WINDOWS,
)
from eventsnn.engine.kernels.firing import append_spikes, payload_of, spike_word
from eventsnn.engine.kernels.leaks import leaked
from eventsnn.results.counters import COLUMN

SYNAPTIC_OPERATIONS = COLUMN["synaptic_operations"]
EFFECTIVE = COLUMN["effective_synaptic_operations"]
MULTIPLICATIONS = COLUMN["multiplications"]
COMPARES = COLUMN["compares"]

IMPULSE_BITS = 30  # of a spike at t <= period, finite impulse
SPIKE_BITS = 20  # of a spike, exponential
ESTIMATE_LIMIT = 2**61


@inner
def _decay(estimates, decays, at, row, now):
    """An estimate at a tick: one factor at each multiple of the period up to it."""
    due = now // row[PERIOD]
    while decays[at] < due:
        left = leaked(estimates[at], row[FACTOR])
        if left == estimates[at]:
            decays[at] = due
        else:
            estimates[at] = left
            decays[at] += 1


@inner
def _impulse(period, now):
    """floor(2^30 period / max(now, period)), bit by bit: the product may not fit."""
    if now <= period:
        return np.int64(1) << IMPULSE_BITS
    quotient, rest = np.int64(0), np.int64(period)
    for _ in range(IMPULSE_BITS):
        rest *= 2
        quotient *= 2
        if rest >= now:
            rest -= now
            quotient += 1
    return quotient


@inner
def _receive(estimates, decays, at, row, payload, now):
    """A spike raises, or lowers, what is kept of its source; whether that still fits."""
    if row[KIND] == KIND_EXACT_GATE:
        estimates[at] += payload
        return abs(estimates[at]) <= CHARGE_LIMIT
    if row[FILTER] == FILTER_FINITE_IMPULSE:
        estimates[at] += payload * _impulse(row[PERIOD], now)
    elif row[FILTER] == FILTER_EXPONENTIAL:
        _decay(estimates, decays, at, row, now)
        estimates[at] += payload << SPIKE_BITS
    else:
        estimates[at] += payload
    return abs(estimates[at]) <= ESTIMATE_LIMIT


@inner
def _winner(gate, row, edges, estimates, decays, now):
    """The place of the largest estimate of a window, ties to the lowest source."""
    best, most = np.int64(-1), np.int64(0)
    for w in range(edges[row[WINDOWS] + gate], edges[row[WINDOWS] + gate + 1]):
        at = edges[row[WINDOW_SOURCES] + w]
        if row[FILTER] == FILTER_EXPONENTIAL:
            _decay(estimates, decays, at, row, now)
        if best < 0 or estimates[at] > most:
            best, most = at, estimates[at]
    return best


@inner
def _compares(gate, row, edges):
    """Comparisons that one look at a gate's window takes."""
    return edges[row[WINDOWS] + gate + 1] - edges[row[WINDOWS] + gate] - 1


@inner
def deliver_gates(
    words, start, stop, to, row, live, edges, fan_out, estimates, decays, touched, emitted, lists, counters,
    scalar, counts_effective, now, step,
):  # fmt: skip
    """Deliver spikes to max gates; returns how many had a target.

    Exact gates note them. Gates of rates pass them on or not, in the step schedule once all are there.
    """
    exact = row[KIND] == KIND_EXACT_GATE
    delivered = np.int64(0)
    for s in range(start, stop):
        word = words[s]
        neuron, payload = word >> 32, payload_of(word)
        low, high = edges[to[EDGES] + neuron], edges[to[EDGES] + neuron + 1]
        if low == high:
            continue
        delivered += 1
        counters[SYNAPTIC_OPERATIONS] += high - low
        if counts_effective:
            counters[EFFECTIVE] += fan_out[to[FAN_OUT] + neuron, EFFECTIVE_FAN_OUT]
        if payload != 1 and payload != -1:
            counters[MULTIPLICATIONS] += high - low
        at = to[ESTIMATES] + neuron
        if not _receive(estimates, decays, at, row, payload, now):
            scalar[STATUS] = OVERFLOW
            scalar[BAD_RANK] = to[TARGET]
            scalar[BAD_NEURON] = edges[to[EDGE_TARGETS] + low]
            return delivered
        if not exact and step > 0:
            # Arrivals of this step wait at the far end of the gates' own list.
            if live[LIST_LIMIT] == live[LIST_STOP]:
                scalar[STATUS] = GROW_LISTS
                return delivered
            live[LIST_LIMIT] -= 1
            lists[live[LIST_LIMIT]] = spike_word(at, payload)
        for e in range(low, high):
            gate = edges[to[EDGE_TARGETS] + e]
            if exact or step > 0:
                touched[row[TOUCH_OFFSET] + gate] = 1
                live[TOUCHED_START] = min(live[TOUCHED_START], gate)
                live[TOUCHED_STOP] = max(live[TOUCHED_STOP], gate + 1)
                continue
            counters[COMPARES] += _compares(gate, row, edges)
            if _winner(gate, row, edges, estimates, decays, now) == at:
                emitted[row[OFFSET] + gate] += np.int32(payload)
                append_spikes(lists, live, scalar, gate, payload, 1)
        if scalar[STATUS] != RUNNING:
            return delivered
    return delivered


@inner
def test_gates(row, live, edges, estimates, emitted, touched, lists, counters, scalar):
    """Test the touched exact gates: each emits the change of its maximum since its last test."""
    live[TEST_DUE] = NEVER
    start, stop = live[TOUCHED_START], live[TOUCHED_STOP]
    live[TOUCHED_START], live[TOUCHED_STOP] = row[SIZE], 0
    for gate in range(start, stop):
        if touched[row[TOUCH_OFFSET] + gate] == 0:
            continue
        touched[row[TOUCH_OFFSET] + gate] = 0
        counters[COMPARES] += _compares(gate, row, edges)
        most = np.int64(0)
        for w in range(edges[row[WINDOWS] + gate], edges[row[WINDOWS] + gate + 1]):
            most = max(most, estimates[edges[row[WINDOW_SOURCES] + w]])
        payload = most - np.int64(emitted[row[OFFSET] + gate])
        emitted[row[OFFSET] + gate] = np.int32(most)
        if payload == 0:
            continue
        if row[GRADED]:
            append_spikes(lists, live, scalar, gate, payload, 1)
        else:
            append_spikes(lists, live, scalar, gate, 1 if payload > 0 else -1, abs(payload))


@inner
def step_gates(row, live, edges, estimates, decays, emitted, touched, lists, counters, scalar, now):
    """One step of gates of rates: each that was reached passes what its winner sent in this step."""
    start, stop = live[TOUCHED_START], live[TOUCHED_STOP]
    live[TOUCHED_START], live[TOUCHED_STOP] = row[SIZE], 0
    last, count = live[LIST_END] - 1, live[LIST_END] - live[LIST_LIMIT]
    for gate in range(start, stop):
        if touched[row[TOUCH_OFFSET] + gate] == 0:
            continue
        touched[row[TOUCH_OFFSET] + gate] = 0
        counters[COMPARES] += _compares(gate, row, edges)
        winner = _winner(gate, row, edges, estimates, decays, now)
        # Arrivals stand by source neuron, downwards from the list's end: the winner's first one.
        low, high = np.int64(0), count
        while low < high:
            middle = (low + high) >> 1
            if lists[last - middle] >> 32 < winner:
                low = middle + 1
            else:
                high = middle
        while low < count and lists[last - low] >> 32 == winner:
            payload = payload_of(lists[last - low])
            emitted[row[OFFSET] + gate] += np.int32(payload)
            append_spikes(lists, live, scalar, gate, payload, 1)
            low += 1
    if scalar[STATUS] == RUNNING:
        live[LIST_LIMIT] = live[LIST_END]
