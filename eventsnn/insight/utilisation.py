"""How busy every server was until the decision: jobs, waits, services, blocked time, queues."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.service import DROPPED
from eventsnn.insight.occupancy import Occupancy
from eventsnn.insight.service import Server

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Use:
    """What one server did from the first event to the decision, or in several samples together.

    Attributes
    ----------
    unit, number : str, int
        Which server; see ``insight.service``.
    window : int
        Ticks from the first event to the decision.
    serving, blocked, waiting : int
        Ticks in that window: serving jobs, holding a job that had no place to go, and the sum of the time
        that jobs waited in front of it, messages that were dropped in the end included.
    most_waiting : int
        The largest number that waited at a time.
    unserved, dropped : int
        Jobs that still waited at the decision, and messages lost at its full queue.
    waits : int64 array, shape (jobs,)
        Ticks that each job begun before the decision had waited.
    spent : int64 array, shape (SIZES,)
        Ticks of the window in which 0 jobs waited, 1, 2 or 3, 4 to 7, and so on in doubling sizes.
    """

    unit: str
    number: int
    window: int
    serving: int
    blocked: int
    waiting: int
    most_waiting: int
    unserved: int
    dropped: int
    waits: Int64 = field(repr=False)
    spent: Int64 = field(repr=False)

    @property
    def utilisation(self) -> float:
        """Share of the time it served."""
        return self.serving / self.window if self.window else float("nan")

    @property
    def mean_waiting(self) -> float:
        """Jobs that waited, on average over time; by Little's law the waits over the time."""
        return self.waiting / self.window if self.window else float("nan")

    def __add__(self, other: Use) -> Use:
        """The same server in further samples."""
        return Use(
            self.unit,
            self.number,
            self.window + other.window,
            self.serving + other.serving,
            self.blocked + other.blocked,
            self.waiting + other.waiting,
            max(self.most_waiting, other.most_waiting),
            self.unserved + other.unserved,
            self.dropped + other.dropped,
            np.concatenate([self.waits, other.waits]),
            self.spent + other.spent,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps."""
        jobs = len(self.waits)
        return {
            "unit": self.unit,
            "number": self.number,
            "jobs": jobs,
            "utilisation": self.utilisation,
            "window_ps": self.window,
            "service_ps": self.serving,
            "blocked_ps": self.blocked,
            "wait_ps": self.waiting,
            "mean_wait_ps": float(self.waits.mean()) if jobs else None,
            "p95_wait_ps": float(np.percentile(self.waits, 95)) if jobs else None,
            "mean_waiting": self.mean_waiting,
            "most_waiting": self.most_waiting,
            "time_by_waiting_ps": {
                _sizes(i): int(ticks) for i, ticks in enumerate(self.spent.tolist()) if ticks
            },
            "unserved": self.unserved,
            "dropped": self.dropped,
        }


def uses(service: NDArray[Any], jobs_of: dict[Server, Int64], begin: int, end: int) -> dict[Server, Use]:
    """What each server in a log did between two ticks, the first event's and the decision's.

    ``jobs_of`` are its rows by server (``service.jobs_by_server``). Jobs that arrived after ``end`` are left
    out; times are cut at both.
    """
    found = {}
    for (unit, number), rows in jobs_of.items():
        jobs = service[rows]
        jobs = jobs[jobs["arrival"] <= end]
        arrival, start, finish, released = (
            np.clip(jobs[name], begin, end) for name in ("arrival", "start", "finish", "released")
        )
        waiting = Occupancy.of(jobs["arrival"], jobs["start"])
        lost = jobs["kind"] == DROPPED
        begun = jobs[(jobs["start"] <= end) & ~lost]
        found[unit, number] = Use(
            unit=unit,
            number=number,
            window=end - begin,
            serving=int((finish - start).sum()),
            blocked=int((released - finish).sum()),
            waiting=int((start - arrival).sum()),
            most_waiting=waiting.most(begin, end),
            unserved=int((jobs["start"] > end).sum()),
            dropped=int((jobs["start"] <= end)[lost].sum()),
            waits=(begun["start"] - begun["arrival"]).astype(np.int64),
            spent=waiting.time_by_size(begin, end),
        )
    return found


def _sizes(place: int) -> str:
    """The numbers that a place of ``Use.spent`` stands for."""
    low, high = 2**place // 2, 2**place - 1
    return str(low) if low >= high else f"{low}-{high}"
