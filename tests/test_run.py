"""``simulate``: results, workers, resuming, curves, refusals."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from builders.recordings import random_events, small_network, write_recordings

import eventsnn
from eventsnn.counting import MODEL_COUNTERS
from eventsnn.errors import EventLimitReached, InvalidEvents, InvalidExitRule, InvalidFile, InvalidRequest
from eventsnn.results.results import Results

HARDWARE = "event-conv-small"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def full(folder):
    return eventsnn.simulate(small_network(), f"nmnist:{folder}", hardware=HARDWARE)


def test_results_have_the_promised_fields(full, tmp_path):
    found = json.loads(full.to_json())
    assert found.keys() == {
        *("samples", "accuracy", "synaptic_operations", "spikes", "input_events", "latency_s"),
        *("energy_j", "energy_interval_j", "decided_early", "rejected", "failed"),
        *("digest", "version", "configuration"),
    }
    assert found["samples"] == 20
    assert found["synaptic_operations"].keys() == {"mean", "p50", "p95", "max"}
    assert found["input_events"]["mean"] == 120
    assert found["energy_j"]["mean"] > 0
    full.save(tmp_path / "results.h5")
    with h5py.File(tmp_path / "results.h5") as file:
        assert file["samples/energy_j"].shape == (20,)
        assert json.loads(file.attrs["configuration"])["hardware"] == HARDWARE
        for name in MODEL_COUNTERS:
            assert file[f"populations/{name}"].shape == (20, 3)
    assert Results.load(tmp_path / "results.h5").to_dict() == full.to_dict()


def test_an_ideal_run_has_no_energy(folder):
    found = eventsnn.simulate(small_network(), f"nmnist:{folder}", samples=3).to_dict()
    assert found["energy_j"] is None
    assert found["samples"] == 3


def test_engines_and_workers_give_one_digest(folder, full):
    network, data = small_network(), f"nmnist:{folder}"
    assert eventsnn.simulate(network, data, hardware=HARDWARE, workers=2).digest == full.digest
    slow = eventsnn.simulate(network, data, hardware=HARDWARE, engine="reference", samples=4)
    fast = eventsnn.simulate(network, data, hardware=HARDWARE, samples=4)
    assert slow.digest == fast.digest


@pytest.mark.parametrize("rule", ["margin", "max-probability"])
def test_one_trace_gives_the_curve_of_separate_runs(folder, full, rule):
    """Law 6 and C5: every column but the decision unit's own energy, which is counted apart."""
    thresholds = np.array([0.1, 0.3, 0.6, 0.95])
    curve = full.curve(rule, thresholds)
    for row, threshold in zip(curve, thresholds, strict=True):
        run = eventsnn.simulate(
            small_network(), f"nmnist:{folder}", hardware=HARDWARE, exit=f"{rule}:{threshold}"
        )
        summary = run.summary()
        assert row["accuracy"] == summary["accuracy"]
        assert row["decided_early"] == summary["decided_early"]
        assert row["synaptic_operations"] == summary["synaptic_operations"]["mean"]
        assert row["latency_s"] == pytest.approx(summary["latency_s"]["mean"], rel=1e-12)
        assert row["energy_j"] == pytest.approx(summary["energy_j"]["mean"], rel=1e-3)


def test_a_curve_needs_a_full_run(folder):
    stopped = eventsnn.simulate(small_network(), f"nmnist:{folder}", exit="margin:0.5", samples=2)
    with pytest.raises(InvalidRequest, match="run again with --exit none"):
        stopped.curve()


RUN = """
import sys
sys.path.insert(0, sys.argv[3])
import time
import eventsnn
from builders.recordings import small_network

def slowly(done, total):
    print(done, flush=True)
    time.sleep(0.05)

eventsnn.simulate(small_network(), "nmnist:" + sys.argv[1], output=sys.argv[2], progress=slowly)
"""


def test_a_killed_run_goes_on_where_it_was(folder, tmp_path):
    output = tmp_path / "results.h5"
    command = [sys.executable, "-c", RUN, str(folder), str(output), os.path.dirname(__file__)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) == 7:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    assert not output.exists()
    kept = list((tmp_path / "results.h5.partial").glob("sample-*.npz"))
    assert 7 <= len(kept) < 20
    before = {file: file.stat().st_mtime_ns for file in kept}
    time.sleep(0.02)
    seen = []
    resumed = eventsnn.simulate(
        small_network(), f"nmnist:{folder}", output=output, progress=lambda done, _: seen.append(done)
    )
    assert len(seen) == 20 - len(before)
    assert resumed.digest == eventsnn.simulate(small_network(), f"nmnist:{folder}").digest
    assert sorted(tmp_path.iterdir()) == [output]
    again = eventsnn.simulate(small_network(), f"nmnist:{folder}", output=output)
    assert again.digest == resumed.digest


def test_results_of_another_run_are_not_touched(folder, tmp_path):
    output = tmp_path / "results.h5"
    eventsnn.simulate(small_network(), f"nmnist:{folder}", samples=2, output=output)
    before = output.read_bytes()
    with pytest.raises(InvalidRequest, match=r"holds the results of another run .*seed: 0 there, 1 now"):
        eventsnn.simulate(small_network(), f"nmnist:{folder}", samples=2, seed=1, output=output)
    assert output.read_bytes() == before


def test_a_failed_run_leaves_nothing_behind(folder, tmp_path):
    bad = [random_events(np.random.default_rng(0))[:0]]
    with pytest.raises(InvalidEvents, match="there are no events"):
        eventsnn.simulate(small_network(), bad, output=tmp_path / "results.h5")
    assert list(tmp_path.iterdir()) == []


