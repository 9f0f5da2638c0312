"""Our own file of recordings: what is written is read, whole or in chunks, or the damage is named."""

import dataclasses
import pickle
import random
import tracemalloc
from itertools import pairwise

import h5py
import numpy as np
import pytest

from eventsnn.errors import CannotWrite, InvalidEvents, InvalidFile, InvalidRequest, MissingFile
from eventsnn.events import event_writing, open_dataset, record_counts
from eventsnn.events.event_columns import CHUNK
from eventsnn.events.event_file import open_event_file
from eventsnn.events.event_parts import Row, part_path, part_says, parts_folder, parts_of, write_part
from eventsnn.events.event_writing import put_together
from eventsnn.events.stream import EVENT_DTYPE, MAX_TIME_US

ATTRIBUTES = {
    "data": "test data",
    "kind": "test",
    "orientation": "",
    "clock": "",
    "origin": "file",
    "source": '{"a": 1}',
    "downsampled": 1,
}


def some_events(count, height, width, seed=0, mean_gap=20):
    draw = np.random.default_rng(seed)
    events = np.zeros(count, EVENT_DTYPE)
    events["t"] = np.cumsum(draw.exponential(mean_gap, count).astype(np.int64))
    events["x"], events["y"] = draw.integers(0, width, count), draw.integers(0, height, count)
    events["p"] = draw.integers(0, 2, count)
    return events


def write(path, recordings, height=34, width=34, rows=None):
    rows = rows or [Row(f"r{k}", k % 2) for k in range(len(recordings))]
    with parts_of(path, {"a": 1}) as folder:
        for position, (row, pieces) in enumerate(zip(rows, recordings, strict=True)):
            whole = [pieces] if isinstance(pieces, np.ndarray) else pieces
            write_part(folder, position, row, whole, height, width)
        attributes = ATTRIBUTES | {"height": height, "width": width}
        put_together(path, folder, len(recordings), attributes, ("even", "odd"))
    return open_event_file(path)


