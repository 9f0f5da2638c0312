"""Energy of a run: counts times actions, plus static power times time (affine, design section 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware.quantities import ATTOJOULES_PER_JOULE
from eventsnn.hardware.timing import ACTION_OF_COUNTER, Timing
from eventsnn.results.counters import COLUMN


def dynamic_energy_aj(counters: NDArray[np.int64], timing: Timing) -> int:
    """Attojoules of all counted actions; ``counters`` has shape (populations, counters)."""
    return int((counters @ timing.energy).sum())


def energy_joules(counters: NDArray[np.int64], timing: Timing, elapsed_s: float) -> float:
    """Joules of a sample: dynamic plus static over the time from its first event to its decision."""
    return dynamic_energy_aj(counters, timing) / ATTOJOULES_PER_JOULE + timing.static_watts * elapsed_s


def energy_by_action(counters: NDArray[np.int64], timing: Timing) -> dict[str, NDArray[np.float64]]:
    """Joules by action, one value per population; ``counters`` has shape (populations, counters)."""
    table: dict[str, NDArray[np.float64]] = {}
    for counter, action in ACTION_OF_COUNTER.items():
        column = COLUMN[counter]
        joules = counters[:, column] * float(timing.energy[column]) / ATTOJOULES_PER_JOULE
        table[action] = table.get(action, 0.0) + joules
    return table
