"""The step schedule on an accelerator: every step is played on the cores once it is known.

The rules stand in ``reference.chip_steps``. What happens in a step is computed as without an accelerator, by
``loop.advance``, which has it played then.
"""

from eventsnn.compilation import inlined
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.checks import HISTORY_ROWS_ALLOWED
from eventsnn.engine.kernels.records import GROW_HISTORY, HISTORY_LIMIT
from eventsnn.engine.kernels.scans import STEPS, count_spikes, sort_by_part
from eventsnn.engine.kernels.steps_ahead import play_ahead
from eventsnn.engine.kernels.steps_bounded import play_events

FIRST_COUNTER, LAST_COUNTER = COLUMN["messages_sent"], COLUMN["steps"]


@inlined
def _begin(steps, settings):
    scalar = steps.scalar
    begin = scalar.over if steps.chip.barrier else 0
    if steps.chip.paced:
        begin = max(begin, (scalar.played + 1) * settings.step)
    scalar.begin = begin
    scalar.end = max(begin, scalar.over)
    steps.counters[steps.chip.input_part, STEPS] += 1
    slot = scalar.played % steps.heard.shape[1]
    for d in range(len(steps.heard)):
        steps.heard[d, slot] = 0
    for p in range(len(steps.part)):
        steps.scan[p].over_before = steps.scan[p].over


@inlined
def _end(steps):
    scalar, step, memory = steps.scalar, steps.scalar.played, steps.heard.shape[1]
    over = scalar.end
    if steps.chip.barrier:
        over += steps.chip.barrier_time + steps.chip.step_time
    else:
        for core in range(len(steps.unit)):
            free = max(steps.unit[core].free, scalar.begin) + steps.chip.step_time
            steps.unit[core].free = free
            over = max(over, free)
        for p in range(len(steps.part)):
            if steps.part[p].is_readout:
                steps.scan[p].over = 0
                for i in range(steps.part[p].in_start, steps.part[p].in_stop):
                    d = steps.incoming[i]
                    late = steps.destination[d].late
                    if late <= step:
                        heard = steps.heard[d, (step - late) % memory]
                        steps.scan[p].over = max(steps.scan[p].over, heard)
    scalar.over = over
    scalar.played = step + 1


@inlined
def play_step(plan, st, settings, steps, queues):
    """A step has been computed: play it, and book what it took.

    ``queues`` None: steps are computed ahead, and what is for queues is left out when compiling.
    """
    _begin(steps, settings)
    lists, part, scan = st.firing.lists, steps.part, steps.scan
    sort_by_part(st.rank, plan.population, lists, part, scan, steps.part_of, steps.words)
    count_spikes(part, scan, steps.words, steps.counters)
    if queues is None:
        play_ahead(steps, st, settings)
    else:
        play_events(steps, st, settings, queues)
    _end(steps)
    for rank in range(len(st.counters)):
        for column in range(FIRST_COUNTER, LAST_COUNTER + 1):
            st.counters[rank, column] = 0
    for p in range(len(steps.part)):
        rank = steps.part[p].rank
        for column in range(FIRST_COUNTER, LAST_COUNTER + 1):
            st.counters[rank, column] += steps.counters[p, column]
    last = st.scalar.checks - 1
    if last >= 0 and st.trace[last].time == st.scalar.last_tick:
        steps.checked[last] = steps.scalar.over


@inlined
def keep_history(st, settings, steps):
    """A step is over: the rows before that hold what there was when it began; that stands in the next one."""
    s, over = st.scalar, steps.scalar.over
    if settings.history_period == 0:
        return
    if (over - 1) // settings.history_period > HISTORY_ROWS_ALLOWED:
        s.status = HISTORY_LIMIT
        s.bad_neuron = over
        return
    while s.history_next < over:
        n = s.history_rows
        if n + 1 == len(st.history):
            s.status = GROW_HISTORY
            return
        for rank in range(st.history.shape[1]):
            for column in range(st.history.shape[2]):
                st.history[n + 1, rank, column] = st.history[n, rank, column]
        for j in range(st.history_readout.shape[1]):
            st.history_readout[n + 1, j] = st.history_readout[n, j]
        s.history_rows = n + 1
        s.history_next += settings.history_period