def plain_events(path, position):
    """One recording as any HDF5 reader can decode it, from what docs/cifar10-dvs.md says."""
    with h5py.File(path) as file:
        counts, gap_counts = file["recordings/events"][()], file["recordings/gaps"][()]
        begin = sum(-(-int(n) // CHUNK) for n in counts[:position]) * CHUNK
        count = int(counts[position])
        t = file["events/t"][begin : begin + count].astype(np.int64)
        first_gap = int(gap_counts[:position].sum())
        t[t == 255] = file["events/gaps"][first_gap : first_gap + int(gap_counts[position])]
        bits = np.unpackbits(file["events/p"][begin // 8 : begin // 8 + -(-count // 8)], bitorder="little")
        x, y = (file[f"events/{name}"][begin : begin + count] for name in "xy")
        events = np.zeros(count, EVENT_DTYPE)
        events["t"], events["x"], events["y"], events["p"] = np.cumsum(t), x, y, bits[:count]
        return events


@pytest.mark.parametrize(("height", "width"), [(34, 34), (128, 256), (720, 1280)])
def test_what_is_written_is_read(tmp_path, height, width):
    counts = [0, 1, 7, CHUNK - 1, CHUNK, 2 * CHUNK + 5, 0]
    gaps = [20, 20, 3_000, 200, 5, 260, 20]
    made = [some_events(n, height, width, k, g) for k, (n, g) in enumerate(zip(counts, gaps, strict=True))]
    made[1]["t"] = MAX_TIME_US - 1
    made[4]["t"] += 255  # the first event comes after just a long gap
    found = write(tmp_path / "a.h5", made, height, width)
    assert len(found) == len(made)
    assert found.recordings["gaps"][5] > 4096
    for position, events in enumerate(made):
        assert np.array_equal(found.read(position), events)
        chunks = list(found.chunks(position))
        assert all(len(chunk) <= CHUNK for chunk in chunks)
        assert np.array_equal(np.concatenate([events[:0], *chunks]), events)
        assert np.array_equal(plain_events(tmp_path / "a.h5", position), events)
    assert not parts_folder(tmp_path / "a.h5").exists()


def test_a_recording_may_come_in_pieces(tmp_path):
    whole = some_events(3 * CHUNK, 34, 34)
    cuts = [0, 5, 5, CHUNK + 1, 3 * CHUNK - 2, 3 * CHUNK]
    pieces = (whole[a:b] for a, b in pairwise(cuts))
    assert np.array_equal(write(tmp_path / "a.h5", [pieces]).read(0), whole)


def test_a_long_recording_is_written_and_read_in_bounded_memory(tmp_path):
    part = some_events(CHUNK, 34, 34)
    length = int(part["t"][-1]) + 1

    def pieces(count):
        for k in range(count):
            piece = part.copy()
            piece["t"] += k * length
            yield piece

    def peak(job):
        tracemalloc.start()
        try:
            job()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peaks = []
    for count in (4, 40):
        path = tmp_path / f"{count}.h5"
        writing = peak(lambda path=path, count=count: write(path, [pieces(count)]))
        found = open_event_file(path)
        reading = peak(lambda found=found: [None for _ in found.chunks(0)])
        peaks.append((writing, reading))
        assert sum(map(len, found.chunks(0))) == count * CHUNK
    assert peaks[1][1] < 1.2 * peaks[0][1] < 5e6
    assert peaks[1][0] < 1.2 * peaks[0][0] < 2e7


@pytest.mark.parametrize(
    ("pieces", "match"),
    [
        ([some_events(9, 34, 40)[::-1].copy()], "time goes back"),
        ([some_events(9, 34, 400)], "outside the sensor"),
        ([some_events(CHUNK, 34, 34), some_events(9, 34, 34)], "time goes back between two pieces"),
    ],
)
def test_what_no_stream_is_is_not_written(tmp_path, pieces, match):
    with pytest.raises((InvalidEvents, InvalidRequest), match=match):
        write(tmp_path / "a.h5", [pieces])
    assert not (tmp_path / "a.h5").exists()


def test_a_file_is_a_set_with_splits(tmp_path):
    rows = [
        Row(f"{split}/{k}", None if k == 2 else k % 2, split, k, 100 + k, "00ff")
        for k, split in enumerate(["train", "train", "test", "train"])
    ]
    made = [some_events(10 + k, 34, 34, k) for k in range(4)]
    found = write(tmp_path / "a.h5", made, rows=rows)
    assert found.recordings["sample"].tolist() == [100, 101, 102, 103]
    assert found.texts("source_sha256") == ["00ff"] * 4
    whole = open_dataset(f"events:{tmp_path / 'a.h5'}")
    assert (len(whole), whole.height, whole.width, whole.class_names) == (4, 34, 34, ("even", "odd"))
    assert whole.labels.tolist() == [0, 1, -1, 1]
    test = pickle.loads(pickle.dumps(open_dataset(f"events:{tmp_path / 'a.h5'}", "test").downsampled(2)))
    assert [(r.index, r.name, r.label, r.origin) for r in test] == [(2, "test/2", None, "file")]
    assert np.array_equal(test[0].events["x"], made[2]["x"] // 2)
    assert record_counts(whole, 3)[1] == {"records": 13}
    with pytest.raises(InvalidRequest, match="orientation"):
        open_dataset(f"events:{tmp_path / 'a.h5'}", orientation="raw")
    write(tmp_path / "b.h5", made[:1])
    with pytest.raises(InvalidRequest, match="no split 'test'; it has all"):
        open_dataset(f"events:{tmp_path / 'b.h5'}", "test")


def test_dvs_data_take_a_fifth_of_the_structured_array(tmp_path):
    from eventsnn.events import emulate_smooth_movement

    y, x = np.mgrid[:32, :32]
    picture = ((np.sin(x / 3) + np.cos(y / 4)) * 60 + 128).astype(np.uint8)
    events = emulate_smooth_movement(picture, 0, 0)
    write(tmp_path / "a.h5", [events] * 3, 128, 128)
    assert 3 * events.nbytes / (tmp_path / "a.h5").stat().st_size > 4.5  # small: with the file's own bytes


def test_damage_is_named_or_does_no_harm(tmp_path):
    made = [some_events(n, 34, 34, n, 100) for n in (3_000, 0, 2_000)]
    path = tmp_path / "a.h5"
    write(path, made)
    good = path.read_bytes()
    draw = random.Random(1)
    places = [0, 4, 9, len(good) - 1, len(good) - 40, *(draw.randrange(len(good)) for _ in range(250))]
    damaged = [good[:p] + bytes([good[p] ^ 1 << draw.randrange(8)]) + good[p + 1 :] for p in places]
    damaged += [good[: draw.randrange(len(good))] for _ in range(40)]
    damaged += [
        b"",
        good[:100],
        good + b"x",
        good[:-32],
        good.replace(b"eventsnn-events", b"eventsnn-rubbish"),
    ]
    named = 0
    for number, content in enumerate(damaged):
        bad = tmp_path / f"bad{number}.h5"
        bad.write_bytes(content)
        try:
            found = open_event_file(bad)
            read = [found.read(position) for position in range(len(found))]
        except InvalidFile as error:
            said = str(error)
            named += str(bad) in said
        else:
            assert len(read) == len(made)
            assert all(np.array_equal(a, b) for a, b in zip(read, made, strict=True))
        bad.unlink()
    assert named > 0.9 * len(damaged)  # the rest is behind a recording's end in its last chunk
    with pytest.raises(MissingFile, match="there is no file"):
        open_event_file(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InvalidFile, match="no HDF5 file"):
        open_event_file(tmp_path / "text.h5")


def test_a_file_that_says_what_cannot_be_is_refused(tmp_path):
    """Its hash is right, what it says is not: as if made by another program."""
    events = some_events(50, 34, 34)

    def made(name, change):
        path = tmp_path / name
        with parts_of(path, {"a": 1}) as folder:
            write_part(folder, 0, Row("r", 0), [events], 34, 34)
            part = part_says(part_path(folder, 0))
            attributes = ATTRIBUTES | {"height": 34, "width": 34}
            change(part, attributes)
            patched = pytest.MonkeyPatch()
            patched.setattr(event_writing, "part_says", lambda _: part)
            put_together(path, folder, 1, attributes, ("even",))
            patched.undo()
        return open_event_file(path).read(0)

    assert np.array_equal(made("a.h5", lambda part, attributes: None), events)
    for number, (change, match) in enumerate(
        [
            (lambda part, _: part["row"].update(label=3), "a label is 3 of 1 classes"),
            (lambda part, _: part.update(events=-1), "recordings/events is -1"),
            (lambda part, _: part.update(events=CHUNK + 1), "has not the chunks"),
            (lambda part, _: part.update(events=49), "checksum does not fit"),
            (lambda part, _: part.update(checksum=7), "checksum does not fit"),
            (lambda _, attributes: attributes.update(width=20), "outside the sensor"),
        ]
    ):
        with pytest.raises(InvalidFile, match=match):
            made(f"b{number}.h5", change)


def test_parts_are_of_one_job_and_one_process(tmp_path):
    path = tmp_path / "a.h5"
    with parts_of(path, {"a": 1}) as folder:
        write_part(folder, 0, Row("r"), [some_events(9, 34, 34)], 34, 34)
        with pytest.raises(InvalidRequest, match="written by another process"), parts_of(path, {"a": 1}):
            pass
    (folder / "0000001.part.77.writing").write_bytes(b"left by a kill")
    with parts_of(path, {"a": 1}) as folder:
        assert part_says(part_path(folder, 0))["events"] == 9
        assert not list(folder.glob("*.writing"))
    with pytest.raises(InvalidRequest, match=r"another way \(a: 1 there, 2 now\)"), parts_of(path, {"a": 2}):
        pass


def test_a_damaged_part_is_made_again(tmp_path):
    path = tmp_path / "a.h5"
    with parts_of(path, {}) as folder:
        write_part(folder, 0, Row("r"), [some_events(99, 34, 34)], 34, 34)
    good = part_path(folder, 0).read_bytes()
    for content in (good[:-1], good[:50], good[:100] + good[101:], b""):
        part_path(folder, 0).write_bytes(content)
        assert part_says(part_path(folder, 0)) is None
    part_path(folder, 0).write_bytes(b"?" + good[1:])  # only its checksum can tell
    with pytest.raises(InvalidFile, match="is damaged; remove it"):
        put_together(path, folder, 1, ATTRIBUTES | {"height": 34, "width": 34}, ())
    assert not path.exists()


def test_a_full_disk_is_named_before_hdf5_meets_it(tmp_path, monkeypatch):
    usage = dataclasses.make_dataclass("Usage", ["free"])
    monkeypatch.setattr(event_writing.shutil, "disk_usage", lambda _: usage(1000))
    with pytest.raises(CannotWrite, match="Make room there"):
        write(tmp_path / "a.h5", [some_events(9, 34, 34)])
