"""The step schedule on an accelerator: every step is played on the cores once it is known.

The rules stand in ``reference.chip_steps``. What happens in a step is computed as without an accelerator, by
the same compiled ``advance``, which comes back after each step.
"""

from eventsnn.compilation import inlined, kernel, source_stamp
from eventsnn.engine.columns import (
    ASK_RULE,
    BAD_NEURON,
    CHECKS,
    GROW_HISTORY,
    HISTORY_LIMIT,
    HISTORY_NEXT,
    HISTORY_ROWS,
    LAST_TICK,
    RUNNING,
    STATUS,
    STEP_COMPUTED,
)
from eventsnn.engine.kernels.checks import HISTORY_ROWS_ALLOWED
from eventsnn.engine.kernels.chip_plain import play_plain
from eventsnn.engine.kernels.chip_ways import play_events
from eventsnn.engine.kernels.loop import advance
from eventsnn.engine.kernels.walks import STEPS, count_spikes, sort_by_part
from eventsnn.engine.walk_columns import (
    BARRIER,
    BARRIER_TIME,
    BEGIN,
    C_LATE,
    END,
    INPUT_PART,
    L_OVER,
    L_OVER_BEFORE,
    OVER,
    PACED,
    STEP_TIME,
    STEPS_PLAYED,
    UNIT_FREE,
    W_IN_START,
    W_IN_STOP,
    W_IS_READOUT,
    W_RANK,
)
from eventsnn.results.counters import COLUMN

FIRST_COUNTER, LAST_COUNTER = COLUMN["messages_sent"], COLUMN["steps"]


@inlined
def _begin(walks, settings):
    scalar = walks.scalar
    begin = scalar[OVER] if walks.chip[BARRIER] else 0
    if walks.chip[PACED]:
        begin = max(begin, (scalar[STEPS_PLAYED] + 1) * settings.step)
    scalar[BEGIN] = begin
    scalar[END] = max(begin, scalar[OVER])
    walks.counters[walks.chip[INPUT_PART], STEPS] += 1
    slot = scalar[STEPS_PLAYED] % walks.heard.shape[1]
    for d in range(len(walks.heard)):
        walks.heard[d, slot] = 0
    for p in range(len(walks.part)):
        walks.live[p, L_OVER_BEFORE] = walks.live[p, L_OVER]


@inlined
def _end(walks):
    scalar, step, memory = walks.scalar, walks.scalar[STEPS_PLAYED], walks.heard.shape[1]
    over = scalar[END]
    if walks.chip[BARRIER]:
        over += walks.chip[BARRIER_TIME] + walks.chip[STEP_TIME]
    else:
        for core in range(len(walks.unit)):
            free = max(walks.unit[core, UNIT_FREE], scalar[BEGIN]) + walks.chip[STEP_TIME]
            walks.unit[core, UNIT_FREE] = free
            over = max(over, free)
        for p in range(len(walks.part)):
            if walks.part[p, W_IS_READOUT]:
                walks.live[p, L_OVER] = 0
                for i in range(walks.part[p, W_IN_START], walks.part[p, W_IN_STOP]):
                    d = walks.incoming[i]
                    late = walks.copy[d, C_LATE]
                    if late <= step:
                        heard = walks.heard[d, (step - late) % memory]
                        walks.live[p, L_OVER] = max(walks.live[p, L_OVER], heard)
    scalar[OVER] = over
    scalar[STEPS_PLAYED] = step + 1


@inlined
def _play(plan, st, settings, walks, ways):
    """A step has been computed: play it, and book what it took."""
    _begin(walks, settings)
    sort_by_part(st.rank, plan.population, st.lists, walks.part, walks.live, walks.part_of, walks.words)
    count_spikes(walks.part, walks.live, walks.words, walks.counters)
    if ways is None:
        play_plain(walks, st, settings)
    else:
        play_events(walks, ways, st, settings)
    _end(walks)
    for rank in range(len(st.counters)):
        for column in range(FIRST_COUNTER, LAST_COUNTER + 1):
            st.counters[rank, column] = 0
    for p in range(len(walks.part)):
        rank = walks.part[p, W_RANK]
        for column in range(FIRST_COUNTER, LAST_COUNTER + 1):
            st.counters[rank, column] += walks.counters[p, column]


@inlined
def _keep_history(st, settings, over):
    """A step is over: the rows before that hold what there was when it began; that stands in the next one."""
    s = st.scalar
    if (over - 1) // settings.history_period > HISTORY_ROWS_ALLOWED:
        s[STATUS] = HISTORY_LIMIT
        s[BAD_NEURON] = over
        return
    while s[HISTORY_NEXT] < over:
        n = s[HISTORY_ROWS]
        if n + 1 == len(st.history):
            s[STATUS] = GROW_HISTORY
            return
        for rank in range(st.history.shape[1]):
            for column in range(st.history.shape[2]):
                st.history[n + 1, rank, column] = st.history[n, rank, column]
        for j in range(st.history_readout.shape[1]):
            st.history_readout[n + 1, j] = st.history_readout[n, j]
        s[HISTORY_ROWS] = n + 1
        s[HISTORY_NEXT] += settings.history_period


def _make_advance_on_chip(sources):
    @kernel
    def advance_on_chip(plan, st, settings, full, walks, ways, stimulus_time, stimulus_word):
        """As ``loop.advance``, on an accelerator that runs step by step.

        ``ways`` None leaves out, when compiling, what plain chips have no use for.
        """
        if sources == 0:
            return  # never: it makes the sources part of Numba's cache key
        s = st.scalar
        while True:
            if settings.history_period > 0:
                s[STATUS] = RUNNING
                _keep_history(st, settings, walks.scalar[OVER])
                if s[STATUS] != RUNNING:
                    return
            advance(plan, st, settings, full, 1, None, None, stimulus_time, stimulus_word)
            asks = s[STATUS] == ASK_RULE
            if s[STATUS] != STEP_COMPUTED and not asks:
                return
            s[STATUS] = RUNNING
            _play(plan, st, settings, walks, ways)
            if s[STATUS] != RUNNING:
                return
            if s[CHECKS] > 0 and st.trace[s[CHECKS] - 1, 0] == s[LAST_TICK]:
                walks.checked[s[CHECKS] - 1] = walks.scalar[OVER]
            if asks:  # what a rule says stops nothing within the step
                s[STATUS] = ASK_RULE
                return

    return advance_on_chip


# Numba's cache looks at this file's time stamp only, but other modules are compiled in.
advance_on_chip = _make_advance_on_chip(source_stamp())
