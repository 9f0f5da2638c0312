"""Architectures, mapping, energy."""

import numpy as np
import pytest
import yaml
from builders.networks import random_network, random_stimulus
from builders.presets import preset
from builders.recordings import small_network

from eventsnn.counting import COLUMN
from eventsnn.engine import make_engine
from eventsnn.errors import InvalidHardware
from eventsnn.hardware import Chip, load_architecture, map_network, preset_names
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.energy import dynamic_energy_aj, energy_by_action, energy_joules
from eventsnn.network import Dense, Input, Network, Population, Projection, Readout, Signed


def with_tiles(number, **changes):
    """The small preset with another number of tiles, in one column."""
    size = {"network_on_chip__width": 1, "network_on_chip__height": number}
    return preset(tiles={f"tile[0..{number - 1}]": {"core": "convolution"}}, **size, **changes)


@pytest.mark.parametrize("name", preset_names())
def test_presets_state_unit_kind_and_source_of_every_value(name):
    architecture = load_architecture(name)
    assert (architecture.static_watts > 0) == (name not in ("elsa-affine", "loihi-sanafe-fit"))
    for action in architecture.actions.model_dump(exclude_none=True).values():
        for quantity in action.values():
            assert quantity["unit"]
            assert quantity["source"]
            assert quantity["kind"] in ("published", "derived", "estimated", "assumed")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clock__unit": "furlongs"}, "unit of frequency"),
        ({"actions__synapse__energy__unit": "ns"}, "unit of energy"),
        ({"actions__synapse__energy__value": -1}, "actions.synapse.energy.value"),
        ({"actions__synapse__energy__value": float("nan")}, "actions.synapse.energy.value"),
        ({"cores__convolution__input_fifo": {"depth": -4}}, "cores.convolution.input_fifo.depth"),
        ({"cores__convolution__input_fifo": {"depth": 0}}, "depth: .*from 1 to 1048576, or 'unbounded'"),
        ({"cores__convolution__output_fifo": {"depth": "deep"}}, "depth: .*from 0 to 1048576"),
        ({"actions__synapse__energy__value": True}, "energy.value: .*true is a truth value"),
        ({"actions__hop_x__time__value": 1e300}, "longer than an action may take"),
        ({"actions__synapse__energy__value": 1e20}, "more than an action may cost"),
        ({"network_on_chip__width": 0}, "network_on_chip.width"),
        ({"network_on_chip__width": 1}, "there are 8, the mesh of 1 x 4 has room for 4"),
        ({"schema": 1}, "schema 1 is of an earlier version"),
        ({"format": "eventsnn-mapping", "schema": 1}, "this is a mapping, no accelerator"),
        ({"schema": 3}, "schema"),
        ({"colour": "red"}, "colour"),
        ({"cores__convolution__processing_elements__value": 0.5}, "not a whole number"),
    ],
)
def test_a_wrong_architecture_names_its_place(changes, message):
    with pytest.raises(InvalidHardware, match=message):
        parse_architecture(preset(**changes), "here")


def test_files_are_read_and_unknown_names_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(preset(name="mine")))
    assert load_architecture(path).name == "mine"
    path.write_text("a: [1")
    with pytest.raises(InvalidHardware, match="not readable as YAML"):
        load_architecture(path)
    with pytest.raises(InvalidHardware, match="presets are atsnn-style, elsa-affine, event"):
        load_architecture("loihi9")


def covered(network, mapping, name):
    """How often each neuron of a population lies in a part."""
    times = np.zeros(network.populations[name].shape, dtype=int)
    for part in mapping.parts[name]:
        times[part.y0 : part.y1, :, part.c0 : part.c1] += 1
    return times


@pytest.mark.parametrize("neurons", [36, 40, 108, 12, 7])
def test_every_neuron_lies_on_exactly_one_core_within_its_limits(neurons):
    network = small_network()
    architecture = parse_architecture(with_tiles(120, cores__convolution__neurons__value=neurons), "here")
    mapping = map_network(network, architecture)
    for population in network:
        assert (covered(network, mapping, population.name) == 1).all()
    cores = [part.core for parts in mapping.parts.values() for part in parts if part.core >= 0]
    assert len(cores) == len(set(cores))
    for part in mapping.parts["conv"]:
        assert (part.y1 - part.y0) * 6 * (part.c1 - part.c0) <= neurons


