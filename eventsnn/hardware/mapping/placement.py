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
from eventsnn.hardware.mapping.checks import check_limits, check_units
from eventsnn.hardware.mapping.file import MappingFile, load_mapping, parse_strategy
from eventsnn.hardware.mapping.file_places import places
from eventsnn.hardware.mapping.limits import Demand, limits_of
from eventsnn.hardware.mapping.packing import Parts, cores_by_kind, hardest_first, packed, too_large
from eventsnn.hardware.mapping.parts import INPUT_PORT, Mapping, Part
from eventsnn.hardware.mapping.splits import Split, each_fits, pieces, smallest_split
from eventsnn.network import Network, Population


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
        ``layer`` (default), ``channel``, ``area``, ``pack``, or what a user wrote (``mapping.file``).

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
        parts |= packed(demand, architecture, rest, given)
    else:
        axis = "area" if name == "area" else "channel"
        parts |= _apart(demand, architecture, rest, given, axis, at_least)
    return _by_rank(network, parts)


def _by_rank(network: Network, parts: Parts) -> Parts:
    return {name: parts[name] for name in network.order}


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
    free = {kind: [c for c in cores if c not in used] for kind, cores in cores_by_kind(architecture).items()}
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
            raise too_large(demand, architecture, population)
    for order in (rest, hardest_first(demand, architecture, rest)):
        found = _in_order(order, splits, {kind: iter(cores) for kind, cores in free.items()}, free)
        if found is not None:
            return found
    raise _too_few(demand, architecture, rest, given, splits, free)


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


def _too_few(
    demand: Demand,
    architecture: Architecture,
    rest: list[Population],
    given: list[Part],
    splits: dict[str, dict[str, Split | None]],
    free: dict[str, list[int]],
) -> DoesNotFit:
    needs, total = [], 0
    for population in rest:
        fewest = min(s[0] * s[1] for s in splits[population.name].values() if s is not None)
        needs.append(f"{population.name} {fewest}")
        total += fewest
    have = ", ".join(f"{len(cores)} of kind {kind}" for kind, cores in free.items())
    try:
        packed(demand, architecture, rest, given)
        remedy = "the mapping 'pack' (--mapping pack), by which populations share cores, fits"
    except DoesNotFit:
        remedy = f"at least {total} such cores, or larger ones, would fit; sharing cores ('pack') does not"
    listed = ", ".join(needs)
    return DoesNotFit(
        f"the network needs {total} cores ({listed}), {architecture.name!r} has {have} free; {remedy}",
        {"limit": "cores", "need": total, "has": sum(map(len, free.values()))},
    )
