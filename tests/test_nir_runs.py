"""Runs and networks written for other tools by ``eventsnn export --to nir``, and NIR on the command line."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="the extra nir is not installed")

from builders.nir_runs import channels_last  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

import eventsnn  # noqa: E402
from eventsnn.cli.commands import app  # noqa: E402
from eventsnn.counting import COLUMN  # noqa: E402
from eventsnn.errors import EventsnnError  # noqa: E402
from eventsnn.nir import from_nir, to_nir  # noqa: E402
from eventsnn.run.demo import shipped  # noqa: E402
from eventsnn.run.spikes import write_run_as_nir  # noqa: E402

DEMO, DATA = shipped("models/demo.h5"), f"nmnist:{shipped('datasets/demo')}"


def command(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def graph(size=34):
    """Ten classes, one for each stripe of rows."""
    stripes = np.zeros((10, 2, size // 2, size // 2))
    for row in range(size // 2):
        stripes[row % 10, :, row] = 0.75
    return nir.NIRGraph.from_list(
        nir.Input(np.array([2, size, size])),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten({"input": np.array([2, size // 2, size // 2])}, 0),
        nir.Linear(stripes.reshape(10, -1)),
        nir.IF(np.ones(10), np.ones(10), np.zeros(10)),
        type_check=False,
    )


@pytest.fixture
def network(tmp_path):
    nir.write(str(tmp_path / "two.nir"), graph())
    return tmp_path / "two.nir"


def test_a_graph_is_converted_run_and_exported_on_the_command_line(network, tmp_path):
    net, results, out = (tmp_path / name for name in ("net.h5", "run.h5", "run.nir"))
    done = command(
        "convert", network, "-o", net, "--comparison", "greater-or-equal", "--reset", "soft", "--json"
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["reset"], told["comparison"], told["spikes"]) == ("soft", "greater-or-equal", "one")
    assert told["nodes"]["if"] == ["IF", "approximate", "as asked: reset soft, comparison greater-or-equal"]
    assert told["nodes"]["flatten"] == ["Flatten", "faithful", ""]
    loaded = eventsnn.load(net)
    assert loaded.checksum == from_nir(graph(), reset="soft", comparison="greater-or-equal").checksum
    assert loaded.metadata["model"] == "two.nir"
    done = command("convert", network, "-o", net)
    assert "rounding takes off" in done.stdout
    assert "reset hard, comparison greater, spikes one, lower clamp none" in done.stdout
    done = command(
        "run", net, "--data", DATA, "--split", "all", "--samples", 3, "--schedule", "step", "-o", results
    )
    assert done.exit_code == 0, done.output
    done = command("export", results, "--to", "nir", "-o", out)
    assert done.exit_code == 0, done.output
    check_data(eventsnn.load(net), eventsnn.Results.load(results), nir.read_data(str(out)))


def check_data(network, results, data):
    """As many spikes of each population and sample as the run counted, each neuron's number NIR's."""
    assert set(data.nodes) == set(network.order)
    for rank, name in enumerate(network.order):
        found = data.nodes[name].observables["spikes"]
        spikes = (found.idx >= 0).sum(axis=1)
        counters = [sample.counters[rank] for sample in results.table.samples]
        columns = ["input_events"] if rank == 0 else ["spikes_positive", "spikes_negative"]
        assert spikes.tolist() == [sum(row[COLUMN[c]] for c in columns) for row in counters], name
        assert (found.idx < found.n_neurons).all()
        assert found.n_neurons == network.populations[name].size
        assert np.isinf(found.time[found.idx < 0]).all()
        assert found.time[found.idx >= 0].max(initial=0) <= found.t_max


def test_neurons_are_numbered_as_nir_does(network, tmp_path):
    """The input's spikes are those of the recording, channels first."""
    net = from_nir(network)
    events = eventsnn.make_events([5, 7, 9], [3, 30, 3], [20, 1, 20], [1, 0, 1])
    results = eventsnn.simulate(net, [(events, 0), (events[:2], 1)], origin="file")
    write_run_as_nir(results, tmp_path / "run.nir", net, [(events, 0), (events[:2], 1)])
    found = nir.read_data(str(tmp_path / "run.nir")).nodes["input"].observables["spikes"]
    numbers = channels_last(np.arange(2 * 34 * 34).reshape(2, 34, 34))
    place = {(x, y, p): numbers[(y * 34 + x) * 2 + p] for x, y, p in [(3, 20, 1), (30, 1, 0)]}
    expected = [place[3, 20, 1], place[30, 1, 0], place[3, 20, 1]]
    assert found.idx.tolist() == [expected, [*expected[:2], -1]]
    assert np.allclose(found.time[0], [5e-6, 7e-6, 9e-6])
    assert type(found) is nir.EventData


