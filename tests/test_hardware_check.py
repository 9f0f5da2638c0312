"""``hardware check --json`` and its Python face: what is checked, the verdict, the problems by name."""

import json

import numpy as np
import pytest
import yaml
from builders.presets import preset
from builders.recordings import small_network
from typer.testing import CliRunner

from eventsnn.cli.hardware import app
from eventsnn.errors import EventsnnError, InvalidRequest
from eventsnn.hardware import load_architecture, map_network
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.mapping.checks import use_of_cores
from eventsnn.hardware.variations import vary
from eventsnn.network import Axis, Conv2d, Input, Network, Population, Projection, Readout
from eventsnn.run.checked import check


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("check") / "net.h5"
    small_network().save(path)
    return path


def both(*arguments):
    """Exit codes of the text and the JSON face, and the object: the only thing on standard output."""
    text = CliRunner().invoke(app, ["check", *map(str, arguments)])
    done = CliRunner().invoke(app, ["check", *map(str, arguments), "--json"])
    # A refusal leaves the command as an exception, which the program turns into code 2.
    code = 2 if isinstance(text.exception, EventsnnError | FileNotFoundError) else text.exit_code
    return code, done.exit_code, json.loads(done.stdout)


def test_a_valid_accelerator_alone():
    text, code, found = both("loihi2-scaled")
    assert (text, code) == (0, 0)
    assert found == {
        "checked": {"hardware": "loihi2-scaled", "network": None, "mapping": None},
        "verdict": "valid",
        "problems": [],
        "accelerator": {"name": "loihi2-scaled", "cores": 128, "tiles": 32, "schedule": "step"},
        "cores": [],
    }
    assert check("loihi2-scaled") == found


def test_a_network_that_fits(net):
    text, code, found = both("event-conv-small", "--network", net, "--mapping", "pack")
    assert (text, code, found["verdict"], found["problems"]) == (0, 0, "fits", [])
    assert found["checked"] == {"hardware": "event-conv-small", "network": str(net), "mapping": "pack"}
    network = small_network()
    uses = use_of_cores(network, map_network(network, load_architecture("event-conv-small"), "pack"))
    assert [core["core"] for core in found["cores"]] == [use.core for use in uses]
    for core, use in zip(found["cores"], uses, strict=True):
        assert core["use"] == {name: list(pair) for name, pair in use.together.items()}
        for part, (there, own) in zip(core["parts"], use.of_part.items(), strict=True):
            assert part["population"] == there.population
            assert part["rows"] == [there.y0, there.y1 - 1]
            assert part["channels"] == [there.c0, there.c1 - 1]
            assert part["use"]["neurons"] == [own["neurons"][0], 16384]


def changed(tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(preset(**changes)))
    return path


def test_what_does_not_fit_says_which_limit(net, tmp_path):
    path = changed(tmp_path, cores__convolution__neurons__value=1)
    text, code, found = both(path, "--network", net)
    assert (text, code, found["verdict"]) == (2, 2, "refused")
    (problem,) = found["problems"]
    assert problem["name"] == "DoesNotFit"
    assert (problem["limit"], problem["has"]) == ("neurons", 1)
    assert (problem["population"], problem["need"]) == ("conv", 6)  # a row of one channel
    assert "No split" in problem["message"]
    assert found["accelerator"]["name"] == "event-conv-small"
    tiles = {"tile": {"core": "convolution"}}
    path = changed(tmp_path, tiles=tiles)  # conv and out, a core each
    (problem,) = check(path, net)["problems"]
    assert (problem["limit"], problem["has"]) == ("cores", 1)
    assert problem["need"] == 2


def test_a_core_that_is_too_full_is_named(net):
    mapping = {"populations": {"conv": {"core": 3}, "out": {"core": 4}}}
    document = preset(cores__convolution__weights__value=10)
    (problem,) = check(parse_architecture(document, "here"), net, mapping)["problems"]
    assert (problem["name"], problem["population"], problem["core"]) == ("DoesNotFit", "conv", 3)
    assert (problem["limit"], problem["has"]) == ("weights", 10)


def test_each_wrong_place_of_a_file_is_a_problem(tmp_path):
    path = changed(tmp_path, clock__unit="ns", colour="red", actions__synapse__energy__value=-1)
    text, code, found = both(path)
    assert (text, code, found["verdict"], found["accelerator"]) == (2, 2, "refused", None)
    assert {problem["name"] for problem in found["problems"]} == {"InvalidHardware"}
    assert {problem["place"] for problem in found["problems"]} == {"colour", "actions.synapse.energy.value"}
    path.write_text("a: [1")
    (problem,) = check(path)["problems"]
    assert problem["name"] == "InvalidHardware"
    assert "not readable as YAML" in problem["message"]


@pytest.mark.parametrize(
    ("arguments", "name", "message"),
    [
        (("loihi9",), "InvalidHardware", "presets are"),
        (("event-conv-small", "--network", "no.h5"), "MissingFile", "no.h5"),
        (("event-conv-small", "--network", "{net}", "--mapping", "channle"), "InvalidMapping", "no mapping"),
    ],
)
def test_other_refusals_have_the_name_of_their_error(net, arguments, name, message):
    text, code, found = both(*(word.format(net=net) for word in arguments))
    assert (text, code, found["verdict"]) == (2, 2, "refused")
    (problem,) = found["problems"]
    assert problem["name"] == name
    assert message in problem["message"]


def test_a_mapping_file_names_its_places(net, tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("format: eventsnn-mapping\nschema: 1\nothers: pack\ncolour: red\n")
    (problem,) = check("event-conv-small", net, path)["problems"]
    assert (problem["name"], problem["place"]) == ("InvalidMapping", "colour")


def test_loihi_takes_no_whole_row_of_64_channels_and_32_columns():
    """Three rows of sources are 6,144 axons, a core has 4,096; with 8,192 it fits."""
    same = Axis(3, pad_before=1, pad_after=1)
    network = Network(
        [Population("in", (32, 32, 64), Input()), Population("out", (32, 32, 64), Readout())],
        [Projection("1", "in", "out", Conv2d(np.ones((3, 3, 64, 64), dtype=int), same, same))],
    )
    loihi = load_architecture("loihi-davies2018")
    (problem,) = check(loihi, network)["problems"]
    assert (problem["population"], problem["limit"]) == ("out", "axons_in")
    assert (problem["need"], problem["has"]) == (6144, 4096)
    (varied,) = vary(loihi, "cores.neuron-core.axons_in", ["8192"])
    found = check(varied.architecture, network)
    assert found["verdict"] == "fits"
    assert max(core["use"]["axons_in"][0] for core in found["cores"]) > 4096


def test_what_is_no_accelerator_is_a_problem_and_a_mapping_of_nothing_a_mistake(net):
    (problem,) = check(3)["problems"]
    assert problem["name"] == "InvalidHardware"
    with pytest.raises(InvalidRequest, match="give it with network"):
        check("odin", None, "pack")
    done = CliRunner().invoke(app, ["check", "odin", "--mapping", "pack", "--json"])
    assert "give it with --network" in str(done.exception)
    network = small_network()
    assert check("event-conv-small", network)["cores"] == check("event-conv-small", net)["cores"]
    assert check("event-conv-small", network)["checked"]["network"] == network.checksum
