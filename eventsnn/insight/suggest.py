"""Where a network could lie instead: splits and places that lower the bound of its work.

The busiest server is looked at, the populations whose work it is are cut otherwise and put on the cores that
have least to do, within every limit; what lowers the bound most is kept, and again. Pieces are often equal:
until the last of them is cut the bound stays, so some steps may only even out the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eventsnn.errors import DoesNotFit
from eventsnn.hardware import INPUT_PORT, Mapping, Part
from eventsnn.hardware.mapping.checks import check_limits
from eventsnn.hardware.mapping.limits import Demand, Need, Room, limits_of
from eventsnn.hardware.mapping.splits import Split, pieces, split_words
from eventsnn.insight.bounds import SENDING, Bound, least
from eventsnn.insight.service import LINK, Server
from eventsnn.insight.work import Workload
from eventsnn.network import Network, Population

ROUNDS = 16
EVENING_OUT = 8
"""Changes in a row that may leave the bound as it is."""
LEVELLED = 0.995
"""How much more even the work must be for such a change."""


@dataclass(frozen=True)
class Change:
    """A population that lies elsewhere; ``bound`` is the bound in ticks once it does."""

    population: str
    before: tuple[Part, ...]
    after: tuple[Part, ...]
    bound: int

    def __str__(self) -> str:
        return f"{self.population} {_words(self.after)} instead of {_words(self.before)}"


@dataclass(frozen=True)
class Suggestion:
    """Changes, the mapping that they end in, and the bound in ticks before and after, as counted."""

    changes: tuple[Change, ...]
    mapping: Mapping
    before: int
    after: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps."""
        return {
            "changes": [str(change) for change in self.changes],
            "parts": self.mapping.description()["parts"],
            "bound_before_ps": self.before,
            "bound_after_ps": self.after,
        }


def suggest(
    network: Network, mapping: Mapping, loads: Sequence[Workload], rounds: int = ROUNDS, first: bool = False
) -> Suggestion | None:
    """A mapping whose bound is lower, or None if none was found.

    Parameters
    ----------
    network, mapping : Network, Mapping
        As it lies now.
    loads : sequence of Workload
        The work of samples; their bounds are added up. Where neurons looked at are told by part, those of
        other parts are an estimate, and so is the bound.
    rounds : int
        Changes at most.
    first : bool
        Stop at the first bound that is lower.
    """
    search = _Search(network, loads)
    start = now = search.bounds(mapping)
    changes: list[Change] = []
    best, kept = mapping, 0
    lowest = before = _ticks(start)
    for _ in range(rounds):
        found = search.better(mapping, now)
        if found is None or len(changes) - kept >= EVENING_OUT:
            break
        change, mapping = found
        now = search.bounds(mapping)
        changes.append(change)
        if change.bound < lowest:
            best, kept, lowest = mapping, len(changes), change.bound
            if first:
                break
    return Suggestion(tuple(changes[:kept]), best, before, lowest) if kept else None


class _Search:
    """What is asked again and again: the work of samples where a network lies, what parts of it need."""

    def __init__(self, network: Network, loads: Sequence[Workload]) -> None:
        self.network, self.loads, self.demand = network, loads, Demand(network)
        self._needs: dict[Part, Need] = {}

    def bounds(self, mapping: Mapping) -> list[Bound]:
        """Of each sample."""
        return [least(load, mapping) for load in self.loads]

    def need(self, part: Part) -> Need:
        """What a part needs; wherever it lies it is the same."""
        box = replace(part, core=0)
        if box not in self._needs:
            self._needs[box] = Need(self.demand, box)
        return self._needs[box]

    def better(self, mapping: Mapping, now: list[Bound]) -> tuple[Change, Mapping] | None:
        """The change that lowers the bound most, or leaves it and evens out the work."""
        server = _busiest(now)
        if server is None:
            return None
        ticks, unevenness = _ticks(now), _unevenness(now)
        found: list[tuple[int, float, Change]] = []
        for population in _involved(self.network, mapping, server):
            own = mapping.parts[population.name]
            for parts in self.elsewhere(mapping, population):
                tried = self.bounds(_moved(mapping, population, parts))
                lower, evener = _ticks(tried), _unevenness(tried)
                if lower < ticks or (lower == ticks and evener < LEVELLED * unevenness):
                    found.append((lower, evener, Change(population.name, own, parts, lower)))
        for *_, change in sorted(found, key=lambda item: item[:2]):
            moved = _moved(mapping, self.network.populations[change.population], change.after)
            try:
                check_limits(self.network, moved)
            except DoesNotFit:
                continue  # its copies are too many for a core before it
            return change, moved
        return None

    def elsewhere(self, mapping: Mapping, population: Population) -> Iterator[tuple[Part, ...]]:
        """Other parts of a population, each on the cores of its kind that have least to do without it."""
        architecture, own = mapping.architecture, mapping.parts[population.name]
        kind = architecture.kind_of_core[own[0].core]
        cores = [core for core, of_kind in enumerate(architecture.kind_of_core) if of_kind == kind]
        limits, rest = limits_of(architecture.cores[kind]), _moved(mapping, population, ())
        rooms = {core: Room(limits) for core in cores}
        for core, parts in rest.on_cores().items():
            for part in parts if core in rooms else ():
                rooms[core].take(self.need(part))
        tried = {own}
        orders = self.orders(mapping, population, cores)
        for split in _splits(population, len(own), len(cores)):
            needs = [self.need(box) for box in pieces(population, split)]
            if any(Room(limits).shortage(need) for need in needs):
                continue
            for order in orders:
                placed = _placed(needs, rooms, order)
                if placed is not None and placed not in tried:
                    tried.add(placed)
                    yield placed

    def orders(self, mapping: Mapping, population: Population, cores: list[int]) -> list[list[int]]:
        """Orders in which cores may be asked: who has least to do first; where links queue the nearest."""
        rest = _moved(mapping, population, ())
        busy = dict.fromkeys(cores, 0)
        for load in self.loads:
            work = load.work(rest)
            for unit, number in work.ticks:
                if unit != LINK and number in busy:
                    busy[number] = max(busy[number], int(work.total((unit, number)).sum()))
        held = {part.core for part in mapping.parts[population.name]}
        found = [sorted(cores, key=lambda core: (busy[core], core not in held, core))]
        if mapping.architecture.network_on_chip.has_links:
            far = _hops(self.network, mapping, population)
            found.append(sorted(cores, key=lambda core: (far(core), busy[core], core)))
        return found


