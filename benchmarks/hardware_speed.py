"""D5: what hardware timing costs the engine, by how much messages wait for each other.

    [EVENTSNN_DATA=...] python benchmarks/hardware_speed.py [--json] [--quick]

The same network and inputs without an accelerator - tick by tick, and beside it in slabs where the network
allows it - and on a mesh with a core for every layer: *free*, so fast that next to nothing waits; *busy*, at
a clock that loads its busiest server to 0.9; *linked*, the same with links that queue; *bounded*, with
finite, blocking FIFOs in front of links and cores, too. Timed is the whole engine, sample by sample. On an
accelerator spikes come in another order, and signed neurons then emit more or fewer of them, so a ratio is of
times per synaptic operation; both counts stand beside it. Each message has its own serialiser, hops and
service: the fewer synapses a message reaches, the more they weigh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, alternate, arguments, machine, pin_one_thread, si
from networks import NoData, Workload, bernoulli, spike_stimulus

import eventsnn
from eventsnn.counting.counters import COLUMN
from eventsnn.engine import Engine, RunOptions, Stimulus, make_engine
from eventsnn.hardware import Architecture, map_network
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.load import estimate
from eventsnn.network import Network
from eventsnn.run.job import make_job
from eventsnn.run.load import ideal_spikes
from eventsnn.run.settings import Settings

HOME = Path(__file__).resolve().parents[1]
NUMBER = "D5"
OPERATIONS, MESSAGES = COLUMN["synaptic_operations"], COLUMN["messages_sent"]
BARS = {"free": 1.5, "busy": 1.8, "linked": 2.0, "bounded": 2.2}
CYCLES = {"serialise": 1, "hop_x": 1, "hop_y": 1, "decode": 2, "synapse": 1, "update": 1, "fire": 1}
LANES, LOAD, DEPTH = 64, 0.9, 16
FASTEST_HZ = 10**12  # a cycle is a tick
SIDE = 4  # tiles of the mesh, one core each
PIXEL_TICKS = 10**7


@dataclass(frozen=True)
class Case:
    """A network and its inputs."""

    name: str
    network: Network
    stimuli: list[Stimulus]


def cases(report: Report, quick: bool) -> Iterator[Case]:
    """The demo's recordings, and nets A and B where their data are."""
    network = eventsnn.load(HOME / "models/demo.h5")
    job = make_job(network, f"nmnist:{HOME}/datasets/demo", Settings(), None, 4 if quick else 20)
    positions = range(len(job.samples))
    yield Case("demo, signed", network, [job.stimulus(job.samples[position]) for position in positions])
    for name, samples, steps in (("A", 2, 5 if quick else 20), ("B", 1, 2 if quick else 5)):
        try:
            workload = Workload(name)
        except NoData as reason:
            report.add(NUMBER, Figure(f"net {name}: on / off", None, None, skipped=str(reason)))
            return
        pixels = workload.pixels(samples)
        rate = [spike_stimulus(sample) for sample in bernoulli(pixels, steps)]
        yield Case(f"{name}, rate", workload.rate, rate)
        if name == "A":
            yield Case("A, signed", workload.signed, [pixel_by_pixel(sample) for sample in pixels])


def pixel_by_pixel(pixels: np.ndarray) -> Stimulus:
    """An image, (y, x, channel), as graded spikes one after the other, in random order."""
    value = np.rint(pixels.reshape(-1) * 255).astype(np.int64)
    neuron = np.random.default_rng(5).permutation(np.flatnonzero(value))
    time = PIXEL_TICKS * np.arange(1, len(neuron) + 1)
    return Stimulus(time, neuron, payload=value[neuron])


def accelerator(clock_hz: int, **changes: Any) -> Architecture:
    """A mesh of one core a tile, large enough for any layer; ``changes`` to its network and its cores."""

    def of(value: float, unit: str) -> dict[str, Any]:
        return {"value": value, "unit": unit, "kind": "assumed", "source": "this benchmark"}

    core = {
        "neurons": of(2**20, "neurons"), "weights": of(2**30, "weights"),
        "processing_elements": of(LANES, "lanes"),
    } | changes.pop("core", {})  # fmt: skip
    document = {
        "format": "eventsnn-architecture",
        "schema": 2,
        "name": "mesh",
        "description": "a core for every layer",
        "clock": of(clock_hz, "Hz"),
        "network_on_chip": {"topology": "mesh", "width": SIDE, "height": SIDE} | changes,
        "tiles": {f"tile[0..{SIDE * SIDE - 1}]": {"core": "core"}},
        "cores": {"core": core},
        "static_power": of(0, "W"),
        "actions": {name: {"time": of(cycles, "cycles")} for name, cycles in CYCLES.items()},
    }
    return parse_architecture(document, "the benchmark's mesh")