def test_results_in_memory_keep_labels(folder):
    rng = np.random.default_rng(5)
    results = eventsnn.simulate(small_network(), [(random_events(rng), 4), (random_events(rng), 2)])
    assert results.table.column("label").tolist() == [4, 2]
    unlabelled = eventsnn.simulate(small_network(), [random_events(rng)])
    assert unlabelled.accuracy is None
    assert unlabelled.to_dict()["accuracy"] is None


def test_a_damaged_sample_of_a_journal_is_simulated_again(folder, tmp_path):
    output = tmp_path / "results.h5"

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eventsnn.simulate(small_network(), f"nmnist:{folder}", output=output, progress=stop)
    journal = tmp_path / "results.h5.partial"
    kept = sorted(journal.glob("sample-*.npz"))
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    resumed = eventsnn.simulate(small_network(), f"nmnist:{folder}", output=output)
    assert resumed.digest == eventsnn.simulate(small_network(), f"nmnist:{folder}").digest
    output.unlink()
    journal.mkdir()
    (journal / "configuration.json").write_text("{")
    with pytest.raises(InvalidFile, match="remove the folder"):
        eventsnn.simulate(small_network(), f"nmnist:{folder}", output=output)


def test_samples_of_another_run_are_never_adopted(tmp_path):
    rng = np.random.default_rng(2)
    data = [(random_events(rng), 1), (random_events(rng), 2), (random_events(rng), 3)]

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    output = tmp_path / "results.h5"
    with pytest.raises(KeyboardInterrupt):
        eventsnn.simulate(small_network(), data, output=output, progress=stop)
    relabelled = [(events, label + 1) for events, label in data]
    with pytest.raises(InvalidRequest, match="holds the results of another run"):
        eventsnn.simulate(small_network(), relabelled, output=output)
    with pytest.raises(InvalidRequest, match="holds the results of another run"):
        eventsnn.simulate(small_network(), data, seed=5, output=output)
    # Without its configuration a journal is nobody's.
    (tmp_path / "results.h5.partial" / "configuration.json").unlink()
    found = eventsnn.simulate(small_network(), relabelled, seed=5, output=output)
    assert found.table.column("label").tolist() == [2, 3, 4]
    assert found.digest == eventsnn.simulate(small_network(), relabelled, seed=5).digest


def test_a_failure_after_some_samples_keeps_them(tmp_path):
    rng = np.random.default_rng(2)
    data = [random_events(rng, 9), random_events(rng, 9), random_events(rng, 900)]
    output = tmp_path / "results.h5"
    with pytest.raises(EventLimitReached):
        eventsnn.simulate(small_network(), data, output=output, max_events=300)
    assert len(list((tmp_path / "results.h5.partial").glob("sample-*.npz"))) == 2
    assert not output.exists()


def test_other_files_are_never_written_over(full, tmp_path):
    precious = tmp_path / "model.pt"
    precious.write_bytes(b"weights")
    with pytest.raises(InvalidRequest, match="a file of another kind, which would be lost"):
        small_network().save(precious)
    with pytest.raises(InvalidRequest, match="a file of another kind"):
        full.save(precious)
    with pytest.raises(InvalidRequest, match="not a regular file"):
        full.save("/dev/full")
    with pytest.raises(InvalidRequest, match="is a folder"):
        small_network().save(tmp_path)
    assert precious.read_bytes() == b"weights"
    assert list(tmp_path.iterdir()) == [precious]


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(InvalidRequest, match="have the label 99, the network decides between 10 classes"):
        eventsnn.simulate(small_network(), [(random_events(np.random.default_rng(1)), 99)])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"exit": "margin:2"}, InvalidExitRule, "threshold 2.0; allowed is a number from 0 to 1"),
        (
            {"exit": "sure:0.3"},
            InvalidExitRule,
            "'sure:0.3' is not known; allowed are max-probability:THRESHOLD, margin",
        ),
        ({"exit": ""}, InvalidExitRule, "'' is not known; allowed are max-probability:THRESHOLD, margin"),
        ({"exit": 0.5}, InvalidExitRule, "exit rule 0.5 is not known"),
        ({"seed": 1.5}, InvalidRequest, "seed is 1.5; it must be a whole number"),
        ({"workers": 1.5}, InvalidRequest, "workers is 1.5"),
        ({"exit": "margin:x"}, InvalidExitRule, "'x' is not a number"),
        ({"schedule": "step"}, InvalidRequest, r"do not name one period .*--step-us"),
        ({"schedule": "later"}, InvalidRequest, "allowed are event, step"),
        ({"engine": "fast"}, InvalidRequest, "allowed are compiled, reference"),
        ({"workers": 0}, InvalidRequest, "workers is 0"),
        ({"samples": 0}, InvalidRequest, "allowed are 1 to 20"),
        ({"samples": 21}, InvalidRequest, "allowed are 1 to 20"),
        ({"output": ""}, InvalidRequest, "'', which is no path"),
        ({"output": 5}, InvalidRequest, "5, which is no path"),
        ({"output": "a\0b"}, InvalidRequest, "is no path"),
        ({"output": "/nowhere/results.h5"}, InvalidRequest, "folder of .* does not exist"),
    ],
)
def test_bad_requests_are_refused(folder, changes, error, message):
    with pytest.raises(error, match=message):
        eventsnn.simulate(small_network(), f"nmnist:{folder}", **changes)


def test_a_truncated_results_file_is_refused(full, tmp_path):
    path = tmp_path / "results.h5"
    full.save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InvalidFile, match="cannot be read as eventsnn results"):
        Results.load(path)
