"""The step schedule on an accelerator: every step is played on the cores once it is known.

The rules stand in ``reference.chip_steps``. ``walks`` is None where there is no such accelerator, and then
nothing of this is compiled; ``ways`` is None on plain chips (``walk_plan``), and then those of the others.
"""

from eventsnn.compilation import inlined, inner
from eventsnn.engine.columns import RUNNING, STATUS
from eventsnn.engine.kernels.chip_plain import play_plain
from eventsnn.engine.kernels.chip_ways import play_events
from eventsnn.engine.kernels.walks import STEPS, mark_charged, sort_by_part
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
def begin_step(plan, st, settings, walks, now, end):
    """Before anything of a step happens: mark who is active because of what it holds."""
    mark_charged(plan.population, st.rank, st.charge, st.quanta, walks.active, now, end, settings.step)


@inner
def play_step(plan, st, settings, walks, ways):
    """A step has been computed: play it, and book what it took."""
    _begin(walks, settings)
    sort_by_part(st.rank, plan.population, st.lists, walks.part, walks.live, walks.part_of, walks.words)
    if ways is None:
        play_plain(walks, st, settings, settings.log_service)
    else:
        play_events(walks, ways, settings, st.scalar)
    _end(walks)
    for rank in range(len(st.counters)):
        for column in range(FIRST_COUNTER, LAST_COUNTER + 1):
            st.counters[rank, column] = 0
    for p in range(len(walks.part)):
        rank = walks.part[p, W_RANK]
        for column in range(FIRST_COUNTER, LAST_COUNTER + 1):
            st.counters[rank, column] += walks.counters[p, column]


@inlined
def play_idle_steps(plan, st, settings, walks, ways, now, end):
    """Play the steps before a tick in which nothing happens."""
    while walks.scalar[STEPS_PLAYED] < now // settings.step - 1 and st.scalar[STATUS] == RUNNING:
        begin_step(plan, st, settings, walks, (walks.scalar[STEPS_PLAYED] + 1) * settings.step, end)
        play_step(plan, st, settings, walks, ways)
