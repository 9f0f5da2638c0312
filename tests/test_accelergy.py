"""Accelergy's files: their form, and that they add up to the energy of the run."""

from decimal import Decimal

import numpy as np
import pytest
import yaml
from builders.networks import random_network, random_stimulus
from builders.recordings import small_network, write_recordings

import eventsnn
from eventsnn.counting import COLUMN
from eventsnn.engine import make_engine
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Chip, Mapping, load_architecture, map_network
from eventsnn.hardware.energy import dynamic_energy_aj
from eventsnn.hardware.exchange.accelergy import to_accelergy


def picojoules(documents, part):
    """Counts times energies of the components of a part, as Accelergy adds them up, but exactly."""
    energies = {
        (table["name"], action["name"]): Decimal(repr(action["energy"]))
        for table in documents["ERT"]["tables"]
        for action in table["actions"]
    }
    return sum(
        entry["counts"] * energies[component["name"], entry["name"]]
        for component in documents["action_counts"]["local"]
        if component["name"].split(".")[1] == part
        for entry in component["action_counts"]
    )


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("name", ["event-conv-large", "loihi-sanafe-fit", "truenorth-affine@0.775V"])
def test_counts_times_energies_are_the_dynamic_energy_exactly(name, steps):
    network = random_network(1, "rate")
    parts = map_network(network, load_architecture("event-conv-large")).parts
    chip = Chip(Mapping(load_architecture(name), parts))
    counters = np.random.default_rng(2).integers(0, 10**7, (len(network.order), len(COLUMN)))
    documents = to_accelergy(counters, chip, network.order, steps)
    wanted = dynamic_energy_aj(counters, chip.energy(network.order, steps))
    assert wanted > 0
    assert picojoules(documents, "populations") * 10**6 == wanted


def test_a_run_adds_up_with_its_static_power():
    network = random_network(5, "signed")
    mapping = map_network(network, load_architecture("event-conv-large"))
    run = make_engine("reference", network, mapping).run(random_stimulus(5, network))
    elapsed = run.decision_time - run.first_event
    documents = to_accelergy(run.counters, Chip(mapping), network.order, elapsed_ps=int(elapsed))
    assert picojoules(documents, "populations") * 10**6 == int(run.trace.energy[-1])
    assert picojoules(documents, "static") == Decimal("0.0032") * int(elapsed)


def test_the_documents_have_accelergys_form():
    network = random_network(1, "rate")
    chip = Chip(map_network(network, load_architecture("event-conv-small")))
    documents = to_accelergy(np.ones((len(network.order), len(COLUMN)), int), chip, network.order)
    counts, table = documents["action_counts"], documents["ERT"]
    assert counts["version"] == table["version"] == 0.4
    names = [component["name"] for component in counts["local"]]
    assert names == [component["name"] for component in table["tables"]]
    assert len(set(names)) == len(network.order) + 1
    for component, energies in zip(counts["local"], table["tables"], strict=True):
        assert component.keys() == {"name", "action_counts"}
        assert energies.keys() == {"name", "actions"}
        for entry, energy in zip(component["action_counts"], energies["actions"], strict=True):
            assert entry.keys() == {"name", "arguments", "counts"}
            assert energy.keys() == {"name", "arguments", "energy"}
            assert entry["name"] == energy["name"]
    fire = next(e for e in counts["local"][0]["action_counts"] if e["name"] == "fire")
    assert fire["counts"] == 2  # spikes above and below zero
    assert yaml.safe_load(yaml.safe_dump(documents)) == documents


def test_names_that_would_mean_something_to_accelergy_stay_apart():
    network = random_network(1, "rate")
    chip = Chip(map_network(network, load_architecture("event-conv-small")))
    order = list(network.order)
    chip.mapping.parts.update({"a.b": chip.mapping.parts[order[0]], "a[b": chip.mapping.parts[order[1]]})
    counters = np.ones((3, len(COLUMN)), int)
    local = to_accelergy(counters, chip, ["a.b", "a[b", order[0]])["action_counts"]["local"]
    assert [entry["name"] for entry in local] == [
        "event-conv-small.populations.a_b#0",
        "event-conv-small.populations.a(b#1",
        f"event-conv-small.populations.{order[0]}",
        "event-conv-small.static",
    ]


def test_counters_of_another_shape_are_refused():
    network = random_network(1, "rate")
    chip = Chip(map_network(network, load_architecture("event-conv-small")))
    with pytest.raises(InvalidRequest, match=r"counters have the shape \(1, 3\)"):
        to_accelergy(np.ones((1, 3), int), chip, network.order)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accelergy")
    small_network().save(folder / "net.h5")
    write_recordings(folder / "set")
    data = f"nmnist:{folder / 'set'}"
    for name, hardware in (("chip.h5", "event-conv-small"), ("ideal.h5", None)):
        network = eventsnn.load(folder / "net.h5")
        eventsnn.simulate(network, data, hardware=hardware, samples=2, engine="reference").save(folder / name)
    return folder


def test_the_command_writes_the_sum_over_the_samples(folder, tmp_path, capsys):
    from eventsnn.cli.exchange import accelergy

    accelergy(folder / "chip.h5", tmp_path / "made" / "here")
    assert "2 samples" in capsys.readouterr().err
    documents = {}
    for name in ("action_counts", "ERT"):
        documents |= yaml.safe_load((tmp_path / "made" / "here" / f"{name}.yaml").read_text())
    total = picojoules(documents, "populations") + picojoules(documents, "static")
    joules = eventsnn.results.results.Results.load(folder / "chip.h5").table.column("energy_j").sum()
    assert float(total) * 1e-12 == pytest.approx(joules, rel=1e-12)
    accelergy(folder / "chip.h5", tmp_path / "made" / "here")  # its own files may be replaced


def test_wrong_requests_of_the_command_are_refused(folder, tmp_path):
    from eventsnn.cli.exchange import accelergy

    with pytest.raises(InvalidRequest, match="was run without an accelerator"):
        accelergy(folder / "ideal.h5", tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidRequest, match="is a file; give a folder"):
        accelergy(folder / "chip.h5", tmp_path / "file")
    (tmp_path / "ERT.yaml").write_text("somebody else's")
    with pytest.raises(InvalidRequest, match="a file of another kind"):
        accelergy(folder / "chip.h5", tmp_path)
