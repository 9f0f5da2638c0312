"""Which servers were asked for more than they can do: load, queues that still grow, what is left over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.service import DROPPED
from eventsnn.insight.occupancy import Occupancy
from eventsnn.insight.service import Server

Int64 = NDArray[np.int64]
GROWTH = 1.1


@dataclass(frozen=True)
class Load:
    """One server while the input lasted, and after it.

    Attributes
    ----------
    offered : float
        Service time of the jobs that arrived while the input lasted over that time; a dropped one counts as
        long as those that were served. Above 1 a server falls behind, however deep its queue; NaN where the
        input takes no time.
    third_quarter, last_quarter : float
        Jobs that waited on average over the third and the last quarter of the input.
    always_waiting : bool
        Whether there was no tick of the last quarter at which none waited.
    backlog, backlog_ticks : int
        Jobs at the server at the decision, and about how many ticks of service they still need.
    drained : int or None
        Ticks after the end of the input when it had done its last job; 0 if earlier, None with a backlog.
    """

    offered: float
    third_quarter: float
    last_quarter: float
    always_waiting: bool
    backlog: int
    backlog_ticks: int
    drained: int | None

    @property
    def grows(self) -> bool:
        """Whether the queue still grew at the end of the input: one job more at least, and a tenth.

        One that emptied in between, as after a burst or at the end of a timestep, has been caught up with.
        """
        more = self.last_quarter >= max(self.third_quarter + 1, GROWTH * self.third_quarter)
        return more and self.always_waiting

    @property
    def overloaded(self) -> bool:
        """Asked for more than it can do, or its queue still grew."""
        return self.offered > 1 or self.grows

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps."""
        return {
            "offered_load": self.offered,
            "mean_waiting_third_quarter": self.third_quarter,
            "mean_waiting_last_quarter": self.last_quarter,
            "grows": self.grows,
            "overloaded": self.overloaded,
            "backlog": self.backlog,
            "backlog_ps": self.backlog_ticks,
            "drained_ps": self.drained,
        }


def loads(
    service: NDArray[Any], jobs_of: dict[Server, Int64], begin: int, input_end: int, decision: int
) -> dict[Server, Load]:
    """The load of each server in a log.

    Parameters
    ----------
    service : structured array
    jobs_of : dict of (unit, number) to int64 array
        Its rows by server (``service.jobs_by_server``).
    begin, input_end, decision : int
        Ticks of the first event, the end of the input and the decision. An input that the decision cuts
        short ends there.
    """
    input_end = min(input_end, decision)
    span = input_end - begin
    quarters = np.array([begin + span // 2, begin + span * 3 // 4, input_end], dtype=np.int64)
    found = {}
    for server, rows in jobs_of.items():
        jobs = service[rows]
        jobs = jobs[jobs["arrival"] <= decision]
        if len(jobs) == 0:
            continue
        arrived = jobs[(jobs["arrival"] >= begin) & (jobs["arrival"] < input_end)]
        served = jobs[(jobs["start"] <= decision) & (jobs["kind"] != DROPPED)]
        # What still waited has not been given its time: it will take about as long as the others.
        each = float((served["finish"] - served["start"]).mean()) if len(served) else 0.0
        waited = Occupancy.of(jobs["arrival"], jobs["start"])
        third, last = waited.means(quarters)
        left = jobs["finish"] > decision
        waiting = jobs["start"] > decision
        in_service = (jobs["finish"] - decision)[left & ~waiting]
        found[server] = Load(
            offered=len(arrived) * each / span if span > 0 else float("nan"),
            third_quarter=float(third),
            last_quarter=float(last),
            always_waiting=int(waited.time_by_size(int(quarters[1]), int(quarters[2]))[0]) == 0,
            backlog=int(left.sum()),
            backlog_ticks=round(int(in_service.sum()) + int(waiting.sum()) * each),
            drained=None if left.any() else max(0, int(jobs["released"].max()) - input_end),
        )
    return found
