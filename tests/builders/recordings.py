"""A small network and labelled recordings written in the N-MNIST layout."""

import numpy as np

from eventsnn.events import make_events, write_nmnist
from eventsnn.network import Axis, Conv2d, Dense, Input, Network, Population, Projection, Readout, Signed


def small_network(settle_time=0, hysteresis=0):
    """34 x 34 pixels to 6 x 6 x 3 signed neurons to 10 classes."""
    rng = np.random.default_rng(3)
    axis = Axis(5, 6, 1, 1)
    signed = Signed(300, 4, settle_time=settle_time, hysteresis_low=hysteresis, hysteresis_high=hysteresis)
    return Network(
        [
            Population("input", (34, 34, 2), Input()),
            Population("conv", (6, 6, 3), signed),
            Population("out", (1, 1, 10), Readout(unit=0.002)),
        ],
        [
            Projection("1", "input", "conv", Conv2d(rng.integers(-90, 110, (5, 5, 2, 3)), axis, axis)),
            Projection(
                "2", "conv", "out", Dense(rng.integers(-300, 300, (108, 10))), rng.integers(0, 99, 10)
            ),
        ],
    )


def random_events(rng, n=120):
    time = np.sort(rng.integers(0, 3000, n))
    x, y, p = rng.integers(0, 34, n), rng.integers(0, 34, n), rng.integers(0, 2, n).astype(bool)
    return make_events(time, x, y, p)


def write_recordings(folder, per_class=2, classes=10):
    """``<folder>/<digit>/<number>.bin``."""
    rng = np.random.default_rng(11)
    for label in range(classes):
        (folder / str(label)).mkdir(parents=True)
        for number in range(per_class):
            write_nmnist(folder / str(label) / f"{number:05d}.bin", random_events(rng))
    return folder


def numbered_events(n=10):
    """One event a microsecond along the diagonal."""
    return make_events(np.arange(n), np.arange(n) % 34, np.arange(n) % 34, np.arange(n) % 2)


def touch(root, *names):
    """Empty files, with the folders they need."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
