"""Floating-point engines: the step schedule as a tensor framework computes it, for comparison only."""

from dataclasses import replace

import numpy as np
import pytest
from builders.draws import SEEDS, generator
from builders.floors import asserting, asserts_at_least
from builders.networks import (
    random_network,
    random_stimulus,
    single,
    with_analog,
    with_cycles,
    with_payloads,
    with_rates,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.decide import parse_rule
from eventsnn.engine import COMPARISON_ENGINES, ENGINES, RunOptions, Stimulus, make_engine
from eventsnn.engine.floating.engine import FloatEngine
from eventsnn.errors import EventLimitReached, InvalidEvents, InvalidRequest, NotYetSupported
from eventsnn.hardware import load_architecture, map_network
from eventsnn.network import (
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    MaxGate,
    MaxPool,
    Network,
    Population,
    Projection,
    Rate,
    Signed,
    Sparse,
    leak_factor_of,
)

DTYPE = st.sampled_from(COMPARISON_ENGINES)
EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def run(network, stimulus, engine="float64", step=0, **options):
    chosen = RunOptions(schedule="step", step=step, record_spikes=True, **options)
    return make_engine(engine, network, None, chosen).run(stimulus)


def without_leaks(network):
    populations = [
        replace(p, neuron=replace(p.neuron, leak_period=0, leak_factor=2**30))
        if isinstance(p.neuron, Rate)
        else p
        for p in network
    ]
    return Network(populations, network.projections.values(), network.metadata)


def assert_same_numbers(found, expected):
    """Everything but the digests."""
    for part, names in (
        ("spikes", ("time", "rank", "neuron", "payload")),
        ("trace", ("time", "readout", "synaptic_operations", "spikes", "energy")),
    ):
        for name in names:
            one, other = getattr(getattr(found, part), name), getattr(getattr(expected, part), name)
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.counters, expected.counters)
    for name in expected.charge:
        np.testing.assert_array_equal(found.charge[name], expected.charge[name])
        np.testing.assert_array_equal(found.exact_charge[name], expected.charge[name])
        np.testing.assert_array_equal(found.counts[name], expected.counts[name])
        for cause in expected.lost:
            np.testing.assert_array_equal(found.lost[cause][name], expected.lost[cause][name])
    for name in ("prediction", "decision_time", "decided_early", "first_event"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.digest != expected.digest


@asserts_at_least(40)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.booleans(), st.booleans(), DTYPE)
@EXAMPLES
def test_floats_below_their_limit_compute_the_integer_network(seed, kind, delays, lazy, dtype):
    """Spikes, counters, charges, losses, traces: payloads, analog values, delays, cycles, exit rules."""
    step = 1 + seed % 2000
    network = without_leaks(with_rates(random_network(seed, kind, delays, lazy), seed, step))
    if seed % 5 == 0:
        network = with_cycles(network, seed, step)
    stimulus = random_stimulus(seed, network, span=20 * step)
    if seed % 2:
        stimulus = with_payloads(stimulus, seed)
    if seed % 3 == 0:
        stimulus = with_analog(stimulus, network, seed)
    options = {"exit_rule": parse_rule("max-probability:0.9") if seed % 7 < 3 else None, "max_events": 20_000}
    try:
        expected = run(network, stimulus, "reference", step, **options)
    except (EventLimitReached, InvalidRequest, InvalidEvents) as error:
        with pytest.raises(type(error)):
            run(network, stimulus, dtype, step, **options)
        return
    asserting()
    assert_same_numbers(run(network, stimulus, dtype, step, **options), expected)


@asserts_at_least(40)
@given(SEEDS, DTYPE)
@EXAMPLES
def test_every_kind_of_synapses_adds_the_same(seed, dtype):
    """One layer behind listed, grouped, transposed, pooled and offset synapses: charges of one step."""
    rng = generator(seed)
    shape = (int(rng.integers(4, 8)), int(rng.integers(4, 8)), 4)
    axes = [
        Axis(int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(0, 2)), 1, transposed=True)
        if flip
        else Axis(int(rng.integers(1, 3)), 1, 1, 0, int(rng.integers(1, 3)), pool=int(rng.integers(1, 3)))
        for flip in rng.random(2) < 0.4
    ]
    weight = rng.integers(-50, 50, (axes[0].taps, axes[1].taps, 2, 6))
    conv = Conv2d(weight, *axes, groups=2)
    own = conv.target_shape(shape)
    if min(own) < 1:
        return
    asserting()
    target = (*own[:2], own[2] + 3)
    size = int(np.prod(shape))
    many = (rng.random((size, int(np.prod(target)))) < 0.1) * rng.integers(-9, 9, (size, 1))
    source, end = np.nonzero(many)
    listed = Sparse.from_edges(source, end, many[source, end], size, target)
    network = Network(
        [Population("in", shape, Input()), Population("n", target, Rate(2**20, period=10))],
        [
            Projection("conv", "in", "n", conv, channel_offset=int(rng.integers(0, 4))),
            Projection("list", "in", "n", listed),
        ],
    )
    stimulus = with_payloads(random_stimulus(seed, network, span=9), seed)
    assert_same_numbers(run(network, stimulus, dtype), run(network, stimulus, "reference"))


