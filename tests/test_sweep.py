"""Sweeps: exact small cases, equality with separate runs, common random numbers, wrong input."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders.networks import random_network
from builders.recordings import random_events, small_network, write_recordings

from eventsnn.cli.sweep import parse_values
from eventsnn.errors import DoesNotFit, InvalidHardware, InvalidRequest
from eventsnn.events import SpikeTrain
from eventsnn.hardware import load_architecture
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.values import stated_values
from eventsnn.hardware.variations import banded, behaviour, scaled, vary
from eventsnn.network import Dense, Input, Network, Population, Projection, Readout
from eventsnn.report import sweep as shown
from eventsnn.run import simulate as simulating
from eventsnn.run.simulate import simulate
from eventsnn.run.sweep import sweep

SMALL = vary(load_architecture("event-conv-small"), "static_power", ["0.8"])[0].architecture  # no bands
TIME, ENERGY, LANES = (
    "actions.synapse.time",
    "actions.synapse.energy",
    "cores.convolution.processing_elements",
)


def one_message():
    """One event to 20 classes: 20 synapses in ceil(20 / 8) cycles, and a run of two samples."""
    network = Network(
        [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, 20), Readout())],
        [Projection("p", "in", "out", Dense(np.ones((1, 20), int)))],
    )
    return network, [(train(1000), 0), (train(5000), 3)]


def train(time):
    return SpikeTrain(np.array([time]), np.array([0]))


def jittered():
    data = SMALL.document()
    data["actions"]["decode"]["jitter"] = {
        "distribution": "gamma",
        "deviation": {"value": 10, "unit": "ns", "kind": "assumed", "source": "a test"},
    }
    return parse_architecture(data, "here")


def events(n=4):
    rng = np.random.default_rng(2)
    return [(random_events(rng), index) for index in range(n)]


def test_each_value_changes_what_it_should():
    """Port 1, decode 2, synapses ceil(20 / lanes): cycles of 10 ns; 20 operations of 12.6 pJ."""
    network, data = one_message()
    found = sweep(
        network,
        data,
        "event-conv-small",
        {TIME: ["2", "25 ns"], LANES: [4, "20"], ENERGY: ["20 pJ", "0.0126 nJ", "x0.5"]},
        engine="reference",
    )
    assert found.samples == 2
    assert found.nominal.latency_s["mean"] == pytest.approx(60e-9)
    assert found.nominal.synaptic_operations["mean"] == 20
    static = 0.8e-3
    dynamic = found.nominal.energy_j["mean"] - static * 60e-9
    rows = {(o.path, o.value): o for o in found.outcomes}
    assert list(rows) == [
        *((TIME, value) for value in ("2 cycles", "25 ns")),
        *((LANES, value) for value in ("4 lanes", "20 lanes")),
        *((ENERGY, value) for value in ("20 pJ", "0.0126 nJ", "6.3 pJ")),
    ]
    for key, latency, picojoules in (
        ((TIME, "2 cycles"), 90e-9, 0),
        ((TIME, "25 ns"), 105e-9, 0),
        ((LANES, "4 lanes"), 80e-9, 0),
        ((LANES, "20 lanes"), 40e-9, 0),
        ((ENERGY, "20 pJ"), 60e-9, 148),
        ((ENERGY, "0.0126 nJ"), 60e-9, 0),
        ((ENERGY, "6.3 pJ"), 60e-9, -126),
    ):
        outcome = rows[key]
        energy = dynamic + picojoules * 1e-12 + static * latency
        assert outcome.measures.latency_s["p95"] == pytest.approx(latency)
        assert outcome.measures.energy_j["mean"] == pytest.approx(energy, rel=1e-12)
        assert outcome.latency_change_s.mean == pytest.approx(latency - 60e-9, abs=1e-18)
        assert outcome.energy_change_j.mean == pytest.approx(energy - found.nominal.energy_j["mean"])
        assert outcome.simulated == (key[0] != ENERGY)
        assert outcome.answers_changed == 0


def test_the_tornado_has_the_widest_swing_first():
    network, data = one_message()
    found = sweep(network, data, SMALL, {TIME: ["2"], LANES: [4, 20], ENERGY: ["x2"]}, engine="reference")
    latency = found.tornado("latency_s")
    assert [bar.path for bar in latency] == [LANES, TIME, ENERGY]
    assert (latency[0].low_value, latency[0].high_value) == ("20 lanes", "4 lanes")
    assert [bar.swing for bar in latency] == pytest.approx([40e-9, 30e-9, 0])
    assert (latency[1].low_value, latency[1].high_value) == ("nominal", "2 cycles")
    energy = found.tornado("energy_j")
    assert [bar.path for bar in energy] == [ENERGY, LANES, TIME]
    assert energy[0].swing == pytest.approx(20 * 12.6e-12)
    assert energy[1].swing == pytest.approx(0.8e-3 * 40e-9)
    rows = shown.tornado_table(found, "latency_s").rows
    texts = [[f"{c.main} {c.detail}".replace("\u00a0", " ").strip() for c in row] for row in rows]
    assert texts == [
        [LANES, "-20.0 ns at 20 lanes", "+20.0 ns at 4 lanes", "40.0 ns", "66.7 %"],
        [TIME, "–", "+30.0 ns at 2 cycles", "30.0 ns", "50.0 %"],
    ]
    assert f"The mean latency does not depend on: {ENERGY}." in shown.sentences(found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (TIME, "3"),
        ("clock", "10"),
        ("cores.convolution.input_fifo.depth", "unbounded"),
        ("cores.convolution.neurons", "60"),
        ("actions.fire.energy", "x3"),
        ("static_power", "2"),
        ("actions.access.energy", "5 pJ"),
    ],
)
def test_an_outcome_is_that_of_a_run_of_its_own(path, value):
    (variation,) = vary(SMALL, path, [value])
    found = sweep(small_network(), events(), SMALL, {path: [value]}, engine="reference", exit="margin:0.4")
    alone = simulate(
        small_network(), events(), variation.architecture, engine="reference", exit="margin:0.4"
    ).summary()
    (outcome,) = found.outcomes
    assert outcome.measures.accuracy == alone["accuracy"]
    assert outcome.measures.latency_s == alone["latency_s"]
    assert outcome.measures.energy_j == alone["energy_j"]
    assert outcome.measures.synaptic_operations == alone["synaptic_operations"]
    assert outcome.simulated == (path in (TIME, "clock", "cores.convolution.neurons"))


def test_steps_behind_a_barrier_are_swept_too():
    """Energies, those paid in steps alone among them, are charged to the nominal run's counts."""
    network = random_network(3, "rate")
    rng = np.random.default_rng(0)
    pixels = network.populations[network.input].size
    time = np.sort(rng.integers(0, 20000, 60))
    data = [(SpikeTrain(time, rng.integers(0, pixels, 60), None, 20000), 0)]
    asked = {"schedule": "step", "step_us": 0.001956, "engine": "reference"}
    values = {"actions.access.energy": ["x2"], "synchronisation.latency.0.time": ["x3"]}
    found = sweep(network, data, "loihi-sanafe-fit", values, **asked)
    assert [outcome.simulated for outcome in found.outcomes] == [False, True]
    for outcome, (path, value) in zip(found.outcomes, values.items(), strict=True):
        (variation,) = vary(load_architecture("loihi-sanafe-fit"), path, value)
        alone = simulate(network, data, variation.architecture, **asked).summary()
        assert outcome.measures.energy_j == alone["energy_j"]
        assert outcome.measures.latency_s == alone["latency_s"]
    assert found.outcomes[0].energy_change_j.mean > 0 == found.outcomes[1].energy_change_j.mean
    # 20,000 ticks of input are eleven steps of 1,956, each with a barrier of 600 ns or thrice that.
    barriers = found.outcomes[1].latency_change_s.mean / 1200e-9
    assert barriers == pytest.approx(11)


