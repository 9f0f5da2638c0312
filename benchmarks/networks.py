"""The two workloads that every benchmark here runs: a LeNet on digits (A), a VGG on coloured digits (B).

A: 28x28x1, 16C5-AP2-32C5-AP2-FC128-FC10. B: 32x32x3, 64C3-64C3-AP2-128C3-128C3-AP2-256C3-
256C3-AP2-FC256-FC10 with batch norm. Both are trained here from a fixed seed on the MNIST digits found
through ``EVENTSNN_DATA`` and kept in ``benchmarks/cache``; B's images are the same digits, coloured and
textured by a seeded recipe. As spiking networks they are what ``eventsnn.convert`` makes of them, with one
spike per time unit standing for a layer's 99.9-percentile activation.

Nothing here is timed. What a time per sample depends on is how many neurons spike in a unit: the operations
per unit and their share of the synapses stand beside every figure.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eventsnn
from eventsnn.engine import Stimulus
from eventsnn.network import Conv2d, Dense, IntegrateAndFire, Network, Population, Projection

CACHE = Path(__file__).with_name("cache")
UNIT_US = 1000
"""Microseconds of one time unit: an input neuron spikes at most once in it, a bias is delivered once."""
UNIT = UNIT_US * 10**6
"""The same in ticks."""
CALIBRATION = 256
SPIKE_SEED = 7
PERCENTILE = 99.7
"""Of the non-zero activations, which the converter counts: about 99.9 of all activations here."""
THRESHOLD = 2**14


class NoData(Exception):
    """Why a workload cannot be had here."""


@dataclass(frozen=True)
class Recipe:
    """What is trained, and on how much."""

    train: int
    test: int
    epochs: int
    rate: float
    batch: int = 32


RECIPES = {"A": Recipe(4000, 1000, 6, 2e-3), "B": Recipe(4000, 1000, 2, 2e-3)}


def _architecture(name: str, channels: int = 3) -> Any:
    from torch import nn

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]

    if name == "A":
        return nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip
    return nn.Sequential(
        *block(channels, 64), *block(64, 64), nn.AvgPool2d(2),
        *block(64, 128), *block(128, 128), nn.AvgPool2d(2),
        *block(128, 256), *block(256, 256), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(256 * 16, 256), nn.ReLU(), nn.Linear(256, 10),
    )  # fmt: skip


def untrained(name: str, channels: int) -> Any:
    """B's layers for an input of so many channels, as they are drawn from seed 0."""
    import torch

    torch.manual_seed(0)
    return _architecture(name, channels).eval()


def _digits() -> tuple[NDArray, NDArray, NDArray, NDArray]:
    folder = os.environ.get("EVENTSNN_DATA")
    path = Path(folder or "") / "mnist" / "mnist.npz"
    if not folder or not path.is_file():
        raise NoData("EVENTSNN_DATA is not set or has no mnist/mnist.npz; it names the folder of the data")
    with np.load(path) as file:
        return file["train_x"], file["train_y"], file["test_x"], file["test_y"]


def coloured(digits: NDArray[np.uint8], seed: int) -> NDArray[np.float32]:
    """Digits as 32x32 colour images: each in a colour of its own on a striped, noisy ground.

    Returns float32 of shape (samples, 3, 32, 32), 0 to 1.
    """
    draw = np.random.default_rng(seed)
    count = len(digits)
    ink = np.pad(digits.astype(np.float32) / 255, ((0, 0), (2, 2), (2, 2)))[:, None]
    y, x = np.mgrid[0:32, 0:32].astype(np.float32)
    angle, wavelength, phase = (draw.uniform(a, b, (count, 1, 1)) for a, b in ((0, np.pi), (4, 12), (0, 6.3)))
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength + phase)
    ground, colour = draw.uniform(0, 0.5, (count, 3, 1, 1)), draw.uniform(0.5, 1, (count, 3, 1, 1))
    images = ground * stripes[:, None] * (1 - ink) + colour * ink
    images += draw.normal(0, 0.05, images.shape)
    clipped: NDArray[np.float32] = np.clip(images, 0, 1).astype(np.float32)
    return clipped


