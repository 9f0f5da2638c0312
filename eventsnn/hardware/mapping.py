"""Placing populations on cores under the cores' limits.

A population is split by channel into as few near-equal parts as fit, by rows too where one channel is
still too large; each part takes a core of its own, in the order of the populations' ranks. The
weights of a convolution are shared by all its positions, so a part stores those of its channels once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from eventsnn.errors import DoesNotFit
from eventsnn.hardware.architecture import Architecture
from eventsnn.network import Box, Conv2d, Dense, Input, MaxPool, Network, Population, Sparse

INPUT_PORT = -1


@dataclass(frozen=True)
class Part:
    """Rows ``y0`` to ``y1`` and channels ``c0`` to ``c1`` (ends excluded) of a population on a core."""

    population: str
    core: int
    y0: int
    y1: int
    c0: int
    c1: int

    @property
    def box(self) -> Box:
        """The part as a box of its population."""
        return Box(self.y0, self.y1, self.c0, self.c1)


@dataclass(frozen=True)
class Mapping:
    """A network placed on an accelerator.

    ``synapse_units`` names the unit that serves a population's synapses where it is not
    ``actions.synapse``.
    """

    architecture: Architecture
    parts: dict[str, tuple[Part, ...]]
    synapse_units: dict[str, str] = field(default_factory=dict)

    def description(self) -> dict[str, Any]:
        """The placement as JSON values."""
        return {
            "parts": {
                name: [[part.core, part.y0, part.y1, part.c0, part.c1] for part in parts]
                for name, parts in self.parts.items()
            },
            "synapse_units": dict(sorted(self.synapse_units.items())),
        }

    @classmethod
    def from_description(cls, architecture: Architecture, data: dict[str, Any]) -> Mapping:
        """What ``description`` gave."""
        parts = {name: tuple(Part(name, *row) for row in rows) for name, rows in data["parts"].items()}
        return cls(architecture, parts, dict(data["synapse_units"]))


def stored_weights(network: Network, population: Population, channels: int) -> int:
    """Weights a core stores to serve ``channels`` channels of a population, at most.

    A projection that ends in part of the channels is stored for as many of them as there can be. Synapses
    listed one by one have a weight each; max pools have none.
    """
    total = 0
    wanted = channels
    for projection in network.incoming(population.name):
        synapses = projection.synapses
        first, stop = projection.channels(network.populations[projection.source].shape)
        channels = min(wanted, stop - first)
        if isinstance(synapses, Conv2d):
            ky, kx, in_group, _ = synapses.weight.shape
            total += ky * kx * in_group * channels
        elif isinstance(synapses, Dense):
            total += synapses.weight.shape[0] * channels
        elif isinstance(synapses, Sparse):
            per_channel = np.bincount(synapses.indices % synapses.shape[2], minlength=synapses.shape[2])
            total += int(np.sort(per_channel)[::-1][:channels].sum())
        elif not isinstance(synapses, MaxPool):  # pools, upsampling, identity: one a channel
            total += channels
    return total


def _ranges(length: int, pieces: int) -> list[tuple[int, int]]:
    """``length`` cut into near-equal consecutive ranges."""
    edges = [length * i // pieces for i in range(pieces + 1)]
    return list(pairwise(edges))


def _split(
    network: Network, population: Population, architecture: Architecture, core: int
) -> tuple[int, int]:
    """The fewest (channel pieces, row pieces) whose parts fit a core."""
    kind = architecture.kind(core)
    neurons, weights = kind.neurons.count(), kind.weights.count()
    height, width, channels = population.shape
    for pieces in range(1, channels + 1):
        largest = -(-channels // pieces)
        fits = stored_weights(network, population, largest) <= weights
        if fits and height * width * largest <= neurons:
            return pieces, 1
    rows = neurons // width
    if rows and stored_weights(network, population, 1) <= weights:
        return channels, -(-height // rows)
    one = stored_weights(network, population, 1)
    what = (
        f"one channel needs {one} weights, a core of {architecture.name!r} stores {weights}"
        if one > weights
        else f"one row of one channel has {width} neurons, a core of {architecture.name!r} holds {neurons}"
    )
    raise DoesNotFit(
        f"population {population.name!r} does not fit: {what}. No split by channels or rows fits; "
        "take larger cores or a smaller layer"
    )


def map_network(network: Network, architecture: Architecture) -> Mapping:
    """Place every population of a network.

    Raises
    ------
    DoesNotFit
        A layer fits no core at any split, or all together need more cores than there are.
    """
    parts: dict[str, tuple[Part, ...]] = {}
    core = 0
    needs = []
    for population in network:
        height, _, channels = population.shape
        if isinstance(population.neuron, Input):
            parts[population.name] = (Part(population.name, INPUT_PORT, 0, height, 0, channels),)
            continue
        by_channel, by_row = _split(
            network, population, architecture, min(core, architecture.number_of_cores - 1)
        )
        boxes = [(r, c) for c in _ranges(channels, by_channel) for r in _ranges(height, by_row)]
        parts[population.name] = tuple(
            Part(population.name, core + i, y0, y1, c0, c1) for i, ((y0, y1), (c0, c1)) in enumerate(boxes)
        )
        core += len(boxes)
        needs.append(f"{population.name} {len(boxes)}")
    if core > architecture.number_of_cores:
        raise DoesNotFit(
            f"the network needs {core} cores ({', '.join(needs)}), {architecture.name!r} has "
            f"{architecture.number_of_cores}. At least {core} cores, or larger cores, would fit"
        )
    return Mapping(architecture, parts)
