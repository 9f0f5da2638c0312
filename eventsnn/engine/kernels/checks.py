"""Exit checks, the trace, counters over time."""

import numpy as np

from eventsnn.compilation import inlined, inner
from eventsnn.counting.counters import COLUMN
from eventsnn.decide.kernels import (
    CHOSEN,
    DUE,
    EVERY_EVENTS,
    FORCED,
    RULE_NONE,
    RULE_OWN,
    RULE_PARTS,
    SCHEDULE,
    consider,
    unsure,
    winner,
)
from eventsnn.engine.kernels.currents import floor_charge
from eventsnn.engine.kernels.leaks import catch_up
from eventsnn.engine.kernels.records import ASK_RULE, GROW_HISTORY, HISTORY_LIMIT, KIND_READOUT, NEVER

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
        if rank[r].biased > 0:
            until = end
            if rank[r].update_end > 0:  # the last update of a synaptic current, which takes the bias
                until = rank[r].update_end
            flowed = max(min(now, until) - population[r].start_time, np.int64(0))
            counters[r, CURRENT_UPDATES] = rank[r].biased * (flowed // population[r].period)


@inner
def fill_totals(plan_energy, chip, population, rank, counters, trace, scalar, before, end):
    """Write the totals of the checks whose decision is out before the tick ``before``."""
    while scalar.filled < scalar.checks:
        n = scalar.filled
        out = trace[n].time + chip.decision_latency
        if out >= before:
            return
        operations = spikes = energy = np.int64(0)
        for r in range(len(counters)):
            operations += counters[r, SYNAPTIC_OPERATIONS]
            spikes += counters[r, SPIKES_POSITIVE] + counters[r, SPIKES_NEGATIVE]
        if chip.priced:
            count_current_updates(population, rank, counters, out, end)
            for r in range(len(counters)):
                for k in range(plan_energy.shape[1]):
                    if k != DECISION_OPERATIONS:
                        energy += counters[r, k] * plan_energy[r, k]
        trace[n].synaptic_operations = operations
        trace[n].spikes = spikes
        trace[n].energy = energy
        scalar.filled = n + 1


@inner
def read_output(row, live, neurons, currents, readout, now, end):
    """The readout at a tick: charges, currents included, or counts."""
    offset = row.offset
    first, length = live.bias_start, live.bias_length
    for k in range(row.neurons):
        if row.kind == KIND_READOUT:
            value = np.int64(neurons.charge[offset + k])
            if row.synaptic:
                value = neurons.membrane[offset + k]
            elif length > 0:
                c = first + k % length
                time = min(max(now, row.start_time), end)
                value += floor_charge(np.int64(currents.quanta[c]), time, row.period) - currents.base[c]
        else:
            value = np.int64(neurons.emitted[offset + k])
        readout[k] = value


@inlined
def record_check(plan, st, settings, now, end):
    """Append the readout at this tick to the trace."""
    n = st.scalar.checks
    r = settings.output_rank
    read_output(
        plan.population[r],
        st.rank[r],
        st.neurons,
        st.currents,
        st.trace_readout[n],
        now,
        end,
    )
    st.trace[n].time = now
    st.scalar.checks = n + 1


@inlined
def weigh(st, settings, n):
    """What the decision looks at in a row of the trace: counts times their weights, in ``weighed``."""
    for i in range(len(st.weighed)):
        st.weighed[i] = st.trace_readout[n, i] * settings.decision_weights[i]


@inner
def _events_until(time, now):
    """How many times are not later, by bisection: counters may be booked later."""
    low, high = np.int64(0), np.int64(len(time))
    while low < high:
        middle = (low + high) // 2
        if time[middle] <= now:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def check(plan, st, settings, stimulus_time, now, end):
    """The exit check, last in its tick; for a rule without a kernel the caller of ``advance`` is asked."""
    record_check(plan, st, settings, now, end)
    if settings.rule == RULE_NONE or st.scalar.stop_at != NEVER:
        return
    if settings.rule == RULE_OWN:
        st.scalar.status = ASK_RULE
        return
    weigh(st, settings, st.scalar.checks - 1)
    events = np.int64(0)
    if settings.rule_parts[SCHEDULE] == EVERY_EVENTS:
        events = _events_until(stimulus_time, now)
    since = now - settings.first_event
    sure = consider(
        st.weighed, settings.output_scale, since, events, settings.rule_parts, settings.rule_numbers, st.rule
    )
    if st.rule[DUE] > 0:
        st.counters[settings.output_rank, DECISION_OPERATIONS] += len(st.weighed)
    chosen = np.int64(st.rule[CHOSEN])
    if sure < settings.rule_threshold:
        if st.rule[FORCED] == 0:
            return
        chosen = unsure(chosen, settings.rule_numbers, st.rule)
    st.scalar.prediction = chosen
    st.scalar.decision_time = now + plan.chip.decision_latency
    st.scalar.stop_at = now + plan.chip.decision_latency
    st.scalar.early = 1


@inlined
def _write_row(plan, st, settings, time, end):
    """Write the counters and the readout at a tick to the first free row."""
    n = st.scalar.history_rows
    count_current_updates(plan.population, st.rank, st.counters, time, end)
    for rank in range(st.counters.shape[0]):
        for column in range(st.counters.shape[1]):
            st.history[n, rank, column] = st.counters[rank, column]
    r = settings.output_rank
    seen = st.scalar.last_tick if settings.step > 0 else time  # nothing changes between steps
    if st.rank[r].leak_next <= seen:
        catch_up(
            plan.factors, r, plan.population[r], st.rank[r], st.neurons, st.currents, st.scalar, seen, end
        )  # fmt: skip
    read_output(
        plan.population[r],
        st.rank[r],
        st.neurons,
        st.currents,
        st.history_readout[n],
        seen,
        end,
    )


@inlined
def record_history(plan, st, settings, before, end):
    """Snapshots of the counters at the multiples of the period that lie before a tick.

    Where steps are played on an accelerator the rows go by its time (``chip_steps``): the next one is held
    ready, and how many there are of it is known when the step that comes now is over.
    """
    if settings.played:
        if st.scalar.history_rows == len(st.history):
            st.scalar.status = GROW_HISTORY
            return
        _write_row(plan, st, settings, st.scalar.last_tick, end)
        return
    if (before - 1) // settings.history_period > HISTORY_ROWS_ALLOWED:
        st.scalar.status = HISTORY_LIMIT
        st.scalar.bad_neuron = before
        return
    while st.scalar.history_next < before:
        n, time = st.scalar.history_rows, st.scalar.history_next
        if n == len(st.history):
            st.scalar.status = GROW_HISTORY
            return
        _write_row(plan, st, settings, time, end)
        st.scalar.history_next = time + settings.history_period
        st.scalar.history_rows = n + 1


@inlined
def finish(plan, st, settings, end):
    """Close the sample: last totals, and the decision of a run that no rule stopped."""
    s = st.scalar
    if s.early == 0:
        s.decision_time = s.last_tick
        record_check(plan, st, settings, s.decision_time, end)
        weigh(st, settings, s.checks - 1)
        s.prediction = winner(st.weighed)
        if settings.rule == RULE_PARTS:
            s.prediction = unsure(s.prediction, settings.rule_numbers, st.rule)
    fill_totals(
        plan.energy, plan.chip, plan.population, st.rank, st.counters, st.trace, s, np.int64(NEVER), end
    )
    count_current_updates(plan.population, st.rank, st.counters, s.decision_time, end)
