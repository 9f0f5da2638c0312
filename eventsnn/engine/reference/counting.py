"""What spikes and messages are counted as (law 4), in both schedules."""

from __future__ import annotations

from eventsnn.hardware import Architecture
from eventsnn.network.neurons import Neuron


def spike_counter(neuron: Neuron, payload: int) -> str:
    """What a spike is counted as."""
    if neuron.is_input:
        return "input_events"
    return "spikes_positive" if payload > 0 else "spikes_negative"


def sending(architecture: Architecture, source: int, target: int) -> dict[str, int]:
    """What is counted for a message from a core to a core."""
    hops_x, hops_y = architecture.hops(source, target)
    on_bus = architecture.network_on_chip.topology == "bus"
    return {"messages_sent": 1, "hops_x": hops_x, "hops_y": hops_y, "bus_transfers": int(on_bus)}
