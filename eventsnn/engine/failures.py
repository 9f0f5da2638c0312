"""How a sample can fail, in words; the same from every engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.stimulus import TICKS_PER_MICROSECOND
from eventsnn.errors import ChargeOverflow, Deadlock, EventLimitReached, InvalidRequest
from eventsnn.hardware.network_on_chip import NetworkOnChip
from eventsnn.network import Network
from eventsnn.network.neurons import CHARGE_LIMIT

HISTORY_ROWS = 10**6


def overflow(network: Network, rank: int, neuron: int, sample: int) -> ChargeOverflow:
    """The error for a charge about to leave 32 bits."""
    name = network.order[int(rank)]
    return ChargeOverflow(
        f"sample {sample}: the charge of neuron {int(neuron)} of population {name!r} is about to leave "
        "the 32-bit range; the run was stopped before it wrapped. Convert with a smaller threshold, "
        "or give rate neurons a lower clamp"
    )


def check_readout(network: Network, readout: NDArray[np.int64], sample: int) -> None:
    """Refuse a run whose readout (checks x classes), currents included, left 32 bits.

    Between deliveries only a constant current moves a readout: where it is read is where it counts.
    """
    if readout.size and max(int(readout.max()), -int(readout.min())) > CHARGE_LIMIT:
        neuron = int(np.abs(readout).max(axis=0).argmax())
        raise overflow(network, network.order.index(network.output), neuron, sample)


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


def deadlock(
    waits: Mapping[int, tuple[int, int, int]], sample: int, network_on_chip: NetworkOnChip
) -> Deadlock:
    """The error for a sample in which nothing can move any more.

    Parameters
    ----------
    waits : mapping
        For every core whose serialiser is blocked: the core whose room it waits for in the end, links in
        between followed through; the tick since when all of these wait; and the link that the serialiser
        itself waits for, -1 if none. Every awaited core is itself among them.
    sample : int
    network_on_chip : NetworkOnChip
        Names the links.
    """
    core, seen = min(waits), []
    while core not in seen:
        seen.append(core)
        core = waits[core][0]
    cycle = seen[seen.index(core) :]
    first = cycle.index(min(cycle))
    cycle = cycle[first:] + cycle[:first]
    since = max(waits[core][1] for core in cycle)

    def wait_of(core: int) -> str:
        awaited, _, link = waits[core]
        at = "" if link < 0 else f"at {network_on_chip.link_name(link)} "
        return f"core {core} waits {at}for room at core {awaited}"

    named = ", ".join(map(wait_of, cycle))
    return Deadlock(
        f"sample {sample}: deadlock at {since / TICKS_PER_MICROSECOND:.12g} us: {named}; nothing else is "
        "pending. Take deeper FIFOs, a FIFO that drops (policy drop-new or drop-old), or another mapping"
    )
