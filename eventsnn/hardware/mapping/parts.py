"""A network placed on an accelerator: which part of which population lies on which core."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eventsnn.hardware.architecture import Architecture
from eventsnn.network import Box

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

    def __str__(self) -> str:
        return (
            f"rows {self.y0}..{self.y1 - 1}, channels {self.c0}..{self.c1 - 1} of population "
            f"{self.population!r}"
        )


@dataclass(frozen=True)
class Mapping:
    """A network placed on an accelerator; ``placement.map_network`` makes one within all limits.

    ``synapse_units`` names the unit that serves a population's synapses where it is not
    ``actions.synapse``.
    """

    architecture: Architecture
    parts: dict[str, tuple[Part, ...]]
    synapse_units: dict[str, str] = field(default_factory=dict)

    def on_cores(self) -> dict[int, tuple[Part, ...]]:
        """What lies on each core that is used, by core; the input port left out."""
        found: dict[int, list[Part]] = {}
        for parts in self.parts.values():
            for part in parts:
                if part.core != INPUT_PORT:
                    found.setdefault(part.core, []).append(part)
        return {core: tuple(found[core]) for core in sorted(found)}

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
