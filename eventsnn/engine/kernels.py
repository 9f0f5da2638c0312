"""The compiled event engine: arrays and scalars only.

One call of ``advance`` runs a sample until it ends or needs its buffers looked at. Inside a tick,
populations are visited by rank: first their tests, crossings or inputs (class 0), then the deliveries
of the spikes they emitted (class 1), which is the order of law 2. With zero delays and no accelerator
spikes wait in one list per rank; otherwise every copy waits in a binary heap.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.compilation import inlined, inner, kernel, source_stamp
from eventsnn.decide.kernels import RULE_NONE, confidence, winner
from eventsnn.engine.order import DESTINATION_BITS, NEURON_BITS
from eventsnn.engine.plan import (
    BIASED_NEURONS,
    BLOCK,
    C0,
    C1,
    CLAMP,
    CLAMPED,
    CORE,
    CURRENT,
    DELAY,
    DESTINATION_START,
    DESTINATION_STOP,
    DIRECT,
    EFFECTIVE_FAN_OUT,
    FAN_OUT,
    FULL_FAN_OUT,
    GRADED,
    HARD,
    HAS_CURRENT,
    HYSTERESIS_HIGH,
    HYSTERESIS_LOW,
    IN_GROUP,
    IS_DENSE,
    KIND,
    KIND_INPUT,
    KIND_RATE,
    KIND_READOUT,
    KIND_SIGNED,
    LARGEST_WEIGHT,
    LEVELS,
    MERGED,
    MULTISPIKE,
    OFFSET,
    ON_HARDWARE,
    OUT_GROUP,
    PART,
    PART_START,
    PART_STOP,
    PERIOD,
    PHASES,
    PHASES_X,
    SETTLE,
    SIZE,
    SOURCE_C,
    SOURCE_X,
    STEP_X,
    STEP_Y,
    STRICT,
    T_DECISION,
    T_DECODE,
    T_FIRE,
    T_HOP_X,
    T_HOP_Y,
    T_INPUT,
    T_LANES,
    T_SERIALISE,
    T_SYNAPSE,
    T_UPDATE,
    TABLE_X,
    TABLE_Y,
    TARGET,
    TARGET_C,
    TARGET_CLAMPED,
    TARGET_KIND,
    TARGET_X,
    TEST_AT_START,
    THRESHOLD,
    WEIGHTS,
    Y0,
    Y1,
)  # fmt: skip
from eventsnn.results.counters import COLUMN

INPUT_EVENTS = COLUMN["input_events"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]
SYNAPTIC_OPERATIONS = COLUMN["synaptic_operations"]
EFFECTIVE = COLUMN["effective_synaptic_operations"]
MULTIPLICATIONS = COLUMN["multiplications"]
NEURON_UPDATES = COLUMN["neuron_updates"]
CURRENT_UPDATES = COLUMN["current_updates"]
DECISION_OPERATIONS = COLUMN["decision_operations"]
MESSAGES_SENT = COLUMN["messages_sent"]
HOPS_X = COLUMN["hops_x"]
HOPS_Y = COLUMN["hops_y"]
MESSAGES_RECEIVED = COLUMN["messages_received"]

NEVER = np.int64(2**63 - 1)
# Typed constants: a literal argument would make Numba compile the callee twice.
ZERO = np.int64(0)
ONE = np.int64(1)
CHARGE_LIMIT = 2**31 - 1
BLOCK_LANES = 64

# What advance() came back for.
RUNNING, DONE, DRAIN_SPIKES, GROW_TRACE, GROW_SPIKES, GROW_HEAP, GROW_SERVICE, OVERFLOW, EVENT_LIMIT = range(
    9
)

# Places in State.scalar.
(
    STATUS, STARTED, INPUT_NEXT, SPIKES, PENDING, CROSSINGS, CHECKS, FILLED, SERVICES, DELIVERIES,
    LAST_TICK, SETTLED, STOP_AT, PREDICTION, DECISION_TIME, EARLY, OUTPUT_CHANGED, WINDOW_START,
    WINDOW_END, BAD_RANK, BAD_NEURON, INPUT_END, SCALARS,
) = range(23)  # fmt: skip

# Columns of State.neuron, State.rank, State.core and State.part.
ORDINAL, LOST_RESET, LOST_CLAMP, CANDIDATE, NEURON_COLUMNS = range(5)
(
    TOUCHED_START, TOUCHED_STOP, TEST_DUE, BUDGET, LIST_HEAD, LIST_TAIL, LIST_LENGTH, WINDOW_CHARGE,
    RANK_COLUMNS,
) = range(9)  # fmt: skip
SERIALISER_BUSY, CORE_BUSY, CORE_COLUMNS = range(3)
PART_TESTED, PART_READY, PART_COLUMNS = range(3)

# Columns of State.pending: a binary heap ordered by the first three.
P_TIME, P_RANK_NEURON, P_ORDINAL_DESTINATION, P_PAYLOAD = range(4)

# Columns of State.service, as contract.SERVICE_FIELDS.
SERIALISED, DELIVERED, TESTED = range(3)


class Settings(NamedTuple):
    """Scalars of one run: exit rule, output scale, limits."""

    rule: int
    rule_threshold: float
    output_rank: int
    output_scale: float
    seed_key: np.uint64
    max_events: int
    first_event: int
    window: int
    settle_pass: bool
    log_service: bool


class State(NamedTuple):
    """All that changes during a sample, created for it. Neurons are numbered flat over ranks.

    Few arrays with named columns rather than many: every array of a tuple is passed to every kernel,
    and the time to compile grows with their number.
    """

    charge: NDArray[np.int32]  # (neurons,)
    emitted: NDArray[np.int32]  # (neurons,) initial count and summed payloads
    touched: NDArray[np.uint8]  # (neurons,) delivered to since the last test
    limit: NDArray[np.int32]  # (neurons,) charge from which a rate neuron needs a look
    neuron: NDArray[np.int64]  # (neurons, NEURON_COLUMNS)
    rank: NDArray[np.int64]  # (ranks, RANK_COLUMNS)
    counters: NDArray[np.int64]  # (ranks, counters)
    spikes: NDArray[np.int64]  # (capacity, 5): time, rank, neuron, payload, next in the rank's list
    order: NDArray[np.int64]  # (2, capacity) scratch for sorting a rank's list
    pending: NDArray[np.int64]  # (capacity, 4)
    crossings: NDArray[np.int64]  # (capacity, 3)
    trace: NDArray[np.int64]  # (capacity, 4): time, synaptic operations, spikes, energy
    trace_readout: NDArray[np.int64]  # (capacity, classes)
    core: NDArray[np.int64]  # (cores + 1, CORE_COLUMNS); row 0 is the input port
    part: NDArray[np.int64]  # (parts, PART_COLUMNS)
    service: NDArray[np.int64]  # (capacity, 7)
    scalar: NDArray[np.int64]  # (SCALARS,)


# -- pending events: a binary heap on (time, rank and neuron, ordinal and destination) ---------------


@inner
def _before(heap, i, j):
    """Whether entry i comes before entry j in the order of law 2."""
    if heap[i, 0] != heap[j, 0]:
        return heap[i, 0] < heap[j, 0]
    if heap[i, 1] != heap[j, 1]:
        return heap[i, 1] < heap[j, 1]
    return heap[i, 2] < heap[j, 2]


@inner
def _swap(heap, i, j):
    for k in range(heap.shape[1]):
        heap[i, k], heap[j, k] = heap[j, k], heap[i, k]


@inner
def _heap_up(heap, i):
    while i > 0:
        parent = (i - 1) >> 1
        if not _before(heap, i, parent):
            break
        _swap(heap, i, parent)
        i = parent


@inner
def _heap_remove_first(heap, size):
    """Remove the first of ``size`` entries; it is left at ``size - 1``."""
    last = size - 1
    _swap(heap, 0, last)
    i = 0
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        if child + 1 < last and _before(heap, child + 1, child):
            child += 1
        if not _before(heap, child, i):
            break
        _swap(heap, i, child)
        i = child


@inner
def _push_pending(st, time, rank, neuron, ordinal, destination, stage, payload):
    size = st.scalar[PENDING]
    if size == len(st.pending):
        st.scalar[STATUS] = GROW_HEAP
        return
    st.pending[size, P_TIME] = time
    st.pending[size, P_RANK_NEURON] = (rank << NEURON_BITS) | neuron
    st.pending[size, P_ORDINAL_DESTINATION] = (ordinal << (DESTINATION_BITS + 1)) | (destination << 1) | stage
    st.pending[size, P_PAYLOAD] = payload
    _heap_up(st.pending, size)
    st.scalar[PENDING] = size + 1


# -- constant currents in closed form (law 3) --------------------------------------------------------


@inner
def charge_of_current(quanta, period, time):
    """floor(quanta * time / period) without leaving 64 bits."""
    return quanta * (time // period) + (quanta * (time % period)) // period


@inner
def first_tick_reaching(needed, quanta, period):
    """The smallest tick at which ``charge_of_current`` is at least ``needed``; quanta > 0."""
    whole = needed // quanta
    rest = needed - whole * quanta
    return whole * period + -((-rest * period) // quanta)


@inner
def _current_since_window(plan, st, row, j, now, end):
    """Charge the current has delivered to neuron j since the window began."""
    quanta = np.int64(plan.neuron[CURRENT, j])
    if quanta == 0:
        return np.int64(0)
    period = row[PERIOD]
    upto = min(now, end)
    since = min(st.scalar[WINDOW_START], end)
    return charge_of_current(quanta, period, upto) - charge_of_current(quanta, period, since)


@inner
def _consider_crossing(plan, st, row, rank, j, earliest, end):
    """Queue the tick at which neuron j's current alone takes it to threshold, if in this window."""
    quanta = np.int64(plan.neuron[CURRENT, j])
    if quanta <= 0:
        return
    threshold = row[THRESHOLD] + row[STRICT]
    base = charge_of_current(quanta, row[PERIOD], min(st.scalar[WINDOW_START], end))
    needed = threshold - np.int64(st.charge[j]) + base
    tick = max(first_tick_reaching(needed, quanta, row[PERIOD]), earliest)
    if tick >= st.scalar[WINDOW_END] or tick > end or tick >= st.neuron[j, CANDIDATE]:
        return
    size = st.scalar[CROSSINGS]
    if size == len(st.crossings):
        st.scalar[STATUS] = GROW_HEAP
        return
    st.crossings[size, 0] = tick
    st.crossings[size, 1] = (rank << NEURON_BITS) | (j - row[OFFSET])
    st.crossings[size, 2] = 0
    _heap_up(st.crossings, size)
    st.scalar[CROSSINGS] = size + 1
    st.neuron[j, CANDIDATE] = tick


