"""VGG-11 and ResNet-18 for CIFAR-10 on published chips: time, energy, and the core that bounds them.

    python benchmarks/published_chips.py [--json] [--quick] [--network NAME] [--chip NAME] [--images N]

Weights are random (batch norms have the statistics of the same smooth random images, so that activations
keep their size), neurons signed with 7 levels, each image one timestep. ``atsnn-style`` holds either network
whole by ``--mapping pack``. Loihi does not: the script prints the first limit that refuses it, and then runs
on a variation with the same cores and costs, but 8,192 axons in and out in place of 4,096 (ResNet-18: 16,384;
it fits 8,192, too, and finding out how takes minutes), and 32 chips as one mesh (1,024 tiles, the size of
SANA-FE's large Loihi) of 32 times the static power; links between chips cost what hops cost. ``--quick`` runs
VGG-11 on ``atsnn-style`` alone. Times and energies are model figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, peak_memory_mb, si

NUMBER = "published chips"
LEVELS = 7
CALIBRATION = 16
NETWORKS = ("vgg11", "resnet18")
CHIPS = {"atsnn-style": "pack", "loihi-davies2018": "layer"}
LOIHIS = 32
WIDE, HIGH = 32, 32
AXONS = {"vgg11": "8192", "resnet18": "16384"}
PROFILED = ("neuron unit", "receiving unit")


def network_of(name: str) -> tuple[Any, np.ndarray]:
    """A network with random weights, converted, and images of shape (n, 32, 32, 3)."""
    import torch

    import eventsnn
    from eventsnn.convert.definitions import definition

    torch.manual_seed(0)
    model = definition(name)
    small = np.random.default_rng(0).random((CALIBRATION, 3, 5, 5), np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(small), size=(32, 32), mode="bilinear")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()
        for _ in range(2):
            model(smooth)
    model.eval()
    images = np.round(smooth.numpy() * 255).astype(np.uint8)
    network = eventsnn.convert(model, images, levels=LEVELS, input="charge", verify=0)
    return network, images.transpose(0, 2, 3, 1)


def larger_loihi(axons: str) -> Any:
    """The variation of ``loihi-davies2018`` with so many axons a core, in and out."""
    from eventsnn.hardware import load_architecture
    from eventsnn.hardware.architecture import parse_architecture
    from eventsnn.hardware.variations import vary

    document = load_architecture("loihi-davies2018").document()
    document["tiles"] = {f"tile[0..{WIDE * HIGH - 1}]": {"core[0..3]": "neuron-core"}}
    document["network_on_chip"] |= {"width": WIDE, "height": HIGH}
    found = parse_architecture(document, "loihi-davies2018 on 32 chips")
    for path, value in (
        ("cores.neuron-core.axons_in", axons),
        ("cores.neuron-core.axons_out", axons),
        ("static_power", f"x{LOIHIS}"),
    ):
        found = vary(found, path, [value])[0].architecture
    return found


def places(mapping: Any) -> dict[str, Any]:
    """A mapping as a document that places every part, so that nobody looks for it again."""
    return {
        "populations": {
            name: [
                {
                    "core": part.core,
                    "rows": f"{part.y0}..{part.y1 - 1}",
                    "channels": f"{part.c0}..{part.c1 - 1}",
                }
                for part in parts
            ]
            for name, parts in mapping.parts.items()
            if parts[0].core >= 0
        }
    }


def busiest_unit(
    network: Any, images: np.ndarray, hardware: Any, placed: dict[str, Any], settings: dict[str, Any]
) -> tuple[int, str, float]:
    """Core, unit and seconds of service of the busiest, from a profile of the first image."""
    from eventsnn.run.profile import profile_samples

    summary = profile_samples(network, images, hardware, 0, mapping=placed, **settings)
    uses = {server: use for server, use in summary.uses.items() if server[0] in PROFILED}
    (unit, core), use = max(uses.items(), key=lambda item: item[1].serving)
    return core, unit, use.serving * 1e-12


def busiest_counted(results: Any, mapping: Any) -> tuple[int, str, float]:
    """The same from the first image's counters, where cores serve one synapse after another: no profile."""
    from eventsnn.counting import COLUMN
    from eventsnn.hardware import Chip

    chip, ticks = Chip(mapping), {}
    parts = [part for name in results.table.order for part in mapping.parts[name]]
    for part, row in zip(parts, results.table.samples[0].parts, strict=True):
        if part.core < 0:
            continue
        count = {name: int(row[column]) for name, column in COLUMN.items()}
        costs, synapse = chip.core(part.core), int(chip.synapse(part.population, part.core)[0])
        scan = count["neuron_accesses"] * costs.access + count["active_updates"] * costs.update
        spikes = count["spikes_positive"] + count["spikes_negative"]
        scan += spikes * costs.fire + count["messages_sent"] * int(costs.serialise[0])
        received = count["messages_received"] * int(costs.decode[0]) + count["synapses_served"] * synapse
        for unit, busy in zip(PROFILED, (scan, received), strict=True):
            ticks[part.core, unit] = ticks.get((part.core, unit), 0) + busy
    core, unit = max(ticks, key=lambda server: ticks[server])
    return core, unit, ticks[core, unit] * 1e-12


