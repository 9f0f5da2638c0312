"""What a schedule is: which checks the decision unit is asked at."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.base import Check
from eventsnn.decide.parts import Part

Watching = Callable[[Check], bool]
"""Asked at each change of the readout; whether that is a check."""


@dataclass(frozen=True)
class Schedule(Part):
    """Which changes of the readout are checks.

    A decision unit looks when the readout has changed (in steps: at the end of such a step), the only
    moments that a trace records, so that one trace serves every schedule.
    """

    of_events: ClassVar[bool] = False
    """Whether it counts events of the input."""

    @abstractmethod
    def start(self) -> Watching:
        """A function for one sample."""

    def place(self, time_ps: int) -> int:
        """Which of its given times has come last, from 0; 0 where none are given."""
        return 0
