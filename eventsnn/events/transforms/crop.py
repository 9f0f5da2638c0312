"""A part of the sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.errors import InvalidRequest
from eventsnn.events.stream import Events
from eventsnn.events.transforms.base import Transform


@dataclass(frozen=True)
class Crop(Transform):
    """Events of a rectangle, which becomes the sensor: ``x``, ``y`` is its first column and row."""

    kind: ClassVar[str] = "crop"
    width: int
    height: int
    x: int = 0
    y: int = 0

    def check(self) -> None:
        for name in ("width", "height"):
            self.require(getattr(self, name) >= 1, name, "a number of pixels, at least 1")
        for name in ("x", "y"):
            self.require(getattr(self, name) >= 0, name, "a pixel, from 0")

    def sensor(self, height: int, width: int) -> tuple[int, int]:
        if self.x + self.width > width or self.y + self.height > height:
            raise InvalidRequest(
                f"the transform {str(self)!r} reaches to column {self.x + self.width - 1} and row "
                f"{self.y + self.height - 1}; the sensor has columns 0 to {width - 1} and rows 0 to "
                f"{height - 1} there"
            )
        return self.height, self.width

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        column, row = events["x"], events["y"]
        across = (column >= self.x) & (column < self.x + self.width)
        kept = events[across & (row >= self.y) & (row < self.y + self.height)]
        kept["x"] -= self.x
        kept["y"] -= self.y
        return kept
