"""B13: no step on an accelerator is shorter than the bound of its work, and how far the bound explains time.

    EVENTSNN_DATA=... python benchmarks/bounds.py [--json] [--quick] [--only random|linear|splits]

*random*: the random networks and chips of the tests, in steps: barriers, added-up times, handshakes; links,
bounded queues, random times. Every step is compared with its bound. *linear*: single linear layers, 16 to 512
inputs and outputs, of which 2 to 100 % spike and 2 to 100 % of the synapses exist, cut at random over 1 to 8
cores of a chip with a barrier (``loihi-sanafe-fit``); the simulated time of six steps against the bound, and
beside it against all synaptic operations, which do not know the busiest core. *splits*: what
``eventsnn profile --suggest`` makes of three networks on shipped accelerators, its bound and the simulated
time before and after. Times are figures of models.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread, si

import eventsnn
from eventsnn.counting import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.reference.chip_steps import ChipSteps
from eventsnn.errors import ChargeOverflow, EventLimitReached, InvalidNetwork, InvalidRequest
from eventsnn.hardware import load_architecture, map_network
from eventsnn.insight.bounds import bound
from eventsnn.network import Input, Network, Population, Projection, Rate, Readout, Sparse
from eventsnn.report.si import percent
from eventsnn.run.suggest import suggest_mapping

NUMBER = "B13"
ROOT = Path(__file__).resolve().parents[1]
WAYS = (("barrier", "messages"), ("barrier", "totals"), ("dependency", "messages"))
SEEDS, QUICK_SEEDS = 190, 20
LAYERS, QUICK_LAYERS = 200, 40
STEP, STEPS = 10**6, 6
CHIP = "loihi-sanafe-fit"
CORRELATION = 0.97
OPTIONS = RunOptions(record_spikes=True, record_service=True, schedule="step", step=STEP)


class Noted(ChipSteps):
    """Steps that tell when each was over."""

    last: Any = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        Noted.last = self


class NotedEngine(ReferenceEngine):
    """The reference engine with them."""

    chip_steps = Noted


# -- random networks and chips -------------------------------------------------------------------------------


def random_runs(seeds: int) -> Iterator[dict[str, Any]]:
    """Each run: how many steps, how many shorter than their bound, the share of time that the bound is."""
    sys.path[:0] = [str(ROOT / "tests")]
    from builders.cases import random_case
    from builders.step_chips import random_step_mapping

    for seed in range(seeds):
        for kind, timing in WAYS:
            chip = {"jitter": seed % 3 == 0, "links": seed % 4 > 0}
            chip["depth"] = kind == "barrier" and seed % 5 > 1
            try:
                network, stimulus, options = random_case(seed, "step", True)
                mapping = random_step_mapping(seed, network, kind=kind, timing=timing, **chip)
                engine = NotedEngine(network, mapping, replace(options, record_service=True))
                run = engine.run(stimulus, seed)
            except (ChargeOverflow, EventLimitReached, InvalidNetwork, InvalidRequest):
                continue
            found = bound(run, network, mapping, engine.step)
            over = np.array(Noted.last.over)
            begin = np.concatenate([[0], over[:-1]])
            if mapping.architecture.synchronisation.pace == "input":
                begin = np.maximum(begin, (np.arange(len(over)) + 1) * engine.step)
            shorter = int((over - begin < found.by_window).sum()) if kind == "barrier" else 0
            yield {
                "way": timing if timing == "totals" else kind,
                "steps": len(over),
                "shorter": shorter + (found.ticks > found.time),
                "explained": found.ticks / found.time if found.time else 1.0,
            }


def measure_random(report: Report, quick: bool) -> None:
    """All of them, by the way that cores go on to their next step."""
    runs = list(random_runs(QUICK_SEEDS if quick else SEEDS))
    shorter = sum(run["shorter"] for run in runs)
    report.add(
        NUMBER,
        Figure("random networks and chips", len(runs), None if quick else 500),
        Figure("steps and runs shorter than their bound", shorter, 0, at_most=True),
    )
    rows = []
    for way in sorted({run["way"] for run in runs}):
        own = [run for run in runs if run["way"] == way]
        share = np.array([run["explained"] for run in own])
        steps = sum(run["steps"] for run in own)
        rows.append([way, len(own), steps, percent(float(share.mean())), percent(float(share.min()))])
    report.table("Random networks and chips in steps", "steps end|runs|steps|bound / time, mean|least", rows)


# -- linear layers -------------------------------------------------------------------------------------------


def linear_layer(rng: np.random.Generator) -> tuple[Network, Stimulus, dict[str, Any], tuple[int, int]]:
    """A linear layer with an output, its input, where it lies, and its size."""
    inputs, outputs = (int(2 ** rng.uniform(4, 9)) for _ in range(2))
    exists = rng.random((inputs, outputs)) < 10 ** rng.uniform(np.log10(0.02), 0)
    source, target = np.nonzero(exists)
    weight = rng.integers(-20, 60, len(target))
    starts = np.searchsorted(source, np.arange(inputs + 1))
    network = Network(
        [
            Population("in", (1, 1, inputs), Input()),
            Population("layer", (1, 1, outputs), Rate(int(rng.integers(50, 3000)), period=STEP)),
            Population("out", (1, 1, 10), Readout(period=STEP)),
        ],
        [
            Projection("layer", "in", "layer", Sparse(weight, starts, target, (1, 1, outputs))),
            Projection("out", "layer", "out", _all_to_all(outputs, 10)),
        ],
    )
    spikes = rng.random((STEPS, inputs)) < 10 ** rng.uniform(np.log10(0.02), 0)
    step, neuron = np.nonzero(spikes)
    pieces = int(rng.integers(1, 9))
    cuts = np.sort(rng.choice(np.arange(1, outputs), min(pieces - 1, outputs - 1), replace=False))
    edges = [0, *cuts.tolist(), outputs]
    cores = rng.permutation(np.arange(8, 128))[: len(edges) - 1].tolist()
    boxes = [
        {"core": core, "channels": f"{low}..{high - 1}"}
        for core, low, high in zip(cores, edges[:-1], edges[1:], strict=True)
    ]
    placed = {"populations": {"in": {"core": 0}, "layer": boxes, "out": {"core": 4}}}
    return network, Stimulus(step * STEP, neuron, duration=STEPS * STEP), placed, (inputs, outputs)


def _all_to_all(inputs: int, outputs: int) -> Sparse:
    target = np.tile(np.arange(outputs), inputs)
    return Sparse(target % 7 - 3, np.arange(inputs + 1) * outputs, target, (1, 1, outputs))


def measure_linear(report: Report, quick: bool) -> None:
    """Correlation of the simulated time with the bound, and with all synaptic operations."""
    rng, chip = np.random.default_rng(13), load_architecture(CHIP)
    found = []
    for _ in range(QUICK_LAYERS if quick else LAYERS):
        network, stimulus, placed, size = linear_layer(rng)
        mapping = map_network(network, chip, placed)
        run = make_engine("compiled", network, mapping, OPTIONS).run(stimulus)
        one = bound(run, network, mapping, STEP)
        operations = int(run.counters[:, COLUMN["synapses_served"]].sum())
        found.append((one.time, one.ticks, operations, *size, len(mapping.parts["layer"])))
    time, least, operations = np.array(found, dtype=float)[:, :3].T
    correlation = float(np.corrcoef(time, least)[0, 1])
    logarithms = float(np.corrcoef(np.log(time), np.log(least))[0, 1])
    totals = float(np.corrcoef(time, operations)[0, 1])
    share = least / time
    report.add(
        NUMBER,
        Figure("linear layers: correlation of time and bound", correlation, CORRELATION),
        Figure("the same of their logarithms", logarithms, CORRELATION),
        Figure("linear layers: correlation of time and all synaptic operations", totals, None),
        Figure("linear layers: layers faster than their bound", int((share > 1).sum()), 0, at_most=True),
        layers=found,
    )
    quarters = np.percentile(share, [0, 25, 50, 75, 100])
    report.table(
        f"{len(found)} linear layers on {CHIP}, times from {si(time.min() * 1e-12, 's')} to "
        f"{si(time.max() * 1e-12, 's')}",
        "bound / time|least|quarter|median|three quarters|most",
        [["", *(percent(float(value)) for value in quarters)]],
    )


# -- suggested splits ----------------------------------------------------------------------------------------


def cases(data: Path | None, quick: bool) -> Iterator[tuple[str, Any, Any, str, dict[str, Any]]]:
    """Name, network, samples, accelerator and settings of each case."""
    demo = eventsnn.open_dataset(f"nmnist:{ROOT / 'datasets' / 'demo'}").evenly(1 if quick else 2)
    steps = {"schedule": "step", "step_us": 1000.0}
    network = eventsnn.load(ROOT / "models" / "demo.h5")
    yield "demo", network, demo, "event-conv-small", {}
    yield "demo", network, demo, "loihi-davies2018", steps
    if data is None:
        return
    lenet, images = lenet5(data)
    yield "LeNet-5", lenet, images[: 1 if quick else 2], "event-conv-small", {"input": "charge"}
    recordings = [emulated(data)]
    network = eventsnn.load(ROOT / "models" / "cifar10dvs.h5")
    yield "CIFAR10-DVS", network, recordings, "event-conv-large", {}
    yield "CIFAR10-DVS", network, recordings, "loihi-davies2018", steps


def lenet5(data: Path) -> tuple[Network, list[Any]]:
    """The shipped LeNet-5 as signed neurons that are tested every 100 us, and test images."""
    from resnet20 import Images
    from trained import MODELS, images_of

    from eventsnn.convert.definitions.trained import load_trained

    train: Images = images_of(data, "mnist", "train", 200)
    model = load_trained(MODELS / "lenet5.pt")
    network = eventsnn.convert(
        model, train.evenly(200), "signed", levels=15, scales="channel", settle_time_us=100.0
    )
    test = images_of(data, "mnist", "test", 3)
    return network, [(image, int(label)) for image, label in zip(test.pixels, test.labels, strict=True)]


def emulated(data: Path) -> Any:
    """The first 65 ms of an emulated recording of CIFAR-10's first test picture, on 32 x 32 pixels."""
    from resnet20 import read_images

    from eventsnn.events import downsample_addresses, emulate_smooth_movement

    picture = read_images(data, "test", 1).pixels[0]
    events = downsample_addresses(emulate_smooth_movement(picture, 0, 0), 4)
    return events[events["t"] < 65_000]


