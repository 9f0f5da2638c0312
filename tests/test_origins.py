"""The mark of every value, how it came to stand for its accelerator, and what a preset says it leaves out."""

import json

import pytest
from builders.presets import preset
from builders.quantities import quantity
from pydantic import ValidationError

from eventsnn.errors import InvalidHardware
from eventsnn.hardware import load_architecture, preset_names
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.baselines.files import baseline_names, load_baseline
from eventsnn.hardware.quantities import ORIGINS, Quantity
from eventsnn.hardware.values import quantities, stated_values
from eventsnn.hardware.variations import behaviour, vary


@pytest.mark.parametrize("name", preset_names())
def test_every_value_of_every_accelerator_is_marked(name):
    architecture = load_architecture(name)
    assert {value.origin for _, value in stated_values(architecture)} <= ORIGINS.keys()


@pytest.mark.parametrize("name", baseline_names())
def test_every_value_of_every_baseline_is_marked(name):
    found = list(quantities(load_baseline(name).model_dump(mode="json")))
    assert found
    for place, value in found:
        assert value["origin"] in ORIGINS, place


@pytest.mark.parametrize("name", preset_names())
def test_every_accelerator_says_what_it_leaves_out(name):
    said = " ".join(load_architecture(name).not_modelled)
    for word in ("DVFS", "temperature", "host"):
        assert word in said


def test_marks_agree_with_what_the_sources_say():
    for name in preset_names():
        for place, value in stated_values(load_architecture(name)):
            line = value.source.startswith(("line through", "linear"))
            if line or "fit of micro-benchmarks" in value.source:
                assert value.origin == "fitted", (name, place)
            if "loihi-davies2018" in value.source:
                assert value.origin in ("scaled", "inherited"), (name, place)
                assert (value.origin == "scaled") == (" over " in value.source), (name, place)
    assert {v.origin for _, v in stated_values(load_architecture("atsnn-style"))} == {"assumed"}


def test_a_file_without_marks_is_read_and_shown_as_it_is(tmp_path, capsys):
    from eventsnn.cli.hardware import show_

    data = preset()
    for _, value in quantities(data):
        del value["origin"]
    del data["not_modelled"]
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(data))
    unmarked = load_architecture(path)
    assert {value.origin for _, value in stated_values(unmarked)} == {None}
    assert behaviour(unmarked) == behaviour(load_architecture("event-conv-small"))
    show_(str(path))
    text = capsys.readouterr().out
    assert "origin of 24 values: 24 not said\nnot modelled:\n  the file does not say" in text


def test_a_varied_value_is_assumed_and_what_is_left_out_is_no_value():
    architecture = load_architecture("loihi-davies2018")
    (found,) = vary(architecture, "actions.synapse.time", ["4 ns"])
    assert dict(stated_values(found.architecture))["actions.synapse.time"].origin == "assumed"
    assert found.architecture.not_modelled == architecture.not_modelled
    with pytest.raises(InvalidHardware, match=r"there is no value 'not_modelled\.0'"):
        vary(architecture, "not_modelled.0", ["x"])


@pytest.mark.parametrize(
    ("kind", "origin"), [("published", "assumed"), ("assumed", "documented"), ("assumed", "fitted")]
)
def test_a_mark_that_contradicts_its_kind_is_refused(kind, origin):
    with pytest.raises(ValidationError, match=f"kind '{kind}' and origin '{origin}' contradict"):
        Quantity(**{**quantity(1, "ns"), "kind": kind}, origin=origin)


def test_an_unknown_mark_names_those_there_are():
    data = preset()
    data["clock"]["origin"] = "guessed"
    with pytest.raises(InvalidHardware, match=r"clock.origin: .*'documented', 'fitted', 'scaled'"):
        parse_architecture(data, "here")
    data = preset(not_modelled=[""])
    with pytest.raises(InvalidHardware, match=r"not_modelled.0"):
        parse_architecture(data, "here")


def test_show_lists_marks_and_what_is_left_out(capsys):
    from eventsnn.cli.hardware import show_

    show_("loihi2-scaled")
    text = capsys.readouterr().out
    assert "origin of 20 values: 2 documented, 13 inherited, 5 scaled\nnot modelled:\n" in text
    assert "  energies of Loihi 2: none is published; those here are Loihi's\n" in text
    show_("loihi2-scaled", json_=True)
    document = json.loads(capsys.readouterr().out)
    assert document["actions"]["synapse"]["time"]["origin"] == "scaled"
    assert document["not_modelled"] == list(load_architecture("loihi2-scaled").not_modelled)