def measure(name: str, chip: str, number: int) -> dict[str, Any]:
    """One network on one chip, in this process."""
    import eventsnn
    from eventsnn.hardware import load_architecture, map_network
    from eventsnn.run.checked import check

    network, images = network_of(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.h5"
        network.save(path)
        refused = check(chip, path, CHIPS[chip])["problems"]
    hardware = larger_loihi(AXONS[name]) if refused else load_architecture(chip)
    settings = {"schedule": "step", "step_us": 1000, "input": "charge"}
    clock = time.perf_counter()
    mapping = map_network(network, hardware, CHIPS[chip])
    placed = places(mapping)
    mapped = time.perf_counter() - clock
    print(f"{name} on {chip}: placed in {mapped:.0f} s", file=sys.stderr, flush=True)
    clock = time.perf_counter()
    results = eventsnn.simulate(network, images[:number], hardware=hardware, mapping=placed, **settings)
    ran = time.perf_counter() - clock
    print(f"{name} on {chip}: ran in {ran:.0f} s", file=sys.stderr, flush=True)
    if all(kind.processing_elements.count() == 1 for kind in hardware.cores.values()):
        core, unit, serving = busiest_counted(results, mapping)
    else:
        core, unit, serving = busiest_unit(network, images[:1], hardware, placed, settings)
    seconds = np.array([sample.latency_s for sample in results.table.samples])
    joules = np.array([sample.energy_j for sample in results.table.samples])
    static = results.configuration["static_watts"] * seconds
    counted = results.summary()
    cores = {core: [part.population for part in parts] for core, parts in mapping.on_cores().items()}
    return {
        "network": name, "chip": chip, "images": number,
        "refused": [{key: problem.get(key) for key in ("population", "limit", "need", "has")}
                    for problem in refused],
        "cores": len(cores), "of": hardware.number_of_cores,
        "synaptic_operations": counted["synaptic_operations"]["mean"],
        "spikes": counted["spikes"]["mean"],
        "latency_s": float(seconds.mean()), "energy_j": float(joules.mean()),
        "static_j": float(static.mean()),
        "busiest": {"core": core, "unit": unit, "layers": cores[core], "serving_s": serving,
                    "share": serving / float(seconds[0])},
        "map_s": mapped, "run_s": ran, "peak_mb": peak_memory_mb(),
    }  # fmt: skip


def main() -> None:
    """Measure each pair in a process of its own, and print."""
    chosen = arguments(
        __doc__,
        lambda parser: parser.add_argument("--network", choices=NETWORKS),
        lambda parser: parser.add_argument("--chip", choices=sorted(CHIPS)),
        lambda parser: parser.add_argument("--images", type=int, default=2),
    )
    if chosen.network and chosen.chip:
        print(json.dumps(measure(chosen.network, chosen.chip, chosen.images)))
        return
    report = Report(detail={NUMBER: {"machine": machine()}})
    rows = []
    for name in [chosen.network] if chosen.network else NETWORKS[: 1 if chosen.quick else None]:
        for chip in [chosen.chip] if chosen.chip else list(CHIPS)[: 1 if chosen.quick else None]:
            command = [sys.executable, __file__, "--network", name, "--chip", chip]
            command += ["--images", str(chosen.images)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
            report.add(
                NUMBER,
                Figure(f"{name} on {chip}, ms an image", 1e3 * found["latency_s"], None),
                Figure(f"{name} on {chip}, mJ an image", 1e3 * found["energy_j"], None),
                **{f"{name} on {chip}": found},
            )
            busiest = found["busiest"]
            where = f"{busiest['core']} ({', '.join(busiest['layers'])})"
            limits = "; ".join("{population}: {limit} {need} > {has}".format(**r) for r in found["refused"])
            rows.append(
                [name, chip, limits or "fits", str(found["cores"]), si(found["synaptic_operations"]),
                 si(found["latency_s"], "s"), si(found["energy_j"], "J"), si(found["static_j"], "J"),
                 where, f"{busiest['unit']}, {100 * busiest['share']:.0f} %"]
            )  # fmt: skip
    columns = "network|chip|as published|cores|SOPs|time|energy|static|busiest core|serving, of the time"
    report.table("Published chips, per image", columns, rows)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
