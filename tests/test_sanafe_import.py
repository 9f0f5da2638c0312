"""Architectures written for SANA-FE: what becomes of them here, and what is refused."""

import importlib.util
import os
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from eventsnn.errors import InvalidHardware
from eventsnn.hardware import load_architecture
from eventsnn.hardware.exchange.sanafe import from_sanafe
from eventsnn.hardware.values import stated_values

HOPS = {
    f"{cost}_{direction}_hop": value
    for direction, costs in {
        "east": (2e-12, 1e-9), "west": (2e-12, 1e-9), "north": (3e-12, 2e-9), "south": (3e-12, 2e-9),
    }.items()
    for cost, value in zip(("energy", "latency"), costs, strict=True)
}  # fmt: skip


def unit(name, what="", energy=0.0, latency=0.0, **attributes):
    if what:
        attributes |= {f"energy_{what}": energy, f"latency_{what}": latency}
    return {"name": name, "attributes": attributes}


def soma(name, access, update, spike, model="leaky_integrate_fire"):
    costs = {"access_neuron": access, "update_neuron": update, "spike_out": spike}
    attributes = {f"energy_{what}": cost * 1e-12 for what, cost in costs.items()}
    attributes |= {f"latency_{what}": cost * 1e-10 for what, cost in costs.items()}
    return unit(name, **attributes, model=model)


def core(name="node[0..1]"):
    return {
        "name": name,
        "attributes": {"max_neurons_supported": 64},
        "axon_in": [unit("receive", "message_in", 1e-12, 7e-9)],
        "synapse": [
            unit("wide", "process_spike", 20e-12, 3e-9),
            unit("narrow", "process_spike", 8e-12, 2e-9),
        ],
        "dendrite": [unit("tree", "update")],
        "soma": [soma("source[0..9]", 0, 0, 0, model="input"), soma("cell", 5, 6, 70)],
        "axon_out": [unit("send", "message_out", 9e-12, 4e-9)],
    }


def document(**attributes):
    attributes = {"topology": "mesh", "width": 2, "height": 2} | attributes
    tiles = [{"name": "square[0..2]", "attributes": dict(HOPS), "core": [core()]}]
    return {"architecture": {"name": "small", "attributes": attributes, "tile": tiles}}


@pytest.fixture
def imported(tmp_path):
    def read(data):
        path = tmp_path / "chip.yaml"
        path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
        return from_sanafe(path)

    return read


def costs(architecture):
    """Energies and times by place, in the file's units."""
    return {
        place: f"{value.value:g} {value.unit}"
        for place, value in stated_values(architecture)
        if place.startswith(("actions", "synapse_units", "synchronisation", "cores"))
    }


def test_every_cost_arrives_in_its_place(imported):
    architecture, left_out = imported(document(sync_model="table", latency_sync={1: 1e-7, 3: 2.5e-7}))
    assert costs(architecture) == {
        "actions.input.time": "4 ns",
        "actions.serialise.energy": "9 pJ", "actions.serialise.time": "4 ns",
        "actions.hop_x.energy": "2 pJ", "actions.hop_x.time": "1 ns",
        "actions.hop_y.energy": "3 pJ", "actions.hop_y.time": "2 ns",
        "actions.decode.energy": "1 pJ", "actions.decode.time": "7 ns",
        "actions.synapse.energy": "20 pJ", "actions.synapse.time": "3 ns",
        "actions.access.energy": "5 pJ", "actions.access.time": "0.5 ns",
        "actions.update.energy": "6 pJ", "actions.update.time": "0.6 ns",
        "actions.fire.energy": "70 pJ", "actions.fire.time": "7 ns",
        "synapse_units.wide.energy": "20 pJ", "synapse_units.wide.time": "3 ns",
        "synapse_units.narrow.energy": "8 pJ", "synapse_units.narrow.time": "2 ns",
        "synchronisation.latency.0.time": "100 ns", "synchronisation.latency.1.time": "250 ns",
        "cores.node.neurons": "64 neurons", "cores.node.processing_elements": "1 lanes",
        "cores.node.weights": "2.14748e+09 weights",
    }  # fmt: skip
    assert architecture.number_of_tiles == 3
    assert architecture.number_of_cores == 6
    assert architecture.static_watts == 0
    assert architecture.synchronisation.kind == "barrier"
    assert left_out == (
        "models of units (input, leaky_integrate_fire): what neurons compute is the network's",
    )
    for place, value in stated_values(architecture):
        assert value.kind == "assumed" or value.source == "imported from chip.yaml", place


