"""The rivals' side of ``rivals.py``: sinabs and spikingjelly run the networks they are handed.

    .venv-peers/bin/python benchmarks/rival_tensors.py LIBRARY JOB.npz RESULT.npz

It runs in the rivals' own environment and imports nothing of this project. A job holds the layers (float32
weights that are whole quanta), the inputs, and a list of runs; the result holds the outputs of every step,
the packed spikes of the samples to compare, and CPU and wall-clock seconds of each timed sample at batch one.
What bounds these libraries is dense convolution of every step, whatever spikes.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn


def trained_chain(job: dict[str, Any], arrays: Any, relu: type[nn.Module] | Any) -> list[nn.Module]:
    """The layers as plain modules, ``relu()`` where neurons fire."""
    modules: list[nn.Module] = []
    flat = False
    for place, layer in enumerate(job["layers"]):
        weight = torch.from_numpy(arrays[f"weight{place}"])
        bias = torch.from_numpy(arrays[f"bias{place}"]) if f"bias{place}" in arrays else None
        if layer["pool"] > 1:
            modules.append(nn.AvgPool2d(layer["pool"]))
        module: nn.Module
        if layer["kind"] == "conv2d":
            module = nn.Conv2d(
                weight.shape[1],
                weight.shape[0],
                weight.shape[2],
                padding=layer["padding"],
                bias=bias is not None,
            )
        else:
            if not flat:
                modules.append(nn.Flatten())
                flat = True
            module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        with torch.no_grad():
            module.weight.copy_(weight)
            if bias is not None:
                module.bias.copy_(bias)
        modules.append(module)
        if layer["spiking"]:
            modules.append(relu())
    return modules


class Sinabs:
    """``from_model`` with the neuron of the comparison: one spike a step, reset by subtraction, no clamp."""

    def __init__(self, job: dict[str, Any], arrays: Any) -> None:
        import sinabs.layers
        from sinabs.activation import MembraneSubtract, SingleSpike
        from sinabs.from_torch import from_model

        chain = nn.Sequential(*trained_chain(job, arrays, nn.ReLU))
        self.network = from_model(
            chain, batch_size=1, spike_fn=SingleSpike, reset_fn=MembraneSubtract(), min_v_mem=None
        )
        self.model = self.network.spiking_model.eval()
        self.neurons = [m for m in self.model.modules() if isinstance(m, sinabs.layers.IAFSqueeze)]

    def run(self, values: torch.Tensor) -> torch.Tensor:
        """One sample of shape (steps, c, y, x) from rest; output (steps, classes)."""
        self.network.reset_states()
        return self.model(values)


class Spikingjelly:
    """Multi-step modules with IFNode, reset by subtraction, no clamp."""

    def __init__(self, job: dict[str, Any], arrays: Any) -> None:
        from spikingjelly.activation_based import functional, layer, neuron

        self.functional = functional
        stateless = {nn.Conv2d: layer.Conv2d, nn.Linear: layer.Linear}
        modules: list[nn.Module] = []
        for module in trained_chain(job, arrays, lambda: neuron.IFNode(v_threshold=1.0, v_reset=None)):
            if isinstance(module, nn.Conv2d):
                new = layer.Conv2d(
                    module.in_channels, module.out_channels, module.kernel_size,
                    padding=module.padding, bias=module.bias is not None,
                )  # fmt: skip
            elif isinstance(module, nn.Linear):
                new = layer.Linear(module.in_features, module.out_features, bias=module.bias is not None)
            elif isinstance(module, nn.AvgPool2d):
                new = layer.AvgPool2d(module.kernel_size)
            elif isinstance(module, nn.Flatten):
                new = layer.Flatten()
            else:
                new = module
            if type(module) in stateless:
                new.load_state_dict(module.state_dict())
            modules.append(new)
        self.model = nn.Sequential(*modules).eval()
        functional.set_step_mode(self.model, "m")
        self.neurons = [m for m in modules if isinstance(m, neuron.IFNode)]

    def run(self, values: torch.Tensor) -> torch.Tensor:
        """One sample of shape (steps, c, y, x) from rest; output (steps, classes)."""
        self.functional.reset_net(self.model)
        return self.model(values[:, None])[:, 0]


LIBRARIES = {"sinabs": Sinabs, "spikingjelly": Spikingjelly}


def values_of(arrays: Any, run: dict[str, Any], sample: int) -> torch.Tensor:
    """Input of a run's sample, float32 (steps, c, y, x): spikes as given, or an image held for all steps."""
    given = torch.from_numpy(arrays[run["input"]][sample]).float()
    if given.ndim == 3:
        return given.expand(run["steps"], *given.shape).contiguous()
    return given[: run["steps"]].contiguous()


def recorded(rival: Any, values: torch.Tensor) -> tuple[torch.Tensor, list[np.ndarray]]:
    """Output of a sample, and every layer's spikes as packed bits of (steps, c, y, x)."""
    spikes: list[np.ndarray] = []

    def keep(module: nn.Module, given: Any, fired: torch.Tensor) -> None:
        flat = fired.reshape(len(values), -1).numpy()
        if not np.isin(flat, (0, 1)).all():
            raise ValueError("a neuron fired more than once in a step")
        spikes.append(np.packbits(flat.astype(np.uint8), axis=1))

    handles = [neuron.register_forward_hook(keep) for neuron in rival.neurons]
    output = rival.run(values)
    for handle in handles:
        handle.remove()
    return output, spikes


def main() -> None:
    """Run the job."""
    library, source, target = sys.argv[1:]
    torch.set_num_threads(1)
    arrays = np.load(source)
    job = json.loads(str(arrays["job"]))
    result: dict[str, Any] = {"version": version(library)}
    with torch.inference_mode():
        rival = LIBRARIES[library](job, arrays)
        for run in job["runs"]:
            name = run["name"]
            result[f"{name}/outputs"] = np.array(
                [rival.run(values_of(arrays, run, i)).numpy().copy() for i in range(run.get("samples", 0))]
            )
            for sample in range(run.get("compared", 0)):
                output, spikes = recorded(rival, values_of(arrays, run, sample))
                result[f"{name}/output{sample}"] = output.numpy().copy()
                for place, bits in enumerate(spikes):
                    result[f"{name}/spikes{sample}/{place}"] = bits
            samples = [values_of(arrays, run, sample) for sample in range(run.get("timed", 0))]
            if samples:
                rival.run(samples[0])
            seconds = np.zeros((2, run.get("repeats", 0), len(samples)))
            for repeat in range(run.get("repeats", 0)):
                for place, values in enumerate(samples):
                    started, started_cpu = time.perf_counter(), time.process_time()
                    rival.run(values)
                    seconds[:, repeat, place] = (
                        time.process_time() - started_cpu,
                        time.perf_counter() - started,
                    )
            result[f"{name}/seconds"] = seconds
    np.savez(target, **result)


if __name__ == "__main__":
    main()
