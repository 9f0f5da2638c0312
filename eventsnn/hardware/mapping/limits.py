"""What a part of a population needs of its core, and what a core has room for.

Four limits: ``neurons``; ``weights`` (words: a convolution's kernel is stored once per core, whatever the
positions it serves); ``axons_in`` (distinct source neurons with a synapse on the core); ``axons_out``
(copies of spikes that its neurons send: one per projection and part of its target with synapses there).
Parts that share a core add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware.architecture import Core
from eventsnn.hardware.mapping.parts import Part
from eventsnn.network import Network, Projection

Int64 = NDArray[np.int64]

LIMITS = ("neurons", "weights", "axons_in", "axons_out")
LIMIT_WORDS = {
    "neurons": "neurons",
    "weights": "weights",
    "axons_in": "source neurons (axons_in)",
    "axons_out": "copies of spikes to send (axons_out)",
}


@dataclass(frozen=True)
class Shortage:
    """A limit of a core that is exceeded."""

    limit: str
    need: int
    has: int

    @property
    def what(self) -> str:
        """The need in words."""
        return f"{self.need} {LIMIT_WORDS[self.limit]}"

    @property
    def details(self) -> dict[str, str | int]:
        """As ``DoesNotFit.details`` names it."""
        return {"limit": self.limit, "need": self.need, "has": self.has}


def limits_of(core: Core) -> dict[str, int | None]:
    """The limits of a kind of core, None where it has none."""
    given = {name: getattr(core, name) for name in LIMITS}
    return {name: None if value is None else value.count() for name, value in given.items()}


def _stored(network: Network, name: str) -> tuple[Int64, Int64]:
    """Words of a population's weights: shared, shape (channels,), and listed one by one, (rows, channels)."""
    height, _, channels = network.populations[name].shape
    shared, listed = np.zeros(channels, dtype=np.int64), np.zeros((height, channels), dtype=np.int64)
    for projection in network.incoming(name):
        source = network.populations[projection.source].shape
        reached = slice(*projection.channels(source))
        found = projection.synapses.stored_words(source)
        shared[reached] += found[0]
        listed[:, reached] += found[1]
    return shared, listed


class Demand:
    """What parts of a network's populations need.

    ``copies`` says, for each population, as how many messages a spike of each neuron is sent, int64 of shape
    (neurons,): it depends on where the targets lie. Until that is known (``copies_with``), every projection
    with a synapse takes one.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.copies: dict[str, Int64] = {}
        self._words: dict[str, tuple[Int64, Int64]] = {}

    def neurons(self, part: Part) -> int:
        """Neurons of a part."""
        return (part.y1 - part.y0) * self.network.populations[part.population].shape[1] * (part.c1 - part.c0)

    def weights(self, part: Part) -> int:
        """Weights a core stores to serve a part."""
        name = part.population
        if name not in self._words:
            self._words[name] = _stored(self.network, name)
        shared, listed = self._words[name]
        return int(shared[part.c0 : part.c1].sum() + listed[part.y0 : part.y1, part.c0 : part.c1].sum())

    def sources(self, part: Part) -> dict[str, NDArray[np.bool_]]:
        """By source population, which neurons have a synapse in a part, shape (neurons,)."""
        found: dict[str, NDArray[np.bool_]] = {}
        for projection in self.network.incoming(part.population):
            heard, name = self.reached(projection, part), projection.source
            found[name] = found[name] | heard if name in found else heard
        return found

    def copies_sent(self, part: Part) -> int:
        """Copies of spikes that a part's neurons send."""
        name = part.population
        if name not in self.copies:
            self.copies[name] = self._copies(name, {})
        shape = self.network.populations[name].shape
        return int(self.copies[name].reshape(shape)[part.y0 : part.y1, :, part.c0 : part.c1].sum())

    def copies_with(self, parts: Mapping[str, Iterable[Part]]) -> dict[str, Int64]:
        """``copies`` of all populations when the targets lie where ``parts`` says."""
        return {name: self._copies(name, parts) for name in self.network.order}

    def _copies(self, name: str, parts: Mapping[str, Iterable[Part]]) -> Int64:
        total = np.zeros(self.network.populations[name].size, dtype=np.int64)
        for projection in self.network.outgoing(name):
            height, _, channels = self.network.populations[projection.target].shape
            whole = (Part(projection.target, 0, 0, height, 0, channels),)
            for part in parts.get(projection.target, whole):
                total += self.reached(projection, part)
        return total

    def reached(self, projection: Projection, part: Part) -> NDArray[np.bool_]:
        """Which source neurons of a projection have a synapse in a part of its target, shape (neurons,)."""
        source, target = (self.network.populations[n].shape for n in (projection.source, projection.target))
        return projection.heard_in(source, target, part.box)


class Need:
    """What one part needs; what takes long to find is found when it is asked for."""

    def __init__(self, demand: Demand, part: Part) -> None:
        self.part = part
        self.neurons = demand.neurons(part)
        self.weights = demand.weights(part)
        self._demand = demand

    @cached_property
    def sources(self) -> dict[str, NDArray[np.bool_]]:
        """As ``Demand.sources``."""
        return self._demand.sources(self.part)

    @cached_property
    def axons_out(self) -> int:
        """As ``Demand.copies_sent``."""
        return self._demand.copies_sent(self.part)


class Room:
    """A core with what lies on it."""

    def __init__(self, limits: Mapping[str, int | None]) -> None:
        self.limits = limits
        self.populations: list[str] = []
        self._used = {"neurons": 0, "weights": 0, "axons_out": 0}
        self._sources: dict[str, NDArray[np.bool_]] = {}
        self.fullness = 0.0
        """The largest share of a limit in use."""

    def use(self, limit: str, need: Need | None = None) -> int:
        """What is used of a limit, with one more part if one is given."""
        if limit == "axons_in":
            sources = dict(self._sources)
            for name, heard in need.sources.items() if need else ():
                sources[name] = sources[name] | heard if name in sources else heard
            return sum(int(heard.sum()) for heard in sources.values())
        return self._used[limit] + (0 if need is None else getattr(need, limit))

    def shortage(self, need: Need | None = None) -> Shortage | None:
        """The first limit exceeded, with one more part if one is given."""
        for limit, has in self.limits.items():
            if has is not None and self.use(limit, need) > has:
                return Shortage(limit, self.use(limit, need), has)
        return None

    def take(self, need: Need) -> None:
        """Put a part here, whether it fits or not."""
        self.populations.append(need.part.population)
        for limit in self._used:
            if limit != "axons_out" or self.limits[limit] is not None:
                self._used[limit] += getattr(need, limit)
        for name, heard in need.sources.items() if self.limits["axons_in"] is not None else ():
            self._sources[name] = self._sources[name] | heard if name in self._sources else heard
        self.fullness = max(self.use(limit) / has for limit, has in self.limits.items() if has)