def test_only_what_a_spike_can_notice_is_simulated_again(monkeypatch):
    made = []
    original = simulating.run_job
    monkeypatch.setattr("eventsnn.run.sweep.run_job", lambda *a, **k: made.append(a) or original(*a, **k))
    values = {ENERGY: ["1", "2", "3"], "static_power": ["0"], TIME: ["1", "10 ns", "2"]}
    done = []
    found = sweep(
        small_network(),
        events(2),
        SMALL,
        values,
        engine="reference",
        seeds=2,
        progress=lambda *now: done.append(now),
    )
    # One cycle is 10 ns: nominal and two cycles, two seeds each.
    assert len(made) == 4
    assert [outcome.simulated for outcome in found.outcomes] == [False] * 6 + [True]
    assert done == [(i, 8) for i in range(1, 9)]
    assert "6 of 7 values" in " ".join(shown.sentences(found))


def test_all_values_meet_the_same_random_draws():
    """A value set to itself changes nothing, in a run of its own: its time is given another way."""
    found = sweep(
        small_network(), events(), jittered(), {"clock": ["100000 kHz", "99"]}, engine="reference", seed=4
    )
    same, slower = found.outcomes
    assert same.simulated
    assert same.latency_change_s.mean == same.energy_change_j.mean == 0
    assert same.measures == found.nominal
    assert slower.latency_change_s.mean > 0


