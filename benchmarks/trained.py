"""Every weights file of ``models/`` as spikes: accuracy, decisions, operations.

    EVENTSNN_DATA=... python benchmarks/trained.py [--json] [--quick] [--only NAME]

Signed neurons, calibrated on 500 training images taken evenly; where activations are no steps already, a
scale a channel, corrected biases, 15 and 31 levels, as unit spikes and as one payload a change. The integer
network that the spikes end with decides all 10,000 test images beside the original; every 50th is run spike
by spike.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, peak_memory_mb, si
from resnet20 import BATCH, Images, decisions_of_network, read_images

import eventsnn
from eventsnn.convert.definitions.trained import load_trained
from eventsnn.convert.graph.operations_count import operations_of
from eventsnn.convert.importers.torch_fx import import_torch

NUMBER = "trained"
MODELS = Path(__file__).resolve().parents[1] / "models"
DATA = {
    "lenet5": "mnist",
    "binarynet": "mnist",
    "vgg7": "cifar10",
    "small-inception": "cifar10",
    "binarynet-cifar10": "cifar10",
}
CALIBRATION, EVERY = 500, 50


def images_of(root: Path, data: str, split: str, count: int) -> Images:
    """So many images of a split, taken evenly."""
    if data == "cifar10":
        return read_images(root, split, count)
    with np.load(root / "mnist" / "mnist.npz") as archive:
        pixels, labels = archive[f"{split}_x"], archive[f"{split}_y"]
    step = max(1, len(labels) // count)
    return Images(pixels[::step][:count][..., None], labels[::step][:count].astype(np.int64))


def decisions_of_model(model: Any, images: Images) -> Any:
    """What the original decides, in float32."""
    import torch

    found = []
    with torch.no_grad():
        for begin in range(0, len(images.labels), BATCH):
            values = torch.from_numpy(images.pixels[begin : begin + BATCH] / 255.0)
            found.append(model(values.permute(0, 3, 1, 2).float()).argmax(1).numpy())
    return np.concatenate(found)


def measure(report: Report, name: str, root: Path, quick: bool) -> list[list[str]]:
    """A row for each way of converting."""
    model = load_trained(MODELS / f"{name}.pt")
    test = images_of(root, DATA[name], "test", 200 if quick else 10_000)
    calibration = images_of(root, DATA[name], "train", CALIBRATION).pixels.transpose(0, 3, 1, 2)
    macs = sum(each.blind for each in operations_of(import_torch(model, calibration.shape[1:]).graph))
    original = decisions_of_model(model, test)
    trained = 100 * float((original == test.labels).mean())
    ways: list[dict[str, Any]] = [{}]
    if not name.startswith("binarynet"):
        ways = [
            {"levels": levels, "scales": "channel", "bias_correction": True, "graded": graded}
            for levels in (15, 31)
            for graded in (False, True)
        ]
    rows = []
    for way in ways:
        network = eventsnn.convert(model, calibration, **way)
        decided = decisions_of_network(network, test)
        summary = eventsnn.simulate(network, test.evenly(max(1, len(test.labels) // EVERY))).summary()
        operations = summary["synaptic_operations"]["mean"]
        what = f"L={way['levels']}" + (", graded" if way["graded"] else "") if way else "as trained"
        accuracy, alike = (100 * float((decided == other).mean()) for other in (test.labels, original))
        report.add(
            NUMBER,
            Figure(f"{name}, {what}: points lost", trained - accuracy, None),
            Figure(f"{name}, {what}: SOPs / MACs", operations / macs, None),
            **{f"{name}, {what}": {
                "trained": trained, "accuracy": accuracy, "decided alike": alike, "images": len(test.labels),
                "synaptic_operations": operations, "macs": macs, "spikes": summary["spikes"]["mean"],
            }},
        )  # fmt: skip
        rows.append([
            name, f"{trained:.2f} %", what, f"{accuracy:.2f} %", f"{alike:.2f} %", si(operations),
            f"{operations / macs:.2f}", si(summary["spikes"]["mean"]),
        ])  # fmt: skip
    return rows


def main() -> None:
    """Measure and print."""
    chosen = arguments(
        __doc__, lambda parser: parser.add_argument("--only", choices=sorted(DATA), help="one weights file")
    )
    report = Report(detail={NUMBER: {"machine": machine()}})
    data, rows = os.environ.get("EVENTSNN_DATA"), []
    if data:
        for name in [chosen.only] if chosen.only else DATA:
            rows += measure(report, name, Path(data), chosen.quick)
        report.add(NUMBER, Figure("peak memory, MB", peak_memory_mb(), None))
    else:
        why = "EVENTSNN_DATA is not set; it names the folder with mnist/ and cifar10/"
        report.add(NUMBER, Figure("points lost", None, None, skipped=why))
    columns = "weights|original|as signed neurons|accuracy|decided as the original|SOPs|SOPs / MACs|spikes"
    report.table("Weights of models/ as spikes", columns, rows)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
