"""What waits in the engine comes out by law 2: crossings of the calendar, copies of spikes that travel."""

import numpy as np
import pytest
from numba import njit
from sortedcontainers import SortedList

from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.crossings import BUCKETS, fit_buckets, next_crossing, pop_crossing, push_crossing
from eventsnn.engine.kernels.pending import pop_pending, push_pending

PUSH, ADVANCE, FIT = range(3)
NEURONS = 40
OPERATIONS = 400


@njit
def play_crossings(queue, scalar, candidate, operations, popped):
    """Push, advance and fit as told; returns how many crossings came, as (tick, neuron) in ``popped``."""
    now, count = 0, 0
    for operation in range(len(operations)):
        what, ticks, neuron = operations[operation]
        if what == PUSH:
            if now + ticks < candidate[neuron]:
                candidate[neuron] = now + ticks
                push_crossing(queue, scalar, now + ticks, 3, neuron, neuron, now)
        elif what == ADVANCE:
            until = now + ticks
            tick = next_crossing(queue, scalar, candidate, until)
            while tick <= until:
                neuron = pop_crossing(queue, scalar)
                if candidate[neuron] == tick:
                    candidate[neuron] = k.NEVER
                    popped[count, 0], popped[count, 1] = tick, neuron
                    count += 1
                tick = next_crossing(queue, scalar, candidate, until)
            now = until
        else:
            fit_buckets(queue, scalar, ticks)
    return count


def crossings_by_hand(operations):
    """The same with a sorted list."""
    now, waiting, earliest, popped = 0, SortedList(), {}, []
    for what, ticks, neuron in operations.tolist():
        if what == PUSH and now + ticks < earliest.get(neuron, k.NEVER):
            if neuron in earliest:
                waiting.remove((earliest[neuron], neuron))
            earliest[neuron] = now + ticks
            waiting.add((now + ticks, neuron))
        elif what == ADVANCE:
            now += ticks
            while waiting and waiting[0][0] <= now:
                popped.append(waiting.pop(0))
                del earliest[popped[-1][1]]
    return popped


@pytest.mark.parametrize("reach", [3, 1000, 10**6, 2**40])
@pytest.mark.parametrize("seed", range(8))
def test_crossings_come_in_order_however_far_ahead_and_however_long_buckets_are(seed, reach):
    draw = np.random.default_rng([seed, reach])
    operations = np.empty((OPERATIONS, 3), dtype=np.int64)
    operations[:, 0] = draw.choice(3, OPERATIONS, p=[0.8, 0.15, 0.05])
    # As many near as far: what is far has buckets of its own.
    operations[:, 1] = (reach ** draw.random(OPERATIONS)).astype(np.int64) - (draw.random(OPERATIONS) < 0.2)
    operations[:, 2] = draw.integers(NEURONS, size=OPERATIONS)
    operations[-1] = ADVANCE, 2 * reach, 0
    queue = k.records(k.CROSSING, 4 * BUCKETS)
    scalar = k.record(k.SCALARS)
    scalar.calendar_at = -1
    popped = np.zeros((OPERATIONS, 2), dtype=np.int64)
    candidate = np.full(NEURONS, k.NEVER)
    count = play_crossings(queue, scalar, candidate, operations, popped)
    expected = crossings_by_hand(operations)
    assert len(expected) > 30
    assert popped[:count].tolist() == [list(pair) for pair in expected]
    assert scalar.crossings == scalar.later == 0
    assert scalar.status == k.RUNNING


def test_a_full_calendar_asks_for_room():
    queue, scalar = k.records(k.CROSSING, 2 * BUCKETS), k.record(k.SCALARS)
    scalar.calendar_at = -1
    operations = np.array([(PUSH, 10 + n, n) for n in range(2 * BUCKETS + 1)], dtype=np.int64)
    candidate = np.full(len(operations), k.NEVER)
    play_crossings(queue, scalar, candidate, operations, np.zeros((1, 2), dtype=np.int64))
    assert scalar.status == k.GROW_HEAP


@njit
def play_pending(rows, scalar, times, words, popped, lead):
    """Push copies in turn and, from one on, pop one after each; then the rest. Returns how many came."""
    count = 0
    for copy in range(len(times)):
        push_pending(rows, scalar, times[copy], 2, words[copy] >> 32, copy, 5, words[copy])
        if copy >= lead:
            popped[count] = rows[pop_pending(rows, scalar)].word
            count += 1
    while scalar.pending > 0:
        popped[count] = rows[pop_pending(rows, scalar)].word
        count += 1
    return count


@pytest.mark.parametrize("delays", [[50], [1, 50], [50, 50, 50, 2], list(range(1, 80))])
@pytest.mark.parametrize("seed", range(4))
def test_copies_land_in_order_whether_delays_are_alike_or_not(seed, delays):
    draw = np.random.default_rng([seed, len(delays)])
    count = 300
    sent = np.sort(draw.integers(100, size=count))
    times, neurons = sent + draw.choice(delays, count), draw.integers(9, size=count)
    words = (neurons << 32) | np.arange(count)  # each word alone
    rows, scalar = k.records(k.PENDING, 512), k.record(k.SCALARS)
    popped = np.zeros(count, dtype=np.int64)
    assert play_pending(rows, scalar, times, words, popped, 100) == count
    waiting, expected = SortedList(), []
    for copy in range(count):
        waiting.add((int(times[copy]), int(neurons[copy]), copy))
        if copy >= 100:
            expected.append(waiting.pop(0)[2])
    expected += [copy for *_, copy in waiting]
    assert (popped & 0xFFFFFFFF).tolist() == expected
    assert scalar.status == k.RUNNING


def test_the_queue_of_copies_goes_round_in_little_room():
    rows, scalar = k.records(k.PENDING, 16), k.record(k.SCALARS)
    times, words = np.arange(2000) + 7, np.arange(2000)
    popped = np.zeros(2000, dtype=np.int64)
    assert play_pending(rows, scalar, times, words, popped, 4) == 2000
    assert popped.tolist() == list(range(2000))
    assert scalar.status == k.RUNNING


def test_full_rows_ask_for_room():
    rows, scalar = k.records(k.PENDING, 16), k.record(k.SCALARS)
    times, words = np.arange(20) + 7, np.arange(20)
    play_pending(rows, scalar, times, words, np.zeros(20, dtype=np.int64), 20)
    assert scalar.status == k.GROW_HEAP
