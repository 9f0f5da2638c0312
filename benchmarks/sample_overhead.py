"""What a sample costs around the kernels: the demo network, ideal and on its accelerator.

    python benchmarks/sample_overhead.py [--json] [--quick]

Of each recording the fastest of many runs, then the mean over recordings, in milliseconds: time inside the
compiled kernels, time in the hash of all spikes that makes the digest, and the rest of ``engine.run``, which
is Python and NumPy around them: checking the input, making the state, reading it out. Then what a run has
to do besides for each sample: read the file, make it a stimulus, keep a record. The rest is bounded by
the caches that kernels leave cold, and on an accelerator by copying thousands of exit checks. No data are
needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any
from unittest import mock

from measure import Figure, Report, arguments, machine, pin_one_thread

from eventsnn.counting.digest import SampleDigest
from eventsnn.engine.kernels import loop
from eventsnn.results import ResultTable
from eventsnn.results.results import Results
from eventsnn.run.configuration import configuration
from eventsnn.run.job import Job, make_job
from eventsnn.run.record import record
from eventsnn.run.settings import Settings

HOME = Path(__file__).resolve().parents[1]
NUMBER = "sample"
BAR_MS = 0.15
CASES = [(None, None), (None, "margin:0.9"), ("event-conv-small", None), ("event-conv-small", "margin:0.9")]
clock = time.perf_counter


@dataclass
class Inside:
    """Seconds of one run that were spent in the kernels and in the hash."""

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, its time added up."""

        def wrapped(*given: Any) -> Any:
            started = clock()
            found = call(*given)
            self.seconds[name] = self.seconds.get(name, 0.0) + clock() - started
            return found

        return wrapped

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Time the kernels and the hash within."""
        kernels = mock.patch.object(loop, "advance", self.timed("kernels", loop.advance))
        hashing = mock.patch.object(SampleDigest, "add_log", self.timed("hash", SampleDigest.add_log))
        with kernels, hashing:
            yield


def fastest(call: Callable[[], Any], repeats: int) -> float:
    """Milliseconds of the fastest of several calls, after two untimed ones."""
    return min(_once(call) for _ in range(repeats + 2)) * 1e3


def _once(call: Callable[[], Any]) -> float:
    started = clock()
    call()
    return clock() - started


def split(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Milliseconds of the fastest run, part by part: each part's own fastest."""
    found: dict[str, float] = {}
    for _ in range(repeats + 2):
        inside = Inside()
        with inside.watch():
            total = _once(call)
        parts = inside.seconds | {"python": total - sum(inside.seconds.values())}
        found = {name: min(seconds, found.get(name, seconds)) for name, seconds in parts.items()}
    return {name: seconds * 1e3 for name, seconds in found.items()}


def measure(job: Job, repeats: int) -> dict[str, float]:
    """Milliseconds a sample of everything, the mean over the job's recordings."""
    engine = job.make_engine()
    rows = []
    for position in range(len(job.samples)):
        item = job.samples[position]
        stimulus = job.stimulus(item)
        run = engine.run(stimulus, item.index)
        rows.append(
            split(lambda s=stimulus, i=item.index: engine.run(s, i), repeats)  # type: ignore[misc]
            | {
                "read": fastest(lambda p=position: job.samples[p], repeats),  # type: ignore[misc]
                "stimulus": fastest(lambda i=item: job.stimulus(i), repeats),  # type: ignore[misc]
                "record": fastest(lambda r=run, i=item: record(r, i.label, job.energy), repeats),  # type: ignore[misc]
            }
        )
    return {name: mean(row[name] for row in rows) for name in rows[0]}


def summary_ms(job: Job, repeats: int) -> float:
    """Milliseconds to put all recordings' records together and describe them."""
    engine = job.make_engine()
    records = tuple(job.run(engine, position) for position in range(len(job.samples)))
    table = ResultTable(configuration(job), job.network.order, 1.0, records)
    return fastest(lambda: Results(table).to_dict(), repeats)


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    samples, repeats = (3, 30) if chosen.quick else (10, 200)
    report = Report(detail={NUMBER: {"machine": machine()}})
    rows = []
    for hardware, rule in CASES:
        settings = Settings(hardware=hardware, exit=rule)
        data = f"nmnist:{HOME}/datasets/demo"
        found = measure(make_job(HOME / "models/demo.h5", data, settings, None, samples), repeats)
        name = f"{hardware or 'ideal'}, {rule or 'no exit'}"
        report.add(
            NUMBER,
            Figure(f"{name}: Python around the kernels, ms", found["python"], BAR_MS, at_most=True),
            **{name: found},
        )
        rows.append([name, *(f"{found[column]:.3f}" for column in found)])
    whole = make_job(HOME / "models/demo.h5", data, Settings(hardware="event-conv-small"))
    report.add(NUMBER, results_of_60_ms=summary_ms(whole, 5))
    report.table("a sample of the demo, ms", "run|" + "|".join(found), rows)
    report.show(chosen.json)


if __name__ == "__main__":
    pin_one_thread()
    main()
