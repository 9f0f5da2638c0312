"""What each kind of neuron says of itself."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from eventsnn.network import FirstSpike, Input, IntegrateAndFire, MaxGate, Rate, Readout, Signed, Softmax
from eventsnn.network.neurons import NEURON_KINDS, Neuron

GATE = MaxGate(settle_time=3)
RATE_GATE = MaxGate("exponential", period=7)
FIRE = IntegrateAndFire(threshold=10, initial_charge=4, period=5, refractory=2)

# tested, emits, current_period, starting_charge, comes to rest without and with a current
SAID = [
    (Input(), "never", "what arrives", 0, 0, (True, True)),
    (Signed(threshold=9, levels=3), "after deliveries", "signed spikes", 0, 4, (True, True)),
    (FIRE, "at delivery", "unit spikes", 5, 4, (False, False)),
    (FirstSpike(10, period=5), "at delivery", "unit spikes", 5, 0, (False, False)),
    (Readout(), "never", "nothing", 0, 0, (True, False)),
    (Readout(period=8), "never", "nothing", 8, 0, (True, False)),
    (GATE, "after deliveries", "signed spikes", 0, 0, (True, True)),
    (RATE_GATE, "at delivery", "what arrives", 0, 0, (False, False)),
    (Softmax(period=6), "never", "unit spikes", 6, 0, (False, False)),
]


@pytest.mark.parametrize(("neuron", "tested", "emits", "period", "start", "rests"), SAID)
def test_kinds_say_how_they_behave(neuron, tested, emits, period, start, rests):
    assert (neuron.tested, neuron.emits) == (tested, emits)
    assert (neuron.current_period, neuron.starting_charge) == (period, start)
    assert (neuron.comes_to_rest(False), neuron.comes_to_rest(True)) == rests


def test_every_kind_is_among_them():
    assert {type(row[0]) for row in SAID} == set(NEURON_KINDS.values())


def test_kinds_say_what_they_are_for():
    said = {cls.kind: (cls.is_input, cls.only_read, cls.holds_charge) for cls in NEURON_KINDS.values()}
    assert said == {
        "input": (True, False, False),
        "signed": (False, False, True),
        "rate": (False, False, True),
        "first_spike": (False, False, True),
        "readout": (False, True, True),
        "max_gate": (False, False, False),
        "softmax": (False, True, True),
    }


def test_kinds_say_what_they_need_of_an_engine_and_of_steps():
    assert FIRE.features == {"refractory"}
    assert replace(FIRE, refractory=0, leak_period=5, leak_factor=3).features == {"leak"}
    assert GATE.features == {"max_gate"}
    assert Softmax().features == {"softmax"}
    assert Signed(threshold=9, levels=3).features == frozenset()
    assert FirstSpike(10).features == {"first_spike"}
    held = replace(FIRE, start_time=6, test_period=8)
    assert held.features == {"refractory", "start", "test_period"}
    assert FIRE.whole_steps() == {"a refractory time": 2}
    assert held.whole_steps() == {"a refractory time": 2, "a start_time": 6, "a test_period": 8}
    assert GATE.whole_steps() == {"a settle_time": 3}
    assert RATE_GATE.whole_steps() == {"a settle_time": 0, "a filter period": 7}
    assert Softmax("independent", interval=11).whole_steps() == {"an interval": 11}
    assert Softmax("clock", interval=11).whole_steps() == {}


def test_a_kind_that_does_not_say_it_cannot_be_made():
    @dataclass(frozen=True)
    class Silent(Neuron):
        kind: ClassVar[str] = "silent"
        unit: float = 1.0

    with pytest.raises(TypeError, match=r"comes_to_rest.*current_period.*emits.*tested"):
        Silent()


def test_rate_is_the_name_that_files_use_for_integrate_and_fire():
    assert Rate is IntegrateAndFire
    assert NEURON_KINDS["rate"] is IntegrateAndFire
