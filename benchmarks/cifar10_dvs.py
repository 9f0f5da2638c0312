"""Recordings of CIFAR10-DVS (emulated, or real) event by event through a network trained on event counts.

    python benchmarks/cifar10_dvs.py FILE.h5 [--network NET.h5] [--samples 200] [--json]

For the first shares of the events: accuracy, synaptic operations, and how many decisions and neurons (law 9)
differ from the quantised network on the counts so far, which must be none. Then accuracy against the time
since the first event, from the traces of the whole run; and how much faster than they lasted recordings are
replayed on one core, reading included. Emulated recordings are of CIFAR-10's test pictures
(``docs/cifar10-dvs.md`` says how they are made).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, si

import eventsnn
from eventsnn.convert import quantised_activations
from eventsnn.engine import make_engine, stimulus_from_events
from eventsnn.events import RecordingSet, event_counts
from eventsnn.network import Network, Readout

NUMBER = "CIFAR10-DVS"
MODELS = Path(__file__).resolve().parents[1] / "models"
SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)
TIMES_MS = (25, 50, 100, 200, 325, 650, 1300)
BAR_ACCURACY, BAR_SPEED = 65.0, 4.0


def replay(network: Network, recordings: RecordingSet) -> dict[str, Any]:
    """Run event by event, and beside it the quantised network on the same events."""
    engine = make_engine("compiled", network)
    decisions = neurons = right = operations = 0
    for recording in recordings:
        run = engine.run(stimulus_from_events(recording.events, network), recording.index)
        counts = event_counts(recording.events, recordings.height, recordings.width).transpose(1, 2, 0)
        expected = quantised_activations(network, counts[None])
        scores = np.asarray(expected[network.output][0]).reshape(-1)
        for name, values in expected.items():
            readout = isinstance(network.populations[name].neuron, Readout)
            found = run.charge[name] if readout else run.counts[name]
            if name != network.input:
                neurons += int((found != np.asarray(values[0]).reshape(-1)).sum())
        decisions += run.prediction != (int(scores.argmax()) if scores.any() else -1)
        right += run.prediction == recording.label
        operations += run.counters[:, eventsnn.counting.COLUMN["synaptic_operations"]].sum()
    n = len(recordings)
    return {
        "accuracy": 100 * right / n, "decisions": int(decisions), "neurons": int(neurons),
        "synaptic_operations": int(operations) / n,
    }  # fmt: skip


def against_time(results: eventsnn.Results) -> list[tuple[int, float]]:
    """Accuracy in percent of the readout so far, by milliseconds since the first event."""
    found = []
    for limit in TIMES_MS:
        right = 0
        for sample in results.table.samples:
            past = sample.trace["time_ps"] <= sample.first_event_ps + limit * 10**9
            readout = sample.trace["readout"][max(0, int(past.sum()) - 1)]
            right += int(past.any() and readout.any() and int(readout.argmax()) == sample.label)
        found.append((limit, 100 * right / len(results)))
    return found


def main() -> None:
    """Measure and print."""
    chosen = arguments(
        __doc__,
        lambda parser: parser.add_argument("recordings", type=Path, nargs="?"),
        lambda parser: parser.add_argument("--network", type=Path, default=MODELS / "cifar10dvs.h5"),
        lambda parser: parser.add_argument("--samples", type=int, default=200),
    )
    report = Report(detail={NUMBER: {"machine": machine()}})
    if chosen.recordings is None or not chosen.network.exists():
        why = f"give a file of recordings and a network ({chosen.network}); docs/cifar10-dvs.md says how"
        report.add(NUMBER, Figure("accuracy on emulated recordings, %", None, BAR_ACCURACY, skipped=why))
        report.show(chosen.json)
        return
    network = eventsnn.load(chosen.network)
    side = network.populations[network.input].shape[0]
    opened = eventsnn.open_dataset(f"events:{chosen.recordings}")
    recordings = opened.evenly(min(20 if chosen.quick else chosen.samples, len(opened)))
    if opened.height > side:
        recordings = recordings.downsampled(opened.height // side)
    rows, details = [], {}
    for share in SHARES:
        found = replay(network, recordings.fraction(share))
        details[f"{share:g}"] = found
        rows.append(
            [f"{share:.0%}", f"{found['accuracy']:.1f} %", si(found["synaptic_operations"]),
             str(found["decisions"]), str(found["neurons"])]
        )  # fmt: skip
    eventsnn.simulate(network, recordings[:1])
    begin = time.process_time()
    results = eventsnn.simulate(network, recordings)
    spent = time.process_time() - begin
    lasted = sum((r.events["t"][-1] - r.events["t"][0]) * 1e-6 for r in recordings)
    events = float(results.table.column("input_events").sum())
    curve = against_time(results)
    report.add(
        NUMBER,
        Figure("accuracy on emulated recordings, %", details["1"]["accuracy"], BAR_ACCURACY),
        Figure("decisions that are not the quantised network's, all shares",
               sum(each["decisions"] for each in details.values()), 0, at_most=True),
        Figure("faster than recorded, reading included", lasted / spent, BAR_SPEED),
        Figure("nanoseconds an input event", 1e9 * spent / events, None),
        shares=details, time=curve, samples=len(recordings), seconds_recorded=lasted,
    )  # fmt: skip
    report.table(
        "Shares of the events", "events|accuracy|SOPs|decisions that differ|neurons that differ", rows
    )
    report.table(
        "Time since the first event", "ms|accuracy", [[str(ms), f"{value:.1f} %"] for ms, value in curve]
    )
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
