"""The named columns of the flat arrays that kernels read and write.

Kernels take arrays and scalars only. Few arrays with named columns rather than many: every array handed
to a compiled function is passed word by word, at run time and to the compiler.
"""

# -- Plan.population: one row a rank, read only -------------------------------------------------------
(
    OFFSET, SIZE, KIND, THRESHOLD, STRICT, HARD, MULTISPIKE, CLAMPED, CLAMP, REFRACTORY, REFRACTORY_DROP,
    LEAK_PERIOD, LEAK_FACTOR, LEVELS, SETTLE, HYSTERESIS_LOW, HYSTERESIS_HIGH, GRADED, PERIOD,
    DESTINATION_START, DESTINATION_STOP, DIRECT, INTERLEAVED, LARGEST_WEIGHT, PART_START, PART_STOP,
    GROUP, TOUCH_OFFSET, FILTER, FACTOR, INTERVAL, LOGIT_UNIT, WINDOWS, WINDOW_SOURCES, POPULATION_COLUMNS,
) = range(35)  # fmt: skip

KIND_INPUT, KIND_SIGNED, KIND_RATE, KIND_READOUT, KIND_SOFTMAX, KIND_EXACT_GATE, KIND_RATE_GATE = range(7)
# FILTER of gates of rates; of a spiking softmax, its variant.
FILTER_AVERAGE, FILTER_FINITE_IMPULSE, FILTER_EXPONENTIAL = range(3)
VARIANT_CLOCK, VARIANT_INDEPENDENT = range(2)

# -- Plan.destination: one row a copy of a spike, (projection, core) ----------------------------------
(
    TARGET, TARGET_KIND, TARGET_OFFSET, CORE, DELAY, FAN_OUT, CELLS, CHANNELS, CHANNEL_BLOCK, WEIGHTS,
    MERGED, IN_GROUP, OUT_GROUP, LOW, HIGH, ROW_TARGETS, PIECE_TARGETS, ROW_PIXELS, STEP_PIXELS,
    IS_SPARSE, EDGES, EDGE_TARGETS, ESTIMATES, DECODE, SYNAPSE, CYCLE_UPDATE, LANES, TARGET_PART,
    DESTINATION_COLUMNS,
) = range(29)  # fmt: skip

# -- Plan.cells: where the spikes of one source pixel land, one row a pixel and destination ------------
(CELL_TARGET, CELL_WEIGHT, CELL_ROWS, CELL_TAPS, CELL_WEIGHT_ROW, CELL_PIXEL, CELL_COLUMNS) = range(7)

FULL_FAN_OUT, EFFECTIVE_FAN_OUT = range(2)

# -- Plan.chip: the accelerator as a whole; ``*_TABLE`` are rows of Plan.times -------------------------
(ON_HARDWARE, T_DECISION, HOP_X_TABLE, HOP_Y_TABLE, PRICED, USES_BUS, CHIP_COLUMNS) = range(7)

# -- Plan.part: one row a part of a population on its core; PART_SERIALISE is a row of Plan.times, PART_FIRE
# is 0 for inputs and outputs; PART_WAYS + destination is a row of Plan.way -------------------------------
(
    PART_CORE, PART_SIZE, PART_LANES, PART_SERIALISE, PART_UPDATE, PART_FIRE, PART_WAYS, PART_SERVER,
    PART_PLAN_COLUMNS,
) = range(9)  # fmt: skip

# -- Ways.way: one row a part and destination of its population -------------------------------------------
(WAY_LEG, WAY_HOPS_X, WAY_HOPS_Y, WAY_COLUMNS) = range(4)

# -- Ways.leg: one row a step of a way: the server it leads to, and what that takes ------------------------
(
    LEG_TO, LEG_OFFSET, LEG_LAST, LEG_TABLE, LEG_PURPOSE, LEG_HOP, LEG_DRAW_X, LEG_DRAW_Y, LEG_COLUMNS,
) = range(9)  # fmt: skip

# -- Streams.stream, Streams.server: see ``kernels.streams`` ----------------------------------------------
(STREAM_HEAD, STREAM_TAIL, STREAM_SERVER, STREAM_SORTS, STREAM_COLUMNS) = range(5)
(
    AT, AT_ORDER, AT_MESSAGE, BUSY, ACCEPTED_HEAD, ACCEPTED_TAIL, NEXT_STREAM, FIRST_STREAM, LAST_STREAM,
    SERVER_NUMBER, SERVER_IS_LINK, SERVER_COLUMNS,
) = range(12)  # fmt: skip

