"""How a sample can fail, in words; the same from every engine."""

from __future__ import annotations

from eventsnn.errors import ChargeOverflow, EventLimitReached, InvalidRequest
from eventsnn.network import Network

HISTORY_ROWS = 10**6


def overflow(network: Network, rank: int, neuron: int, sample: int) -> ChargeOverflow:
    """The error for a charge about to leave 32 bits."""
    name = network.order[int(rank)]
    return ChargeOverflow(
        f"sample {sample}: the charge of neuron {int(neuron)} of population {name!r} is about to leave "
        "the 32-bit range; the run was stopped before it wrapped. Convert with a smaller threshold, "
        "or give rate neurons a lower clamp"
    )


def event_limit(limit: int, sample: int) -> EventLimitReached:
    """The error for a sample that delivers more spikes than allowed."""
    return EventLimitReached(
        f"sample {sample}: more than max_events = {limit} spikes were delivered. Test signed neurons "
        "less often (settle_time), or raise max_events"
    )


def history_limit(period: int, before: int) -> InvalidRequest:
    """The error for a history of more than ``HISTORY_ROWS`` rows."""
    return InvalidRequest(
        f"a history every {period} ticks has more than {HISTORY_ROWS} rows by tick {int(before)}; take a "
        "longer history_period"
    )
