"""The same spikes counted five ways: the true count, and as sinabs, syops and NeuroBench count.

    EVENTSNN_DATA=... python benchmarks/countings.py [--json] [--quick] [--only NAME]

Three networks: the demo's (signed neurons, recordings in bins of 1 ms), a published ResNet-20 (signed, L=15,
one charge a pixel, one step), the NIR paper's network for N-MNIST (one spike a step, reset to zero, 300 steps
of 1 ms). Beside what ``eventsnn export --counting`` gives stand the packages themselves, on torch modules of
the same weights fed with the same spikes of every layer, in an environment of their own (``make
bench-countings``). They count in float32, which holds whole numbers to 2^24: hence the bar.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread
from numpy.typing import NDArray

import eventsnn
from eventsnn.counting import COLUMN
from eventsnn.insight.countings import Countings, Layer, layers_of
from eventsnn.network import Network
from eventsnn.run.spikes import RunAgain

NUMBER = "countings"
BAR = 1e-6
"""By how much of it a package may count otherwise."""
STEP_US = 1000.0
COMPARED = 2
"""Samples of which the packages count every layer's spikes."""


class RivalFailed(Exception):
    """Why the packages did not count."""


def rival_python() -> Path | None:
    """The interpreter of the packages' environment, None if it was not made."""
    path = Path(__file__).resolve().parents[1] / ".venv-countings" / "bin" / "python"
    return path if path.is_file() else None


# -- what the packages are handed ----------------------------------------------------------------------------


def described(layer: Layer, network: Network) -> dict[str, Any]:
    """A layer's geometry, as the modules of torch take it."""
    found: dict[str, Any] = {
        "name": layer.name, "module": layer.module, "pool": list(layer.pool),
        "frame": list(layer.frame), "biased": layer.biased,
    }  # fmt: skip
    synapses: Any = layer.synapses
    if layer.module != "linear":
        axes = (synapses.y, synapses.x)
        found |= {
            "taps": [axis.taps for axis in axes],
            "stride": [axis.stride for axis in axes],
            "padding": [axis.pad_before for axis in axes],
            "dilation": [axis.dilation for axis in axes],
            "output_padding": [
                axis.output_padding + axis.pad_before - axis.pad_after if axis.transposed else 0
                for axis in axes
            ],
            "groups": getattr(synapses, "groups", 1),
        }
    return found


