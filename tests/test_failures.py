"""Recordings that cannot be read: kept apart with their reason, tried again, and no end of the run."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from builders.recordings import random_events, small_network, write_recordings

import eventsnn
from eventsnn.errors import InvalidEvents, InvalidFile, UnfinishedRun, UnreadableSamples
from eventsnn.events import AnalogImage, open_recordings
from eventsnn.results.results import Results

TRUNCATED = "3 bytes are not a whole number of five-byte records"


def cli(*arguments):
    command = [sys.executable, "-m", "eventsnn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path):
    """20 recordings, two of them bad, the first of all among them."""
    made = write_recordings(tmp_path / "set")
    for name in ("0/00000.bin", "4/00001.bin"):
        (made / name).write_bytes(b"\x01\x02\x03")
    return made


def readable(folder):
    """The run of the others alone, as recordings with the indices they have in the whole set."""
    whole = open_recordings(f"nmnist:{folder}")
    good = [whole[i] for i, file in enumerate(whole.files) if file.path.stat().st_size > 3]
    return eventsnn.simulate(small_network(), good)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kept", [False, True])
def test_the_run_goes_on_and_says_what_failed(folder, tmp_path, workers, kept):
    output = tmp_path / "r.h5" if kept else None
    seen = []
    with pytest.warns(UnreadableSamples) as caught:
        found = eventsnn.simulate(
            small_network(),
            f"nmnist:{folder}",
            workers=workers,
            output=output,
            progress=lambda done, total: seen.append((done, total)),
        )
    assert len(caught) == 1
    assert "2 of 20 samples cannot be read and are left out: " in str(caught[0].message)
    assert seen[-1] == (20, 20)
    assert [(f.index, f.name) for f in found.failures] == [(0, "0/00000.bin"), (9, "4/00001.bin")]
    assert all(TRUNCATED in failure.reason for failure in found.failures)
    wanted = readable(folder)
    assert found.digest == wanted.digest
    assert found.accuracy == wanted.accuracy
    assert found.summary() == wanted.summary()
    assert found.to_dict()["failed"] == 2
    assert wanted.to_dict()["failed"] == 0
    if kept:
        again = Results.load(output)
        assert again.to_dict() == found.to_dict()
        assert again.failures == found.failures
        assert len(again.curve()) == len(wanted.curve())


def test_a_mended_recording_is_run_when_the_run_goes_on(folder, tmp_path):
    output, data = tmp_path / "r.h5", f"nmnist:{folder}"
    with pytest.warns(UnreadableSamples):
        eventsnn.simulate(small_network(), data, output=output)
    with pytest.warns(UnreadableSamples):
        same = eventsnn.simulate(small_network(), data, output=output)
    assert len(same.failures) == 2
    (folder / "0" / "00000.bin").write_bytes((folder / "0" / "00001.bin").read_bytes())
    seen = []
    with pytest.warns(UnreadableSamples, match="1 of 20"):
        one = eventsnn.simulate(small_network(), data, output=output, progress=lambda *d: seen.append(d))
    assert seen == [(19, 20), (20, 20)]
    assert [f.index for f in one.failures] == [9]
    (folder / "4" / "00001.bin").write_bytes((folder / "4" / "00000.bin").read_bytes())
    all_ = eventsnn.simulate(small_network(), data, output=output)
    assert all_.failures == Results.load(output).failures == []
    assert all_.digest == Results.load(output).digest == eventsnn.simulate(small_network(), data).digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.h5", "set"]


def test_another_recording_may_not_change_meanwhile(folder, tmp_path):
    output, data = tmp_path / "r.h5", f"nmnist:{folder}"
    with pytest.warns(UnreadableSamples):
        eventsnn.simulate(small_network(), data, output=output)
    before = output.read_bytes()
    (folder / "7" / "00000.bin").write_bytes((folder / "7" / "00001.bin").read_bytes())
    with pytest.raises(eventsnn.errors.InvalidRequest, match="holds the results of another run"):
        eventsnn.simulate(small_network(), data, output=output)
    assert output.read_bytes() == before


def test_a_stopped_run_tries_what_failed_again(folder, tmp_path):
    output, data = tmp_path / "r.h5", f"nmnist:{folder}"

    def stop(done, total):
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eventsnn.simulate(small_network(), data, output=output, progress=stop)
    with pytest.warns(UnfinishedRun):
        partial = Results.load(tmp_path / "r.h5.partial")
    assert len(partial) == 10
    assert [f.index for f in partial.failures] == [0, 9]
    for name in ("0/00000.bin", "4/00001.bin"):
        (folder / name).write_bytes((folder / "7" / "00001.bin").read_bytes())
    found = eventsnn.simulate(small_network(), data, output=output)
    assert found.digest == eventsnn.simulate(small_network(), data).digest
    assert found.failures == []


def test_a_file_that_is_gone_fails_alone(tmp_path):
    folder = write_recordings(tmp_path / "set", classes=2)
    opened = open_recordings(f"nmnist:{folder}")
    (folder / "1" / "00000.bin").unlink()
    with pytest.warns(UnreadableSamples, match=r"1/00000\.bin: .*No such file"):
        found = eventsnn.simulate(small_network(), opened, output=tmp_path / "r.h5")
    assert len(found) == 3
    assert "No such file" in found.failures[0].reason


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere know no such names")
def test_a_name_that_is_no_text_is_kept_as_it_is(tmp_path):
    folder = write_recordings(tmp_path / "set", classes=2)
    os.rename(folder / "1" / "00000.bin", os.fsencode(folder / "1") + b"/\xff\xfe.bin")
    (folder / "0" / "00000.bin").unlink()
    with open(os.fsencode(folder / "0") + b"/\xe9.bin", "wb") as file:
        file.write(b"12")
    with pytest.warns(UnreadableSamples):
        found = eventsnn.simulate(small_network(), f"nmnist:{folder}", output=tmp_path / "r.h5")
    assert os.fsencode(Results.load(tmp_path / "r.h5").failures[0].name) == b"0/\xe9.bin"
    small_network().save(tmp_path / "net.h5")
    done = cli("run", tmp_path / "net.h5", "--data", f"nmnist:{folder}", "-o", tmp_path / "r.h5", "--json")
    assert (done.returncode, json.loads(done.stdout)["digest"]) == (1, found.digest)
    assert "Traceback" not in done.stderr


def test_none_readable_is_an_error_and_leaves_nothing(tmp_path):
    folder = write_recordings(tmp_path / "set", classes=2)
    for path in folder.rglob("*.bin"):
        path.write_bytes(b"123")
    with pytest.raises(InvalidFile, match=f"none of the 4 samples can be read; the first: .*{TRUNCATED}"):
        eventsnn.simulate(small_network(), f"nmnist:{folder}", output=tmp_path / "r.h5")
    small_network().save(tmp_path / "net.h5")
    done = cli("run", tmp_path / "net.h5", "--data", f"nmnist:{folder}", "-o", tmp_path / "r.h5", "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.h5", "set"]


def test_samples_in_memory_fail_alone_too():
    good, rng = random_events(np.random.default_rng(0)), np.random.default_rng(1)
    data = [(good[:0], 1), (good, 2), (random_events(rng), 3)]
    with pytest.warns(UnreadableSamples, match="sample 0: there are no events"):
        found = eventsnn.simulate(small_network(), data)
    assert found.table.column("index").tolist() == [1, 2]
    assert found.failures[0].reason.startswith("sample 0")
    with pytest.raises(InvalidEvents, match="none of the 2 samples"):
        eventsnn.simulate(small_network(), [good[:0], good[:0]])


def test_a_request_that_no_sample_can_meet_is_no_failed_sample(folder):
    image = AnalogImage(np.zeros((3, 3, 3)))
    with pytest.raises(eventsnn.errors.InvalidRequest):
        eventsnn.simulate(small_network(), [random_events(np.random.default_rng(0)), image])
    with pytest.raises(eventsnn.errors.EventLimitReached):
        eventsnn.simulate(small_network(), f"nmnist:{folder}", max_events=10)


def test_the_command_line_says_it_and_exits_1(folder, tmp_path):
    small_network().save(tmp_path / "net.h5")
    output = tmp_path / "r.h5"
    run = ("run", tmp_path / "net.h5", "--data", f"nmnist:{folder}", "-o", output)
    for more in ((), ("--workers", 2)):
        done = cli(*run, *more)
        assert done.returncode == 1
        assert "2, in no figure here" in done.stdout
        said = [line for line in done.stderr.splitlines() if "warning" in line]
        assert len(said) == 1
        assert said[0].startswith("eventsnn: warning: 2 of 20 samples cannot be read and are left out: ")
    done = cli(*run, "--json")
    assert (done.returncode, json.loads(done.stdout)["failed"]) == (1, 2)
    for command in (("curve", output), ("report", output, "-o", tmp_path / "p.html"), ("inspect", output)):
        done = cli(*command)
        assert done.returncode == 0, done.stderr
    found = json.loads(cli("inspect", output, "--json").stdout)
    assert [failure["index"] for failure in found["failures"]] == [0, 9]


def test_commands_open_a_run_that_has_not_ended(tmp_path):
    folder, output = write_recordings(tmp_path / "set"), tmp_path / "r.h5"

    def stop(done, total):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eventsnn.simulate(small_network(), f"nmnist:{folder}", output=output, progress=stop)
    for path in (tmp_path / "r.h5.partial", output):
        for command in ("curve", "inspect"):
            done = cli(command, path, "--json")
            assert done.returncode == 0, done.stderr
            assert done.stderr.count("has 6 of 20 samples of a run that has not ended") == 1
            found = json.loads(done.stdout)
            assert command == "curve" or found["samples"] == 6
        done = cli("report", path, "-o", tmp_path / "page.html")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html")


def test_the_warning_may_be_an_error_and_nothing_is_lost(folder, tmp_path):
    # As all warnings are here.
    with pytest.raises(UnreadableSamples):
        eventsnn.simulate(small_network(), f"nmnist:{folder}", output=tmp_path / "r.h5")
    assert len(Results.load(tmp_path / "r.h5")) == 18


def test_profiles_and_estimates_go_on_without_them(folder):
    from eventsnn.run.load import estimate_load
    from eventsnn.run.profile import profile_samples

    data, chip = f"nmnist:{folder}", "event-conv-small"
    with pytest.warns(UnreadableSamples, match="2 of 20"):
        assert len(profile_samples(small_network(), data, chip, samples=20).profiles) == 18
    with pytest.warns(UnreadableSamples, match="2 of 20"):
        found = estimate_load(small_network(), data, chip, samples=20)
    whole = open_recordings(data)
    good = [whole[i] for i, file in enumerate(whole.files) if file.path.stat().st_size > 3]
    assert found == estimate_load(small_network(), good, chip)
    with pytest.raises(InvalidFile, match=TRUNCATED):
        profile_samples(small_network(), data, chip, sample=0)
