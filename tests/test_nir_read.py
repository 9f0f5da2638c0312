"""NIR graphs read as networks: every neuron's spikes are those of the nodes' equations in NumPy."""

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="the extra nir is not installed")

from builders.nir_graphs import random_graph  # noqa: E402
from builders.nir_runs import CHOICES, TICKS, check, random_frames, run, stimulus  # noqa: E402

from eventsnn.counting.counters import COLUMN  # noqa: E402
from eventsnn.engine import RunOptions, make_engine  # noqa: E402
from eventsnn.errors import InvalidNetwork  # noqa: E402
from eventsnn.nir import from_nir, to_nir  # noqa: E402


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


def several(rng, graph, lowest=2.0, highest=9.0):
    """The same graph, each time constant now one of each neuron, or of each channel."""
    for node in graph.nodes.values():
        if type(node).__name__ == "NIRGraph":
            several(rng, node, lowest, highest)
        for name in ("tau", "tau_mem", "tau_syn"):
            tau = getattr(node, name, None)
            if tau is None:
                continue
            drawn = tau.shape if rng.random() < 0.5 else (tau.shape[0], *[1] * (tau.ndim - 1))
            setattr(node, name, np.broadcast_to(rng.uniform(lowest, highest, drawn) * 1e-3, tau.shape).copy())
    return graph


@pytest.mark.parametrize("seed", range(50))
def test_several_time_constants_in_one_node(seed):
    """tau, tau_mem and tau_syn of every neuron: the float engine steps them as the equations say."""
    rng = np.random.default_rng(6000 + seed)
    graph = several(rng, random_graph(rng, leaky=True, resets=seed % 3 == 0))
    integration = ("exponential", "euler")[seed % 2]
    network, _ = check(graph, random_frames(rng, graph), CHOICES[seed % 2], "float64", integration, 1e-3)
    for population in network:
        assert population.factors("leak_factor").max() == getattr(population.neuron.ruled, "leak_factor", 0)


@pytest.mark.parametrize("seed", range(16))
def test_several_time_constants_on_both_integer_engines_and_back_from_nir(seed):
    rng = np.random.default_rng(7000 + seed)
    graph = several(rng, random_graph(rng, leaky=True))
    network = from_nir(graph, step_us=1000)
    frames = random_frames(rng, graph)
    compiled, reference = (run(network, frames, engine) for engine in ("compiled", "reference"))
    assert compiled.digest == reference.digest
    for name, charge in reference.charge.items():
        assert np.array_equal(compiled.charge[name], charge)
    if any(p.synapses.kind == "sparse" for p in network.projections.values()):
        return  # which has no node in NIR
    back = from_nir(to_nir(network))
    for name, population in network.populations.items():
        for key in ("leak_factors", "synapse_factors"):
            one, other = getattr(population, key), getattr(back.populations[name], key)
            assert (one is None) == (other is None)
            assert one is None or np.array_equal(one, other)
    assert run(back, frames, "reference").digest == reference.digest


def delayed(rng, late, *before):
    """Four inputs over a Delay of these steps, behind ``before``, to two leaky neurons."""
    one = np.ones(2)
    return nir.NIRGraph.from_list(
        nir.Input(np.array([4])), *before, nir.Delay(np.array(late) * 1e-3),
        nir.Affine(rng.integers(-32, 64, (2, 4)) / 16, np.array([0.25, 0.0])),
        nir.LIF(5e-3 * one, 4 * one, 0 * one, one, 0 * one), nir.Output(np.array([2])), type_check=False,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_several_delays_before_weights_are_several_projections(seed):
    """One of each delay; every synapse is in one of them, biases come once."""
    rng = np.random.default_rng(seed)
    late = rng.integers(1, 5, 4)
    graph = delayed(rng, late, nir.Scale(rng.integers(1, 4, 4) / 2.0))
    network, _ = check(graph, random_frames(rng, graph, 20), CHOICES[0], "float64", tolerance=1e-3)
    assert sorted(p.delay for p in network.projections.values()) == [10**9 * n for n in np.unique(late)]
    assert network.synapses() == 8
    frames = random_frames(rng, graph, 20)
    compiled, reference = (run(network, frames, engine) for engine in ("compiled", "reference"))
    assert compiled.digest == reference.digest
    assert reference.counters[1, COLUMN["synaptic_operations"]] == 2 * sum(
        frames[: 20 - steps, place].sum() for place, steps in enumerate(late)
    )


def test_several_delays_behind_what_adds_up_are_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(InvalidNetwork, match="behind what adds several signals up"):
        from_nir(delayed(rng, [1, 2, 1, 1], nir.Linear(np.ones((4, 4)))), step_us=1000)
    many = nir.NIRGraph.from_list(
        nir.Input(np.array([65])), nir.Delay(np.arange(65) * 1e-3), nir.Linear(np.ones((1, 65))),
        nir.IF(np.ones(1), np.ones(1), np.zeros(1)), nir.Output(np.array([1])), type_check=False,
    )  # fmt: skip
    with pytest.raises(InvalidNetwork, match="65 different delays"):
        from_nir(many, step_us=1000)


def test_synaptic_currents_run_in_both_schedules():
    """On both engines alike, whose readouts leak, too, between events."""
    one = np.ones(2)
    node = nir.CubaLIF(0.003 * one, 0.002 * one, 6 * one, 0 * one, one)
    graph = nir.NIRGraph.from_list(
        nir.Linear(np.eye(2)), node, nir.Affine(np.eye(2), one), nir.LI(0.01 * one, one, 0 * one),
        type_check=False,
    )  # fmt: skip
    network = from_nir(graph, step_us=1000)
    frames = np.ones((9, 2), dtype=int)
    for schedule in ("step", "event"):
        options = RunOptions(schedule=schedule, step=TICKS if schedule == "step" else 0)
        runs = [
            make_engine(name, network, None, options).run(stimulus(frames))
            for name in ("compiled", "reference")
        ]
        assert runs[0].digest == runs[1].digest
        assert runs[0].counts["cubalif"].sum() > 4
        assert np.array_equal(runs[0].charge["li"], runs[1].charge["li"])
