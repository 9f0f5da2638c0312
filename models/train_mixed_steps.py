"""Train a network for recordings over many lengths of a timestep at once, so that it works event by event.

    python models/train_mixed_steps.py events:TRAIN.h5 --initial models/cifar10dvs.h5 --mixed 2 64 \\
        --epochs 36 --output cifar10dvs-mixed.h5

Trained in steps of one length, a network knows how many spikes come in such steps and no other number: event
by event, where steps are as short as can be, it fires several times as often. Here every batch comes in
groups; each draws a number of steps, evenly on a logarithmic scale, and a window of the recordings: all, half
or a quarter of them, from anywhere; and where the first step ends. Scores are summed over the steps and
divided by the share of the recording, so that each length is asked for the same numbers of spikes.

It is after mixed time-step training (MTT: K. Du et al., "Temporal flexibility in spiking neural networks:
towards generalization across time steps and deployment friendliness", ICLR 2025), and departs from it. There
each stage of layers draws a number of steps of its own, evenly, with spikes regrouped between stages; the
gradients of three draws on the same inputs are added up; batch norms are measured anew before use, or there
are none; networks for event-driven chips fire many times a step and are clamped from below. Here a group has
one number for all layers, each recording is in one group; neurons fire once a step and have no clamp; and the
scale of each channel is measured once, before training, in ``--steps`` steps, and kept, as event by event
there is no number of steps to measure it for.

Without ``--mixed`` every group has the whole recording in ``--steps`` steps: the same training otherwise, to
compare with. Products are taken in bfloat16, charges in float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from checkpoints import adam, command, train_rounds
from numba import njit
from torch import nn
from torch.nn import functional
from train_cifar10_dvs import BATCH, Counts, augmented, cached, count_events
from train_cifar10_dvs_steps import (
    SLOPE,
    Steps,
    accuracy,
    frames,
    integer_network,
    shared_options,
    start_from,
    stepped,
)

import eventsnn
from eventsnn.events import open_recordings
from eventsnn.network import Conv2d, Network, save_network

BIN_US = 5_000
GROUPS = 4
SHARES = (1.0, 0.5, 0.25)
FRAMES = 320
"""As many steps times recordings are computed at once: what they need stays in the caches."""
BLOCK = 1024
ONE = np.uint16(0x3F80)
"""1 in bfloat16."""


@njit(fastmath=True)
def fire_in_steps(arriving: np.ndarray, charges: np.ndarray, spikes: np.ndarray) -> None:
    """Set charges and spikes, (steps, neurons), of what arrives; all three are bits of bfloat16."""
    left, word = np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.uint32)
    charge = word.view(np.float32)
    for begin in range(0, arriving.shape[1], BLOCK):
        left[:] = 0
        for step in range(len(arriving)):
            # Short loops over slices become vector instructions.
            part = slice(begin, begin + BLOCK)
            come, kept, fired = arriving[step, part], charges[step, part], spikes[step, part]
            for i in range(len(come)):
                word[i] = np.uint32(come[i]) << np.uint32(16)
            for i in range(len(come)):
                charge[i] += left[i]
            for i in range(len(come)):
                kept[i] = np.uint16(word[i] >> np.uint32(16))
            for i in range(len(come)):
                left[i] = charge[i] - (np.float32(1) if charge[i] >= 1 else np.float32(0))
            for i in range(len(come)):
                fired[i] = ONE if charge[i] >= 1 else np.uint16(0)


@njit(fastmath=True)
def gradient_in_steps(charges: np.ndarray, gradient: np.ndarray, found: np.ndarray) -> None:
    """Set the gradient of what arrives from that of the spikes, (steps, neurons), bits of bfloat16."""
    later = np.zeros(BLOCK, np.float32)
    word, other = np.zeros(BLOCK, np.uint32), np.zeros(BLOCK, np.uint32)
    charge, own = word.view(np.float32), other.view(np.float32)
    for begin in range(0, charges.shape[1], BLOCK):
        later[:] = 0
        for step in range(len(charges) - 1, -1, -1):
            part = slice(begin, begin + BLOCK)
            kept, come, wanted = charges[step, part], gradient[step, part], found[step, part]
            for i in range(len(kept)):
                word[i] = np.uint32(kept[i]) << np.uint32(16)
            for i in range(len(kept)):
                other[i] = np.uint32(come[i]) << np.uint32(16)
            for i in range(len(kept)):
                # A charge reaches its own spike, and what that leaves reaches all that follow.
                steep = np.float32(np.pi / 2 * SLOPE) * (charge[i] - np.float32(1))
                slope = np.float32(SLOPE / 2) / (np.float32(1) + steep * steep)
                own[i] = later[i] + slope * (own[i] - later[i])
            for i in range(len(kept)):
                later[i] = own[i]
            for i in range(len(kept)):
                wanted[i] = np.uint16((other[i] + np.uint32(1 << 15)) >> np.uint32(16))


def by_channel_last(tensor: torch.Tensor) -> torch.Tensor:
    """(steps, n, y, x, channels), contiguous: no copy of what is channels-last already."""
    return tensor.permute(0, 1, 3, 4, 2).contiguous()


def bits_of(tensor: torch.Tensor) -> np.ndarray:
    """The memory of a contiguous tensor of bfloat16 as uint16, (steps, neurons)."""
    return tensor.view(torch.int16).view(len(tensor), -1).numpy().view(np.uint16)


class FireInSteps(torch.autograd.Function):
    """Spikes of all steps, (steps, n, channels, y, x), of what arrives in them, bfloat16.

    As ``Fire`` step by step with soft reset, in one pass over memory; charges are float32, kept as bfloat16.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, arriving: torch.Tensor) -> torch.Tensor:
        arriving = by_channel_last(arriving)
        charges, spikes = torch.empty_like(arriving), torch.empty_like(arriving)
        fire_in_steps(bits_of(arriving), bits_of(charges), bits_of(spikes))
        ctx.save_for_backward(charges)
        return spikes.permute(0, 1, 4, 2, 3)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> torch.Tensor:
        (charges,) = ctx.saved_tensors
        found = torch.empty_like(charges)
        gradient_in_steps(bits_of(charges), bits_of(by_channel_last(gradient)), bits_of(found))
        return found.permute(0, 1, 4, 2, 3)


