"""Making sets of recordings: the same however made, going on after a kill, on the command line too."""

import json

import numpy as np
import pytest
from builders.command_line import eventsnn

from eventsnn.errors import InvalidRequest
from eventsnn.events import (
    CIFAR10_CLASSES,
    SmoothMovement,
    emulate_smooth_movement,
    encode_i2e,
    image_set,
    open_dataset,
)
from eventsnn.events.event_file import open_event_file
from eventsnn.events.event_parts import part_path, parts_folder
from eventsnn.run import emulated
from eventsnn.run.emulated import emulate_cifar10_dvs, encode_i2e_set, movement_of
from eventsnn.run.pictures import pictures_of

QUICK = SmoothMovement(loops=1, loop_us=20_000, noise_hz=2)


@pytest.fixture
def pictures(tmp_path):
    draw = np.random.default_rng(0)
    train, test = (draw.integers(0, 256, (n, 32, 32, 3)).astype(np.uint8) for n in (6, 4))
    path = tmp_path / "pictures.npz"
    np.savez(path, train_x=train, train_y=np.arange(6) // 2, test_x=test, test_y=np.arange(4) // 2)
    return path


def recordings_of(path):
    return {recording.name: recording.events.tobytes() for recording in open_dataset(f"events:{path}")}


def test_pictures_know_where_they_come_from(pictures):
    found = pictures_of(str(pictures), samples=5)
    assert found.splits == ("train",) * 3 + ("test",) * 2
    assert (found.pictures.tolist(), found.samples.tolist()) == ([0, 2, 4, 0, 2], [0, 2, 4, 6, 8])
    test = pictures_of(f"images:{pictures}", "test")
    assert (test.pictures.tolist(), test.samples.tolist()) == ([0, 1, 2, 3], [6, 7, 8, 9])
    assert test.class_names == CIFAR10_CLASSES
    assert test.row(3).name == "test/automobile/cifar10_automobile_3"
    memory = pictures_of(image_set(np.zeros((2, 20, 30), np.uint8)))
    assert (memory.row(1).name, memory.row(1).label, memory.images.shape) == ("picture_1", None, (2, 20, 30))


def test_a_recording_is_the_same_in_any_company_and_no_picture_is_in_both_splits(tmp_path, pictures):
    settings = {"seed": 3, "movement": QUICK, "downsample": 2}
    seen = []
    emulate_cifar10_dvs(
        pictures_of(str(pictures)), tmp_path / "all.h5", **settings, progress=lambda *step: seen.append(step)
    )
    assert seen[-1] == (10, 10)
    whole = recordings_of(tmp_path / "all.h5")
    emulate_cifar10_dvs(pictures_of(str(pictures)), tmp_path / "two.h5", workers=2, **settings)
    assert recordings_of(tmp_path / "two.h5") == whole
    emulate_cifar10_dvs(pictures_of(str(pictures), "test", 2), tmp_path / "test.h5", **settings)
    assert recordings_of(tmp_path / "test.h5").items() < whole.items()
    train, test = (open_dataset(f"events:{tmp_path / 'all.h5'}", split) for split in ("train", "test"))
    assert [file.name.split("/")[0] for file in train.files] == ["train"] * 6
    assert [file.name.split("/")[0] for file in test.files] == ["test"] * 4
    assert (test.height, test.labels.tolist()) == (64, [0, 0, 1, 1])
    image = np.load(pictures)["test_x"][2]
    alone = emulate_smooth_movement(image, 3, 8, QUICK)
    assert np.array_equal(test[2].events["t"], alone["t"])
    assert np.array_equal(test[2].events["x"], alone["x"] // 2)
    made = json.loads(open_event_file(tmp_path / "all.h5").attributes["source"])
    assert (made["seed"], made["movement"]["noise_hz"]) == (3, 2)
    assert "emulated CIFAR10-DVS" in open_event_file(tmp_path / "all.h5").attributes["data"]


def test_what_was_done_before_a_kill_is_not_done_again(tmp_path, pictures, monkeypatch):
    output = tmp_path / "a.h5"
    real = emulated.emulate_smooth_movement
    calls = []

    def killed_at_the_fourth(image, seed, sample, movement):
        calls.append(sample)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(image, seed, sample, movement)

    monkeypatch.setattr(emulated, "emulate_smooth_movement", killed_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        emulate_cifar10_dvs(pictures_of(str(pictures)), output, movement=QUICK)
    assert not output.exists()
    damaged = part_path(parts_folder(output), 1)
    damaged.write_bytes(damaged.read_bytes()[:-5])
    with pytest.raises(InvalidRequest, match="seed: 0 there, 1 now"):
        emulate_cifar10_dvs(pictures_of(str(pictures)), output, seed=1, movement=QUICK)
    emulate_cifar10_dvs(pictures_of(str(pictures)), output, movement=QUICK)
    assert calls == [0, 1, 2, 3, 1, 3, 4, 5, 6, 7, 8, 9]
    emulate_cifar10_dvs(pictures_of(str(pictures)), output, movement=QUICK)
    assert len(calls) == 12
    emulate_cifar10_dvs(pictures_of(str(pictures)), tmp_path / "b.h5", movement=QUICK)
    assert recordings_of(output) == recordings_of(tmp_path / "b.h5")
    with pytest.raises(InvalidRequest, match="made in another way"):
        emulate_cifar10_dvs(pictures_of(str(pictures)), output, seed=1, movement=QUICK)


def test_a_folder_of_files_is_the_same_set(tmp_path, pictures):
    given = pictures_of(str(pictures))
    emulate_cifar10_dvs(given, tmp_path / "a.h5", movement=QUICK)
    emulate_cifar10_dvs(given, tmp_path / "folder", movement=QUICK)
    in_file, in_folder = (
        open_dataset(f"{kind}:{tmp_path}/{name}", "test")
        for kind, name in (("events", "a.h5"), ("cifar10-dvs", "folder"))
    )
    assert [f.name + ".aedat" for f in in_file.files] == [f.name for f in in_folder.files]
    for one, other in zip(in_file, in_folder, strict=True):
        assert one.label == other.label
        assert np.array_equal(one.events["t"] - one.events["t"][0], other.events["t"])
        assert np.array_equal(one.events["x"], other.events["x"])
    last = tmp_path / "folder/test/automobile/cifar10_automobile_3.aedat"
    last.unlink()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "folder").rglob("*.aedat")}
    emulate_cifar10_dvs(given, tmp_path / "folder", movement=QUICK)
    assert last.exists()
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    with pytest.raises(InvalidRequest, match="made in another way"):
        emulate_cifar10_dvs(given, tmp_path / "folder", seed=1, movement=QUICK)
    with pytest.raises(InvalidRequest, match=r"downsample into a \.h5 file"):
        emulate_cifar10_dvs(given, tmp_path / "other", downsample=2)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (["speed=3"], "one of path_radius, loop_us"),
        (["noise_hz"], "give NAME=VALUE"),
        (["noise_hz=1", "noise_hz=2"], "once each"),
        (["loops=1.5"], "must be a whole number"),
        (["base=dark"], "must be a number"),
        (["base=-1"], "above 0"),
    ],
)
def test_settings_are_read_from_texts(settings, match):
    assert movement_of(["noise_hz=0", "loops=2"]) == SmoothMovement(noise_hz=0.0, loops=2)
    with pytest.raises(InvalidRequest, match=match):
        movement_of(settings)


