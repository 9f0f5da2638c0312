"""Cutting a population into near-equal pieces by channel and by area (its rows), as few as fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from eventsnn.hardware.mapping.limits import Demand, Need, Room, Shortage
from eventsnn.hardware.mapping.parts import Part
from eventsnn.network import Population

Split = tuple[int, int]
"""Pieces by channel, pieces by rows."""

AXES = ("channel", "area")


def _ranges(length: int, pieces: int) -> list[tuple[int, int]]:
    """``length`` cut into near-equal consecutive ranges."""
    edges = [length * i // pieces for i in range(pieces + 1)]
    return list(pairwise(edges))


def pieces(population: Population, split: Split) -> Iterator[Part]:
    """The pieces of a population, by channel and then by rows, all on core 0 for now."""
    height, _, channels = population.shape
    rows = _ranges(height, split[1])
    for c0, c1 in _ranges(channels, split[0]):
        for y0, y1 in rows:
            yield Part(population.name, 0, y0, y1, c0, c1)


def smallest_split(
    population: Population, axis: str, fits: Callable[[Split], bool], at_least: int = 1
) -> Split | None:
    """The fewest pieces along an axis whose every one fits a core of its own.

    ``area`` cuts rows, ``channel`` channels; where no number of pieces along one does, the other axis is
    cut, too, as little as will do. None if nothing fits.
    """
    height, _, channels = population.shape
    longest, other = (channels, height) if axis == "channel" else (height, channels)
    at_least = min(at_least, longest)

    def split(along: int, across: int) -> Split:
        return (along, across) if axis == "channel" else (across, along)

    for across in range(1, other + 1):
        if not fits(split(longest, across)):
            continue  # coarser pieces need no less
        for along in range(1, longest + 1):
            if along * across >= at_least and fits(split(along, across)):
                return split(along, across)
    return None


def may_fit(demand: Demand, population: Population, limits: dict[str, int | None]) -> bool:
    """Whether one row of one channel, the middle one, fits: if not, there is no split to look for."""
    row = population.shape[0] // 2
    return Room(limits).shortage(Need(demand, Part(population.name, 0, row, row + 1, 0, 1))) is None


def each_fits(
    demand: Demand, population: Population, limits: dict[str, int | None]
) -> Callable[[Split], bool]:
    """Whether every piece of a split fits an empty core with these limits."""
    height, width, channels = population.shape
    neurons = limits["neurons"]
    empty = Room(limits)
    possible = may_fit(demand, population, limits)

    def fits(split: Split) -> bool:
        largest = -(-channels // split[0]) * -(-height // split[1]) * width
        if not possible or (neurons is not None and largest > neurons):
            return False
        return all(empty.shortage(Need(demand, part)) is None for part in pieces(population, split))

    return fits


def shortage_of_smallest(
    demand: Demand, population: Population, limits: dict[str, int | None]
) -> Shortage | None:
    """Why not even single rows of single channels fit an empty core."""
    height, _, channels = population.shape
    empty = Room(limits)
    smallest = pieces(population, (channels, height))
    return next(filter(None, (empty.shortage(Need(demand, part)) for part in smallest)), None)


def proposal(demand: Demand, population: Population, limits: dict[str, int | None]) -> str:
    """The next splits that fit cores of their own, in words."""
    fits = each_fits(demand, population, limits)
    if fits((1, 1)):
        return "alone on such a core it fits whole"
    found = [split for split in (smallest_split(population, axis, fits) for axis in AXES) if split]
    if not found:
        return "no split by channel or by rows fits such cores"
    return f"it fits in {' or '.join(dict.fromkeys(map(split_words, found)))}, on a core each"


def split_words(split: Split) -> str:
    """A split in words."""
    by_channel, by_row = split
    if by_row == 1:
        return f"{by_channel} pieces by channel"
    if by_channel == 1:
        return f"{by_row} pieces by area"
    return f"{by_channel * by_row} pieces ({by_channel} by channel times {by_row} by area)"
