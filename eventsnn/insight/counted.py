"""What a run's log of services says of the work in it: jobs by what they are, not by how long they took."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.lowering.layout import destinations, fan_out_in_part
from eventsnn.engine.service import DELIVERED, DROPPED, PASSED, SERIALISED, TESTED
from eventsnn.hardware import Chip, Mapping
from eventsnn.insight.service import CORE, LINK, SERIALISER
from eventsnn.insight.work import (
    LINKS,
    MESSAGES_IN,
    MESSAGES_OUT,
    NEURONS,
    SYNAPSES,
    Looked,
    Work,
    link_ticks,
)
from eventsnn.network import Network

Int64 = NDArray[np.int64]


def begun(service: NDArray[Any], last: int) -> NDArray[Any]:
    """The jobs of a log that a server had begun by a tick."""
    return service[(service["kind"] != DROPPED) & (service["start"] <= last)]


def logged_work(jobs: NDArray[Any], network: Network, mapping: Mapping, edges: Int64) -> Work:
    """The work of jobs of the event schedule, by the window in which each reached its server.

    Parameters
    ----------
    jobs : structured array
        As of ``begun``.
    edges : int64 array, shape (windows + 1,)
        Ticks; the last one is in the last window.
    """
    found, chip = Work(len(edges) - 1), Chip(mapping)
    window = np.clip(np.searchsorted(edges, jobs["arrival"], side="right") - 1, 0, found.windows - 1)

    def counted(rows: Int64, amounts: Int64 | None = None) -> Int64:
        return np.bincount(window[rows], amounts, found.windows).astype(np.int64)

    for kind, number in np.unique(np.stack([jobs["kind"], jobs["core"]], axis=1), axis=0).tolist():
        rows = np.flatnonzero((jobs["kind"] == kind) & (jobs["core"] == number))
        if kind == SERIALISED:
            found.add((SERIALISER, number), MESSAGES_OUT, counted(rows) * int(chip.core(number).serialise[0]))
        elif kind == PASSED:
            found.add((LINK, number), LINKS, counted(rows) * link_ticks(chip, number))
        elif kind == TESTED:
            costs = chip.core(number)
            cycles = counted(rows, -(-jobs["neuron"][rows] // costs.processing_elements))
            found.add((CORE, number), NEURONS, cycles * costs.update)
    copies = [copy for of_rank in destinations(network, mapping) for copy in of_rank]
    delivered = jobs["kind"] == DELIVERED
    for place in np.unique(jobs["destination"][delivered]).tolist():
        projection, part = copies[place]
        rows = np.flatnonzero(delivered & (jobs["destination"] == place))
        costs, cycle = chip.core(part.core), int(chip.synapse(part.population, part.core)[0])
        synapses = fan_out_in_part(network, projection, part)[jobs["neuron"][rows]]
        cycles = counted(rows, -(-synapses // costs.processing_elements))
        core = CORE, part.core
        found.add(core, MESSAGES_IN, counted(rows) * int(costs.decode[0]))
        found.add(core, SYNAPSES, cycles * cycle)
        found.add_words(part.core, cycle, costs.processing_elements, counted(rows, synapses))
        if network.populations[part.population].neuron.tested == "at delivery":
            found.add(core, NEURONS, cycles * costs.update)
    return found


def tested_in_events(jobs: NDArray[Any], network: Network, mapping: Mapping) -> list[Looked]:
    """Cycles of threshold tests of each part in a run of the event schedule, as one window."""
    chip, found = Chip(mapping), []
    tests = jobs[jobs["kind"] == TESTED]
    for rank, core in np.unique(np.stack([tests["rank"], tests["core"]], axis=1), axis=0).tolist():
        own = tests["neuron"][(tests["rank"] == rank) & (tests["core"] == core)]
        part = next(part for part in mapping.parts[network.order[rank]] if part.core == core)
        cycles = int((-(-own // chip.core(core).processing_elements)).sum())
        found.append(Looked(part, np.array([cycles], dtype=np.int64)))
    return found


def active_in_steps(
    service: NDArray[Any], network: Network, mapping: Mapping, spikes_of: dict[tuple[int, int], Int64]
) -> list[Looked]:
    """Active neurons of each part by step: a scan that is over tells them by how long it took.

    Parameters
    ----------
    service : structured array
        The log of a run in steps.
    spikes_of : dict of (rank, number of the part) to int64 array, shape (steps,)
        Spikes of each part, by step.
    """
    chip, found = Chip(mapping), []
    kept = service[(service["kind"] == TESTED) | (service["kind"] == SERIALISED)]
    order = np.lexsort([kept[name] for name in ("finish", "start", "core", "rank")])
    kept = kept[order]
    for rank, name in enumerate(network.order):
        population = network.populations[name]
        if population.neuron.is_input or population.neuron.emits == "nothing":
            continue
        parts = mapping.parts[name]
        for core in sorted({part.core for part in parts}):
            costs = chip.core(core)
            if not costs.update:
                continue  # then it does not matter who is active
            first, last = np.searchsorted(kept["rank"], [rank, rank + 1])
            own = kept[first:last]
            own = own[slice(*np.searchsorted(own["core"], [core, core + 1]))]
            scans, sends = own[own["kind"] == TESTED], own[own["kind"] == SERIALISED]
            inside = np.searchsorted(scans["start"], sends["start"], side="right") - 1
            sending = np.bincount(inside, sends["released"] - sends["start"], len(scans)).astype(np.int64)
            here = [number for number, part in enumerate(parts) if part.core == core]
            for place, number in enumerate(here):
                mine = slice(place, None, len(here))
                ticks = (scans["finish"] - scans["start"] - sending)[mine]
                ticks = ticks - scans["neuron"][mine] * costs.access - spikes_of[rank, number] * costs.fire
                found.append(Looked(parts[number], ticks // costs.update))
    return found