def measure_splits(report: Report, quick: bool) -> None:
    """Bound and time before and after."""
    root = os.environ.get("EVENTSNN_DATA")
    rows, worse = [], 0
    for name, network, samples, chip, settings in cases(Path(root) if root else None, quick):
        found = suggest_mapping(
            network, samples, chip, samples=None if isinstance(samples, list) else len(samples), **settings
        )
        before, after = found.before.bottleneck, found.after.bottleneck
        worse += after.ticks > before.ticks
        way = "steps" if settings.get("schedule") == "step" else "events"
        times = [si(ticks * 1e-12, "s") for ticks in (before.ticks, after.ticks, before.time, after.time)]
        rows.append([name, f"{chip}, {way}", len(found.changes), *times])
        report.add(NUMBER, **{f"{name} on {chip}, {way}": found.to_dict()})
    why = "" if root else "EVENTSNN_DATA is not set; it names the folder with mnist/ and cifar10/"
    report.add(
        NUMBER,
        Figure("suggested mappings with a higher bound", worse, 0, at_most=True),
        Figure("networks with a suggested mapping", len({row[0] for row in rows}), 3, skipped=why),
    )
    columns = "network|accelerator|changes|bound before|after|time before|after"
    report.table("What --suggest makes of shipped networks", columns, rows)


PARTS = {"random": measure_random, "linear": measure_linear, "splits": measure_splits}


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__, lambda parser: parser.add_argument("--only", choices=PARTS))
    report = Report(detail={NUMBER: {"machine": machine()}})
    for name, measure in PARTS.items():
        if chosen.only in (None, name):
            measure(report, chosen.quick)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