def test_what_has_no_counterpart_is_listed(imported):
    data = document(link_buffer_size=16)
    tile = data["architecture"]["tile"][0]
    tile["attributes"]["energy_west_hop"] = 4e-12
    tile["colour"] = "red"
    found = tile["core"][0]
    found["attributes"]["buffer_position"] = "soma"
    found["dendrite"].append(unit("slow", "update", 1e-12))
    found["soma"].append(soma("other", 1, 2, 3))
    found["soma"].append(soma("paid", 1, 0, 0, model="input"))
    found["synapse"][0]["attributes"]["energy_process_spikes"] = 1e-12
    architecture, left_out = imported(data)
    text = "\n".join(left_out)
    for part in (
        "link_buffer_size = 16",
        "hop_x energy: 2E-12, 4E-12 differ; their mean is taken, 3 pJ in a band of 2 to 4",
        "square[0..2].colour",
        "buffer_position = soma",
        "slow.energy_update: there are no dendrites here",
        "other: its costs",
        "paid: costs of inputs",
        "wide.energy_process_spikes = 1e-12",
    ):
        assert part in text
    hop = architecture.actions.hop_x.energy
    assert (hop.value, hop.band, hop.kind) == (3.0, (2.0, 4.0), "estimated")


def test_tiles_of_several_kinds_keep_their_costs(imported):
    data = document()
    other = core("node")
    other["soma"] = [soma("cell", 50, 6, 70)]
    data["architecture"]["tile"].append({"name": "odd", "core": [other, core()]})
    architecture, _ = imported(data)
    assert architecture.core_kinds == (("node",) * 2,) * 3 + (("node-1", "node", "node"),)
    assert architecture.action("access", 0).energy.value == 5
    assert architecture.action("access", 6).energy.value == 50
    assert architecture.action("decode", 6).energy.value == 1


def test_a_direction_that_is_not_given_is_told(imported):
    data = document()
    del data["architecture"]["tile"][0]["attributes"]["energy_west_hop"]
    architecture, left_out = imported(data)
    (said,) = (line for line in left_out if "hop" in line)
    assert said == ("hop_x energy: given 1 times, for 2 directions of tiles; the rest is taken to be like it")
    assert architecture.actions.hop_x.energy.value == 2


def test_numbers_that_yaml_takes_for_text_are_numbers(imported):
    """YAML 1.1 has no number without a point before its exponent; SANA-FE's reader has."""
    text = yaml.safe_dump(document(sync_model="fixed", latency_sync="SOON")).replace("SOON", "3e-9")
    assert isinstance(yaml.safe_load(text)["architecture"]["attributes"]["latency_sync"], str)
    architecture, _ = imported(text)
    assert architecture.barrier_ticks(3) == 3000


def test_a_cost_that_is_not_given_says_so(imported):
    data = document()
    found = data["architecture"]["tile"][0]
    del found["core"][0]["axon_out"][0]["attributes"]["energy_message_out"]
    found["attributes"] = {}
    architecture, _ = imported(data)
    assert architecture.actions.serialise.energy.kind == "assumed"
    assert architecture.actions.serialise.energy.source == "no energy_message_out in chip.yaml"
    assert architecture.actions.hop_y.time.source == "no hop_y latency in chip.yaml"


def changed(*places, value=None, **attributes):
    """The document with one place set, or removed."""
    data = document(**attributes)
    place = data["architecture"]
    for key in places[:-1]:
        place = place[key]
    if places and value is None:
        del place[places[-1]]
    elif places:
        place[places[-1]] = value
    return data