def test_seeds_are_runs_of_their_own():
    asked = {"engine": "reference"}
    found = sweep(small_network(), events(3), jittered(), {ENERGY: ["x2"]}, seeds=3, seed=7, **asked)
    runs = [simulate(small_network(), events(3), jittered(), seed=7 + i, **asked) for i in range(3)]
    latencies = np.array([run.latency_s for run in runs])
    assert len({tuple(row) for row in latencies}) == 3
    assert found.nominal.latency_s["p50"] == np.median(latencies)
    energies = np.array([run.table.column("energy_j") for run in runs])
    assert found.nominal.energy_j["mean"] == pytest.approx(energies.mean(), rel=1e-15)
    operations = np.array([run.table.column("synaptic_operations") for run in runs]).mean(axis=0)
    change = found.outcomes[0].energy_change_j
    assert change.mean == pytest.approx(12.6e-12 * operations.mean(), rel=1e-9)
    assert change.error == pytest.approx(12.6e-12 * operations.std(ddof=1) / np.sqrt(3), rel=1e-9)


def test_bands_and_factors_take_every_value_that_has_one():
    data = SMALL.document()
    data["actions"]["synapse"]["energy"]["band"] = [10, 20.1234567]
    data["clock"]["band"] = [90, 100]
    architecture = parse_architecture(data, "here")
    assert [(v.path, v.value) for v in banded(architecture)] == [
        ("clock", "90 MHz"),
        ("clock", "100 MHz"),
        (ENERGY, "10 pJ"),
        (ENERGY, "20.1235 pJ"),
    ]
    assert banded(architecture)[3].architecture.actions.synapse.energy.value == 20.1234567
    paths = [v.path for v in scaled(SMALL, [0.5])]
    assert len(paths) == len(set(paths))
    assert {"clock", "static_power", TIME, ENERGY, "actions.hop_x.time"} <= set(paths)
    assert not any("cores" in path for path in paths)
    network, samples = one_message()
    found = sweep(network, samples, architecture, bands=True, relative=[0.5], engine="reference")
    assert len(found.outcomes) == 4 + len(paths)
    assert sum(outcome.path == ENERGY for outcome in found.outcomes) == 3


def test_a_value_that_does_not_work_is_an_outcome(tmp_path):
    found = sweep(
        small_network(), events(1), SMALL, {"cores.convolution.neurons": ["5", "16384"]}, engine="reference"
    )
    failed, fine = found.outcomes
    assert failed.measures is None
    assert "'conv' does not fit" in failed.failed
    assert fine.measures == found.nominal
    assert "neurons = 5 neurons does not run" in " ".join(shown.sentences(found))
    assert found.tornado()[0].swing == 0
    assert json.loads(json.dumps(found.to_dict()))["outcomes"][0]["energy_j"] is None
    (nothing,) = vary(SMALL, "cores.convolution.neurons", ["5"])
    with pytest.raises(DoesNotFit):
        sweep(small_network(), events(1), nothing.architecture, {TIME: ["2"]}, engine="reference")