class Workload:
    """A trained network with its images, and the spiking networks made of it.

    Parameters
    ----------
    name : str
        ``A`` or ``B``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.recipe = RECIPES[name]
        train_x, train_y, test_x, test_y = _digits()
        keep, held = slice(self.recipe.train), slice(self.recipe.test)
        spare = slice(self.recipe.train, self.recipe.train + self.recipe.test)

        def images(digits: NDArray[np.uint8], seed: int) -> NDArray[np.float32]:
            return coloured(digits, seed) if name == "B" else digits[:, None].astype(np.float32) / 255

        self.train_images, self.train_labels = images(train_x[keep], 1), train_y[keep].astype(np.int64)
        self.images, self.labels = images(test_x[held], 2), test_y[held].astype(np.int64)
        # Neither trained on nor tested: what an exit rule is chosen on.
        self.spare_images, self.spare_labels = images(train_x[spare], 3), train_y[spare].astype(np.int64)

    @cached_property
    def model(self) -> Any:
        """The trained network: float32, evaluation mode."""
        import torch

        from eventsnn.convert import load_model

        path = CACHE / f"{self.name}-{self.recipe.train}x{self.recipe.epochs}.pt"
        if path.is_file():
            return load_model(path)
        model = _train(self)
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        torch.save(model, partial)
        partial.replace(path)
        return model

    @cached_property
    def accuracy(self) -> float:
        """Of the trained network on the held-out images."""
        import torch

        with torch.no_grad():
            logits = torch.cat([self.model(batch) for batch in torch.from_numpy(self.images).split(100)])
        return float((logits.argmax(1).numpy() == self.labels).mean())

    @property
    def calibration(self) -> NDArray[np.float32]:
        """Training images that set the scales."""
        return self.train_images[:CALIBRATION]

    @cached_property
    def rate(self) -> Network:
        """Rate neurons of soft reset; biases are currents with the time unit as period; a readout decides."""
        return eventsnn.convert(
            self.model, self.calibration, "rate",
            duration_us=UNIT_US, spikes_at_lambda=1, threshold=THRESHOLD, percentile=PERCENTILE,
        )  # fmt: skip

    @cached_property
    def signed(self) -> Network:
        """Signed neurons of 15 levels, graded; a pixel is one payload of 0 to 255."""
        return eventsnn.convert(
            self.model, self.calibration, "signed", levels=15, graded=True, input_scale=1 / 255
        )

    def macs(self) -> int:
        """Multiply-accumulates of the trained network for one image; taps on padding are none."""
        total = 0
        network = self.rate
        for projection in network.projections.values():
            # A pooled cell is one value: of its sources, count one.
            pool = pool_of(projection)
            total += network.synapses(projection) // pool**2
        return total

    def pixels(self, count: int, spare: bool = False) -> NDArray[np.float32]:
        """The first held-out (or spare) images, (count, y, x, channel), 0 to 1."""
        images = self.spare_images if spare else self.images
        return np.ascontiguousarray(images[:count].transpose(0, 2, 3, 1))


def _train(workload: Workload) -> Any:
    """Adam, cosine decay, cross entropy, seed 0."""
    import torch
    from torch import nn

    recipe = workload.recipe
    torch.manual_seed(0)
    model = _architecture(workload.name)
    x, y = torch.from_numpy(workload.train_images), torch.from_numpy(workload.train_labels)
    optimiser = torch.optim.Adam(model.parameters(), recipe.rate)
    steps = recipe.epochs * -(-len(x) // recipe.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(x)).split(recipe.batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def pool_of(projection: Projection) -> int:
    """The side of the square pool that a projection reads its source through."""
    synapses = projection.synapses
    if isinstance(synapses, Dense):
        return synapses.pool[0]
    return synapses.y.pool if isinstance(synapses, Conv2d) else 1


def changed(network: Network, biases: bool = True, delay: int = 0, **neuron: Any) -> Network:
    """The same network with other parameters of its rate neurons, without biases, or with delays."""
    populations: list[Population] = [
        replace(p, neuron=replace(p.neuron, **neuron)) if isinstance(p.neuron, IntegrateAndFire) else p
        for p in network
    ]
    projections = [
        replace(p, bias=p.bias if biases else None, delay=delay) for p in network.projections.values()
    ]
    return Network(populations, projections, network.metadata)


def bernoulli(pixels: NDArray[np.float32], steps: int, share: float = 1.0) -> NDArray[np.bool_]:
    """Spikes of a rate code: in each unit a pixel spikes with a probability of ``share`` of its value.

    Parameters
    ----------
    pixels : float32 array, shape (samples, y, x, channel)
    steps : int
    share : float

    Returns
    -------
    bool array, shape (samples, steps, y, x, channel), of one fixed seed.
    """
    draw = np.random.default_rng(SPIKE_SEED)
    shape = (pixels.shape[0], steps, *pixels.shape[1:])
    return draw.random(shape, dtype=np.float32) < share * pixels[:, None]


def spike_stimulus(spikes: NDArray[np.bool_]) -> Stimulus:
    """One sample's rate code as input: the spikes of a unit at its start, by neuron.

    Parameters
    ----------
    spikes : bool array, shape (steps, y, x, channel)
    """
    step, neuron = np.nonzero(spikes.reshape(len(spikes), -1))
    return Stimulus(step.astype(np.int64) * UNIT, neuron.astype(np.int64), duration=len(spikes) * UNIT)


def one_shot(pixels: NDArray[np.float32]) -> Stimulus:
    """One image, (y, x, channel), as graded spikes at time 0: payloads of 1 to 255."""
    value = np.rint(pixels.reshape(-1) * 255).astype(np.int64)
    neuron = np.flatnonzero(value)
    return Stimulus(np.zeros(len(neuron), dtype=np.int64), neuron.astype(np.int64), payload=value[neuron])