@given(SEEDS)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_leaks_agree_within_half_a_quantum_a_step(seed):
    """One leaky layer below threshold: each step rounds once, and earlier roundings leak away."""
    rng = generator(seed)
    step, tau = 10, float(rng.uniform(20, 400))
    factor = leak_factor_of(tau, step)
    neuron = Rate(2**20, period=step, leak_period=step, leak_factor=factor)
    network = Network(
        [Population("in", (1, 1, 8), Input()), Population("n", (1, 1, 5), neuron)],
        [Projection("p", "in", "n", Dense(rng.integers(-3000, 3000, (8, 5))))],
    )
    stimulus = random_stimulus(seed, network, span=40 * step)
    found, expected = run(network, stimulus), run(network, stimulus, "reference")
    left = factor / 2**30
    within = 0.5 / (1 - left)
    assert np.abs(found.exact_charge["n"] - expected.charge["n"]).max() <= within
    options = RunOptions(schedule="step")
    exact = FloatEngine(network, None, options, "float64", {"n": np.exp(-step / tau)}).run(stimulus)
    # Of the factor, 2^-31 at most is rounded away, for each of the steps a charge lives.
    scale = np.abs(found.exact_charge["n"]).max() + 3000 * len(stimulus.time)
    assert np.abs(exact.exact_charge["n"] - found.exact_charge["n"]).max() <= scale * 40 * 2.0**-30


def test_a_leaky_network_agrees_nearly_spike_for_spike():
    rng = np.random.default_rng(3)
    step, one = 1000, 2**16
    neuron = Rate(one, period=step, leak_period=step, leak_factor=leak_factor_of(10, 1), multispike=False)
    network = Network(
        [
            Population("in", (1, 1, 40), Input()),
            Population("a", (1, 1, 30), neuron),
            Population("b", (1, 1, 10), neuron),
        ],
        [
            Projection("1", "in", "a", Dense(rng.integers(-one // 5, one // 3, (40, 30)))),
            Projection("2", "a", "b", Dense(rng.integers(-one // 5, one // 3, (30, 10)))),
        ],
    )
    time, source = np.nonzero(rng.random((300, 40)) < 0.1)
    stimulus = Stimulus(time * step, source)
    expected = run(network, stimulus, "reference")
    for dtype in COMPARISON_ENGINES:
        found = run(network, stimulus, dtype)
        assert len(expected.spikes.time) > 1000
        assert abs(len(found.spikes.time) - len(expected.spikes.time)) <= 0.002 * len(expected.spikes.time)


ONE_EVENT = Stimulus(np.array([0]), np.array([0]))


def test_float32_loses_quanta_above_2_to_the_24():
    """The reason these engines are no engines of record."""
    network = single(Rate(2**20, period=10, strict=True, lower_clamp=-(2**25)), -1)
    large = Stimulus(np.arange(2) * 10, np.zeros(2, dtype=np.int64), payload=np.array([2**24, 1]))
    charges = {name: run(network, large, name).charge["n"][0] for name in ("reference", *COMPARISON_ENGINES)}
    assert charges == {"reference": -(2**24) - 1, "float64": -(2**24) - 1, "float32": -(2**24)}


def test_charges_may_leave_32_bits():
    network = single(Signed(2**20, 1), -(2**30))
    events = Stimulus(np.arange(5), np.zeros(5, dtype=np.int64))
    assert run(network, events, step=1).charge["n"].tolist() == [2**19 - 5 * 2**30]


def test_digests_are_their_own_and_repeat():
    network = single(Rate(1, period=10))
    digests = [run(network, ONE_EVENT, name).digest for name in (*ENGINES, *COMPARISON_ENGINES)]
    assert len(set(digests)) == 3
    assert digests[0] == digests[1]
    assert run(network, ONE_EVENT).digest == digests[3]
    assert all(len(digest) == 32 for digest in digests)


@pytest.mark.parametrize("engine", COMPARISON_ENGINES)
def test_what_floats_do_not_do_is_refused(engine):
    network = single(Rate(1, period=10))
    with pytest.raises(InvalidRequest, match=f"'{engine}' computes whole timesteps.* no event schedule"):
        make_engine(engine, network)
    mapping = map_network(network, load_architecture("event-conv-small"))
    with pytest.raises(InvalidRequest, match=r"no accelerator\. Use schedule='step' without hardware"):
        make_engine(engine, network, mapping, RunOptions(schedule="step"))
    gates = Network(
        [Population("in", (2, 1, 1), Input()), Population("n", (1, 1, 1), MaxGate())],
        [Projection("p", "in", "n", MaxPool(Axis(2), Axis(1)))],
    )
    with pytest.raises(NotYetSupported, match="max gates"):
        make_engine(engine, gates, None, RunOptions(schedule="step", step=10))
    with pytest.raises(EventLimitReached, match="max_events = 100"):
        run(single(Rate(1, period=10), 2**20), ONE_EVENT, engine, max_events=100)


def test_leaks_are_given_for_populations_that_leak():
    with pytest.raises(InvalidRequest, match="leaks are given for n; populations that leak are none"):
        FloatEngine(single(Rate(1, period=10)), None, RunOptions(schedule="step"), "float64", {"n": 0.5})
    with pytest.raises(InvalidRequest, match="dtype 'float16' is not known"):
        FloatEngine(single(Rate(1, period=10)), None, RunOptions(schedule="step"), "float16")
    with pytest.raises(InvalidRequest, match="allowed are compiled, reference, float32, float64"):
        make_engine("float16", single(Rate(1)))


def test_identity_and_delays():
    network = Network(
        [Population("in", (1, 1, 2), Input()), Population("n", (1, 1, 2), Rate(3, period=10))],
        [Projection("p", "in", "n", Identity(np.array([2, 7])), None, 20)],
    )
    stimulus = Stimulus(np.array([0, 0]), np.array([0, 1]), duration=40)
    assert_same_numbers(run(network, stimulus), run(network, stimulus, "reference"))
