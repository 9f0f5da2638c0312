"""Train image networks of ``eventsnn.convert.definitions`` on MNIST, CIFAR-10 or a CIFAR-100 subset.

    EVENTSNN_DATA=... python models/train_images.py --model lenet5 --data mnist --epochs 4 --output lenet5.pt

Images are read as runs of the converted network read them, 0 to 1 (``uint8 / 255``), not normalised further.
``--set NAME=VALUE`` (JSON) gives the definition's parameters, ``--levels L`` trains with QCFS activations of
L levels instead of ReLU, which then convert without loss; ``--initial FILE`` starts from trained weights.

After every epoch the whole state is written beside the output, as ``OUTPUT.checkpoint``; the same command,
started again, goes on there and ends with the same weights, since everything random is drawn from the seed
and the number of the epoch. ``--minutes`` stops after so long, to be continued.

The file holds the definition's name and parameters, which build the model, and its weights:
``eventsnn.convert.definitions.trained.load_trained`` reads it.
The shipped networks' commands are on their cards.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from checkpoints import adam, command, train_rounds
from torch import nn

from eventsnn.convert.definitions import DEFINITIONS, definition
from eventsnn.convert.definitions.binary import BinaryConv2d, BinaryLinear
from eventsnn.convert.definitions.trained import load_trained, save_trained

SHIFT = {"mnist": 2, "cifar10": 4, "cifar100": 4}
"""Pixels that a training image is moved by, at most."""


def data_folder() -> Path:
    """The folder that holds the pictures."""
    root = os.environ.get("EVENTSNN_DATA")
    if root is None:
        raise SystemExit("EVENTSNN_DATA is not set: it must name a folder with mnist/ and cifar10/")
    return Path(root)


def decoded(residual: np.ndarray) -> np.ndarray:
    """CIFAR images, (n, 32, 32, 3), from the differences to their neighbours that the file keeps."""
    planes = np.cumsum(np.cumsum(residual, -1, dtype=np.uint8), -2, dtype=np.uint8)
    return np.stack([planes[1] + planes[0], planes[0], planes[2] + planes[0]], -1)


def load(data: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (n, channels, y, x), and labels."""
    if data == "mnist":
        with np.load(data_folder() / "mnist" / "mnist.npz") as archive:
            return archive[f"{split}_x"][:, None], archive[f"{split}_y"].astype(np.int64)
    name = {"cifar10": "cifar10_lossless.npz", "cifar100": "cifar100_subset_lossless.npz"}[data]
    with np.load(data_folder() / data / name) as archive:
        images = decoded(archive[f"{split}_resid"]).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(images), archive[f"{split}_y"].astype(np.int64)


def shifted(images: np.ndarray, most: int, mirrored: bool, rng: np.random.Generator) -> np.ndarray:
    """Images moved by up to ``most`` pixels each way, half of them mirrored if asked."""
    n, _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    y, x = rng.integers(0, 2 * most + 1, (2, n))
    moved = windows[np.arange(n), :, y, x]
    flip = rng.random(n) < 0.5
    if mirrored:
        moved[flip] = moved[flip, :, :, ::-1]
    return moved


def scaled(images: np.ndarray) -> torch.Tensor:
    """What the network reads."""
    tensor = torch.from_numpy(np.ascontiguousarray(images)).float() / 255
    return tensor.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images recognised."""
    model.eval()
    parts = [model(scaled(images[i : i + 200])).argmax(1).numpy() for i in range(0, len(images), 200)]
    return float((np.concatenate(parts) == labels).mean())


def clip_binary(model: nn.Module) -> None:
    """Keep weights whose signs count within -1 and 1, beyond which no gradient would reach them."""
    for module in model.modules():
        if isinstance(module, BinaryConv2d | BinaryLinear):
            module.weight.data.clamp_(-1, 1)


def train(model: nn.Module, options: argparse.Namespace) -> bool:
    """Train, going on at the checkpoint if there is one; whether the last epoch is done."""
    images, labels = load(options.data, "train")
    steps = len(images) // options.batch
    optimiser, schedule = adam(model, options, steps * options.epochs, 0.2)
    criterion = nn.CrossEntropyLoss(label_smoothing=options.smoothing)

    def train_epoch(epoch: int) -> str:
        rng = np.random.default_rng([options.seed, epoch])
        torch.manual_seed(options.seed * 1000 + epoch)
        model.train()
        order = rng.permutation(len(images))
        loss_sum = hits = 0.0
        for step in range(steps):
            chosen = order[step * options.batch : (step + 1) * options.batch]
            inputs = scaled(shifted(images[chosen], SHIFT[options.data], options.data != "mnist", rng))
            target = torch.from_numpy(labels[chosen])
            logits = model(inputs)
            loss = criterion(logits, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            clip_binary(model)
            loss_sum += loss.item()
            hits += float((logits.argmax(1) == target).float().mean())
        return f"loss {loss_sum / steps:.3f} train {hits / steps:.4f}"

    parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
    return train_rounds(options, command(options), parts, options.epochs, train_epoch)


def parse() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train an image network.")
    parser.add_argument("--model", choices=sorted(DEFINITIONS), required=True)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="JSON value")
    parser.add_argument("--data", choices=sorted(SHIFT), required=True)
    parser.add_argument("--levels", type=int, help="QCFS activations of so many levels")
    parser.add_argument("--initial", type=Path, help="file of this recipe to start from")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--smoothing", type=float, default=0.0, help="of the labels")
    return parser.parse_args()


def main() -> None:
    """Train, test, save."""
    options = parse()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    parameters = {name: json.loads(value) for name, _, value in (text.partition("=") for text in options.set)}
    if options.levels is not None:
        parameters["levels"] = options.levels
    model = definition(options.model, **parameters).to(memory_format=torch.channels_last)
    if options.initial is not None:
        start = load_trained(options.initial).state_dict()
        missing, unexpected = model.load_state_dict(start, strict=False)
        # The ceilings of QCFS activations are no part of a network with ReLU.
        if unexpected or not all(name.endswith(".theta") for name in missing):
            raise SystemExit(
                f"{options.initial} holds another network; give the same definition and parameters"
            )
    print(f"{sum(p.numel() for p in model.parameters())} parameters")
    if not train(model, options):
        return
    save_trained(options.output, model, options.model, parameters)
    images, labels = load(options.data, "test")
    print(f"test accuracy {accuracy(load_trained(options.output), images, labels):.4f}")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
