"""The rivals' side of ``countings.py``: sinabs, syops and neurobench count the layers they are handed.

    .venv-countings/bin/python benchmarks/rival_countings.py JOB.npz RESULT.json

It runs in an environment of its own and imports nothing of this project. A job holds layers (float32
weights, geometry) and what each one's source emitted in every step. Where each layer reads the one before,
they stand in one ``nn.Sequential``, with modules between that give out what was recorded, whatever they are
fed; else each is one by itself behind its pool. sinabs reads all steps as its batch, the others step by step.
"""

from __future__ import annotations

import io
import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn


class Recorded(nn.Module):
    """Neurons of which every spike is known: gives out as many steps as it is called with."""

    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self.values, self.step = values, 0

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """The next steps, (steps, c, y, x)."""
        found = self.values[self.step : self.step + len(given)]
        self.step += len(given)
        return found


def modules_of(layer: dict[str, Any], arrays: Any, place: int) -> list[nn.Module]:
    """A layer with its folded pool in front."""
    found: list[nn.Module] = []
    if layer["pool"] != [1, 1]:
        found.append(nn.AvgPool2d(tuple(layer["pool"])))
    if any(layer["frame"]):
        above, below, left, right = layer["frame"]
        found.append(nn.ZeroPad2d((left, right, above, below)))
    if layer["module"] in ("average_pool", "max_pool"):
        kind = nn.AvgPool2d if layer["module"] == "average_pool" else nn.MaxPool2d
        return [*found, kind(tuple(layer["taps"]), tuple(layer["stride"]), tuple(layer["padding"]))]
    weight = torch.from_numpy(arrays[f"weight{place}"])
    biased, module = layer["biased"], None
    if layer["module"] == "linear":
        module = nn.Linear(weight.shape[1], weight.shape[0], bias=biased)
        found += [nn.Flatten(), module]
    else:
        geometry = {
            "padding": tuple(layer["padding"]), "stride": tuple(layer["stride"]),
            "dilation": tuple(layer["dilation"]),
            "groups": layer["groups"], "bias": biased,
        }  # fmt: skip
        if layer["module"] == "conv_transpose2d":
            inputs, outputs = weight.shape[0], weight.shape[1] * layer["groups"]
            module = nn.ConvTranspose2d(
                inputs, outputs, tuple(layer["taps"]),
                output_padding=tuple(layer["output_padding"]), **geometry,
            )  # fmt: skip
        else:
            inputs, outputs = weight.shape[1] * layer["groups"], weight.shape[0]
            module = nn.Conv2d(inputs, outputs, tuple(layer["taps"]), **geometry)
        found.append(module)
    with torch.no_grad():
        module.weight.copy_(weight)
        if biased:
            module.bias.fill_(1.0)
    return found


def networks_of(job: dict[str, Any], arrays: Any) -> list[tuple[nn.Sequential, torch.Tensor, list[int]]]:
    """What is run: modules, their input (steps, c, y, x), and the layers that they are."""
    values = [torch.from_numpy(arrays[f"given{place}"]) for place in range(len(job["layers"]))]
    made = [modules_of(layer, arrays, place) for place, layer in enumerate(job["layers"])]
    if not job["chain"]:
        return [(nn.Sequential(*made[place]), values[place], [place]) for place in range(len(made))]
    whole = [*made[0]]
    for place in range(1, len(made)):
        whole += [Recorded(values[place]), *made[place]]
    return [(nn.Sequential(*whole), values[0], list(range(len(made))))]


def rewind(model: nn.Module) -> None:
    """Begin the recording anew."""
    for module in model.modules():
        if isinstance(module, Recorded):
            module.step = 0


def sinabs_counts(model: nn.Sequential, values: torch.Tensor) -> dict[str, float]:
    """``sinabs.hooks``, which give a mean a step."""
    from sinabs.hooks import register_synops_hooks

    rewind(model)
    register_synops_hooks(model)
    model(values)
    return {"synops": float(model.hook_data["total_synops_per_timestep"]) * len(values)}


def syops_counts(model: nn.Sequential, values: torch.Tensor) -> dict[str, float]:
    """What ``get_model_complexity_info`` sums, before it divides by the calls."""
    from syops.engine import add_syops_counting_methods

    rewind(model)
    counted = add_syops_counting_methods(model)
    counted.start_syops_count(ost=io.StringIO(), verbose=False, ignore_list=[])
    for step in range(len(values)):
        counted(values[step : step + 1])
    found = np.sum([m.__syops__ for m in model.modules() if hasattr(m, "__syops__")], axis=0)
    counted.stop_syops_count()
    return {"acs": float(found[1]), "macs": float(found[2]), "total": float(found[0])}


def neurons_counted_by_syops(neurons: list[int], steps: int) -> dict[str, float]:
    """syops' hook of spikingjelly's neurons (those of ``clock_driven``), on as many that never spike."""
    from syops.ops import IFNode

    found = dict.fromkeys(("acs", "macs", "total"), 0.0)
    for size in neurons:
        counts = syops_counts(nn.Sequential(IFNode()), torch.zeros(steps, size))
        found = {name: found[name] + counts[name] for name in found}
    return found


def neurobench_counts(model: nn.Sequential, values: torch.Tensor) -> dict[str, float]:
    """``SynapticOperations`` of one sample."""
    from neurobench.metrics.workload import SynapticOperations
    from neurobench.models import TorchModel

    rewind(model)
    wrapped, metric = TorchModel(model), SynapticOperations()
    wrapped.register_hooks()
    for step in range(len(values)):
        wrapped(values[step : step + 1])
    found = metric(wrapped, None, (torch.zeros(1),))
    wrapped.cleanup_hooks()
    return {name.lower(): float(value) for name, value in found.items()}


COUNTS = {"sinabs": sinabs_counts, "syops": syops_counts, "neurobench": neurobench_counts}


def count(job: dict[str, Any], arrays: Any) -> dict[str, dict[str, Any]]:
    """Every package's counts of a job: sums over layers, or why there are none."""
    found: dict[str, dict[str, Any]] = {}
    for package, counts in COUNTS.items():
        found[package] = {"version": version(package)}
        with torch.inference_mode(package != "neurobench"), torch.no_grad():
            for model, values, _ in networks_of(job, arrays):
                for name, value in counts(model, values).items():
                    found[package][name] = found[package].get(name, 0.0) + value
            if package == "syops":
                for name, value in neurons_counted_by_syops(job["neurons"], job["steps"]).items():
                    found[package][name] += value
    return found


def main() -> None:
    """Run the job."""
    source, target = sys.argv[1:]
    torch.set_num_threads(1)
    with np.load(source) as arrays:
        jobs = json.loads(str(arrays["jobs"]))
        found = []
        for number, job in enumerate(jobs):
            mine = {
                name.split("/")[1]: arrays[name] for name in arrays.files if name.startswith(f"{number}/")
            }
            found.append(count(job, mine))
    with open(target, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
