"""Schedule ``at-us``: given times."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from eventsnn.decide.base import Check
from eventsnn.decide.parts import LONGEST_US, ticks
from eventsnn.decide.schedules.base import Schedule, Watching
from eventsnn.errors import InvalidExitRule

MOST = 10_000


@dataclass(frozen=True)
class GivenTimes(Schedule):
    """The first change of the readout from each of these times on, microseconds since the first event."""

    name: ClassVar[str] = "at-us"
    code: ClassVar[int] = 2
    of_time: ClassVar[bool] = True
    at_us: tuple[float, ...]

    def __post_init__(self) -> None:
        times = self.numbers("at_us", 0.0, LONGEST_US)
        if len(times) > MOST or any(a >= b for a, b in pairwise(self.times_ps)):
            raise InvalidExitRule(
                f"at-us of an exit rule is {';'.join(f'{t:g}' for t in times[:20])}; give at most {MOST} "
                "times, each later than the one before"
            )

    @property
    def times_ps(self) -> list[int]:
        """The times in picoseconds."""
        return [ticks(time) for time in self.at_us]

    def start(self) -> Watching:
        """Whether one of the times has come since the last check."""
        times, passed = self.times_ps, [0]

        def due(check: Check) -> bool:
            come = bisect_right(times, check.time_ps)
            due = come > passed[0]
            passed[0] = come
            return due

        return due

    def place(self, time_ps: int) -> int:
        """See ``Schedule.place``."""
        return max(bisect_right(self.times_ps, time_ps) - 1, 0)
