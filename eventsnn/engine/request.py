"""What may be asked of a run: the schedule a network can follow, the length of a step, its features.

In the **step schedule** (law 8) time goes in steps of D ticks. Step k takes the input of the ticks
``[k D, (k + 1) D)`` and is computed at tick ``(k + 1) D``, when that input is complete; every spike of the
step, the input's too, carries that tick. D is ``RunOptions.step``, or the one period that the network's
neurons name: ``period`` of rate neurons (biased or not) and of outputs that have one, and leak periods.
Biases deliver B quanta per step, so D must be the period of every population with a current and every leak
period; delays, settle times, refractory times and softmax intervals are whole numbers of steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.stimulus import Stimulus
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import INPUT_PORT, Mapping
from eventsnn.network import Network, Population
from eventsnn.network.neurons import known_neuron

FEATURES: dict[str, str] = {
    "step": "the step schedule",
    "refractory": "refractory times",
    "leak": "grid leaks",
    "start": "start times (the voltage clamp)",
    "first_spike": "neurons that fire once a sample",
    "test_period": "rate neurons that are not tested in every step",
    "synapse": "neurons with a synaptic current (synapse_factor)",
    "source": "populations with a bias and no projection",
    "max_gate": "max gates",
    "softmax": "spiking softmax outputs",
    "cycle": "recurrent projections",
    "output": "an output population that has outgoing projections",
    "seeded": "seeded ties",
    "history": "the history of counters",
    "payload": "input payloads",
    "analog": "analog input",
    "duration": "an input that outlasts its last event",
    "chip_steps": "the step schedule on an accelerator",
    "links": "queues in front of links or a bus",
    "bounded": "bounded FIFOs",
    "shared": "cores that several populations share in the event schedule",
}


def needed_features(
    network: Network, mapping: Mapping | None, schedule: str, ties: str, history_period: int
) -> set[str]:
    """What a run needs beyond the basics; keys of ``FEATURES``."""
    used = {part.core for parts in mapping.parts.values() for part in parts} if mapping else set()
    kinds = [mapping.architecture.kind(core) for core in used if core != INPUT_PORT] if mapping else []
    neurons = [population.neuron for population in network]
    holders = [part.core for parts in mapping.parts.values() for part in parts] if mapping else []
    found = {
        "step": schedule == "step",
        "source": any(not (p.neuron.is_input or network.incoming(p.name)) for p in network),
        "cycle": bool(network.cycles),
        "output": bool(network.outgoing(network.output)),
        "seeded": ties == "seeded",
        "history": history_period > 0,
        "chip_steps": schedule == "step" and mapping is not None,
        "links": schedule == "event"
        and mapping is not None
        and mapping.architecture.network_on_chip.has_links,
        "bounded": schedule == "event"
        and any(k.input_depth is not None or k.output_depth is not None for k in kinds),
        "shared": schedule == "event" and len(set(holders)) < len(holders),
    }
    return {name for name, needed in found.items() if needed}.union(*(n.features for n in neurons))


def stimulus_features(stimulus: Stimulus) -> set[str]:
    """What a stimulus needs beyond the basics; keys of ``FEATURES``."""
    last = int(stimulus.time[-1]) if len(stimulus.time) else 0
    found = {
        "payload": stimulus.payload is not None,
        "analog": stimulus.analog is not None,
        "duration": stimulus.duration is not None and stimulus.duration > last,
    }
    return {name for name, needed in found.items() if needed}


def check_request(network: Network, schedule: str, step: int, mapping: Mapping | None) -> int:
    """The length of a step in ticks, 0 in the event schedule, for a network that can follow the schedule.

    Raises
    ------
    InvalidRequest, InvalidNetwork
    """
    for population in network:
        known_neuron(population)
    length = step_length(network, step) if schedule == "step" else 0
    once = [p.name for p in network if p.neuron.rule == "first_spike"]
    if once and (mapping is not None or not length):
        raise InvalidRequest(
            f"population {once[0]!r} of neurons that fire once (first_spike) knows steps without an "
            "accelerator only; use schedule='step' (--schedule step), and no hardware"
        )
    if mapping is not None:
        check_accelerator(mapping, schedule)
    if length:
        _check_whole_steps(network, length)
    else:
        _check_tests(network)
        _check_synaptic(network, mapping)
    for population in network:
        if takes_current(population):
            check_currents(population, network.bias(population.name), length)
    return length


def follows(network: Network, schedule: str) -> bool:
    """Whether a network can follow a schedule in steps of its own length."""
    try:
        check_request(network, schedule, 0, None)
    except InvalidRequest:
        return False
    return True


def check_accelerator(mapping: Mapping, schedule: str) -> None:
    """Refuse an accelerator that does not follow the schedule, or not without changing what happens in it.

    Raises
    ------
    InvalidRequest
    """
    architecture = mapping.architecture
    name, kind = architecture.name, architecture.synchronisation.kind
    if schedule == "event" and kind != "none":
        raise InvalidRequest(
            f"accelerator {name!r} runs step by step (synchronisation {kind!r}); use schedule='step' "
            "(--schedule step), or one whose synchronisation is 'none'"
        )
    if schedule == "event":
        return
    if kind == "none":
        raise InvalidRequest(
            f"accelerator {name!r} has no timesteps (synchronisation 'none'); use schedule='event' "
            "(--schedule event), or one whose synchronisation is 'barrier' or 'dependency'"
        )
    used = {part.core for parts in mapping.parts.values() for part in parts} - {INPUT_PORT}
    fifos = [architecture.kind(core).input_fifo for core in sorted(used)]
    bounded = [fifo for fifo in fifos if fifo.depth != "unbounded"]
    if any(fifo.policy != "block" for fifo in bounded):
        raise InvalidRequest(
            f"accelerator {name!r} loses messages at full input FIFOs; steps would then not be those of the "
            "network. Use policy 'block', or depth 'unbounded'"
        )
    if kind == "dependency" and (bounded or architecture.network_on_chip.link_depth is not None):
        raise InvalidRequest(
            f"accelerator {name!r} has bounded FIFOs or links and the synchronisation 'dependency'; use the "
            "synchronisation 'barrier', or depth 'unbounded'"
        )


def step_length(network: Network, step: int = 0) -> int:
    """Ticks of a step: as asked, or the one period of the network's neurons."""
    if step:
        return step
    periods: dict[int, str] = {}
    for population in network:
        neuron = known_neuron(population)
        for period in (neuron.current_period, neuron.leak_period):
            if period:
                periods.setdefault(period, population.name)
    if len(periods) != 1:
        named = ", ".join(f"{period} ({name!r})" for period, name in sorted(periods.items()))
        raise InvalidRequest(
            "the step schedule needs the length of a step in ticks (option step): the network's neurons "
            + (f"name several periods: {named}" if periods else "name no period")
        )
    return next(iter(periods))


