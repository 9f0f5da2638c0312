"""A11: the NIR paper's N-MNIST network on 1,000 real recordings, in steps and event by event.

    EVENTSNN_DATA=... python benchmarks/nir_nmnist.py [--json] [--quick] [--float N]

In the step schedule bins of 1 ms, what is later than 300 ms in the last; in the event schedule the events as
they are. ``--float N`` runs N recordings, taken evenly, on the float32 engine, too: float weights, as a
tensor library steps them, a quarter of a second a recording; and the integers on the same ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread

NUMBER = "A11"
BINS = 300
QUICK = 50
LAYERS = ("1", "3", "6", "10", "12")
VARIANTS: dict[str, dict[str, Any]] = {
    "reset to zero, one spike": {"reset": "hard"},
    "subtract, one spike": {"reset": "soft"},
    "subtract, many, clamp -1": {"reset": "soft", "spikes": "many", "lower_clamp": -1.0},
}
IN_STEPS = {
    "reset to zero, one spike": (98.2, (4886, 8000, 4101, 2033, 108)),
    "subtract, one spike": (97.7, (5786, 12110, 9629, 7487, 346)),
    "subtract, many, clamp -1": (98.9, (10041, 24822, 22854, 23265, 1654)),
}
"""Accuracy (%) and spikes a sample by layer, float32."""
BY_EVENTS = {
    "reset to zero, one spike": 98.3,
    "subtract, one spike": 98.6,
    "subtract, many, clamp -1": 95.5,
}
POINTS, SPIKES = 0.3, 0.1
"""How far integers may be off: points of accuracy, percent of a layer's spikes."""


def recordings(data: Path, count: int, binned: bool) -> list[tuple[Any, int]]:
    """Events and labels, evenly over all 1,000."""
    from eventsnn.events import open_dataset

    found = []
    chosen = open_dataset(f"nmnist:{data / 'nmnist' / 'NMNIST'}").evenly(count)
    for place in range(len(chosen)):
        recording = chosen[place]
        events = recording.events.copy()
        if binned:
            events["t"] = np.minimum(events["t"], 1000 * BINS - 1)
        found.append((events, recording.label))
    return found


def outcome(
    network: Any, items: list[tuple[Any, int]], schedule: str, engine: str = "compiled"
) -> tuple[Any, ...]:
    """Accuracy in percent, mean spikes of each layer."""
    import eventsnn
    from eventsnn.counting import COLUMN

    results = eventsnn.simulate(
        network, items, schedule=schedule, engine=engine, duration_us=1000.0 * BINS, origin="file"
    )
    spikes = results.table.counter(COLUMN["spikes_positive"]).mean(axis=0)
    by_layer = dict(zip(results.table.order, spikes.tolist(), strict=True))
    return 100 * results.accuracy, [by_layer[layer] for layer in LAYERS]


def compare(report: Report, data: Path, quick: bool, floats: int) -> None:
    """All variants in both schedules."""
    from eventsnn.nir import from_nir

    count = QUICK if quick else 1000
    steps, events = recordings(data, count, True), recordings(data, count, False)
    rows = []
    for name, choices in VARIANTS.items():
        network = from_nir(data / "pretrained" / "cnn_sinabs.nir", comparison="greater-or-equal", **choices)
        accuracy, spikes = outcome(network, steps, "step")
        known, known_spikes = IN_STEPS[name]
        off = max(100 * abs(s / k - 1) for s, k in zip(spikes, known_spikes, strict=True))
        by_events, event_spikes = outcome(network, events, "event")
        report.add(
            NUMBER,
            _figure(f"{name}, steps: points off {known} %", abs(accuracy - known), POINTS, quick),
            # Known to whole spikes: of 108 that is half a percent.
            _figure(
                f"{name}, steps: spikes off in all, %",
                100 * abs(sum(spikes) / sum(known_spikes) - 1),
                SPIKES,
                quick,
            ),
            Figure(f"{name}, steps: spikes off in the worst layer, %", off, None),
            _figure(
                f"{name}, events: points off {BY_EVENTS[name]} %",
                abs(by_events - BY_EVENTS[name]),
                POINTS,
                quick,
            ),
        )
        rows.append([name, "steps", f"{accuracy:.1f} %", *(f"{s:,.1f}" for s in spikes)])
        rows.append([name, "events", f"{by_events:.1f} %", *(f"{s:,.1f}" for s in event_spikes)])
        if floats:
            few = recordings(data, floats, True)
            for engine in ("float32", "compiled"):
                part, of_part = outcome(network, few, "step", engine)
                rows.append(
                    [name, f"steps, {engine}, {floats}", f"{part:.1f} %", *(f"{s:,.1f}" for s in of_part)]
                )
    report.add(NUMBER, recordings=count, machine=machine())
    report.table(
        "cnn_sinabs.nir on N-MNIST: spikes a sample by layer", "|".join(["", "run", "right", *LAYERS]), rows
    )


def _figure(name: str, value: float, bar: float, quick: bool) -> Figure:
    # A difference of 0.3 points is one of whole recordings. Few recordings scatter by more.
    return Figure(name, round(value, 6), None if quick else bar, at_most=True)


def main() -> None:
    """Run and print."""
    given = arguments(str(__doc__), lambda parser: parser.add_argument("--float", type=int, default=0))
    one_thread()
    report, data = Report(), os.environ.get("EVENTSNN_DATA")
    if data:
        compare(report, Path(data), given.quick, given.float)
    else:
        why = "EVENTSNN_DATA is not set; it names the folder with nmnist/ and pretrained/"
        report.add(NUMBER, Figure("points off the known accuracy", None, POINTS, at_most=True, skipped=why))
    report.show(given.json)


if __name__ == "__main__":
    main()
