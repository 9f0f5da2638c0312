"""A2: LeNet-5 of Keras on MNIST as rate neurons: error and operations step by step.

    EVENTSNN_DATA=... python benchmarks/lenet_rate.py [--json] [--quick] [--samples N]

The trained network is read from its Keras file and converted with the 99.9th percentile of the non-zero
activations and, beside it, with their maximum: soft reset, analog input, 50 steps, in each of which lambda is
one spike. After every step the largest charge decides; a network that is still silent is wrong.

Operations are additions at synapses that exist. The original's are two a multiply-accumulate and one a bias,
of synapses that exist, and as the literature counts them, windows over padding included. The toolbox of
Rueckauer et al. 2017 (Frontiers in Neuroscience 11:682) printed 1.071 million at one point more than the
original's error, against 2.347 million, synapses into padding in both; the curve is for comparison, no bar.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, si
from numpy.typing import NDArray

NUMBER = "A2"
STEPS = 50
STEP_US = 2000.0
CALIBRATED = 500
QUICK = 200
BAR = 1.6
SHOWN = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50)

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Error in percent and mean synaptic operations after each step."""

    error: Float64
    operations: Float64

    def first(self, error: float) -> int | None:
        """The first step (from 1) whose error is at most this, in percent; None if there is none."""
        reached = np.flatnonzero(self.error <= error + 1e-9)
        return int(reached[0]) + 1 if len(reached) else None


def measured(original: Any, calibration: Any, images: Any, labels: Any, percentile: float) -> Curve:
    """Convert and run all images."""
    import eventsnn
    from eventsnn.counting.counters import COLUMN

    network = eventsnn.convert(
        original, calibration, "rate", input="analog", duration_us=STEPS * STEP_US, period_us=STEP_US,
        spikes_at_lambda=STEPS, percentile=percentile,
    )  # fmt: skip
    wrong, operations = np.zeros(STEPS), np.zeros(STEPS)
    for begin in range(0, len(images), 500):  # so that only these histories are held
        part = slice(begin, begin + 500)
        results = eventsnn.simulate(
            network, images[part], schedule="step", step_us=STEP_US, history_us=STEP_US
        )
        for sample, label in zip(results.table.samples, labels[part], strict=True):
            history = results.history(sample.index)
            if len(history.time_ps) != STEPS:
                raise RuntimeError(f"{len(history.time_ps)} rows of {STEPS} steps")
            decided = np.where((history.readout == 0).all(axis=1), -1, history.readout.argmax(axis=1))
            wrong += decided != label
            operations += history.counters[:, :, COLUMN["synaptic_operations"]].sum(axis=1)
    return Curve(100 * wrong / len(images), operations / len(images))


def compare(report: Report, data: Path, samples: int) -> None:
    """Both normalisations on evenly taken test images, and the original."""
    from eventsnn.convert.graph.operations_count import operations_of, total
    from eventsnn.convert.importers.keras import import_keras

    original = import_keras(data / "pretrained" / "lenet5_98.96.h5")
    with np.load(data / "mnist" / "mnist.npz") as file:
        train, test, labels = file["train_x"], file["test_x"], file["test_y"]
    every = max(1, len(test) // samples)
    images, labels = test[::every], labels[::every].astype(int)
    bar = BAR if every == 1 else None  # the truth is of all images
    calibration = train[:: len(train) // CALIBRATED][:, None] / 255
    scores = [
        original.evaluate(images[begin : begin + 500, None] / 255, [original.graph.output])
        for begin in range(0, len(images), 500)
    ]
    found = np.concatenate([part[original.graph.output] for part in scores])
    own = float(100 * (found.reshape(len(images), -1).argmax(axis=1) != labels).mean())
    costs = operations_of(original.graph)
    exact, blind = total(costs), total(costs, border_blind=True)
    curves = {
        name: measured(original, calibration, images[..., None], labels, percentile)
        for name, percentile in (("p = 99.9", 99.9), ("maximum", 100.0))
    }
    main, largest = curves.values()
    step = main.first(own + 1)
    near = None if step is None else float(main.operations[step - 1])
    report.add(
        NUMBER,
        Figure(f"error after {STEPS} steps, p = 99.9, %", float(main.error[-1]), bar, at_most=True),
        Figure(f"error after {STEPS} steps, maximum, %", float(largest.error[-1]), None),
        Figure("error of the original, %", own, None),
        Figure(
            "M operations at one point more, p = 99.9", None if near is None else near / 1e6, None,
            skipped="" if near is not None else "never so near", failed=near is None,
        ),
        Figure("M operations of the original", exact / 1e6, None),
        Figure("M operations of the original, padding counted", blind / 1e6, None),
        samples=len(images),
        curves={
            name: {"error_percent": c.error.tolist(), "operations": c.operations.tolist()}
            for name, c in curves.items()
        },
        steps_to_one_point_more={name: curve.first(own + 1) for name, curve in curves.items()},
        machine=machine(),
    )  # fmt: skip
    report.table(
        f"LeNet-5, {len(images)} test images of MNIST; original: {own:.2f} % wrong, {si(exact)} operations",
        "step|ms|error, p = 99.9|operations|error, maximum|operations",
        [
            [
                k, f"{k * STEP_US / 1000:g}", f"{main.error[k - 1]:.2f} %", si(main.operations[k - 1]),
                f"{largest.error[k - 1]:.2f} %", si(largest.operations[k - 1]),
            ]
            for k in SHOWN
        ],
    )  # fmt: skip


def main() -> None:
    """Measure and print."""
    given = arguments(str(__doc__), lambda p: p.add_argument("--samples", type=int, default=10_000))
    one_thread()
    report, data = Report(), os.environ.get("EVENTSNN_DATA")
    if data:
        compare(report, Path(data), min(given.samples, QUICK) if given.quick else given.samples)
    else:
        why = "EVENTSNN_DATA is not set; it names the folder with pretrained/ and mnist/"
        report.add(NUMBER, Figure("error after 50 steps, %", None, BAR, at_most=True, skipped=why))
    report.show(given.json)


if __name__ == "__main__":
    main()
