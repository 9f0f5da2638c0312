"""The command line as a process of its own, and the files it is given."""

import subprocess
import sys

import numpy as np

from builders.recordings import small_network, write_recordings
from eventsnn.run.simulate import simulate


def eventsnn(*arguments, cwd=None):
    command = [sys.executable, "-m", "eventsnn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def write_files(folder):
    """A network, recordings, images good and bad, and the results of an ideal run."""
    small_network().save(folder / "net.h5")
    write_recordings(folder / "set")
    images = np.random.default_rng(0).integers(0, 256, (4, 34, 34, 2)).astype(np.uint8)
    np.savez(folder / "images.npz", x=images, y=np.arange(4))
    np.savez(folder / "narrow.npz", x=images[..., :1])
    np.savez(folder / "nan.npz", x=np.full((1, 34, 34, 2), np.nan))
    simulate(small_network(), f"nmnist:{folder / 'set'}", engine="reference", samples=1).save(
        folder / "ideal.h5"
    )
