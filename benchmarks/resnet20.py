"""A10: a published ResNet-20 for CIFAR-10 as spikes: decisions, operations, what the conversion costs.

    EVENTSNN_DATA=... python benchmarks/resnet20.py [--json] [--quick] [--images N]

Y. Idelbayev's weights (91.73 % of the 10,000 test images) become signed neurons, one scale a channel and
biases corrected, on 500 training images taken evenly. All test images are decided by the integer network that
the spikes end with (law 9), image by image exactly; a handful also run spike by spike, in neuron order, in
random order and on an accelerator, and every neuron must end with its integer count. The same weights as rate
neurons: accuracy against time, in both schedules. ``--images`` and ``--quick`` take images evenly, and bars
on accuracy hold for all of them only.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, peak_memory_mb, si
from numpy.typing import NDArray

import eventsnn
from eventsnn.convert import quantised_activations
from eventsnn.engine import SampleRun
from eventsnn.events import ImageSet, image_set
from eventsnn.network import Network, Readout
from eventsnn.run.job import make_job
from eventsnn.run.settings import Settings

NUMBER = "A10"
WEIGHTS = Path("pretrained") / "resnet20-12fca82f.th"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet: what the weights were trained with."""

PUBLISHED = 91.73
LEVELS = {31: 0.2, 15: 0.5}
"""Points that so many levels may cost."""

SECONDS, MEGABYTES, MINUTES = 60.0, 2000.0, 15.0
CALIBRATION = 500
BATCH = 50
CHIP = "event-conv-large"
SETTLE_US = 100.0
"""On an accelerator: time between tests, so that a neuron does not follow every message of its inputs."""

RATE = {"spikes_at_lambda": 100.0, "duration_us": 200_000.0, "scales": "channel", "input": "analog"}
"""Steps are 2 ms, the period of the biases: 100 of them, and in each at most one spike up to lambda."""

