"""Where a network's populations lie, and as which copies their spikes are sent.

Populations are numbered by rank, parts by rank and as the mapping lists them. A *destination* is one copy of
a spike: (projection, core).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware import INPUT_PORT, Mapping, Part
from eventsnn.network import Network, Population, Projection

Copies = list[list[tuple[Projection, Part]]]


def destinations(network: Network, mapping: Mapping | None) -> Copies:
    """Per rank, the copies a spike is sent as, in the order of law 2: (projection name, core)."""
    return Layout(network, mapping).copies


def fan_out_in_part(
    network: Network, projection: Projection, part: Part, effective: bool = False
) -> NDArray[np.int64]:
    """Existing synapses of each source neuron that end in a part of the target population."""
    source = network.populations[projection.source].shape
    target = network.populations[projection.target].shape
    return projection.fan_out(source, target, effective, part.box)


class Layout:
    """The parts of a network; without an accelerator every population is one, on no core."""

    def __init__(self, network: Network, mapping: Mapping | None = None) -> None:
        self.network = network
        whole = {p.name: (Part(p.name, INPUT_PORT, 0, p.shape[0], 0, p.shape[2]),) for p in network}
        self.of_population = whole if mapping is None else mapping.parts

    @cached_property
    def parts(self) -> list[tuple[int, Part]]:
        """All parts with their rank."""
        return [(r, part) for r, name in enumerate(self.network.order) for part in self.of_population[name]]

    @cached_property
    def number(self) -> dict[Part, int]:
        """The place of a part among all."""
        return {part: place for place, (_, part) in enumerate(self.parts)}

    @cached_property
    def copies(self) -> Copies:
        """As ``destinations``."""
        return [
            [
                (projection, part)
                for projection in self.network.outgoing(name)
                for part in sorted(self.of_population[projection.target], key=lambda part: part.core)
            ]
            for name in self.network.order
        ]

    @cached_property
    def part_of(self) -> NDArray[np.int32]:
        """The part of every neuron, by rank, shape (neurons,)."""
        boxes = [np.full(population.shape, -1, dtype=np.int32) for population in self.network]
        for number, (rank, part) in enumerate(self.parts):
            boxes[rank][part.y0 : part.y1, :, part.c0 : part.c1] = number
        return np.concatenate([box.reshape(-1) for box in boxes])

    def neurons(self, part: Part) -> int:
        """Neurons of a part."""
        width = self.network.populations[part.population].shape[1]
        return (part.y1 - part.y0) * width * (part.c1 - part.c0)

    def is_split(self, population: Population) -> bool:
        """Whether a pixel's channels lie on several cores."""
        channels = population.shape[2]
        return any(part.c0 > 0 or part.c1 < channels for part in self.of_population[population.name])
