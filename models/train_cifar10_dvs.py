"""Train a VGG-like network for recordings of CIFAR10-DVS, emulated ones first, on accumulated event counts.

    EVENTSNN_DATA=... python models/train_cifar10_dvs.py pictures --epochs 6 --penalty 0 --output before.pt
    python models/train_cifar10_dvs.py TRAIN.h5 --test TEST.h5 --initial before.pt --epochs 20 \\
        --output cifar10dvs.pt

A few thousand recordings show too few pictures. So the network is trained first on ``pictures``: CIFAR-10's
training pictures (or those of ``images:FILE.npz``), moved before contrast pixels in steps of a pixel, which
gives counts without times at a fraction of the work of a recording. Then it is trained on recordings,
emulated or real (docs/cifar10-dvs.md). Test on recordings of CIFAR-10's test pictures only: the training
pictures were seen.

The network sees how many OFF and ON events each of 32 x 32 cells has had, each event adding 1/16. Its
activations are quantised (QCFS), so that converted to signed neurons it gives, at any moment, the same answer
as on the counts so far; therefore it is trained on windows of random length and place, most from the start.
Each training input comes as two prefixes 20 ms apart; the travel of every activation between them times its
fan-out estimates the synaptic operations of a run, and is part of the loss (``train_event_counts.py``).

Recordings are reduced once to counts of 20 ms (uint8), kept beside the output as ``OUTPUT.counts.npz``;
pictures to counts of a quarter of a round. After every epoch the whole state is written as
``OUTPUT.checkpoint``; the same command goes on there.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from checkpoints import adam, command, train_rounds
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from train_event_counts import fan_outs, load_weights, run_layers, travel
from train_images import load

from eventsnn.convert.qcfs import QCFS
from eventsnn.events.smooth import SENSOR_SIZE, SmoothMovement

if TYPE_CHECKING:
    from eventsnn.events import RecordingSet

SIDE = 32
BIN_US = 20_000
EVENT_VALUE = 1 / 16
SHAPES = ((32, 5, 2), (64, 3, 1), (96, 3, 2), (128, 3, 1), (128, 3, 2))
"""Channels, kernel size and stride of each convolution. Strides take the place of pools, which would pass
every spike on to a finer grid."""
BATCH = 64
AVERAGING = 0.998
SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Counts:
    """Events of recordings, counted in bins of time.

    Attributes
    ----------
    bins : uint8 array, shape (recordings, different bins, 2, 32, 32)
    labels : int64 array, shape (recordings,)
    order : int64 array, shape (bins,)
        Which of the different bins follow one another.
    """

    bins: np.ndarray
    labels: np.ndarray
    order: np.ndarray

    def window(self, recording: int, first: int, end: int) -> np.ndarray:
        """Counts of the bins first to end, the last excluded, float32 (2, 32, 32)."""
        return self.bins[recording, self.order[first:end]].sum(0, dtype=np.float32)

    def prefix(self, share: float) -> torch.Tensor:
        """What the network reads of the first share of the time."""
        end = max(1, round(share * len(self.order)))
        parts = [self.window(i, 0, end) for i in range(len(self.labels))]
        return torch.from_numpy(np.stack(parts)) * EVENT_VALUE

    def of(self, chosen: np.ndarray) -> Counts:
        """Those marked in a mask."""
        return Counts(self.bins[chosen], self.labels[chosen], self.order)


def read_counts(path: Path, cache: Path) -> Counts:
    """Counts of a set of recordings, from the cache if it is of the same file."""
    from eventsnn.events import open_recordings

    told = f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns} {BIN_US} {SIDE}"
    return cached(cache, told, lambda: count_events(open_recordings(f"events:{path}"), SIDE, BIN_US))


def cached(cache: Path, told: str, count: Callable[[], Counts]) -> Counts:
    """Counts kept in a file if it is of what is told, else counted and kept there."""
    key = hashlib.sha256(told.encode()).hexdigest()
    if cache.exists():
        with np.load(cache) as archive:
            if str(archive["key"]) == key:
                return Counts(archive["bins"], archive["labels"], np.arange(archive["bins"].shape[1]))
    found = count()
    np.savez(cache, bins=found.bins, labels=found.labels, key=key)
    return found


def count_events(recordings: RecordingSet, side: int, bin_us: int) -> Counts:
    """Counts of recordings, down-sampled to a side, in bins from their first event on."""
    recordings = recordings.downsampled(recordings.height // side) if recordings.height > side else recordings
    found, bins = [], 0
    for recording in recordings:
        events = recording.events
        place = (events["t"] - events["t"][0]) // bin_us
        cell = ((place * 2 + events["p"]) * side + events["y"]) * side + events["x"]
        counts = np.bincount(cell, minlength=int(place[-1] + 1) * 2 * side**2)
        found.append(np.minimum(counts, 255).astype(np.uint8).reshape(-1, 2, side, side))
        bins = max(bins, len(found[-1]))
    whole = np.zeros((len(found), bins, 2, side, side), np.uint8)
    for each, target in zip(found, whole, strict=True):
        target[: len(each)] = each
    return Counts(whole, recordings.labels, np.arange(bins))


def log_views(pictures: np.ndarray, path: np.ndarray) -> np.ndarray:
    """What every second pixel of the sensor sees along a path, float32 (steps, n, 64, 64)."""
    size = SENSOR_SIZE // 2
    scale = pictures.shape[1] / SENSOR_SIZE
    views = []
    for column, row in path:
        lines = []
        for shift in (row, column):
            place = np.clip((2 * np.arange(size) + 0.5 - shift) * scale - 0.5, 0, pictures.shape[1] - 1)
            lines.append(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(pictures.shape[1]))))
        down, across = (torch.from_numpy(line.astype(np.float32)) for line in lines)
        views.append(down @ torch.from_numpy(pictures) @ across.T)
    return torch.log(torch.stack(views) + SmoothMovement.base).numpy()


def training_pictures(source: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, uint8 (n, 3, 32, 32), and labels, of the recipes' folder or of an image file of one's own."""
    if source == "pictures":
        return load("cifar10", "train")
    from eventsnn.events import open_dataset

    found = open_dataset(source, "train")
    images = found.images.transpose(0, 3, 1, 2)
    return images.repeat(3 // images.shape[1], 1), found.labels


def count_pictures(images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> Counts:
    """Counts of training pictures, taken evenly, moved in steps of a pixel.

    Two rounds are computed, by quarters: what follows repeats the second.
    """
    count = min(count, len(images))
    chosen = np.arange(count) * len(images) // count
    grey = np.tensordot(images[chosen], np.array([0.299, 0.587, 0.114], np.float32), axes=(1, 0))
    radius = int(SmoothMovement.path_radius)
    corners = np.array([[0, -1], [1, 0], [0, 1], [-1, 0], [0, -1]]) * radius
    around = np.arange(4 * radius) / radius
    path = np.stack([np.interp(around, np.arange(5), corners[:, axis]) for axis in (0, 1)], axis=1)
    rng = np.random.default_rng(seed)
    bins = np.zeros((count, 8, 2, SIDE, SIDE), np.uint8)
    for begin in range(0, count, 100):
        views = log_views(grey[begin : begin + 100].astype(np.float32), path)
        shape = views.shape[1:]
        spread = 1 + SmoothMovement.threshold_spread * rng.standard_normal(shape, np.float32)
        threshold = SmoothMovement.threshold * np.maximum(spread, 0.25)
        memory = views[0] - threshold * rng.uniform(-0.5, 0.5, shape).astype(np.float32)
        for quarter in range(8):
            found = np.zeros((2, *shape), np.float32)
            for step in range(radius):
                view = views[(quarter * radius + step + 1) % len(path)]
                crossed = np.trunc((view - memory) / threshold)
                memory += crossed * threshold
                found[1] += np.maximum(crossed, 0)
                found[0] += np.maximum(-crossed, 0)
            # Four pixels stand for each that was computed, and two by two of these for a cell.
            cells = 4 * found.reshape(2, -1, SIDE, 2, SIDE, 2).sum((3, 5))
            bins[begin : begin + 100, quarter] = np.minimum(cells, 255).transpose(1, 0, 2, 3)
    order = np.concatenate([np.arange(4), *[np.arange(4, 8)] * (SmoothMovement.loops - 1)])
    return Counts(bins, labels[chosen], order)


def build_network(levels: list[int], dropout: float, width: float) -> nn.Sequential:
    """The untrained network."""
    layers: list[nn.Module] = []
    source, side = 2, SIDE
    for (channels, kernel, stride), steps in zip(SHAPES, levels, strict=True):
        target = round(channels * width)
        convolution = nn.Conv2d(source, target, kernel, stride, kernel // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(target), QCFS(steps)]
        source, side = target, -(-side // stride)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(source * side**2, 10))


def draw_windows(bins: int, n: int, whole: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """First and last bin, both inclusive, of n windows: ``whole`` of them of the whole recording, the others
    of 5 % of it or more, most from the start, as a run sees it."""
    kind = rng.random(n)
    early = np.exp(rng.uniform(math.log(0.05), 0, n))
    share = np.where(kind < whole, 1.0, np.where(kind < (1 + whole) / 2, early, rng.uniform(0.05, 1, n)))
    length = np.maximum(np.round(share * bins).astype(int), 2)
    start = np.where(rng.random(n) < 0.3, (rng.random(n) * (bins - length + 1)).astype(int), 0)
    return start, start + length - 1


def augmented(counts: torch.Tensor, rng: np.random.Generator, mirror: bool = True) -> torch.Tensor:
    """Counts, (n, maps, y, x), with all maps of an input changed alike.

    Moved by up to 3 cells, stretched by up to 15 %, a patch of 8 x 8 cells hidden from half; half of them
    mirrored if that is asked for.
    """
    n, side = len(counts), counts.shape[-1]
    mirrored = np.where(rng.random(n) < 0.5 * mirror, -1.0, 1.0)
    scale = np.exp(rng.uniform(-0.15, 0.15, (2, n)))
    maps = np.zeros((n, 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 1, 1] = mirrored * scale[0], scale[1]
    maps[:, :, 2] = rng.uniform(-6 / side, 6 / side, (n, 2))
    grid = functional.affine_grid(torch.from_numpy(maps), list(counts.shape), align_corners=False)
    moved = functional.grid_sample(counts, grid, mode="nearest", align_corners=False)
    hidden = rng.random(n) < 0.5
    corner = rng.integers(-4, side - 4, (n, 2))
    for k in np.flatnonzero(hidden):
        y, x = (slice(max(0, c), c + 8) for c in corner[k])
        moved[k, :, y, x] = 0
    # Event rates differ between sensors, biases and contrasts.
    return moved * torch.from_numpy(np.exp(rng.uniform(-0.2, 0.2, (n, 1, 1, 1))).astype(np.float32))


def draw_batch(data: Counts, chosen: np.ndarray, whole: float, rng: np.random.Generator) -> torch.Tensor:
    """Augmented inputs, (2, n, 2, 32, 32): for each recording two prefixes a bin apart."""
    first, last = draw_windows(len(data.order), len(chosen), whole, rng)
    before = np.stack([data.window(i, a, b) for i, a, b in zip(chosen, first, last, strict=True)])
    after = before + data.bins[chosen, data.order[last]]
    moved = augmented(torch.from_numpy(np.concatenate([before, after], 1)), rng)
    return torch.stack(moved.chunk(2, 1)) * EVENT_VALUE


@torch.no_grad()
def accuracy(network: nn.Module, data: Counts, share: float = 1.0) -> float:
    """The share of recordings recognised from the first share of their time."""
    network.eval()
    inputs = data.prefix(share)
    guess = np.concatenate([network(part).argmax(1).numpy() for part in inputs.split(250)])
    return float((guess == data.labels).mean())


def train(network: nn.Sequential, data: Counts, held: Counts | None, options: argparse.Namespace) -> bool:
    """Train, going on at the checkpoint if there is one; whether the last epoch is done.

    ``network`` ends with the running average of the weights.
    """
    steps = max(1, len(data.labels) // BATCH)
    optimiser, schedule = adam(network, options, steps * options.epochs, 0.15)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    fan_out = fan_outs(network, (2, SIDE, SIDE))

    def train_epoch(epoch: int) -> str:
        rng = np.random.default_rng([options.seed, epoch])
        torch.manual_seed(options.seed * 1000 + epoch)
        network.train()
        order = rng.permutation(len(data.labels))
        weight = options.penalty * min(1.0, (epoch + 1) / (0.3 * options.epochs))
        sums = np.zeros(3)
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            inputs = draw_batch(data, chosen, options.whole, rng)[0 if options.penalty else 1 :]
            labels = torch.from_numpy(data.labels[chosen]).repeat(len(inputs))
            logits, counts = run_layers(network, inputs.flatten(0, 1))
            operations = torch.zeros(())
            if options.penalty:
                operations = travel(counts, fan_out) * (len(data.order) / 1e6)
            loss = criterion(logits, labels) + weight * operations
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            sums += [loss.item(), (logits.argmax(1) == labels).float().mean().item(), operations.item()]
        loss_mean, hit, cost = sums / steps
        seen = "" if held is None else f" validation {accuracy(network, held):.4f}"
        return f"loss {loss_mean:.3f} train {hit:.4f}{seen} estimated {cost:.1f} M SOPs,"

    parts = {"model": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    if not train_rounds(options, command(options, "test"), parts, options.epochs, train_epoch):
        return False
    # The averaged weights give other activations than those that the batch norms have seen.
    rng = np.random.default_rng([options.seed, options.epochs])
    picks = (rng.choice(len(data.labels), BATCH) for _ in range(min(60, steps * options.epochs)))
    update_bn((draw_batch(data, c, options.whole, rng)[1] for c in picks), average)
    network.load_state_dict(average.module.state_dict())
    return True


def parse() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train a network for recordings of CIFAR10-DVS.")
    parser.add_argument("train", help="HDF5 file of recordings, images:FILE.npz, or 'pictures'")
    parser.add_argument("--pictures", type=int, default=25_000, help="how many of CIFAR-10's 50,000")
    parser.add_argument("--initial", type=Path, help="trained network to start from, of the same layers")
    parser.add_argument("--test", type=Path, help="HDF5 file, looked at once, after the last epoch")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--validation", type=int, default=0, help="every so many recordings are held out")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=float, default=1.0, help="factor of all channels")
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--levels", type=int, nargs=len(SHAPES), default=[8, 8, 8, 8, 16])
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--penalty", type=float, default=0.0003, help="loss per million operations")
    parser.add_argument("--whole", type=float, default=0.4, help="share of inputs that are whole")
    return parser.parse_args()


def main() -> None:
    """Train, test, save."""
    options = parse()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    name = options.output.name
    if options.train == "pictures" or options.train.startswith("images:"):
        data = count_pictures(*training_pictures(options.train), options.pictures, options.seed)
    else:
        data = read_counts(Path(options.train), options.output.with_name(name + ".counts.npz"))
    held = None
    if options.validation:
        out = np.arange(len(data.labels)) % options.validation == 0
        data, held = data.of(~out), data.of(out)
    network = build_network(options.levels, options.dropout, options.width)
    if options.initial is not None:
        network.load_state_dict(load_weights(options.initial))
    print(f"{len(data.labels)} recordings, {sum(p.numel() for p in network.parameters())} parameters")
    if not train(network, data, held, options):
        return
    network.eval()
    torch.save(network, options.output)
    print(f"wrote {options.output}")
    if options.test is not None:
        test = read_counts(options.test, options.output.with_name(name + ".test-counts.npz"))
        for share in SHARES:
            print(f"accuracy on the first {share:4.0%} of the time: {accuracy(network, test, share):.4f}")


if __name__ == "__main__":
    main()
