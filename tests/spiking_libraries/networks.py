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


class Double(nn.Module):
    """Spikes of libraries that give float32 whatever they read, for layers in float64."""

    def forward(self, x):
        return x.double()


def _plain_network(rng, neurons):
    """Linear layers, or convolutions with pools, norms and a shortcut, of ``torch.nn``, around neurons."""

    def conv(inputs, outputs):
        made = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=bool(rng.integers(2)))
        return nn.Sequential(made, nn.BatchNorm2d(outputs))

    if rng.integers(3) == 0:
        sizes = [int(rng.integers(4, 20)) for _ in range(4)]
        parts = []
        for before, after in pairwise(sizes):
            parts += [nn.Linear(before, after), neurons()]
        return nn.Sequential(*parts), (sizes[0],)
    channels = int(rng.integers(2, 5))
    parts = [
        conv(2, channels), neurons(), nn.AvgPool2d(2), Residual(conv(channels, channels), neurons()),
        nn.Flatten(), nn.Linear(16 * channels, 4), neurons(),
    ]  # fmt: skip
    return nn.Sequential(*parts[: 6 + rng.integers(2)]), (2, 8, 8)


def snntorch_network(rng):
    """Of Leaky, Lapicque and Synaptic with each reset."""
    snn = import_module("snntorch")

    def neurons():
        decay, threshold = float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.5, 1.3))
        more = {"threshold": threshold, "init_hidden": True}
        kind = rng.integers(5)
        if kind == 0:
            reset = str(rng.choice(["subtract", "none"]))
            made = snn.Lapicque(beta=float(rng.uniform(0.45, 0.95)), reset_mechanism=reset, **more)
        elif kind == 1:
            more |= {"reset_mechanism": "zero", "reset_delay": False}
            made = snn.Synaptic(alpha=float(rng.uniform(0.1, 0.8)), beta=decay, **more)
        elif kind == 2:
            made = snn.Leaky(beta=decay, reset_mechanism="zero", reset_delay=bool(rng.integers(2)), **more)
        else:
            reset = str(rng.choice(["subtract", "subtract", "none"]))
            made = snn.Leaky(beta=1.0 if rng.integers(4) == 0 else decay, reset_mechanism=reset, **more)
        return nn.Sequential(made, Double())

    model, shape = _plain_network(rng, neurons)
    return model, False, shape


def sinabs_network(rng):
    """Of IAF and LIF, many spikes or one, with each reset, clamp and synaptic current."""
    layers, activation = import_module("sinabs.layers"), import_module("sinabs.activation")

    def neurons():
        single = bool(rng.integers(2))
        more = {
            "spike_threshold": torch.tensor(float(rng.uniform(0.5, 1.3)), dtype=torch.float64),
            "spike_fn": activation.SingleSpike if single else activation.MultiSpike,
            "reset_fn": activation.MembraneSubtract(),
        }
        if single and rng.integers(2):
            more["reset_fn"] = activation.MembraneReset()
        elif rng.integers(4) == 0:
            more["reset_fn"] = activation.MembraneSubtract(0.4)
        taken = getattr(more["reset_fn"], "subtract_value", None)
        if taken is None and rng.integers(2):
            more["min_v_mem"] = -float(rng.uniform(0.2, 1.2))
        if taken is None and rng.integers(4) == 0:
            more["tau_syn"] = float(rng.uniform(1, 4))
        if rng.integers(2):
            made = layers.IAFSqueeze(batch_size=1, **more)
        else:
            tau, norm = float(rng.uniform(1, 8)), bool(rng.integers(3) == 0)
            made = layers.LIFSqueeze(tau_mem=tau, norm_input=norm, batch_size=1, **more)
        return nn.Sequential(made, Double())

    model, shape = _plain_network(rng, neurons)
    return model, False, shape


def norse_network(rng):
    """Of IAF, LIF with and without a synaptic current."""
    norse = import_module("norse.torch")

    def neurons():
        reset = float(rng.uniform(-0.3, 0.2))
        more = {"v_th": torch.tensor(float(rng.uniform(0.4, 1.0))), "v_reset": torch.tensor(reset)}
        kind = rng.integers(4)
        if kind == 0:
            return norse.IAFCell(norse.IAFParameters(**more))
        rate = torch.tensor(float(rng.uniform(100, 900)))
        if kind == 1:
            more |= {"v_leak": more["v_reset"], "tau_syn_inv": torch.tensor(float(rng.uniform(100, 900)))}
            return norse.LIFCell(norse.LIFParameters(tau_mem_inv=rate, **more), dt=0.001)
        more["v_leak"] = torch.tensor(float(rng.uniform(-0.3, 0.3)))
        if kind == 2:
            more |= {"v_reset": torch.tensor(0.0), "reset_method": norse.reset_subtract}
        return norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=rate, **more), dt=0.001)

    def conv(inputs, outputs):
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs))

    if rng.integers(3) == 0:
        sizes = [int(rng.integers(4, 20)) for _ in range(4)]
        parts = []
        for before, after in pairwise(sizes):
            parts += [nn.Linear(before, after), neurons()]
        return Stateful(norse.SequentialState(*parts)), False, (sizes[0],)
    channels = int(rng.integers(2, 5))
    parts = [
        conv(2, channels), neurons(), nn.AvgPool2d(2), conv(channels, channels), neurons(),
        nn.Flatten(), nn.Linear(16 * channels, 4), neurons(),
    ]  # fmt: skip
    return Stateful(norse.SequentialState(*parts[: 7 + rng.integers(2)])), False, (2, 8, 8)


class Stateful(nn.Module):
    """Keeps the state that Norse's modules return, from one call to the next."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.state = inner, None

    def forward(self, x):
        found, self.state = self.inner(x, self.state)
        return found


NETWORKS = {
    "spikingjelly": spikingjelly_network,
    "snntorch": snntorch_network,
    "sinabs": sinabs_network,
    "norse": norse_network,
}


def network(library, seed):
    """A filled network, whether it takes whole sequences, its input's shape, frames of counts, an image."""
    rng = np.random.default_rng([len(library), *map(ord, library), seed])
    model, sequences, shape = NETWORKS[library](rng)
    fill(model, rng)
    frames = rng.poisson(0.4, (STEPS, *shape)).astype(np.float64)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    return model, sequences, shape, frames, image
