"""The shipped accelerators: where their values come from, and the published powers they must give."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders.chip_case import comparison
from builders.networks import random_network

from eventsnn.counting import COLUMN
from eventsnn.engine import RunOptions, make_engine
from eventsnn.errors import InvalidHardware
from eventsnn.hardware import Chip, load_architecture, map_network, preset_names
from eventsnn.hardware.actions import Actions
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.energy import EnergyModel, dynamic_energy_aj, energy_joules
from eventsnn.hardware.mapping.parts import Mapping, Part
from eventsnn.hardware.values import stated_values
from eventsnn.hardware.variations import banded, vary

CHIPS = (
    *("elsa-affine", "loihi-davies2018", "loihi-sanafe-fit", "loihi2-scaled", "odin", "speck-shape"),
    "truenorth-affine",
)
NEURONS, SYNAPSES = 1_048_576, 128
ORDER = ("in", "out")


def chip(architecture):
    """One neuron at the port, one on core 0, whatever the limits are."""
    parts = {"in": (Part("in", -1, 0, 1, 0, 1),), "out": (Part("out", 0, 0, 1, 0, 1),)}
    return Chip(Mapping(architecture, parts))


def counted(**numbers):
    """Counters of the chip's two populations, both in the second row."""
    counters = np.zeros((2, len(COLUMN)), dtype=np.int64)
    for name, number in numbers.items():
        counters[1, COLUMN[name]] = round(number)
    return counters


def watts(name, synaptic_operations_a_second, **changes):
    """Power of a preset at a rate of synaptic operations, from the energy of one second."""
    document = load_architecture(name).document()
    for place, value in changes.items():
        document[place]["value"] = value
    mapped = chip(parse_architecture(document, name))
    counters = counted(synaptic_operations=synaptic_operations_a_second)
    return energy_joules(counters, mapped.energy(ORDER), mapped.static_watts, 1.0)


def test_there_is_no_preset_without_a_source():
    assert {*CHIPS, "atsnn-style", "event-conv-large", "event-conv-small"} == set(preset_names())
    for name in preset_names():
        for place, value in stated_values(load_architecture(name)):
            assert value.unit, place
            assert len(value.source) > 10, place
            if value.band is not None:
                assert value.band[0] < value.band[1], place


def test_what_a_chip_publishes_is_marked_as_read_elsewhere():
    """No paper was at hand but abstracts: a figure of one says that it was read in another source."""
    papers = ("Davies", "Frenkel", "Merolla", "Richter", "Intel's brief", "ISCA 2026")
    quoting = set()
    for name in CHIPS:
        for place, value in stated_values(load_architecture(name)):
            if any(paper in value.source for paper in papers):
                quoting.add(name)
                assert "second-hand" in value.source, (name, place)
    assert quoting == set(CHIPS)


def test_nothing_of_the_assumed_accelerator_claims_to_be_known():
    assert {value.kind for _, value in stated_values(load_architecture("atsnn-style"))} == {"assumed"}


@pytest.mark.parametrize(("rate", "published_mw"), [(11.58, 68), (20.07, 71), (95.93, 94)])
def test_truenorth_gives_its_published_powers(rate, published_mw):
    found = watts("truenorth-affine", NEURONS * SYNAPSES * rate)
    assert round(found * 1e3) == published_mw
    if rate == 20.07:
        assert found * 1e3 == pytest.approx(70.62, abs=0.005)


def test_a_bare_energy_per_operation_is_wrong_where_the_affine_law_is_right():
    """26 pJ an operation misses the highest published power by a factor of 3.5."""
    operations = NEURONS * SYNAPSES * 95.93
    assert operations * 26e-12 / 94e-3 == pytest.approx(3.56, abs=0.01)
    assert watts("truenorth-affine", operations) == pytest.approx(94e-3, rel=1e-3)


def test_truenorth_at_its_lower_voltage_gives_26_pj_at_20_hz():
    operations = NEURONS * SYNAPSES * 20
    for name, picojoules in (("truenorth-affine", 26.30), ("truenorth-affine@0.775V", 26.01)):
        assert watts(name, operations) / operations * 1e12 == pytest.approx(picojoules, abs=0.01)


