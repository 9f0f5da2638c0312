"""Whether a mapping is one: every neuron once, cores and units that exist, every limit kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventsnn.errors import DoesNotFit, InvalidMapping
from eventsnn.hardware.architecture import Architecture
from eventsnn.hardware.mapping.limits import LIMIT_WORDS, Demand, Need, Room, Shortage, limits_of
from eventsnn.hardware.mapping.parts import Mapping, Part
from eventsnn.hardware.mapping.splits import proposal
from eventsnn.network import Network


def check_units(network: Network, architecture: Architecture, units: dict[str, str]) -> None:
    """Refuse synapse units, or populations for them, that are not there.

    Raises
    ------
    InvalidMapping
    """
    for population, unit in units.items():
        check_population(network, population, "synapse_units")
        if unit not in architecture.synapse_units:
            raise InvalidMapping(
                f"synapse_units: {population!r} is to be served by the unit {unit!r}, which "
                f"{architecture.name!r} does not have; its units are: "
                f"{', '.join(sorted(architecture.synapse_units)) or 'none but actions.synapse'}"
            )


def check_population(network: Network, name: str, where: str) -> None:
    """Refuse a population that the network does not have."""
    if name not in network.populations:
        raise InvalidMapping(
            f"{where}: there is no population {name!r}; the network's are {', '.join(network.order)}"
        )


def check_core(architecture: Architecture, population: str, core: int) -> None:
    """Refuse a core that the accelerator does not have."""
    if core >= architecture.number_of_cores:
        raise InvalidMapping(
            f"population {population!r} is placed on core {core}; {architecture.name!r} has the cores 0 to "
            f"{architecture.number_of_cores - 1}"
        )


def check_parts(network: Network, architecture: Architecture, parts: tuple[Part, ...]) -> None:
    """Refuse a population's parts unless they hold each neuron once, each on another core of one kind.

    Raises
    ------
    InvalidMapping
    """
    population = network.populations[parts[0].population]
    height, _, channels = population.shape
    holder = np.full((height, channels), -1)
    for number, part in enumerate(parts):
        check_core(architecture, part.population, part.core)
        for what, stop, size in (("rows", part.y1, height), ("channels", part.c1, channels)):
            if stop > size:
                raise InvalidMapping(
                    f"population {part.population!r} has {size} {what}, 0 to {size - 1}; on core {part.core} "
                    f"stands {what[:-1]} {stop - 1}"
                )
        box = holder[part.y0 : part.y1, part.c0 : part.c1]
        if (box >= 0).any():
            other = parts[box[box >= 0][0]]
            raise InvalidMapping(
                f"neurons lie on two cores: {part} are placed on core {part.core}, {other} on core "
                f"{other.core}; each neuron lies on one"
            )
        box[:] = number
    if (holder < 0).any():
        row, channel = np.argwhere(holder < 0)[0]
        raise InvalidMapping(
            f"row {row} of channel {channel} of population {population.name!r}, of {height} rows and "
            f"{channels} channels, lies on no core; each neuron lies on one"
        )
    cores = [part.core for part in parts]
    if len(set(cores)) < len(cores):
        twice = next(core for core in cores if cores.count(core) > 1)
        raise InvalidMapping(
            f"population {population.name!r} has two parts on core {twice}; a core holds one box of a "
            "population: write one with all its rows and channels"
        )
    kinds = {architecture.kind_of_core[core]: core for core in reversed(cores)}
    if len(kinds) > 1:
        found = ", ".join(f"core {core} of kind {kind!r}" for kind, core in sorted(kinds.items()))
        raise InvalidMapping(
            f"the parts of population {population.name!r} lie on cores of several kinds ({found}); a "
            "population's parts lie on cores of one kind"
        )


@dataclass(frozen=True)
class CoreUse:
    """What lies on a core, and how much of its limits that uses; limits it does not have are left out.

    ``of_part`` holds each part's own use, ``together`` that of all: (used, limit) by name.
    """

    core: int
    of_part: dict[Part, dict[str, tuple[int, int]]]
    together: dict[str, tuple[int, int]]


def use_of_cores(network: Network, mapping: Mapping) -> list[CoreUse]:
    """How full every core in use is, by core."""
    demand = _demand(network, mapping)
    found = []
    for core, parts in mapping.on_cores().items():
        limits = limits_of(mapping.architecture.kind(core))
        needs = {part: Need(demand, part) for part in parts}
        room = Room(limits)
        for need in needs.values():
            room.take(need)
        given = {name: has for name, has in limits.items() if has is not None}
        of_part = {
            part: {name: (Room(limits).use(name, need), has) for name, has in given.items()}
            for part, need in needs.items()
        }
        together = {name: (room.use(name), has) for name, has in given.items()}
        found.append(CoreUse(core, of_part, together))
    return found


def _demand(network: Network, mapping: Mapping) -> Demand:
    demand = Demand(network)
    if any(core.axons_out is not None for core in mapping.architecture.cores.values()):
        demand.copies = demand.copies_with(mapping.parts)
    return demand


def check_limits(network: Network, mapping: Mapping) -> None:
    """Refuse a core that holds more than its limits allow.

    Raises
    ------
    DoesNotFit
        Layer, limit, need, what the core has, and the next splits that fit.
    """
    demand = _demand(network, mapping)
    for core, parts in mapping.on_cores().items():
        limits = limits_of(mapping.architecture.kind(core))
        room = Room(limits)
        for part in parts:
            room.take(Need(demand, part))
        shortage = room.shortage()
        if shortage is not None:
            raise _does_not_fit(demand, mapping, core, parts, shortage)


def _does_not_fit(
    demand: Demand, mapping: Mapping, core: int, parts: tuple[Part, ...], shortage: Shortage
) -> DoesNotFit:
    limits = limits_of(mapping.architecture.kind(core))
    each = {part: Room(limits).use(shortage.limit, Need(demand, part)) for part in parts}
    largest = max(parts, key=lambda part: each[part])
    population = demand.network.populations[largest.population]
    if len(parts) == 1:
        subject = f"{largest} need {shortage.what}"
    else:
        shares = ", ".join(f"{part.population} {need}" for part, need in each.items())
        subject = f"its parts ({shares}) together need {shortage.what}"
    return DoesNotFit(
        f"core {core} of {mapping.architecture.name!r} has room for {shortage.has} "
        f"{LIMIT_WORDS[shortage.limit]}, and {subject}. Population {population.name!r}: "
        f"{proposal(demand, population, limits)}",
        {"population": population.name, "core": core, **shortage.details},
    )
