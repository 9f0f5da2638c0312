"""Barriers against handshakes: one kind of network on 16 to 1,024 cores, and by the bound on up to 16,384.

    python benchmarks/handshakes.py [--json] [--quick]

A torus of populations of 32 neurons, a core each, on a mesh of tiles of one core with the times and energies
of ``loihi-sanafe-fit``: each population projects to itself and its four neighbours, a step late, a quarter of
the synapses that there could be, excitation and inhibition in balance, and has a bias; nothing comes in. The
same network runs for 30 steps under ``barrier`` and ``dependency`` (a core goes on once its neighbours have).
More than 1,024 cores are several such tori side by side, of which only the bound is taken: their spikes are
those of each alone. What a barrier takes over so many tiles is published for up to 32. Beyond, *fit* goes on
as the fit on silicon does from 4 to 29 tiles, 0.14 us each time their number doubles; *linear* goes on in
proportion, 11.4 ns a tile, as between the two ends of Davies et al. 2018. All are figures of models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, si
from numpy.typing import NDArray

from eventsnn.engine import RunOptions, SampleRun, Stimulus, make_engine
from eventsnn.hardware import Architecture, Chip, Mapping, Part, load_architecture
from eventsnn.hardware.energy import dynamic_energy_aj
from eventsnn.insight.bounds import Bound, least
from eventsnn.insight.work import Looked, Workload
from eventsnn.network import Input, Network, Population, Projection, Rate, Readout, Sparse

NUMBER = "handshakes"
SIMULATED, TORI = (16, 64, 256, 1024), (4, 16)
QUICK = (16, 64)
NEURONS, DENSITY, STEP, STEPS = 32, 0.25, 10**6, 30
LARGEST, TILES, OCTAVE = 1.8, 29, 0.14
"""Microseconds of a barrier over 29 tiles, the last entry of the fit, and what it grows by an octave."""
SMALLEST, TILE = 0.113, 0.01135
"""Microseconds of a barrier over one tile, and of each more, between the two ends of Davies et al."""
PUBLISHED = 4.27
OPTIONS = RunOptions(record_spikes=True, schedule="step", step=STEP)


def torus(side: int, seed: int) -> Network:
    """Populations in rows and columns, with an input and an output that have nothing to do."""
    rng = np.random.default_rng(seed)
    names = [[f"p{y:03d}-{x:03d}" for x in range(side)] for y in range(side)]
    shape = (1, 1, NEURONS)
    populations = [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, 2), Readout(period=STEP))]
    projections = []

    def connect(source: str, target: str, inputs: int, outputs: int, delay: int) -> None:
        exists = rng.random((inputs, outputs)) < DENSITY
        begin, end = np.nonzero(exists)
        weight = np.where(begin % 2 == 0, 24, -25)
        starts = np.searchsorted(begin, np.arange(inputs + 1))
        synapses = Sparse(weight, starts, end, (1, 1, outputs))
        bias = rng.integers(2, 30, outputs) if source == target else None
        projections.append(Projection(f"{source}>{target}", source, target, synapses, bias, delay))

    for y in range(side):
        for x in range(side):
            name = names[y][x]
            start = rng.integers(0, 100, NEURONS)
            neuron = Rate(100, period=STEP, multispike=False, lower_clamp=-200)
            populations.append(Population(name, shape, neuron, initial_charge=start))
            near = {
                (y, x),
                ((y + 1) % side, x),
                ((y - 1) % side, x),
                (y, (x + 1) % side),
                (y, (x - 1) % side),
            }
            for there, across in sorted(near):
                connect(name, names[there][across], NEURONS, NEURONS, STEP)
    connect("in", names[0][0], 1, NEURONS, STEP)
    connect(names[0][0], "out", NEURONS, 2, STEP)
    return Network(populations, projections)


def barrier_ticks(tiles: int, linear: bool) -> int:
    """Time of a barrier over so many tiles."""
    if linear:
        return round((SMALLEST + TILE * (tiles - 1)) * 10**6)
    if tiles < TILES:  # an entry of the fit holds until the next
        entries = load_architecture("loihi-sanafe-fit")
        return entries.barrier_ticks(tiles)
    return round((LARGEST + OCTAVE * math.log2(tiles / TILES)) * 10**6)


def chip(side: int, kind: str) -> Architecture:
    """So many tiles of one core; the time of a barrier is added to each step later."""
    document = load_architecture("loihi-sanafe-fit").document()
    document["network_on_chip"] = {"topology": "mesh", "width": side, "height": side}
    document["tiles"] = {f"tile[0..{side * side - 1}]": {"core": "neuron-core"}}
    document["synchronisation"] = {"kind": kind}
    return Architecture.model_validate(document)


def placed(network: Network, architecture: Architecture) -> Mapping:
    """A population on each core; the output beside the first, the input at the port."""
    parts = {"in": (Part("in", -1, 0, 1, 0, 1),), "out": (Part("out", 0, 0, 1, 0, 2),)}
    own = sorted(name for name in network.order if name.startswith("p"))
    parts |= {name: (Part(name, core, 0, 1, 0, NEURONS),) for core, name in enumerate(own)}
    return Mapping(architecture, {name: parts[name] for name in network.order})


def nothing(steps: int) -> Stimulus:
    """An input without an event, so many steps long."""
    none = np.zeros(0, dtype=np.int64)
    return Stimulus(none, none, duration=steps * STEP)


@dataclass(frozen=True)
class Ran:
    """Of one torus: ticks of all steps by simulation and by the bound, barriers left out, and its counts.

    ``largest`` is the largest work of a unit in each step.
    """

    barrier: int
    dependency: int
    bound: Bound
    largest: NDArray[np.int64]
    energy_aj: tuple[int, int]
    spikes: int


def run(side: int, seed: int, both: bool = True) -> Ran:
    """A torus under a barrier that takes no time, and under handshakes."""
    network = torus(side, seed)
    runs: list[SampleRun] = []
    energies = []
    for kind in ("dependency", "barrier") if both else ("dependency",):
        mapping = placed(network, chip(side, kind))
        runs.append(make_engine("compiled", network, mapping, OPTIONS).run(nothing(STEPS)))
        energies.append(dynamic_energy_aj(runs[-1].counters, Chip(mapping).energy(network.order, True)))
    spikes = runs[0].spikes
    assert spikes is not None
    # Every neuron has a bias, so every one is updated in every step.
    looked = [
        Looked(parts[0], np.full(STEPS, NEURONS)) for name, parts in mapping.parts.items() if name[0] == "p"
    ]
    load = Workload(network, spikes, spikes.time // STEP - 1, STEPS, True, looked)
    found = least(load, placed(network, chip(side, "dependency")))
    times = [one.decision_time for one in runs]
    behind = replace(found, kind="barrier")
    return Ran(times[-1], times[0], found, behind.by_window, (energies[0], energies[-1]), len(spikes.time))


def row(cores: int, ran: list[Ran], simulated: bool) -> dict[str, Any]:
    """Ticks of a step on so many cores, by simulation (of one torus) and by the bound."""
    largest = np.max([one.largest for one in ran], axis=0).sum()
    found: dict[str, Any] = {"cores": cores, "bound": {}, "simulated": {}}
    for name, linear in (("fit", False), ("linear", True)):
        pause = barrier_ticks(cores, linear)
        behind = int(largest) / STEPS + pause
        found["bound"][name] = behind / (max(one.bound.ticks for one in ran) / STEPS)
        if simulated:
            found["simulated"][name] = (ran[0].barrier / STEPS + pause) / (ran[0].dependency / STEPS)
            found["explained"] = ran[0].bound.ticks / ran[0].dependency
            found["energy"] = ran[0].energy_aj[0] / ran[0].energy_aj[1]
        found[f"barrier_{name}_ps"] = pause
    found["handshakes_ps"] = (ran[0].dependency if simulated else max(one.bound.ticks for one in ran)) / STEPS
    found["without_barrier"] = int(largest) / max(one.bound.ticks for one in ran)
    return found


def shown(line: dict[str, Any]) -> list[str]:
    """A row of the table."""
    simulated = line["simulated"]
    return [
        f"{line['cores']:,}",
        *(si(line[name] * 1e-12, "s") for name in ("handshakes_ps", "barrier_fit_ps", "barrier_linear_ps")),
        *(f"{simulated[name]:.2f}" if simulated else "" for name in ("fit", "linear")),
        *(f"{line['bound'][name]:.2f}" for name in ("fit", "linear")),
        f"{line['without_barrier']:.2f}",
        f"{line['energy']:.3f}" if simulated else "",
    ]


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={NUMBER: {"machine": machine()}})
    lines = []
    for cores in QUICK if chosen.quick else SIMULATED:
        first = run(math.isqrt(cores), 16)
        lines.append(row(cores, [first], True))
    if not chosen.quick:
        tori = [first, *(run(math.isqrt(SIMULATED[-1]), 16 + i, both=False) for i in range(1, max(TORI)))]
        lines += [row(many * SIMULATED[-1], tori[:many], False) for many in TORI]
    last, simulated = lines[-1], [line for line in lines if line["simulated"]]
    report.add(
        NUMBER,
        Figure(
            f"times as fast at {simulated[-1]['cores']} cores, fit", simulated[-1]["simulated"]["fit"], None
        ),
        Figure(f"bound at {last['cores']} cores, fit (published: {PUBLISHED})", last["bound"]["fit"], None),
        Figure(f"bound at {last['cores']} cores, linear", last["bound"]["linear"], None),
        Figure("energy of handshakes over barriers (published: 1.17 to 1.25)", simulated[-1]["energy"], None),
        rows=lines,
    )
    columns = (
        "cores|a step, handshakes|barrier, fit|linear|times as fast, simulated, fit|linear|by the bound, fit|"
        "linear|barrier of no time|energy"
    )
    report.table("Handshakes against barriers", columns, [shown(line) for line in lines])
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