TIMES_MS = (20, 40, 60, 100, 150, 200)

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Images:
    """Images, uint8 (n, y, x, channel), and labels."""

    pixels: NDArray[np.uint8]
    labels: Int64

    def evenly(self, count: int) -> ImageSet:
        """So many of them."""
        step = max(1, len(self.labels) // count)
        return image_set(self.pixels[::step][:count], self.labels[::step][:count])


def read_images(root: Path, split: str, count: int) -> Images:
    """So many images of a split, taken evenly: the file goes class by class."""
    with np.load(root / "cifar10" / "cifar10_lossless.npz") as archive:
        labels = archive[f"{split}_y"]
        step = max(1, len(labels) // count)
        residual = archive[f"{split}_resid"][:, ::step][:, :count]
    planes = np.cumsum(np.cumsum(residual, -1, dtype=np.uint8), -2, dtype=np.uint8)
    pixels = np.stack([planes[1] + planes[0], planes[0], planes[2] + planes[0]], -1)
    return Images(pixels, labels[::step][:count].astype(np.int64))


def read_model(root: Path) -> Any:
    """ResNet-20 with the published weights."""
    import torch

    from eventsnn.convert.definitions import definition

    state = torch.load(root / WEIGHTS, map_location="cpu", weights_only=True)["state_dict"]
    model = definition("resnet20")
    model.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
    return model.eval()


def decisions_of_model(model: Any, images: Images) -> Int64:
    """What the trained network decides, in float32."""
    import torch

    found = []
    with torch.no_grad():
        for begin in range(0, len(images.labels), BATCH):
            values = (images.pixels[begin : begin + BATCH] / 255.0 - MEAN) / DEVIATION
            found.append(model(torch.from_numpy(values).permute(0, 3, 1, 2).float()).argmax(1).numpy())
    return np.concatenate(found)


def decisions_of_network(network: Network, images: Images) -> Int64:
    """What the integer network decides; pixels are the charges of its input."""
    found = []
    for begin in range(0, len(images.labels), BATCH):
        counts = images.pixels[begin : begin + BATCH].astype(np.int64)
        found.append(quantised_activations(network, counts)[network.output].argmax(axis=1))
    return np.concatenate(found)


def operations_of_model(model: Any) -> int:
    """Multiply-accumulates of the trained network, border-blind."""
    from eventsnn.convert.graph.operations_count import operations_of
    from eventsnn.convert.importers.torch_fx import import_torch

    return sum(each.blind for each in operations_of(import_torch(model, (3, 32, 32)).graph))


def deviating(network: Network, run: SampleRun, expected: dict[str, Int64], position: int) -> int:
    """Neurons that a run left with another count (readouts: charge) than the integer network's."""
    wrong = 0
    for name, values in expected.items():
        found = run.charge if isinstance(network.populations[name].neuron, Readout) else run.counts
        wrong += int((found[name] != values[position]).sum())
    return wrong


def check_law_9(network: Network, images: Images, count: int, **settings: Any) -> dict[str, Any]:
    """A few images spike by spike: neurons that deviate, and operations."""
    chosen = images.evenly(count)
    expected = quantised_activations(network, chosen.images.astype(np.int64))
    job = make_job(network, chosen, Settings(input="charge", **settings))
    engine = job.make_engine()
    runs = []
    wrong = 0
    for position in range(len(chosen)):
        item = job.samples[position]
        runs.append(engine.run(job.stimulus(item), item.index))
        wrong += deviating(network, runs[-1], expected, position)
    neurons = sum(values.shape[1] for values in expected.values())
    return {"images": len(chosen), "neurons": neurons * len(chosen), "deviating": wrong}


def signed(
    report: Report, root: Path, model: Any, levels: int, images: Images, quick: bool
) -> list[list[str]]:
    """Convert, decide, run; a row of the table."""
    whole = len(images.labels) == 10_000
    calibration = read_images(root, "train", CALIBRATION).pixels.transpose(0, 3, 1, 2)
    before, started, started_cpu = peak_memory_mb(), time.perf_counter(), time.process_time()
    network = eventsnn.convert(
        model, calibration, levels=levels, scales="channel", bias_correction=True,
        input_mean=MEAN, input_std=DEVIATION,
    )  # fmt: skip
    seconds, wall = time.process_time() - started_cpu, time.perf_counter() - started
    memory = peak_memory_mb()
    started_cpu = time.process_time()
    decided = decisions_of_network(network, images)
    minutes = (time.process_time() - started_cpu) / 60
    accuracy = 100 * float((decided == images.labels).mean())
    few = 2 if quick else 5
    lazy = network.with_neurons(settle_time=round(SETTLE_US * 1e6))
    laws = {
        "neuron order": check_law_9(network, images, few),
        "random order": check_law_9(network, images, few, ties="seeded", seed=1),
        CHIP: check_law_9(lazy, images, 1 if quick else 2, hardware=CHIP),
    }
    results = eventsnn.simulate(network, images.evenly(20 if quick else 200))
    summary = results.summary()
    operations, macs = summary["synaptic_operations"]["mean"], operations_of_model(model)
    name = f"L={levels}"
    report.add(
        NUMBER,
        Figure(
            f"{name}: points off {PUBLISHED} % on all images",
            abs(accuracy - PUBLISHED) if whole else None,
            LEVELS[levels], at_most=True,
            skipped="" if whole else f"{accuracy:.2f} % of {len(images.labels)} images, taken evenly",
        ),
        Figure(f"{name}: neurons with another count than the integer network's",
               sum(law["deviating"] for law in laws.values()), 0, at_most=True),
        Figure(f"{name}: conversion, CPU seconds", seconds, SECONDS, at_most=True),
        Figure(f"{name}: conversion, peak memory, MB", memory, MEGABYTES, at_most=True),
        Figure(f"{name}: CPU minutes for the decisions", minutes, MINUTES if whole else None, at_most=True),
        Figure(f"{name}: SOPs / MACs", operations / macs, None),
        **{name: {
            "accuracy": accuracy, "images": len(images.labels), "law_9": laws, "wall_seconds": wall,
            "memory_before_mb": before, "synaptic_operations": operations, "macs": macs,
            "spikes": summary["spikes"]["mean"], "runs": len(results),
        }},
    )  # fmt: skip
    return [[
        f"signed, {name}", "event", f"{accuracy:.2f} %", str(len(images.labels)), si(operations),
        f"{operations / macs:.2f}", "0 (one charge a pixel)",
    ]]  # fmt: skip


def decided_at(sample: Any, time_ms: float) -> int:
    """The class that the readout favoured at a time."""
    trace = sample.trace
    seen = int(np.searchsorted(trace["time_ps"], time_ms * 1e9, side="right"))
    return int(trace["readout"][seen - 1].argmax()) if seen else -1


def rate(report: Report, root: Path, model: Any, images: ImageSet) -> list[list[str]]:
    """The same weights as rate neurons: accuracy at several times, in both schedules."""
    calibration = read_images(root, "train", CALIBRATION).pixels.transpose(0, 3, 1, 2)
    network = eventsnn.convert(model, calibration, "rate", input_mean=MEAN, input_std=DEVIATION, **RATE)
    macs, rows = operations_of_model(model), []
    for schedule in ("event", "step"):
        results = eventsnn.simulate(network, images, schedule=schedule, max_events=10**11)
        right = {
            at: 100 * float(np.mean([decided_at(s, at) == s.label for s in results.table.samples]))
            for at in TIMES_MS
        }
        last = 100 * float(results.accuracy or 0.0)
        operations = results.summary()["synaptic_operations"]["mean"]
        report.add(
            NUMBER,
            Figure(f"rate, {schedule} schedule: accuracy at the end, %", last, None),
            Figure(f"rate, {schedule} schedule: SOPs / MACs", operations / macs, None),
            **{
                f"rate {schedule}": {"images": len(images), "by_ms": right, "synaptic_operations": operations}
            },
        )
        for at, share in right.items():
            rows.append(["rate", schedule, f"{share:.2f} %", str(len(images)), "", "", f"{at} ms"])
        cost = [si(operations), f"{operations / macs:.2f}"]
        rows.append(["rate", schedule, f"{last:.2f} %", str(len(images)), *cost, "end"])
    return rows


def main() -> None:
    """Measure and print."""
    chosen = arguments(
        __doc__,
        lambda parser: parser.add_argument("--images", type=int, default=10_000, help="test images"),
        lambda parser: parser.add_argument("--rate-images", type=int, help="for rate neurons; a tenth"),
        lambda parser: parser.add_argument("--only", choices=("signed", "rate"), help="one of both"),
    )
    report = Report(detail={NUMBER: {"machine": machine()}})
    data = os.environ.get("EVENTSNN_DATA")
    if not data:
        why = "EVENTSNN_DATA is not set; it names the folder with cifar10/ and pretrained/"
        names = [f"L={levels}: points off {PUBLISHED} % on all images" for levels in LEVELS]
        report.add(NUMBER, *(Figure(name, None, 0.0, at_most=True, skipped=why) for name in names))
        report.show(chosen.json)
        return
    root = Path(data)
    model = read_model(root)
    count = 200 if chosen.quick else chosen.images
    images = read_images(root, "test", count)
    of_model = 100 * float((decisions_of_model(model, images) == images.labels).mean())
    report.add(NUMBER, Figure("the trained network, %", of_model, None))
    rows = [["trained, float32", "", f"{of_model:.2f} %", str(len(images.labels)), "", "", ""]]
    if chosen.only != "rate":
        for levels in LEVELS:
            rows += signed(report, root, model, levels, images, chosen.quick)
    if chosen.only != "signed":
        few = chosen.rate_images or (20 if chosen.quick else max(1, len(images.labels) // 10))
        rows += rate(report, root, model, images.evenly(few))
    report.table(
        "ResNet-20 on CIFAR-10", "network|schedule|accuracy|images|SOPs|SOPs / MACs|decided at", rows
    )
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
