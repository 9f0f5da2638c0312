"""Random networks of spiking libraries: built from a seed, of the real classes or of stubs alike.

Parameters come from NumPy's generator, so that a network is the same wherever it is built.
"""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise

import numpy as np
import torch
from torch import nn

STEPS = 12


def fill(model, rng):
    """Draws all weights and statistics, float64; of activity that is neither nothing nor everything."""
    model.double()
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            if not tensor.is_floating_point() or (tensor.ndim == 0 and not name.endswith(".w")):
                continue
            if name.endswith("running_var"):
                drawn = rng.uniform(0.3, 1.5, tensor.shape)
            elif name.endswith("running_mean"):
                drawn = rng.normal(0, 0.2, tensor.shape)
            elif tensor.ndim > 1:
                drawn = rng.normal(0, 1.6 / np.sqrt(np.prod(tensor.shape[1:])), tensor.shape)
            elif name.endswith(".w"):
                drawn = rng.normal(0, 1, tensor.shape)
            elif name.endswith("weight"):
                drawn = rng.uniform(0.7, 1.6, tensor.shape)
            elif name.endswith("bias"):
                drawn = rng.normal(0.05, 0.2, tensor.shape)
            else:
                continue
            tensor.copy_(torch.as_tensor(drawn))
    return model.eval()


class Residual(nn.Module):
    """``neurons(norm(conv(x)) + x)``, the shortcut with a convolution where asked."""

    def __init__(self, conv, neurons, shortcut=None):
        super().__init__()
        self.conv, self.neurons = conv, neurons
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x):
        return self.neurons(self.conv(x) + self.shortcut(x))


class SpikeSum(nn.Module):
    """Spikes of two paths, added: what the next linear layer reads."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x):
        return self.first(x) + self.second(x)


def spikingjelly_network(rng):
    """A network, whether it takes whole sequences, and its input's shape."""
    neuron = import_module("spikingjelly.activation_based.neuron")
    layer = import_module("spikingjelly.activation_based.layer")
    mode = str(rng.choice(["s", "m"]))

    def neurons():
        reset = [None, 0.0, float(rng.uniform(-0.4, 0.3))][rng.integers(3)]
        more = {"v_threshold": float(rng.uniform(0.5, 1.3)), "v_reset": reset, "step_mode": mode}
        kind = rng.integers(4)
        if kind == 0:
            return neuron.IFNode(**more)
        more["decay_input"] = bool(rng.integers(2))
        if kind == 1:
            return neuron.ParametricLIFNode(init_tau=float(rng.uniform(1.2, 4)), **more)
        return neuron.LIFNode(tau=float(rng.uniform(1.1, 5)), **more)

    def conv(inputs, outputs, stride=1, taps=3):
        if mode == "s" or rng.integers(2):
            made = layer.Conv2d(
                inputs, outputs, taps, stride, taps // 2, bias=bool(rng.integers(2)), step_mode=mode
            )
            return nn.Sequential(made, layer.BatchNorm2d(outputs, step_mode=mode))
        made = nn.Conv2d(inputs, outputs, taps, stride, taps // 2, bias=bool(rng.integers(2)))
        return layer.SeqToANNContainer(made, nn.BatchNorm2d(outputs))

    if rng.integers(3) == 0:
        sizes = [int(rng.integers(4, 20)) for _ in range(4)]
        parts = []
        for before, after in pairwise(sizes):
            parts += [layer.Linear(before, after, step_mode=mode), neurons()]
        return nn.Sequential(*parts), mode == "m", (sizes[0],)
    channels, side = int(rng.integers(2, 5)), 8
    pool = layer.MaxPool2d(2, step_mode=mode) if rng.integers(2) else layer.AvgPool2d(2, step_mode=mode)
    doubled = SpikeSum(
        nn.Sequential(conv(channels, channels), neurons()), nn.Sequential(conv(channels, channels), neurons())
    )
    parts = [
        conv(2, channels), neurons(), Residual(conv(channels, channels), neurons()), pool, doubled,
        Residual(conv(channels, 3, 2), neurons(), conv(channels, 3, 2, 1)),
        layer.Flatten(step_mode=mode), layer.Linear(12, 4, step_mode=mode),
    ]  # fmt: skip
    if rng.integers(2):
        parts.append(neurons())
    return nn.Sequential(*parts), mode == "m", (2, side, side)


NETWORKS = {"spikingjelly": spikingjelly_network}


def network(library, seed):
    """A filled network, whether it takes whole sequences, its input's shape, frames of counts, an image."""
    rng = np.random.default_rng([len(library), *map(ord, library), seed])
    model, sequences, shape = NETWORKS[library](rng)
    fill(model, rng)
    frames = rng.poisson(0.4, (STEPS, *shape)).astype(np.float64)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    return model, sequences, shape, frames, image
