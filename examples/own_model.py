"""Bring your own model: train in PyTorch, convert, save, load, simulate spike by spike.

Takes seconds, needs eventsnn[torch]. The pictures are drawn here: 12 x 12 pixels with a bar that lies,
stands, or leans to either side, under noise.
"""

import numpy as np
import torch
from torch import nn

import eventsnn

SIZE, CLASSES = 12, ("lying", "standing", "falling", "rising")
COSTS = {"synaptic_operations": "work", "latency_s": "latency", "energy_j": "energy"}


def pictures(n, seed):
    """Grey values from 0 to 1, shape (n, y, x, channel), and classes, shape (n,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    images = 0.25 * rng.random((n, SIZE, SIZE, 1))
    along = np.arange(2, SIZE - 2)
    for image, label in zip(images, labels, strict=True):
        across = rng.integers(3, SIZE - 3) if label < 2 else 0
        rows = {0: across, 1: along, 2: along, 3: SIZE - 1 - along}[int(label)]
        columns = {0: along, 1: across, 2: along, 3: along}[int(label)]
        image[rows, columns] = rng.uniform(0.7, 1.0)
    return images, labels


def train(images, labels):
    """A small convolutional network of layers that can be converted, in evaluation mode."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 36, 4)
    )
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimiser.step()
    return model.eval()


def as_torch(images):
    """The model's order of axes: (n, channel, y, x)."""
    return torch.tensor(images.transpose(0, 3, 1, 2), dtype=torch.float32)


def main():
    """Train, convert, save, load, simulate, compare."""
    images, labels = pictures(400, seed=1)
    model = train(as_torch(images), torch.tensor(labels))

    # Calibrate on training pictures: they set how much activation a spike stands for. Charges: each grey
    # value will land at once, as a charge at time 0.
    network = eventsnn.convert(model, as_torch(images), input="charge")
    network.save("own.h5")

    network = eventsnn.load("own.h5")
    held_out, truth = pictures(200, seed=2)
    samples = list(zip(held_out, truth, strict=True))
    full = eventsnn.simulate(network, samples, hardware="event-conv-small")
    quick = eventsnn.simulate(network, samples, hardware="event-conv-small", exit="margin:0.9")

    with torch.no_grad():
        answers = model(as_torch(held_out)).argmax(1).numpy()
    agree = int((full.table.column("prediction") == answers).sum())
    print(f"the model is right on {(answers == truth).sum()} of {len(truth)} pictures")
    print(f"the spiking network is right on {full.correct.sum()}, and agrees on {agree}")
    means = [{name: run.summary()[name]["mean"] for name in COSTS} for run in (quick, full)]
    saved = [f"less {words}" for name, words in COSTS.items() if means[0][name] < means[1][name]]
    print(f"stopping when sure it is right on {quick.correct.sum()}, with {', '.join(saved)}")

    full.save("own-results.h5")
    print(f"saved and opened, the same run: {eventsnn.Results.load('own-results.h5').digest == full.digest}")


if __name__ == "__main__":
    main()
