"""The work of a run in steps, one spike and one synapse at a time: the oracle of what servers have to do.

Written from the documentation of accelerators alone: in a step one unit of a core visits its neurons
(*access*), updates the active ones, forms their spikes (*fire*) and sends them one by one (*serialise*);
another decodes each message for the core and serves it in ceil(synapses there / processing elements) cycles;
a link carries one message at a time.
"""

from collections import defaultdict

import numpy as np


def places_of(network, mapping):
    """The core of every neuron, by population."""
    found = {}
    for population in network:
        cores = np.full(population.shape, -9)
        for part in mapping.parts[population.name]:
            cores[part.y0 : part.y1, :, part.c0 : part.c1] = part.core
        found[population.name] = cores.reshape(-1)
    return found


def work_in_steps(network, mapping, costs, spikes, active):
    """Ticks by (step, unit, number): units ``scan``, ``receive`` and ``link``; words read by core.

    ``costs``: times by action, processing elements under ``elements``. ``spikes``: (step, population, neuron)
    each; ``active``: sets of (step, population, neuron).
    """
    places, ticks, words = places_of(network, mapping), defaultdict(int), defaultdict(int)
    targets = defaultdict(list)
    for projection in network.projections.values():
        for source, target, _ in zip(*network.edges(projection), strict=True):
            core = places[projection.target][target]
            targets[projection.source, int(source)].append((projection.name, int(core)))
    for step, name, neuron in spikes:
        source = int(places[name][neuron])
        copies = defaultdict(int)
        for copy in targets[name, neuron]:
            copies[copy] += 1
        if not network.populations[name].neuron.is_input:
            ticks[step, "scan", source] += costs["fire"]
        for (_, core), synapses in copies.items():
            ticks[step, "scan", source] += costs["input" if source < 0 else "serialise"]
            cycles = (synapses + costs["elements"] - 1) // costs["elements"]
            ticks[step, "receive", core] += costs["decode"] + cycles * costs["synapse"]
            words[core] += synapses
            for link, time in links(mapping.architecture, source, core, costs):
                ticks[step, "link", link] += time
    for step, name, neuron in active:
        ticks[step, "scan", int(places[name][neuron])] += costs["update"]
    return ticks, words


def links(architecture, source, target, costs):
    """Links on a message's way, x first, and how long each carries it."""
    noc = architecture.network_on_chip
    if noc.topology == "bus":
        yield 0, costs["bus"]
        return
    if noc.links is None:
        return
    tiles = [0 if core < 0 else architecture.tile_of_core[core] for core in (source, target)]
    (x, y), (to_x, to_y) = (divmod(tile, noc.height) for tile in tiles)
    while x != to_x:
        yield 4 * (x * noc.height + y) + (0 if to_x > x else 1), costs["hop_x"]
        x += 1 if to_x > x else -1
    while y != to_y:
        yield 4 * (x * noc.height + y) + (2 if to_y > y else 3), costs["hop_y"]
        y += 1 if to_y > y else -1
