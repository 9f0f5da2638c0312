"""Placing a network on an accelerator: the strategies, and what a user asked for.

``layer`` gives each population cores of its own, whole or in as few pieces as fit, by channel and by rows
too where one channel is still too large. ``channel`` and ``area`` cut along that axis first; ``channel:4``
into at least four pieces, or as many as there are channels. ``pack`` lets populations share cores: each goes
to the emptiest core it fits, in pieces only where it fits none whole. Cores are taken in their order, a
population's pieces on cores of one kind: of the kinds that need the fewest pieces, the first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from eventsnn.errors import DoesNotFit
from eventsnn.hardware.architecture import Architecture
from eventsnn.hardware.limits import Demand, Need, Room, limits_of
from eventsnn.hardware.mapping import INPUT_PORT, Mapping, Part
from eventsnn.hardware.placement_checks import check_limits, check_units
from eventsnn.hardware.splits import Split, each_fits, may_fit, pieces, shortage_of_smallest, smallest_split
from eventsnn.hardware.user_mapping import MappingFile, load_mapping, parse_strategy
from eventsnn.hardware.user_places import places
from eventsnn.network import Network, Population

Parts = dict[str, tuple[Part, ...]]


def map_network(
    network: Network,
    architecture: Architecture,
    placement: str | os.PathLike[str] | dict[str, Any] | MappingFile | None = None,
) -> Mapping:
    """Place every population of a network within the limits of its cores.

    Parameters
    ----------
    network : Network
    architecture : Architecture
    placement : str, path, dict or MappingFile, optional
        ``layer`` (default), ``channel``, ``area``, ``pack``, or what a user wrote (``user_mapping``).

    Raises
    ------
    InvalidMapping
        What the user wrote is no mapping of this network to this accelerator.
    DoesNotFit
        A layer exceeds a limit, or all together need more cores than there are.
    """
    asked = load_mapping(placement)
    check_units(network, architecture, asked.synapse_units)
    demand = Demand(network)
    while True:
        found = Mapping(architecture, _placed(demand, architecture, asked), dict(asked.synapse_units))
        try:
            check_limits(network, found)
            return found
        except DoesNotFit:
            if not _learns(demand, found.parts):
                raise


def _learns(demand: Demand, parts: Parts) -> bool:
    """Expect as many copies of spikes as these parts receive; whether that is more than was expected.

    Cutting a population makes those before it send more copies, and these may have to be cut, too. What is
    expected never falls, so this ends.
    """
    before = demand.copies_with({}) | demand.copies
    found = demand.copies_with(parts)
    demand.copies = {name: found[name].clip(min=before[name]) for name in found}
    return any((found[name] > before[name]).any() for name in found)


def _placed(demand: Demand, architecture: Architecture, asked: MappingFile) -> Parts:
    network = demand.network
    parts = places(demand, architecture, asked)
    name, at_least = parse_strategy(asked.others or "layer")
    if network.input not in parts:
        height, _, channels = network.populations[network.input].shape
        parts[network.input] = (Part(network.input, INPUT_PORT, 0, height, 0, channels),)
    rest = [population for population in network if population.name not in parts]
    if not rest:
        return _by_rank(network, parts)
    given = [part for found in parts.values() for part in found if part.core != INPUT_PORT]
    if name == "pack":
        parts |= _packed(demand, architecture, rest, given)
    else:
        axis = "area" if name == "area" else "channel"
        parts |= _apart(demand, architecture, rest, given, axis, at_least)
    return _by_rank(network, parts)


def _by_rank(network: Network, parts: Parts) -> Parts:
    return {name: parts[name] for name in network.order}


def _cores_by_kind(architecture: Architecture) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for core, kind in enumerate(architecture.kind_of_core):
        found.setdefault(kind, []).append(core)
    return found


def _hardest_first(demand: Demand, architecture: Architecture, rest: list[Population]) -> list[Population]:
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


# -- a core each -----------------------------------------------------------------------------------------


def _apart(
    demand: Demand,
    architecture: Architecture,
    rest: list[Population],
    given: list[Part],
    axis: str,
    at_least: int,
) -> Parts:
    used = {part.core for part in given}
    free = {kind: [c for c in cores if c not in used] for kind, cores in _cores_by_kind(architecture).items()}
    splits = {
        population.name: {
            kind: smallest_split(
                population,
                axis,
                each_fits(demand, population, limits_of(architecture.cores[kind])),
                at_least,
            )
            for kind in free
        }
        for population in rest
    }
    for population in rest:
        if not any(splits[population.name].values()):
            raise DoesNotFit(_too_large(demand, architecture, population))
    for order in (rest, _hardest_first(demand, architecture, rest)):
        found = _in_order(order, splits, {kind: iter(cores) for kind, cores in free.items()}, free)
        if found is not None:
            return found
    raise DoesNotFit(_too_few(demand, architecture, rest, given, splits, free))


def _in_order(
    order: list[Population],
    splits: dict[str, dict[str, Split | None]],
    cores: dict[str, Iterator[int]],
    free: dict[str, list[int]],
) -> Parts | None:
    left = {kind: len(found) for kind, found in free.items()}
    parts: Parts = {}
    for population in order:
        possible = [
            (split[0] * split[1], kind)
            for kind, split in splits[population.name].items()
            if split is not None and split[0] * split[1] <= left[kind]
        ]
        if not possible:
            return None
        number, kind = min(possible, key=lambda item: item[0])  # of equals the first kind
        left[kind] -= number
        boxes = pieces(population, splits[population.name][kind] or (1, 1))
        parts[population.name] = tuple(replace(box, core=next(cores[kind])) for box in boxes)
    return parts


def _too_large(demand: Demand, architecture: Architecture, population: Population) -> str:
    reasons = []
    for kind, core in architecture.cores.items():
        shortage = shortage_of_smallest(demand, population, limits_of(core))
        if shortage is not None:
            reasons.append(
                f"one row of one channel has {shortage.what}, a core of kind {kind!r} has room for "
                f"{shortage.has}"
            )
    return (
        f"population {population.name!r} does not fit {architecture.name!r}: {'; '.join(reasons)}. No split "
        "by channel or by rows fits; take larger cores or a smaller layer"
    )


def _too_few(
    demand: Demand,
    architecture: Architecture,
    rest: list[Population],
    given: list[Part],
    splits: dict[str, dict[str, Split | None]],
    free: dict[str, list[int]],
) -> str:
    needs, total = [], 0
    for population in rest:
        fewest = min(s[0] * s[1] for s in splits[population.name].values() if s is not None)
        needs.append(f"{population.name} {fewest}")
        total += fewest
    have = ", ".join(f"{len(cores)} of kind {kind}" for kind, cores in free.items())
    try:
        _packed(demand, architecture, rest, given)
        remedy = "the mapping 'pack' (--mapping pack), by which populations share cores, fits"
    except DoesNotFit:
        remedy = f"at least {total} such cores, or larger ones, would fit; sharing cores ('pack') does not"
    listed = ", ".join(needs)
    return f"the network needs {total} cores ({listed}), {architecture.name!r} has {have} free; {remedy}"


# -- shared cores ----------------------------------------------------------------------------------------


def _packed(demand: Demand, architecture: Architecture, rest: list[Population], given: list[Part]) -> Parts:
    hardest = _hardest_first(demand, architecture, rest)
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
        raise DoesNotFit(_too_large(demand, architecture, stuck))
    raise DoesNotFit(
        f"the network does not fit the {architecture.number_of_cores} cores of {architecture.name!r}, shared "
        f"('pack'): no room is left for population {stuck.name!r}, whole or in pieces. Take more or larger "
        "cores, or a smaller network"
    )


def _shared(
    demand: Demand, architecture: Architecture, rooms: list[Room], population: Population, fullest: bool
) -> tuple[Part, ...] | None:
    """The fewest pieces that find room, each on another core; the cores of the first kind that has it."""
    kinds = {
        kind: cores
        for kind, cores in _cores_by_kind(architecture).items()
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
