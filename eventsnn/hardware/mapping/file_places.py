"""The populations that a user placed, as parts."""

from __future__ import annotations

from dataclasses import replace

from eventsnn.errors import DoesNotFit, InvalidMapping
from eventsnn.hardware.architecture import Architecture
from eventsnn.hardware.mapping.checks import check_parts, check_population
from eventsnn.hardware.mapping.file import MappingFile, Place, Range, Spread
from eventsnn.hardware.mapping.limits import Demand, limits_of
from eventsnn.hardware.mapping.parts import Part
from eventsnn.hardware.mapping.splits import each_fits, pieces, proposal, smallest_split
from eventsnn.network import Population

Parts = dict[str, tuple[Part, ...]]


def places(demand: Demand, architecture: Architecture, asked: MappingFile) -> Parts:
    """The parts of the populations that ``asked`` names.

    Raises
    ------
    InvalidMapping
        It names what is not there, or does not place each neuron of the network once.
    DoesNotFit
        Too few cores are free for what it leaves open.
    """
    network = demand.network
    for name in asked.populations:
        check_population(network, name, "populations")
    missing = [p.name for p in network if p.name not in asked.populations and not p.neuron.is_input]
    if missing and asked.others is None:
        raise InvalidMapping(
            f"population {missing[0]!r} is placed nowhere; name it in 'populations', or give a strategy for "
            "those that are not named: 'others: layer'"
        )
    parts: Parts = {}
    open_: list[tuple[Population, Spread]] = []
    for name, entry in sorted(asked.populations.items(), key=lambda item: network.order.index(item[0])):
        population = network.populations[name]
        if isinstance(entry, Spread) and entry.cores is None:
            open_.append((population, entry))
            continue
        parts[name] = _spread(population, entry) if isinstance(entry, Spread) else _boxes(population, entry)
        check_parts(network, architecture, parts[name])
    for population, entry in open_:
        parts[population.name] = _on_free_cores(demand, architecture, population, entry, parts)
    return parts


def _boxes(population: Population, entry: tuple[Place, ...]) -> tuple[Part, ...]:
    height, _, channels = population.shape

    def ends(given: Range | None, size: int) -> tuple[int, int]:
        return (0, size) if given is None else (given[0], given[1] + 1)

    return tuple(
        Part(population.name, place.core, *ends(place.rows, height), *ends(place.channels, channels))
        for place in entry
    )


def _spread(population: Population, entry: Spread) -> tuple[Part, ...]:
    cores = entry.cores or ()
    boxes = _cut(population, entry.split, len(cores))
    return tuple(replace(box, core=core) for box, core in zip(boxes, cores, strict=True))


def _cut(population: Population, axis: str, number: int) -> list[Part]:
    height, _, channels = population.shape
    most, what = (channels, "channels") if axis == "channel" else (height, "rows")
    if number > most:
        raise InvalidMapping(
            f"population {population.name!r} has {most} {what} and cannot be cut into {number} pieces by "
            f"{axis}"
        )
    return list(pieces(population, (number, 1) if axis == "channel" else (1, number)))


def _on_free_cores(
    demand: Demand, architecture: Architecture, population: Population, entry: Spread, parts: Parts
) -> tuple[Part, ...]:
    """Pieces on the first cores that nothing lies on, of the first kind that has enough."""
    used = {part.core for found in parts.values() for part in found}
    free: dict[str, list[int]] = {}
    for core, kind in enumerate(architecture.kind_of_core):
        free.setdefault(kind, [])
        if core not in used:
            free[kind].append(core)
    asked = "the fewest pieces that fit" if entry.pieces is None else f"{entry.pieces} pieces"
    refused = []
    for kind, cores in free.items():
        limits = limits_of(architecture.cores[kind])
        fits = each_fits(demand, population, limits)
        split = smallest_split(population, entry.split, fits)
        if entry.pieces is not None:
            boxes = _cut(population, entry.split, entry.pieces)
            given = (entry.pieces, 1) if entry.split == "channel" else (1, entry.pieces)
            if not fits(given):
                refused.append(f"kind {kind!r}: {proposal(demand, population, limits)}")
                continue
        elif split is None:
            refused.append(f"kind {kind!r}: {proposal(demand, population, limits)}")
            continue
        else:
            boxes = list(pieces(population, split))
        if len(boxes) <= len(cores):
            return tuple(replace(box, core=core) for box, core in zip(boxes, cores, strict=False))
        refused.append(f"kind {kind!r}: {len(boxes)} cores needed, {len(cores)} free")
    raise DoesNotFit(
        f"population {population.name!r} does not fit the free cores of {architecture.name!r} in {asked} by "
        f"{entry.split}: {'; '.join(refused)}",
        {"population": population.name},
    )
