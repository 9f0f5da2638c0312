"""Law 9: the same network and recordings on several accelerators, signed neurons against rate neurons.

    EVENTSNN_DATA=... python benchmarks/accelerators.py [--json] [--quick]

The shipped `models/nmnist.h5` (signed) and the same weights as rate neurons replay held-out N-MNIST
recordings, without an accelerator and on each of several: spikes then arrive in the order that serialisers,
hops and queues give them. ``slow`` is the small accelerator with one lane a core at 5 MHz, so that messages
wait. Signed neurons must end with the counts of the run without an accelerator, every one of them; how many
rate neurons do not is measured. Times and energies are figures of models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, si

import eventsnn
from eventsnn.convert import load_model
from eventsnn.engine import SampleRun
from eventsnn.events import RecordingSet
from eventsnn.hardware import Architecture, load_architecture
from eventsnn.hardware.variations import vary
from eventsnn.network import Network, Readout
from eventsnn.report.si import percent
from eventsnn.results import SampleRecord
from eventsnn.results.results import distribution
from eventsnn.run.job import make_job
from eventsnn.run.record import record
from eventsnn.run.settings import Settings

MODELS = Path(__file__).resolve().parents[1] / "models"
NUMBER = "law 9"
PRESETS = ("event-conv-small", "event-conv-large", "speck-shape")
SLOW = {"cores.convolution.processing_elements": "1", "clock": "5"}


def accelerators() -> dict[str, Architecture | None]:
    """Accelerators by name; None is no accelerator."""
    slow = load_architecture("event-conv-small")
    for path, value in SLOW.items():
        slow = vary(slow, path, [value])[0].architecture
    return {"none": None, **{name: load_architecture(name) for name in PRESETS}, "slow": slow}


@dataclass
class Gathered:
    """What one accelerator gave, sample by sample; ``counts`` are all neurons' final ones."""

    records: list[SampleRecord] = field(default_factory=list)
    counts: list[np.ndarray] = field(default_factory=list)


def final_counts(run: SampleRun, network: Network) -> np.ndarray:
    """Spikes (readouts: charge) of every neuron at the end, populations by rank."""
    return np.concatenate(
        [
            (run.charge if isinstance(population.neuron, Readout) else run.counts)[population.name]
            for population in network
        ]
    )


def gather(network: Network, recordings: RecordingSet, hardware: Architecture | None) -> Gathered:
    """Run every recording to its end."""
    job = make_job(network, recordings, Settings(hardware=hardware))
    engine, found = job.make_engine(), Gathered()
    for position in range(len(recordings)):
        item = job.samples[position]
        run = engine.run(job.stimulus(item), item.index)
        found.records.append(record(run, item.label, job.energy))
        found.counts.append(final_counts(run, network))
    return found


def row(name: str, neurons: str, found: Gathered, ideal: Gathered) -> dict[str, Any]:
    """One accelerator with one kind of neuron beside the run without an accelerator."""
    pairs = list(zip(found.records, ideal.records, strict=True))
    deviating = [(a != b).sum() for a, b in zip(found.counts, ideal.counts, strict=True)]
    energy = distribution(np.array([one.energy_j for one in found.records]))
    return {
        "accelerator": name,
        "neurons": neurons,
        "samples": len(pairs),
        "accuracy": float(np.mean([one.prediction == one.label for one in found.records])),
        "answers_changed": sum(one.prediction != other.prediction for one, other in pairs),
        "counts_changed": float(np.sum(deviating) / sum(map(len, ideal.counts))),
        "samples_with_changed_counts": int(np.count_nonzero(deviating)),
        "synaptic_operations": float(np.mean([one.synaptic_operations for one in found.records])),
        "latency_s": distribution(np.array([one.latency_s for one in found.records])),
        "energy_j": energy,
        "energy_low_j": None
        if energy is None
        else float(np.mean([one.energy_low_j for one in found.records])),
        "energy_high_j": None
        if energy is None
        else float(np.mean([one.energy_high_j for one in found.records])),
    }


def networks(source: str) -> Iterator[tuple[str, Network]]:
    """The shipped network, and its weights as rate neurons."""
    yield "signed", eventsnn.load(MODELS / "nmnist.h5")
    train = eventsnn.open_dataset(source, "train").evenly(100)
    yield "rate", eventsnn.convert(load_model(MODELS / "nmnist.pt"), train, "rate", input_scale=1 / 8)


def shown(line: dict[str, Any]) -> list[str]:
    """A row of the table."""
    energy, latency = line["energy_j"], line["latency_s"]
    return [
        line["accelerator"],
        line["neurons"],
        percent(line["accuracy"]),
        str(line["answers_changed"]),
        f"{100 * line['counts_changed']:.3g} %",
        si(line["synaptic_operations"]),
        si(latency["p50"], "s"),
        si(latency["p95"], "s"),
        "-" if energy is None else si(energy["mean"], "J"),
    ]


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={NUMBER: {"machine": machine()}})
    names = ("signed neurons with another final count", "signed answers that differ")
    data = os.environ.get("EVENTSNN_DATA")
    rows: list[dict[str, Any]] = []
    if not data:
        why = "EVENTSNN_DATA is not set; it names the folder with nmnist/"
        report.add(NUMBER, *(Figure(name, None, 0, at_most=True, skipped=why) for name in names))
    else:
        source = f"nmnist:{data}/nmnist"
        test = eventsnn.open_dataset(source, "test").evenly(10 if chosen.quick else 100)
        for neurons, network in networks(source):
            ideal: Gathered | None = None
            for name, hardware in accelerators().items():
                found = gather(network, test, hardware)
                ideal = ideal or found
                rows.append(row(name, neurons, found, ideal))
        signed = [line for line in rows if line["neurons"] == "signed"]
        wrong = (
            sum(line["counts_changed"] for line in signed),
            sum(line["answers_changed"] for line in signed),
        )
        report.add(
            NUMBER,
            *(Figure(name, value, 0, at_most=True) for name, value in zip(names, wrong, strict=True)),
            rows=rows,
        )
    columns = "accelerator|neurons|accuracy|answers changed|counts changed|SOPs|latency p50|p95|energy"
    report.table("The same network on several accelerators", columns, [shown(line) for line in rows])
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
