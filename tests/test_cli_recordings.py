"""How recordings are opened from the command line: orientation, clock, and what is said of them."""

import json
import struct

import numpy as np
import pytest
from builders.command_line import eventsnn
from builders.recordings import random_events, small_network, write_recordings

from eventsnn.events import RAW, make_events, write_aedat, write_nmnist
from eventsnn.network import Dense, Input, Network, Population, Projection, Readout


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    small_network().save(folder / "net.h5")
    write_recordings(folder / "set", 1, 3)
    stray = np.concatenate([random_events(np.random.default_rng(0), 200)] * 2)
    stray["t"] = np.arange(400) * 1000
    (folder / "stray" / "3").mkdir(parents=True)
    write_nmnist(folder / "stray" / "3" / "a.bin", stray)
    data = bytearray((folder / "stray" / "3" / "a.bin").read_bytes())
    data[300 * 5 + 2 : 300 * 5 + 5] = (5).to_bytes(3, "big")
    (folder / "stray" / "3" / "a.bin").write_bytes(data)
    # Five events in a corner of a DVS128, one external one, one stray.
    records = [(2 << 8 | 1 << 1 | 1, t) for t in (50_000, 60_000, 70_000, 5, 80_000)]
    records.insert(2, (0x8000, 65_000))
    (folder / "dvs" / "2").mkdir(parents=True)
    (folder / "dvs" / "1").mkdir()
    data = b"#!AER-DAT2.0\r\n" + b"".join(struct.pack(">Ii", *record) for record in records)
    (folder / "dvs" / "1" / "a.aedat").write_bytes(data)
    write_aedat(folder / "dvs" / "2" / "b.aedat", make_events([1], [2], [3], [1]), orientation=RAW)
    Network(
        [Population("input", (128, 128, 2), Input()), Population("out", (1, 1, 2), Readout(unit=0.1))],
        [Projection("1", "input", "out", Dense(np.ones((128 * 128 * 2, 2), np.int64)))],
    ).save(folder / "dvs.h5")
    return folder


