"""Polarities merged, taken apart, or one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.errors import InvalidRequest
from eventsnn.events.stream import Events
from eventsnn.events.transforms.base import Transform

MEANINGS = ("merged", "split", "on", "off")
WIDEST = 2**15
"""Columns of a sensor: x is stored in 16 bits."""


@dataclass(frozen=True)
class Polarity(Transform):
    """What becomes of polarities.

    ``merged``: every event is ON. ``split``: polarities become places, OFF events on the left of a sensor
    twice as wide, ON events on its right, all ON. ``on``, ``off``: those events only, as they are.
    """

    kind: ClassVar[str] = "polarity"
    to: str

    def check(self) -> None:
        self.require(self.to in MEANINGS, "to", f"one of {', '.join(MEANINGS)}")

    def sensor(self, height: int, width: int) -> tuple[int, int]:
        if self.to != "split":
            return height, width
        if 2 * width > WIDEST:
            raise InvalidRequest(
                f"the transform {str(self)!r} makes a sensor of {2 * width} columns; {WIDEST} are the most"
            )
        return height, 2 * width

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        if self.to in ("on", "off"):
            return events[events["p"] == (self.to == "on")]
        moved = events.copy()
        if self.to == "split":
            moved["x"] += events["p"] * events["x"].dtype.type(width)
        moved["p"] = True
        return moved
