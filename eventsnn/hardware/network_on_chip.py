"""How messages get from core to core: the network on chip, its links and routes.

Tile ``t`` of a mesh is at ``x = t // height``, ``y = t % height``. A message goes along x first, then along
y. The sensor's input port, core -1, shares the router of tile 0. Cores of one tile are no hop apart.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from eventsnn.hardware.actions import Strict
from eventsnn.hardware.quantities import Whole

EAST, WEST, NORTH, SOUTH = range(4)  # x grows to the east, y to the north
DIRECTIONS = 4

DEEPEST = 2**20


def _depth(lowest: int, *words: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value in words or (whole and lowest <= value <= DEEPEST):
            return value
        named = " or ".join(repr(word) for word in words)
        raise ValueError(f"allowed are whole numbers from {lowest} to {DEEPEST}, or {named}")

    return BeforeValidator(check)


Depth = Annotated[int | Literal["unbounded"], _depth(1, "unbounded")]
OutputDepth = Annotated[int | Literal["unbounded", "as-input"], _depth(0, "unbounded", "as-input")]


class Links(Strict):
    """Queues in front of the links: how many messages wait at each, the one on the link not counted."""

    depth: Depth


class NetworkOnChip(Strict):
    """``mesh``: a message takes ``hop_x`` and ``hop_y`` per hop. ``bus``: all take turns on one bus, ``bus``
    each. ``ideal``: no time between cores.

    With ``links`` each link of the mesh serves one message at a time; without, hops are delays.
    """

    topology: Literal["mesh", "bus", "ideal"]
    width: Annotated[Whole, Field(ge=1, le=1024)] | None = None
    height: Annotated[Whole, Field(ge=1, le=1024)] | None = None
    links: Links | None = None

    @model_validator(mode="after")
    def _size_of_a_mesh(self) -> NetworkOnChip:
        if self.topology == "mesh" and (self.width is None or self.height is None):
            raise ValueError("a mesh has a width and a height, in tiles")
        if self.topology != "mesh" and (self.width is not None or self.height is not None):
            raise ValueError(f"only a mesh has a width and a height, this is {self.topology!r}")
        if self.topology == "ideal" and self.links is not None:
            raise ValueError("an ideal network has no links")
        return self

    @property
    def has_links(self) -> bool:
        """Whether messages queue on their way."""
        return self.topology == "bus" or self.links is not None

    @property
    def link_depth(self) -> int | None:
        """Messages that may wait in front of a link; None if any number."""
        if self.links is None or self.links.depth == "unbounded":
            return None
        return self.links.depth

    def hops(self, source_tile: int, target_tile: int) -> tuple[int, int]:
        """Mesh hops between two tiles, (along x, along y)."""
        if self.height is None:
            return 0, 0
        return (
            abs(source_tile // self.height - target_tile // self.height),
            abs(source_tile % self.height - target_tile % self.height),
        )

    def route(self, source_tile: int, target_tile: int) -> tuple[int, ...]:
        """Links on the way, in order; none if links do not queue.

        The link that leaves tile t in a direction is ``4 t + direction``; the bus is link 0, and cores of one
        tile use it, too.
        """
        if not self.has_links:
            return ()
        if self.topology == "bus":
            return (0,)
        assert self.height is not None
        found = []
        tile = source_tile
        while tile // self.height != target_tile // self.height:
            east = target_tile // self.height > tile // self.height
            found.append(DIRECTIONS * tile + (EAST if east else WEST))
            tile += self.height if east else -self.height
        while tile != target_tile:
            north = target_tile > tile
            found.append(DIRECTIONS * tile + (NORTH if north else SOUTH))
            tile += 1 if north else -1
        return tuple(found)

    def link_name(self, link: int) -> str:
        """A link as a person would call it."""
        if self.topology == "bus":
            return "the bus"
        tile, direction = divmod(link, DIRECTIONS)
        return f"link of tile {tile} to the {('east', 'west', 'north', 'south')[direction]}"
