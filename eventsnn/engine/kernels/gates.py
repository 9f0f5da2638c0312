"""Max-pool gates: what they keep of each source neuron, and whom they let pass.

All gates on one core that see a source neuron have received the same of it, so what a gate keeps stands
once for each source neuron and copy of its spikes (``State.estimates``). A gate's window lists its
places there, sources ascending.
"""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.firing import append_spikes, payload_of, spike_word
from eventsnn.engine.kernels.leaks import leaked
from eventsnn.engine.kernels.records import (
    CHARGE_LIMIT,
    FILTER_EXPONENTIAL,
    FILTER_FINITE_IMPULSE,
    GROW_LISTS,
    KIND_EXACT_GATE,
    NEVER,
    OVERFLOW,
    RUNNING,
)

SYNAPTIC_OPERATIONS = COLUMN["synaptic_operations"]
MULTIPLICATIONS = COLUMN["multiplications"]
COMPARES = COLUMN["compares"]

IMPULSE_BITS = 30  # of a spike at t <= period, finite impulse
SPIKE_BITS = 20  # of a spike, exponential
ESTIMATE_LIMIT = 2**61


@inner
def _decay(gates, at, row, now):
    """An estimate at a tick: one factor at each multiple of the period up to it."""
    estimates, decays, due = gates.estimates, gates.decays, now // row.period
    while decays[at] < due:
        left = leaked(estimates[at], row.factor)
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
def _receive(gates, at, row, payload, now):
    """A spike raises, or lowers, what is kept of its source; whether that still fits."""
    estimates = gates.estimates
    if row.kind == KIND_EXACT_GATE:
        estimates[at] += payload
        return abs(estimates[at]) <= CHARGE_LIMIT
    if row.filter == FILTER_FINITE_IMPULSE:
        estimates[at] += payload * _impulse(row.period, now)
    elif row.filter == FILTER_EXPONENTIAL:
        _decay(gates, at, row, now)
        estimates[at] += payload << SPIKE_BITS
    else:
        estimates[at] += payload
    return abs(estimates[at]) <= ESTIMATE_LIMIT


@inner
def _winner(gate, row, edges, gates, now):
    """The place of the largest estimate of a window, ties to the lowest source."""
    best, most = np.int64(-1), np.int64(0)
    for w in range(edges[row.windows + gate], edges[row.windows + gate + 1]):
        at = edges[row.window_sources + w]
        if row.filter == FILTER_EXPONENTIAL:
            _decay(gates, at, row, now)
        if best < 0 or gates.estimates[at] > most:
            best, most = at, gates.estimates[at]
    return best


@inner
def _compares(gate, row, edges):
    """Comparisons that one look at a gate's window takes."""
    return edges[row.windows + gate + 1] - edges[row.windows + gate] - 1


@inner
def deliver_gates(
    words, start, stop, to, row, live, edges, gates, neurons, lists, counters, scalar, now, step
):
    """Deliver spikes to max gates; returns how many had a target.

    Exact gates note them. Gates of rates pass them on or not, in the step schedule once all are there.
    """
    exact = row.kind == KIND_EXACT_GATE
    delivered = np.int64(0)
    for s in range(start, stop):
        word = words[s]
        neuron, payload = word >> 32, payload_of(word)
        low, high = edges[to.edges + neuron], edges[to.edges + neuron + 1]
        if low == high:
            continue
        delivered += 1
        counters[SYNAPTIC_OPERATIONS] += high - low
        if payload != 1 and payload != -1:
            counters[MULTIPLICATIONS] += high - low
        at = to.estimates + neuron
        if not _receive(gates, at, row, payload, now):
            scalar.status = OVERFLOW
            scalar.bad_rank = to.target
            scalar.bad_neuron = edges[to.edge_targets + low]
            return delivered
        if not exact and step > 0:
            # Arrivals of this step wait at the far end of the gates' own list.
            if live.list_limit == live.list_stop:
                scalar.status = GROW_LISTS
                return delivered
            live.list_limit -= 1
            lists[live.list_limit] = spike_word(at, payload)
        for e in range(low, high):
            gate = edges[to.edge_targets + e]
            if exact or step > 0:
                neurons.touched[row.touch_offset + gate] = 1
                live.touched_start = min(live.touched_start, gate)
                live.touched_stop = max(live.touched_stop, gate + 1)
                continue
            counters[COMPARES] += _compares(gate, row, edges)
            if _winner(gate, row, edges, gates, now) == at:
                neurons.emitted[row.offset + gate] += np.int32(payload)
                append_spikes(lists, live, scalar, gate, payload, 1)
        if scalar.status != RUNNING:
            return delivered
    return delivered


@inner
def test_gates(row, live, edges, estimates, neurons, lists, counters, scalar):
    """Test the touched exact gates: each emits the change of its maximum since its last test.

    Corrections that overtake what they correct leave a sum below any count; it is not passed on.
    """
    emitted, touched = neurons.emitted, neurons.touched
    live.test_due = NEVER
    start, stop = live.touched_start, live.touched_stop
    live.touched_start, live.touched_stop = row.neurons, 0
    for gate in range(start, stop):
        if touched[row.touch_offset + gate] == 0:
            continue
        touched[row.touch_offset + gate] = 0
        counters[COMPARES] += _compares(gate, row, edges)
        most = np.int64(row.lowest)
        for w in range(edges[row.windows + gate], edges[row.windows + gate + 1]):
            most = max(most, estimates[edges[row.window_sources + w]])
        payload = most - np.int64(emitted[row.offset + gate])
        emitted[row.offset + gate] = np.int32(most)
        if payload == 0:
            continue
        if row.graded:
            append_spikes(lists, live, scalar, gate, payload, 1)
        else:
            append_spikes(lists, live, scalar, gate, 1 if payload > 0 else -1, abs(payload))


@inner
def step_gates(row, live, edges, gates, neurons, lists, counters, scalar, now):
    """One step of gates of rates: each that was reached passes what its winner sent in this step."""
    emitted, touched = neurons.emitted, neurons.touched
    start, stop = live.touched_start, live.touched_stop
    live.touched_start, live.touched_stop = row.neurons, 0
    last, count = live.list_end - 1, live.list_end - live.list_limit
    for gate in range(start, stop):
        if touched[row.touch_offset + gate] == 0:
            continue
        touched[row.touch_offset + gate] = 0
        counters[COMPARES] += _compares(gate, row, edges)
        winner = _winner(gate, row, edges, gates, now)
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
            emitted[row.offset + gate] += np.int32(payload)
            append_spikes(lists, live, scalar, gate, payload, 1)
            low += 1
    if scalar.status == RUNNING:
        live.list_limit = live.list_end
