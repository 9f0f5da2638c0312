"""Results of 10,000 samples: bytes of the file, memory, seconds to write it and to take curves of 8 rules.

    python benchmarks/results_scale.py [--json] [--quick]

Traces are drawn: 1,800 checks of 10 classes, of which 15 % change at each check, which deflate badly. Bounds:
decompression, and exponentials at each check of each rule. Memory is the peak of the process, imports
included. No data are needed.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import Figure, Report, arguments

from eventsnn.results import Journal, ResultTable, SampleRecord
from eventsnn.results.curves import even_thresholds
from eventsnn.results.results import Results
from eventsnn.results.traces import PackedTrace

CHECKS, CLASSES, CHANGING = 1800, 10, 0.15


def drawn(rng: np.random.Generator, index: int) -> SampleRecord:
    """A sample with a trace of random walks."""
    changes = rng.integers(-127, 128, (CHECKS, CLASSES)) * (rng.random((CHECKS, CLASSES)) < CHANGING)
    steps = {
        "time_ps": 300_000_000,
        "synaptic_operations": 2000,
        "spikes": 5,
        "energy_aj": 10**9,
        "input_events": 9,
    }
    trace = {name: np.cumsum(rng.integers(0, most, CHECKS)) for name, most in steps.items()}
    trace["readout"] = np.cumsum(changes, axis=0)
    end, operations, spikes = (int(trace[name][-1]) for name in ("time_ps", "synaptic_operations", "spikes"))
    return SampleRecord(
        index, index % 10, 0, 0, end, False, CHECKS, operations, spikes, 1e-6, np.zeros((6, 20), np.int64),
        PackedTrace.of(trace), f"{index:032x}",
    )  # fmt: skip


RULES = (
    "margin",
    "max-probability,temperature=2",
    "entropy",
    "logit-lead,patience=3",
    "margin,probability-ratio=4",
    "entropy,accumulator=leaky",
    "max-probability,every=20",
    "margin,accumulator=sum,after-us=100,reject=0.2",
)


def main() -> None:
    """Write, read, and print."""
    given = arguments(str(__doc__))
    report, samples = Report(), 200 if given.quick else 10_000
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path, configuration = Path(folder) / "results.h5", {"version": "0", "static_watts": 0.0}
        journal = Journal(path, ResultTable(configuration, tuple("abcdef"), 0.002, ()))
        for index in range(samples):
            journal.add(drawn(rng, index))
        began = time.perf_counter()
        journal.close()
        journal.release()
        written = time.perf_counter()
        found = Results.load(path)
        opened = time.perf_counter()
        found.curves(RULES, even_thresholds(200))
        ended = time.perf_counter()
        size = path.stat().st_size
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.add(
        "results",
        Figure("megabytes of memory at the peak", memory, 1000.0, at_most=True),
        Figure("seconds for curves of 8 rules at 200 thresholds", ended - opened, 60.0, at_most=True),
        Figure("kilobytes of the file a sample", size / samples / 1e3, None),
        Figure("kilobytes of a trace as it is", 8 * CHECKS * (CLASSES + 5) / 1e3, None),
        Figure("seconds to put the file together", written - began, None),
        Figure("seconds to open it", opened - written, None),
    )
    report.show(given.json)


if __name__ == "__main__":
    main()
