"""Exit rules as the numbers that ``kernels`` work on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide import kernels as k
from eventsnn.decide.accumulators import Leaky, Rate
from eventsnn.decide.as_parts import as_combination
from eventsnn.decide.base import NOT_SURE, ExitRule
from eventsnn.decide.memories import Patience, ProbabilityRatio
from eventsnn.decide.parts import ticks
from eventsnn.decide.schedules import EveryEvents, GivenTimes
from eventsnn.decide.scores import (
    Count,
    FirstSpike,
    FixedTime,
    LogitLead,
    LogitScore,
)

Float64 = NDArray[np.float64]


class Program(NamedTuple):
    """A rule without its threshold.

    Attributes
    ----------
    parts : int64 array
        Codes and whole numbers, at the places that ``kernels`` names; given times last.
    numbers : float64 array
        Likewise; what a score has for each given time last.
    """

    parts: NDArray[np.int64]
    numbers: Float64

    def state(self, classes: int) -> Float64:
        """What the rule remembers of a sample, as it begins."""
        found = np.zeros(k.VALUES + 2 * classes + int(self.parts[k.PATIENCE]))
        found[k.LAST] = NOT_SURE
        return found


NO_PROGRAM = Program(np.zeros(k.TIMES, dtype=np.int64), np.zeros(k.AT_TIMES))
"""Where there is no rule, or none that kernels know."""


def program_of(rule: ExitRule) -> Program | None:
    """What kernels are told of a rule; None where it has to be asked in Python."""
    found = as_combination(rule)
    if found is None:
        return None
    score, accumulator, memory, schedule = found.parts
    times = schedule.times_ps if isinstance(schedule, GivenTimes) else []
    at_times = getattr(score, score.places) if score.places else ()
    parts = np.zeros(k.TIMES + len(times), dtype=np.int64)
    parts[: k.PATIENCE] = score.code, accumulator.code, memory.code, schedule.code
    parts[k.PATIENCE] = memory.patience if isinstance(memory, Patience) else 0
    parts[k.EVERY] = schedule.every if isinstance(schedule, EveryEvents) else 1
    parts[k.AFTER] = ticks(found.after_us) if found.after_us > 0 else k.ALWAYS
    parts[k.UNTIL] = k.NEVER if found.until_us is None else ticks(found.until_us)
    parts[k.MORE] = score.more if isinstance(score, FirstSpike) else 0
    parts[k.OF_TIME] = ticks(score.of_us) if isinstance(score, FixedTime) else 1
    parts[k.PER_TIME] = ticks(accumulator.per_us) if isinstance(accumulator, Rate) else 1
    parts[k.TIMES :] = times
    numbers = np.zeros(k.AT_TIMES + len(at_times))
    numbers[k.TEMPERATURE] = score.temperature if isinstance(score, LogitScore) else 1.0
    numbers[k.OF] = score.of if isinstance(score, LogitLead | Count) else 1.0
    numbers[k.KEEP] = accumulator.keep if isinstance(accumulator, Leaky) else 0.0
    numbers[k.REJECT] = -2.0 if found.reject is None else found.reject
    numbers[k.LIMIT] = memory.probability_ratio if isinstance(memory, ProbabilityRatio) else 1.0
    numbers[k.AT_TIMES :] = at_times
    return Program(parts, numbers)
