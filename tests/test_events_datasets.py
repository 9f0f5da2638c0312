"""Sets of recordings: layouts, labels, splits, subsets, and laziness."""

import os
import pickle

import numpy as np
import pytest
from builders.recordings import numbered_events, touch

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events import CIFAR10_CLASSES, RAW, open_dataset, write_aedat, write_nmnist


@pytest.fixture
def nmnist(tmp_path):
    for digit in (3, 1):
        (tmp_path / "NMNIST" / "Train" / str(digit)).mkdir(parents=True)
        for number in range(6):
            write_nmnist(
                tmp_path / "NMNIST" / "Train" / str(digit) / f"{number:05}.bin", numbered_events(10 + number)
            )
    return tmp_path


def test_nmnist_is_sorted_labelled_and_split_by_fifths(nmnist):
    whole = open_dataset(f"nmnist:{nmnist}")
    assert (whole.kind, whole.path, whole.split, whole.height, whole.width) == (
        "nmnist",
        str(nmnist),
        "all",
        34,
        34,
    )
    assert len(whole) == 12
    assert whole.labels.dtype == np.int64
    assert whole.labels.tolist() == [1] * 6 + [3] * 6
    assert whole.class_names == tuple("0123456789")
    assert whole[7].name == "NMNIST/Train/3/00001.bin"
    assert (whole[7].label, whole[7].index, len(whole[7].events)) == (3, 7, 11)
    test = open_dataset(f"nmnist:{nmnist}", "test")
    train = open_dataset(f"nmnist:{nmnist}", "train")
    assert [recording.index for recording in test] == [0, 5, 10]
    assert sorted(r.index for part in (test, train) for r in part) == list(range(12))
    assert len(open_dataset(f"nmnist:{nmnist}", "all")) == 12


def test_nmnist_train_and_test_folders_are_the_splits(tmp_path):
    touch(tmp_path, "Train/0/a.bin", "Train/1/b.bin", "Test/0/c.bin", "Test/x/d.bin")
    names = {
        split: [f.name for f in open_dataset(f"nmnist:{tmp_path}", split).files]
        for split in ("train", "test")
    }
    assert names == {"train": ["Train/0/a.bin", "Train/1/b.bin"], "test": ["Test/0/c.bin"]}
    assert len(open_dataset(f"nmnist:{tmp_path}")) == 3


def test_one_nmnist_file(nmnist):
    one = open_dataset(f"nmnist:{nmnist}/NMNIST/Train/3/00002.bin")
    assert (len(one), one[0].label, one[0].index, one[0].name) == (1, 3, 0, "00002.bin")
    write_nmnist(nmnist / "lone.bin", numbered_events())
    lone = open_dataset(f"nmnist:{nmnist}/lone.bin")
    assert lone[0].label is None
    assert lone.labels.tolist() == [-1]
    assert np.array_equal(lone[0].events, numbered_events())


def test_cifar10_dvs_with_all_files_is_split_by_number(tmp_path):
    touch(tmp_path, *(f"{name}/cifar10_{name}_{n}.aedat" for name in ("cat", "ship") for n in range(1000)))
    whole = open_dataset(f"cifar10-dvs:{tmp_path}")
    assert (len(whole), whole.height, whole.width) == (2000, 128, 128)
    test = open_dataset(f"cifar10-dvs:{tmp_path}", "first100")
    assert test.split == "first100:test"
    assert sorted(file.name for file in test.files) == sorted(
        f"{name}/cifar10_{name}_{n}.aedat" for name in ("cat", "ship") for n in range(100)
    )
    assert len(open_dataset(f"cifar10-dvs:{tmp_path}", "first100:train")) == 1800
    # A part of CIFAR-10's folders keeps the labels of the whole.
    assert whole.class_names == CIFAR10_CLASSES
    assert set(whole.labels.tolist()) == {3, 8}


def test_other_aedat_recordings_are_split_by_tenths(tmp_path):
    touch(tmp_path, *(f"{name}/{n}.aedat" for name in ("b", "a") for n in range(15)))
    whole = open_dataset(f"aedat:{tmp_path}")
    assert whole.class_names == ("a", "b")
    assert whole.labels.tolist() == [0] * 15 + [1] * 15
    assert [file.index for file in open_dataset(f"aedat:{tmp_path}", "test").files] == [0, 10, 20]
    assert len(open_dataset(f"aedat:{tmp_path}", "train")) == 27


