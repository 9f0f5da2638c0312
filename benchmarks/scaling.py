"""D6: time against work, and memory against simulated time.

    EVENTSNN_DATA=... python benchmarks/scaling.py [--json] [--quick]

Workload A without biases gets the first events of one endless rate code, as many as make 10^5 to 10^10
synaptic operations. Time is *linear* if every time lies near ``fixed + slope x operations``. Memory is the
peak of a process of its own that runs one stimulus; the same events stretched over 1,000 times the time must
not need more. The fixed part is the fresh state of a sample; the slope is the engine's speed on a sparse net.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, alternate, arguments, machine, peak_memory_mb, pin_one_thread, si
from networks import UNIT, NoData, Workload, bernoulli, changed
from numpy.typing import NDArray

import eventsnn
from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.network import Network

LINEAR_BAR, MEMORY_BAR = 0.2, 1.05
STRETCH = 1000
UNLIMITED = RunOptions(max_events=2**62)


def endless(events: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times and neurons of the first events of a rate code that shows one digit after the other."""
    pixels = Workload("A").pixels(100)
    times, neurons, found, start = [], [], 0, 0
    while found < events:
        for sample in bernoulli(pixels, 8):
            step, neuron = np.nonzero(sample.reshape(len(sample), -1))
            times.append((start + step) * UNIT)
            neurons.append(neuron)
            start += len(sample)
            found += len(step)
    return np.concatenate(times)[:events], np.concatenate(neurons)[:events]


def network() -> Network:
    """Workload A without biases: nothing happens but what the input causes."""
    return changed(Workload("A").rate, biases=False)


def operations(net: Network, stimulus: Stimulus) -> int:
    """Synaptic operations of a run."""
    run = make_engine("compiled", net, None, UNLIMITED).run(stimulus)
    return int(run.counters[:, COLUMN["synaptic_operations"]].sum())


def of_size(net: Network, size: int, per_event: float) -> tuple[Stimulus, int]:
    """The first events of the code that make about ``size`` operations, and how many they make."""
    events = max(1, round(size / per_event))
    for _ in range(12):
        stimulus = Stimulus(*endless(events))
        found = operations(net, stimulus)
        if 0.8 <= found / size <= 1.25:
            break
        events = max(1, round(events * (size / max(found, 1)) ** 0.4))
    return stimulus, found


def peak_memory(net: Network, stimulus: Stimulus, stretch: int) -> dict[str, float]:
    """Peak memory in MB of a process of its own that runs a stimulus, and what the run added to it."""
    with tempfile.TemporaryDirectory() as folder:
        net.save(Path(folder) / "network.h5")
        np.savez(Path(folder) / "input.npz", time=stimulus.time * stretch, neuron=stimulus.neuron)
        command = [sys.executable, __file__, "--memory", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _report_memory(folder: Path) -> None:
    """In the process of ``peak_memory``: load, compile on ten events, run."""
    net = eventsnn.load(folder / "network.h5")
    with np.load(folder / "input.npz") as file:
        time, neuron = file["time"], file["neuron"]
    operations(net, Stimulus(time[:10], neuron[:10]))
    before = peak_memory_mb()
    operations(net, Stimulus(time, neuron))
    peak = peak_memory_mb()
    print(json.dumps({"peak_mb": peak, "added_mb": peak - before}))


def measure(report: Report, quick: bool) -> tuple[list[list[Any]], list[list[Any]]]:
    """Times at each size and memory at three of them; rows of two tables."""
    net = network()
    sizes = [10**power for power in range(5, 9 if quick else 11)]
    sample = 20_000
    time, neuron = endless(sample)
    per_event = operations(net, Stimulus(time, neuron)) / sample
    engine = make_engine("compiled", net, None, UNLIMITED)
    found, seconds, rows = [], [], []
    for size in sizes:
        stimulus, made = of_size(net, size, per_event)
        found.append(made)
        repeats = 1 if size >= 10**9 else 5 if size >= 10**8 else 31
        run = alternate({"run": lambda given=stimulus: engine.run(given)}, repeats)["run"]
        seconds.append(run.median)
        rows.append([si(made), len(stimulus.time), si(run.median, "s"), f"{run.spread:.0%}"])
    work, taken = np.array(found, dtype=float), np.array(seconds)
    # Least squares of the relative deviation: a tenth of a short time counts like a tenth of a long one.
    design = np.stack([1 / taken, work / taken], axis=1)
    fixed, slope = np.linalg.lstsq(design, np.ones(len(work)), rcond=None)[0]
    deviation = (fixed + slope * work) / taken - 1
    for row, off, each, whole in zip(rows, deviation, work, taken, strict=True):
        row += [f"{whole / each * 1e9:.3f}", f"{off:+.0%}"]
    short_stimulus, _ = of_size(net, 10**7, per_event)
    memory = {
        "1e7 operations": peak_memory(net, short_stimulus, 1),
        f"the same over {STRETCH} times the time": peak_memory(net, short_stimulus, STRETCH),
        f"{sizes[-1]:.0e} operations": peak_memory(net, stimulus, 1),
    }
    short, stretched, _ = memory.values()
    report.add(
        "D6",
        Figure("largest deviation from linear", float(np.abs(deviation).max()), LINEAR_BAR, at_most=True),
        Figure(
            f"peak memory, {STRETCH} x the time / 1 x", stretched["peak_mb"] / short["peak_mb"],
            MEMORY_BAR, at_most=True,
        ),
        operations=found, seconds=seconds, fixed_seconds=float(fixed), seconds_an_operation=float(slope),
        deviation=deviation.tolist(), memory=memory,
    )  # fmt: skip
    return rows, [
        [name, f"{entry['peak_mb']:.0f}", f"{entry['added_mb']:.1f}"] for name, entry in memory.items()
    ]


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--memory"]:
        _report_memory(Path(sys.argv[2]))
        return
    chosen = arguments(__doc__)
    report = Report(detail={"D6": {"machine": machine()}})
    try:
        times, memory = measure(report, chosen.quick)
    except NoData as reason:
        report.add("D6", Figure("largest deviation from linear", None, LINEAR_BAR, True, skipped=str(reason)))
        report.show(chosen.json)
        return
    report.table("D6: time against work", "SOPs|input events|time|spread|ns/SOP|fit - time", times)
    report.table("D6: memory", "run|peak MB|added by the run, MB", memory)
    report.show(chosen.json)


if __name__ == "__main__":
    pin_one_thread()
    main()
