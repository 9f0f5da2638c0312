"""Preparing a data set as one file: the same recordings, resumed, and each source known by its hash."""

import hashlib

import numpy as np
import pytest
from builders.command_line import eventsnn
from builders.recordings import numbered_events, small_network, write_recordings

from eventsnn.errors import InvalidFile, InvalidRequest, MissingFile
from eventsnn.events import CIFAR10_CLASSES, open_dataset, write_aedat
from eventsnn.events.event_file import open_event_file
from eventsnn.events.event_parts import part_path, parts_folder
from eventsnn.run import prepare
from eventsnn.run.prepare import pieces_of, prepare_recordings
from eventsnn.run.simulate import simulate


@pytest.fixture
def folder(tmp_path):
    for name in CIFAR10_CLASSES[:2]:
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in (0, 7, 150):
            write_aedat(
                tmp_path / "set" / name / f"cifar10_{name}_{number}.aedat", numbered_events(9 + number)
            )
    return tmp_path / "set"


def sums_of(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.aedat"))
    }


def require_same(one, other, factor=1):
    assert len(one) == len(other)
    for mine, theirs in zip(one, other.downsampled(factor) if factor > 1 else other, strict=True):
        assert (mine.name, mine.label, mine.index, mine.origin) == (
            theirs.name,
            theirs.label,
            theirs.index,
            theirs.origin,
        )
        assert np.array_equal(mine.events, theirs.events)


@pytest.mark.parametrize("factor", [1, 4])
def test_cifar10_dvs_is_the_same_from_the_file(tmp_path, folder, factor):
    output = tmp_path / "cifar10dvs.h5"
    assert prepare_recordings(f"cifar10-dvs:{folder}", output, downsample=factor) == 6
    source = open_dataset(f"cifar10-dvs:{folder}")
    for kind in ("events", "cifar10-dvs"):
        found = open_dataset(f"{kind}:{output}")
        require_same(found, source, factor)
        assert (found.class_names, found.orientation, found.height) == (
            CIFAR10_CLASSES,
            "cifar10-dvs",
            128 // factor,
        )
        first = [file.name for file in open_dataset(f"{kind}:{output}", "first100:train").files]
        assert first == [f"{c}/cifar10_{c}_150.aedat" for c in CIFAR10_CLASSES[:2]]
        with pytest.raises(InvalidRequest, match="first100, last100 or seeded:N"):
            open_dataset(f"{kind}:{output}", "test")
    kept = dict(
        zip(
            open_event_file(output).texts("name"), open_event_file(output).texts("source_sha256"), strict=True
        )
    )
    assert kept == sums_of(folder)
    assert open_event_file(output).attributes["downsampled"] == factor


def test_other_recordings_keep_their_splits_and_run_the_same(tmp_path):
    write_recordings(tmp_path / "set", classes=4)
    spec, output = f"nmnist:{tmp_path / 'set'}", tmp_path / "a.h5"
    prepare_recordings(spec, output, workers=2)
    for split in ("train", "test", None):
        require_same(open_dataset(f"events:{output}", split), open_dataset(spec, split))
    with pytest.raises(InvalidRequest, match="holds recordings of nmnist, not of cifar10-dvs"):
        open_dataset(f"cifar10-dvs:{output}")
    with pytest.raises(InvalidRequest, match="splits of its own"):
        open_dataset(f"events:{output}", "seeded:0")
    one = simulate(small_network(), spec, engine="reference")
    other = simulate(small_network(), f"events:{output}", engine="reference", workers=2)
    assert one.digest == other.digest
    again = tmp_path / "again.h5"
    prepare_recordings(f"events:{output}", again)
    require_same(open_dataset(f"events:{again}", "test"), open_dataset(spec, "test"))
    assert open_event_file(again).attributes["kind"] == "nmnist"