def number_of_steps(stimulus: Stimulus, step: int) -> int:
    """Steps that cover the input: its events, and its duration if it has one; at least 1."""
    covered = int(stimulus.time[-1]) // step + 1 if len(stimulus.time) else 1
    return max(covered, -(-(stimulus.duration or 0) // step))


def takes_current(population: Population) -> bool:
    """Whether biases of a population are constant currents, not charges at time 0."""
    return known_neuron(population).current_period > 0


def check_currents(population: Population, currents: NDArray[np.int64], step: int) -> None:
    """Refuse currents that a population cannot take; ``step`` is 0 in the event schedule.

    Raises
    ------
    InvalidRequest
    """
    neuron = population.neuron
    if not currents.any():
        return
    period = neuron.current_period
    if not step and neuron.update_period:
        step = neuron.update_period
        if period != step:
            raise InvalidRequest(
                f"population {population.name!r} of neurons with a synaptic current has biases per {period} "
                f"ticks and leaks each {step}; at its updates the two are one"
            )
    if step and period != step:
        raise InvalidRequest(
            f"population {population.name!r} has biases per {period} ticks, a step is {step}; in the step "
            "schedule the two are one"
        )
    refused = neuron.refused_currents(negative=int(currents.min()) < 0, stepped=step > 0)
    if refused is not None:
        raise InvalidRequest(f"population {population.name!r} {refused}")


def _check_whole_steps(network: Network, step: int) -> None:
    for projection in network.projections.values():
        _check_whole(f"projection {projection.name!r} has a delay", projection.delay, step)
    for population in network:
        neuron, name = population.neuron, f"population {population.name!r} has"
        for what, ticks in neuron.whole_steps().items():
            _check_whole(f"{name} {what}", ticks, step)
        if neuron.leak_period not in (0, step):
            raise InvalidRequest(
                f"{name} a leak_period of {neuron.leak_period} ticks, a step is {step}; in the step "
                "schedule the two are one"
            )


def _check_tests(network: Network) -> None:
    for population in network:
        if population.neuron.test_period:
            raise InvalidRequest(
                f"population {population.name!r} is tested each {population.neuron.test_period} ticks "
                "(test_period), which the event schedule does not do; use schedule='step' (--schedule step)"
            )


def _check_synaptic(network: Network, mapping: Mapping | None) -> None:
    """Neurons with a synaptic current are updated on a grid, which accelerators do in steps only."""
    for population in network:
        neuron = population.neuron
        if "synapse" not in neuron.features:
            continue
        if mapping is not None:
            raise InvalidRequest(
                f"population {population.name!r} of neurons with a synaptic current (synapse_factor) knows "
                "accelerators in steps only; use schedule='step' (--schedule step), or no hardware"
            )
        if not neuron.update_period:
            raise InvalidRequest(
                f"population {population.name!r} of neurons with a synaptic current (synapse_factor) names "
                "no period (leak_period, period) at which the event schedule would update it; give it one, "
                "or use schedule='step' (--schedule step)"
            )


def _check_whole(what: str, ticks: int, step: int) -> None:
    if ticks % step:
        raise InvalidRequest(
            f"{what} of {ticks} ticks, which is no whole number of steps of {step} ticks; the step schedule "
            f"needs one: give a step that divides {ticks / 10**6:.12g} us (step_us, --step-us)"
        )