def test_aedat_files_without_class_folders(tmp_path):
    write_aedat(tmp_path / "b.aedat", numbered_events(), orientation=RAW)
    write_aedat(tmp_path / "a.aedat", numbered_events(5), orientation=RAW)
    flat = open_dataset(f"aedat:{tmp_path}")
    assert (flat.kind, flat.class_names, flat.labels.tolist()) == ("aedat", (), [-1, -1])
    assert [len(recording.events) for recording in flat] == [5, 10]
    assert flat[0].label is None
    one = open_dataset(f"aedat:{tmp_path}/b.aedat")
    assert np.array_equal(one[0].events, numbered_events())


def test_one_aedat_file_in_a_class_folder(tmp_path):
    touch(tmp_path, "frog/cifar10_frog_7.aedat")
    assert open_dataset(f"cifar10-dvs:{tmp_path}/frog/cifar10_frog_7.aedat").labels.tolist() == [6]


def test_evenly_takes_from_all_classes(nmnist):
    whole = open_dataset(f"nmnist:{nmnist}")
    assert [r.index for r in whole.evenly(4)] == [0, 3, 6, 9]
    assert [r.index for r in whole.evenly(5)] == [0, 2, 4, 7, 9]
    assert [r.index for r in whole.evenly(12)] == list(range(12))
    assert [r.index for r in whole[2:4]] == [2, 3]
    assert whole[-1].index == 11
    with pytest.raises(IndexError):
        whole[12]


@pytest.mark.parametrize("count", [0, -1, 13, 1.5, True])
def test_evenly_out_of_range(nmnist, count):
    with pytest.raises(InvalidRequest, match=r"samples asked of .*allowed are 1 to 12"):
        open_dataset(f"nmnist:{nmnist}").evenly(count)


def test_reductions_leave_the_set_they_came_from_alone(nmnist):
    whole = open_dataset(f"nmnist:{nmnist}")
    small = whole.fraction(0.5).downsampled(2)
    assert (small.height, small.width) == (17, 17)
    assert len(small[1].events) == 5  # of 11
    assert small[1].events["x"].tolist() == [0, 0, 1, 1, 2]
    assert (whole.height, len(whole[1].events)) == (34, 11)
    assert whole.downsampled(2).downsampled(2).height == 9
    with pytest.raises(InvalidRequest, match="fraction"):
        whole.fraction(0)
    with pytest.raises(InvalidRequest, match="factor"):
        whole.downsampled(0)
    with pytest.raises(AttributeError):
        whole.height = 3


def test_opening_reads_no_events_and_reading_checks_them(nmnist):
    (nmnist / "NMNIST/Train/1/00000.bin").write_bytes(bytes(7))
    whole = open_dataset(f"nmnist:{nmnist}")
    assert len(whole[1].events) == 11
    with pytest.raises(InvalidFile, match=r"1/00000\.bin: 7 bytes"):
        whole[0]


def test_a_set_can_be_sent_to_another_process(nmnist):
    small = open_dataset(f"nmnist:{nmnist}", "train").evenly(3).fraction(0.5).downsampled(2)
    back = pickle.loads(pickle.dumps(small))
    assert repr(back) == repr(small)
    for one, other in zip(back, small, strict=True):
        assert (one.name, one.label, one.index) == (other.name, other.label, other.index)
        assert np.array_equal(one.events, other.events)


@pytest.mark.parametrize(
    ("spec", "split", "match"),
    [
        ("mnist:{root}", None, r"KIND one of nmnist, cifar10-dvs, aedat.*, images, tonic\.NAME$"),
        ("{root}", None, "write KIND:PATH"),
        ("nmnist:", None, "write KIND:PATH"),
        ("nmnist:{root}/none", None, "there is no .*none"),
        ("nmnist:{root}", "validation", "unknown split 'validation'.*allowed are all, train, test"),
        ("nmnist:{root}/empty", None, r"no <digit>/\*\.bin"),
        ("cifar10-dvs:{root}/empty", None, r"no <class>/\*\.aedat"),
        ("nmnist:{root}/5/a.bin", "train", "the split 'train' has no recording"),
        ("aedat:{root}/5/a.bin", None, r"is a \.aedat file"),
        ("nmnist:{root}/readme.txt", None, r"is a \.bin file"),
    ],
)
def test_open_refuses(tmp_path, spec, split, match):
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "5/a.bin", "readme.txt")
    with pytest.raises(InvalidRequest, match=match):
        open_dataset(spec.format(root=tmp_path), split)


@pytest.mark.skipif(
    "EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA is not set: no real N-MNIST files"
)
def test_the_real_nmnist_subset():
    spec = f"nmnist:{os.environ['EVENTSNN_DATA']}/nmnist"
    assert len(open_dataset(spec)) == 1000
    test = open_dataset(spec, "test")
    assert len(test) == 200
    assert set(test.evenly(20).labels.tolist()) == set(range(10))
    assert test[0].name.startswith("NMNIST/Train/0/")