def torch_weight(layer: Layer) -> NDArray[np.float32]:
    """Weights laid out as torch's, which are 0 where ours are."""
    synapses: Any = layer.synapses
    weight = synapses.weight.astype(np.float32)
    if layer.module == "linear":
        weight = weight.reshape(*layer.shape, -1).transpose(3, 2, 0, 1).reshape(weight.shape[1], -1)
    elif layer.module == "conv2d":
        weight = weight.transpose(3, 2, 0, 1)
    else:
        groups, (ky, kx, inner, outer) = synapses.groups, weight.shape
        grouped = weight.reshape(ky, kx, inner, groups, outer // groups)
        weight = grouped.transpose(3, 2, 4, 0, 1).reshape(groups * inner, outer // groups, ky, kx)
    return np.ascontiguousarray(weight)


def tensor(source: str, network: Network, time: Any, run: Any, step: int, steps: int) -> NDArray[np.float32]:
    """What a population emitted, (steps, channel, y, x): made of its spikes one by one."""
    shape = network.populations[source].shape
    mine = run.spikes.rank == network.order.index(source)
    found = np.zeros((steps, int(np.prod(shape))), dtype=np.float32)
    np.add.at(found, (time[mine] // step, run.spikes.neuron[mine]), run.spikes.payload[mine])
    return np.ascontiguousarray(found.reshape(steps, *shape).transpose(0, 3, 1, 2))


def job_of(
    network: Network, stimulus: Any, run: Any, step: int, behind: int, steps: int
) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """One sample for ``rival_countings.py``, of a network without delays; analog values are held."""
    every = layers_of(network)
    layers = [layer for layer in every if layer.module != "neurons" and layer.synapses is not None]
    time = run.spikes.time - behind * step
    arrays = {}
    for place, layer in enumerate(layers):
        if layer.module in ("conv2d", "conv_transpose2d", "linear"):
            arrays[f"weight{place}"] = torch_weight(layer)
        given = tensor(layer.source, network, time, run, step, steps)
        if stimulus.analog is not None and layer.source == network.input:
            held = stimulus.analog / network.populations[network.input].neuron.analog_scale
            image = held.reshape(network.populations[network.input].shape).transpose(2, 0, 1)
            given = np.ascontiguousarray(np.broadcast_to(image.astype(np.float32), given.shape))
        arrays[f"given{place}"] = given
    alone = all(len(network.incoming(name)) < 2 and len(network.outgoing(name)) < 2 for name in network.order)
    job = {
        "layers": [described(layer, network) for layer in layers],
        "neurons": [layer.size for layer in every if layer.module == "neurons"],
        "steps": steps,
        "chain": alone and len(layers) == len(network.projections),
    }
    return job, arrays


def counted_by_packages(jobs: list[tuple[dict[str, Any], dict[str, NDArray]]]) -> list[dict[str, Any]]:
    """Every package's counts of each job."""
    python = rival_python()
    if python is None:
        raise RivalFailed("sinabs, syops and neurobench are not installed: make bench-countings")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "jobs.npz", Path(folder) / "result.json"
        arrays = {f"{n}/{name}": array for n, (_, mine) in enumerate(jobs) for name, array in mine.items()}
        np.savez(source, jobs=json.dumps([job for job, _ in jobs]), **arrays)
        command = [str(python), str(Path(__file__).with_name("rival_countings.py")), str(source), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RivalFailed(f"the packages did not run: {done.stderr.strip().splitlines()[-1]}")
        return json.loads(target.read_text())


# -- the three networks --------------------------------------------------------------------------------------


def demo(quick: bool) -> tuple[eventsnn.Results, Any, Any, float | None]:
    """The shipped network on the shipped recordings."""
    from eventsnn.run.demo import shipped

    data = f"nmnist:{shipped('datasets/demo')}"
    network = eventsnn.load(shipped("models/demo.h5"))
    results = eventsnn.simulate(network, data, split="all", samples=5 if quick else 60)
    return results, network, eventsnn.open_dataset(data, "all"), STEP_US


def resnet20(quick: bool) -> tuple[eventsnn.Results, Any, Any, float | None]:
    """Signed neurons in one step: every layer reads whole activations once."""
    from resnet20 import DEVIATION, MEAN, read_images, read_model

    root = _data()
    calibration = read_images(root, "train", 500).pixels.transpose(0, 3, 1, 2)
    network = eventsnn.convert(
        read_model(root), calibration, levels=15, scales="channel", input_mean=MEAN, input_std=DEVIATION
    )
    images = read_images(root, "test", 10_000).evenly(2 if quick else 20)
    results = eventsnn.simulate(network, images, schedule="step", step_us=STEP_US)
    return results, network, images, None


def nmnist(quick: bool) -> tuple[eventsnn.Results, Any, Any, float | None]:
    """The NIR paper's network as its authors stepped it."""
    from nir_nmnist import BINS, recordings

    from eventsnn.nir import from_nir

    root = _data()
    network = from_nir(root / "pretrained" / "cnn_sinabs.nir", comparison="greater-or-equal", reset="hard")
    items = recordings(root, 5 if quick else 100, True)
    results = eventsnn.simulate(network, items, schedule="step", duration_us=STEP_US * BINS, origin="file")
    return results, network, items, None


def _data() -> Path:
    folder = os.environ.get("EVENTSNN_DATA")
    if not folder:
        raise RivalFailed("EVENTSNN_DATA is not set; it names the folder with cifar10/, nmnist/, pretrained/")
    return Path(folder)


NETWORKS: dict[str, Callable[[bool], tuple[eventsnn.Results, Any, Any, float | None]]] = {
    "demo": demo,
    "ResNet-20": resnet20,
    "cnn_sinabs.nir": nmnist,
}


# -- both --------------------------------------------------------------------------------------------------


def compare(report: Report, name: str, quick: bool) -> list[list[str]]:
    """A network's rows of the table."""
    results, network, data, step_us = NETWORKS[name](quick)
    found = eventsnn.countings(results, "sinabs,syops,neurobench", network, data, step_us)
    rows = [[name, f"means of {len(results)} samples", *_shown(_means(found, slice(None)))]]
    first = results.select(np.arange(len(results)) < COMPARED)
    again = RunAgain(first, network, data)
    step = again.step or round(STEP_US * 1e6)
    jobs = []
    for stimulus, run in again.samples():
        steps = run.decision_time // step
        if not again.step:
            last = max(int(run.spikes.time.max(initial=0)), (stimulus.duration or 0) - 1)
            steps = last // step + 1
        jobs.append(job_of(network, stimulus, run, step, int(again.step > 0), steps))
    ours = _means(found, slice(COMPARED))
    try:
        packages = counted_by_packages(jobs)
    except RivalFailed as error:
        report.add(
            NUMBER, Figure(f"{name}: off the packages, share", None, BAR, at_most=True, skipped=str(error))
        )
        return rows
    theirs = {
        f"{package}_{quantity}": float(np.mean([job[package][quantity] for job in packages]))
        for package, counts in packages[0].items()
        for quantity in counts
        if quantity != "version"
    }
    versions = {package: counts["version"] for package, counts in packages[0].items()}
    off = {key: abs(value - ours[key]) / max(abs(ours[key]), 1.0) for key, value in theirs.items()}
    worst = max(off, key=lambda key: off[key])
    report.add(
        NUMBER,
        Figure(f"{name}: off the packages, share", off[worst], BAR, at_most=True),
        **{name: {"ours": ours, "theirs": theirs, "worst": worst, "packages": versions}},
    )
    rows.append(["", f"the first {COMPARED}, as we count", *_shown(ours)])
    rows.append(["", "the same, by the packages", *_shown(theirs)])
    return rows


def _means(found: Countings, chosen: slice) -> dict[str, float]:
    """Means a sample, the true counts among them."""
    table = found.results.table
    means = {name: float(column[chosen].mean()) for name, column in found.columns(by_layer=False).items()}
    for name in ("synaptic_operations", "effective_synaptic_operations", "multiplications"):
        means[name] = float(table.counter(COLUMN[name])[chosen].sum(axis=1).mean())
    return means


COLUMNS = {
    "synaptic_operations": "true",
    "effective_synaptic_operations": "effective",
    "multiplications": "multiplied",
    "sinabs_synops": "sinabs",
    "syops_acs": "syops ACs",
    "syops_macs": "MACs",
    "neurobench_effective_acs": "NeuroBench ACs",
    "neurobench_effective_macs": "MACs",
    "neurobench_dense": "Dense",
}
"""What is shown, in millions a sample."""


def _shown(means: dict[str, float]) -> list[str]:
    return [f"{means[name] / 1e6:,.4f}" if name in means else "" for name in COLUMNS]


def main() -> None:
    """Count and print."""
    given = arguments(
        str(__doc__), lambda parser: parser.add_argument("--only", choices=NETWORKS, help="one of three")
    )
    one_thread()
    report, rows = Report(detail={NUMBER: {"machine": machine()}}), []
    for name in NETWORKS if given.only is None else [given.only]:
        try:
            rows += compare(report, name, given.quick)
        except RivalFailed as error:
            figure = Figure(f"{name}: off the packages, share", None, BAR, at_most=True, skipped=str(error))
            report.add(NUMBER, figure)
    report.table("operations a sample, millions", "|".join(["network", "samples", *COLUMNS.values()]), rows)
    report.show(given.json)


if __name__ == "__main__":
    main()