COMMANDS = {
    "run": ("run", "{net}"),
    "sweep": ("sweep", "{net}", "--hardware", "event-conv-small", "--set", "actions.synapse.time=x2"),
    "profile": ("profile", "{net}", "--hardware", "event-conv-small"),
    "timeline": ("timeline", "{net}", "--hardware", "event-conv-small", "-o", "{out}"),
    "load": ("hardware", "load", "event-conv-small", "--network", "{net}"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_opens_data_has_the_options(files, tmp_path, command):
    start = [a.format(net=files / "net.h5", out=tmp_path / "t.json") for a in COMMANDS[command]]
    strict = eventsnn(*start, "--data", f"nmnist:{files}/stray", "--clock", "strict")
    assert (strict.returncode, strict.stdout) == (2, "")
    assert "event 300 at 5 us is out of line" in strict.stderr
    for option, value in (("--clock", "newest"), ("--orientation", "up")):
        wrong = eventsnn(*start, "--data", f"aedat:{files}/dvs", option, value)
        assert wrong.returncode == 2, wrong.stdout
        assert f"'{value}'; allowed are" in wrong.stderr
    images = eventsnn(*start, "--data", f"images:{files}/net.h5", "--clock", "sort")
    assert images.returncode == 2
    assert "for event recordings" in images.stderr


def test_convert_has_them_for_its_calibration(files, tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(34 * 34 * 2, 10))
    torch.save(model, tmp_path / "model.pt")
    done = eventsnn(
        *("convert", tmp_path / "model.pt", "-o", tmp_path / "net.h5", "--split", "all"),
        *("--calibration", f"nmnist:{files}/stray", "--clock", "strict"),
    )
    assert done.returncode == 2
    assert "event 300 at 5 us is out of line" in done.stderr


def test_a_stray_is_said_and_the_orientation_is_part_of_the_run(files, tmp_path):
    start = ("run", files / "dvs.h5", "--data", f"aedat:{files}/dvs", "-o", tmp_path / "r.h5", "--json")
    raw = eventsnn(*start)
    assert raw.returncode == 0, raw.stderr
    assert "event 4 at 5 us" in raw.stderr
    found = json.loads(raw.stdout)
    assert found["configuration"]["data"]["orientation"] == "raw"
    # 4 of 5 events of one recording, 1 of the other.
    assert found["input_events"]["mean"] == 2.5
    again = eventsnn(*start, "--orientation", "cifar10-dvs")
    assert again.returncode == 2
    assert "the results of another run" in again.stderr


def test_inspect_shows_a_recording(files):
    done = eventsnn("inspect", files / "dvs" / "1" / "a.aedat", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "file": str(files / "dvs" / "1" / "a.aedat"),
        "sensor": "128 x 128 pixels",
        "events": 4,
        "duration_us": 30_000,
        "on_share": 1.0,
        "label": None,
        "class": None,
        "kind": "aedat",
        "orientation": "raw",
        "clock": "last-reset",
        "origin": "first-event",
        "records": 6,
        "special_events": 1,
        "events_before_reset": 0,
        "stray_events": 1,
    }
    other = eventsnn("inspect", files / "dvs" / "1" / "a.aedat", "--orientation", "jaer-matlab", "--json")
    assert json.loads(other.stdout)["on_share"] == 0.0
    assert json.loads(other.stdout)["orientation"] == "jaer-matlab"
    strict = eventsnn("inspect", files / "dvs" / "1" / "a.aedat", "--clock", "strict")
    assert strict.returncode == 2
    digit = json.loads(eventsnn("inspect", files / "stray" / "3" / "a.bin", "--json").stdout)
    assert (digit["label"], digit["class"], digit["origin"], digit["stray_events"]) == (3, "3", "file", 1)


@pytest.mark.parametrize("named", ["{}", "aedat:{}"])
def test_inspect_shows_a_data_set_and_its_labels(files, named):
    place = named.format(files / "dvs")
    done = eventsnn("inspect", place, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "data": f"aedat:{files}/dvs",
        "recordings": 2,
        "sensor": "128 x 128 pixels",
        "kind": "aedat",
        "orientation": "raw",
        "clock": "last-reset",
        "origin": "first-event",
        "splits": {"train": 1, "test": 1},
        "classes": [{"label": 0, "class": "1", "samples": 1}, {"label": 1, "class": "2", "samples": 1}],
    }
    shown = eventsnn("inspect", place).stdout
    for row in (
        ["orientation", "raw"],
        ["splits", "train", "1,", "test", "1"],
        ["1", "0", "1"],
        ["2", "1", "1"],
    ):
        assert row in [line.split() for line in shown.splitlines()], shown


def test_inspect_tells_kinds_apart(files, tmp_path):
    assert json.loads(eventsnn("inspect", files / "set", "--json").stdout)["kind"] == "nmnist"
    (tmp_path / "cat").mkdir()
    write_aedat(tmp_path / "cat" / "cifar10_cat_3.aedat", make_events([1], [2], [3], [1]))
    for place in (tmp_path, tmp_path / "cat" / "cifar10_cat_3.aedat"):
        found = json.loads(eventsnn("inspect", place, "--json").stdout)
        assert (found["kind"], found["orientation"]) == ("cifar10-dvs", "cifar10-dvs")
    mixed = eventsnn("inspect", files)
    assert mixed.returncode == 2
    assert "recordings of several kinds; write KIND:PATH" in mixed.stderr
    (tmp_path / "empty").mkdir()
    assert "no recordings" in eventsnn("inspect", tmp_path / "empty").stderr
    (tmp_path / "a.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")
    other = eventsnn("inspect", tmp_path / "a.aedat4")
    assert other.returncode == 2
    assert "cannot be read as AEDAT 4" in other.stderr
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    cut = eventsnn("inspect", tmp_path / "cut.h5")
    assert cut.returncode == 2
    assert "recordings (.bin, .aedat, .aedat4, .dat, .raw" in cut.stderr


def test_data_check_counts_what_is_left_out(files):
    done = eventsnn("data", "check", f"aedat:{files}/dvs")
    assert "2 recordings, 5 events, all valid" in done.stdout
    assert "left out: special events 1, stray events 1" in done.stdout
    strict = eventsnn("data", "check", f"aedat:{files}/dvs", "--clock", "strict")
    assert strict.returncode == 2
