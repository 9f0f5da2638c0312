"""Digests of runs that must not change when the engine is rebuilt: keep them before, compare after.

    python benchmarks/digests.py --output before.json
    python benchmarks/digests.py --against before.json [--engine reference]

The demo's network on its shipped recordings, ideal and on its accelerator, with and without exit rule; 260
random networks of every kind in both schedules and as many on random chips; and, where EVENTSNN_DATA is set,
the 200 held-out N-MNIST recordings on two accelerators. A run that is refused keeps the name of its error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import eventsnn
from eventsnn.engine import RunOptions, make_engine
from eventsnn.errors import EventsnnError
from eventsnn.run.demo import DEMO_EXIT, DEMO_HARDWARE, shipped

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from builders.cases import random_case  # noqa: E402
from builders.chips import random_chip  # noqa: E402
from builders.networks import (  # noqa: E402
    random_network,
    random_stimulus,
    with_analog,
    with_cycles,
    with_gates,
    with_payloads,
    with_rates,
)
from builders.step_chips import random_step_mapping  # noqa: E402

RANDOM = 260
MOST = 200_000
KINDS = ("signed", "rate", "mixed")
FEATURES = ("step", "refractory", "leak", "gate", "rate_gate", "softmax", "cycle", "analog", "history")
SYNCHRONISATIONS = ("barrier", "dependency")
TIMINGS = ("messages", "totals")
ACCELERATORS = ("event-conv-small", "event-conv-large")


def random_runs(engine: str) -> Iterator[tuple[str, str]]:
    """Name and digest of runs of seeded random networks, in both schedules, ideal and on random chips."""
    for seed in range(RANDOM):
        kind, step = KINDS[seed % 3], 1000 if seed % 2 else 0
        network = random_network(seed, kind, delays=seed % 5 == 0, lazy=seed % 4 == 0, readout=seed % 7 != 0)
        if kind != "signed":
            network = with_rates(network, seed, step)
        if seed % 6 == 1 and seed % 11 != 3:
            network = with_gates(network, seed)
        if seed % 11 == 3 and kind != "signed" and seed % 7:
            network = with_cycles(network, seed, max(step, 1))
        stimulus = random_stimulus(seed, network)
        if seed % 4 == 2:
            stimulus = with_payloads(stimulus, seed)
        if seed % 9 == 4:
            stimulus = with_analog(stimulus, network, seed)
        options = RunOptions(schedule="step" if step else "event", step=step, seed=seed, max_events=MOST)
        yield f"random {seed}", outcome(engine, network, None, options, stimulus)
        chip = random_chip(seed, network, links=seed % 3 != 0, bounded=seed % 2 == 0, zeros=seed % 5 == 0)
        event = RunOptions(seed=seed, max_events=MOST)
        yield f"chip {seed}", outcome(engine, network, chip, event, stimulus)
    for seed in range(RANDOM):
        feature, kind = FEATURES[seed % len(FEATURES)], SYNCHRONISATIONS[seed % 2]
        try:
            network, stimulus, options = random_case(seed, feature, True)
            chip = random_step_mapping(
                seed,
                network,
                kind,
                timing=TIMINGS[seed % 3 == 0 and kind == "barrier"],
                jitter=seed % 4 == 1,
                links=seed % 3 == 1,
                depth=seed % 5 == 2 and kind == "barrier",
            )
        except EventsnnError:
            continue  # what is drawn does not fit together
        yield f"steps on a chip {seed}", outcome(engine, network, chip, options, stimulus)


def outcome(engine: str, network: Any, chip: Any, options: RunOptions, stimulus: Any) -> str:
    """Everything a run gave as one hash, or the name of the error that ended it."""
    try:
        run = make_engine(engine, network, chip, options).run(stimulus, 3)
    except EventsnnError as error:
        return type(error).__name__
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{run.digest};{run.prediction};{run.decision_time};{run.first_event}".encode())
    pieces = [run.counters, run.trace.time, run.trace.readout, run.trace.energy, run.trace.spikes]
    pieces += [values for table in (run.counts, run.charge) for _, values in sorted(table.items())]
    for values in pieces if run.parts is None else [*pieces, run.parts]:
        digest.update(np.ascontiguousarray(values, dtype=np.int64).tobytes())
    return digest.hexdigest()


def shipped_runs(engine: str) -> Iterator[tuple[str, str]]:
    """Name and digest of the demo's runs, and of real recordings where they are."""
    network, data = eventsnn.load(shipped("models/demo.h5")), f"nmnist:{shipped('datasets/demo')}"
    for hardware in (None, DEMO_HARDWARE):
        for rule in ("none", DEMO_EXIT):
            found = eventsnn.simulate(network, data, hardware, rule, engine=engine)
            yield f"demo, {hardware}, {rule}", found.digest
    folder = os.environ.get("EVENTSNN_DATA")
    if not folder:
        return
    network, data = eventsnn.load(ROOT / "models" / "nmnist.h5"), f"nmnist:{folder}/nmnist"
    for hardware in ACCELERATORS:
        for rule in ("none", DEMO_EXIT):
            found = eventsnn.simulate(network, data, hardware, rule, engine=engine, split="test")
            yield f"200 recordings, {hardware}, {rule}", found.digest


def main() -> None:
    """Print or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--engine", default="compiled")
    arguments = parser.parse_args()
    found = dict(random_runs(arguments.engine))
    found |= dict(shipped_runs(arguments.engine))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1))
    refused = sum(len(value) != 32 for value in found.values())
    print(f"{len(found)} runs, of them {refused} refused")
    if arguments.against:
        before = json.loads(arguments.against.read_text())
        changed = sorted(name for name in found.keys() | before.keys() if found.get(name) != before.get(name))
        for name in changed:
            print(f"changed: {name}: {before.get(name)} -> {found.get(name)}")
        print(f"{len(changed)} of {len(found)} differ")
        sys.exit(bool(changed))


if __name__ == "__main__":
    main()