def _moved(mapping: Mapping, population: Population, parts: tuple[Part, ...]) -> Mapping:
    return replace(mapping, parts={**mapping.parts, population.name: parts})


def _ticks(bounds: list[Bound]) -> int:
    return sum(bound.ticks for bound in bounds)


def _unevenness(bounds: list[Bound]) -> float:
    """Sum of the squares of what each server has to do."""
    return sum(float(b.work.total(server).sum()) ** 2 for b in bounds for server in b.work.ticks)


def _busiest(bounds: list[Bound]) -> Server | None:
    ticks: dict[Server, int] = {}
    for bound in bounds:
        for server, own in bound.bounding.items():
            ticks[server] = ticks.get(server, 0) + own
    return max(ticks, key=lambda server: ticks[server], default=None)


def _involved(network: Network, mapping: Mapping, server: Server) -> list[Population]:
    """Populations whose places decide what a server has to do; the input stays where it is."""
    unit, number = server
    names: set[str] = set()
    if unit == LINK:
        for projection in network.projections.values():
            ends = mapping.parts[projection.source], mapping.parts[projection.target]
            routes = (mapping.architecture.route(a.core, b.core) for a in ends[0] for b in ends[1])
            if any(number in route for route in routes):
                names |= {projection.source, projection.target}
    else:
        names |= {name for name, parts in mapping.parts.items() if any(p.core == number for p in parts)}
        if unit in SENDING:  # in fewer pieces they are sent fewer copies
            names |= {projection.target for name in names for projection in network.outgoing(name)}
    return [network.populations[name] for name in network.order if name in names and name != network.input]


def _splits(population: Population, now: int, most: int) -> Iterator[Split]:
    """A few more and fewer pieces than now, half and twice as many, by channel, by rows and by both."""
    height, _, channels = population.shape
    for number in sorted({now // 2, now - 1, now, now + 1, now + 2, 2 * now} & set(range(1, most + 1))):
        for by_row in range(1, min(number, height) + 1):
            if number % by_row == 0 and number // by_row <= channels:
                yield number // by_row, by_row


def _placed(needs: list[Need], rooms: dict[int, Room], order: list[int]) -> tuple[Part, ...] | None:
    """Each piece on the first core that has room and none of the others."""
    free, found = list(order), []
    for need in needs:
        core = next((core for core in free if rooms[core].shortage(need) is None), None)
        if core is None:
            return None
        free.remove(core)
        found.append(replace(need.part, core=core))
    return tuple(found)


def _hops(network: Network, mapping: Mapping, population: Population) -> Callable[[int], int]:
    """How far a core is from those that a population hears from and sends to."""
    neighbours = {p.source for p in network.incoming(population.name)}
    neighbours |= {p.target for p in network.outgoing(population.name)}
    ends = [part.core for name in sorted(neighbours) for part in mapping.parts[name]]

    def far(core: int) -> int:
        return sum(sum(mapping.architecture.hops(core, end)) for end in ends)

    return far


def _words(parts: tuple[Part, ...]) -> str:
    """Parts as a person would say it."""
    cores = [str(part.core) for part in parts]
    if len(parts) == 1:
        return "at the input port" if parts[0].core == INPUT_PORT else f"whole on core {cores[0]}"
    rows, channels = {(part.y0, part.y1) for part in parts}, {(part.c0, part.c1) for part in parts}
    if len(rows) * len(channels) != len(parts):
        return f"in {len(parts)} pieces on cores {', '.join(cores)}"
    what = split_words((len(channels), len(rows)))
    if any(np.ptp([stop - start for start, stop in ranges]) > 1 for ranges in (rows, channels)):
        what = what.replace("pieces", "uneven pieces", 1)
    return f"in {what} on cores {', '.join(cores)}"
