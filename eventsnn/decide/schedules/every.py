"""Schedule ``every``: once for so many events of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.base import Check
from eventsnn.decide.schedules.base import Schedule, Watching


@dataclass(frozen=True)
class EveryEvents(Schedule):
    """The first change of the readout from each multiple of ``every`` input events on."""

    name: ClassVar[str] = "every"
    code: ClassVar[int] = 1
    of_events: ClassVar[bool] = True
    every: int

    def __post_init__(self) -> None:
        self.whole("every", 1, 10**12)

    def start(self) -> Watching:
        """Whether a multiple was passed since the last check."""
        last = [0]

        def due(check: Check) -> bool:
            passed = check.input_events // self.every
            due = passed > last[0]
            last[0] = passed
            return due

        return due