# -- Streams.message: one row a message on its way, free rows linked by M_NEXT -----------------------------
(M_TIME, M_ORDER, M_MESSAGE, M_WORD, M_SERVICE, M_LEG, M_NEXT, M_END, MESSAGE_COLUMNS) = range(9)

# -- Queues.place: one row a serialiser, link or core, see ``kernels.queues`` --------------------------------
(
    Q_KIND, Q_NUMBER, Q_DEPTH, Q_POLICY, Q_OUTPUT_DEPTH, Q_HEAD, Q_TAIL, Q_WAITING, Q_SERVED, Q_GRANTED,
    Q_UNSENT, Q_AWAITS, Q_BLOCKED, Q_BLOCKED_NEXT, Q_PARTNER, PLACE_COLUMNS,
) = range(16)  # fmt: skip
PLACE_SERIALISER, PLACE_LINK, PLACE_CORE = range(3)
POLICY_BLOCK, POLICY_DROP_NEW, POLICY_DROP_OLD = range(3)

# -- Queues.message: as Streams.message, M_SERVICE being when a service began, and more; or a scan -----------
(M_STAGE, M_PLACE, M_PART, M_TESTED, M_FIRST, M_LAST, QUEUED_COLUMNS) = range(8, 15)
STAGE_JOIN, STAGE_DONE, STAGE_ARRIVE, STAGE_LAND, STAGE_SCANNED = range(5)

# -- State.rank: one row a rank ------------------------------------------------------------------------
(
    TOUCHED_START, TOUCHED_STOP, TEST_DUE, HEADROOM, LIST_START, LIST_STOP, LIST_DONE, LIST_LIMIT,
    BIAS_START, BIAS_LENGTH, BIASED, WINDOW_END, WINDOW_LENGTH, WINDOW_LIMIT,
    WINDOW_CHARGE, FALSE_FLAGS, ACTIVE, COUNTED_AT_ONCE, LEAK_NEXT, CLOCK_NEXT, CLOCK_EVENT, LIST_END,
    RANK_COLUMNS,
) = range(23)  # fmt: skip

# -- State.part ------------------------------------------------------------------------------------------
PART_TESTED, PART_READY, PART_SCAN, PART_COLUMNS = range(4)

# -- State.lost: causes of lost charge -------------------------------------------------------------------
LOST_RESET, LOST_CLAMP, LOST_LEAK, LOST_REFRACTORY, LOST_CAUSES = range(5)

# -- State.pending: a binary heap ordered by its first three columns; the last is a spike word ------------
P_TIME, P_RANK_ORDER, P_ORDINAL_DESTINATION, P_WORD = range(4)

# -- State.scalar ---------------------------------------------------------------------------------------
(
    STATUS, INPUT_NEXT, LOGGED, PENDING, CROSSINGS, CHECKS, FILLED, SERVICES, DELIVERIES,
    LAST_TICK, SETTLED, STOP_AT, PREDICTION, DECISION_TIME, EARLY, OUTPUT_CHANGED, BAD_RANK, BAD_NEURON,
    INPUT_END, NEXT_STEP, STEPS_END, RUN_UNTIL, HISTORY_NEXT, HISTORY_ROWS,
    WINDOW_NEXT, TEST_NEXT, LOW_RANK, HIGH_RANK, COUNTED, MESSAGES_FREE, MESSAGES_USED, EVENTS, SCANS,
    IN_FLIGHT, SPIKES_SENT, SCALARS,
) = range(36)  # fmt: skip

# What advance() came back for.
(
    RUNNING, DONE, DRAIN_LOG, GROW_TRACE, GROW_LISTS, GROW_HEAP, GROW_SERVICE, GROW_HISTORY, OVERFLOW,
    EVENT_LIMIT, HISTORY_LIMIT, STEP_COMPUTED, GROW_MESSAGES, DEADLOCK, ASK_RULE,
) = range(15)  # fmt: skip

NEVER = 2**63 - 1
CHARGE_LIMIT = 2**31 - 1
