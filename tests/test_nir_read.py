"""NIR graphs read as networks: every neuron's spikes are those of the nodes' equations in NumPy."""

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="the extra nir is not installed")

from builders.nir_graphs import random_graph  # noqa: E402
from builders.nir_runs import CHOICES, check, random_frames, run  # noqa: E402

from eventsnn.engine import RunOptions, make_engine  # noqa: E402
from eventsnn.errors import InvalidRequest, NotYetSupported  # noqa: E402
from eventsnn.nir import from_nir  # noqa: E402


@pytest.mark.parametrize("seed", range(120))
def test_random_graphs_of_exact_numbers_spike_as_their_equations_say(seed):
    rng = np.random.default_rng(seed)
    choices = CHOICES[seed % len(CHOICES)]
    graph = random_graph(rng, alike=choices["lower_clamp"] is not None)
    check(graph, random_frames(rng, graph), choices)


@pytest.mark.parametrize("seed", range(60))
def test_resets_to_other_voltages_than_zero_do_too(seed):
    rng = np.random.default_rng(3000 + seed)
    graph = random_graph(rng, resets=True)
    check(graph, random_frames(rng, graph), CHOICES[seed % 2])


@pytest.mark.parametrize("seed", range(30))
def test_leaks_towards_other_voltages_than_zero_do_in_floating_point(seed):
    rng = np.random.default_rng(4000 + seed)
    graph = random_graph(rng, leaky=True, resets=True)
    check(
        graph,
        random_frames(rng, graph),
        CHOICES[seed % 2],
        "float64",
        ("exponential", "euler")[seed % 2],
        1e-3,
    )


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
    graph = random_graph(rng, leaky=True, resets=True)
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


@pytest.mark.parametrize("seed", range(20))
def test_synaptic_currents_in_integers_are_nearly_those_in_floats(seed):
    """Rounding to 2^-16 thresholds: as many spikes, but for those that it just makes or not."""
    rng = np.random.default_rng(5000 + seed)
    size, taus = 3, [np.full(3, 1e-3 * float(rng.integers(1, 9))) for _ in range(2)]
    one = np.ones(size)
    node = nir.CubaLIF(*taus, 4 * one, 0 * one, one, 0 * one, 2 * one)
    graph = nir.NIRGraph.from_list(
        nir.Linear(rng.normal(1.0, 1.0, (3, 4))), node, nir.Linear(rng.normal(size=(2, 3))),
        nir.CubaLI(taus[0][:2], taus[1][:2], np.ones(2), np.zeros(2), np.ones(2)), type_check=False,
    )  # fmt: skip
    network = from_nir(graph, step_us=1000)
    frames = random_frames(rng, graph, 40)
    floating, whole = (run(network, frames, engine) for engine in ("float64", "reference"))
    assert floating.counts["cubalif"].sum() > 0
    assert np.array_equal(floating.counts["cubalif"], whole.counts["cubalif"])
    unit = network.populations["cubali"].neuron.unit
    assert np.allclose(
        floating.exact_charge["cubali"] * unit, whole.charge["cubali"] * unit, rtol=0, atol=0.01
    )


def test_synaptic_currents_are_refused_where_they_are_not_stepped():
    one = np.ones(2)
    node = nir.CubaLIF(0.01 * one, 0.02 * one, one, 0 * one, one)
    network = from_nir(nir.NIRGraph.from_list(nir.Linear(np.eye(2)), node, type_check=False), step_us=1000)
    frames = np.ones((2, 2), dtype=int)
    with pytest.raises(NotYetSupported, match="synaptic current"):
        run(network, frames, "compiled")
    with pytest.raises(InvalidRequest, match="knows steps without an accelerator only"):
        make_engine("reference", network, None, RunOptions(schedule="event"))
