"""D10: an image through the signed network, event by event, against onnxruntime running the trained one.

    EVENTSNN_DATA=... python benchmarks/inference.py [--json] [--quick]

Both decide the same image, batch one, one thread. onnxruntime (in ``.venv-peers``, ``make bench-peers``) runs
the trained network in float32; its logits must be those of PyTorch. The signed network runs an image as
graded spikes at once, from rest, until it is drained, every operation counted and every spike hashed. What
bounds onnxruntime is its matrix products at the processor's peak; what bounds this engine is the same number
of additions, one spike's row of weights after the other.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, Times, alternate, arguments, machine, pin_one_thread, rival_python, si
from networks import NoData, Workload, one_shot
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN
from eventsnn.engine import make_engine
from eventsnn.errors import EventsnnError

NUMBER = "D10"
BARS = {"A": 12.0, "B": 6.0}
AGREES = 1e-3
"""Of the largest logit: two float32 programs."""


class RivalFailed(Exception):
    """Why onnxruntime did not run, or computed something else."""


def layers_of(model: Any) -> tuple[list[dict[str, Any]], dict[str, NDArray[np.float32]]]:
    """The trained chain in ONNX's words, and its parameters by name and place."""
    layers: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[np.float32]] = {}
    for place, module in enumerate(model):
        kind, attributes, names = type(module).__name__, {}, []
        if kind == "Conv2d":
            operator, names = "Conv", ["weight", "bias"]
            attributes = {"pads": [*module.padding] * 2}
        elif kind == "BatchNorm2d":
            operator, names = "BatchNormalization", ["weight", "bias", "running_mean", "running_var"]
            attributes = {"epsilon": module.eps}
        elif kind == "AvgPool2d":
            operator, attributes = "AveragePool", {"kernel_shape": [module.kernel_size] * 2}
            attributes["strides"] = attributes["kernel_shape"]
        elif kind == "Linear":
            operator, names, attributes = "Gemm", ["weight", "bias"], {"transB": 1}
        elif kind in ("ReLU", "Flatten"):
            operator = {"ReLU": "Relu", "Flatten": "Flatten"}[kind]
        else:
            raise RivalFailed(f"no ONNX operator is written down here for {kind}")
        for name in names:
            arrays[f"{name}{place}"] = getattr(module, name).detach().numpy()
        layers.append({"operator": operator, "attributes": attributes, "parameters": names})
    return layers, arrays


def run_rival(workload: Workload, count: int, timed: int, repeats: int) -> dict[str, Any]:
    """Logits and seconds of onnxruntime."""
    layers, arrays = layers_of(workload.model)
    job = json.dumps({"layers": layers, "timed": timed, "repeats": repeats})
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "job.npz", Path(folder) / "result.npz"
        np.savez(source, job=job, images=workload.images[:count], **arrays)
        script = Path(__file__).with_name("rival_onnxruntime.py")
        done = subprocess.run(
            [str(rival_python()), str(script), str(source), str(target)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RivalFailed(f"onnxruntime did not run: {done.stderr.strip().splitlines()[-1]}")
        with np.load(target) as file:
            return {name: file[name] for name in file.files}


def measure(report: Report, name: str, quick: bool) -> list[list[str]]:
    """Both on the same images; rows of the table."""
    import torch

    workload = Workload(name)
    count, timed, repeats = (12, 3, 3) if quick else (100, 10, 10)
    rival = run_rival(workload, count, timed, repeats)
    with torch.no_grad():
        logits = workload.model(torch.from_numpy(workload.images[:count])).numpy()
    apart = float(np.abs(rival["logits"] - logits).max() / np.abs(logits).max())
    if apart > AGREES:
        raise RivalFailed(f"onnxruntime's logits are {apart:.2g} of the largest off PyTorch's")
    network = workload.signed.at_rest()
    engine = make_engine("compiled", network)
    stimuli = [one_shot(image) for image in workload.pixels(count)]
    runs = [engine.run(stimulus, index) for index, stimulus in enumerate(stimuli)]
    labels = workload.labels[:count]
    right = [float((np.array(side) == labels).mean()) for side in (
        rival["logits"].argmax(axis=1), [run.prediction for run in runs],
    )]  # fmt: skip
    ours = alternate({"us": lambda: [engine.run(s, i) for i, s in enumerate(stimuli[:timed])]}, repeats)["us"]
    cpu, wall = rival["seconds"].sum(axis=2)
    theirs = Times(tuple(cpu.tolist()), tuple(wall.tolist()))
    operations = sum(int(run.counters[:, COLUMN["synaptic_operations"]].sum()) for run in runs) / count
    ratio = ours.median / theirs.median
    report.add(
        NUMBER,
        Figure(f"{name}: signed, event by event / onnxruntime", ratio, BARS[name], at_most=True),
        **{name: {
            "images": count, "accuracy": dict(zip(("onnxruntime", "eventsnn"), right, strict=True)),
            "synaptic_operations": operations, "macs": workload.macs(),
            "eventsnn": ours.detail(), "onnxruntime": theirs.detail(),
        }},
    )  # fmt: skip
    return [
        [
            name, f"onnxruntime {rival['version']}", f"{right[0]:.1%}", f"{si(workload.macs())} MACs",
            f"{theirs.median / timed * 1e3:.3f}", si(workload.macs() * timed / theirs.median), "1",
        ],
        [
            name, "eventsnn", f"{right[1]:.1%}", f"{si(operations)} SOPs",
            f"{ours.median / timed * 1e3:.3f}", si(operations * timed / ours.median), f"{ratio:.1f}",
        ],
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    pin_one_thread()
    given = arguments(__doc__)
    report = Report()
    rows: list[list[str]] = []
    for name, bar in BARS.items():
        what = f"{name}: signed, event by event / onnxruntime"
        try:
            if rival_python() is None:
                raise NoData("no .venv-peers with the rivals; make it with: make bench-peers")
            rows += measure(report, name, given.quick)
        except (NoData, RivalFailed, EventsnnError) as reason:
            failed = not isinstance(reason, NoData)
            report.add(NUMBER, Figure(what, None, bar, at_most=True, skipped=str(reason), failed=failed))
    report.table("D10: one image, batch of one", "net|who|accuracy|work|ms an image|a second|times", rows)
    report.add(NUMBER, machine=machine())
    report.show(given.json)


if __name__ == "__main__":
    main()
