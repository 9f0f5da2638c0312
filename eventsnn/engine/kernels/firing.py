"""Tests that make neurons fire: rate neurons at a delivery or a crossing, signed ones once per tick."""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.kernels.currents import close_early, consider_crossing, floor_share, sweep
from eventsnn.engine.kernels.lanes import BLOCK, SHORT_BLOCK, asked, asked_short, first_lane
from eventsnn.engine.kernels.records import (
    CHARGE_LIMIT,
    EVENT_LIMIT,
    GROW_LISTS,
    LOST_CLAMP,
    LOST_RESET,
    NEVER,
    RUNNING,
)
from eventsnn.engine.kernels.rows import add_row, clamp_row, gather_flagged


@inner
def held_clamp(row):
    """The lower clamp of charges held less their shift; one below 32 bits is never reached."""
    return np.int32(max(row.clamp - row.threshold - row.strict, -CHARGE_LIMIT - 1))


@inner
def spike_word(neuron, payload):
    """A spike in one word: neuron above, payload below."""
    return (np.int64(neuron) << 32) | (np.int64(payload) & 0xFFFFFFFF)


@inner
def payload_of(word):
    """The payload of a spike word."""
    return np.int64(np.int32(word & 0xFFFFFFFF))


@inner
def append_spikes(lists, live, scalar, neuron, payload, copies):
    """Add equal spikes to the end of a rank's list of this tick."""
    n = live.list_stop
    if n + copies > live.list_limit:
        scalar.status = GROW_LISTS
        return
    word = spike_word(neuron, payload)
    for i in range(copies):
        lists[n + i] = word
    live.list_stop = n + copies


@inner
def fire_rate(count, rank, row, live, neurons, currents, firing, scalar, max_events, now, end, step):
    """Look exactly at so many flagged rate neurons, in ascending order; returns how many fired.

    One that a spike left flagged without raising its charge (its index complemented) was flagged before:
    its crossing is queued already, early if anything.

    In the step schedule (``step`` above 0) currents are in the charges already and nothing is queued.
    """
    charge, ready, flagged = neurons.charge, neurons.ready, firing.flagged
    offset, threshold, strict = row.offset, row.threshold, row.strict
    first, length = live.bias_start, live.bias_length if step == 0 else np.int64(0)
    refractory, period = row.refractory, max(row.period, np.int64(1))
    whole = min(now, end) // period
    part = min(now, end) - whole * period
    share = part / period
    fired = np.int64(0)
    for q in range(count):
        j = flagged[q]
        rising = j >= 0
        if not rising:
            j = ~j
        rest = threshold + strict
        current = sofar = before = free = np.int64(0)
        if length > 0:
            c = first + np.int64(np.uint32(j - offset) % np.uint32(length))
            rest = np.int64(currents.shift[c])
            current, before = np.int64(currents.quanta[c]), currents.base[c]
            if current != 0:
                sofar = floor_share(current, whole, part, share, period) - before
        value = np.int64(charge[j]) + rest + sofar
        if refractory > 0:
            free = ready[j]
        if value >= threshold + strict and now >= free:
            spikes = np.int64(1)
            if row.hard:
                neurons.lost[LOST_RESET, j] += value - threshold
                value = np.int64(0)
            else:
                if row.multispike and refractory == 0 and value >= 2 * threshold + strict:
                    spikes = (value - strict) // threshold
                    if spikes > max_events:
                        scalar.status = EVENT_LIMIT
                        return fired
                value -= spikes * threshold
            charge[j] = np.int32(value - rest - sofar)
            if live.counted_at_once:
                neurons.emitted[j] += np.int32(spikes)
            append_spikes(firing.lists, live, scalar, j - offset, 1, spikes)
            fired += 1
            if refractory > 0:
                free = now + refractory
                ready[j] = free
            rising = True
        else:
            live.false_flags += 1
        if rising and step == 0 and (length > 0 or refractory > 0) and charge[j] >= 0:
            consider_crossing(
                value - sofar, current, before, sofar, free, row, live, j, rank,
                neurons.candidate, firing.crossings, scalar, now, end,
            )  # fmt: skip
    if length > 0:
        close_early(row, live, scalar, now)
    return fired


