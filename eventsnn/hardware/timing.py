"""The accelerator's times and energies as the integers the engines work with.

A message goes: serialiser of its core (one message at a time) -> hops -> queue of the destination core
(first come, first served) -> decode + ceil(fan-out / PE) synapse cycles -> its charge lands. A rate
neuron's threshold test is part of each synapse cycle's pass (``update`` time per cycle as well). The
tests of signed neurons occupy their core for ceil(tested neurons / PE) update cycles, queued like a
message; the spikes they cause enter the serialiser when that scan ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware.architecture import Architecture
from eventsnn.hardware.jitter import jitter_table
from eventsnn.results.counters import COLUMN, COUNTERS

# Which action's energy a counter is charged.
ACTION_OF_COUNTER: dict[str, str] = {
    "input_events": "input",
    "spikes_positive": "fire",
    "spikes_negative": "fire",
    "synaptic_operations": "synapse",
    "multiplications": "multiply",
    "neuron_updates": "update",
    "current_updates": "update",
    "decision_operations": "decision",
    "messages_sent": "serialise",
    "hops_x": "hop_x",
    "hops_y": "hop_y",
    "messages_received": "decode",
}


@dataclass(frozen=True)
class Timing:
    """Times in ticks (1 ps), energies in attojoules per count."""

    processing_elements: int
    input: int
    serialise: int
    hop_x: int
    hop_y: int
    decode: int
    synapse: int
    update: int
    fire: int
    decision: int
    static_watts: float
    energy: NDArray[np.int64] = field(repr=False)
    transit_jitter: NDArray[np.int64] = field(repr=False)
    service_jitter: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, architecture: Architecture) -> Timing:
        """The timing of an architecture."""
        energy = np.zeros(len(COUNTERS), dtype=np.int64)
        for counter, action in ACTION_OF_COUNTER.items():
            energy[COLUMN[counter]] = architecture.energy_attojoules(action)
        names = ("input", "serialise", "hop_x", "hop_y", "decode", "synapse", "update", "fire", "decision")
        clock = architecture.clock.hertz()
        return cls(
            processing_elements=architecture.core.processing_elements.count(),
            **{name: architecture.time_ticks(name) for name in names},
            static_watts=architecture.static_power.watts(),
            energy=energy,
            transit_jitter=jitter_table(architecture.actions.serialise.jitter, clock),
            service_jitter=jitter_table(architecture.actions.decode.jitter, clock),
        )
