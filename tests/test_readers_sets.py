"""Sets of recordings of any format, DVS128 Gesture, and recordings written anew, from both faces."""

import json

import numpy as np
import pytest
from builders.command_line import eventsnn
from builders.recordings import random_events, small_network

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events import (
    make_events,
    open_dataset,
    open_recordings,
    read_events,
    record_counts,
    rewrite_recordings,
    write_events,
)
from eventsnn.events.readers.aedat3 import write_aedat3
from eventsnn.events.readers.contract import Settings

GESTURES = [("1", 1000, 3000), ("11", 3000, 4000), ("2", 6000, 9000)]


def events_of(seed, n=50):
    return random_events(np.random.default_rng(seed), n)


@pytest.fixture
def folder(tmp_path):
    """``set/{train,test}/{cat,dog}/<n>.raw`` of 34 x 34 pixels."""
    for k, (split, name) in enumerate((s, c) for s in ("train", "test") for c in ("cat", "dog")):
        for number in range(2):
            place = tmp_path / "set" / split / name
            place.mkdir(parents=True, exist_ok=True)
            write_events(place / f"{number}.raw", events_of(10 * k + number), sensor=(34, 34))
    return tmp_path / "set"


def test_class_folders_and_splits_of_any_format(folder):
    found = open_recordings(f"events:{folder}")
    assert (len(found), found.width, found.height, found.class_names) == (8, 34, 34, ("cat", "dog"))
    assert (found.kind, found.origin, found.orientation, found.clock) == (
        "events",
        "file",
        None,
        "last-reset",
    )
    assert found.labels.tolist() == [0, 0, 1, 1] * 2
    test = open_recordings(f"events:{folder}", "test")
    names = [f"test/{c}/{k}.raw" for c in ("cat", "dog") for k in (0, 1)]
    assert [file.name for file in test.files] == names
    assert np.array_equal(open_recordings(f"events:{folder}", "train")[0].events, events_of(0))
    recording, counts = record_counts(test, 1)
    assert (recording.name, counts["triggers"]) == ("test/cat/1.raw", 0)
    with pytest.raises(InvalidRequest, match="no folder named 'test' holds recordings"):
        open_recordings(f"events:{folder}/train/cat", "test")


def test_recordings_of_another_sensor_and_several_formats(folder):
    write_events(folder / "test" / "dog" / "9.raw", events_of(1), sensor=(40, 34))
    found = open_recordings(f"events:{folder}")
    with pytest.raises(
        InvalidEvents, match="40 columns and 34 rows, that of the first recording of the set 34"
    ):
        found[4]
    write_events(folder / "test" / "dog" / "9.npy", events_of(1), sensor=(34, 34))
    with pytest.raises(InvalidRequest, match=r"several formats below this folder \(1 \.npy, 9 \.raw\)"):
        open_recordings(f"events:{folder}")
    one = open_recordings(f"events:{folder}", format="npy", sensor="34x34")
    assert (len(one), one.said) == (1, (("format", "npy"), ("sensor", "34x34")))


@pytest.mark.parametrize(
    ("kind", "given", "match"),
    [
        ("nmnist", {"sensor": (34, 34)}, "sensor is for events:PATH"),
        ("images", {"columns": "txyp"}, "columns is for events:PATH"),
        ("cifar10-dvs", {"layout": "davis240"}, "layout is for events:PATH and aedat:"),
        ("aedat", {"format": "aedat2"}, "format is for events:PATH"),
        ("events", {"columns": "xx"}, "columns are 'xx'"),
        ("events", {"layout": "dvs128"}, "layout was given, which Prophesee RAW files"),
    ],
)
def test_settings_that_mean_nothing_for_a_kind(folder, kind, given, match):
    with pytest.raises(InvalidRequest, match=match):
        open_dataset(f"{kind}:{folder}", **given)


# --- DVS128 Gesture


def long_recording(seed=4):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 10_000, 3000))
    t[:2] = 0, 1000
    return make_events(np.sort(t), *(rng.integers(0, 128, 3000) for _ in "xy"), rng.integers(0, 2, 3000))


