"""Every number a run counts, named once.

*Model counters* belong to the network and its input: every engine gives the same, and they are part of
the digest. *Hardware counters* exist only when an accelerator is modelled. All are int64, per sample
and population.
"""

from __future__ import annotations

MODEL_COUNTERS: dict[str, str] = {
    "input_events": "events of the recording that entered the network (input population)",
    "spikes_positive": "unit spikes, or graded payloads, above zero, by the emitting population",
    "spikes_negative": "the same below zero (signed neurons and exact max gates)",
    "synaptic_operations": "existing synapses served, zero weights included, by the target population; none "
    "where it is held",
    "effective_synaptic_operations": "the same without zero weights",
    "multiplications": "synapses served by a graded payload, or once by analog input, by the target "
    "population",
    "neuron_updates": "threshold tests: a signed neuron's per test of a touched neuron, a rate neuron's "
    "per delivery on it and per crossing or end of a refractory time at which it fires (per tested step in "
    "the step schedule), a softmax neuron's per competition or draw, of one that fires once per step until "
    "it has",
    "current_updates": "neurons with a bias current times whole bias periods elapsed since its start time",
    "decision_operations": "readout values compared by exit checks (output population)",
    "compares": "inputs of a max gate's window but one, per test of a touched gate, and per spike on a gate "
    "of rates (per step with spikes on it in the step schedule)",
}

HARDWARE_COUNTERS: dict[str, str] = {
    "messages_sent": "messages through the output serialiser, by the emitting population",
    "hops_x": "east-west hops of those messages",
    "hops_y": "north-south hops of those messages",
    "messages_received": "messages served by the destination core, by the target population",
    "messages_dropped": "messages lost at a full input FIFO, by the target population",
    "bus_transfers": "messages over the bus, by the emitting population",
    "synapses_served": "synapses served by the messages of each timestep, by the target population (their "
    "charge may be used steps later)",
    "neuron_accesses": "neurons visited in timesteps, whether anything happened to them or not",
    "active_updates": "those of them that held charge when the step began, have a bias or analog current, "
    "or were delivered to in it",
    "steps": "timesteps of the accelerator (input population)",
}

COUNTERS: tuple[str, ...] = (*MODEL_COUNTERS, *HARDWARE_COUNTERS)
COLUMN: dict[str, int] = {name: index for index, name in enumerate(COUNTERS)}

# Counted at a core or on the way from it, so that they can be told apart by the parts of a population.
PART_COUNTERS: tuple[str, ...] = (
    "input_events",
    "spikes_positive",
    "spikes_negative",
    "synaptic_operations",
    "effective_synaptic_operations",
    "multiplications",
    "neuron_updates",
    "messages_sent",
    "hops_x",
    "hops_y",
    "bus_transfers",
    "messages_received",
    "messages_dropped",
)
