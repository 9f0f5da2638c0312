"""Spiking softmax outputs: draws from integer weights that repeat everywhere."""

import math
from dataclasses import replace

import numpy as np
import pytest

import eventsnn
from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.engine.reference.softmax import weights
from eventsnn.engine.softmax_tables import exponentials, waits
from eventsnn.errors import InvalidNetwork
from eventsnn.network import Dense, Identity, Input, Network, Population, Projection, Rate, Softmax

ENGINE_NAMES = ("reference", "compiled")
OPTIONS = RunOptions(record_spikes=True)
SCHEDULES = [OPTIONS, replace(OPTIONS, schedule="step", step=100)]


def run(network, stimulus, engine="reference", options=OPTIONS, index=0):
    return make_engine(engine, network, None, options).run(stimulus, index)


def network_of(charges, **parameters):
    """One input event of these charges; logits are hundredths of them."""
    neuron = Softmax(unit=0.01, **parameters)
    return Network(
        [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, len(charges)), neuron)],
        [Projection("p", "in", "out", Dense(np.array([charges])))],
    )


def at_zero(duration):
    nothing = np.zeros(1, dtype=np.int64)
    return Stimulus(nothing, nothing, duration=duration)


def probabilities(charges):
    terms = [math.exp(v / 100) for v in charges]
    return np.array(terms) / sum(terms)


@pytest.mark.parametrize("options", SCHEDULES)
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_every_neuron_spikes_with_its_probability(engine, options):
    """Variant B: 3,000 draws a neuron, within 4 standard deviations of the softmax."""
    charges, n = [100, 0, -50, -2000], 3000
    result = run(network_of(charges, interval=100), at_zero(100 * n), engine, options)
    p = probabilities(charges)
    counts = result.counts["out"]
    assert (np.abs(counts - n * p) <= 4 * np.sqrt(n * p * (1 - p)) + 1e-9).all()
    assert result.spikes.time[-1] <= 100 * n
    assert not (result.spikes.time[1:] % 100).any()
    assert result.counters[1, COLUMN["neuron_updates"]] == 4 * n
    assert result.prediction == 0
    assert result.charge["out"].tolist() == charges  # nothing resets it


@pytest.mark.parametrize("options", SCHEDULES)
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_clock_lets_one_neuron_spike_at_a_time(engine, options):
    """Variant A: about 3,000 Poisson events, each of one neuron by its probability."""
    charges, n = [100, 0, -50], 3000
    result = run(network_of(charges, variant="clock", interval=100), at_zero(100 * n), engine, options)
    total = int(result.counts["out"].sum())
    assert abs(total - n) <= 4 * math.sqrt(n)
    p = probabilities(charges)
    assert (np.abs(result.counts["out"] - total * p) <= 4 * np.sqrt(total * p * (1 - p))).all()
    assert result.counters[1, COLUMN["neuron_updates"]] == 3 * total
    if not options.step:
        wait = np.diff(result.spikes.time[1:])
        assert wait.min() >= 1
        assert abs(wait.std() - 100) < 6  # an exponential's deviation is its mean


@pytest.mark.parametrize("variant", ["clock", "independent"])
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_draws_repeat_and_depend_on_seed_and_sample(engine, variant):
    network, stimulus = network_of([50, 0, 0], variant=variant, interval=100), at_zero(10_000)
    digests = {}
    for seed, index in ((0, 0), (0, 1), (1, 0)):
        options = replace(OPTIONS, seed=seed)
        one, two = (run(network, stimulus, engine, options, index).digest for _ in range(2))
        assert one == two
        digests[one] = True
    assert len(digests) == 3


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_golden_draws(engine):
    """The same spikes on every machine and engine, written out."""
    result = run(network_of([60, 0, 30], interval=10), at_zero(60), engine)
    found = list(zip(result.spikes.time.tolist(), result.spikes.neuron.tolist(), strict=True))[1:]
    assert found == GOLDEN_B
    result = run(network_of([60, 0, 30], variant="clock", interval=10), at_zero(60), engine)
    found = list(zip(result.spikes.time.tolist(), result.spikes.neuron.tolist(), strict=True))[1:]
    assert found == GOLDEN_A


GOLDEN_A = [(2, 2), (23, 0), (27, 2), (29, 0), (36, 2), (44, 1), (55, 0)]
GOLDEN_B = [(10, 0), (20, 2), (40, 2), (50, 0)]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_biases_of_a_softmax_are_charges_or_currents(engine):
    """As a readout's: 5 at time 0, or 5 per 10 ticks while the input lasts."""
    for period, charge in ((0, 5), (10, 15)):
        neuron = Softmax(unit=0.01, period=period, interval=1000)
        network = Network(
            [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, 1), neuron)],
            [Projection("p", "in", "out", Identity(np.array([0])), np.array([5]))],
        )
        assert run(network, at_zero(30), engine).charge["out"].tolist() == [charge]


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_softmax_that_never_spiked_is_undecided(engine):
    result = run(network_of([10, 0], interval=100), at_zero(50), engine)
    assert (result.prediction, result.spikes.time.tolist()) == (-1, [0])


def test_weights_are_the_rounded_exponential():
    table = exponentials()
    assert (len(table), table[0], table[256]) == (5501, 2**30, round(2**30 / math.e))
    assert all(abs(value - 2**30 * math.exp(-i / 256)) < 0.51 for i, value in enumerate(table))
    neuron = Softmax(unit=1.0)
    assert weights([5, 4, -(2**31), 5], neuron) == [2**30, table[256], 0, 2**30]
    fine = Softmax(unit=2.0**-48)
    assert weights([2**31 - 1, -(2**31) + 1], fine) == [2**30, 2**30]


def test_waits_are_exponential():
    table = np.array(waits())
    assert (len(table), (np.diff(table) > 0).all()) == (4096, True)
    assert abs(table.mean() / 2**20 - 1) < 1e-6
    quantile = -np.log1p(-(np.arange(4096) + 0.5) / 4096) * 2**20
    np.testing.assert_allclose(table[:-20], quantile[:-20], rtol=1e-3, atol=1)


def test_a_softmax_survives_a_file(tmp_path):
    network = network_of([1, 2], variant="clock", interval=77)
    network.save(tmp_path / "net.h5")
    loaded = eventsnn.load(tmp_path / "net.h5")
    assert loaded.checksum == network.checksum
    assert loaded.populations["out"].neuron == network.populations["out"].neuron


def before_another():
    one = Identity(np.array([1]))
    return Network(
        [
            Population("in", (1, 1, 1), Input()),
            Population("s", (1, 1, 1), Softmax()),
            Population("n", (1, 1, 1), Rate(5)),
        ],
        [Projection("1", "in", "s", one), Projection("2", "s", "n", one)],
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Softmax(variant="A"), "variant is 'A'; allowed are 'clock', 'independent'"),
        (lambda: Softmax(unit=0.0), "softmax unit is 0.0"),
        (lambda: Softmax(unit=float("nan")), "softmax unit is nan"),
        (lambda: Softmax(interval=0), "interval is 0 ticks"),
        (lambda: Softmax(period=-1), "period is -1 ticks"),
        (before_another, "softmax population 's' has outgoing projections"),
        (lambda: network_of([1]).at_rest(), "'out' of softmax neurons never comes to rest"),
    ],
)
def test_what_is_no_softmax_is_refused(make, message):
    with pytest.raises(InvalidNetwork, match=message):
        make()
