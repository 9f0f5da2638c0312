"""Recordings in parts: the events, decisions and digest of the whole, in memory that does not grow."""

import pickle
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
from builders.floors import asserting, asserts_at_least
from builders.recordings import random_events, small_network
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsnn
from eventsnn.errors import EventsnnError, InvalidEvents, InvalidFile, RecordingWarning
from eventsnn.events import FORMATS, open_recordings, write_events
from eventsnn.events import long_recordings as module
from eventsnn.events.long_recordings import parts_of
from eventsnn.run.prepare import prepare_recordings

IN_PARTS = [name for name, known in FORMATS.items() if known.chunks and known.write]
NAMELESS = ("five-byte", "npy", "npz", "csv", "parquet")
TRANSFORMS = (
    "downsample:factor=2",
    "crop:width=20,height=18,x=3,y=4",
    "polarity:to=on",
    "polarity:to=split",
    "refractory:period_us=300",
    "background-activity:window_us=90",
    "drop:share=0.3,seed=4",
    "time-scale:factor=0.7",
    "window:duration_us=1500,start_us=400",
)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "LARGE_BYTES", 0)
    monkeypatch.setattr(module, "PART_EVENTS", 50)


def need(name):
    if name == "aedat4":
        pytest.importorskip("faery", reason="AEDAT 4 needs the extra formats")
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs the extra tables")


def written(folder, name, events, sensor=(34, 34)):
    file = folder / f"a{FORMATS[name].suffixes[0]}"
    write_events(file, events, sensor=sensor, format=name)
    return open_recordings(f"events:{file}", sensor=sensor if name in NAMELESS else None)


def same(recordings):
    """The parts of the first recording, put together; more than one."""
    parts = list(parts_of(recordings, 0))
    whole = recordings[0].events
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.concatenate(parts).dtype == whole.dtype
    assert all(0 < len(part) <= 50 for part in parts)
    assert len(parts) > 1
    return parts


@pytest.mark.parametrize("name", [name for name in IN_PARTS if name != "aedat3"])
def test_parts_are_the_whole(tmp_path, small_parts, name):
    need(name)
    events = random_events(np.random.default_rng(3), 700)
    made = written(tmp_path, name, events, (128, 128))
    assert len(same(made)) == len(same(pickle.loads(pickle.dumps(made)))) >= 14
    assert 7 <= len(same(made.fraction(0.5).fraction(0.9))) < len(same(made))
    for transform in TRANSFORMS:
        same(made.transformed(transform))
    same(made.fraction(0.77).transformed(*TRANSFORMS[1::2]))


def test_other_sets_are_read_in_parts_too(tmp_path, small_parts):
    events = random_events(np.random.default_rng(4), 300)
    for folder, name, spec in (("1", "five-byte", "nmnist"), ("cat", "aedat2", "cifar10-dvs")):
        (tmp_path / spec / folder).mkdir(parents=True)
        layout = {} if name == "five-byte" else {"layout": "dvs128", "orientation": "cifar10-dvs"}
        sensor = (34, 34) if name == "five-byte" else (128, 128)
        file = tmp_path / spec / folder / f"cifar10_cat_0{FORMATS[name].suffixes[0]}"
        write_events(file, events, sensor=sensor, format=name, **layout)
        same(open_recordings(f"{spec}:{tmp_path / spec}"))
    prepare_recordings(f"nmnist:{tmp_path}/nmnist", tmp_path / "own.h5")
    own = open_recordings(f"events:{tmp_path}/own.h5")
    assert np.array_equal(own[0].events, events)
    same(own.transformed("refractory:period_us=300").fraction(0.4))


@asserts_at_least(10)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=12), st.integers(4, 9), st.data())
def test_clocks_of_any_kind(tmp_path_factory, starts, size, data):
    """Resets, strays, wraps, steps back: what the whole gives, or its error; it may be refused later."""
    file = tmp_path_factory.getbasetemp() / "clock.aedat"
    times = []
    for start in starts:
        times += [start + 7 * k for k in range(data.draw(st.integers(1, 30)))]
    stored = [(time + 2**31) % 2**32 - 2**31 for time in times]
    file.write_bytes(b"#!AER-DAT2.0\r\n" + b"".join(struct.pack(">Ii", 0, time) for time in stored))
    made = open_recordings(f"events:{file}")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        patch.setattr(module, "LARGE_BYTES", 0)
        patch.setattr(module, "PART_EVENTS", 4 * size)
        found = []
        for read in (lambda: made[0].events, lambda: np.concatenate(list(parts_of(made, 0)))):
            try:
                found.append(read())
            except EventsnnError as error:
                found.append(str(error))
    if isinstance(found[0], str):
        assert found[0] == found[1]
    elif isinstance(found[1], str):
        assert "undoes wraps of the clock only" in found[1]
    else:
        asserting()
        assert np.array_equal(*found)


def test_streams_of_parts_decide_as_of_the_whole(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    for number in range(2):
        events = random_events(rng, 900)
        events["t"] //= 3  # several at one time, cut apart
        write_events(tmp_path / f"{number}.bin", events, sensor=(34, 34), format="five-byte")
    data = open_recordings(f"events:{tmp_path}", sensor=(34, 34))
    options = {"decide_every_us": 70, "window_us": 400, "gap_us": 55}
    for origin in (None, "first-event"):
        whole = eventsnn.stream(small_network(), data, origin=origin, **options)
        with monkeypatch.context() as patch:
            patch.setattr(module, "LARGE_BYTES", 0)
            patch.setattr(module, "PART_EVENTS", 64)
            parts = eventsnn.stream(small_network(), data, origin=origin, **options)
        assert parts.digest == whole.digest
        for name, values in whole.decisions.items():
            if name != "host_ns":
                np.testing.assert_array_equal(parts.decisions[name], values, name)


def test_nothing_left_is_an_error_as_of_the_whole(tmp_path, small_parts):
    data = written(tmp_path, "five-byte", random_events(np.random.default_rng(6), 200))
    with pytest.raises(InvalidEvents, match="there are no events"):
        eventsnn.stream(
            small_network(), data.transformed("window:duration_us=5,start_us=90000"), decide_every_us=50
        )
    file = tmp_path / "a.bin"
    file.write_bytes(file.read_bytes()[:-3])
    for read in (lambda: data[0], lambda: list(parts_of(data, 0))):
        with pytest.raises(InvalidFile, match="the file is truncated"):
            read()


def test_memory_of_a_stream_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART_EVENTS", 4096)
    peaks = []
    for count in (40_000, 400_000):
        data = written(tmp_path, "dat", _steady(count))
        monkeypatch.setattr(module, "LARGE_BYTES", 0)
        tracemalloc.start()
        found = eventsnn.stream(
            small_network(), data, decide_every_us=10_000, window_us=20_000, max_events=10**7
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.decisions["input_events"].sum() == count
    assert peaks[1] < 1.5 * peaks[0] + 200_000, peaks


def _steady(count):
    rng = np.random.default_rng(7)
    t, (x, y) = np.arange(count) * 10, rng.integers(0, 34, (2, count))
    return eventsnn.make_events(t, x, y, rng.integers(0, 2, count))
