"""Energy of a run: counts times actions, plus static power times time (affine, design section 7).

``table`` is ``Chip.energy``: attojoules per count, of shape (populations, counters) as the counters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN
from eventsnn.errors import InvalidHardware
from eventsnn.hardware.actions import ACTION_OF_COUNTER
from eventsnn.hardware.chip import Chip
from eventsnn.hardware.quantities import ATTOJOULES_PER_JOULE, End

Counters = NDArray[np.int64]
MOST_ATTOJOULES = 9.2e18
"""A little less than 2^63."""


def dynamic_energy_aj(counters: Counters, table: Counters) -> int:
    """Attojoules of all counted actions.

    Raises
    ------
    InvalidHardware
        More than 64 bits hold: engines add up energies of a trace in them.
    """
    about = float((counters.astype(np.float64) * table).sum())
    if about >= MOST_ATTOJOULES:
        raise InvalidHardware(
            f"the counted actions of a sample take {about / ATTOJOULES_PER_JOULE:.4g} J, and at most "
            f"{MOST_ATTOJOULES / ATTOJOULES_PER_JOULE:.4g} J can be held (attojoules in 64 bits); check the "
            "energies of the accelerator's actions and the ends of their bands, or run less of each sample"
        )
    return int((counters * table).sum())


def energy_joules(counters: Counters, table: Counters, static_watts: float, elapsed_s: float) -> float:
    """Joules of a sample: dynamic plus static over the time from its first event to its decision."""
    return dynamic_energy_aj(counters, table) / ATTOJOULES_PER_JOULE + static_watts * elapsed_s


@dataclass(frozen=True)
class EnergyModel:
    """What a network's counts and time cost on a chip, nominally and at the ends of the bands.

    At an end every energy and every power has that end of its band at once, so the two enclose what any
    choice within the bands gives. Times stay nominal: other times are another run
    (``eventsnn.run.sweep``).

    Attributes
    ----------
    tables : dict of int64 arrays, shape (populations, counters)
        Attojoules per count by end: ``low``, ``nominal``, ``high``.
    static_watts : dict of float
        Static power by end.
    """

    tables: dict[End, Counters]
    static_watts: dict[End, float]

    @classmethod
    def of(cls, chip: Chip, populations: tuple[str, ...], steps: bool) -> EnergyModel:
        """Of a chip, the counters' rows being those populations; ``steps`` for the step schedule."""
        ends: tuple[End, ...] = ("low", "nominal", "high")
        return cls(
            {end: chip.energy(populations, steps, end) for end in ends},
            {end: chip.architecture.static_watts_at(end) for end in ends},
        )

    def joules(self, counters: Counters, elapsed_s: float, end: End = "nominal") -> float:
        """Joules of a sample, see ``energy_joules``."""
        return energy_joules(counters, self.tables[end], self.static_watts[end], elapsed_s)


def energy_by_action(counters: Counters, table: Counters) -> dict[str, NDArray[np.float64]]:
    """Joules by action, one value per population."""
    found: dict[str, NDArray[np.float64]] = {}
    for counter, action in ACTION_OF_COUNTER.items():
        column = COLUMN[counter]
        joules = counters[:, column] * table[:, column].astype(np.float64) / ATTOJOULES_PER_JOULE
        found[action] = found.get(action, 0.0) + joules
    return found
