"""What a network trained in timesteps is worth event by event, where nothing waits for the end of a step.

    python benchmarks/asynchrony.py KIND:PATH NET.h5 ... [--split test] [--samples N] [--json]

Every network (``models/train_mixed_steps.py`` and ``train_cifar10_dvs_steps.py`` write them; a signed one is
run event by event only) on the same recordings: in the steps it is read in, in those of ``--shorter-us``, and
event by event: accuracy, synaptic operations and spikes a recording. Then, of some twenty of them, what each
layer does in its steps and event by event: spikes, neurons that end with another count, and pairs of spikes
whose order is inverted (``eventsnn/insight/disorder.py``; spikes of one step have no order). Recordings of a
larger sensor than the network's are down-sampled.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, si

NUMBER = "asynchrony"
LOOKED_AT = 20
"""About as many recordings, taken evenly, are compared spike by spike."""


def run(network: Any, recordings: Any, step_us: int) -> tuple[dict[str, Any], list[Any]]:
    """Figures of all recordings, and the runs of some; event by event if the step is 0."""
    from eventsnn.counting import COLUMN
    from eventsnn.run.job import make_job
    from eventsnn.run.settings import Settings

    settings = Settings(schedule="step", step_us=step_us) if step_us else Settings()
    job = make_job(network, recordings, settings, None)
    options = job.settings.options(network)
    plain, recording = (job.engine_of(None, replace(options, record_spikes=on)) for on in (False, True))
    right, counters, kept = 0, np.zeros((len(network.order), len(COLUMN)), np.int64), []
    for place, (item, stimulus) in enumerate(job.readable(range(len(job.samples)))):
        looked_at = place % max(1, len(job.samples) // LOOKED_AT) == 0
        found = (recording if looked_at else plain).run(stimulus, item.index)
        right += found.prediction == item.label
        counters += found.counters
        if looked_at:
            kept.append(found)
    n = len(recordings)
    spikes = counters[:, COLUMN["spikes_positive"]] + counters[:, COLUMN["spikes_negative"]]
    figures = {
        "accuracy": 100 * right / n,
        "synaptic_operations": float(counters[:, COLUMN["synaptic_operations"]].sum()) / n,
        "spikes": float(spikes.sum()) / n,
    }
    return figures, kept


def layers(network: Any, steps: list[Any], events: list[Any]) -> list[list[str]]:
    """One row a layer: its runs in steps against those event by event."""
    from eventsnn.insight.disorder import disorders

    found = [disorders(network, one, other) for one, other in zip(steps, events, strict=True)]
    rows = []
    for name in found[0]:
        whole = reduce(add, (each[name] for each in found))
        rows.append(
            [name, si(whole.ideal / len(found)), si(whole.here / len(found)),
             f"{100 * whole.changed / whole.neurons:.1f} %", f"{100 * whole.disorder:.1f} %"]
        )  # fmt: skip
    return rows


def compare(report: Report, recordings: Any, paths: list[Path], shorter_us: list[int]) -> None:
    """All networks, one after the other."""
    import eventsnn

    rows = []
    for path in paths:
        network = eventsnn.load(path)
        side = network.populations[network.input].shape[0]
        seen = recordings.downsampled(recordings.height // side) if recordings.height > side else recordings
        steps: dict[int, list[Any]] = {}
        own = network.metadata.get("training", {}).get("step_us", 0)
        for step_us in (*((own, *(s for s in shorter_us if s < own)) if own else ()), 0):
            figures, steps[step_us] = run(network, seen, step_us)
            name = f"steps of {step_us / 1000:g} ms" if step_us else "event by event"
            report.add(
                NUMBER,
                Figure(f"{path.stem}, {name}: accuracy, %", figures["accuracy"], None),
                **{f"{path.stem}, {name}": figures},
            )
            rows.append(
                [
                    path.stem,
                    name,
                    f"{figures['accuracy']:.1f} %",
                    si(figures["synaptic_operations"]),
                    si(figures["spikes"]),
                ]
            )
        if own:
            report.table(
                f"{path.stem}: {len(steps[0])} recordings in steps of {own / 1000:g} ms and event by event",
                "layer|spikes in steps|spikes event by event|neurons with another count|pairs inverted",
                layers(network, steps[own], steps[0]),
            )
    report.table(f"{len(recordings)} recordings", "network|run|accuracy|SOPs|spikes", rows)


def main() -> None:
    """Measure and print."""
    chosen = arguments(
        __doc__,
        lambda parser: parser.add_argument("recordings", nargs="?"),
        lambda parser: parser.add_argument("networks", type=Path, nargs="*"),
        lambda parser: parser.add_argument("--split"),
        lambda parser: parser.add_argument("--samples", type=int, default=1000),
        lambda parser: parser.add_argument("--shorter-us", type=int, nargs="+", default=[]),
    )
    report = Report(detail={NUMBER: {"machine": machine()}})
    if not chosen.networks:
        why = "give recordings and networks; docs/asynchrony.md says how they are made"
        report.add(NUMBER, Figure("accuracy event by event, %", None, None, skipped=why))
    else:
        from eventsnn.events import open_recordings

        opened = open_recordings(chosen.recordings, chosen.split)
        recordings = opened.evenly(min(20 if chosen.quick else chosen.samples, len(opened)))
        compare(report, recordings, chosen.networks, chosen.shorter_us)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