@pytest.mark.parametrize("name", ["loihi-sanafe-fit", "event-conv-small"])
def test_every_value_that_is_listed_can_be_set(name):
    """Paths are those that 'eventsnn hardware show' prints; set to itself a value changes no run."""
    architecture = load_architecture(name)
    stated = stated_values(architecture)
    assert any("latency.0" in path for path, _ in stated) == (name == "loihi-sanafe-fit")
    for path, quantity in stated:
        (variation,) = vary(architecture, path, [repr(quantity.value)])
        assert variation.path == path
        assert behaviour(variation.architecture) == behaviour(architecture)
        changed = dict(stated_values(variation.architecture))
        assert changed.pop(path).value == quantity.value
        assert changed == {other: value for other, value in stated if other != path}


def test_an_architecture_without_a_cost_can_be_given_one():
    (variation,) = vary(SMALL, "actions.access.time", ["3 ns"])
    assert variation.architecture.actions.access.time.ticks(1e8) == 3000
    assert behaviour(variation.architecture) != behaviour(SMALL)
    (variation,) = vary(SMALL, "tiles.tile[0..7].core", ["convolution"])
    assert behaviour(variation.architecture) == behaviour(SMALL)
    (variation,) = vary(SMALL, "cores.convolution.input_fifo.depth", ["3"])
    assert variation.architecture.cores["convolution"].input_fifo.depth == 3


def named_energy():
    """The small preset with a kind of core, a synapse unit and a corner of that name."""
    data = SMALL.document()
    data["cores"] = {"energy": data["cores"]["convolution"]}
    data["tiles"] = {"energy[0..7]": {"energy": "energy"}}
    data["synapse_units"] = {"energy": data["actions"]["synapse"]}
    data["corners"] = {"energy": {"time": 2, "source": "a test"}}
    return parse_architecture(data, "named")


@pytest.mark.parametrize(
    ("path", "value", "noticed"),
    [
        ("cores.energy.processing_elements", "1", True),
        ("synapse_units.energy.time", "x2", True),
        ("corners.energy.time", "3", True),
        ("synapse_units.energy.energy", "x2", False),
        ("corners.energy.energy", "3", False),
        ("corners.energy.static_power", "3", False),
        ("static_power", "x2", False),
    ],
)
def test_what_is_named_like_an_energy_is_noticed_all_the_same(path, value, noticed):
    nominal = named_energy()
    (variation,) = vary(nominal, path, [value])
    assert (behaviour(variation.architecture) != behaviour(nominal)) == noticed


def test_tiles_with_another_core_named_like_an_energy_behave_otherwise():
    data = named_energy().document()
    data["cores"]["other"] = data["cores"]["energy"]
    tiles = [{"energy[0..7]": {"energy": kind}} for kind in ("energy", "other")]
    one, other = (behaviour(parse_architecture(data | {"tiles": found}, "named")) for found in tiles)
    assert one != other


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        ("actions.synaps.time", ["5"], r"no value 'actions.synaps.time': actions has serialise, decode"),
        ("synapse", ["5"], "no value 'synapse': the architecture has clock"),
        ("name", ["x"], "no value 'name'"),
        ("actions.synapse", ["5"], "no value but a group of time, energy, jitter"),
        ("", ["5"], "no value but a group"),
        (f"{TIME}.unit", ["ns"], f"goes into the value {TIME}"),
        (TIME, ["5 pJ"], "'pJ' is not a unit of time"),
        ("static_power", ["5 s"], "'s' is not a unit of power"),
        (TIME, [], "given no values"),
        (TIME, ["5", ""], "given no values"),
        (TIME, ["fast"], "'fast' is no number"),
        (TIME, ["nan"], "'nan' is no number"),
        (TIME, ["x2 ns"], "is no number"),
        (TIME, ["-5"], "greater than or equal to 0"),
        (LANES, ["0"], "must be at least 1"),
        (LANES, ["x0.3"], "not a whole number"),
        (LANES, ["8 cows"], "lanes are counted there, not cows"),
        ("actions.access.time", ["5"], "actions.access.time"),
        ("cores.convolution.input_fifo.depth", ["-1"], "input_fifo.depth"),
        ("cores.convolution.input_fifo.depth", ["[1, 2]"], "is a group"),
        ("corner", ["hot"], "corner 'hot' is not one of corners"),
    ],
)
def test_a_wrong_value_says_what_is_allowed(path, values, message):
    with pytest.raises(InvalidHardware, match=message):
        vary(SMALL, path, values)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "nothing to vary; give --set"),
        ({"bands": True}, "no value of event-conv-small states a band"),
        ({"relative": []}, "factors above 0"),
        ({"relative": [0.5, -1]}, "factors above 0"),
        ({"relative": [float("inf")]}, "factors above 0"),
        ({"values": {TIME: "5"}}, "give a list"),
        ({"values": {TIME: ["5"]}, "seeds": 0}, "seeds is 0"),
        ({"values": {TIME: ["5"]}, "hardware": None}, "give hardware"),
    ],
)
def test_a_wrong_request_says_what_is_allowed(asked, message):
    network, data = one_message()
    with pytest.raises(InvalidRequest, match=message):
        sweep(network, data, **{"hardware": SMALL, **asked})