def test_signed_spikes_are_written_with_their_payloads(tmp_path):
    network = eventsnn.load(DEMO)
    results = eventsnn.simulate(network, DATA, samples=2, split="all", hardware="event-conv-small")
    write_run_as_nir(results, tmp_path / "run.nir", network)
    data = nir.read_data(str(tmp_path / "run.nir"))
    check_data(network, results, data)
    hidden = data.nodes[network.order[1]].observables["spikes"]
    assert type(hidden) is nir.ValuedEventData
    assert set(np.unique(hidden.value[hidden.idx >= 0])) <= {-1.0, 1.0}
    assert (hidden.value < 0).any()


def test_what_is_not_the_run_is_refused(network, tmp_path):
    net = from_nir(network)
    events = eventsnn.make_events([5, 7, 9], [3, 30, 3], [20, 1, 20], [1, 0, 1])
    results = eventsnn.simulate(net, [(events, 0)], schedule="step")
    out = tmp_path / "run.nir"
    cases = [
        ({}, "was no file"),
        ({"network": net}, "samples that were no files"),
        ({"network": from_nir(network, reset="soft")}, "checksum"),
        ({"network": net, "data": [(events[:2], 0)]}, "another digest"),
    ]
    for given, message in cases:
        with pytest.raises(EventsnnError, match=message):
            write_run_as_nir(results, out, **given)
    assert not out.exists()


def test_a_network_is_exported_and_converted_back(network, tmp_path):
    net, out, back = (tmp_path / name for name in ("net.h5", "out.nir", "back.h5"))
    from_nir(network, lower_clamp=-2.0).save(net)
    assert command("export", net, "--to", "nir", "-o", out).exit_code == 0
    assert command("convert", out, "-o", back).exit_code == 0
    assert eventsnn.load(back).checksum == eventsnn.load(net).checksum
    assert nir.read(str(out), type_check=False).nodes["if"].metadata["lower_clamp"] == -2.0


def test_the_commands_of_the_page_run(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE.nir").write_bytes(network.read_bytes())
    text = (Path(__file__).resolve().parents[1] / "docs" / "nir.md").read_text()
    found = re.findall(r"^eventsnn (.*)$", text, re.M)
    assert len(found) == 5
    for line in found:
        words = shlex.split(line.replace("nmnist:FOLDER", DATA))
        done = command(*words, *(["--samples", "2"] if words[0] == "run" else []))
        assert done.exit_code == 0, (line, done.output, done.exception)


REFUSED = {
    "signed network": (["export", DEMO, "--to", "nir", "-o", "OUT"], "NIR|not simulated here"),
    "data of a network": (["export", "NET", "--to", "nir", "-o", "OUT", "--data", DATA], "spikes of a run"),
    "a table's network": (["export", "NET", "--to", "csv", "-o", "OUT", "--network", "NET"], "samples again"),
    "levels": (["convert", "NIR", "-o", "OUT", "--levels", "7"], "--levels is for trained networks"),
    "samples": (["convert", "NIR", "-o", "OUT", "--samples", "7"], "--samples is for trained networks"),
    "a word": (["convert", "NIR", "-o", "OUT", "--comparison", "above"], "allowed are greater, greater-or"),
    "of nir": (["convert", "PT", "-o", "OUT", "--calibration", "a:b", "--step-us", "1"], "is for NIR"),
    "no data": (["convert", "PT", "-o", "OUT"], "--calibration is missing"),
    "no file": (["convert", "a.pt", "-o", "OUT"], "no model file a.pt"),
    "no model": (["convert", "NET", "-o", "OUT"], "is a converted network already"),
    "own network": (["convert", "NIR", "-o", "NIR"], "file of another kind|exists"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_the_command_line_refuses(words, message, network, tmp_path):
    net = tmp_path / "net.h5"
    to_nir(from_nir(network))
    from_nir(network).save(net)
    (tmp_path / "a.pt").write_bytes(b"weights")
    names = {"OUT": tmp_path / "out", "NET": net, "NIR": network, "PT": tmp_path / "a.pt"}
    done = command(*(names.get(word, word) for word in words))
    assert done.exit_code != 0
    assert isinstance(done.exception, EventsnnError)
    with pytest.raises(EventsnnError, match=message):
        raise done.exception
