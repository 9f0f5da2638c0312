"""Train the spiking networks of ``atsnn.py`` so that early timesteps are worth stopping at.

    EVENTSNN_DATA=... python models/train_atsnn.py --network vgg_cifar10 --steps 1 --epochs 8 --output one.pt
    EVENTSNN_DATA=... python models/train_atsnn.py --network vgg_cifar10 --steps 4 --epochs 2 \\
        --initial one.pt --outputs accumulated --weights decaying --output vgg.pt

Needs SpikingJelly (``pip install spikingjelly==2.0.0``). The losses are those of ``time_loss.py``.

Training at one step and going on at more (``--initial``) is the time inheritance of TET's paper. Pictures are
given anew in each step (direct coding); ``vgg_cifar10_dvs`` reads the counts of equal steps of recordings.
Everything random is drawn from the seed and the epoch: the same command goes on at ``OUTPUT.checkpoint``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import atsnn
import numpy as np
import torch
from checkpoints import adam, command, train_rounds
from spikingjelly.activation_based import functional
from time_loss import TimeLoss
from torch import nn
from train_cifar10_dvs import (
    BIN_US,
    EVENT_VALUE,
    Counts,
    augmented,
    count_pictures,
    read_counts,
    training_pictures,
)
from train_cifar10_dvs_steps import frames, stepped
from train_images import load, scaled, shifted

DATA = {
    "vgg_cifar10": "cifar10",
    "resnet_cifar10": "cifar10",
    "vgg_cifar100": "cifar100",
    "vgg_cifar10_dvs": None,
}
"""Of each network: its pictures, or None where it reads recordings."""
SHIFT = 4

Draw = Callable[[np.ndarray, np.random.Generator | None], torch.Tensor]
"""Inputs, (steps, n, channels, y, x), of chosen samples; changed at random where a generator is given."""


def picture_draws(images: np.ndarray, steps: int) -> Draw:
    """Pictures, the same in every step."""

    def draw(chosen: np.ndarray, rng: np.random.Generator | None) -> torch.Tensor:
        taken = images[chosen]
        inputs = scaled(taken if rng is None else shifted(taken, SHIFT, True, rng))
        return inputs.unsqueeze(0).expand(steps, -1, -1, -1, -1)

    return draw


def count_draws(data: Counts, steps: int) -> Draw:
    """The event counts of equal steps."""

    def draw(chosen: np.ndarray, rng: np.random.Generator | None) -> torch.Tensor:
        counts = frames(data, chosen, steps)
        return stepped(counts if rng is None else augmented(counts, rng), steps)

    return draw


def logits_of(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Outputs of every step, (steps, n, classes), from neurons at rest."""
    logits = network(inputs)
    functional.reset_net(network)
    return logits.float()