@inner
def _emit_signed(j, row, live, neurons, lists, scalar):
    """A signed neuron emits what it is asked for."""
    value, count = np.int64(neurons.charge[j]), np.int64(neurons.emitted[j])
    payload = min(max(count + value // row.threshold, row.lowest), row.levels) - count
    if payload == 0:
        return
    neurons.charge[j] = np.int32(value - payload * row.threshold)
    neurons.emitted[j] = np.int32(count + payload)
    if row.graded:
        append_spikes(lists, live, scalar, j - row.offset, payload, 1)
    else:
        append_spikes(lists, live, scalar, j - row.offset, 1 if payload > 0 else -1, abs(payload))


@inner
def _test_block(a, b, lower, upper, lowest, levels, row, live, neurons, lists, scalar):
    """Test the neurons a to b, vectors of them at once: only those that are asked are looked at."""
    x, stop = np.uint64(a), np.uint64(b)
    while x < stop:
        width = np.uint64(1)
        if x + np.uint64(BLOCK) <= stop:
            width = np.uint64(BLOCK)
            mask = asked(neurons.charge, neurons.emitted, x, lower, upper, lowest, levels)
        elif x + np.uint64(SHORT_BLOCK) <= stop:
            width = np.uint64(SHORT_BLOCK)
            mask = asked_short(neurons.charge, neurons.emitted, x, lower, upper, lowest, levels)
        else:
            up = neurons.charge[x] >= upper and neurons.emitted[x] < levels
            mask = np.uint64(up or (neurons.charge[x] < lower and neurons.emitted[x] > lowest))
        while mask != 0:
            _emit_signed(np.int64(x + first_lane(mask)), row, live, neurons, lists, scalar)
            mask &= mask - np.uint64(1)
        x += width


@inner
def test_signed(row, live, neurons, lists, scalar, settled):
    """Test the touched neurons of a signed population (law 9); returns how many were tested.

    Marks are kept per group of neurons that are always delivered to together. Untouched neurons inside
    a block are tested too: a test that nothing preceded asks for nothing, so only touched ones count.
    """
    touched, offset, group, marks = neurons.touched, row.offset, row.group, row.touch_offset
    live.test_due = NEVER
    lower, upper = np.int32(0), np.int32(row.threshold)
    lowest, levels = np.int32(row.lowest), np.int32(row.levels)
    if not settled:
        lower = np.int32(-row.hysteresis_low)
        upper = np.int32(row.threshold + row.hysteresis_high)
    start, stop = live.touched_start, live.touched_stop
    live.touched_start, live.touched_stop = row.neurons, 0
    groups_a_block = max(np.int64(1), BLOCK // group)
    tested = np.int64(0)
    for g in range(start, stop, groups_a_block):
        h = min(g + groups_a_block, stop)
        marked = np.int64(0)
        for i in range(marks + g, marks + h):
            marked += touched[i]
            touched[i] = 0
        if marked == 0:
            continue
        tested += marked * group
        a, b = offset + g * group, offset + h * group
        _test_block(a, b, lower, upper, lowest, levels, row, live, neurons, lists, scalar)
    return tested


@inner
def step_rate(rank, row, live, neurons, currents, firing, scalar, max_events, now, step, tested):
    """One step of a rate population that has leaked and received (law 8): bias, test, reset, clamp.

    ``tested``: whether this step is a test, or one between two.
    """
    charge, offset, size, length = neurons.charge, row.offset, row.neurons, live.bias_length
    if length == 0 and live.active == 0:
        return
    if length > 0:
        if live.headroom < live.window_charge:
            sweep(charge, row, live, scalar, rank, live.window_charge)
            if scalar.status != RUNNING:
                return
        live.headroom -= live.window_charge
        for a in range(offset, offset + size, length):
            add_row(charge, currents.quanta, a, live.bias_start, length, 1)
    if not tested:
        return
    count = gather_flagged(charge, offset, size, firing.flagged, 0)
    fire_rate(count, rank, row, live, neurons, currents, firing, scalar, max_events, now, now, step)
    if row.clamped:
        clamp_row(charge, neurons.lost, LOST_CLAMP, offset, size, held_clamp(row))
    # A neuron that emitted one spike may hold enough for the next step's; a refractory one, too.
    live.active = np.int64(count > 0)