def test_preparing_goes_on_and_checks_what_is_done(tmp_path, folder, monkeypatch):
    spec, output = f"cifar10-dvs:{folder}", tmp_path / "a.h5"
    written = []
    real = prepare.write_part

    def killed_at_the_fourth(where, position, *rest):
        written.append(position)
        if len(written) == 4:
            raise KeyboardInterrupt
        return real(where, position, *rest)

    monkeypatch.setattr(prepare, "write_part", killed_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        prepare_recordings(spec, output)
    changed = folder / "airplane/cifar10_airplane_150.aedat"
    write_aedat(changed, numbered_events(40))
    seen = []
    prepare_recordings(spec, output, progress=lambda *step: seen.append(step))
    assert written == [0, 1, 2, 3, 1, 3, 4, 5]
    assert seen[-1] == (6, 6)
    require_same(open_dataset(f"events:{output}"), open_dataset(spec))
    prepare_recordings(spec, output)
    write_aedat(changed, numbered_events(41))
    with pytest.raises(InvalidFile, match=r"1 of the 6 .*changed since: airplane/cifar10_airplane_150"):
        prepare_recordings(spec, output)
    with pytest.raises(InvalidRequest, match="made in another way"):
        prepare_recordings(spec, output, downsample=2)


def test_damaged_sources_are_named_after_all_others_are_done(tmp_path, folder):
    spec, output = f"cifar10-dvs:{folder}", tmp_path / "a.h5"
    bad = [folder / f"{name}/cifar10_{name}_7.aedat" for name in CIFAR10_CLASSES[:2]]
    good = [path.read_bytes() for path in bad]
    bad[0].write_bytes(good[0][:-3])
    bad[1].write_bytes(b"")
    for workers in (1, 2):
        with pytest.raises(InvalidFile, match=r"2 of 6 recordings") as raised:
            prepare_recordings(spec, output, workers=workers)
        assert all(str(path) in str(raised.value) for path in bad)
    assert not output.exists()
    assert [part_path(parts_folder(output), k).exists() for k in range(6)] == [True, True, False] * 2
    for path, content in zip(bad, good, strict=True):
        path.write_bytes(content)
    prepare_recordings(spec, output)
    require_same(open_dataset(f"events:{output}"), open_dataset(spec))


def test_sources_are_those_of_a_list_of_checksums(tmp_path, folder):
    spec, listed = f"cifar10-dvs:{folder}", tmp_path / "sums.txt"
    sums = sums_of(folder)
    listed.write_text("".join(f"{value}  ./{name}\n" for name, value in sums.items()))
    prepare_recordings(spec, tmp_path / "a.h5", checksums=listed)
    name = "automobile/cifar10_automobile_0.aedat"
    listed.write_text("".join(f"{value} *{n}\n" for n, value in (sums | {name: "0" * 64}).items()))
    with pytest.raises(InvalidFile, match=rf"{name}: its SHA-256 is {sums[name]}, it should be 000"):
        prepare_recordings(spec, tmp_path / "b.h5", checksums=listed)
    for content, match in [
        ("", "has no line for airplane/cifar10_airplane_0.aedat"),
        ("abc  x\n", "line 1 is 'abc  x'"),
    ]:
        listed.write_text(content)
        with pytest.raises(InvalidFile, match=match):
            prepare_recordings(spec, tmp_path / "c.h5", checksums=listed)
    with pytest.raises(MissingFile, match="sha256sum"):
        prepare_recordings(spec, tmp_path / "c.h5", checksums=tmp_path / "none")


def test_a_stored_recording_comes_in_pieces(tmp_path):
    write_recordings(tmp_path / "set")
    prepare_recordings(f"nmnist:{tmp_path / 'set'}", tmp_path / "a.h5")
    found = open_dataset(f"events:{tmp_path / 'a.h5'}")
    assert np.array_equal(np.concatenate(list(pieces_of(found, 0))), found[0].events)
    half = found.fraction(0.5).downsampled(2)
    assert np.array_equal(np.concatenate(list(pieces_of(half, 0))), half[0].events)


def test_on_the_command_line(tmp_path, folder):
    output = tmp_path / "a.h5"
    made = eventsnn("data", "prepare", f"cifar10-dvs:{folder}", "-o", output)
    assert made.returncode == 0, made.stderr
    assert f"6 recordings of cifar10-dvs:{folder}, open it as events:{output}" in made.stdout
    for named in (output, f"events:{output}"):
        shown = eventsnn("inspect", named, "--json")
        assert shown.returncode == 0, shown.stderr
        assert '"holds": "recordings of cifar10-dvs"' in shown.stdout
        assert '"first100:train": 2' in shown.stdout
    (folder / "airplane/cifar10_airplane_0.aedat").write_bytes(b"#")
    wrong = eventsnn("data", "prepare", f"cifar10-dvs:{folder}", "-o", tmp_path / "b.h5")
    assert wrong.returncode == 2
    assert "cifar10_airplane_0.aedat" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_recordings_of_any_format_and_what_their_files_do_not_say(tmp_path, monkeypatch):
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "set" / name).mkdir(parents=True)
        table = np.array([(t, 3 * label, p, t % 9) for t, p in zip(range(40), [0, 1] * 20, strict=True)])
        np.savetxt(tmp_path / "set" / name / "a.csv", table, "%d", delimiter=",")
    spec, said = f"events:{tmp_path / 'set'}", {"sensor": "20x10", "columns": "txpy", "unit": "ms"}
    monkeypatch.setattr("eventsnn.events.long_recordings.LARGE_BYTES", 0)
    monkeypatch.setattr("eventsnn.events.long_recordings.PART_EVENTS", 16)
    assert prepare_recordings(spec, tmp_path / "a.h5", **said) == 2
    found = open_dataset(f"events:{tmp_path / 'a.h5'}")
    require_same(found, open_dataset(spec, **said))
    assert (found.class_names, found.width, found.height) == (("cat", "dog"), 20, 10)
    assert found[1].events["t"].tolist() == [1000 * t for t in range(40)]
    with pytest.raises(InvalidRequest, match="made in another way"):
        prepare_recordings(spec, tmp_path / "a.h5", **said | {"unit": "us"})
    with pytest.raises(InvalidRequest, match="do not say how large the sensor is"):
        prepare_recordings(spec, tmp_path / "b.h5")
    words = [word for name, value in said.items() for word in (f"--{name}", value)]
    done = eventsnn("data", "prepare", spec, "-o", tmp_path / "a.h5", *words)
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(InvalidRequest, match=r"set is a folder; give the name of a file"):
        prepare_recordings(spec, tmp_path / "set", **said)


def test_what_numpy_takes_for_pickled_objects_is_not_advised_to_be_loaded(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"none of NumPy's")
    with pytest.raises(
        InvalidFile, match="it begins as none, or holds pickled objects, which are never loaded"
    ):
        open_dataset(f"images:{tmp_path / 'a.npz'}")
