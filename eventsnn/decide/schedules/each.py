"""Schedules ``output-event`` and ``step``: every change of the readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.schedules.base import Schedule, Watching


@dataclass(frozen=True)
class EachOutputEvent(Schedule):
    """Every tick at which the readout has changed, in steps every step in which it has."""

    name: ClassVar[str] = "output-event"
    code: ClassVar[int] = 0

    def start(self) -> Watching:
        """Always."""
        return lambda check: True


@dataclass(frozen=True)
class EachStep(EachOutputEvent):
    """The same, and refused where there are no steps."""

    name: ClassVar[str] = "step"
    of_steps: ClassVar[bool] = True
