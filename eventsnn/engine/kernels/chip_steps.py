"""The step schedule on an accelerator: every step is played on the cores once it is known.

The rules stand in ``reference.chip_steps``. What happens in a step is computed as without an accelerator, by
the same compiled ``advance``, which comes back after each step.
"""

from eventsnn.compilation import inlined, kernel, source_stamp
from eventsnn.counting.counters import COLUMN
from eventsnn.engine.kernels.checks import HISTORY_ROWS_ALLOWED
from eventsnn.engine.kernels.chip_plain import play_plain
from eventsnn.engine.kernels.chip_ways import play_events
from eventsnn.engine.kernels.loop import advance
from eventsnn.engine.kernels.records import ASK_RULE, GROW_HISTORY, HISTORY_LIMIT, RUNNING, STEP_COMPUTED
from eventsnn.engine.kernels.walks import STEPS, count_spikes, sort_by_part

FIRST_COUNTER, LAST_COUNTER = COLUMN["messages_sent"], COLUMN["steps"]


@inlined
def _begin(walks, settings):
    scalar = walks.scalar
    begin = scalar.over if walks.chip.barrier else 0
    if walks.chip.paced:
        begin = max(begin, (scalar.steps_played + 1) * settings.step)
    scalar.begin = begin
    scalar.end = max(begin, scalar.over)
    walks.counters[walks.chip.input_part, STEPS] += 1
    slot = scalar.steps_played % walks.heard.shape[1]
    for d in range(len(walks.heard)):
        walks.heard[d, slot] = 0
    for p in range(len(walks.part)):
        walks.live[p].over_before = walks.live[p].over


@inlined
def _end(walks):
    scalar, step, memory = walks.scalar, walks.scalar.steps_played, walks.heard.shape[1]
    over = scalar.end
    if walks.chip.barrier:
        over += walks.chip.barrier_time + walks.chip.step_time
    else:
        for core in range(len(walks.unit)):
            free = max(walks.unit[core].free, scalar.begin) + walks.chip.step_time
            walks.unit[core].free = free
            over = max(over, free)
        for p in range(len(walks.part)):
            if walks.part[p].is_readout:
                walks.live[p].over = 0
                for i in range(walks.part[p].in_start, walks.part[p].in_stop):
                    d = walks.incoming[i]
                    late = walks.copy[d].late
                    if late <= step:
                        heard = walks.heard[d, (step - late) % memory]
                        walks.live[p].over = max(walks.live[p].over, heard)
    scalar.over = over
    scalar.steps_played = step + 1


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
        rank = walks.part[p].rank
        for column in range(FIRST_COUNTER, LAST_COUNTER + 1):
            st.counters[rank, column] += walks.counters[p, column]


@inlined
def _keep_history(st, settings, over):
    """A step is over: the rows before that hold what there was when it began; that stands in the next one."""
    s = st.scalar
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
                s.status = RUNNING
                _keep_history(st, settings, walks.scalar.over)
                if s.status != RUNNING:
                    return
            advance(plan, st, settings, full, 1, None, None, stimulus_time, stimulus_word)
            asks = s.status == ASK_RULE
            if s.status != STEP_COMPUTED and not asks:
                return
            s.status = RUNNING
            _play(plan, st, settings, walks, ways)
            if s.status != RUNNING:
                return
            if s.checks > 0 and st.trace[s.checks - 1].time == s.last_tick:
                walks.checked[s.checks - 1] = walks.scalar.over
            if asks:  # what a rule says stops nothing within the step
                s.status = ASK_RULE
                return

    return advance_on_chip


# Numba's cache looks at this file's time stamp only, but other modules are compiled in.
advance_on_chip = _make_advance_on_chip(source_stamp())