@torch.no_grad()
def accuracies(network: nn.Module, draw: Draw, labels: np.ndarray) -> np.ndarray:
    """The share of samples recognised by the outputs added up to each step."""
    network.eval()
    right: list[np.ndarray] = []
    for chosen in np.array_split(np.arange(len(labels)), -(-len(labels) // 200)):
        found = logits_of(network, draw(chosen, None)).cumsum(0).argmax(2).numpy()
        right.append(found == labels[chosen])
    return np.concatenate(right, 1).mean(1)


def event_value(state: dict[str, torch.Tensor], options: argparse.Namespace, to_file: bool) -> None:
    """Weights of recordings' networks are of one event in the file, of one sixteenth of it in training."""
    if DATA[options.network] is None:
        state["0.0.weight"] = state["0.0.weight"] * (EVENT_VALUE if to_file else 1 / EVENT_VALUE)


def train(network: nn.Module, draw: Draw, labels: np.ndarray, options: argparse.Namespace) -> bool:
    """Train, going on at the checkpoint if there is one; whether the last epoch is done."""
    steps = len(labels) // options.batch
    loss_of = TimeLoss(options.steps, options.outputs, options.weights, options.decay, options.smoothing)
    optimiser, schedule = adam(nn.ModuleList([network, loss_of]), options, steps * options.epochs, 0.2)

    def train_epoch(epoch: int) -> str:
        rng = np.random.default_rng([options.seed, epoch])
        torch.manual_seed(options.seed * 1000 + epoch)
        network.train()
        order = rng.permutation(len(labels))
        sums = np.zeros(2)
        for step in range(steps):
            chosen = order[step * options.batch : (step + 1) * options.batch]
            target = torch.from_numpy(labels[chosen])
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
                logits = logits_of(network, draw(chosen, rng))
            loss = loss_of(logits, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            sums += [loss.item(), (logits.sum(0).argmax(1) == target).float().mean().item()]
        mean_loss, hits = sums / steps
        return f"loss {mean_loss:.3f} train {hits:.4f}"

    parts = {"model": network, "loss": loss_of, "optimiser": optimiser, "schedule": schedule}
    return train_rounds(options, command(options, "test"), parts, options.epochs, train_epoch)


def training_data(options: argparse.Namespace) -> tuple[Draw, np.ndarray]:
    """What to train on: inputs and labels."""
    data = DATA[options.network]
    if data is not None:
        images, labels = load(data, "train")
        return picture_draws(images, options.steps), labels
    if options.train is None:
        raise SystemExit(
            f"{options.network} reads recordings: give --train FILE.h5, or --train pictures for counts of "
            "CIFAR-10's training pictures, moved"
        )
    if options.train == "pictures":
        counts = count_pictures(*training_pictures("pictures"), options.pictures, options.seed)
    else:
        cache = options.output.with_name(options.output.name + ".counts.npz")
        counts = read_counts(Path(options.train), cache)
    print(f"steps of {-(-len(counts.order) // options.steps) * BIN_US} us")
    return count_draws(counts, options.steps), counts.labels


def test_data(options: argparse.Namespace) -> tuple[Draw, np.ndarray] | None:
    """What to test on, if there is any."""
    data = DATA[options.network]
    if data is not None:
        images, labels = load(data, "test")
        return picture_draws(images, options.steps), labels
    if options.test is None:
        return None
    counts = read_counts(options.test, options.output.with_name(options.output.name + ".test-counts.npz"))
    return count_draws(counts, options.steps), counts.labels


def parse() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train a spiking network for adaptive timesteps.")
    parser.add_argument("--network", choices=sorted(DATA), required=True)
    parser.add_argument("--steps", type=int, required=True, help="timesteps")
    parser.add_argument("--outputs", choices=("per-step", "accumulated"), default="accumulated")
    parser.add_argument("--weights", choices=("uniform", "decaying", "learned"), default="decaying")
    parser.add_argument("--decay", type=float, default=0.7, help="a step's weight over the one before it")
    parser.add_argument("--train", help="vgg_cifar10_dvs: HDF5 file of recordings, or 'pictures'")
    parser.add_argument("--test", type=Path, help="vgg_cifar10_dvs: HDF5 file, looked at once")
    parser.add_argument("--pictures", type=int, default=20_000, help="how many of CIFAR-10's 50,000")
    parser.add_argument("--initial", type=Path, help="trained weights to start from")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.02)
    parser.add_argument("--smoothing", type=float, default=0.0, help="of the labels")
    parser.add_argument("--bfloat16", action="store_true", help="convolutions in bfloat16")
    options = parser.parse_args()
    if options.steps < 1 or not 0 < options.decay <= 1:
        raise SystemExit("--steps is 1 or more, --decay above 0 and at most 1")
    return options


def main() -> None:
    """Train, test, save."""
    options = parse()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    network = getattr(atsnn, options.network)().to(memory_format=torch.channels_last)
    if options.initial is not None:
        state = torch.load(options.initial, weights_only=True)
        event_value(state, options, to_file=False)
        network.load_state_dict(state)
    draw, labels = training_data(options)
    print(f"{len(labels)} samples, {sum(p.numel() for p in network.parameters())} parameters", flush=True)
    if not train(network, draw, labels, options):
        return
    state = network.state_dict()
    event_value(state, options, to_file=True)
    torch.save(state, options.output)
    print(f"wrote {options.output}")
    test = test_data(options)
    if test is not None:
        found = accuracies(network, *test)
        print("accuracy after each step: " + " ".join(f"{one:.4f}" for one in found))


if __name__ == "__main__":
    main()