@pytest.mark.parametrize(("mhz", "operations", "microwatts"), [(75, 37.5e6, 476.93), (1.3, 0.65e6, 35.09)])
def test_odin_gives_its_published_powers(mhz, operations, microwatts):
    assert watts("odin", operations, clock=mhz) * 1e6 == pytest.approx(microwatts, abs=0.005)


def test_odin_serves_half_as_many_operations_as_its_clock_has_cycles():
    mapped = chip(load_architecture("odin"))
    assert mapped.synapse("out", 0).tolist() == [round(2 / 75e6 * 1e12)]


def test_a_published_cost_per_step_is_the_action_step():
    """SpikeSim's VGG9, a step as a whole: an energy of whole attojoules, five of them exactly."""
    document = load_architecture("loihi-davies2018").document()
    source = {"kind": "published", "source": "SpikeSim, VGG9"}
    energy = {"value": 3181386.805248, "unit": "pJ", **source}
    document["actions"]["step"] = {"energy": energy, "time": {"value": 12566528, "unit": "ns", **source}}
    mapped = chip(parse_architecture(document, "here"))
    assert dynamic_energy_aj(counted(steps=5), mapped.energy(ORDER, steps=True)) == 15_906_934_026_240
    assert mapped.step == 12_566_528_000


def test_loihi_has_its_synapse_units_and_barriers():
    architecture = load_architecture("loihi-sanafe-fit")
    assert [architecture.barrier_ticks(tiles) // 1000 for tiles in (1, 2, 3, 4, 28, 29, 32)] == [
        *(600, 1000, 1000, 1400, 1400, 1800, 1800)
    ]
    mapped = chip(architecture)
    for unit, picojoules, nanoseconds in (("dense", 35.5, 3.8), ("sparse", 33.6, 4.7), ("conv", 24.0, 3.1)):
        with_unit = Chip(Mapping(architecture, mapped.mapping.parts, {"out": unit}))
        column = COLUMN["synaptic_operations"]
        assert with_unit.energy(ORDER)[1, column] == round(picojoules * 1e6)
        assert with_unit.synapse("out", 0).tolist() == [round(nanoseconds * 1e3)]
    davies = load_architecture("loihi-davies2018")
    assert [davies.barrier_ticks(tiles) // 1000 for tiles in (1, 32)] == [113, 465]


def test_the_fit_gives_the_accepted_comparison_with_sanafe():
    """Joules, and the time by the simple rule, of the chip whose costs the preset states with sources."""
    document = load_architecture("loihi-sanafe-fit").document()
    document["synchronisation"]["timing"] = "totals"
    architecture = parse_architecture(document, "totals")
    network, mapping, stimulus = comparison()
    mapping = Mapping(architecture, mapping.parts, {"conv1": "conv", "conv2": "dense"})
    run = make_engine("reference", network, mapping, RunOptions(schedule="step")).run(stimulus)
    energy = Chip(mapping).energy(network.order, steps=True)
    assert dynamic_energy_aj(run.counters, energy) * 1e-18 == pytest.approx(8.741662e-7, rel=1e-6)
    assert run.decision_time * 1e-12 == pytest.approx(5.9666e-5, rel=1e-6)


def test_speck_has_its_published_memory():
    architecture = load_architecture("speck-shape")
    kinds = [architecture.kind(core) for core in range(architecture.number_of_cores)]
    neurons = [kind.neurons.count() // 1024 for kind in kinds]
    assert neurons == [64, 64, 64, 32, 32, 16, 16, 16, 16]
    assert sum(neurons) * 1024 == 327_680
    assert [kind.weights.count() // 1024 for kind in kinds] == [16, 16, 16, 32, 32, 64, 64, 16, 16]
    assert not any("energy" in place for place, _ in stated_values(architecture))


@pytest.mark.parametrize("name", [*preset_names(), "truenorth-affine@0.775V"])
@pytest.mark.parametrize("steps", [False, True])
def test_energies_lie_between_the_ends_of_the_bands(name, steps):
    architecture = load_architecture(name)
    counters = np.random.default_rng(1).integers(0, 10**6, (2, len(COLUMN)))
    model = EnergyModel.of(chip(architecture), ORDER, steps)
    low, nominal, high = (model.joules(counters, 1e-3, end) for end in ("low", "nominal", "high"))
    assert low <= nominal <= high
    banded = [place for place, value in stated_values(architecture) if value.band is not None]
    assert (low < high) == any("time" not in place for place in banded)


@pytest.mark.parametrize("name", preset_names())
def test_values_stand_where_a_sweep_finds_them(name):
    architecture = load_architecture(name)
    for place, value in stated_values(architecture):
        (found,) = vary(architecture, place, ["x1"])
        assert dict(stated_values(found.architecture))[place].value == value.value
    ends = [(variation.path, variation.architecture) for variation in banded(architecture)]
    assert [path for path, _ in ends[::2]] == [
        p for p, v in stated_values(architecture) if v.band is not None
    ]
    for end, (path, changed) in enumerate(ends):
        value = dict(stated_values(architecture))[path]
        assert dict(stated_values(changed))[path].value == value.band[end % 2]


def test_a_network_fits_the_chips_with_room_for_it():
    network = random_network(3, "rate")
    for name in ("loihi-sanafe-fit", "loihi-davies2018", "atsnn-style"):
        assert map_network(network, load_architecture(name)).parts


@pytest.mark.parametrize(
    ("preset", "change", "message"),
    [
        ("odin", {"clock": None}, "idle_energy is spent per cycle of the clock, and there is none"),
        ("atsnn-style", {"clock": None}, r"a time in cycles needs a 'clock'; give one"),
        ("odin", {"corner": "0.5V"}, "corner '0.5V' is not one of corners: there are none"),
        ("truenorth-affine", {"corners": {"0.7V": {"energy": 0.8}}}, "corners.0.7V.source"),
        ("loihi-davies2018", {"synchronisation": {"kind": "none", "timing": "totals"}}, "timing 'totals'"),
        ("loihi-davies2018", {"static_power": {"value": 104, "unit": "mW"}}, "static_power.kind"),
    ],
)
def test_a_changed_preset_that_contradicts_itself_is_refused(preset, change, message):
    document = {**load_architecture(preset).document(), **change}
    document = {key: value for key, value in document.items() if value is not None}
    with pytest.raises(InvalidHardware, match=message):
        parse_architecture(document, "mine.yaml")


def test_a_value_outside_its_band_is_refused():
    document = load_architecture("truenorth-affine").document()
    document["actions"]["synapse"]["energy"]["value"] = 26
    with pytest.raises(InvalidHardware, match=r"value 26 pJ lies outside its band \[2.208, 2.5\]"):
        parse_architecture(document, "mine.yaml")


def test_an_unknown_corner_names_those_there_are():
    with pytest.raises(InvalidHardware, match=r"no corner '1V'; its corners are: 0.775V"):
        load_architecture("truenorth-affine@1V")


def test_list_and_show_print_what_is_known_and_how(capsys):
    from eventsnn.cli.hardware import list_, show_

    list_()
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert " ".join(lines["truenorth-affine"][1:]) == "barrier 4096 4096 6 2 0 1 0.775V"
    list_(json_=True)
    assert json.loads(capsys.readouterr().out)["atsnn-style"]["assumed"] == 27
    show_("truenorth-affine@0.775V")
    text = capsys.readouterr().out
    assert "corner 0.775V (chosen): times x 1, energies x 0.989" in text
    assert re.search(r"actions.synapse.energy +2.297 pJ +2.208 to 2.5 +derived, silicon, fitted\n", text)
    for _, value in stated_values(load_architecture("truenorth-affine")):
        assert value.source in text
    show_("truenorth-affine@0.775V", json_=True)
    document = json.loads(capsys.readouterr().out)
    assert document["corner"] == "0.775V"
    assert parse_architecture(document, "shown") == load_architecture("truenorth-affine@0.775V")
    show_("odin", as_yaml=True)
    assert parse_architecture(yaml.safe_load(capsys.readouterr().out), "shown") == load_architecture("odin")


def test_the_example_of_the_documentation_is_valid_and_its_actions_are_all():
    text = (Path(__file__).parents[1] / "docs" / "hardware.md").read_text()
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.S).group(1))
    architecture = parse_architecture(example, "the example")
    assert architecture.kind_of_core == ("large", "small", "small", "small")
    assert architecture.static_watts == pytest.approx(0.4e-3 + 4 * 50e-6 + 2e-12 * 100e6)
    listed = re.search(r"\| action \|.*?\n\n", text, re.S).group(0)
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", listed, re.M)))) == set(
        Actions.model_fields
    )
    for name in preset_names():
        assert f"`{name}`" in text