def test_energy_is_counts_times_actions_plus_static_power():
    network = random_network(1, "signed")
    chip = Chip(map_network(network, load_architecture("event-conv-small")))
    names = network.order[-2:]
    costs = chip.energy(names)
    counters = np.zeros((2, len(COLUMN)), dtype=np.int64)
    counters[1, COLUMN["synaptic_operations"]] = 1000
    counters[0, COLUMN["hops_x"]] = 10
    assert dynamic_energy_aj(counters, costs) == 1000 * 12_600_000 + 10 * 3_000_000
    assert energy_joules(counters, costs, chip.static_watts, 2.0) == pytest.approx(1.263e-8 + 2 * 0.8e-3)
    table = energy_by_action(counters, costs)
    assert table["synapse"].tolist() == [0.0, 1.26e-8]
    assert sum(part.sum() for part in table.values()) == pytest.approx(1.263e-8)


@pytest.mark.parametrize("seed", range(8))
def test_the_trace_holds_the_energy_of_the_counters(seed):
    """The engine's running energy and the table agree at the end of a full run."""
    network = random_network(seed, "signed")
    mapping = map_network(network, load_architecture("event-conv-large"))
    run = make_engine("compiled", network, mapping).run(random_stimulus(seed, network))
    assert run.trace.energy[-1] == dynamic_energy_aj(run.counters, Chip(mapping).energy(network.order))


def test_a_message_takes_serialiser_hops_decode_and_synapse_cycles():
    """One event to one core: 1 + 2 + ceil(20 / 8) cycles of 10 ns at tile 0."""
    network = Network(
        [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, 20), Readout())],
        [Projection("p", "in", "out", Dense(np.ones((1, 20), int)))],
    )
    from eventsnn.engine import Stimulus

    mapping = map_network(network, load_architecture("event-conv-small"))
    stimulus = Stimulus(np.array([1000]), np.array([0]))
    run = make_engine("compiled", network, mapping).run(stimulus)
    assert run.decision_time == 1000 + (1 + 2 + 3) * 10_000
    both = Stimulus(np.array([1000, 1000]), np.array([0, 0]))
    # The second waits one cycle for the serialiser, then for the core: 1 + 2 x (2 + 3) cycles.
    assert make_engine("compiled", network, mapping).run(both).decision_time == 1000 + 11 * 10_000


def test_spikes_of_a_test_leave_after_its_scan():
    network = Network(
        [
            Population("in", (1, 1, 1), Input()),
            Population("s", (1, 1, 10), Signed(10, 2)),
            Population("z", (1, 1, 1), Readout()),
        ],
        [
            Projection("1", "in", "s", Dense(np.array([[0] * 9 + [10]]))),
            Projection("2", "s", "z", Dense(np.ones((10, 1), int))),
        ],
    )
    from eventsnn.engine import Stimulus

    mapping = map_network(network, load_architecture("event-conv-small"))
    run = make_engine("compiled", network, mapping).run(Stimulus(np.array([0]), np.array([0])))
    # Port 1, decode 2, synapses ceil(10/8) = 2; scan ceil(10/8) = 2, fire 1, serialise 1, one hop of
    # 6.5 ns to the tile above, decode 2, synapse 1: cycles of 10 ns.
    assert run.decision_time == (1 + 2 + 2 + 2 + 1 + 1 + 2 + 1) * 10_000 + 6_500


def test_what_input_is_charged():
    """Through the port: ``input`` an event and ``serialise`` a message. On a core: no ``input``."""
    network = Network(
        [Population("in", (1, 1, 2), Input()), Population("out", (1, 1, 3), Readout(period=1000))],
        [Projection("p", "in", "out", Dense(np.ones((2, 3), int)))],
    )
    from eventsnn.engine import Stimulus

    picojoule = {"unit": "pJ", "kind": "assumed", "source": "a test"}
    costs = {"input": 1, "serialise": 10, "multiply": 100}
    actions = {name: {"energy": {"value": value, **picojoule}} for name, value in costs.items()}
    architecture = parse_architecture(preset(actions=actions), "here")
    events = Stimulus(np.array([1000, 2000, 3000]), np.array([0, 1, 0]))
    values = Stimulus(np.zeros(0, int), np.zeros(0, int), analog=np.array([1, 0]), duration=4000)
    for placed, stimulus, expected in (
        ({}, events, 3 * (1 + 10)),
        ({"in": {"core": 1}}, events, 3 * 10),
        ({}, values, 6 * 100),  # a synapse of an input of 0 is multiplied, too
        ({"in": {"core": 1}}, values, 6 * 100),
    ):
        mapping = map_network(network, architecture, {"populations": {"out": {"core": 0}, **placed}})
        run = make_engine("reference", network, mapping).run(stimulus)
        energy = dynamic_energy_aj(run.counters, Chip(mapping).energy(network.order))
        assert energy == expected * 10**6
