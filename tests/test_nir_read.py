"""NIR graphs read as networks: every neuron's spikes are those of the nodes' equations in NumPy."""

import warnings

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="the extra nir is not installed")

from builders.nir_graphs import random_graph  # noqa: E402
from oracles.nir_values import Stepped, channels_last, named  # noqa: E402

from eventsnn.engine import RunOptions, Stimulus, make_engine  # noqa: E402
from eventsnn.nir import from_nir  # noqa: E402

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
    shape = tuple(graph.nodes["input"].input_type["input"])
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


def check(graph, frames, choices, engine="reference", integration="exponential", tolerance=0.0):
    """Spikes of every firing population, and what readouts hold in the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = from_nir(graph, step_us=1000, integration=integration, **choices)
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


@pytest.mark.parametrize("seed", range(120))
def test_random_graphs_of_exact_numbers_spike_as_their_equations_say(seed):
    rng = np.random.default_rng(seed)
    choices = CHOICES[seed % len(CHOICES)]
    graph = random_graph(rng, alike=choices["lower_clamp"] is not None)
    check(graph, random_frames(rng, graph), choices)


@pytest.mark.parametrize("seed", range(60))
def test_leaky_graphs_do_in_floating_point(seed):
    """Leaks round in integers; the float engine keeps what the equations say."""
    rng = np.random.default_rng(1000 + seed)
    choices = CHOICES[seed % len(CHOICES)]
    graph = random_graph(rng, leaky=True, alike=choices["lower_clamp"] is not None)
    integration = ("exponential", "euler")[seed % 2]
    check(graph, random_frames(rng, graph), choices, "float64", integration, 1e-3)


@pytest.mark.parametrize("seed", range(12))
def test_both_integer_engines_step_what_was_read_alike(seed):
    rng = np.random.default_rng(2000 + seed)
    graph = random_graph(rng, leaky=True)
    network = from_nir(graph, step_us=1000)
    frames = random_frames(rng, graph)
    compiled, reference = (run(network, frames, engine) for engine in ("compiled", "reference"))
    assert compiled.digest == reference.digest
    for name, charge in reference.charge.items():
        assert np.array_equal(compiled.charge[name], charge)
        for cause, lost in reference.lost.items():
            assert np.array_equal(compiled.lost[cause][name], lost[name])


def test_every_kind_of_synapses_is_read():
    """Of the random graphs above: none of the short ways from nodes to synapses goes untested."""
    kinds = set()
    for seed in range(120):
        network = from_nir(random_graph(np.random.default_rng(seed)), step_us=1000)
        kinds |= {projection.synapses.kind for projection in network.projections.values()}
    assert kinds >= {"conv2d", "dense", "sparse", "sum_pool", "average_pool", "identity"}
