"""Adaptive timesteps, trained: networks of ``models/atsnn.py`` on an accelerator, stopped when they are sure.

    EVENTSNN_DATA=... python benchmarks/atsnn.py WEIGHTS [--images N] [--recordings TEST.h5] [--equal N]
        [--only NAME] [--json] [--quick]

WEIGHTS is the folder with what ``models/train_atsnn.py`` wrote (``docs/adaptive-timesteps.md`` has the
commands). Needs SpikingJelly. Each network is read as it was trained (``eventsnn.from_spiking``). On
``--equal`` samples every neuron's spikes in every step are compared with SpikingJelly's own, both in float64.
Then it runs in steps, as integers, on test images taken evenly: without an accelerator for the accuracy after
each step, and on ``atsnn-style``. There a threshold is certified on every other image (accuracy gap of at
most 1 point with 95 % confidence, the best of max-probability and entropy of the mean output), and is applied
to the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread
from numpy.typing import NDArray

import eventsnn
from eventsnn.calibration.certify import calibrate
from eventsnn.engine.contract import RunOptions
from eventsnn.engine.floating.engine import FloatEngine
from eventsnn.engine.stimulus import Stimulus
from eventsnn.events import open_dataset
from eventsnn.report.baselines import compare
from eventsnn.results.results import Results
from eventsnn.results.stops import stops

MODELS = Path(__file__).resolve().parents[1] / "models"
NUMBER = "ATSNN"
ACCELERATOR = "atsnn-style"
RULES = ("max-probability,accumulator=mean", "entropy,accumulator=mean")
GAP, CONFIDENCE = 0.01, 0.95
PICTURE_STEP_US = 1000.0
RECORDED_STEP_US = 180_000
FASTER = 100
"""Recordings are replayed so many times faster: a timestep here has at most 2,147 us."""
BASELINES = ("rtx-3090-ti", "yao2024-rtx-3090")
PUBLISHED = {"latency": (36.7, 58.7), "operations": (33.0, 57.0)}
"""Cuts in percent (Li et al. 2024), of networks and an accelerator of their own."""


@dataclass(frozen=True)
class Trained:
    """A trained network: its weights' file, definition, pictures (None: recordings) and timesteps."""

    file: str
    definition: str
    pictures: str | None
    steps: int

    @property
    def step_us(self) -> float:
        """Microseconds of a timestep of the run."""
        return RECORDED_STEP_US / FASTER if self.pictures is None else PICTURE_STEP_US

    def model(self, folder: Path) -> Any:
        """The module, in evaluation mode and float64."""
        import atsnn
        import torch

        module = getattr(atsnn, self.definition)()
        module.load_state_dict(torch.load(folder / self.file, weights_only=True))
        return module.eval().double()

    def samples(self, count: int, recordings: Path | None) -> Any:
        """Test samples, taken evenly."""
        if self.pictures is None:
            found = open_dataset(f"events:{recordings}")
            found = found.evenly(min(count, len(found)))
            return found.downsampled(found.height // 32) if found.height > 32 else found
        from train_images import load

        images, labels = load(self.pictures, "test")
        return eventsnn.image_set(images.transpose(0, 2, 3, 1), labels).evenly(count)


NETWORKS = {
    "VGG, CIFAR-10, ATSNN-style": Trained("vgg-atsnn.pt", "vgg_cifar10", "cifar10", 4),
    "VGG, CIFAR-10, TET": Trained("vgg-tet.pt", "vgg_cifar10", "cifar10", 4),
    "VGG, CIFAR-10, DT-SNN": Trained("vgg-dtsnn.pt", "vgg_cifar10", "cifar10", 4),
    "ResNet, CIFAR-10, ATSNN-style": Trained("resnet.pt", "resnet_cifar10", "cifar10", 4),
    "VGG, CIFAR-100 subset, ATSNN-style": Trained("vgg100.pt", "vgg_cifar100", "cifar100", 4),
    "VGG, emulated CIFAR10-DVS, ATSNN-style": Trained("dvs.pt", "vgg_cifar10_dvs", None, 8),
}


def faster(sample: Any) -> Any:
    """A recording's events, replayed ``FASTER`` times as fast from its first."""
    events = sample.events.copy()
    events["t"] = (events["t"] - events["t"][0]) // FASTER
    return events


def frames_of(trained: Trained, sample: Any) -> NDArray[np.float64]:
    """What the module reads, (steps, channels, y, x)."""
    if trained.pictures is not None:
        image = sample.content.transpose(2, 0, 1) / 255
        return np.broadcast_to(image, (trained.steps, *image.shape)).copy()
    counts = np.zeros((trained.steps, 2, 32, 32))
    events = faster(sample)
    step = np.minimum(events["t"] // int(trained.step_us), trained.steps - 1)
    np.add.at(counts, (step, events["p"].astype(int), events["y"], events["x"]), 1)
    return counts


def rows_of(values: NDArray[Any]) -> NDArray[Any]:
    """(steps, channels, y, x) as (steps, neurons), in order (y, x, channel)."""
    return np.moveaxis(values, 1, -1).reshape(len(values), -1)


def spikes_of_library(model: Any, frames: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Of each layer of neurons, (steps, neurons), by SpikingJelly."""
    import torch
    from spikingjelly.activation_based import functional, neuron

    found: list[NDArray[np.bool_]] = []
    hooks = [
        module.register_forward_hook(
            lambda module, given, result: found.append(rows_of(result[:, 0].numpy()) > 0)
        )
        for module in model.modules()
        if isinstance(module, neuron.BaseNode)
    ]
    with torch.no_grad():
        model(torch.from_numpy(frames)[:, None])
    for hook in hooks:
        hook.remove()
    functional.reset_net(model)
    return found


def spikes_of_ours(network: Any, trained: Trained, frames: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """The same by the float64 engine."""
    step, nothing = round(trained.step_us * 1e6), np.zeros(0, dtype=np.int64)
    if trained.pictures is None:
        rows = rows_of(frames).astype(np.int64)
        at, neuron = np.nonzero(rows)
        stimulus = Stimulus(at * step, neuron, rows[at, neuron], duration=trained.steps * step)
    else:
        scale = network.populations[network.input].neuron.analog_scale
        parts = np.rint(rows_of(frames)[0] * scale).astype(np.int64)
        stimulus = Stimulus(nothing, nothing, analog=parts, duration=trained.steps * step)
    run = FloatEngine(network, None, RunOptions(schedule="step", record_spikes=True)).run(stimulus)
    found = []
    for rank, name in enumerate(network.order):
        if name not in (network.input, network.output):
            fired = np.zeros((trained.steps, network.populations[name].size), bool)
            mine = run.spikes.rank == rank
            fired[run.spikes.time[mine] // step - 1, run.spikes.neuron[mine]] = True
            found.append(fired)
    return found


def differing(model: Any, network: Any, trained: Trained, samples: Any) -> tuple[int, int]:
    """Spikes of all neurons and steps that only one of the two fires, and all spikes."""
    other = every = 0
    for index in range(len(samples)):
        frames = frames_of(trained, samples[index])
        theirs = spikes_of_library(model, frames)
        ours = spikes_of_ours(network, trained, frames)
        for one, two in zip(theirs, ours, strict=True):
            other += int((one != two).sum())
            every += int(one.sum())
    return other, every


def cut(full: NDArray[Any], stopped: NDArray[Any]) -> float:
    """How much less the mean is, percent."""
    return 100 * (1 - float(stopped.mean()) / float(full.mean()))


def by_steps(results: Results, trained: Trained) -> list[float]:
    """Accuracy in percent of the readout after each step."""
    found = []
    for step in range(1, trained.steps + 1):
        rule = f"fixed-time,of-us={step * trained.step_us:g}"
        stopped = stops(results.table, rule, [1.0])
        found.append(100 * float((stopped.prediction[:, 0] == stopped.label).mean()))
    return found


def shares(results: Results, steps: int) -> dict[str, float]:
    """The run's energy over that of each GPU under every definition, percent: the network once a step."""
    found = compare(results, baselines=BASELINES, passes=steps)
    assert found is not None
    return {
        f"{row.baseline}, {row.energy.definition}, batch {row.energy.batch}": 100 * row.ratio
        for row in found.ratios
        if row.ratio is not None and row.energy.watts is not None
    }


def measure(
    report: Report, name: str, trained: Trained, folder: Path, count: int, equal: int, recordings: Path | None
) -> list[list[str]]:
    """The rows of a network: full runs, and stopped ones."""
    model = trained.model(folder)
    channels = 2 if trained.pictures is None else 3
    coding = "events" if trained.pictures is None else "analog"
    network = eventsnn.from_spiking(model, (channels, 32, 32), step_us=trained.step_us, input=coding)
    samples = trained.samples(count, recordings)
    other, every = differing(model, network, trained, samples.evenly(equal))
    items: Sequence[Any] = samples
    if trained.pictures is None:
        items = [(faster(samples[i]), samples[i].label) for i in range(len(samples))]
    settings: dict[str, Any] = {"schedule": "step", "duration_us": trained.steps * trained.step_us}
    ideal = eventsnn.simulate(network, items, **settings)
    full = eventsnn.simulate(network, items, hardware=ACCELERATOR, **settings)
    odd = np.arange(len(full)) % 2 == 1
    certificate = calibrate(full.select(~odd), RULES, "gap", GAP, CONFIDENCE, saves="latency_s")
    others = full.select(odd)
    found = stops(others.table, certificate.rule, [certificate.threshold])
    mean_steps = float(found.decision_operations.mean()) / network.populations[network.output].size
    accuracy = [
        100 * float((each == found.label).mean()) for each in (found.full_prediction, found.prediction[:, 0])
    ]
    energy, operations = (others.table.column(key) for key in ("energy_j", "synaptic_operations"))
    cuts = {
        "latency": cut(others.latency_s, found.latency_s),
        "operations": cut(operations, found.synaptic_operations),
        "energy": cut(energy, found.energy_j),
    }
    after, of_gpu = by_steps(ideal, trained), shares(full, trained.steps)
    stopped_share = {key: share * (1 - cuts["energy"] / 100) for key, share in of_gpu.items()}
    report.add(
        NUMBER,
        Figure(f"{name}: spikes that only one of the two fires", float(other), 0.0, at_most=True),
        Figure(f"{name}: mean timesteps", mean_steps, None),
        **{name: {
            "samples": len(full), "spikes_compared": every, "accuracy_by_step": after, "cuts": cuts,
            "accuracy": accuracy, "rule": certificate.rule, "threshold": certificate.threshold,
            "latency_s": float(others.latency_s.mean()), "energy_j": float(energy.mean()),
            "operations": float(operations.mean()), "percent_of_gpu": of_gpu,
            "percent_of_gpu_stopped": stopped_share,
        }},
    )  # fmt: skip
    stop = f"{certificate.rule.partition(',')[0]}:{certificate.threshold:g}"
    return [[
        name, f"{other} of {every:,}", " ".join(f"{one:.1f}" for one in after), stop,
        f"{accuracy[0]:.1f} to {accuracy[1]:.1f}",
        f"{mean_steps:.2f} of {trained.steps}", *(f"-{value:.1f}" for value in cuts.values()),
        f"{1e3 * float(others.latency_s.mean()):.3g} ms, {1e3 * float(energy.mean()):.3g} mJ",
    ]]  # fmt: skip


def lacking(trained: Trained, weights: Path | None, recordings: Path | None) -> list[str]:
    """Why a network cannot be measured here."""
    found = []
    if find_spec("spikingjelly") is None:
        found.append("SpikingJelly is not installed (pip install spikingjelly==2.0.0)")
    if weights is None or not (weights / trained.file).exists():
        found.append(f"{trained.file}, which models/train_atsnn.py writes, is not in WEIGHTS")
    if trained.pictures is None and recordings is None:
        found.append("--recordings is not given")
    if trained.pictures is not None and not os.environ.get("EVENTSNN_DATA"):
        found.append("EVENTSNN_DATA is not set; it names the folder with cifar10/ and cifar100/")
    return found


def main() -> None:
    """Read, compare, run, stop, print."""
    chosen = arguments(
        __doc__,
        lambda parser: parser.add_argument("weights", type=Path, nargs="?", help="folder of trained weights"),
        lambda parser: parser.add_argument("--images", type=int, default=2000, help="test images"),
        lambda parser: parser.add_argument("--recordings", type=Path, help="emulated test recordings (.h5)"),
        lambda parser: parser.add_argument("--equal", type=int, default=20, help="samples compared"),
        lambda parser: parser.add_argument("--only", choices=sorted(NETWORKS), help="one network"),
    )
    sys.path.insert(0, str(MODELS))
    report = Report(detail={NUMBER: {"machine": machine()}})
    rows: list[list[str]] = []
    for name, trained in NETWORKS.items():
        if chosen.only not in (None, name):
            continue
        missing = lacking(trained, chosen.weights, chosen.recordings)
        if missing:
            report.add(NUMBER, Figure(f"{name}: mean timesteps", None, None, skipped="; ".join(missing)))
            continue
        rows += measure(
            report, name, trained, chosen.weights, 800 if chosen.quick else chosen.images,
            2 if chosen.quick else chosen.equal, chosen.recordings,
        )  # fmt: skip
    columns = (
        "network|spikes that differ|accuracy after each step, %|stop|full to stopped, %|timesteps"
        "|latency, %|operations, %|energy, %|full run"
    )
    report.table(f"Adaptive timesteps on {ACCELERATOR}", columns, rows)
    told = ", ".join(f"{key} -{low} to -{high} %" for key, (low, high) in PUBLISHED.items())
    print(f"Published (Li et al. 2024): {told}.", file=sys.stderr)
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
