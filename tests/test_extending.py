"""Kinds written outside the package, and the files that ``docs/extending.md`` names."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from builders.chips import architecture_of, core_kind

import eventsnn
from eventsnn.convert.quantised import quantised_activations
from eventsnn.counting.counters import COLUMN
from eventsnn.decide import ExitRule
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.errors import InvalidFile, InvalidNetwork, NotYetSupported
from eventsnn.hardware.baselines import work_of
from eventsnn.hardware.mapping.limits import Demand
from eventsnn.hardware.mapping.parts import Part
from eventsnn.hardware.mapping.placement import map_network
from eventsnn.insight.reach import sources_of
from eventsnn.network import (
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    MaxGate,
    MaxPool,
    Network,
    Neuron,
    Population,
    Projection,
    Readout,
    Signed,
    Softmax,
    Sparse,
    Synapses,
    Upsample,
    load_network,
    register_neurons,
    register_synapses,
)
from eventsnn.network.bounds import InputLimits, charge_bound
from eventsnn.network.compact import compacted
from eventsnn.network.neurons import NEURON_KINDS, RULES
from eventsnn.network.synapses import SYNAPSE_KINDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "eventsnn"
NAMED = re.compile(r"`((?:\w+/)+(?:\w+\.(?:py|md))?)`")


@pytest.fixture(autouse=True)
def registries():
    """Kinds that a test registers are gone after it."""
    kept = [(kinds, dict(kinds)) for kinds in (NEURON_KINDS, SYNAPSE_KINDS)]
    yield
    for kinds, before in kept:
        kinds.clear()
        kinds.update(before)


@dataclass(frozen=True, eq=False)
class Ring(Synapses):
    """Each neuron of a row of one channel reaches its right-hand neighbour, the last one the first."""

    kind: ClassVar[str] = "ring"
    weight: int

    def target_shape(self, source):
        return source

    def edges(self, source, target):
        neuron = np.arange(source[1])
        return neuron, (neuron + 1) % source[1], np.full(source[1], self.weight, dtype=np.int32)


@dataclass(frozen=True)
class Counter(Neuron):
    """Integrate-and-fire neurons that forget what is over: a spike each ``every`` quanta."""

    kind: ClassVar[str] = "counter"
    rule = "rate"
    tested = "at delivery"
    emits = "unit spikes"
    current_period = 10**9
    every: int
    unit: float = 1.0

    def parameters_of_rule(self):
        return {
            "threshold": self.every, "hard": 1, "strict": 0, "multispike": 0, "clamped": 0, "clamp": 0,
            "period": 10**9, "refractory": 0, "refractory_drop": 0, "leak_period": 0, "leak_factor": 2**30,
        }  # fmt: skip

    def comes_to_rest(self, biased):
        return False


# -- synapses ------------------------------------------------------------------------------------------


def test_a_kind_of_synapses_from_outside_is_lowered_to_listed_ones():
    listed = Ring(7).lowered_as((1, 3, 1))
    assert type(listed) is Sparse
    assert (listed.indptr.tolist(), listed.indices.tolist()) == ([0, 1, 2, 3], [1, 2, 0])
    assert (listed.weight.tolist(), listed.shape) == ([7, 7, 7], (1, 3, 1))


def test_shipped_kinds_of_synapses_are_lowered_as_themselves_or_as_convolutions():
    one, eye = np.ones((1, 1, 2, 2), dtype=int), np.eye(2, dtype=int)
    for kind in (Conv2d(one, Axis(1), Axis(1)), Dense(eye), MaxPool(Axis(1), Axis(1))):
        assert kind.lowered_as((1, 1, 2)) is kind
    sparse = Sparse.permutation((1, 1, 2), (0, 1, 2))
    assert sparse.lowered_as((1, 1, 2)) is sparse
    for kind in (AveragePool([1], Axis(1), Axis(1)), Identity([3]), Upsample([2], 2, 2)):
        conv = kind.lowered_as((1, 1, 2))
        assert type(conv) is Conv2d
        assert conv.groups == 2


def ring_network(weight=5):
    """Three inputs on a ring onto a readout of three."""
    populations = [Population("in", (1, 3, 1), Input()), Population("out", (1, 3, 1), Readout())]
    return Network(populations, [Projection("ring", "in", "out", Ring(weight))])


# Neuron 0 spikes twice, 2 once: 1 gets 2 x 5 quanta, 0 gets 5.
ROUND = Stimulus(np.array([10, 20, 20]), np.array([0, 0, 2]))


@pytest.mark.parametrize("engine", ["reference", "compiled", "float64"])
@pytest.mark.parametrize("mapped", [False, True])
def test_synapses_from_outside_are_run(engine, mapped):
    register_synapses(Ring)
    network, mapping = ring_network(), None
    stepped = engine == "float64"
    if mapped and stepped:
        pytest.skip("no accelerator in floating point")
    if mapped:
        mapping = map_network(network, architecture_of([core_kind()]))
    options = RunOptions(schedule="step" if stepped else "event", step=10 * stepped)
    run = make_engine(engine, network, mapping, options).run(ROUND)
    assert run.charge["out"].tolist() == [5, 10, 0]
    assert run.prediction == 1
    assert run.counters[:, COLUMN["synaptic_operations"]].tolist() == [0, 3]


def test_synapses_from_outside_are_counted_and_bounded_and_mapped():
    register_synapses(Ring)
    network = ring_network()
    ring = network.projections["ring"]
    assert network.fan_out("ring").tolist() == [1, 1, 1]
    assert network.fan_out("ring", effective=True).tolist() == [1, 1, 1]
    assert (network.synapses(), network.dense_macs()) == (3, 3)
    work = work_of(network)
    assert (work.macs, work.additions, work.weights) == (3, 0, 3)
    # At most four spikes from each input, of which each target hears one.
    assert charge_bound(network, "out", limits=InputLimits(total=(0, 4))) == 20
    assert sources_of(network, ring, 1).tolist() == [True, False, False]
    part = Part("out", 0, 0, 1, 0, 1)
    assert Demand(network).weights(part) == 3  # each is a word of its own
    assert Demand(network).reached(ring, part).tolist() == [True, True, True]
    assert quantised_activations(network, [2, 0, 1])["out"].tolist() == [5, 10, 0]


def test_synapses_from_outside_become_compact_as_listed_ones():
    register_synapses(Ring)
    found = compacted(ring_network(508)).projections["ring"].synapses
    assert type(found) is Sparse
    assert found.weight.tolist() == [127, 127, 127]


def test_synapses_from_outside_are_kept_in_files(tmp_path):
    with pytest.raises(InvalidNetwork, match=r"has Ring.* as its synapses, which no engine knows"):
        ring_network()
    register_synapses(Ring)
    network = ring_network()
    network.save(tmp_path / "ring.h5")
    again = load_network(tmp_path / "ring.h5")
    assert again.checksum == network.checksum
    assert again.projections["ring"].synapses.weight == 5
    del SYNAPSE_KINDS["ring"]
    with pytest.raises(InvalidFile, match=r"projection 'ring' has kind 'ring'; known are conv2d, dense"):
        load_network(tmp_path / "ring.h5")


# -- neurons -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neuron", "rule", "parameters"),
    [
        (
            Signed(9, 3, graded=True, settle_time=5),
            "signed",
            {
                "threshold": 9,
                "levels": 3,
                "lowest": 0,
                "settle_time": 5,
                "hysteresis_low": 0,
                "hysteresis_high": 0,
            }
            | {"graded": 1},
        ),
        (
            Readout(),
            "readout",
            {"period": 1, "start_time": 0, "leak_period": 0, "leak_factor": 2**30},
        ),
        (
            Softmax("clock", unit=0.5, interval=7),
            "softmax",
            {"period": 1, "filter": "clock", "interval": 7, "logit_unit": 2**47},
        ),
        (MaxGate(period=4), "exact_gate", {"graded": 0, "settle_time": 0, "period": 4, "factor": 2**30}),
        (
            MaxGate("average", period=4, factor=1),
            "rate_gate",
            {"graded": 0, "settle_time": 0, "period": 4, "factor": 1, "filter": "average"},
        ),
    ],
)
def test_kinds_give_the_parameters_of_their_rule(neuron, rule, parameters):
    assert (neuron.rule, neuron.parameters_of_rule()) == (rule, parameters)
    assert rule in RULES
    # What a kind need not name is there for the engines all the same.
    assert vars(neuron.ruled) | parameters == vars(neuron.ruled)
    assert vars(neuron.ruled).keys() == RULES[rule]


def counter_network(neuron=None):
    """One input of weight 3 onto a counter, and that onto a readout."""
    populations = [
        Population("in", (1, 1, 1), Input()),
        Population("mid", (1, 1, 1), neuron or Counter(every=5)),
        Population("out", (1, 1, 1), Readout()),
    ]
    first = Projection("first", "in", "mid", Dense([[3]]))
    return Network(populations, [first, Projection("last", "mid", "out", Dense([[7]]))])


# The counter holds 3, then 6: it fires, and the 1 quantum over is lost. Then once more.
FOUR = Stimulus(np.array([10, 20, 30, 40]), np.zeros(4, dtype=np.int64))


@pytest.mark.parametrize("engine", ["reference", "compiled", "float64"])
@pytest.mark.parametrize("schedule", ["event", "step"])
def test_neurons_from_outside_follow_their_rule(engine, schedule):
    if (engine, schedule) == ("float64", "event"):
        pytest.skip("floating point goes in steps")
    register_neurons(Counter)
    late = 10 * (schedule == "step")  # a step is computed when its input is complete
    options = RunOptions(schedule=schedule, step=late, record_spikes=True)
    run = make_engine(engine, counter_network(), options=options).run(FOUR)
    assert run.spikes.time[run.spikes.rank == 1].tolist() == [20 + late, 40 + late]
    assert run.lost["hard_reset"]["mid"].tolist() == [2]
    assert (run.counts["mid"].tolist(), run.charge["out"].tolist()) == ([2], [14])


def test_neurons_from_outside_are_bounded_and_kept_in_files(tmp_path):
    with pytest.raises(InvalidNetwork, match=r"has Counter.* as its neuron, which no engine knows"):
        counter_network()
    register_neurons(Counter)
    network = counter_network()
    # Below 5 after each test, and 3 on top.
    assert charge_bound(network, "mid") == 7
    network.save(tmp_path / "counter.h5")
    again = load_network(tmp_path / "counter.h5")
    assert again.checksum == network.checksum
    assert again.populations["mid"].neuron == Counter(every=5)
    with pytest.raises(NotYetSupported, match="counter neurons do not say what they are in other quanta"):
        compacted(network)
    with pytest.raises(InvalidNetwork, match="of counter neurons never comes to rest"):
        network.at_rest()
    del NEURON_KINDS["counter"]
    with pytest.raises(InvalidFile, match=r"population 'mid' has neuron 'counter'; known are input, signed"):
        load_network(tmp_path / "counter.h5")


@pytest.mark.parametrize("engine", ["reference", "compiled", "float64"])
def test_a_rule_that_no_engine_knows_is_refused_by_name(engine):
    @register_neurons
    @dataclass(frozen=True)
    class Juggler(Counter):
        kind: ClassVar[str] = "juggler"
        rule = "juggle"

    network = counter_network(Juggler(every=5))
    message = (
        r"'mid' of juggler neurons follows the rule 'juggle', which is not simulated here; known are input"
    )
    with pytest.raises(InvalidNetwork, match=message):
        make_engine(engine, network, options=RunOptions(schedule="step", step=10))
    with pytest.raises(InvalidNetwork, match="'mid' of juggler neurons follows the rule 'juggle'"):
        charge_bound(network, "mid")


def test_a_rule_gets_all_its_parameters_and_no_other():
    class Forgetful(Counter):
        def parameters_of_rule(self):
            return {"threshold": self.every}

    with pytest.raises(InvalidNetwork, match=r"counter neurons give threshold for the rule 'rate'; .*miss"):
        Forgetful(every=5).ruled  # noqa: B018


# -- rules, recordings, accelerators -------------------------------------------------------------------


class Reached(ExitRule):
    """Sure once some class has ten quanta."""

    name: ClassVar[str] = "reached"

    def confidence(self, readout, scale):
        return float(max(readout) >= 10)


def test_a_rule_and_a_recording_of_ones_own_meet_in_a_run():
    register_synapses(Ring)
    events = eventsnn.make_events([1, 2, 3], [0, 0, 2], [0, 0, 0], [True, True, True])
    runs = [
        eventsnn.simulate(ring_network(), [(events, 1)], exit=rule, engine="reference")
        for rule in (None, Reached(0.5))
    ]
    # Class 1 has 5 quanta after 1 us and 10 after 2 us; the event at 3 us is for class 0.
    whole, early = (run.table.samples[0] for run in runs)
    assert (whole.decided_early, whole.synaptic_operations, whole.prediction) == (False, 3, 1)
    assert (early.decided_early, early.synaptic_operations, early.prediction) == (True, 2, 1)
    # First events are at 0.
    assert early.decision_time_ps == 10**6


def test_an_accelerator_of_ones_own_is_a_file(tmp_path):
    register_synapses(Ring)
    shipped = (PACKAGE / "hardware" / "presets" / "event-conv-small.yaml").read_text()
    assert shipped.count("{value: 12.6, unit: pJ") == 1  # of a synaptic operation
    (tmp_path / "mine.yaml").write_text(shipped.replace("{value: 12.6, unit: pJ", "{value: 112.6, unit: pJ"))
    events = eventsnn.make_events([1, 2, 3], [0, 0, 2], [0, 0, 0], [True, True, True])
    own, known = (
        eventsnn.simulate(ring_network(), [(events, 1)], hardware=hardware, engine="reference")
        for hardware in (str(tmp_path / "mine.yaml"), "event-conv-small")
    )
    dearer = own.table.samples[0].energy_j - known.table.samples[0].energy_j
    assert dearer == pytest.approx(3 * 100e-12)


# -- registries ----------------------------------------------------------------------------------------


def test_a_kind_is_registered_once_and_by_its_own_name():
    assert register_synapses(Ring) is Ring
    assert register_synapses(Ring) is Ring
    assert SYNAPSE_KINDS["ring"] is Ring
    assert register_neurons(Counter) is Counter
    assert NEURON_KINDS["counter"] is Counter

    @dataclass(frozen=True, eq=False)
    class Other(Ring):
        pass

    with pytest.raises(InvalidNetwork, match=r"Other has the kind 'ring', which is Ring's; give its own"):
        register_synapses(Other)
    with pytest.raises(InvalidNetwork, match=r"no kind: give a frozen dataclass derived from Neuron"):
        register_neurons(Ring)
    with pytest.raises(InvalidNetwork, match=r"no kind: give a frozen dataclass derived from Synapses"):
        register_synapses(Ring(1))


# -- docs ----------------------------------------------------------------------------------------------


def test_the_files_it_names_exist():
    page = (ROOT / "docs" / "extending.md").read_text()
    places = set(NAMED.findall(page))
    assert len(places) > 30
    for place in places:
        found = [root / place for root in (ROOT, PACKAGE)]
        # A room may be one module.
        found += [path.with_suffix(".py") for path in found if place.endswith("/")]
        assert any(path.exists() for path in found), place