def busiest(case: Case, architecture: Architecture) -> float:
    """The load of its busiest server, estimated from ideal runs."""
    engine = make_engine("compiled", case.network, None, RunOptions(record_spikes=True))
    spikes = [ideal_spikes(case.network, engine.run(s, i), s, 0) for i, s in enumerate(case.stimuli)]
    servers = estimate(case.network, map_network(case.network, architecture), spikes).servers
    return max(server.load or 0.0 for server in servers)


def accelerators(case: Case) -> dict[str, Architecture]:
    """By name, from one on which next to nothing waits to one on which senders are held."""
    free = accelerator(FASTEST_HZ)
    clock = round(FASTEST_HZ * busiest(case, free) / LOAD)
    unbounded = {"links": {"depth": "unbounded"}}
    fifos = {"input_fifo": {"depth": DEPTH}, "output_fifo": {"depth": DEPTH}}
    return {
        "free": free,
        "busy": accelerator(clock),
        "linked": accelerator(clock, **unbounded),
        "bounded": accelerator(clock, links={"depth": DEPTH}, core=fifos),
    }


def waits(case: Case, engine: Engine) -> float:
    """The share of services that began later than their message was there."""
    service = engine.run(case.stimuli[0], 0).service
    return float((service["start"] > service["arrival"]).mean())


def counted(case: Case, engine: Engine, column: int) -> int:
    """A counter of all samples."""
    return sum(int(engine.run(s, i).counters[:, column].sum()) for i, s in enumerate(case.stimuli))


def run_all(case: Case, engine: Engine) -> None:
    """What is timed."""
    for index, stimulus in enumerate(case.stimuli):
        engine.run(stimulus, index)


def measure(report: Report, case: Case, repeats: int) -> list[list[Any]]:
    """Figures and rows of a case."""
    engines = {"off": make_engine("compiled", case.network), "slabs": make_engine("compiled", case.network)}
    engines["off"]._machine.has_slabs = False  # tick by tick, as on an accelerator
    shares = {"off": 0.0, "slabs": 0.0}
    for name, architecture in accelerators(case).items():
        mapping = map_network(case.network, architecture)
        engines[name] = make_engine("compiled", case.network, mapping)
        logging = make_engine("compiled", case.network, mapping, RunOptions(record_service=True))
        shares[name] = waits(case, logging)
    jobs: dict[str, Callable[[], Any]] = {name: partial(run_all, case, e) for name, e in engines.items()}
    operations = {name: counted(case, engine, OPERATIONS) for name, engine in engines.items()}
    messages = {name: counted(case, engine, MESSAGES) for name, engine in engines.items()}
    times = alternate(jobs, repeats)
    rows = []
    for name, taken in times.items():
        each = taken.median / operations[name]
        ratio = each / (times["off"].median / operations["off"])
        rows.append([
            case.name, name, si(operations[name]),
            f"{operations[name] / messages[name]:.0f}" if messages[name] else "-",
            f"{shares[name]:.0%}", f"{taken.median * 1e3:.3g}", f"{each * 1e9:.2f}", f"{ratio:.2f}",
            f"{taken.median / times['off'].median:.2f}", f"{taken.spread:.0%}",
        ])  # fmt: skip
        detail = taken.detail() | {"synaptic_operations": operations[name], "messages": messages[name]}
        report.detail[NUMBER][f"{case.name}, {name}"] = detail | {"services_that_waited": shares[name]}
        if name not in ("off", "slabs"):
            report.add(NUMBER, Figure(f"{case.name}: {name} / off", ratio, BARS[name], at_most=True))
    return rows


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={NUMBER: {"machine": machine()}})
    rows = [
        row for case in cases(report, chosen.quick) for row in measure(report, case, 3 if chosen.quick else 9)
    ]
    columns = "net|accelerator|SOPs|SOPs a message|waited|ms|ns a SOP|on / off a SOP|on / off|spread"
    report.table("D5: hardware timing on and off", columns, rows)
    report.show(chosen.json)


if __name__ == "__main__":
    pin_one_thread()
    main()