def test_the_paths_that_the_documentation_names_exist():
    text = (Path(__file__).parents[1] / "docs" / "sensitivity.md").read_text(encoding="utf-8")
    settings = re.findall(r'--set "?([a-z_.]+=[^"\s]+(?: ns,20 ns)?)"?', text)
    settings += re.findall(r"`([\w.]+=[\d,]+unbounded)`", text)
    assert len(settings) == 4
    for path, values in parse_values(settings).items():
        assert len(vary(load_architecture("event-conv-small"), path, values)) == len(values)


# -- what a user sees ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    small_network().save(folder / "net.h5")
    write_recordings(folder / "set", 1, 3)
    (folder / "chip.yaml").write_text(yaml.safe_dump(SMALL.document()))
    return folder


def run(files, *arguments):
    command = [
        sys.executable,
        "-m",
        "eventsnn",
        "sweep",
        files / "net.h5",
        "--data",
        f"nmnist:{files / 'set'}",
    ]
    command += ["--hardware", files / "chip.yaml", "--engine", "reference", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def test_the_command_prints_tables_or_one_json_object(files, tmp_path):
    asked = ("--set", f"{TIME}=2,20 ns", "--set", f"{ENERGY}=x2", "--samples", 2, "--seeds", 2)
    done = run(files, *asked, "--json", "-o", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "s.json").read_text())
    assert (found["samples"], found["seeds"]) == (2, 2)
    assert [o["value"] for o in found["outcomes"]] == ["2 cycles", "20 ns", "25.2 pJ"]
    assert {bar["path"] for bar in found["tornado"]["energy_j"]} == {TIME, ENERGY}
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    done = run(files, *asked, "--mapping", "pack", "-o", tmp_path / "s.html")
    assert done.returncode == 0, done.stderr
    assert "what the energy depends on" in done.stdout
    assert "counts reused" in done.stdout
    page = (tmp_path / "s.html").read_text()
    assert page.startswith("<!DOCTYPE html")
    assert page.count("<svg") == 2
    assert page.count("<table") == 3


def test_changes_are_shown_in_plain_digits():
    def text(mean, error):
        return shown._change(shown.Change(mean, error), 1e-4).replace("\u00a0", " ")

    assert text(4.09e-3, 4.4e-5) == "+4090 ± 44.0 %"
    assert text(-1.97e-9, 8.3e-12) == "-0.00197 ± 0.00000830 %"
    assert text(2e-6, None) == "+2.00 %"
    assert text(0.0, 0.0) == "unchanged"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "actions.synapse.time"), "is not PATH=V1,V2"),
        (("--set", "=5"), "is not PATH=V1,V2"),
        (("--set", f"{TIME}="), "given no values"),
        (("--set", f"{TIME}=soon"), "is no number"),
        (("--set", "actions.synapse=5"), "no value but a group"),
        (("--set", f"{TIME}=5 pJ"), "not a unit of time"),
        (("--relative", "a,b"), "list of factors"),
        (("--bands",), "states a band"),
        ((), "nothing to vary"),
        (("--set", f"{TIME}=5", "-o", "sweep.txt"), ".html or .json"),
        (("--set", f"{TIME}=5", "-o", "/nowhere/s.html"), "does not exist"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(files, arguments, message):
    done = run(files, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
