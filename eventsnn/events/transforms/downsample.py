"""Fewer pixels: addresses divided by a factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.events.stream import Events, downsample_addresses, require_factor
from eventsnn.events.transforms.base import Transform


@dataclass(frozen=True)
class Downsample(Transform):
    """Each event to the block of ``factor`` x ``factor`` pixels it lies in; see ``downsample_addresses``."""

    kind: ClassVar[str] = "downsample"
    factor: int

    def check(self) -> None:
        require_factor(self.factor)

    def sensor(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // self.factor), -(-width // self.factor)

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        return downsample_addresses(events, self.factor)
