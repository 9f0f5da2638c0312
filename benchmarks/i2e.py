"""A21: how many events I2E makes of MNIST and CIFAR-10, against the rates its authors publish.

    EVENTSNN_DATA=... python benchmarks/i2e.py [--json] [--quick]

The rate is events by all steps, pixels and polarities. 9.56 % (MNIST, 32 x 32, S0 = 0.10) and 5.86 %
(CIFAR-10, 128 x 128, S0 = 0.07) stand in the README of github.com/Ruichen0424/I2E, for all pictures; here are
3,000 and 2,500, evenly taken from the training sets. Paper and code differ in what is done at just the
threshold (an event in the code), and padding is a setting there: both are counted beside.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread
from numpy.typing import NDArray

NUMBER = "A21"
SETS = {"MNIST": (32, 0.10, 9.56, 0.1, 3_000), "CIFAR-10": (128, 0.07, 5.86, 0.2, 2_500)}
QUICK = 200
PADDINGS: dict[str, Any] = {"edge": {"mode": "edge"}, "zero": {}, "mirrored": {"mode": "reflect"}}


def mnist(data: Path) -> NDArray[np.uint8]:
    """The training pictures."""
    with np.load(data / "mnist" / "mnist.npz") as file:
        found: NDArray[np.uint8] = file["train_x"]
        return found


def cifar10(data: Path) -> NDArray[np.uint8]:
    """The training pictures."""
    with np.load(data / "cifar10" / "cifar10_lossless.npz") as file:
        residue = file["train_resid"]
    c = np.cumsum(np.cumsum(residue, -1, dtype=np.uint8), -2, dtype=np.uint8)
    return np.stack([c[1] + c[0], c[0], c[2] + c[0]], -1)


def other_rates(images: NDArray[np.uint8], size: int, ratio: float) -> dict[str, float]:
    """Percent with each padding and comparison, beside the product."""
    from eventsnn.events.i2e import MOVEMENTS, largest_colour

    found = dict.fromkeys([f"{p}, {sign}" for p in PADDINGS for sign in (">", ">=")], 0.0)
    for image in images:
        value = largest_colour(image, size).astype(int)
        threshold = ratio * (value.max() - value.min())
        for padding, how in PADDINGS.items():
            wide = np.pad(value, 1, **how)
            seen = {
                (y, x): wide[1 + y : 1 + y + size, 1 + x : 1 + x + size]
                for y in (-1, 0, 1) for x in (-1, 0, 1)
            }  # fmt: skip
            changes = np.abs(np.stack([seen[end] - seen[start] for start, end in MOVEMENTS]))
            found[f"{padding}, >"] += (changes > threshold).mean() / 2
            found[f"{padding}, >="] += (changes >= threshold).mean() / 2
    return {name: 100 * value / len(images) for name, value in found.items()}


def compare(report: Report, data: Path, quick: bool) -> None:
    """Both sets."""
    from eventsnn.events.i2e import encode_i2e, event_rate

    figures, rates, counts = [], {}, {}
    for name, load in (("MNIST", mnist), ("CIFAR-10", cifar10)):
        size, ratio, published, near, count = SETS[name]
        images = load(data)
        images = images[np.arange(min(count, QUICK) if quick else count) * len(images) // count]
        rate = 100 * float(
            np.mean([event_rate(encode_i2e(image, size=size, ratio=ratio), size) for image in images])
        )
        bar = None if quick else near  # few pictures scatter by more
        figures.append(
            Figure(
                f"{name}: points off the published {published} %", abs(rate - published), bar, at_most=True
            )
        )
        figures.append(Figure(f"{name}: event rate, %", rate, None))
        rates[name], counts[name] = other_rates(images, size, ratio), len(images)
    report.add(NUMBER, *figures, pictures=counts, rates=rates, machine=machine())
    report.table(
        "I2E event rates by what is beyond the edge and at just the threshold",
        "|".join(["set", "published", *rates["MNIST"]]),
        [
            [name, f"{SETS[name][2]:.2f} %", *(f"{value:.3f} %" for value in found.values())]
            for name, found in rates.items()
        ],
    )


def main() -> None:
    """Count and print."""
    given = arguments(str(__doc__))
    one_thread()
    report, data = Report(), os.environ.get("EVENTSNN_DATA")
    if data:
        compare(report, Path(data), given.quick)
    else:
        why = "EVENTSNN_DATA is not set; it names the folder with mnist/ and cifar10/"
        report.add(NUMBER, Figure("points off the published rate", None, 0.1, at_most=True, skipped=why))
    report.show(given.json)


if __name__ == "__main__":
    main()
