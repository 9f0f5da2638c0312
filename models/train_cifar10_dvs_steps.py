"""Train the network of ``train_cifar10_dvs.py`` in timesteps, to see what it is worth event by event.

    python models/train_cifar10_dvs_steps.py TRAIN.h5 --initial models/cifar10dvs.h5 --test TEST.h5 \\
        --epochs 8 --output cifar10dvs-steps.h5

Most spiking networks for event cameras are trained so: a recording is cut into a few frames of event counts,
and in each timestep every neuron adds what arrives and fires once if it is at its threshold. The layers are
those of ``cifar10dvs.h5``; neurons are integrate-and-fire with soft reset, trained by a surrogate gradient
(arctangent: W. Fang et al., "Incorporating learnable membrane time constant to enhance learning of spiking
neural networks", ICCV 2021). There are no biases, which would mean nothing between events: layers are scaled
by their root mean square, without a shift, and that goes into the weights.

The file is a network of integers. In the step schedule, with the step of the training, it computes what was
trained; event by event there is no barrier: ``benchmarks/asynchrony.py`` measures both.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from checkpoints import adam, command, train_rounds
from torch import nn
from train_cifar10_dvs import BATCH, BIN_US, EVENT_VALUE, SHAPES, SIDE, Counts, augmented, read_counts

import eventsnn
from eventsnn.network import (
    Axis,
    Conv2d,
    Dense,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    save_network,
)
from eventsnn.network.contract import InputContract

THRESHOLD = 2**14
SLOPE = 2.0


class Fire(torch.autograd.Function):
    """1 where the charge is at the threshold 1; its gradient is that of an arctangent of the slope SLOPE."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, charge: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(charge)
        return (charge >= 1).to(charge.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> torch.Tensor:
        (charge,) = ctx.saved_tensors
        return gradient * (SLOPE / 2) / (1 + (np.pi / 2 * SLOPE * (charge - 1)) ** 2)


class Spiking(nn.Module):
    """A convolution, its scale, and neurons that fire once a step and subtract their threshold of 1."""

    def __init__(self, source: int, target: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(source, target, kernel, stride, kernel // 2, bias=False)
        self.gain = nn.Parameter(torch.ones(target))
        self.register_buffer("square", torch.ones(target))

    def factor(self, square: torch.Tensor) -> torch.Tensor:
        """What each channel's weights are multiplied by."""
        return self.gain / torch.sqrt(square + 1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes, (steps, n, channels, y, x), of spikes or counts of that form."""
        steps = len(x)
        arriving = self.convolution(x.flatten(0, 1))
        square = self.square
        if self.training:
            square = arriving.square().mean((0, 2, 3))
            self.square.lerp_(square.detach(), 0.1)
        arriving = (arriving * self.factor(square)[:, None, None]).unflatten(0, (steps, -1))
        charge = torch.zeros_like(arriving[0])
        spikes = []
        for each in arriving:
            charge = charge + each
            spikes.append(Fire.apply(charge))
            charge = charge - spikes[-1]
        return torch.stack(spikes)


class Steps(nn.Module):
    """The whole network: event counts of steps, (steps, n, 2, y, x), to logits summed over the steps."""

    def __init__(
        self, dropout: float, side: int = SIDE, shapes: Sequence[tuple[int, int, int]] | None = None
    ) -> None:
        super().__init__()
        self.side, self.shapes = side, SHAPES if shapes is None else shapes
        layers, source = [], 2
        for channels, kernel, stride in self.shapes:
            layers.append(Spiking(source, channels, kernel, stride))
            source, side = channels, -(-side // stride)
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(source * side**2, 10, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, (n, 10): the mean over the steps."""
        return self.readout(self.dropout(self.layers(x).mean(0).flatten(1)))


def start_from(model: Steps, network: Network) -> None:
    """Take the weights of a converted network of the same layers; its biases have no place here."""
    sources = {projection.target: projection for projection in network.projections.values()}
    for layer, name in zip([*model.layers, model.readout], network.order[1:], strict=True):
        projection = sources[name]
        weight = torch.from_numpy(projection.synapses.weight.astype(np.float32)) / THRESHOLD
        if isinstance(layer, Spiking):
            layer.convolution.weight.data.copy_(weight.permute(3, 2, 0, 1))
        else:
            channels, height, width = (
                model.layers[-1].gain.numel(),
                *network.populations[projection.source].shape[:2],
            )
            # Neurons are row-major in (y, x, channel), PyTorch flattens (channel, y, x).
            weight = weight.unflatten(0, (height, width, channels)).permute(3, 2, 0, 1).flatten(1)
            layer.weight.data.copy_(weight / weight.abs().std() * layer.weight.std())


@torch.no_grad()
def integer_network(model: Steps, steps: int, step_us: int) -> Network:
    """What was trained, as a network of integers: thresholds of 2^14 quanta, events worth 1/16."""
    side, value = model.side, EVENT_VALUE
    populations = [Population("input", (side, side, 2), Input(unit=value))]
    projections = []
    shapes = zip(model.layers, model.shapes, strict=True)
    for number, (layer, (channels, kernel, stride)) in enumerate(shapes, 1):
        weight = (
            layer.convolution.weight * layer.factor(layer.square)[:, None, None, None] * (value * THRESHOLD)
        )
        axis = Axis(kernel, stride, kernel // 2, kernel // 2)
        side, value = -(-side // stride), 1.0
        name, source = f"layer{number}", populations[-1].name
        populations.append(Population(name, (side, side, channels), Rate(THRESHOLD, multispike=False)))
        synapses = Conv2d(in_quanta(weight.permute(2, 3, 1, 0)), axis, axis)
        projections.append(Projection(f"{source}-{name}", source, name, synapses))
    weight = model.readout.weight.unflatten(1, (channels, side, side)).permute(2, 3, 1, 0).flatten(0, 2)
    quantum = float(weight.abs().max()) / THRESHOLD
    populations.append(Population("readout", (1, 1, 10), Readout(unit=quantum / steps)))
    projections.append(Projection(f"{name}-readout", name, "readout", Dense(in_quanta(weight / quantum))))
    contract = InputContract("events", float(steps * step_us))
    return Network(
        populations, projections, {"training": {"steps": steps, "step_us": step_us}}, contract=contract
    )


def in_quanta(weight: torch.Tensor) -> np.ndarray:
    """Rounded, int32."""
    return np.rint(weight.double().numpy()).astype(np.int32)


def frames(data: Counts, chosen: np.ndarray, steps: int) -> torch.Tensor:
    """Counts of equal steps of the whole recordings, (n, 2 * steps, y, x), not yet scaled.

    What is left of the last step is empty.
    """
    bins = data.bins[chosen][:, data.order]
    each = -(-bins.shape[1] // steps)
    whole = np.zeros((len(chosen), steps * each, *bins.shape[2:]), np.float32)
    whole[:, : bins.shape[1]] = bins
    return torch.from_numpy(whole.reshape(len(chosen), steps, each, *bins.shape[2:]).sum(2)).flatten(1, 2)


def stepped(counts: torch.Tensor, steps: int) -> torch.Tensor:
    """What the network reads, (steps, n, 2, y, x)."""
    return counts.unflatten(1, (steps, 2)).transpose(0, 1) * EVENT_VALUE


@torch.no_grad()
def accuracy(model: Steps, data: Counts, steps: int) -> float:
    """The share of recordings recognised, in steps."""
    model.eval()
    right = 0
    for part in np.array_split(np.arange(len(data.labels)), -(-len(data.labels) // 100)):
        found = model(stepped(frames(data, part, steps), steps)).argmax(1).numpy()
        right += int((found == data.labels[part]).sum())
    return right / len(data.labels)


def train(model: Steps, data: Counts, held: Counts | None, options: argparse.Namespace) -> bool:
    """Train, going on at the checkpoint if there is one; whether the last epoch is done."""
    steps = max(1, len(data.labels) // BATCH)
    optimiser, schedule = adam(model, options, steps * options.epochs, 0.15)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    def train_epoch(epoch: int) -> str:
        rng = np.random.default_rng([options.seed, epoch])
        torch.manual_seed(options.seed * 1000 + epoch)
        model.train()
        order = rng.permutation(len(data.labels))
        sums = np.zeros(2)
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            inputs = stepped(augmented(frames(data, chosen, options.steps), rng), options.steps)
            labels = torch.from_numpy(data.labels[chosen])
            logits = model(inputs)
            loss = criterion(logits, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            sums += [loss.item(), (logits.argmax(1) == labels).float().mean().item()]
        loss_mean, hit = sums / steps
        seen = "" if held is None else f" validation {accuracy(model, held, options.steps):.4f}"
        return f"loss {loss_mean:.3f} train {hit:.4f}{seen}"

    parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
    return train_rounds(options, command(options, "test"), parts, options.epochs, train_epoch)


def shared_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of all recipes that train in timesteps."""
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--steps", type=int, default=5, help="timesteps of a recording")
    parser.add_argument("--validation", type=int, default=0, help="every so many recordings are held out")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--dropout", type=float, default=0.2)


def parse() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description="Train a network for recordings of CIFAR10-DVS in timesteps."
    )
    parser.add_argument("train", type=Path, help="HDF5 file of recordings")
    parser.add_argument("--initial", type=Path, help="converted network to take the weights of")
    parser.add_argument("--test", type=Path, help="HDF5 file, looked at once, after the last epoch")
    shared_options(parser)
    return parser.parse_args()


def main() -> None:
    """Train, test, save."""
    options = parse()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    name = options.output.name
    data = read_counts(options.train, options.output.with_name(name + ".counts.npz"))
    held = None
    if options.validation:
        out = np.arange(len(data.labels)) % options.validation == 0
        data, held = data.of(~out), data.of(out)
    step_us = -(-len(data.order) // options.steps) * BIN_US
    model = Steps(options.dropout)
    if options.initial is not None:
        start_from(model, eventsnn.load(options.initial))
    print(f"{len(data.labels)} recordings, {options.steps} steps of {step_us} us")
    if not train(model, data, held, options):
        return
    save_network(integer_network(model.eval(), options.steps, step_us), options.output)
    print(f"wrote {options.output}")
    if options.test is not None:
        test = read_counts(options.test, options.output.with_name(name + ".test-counts.npz"))
        print(f"accuracy in steps: {accuracy(model, test, options.steps):.4f}")


if __name__ == "__main__":
    main()
