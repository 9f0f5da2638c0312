"""What folders say of recordings: hidden files, links, classes, splits; names that are no text."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders.recordings import numbered_events, touch

from eventsnn.errors import EventsnnError, InvalidFile, InvalidRequest
from eventsnn.events import (
    CIFAR10_CLASSES,
    CIFAR10_DVS,
    JAER_MATLAB,
    RAW,
    make_events,
    open_dataset,
    open_recordings,
    read_aedat,
    read_nmnist,
    record_counts,
    write_aedat,
    write_nmnist,
)


def names(spec, split=None):
    return [file.name for file in open_dataset(spec, split).files]


# --- hidden files, links


@pytest.mark.parametrize(
    ("kind", "suffix"), [("nmnist", ".bin"), ("cifar10-dvs", ".aedat"), ("aedat", ".aedat")]
)
def test_hidden_files_are_no_recordings(tmp_path, kind, suffix):
    wanted = [f"{label}/{n}{suffix}" for label in (0, 1) for n in range(5)]
    touch(tmp_path, *wanted)
    spec = f"{kind}:{tmp_path}"
    splits = ("all",) if kind == "cifar10-dvs" else ("all", "train", "test")
    before = {split: names(spec, split) for split in splits}
    assert before["all"] == wanted
    touch(
        tmp_path, *(f"0/._{n}{suffix}" for n in range(5)), f"__MACOSX/0/._1{suffix}", f"__MACOSX/1/1{suffix}"
    )
    touch(tmp_path, ".DS_Store", "0/.DS_Store", "1/Thumbs.db", "desktop.ini", f".cache/1/a{suffix}")
    touch(tmp_path, f".hidden{suffix}", f"1/.{suffix}")
    assert {split: names(spec, split) for split in splits} == before


def test_a_hidden_folder_that_is_named_is_opened(tmp_path):
    touch(tmp_path, ".data/3/a.bin")
    assert names(f"nmnist:{tmp_path}/.data") == ["3/a.bin"]


def test_links_are_followed_and_named_by_the_link(tmp_path):
    touch(tmp_path, *(f"store/digit-{d}/a.bin" for d in range(11)), "store/files/x.bin")
    data = tmp_path / "data"
    data.mkdir()
    for digit in range(10):
        (data / str(digit)).symlink_to(tmp_path / "store" / f"digit-{digit}")
    (tmp_path / "linked").symlink_to(data)
    for place in (data, tmp_path / "linked"):
        found = open_dataset(f"nmnist:{place}")
        assert [f.name for f in found.files] == [f"{d}/a.bin" for d in range(10)]
        assert found.labels.tolist() == list(range(10))
    # Linked files, too: the folder of the link counts, not that of its target.
    (tmp_path / "single" / "7").mkdir(parents=True)
    (tmp_path / "single" / "7" / "b.bin").symlink_to(tmp_path / "store" / "files" / "x.bin")
    assert open_dataset(f"nmnist:{tmp_path}/single").labels.tolist() == [7]
    assert open_dataset(f"nmnist:{tmp_path}/single/7/b.bin").labels.tolist() == [7]
    assert open_dataset(f"nmnist:{tmp_path}/data/4").labels.tolist() == [4]
    assert open_dataset(f"nmnist:{tmp_path}/data/4/a.bin").labels.tolist() == [4]


def test_linked_classes_of_aedat(tmp_path):
    touch(tmp_path, "store/a/1.aedat", "store/b/1.aedat")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ship").symlink_to(tmp_path / "store" / "a")
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "store" / "b")
    assert open_dataset(f"cifar10-dvs:{tmp_path}/data").labels.tolist() == [3, 8]
    assert open_dataset(f"cifar10-dvs:{tmp_path}/data/ship/1.aedat").labels.tolist() == [8]


def test_links_that_lead_round_end(tmp_path):
    touch(tmp_path, "outside/1/b.bin", "data/1/a.bin", "data/2/a.bin")
    for link, target in (("1/up", ".."), ("me", "."), ("2/me", "."), ("above", ".."), ("2/over", "../..")):
        (tmp_path / "data" / link).symlink_to(target)
    (tmp_path / "data" / "1" / "other").symlink_to(tmp_path / "data" / "2")
    (tmp_path / "data" / "2" / "other").symlink_to(tmp_path / "data" / "1")
    found = names(f"nmnist:{tmp_path}/data")
    assert [name for name in found if "other" not in name] == ["1/a.bin", "2/a.bin"]
    assert len(found) < 10


def test_a_link_to_nothing_is_said_when_it_is_read(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "a.bin").symlink_to(tmp_path / "gone")
    found = open_recordings(f"nmnist:{tmp_path}")
    with pytest.raises(InvalidFile, match=r"a\.bin: cannot be read"):
        found[0]


def test_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "1").mkdir()
    os.mkfifo(tmp_path / "1" / "a.bin")
    with pytest.raises(InvalidFile, match=r"a\.bin: cannot be read \(no regular file\)"):
        open_recordings(f"nmnist:{tmp_path}")[0]
    with pytest.raises(InvalidFile, match="no regular file"):
        read_aedat(tmp_path / "1" / "a.bin")


# --- classes


@pytest.mark.parametrize("kind", ["aedat", "cifar10-dvs"])
@pytest.mark.parametrize(
    ("folders", "labels", "class_names"),
    [
        # By value, not by text.
        ([str(n) for n in range(11)], {str(n): n for n in range(11)}, [str(n) for n in range(11)]),
        # 1 to n, all there: from 0.
        (
            [str(n) for n in range(1, 12)],
            {str(n): n - 1 for n in range(1, 12)},
            [str(n) for n in range(1, 12)],
        ),
        (["01", "02", "03"], {"01": 0, "02": 1, "03": 2}, ["01", "02", "03"]),
        # A part keeps its values.
        (["3", "7"], {"3": 3, "7": 7}, [str(n) for n in range(8)]),
        (["1", "2", "4"], {"1": 1, "2": 2, "4": 4}, list("01234")),
        (["2", "10"], {"2": 2, "10": 10}, [str(n) for n in range(11)]),
        (["1"], {"1": 1}, ["0", "1"]),
        (["0"], {"0": 0}, ["0"]),
        # Other names, sorted.
        (["walk", "Run", "10", "9"], {"10": 0, "9": 1, "Run": 2, "walk": 3}, ["10", "9", "Run", "walk"]),
        (["20210102", "20210101"], {"20210101": 0, "20210102": 1}, ["20210101", "20210102"]),
        (["-1", "1"], {"-1": 0, "1": 1}, ["-1", "1"]),
        (["²", "1"], {"1": 0, "²": 1}, ["1", "²"]),
        # A part of CIFAR-10 keeps the labels of the whole.
        (["ship", "cat"], {"cat": 3, "ship": 8}, CIFAR10_CLASSES),
    ],
)
def test_labels_of_class_folders(tmp_path, kind, folders, labels, class_names):
    touch(tmp_path, *(f"{folder}/a.aedat" for folder in folders))
    found = open_dataset(f"{kind}:{tmp_path}")
    assert {f.name.split("/")[0]: f.label for f in found.files} == labels
    assert found.class_names == tuple(class_names)


def test_one_number_twice_is_refused(tmp_path):
    touch(tmp_path, "1/a.aedat", "01/a.aedat", "2/a.aedat")
    with pytest.raises(InvalidRequest, match="folders '01' and '1' are one class"):
        open_dataset(f"aedat:{tmp_path}")


def test_nmnist_knows_ten_digits(tmp_path):
    touch(tmp_path, *(f"{n}/a.bin" for n in range(11)))
    with pytest.raises(InvalidRequest, match=r"10/a\.bin lies in a folder named '10'; N-MNIST has .* 0 to 9"):
        open_dataset(f"nmnist:{tmp_path}")


# --- splits


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("train", "test"), ("TRAIN", "TEST")])
@pytest.mark.parametrize(
    ("kind", "classes", "suffix"),
    [
        ("nmnist", ["3", "8"], ".bin"),
        ("cifar10-dvs", ["cat", "ship"], ".aedat"),
        ("aedat", ["walk", "run"], ".aedat"),
    ],
)
def test_a_folder_that_is_a_split(tmp_path, kind, classes, suffix, train, test):
    root = tmp_path / "set"
    touch(root, *(f"{train}/{c}/{n}{suffix}" for c in classes for n in range(15)))
    touch(root, *(f"{test}/{c}/{n}{suffix}" for c in classes for n in range(10)))
    assert (len(names(f"{kind}:{root}", "train")), len(names(f"{kind}:{root}", "test"))) == (30, 20)
    assert {name.split("/")[0] for name in names(f"{kind}:{root}", "test")} == {test}
    for end in ("", "/"):
        assert len(names(f"{kind}:{root}/{test}{end}", "test")) == 20
        assert len(names(f"{kind}:{root}/{test}{end}")) == 20
        assert len(names(f"{kind}:{root}/{train}{end}", "train")) == 30
        with pytest.raises(InvalidRequest, match="is the split 'train' by its name and holds no 'test'"):
            open_dataset(f"{kind}:{root}/{train}{end}", "test")
        with pytest.raises(InvalidRequest, match="is the split 'test' by its name and holds no 'train'"):
            open_dataset(f"{kind}:{root}/{test}{end}", "train")


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("nmnist", "Train/3"),
        ("nmnist", "Train/3/0.bin"),
        ("cifar10-dvs", "Train/cat"),
        ("cifar10-dvs", "Train/cat/0.aedat"),
    ],
)
def test_a_class_or_file_of_a_split(tmp_path, kind, place):
    touch(tmp_path, *(f"Train/3/{n}.bin" for n in range(6)), *(f"Train/cat/{n}.aedat" for n in range(6)))
    assert len(names(f"{kind}:{tmp_path}/{place}", "train")) in (1, 6)
    with pytest.raises(InvalidRequest, match="the split 'train' by its name"):
        open_dataset(f"{kind}:{tmp_path}/{place}", "test")


def test_a_relative_place_is_named_by_where_it_is(tmp_path, monkeypatch):
    touch(tmp_path, *(f"Test/3/{n}.bin" for n in range(6)))
    monkeypatch.chdir(tmp_path / "Test")
    assert len(names("nmnist:.", "test")) == 6
    with pytest.raises(InvalidRequest, match="the split 'test' by its name"):
        open_dataset("nmnist:.", "train")
    monkeypatch.chdir(tmp_path / "Test" / "3")
    assert open_dataset("nmnist:0.bin").labels.tolist() == [3]
    assert open_dataset("nmnist:.", "test").labels.tolist() == [3] * 6


def test_splits_without_classes_are_no_classes(tmp_path):
    touch(tmp_path, "train/a.aedat", "train/b.aedat", "test/c.aedat")
    found = open_dataset(f"aedat:{tmp_path}")
    assert (found.class_names, found.labels.tolist()) == ((), [-1, -1, -1])
    assert names(f"aedat:{tmp_path}", "test") == ["test/c.aedat"]


def test_a_class_called_train_is_no_split(tmp_path):
    touch(tmp_path, *(f"{c}/{n}.aedat" for c in ("car", "train") for n in range(10)))
    assert open_dataset(f"aedat:{tmp_path}").class_names == ("car", "train")
    assert names(f"aedat:{tmp_path}", "test") == ["car/0.aedat", "train/0.aedat"]


def test_a_test_folder_alone_holds_no_training_recordings(tmp_path):
    touch(tmp_path, *(f"Test/3/{n}.bin" for n in range(10)))
    assert len(names(f"nmnist:{tmp_path}", "test")) == 10
    with pytest.raises(InvalidRequest, match="the split 'train' has no recording"):
        open_dataset(f"nmnist:{tmp_path}", "train")


# --- orientation, origin


@pytest.mark.parametrize(
    ("kind", "asked", "orientation"),
    [
        ("aedat", None, RAW),
        ("aedat", "raw", RAW),
        ("aedat", "jaer-matlab", JAER_MATLAB),
        ("aedat", "cifar10-dvs", CIFAR10_DVS),
        ("cifar10-dvs", None, CIFAR10_DVS),
        ("cifar10-dvs", "raw", RAW),
        ("cifar10-dvs", JAER_MATLAB, JAER_MATLAB),
    ],
)
def test_orientation_by_kind_and_by_name(tmp_path, kind, asked, orientation):
    file = tmp_path / "a.aedat"
    write_aedat(file, make_events([5, 6], [3, 40], [90, 7], [1, 0]), orientation=RAW)
    found = open_recordings(f"{kind}:{file}", orientation=asked)
    assert (found.kind, found.orientation) == (kind, orientation.name)
    assert np.array_equal(found[0].events, read_aedat(file, orientation=orientation))
    assert np.array_equal(pickle.loads(pickle.dumps(found))[0].events, found[0].events)


def test_origin_goes_with_the_kind(tmp_path):
    write_nmnist(tmp_path / "3.bin", make_events([500, 600], [1, 1], [2, 2], [0, 1]))
    write_aedat(tmp_path / "a.aedat", make_events([500, 600], [1, 1], [2, 2], [0, 1]))
    for spec, origin, times in (
        (f"nmnist:{tmp_path}/3.bin", "file", [500, 600]),
        (f"aedat:{tmp_path}/a.aedat", "first-event", [0, 100]),
        (f"cifar10-dvs:{tmp_path}/a.aedat", "first-event", [0, 100]),
    ):
        found = open_recordings(spec)
        assert (found.origin, found[0].origin, found[0].events["t"].tolist()) == (origin, origin, times)
        assert found.fraction(0.5).downsampled(2)[0].origin == origin


def test_counts_of_a_recording(tmp_path):
    write_aedat(tmp_path / "a.aedat", numbered_events(8))
    data = (tmp_path / "a.aedat").read_bytes()
    special = bytes.fromhex("0000800000000003")
    (tmp_path / "a.aedat").write_bytes(data + special.replace(b"\x03", b"\x09") * 2)
    recording, counts = record_counts(open_recordings(f"aedat:{tmp_path}/a.aedat").fraction(0.5), 0)
    assert len(recording.events) == 4
    assert counts == {"records": 10, "special_events": 2, "events_before_reset": 0, "stray_events": 0}


# --- what is refused


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda root: open_dataset(root), r"KIND:PATH .* found PosixPath .*open_dataset\(f'nmnist:"),
        (lambda root: open_dataset(None), "found NoneType"),
        (lambda root: open_dataset(["nmnist:x"]), "found list"),
        (lambda root: open_dataset(b"nmnist:x"), "found bytes"),
        (lambda root: open_dataset(f"nmnist:{root}", 3), "unknown split 3"),
        (lambda root: open_dataset(f"nmnist:{root}", np.arange(3)), "unknown split"),
        (lambda root: open_dataset(f"nmnist:{root}", ["test"]), "unknown split"),
        (lambda root: open_dataset("nmnist:a\0b"), "null|there is no"),
        (lambda root: open_dataset("nmnist:" + "a" * 5000), "too long"),
        (lambda root: open_dataset("nmnist:~nobody-of-that-name/x"), "home"),
        (lambda root: open_dataset(f"aedat:{root}", orientation="up"), "raw, jaer-matlab, cifar10-dvs"),
        (lambda root: open_dataset(f"aedat:{root}", orientation=3), "unknown orientation 3"),
        (lambda root: open_dataset(f"aedat:{root}", clock=["sort"]), "last-reset, strict, sort"),
        (lambda root: open_dataset(f"nmnist:{root}", orientation="raw"), "leave it out"),
        (lambda root: open_dataset(f"images:{root}/a.npz", clock="sort"), "for event recordings"),
        (lambda root: open_dataset(f"images:{root}"), "is a folder"),
        (lambda root: read_nmnist(None), "named by its path, found NoneType"),
        (lambda root: read_nmnist(3), "found int"),
        (lambda root: read_aedat(["a"]), "found list"),
        (lambda root: read_aedat("a\0b"), "cannot be read"),
        (lambda root: read_aedat(root), "cannot be read"),
        (lambda root: read_aedat(root, clock=None), "unknown clock setting None"),
        (lambda root: write_aedat(root / "x.aedat", numbered_events(), comments="abc"), "tuple of strings"),
        (
            lambda root: write_aedat(root / "x.aedat", numbered_events(), comments=("a\0",)),
            "control character",
        ),
        (lambda root: write_aedat(root / "x.aedat", [1, 2]), "list"),
        (lambda root: write_nmnist(root / "x.bin", None), "NoneType"),
        (lambda root: make_events([[1], [2, 3]], [1], [1], [1]), "columns"),
        (lambda root: make_events([2**70], [1], [1], [1]), "integers"),
        (lambda root: open_recordings(f"nmnist:{root}/3").fraction("all"), "fraction"),
        (lambda root: open_recordings(f"nmnist:{root}/3").fraction(float("nan")), "fraction"),
        (lambda root: open_recordings(f"nmnist:{root}/3").downsampled("2"), "factor"),
    ],
)
def test_one_error_for_each_mistake(tmp_path, call, match):
    touch(tmp_path, "3/a.bin", "a.npz")
    with pytest.raises(EventsnnError, match=match) as found:
        call(tmp_path)
    assert "\n" not in str(found.value)


FORMATS = {
    "a.aedat4": (b"#!AER-DAT4.0\r\n\x10", "AEDAT 4"),
    "b.aedat": (b"#!AER-DAT3.1\r\n#", "AEDAT 3"),
    "c.aedat": (b"#!AER-DAT4.0\r\n#", "AEDAT 4"),
    "d.raw": (b"% evt 3.0\n% end\n", "Prophesee EVT"),
    "e.dat": (b"% Data file\n", "Prophesee DAT"),
    "f.npy": (b"\x93NUMPY\x01\x00", "NumPy"),
    "g.npz": (b"PK\x03\x04", "NumPy|ZIP"),
    "h.h5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "i.bag": (b"#ROSBAG V2.0\n", "ROS bag"),
    "j.es": (b"Event Stream\x02", "Event Stream"),
    "k.mat": (b"MATLAB 5.0 MAT-file", "MATLAB"),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["nmnist", "aedat", "cifar10-dvs"])
def test_formats_that_are_not_of_the_kind_are_named(tmp_path, name, kind):
    content, known = FORMATS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidFile, match=f"({known}).*(not supported yet|which events:PATH opens)"):
        open_recordings(f"{kind}:{tmp_path}/{name}")[0]
    renamed = tmp_path / ("x.bin" if kind == "nmnist" else "x.aedat")
    renamed.write_bytes(content)
    with pytest.raises(InvalidFile, match=f"({known}).*(not supported yet|which events:PATH opens)"):
        open_recordings(f"{kind}:{renamed}")[0]


def test_a_folder_of_another_format(tmp_path):
    touch(tmp_path, "airplane/a.aedat4", "airplane/b.aedat4", "truck/c.raw")
    with pytest.raises(InvalidRequest, match=r"airplane/a\.aedat4 is AEDAT 4 .*events:PATH opens.*Prophesee"):
        open_dataset(f"cifar10-dvs:{tmp_path}")


def test_aedat_and_five_bytes_are_not_mixed_up(tmp_path):
    write_aedat(tmp_path / "a.bin", numbered_events())
    with pytest.raises(InvalidFile, match=r"this is AEDAT 2\.0, no five-byte file"):
        open_recordings(f"nmnist:{tmp_path}/a.bin")[0]


# --- names that are no text


ODD = os.fsdecode(b"odd-\xff\xfe")


@pytest.fixture
def odd(tmp_path):
    root = tmp_path / ODD / "set"
    for folder in (ODD, "b"):
        for number in range(2):
            file = root / folder / f"{number}{ODD}.aedat"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_aedat(file, numbered_events(), orientation=RAW)
    return root


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "eventsnn", *map(os.fspath, arguments)], capture_output=True, check=False
    )


def test_names_that_are_not_utf_8(odd):
    from eventsnn.run.samples import describe

    found = open_recordings(f"aedat:{odd}")
    assert found.class_names == ("b", ODD)
    assert found[2].name == f"{ODD}/0{ODD}.aedat"
    described = describe(found)
    assert json.loads(json.dumps(described)) == described
    assert np.array_equal(pickle.loads(pickle.dumps(found))[3].events, found[3].events)
    listed = command("inspect", f"aedat:{odd}", "--json")
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)["classes"][1] == {"label": 1, "class": ODD, "samples": 2}
    checked = command("data", "check", f"aedat:{odd}")
    assert checked.returncode == 0, checked.stderr
    for arguments in (("data", "list", f"aedat:{odd}"), ("inspect", odd), ("inspect", found.files[2].path)):
        done = command(*arguments)
        assert done.returncode == 0, done.stderr
        assert b"odd-" in done.stdout


def test_a_message_about_a_name_that_is_not_utf_8(odd):
    Path(odd, "b", f"0{ODD}.aedat").write_bytes(b"nothing")
    done = command("data", "check", f"aedat:{odd}")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"an AEDAT 2.0 file starts with" in done.stderr
    assert b"Traceback" not in done.stderr