@inner
def _open_window(plan, st, start, window, end):
    """Fold the last window's current into the charges, and list who can cross in the next."""
    old = st.scalar[WINDOW_START]
    st.scalar[WINDOW_START] = start
    # The last window closes one tick late, so that a crossing at the end itself belongs to it.
    st.scalar[WINDOW_END] = min(start + window, end + 1) if start <= end else NEVER
    st.scalar[CROSSINGS] = 0
    for rank in range(len(plan.population)):
        row = plan.population[rank]
        if row[KIND] != KIND_RATE or row[HAS_CURRENT] == 0:
            continue
        threshold = row[THRESHOLD] + row[STRICT]
        st.rank[rank, WINDOW_CHARGE] = 0
        for j in range(row[OFFSET], row[OFFSET] + row[SIZE]):
            quanta = np.int64(plan.neuron[CURRENT, j])
            if quanta == 0:
                continue
            at_start = charge_of_current(quanta, row[PERIOD], min(start, end))
            folded = at_start - charge_of_current(quanta, row[PERIOD], min(old, end))
            value = np.int64(st.charge[j]) + folded
            at_end = charge_of_current(quanta, row[PERIOD], min(st.scalar[WINDOW_END], end))
            if abs(value) + abs(at_end - at_start) > CHARGE_LIMIT:
                st.scalar[STATUS] = OVERFLOW
                st.scalar[BAD_RANK] = rank
                st.scalar[BAD_NEURON] = j - row[OFFSET]
                return
            st.charge[j] = np.int32(value)
            st.rank[rank, WINDOW_CHARGE] = max(st.rank[rank, WINDOW_CHARGE], abs(at_end - at_start))
            st.limit[j] = np.int32(threshold - max(np.int64(0), at_end - at_start))
            st.neuron[j, CANDIDATE] = NEVER
            if st.charge[j] >= st.limit[j]:
                _consider_crossing(plan, st, row, rank, j, start, end)
        st.rank[rank, BUDGET] = 0


