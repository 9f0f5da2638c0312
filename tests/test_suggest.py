"""Suggested mappings keep every limit and never raise the bound; a case by hand; the command writes them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from builders.chips import architecture_of, core_kind
from builders.command_line import eventsnn, write_files
from builders.quantities import quantity
from builders.step_chips import random_step_mapping
from builders.tiny import STEP, tiny_network, tiny_stimulus

from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, Stimulus
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.errors import DoesNotFit, InvalidNetwork
from eventsnn.hardware import Chip, map_network
from eventsnn.hardware.energy import dynamic_energy_aj
from eventsnn.hardware.mapping.written import document_of, text_of
from eventsnn.insight.bottleneck import Bottleneck
from eventsnn.insight.bounds import bound, least, workload
from eventsnn.insight.profile import Summary, profile
from eventsnn.insight.suggest import suggest
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, Readout
from eventsnn.report.bounds import bound_sentence, core_times_table, suggestion_sentence
from eventsnn.run.suggest import suggest_mapping

OPTIONS = RunOptions(record_spikes=True, record_service=True, schedule="step", step=STEP)


def small_cores(document):
    """Cores that hold few neurons and weights, so that not all splits fit."""
    for core in document["cores"].values():
        core |= {"neurons": quantity(24, "neurons"), "weights": quantity(160, "words")}
        core |= {"axons_in": quantity(40, "sources"), "axons_out": quantity(40, "copies")}
    return document


def test_suggestions_keep_every_limit_and_never_raise_the_bound():
    lower = exact = 0
    for seed in range(60):
        kind = ("barrier", "dependency")[seed % 2]
        try:
            network = tiny_network(seed)
            mapping = random_step_mapping(seed, network, kind, links=seed % 3 == 0)
            fitting = random_step_mapping(seed, network, kind, small_cores, links=seed % 3 == 0)
            mapping = map_network(network, fitting.architecture, document_of(network, mapping))
        except (DoesNotFit, InvalidNetwork):
            continue
        stimulus = tiny_stimulus(seed, network)
        bounds = []
        for _ in range(4):
            run = ReferenceEngine(network, mapping, OPTIONS).run(stimulus)
            measured = bound(run, network, mapping, STEP)
            found = suggest(network, mapping, [workload(run, network, mapping, STEP)])
            bounds.append(measured.ticks)
            if found is None:
                break
            assert found.before == measured.ticks
            assert found.after < found.before
            assert [change.bound for change in found.changes][-1] == found.after
            assert found.after == least(measured.workload, found.mapping).ticks
            # What is written is that mapping, and within every limit: placing it refuses what is not.
            written = yaml.safe_load(text_of(document_of(network, found.mapping)))
            placed = map_network(network, mapping.architecture, written)
            assert placed.parts == found.mapping.parts
            assert placed.parts[network.input] == mapping.parts[network.input]
            ran = ReferenceEngine(network, placed, OPTIONS).run(stimulus)
            after = bound(ran, network, placed, STEP).ticks
            # Who is active is told by part: on other parts it is an estimate, unless updates take no time.
            if Chip(mapping).core(0).update == 0:
                assert after == found.after
                exact += 1
            if after >= measured.ticks:
                break
            mapping = placed
            lower += 1
        assert bounds == sorted(bounds, reverse=True)
    assert lower >= 25
    assert exact >= 5


# -- by hand (docs/profile.md) -------------------------------------------------------------------------------


def eight_channels():
    """Four inputs that reach a population of eight neurons, none of which fires; a chip of two cores."""
    network = Network(
        [
            Population("in", (1, 1, 4), Input()),
            Population("hidden", (1, 1, 8), Rate(1000, period=STEP)),
            Population("out", (1, 1, 2), Readout(period=STEP)),
        ],
        [
            Projection("first", "in", "hidden", Dense(np.ones((4, 8), dtype=int))),
            Projection("second", "hidden", "out", Dense(np.ones((8, 2), dtype=int))),
        ],
    )
    costs = {"synapse": 10_000}, {"synapse": 24_000_000, "decode": 5_000_000, "input": 1_000_000}
    chip = architecture_of([core_kind(), core_kind()], times=costs[0], energies=costs[1])
    kinds = dict.fromkeys(["core[0..1]"], "kind0")
    document = chip.document() | {"synchronisation": {"kind": "barrier"}, "tiles": {"tile": kinds}}
    return network, type(chip).model_validate(document)


def placed(channels):
    """A run of one step in which every input spikes, with so many channels of the eight on core 0."""
    network, chip = eight_channels()
    cut = [{"core": 0, "channels": f"0..{channels - 1}"}, {"core": 1, "channels": f"{channels}..7"}]
    mapping = map_network(network, chip, {"populations": {"hidden": cut, "out": {"core": 1}}})
    stimulus = Stimulus(np.zeros(4, dtype=int), np.arange(4), duration=STEP)
    return network, mapping, stimulus, ReferenceEngine(network, mapping, OPTIONS).run(stimulus)


def test_equal_totals_and_times_that_differ_by_the_ratio_of_the_bounds():
    totals, times, bounds = [], [], []
    for channels in (4, 6):
        network, mapping, _, run = placed(channels)
        names = ("messages_sent", "messages_received", "synapses_served")
        counted = [int(run.counters[:, COLUMN[name]].sum()) for name in names]
        energy = dynamic_energy_aj(run.counters, Chip(mapping).energy(network.order, True))
        totals.append((*counted, energy))
        found = bound(run, network, mapping, STEP)
        times.append(run.decision_time)
        bounds.append(found.ticks)
        assert found.time == run.decision_time
    assert totals[0] == totals[1] == (8, 8, 32, 8 * 5_000_000 + 32 * 24_000_000 + 4 * 1_000_000)
    assert times == bounds == [160_000, 240_000]


def test_the_suggestion_by_hand():
    network, mapping, stimulus, run = placed(6)
    found = profile(run, network, mapping, 0, stimulus.end, step=STEP)
    summary = Summary((found,), mapping)
    port, first, second = summary.bottleneck.cores
    assert (port.core, port.own, port.state) == (-1, 0, "idle")
    assert (first.core, first.own, first.share, first.state) == (0, 240_000, 1.0, "memory")
    assert (second.core, second.own, second.state) == (1, 80_000, "waiting")
    suggestion = summary.suggestion
    assert (suggestion.before, suggestion.after) == (240_000, 160_000)
    assert list(map(str, suggestion.changes)) == [
        "hidden in 2 pieces by channel on cores 0, 1 instead of in 2 uneven pieces by channel on cores 0, 1"
    ]
    assert bound_sentence(summary) == (
        "The work of the busiest server alone takes 240\u00a0ns, 100.0\u00a0% of the 240\u00a0ns that all "
        "took. The busiest is core 0 (hidden), 100.0\u00a0% of that, mostly synapses: memory."
    )
    assert suggestion_sentence(suggestion).startswith("It would fall to 160\u00a0ns with hidden in 2 pieces")
    assert core_times_table(summary).rows[0][3].main == "240\u00a0ns"
    document = summary.to_dict()["bound"]
    assert document["busiest"] == {
        "unit": "receiving unit", "number": 0, "most": "synapses", "bound_ps": 240_000,
    }  # fmt: skip
    assert document["suggestion"]["bound_after_ps"] == 160_000
    json.dumps(document)
    _, even, _, run = placed(4)
    assert Summary((profile(run, network, even, 0, STEP, step=STEP),), even).suggestion is None
    assert "No other split" in suggestion_sentence(None)


def test_a_mapping_is_written_as_it_is_read():
    network, chip = eight_channels()
    for asked in ("layer", "pack", {"populations": {"in": {"core": 1}}, "others": "pack"}):
        mapping = map_network(network, chip, asked)
        document = yaml.safe_load(text_of(document_of(network, mapping)))
        assert map_network(network, chip, document).parts == mapping.parts
    united = replace(mapping, synapse_units={"hidden": "conv"})
    assert document_of(network, united)["synapse_units"] == {"hidden": "conv"}


# -- both faces ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suggest")
    write_files(folder)
    return folder


def test_a_suggested_mapping_has_run_and_is_no_worse(files):
    data = f"nmnist:{files / 'set'}"
    found = suggest_mapping(
        files / "net.h5", data, "event-conv-small", samples=2, engine="reference", mapping="pack"
    )
    before, after = found.before.bottleneck, found.after.bottleneck
    assert isinstance(before, Bottleneck)
    assert found.changes
    assert after.ticks < before.ticks
    assert found.to_dict()["bound_after_ps"] == after.ticks
    again = suggest_mapping(
        files / "net.h5", data, "event-conv-small", samples=2, engine="reference", mapping=found.mapping
    )
    assert again.before.bottleneck.ticks == after.ticks
    assert again.after.bottleneck.ticks <= after.ticks


def test_the_command_writes_a_mapping_that_it_takes(files, tmp_path):
    path = tmp_path / "suggested.yaml"
    command = (
        *("profile", files / "net.h5", "--data", f"nmnist:{files / 'set'}", "--engine", "reference"),
        *("--hardware", "event-conv-small"),
    )
    done = eventsnn(*command, "--mapping", "pack", "--suggest", path)
    assert done.returncode == 0, done.stderr
    for text in ("The busiest is core", "weight reads", "The suggested mapping, run on the same samples"):
        assert text in " ".join(done.stdout.split())
    taken = json.loads(eventsnn(*command, "--mapping", path, "--suggest", path, "--json").stdout)
    assert taken["suggested"]["bound_before_ps"] == taken["bound"]["bound_ps"]
    assert taken["suggested"]["bound_after_ps"] <= taken["bound"]["bound_ps"]


def test_the_command_replaces_nothing_else(files, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("something of the user's\n")
    arguments = ("--data", f"nmnist:{files / 'set'}", "--hardware", "event-conv-small", "--suggest", other)
    done = eventsnn("profile", files / "net.h5", *arguments)
    assert done.returncode == 2
    assert "another kind" in done.stderr
    assert other.read_text() == "something of the user's\n"
