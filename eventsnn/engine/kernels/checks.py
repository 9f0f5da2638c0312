"""Exit checks, the trace, counters over time."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.decide.kernels import RULE_NONE, RULE_OWN, confidence, winner
from eventsnn.engine.columns import (
    ASK_RULE,
    BAD_NEURON,
    BIAS_LENGTH,
    BIAS_START,
    BIASED,
    CHECKS,
    DECISION_TIME,
    EARLY,
    FILLED,
    GROW_HISTORY,
    HISTORY_LIMIT,
    HISTORY_NEXT,
    HISTORY_ROWS,
    KIND,
    KIND_READOUT,
    LAST_TICK,
    NEVER,
    OFFSET,
    PERIOD,
    PREDICTION,
    PRICED,
    SIZE,
    STATUS,
    STOP_AT,
    T_DECISION,
)
from eventsnn.engine.kernels.currents import floor_charge
from eventsnn.results.counters import COLUMN

CURRENT_UPDATES = COLUMN["current_updates"]
DECISION_OPERATIONS = COLUMN["decision_operations"]
SYNAPTIC_OPERATIONS = COLUMN["synaptic_operations"]
SPIKES_POSITIVE = COLUMN["spikes_positive"]
SPIKES_NEGATIVE = COLUMN["spikes_negative"]

HISTORY_ROWS_ALLOWED = 10**6  # failures.HISTORY_ROWS


@inner
def count_current_updates(population, rank, counters, now, end):
    """Neurons with a current times whole periods elapsed, by population."""
    for r in range(len(population)):
        if rank[r, BIASED] > 0:
            counters[r, CURRENT_UPDATES] = rank[r, BIASED] * (min(now, end) // population[r, PERIOD])


@inner
def fill_totals(plan_energy, chip, population, rank, counters, trace, scalar, before, end):
    """Write the totals of the checks whose decision is out before the tick ``before``."""
    while scalar[FILLED] < scalar[CHECKS]:
        n = scalar[FILLED]
        out = trace[n, 0] + chip[T_DECISION]
        if out >= before:
            return
        operations = spikes = energy = np.int64(0)
        for r in range(len(counters)):
            operations += counters[r, SYNAPTIC_OPERATIONS]
            spikes += counters[r, SPIKES_POSITIVE] + counters[r, SPIKES_NEGATIVE]
        if chip[PRICED]:
            count_current_updates(population, rank, counters, out, end)
            for r in range(len(counters)):
                for k in range(plan_energy.shape[1]):
                    if k != DECISION_OPERATIONS:
                        energy += counters[r, k] * plan_energy[r, k]
        trace[n, 1] = operations
        trace[n, 2] = spikes
        trace[n, 3] = energy
        scalar[FILLED] = n + 1


@inner
def read_output(row, live, charge, emitted, quanta, readout, now, end):
    """The readout at a tick: charges, currents included, or counts."""
    offset = row[OFFSET]
    first, length = live[BIAS_START], live[BIAS_LENGTH]
    for k in range(row[SIZE]):
        if row[KIND] == KIND_READOUT:
            value = np.int64(charge[offset + k])
            if length > 0:
                value += floor_charge(np.int64(quanta[first + k % length]), min(now, end), row[PERIOD])
        else:
            value = np.int64(emitted[offset + k])
        readout[k] = value


@inlined
def record_check(plan, st, settings, now, end):
    """Append the readout at this tick to the trace."""
    n = st.scalar[CHECKS]
    r = settings.output_rank
    read_output(
        plan.population[r], st.rank[r], st.charge, st.emitted, st.quanta, st.trace_readout[n], now, end
    )
    st.trace[n, 0] = now
    st.scalar[CHECKS] = n + 1


@inlined
def weigh(st, settings, n):
    """What the decision looks at in a row of the trace: counts times their weights, in ``weighed``."""
    for i in range(len(st.weighed)):
        st.weighed[i] = st.trace_readout[n, i] * settings.decision_weights[i]


@inlined
def check(plan, st, settings, now, end):
    """The exit check, last in its tick; for a rule without a kernel the caller of ``advance`` is asked."""
    record_check(plan, st, settings, now, end)
    if settings.rule == RULE_NONE or st.scalar[STOP_AT] != NEVER:
        return
    weigh(st, settings, st.scalar[CHECKS] - 1)
    st.counters[settings.output_rank, DECISION_OPERATIONS] += len(st.weighed)
    chosen = winner(st.weighed)
    if chosen < 0 or now < settings.first_event:
        return
    if settings.rule == RULE_OWN:
        st.scalar[STATUS] = ASK_RULE
        return
    if confidence(st.weighed, settings.output_scale, settings.rule) >= settings.rule_threshold:
        st.scalar[PREDICTION] = chosen
        st.scalar[DECISION_TIME] = now + plan.chip[T_DECISION]
        st.scalar[STOP_AT] = now + plan.chip[T_DECISION]
        st.scalar[EARLY] = 1


@inlined
def _write_row(plan, st, settings, time, end):
    """Write the counters and the readout at a tick to the first free row."""
    n = st.scalar[HISTORY_ROWS]
    count_current_updates(plan.population, st.rank, st.counters, time, end)
    for rank in range(st.counters.shape[0]):
        for column in range(st.counters.shape[1]):
            st.history[n, rank, column] = st.counters[rank, column]
    r = settings.output_rank
    seen = st.scalar[LAST_TICK] if settings.step > 0 else time  # nothing changes between steps
    read_output(
        plan.population[r], st.rank[r], st.charge, st.emitted, st.quanta, st.history_readout[n], seen, end
    )


@inlined
def record_history(plan, st, settings, before, end):
    """Snapshots of the counters at the multiples of the period that lie before a tick.

    Where steps are played on an accelerator the rows go by its time (``chip_steps``): the next one is held
    ready, and how many there are of it is known when the step that comes now is over.
    """
    if settings.played:
        if st.scalar[HISTORY_ROWS] == len(st.history):
            st.scalar[STATUS] = GROW_HISTORY
            return
        _write_row(plan, st, settings, st.scalar[LAST_TICK], end)
        return
    if (before - 1) // settings.history_period > HISTORY_ROWS_ALLOWED:
        st.scalar[STATUS] = HISTORY_LIMIT
        st.scalar[BAD_NEURON] = before
        return
    while st.scalar[HISTORY_NEXT] < before:
        n, time = st.scalar[HISTORY_ROWS], st.scalar[HISTORY_NEXT]
        if n == len(st.history):
            st.scalar[STATUS] = GROW_HISTORY
            return
        _write_row(plan, st, settings, time, end)
        st.scalar[HISTORY_NEXT] = time + settings.history_period
        st.scalar[HISTORY_ROWS] = n + 1


@inlined
def finish(plan, st, settings, end):
    """Close the sample: last totals, and the decision of a run that no rule stopped."""
    s = st.scalar
    if s[EARLY] == 0:
        s[DECISION_TIME] = s[LAST_TICK]
        record_check(plan, st, settings, s[DECISION_TIME], end)
        weigh(st, settings, s[CHECKS] - 1)
        s[PREDICTION] = winner(st.weighed)
    fill_totals(
        plan.energy, plan.chip, plan.population, st.rank, st.counters, st.trace, s, np.int64(NEVER), end
    )
    count_current_updates(plan.population, st.rank, st.counters, s[DECISION_TIME], end)