def scores(model: Steps, x: torch.Tensor, whole: float) -> torch.Tensor:
    """Logits, (n, 10), of steps, (steps, n, 2, y, x): spikes summed over them, divided by ``whole``."""
    steps = len(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = x.flatten(0, 1).to(memory_format=torch.channels_last)
        for layer in model.layers:
            convolution = layer.convolution
            weight = convolution.weight * layer.factor(layer.square)[:, None, None, None]
            weight = weight.to(memory_format=torch.channels_last)
            x = functional.conv2d(x, weight, None, convolution.stride, convolution.padding)
            x = FireInSteps.apply(x.unflatten(0, (steps, -1))).flatten(0, 1)
    counts = x.unflatten(0, (steps, -1)).sum(0, dtype=torch.float32)
    return model.readout(model.dropout(counts.flatten(1) / whole))


@torch.no_grad()
def measure_scales(model: Steps, x: torch.Tensor) -> None:
    """Set what channels are scaled by to the root mean square of what arrives in these steps."""
    for layer in model.layers:
        arriving = layer.convolution(x.flatten(0, 1))
        layer.square.copy_(arriving.square().mean((0, 2, 3)))
        x = layer.eval()(x)


def draw_edges(
    bins: int, options: argparse.Namespace, rng: np.random.Generator
) -> tuple[np.ndarray, int, float]:
    """Where the steps of a group begin, where the last ends, and the share of a recording that they are."""
    if options.mixed is None:
        each = -(-bins // options.steps)
        return np.arange(0, bins, each), bins, 1.0
    low, high = options.mixed
    share = float(rng.choice(SHARES))
    length = round(share * bins)
    steps = min(round(np.exp(rng.uniform(np.log(low), np.log(high)))), length)
    each = length / steps
    begin = int(rng.integers(0, bins - length + 1))
    inner = begin + np.round(each * (np.arange(steps) + rng.random())).astype(int)
    edges = np.unique(np.concatenate([[begin], inner]))
    return edges[edges < begin + length], begin + length, share


def train(model: Steps, data: Counts, held: Counts | None, options: argparse.Namespace) -> bool:
    """Train, going on at the checkpoint if there is one; whether the last epoch is done."""
    steps = max(1, len(data.labels) // BATCH)
    optimiser, schedule = adam(model, options, steps * options.epochs, 0.15)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum")

    def train_group(chosen: np.ndarray, batch: int, rng: np.random.Generator) -> np.ndarray:
        """Add the gradients of some recordings of a batch; summed loss, hits, steps."""
        edges, end, share = draw_edges(len(data.order), options, rng)
        sums = np.zeros(3)
        for part in np.array_split(chosen, -(-len(chosen) * len(edges) // FRAMES)):
            counts = np.add.reduceat(data.bins[part, :end], edges, axis=1, dtype=np.float32)
            inputs = augmented(torch.from_numpy(counts).flatten(1, 2), rng, options.mirror)
            labels = torch.from_numpy(data.labels[part])
            logits = scores(model, stepped(inputs, len(edges)), share * options.steps)
            loss = criterion(logits, labels)
            (loss / batch).backward()
            sums += [loss.item(), (logits.argmax(1) == labels).sum().item(), len(edges) * len(part)]
        return sums

    def train_epoch(epoch: int) -> str:
        rng = np.random.default_rng([options.seed, epoch])
        torch.manual_seed(options.seed * 1000 + epoch)
        model.train()
        order = rng.permutation(len(data.labels))
        sums = np.zeros(3)
        for step in range(steps):
            optimiser.zero_grad()
            batch = order[step * BATCH : (step + 1) * BATCH]
            for chosen in np.array_split(batch, min(GROUPS, len(batch))):
                sums += train_group(chosen, len(batch), rng)
            optimiser.step()
            schedule.step()
        loss, hit, mean = sums / (steps * len(batch))
        seen = "" if held is None else f" validation {accuracy(model, held, options.steps):.4f}"
        return f"loss {loss:.3f} train {hit:.4f} in {mean:.1f} steps{seen}"

    parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
    return train_rounds(options, command(options), parts, options.epochs, train_epoch)


def shapes_of(network: Network) -> list[tuple[int, int, int]]:
    """Channels, kernel size and stride of each convolution of a chain of them."""
    found = []
    for name in network.order[1:-1]:
        synapses = next(each for each in network.projections.values() if each.target == name).synapses
        if not isinstance(synapses, Conv2d):
            raise SystemExit(
                f"{name} is reached by {synapses.kind}; this recipe trains convolutions, then a readout"
            )
        found.append((synapses.weight.shape[3], synapses.y.taps, synapses.y.stride))
    return found


def parse() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train a network of events over many lengths of a timestep.")
    parser.add_argument("train", help="recordings, KIND:PATH")
    parser.add_argument("--split", help="the part of them that trains")
    parser.add_argument("--initial", type=Path, required=True, help="converted network: layers and weights")
    parser.add_argument("--mixed", type=int, nargs=2, metavar=("FEWEST", "MOST"), help="steps to draw from")
    parser.add_argument("--mirror", action=argparse.BooleanOptionalAction, default=True, help="half of them")
    shared_options(parser)
    options = parser.parse_args()
    if options.mixed is not None and not 1 <= options.mixed[0] <= options.mixed[1]:
        parser.error("--mixed takes the fewest and the most steps, at least 1, in this order")
    return options


def main() -> None:
    """Train and save."""
    options = parse()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    initial = eventsnn.load(options.initial)
    side = initial.populations[initial.input].shape[0]
    recordings = open_recordings(options.train, options.split)
    file = Path(options.train.partition(":")[2]).resolve()
    told = f"{file} {file.stat().st_size} {file.stat().st_mtime_ns} {options.split} {BIN_US} {side}"
    cache = options.output.with_name(options.output.name + ".counts.npz")
    data, held = cached(cache, told, lambda: count_events(recordings, side, BIN_US)), None
    if options.validation:
        out = np.arange(len(data.labels)) % options.validation == 0
        data, held = data.of(~out), data.of(out)
    step_us = -(-len(data.order) // options.steps) * BIN_US
    model = Steps(options.dropout, side, shapes_of(initial))
    start_from(model, initial)
    some = np.linspace(0, len(data.labels) - 1, min(4 * BATCH, len(data.labels))).astype(int)
    measure_scales(model, stepped(frames(data, some, options.steps), options.steps))
    print(f"{len(data.labels)} recordings, read in {options.steps} steps of {step_us} us")
    if train(model, data, held, options):
        save_network(integer_network(model.eval(), options.steps, step_us), options.output)
        print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
