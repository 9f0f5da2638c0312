"""The records that kernels read and write: rows of structured arrays, ``row.threshold``.

A row is read and written by the names of its fields, compiled and uncompiled alike, and is as fast as an
array of integers: its place is known when a kernel is compiled. Times are ticks, charges quanta.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.service import SERVICE

Records = Any
"""An array whose elements are records, which no type checker knows the fields of."""


def _record(fields: str, kind: str = "<i8") -> np.dtype[np.void]:
    """A record of numbers of one type; names that records have of their own would be misread uncompiled."""
    names = fields.split()
    taken = [name for name in names if hasattr(np.recarray, name)]
    if taken:
        raise TypeError(f"arrays have attributes {', '.join(taken)} of their own; name the fields otherwise")
    return np.dtype((np.record, np.dtype([(name, kind) for name in names], align=True)))


def records(kind: np.dtype[np.void], length: int, fill: int = 0) -> Records:
    """So many records, every field of which is ``fill``; whole columns are fields of it, too."""
    found = np.zeros(length, kind)
    if fill:
        found.view(kind[0]).fill(fill)
    return found.view(np.recarray)


def record(kind: np.dtype[np.void]) -> Records:
    """One record of zeros, alone."""
    return np.zeros(1, kind)[0]


def as_records(rows: NDArray[Any], kind: np.dtype[np.void]) -> Records:
    """Rows of numbers, shape (..., fields), as records of shape (...,)."""
    plain = np.ascontiguousarray(rows, dtype=kind[0])
    return plain.view(kind).reshape(plain.shape[:-1]).view(np.recarray)


def filled(kind: np.dtype[np.void], rows: list[dict[str, int]]) -> Records:
    """A record of each row; fields that a row does not name are 0."""
    found = records(kind, len(rows))
    for row, given in zip(found, rows, strict=True):
        for name, value in given.items():
            row[name] = value
    return found


# -- the network: read only ----------------------------------------------------------------------------

POPULATION = _record("""
    offset neurons kind threshold strict hard multispike clamped clamp refractory refractory_drop leak_period
    leak_factor levels lowest settle_time hysteresis_low hysteresis_high graded period destination_start
    destination_stop direct interleaved largest_weight part_start part_stop group touch_offset filter factor
    interval logit_unit windows window_sources start_time test_period
    alone synaptic synapse_factor leak_factors synapse_factors update_period
""")
"""Of each rank. ``leak_factors`` and ``synapse_factors`` are places in ``Plan.factors``, one a neuron from
there on; ``synaptic``: see ``kernels.synaptic``."""

(
    KIND_INPUT, KIND_SIGNED, KIND_RATE, KIND_READOUT, KIND_SOFTMAX, KIND_EXACT_GATE, KIND_RATE_GATE,
    KIND_FIRST_SPIKE, KIND_SYNAPTIC,
) = range(9)  # fmt: skip
# ``filter`` of gates of rates; of a spiking softmax, its variant.
FILTER_AVERAGE, FILTER_FINITE_IMPULSE, FILTER_EXPONENTIAL = range(3)
VARIANT_CLOCK, VARIANT_INDEPENDENT = range(2)

DESTINATION = _record("""
    target target_kind target_offset delay fan_out cells channels channel_block weights merged in_group
    out_group low high row_targets piece_targets row_pixels step_pixels is_sparse edges edge_targets estimates
    decode synapse cycle_update lanes target_part late reaches_all source
    is_narrow
""")
"""Of each copy of a spike, (projection, core). ``weights`` is a place in ``Synapses.weights``, or, if
``is_narrow``, in ``narrow``. In steps an accelerator has copies of its own, of which only what it takes there
is set, ``late`` being the steps until their charge is used."""

CELL = _record("target weight rows taps weight_row pixel", "<i4")
"""Where the spikes of one source pixel land, of each pixel and destination."""

FAN_OUT = _record("full effective", "<i4")
"""Existing synapses of each destination and source neuron, zero weights included and left out."""

# -- the accelerator: read only -------------------------------------------------------------------------

CHIP = _record("""
    priced decision_latency hop_x_table hop_y_table uses_bus barrier totals paced barrier_time
    step_time latest input_part
""")
"""The accelerator as a whole; ``*_table`` are rows of ``Plan.times``. After ``uses_bus``: of steps only."""

PART = _record("""
    core neurons lanes serialise access update fire routes server rank offset unit first_pixel channels
    first_channel width is_input is_readout destination_start destination_stop in_start in_stop senders