def test_on_the_command_line(tmp_path, pictures):
    quick = ["--set", "loops=1", "--set", "loop_us=20000"]
    made = eventsnn(
        "data", "emulate-cifar10-dvs", pictures, "-o", tmp_path / "a.h5", "--downsample", "4", *quick
    )
    assert made.returncode == 0, made.stderr
    assert "10 emulated CIFAR10-DVS recordings" in made.stdout
    checked = eventsnn("data", "check", f"events:{tmp_path / 'a.h5'}", "--split", "test")
    assert "4 recordings" in checked.stdout
    assert "all valid" in checked.stdout
    listed = eventsnn("data", "list", f"events:{tmp_path / 'a.h5'}")
    assert "32 x 32 pixels" in listed.stdout
    wrong = eventsnn("data", "emulate-cifar10-dvs", pictures, "-o", tmp_path / "a.h5", "--set", "loop=3")
    assert wrong.returncode == 2
    assert "the setting is 'loop=3'" in wrong.stderr


def test_a_set_of_i2e_events(tmp_path, pictures):
    path = tmp_path / "i2e.h5"
    encode_i2e_set(pictures_of(str(pictures)), path, size=16, ratio=0.1, workers=2)
    test = open_dataset(f"events:{path}", "test")
    assert (test.height, test.width, len(test)) == (16, 16, 4)
    image = np.load(pictures)["test_x"][1]
    assert np.array_equal(test[1].events, encode_i2e(image, size=16, ratio=0.1))
    assert "emulated" in open_event_file(path).attributes["data"]
    with pytest.raises(InvalidRequest, match="ratio is"):
        encode_i2e_set(pictures_of(str(pictures)), tmp_path / "b.h5", ratio=2)
    made = eventsnn(
        "data", "encode-i2e", pictures, "-o", tmp_path / "c.h5", "--size", "16", "--split", "train"
    )
    assert made.returncode == 0, made.stderr
    assert "I2E events of 6 pictures (emulated), event rate" in made.stdout