# -- spikes ------------------------------------------------------------------------------------------


@inner
def mix(key):
    """One round of splitmix64: a counter-based random word."""
    key = np.uint64(key) + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


@inner
def jitter_draw(table, seed_key, purpose, rank, neuron, ordinal, destination):
    """Extra ticks for one message, from an inverse-CDF table."""
    if len(table) == 1:
        return table[0]
    key = mix(seed_key ^ np.uint64(purpose))
    key = mix(key ^ np.uint64(rank))
    key = mix(key ^ np.uint64(neuron))
    key = mix(key ^ np.uint64(ordinal))
    key = mix(key ^ np.uint64(destination))
    return table[np.int64(key >> np.uint64(11)) % len(table)]


@inner
def _log_service(st, settings, kind, core, rank, neuron, arrival, start, finish):
    if not settings.log_service:
        return
    n = st.scalar[SERVICES]
    if n == len(st.service):
        st.scalar[STATUS] = GROW_SERVICE
        return
    st.service[n, 0] = kind
    st.service[n, 1] = core
    st.service[n, 2] = rank
    st.service[n, 3] = neuron
    st.service[n, 4] = arrival
    st.service[n, 5] = start
    st.service[n, 6] = finish
    st.scalar[SERVICES] = n + 1


@inner
def _send(plan, st, settings, rank, neuron, payload, ordinal, ready):
    """Put every copy of a spike on its way."""
    row = plan.population[rank]
    timing = plan.timing
    for d in range(row[DESTINATION_START], row[DESTINATION_STOP]):
        to = plan.destination[d]
        if plan.fan_out[FULL_FAN_OUT, to[FAN_OUT] + neuron] == 0:
            continue
        arrival = ready + to[DELAY]
        if plan.timing[ON_HARDWARE]:
            part = plan.neuron[PART, row[OFFSET] + neuron]
            core = plan.part_core[part]
            start = max(ready, st.core[core + 1, SERIALISER_BUSY])
            service = timing[T_INPUT] if row[KIND] == KIND_INPUT else timing[T_SERIALISE]
            st.core[core + 1, SERIALISER_BUSY] = start + service
            _log_service(st, settings, SERIALISED, core, rank, neuron, ready, start, start + service)
            hops_x, hops_y = plan.hops[0, part, d], plan.hops[1, part, d]
            extra = jitter_draw(plan.jitter[0], settings.seed_key, 1, rank, neuron, ordinal, d)
            transit = hops_x * timing[T_HOP_X] + hops_y * timing[T_HOP_Y] + extra
            arrival = start + service + transit + to[DELAY]
            st.counters[rank, MESSAGES_SENT] += 1
            st.counters[rank, HOPS_X] += hops_x
            st.counters[rank, HOPS_Y] += hops_y
        _push_pending(st, arrival, rank, neuron, ordinal, d, 0, payload)


@inner
def _emit(plan, st, settings, rank, neuron, payload, now, ready):
    """Record a spike and hand it on."""
    n = st.scalar[SPIKES]
    if n == len(st.spikes):
        st.scalar[STATUS] = GROW_SPIKES
        return
    st.spikes[n, 0] = now
    st.spikes[n, 1] = rank
    st.spikes[n, 2] = neuron
    st.spikes[n, 3] = payload
    st.spikes[n, 4] = -1
    st.scalar[SPIKES] = n + 1
    row = plan.population[rank]
    if row[KIND] == KIND_INPUT:
        st.counters[rank, INPUT_EVENTS] += 1
    elif payload > 0:
        st.counters[rank, SPIKES_POSITIVE] += 1
    else:
        st.counters[rank, SPIKES_NEGATIVE] += 1
    if rank == settings.output_rank:
        st.scalar[OUTPUT_CHANGED] = 1
    ordinal = st.neuron[row[OFFSET] + neuron, ORDINAL]
    st.neuron[row[OFFSET] + neuron, ORDINAL] = ordinal + 1
    if row[DIRECT] == 0:
        _send(plan, st, settings, rank, neuron, payload, ordinal, ready)
        return
    if st.rank[rank, LIST_LENGTH] == 0:
        st.rank[rank, LIST_HEAD] = n
    else:
        st.spikes[st.rank[rank, LIST_TAIL], 4] = n
    st.rank[rank, LIST_TAIL] = n
    st.rank[rank, LIST_LENGTH] += 1


