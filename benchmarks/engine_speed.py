"""D1: synaptic operations per second of the whole event engine, against the bare ``V += w`` stream.

    EVENTSNN_DATA=... python benchmarks/engine_speed.py [--json] [--quick] [--only A|B]

The engine runs samples whole, digest and Python around the kernels included; the bare stream
(``bare_stream.py``) is the same weight walk in the same process, timed in turn with it. What keeps the
engine below it are crossings by constant currents, thresholds flagged and not reached, and about the same
work per spike on A's short rows as on B's long ones. Signed networks get an image as graded spikes at time
0, 15 levels, and every count is checked against the quantised network; zero delay tests each layer once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bare_stream import stream, tested_stream, walk_of
from measure import Figure, Report, alternate, arguments, machine, pin_one_thread, si
from networks import NoData, Workload, bernoulli, one_shot, spike_stimulus

from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.network import Network, Readout

RATE_BARS = {"A": 0.35, "B": 0.42}
SIGNED_BARS = {"A": 2.0, "B": 1.0}
OPERATIONS = COLUMN["synaptic_operations"]


def measure_rate(report: Report, workload: Workload, samples: int, steps: int, repeats: int) -> list[Any]:
    """The event engine and the bare stream over the same samples; returns a row of the table."""
    network = workload.rate
    spikes = bernoulli(workload.pixels(samples), steps)
    stimuli = [spike_stimulus(sample) for sample in spikes]
    recorder = make_engine("compiled", network, None, RunOptions(record_spikes=True))
    walks = [walk_of(network, s, recorder.run(s, i)) for i, s in enumerate(stimuli)]
    charge = np.zeros(walks[0].neurons, dtype=np.int32)
    engine = make_engine("compiled", network)

    def run_engine() -> None:
        for index, stimulus in enumerate(stimuli):
            engine.run(stimulus, index)

    def run_bare() -> None:
        for walk in walks:
            stream(charge, walk.weights, walk.rows)

    def run_tested() -> None:
        for walk in walks:
            tested_stream(charge, walk.weights, walk.narrow, walk.rows)

    times = alternate({"engine": run_engine, "bare": run_bare, "tested": run_tested}, repeats)
    operations, units = sum(walk.operations for walk in walks), samples * steps
    ratio = times["bare"].median / times["engine"].median
    tested = times["tested"].median / times["engine"].median
    name = workload.name
    report.add(
        "D1",
        Figure(f"rate {name}: engine / bare", ratio, RATE_BARS[name]),
        **{
            f"rate {name}": {
                "samples": samples, "time_units": steps, "synaptic_operations": operations,
                "share_of_macs_a_unit": operations / units / workload.macs(),
                "engine": times["engine"].detail(), "bare": times["bare"].detail(),
                "tested": times["tested"].detail(), "of_tested_stream": tested,
                "engine_operations_per_second": operations / times["engine"].median,
                "bare_operations_per_second": operations / times["bare"].median,
                "ms_a_unit": times["engine"].median / units * 1e3,
                "row_lanes": operations / sum(len(walk.rows) for walk in walks),
            }
        },
    )  # fmt: skip
    return [
        name, si(operations / units), f"{operations / units / workload.macs():.1%}",
        f"{times['engine'].median / units * 1e3:.3f}", si(operations / times["engine"].median),
        si(operations / times["bare"].median), f"{ratio:.3f}",
        si(operations / times["tested"].median), f"{tested:.3f}",
        f"{times['engine'].spread:.0%}, {times['bare'].spread:.0%}",
        f"{times['engine'].detail()['wall_per_cpu']:.2f}",
    ]  # fmt: skip


def deviating(network: Network, engine: Any, stimulus: Stimulus) -> tuple[int, int]:
    """Operations of a run, and how many neurons end with another count than the quantised network's."""
    from eventsnn.convert import quantised_activations

    counts = np.zeros(network.populations[network.input].size, dtype=np.int64)
    counts[stimulus.neuron] = 1 if stimulus.payload is None else stimulus.payload
    run = engine.run(stimulus)
    wrong = 0
    for name, expected in quantised_activations(network, counts).items():
        readout = isinstance(network.populations[name].neuron, Readout)
        wrong += int(((run.charge if readout else run.counts)[name] != expected).sum())
    return int(run.counters[:, OPERATIONS].sum()), wrong


def measure_signed(report: Report, workload: Workload, samples: int, repeats: int) -> list[Any]:
    """Operations of the signed network against the trained one's multiply-accumulates."""
    network, name = workload.signed, workload.name
    engine = make_engine("compiled", network)
    stimuli = [one_shot(pixels) for pixels in workload.pixels(samples)]
    found = [deviating(network, engine, stimulus) for stimulus in stimuli]
    operations, wrong = sum(f[0] for f in found) / samples, sum(f[1] for f in found)
    macs = workload.macs()
    times = alternate({"engine": lambda: [engine.run(s, i) for i, s in enumerate(stimuli)]}, repeats)
    milliseconds = times["engine"].median / samples * 1e3
    reason = f"{wrong} neurons deviate from the quantised network" if wrong else ""
    report.add(
        "D1",
        Figure(
            f"signed {name}: operations / MACs", None if wrong else operations / macs,
            SIGNED_BARS[name], at_most=True, skipped=reason, failed=bool(wrong),
        ),
        **{
            f"signed {name}": {
                "samples": samples, "synaptic_operations": operations, "macs": macs,
                "ms_a_sample": milliseconds, "engine": times["engine"].detail(), "deviating_neurons": wrong,
            }
        },
    )  # fmt: skip
    return [
        name, si(operations), si(macs), f"{operations / macs:.2f}", f"{milliseconds:.2f}",
        si(operations / times["engine"].median * samples), wrong,
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__, lambda parser: parser.add_argument("--only", choices=RATE_BARS))
    names = [chosen.only] if chosen.only else list(RATE_BARS)
    report = Report(detail={"D1": {"machine": machine()}})
    try:
        workloads = [Workload(name) for name in names]
    except NoData as reason:
        bars = [Figure(f"rate {n}: engine / bare", None, RATE_BARS[n], skipped=str(reason)) for n in names]
        report.add("D1", *bars)
        report.show(chosen.json)
        return
    rate, signed = [], []
    for workload in workloads:
        samples, steps, repeats = {"A": (10, 32, 7), "B": (2, 32, 5)}[workload.name]
        if chosen.quick:
            samples, steps, repeats = {"A": (3, 32, 3), "B": (1, 4, 2)}[workload.name]
        rate.append(measure_rate(report, workload, samples, steps, repeats))
        signed.append(measure_signed(report, workload, samples, repeats))
    report.table(
        "rate neurons, event schedule, digest on",
        "net|SOPs a unit|of MACs|ms a unit|SOP/s|bare SOP/s|ratio|tested|ratio|spread|wall/CPU",
        rate,
    )
    report.table(
        "signed neurons, graded, L = 15, one-shot input, tested once per tick",
        "net|SOPs|MACs|SOPs/MACs|ms|SOP/s|deviating neurons",
        signed,
    )
    report.show(chosen.json)


if __name__ == "__main__":
    pin_one_thread()
    main()
