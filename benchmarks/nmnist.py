"""The main job on 200 held-out real N-MNIST recordings: one table, and what stands behind it.

    EVENTSNN_DATA=... python benchmarks/nmnist.py [--json] [--samples N]

Prints accuracy, operations, latency and energy with and without an exit rule on two accelerators; the
accuracy on the first shares of the events; the same weights as converted and as rate neurons; and how
many neurons end with another count than the integer quantised network (design, law 9).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

import eventsnn
from eventsnn.convert import load_model, quantised_activations
from eventsnn.engine import make_engine, stimulus_from_events
from eventsnn.events import RecordingSet, event_counts
from eventsnn.network import Network, Readout
from eventsnn.report.si import percent, si
from eventsnn.results.results import Results

MODELS = Path(__file__).resolve().parents[1] / "models"
EXIT = "margin:0.9"
ACCUMULATED = "fixed-time:1,of-us=295000,accumulator=sum"
"""Nearly the whole recording, decided by the readouts of all checks added up: ON and OFF counts of a pixel
are nearly equal at its very end, when the picture is back where it began."""
ACCELERATORS = ("event-conv-small", "event-conv-large")


def row(name: str, results: Results) -> dict[str, Any]:
    """One line of the table."""
    summary = results.summary()
    return {
        "run": name,
        "accuracy": summary["accuracy"],
        "synaptic_operations": summary["synaptic_operations"]["mean"],
        "spikes": summary["spikes"]["mean"],
        "latency_p50_s": summary["latency_s"]["p50"],
        "latency_p95_s": summary["latency_s"]["p95"],
        "energy_j": summary["energy_j"]["mean"] if summary["energy_j"] else None,
        "decided_early": summary["decided_early"],
        "digest": results.digest,
    }


def deviating_neurons(network: Network, recordings: RecordingSet) -> dict[str, int]:
    """Neurons whose final count (readouts: charge) is not the quantised network's, over recordings."""
    engine = make_engine("compiled", network)
    counts = [event_counts(r.events, recordings.height, recordings.width) for r in recordings]
    inputs = np.stack([c.transpose(1, 2, 0) for c in counts])
    expected = quantised_activations(network, inputs)
    wrong_neurons = wrong_recordings = 0
    for position, recording in enumerate(recordings):
        run = engine.run(stimulus_from_events(recording.events, network), recording.index)
        wrong = 0
        for name, values in expected.items():
            population = network.populations[name]
            found = run.charge if isinstance(population.neuron, Readout) else run.counts
            if name != network.input:
                wrong += int((found[name] != np.asarray(values[position]).reshape(-1)).sum())
        wrong_neurons += wrong
        wrong_recordings += wrong > 0
    return {"recordings": len(recordings), "neurons": wrong_neurons, "deviating": wrong_recordings}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--samples", type=int, default=200)
    arguments = parser.parse_args()
    data = os.environ.get("EVENTSNN_DATA")
    if not data:
        sys.exit("skipped: EVENTSNN_DATA is not set; it names the folder with nmnist/")
    source = f"nmnist:{data}/nmnist"
    test = eventsnn.open_dataset(source, "test").evenly(arguments.samples)
    train = eventsnn.open_dataset(source, "train").evenly(100)
    network = eventsnn.load(MODELS / "nmnist.h5")
    trained = load_model(MODELS / "nmnist.pt")
    plain = eventsnn.convert(trained, train, "signed", input_scale=1 / 8)
    rate = eventsnn.convert(trained, train, "rate", input_scale=1 / 8)

    table = []
    for hardware in ACCELERATORS:
        for rule in ("none", EXIT):
            results = eventsnn.simulate(network, test, hardware=hardware, exit=rule)
            table.append(row(f"{hardware}, exit {rule}", results))
    others = [
        row(f"first {share:.0%} of the events", eventsnn.simulate(network, test.fraction(share)))
        for share in (0.05, 0.1, 0.2, 0.5)
    ]
    others.append(row("whole, no accelerator", eventsnn.simulate(network, test)))
    others.append(row("the same, readouts added up", eventsnn.simulate(network, test, exit=ACCUMULATED)))
    others.append(row("as converted: tested at each event", eventsnn.simulate(plain, test)))
    others.append(row("same weights, rate neurons", eventsnn.simulate(rate, test)))
    law9 = {"shipped": deviating_neurons(network, test), "as_converted": deviating_neurons(plain, test)}
    if arguments.json:
        print(json.dumps({"table": table, "others": others, "law9": law9}))
        return
    print("| run | accuracy | SOPs | spikes | decision p50 | p95 | energy | early |")
    print("|---|---|---|---|---|---|---|---|")
    for line in table + others:
        print(
            f"| {line['run']} | {percent(line['accuracy'])} | {si(line['synaptic_operations'])} | "
            f"{si(line['spikes'])} | {si(line['latency_p50_s'], 's')} | {si(line['latency_p95_s'], 's')} | "
            f"{si(line['energy_j'], 'J')} | {percent(line['decided_early'])} |"
        )
    print(f"neurons that deviate from the quantised network: {law9}")


if __name__ == "__main__":
    main()
