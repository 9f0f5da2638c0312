"""The network and its mapping as flat arrays: what the compiled kernels read and never write."""

from __future__ import annotations

import numpy as np

from eventsnn.counting.counters import COUNTERS
from eventsnn.counting.digest import population_key
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Plan
from eventsnn.engine.lowering.accelerator import Costs, chip_record
from eventsnn.engine.lowering.destinations import Destinations
from eventsnn.engine.lowering.layout import Layout
from eventsnn.engine.lowering.populations import factors_needed, population_rows
from eventsnn.engine.lowering.routes import NO_ROUTES, Routes
from eventsnn.engine.lowering.times import Times
from eventsnn.engine.softmax_tables import exponentials, waits


def build_plan(
    layout: Layout,
    costs: Costs | None = None,
    routes: Routes = NO_ROUTES,
    queued: bool = False,
    marked: bool = False,
    stepped: bool = False,
) -> Plan:
    """Lower a network as it is laid out, where messages take ``routes``; see ``population_rows``."""
    network = layout.network
    lowered = {
        name: projection.synapses.lowered_as(network.populations[projection.source].shape)
        for name, projection in network.projections.items()
    }
    rows = population_rows(layout, lowered, queued or costs is not None, marked, stepped)
    parts = []
    for number, (_, part) in enumerate(layout.parts):
        parts.append({"core": part.core, "neurons": layout.neurons(part), "lanes": 1})
        if costs is not None:
            parts[-1] |= costs.part(part, network.populations[part.population].neuron)
            parts[-1] |= {"routes": routes.first[number], "server": routes.core[number]}
    destinations = Destinations(network, lowered)
    for copies in layout.copies:
        for projection, part in copies:
            target = rows[destinations.rank_of[projection.target]]
            destinations.add(projection, part, target["offset"], target["kind"])
            destinations.rows[-1]["target_part"] = layout.number[part]
            if costs is not None:
                neuron = network.populations[projection.target].neuron
                destinations.rows[-1] |= costs.copy(part, neuron)
    for name in destinations.windows:
        rows[destinations.rank_of[name]] |= destinations.window_fields(name)
    factors = [p.factors(name) for p in network for name in factors_needed(p)]
    times = Times() if costs is None else costs.times
    chip = chip_record({} if costs is None else costs.whole())
    energy = np.zeros((len(rows), len(COUNTERS)), dtype=np.int64)
    softmax = any(row["kind"] == k.KIND_SOFTMAX for row in rows)
    return Plan(
        population=k.filled(k.POPULATION, rows),
        destination=k.filled(k.DESTINATION, destinations.rows),
        synapses=destinations.synapses(),
        fan_out=destinations.fan_out(),
        factors=np.concatenate([np.zeros(0 if factors else 1), *factors]).astype(np.int32),
        keys=np.stack([population_key(name) for name in network.order]),
        part_of=layout.part_of,
        part=k.filled(k.PART, parts),
        route=routes.route,
        leg=routes.leg,
        chip=chip,
        energy=energy if costs is None else costs.chip.energy(network.order),
        times=times.tables(),
        spread=times.spread(),
        tables=np.array(waits() + exponentials() if softmax else (0,), dtype=np.int64),
    )
