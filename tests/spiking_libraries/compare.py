"""Compares random networks with their libraries: ``python -m spiking_libraries.compare FIRST LAST``.

Run from ``tests/`` where the libraries are installed. Prints, by library, networks, tests of a neuron in a
step, spikes, and how many differ in float64; readouts apart by more than 10^-6 are counted as well.
"""

from __future__ import annotations

import sys

import numpy as np

import eventsnn
from spiking_libraries.make_fixtures import library_spikes
from spiking_libraries.networks import NETWORKS, STEPS, network
from spiking_libraries.runs import counts_as_events, image_as_current, of_ours

STEP = 10**9


def compared(library, seed):
    """Tests, spikes, spikes that differ, readouts that differ."""
    theirs = library_spikes(library, seed)
    model, _, shape, frames, image = network(library, seed)
    made = eventsnn.from_spiking(model, shape)
    out = made.populations[made.output].neuron
    found = np.zeros(4, dtype=np.int64)
    for what in ("events", "analog"):
        held = image_as_current(image, made, STEPS, STEP)
        ours, run = of_ours(made, counts_as_events(frames, STEP) if what == "events" else held, STEPS)
        for name, wanted in theirs.items():
            kind, _, path = name.partition("/")
            if kind != what:
                continue
            if path == "result":
                if out.only_read:
                    charge = run.exact_charge[made.output] * out.unit
                    found[3] += np.abs(charge - wanted.sum(axis=0)).max() > 1e-6
                continue
            (own,) = (one for one in made.order if one == path or one.endswith(f"_{path}"))
            found[:3] += wanted.size, int(wanted.sum()), int((ours[own] != wanted).sum())
    return found


def main(first, last):
    for library in NETWORKS:
        total = sum(compared(library, seed) for seed in range(first, last))
        tests, spikes, different, readouts = map(int, total)
        sys.stdout.write(
            f"{library}: {last - first} networks, {tests} tests, {spikes} spikes, {different} differ; "
            f"{readouts} readouts differ\n"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