@pytest.fixture
def published(tmp_path):
    for user in ("user01_led", "user02_natural"):
        write_aedat3(tmp_path / f"{user}.aedat", long_recording(), 128, 128, Settings())
        lines = ["class,startTime_usec,endTime_usec", *(",".join(map(str, row)) for row in GESTURES)]
        (tmp_path / f"{user}_labels.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "trials_to_train.txt").write_text("user01_led.aedat\n")
    (tmp_path / "trials_to_test.txt").write_text("user02_natural.aedat\n")
    return tmp_path


def test_gestures_as_published_are_cut_by_their_labels(published):
    found = open_recordings(f"dvs-gesture:{published}")
    assert len(found) == 6
    assert found.labels.tolist() == [0, 10, 1, 0, 10, 1]
    assert found.class_names[10] == "other gestures"
    whole = long_recording()
    for item, (_, begin, end) in zip(found[:3], GESTURES, strict=True):
        expected = whole[(whole["t"] >= begin) & (whole["t"] < end)].copy()
        expected["t"] -= expected["t"][0]
        assert np.array_equal(item.events, expected)
    train, test = (open_recordings(f"dvs-gesture:{published}", split) for split in ("train", "test"))
    assert {file.path.name for file in train.files} == {"user01_led.aedat"}
    assert [file.index for file in test.files] == [3, 4, 5]
    assert record_counts(test, 0)[1] == {"records": len(test[0].events)}


def test_gestures_as_tonic_lays_them_out(tmp_path):
    for split, user in (("Train", "user01_led"), ("Test", "user24_lab")):
        place = tmp_path / "DVSGesture" / f"ibmGesture{split}" / user
        place.mkdir(parents=True)
        for label in (0, 10):
            events = events_of(label)
            rows = np.stack([events[name].astype(float) for name in "xypt"], 1)
            rows[:, 3] /= 1000
            np.save(place / f"{label}.npy", rows)
    found = open_recordings(f"dvs-gesture:{tmp_path}")
    assert found.labels.tolist() == [0, 10, 0, 10]
    assert np.array_equal(found[1].events["t"], events_of(10)["t"] - events_of(10)["t"][0])
    assert np.array_equal(found[1].events["x"], events_of(10)["x"])
    train = open_recordings(f"dvs-gesture:{tmp_path}", "train")
    assert {file.path.parent.name for file in train.files} == {"user01_led"}


def test_labels_that_are_none(published):
    labels = published / "user01_led_labels.csv"
    for text, match in (
        ("a,b,c\n", "labels begin with the line class,startTime_usec,endTime_usec"),
        (
            "class,startTime_usec,endTime_usec\n12,1,2\n",
            "line 2 is '12,1,2'; a gesture has a class",
        ),
        ("class,startTime_usec,endTime_usec\n1,5,5\n", "a start and a later end"),
    ):
        labels.write_text(text)
        with pytest.raises(InvalidFile, match=match):
            open_recordings(f"dvs-gesture:{published}")
    labels.write_text("class,startTime_usec,endTime_usec\n1,90000,99999\n")
    with pytest.raises(InvalidEvents, match="the labels are of another file"):
        open_recordings(f"dvs-gesture:{published}")[0]
    (published / "user01_led.aedat").unlink()
    with pytest.raises(InvalidRequest, match=r"has no recording user01_led\.aedat beside it"):
        open_recordings(f"dvs-gesture:{published}")
    (published / "trials_to_test.txt").unlink()
    labels.unlink()
    with pytest.raises(InvalidRequest, match=r"there is no trials_to_test\.txt"):
        open_recordings(f"dvs-gesture:{published}", "test")


# --- written anew


def test_a_folder_written_anew_keeps_classes_and_splits(folder, tmp_path):
    found = open_recordings(f"events:{folder}")
    written = rewrite_recordings(found, tmp_path / "new", format="npz")
    assert written[0] == tmp_path / "new" / "test" / "cat" / "0.npz"
    back = open_recordings(f"events:{tmp_path}/new", "train", sensor=(34, 34))
    assert back.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(back[0].events, events_of(0))
    with pytest.raises(InvalidRequest, match=r"0\.npz exists; nothing is written over a recording"):
        rewrite_recordings(found, tmp_path / "new", format="npz")
    with pytest.raises(InvalidRequest, match="say the format of the files in this folder"):
        rewrite_recordings(found, tmp_path / "other")


def test_gestures_written_anew_lie_in_folders_of_their_class(published, tmp_path):
    written = rewrite_recordings(open_recordings(f"dvs-gesture:{published}"), tmp_path / "g", format="dat")
    assert written[1] == tmp_path / "g" / "other gestures" / "user01_led_1.dat"
    assert len(read_events(written[1]).events) == len(open_recordings(f"dvs-gesture:{published}")[1].events)


def test_the_command_line_reads_inspects_and_converts(folder, tmp_path):
    one = folder / "train" / "cat" / "0.raw"
    done = eventsnn("data", "convert", one, "-o", tmp_path / "a.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.csv").read_text().startswith("t,x,y,p\n")
    refused = eventsnn("data", "convert", tmp_path / "a.csv", "-o", tmp_path / "a.bin")
    assert refused.returncode == 2
    assert "--sensor 128x128" in refused.stderr
    done = eventsnn("data", "convert", tmp_path / "a.csv", "--sensor", "34x34", "-o", tmp_path / "a.bin")
    assert done.returncode == 0, done.stderr
    again = eventsnn("data", "convert", tmp_path / "a.csv", "--sensor", "34x34", "-o", tmp_path / "a.bin")
    assert (again.returncode, "nothing is written over" in again.stderr) == (2, True)
    assert np.array_equal(read_events(tmp_path / "a.bin", sensor="34x34").events, events_of(0))
    shown = eventsnn("inspect", one, "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert (found["kind"], found["events"], found["sensor"]) == ("events", 50, "34 x 34 pixels")
    whole = eventsnn("inspect", folder, "--json")
    assert json.loads(whole.stdout)["splits"] == {"train": 4, "test": 4}
    checked = eventsnn("data", "check", f"events:{folder}")
    assert "8 recordings, 400 events, all valid" in checked.stdout
    listed = eventsnn("data", "list", f"events:{folder}", "--split", "test")
    assert "4 recordings, 34 x 34 pixels, split test" in listed.stdout.replace("\n", " ")


def test_a_run_on_them_says_how_they_were_read(folder, tmp_path):
    small_network().save(tmp_path / "net.h5")
    events = events_of(0)
    np.save(tmp_path / "a.npy", np.stack([events[name].astype(np.int64) for name in "xypt"], 1))
    done = eventsnn(
        *("run", tmp_path / "net.h5", "--data", f"events:{tmp_path}/a.npy", "--json"),
        *("--sensor", "34x34", "--columns", "xypt"),
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["configuration"]["data"]
    assert (data["columns"], data["sensor"]) == ("xypt", "34x34")
