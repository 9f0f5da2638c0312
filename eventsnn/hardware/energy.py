"""Energy of a run: counts times actions, plus static power times time (affine, design section 7).

``table`` is ``Chip.energy``: attojoules per count, of shape (populations, counters) as the counters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware.actions import ACTION_OF_COUNTER
from eventsnn.hardware.quantities import ATTOJOULES_PER_JOULE
from eventsnn.results.counters import COLUMN

Counters = NDArray[np.int64]


def dynamic_energy_aj(counters: Counters, table: Counters) -> int:
    """Attojoules of all counted actions."""
    return int((counters * table).sum())


def energy_joules(counters: Counters, table: Counters, static_watts: float, elapsed_s: float) -> float:
    """Joules of a sample: dynamic plus static over the time from its first event to its decision."""
    return dynamic_energy_aj(counters, table) / ATTOJOULES_PER_JOULE + static_watts * elapsed_s


def energy_by_action(counters: Counters, table: Counters) -> dict[str, NDArray[np.float64]]:
    """Joules by action, one value per population."""
    found: dict[str, NDArray[np.float64]] = {}
    for counter, action in ACTION_OF_COUNTER.items():
        column = COLUMN[counter]
        joules = counters[:, column] * table[:, column].astype(np.float64) / ATTOJOULES_PER_JOULE
        found[action] = found.get(action, 0.0) + joules
    return found
