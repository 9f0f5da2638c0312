"""Networks of ImageNet's size, with random weights: do they convert, check and run within 8 GB?

    python benchmarks/full_size.py [--json] [--quick] [--network NAME]

VGG-16 reads 224 x 224 pixels, Inception-v3 299 x 299; ``--quick`` takes 64 and 107. Converted with signed
neurons of 15 levels on 8 random images; then one image is run spike by spike, neurons emitting payloads, and
decided as by the integer network (law 9). Each in a process of its own, whose
peak of memory is the figure. Batch norms have the statistics of the same images, so that activations keep
their size through the layers. Average pools of Inception-v3 are populations.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, peak_memory_mb, si

NUMBER = "full size"
BAR_MB = 8192.0
LEVELS = 15
IMAGES = 8
BATCH_NORM_PASSES = 2
NETWORKS: dict[str, dict[str, Any]] = {
    "vgg16": {
        "size": 224, "quick": 64,
        "parameters": {"classes": 1000, "hidden": (4096, 4096), "batch_norm": False},
        "options": {},
    },
    "inception-v3": {
        "size": 299, "quick": 107, "parameters": {}, "options": {"average_pools": "population"},
    },
}  # fmt: skip


def measure(name: str, quick: bool) -> dict[str, Any]:
    """Convert and run one network in this process."""
    import torch

    import eventsnn
    from eventsnn.convert.definitions import definition

    about = NETWORKS[name]
    size = about["quick" if quick else "size"]
    torch.manual_seed(0)
    model = definition(name, size=size, **about["parameters"])
    draw = np.random.default_rng(0)
    small = draw.random((IMAGES, 3, size // 8 + 1, size // 8 + 1), np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(small), size=(size, size), mode="bilinear")
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
        for _ in range(BATCH_NORM_PASSES):
            model(smooth)
    model.eval()
    images = np.round(smooth.numpy() * 255).astype(np.uint8)
    clock = time.perf_counter()
    network = eventsnn.convert(
        model, images, levels=LEVELS, input="charge", graded=True, verify=0, **about["options"]
    )
    converted = time.perf_counter() - clock
    clock = time.perf_counter()
    found = eventsnn.convert.compare(model, network, images[:1])
    compared = time.perf_counter() - clock
    del model
    clock = time.perf_counter()
    results = eventsnn.simulate(network, images[:1].transpose(0, 2, 3, 1))
    ran = time.perf_counter() - clock
    sample = results.table.samples[0]
    return {
        "network": name, "size": size,
        "neurons": sum(population.size for population in network.populations.values()),
        "convert_s": converted, "compare_s": compared, "run_s": ran, "peak_mb": peak_memory_mb(),
        "synaptic_operations": int(results.summary()["synaptic_operations"]["mean"]),
        "agrees": int(sample.prediction) == int(found.decisions[0]),
    }  # fmt: skip


def main() -> None:
    """Measure each in a process of its own, and print."""
    chosen = arguments(__doc__, lambda parser: parser.add_argument("--network", choices=sorted(NETWORKS)))
    if chosen.network:
        print(json.dumps(measure(chosen.network, chosen.quick)))
        return
    report = Report(detail={NUMBER: {"machine": machine()}})
    rows = []
    for name in NETWORKS:
        command = [sys.executable, __file__, "--network", name, *(["--quick"] if chosen.quick else [])]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        report.add(
            NUMBER,
            Figure(f"{name}, peak memory, MB", found["peak_mb"], BAR_MB, at_most=True),
            Figure(f"{name}, decisions that are not the integer network's", int(not found["agrees"]), 0,
                   at_most=True),
            **{name: found},
        )  # fmt: skip
        rows.append(
            [name, str(found["size"]), si(found["neurons"]), f"{found['convert_s']:.0f}",
             f"{found['run_s']:.0f}", si(found["synaptic_operations"]), f"{found['peak_mb']:.0f}"]
        )  # fmt: skip
    report.table("Full size", "network|pixels|neurons|convert, s|run, s|SOPs an image|peak, MB", rows)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
