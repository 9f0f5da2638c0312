"""What an architecture's file may leave out, and what is refused on reading it."""

import re
from pathlib import Path

import pytest
import yaml
from builders.chip_case import quantity
from builders.presets import preset
from builders.recordings import small_network

from eventsnn.counting import COLUMN
from eventsnn.errors import InvalidHardware
from eventsnn.hardware import Chip, map_network
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.variations import vary

ROOT = Path(__file__).resolve().parents[1]
TIME, ENERGY = quantity(7, "ns"), quantity(3, "pJ")
JITTER = {"distribution": "uniform", "deviation": quantity(1, "ns")}


def with_unit(unit, own=None):
    """The small preset with the synapse unit ``fast``; ``own`` is the ``synapse`` of its kind of core."""
    data = preset(synapse_units={"fast": unit})
    if own is not None:
        data["cores"]["convolution"]["actions"] = {"synapse": own}
    return parse_architecture(data, "here")


def costs(architecture):
    """Energy and time of a synapse served by ``fast``, as a mapped chip has them: attojoules, ticks."""
    mapping = map_network(
        small_network(), architecture, {"others": "layer", "synapse_units": {"conv": "fast"}}
    )
    chip = Chip(mapping)
    (time,) = chip.synapse("conv", mapping.parts["conv"][0].core)
    energy = chip.energy(small_network().order)[small_network().order.index("conv")]
    return int(energy[COLUMN["synaptic_operations"]]), int(time)


def test_what_a_synapse_unit_leaves_out_is_the_cores_own():
    chips = (12_600_000, 10_000)  # 12.6 pJ, a cycle of 100 MHz
    assert costs(with_unit({"energy": ENERGY})) == (3_000_000, chips[1])
    assert costs(with_unit({"time": TIME})) == (chips[0], 7_000)
    own = {"energy": quantity(9, "pJ"), "time": quantity(2, "ns")}
    assert costs(with_unit({"energy": ENERGY}, own)) == (3_000_000, 2_000)
    assert costs(with_unit({"time": TIME}, own)) == (9_000_000, 7_000)
    assert costs(with_unit({"time": TIME, "energy": ENERGY}, own)) == (3_000_000, 7_000)


def test_a_time_brings_its_jitter_along():
    own = {"time": quantity(2, "ns"), "jitter": JITTER}
    unit = with_unit({"energy": ENERGY}, own).action("synapse", 0, "fast")
    assert unit.jitter is not None
    assert with_unit({"time": TIME}, own).action("synapse", 0, "fast").jitter is None


def test_the_example_of_the_documentation_serves_its_unit_in_the_time_of_its_core():
    text, *_ = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "hardware.md").read_text(), re.S)
    example = parse_architecture(yaml.safe_load(text), "the example")
    kinds = example.kind_of_core
    for kind, cycles in (("large", 1), ("small", 2)):
        action = example.action("synapse", kinds.index(kind), "convolution")
        assert (action.energy.value, action.time.value, action.time.unit) == (8, cycles, "cycles")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "cores.convolution: .*actions is empty; leave it out"),
        ({"synapse": {}}, "cores.convolution: .*actions.synapse is empty; leave it out"),
        ({"synapse": {"energy": None}}, "cores.convolution: .*actions.synapse is empty; leave it out"),
        ({"synapse": None}, "cores.convolution.actions.synapse: it must be a mapping"),
        (None, "cores.convolution.actions: it must be a mapping"),
    ],
)
def test_an_override_that_says_nothing_is_refused(given, message):
    with pytest.raises(InvalidHardware, match=message) as raised:
        parse_architecture(preset(cores__convolution__actions=given), "here")
    assert len(str(raised.value).splitlines()) == 3  # one message between the heading and the advice


def test_a_sweep_still_reaches_an_override_that_is_not_there():
    architecture = parse_architecture(preset(), "here")
    path = "cores.convolution.actions.decode"
    (variation,) = vary(architecture, f"{path}.energy", ["2 pJ"])
    own = variation.architecture.cores["convolution"].actions
    assert own.model_fields_set == {"decode"}
    assert variation.architecture.action("decode", 0).energy.value == 2
    assert variation.architecture.action("synapse", 0) == architecture.actions.synapse


COUNTS = {"axons_in": quantity(9, "sources"), "axons_out": quantity(9, "copies")}


@pytest.mark.parametrize(
    ("name", "unit", "allowed"),
    [
        ("weights", "Ki", "weights, words, synapses"),
        ("weights", "KiB", "weights, words, synapses"),
        ("neurons", "pJ", "neurons"),
        ("axons_in", "copies", "sources, axons"),
        ("axons_out", "k", "copies, axons"),
        ("processing_elements", "cycles", "lanes, synapses"),
    ],
)
def test_a_count_is_in_its_own_word(name, unit, allowed):
    data = preset()
    data["cores"]["convolution"] |= COUNTS | {name: quantity(64, unit)}
    message = f"cores.convolution: .*{name}: unit '{unit}' .* allowed are {allowed}$"
    with pytest.raises(InvalidHardware, match=re.compile(message, re.M)):
        parse_architecture(data, "here")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "actions.synapse.time",
            {"unit": "s", "value": 1, "band": [0, 1e6]},
            "actions.synapse: 1e.06 s is longer",
        ),
        ("actions.synapse.time", {"band": [-1, 2]}, "actions.synapse.time.band.0"),
        ("actions.synapse.time", {"band": [0, float("nan")]}, "actions.synapse.time.band.1"),
        ("actions.synapse.time", {"band": [2, 1]}, "lies outside its band"),
        ("actions.synapse.energy", {"band": [0, 1e12]}, "actions.synapse: 1e.12 pJ is more"),
        ("clock", {"band": [0, 200]}, "clock: must be above 0, the low end"),
        ("cores.convolution.neurons", {"band": [0.5, 1e6]}, "neurons: 0.5 neurons is not a whole number"),
        ("cores.convolution.neurons", {"band": [0, 1e6]}, "neurons must be at least 1, not 0"),
    ],
)
def test_an_end_of_a_band_is_checked_like_the_value(path, value, message):
    data = preset()
    place = data
    for key in path.split("."):
        place = place[key]
    place |= value
    with pytest.raises(InvalidHardware, match=message):
        parse_architecture(data, "here")


def test_ends_of_barriers_and_deviations_are_checked():
    late = quantity(1, "s") | {"band": [0, 1e4]}
    barrier = {"kind": "barrier", "latency": [{"tiles": 1, "time": late}]}
    with pytest.raises(InvalidHardware, match=r"synchronisation.latency.0: 10000 s is longer"):
        parse_architecture(preset(synchronisation=barrier), "here")
    jitter = {"distribution": "normal", "deviation": late}
    with pytest.raises(InvalidHardware, match=r"actions.decode: 10000 s is longer"):
        parse_architecture(preset(actions__decode__jitter=jitter), "here")