CORE = ("tile", 0, "core", 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a: [1", "not readable as YAML"),
        ("chip: {}", "no 'architecture' with tiles; is it a file for SANA-FE"),
        (changed("tile", value=[]), "architecture: there is no list of 'tile'"),
        (changed("tile", 0, "name"), "architecture.tile: an entry has no name"),
        (changed("tile", 0, "name", value="square[3..1]"), r"'square\[3..1\]' is not a name like"),
        (changed("tile", 0, "name", value="square[0..4]"), "there are 5, the mesh of 2 x 2 has room for 4"),
        (changed("attributes", value={"width": 2}), "height of the mesh is not given"),
        (changed(topology="torus"), "topology is 'torus'; only a mesh can be imported"),
        (changed(width=1.5), "architecture.width: 1.5 is not a whole number"),
        (changed(sync_model="none"), "'none' is unknown; 'fixed' and 'table' are"),
        (changed(sync_model="table", latency_sync=1e-6), "sync_model 'table' does not go with 1e-06"),
        (changed(latency_sync=-1e-6), "architecture.latency_sync: -1e-06 is not a number from 0"),
        (changed(latency_sync=True), "True is not a number"),
        (changed(latency_sync=1e6), "longer than an action may take"),
        (changed(*CORE, "attributes", value={}), "max_neurons_supported is not given"),
        (changed(*CORE, "attributes", value=[1]), "attributes are not a mapping"),
        (changed(*CORE, "attributes", "max_neurons_supported", value=0.5), "not a whole number"),
        (changed(*CORE, "axon_in"), r"node\[0..1\]: there is no list of 'axon_in'"),
        (changed(*CORE, "axon_in", 0, "name", value="in[0..1]"), "there are several of 'axon_in'"),
        (changed(*CORE, "soma", 1), "there is no soma but inputs"),
        (changed(*CORE, "synapse", 1, "name", value="wide"), "that name costs something else; rename one"),
        (changed(*CORE, "soma", 1, "attributes", "energy_spike_out", value="much"), "'much' is not a number"),
        (changed(*CORE, "soma", 1, "attributes", "energy_spike_out", value=".nan"), "is not a number"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_its_place(imported, data, message):
    with pytest.raises(InvalidHardware, match=message):
        imported(deepcopy(data))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*chip.yaml; give an architecture"):
        from_sanafe(tmp_path / "chip.yaml")


def test_the_command_writes_a_file_that_loads_and_says_what_was_left_out(tmp_path, capsys):
    from eventsnn.cli.exchange import import_sanafe

    source, target = tmp_path / "chip.yaml", tmp_path / "arch.yaml"
    source.write_text(yaml.safe_dump(document(link_buffer_size=16)))
    import_sanafe(source, target)
    said = capsys.readouterr().err
    assert "left out: architecture.link_buffer_size = 16" in said
    assert "3 tiles, 6 cores, synapse units wide, narrow" in said
    assert load_architecture(target) == from_sanafe(source)[0]


def _package():
    """SANA-FE's own files, where it is installed or pointed to; nothing of them is kept here."""
    found = os.environ.get("EVENTSNN_SANAFE")
    if found is None and (spec := importlib.util.find_spec("sanafe")) is not None:
        found = str(Path(spec.origin).parent)
    return None if found is None else Path(found)


def test_the_loihi_of_sanafe_is_the_preset():
    """Each number of its file is the preset's; the preset has more limits, bands and sources."""
    if _package() is None:
        pytest.skip("SANA-FE is not installed; its folder may be given as EVENTSNN_SANAFE")
    architecture, left_out = from_sanafe(_package() / "examples" / "loihi.yaml")
    preset = load_architecture("loihi-sanafe-fit")
    short = {"loihi_core": "neuron-core"} | {f"loihi_{u}_synapse": u for u in ("dense", "sparse", "conv")}
    found = costs(architecture)
    for long, name in short.items():
        found = {place.replace(long, name): value for place, value in found.items()}
    wanted = costs(preset)
    limits = {"cores.neuron-core.weights", "cores.neuron-core.axons_in", "cores.neuron-core.axons_out"}
    assert {p: v for p, v in found.items() if p not in limits} == {
        place: value for place, value in wanted.items() if place not in limits
    }
    assert architecture.core_kinds == (("loihi_core",) * 4,) * 32
    assert architecture.network_on_chip == preset.network_on_chip
    assert architecture.static_watts == preset.static_watts
    assert not any("energy" in line or "latency" in line for line in left_out)
