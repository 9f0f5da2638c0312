"""Action counts and energies in the form that Accelergy reads (its version 0.4).

``accelergy ERT.yaml action_counts.yaml`` adds up the energy of each component: a component is a population
on its accelerator, ``ARCHITECTURE.populations.NAME``. Energies are in picojoules, Accelergy's custom, and
exact: whole attojoules have at most six digits after the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventsnn.counting.counters import COLUMN, COUNTERS
from eventsnn.errors import InvalidRequest
from eventsnn.hardware.actions import charged
from eventsnn.hardware.chip import Chip
from eventsnn.hardware.energy import Counters

VERSION = 0.4
ATTOJOULES_PER_PICOJOULE = 10**6


def to_accelergy(
    counters: Counters, chip: Chip, order: Sequence[str], steps: bool = False, elapsed_ps: int = 0
) -> dict[str, dict[str, Any]]:
    """The documents ``action_counts`` and ``ERT`` (energy reference table), as JSON values.

    Parameters
    ----------
    counters : int64 array, shape (populations, counters)
        What one sample, or several together, counted.
    chip : Chip
        What it ran on.
    order : sequence of str
        Names of the populations, by row.
    steps : bool
        Whether it ran in steps.
    elapsed_ps : int
        Picoseconds over which static power is spent. It is the action ``leak`` of the component
        ``ARCHITECTURE.static``, once a picosecond: 1 W is 1 pJ each.

    Raises
    ------
    InvalidRequest
        Counters of another shape.
    """
    if counters.shape != (len(order), len(COUNTERS)):
        raise InvalidRequest(
            f"counters have the shape {counters.shape}; {len(order)} populations with {len(COUNTERS)} "
            "counters each are expected"
        )
    name = _plain(chip.architecture.name)
    costs = chip.energy(tuple(order), steps)
    counts, tables = [], []
    for row, population in enumerate(order):
        number: dict[str, int] = {}
        energy: dict[str, float] = {}
        for counter, action in charged(steps).items():
            column = COLUMN[counter]
            number[action] = number.get(action, 0) + int(counters[row, column])
            energy[action] = int(costs[row, column]) / ATTOJOULES_PER_PICOJOULE
        component = f"{name}.populations.{_plain(population, row)}"
        counts.append(_component(component, "action_counts", "counts", number))
        tables.append(_component(component, "actions", "energy", energy))
    counts.append(_component(f"{name}.static", "action_counts", "counts", {"leak": elapsed_ps}))
    tables.append(_component(f"{name}.static", "actions", "energy", {"leak": chip.static_watts}))
    return {
        "action_counts": {"version": VERSION, "local": counts},
        "ERT": {"version": VERSION, "tables": tables},
    }


def _component(name: str, key: str, what: str, values: dict[str, Any]) -> dict[str, Any]:
    entries = [{"name": action, "arguments": None, what: value} for action, value in values.items()]
    return {"name": name, key: entries}


def _plain(name: str, row: int = 0) -> str:
    """Without what has a meaning in the name of a component: dots between levels, brackets for lists.

    A name that had them gets its row, so that no two populations become one.
    """
    plain = name.translate(str.maketrans(".[]", "_()"))
    return plain if plain == name else f"{plain}#{row}"
