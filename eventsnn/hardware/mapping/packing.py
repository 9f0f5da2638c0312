"""Letting populations share cores, and what all automatic placements ask of a population."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from eventsnn.errors import DoesNotFit
from eventsnn.hardware.architecture import Architecture
from eventsnn.hardware.mapping.limits import Demand, Need, Room, limits_of
from eventsnn.hardware.mapping.parts import Part
from eventsnn.hardware.mapping.splits import (
    Split,
    each_fits,
    may_fit,
    pieces,
    shortage_of_smallest,
    smallest_split,
)
from eventsnn.network import Population

Parts = dict[str, tuple[Part, ...]]


def cores_by_kind(architecture: Architecture) -> dict[str, list[int]]:
    """The cores of each kind, kinds in the order of their first cores."""
    found: dict[str, list[int]] = {}
    for core, kind in enumerate(architecture.kind_of_core):
        found.setdefault(kind, []).append(core)
    return found


def hardest_first(demand: Demand, architecture: Architecture, rest: list[Population]) -> list[Population]:
    """By how few kinds of cores hold a population whole, then by the share of one that it needs."""
    kinds = [limits_of(core) for core in architecture.cores.values()]

    def ease(population: Population) -> tuple[int, float]:
        need = Need(demand, next(pieces(population, (1, 1))))
        shares = [
            max(getattr(need, name) / max(kind[name] or 1, 1) for name in ("neurons", "weights"))
            for kind in kinds
        ]
        return sum(share <= 1 for share in shares), -min(shares)

    return sorted(rest, key=ease)


def too_large(demand: Demand, architecture: Architecture, population: Population) -> DoesNotFit:
    """Why a population fits no core at any split."""
    reasons, first = [], None
    for kind, core in architecture.cores.items():
        shortage = shortage_of_smallest(demand, population, limits_of(core))
        if shortage is not None:
            reasons.append(
                f"one row of one channel has {shortage.what}, a core of kind {kind!r} has room for "
                f"{shortage.has}"
            )
            first = first or shortage
    return DoesNotFit(
        f"population {population.name!r} does not fit {architecture.name!r}: {'; '.join(reasons)}. No split "
        "by channel or by rows fits; take larger cores or a smaller layer",
        {"population": population.name, **({} if first is None else first.details)},
    )


def packed(demand: Demand, architecture: Architecture, rest: list[Population], given: list[Part]) -> Parts:
    """Populations on shared cores, beside what is given.

    Each goes to the emptiest core that has room: first by rank; should that fail, the hardest first; then
    the hardest first and to the fullest core, which leaves the largest gaps.

    Raises
    ------
    DoesNotFit
    """
    hardest = hardest_first(demand, architecture, rest)
    stuck = rest[0]
    for order, fullest in ((rest, False), (hardest, False), (hardest, True)):
        rooms = [Room(limits_of(architecture.kind(c))) for c in range(architecture.number_of_cores)]
        for part in given:
            rooms[part.core].take(Need(demand, part))
        parts: Parts = {}
        for population in order:
            found = _shared(demand, architecture, rooms, population, fullest)
            if found is None:
                stuck = population
                break
            parts[population.name] = found
        else:
            return parts
    if not any(
        smallest_split(stuck, "channel", each_fits(demand, stuck, limits_of(core)))
        for core in architecture.cores.values()
    ):
        raise too_large(demand, architecture, stuck)
    raise DoesNotFit(
        f"the network does not fit the {architecture.number_of_cores} cores of {architecture.name!r}, shared "
        f"('pack'): no room is left for population {stuck.name!r}, whole or in pieces. Take more or larger "
        "cores, or a smaller network",
        {"population": stuck.name, "limit": "cores"},
    )


def _shared(
    demand: Demand, architecture: Architecture, rooms: list[Room], population: Population, fullest: bool
) -> tuple[Part, ...] | None:
    """The fewest pieces that find room, each on another core; the cores of the first kind that has it."""
    kinds = {
        kind: cores
        for kind, cores in cores_by_kind(architecture).items()
        if may_fit(demand, population, limits_of(architecture.cores[kind]))
    }
    if not kinds:
        return None
    largest = max(core.neurons.count() for core in architecture.cores.values())
    fewest, most = -(-population.size // largest), max(map(len, kinds.values()))
    for split in _splits_by_number(population, fewest, most):
        boxes = list(pieces(population, split))
        for kind, cores in kinds.items():
            if len(boxes) <= len(cores):
                capacity = limits_of(architecture.cores[kind])
                found = _beside(demand, rooms, cores, boxes, capacity, fullest)
                if found is not None:
                    return found
    return None


def _splits_by_number(population: Population, fewest: int, most: int) -> Iterator[Split]:
    height, _, channels = population.shape
    for number in range(fewest, most + 1):
        for by_row in range(1, min(number, height) + 1):
            if number % by_row == 0 and number // by_row <= channels:
                yield number // by_row, by_row


def _beside(
    demand: Demand,
    rooms: list[Room],
    cores: list[int],
    boxes: list[Part],
    capacity: dict[str, int | None],
    fullest: bool,
) -> tuple[Part, ...] | None:
    needs = [Need(demand, box) for box in boxes]
    if any(Room(capacity).shortage(need) for need in needs):
        return None
    placed: list[tuple[Need, int]] = []
    sign = -1 if fullest else 1
    free = sorted(cores, key=lambda core: sign * rooms[core].fullness)  # equals stay in their order
    for need in needs:
        core = next((core for core in free if rooms[core].shortage(need) is None), None)
        if core is None:
            return None
        free.remove(core)
        placed.append((need, core))
    for need, core in placed:
        rooms[core].take(need)
    return tuple(replace(need.part, core=core) for need, core in placed)
