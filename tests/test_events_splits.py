"""Splits by name: what each means, that none is chosen in silence, and that none mixes another."""

import random

import pytest
from builders.recordings import touch

from eventsnn.errors import InvalidRequest
from eventsnn.events import CIFAR10_CLASSES, open_dataset
from eventsnn.events.recordings import RecordingFile
from eventsnn.events.splits import named_split


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("cifar10-dvs")
    touch(root, *(f"{name}/cifar10_{name}_{n}.aedat" for name in CIFAR10_CLASSES[:3] for n in range(1000)))
    return root


def numbers(root, split):
    found = {}
    for file in open_dataset(f"cifar10-dvs:{root}", split).files:
        found.setdefault(file.label, []).append(int(file.name.rpartition("_")[2].removesuffix(".aedat")))
    return {label: sorted(values) for label, values in found.items()}


@pytest.mark.parametrize(("name", "test"), [("first100", range(100)), ("last100", range(900, 1000))])
def test_hundreds_go_by_number(whole, name, test):
    assert numbers(whole, name) == numbers(whole, f"{name}:test") == {k: list(test) for k in range(3)}
    rest = sorted(set(range(1000)) - set(test))
    assert numbers(whole, f"{name}:train") == dict.fromkeys(range(3), rest)
    assert open_dataset(f"cifar10-dvs:{whole}", name).split == f"{name}:test"


def test_a_seeded_split_is_nine_to_one_in_each_class(whole):
    test, train = numbers(whole, "seeded:7"), numbers(whole, "seeded:7:train")
    for label in range(3):
        assert len(test[label]) == 100
        assert sorted(test[label] + train[label]) == list(range(1000))
    assert test[0] != test[1]
    assert test != numbers(whole, "seeded:8")
    # Written down, so that it stays what it is.
    assert test[0][:8] == [7, 9, 17, 28, 29, 33, 45, 77]
    assert 350 < sum(test[0]) / 100 < 650


def test_a_seeded_split_does_not_depend_on_the_order_of_files():
    files = [RecordingFile(None, f"a/r_{n}.aedat", n % 3, n) for n in range(90)]
    mixed = random.Random(0).sample(files, len(files))
    one, other = (named_split("seeded:1").of(f, "set") for f in (files, mixed))
    assert {f.name for f in one} == {f.name for f in other}
    assert len(one) == 9


@pytest.mark.parametrize("split", ["train", "test"])
def test_none_is_chosen_in_silence(whole, split):
    with pytest.raises(InvalidRequest, match=rf"without a split '{split}'.*first100, last100 or seeded:N"):
        open_dataset(f"cifar10-dvs:{whole}", split)
    assert len(open_dataset(f"cifar10-dvs:{whole}", "all")) == 3000


@pytest.mark.parametrize(
    ("files", "split", "match"),
    [
        (["cat/cifar10_cat_0.aedat"], "first100", "puts 1 of the 1 recordings"),
        ([f"cat/cifar10_cat_{n}.aedat" for n in range(200)], "last100", "puts 0 of the 200"),
        (["cat/a.aedat", "cat/b.aedat"], "first100", "cat/a.aedat has no number"),
        (["cat/a_1.aedat", "cat/b_1.aedat"], "first100", "have one number"),
        ([f"cat/{n}.aedat" for n in range(9)], "seeded:0", "puts 0 of the 9"),
        (["a.aedat"], "seeded:0", "has no class"),
        (["Train/cat/cifar10_cat_0.aedat", "Test/cat/cifar10_cat_1.aedat"], "first100", "splits of its own"),
        (
            ["train/cat/cifar10_cat_0.aedat", "train/cat/cifar10_cat_100.aedat"],
            "first100",
            "splits of its own",
        ),
        (["train/cat/cifar10_cat_0.aedat"], "test", "'test' has no recording"),
        (["cat/a.aedat"], "seeded", "has no seed"),
        (["cat/a.aedat"], "seeded:-1", "has no seed"),
        (["cat/a.aedat"], "first100:all", "unknown split 'first100:all'"),
        (["cat/a.aedat"], "first100:test:test", "unknown split"),
        (["cat/a.aedat"], "first10", "and for recordings first100, last100"),
    ],
)
def test_where_a_name_says_nothing(tmp_path, files, split, match):
    touch(tmp_path, *files)
    with pytest.raises(InvalidRequest, match=match):
        open_dataset(f"cifar10-dvs:{tmp_path}", split)


def test_train_alone_is_train(tmp_path):
    touch(tmp_path, "train/cat/cifar10_cat_0.aedat")
    assert len(open_dataset(f"cifar10-dvs:{tmp_path}", "train")) == 1


def test_other_kinds_have_no_such_names(tmp_path):
    touch(tmp_path, "3/a.bin")
    with pytest.raises(InvalidRequest, match="has splits of its own, not 'first100'"):
        open_dataset(f"nmnist:{tmp_path}", "first100")
