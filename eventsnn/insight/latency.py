"""How long messages are under way: from joining the serialiser's queue to landing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.service import DELIVERED, DROPPED
from eventsnn.insight.service import end_to_end

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Latency:
    """Of the messages of one population, up to the decision.

    Attributes
    ----------
    sent, dropped, in_flight : int
        Messages that joined a serialiser's queue, were lost, and had not landed at the decision.
    ticks : int64 array, shape (landed,)
        Ticks from joining the serialiser's queue to landing.
    """

    sent: int
    dropped: int
    ticks: Int64 = field(repr=False)

    @property
    def in_flight(self) -> int:
        """Sent, neither landed nor lost."""
        return self.sent - self.dropped - len(self.ticks)

    def __add__(self, other: Latency) -> Latency:
        """The same population's in further samples."""
        return Latency(
            self.sent + other.sent, self.dropped + other.dropped, np.concatenate([self.ticks, other.ticks])
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps, null where nothing landed."""
        landed = len(self.ticks)
        shares = np.percentile(self.ticks, [50, 95, 99, 100]) if landed else [None] * 4
        return {
            "sent": self.sent,
            "landed": landed,
            "dropped": self.dropped,
            "in_flight": self.in_flight,
            **{
                f"{name}_ps": None if value is None else float(value)
                for name, value in zip(("p50", "p95", "p99", "max"), shares, strict=True)
            },
        }


def latencies(service: NDArray[Any], order: tuple[str, ...], end: int) -> dict[str, Latency]:
    """Of each population that sent a message by tick ``end``, the decision."""
    ends = end_to_end(service)
    first, last = service[ends[:, 0]], service[ends[:, 1]]
    was_sent = first["arrival"] <= end
    lost = was_sent & (last["kind"] == DROPPED) & (last["finish"] <= end)
    landed = was_sent & (last["kind"] == DELIVERED) & (last["finish"] <= end)
    found = {}
    for rank in np.unique(first["rank"][was_sent]):
        own = first["rank"] == rank
        chosen = own & landed
        found[order[rank]] = Latency(
            sent=int((own & was_sent).sum()),
            dropped=int((own & lost).sum()),
            ticks=(last["finish"][chosen] - first["arrival"][chosen]).astype(np.int64),
        )
    return found
