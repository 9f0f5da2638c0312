"""Populations as records: what a neuron's rule reads, and where its neurons and marks stand."""

from __future__ import annotations

from eventsnn.engine.kernels import records as k
from eventsnn.engine.lowering.cells import Lowered, reaches_whole_pixels
from eventsnn.engine.lowering.layout import Layout
from eventsnn.network import Network, Population
from eventsnn.network.neurons import unknown_kind

KIND_OF_RULE = {
    "input": k.KIND_INPUT,
    "signed": k.KIND_SIGNED,
    "rate": k.KIND_RATE,
    "first_spike": k.KIND_FIRST_SPIKE,
    "readout": k.KIND_READOUT,
    "softmax": k.KIND_SOFTMAX,
    "exact_gate": k.KIND_EXACT_GATE,
    "rate_gate": k.KIND_RATE_GATE,
}
# Populations whose neurons are tested once they have been delivered to.
MARKED = (k.KIND_SIGNED, k.KIND_EXACT_GATE, k.KIND_RATE_GATE)
# Others that an accelerator scans in each step.
SCANNED = (k.KIND_RATE, k.KIND_SYNAPTIC, k.KIND_SOFTMAX)
# What a rule names by a word.
FILTERS = {
    "average": k.FILTER_AVERAGE,
    "finite_impulse": k.FILTER_FINITE_IMPULSE,
    "exponential": k.FILTER_EXPONENTIAL,
    "clock": k.VARIANT_CLOCK,
    "independent": k.VARIANT_INDEPENDENT,
}


def population_rows(
    layout: Layout, lowered: dict[str, Lowered], queued: bool, marked: bool, stepped: bool
) -> list[dict[str, int]]:
    """Fields of ``POPULATION`` by rank; ``lowered`` are the synapses of every projection by name.

    ``queued``: every copy of a spike is queued, those without a delay too. ``marked``: deliveries leave marks
    on neurons that are not tested because of them, too. ``stepped``: of the step schedule.
    """
    rows: list[dict[str, int]] = []
    offset = touched = destination = part = factors = 0
    for population, copies in zip(layout.network, layout.copies, strict=True):
        row = _of_neuron(layout.network, population, lowered, stepped) | {
            "offset": offset,
            "destination_start": destination,
        }
        for name in factors_needed(population):
            row[f"{name}s"] = factors
            factors += population.size
        if row["kind"] in MARKED or (marked and row["kind"] in SCANNED):
            row["group"] = _group(layout, population, lowered)
            row["touch_offset"] = touched
            touched += population.size // row["group"]
        destination += len(copies)
        row["destination_stop"] = destination
        row["direct"] = int(not queued and all(projection.delay == 0 for projection, _ in copies))
        row["interleaved"] = int(len({projection.target for projection, _ in copies}) < len(copies))
        row["part_start"] = part
        part += len(layout.of_population[population.name])
        row["part_stop"] = part
        offset += population.size
        rows.append(row)
    return rows


def factors_needed(population: Population) -> list[str]:
    """Which of a population's factors kernels look up."""
    ruled = population.neuron.ruled
    needed = {
        "leak_factor": getattr(ruled, "leak_period", 0),
        "synapse_factor": getattr(ruled, "synapse_factor", 0),
    }
    return [name for name, value in needed.items() if value]


def _of_neuron(
    network: Network, population: Population, lowered: dict[str, Lowered], stepped: bool
) -> dict[str, int]:
    neuron = population.neuron
    if neuron.rule not in KIND_OF_RULE:
        raise unknown_kind(population)
    row = {"neurons": population.size, "touch_offset": -1, "group": 1, "kind": KIND_OF_RULE[neuron.rule]}
    for name, value in neuron.parameters_of_rule().items():
        row[name] = FILTERS[value] if isinstance(value, str) else value
    if neuron.only_read:  # readouts that only leak are a synaptic current's in steps: one of factor 0
        row["synaptic"] = int("synapse" in neuron.features or (stepped and neuron.leak_period > 0))
    elif "synapse" in neuron.features:
        row["synaptic"], row["kind"] = 1, k.KIND_SYNAPTIC
    row["update_period"] = neuron.update_period
    row["lowest"] = network.lowest_count(population.name)
    if neuron.holds_charge:
        ranges = (
            lowered[projection.name].weight_range(network.populations[projection.source].shape)
            for projection in network.incoming(population.name)
        )
        row["largest_weight"] = max(1, *(max(high, -low) for low, high in ranges), 0)
    return row


def _group(layout: Layout, population: Population, lowered: dict[str, Lowered]) -> int:
    """Neurons that every delivery reaches together: a pixel's channels, or single neurons."""
    channels = population.shape[2]
    if layout.is_split(population):
        return 1
    for projection in layout.network.incoming(population.name):
        source = layout.network.populations[projection.source].shape
        whole = projection.channels(source) == (0, channels)
        if not whole or not reaches_whole_pixels(lowered[projection.name]):
            return 1
    return channels