@inner
def _fire_rate(plan, st, settings, rank, j, now, end):
    """Test one rate neuron; emit what its charge holds."""
    row = plan.population[rank]
    current = np.int64(0)
    if row[HAS_CURRENT]:
        current = _current_since_window(plan, st, row, j, now, end)
    value = np.int64(st.charge[j]) + current
    threshold = row[THRESHOLD]
    if value < threshold + row[STRICT]:
        return
    spikes = np.int64(1)
    if row[HARD]:
        st.neuron[j, LOST_RESET] += value - threshold
        st.charge[j] = np.int32(-current)
    else:
        if row[MULTISPIKE]:
            spikes = (value - row[STRICT]) // threshold
            if spikes > settings.max_events:
                st.scalar[STATUS] = EVENT_LIMIT
                return
        st.charge[j] = np.int32(value - spikes * threshold - current)
    st.emitted[j] += np.int32(spikes)
    for _ in range(spikes):
        _emit(plan, st, settings, rank, j - row[OFFSET], ONE, now, now + plan.timing[T_FIRE])


# -- delivery: one spike's charge, one contiguous run at a time --------------------------------------


@inner
def _add_run(charge, weights, a, b, length, payload):
    """charge[a:a+length] += payload * weights[b:b+length], in int32."""
    if payload == 1:
        for i in range(length):
            charge[a + i] = np.int32(charge[a + i] + weights[b + i])
    elif payload == -1:
        for i in range(length):
            charge[a + i] = np.int32(charge[a + i] - weights[b + i])
    else:
        factor = np.int32(payload)
        for i in range(length):
            charge[a + i] = np.int32(charge[a + i] + factor * weights[b + i])


@inner
def _add_run_flagged(charge, weights, limit, a, b, length, payload):
    """The same; says whether any charge reached its limit."""
    flag = np.int32(0)
    factor = np.int32(payload)
    for i in range(length):
        value = np.int32(charge[a + i] + factor * weights[b + i])
        charge[a + i] = value
        flag |= np.int32(value >= limit[a + i])
    return flag != 0


@inner
def _touch(touched, a, length):
    for i in range(length):
        touched[a + i] = 1


@inner
def _clamp_run(plan, st, row, a, length, now, end):
    """Raise charges to the lower clamp, booking what that creates as negative loss."""
    for j in range(a, a + length):
        current = np.int64(0)
        if row[HAS_CURRENT]:
            current = _current_since_window(plan, st, row, j, now, end)
        value = np.int64(st.charge[j]) + current
        if value < row[CLAMP]:
            st.neuron[j, LOST_CLAMP] += value - row[CLAMP]
            st.charge[j] = np.int32(row[CLAMP] - current)


@inner
def _test_rate_run(plan, st, settings, rank, a, length, now, end):
    """Clamp and test a run of rate neurons of which some may have reached their limit."""
    row = plan.population[rank]
    if row[CLAMPED]:
        _clamp_run(plan, st, row, a, length, now, end)
    for j in range(a, a + length):
        if st.charge[j] >= st.limit[j]:
            _fire_rate(plan, st, settings, rank, j, now, end)
            if st.charge[j] >= st.limit[j]:
                _consider_crossing(plan, st, row, rank, j, now, end)


@inlined
def _deliver_run(plan, st, settings, to, a, b, length, payload, now, end):
    """Add one run of charge to its targets; rate neurons are tested, signed ones marked."""
    if to[TARGET_KIND] == KIND_RATE:
        flagged = _add_run_flagged(st.charge, plan.weights, st.limit, a, b, length, payload)
        if flagged or to[TARGET_CLAMPED]:
            _test_rate_run(plan, st, settings, to[TARGET], a, length, now, end)
        return
    _add_run(st.charge, plan.weights, a, b, length, payload)
    if to[TARGET_KIND] == KIND_SIGNED:
        _touch(st.touched, a, length)


