"""Compact mode: proven bounds of charges, and the network in int8 weights."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from builders.draws import SEEDS, few
from builders.floors import asserting, asserts_at_least
from builders.networks import (
    random_network,
    random_stimulus,
    with_analog,
    with_cycles,
    with_gates,
    with_payloads,
    with_rates,
    without_currents,
)
from builders.watched import watched_sample
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.errors import EventLimitReached, InvalidEvents, InvalidNetwork, InvalidRequest
from eventsnn.network import (
    Dense,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
    load_network,
)
from eventsnn.network.bounds import InputLimits, charge_bound
from eventsnn.network.compact import COMPACT_CHARGE, compacted, is_compact

EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)


def limits_of(stimulus, network, step):
    """What is true of one stimulus."""
    size = network.populations[network.input].size
    payload = np.ones(len(stimulus.time), dtype=np.int64) if stimulus.payload is None else stimulus.payload

    def sums(steps):
        found = np.zeros((2, steps.max() + 1, size), dtype=np.int64)
        np.add.at(found[0], (steps, stimulus.neuron), np.minimum(payload, 0))
        np.add.at(found[1], (steps, stimulus.neuron), np.maximum(payload, 0))
        return int(found[0].min()), int(found[1].max())

    return InputLimits(
        payload=(min(0, int(payload.min())), int(payload.max(initial=0))),
        total=sums(0 * stimulus.time),
        per_step=sums(stimulus.time // step) if step else None,
        analog=0 if stimulus.analog is None else int(np.abs(stimulus.analog).max()),
    )


@asserts_at_least(26)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.booleans(), st.booleans(), st.booleans())
@EXAMPLES
def test_no_charge_ever_exceeds_its_bound(seed, kind, delays, lazy, stepped):
    """Every network, every input: payloads, analog values, currents, leaks, gates, cycles, delays."""
    step = 1 + seed % 2000 if stepped else 0
    network = with_rates(random_network(seed, kind, delays, lazy), seed, step)
    network = without_currents(network) if seed % 2 else network
    if seed % 3 == 0:
        network = with_gates(network, seed)
    elif seed % 5 == 0:
        network = with_cycles(network, seed, step or 700)
    stimulus = random_stimulus(seed, network)
    if seed % 7 < 3:
        stimulus = with_payloads(stimulus, seed)
    if seed % 11 < 4 and network.input not in {
        p.source for p in network.projections.values() if "max" in p.target
    }:
        stimulus = with_analog(stimulus, network, seed)
    schedule = "step" if step else "event"
    try:
        sample = watched_sample(network, stimulus, RunOptions(max_events=3_000, schedule=schedule, step=step))
    except (InvalidRequest, InvalidEvents):
        return
    with suppress(EventLimitReached):  # what was seen until then holds all the same
        sample.run()
    limits = limits_of(stimulus, network, step)
    largest = {network.order[rank]: charge for rank, charge in sample.largest.items()}
    bounds = {name: charge_bound(network, name, schedule, limits) for name in largest}
    bounded = [name for name in largest if bounds[name] is not None]
    if sample.deliveries and set(bounded) - {network.input}:
        asserting()
    for name in bounded:
        assert largest[name] <= bounds[name], (name, network.populations[name])


def chain(*neurons, weight=5, bias=None):
    """One neuron a population, each driving the next."""
    names = ["in", *(f"n{i}" for i in range(len(neurons)))]
    models = (Input(), *neurons)
    return Network(
        [Population(name, (1, 1, 1), neuron) for name, neuron in zip(names, models, strict=True)],
        [
            Projection(f"p{i}", names[i], names[i + 1], Dense(np.array([[weight]])), bias if i == 0 else None)
            for i in range(len(neurons))
        ],
    )


@pytest.mark.parametrize(
    ("neuron", "weight", "bias", "event", "step"),
    [
        (Rate(10, lower_clamp=-3), 5, None, 9 + 5, 9 + 3 * 5),
        (Rate(10, lower_clamp=-30), -5, None, 30 + 5, 30 + 3 * 5),
        (Rate(10, strict=True), 5, None, 10 + 5, 10 + 3 * 5),
        (Rate(10, initial_charge=-40), 5, None, 40, 40),
        (Rate(10), -5, None, None, None),
        (Rate(10, reset="hard"), 5, None, 14, 24),
        (Rate(10, multispike=False), 5, None, 14, None),
        (Rate(10, multispike=False), 3, None, 12, 18),
        (Rate(10, refractory=10), 5, None, None, None),
        (Rate(10, refractory=10, refractory_drop=True), 3, None, 12, 18),
        (Rate(10, period=10), 5, np.array([21]), 9 + 5 + 3, 9 + 15 + 21),
        (Rate(10, period=10, reset="hard"), 5, np.array([-1]), None, None),
        (Signed(10, 3), 5, None, 5 + 5 * 7, 5 + 5 * 7),
        (Signed(10, 3), -5, None, 5 * 7 - 5, 5 * 7 - 5),
        (Readout(), 5, np.array([-50]), 50, 50),
        (Readout(period=10), 5, np.array([-50]), None, None),
        (Readout(period=10), 5, None, 35, 35),
    ],
)
def test_bounds_of_one_neuron(neuron, weight, bias, event, step):
    """Up to 3 input spikes a step, 7 in all, +1 each."""
    network, limits = chain(neuron, weight=weight, bias=bias), InputLimits(total=(0, 7), per_step=(0, 3))
    assert charge_bound(network, "n0", "event", limits) == event
    assert charge_bound(network, "n0", "step", limits) == step
    assert charge_bound(network, "in", "event", limits) == 0


def test_bounds_need_what_they_rest_on():
    counted = chain(Signed(10, 3), Signed(10, 3))
    assert charge_bound(counted, "n0") is None  # the input may spike for ever
    assert charge_bound(counted, "n1") == 5 + 3 * 5
    assert charge_bound(counted, "n1", in_order=False) is None
    rates = chain(Rate(10, lower_clamp=0), Rate(10, lower_clamp=0), Signed(10, 3))
    assert charge_bound(rates, "n0", "event", InputLimits(payload=(-4, 9))) == 9 + 9 * 5
    assert charge_bound(rates, "n1", "step") is None
    # 9 + 45 quanta are 5 spikes, which bring 25 more.
    assert charge_bound(rates, "n1", "step", InputLimits(per_step=(0, 9))) == 9 + 25
    assert charge_bound(rates, "n2", "event") is None
    with pytest.raises(InvalidNetwork, match="no population 'x'"):
        charge_bound(rates, "x")
    with pytest.raises(InvalidNetwork, match="schedule 'steps' is not known"):
        charge_bound(rates, "n0", "steps")
    with pytest.raises(InvalidNetwork, match=r"payload is given as \(1, 1\); a range holds 0"):
        InputLimits(payload=(1, 1))
    with pytest.raises(InvalidNetwork, match="largest analog value is -1"):
        InputLimits(analog=-1)


def fitting(network):
    """The same network with thresholds its weights fit, as conversion makes them."""
    populations = [
        replace(p, neuron=replace(p.neuron, threshold=64 * p.neuron.threshold))
        if isinstance(p.neuron, (Rate, Signed))
        else p
        for p in network
    ]
    projections = [
        replace(p, synapses=replace(p.synapses, weight=64 * p.synapses.weight))
        if p.synapses.kind != "max_pool"
        else p
        for p in network.projections.values()
    ]
    return Network(populations, projections)


def thresholded(network):
    return [p for p in network if isinstance(p.neuron, (Rate, Signed))]


def largest_weight(network, population):
    return max(int(np.abs(p.synapses.weight).max()) for p in network.incoming(population.name))


def run_or_error(network, stimulus, engine):
    try:
        return make_engine(engine, network, None, RunOptions(max_events=3_000)).run(stimulus)
    except EventLimitReached as error:
        return type(error)


@asserts_at_least(20)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]), st.booleans())
@EXAMPLES
def test_a_compact_network_is_the_network_in_other_quanta(seed, kind, prove):
    """int8 weights, thresholds in range, every weight within half a quantum; proofs as noted."""
    network = fitting(random_network(seed, kind))
    if any(2 * largest_weight(network, p) * 64 >= 255 * p.neuron.threshold for p in thresholded(network)):
        with pytest.raises(InvalidNetwork, match="cannot be compact: its largest weight"):
            compacted(network, prove=prove)
        return
    asserting()
    compact = compacted(network, prove=prove)
    noted = compact.metadata["compact"]
    for name, population in compact.populations.items():
        if isinstance(population.neuron, Input):
            continue
        factor = noted[name]["scale"][0] / noted[name]["scale"][1]
        if not isinstance(population.neuron, Readout):
            before = network.populations[name].neuron.threshold
            assert 2**6 <= population.neuron.threshold <= 2**12
            assert population.neuron.threshold == before * noted[name]["scale"][0] // noted[name]["scale"][1]
        else:
            before = network.populations[name].neuron.unit
            assert population.neuron.unit * factor == pytest.approx(before, rel=1e-12)
        for projection in compact.incoming(name):
            old, new = (n.projections[projection.name].synapses.weight for n in (network, compact))
            assert np.abs(new).max() <= 127
            assert np.abs(new - old * factor).max() <= 0.5 + 1e-9
        assert (
            np.abs(compact.bias(name) - network.bias(name) * factor).max()
            <= 0.5 * len(compact.incoming(name)) + 1e-9
        )
        bound = charge_bound(compact, name)
        assert noted[name]["bound"] == bound
        assert is_compact(compact, name) == (bound is not None and bound <= COMPACT_CHARGE)
    assert compacted(compact, prove=prove).checksum == compact.checksum


@asserts_at_least(7)
@given(SEEDS, st.sampled_from(["signed", "rate", "mixed"]))
@few(12)
def test_a_compact_network_runs_alike_on_both_engines(seed, kind):
    try:
        network = compacted(fitting(random_network(seed, kind)))
    except InvalidNetwork:
        assume(False)
    stimulus = random_stimulus(seed, network)
    runs = [run_or_error(network, stimulus, engine) for engine in ("compiled", "reference")]
    if isinstance(runs[0], type):
        assert runs[0] is runs[1]
        return
    asserting()
    assert runs[0].digest == runs[1].digest


def test_a_coarser_quantum_is_taken_for_a_proof():
    """Fed by 40 neurons of 8 levels: 40 x 8 x 127 leaves 16 bits, at threshold 152 it does not."""
    weights = [[4000, -4000], [200, 1], [90, 9]]
    network = Network(
        [
            Population("in", (1, 1, 2), Input()),
            Population("a", (1, 1, 40), Signed(2**14, 8)),
            Population("b", (1, 1, 3), Signed(2**14, 8)),
            Population("out", (1, 1, 2), Readout(unit=1e-4)),
        ],
        [
            Projection("1", "in", "a", Dense(np.full((2, 40), 9000))),
            Projection("2", "a", "b", Dense(np.full((40, 3), 11000))),
            Projection("3", "b", "out", Dense(np.array(weights)), np.array([7, 900])),
        ],
    )
    fine, proven = compacted(network, prove=False), compacted(network)
    assert fine.populations["b"].neuron.threshold == 189
    assert fine.metadata["compact"]["b"]["bound"] == 189 // 2 + 40 * 8 * 127
    assert not is_compact(fine, "b")
    assert proven.populations["b"].neuron.threshold == 152
    assert 32_000 < proven.metadata["compact"]["b"]["bound"] <= COMPACT_CHARGE
    assert is_compact(proven, "b")
    assert is_compact(proven, "out")
    assert not is_compact(proven, "b", in_order=False)
    assert proven.metadata["compact"]["a"]["bound"] is None
    out = proven.populations["out"].neuron
    assert proven.projections["3"].synapses.weight.tolist() == [[127, -127], [6, 0], [3, 0]]
    assert proven.projections["3"].bias.tolist() == [0, 29]
    assert out.unit * 127 == pytest.approx(4000e-4)
    assert is_compact(proven, "a", "event", InputLimits(total=(0, 100)))


@pytest.mark.parametrize(
    ("neuron", "weight", "threshold", "scaled"),
    [
        (Rate(100), 127, 100, 127),  # fits as it is
        (Rate(5), 9, 65, 117),  # finer quanta, nothing rounded
        (Rate(2**14), 2**13, 254, 127),
        (Rate(2**14), 2**7, 4096, 32),
        (Rate(2**20), 0, 4096, 0),
        (Signed(2**14, 3), 2**13, 254, 127),
    ],
)
def test_the_finest_quantum_that_fits(neuron, weight, threshold, scaled):
    compact = compacted(chain(neuron, weight=weight), prove=False)
    assert compact.populations["n0"].neuron.threshold == threshold
    assert compact.projections["p0"].synapses.weight.tolist() == [[scaled]]


def test_all_charges_of_a_population_are_scaled():
    rate = Rate(2**14, lower_clamp=-(2**13), initial_charge=2**14 - 1, leak_period=7, leak_factor=2**29)
    neuron = compacted(chain(rate, weight=2**13)).populations["n0"].neuron
    assert neuron == replace(rate, threshold=254, lower_clamp=-127, initial_charge=253)
    signed = Signed(2**14, 3, hysteresis_low=2**13, hysteresis_high=2**12, settle_time=9)
    neuron = compacted(chain(signed, weight=2**13)).populations["n0"].neuron
    assert neuron == replace(signed, threshold=254, hysteresis_low=127, hysteresis_high=64)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidNetwork, match="'n0' cannot be compact: its largest weight is 2000 quanta, 2 "):
        compacted(chain(Rate(1000), weight=2000))
    with pytest.raises(InvalidNetwork, match=r"its threshold would be 63 quanta, and 64 to 4096 are allowed"):
        compacted(chain(Rate(1000), weight=2000))
    with pytest.raises(InvalidNetwork, match="quanta times 64 leaves the 32-bit range"):
        compacted(chain(Rate(1, lower_clamp=-(2**30)), weight=1))


def test_a_network_at_rest_rests_anew():
    network = chain(Signed(2**14, 9), Readout(), weight=2**12, bias=np.array([3 * 2**14 + 77]))
    compact = compacted(network.at_rest())
    assert compact.checksum == compacted(network).at_rest().checksum
    assert compact.populations["n0"].initial_count.tolist() == [3]
    other = [
        replace(p, initial_charge=p.initial_charge + 1) if p.name == "n1" else p for p in network.at_rest()
    ]
    with pytest.raises(InvalidNetwork, match="a loaded state that is not its resting state"):
        compacted(Network(other, network.projections.values()))


def test_the_bound_of_a_network_at_rest_counts_from_its_state():
    network = chain(Signed(2**14, 9), Readout(), weight=2**12, bias=np.array([3 * 2**14 + 77]))
    assert charge_bound(network, "n1") == 9 * 2**12
    assert charge_bound(network.at_rest(), "n1") == 9 * 2**12


def test_a_compact_network_is_saved_with_its_proofs(tmp_path):
    compact = compacted(chain(Signed(2**14, 9), Signed(2**14, 9), Readout(), weight=2**12))
    compact.save(tmp_path / "net.h5")
    loaded = load_network(tmp_path / "net.h5")
    assert loaded.checksum == compact.checksum
    assert loaded.metadata["compact"] == compact.metadata["compact"]
    stimulus = Stimulus(np.arange(9), np.zeros(9, dtype=np.int64))
    digests = {make_engine("reference", n).run(stimulus).digest for n in (compact, loaded)}
    assert len(digests) == 1
