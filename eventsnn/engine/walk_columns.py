"""The named columns of the arrays that play the steps of an accelerator; see ``columns``."""

# -- Walks.part: one row a part of a population on its core, by rank; read only ------------------------
(
    W_RANK, W_CORE, W_OFFSET, W_SIZE, W_FIRST_PIXEL, W_CHANNELS, W_LOW, W_WIDTH, W_IS_INPUT, W_IS_READOUT,
    W_ACCESS, W_UPDATE, W_FIRE, W_SERIALISE, W_COPY_START, W_COPY_STOP, W_IN_START, W_IN_STOP, W_SENDERS,
    W_COLUMNS,
) = range(20)  # fmt: skip

# -- Walks.copy: one row a copy of spikes, (projection, part) ------------------------------------------
(C_PART, C_CORE, C_LATE, C_FAN_OUT, C_DECODE, C_SYNAPSE, C_LANES, C_COLUMNS) = range(8)

# -- Walks.core: one row a core that is used; read only ------------------------------------------------
(U_NUMBER, U_PART_START, U_PART_STOP, U_STREAM_START, U_STREAM_STOP, U_COLUMNS) = range(6)

# -- Walks.chip ------------------------------------------------------------------------------------------
(
    BARRIER, TOTALS, PACED, BARRIER_TIME, STEP_TIME, LINKED, ON_BUS, HOP_X, HOP_Y, BUS, LATEST, INPUT_PART,
    CHIP_COLUMNS,
) = range(13)  # fmt: skip

# -- Walks.live: one row a part --------------------------------------------------------------------------
(
    L_FIRST, L_STOP, L_SPIKE, L_COPY, L_ORDINAL, L_POSITION, L_BEGIN, L_OVER, L_OVER_BEFORE, L_MISSING,
    L_ACTIVE, L_COLUMNS,
) = range(12)  # fmt: skip

# -- Walks.unit: one row a core --------------------------------------------------------------------------
(UNIT_FREE, RECEIVER_FREE, UNIT_NEXT, IS_SERVED, UNIT_COLUMNS) = range(5)

# -- Walks.scalar ----------------------------------------------------------------------------------------
(STEPS_PLAYED, BEGIN, END, OVER, WALK_SCALARS) = range(5)

# -- Ways.message: one row a message under way -----------------------------------------------------------
(
    M_PART, M_COPY, M_NEURON, M_ORDINAL, M_STATE, M_STAGE, M_HOP, M_SERVER, M_JOINED, M_START, M_DONE,
    M_SINCE, M_NEXT, M_COLUMNS,
) = range(14)  # fmt: skip
ASKS, ARRIVES, IS_OVER = range(3)  # states: done at its server, at its core, served

# -- Ways.server: one row a receiving unit, then one a link ------------------------------------------------
(
    S_NUMBER, S_DEPTH, S_BUSY, S_FREE, S_HEAD, S_TAIL, S_WAITING, S_COMING, S_BLOCKED, S_COLUMNS,
) = range(10)  # fmt: skip

# -- Ways.event: a binary heap ordered by its first three columns ------------------------------------------
(E_TIME, E_PLACE, E_STAGE, E_WHAT, E_COLUMNS) = range(5)

# -- Ways.scalar -------------------------------------------------------------------------------------------
(EVENTS, MESSAGES, SPARE, NOW, PLANNED, WAY_SCALARS) = range(6)