@inlined
def _deliver_conv(plan, st, settings, to, neuron, payload, now, end):
    """A spike through a kernel: its existing rows, each one contiguous run if nothing cuts it."""
    columns, channels = to[SOURCE_X], to[SOURCE_C]
    y = neuron // (columns * channels)
    x = (neuron // channels) % columns
    channel = neuron % channels
    along_y, along_x = plan.tables[to[TABLE_Y] + y], plan.tables[to[TABLE_X] + x]
    first_y, taps_y, tap_y = along_y[0], along_y[1], along_y[3]
    first_x, taps_x, tap_x = along_x[0], along_x[1], along_x[3]
    phase = plan.phases[to[PHASES] + along_y[2] * to[PHASES_X] + along_x[2]]
    phase_taps_x = phase[2]
    out_group = to[OUT_GROUP]
    block = to[WEIGHTS] + channel * to[BLOCK] + phase[0]
    target_offset = plan.population[to[TARGET], OFFSET]
    group_start = (channel // to[IN_GROUP]) * out_group
    # Channels of this kernel that lie in the destination's part.
    low, high = max(to[C0], group_start), min(to[C1], group_start + out_group)
    for i in range(taps_y):
        ty = first_y + i * to[STEP_Y]
        if ty < to[Y0] or ty >= to[Y1]:
            continue
        row_weights = block + ((tap_y + i) * phase_taps_x + tap_x) * out_group
        row_targets = target_offset + (ty * to[TARGET_X] + first_x) * to[TARGET_C]
        if to[MERGED]:
            _deliver_run(
                plan, st, settings, to, row_targets, row_weights, taps_x * out_group, payload, now, end
            )
            continue
        for k in range(taps_x):
            a = row_targets + k * to[STEP_X] * to[TARGET_C] + low
            b = row_weights + k * out_group + low - group_start
            _deliver_run(plan, st, settings, to, a, b, high - low, payload, now, end)
    if to[TARGET_KIND] == KIND_SIGNED and taps_y > 0:
        start = (max(first_y, to[Y0]) * to[TARGET_X]) * to[TARGET_C]
        stop = (min(first_y + (taps_y - 1) * to[STEP_Y], to[Y1] - 1) + 1) * to[TARGET_X] * to[TARGET_C]
        _widen_touched(st, to[TARGET], start, stop)


@inlined
def _deliver_dense(plan, st, settings, to, neuron, payload, now, end):
    row = plan.tables[to[TABLE_Y] + neuron, 0]
    a = plan.population[to[TARGET], OFFSET] + to[C0]
    b = to[WEIGHTS] + row * to[TARGET_C] + to[C0]
    _deliver_run(plan, st, settings, to, a, b, to[C1] - to[C0], payload, now, end)
    if to[TARGET_KIND] == KIND_SIGNED:
        _widen_touched(st, to[TARGET], to[C0], to[C1])


@inlined
def _widen_touched(st, rank, start, stop):
    st.rank[rank, TOUCHED_START] = min(st.rank[rank, TOUCHED_START], start)
    st.rank[rank, TOUCHED_STOP] = max(st.rank[rank, TOUCHED_STOP], stop)


@inner
def _sweep(charge, row, st_rank, scalar, rank, size):
    """Law 1: renew the budget of deliveries that cannot leave 32 bits, or stop the run."""
    largest = np.int64(0)
    worst = np.int64(0)
    for j in range(row[OFFSET], row[OFFSET] + row[SIZE]):
        value = abs(np.int64(charge[j]))
        if value > largest:
            largest = value
            worst = j - row[OFFSET]
    # A rate neuron that fires or is clamped inside a window is left at minus its current so far.
    settled = st_rank[WINDOW_CHARGE] + row[THRESHOLD] + abs(row[CLAMP])
    st_rank[BUDGET] = (CHARGE_LIMIT - max(largest, settled)) // row[LARGEST_WEIGHT]
    if st_rank[BUDGET] < size:
        scalar[STATUS] = OVERFLOW
        scalar[BAD_RANK] = rank
        scalar[BAD_NEURON] = worst


@inner
def _deliver(plan, st, settings, d, neuron, payload, now, end):
    """Land one copy of a spike: count it, add its charge, test or schedule the test."""
    to = plan.destination[d]
    fan_out = np.int64(plan.fan_out[FULL_FAN_OUT, to[FAN_OUT] + neuron])
    if fan_out == 0:
        return
    rank = to[TARGET]
    size = abs(payload)
    if st.rank[rank, BUDGET] < size:
        _sweep(st.charge, plan.population[rank], st.rank[rank], st.scalar, rank, size)
        if st.scalar[STATUS] != RUNNING:
            return
    st.rank[rank, BUDGET] -= size
    st.scalar[DELIVERIES] += 1
    if st.scalar[DELIVERIES] > settings.max_events:
        st.scalar[STATUS] = EVENT_LIMIT
        return
    counters = st.counters[rank]
    counters[SYNAPTIC_OPERATIONS] += fan_out
    counters[EFFECTIVE] += plan.fan_out[EFFECTIVE_FAN_OUT, to[FAN_OUT] + neuron]
    if payload != 1 and payload != -1:
        counters[MULTIPLICATIONS] += fan_out
    if to[TARGET_KIND] == KIND_RATE:
        counters[NEURON_UPDATES] += fan_out
    if to[IS_DENSE]:
        _deliver_dense(plan, st, settings, to, neuron, payload, now, end)
    else:
        _deliver_conv(plan, st, settings, to, neuron, payload, now, end)
    if to[TARGET_KIND] == KIND_SIGNED:
        if st.rank[rank, TEST_DUE] == NEVER:
            st.rank[rank, TEST_DUE] = now + plan.population[rank, SETTLE]
    elif to[TARGET_KIND] == KIND_READOUT:
        st.scalar[OUTPUT_CHANGED] = 1


@inner
def _sort_by_neuron(st, length):
    """Stable merge sort of the spikes numbered in ``order[0]``; returns the row that holds the result."""
    here = 0
    width = 1
    while width < length:
        for start in range(0, length, 2 * width):
            middle, stop = min(start + width, length), min(start + 2 * width, length)
            i, j = start, middle
            for k in range(start, stop):
                take_first = i < middle and (
                    j >= stop or st.spikes[st.order[here, i], 2] <= st.spikes[st.order[here, j], 2]
                )
                if take_first:
                    st.order[1 - here, k] = st.order[here, i]
                    i += 1
                else:
                    st.order[1 - here, k] = st.order[here, j]
                    j += 1
        here = 1 - here
        width *= 2
    return here


@inner
def _deliver_list(plan, st, settings, rank, now, end):
    """Deliver the spikes this rank emitted at this tick, by neuron, ordinals in order."""
    length = st.rank[rank, LIST_LENGTH]
    if length == 0:
        return
    n = st.rank[rank, LIST_HEAD]
    ascending = True
    for i in range(length):
        st.order[0, i] = n
        if i > 0 and st.spikes[n, 2] < st.spikes[st.order[0, i - 1], 2]:
            ascending = False
        n = st.spikes[n, 4]
    st.rank[rank, LIST_LENGTH] = 0
    chosen = st.order[0 if ascending else _sort_by_neuron(st, length)]
    row = plan.population[rank]
    for i in range(length):
        neuron, payload = st.spikes[chosen[i], 2], st.spikes[chosen[i], 3]
        for d in range(row[DESTINATION_START], row[DESTINATION_STOP]):
            _deliver(plan, st, settings, d, neuron, payload, now, end)
            if st.scalar[STATUS] != RUNNING:
                return


@inner
def _accept(plan, st, settings, rank, neuron, ordinal, d, now):
    """A message reaches its core; returns when its charge will land."""
    to = plan.destination[d]
    timing = plan.timing
    cycles = -(-np.int64(plan.fan_out[FULL_FAN_OUT, to[FAN_OUT] + neuron]) // timing[T_LANES])
    per_cycle = timing[T_SYNAPSE]
    if to[TARGET_KIND] == KIND_RATE:
        per_cycle += timing[T_UPDATE]
    extra = jitter_draw(plan.jitter[1], settings.seed_key, 2, rank, neuron, ordinal, d)
    core = to[CORE]
    start = max(now, st.core[core + 1, CORE_BUSY])
    finish = start + timing[T_DECODE] + cycles * per_cycle + extra
    st.core[core + 1, CORE_BUSY] = finish
    _log_service(st, settings, DELIVERED, core, rank, neuron, now, start, finish)
    return finish


@inner
def _deliver_pending(plan, st, settings, rank, now, end):
    """Handle the pending copies of this rank's spikes that are due at this tick."""
    while st.scalar[PENDING] > 0:
        if st.pending[0, P_TIME] != now or (st.pending[0, P_RANK_NEURON] >> NEURON_BITS) != rank:
            return
        size = st.scalar[PENDING]
        _heap_remove_first(st.pending, size)
        st.scalar[PENDING] = size - 1
        neuron = st.pending[size - 1, P_RANK_NEURON] & ((1 << NEURON_BITS) - 1)
        word = st.pending[size - 1, P_ORDINAL_DESTINATION]
        payload = st.pending[size - 1, P_PAYLOAD]
        d = (word >> 1) & ((1 << DESTINATION_BITS) - 1)
        ordinal = word >> (DESTINATION_BITS + 1)
        if plan.timing[ON_HARDWARE]:
            if word & 1 == 0:
                finish = _accept(plan, st, settings, rank, neuron, ordinal, d, now)
                if finish > now:
                    _push_pending(st, finish, rank, neuron, ordinal, d, 1, payload)
                    continue
            st.counters[plan.destination[d, TARGET], MESSAGES_RECEIVED] += 1
        _deliver(plan, st, settings, d, neuron, payload, now, end)
        if st.scalar[STATUS] != RUNNING:
            return


# -- tests and crossings (class 0) -------------------------------------------------------------------


@inner
def _scan_block(charge, count, touched, a, b, lower, upper, levels):
    """(touched neurons, whether any neuron of the block is asked to emit); clears the marks."""
    tested = np.int32(0)
    flag = np.int32(0)
    for j in range(a, b):
        tested += np.int32(touched[j])
        touched[j] = 0
        flag |= np.int32((charge[j] >= upper) & (count[j] < levels))
        flag |= np.int32((charge[j] < lower) & (count[j] > 0))
    return tested, flag != 0


@inner
def _occupy_cores(plan, st, settings, rank, now):
    """On an accelerator a test scans its touched neurons core by core, queued like a message."""
    row = plan.population[rank]
    timing = plan.timing
    for part in range(row[PART_START], row[PART_STOP]):
        st.part[part, PART_TESTED] = 0
    first = row[OFFSET] + st.rank[rank, TOUCHED_START]
    for j in range(first, row[OFFSET] + st.rank[rank, TOUCHED_STOP]):
        if st.touched[j]:
            st.part[plan.neuron[PART, j], PART_TESTED] += 1
    for part in range(row[PART_START], row[PART_STOP]):
        tested = st.part[part, PART_TESTED]
        if tested == 0:
            st.part[part, PART_READY] = now + timing[T_FIRE]
            continue
        core = plan.part_core[part]
        start = max(now, st.core[core + 1, CORE_BUSY])
        finish = start + -(-tested // timing[T_LANES]) * timing[T_UPDATE]
        st.core[core + 1, CORE_BUSY] = finish
        st.part[part, PART_READY] = finish + timing[T_FIRE]
        _log_service(st, settings, TESTED, core, rank, tested, now, start, finish)


@inner
def _test_signed(plan, st, settings, rank, now):
    """Test every touched neuron of a signed population (law 9).

    Untouched neurons inside the scanned range are tested too: a test that nothing preceded asks for
    nothing, so only the touched ones are counted.
    """
    row = plan.population[rank]
    st.rank[rank, TEST_DUE] = NEVER
    lower, upper = np.int64(0), row[THRESHOLD]
    if st.scalar[SETTLED] == 0:
        lower -= row[HYSTERESIS_LOW]
        upper += row[HYSTERESIS_HIGH]
    levels, threshold, offset = row[LEVELS], row[THRESHOLD], row[OFFSET]
    if plan.timing[ON_HARDWARE]:
        _occupy_cores(plan, st, settings, rank, now)
    start, stop = offset + st.rank[rank, TOUCHED_START], offset + st.rank[rank, TOUCHED_STOP]
    st.rank[rank, TOUCHED_START] = row[SIZE]
    st.rank[rank, TOUCHED_STOP] = 0
    for a in range(start, stop, BLOCK_LANES):
        b = min(a + BLOCK_LANES, stop)
        tested, flagged = _scan_block(
            st.charge, st.emitted, st.touched, a, b, np.int32(lower), np.int32(upper), np.int32(levels)
        )
        st.counters[rank, NEURON_UPDATES] += tested
        if not flagged:
            continue
        for j in range(a, b):
            value, count = np.int64(st.charge[j]), np.int64(st.emitted[j])
            if lower <= value < upper:
                continue
            payload = min(max(count + value // threshold, 0), levels) - count
            if payload == 0:
                continue
            st.charge[j] = np.int32(value - payload * threshold)
            st.emitted[j] = np.int32(count + payload)
            ready = st.part[plan.neuron[PART, j], PART_READY] if plan.timing[ON_HARDWARE] else now
            if row[GRADED]:
                _emit(plan, st, settings, rank, j - offset, payload, now, ready)
            else:
                unit = ONE if payload > 0 else -ONE
                for _ in range(abs(payload)):
                    _emit(plan, st, settings, rank, j - offset, unit, now, ready)


@inner
def _cross(plan, st, settings, rank, now, end):
    """Fire the neurons of this rank whose current takes them to threshold at this tick."""
    row = plan.population[rank]
    while st.scalar[CROSSINGS] > 0:
        if st.crossings[0, 0] != now or (st.crossings[0, 1] >> NEURON_BITS) != rank:
            return
        size = st.scalar[CROSSINGS]
        _heap_remove_first(st.crossings, size)
        st.scalar[CROSSINGS] = size - 1
        j = row[OFFSET] + (st.crossings[size - 1, 1] & ((1 << NEURON_BITS) - 1))
        if st.neuron[j, CANDIDATE] != now:
            continue  # superseded by an earlier candidate, since recomputed
        st.neuron[j, CANDIDATE] = NEVER
        before = st.emitted[j]
        _fire_rate(plan, st, settings, rank, j, now, end)
        if st.emitted[j] != before:
            st.counters[rank, NEURON_UPDATES] += 1
        if st.charge[j] >= st.limit[j]:
            _consider_crossing(plan, st, row, rank, j, now + 1, end)


# -- checks and the trace ----------------------------------------------------------------------------


@inner
def _count_current_updates(plan, st, now, end):
    for rank in range(len(plan.population)):
        row = plan.population[rank]
        if row[HAS_CURRENT]:
            st.counters[rank, CURRENT_UPDATES] = row[BIASED_NEURONS] * (min(now, end) // row[PERIOD])


@inner
def _fill_totals(plan, st, before, end):
    """Write the totals of the checks whose decision is out before the tick ``before``."""
    latency = plan.timing[T_DECISION]
    while st.scalar[FILLED] < st.scalar[CHECKS]:
        n = st.scalar[FILLED]
        out = st.trace[n, 0] + latency
        if out >= before:
            return
        _count_current_updates(plan, st, out, end)
        operations = spikes = energy = np.int64(0)
        for rank in range(len(st.counters)):
            counters = st.counters[rank]
            operations += counters[SYNAPTIC_OPERATIONS]
            spikes += counters[SPIKES_POSITIVE] + counters[SPIKES_NEGATIVE]
            for k in range(len(plan.energy)):
                if k != DECISION_OPERATIONS:
                    energy += counters[k] * plan.energy[k]
        st.trace[n, 1] = operations
        st.trace[n, 2] = spikes
        st.trace[n, 3] = energy
        st.scalar[FILLED] = n + 1


@inner
def _record_check(plan, st, settings, now, end):
    """Append the readout at this tick to the trace."""
    n = st.scalar[CHECKS]
    row = plan.population[settings.output_rank]
    offset = row[OFFSET]
    for k in range(row[SIZE]):
        if row[KIND] == KIND_READOUT:
            value = np.int64(st.charge[offset + k])
            if row[HAS_CURRENT]:
                value += charge_of_current(
                    np.int64(plan.neuron[CURRENT, offset + k]), row[PERIOD], min(now, end)
                )
        else:
            value = np.int64(st.emitted[offset + k])
        st.trace_readout[n, k] = value
    st.trace[n, 0] = now
    st.scalar[CHECKS] = n + 1


@inner
def _check(plan, st, settings, now, end):
    """The exit check, last in its tick."""
    _record_check(plan, st, settings, now, end)
    readout = st.trace_readout[st.scalar[CHECKS] - 1]
    if settings.rule == RULE_NONE or st.scalar[STOP_AT] != NEVER:
        return
    st.counters[settings.output_rank, DECISION_OPERATIONS] += len(readout)
    chosen = winner(readout)
    if chosen < 0 or now < settings.first_event:
        return
    if confidence(readout, settings.output_scale, settings.rule) >= settings.rule_threshold:
        st.scalar[PREDICTION] = chosen
        st.scalar[DECISION_TIME] = now + plan.timing[T_DECISION]
        st.scalar[STOP_AT] = now + plan.timing[T_DECISION]
        st.scalar[EARLY] = 1


# -- the loop ----------------------------------------------------------------------------------------


@inner
def _run_tick(plan, st, settings, stimulus_time, stimulus_neuron, now):
    """Everything that happens at one tick, by rank and class."""
    end = stimulus_time[-1]
    for rank in range(len(plan.population)):
        row = plan.population[rank]
        if row[KIND] == KIND_INPUT:
            n = st.scalar[INPUT_NEXT]
            while n < len(stimulus_time) and stimulus_time[n] == now:
                _emit(plan, st, settings, rank, stimulus_neuron[n], ONE, now, now)
                n += 1
            st.scalar[INPUT_NEXT] = n
        elif row[KIND] == KIND_SIGNED:
            if st.rank[rank, TEST_DUE] == now:
                _test_signed(plan, st, settings, rank, now)
        elif row[HAS_CURRENT]:
            _cross(plan, st, settings, rank, now, end)
        if row[DIRECT]:
            _deliver_list(plan, st, settings, rank, now, end)
        else:
            _deliver_pending(plan, st, settings, rank, now, end)
        if st.scalar[STATUS] != RUNNING:
            return


@inner
def _next_tick(st, stimulus_time):
    tick = NEVER
    if st.scalar[INPUT_NEXT] < len(stimulus_time):
        tick = stimulus_time[st.scalar[INPUT_NEXT]]
    if st.scalar[PENDING] > 0:
        tick = min(tick, st.pending[0, P_TIME])
    if st.scalar[CROSSINGS] > 0:
        tick = min(tick, st.crossings[0, 0])
    for rank in range(len(st.rank)):
        tick = min(tick, st.rank[rank, TEST_DUE])
    return tick


@inner
def _test_all(plan, st, now, only_biased):
    """Schedule a test of every neuron of the signed populations at this tick."""
    for rank in range(len(plan.population)):
        row = plan.population[rank]
        if row[KIND] == KIND_SIGNED and (row[TEST_AT_START] or not only_biased):
            _touch(st.touched, row[OFFSET], row[SIZE])
            st.rank[rank, TOUCHED_START] = 0
            st.rank[rank, TOUCHED_STOP] = row[SIZE]
            st.rank[rank, TEST_DUE] = now


@inner
def _finish(plan, st, settings, end):
    """Close the sample: last totals, and the decision of a run that no rule stopped."""
    if st.scalar[EARLY] == 0:
        st.scalar[DECISION_TIME] = st.scalar[LAST_TICK]
        _record_check(plan, st, settings, st.scalar[LAST_TICK], end)
        st.scalar[PREDICTION] = winner(st.trace_readout[st.scalar[CHECKS] - 1])
    _fill_totals(plan, st, NEVER, end)
    _count_current_updates(plan, st, st.scalar[DECISION_TIME], end)
    st.scalar[STATUS] = DONE


def _make_advance(sources):
    @kernel
    def advance(plan, st, settings, stimulus_time, stimulus_neuron):
        """Run until the sample ends or a buffer needs attention; the reason is in ``STATUS``.

        After ``DRAIN_SPIKES`` and ``GROW_TRACE`` the run goes on where it was (call again); after another
        ``GROW_*`` the sample is started afresh with larger buffers.
        """
        if sources == 0:
            return  # never: it makes the sources part of Numba's cache key
        s = st.scalar
        end = stimulus_time[-1]
        s[STATUS] = RUNNING
        if s[STARTED] == 0:
            s[STARTED] = 1
            s[INPUT_END] = end
            _test_all(plan, st, ZERO, True)
            if settings.window > 0:
                _open_window(plan, st, ZERO, settings.window, end)
        while s[STATUS] == RUNNING:
            if s[CHECKS] + 2 > len(st.trace):
                s[STATUS] = GROW_TRACE
                return
            now = _next_tick(st, stimulus_time)
            if settings.window > 0 and s[WINDOW_END] <= min(now, end):
                _open_window(plan, st, s[WINDOW_END], settings.window, end)
                continue
            settles = settings.settle_pass and s[SETTLED] == 0 and s[STOP_AT] > s[LAST_TICK]
            # The settle pass shares the last tick: its spikes are hashed with that tick's, in one order.
            if 2 * s[SPIKES] > len(st.spikes) and now != s[LAST_TICK] and not (now == NEVER and settles):
                s[STATUS] = DRAIN_SPIKES
                return
            if now == NEVER and settles:
                # The settle pass shares the last tick; a decision that was out by then comes before it.
                _fill_totals(plan, st, s[LAST_TICK] + 1, end)
                s[SETTLED] = 1
                _test_all(plan, st, s[LAST_TICK], False)
                continue
            if now == NEVER or now > s[STOP_AT]:
                _finish(plan, st, settings, end)
                return
            _fill_totals(plan, st, now, end)
            s[LAST_TICK] = now
            s[OUTPUT_CHANGED] = 0
            _run_tick(plan, st, settings, stimulus_time, stimulus_neuron, now)
            if s[OUTPUT_CHANGED] and s[STATUS] == RUNNING:
                _check(plan, st, settings, now, end)

    return advance


# Numba's cache looks at this file's time stamp only, but constants of other modules are compiled in.
advance = _make_advance(source_stamp())
