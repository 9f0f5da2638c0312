"""Kinds written outside the package, and the files that ``docs/extending.md`` names."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from eventsnn.errors import InvalidNetwork
from eventsnn.network import (
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Identity,
    MaxGate,
    MaxPool,
    Neuron,
    Readout,
    Signed,
    Softmax,
    Sparse,
    Synapses,
    Upsample,
    register_neurons,
    register_synapses,
)
from eventsnn.network.neurons import NEURON_KINDS
from eventsnn.network.neurons.base import RULES
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


# -- neurons -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neuron", "rule", "parameters"),
    [
        (
            Signed(9, 3, graded=True, settle_time=5),
            "signed",
            {"threshold": 9, "levels": 3, "settle_time": 5, "hysteresis_low": 0, "hysteresis_high": 0}
            | {"graded": 1},
        ),
        (Readout(), "readout", {"period": 1}),
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
    assert vars(neuron.ruled) == parameters


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
    assert len(places) > 40
    for place in places:
        found = [root / place for root in (ROOT, PACKAGE)]
        # A room may be one module.
        found += [path.with_suffix(".py") for path in found if place.endswith("/")]
        assert any(path.exists() for path in found), place