""")
"""Of each part of a population on its core. ``serialise`` is a row of ``Plan.times``, ``routes`` and the
destination one of ``Plan.route``. After ``server``: where its scan goes in the step schedule."""

ROUTE = _record("leg hops_x hops_y")
"""Of each part and destination of its population."""

LEG = _record("to offset last table purpose hop draw_x draw_y")
"""Of each step of a route: the server it leads to, and what that takes."""

# -- messages on their way, see ``streams`` and ``bounded`` --------------------------------------------

STREAM = _record("head tail server sorts")
SERVER = _record("""
    at at_order at_message busy accepted_head accepted_tail next_stream first_stream last_stream number
    is_link
""")
MESSAGE = _record("time order key word service leg next end")
"""Free rows are linked by ``next``."""

PLACE = _record("""
    kind number depth policy output_depth head tail waiting served granted unsent awaits blocked blocked_next
    partner free
""")
"""Of each serialiser, link or core with a bounded queue. ``free`` is when its last service was over: in steps
that overlap, a step is played when the one before is over."""

PLACE_SERIALISER, PLACE_LINK, PLACE_CORE = range(3)
POLICY_BLOCK, POLICY_DROP_NEW, POLICY_DROP_OLD = range(3)

QUEUED_MESSAGE = _record("""
    time order key word service leg next end stage place part tested first last
""")
"""As ``MESSAGE``, ``service`` being when a service began, and more; or a scan."""

STAGE_JOIN, STAGE_DONE, STAGE_ARRIVE, STAGE_LAND, STAGE_SCANNED, STAGE_SCAN = range(6)

# -- the state of a sample -----------------------------------------------------------------------------

RANK = _record("""
    touched_start touched_stop test_due headroom list_start list_stop list_done list_written list_limit
    bias_start bias_length biased window_end window_length window_limit window_charge false_flags active
    counted_at_once leak_next clock_next clock_event list_end update_end
""")
PART_STATE = _record("tested ready scan")
PENDING = _record("time order key word message")
"""Of a binary heap in the order of law 2: a copy of a spike, or what comes next for a ``message``."""

SERVICE_ROW = np.dtype((np.record, np.dtype(SERVICE.descr, align=True)))
"""Of the log of servers: ``engine.service.SERVICE``."""

CROSSING = _record("tick key later_tick later_key neuron follows first occupied")
"""Of the queue of crossings, see ``crossings``: a row of its heap (``tick``, ``key``), one of its calendar
(``later_tick`` to ``follows``), the first row of a bucket, and 64 bits of which buckets hold something.

One array for all: every array that a call hands on is seven words more.
"""

MARK = _record("tick start stop operations")
"""Spikes of one rank at one tick, and the operations they cause; see ``slabs``."""

CHECK = _record("time synaptic_operations spikes energy")
"""Of the trace: each exit check, and what had been counted at it."""

SCALARS = _record("""
    status input_next logged pending crossings checks filled services deliveries last_tick settled stop_at
    prediction decision_time early output_changed bad_rank bad_neuron input_end next_step steps_end run_until
    history_next history_rows window_next test_next low_rank high_rank counted messages_free messages_used
    events scans in_flight spikes_sent marks slab_next slab_done slab_operations
    slab_spikes pending_first queue_first queue_stop
    log_before low_before high_before
    later later_free later_used calendar_at bucket_shift
""")

LOST_RESET, LOST_CLAMP, LOST_LEAK, LOST_REFRACTORY, LOST_CAUSES = range(5)
"""Rows of ``State.lost``: causes of lost charge."""

# ``status``: what ``advance`` came back for.
(
    RUNNING, DONE, DRAIN_LOG, GROW_TRACE, GROW_LISTS, GROW_HEAP, GROW_SERVICE, GROW_HISTORY, OVERFLOW,
    EVENT_LIMIT, HISTORY_LIMIT, GROW_MESSAGES, DEADLOCK, ASK_RULE, GROW_SLAB,
) = range(15)  # fmt: skip

NEVER = 2**63 - 1
CHARGE_LIMIT = 2**31 - 1

# -- the step schedule on an accelerator, see ``scans`` --------------------------------------------------

UNIT = _record("""
    number part_start part_stop stream_start stream_stop free receiver_free next_part is_served
""")
"""Of each core that is used: what lies on it, and until when it scans and its receiving unit is busy."""

SCAN = _record("first stop spike next_copy ordinal position begin over over_before missing active")
"""Of each part: where its scan of this step is."""

STEP_SCALARS = _record("played begin end over")

STEP_STREAM = _record("part destination start next stop")
"""Of each part and copy of its spikes: where its messages start, the next one, and their end."""

STEP_MESSAGE = _record("arrival service place")
"""Of a message in its stream; ``place`` is that of its spike among the words of the step."""
