"""A run's energy by core: what each part of a population counted, times its population's energies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware import INPUT_PORT, Mapping, Part
from eventsnn.hardware.energy import energy_by_action
from eventsnn.report.energy import chip_of
from eventsnn.report.si import NO_VALUE, percent, si
from eventsnn.report.tables import Cell, Table
from eventsnn.results.results import Results

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Located:
    """Counters by place.

    Attributes
    ----------
    parts : list of Part or None
        Where; None for what a population on several cores counted without telling its parts apart.
    ranks : int64 array, shape (places,)
        The population of each.
    counters : int64 array, shape (places, counters)
    """

    parts: list[Part | None]
    ranks: Int64
    counters: Int64


def locate(counters: Int64, parts: Int64, order: tuple[str, ...], mapping: Mapping) -> Located:
    """Split populations' counters by part; nothing is lost and nothing is counted twice.

    Parameters
    ----------
    counters : int64 array, shape (populations, counters)
    parts : int64 array, shape (parts, counters)
        Parts in the order of ``order`` and of ``mapping.parts``.
    """
    places: list[Part | None] = []
    ranks, rows, first = [], [], 0
    for rank, name in enumerate(order):
        own = mapping.parts[name]
        counted = parts[first : first + len(own)]
        first += len(own)
        rest = counters[rank] - counted.sum(axis=0)
        if len(own) == 1:  # all of it happened there
            counted, rest = counters[rank : rank + 1], np.zeros_like(rest)
        places += own
        rows += list(counted)
        ranks += [rank] * len(own)
        if rest.any():
            places.append(None)
            rows.append(rest)
            ranks.append(rank)
    return Located(places, np.array(ranks, dtype=np.int64), np.array(rows, dtype=np.int64))


def place_energies_aj(found: Located, table: Int64) -> Int64:
    """Attojoules of each place, exact; ``table`` is ``Chip.energy``."""
    energies: Int64 = (found.counters * table[found.ranks]).sum(axis=1)
    return energies


def core_table(run: Results) -> Table | None:
    """Mean dynamic energy per sample by core and action; None where parts were not counted."""
    chip = chip_of(run)
    parts = [sample.parts for sample in run.table.samples]
    if chip is None or any(rows is None for rows in parts):
        return None
    table = chip.energy(run.table.order, run.configuration["schedule"] == "step")
    counters = np.sum([sample.counters for sample in run.table.samples], axis=0)
    counted = np.sum([rows for rows in parts if rows is not None], axis=0)
    found = locate(counters, counted, run.table.order, chip.mapping)
    by_action = {
        name: joules / len(run)
        for name, joules in energy_by_action(found.counters, table[found.ranks]).items()
        if joules.any()
    }
    joules = np.array(list(by_action.values())).reshape(len(by_action), len(found.parts)).T
    total = float(joules.sum())
    places: dict[str, list[int]] = {}
    for place, part in enumerate(found.parts):
        name = "shared" if part is None else "input port" if part.core == INPUT_PORT else f"core {part.core}"
        places.setdefault(name, []).append(place)
    order = sorted(
        places, key=lambda name: (name == "shared", min(_core(found.parts[i]) for i in places[name]))
    )
    rows = []
    for name in order:
        values = joules[places[name]].sum(axis=0)
        held = ", ".join(_held(found.parts[i], run.table.order[found.ranks[i]]) for i in places[name])
        rows.append(_row(name, held, values, total))
    rows.append(_row("dynamic, all cores", "", joules.sum(axis=0), total))
    header = [name.replace("_", " ") for name in by_action]
    return Table(["Core", "Sum", "Share", *header], rows, totals=1)


def _core(part: Part | None) -> int:
    return INPUT_PORT if part is None else part.core


def _held(part: Part | None, population: str) -> str:
    """What of a population lies somewhere."""
    if part is None:
        return f"{population}, cores not told apart"
    return f"{population} y {part.y0}–{part.y1 - 1}, c {part.c0}–{part.c1 - 1}"


def _row(name: str, held: str, values: NDArray[np.float64], total: float) -> list[Cell]:
    own = float(values.sum())
    share = percent(own / total) if total else NO_VALUE
    return [Cell(name, held), Cell(si(own, "J")), Cell(share), *(Cell(si(v, "J")) for v in values.tolist())]
