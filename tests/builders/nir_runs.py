"""Runs of what was read from NIR, beside the nodes' own equations."""

import warnings

import numpy as np
from oracles.nir_values import Stepped, channels_last, named

from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.nir import from_nir

TICKS = 10**9
OWN = {"reset": "hard", "comparison": "greater", "spikes": "one", "lower_clamp": None}
CHOICES = [
    OWN,
    OWN | {"comparison": "greater-or-equal"},
    OWN | {"reset": "soft", "comparison": "greater-or-equal"},
    OWN | {"reset": "soft", "spikes": "many"},
    OWN | {"reset": "soft", "comparison": "greater-or-equal", "spikes": "many", "lower_clamp": -1.0},
    OWN | {"lower_clamp": -0.5},
]


def random_frames(rng, graph, steps=7):
    """Counts of the input's spikes in each step, in NIR's shape."""
    shape = tuple(int(n) for n in np.asarray(graph.nodes["input"].input_type["input"]).reshape(-1))
    return rng.poisson(0.6, (steps, *shape))


def stimulus(frames):
    """Frames as input spikes in the middle of their steps."""
    steps, neurons, counts = [], [], []
    for step, frame in enumerate(frames):
        row = channels_last(frame)
        for neuron in np.flatnonzero(row):
            steps += [step] * row[neuron]
            neurons += [neuron] * row[neuron]
            counts.append(row[neuron])
    time = np.array(steps, dtype=np.int64) * TICKS + TICKS // 2
    return Stimulus(time, np.array(neurons, dtype=np.int64), None, None, len(frames) * TICKS)


def run(network, frames, engine):
    options = RunOptions(schedule="step", step=TICKS, record_spikes=True)
    return make_engine(engine, network, None, options).run(stimulus(frames))


def spikes_by_step(network, found, steps):
    """Spike counts of each population, (steps, neurons)."""
    by_name = {p.name: np.zeros((steps, p.size), dtype=np.int64) for p in network}
    spikes = found.spikes
    for rank, neuron, time, payload in zip(
        spikes.rank, spikes.neuron, spikes.time, spikes.payload, strict=True
    ):
        by_name[network.order[rank]][time // TICKS - 1, neuron] += payload
    return by_name


def check(graph, frames, choices, engine="reference", integration="exponential", tolerance=0.0, source=None):
    """Spikes of every firing population, and what readouts hold in the end; ``source`` is what is read."""
    with warnings.catch_warnings():
        warnings.simplefilter("error" if source is None else "ignore")
        network = from_nir(
            graph if source is None else source, step_us=1000, integration=integration, **choices
        )
    steps = len(frames)
    found = run(network, frames, engine)
    emitted = spikes_by_step(network, found, steps)
    oracle = Stepped(graph, step_us=1000, integration=integration, **choices)
    output = np.zeros(())
    for step, frame in enumerate(frames):
        output = output + oracle.step(frame.astype(np.float64))
        values = named(oracle)
        for population in network:
            if population.neuron.emits == "unit spikes":
                expected = channels_last(values[population.name])
                assert np.array_equal(emitted[population.name][step], expected), (population.name, step)
    for population in network:
        if population.neuron.emits == "nothing":
            summed = type(graph.nodes.get(population.name)).__name__ == "Output"
            expected = channels_last(output if summed else values[population.name])
            held = getattr(found, "exact_charge", found.charge)[population.name] * population.neuron.unit
            np.testing.assert_allclose(held, expected, rtol=0, atol=tolerance)
    return network, found
