"""A certified stop on whole test sets: half of the images calibrate, the other half are stopped.

    EVENTSNN_DATA=... python benchmarks/certified.py [--json] [--quick] [--images N] [--only NAME]

LeNet-5 (Keras, MNIST) in 50 steps and ResNet-20 (CIFAR-10) in 100, as rate neurons in the step schedule. One
run of each without a rule; its traces are read again for every threshold. A threshold is certified on every
other image (accuracy gap of at most 1 point with 95 % confidence, the best of margin and max-probability),
and is then applied to the rest: how much earlier, how many operations fewer, how often it was wrong where
the full run was right. Beside it two that know the labels: the first check that is right, and the first
from which on the decision stays right. ``--keep FOLDER`` holds the runs' results files, which a next call
takes up.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import lenet_rate
import numpy as np
import resnet20
from measure import Figure, Report, arguments, machine, one_thread
from numpy.typing import NDArray

import eventsnn
from eventsnn.calibration.certify import calibrate
from eventsnn.convert.importers.keras import import_keras
from eventsnn.decide import ORACLES
from eventsnn.events import image_set
from eventsnn.results.results import Results
from eventsnn.results.stops import stops, stops_of_rules

NUMBER = "certified"
GAP, CONFIDENCE = 0.01, 0.95
RULES = ("margin", "max-probability")
LATENCY, OPERATIONS = 60.0, 50.0
"""Percent that a certified stop is to save, of a full run."""


def lenet(root: Path, count: int) -> tuple[Any, Any, dict[str, Any]]:
    """Network, images and settings of LeNet-5."""
    original = import_keras(root / "pretrained" / "lenet5_98.96.h5")
    with np.load(root / "mnist" / "mnist.npz") as file:
        train, test, labels = file["train_x"], file["test_x"], file["test_y"]
    calibration = train[:: len(train) // lenet_rate.CALIBRATED][:, None] / 255
    network = eventsnn.convert(
        original, calibration, "rate", input="analog", duration_us=lenet_rate.STEPS * lenet_rate.STEP_US,
        period_us=lenet_rate.STEP_US, spikes_at_lambda=lenet_rate.STEPS, percentile=99.9,
    )  # fmt: skip
    images = image_set(test[..., None], labels.astype(np.int64)).evenly(count)
    return network, images, {"schedule": "step", "step_us": lenet_rate.STEP_US}


def resnet(root: Path, count: int) -> tuple[Any, Any, dict[str, Any]]:
    """The same of ResNet-20."""
    calibration = resnet20.read_images(root, "train", resnet20.CALIBRATION).pixels.transpose(0, 3, 1, 2)
    network = eventsnn.convert(
        resnet20.read_model(root), calibration, "rate", input_mean=resnet20.MEAN,
        input_std=resnet20.DEVIATION, **resnet20.RATE,
    )  # fmt: skip
    images = resnet20.read_images(root, "test", count)
    return network, image_set(images.pixels, images.labels), {"schedule": "step", "max_events": 10**11}


WORKLOADS = {"LeNet-5": lenet, "ResNet-20": resnet}


def cut(full: NDArray[Any], stopped: NDArray[Any]) -> float:
    """How much less the mean is, percent."""
    return 100 * (1 - float(stopped.mean()) / float(full.mean()))


def measure(report: Report, name: str, results: Results, whole: bool) -> list[list[str]]:
    """Rows: the certified stop and the oracles, on the half that did not calibrate."""
    odd = np.arange(len(results)) % 2 == 1
    certificate = calibrate(results.select(~odd), RULES, "gap", GAP, CONFIDENCE)
    others = results.select(odd)
    found = stops(others.table, certificate.rule, [certificate.threshold])
    full = others.table.column("prediction")
    lost: NDArray[np.bool_] = (found.prediction[:, 0] != found.label) & (full == found.label)
    share = 100 * float(lost.mean())
    accuracy = [100 * float((each == found.label).mean()) for each in (full, found.prediction[:, 0])]
    latency, operations = others.latency_s, others.table.column("synaptic_operations")
    saved = cut(latency, found.latency_s), cut(operations, found.synaptic_operations)
    rows = [[
        name, f"{certificate.rule}:{certificate.threshold:g}", f"{accuracy[0]:.2f} %", f"{accuracy[1]:.2f} %",
        f"{share:.2f} %", f"{saved[0]:.1f} %", f"{saved[1]:.1f} %",
    ]]  # fmt: skip
    ideal = {}
    known = zip(ORACLES, stops_of_rules(others.table, list(ORACLES), [0.0]), strict=True)
    for title, best in known:
        ideal[title] = cut(latency, best.latency_s), cut(operations, best.synaptic_operations)
        rows.append([name, title, "", "", "0 %", *(f"{value:.1f} %" for value in ideal[title])])
    report.add(
        NUMBER,
        Figure(f"{name}: full run right, stopped wrong, %", share, 100 * GAP, at_most=True),
        Figure(f"{name}: latency saved, %", saved[0], LATENCY if whole else None),
        Figure(f"{name}: operations saved, %", saved[1], OPERATIONS if whole else None),
        **{name: {
            "samples": len(others), "accuracy": accuracy, "oracles": ideal,
            "certificate": {key: value for key, value in certificate.document().items()
                            if key not in ("calibrated_on", "conditions")},
        }},
    )  # fmt: skip
    return rows


def main() -> None:
    """Run, calibrate, stop, print."""
    chosen = arguments(
        __doc__,
        lambda parser: parser.add_argument("--images", type=int, default=10_000, help="test images"),
        lambda parser: parser.add_argument("--only", choices=sorted(WORKLOADS), help="one network"),
        lambda parser: parser.add_argument("--keep", type=Path, help="folder for results files"),
        lambda parser: parser.add_argument("--workers", type=int, default=1, help="processes"),
    )
    report = Report(detail={NUMBER: {"machine": machine()}})
    data = os.environ.get("EVENTSNN_DATA")
    rows: list[list[str]] = []
    if not data:
        why = "EVENTSNN_DATA is not set; it names the folder with mnist/, cifar10/ and pretrained/"
        report.add(NUMBER, Figure("latency saved, %", None, LATENCY, skipped=why))
    else:
        count = 2000 if chosen.quick else chosen.images
        with tempfile.TemporaryDirectory() as folder:
            for name in [chosen.only] if chosen.only else WORKLOADS:
                network, images, settings = WORKLOADS[name](Path(data), count)
                output = (chosen.keep or Path(folder)) / f"{name}-{len(images)}.h5"
                eventsnn.simulate(network, images, output=output, workers=chosen.workers, **settings)
                rows += measure(report, name, Results.load(output), len(images) == 10_000)
    columns = "network|stop|full run|stopped|lost|latency saved|operations saved"
    report.table("Certified stops, on the half that did not calibrate", columns, rows)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
