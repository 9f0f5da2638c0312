"""Rates, times and energies that chips publish, as presets give them: what is reproduced, and what is not."""

from itertools import pairwise

import numpy as np
import pytest

from eventsnn.counting import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.hardware import Chip, Mapping, Part, load_architecture, map_network
from eventsnn.hardware.energy import dynamic_energy_aj
from eventsnn.network import Axis, Conv2d, Dense, Input, Network, Population, Projection, Rate, Readout

SIDE = 3
SAME = Axis(3, pad_before=1, pad_after=1)


def layers(number):
    """3 x 3 kernels, one channel: an event at the centre reaches nine neurons, and the centre fires."""
    weight = np.zeros((3, 3, 1, 1), dtype=int)
    weight[1, 1] = 1
    names = ["in", *(f"layer{i}" for i in range(1, number)), "out"]
    shape = (SIDE, SIDE, 1)
    populations = [Population("in", shape, Input())]
    populations += [Population(name, shape, Rate(1)) for name in names[1:-1]]
    populations.append(Population("out", shape, Readout()))
    return Network(
        populations,
        [Projection(f"to {b}", a, b, Conv2d(weight, SAME, SAME)) for a, b in pairwise(names)],
    )


def microseconds(number):
    """Time of one event through so many layers of Speck."""
    network = layers(number)
    mapping = map_network(network, load_architecture("speck-shape"))
    assert [mapping.parts[name][0].core for name in network.order] == [-1, *range(number)]
    run = make_engine("reference", network, mapping).run(Stimulus(np.array([0]), np.array([4])))
    assert run.counters[:, COLUMN["synaptic_operations"]].sum() == 9 * number
    return run.decision_time / 1e6


def test_speck_takes_its_published_time_through_nine_layers():
    assert microseconds(9) == pytest.approx(3.36, abs=1e-5)


def test_speck_does_not_take_its_published_time_through_one_layer():
    """0.123 us here, 1.58 us published; no constants would do for both times and the rate."""
    assert microseconds(1) == pytest.approx(0.0333 + 9 / 100, abs=1e-4)
    published_a_layer = (3.36 - 1.58) / 8
    assert published_a_layer == pytest.approx(0.2225)
    assert published_a_layer < 9 / 30  # nine operations at 30 M a second


def seconds(events, senders, fan_out, cores):
    """Speck's time for events at once through the port.

    They reach ``senders`` neurons on the first of two cores, each of which fires at ``fan_out`` neurons on
    the second.
    """
    network = Network(
        [
            Population("in", (1, 1, 1), Input()),
            Population("sender", (1, 1, senders), Rate(1)),
            Population("out", (1, 1, fan_out), Readout()),
        ],
        [
            Projection("1", "in", "sender", Dense(np.ones((1, senders), dtype=int))),
            Projection("2", "sender", "out", Dense(np.ones((senders, fan_out), dtype=int))),
        ],
    )
    places = {"sender": {"core": cores[0]}, "out": {"core": cores[1]}}
    mapping = map_network(
        network,
        load_architecture("speck-shape"),
        {"format": "eventsnn-mapping", "schema": 1, "populations": places},
    )
    stimulus = Stimulus(np.zeros(events, dtype=int), np.zeros(events, dtype=int))
    return make_engine("reference", network, mapping).run(stimulus).decision_time * 1e-12


@pytest.mark.parametrize(("core", "published"), [(0, 100e6), *((core, 30e6) for core in (1, 3, 5, 8))])
def test_speck_serves_its_published_operations_a_second(core, published):
    """Ten messages of 1,000 operations, at a rate far below 30 M events a second."""
    other = 2 if core != 2 else 1
    assert 10 * 1000 / seconds(10, 1, 1000, (other, core)) == pytest.approx(published, rel=0.01)


def test_speck_takes_and_sends_its_published_events_a_second():
    """In: 500 events of one operation on core 0. Out: neurons of core 0 that fire in one test.

    Core 0 served these at 10 ns each before.
    """
    assert 500 / seconds(500, 1, 1, (0, 1)) == pytest.approx(30e6, rel=0.01)
    between = seconds(1, 300, 1, (0, 1)) - seconds(1, 100, 1, (0, 1))
    assert 200 / (between - 200 * 10e-9) == pytest.approx(30e6, rel=1e-4)


def on_one_core(name):
    """A chip with two populations on core 0, whatever its limits are."""
    parts = {"in": (Part("in", -1, 0, 1, 0, 1),), "out": (Part("out", 0, 0, 1, 0, 1),)}
    return Chip(Mapping(load_architecture(name), parts))


def test_loihi_2_is_loihi_over_its_published_factors():
    old, new = on_one_core("loihi-davies2018").core(0), on_one_core("loihi2-scaled").core(0)
    assert (old.access, old.update) == (2 * new.access, 2 * new.update) == (5_300, 3_100)
    assert old.serialise.tolist() == (10 * new.serialise).tolist() == [2_100]
    synapse = [on_one_core(name).synapse("out", 0) for name in ("loihi-davies2018", "loihi2-scaled")]
    assert synapse[0].tolist() == (5 * synapse[1]).tolist() == [3_500]
    new_chip = load_architecture("loihi2-scaled")
    assert [new_chip.barrier_ticks(tiles) for tiles in (1, 32)] == [200_000, 200_000]
    assert new_chip.number_of_cores * new_chip.kind(0).neurons.count() == 2**20


def test_loihi_2_inherits_every_energy_and_says_so():
    old, new = (load_architecture(name) for name in ("loihi-davies2018", "loihi2-scaled"))
    energies = {name: a for name, a in new.actions if a.energy is not None}
    assert energies.keys() == {name for name, a in old.actions if a.energy is not None}
    for name, action in energies.items():
        there = getattr(old.actions, name).energy
        assert (action.energy.value, action.energy.band, action.energy.unit) == (
            there.value,
            there.band,
            there.unit,
        )
        assert action.energy.origin == "inherited"
        assert "loihi-davies2018" in action.energy.source
    assert (new.static_power.value, new.static_power.origin) == (old.static_power.value, "inherited")


def test_elsa_charges_its_published_components():
    """A full adder tree, an accumulated neuron, a spike, its flit, two hops, to the attojoule."""
    chip = on_one_core("elsa-affine")
    counters = np.zeros((2, len(COLUMN)), dtype=np.int64)
    counted = {"synapses_served": 128, "active_updates": 1, "spikes_positive": 1, "messages_sent": 1}
    for name, number in {**counted, "hops_x": 1, "hops_y": 1}.items():
        counters[1, COLUMN[name]] = number
    energy = dynamic_energy_aj(counters, chip.energy(("in", "out"), steps=True))
    assert energy == 35_600_000 + 3_240_000 + 2_920_000 + 1_145_000 + 2 * (1_630_000 + 7_800)
    architecture = chip.architecture
    assert (architecture.number_of_cores, architecture.clock_hz) == (36, 200e6)


def test_a_step_of_loihi_2_takes_200_ns_where_little_happens():
    """One neuron hears one event: 200 ns, and the neuron's scan beside the message, the longer of both."""
    network = Network(
        [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, 1), Readout())],
        [Projection("1", "in", "out", Dense(np.ones((1, 1), dtype=int)))],
    )
    mapping = map_network(network, load_architecture("loihi2-scaled"))
    options = RunOptions(schedule="step", step=10**6)
    run = make_engine("reference", network, mapping, options).run(Stimulus(np.array([0]), np.array([0])))
    steps = run.counters[:, COLUMN["steps"]].sum()
    assert 200_000 * steps <= run.decision_time < 202_000 * steps
