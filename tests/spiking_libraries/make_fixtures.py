"""Writes what real libraries make of the random networks: ``python -m spiking_libraries.make_fixtures``.

Run from ``tests/`` where the libraries are installed (spikingjelly 2.0.0, snntorch 1.0.0, sinabs 3.1.3,
norse 1.1.0). Each file holds, for its library's version, the spikes of every neuron in every step.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from eventsnn.convert.spiking.stand_ins import LIBRARIES, root_of
from spiking_libraries.networks import NETWORKS, STEPS, network
from spiking_libraries.runs import of_library

FOLDER = Path(__file__).parent
SEEDS = range(6)


def is_neurons(module):
    root = root_of(type(module))
    return root in LIBRARIES and type(module).__name__ in LIBRARIES[root].NEURONS


def library_spikes(library, seed):
    """By ``what/path``: spikes of counts and of an image held; by ``what/result`` what the model returns."""
    found = {}
    for what in ("events", "analog"):
        model, sequences, _, frames, image = network(library, seed)
        given = frames if what == "events" else np.repeat(image[None] / 255.0, STEPS, axis=0)
        spikes, result = of_library(model, sequences, given, is_neurons)
        found |= {f"{what}/{path}": rows.astype(np.uint8) for path, rows in spikes.items()}
        found[f"{what}/result"] = result
    return found


def main(libraries):
    for library in libraries:
        held = {"version": np.array(version(library))}
        for seed in SEEDS:
            held |= {f"{seed}/{name}": value for name, value in library_spikes(library, seed).items()}
        np.savez_compressed(FOLDER / f"{library}.npz", **held)


if __name__ == "__main__":
    main(sys.argv[1:] or NETWORKS)
