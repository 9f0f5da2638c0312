"""Runs side by side: paired where samples are the same, said where they are not."""

import json
from dataclasses import replace

import numpy as np
import pytest
from builders.networks import random_network
from builders.recordings import random_events, small_network
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.errors import InvalidRequest
from eventsnn.events import Recording
from eventsnn.network import Network, Population
from eventsnn.report.comparison import comparison_table, warnings_of
from eventsnn.results.comparison import compare
from eventsnn.results.results import Results

NETWORK = small_network()


def data(n=14, seed=3):
    rng = np.random.default_rng(seed)
    return [(random_events(rng, 70), number % 10) for number in range(n)]


@pytest.fixture(scope="module")
def full():
    return eventsnn.simulate(NETWORK, data(), hardware="event-conv-small")


@pytest.fixture(scope="module")
def stopped():
    return eventsnn.simulate(NETWORK, data(), hardware="event-conv-small", exit="margin:0.02")


def test_differences_of_the_same_samples_by_hand(full, stopped):
    (found,) = compare([full, stopped])
    assert found.differing == ("exit rule",)
    assert found.samples == (14, 14, 14)
    assert not found.by_content
    change = stopped.table.column("synaptic_operations") - full.table.column("synaptic_operations")
    cost = found.costs["synaptic_operations"]
    assert cost.mean == pytest.approx(change.mean())
    half = 1.96 * change.std(ddof=1) / np.sqrt(14)
    assert (cost.low, cost.high) == pytest.approx((change.mean() - half, change.mean() + half), rel=1e-3)
    assert (cost.lower, cost.higher) == ((change < 0).mean(), (change > 0).mean())
    assert cost.ratio < 1
    assert cost.lower > 0.5
    right, also = full.correct, stopped.correct
    assert (found.only_first_right, found.only_other_right) == ((right & ~also).sum(), (also & ~right).sum())
    assert set(found.costs) == {"latency_s", "synaptic_operations", "spikes", "energy_j"}


def with_right(results, right):
    """The same run, with these samples right and the others wrong."""
    samples = tuple(
        replace(sample, prediction=sample.label if fits else (sample.label + 1) % 10)
        for sample, fits in zip(results.table.samples, right, strict=True)
    )
    return Results(replace(results.table, samples=samples))


def test_mcnemar_by_hand(full):
    one = with_right(full, np.arange(14) < 9)
    other = with_right(full, np.arange(14) >= 8)
    (found,) = compare([one, other])
    assert (found.only_first_right, found.only_other_right) == (8, 5)
    # Of 13, 8 or more or 5 or fewer, each with probability a half: 2 (1 + 13 + 78 + 286 + 715 + 1287) / 8192.
    assert found.p_value == pytest.approx(2 * 2380 / 8192)
    assert compare([one, one])[0].p_value == 1.0


def test_samples_are_paired_by_content_where_names_differ(full):
    moved = [
        Recording(events, label, 100 + place, f"copy {place}") for place, (events, label) in enumerate(data())
    ]
    other = eventsnn.simulate(NETWORK, moved[::-1][:9], hardware="event-conv-small")
    (found,) = compare([full, other])
    assert found.by_content
    assert found.samples == (14, 9, 9)
    assert found.differing == ("data",)
    assert all(cost.mean == 0 and cost.lower == cost.higher == 0 for cost in found.costs.values())


def test_other_data_are_said_and_never_paired(full):
    other = eventsnn.simulate(NETWORK, data(seed=4), hardware="event-conv-small")
    found = compare([full, other])
    assert found[0].samples == (14, 14, 0)
    assert found[0].costs == {}
    assert found[0].p_value is None
    (said,) = warnings_of(found, ["a", "b"])
    assert said == "“b” is of other data than “a”: no sample is in both (14 and 14), so nothing is paired."
    # What stands twice is no pair: which of them would be meant?
    copies = [Recording(data()[place][0], 5, 50 + n, "copy") for n, place in enumerate((0, 1, 2, 0))]
    assert compare([eventsnn.simulate(NETWORK, copies), full])[0].samples == (4, 14, 2)


def test_other_networks_are_said(full):
    populations = [
        Population(p.name, p.shape, replace(p.neuron, levels=3) if p.name == "conv" else p.neuron)
        for p in NETWORK
    ]
    other = Network(populations, NETWORK.projections.values())
    found = compare([full, eventsnn.simulate(other, data())])
    assert found[0].differing[:2] == ("network", "accelerator")
    (said,) = warnings_of(found, ["a", "b"])
    assert said.startswith("“b” is of other network than “a”: 14 samples are in both")
    assert "energy_j" not in found[0].costs
    shown = comparison_table(found, ["a", "b"])
    assert [row[0].main for row in shown.rows] == [
        *("Run otherwise", "Samples of both", "Right in one alone"),
        *("Latency", "Synaptic operations", "Spikes"),
    ]


def test_runs_of_before_are_paired_where_their_data_are_the_same(full, stopped):
    bare = [Results(replace(run.table, sources={}, contents={})) for run in (full, stopped)]
    assert compare(bare)[0].samples == (14, 14, 14)
    other = {**bare[1].configuration, "data": {"kind": "memory", "files": "0"}}
    assert compare([bare[0], Results(replace(bare[1].table, configuration=other))])[0].samples[2] == 0


def test_one_run_is_no_comparison(full):
    with pytest.raises(InvalidRequest, match="two or more"):
        compare([full])


def test_a_network_with_another_input_is_compared_as_what_it_is(full):
    other = random_network(3, "signed", readout=True)
    height, width, _ = other.populations[other.input].shape
    rng = np.random.default_rng(1)
    events = np.zeros(20, data()[0][0].dtype)
    events["t"], events["x"], events["y"] = (
        np.arange(20),
        rng.integers(0, width, 20),
        rng.integers(0, height, 20),
    )
    (found,) = compare([full, eventsnn.simulate(other, [events])])
    assert found.samples[2] == 0
    assert {"network", "data"} <= set(found.differing)


def test_the_command_line_compares(full, stopped, tmp_path):
    paths = [str(tmp_path / name) for name in ("full.h5", "stopped.h5")]
    for run, path in zip((full, stopped), paths, strict=True):
        run.save(path)
    done = CliRunner().invoke(app, ["compare", *paths, "--json", "-o", str(tmp_path / "c.json")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "c.json").read_text())
    assert told["first"]["digest"] == full.digest
    assert told["others"][0]["samples"] == [14, 14, 14]
    assert told["others"][0]["differing"] == ["exit rule"]
    shown = CliRunner().invoke(app, ["compare", *paths]).output
    assert "Synaptic operations" in shown
    for line in (["compare", paths[0]], ["compare", *paths, "-o", str(tmp_path / "c.xlsx")]):
        assert isinstance(CliRunner().invoke(app, line).exception, InvalidRequest)
