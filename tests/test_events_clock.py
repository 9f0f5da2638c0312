"""What a step back in time means: wraps, resets, strays; on both file formats that have a clock."""

import struct
import warnings

import numpy as np
import pytest

from eventsnn.errors import InvalidEvents, RecordingWarning
from eventsnn.events import read_aedat, read_aedat_with_counts, read_nmnist, read_nmnist_with_counts


def write_aedat_times(folder, times):
    """Event i has raw x = i % 128, so that what is kept can be told."""
    body = b"".join(struct.pack(">Ii", (i % 128) << 1, int(t)) for i, t in enumerate(times))
    file = folder / "a.aedat"
    file.write_bytes(b"#!AER-DAT2.0\r\n" + body)
    return file


def write_five_bytes(folder, times):
    rows = [bytes([i % 34, 0, int(t) >> 16, int(t) >> 8 & 255, int(t) & 255]) for i, t in enumerate(times)]
    file = folder / "a.bin"
    file.write_bytes(b"".join(rows))
    return file


READERS = {
    "aedat": (write_aedat_times, read_aedat_with_counts, 2**31 - 1),
    "five-byte": (write_five_bytes, read_nmnist_with_counts, 2**23 - 1),
}
SECOND = (np.arange(1000) * 1000).tolist()
BASE = (np.arange(1000) * 1000 + 3_000_000).tolist()


def with_stray(times, *strays):
    """Times with one event more at each (place, time)."""
    times = list(times)
    for place, time in sorted(strays, reverse=True):
        times.insert(place if place >= 0 else len(times) + 1 + place, time)
    return times


def read(kind, folder, times, clock="last-reset"):
    write, reader, _ = READERS[kind]
    events, counts = reader(write(folder, times), clock=clock)
    return (events["t"] - events["t"][0]).tolist(), counts


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("times", "strays"),
    [
        (SECOND, [(900, 5)]),
        (SECOND, [(500, 5)]),
        (SECOND, [(-1, 5)]),
        (SECOND, [(0, 900_000)]),
        (SECOND, [(1, 900_000)]),
        (SECOND, [(300, 2_000_000)]),
        (SECOND, [(998, 2_000_000)]),
        (SECOND, [(200, 5), (700, 5)]),
        (SECOND, [(200, 5), (200, 6), (200, 7)]),
        (SECOND, [(200, 150_000), (200, 5), (200, 60_000)]),
        (SECOND, [(200, 5), (201, 9)]),
        (SECOND, [(200, 7_000_000), (600, 9)]),
        (BASE, [(0, 4_500_000)]),
        (BASE, [(1, 1_000)]),
        (BASE, [(400, 2_000_000)]),
        (BASE, [(400, 6_000_000)]),
        (BASE, [(-1, 2_000_000)]),
        (SECOND, [(500, "largest")]),
        (SECOND, [(0, "largest")]),
    ],
)
def test_a_stray_is_left_out_counted_and_said(kind, tmp_path, times, strays):
    strays = [(place, READERS[kind][2] if time == "largest" else time) for place, time in strays]
    with_strays = with_stray(times, *strays)
    if kind == "five-byte" and strays == [(0, 2**23 - 1)]:
        pytest.skip("a counter that starts at its last value wraps")
    with pytest.warns(RecordingWarning, match="out of line") as said:
        found, counts = read(kind, tmp_path, with_strays)
    assert len(said) == 1
    assert found == [t - times[0] for t in times]
    assert (counts.stray_events, counts.events_before_reset) == (len(strays), 0)
    with pytest.warns(RecordingWarning):
        assert read(kind, tmp_path, with_strays, "sort")[0] == found
    with pytest.raises(InvalidEvents, match=r"event \d+ at \d+ us is out of line.*--clock last-reset"):
        read(kind, tmp_path, with_strays, "strict")


@pytest.mark.parametrize("time", [-5, -1, -(2**31), -(2**31) + 7, -1_000_000_000])
def test_a_stray_of_a_damaged_sign(tmp_path, time):
    with pytest.warns(
        RecordingWarning, match=f"1 event is out of line .* of 1001, first event 400 at {time} us"
    ):
        found, counts = read("aedat", tmp_path, with_stray(BASE, (400, time)))
    assert found == SECOND
    assert counts.stray_events == 1


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("at", [2_000, 5_000, 9_000, 10_001, 50_000, 1_000_000, 6_000_000])
@pytest.mark.parametrize("first", [0, 3, 900])
def test_a_reset_at_any_time(kind, tmp_path, at, first):
    before = np.linspace(at / 2, at, 40).astype(int)
    after = first + np.arange(300) * 700
    times = [*before, *after]
    found, counts = read(kind, tmp_path, times)
    assert found == (after - first).tolist()
    assert (counts.events_before_reset, counts.stray_events) == (40, 0)
    assert read(kind, tmp_path, times, "sort")[0] == found
    with pytest.raises(InvalidEvents, match=rf"reset at event 40, from {at} us to {first} us"):
        read(kind, tmp_path, times, "strict")


@pytest.mark.parametrize("kind", READERS)
def test_of_several_resets_the_last_counts(kind, tmp_path):
    one, two, three = np.arange(200) * 5000, np.arange(50) * 300, np.arange(400) * 4000 + 2
    found, counts = read(kind, tmp_path, [*one, *two, *three])
    assert found == (three - 2).tolist()
    assert counts.events_before_reset == 250


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("place", [2, 5, 100, 299])
@pytest.mark.parametrize("stray", [1, 2_500_000, 4_000_000])
def test_a_stray_after_a_reset(kind, tmp_path, place, stray):
    before, after = np.arange(100) * 10_000 + 2_000_000, np.arange(300) * 1000
    if stray == 1:
        after = after + 20_000  # so that 1 us is out of line from the first event on
        after[0] = 0
    with pytest.warns(RecordingWarning):
        found, counts = read(kind, tmp_path, [*before, *with_stray(after, (place, stray))])
    assert found == after.tolist()
    assert (counts.events_before_reset, counts.stray_events) == (100, 1)


def test_a_reset_of_a_clock_that_had_wrapped(tmp_path):
    before = np.arange(50) * 1000 - 2_000_000_000
    after = np.arange(60) * 1000
    found, counts = read("aedat", tmp_path, [*before, *after])
    assert found == after.tolist()
    assert counts.events_before_reset == 50


@pytest.mark.parametrize(("gap", "count"), [(1, 40), (9_000, 2000), (100_000, 300), (1_000_000, 30)])
def test_five_bytes_wrap_at_23_bits(tmp_path, gap, count):
    true = 2**23 - 20 * gap % 2**23 + np.arange(count) * gap
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        events = read_nmnist(write_five_bytes(tmp_path, true % 2**23), clock="strict")
    assert (events["t"] - events["t"][0]).tolist() == (true - true[0]).tolist()
    assert events["t"][0] == true[0] % 2**23


@pytest.mark.parametrize(("gap", "count"), [(1, 40), (9_000, 2000), (1_000_000, 5000)])
def test_aedat_wraps_at_32_bits_only(tmp_path, gap, count):
    true = 2**31 - 20 * gap + np.arange(count) * gap
    stored = (true + 2**31) % 2**32 - 2**31
    assert read("aedat", tmp_path, stored, "strict")[0] == (true - true[0]).tolist()
    # A fall of 2^23 is none of its wraps.
    low = np.arange(40) + 2**23 - 20
    with pytest.raises(InvalidEvents):
        read("aedat", tmp_path, low % 2**23 + 20_000, "last-reset")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("place", [3, 20, 37])
def test_a_stray_beside_a_wrap(kind, tmp_path, place):
    span, lowest = (2**32, -(2**31)) if kind == "aedat" else (2**23, 0)
    true = lowest + span - 20_000 + np.arange(40) * 1000
    stored = (true - lowest) % span + lowest
    with pytest.warns(RecordingWarning):
        found, counts = read(kind, tmp_path, with_stray(stored, (place, lowest + span // 2 + 7)))
    assert found == (true - true[0]).tolist()
    assert counts.stray_events == 1


def test_a_stray_at_zero_late_in_five_bytes_is_no_wrap(tmp_path):
    times = np.arange(100) * 1000 + 8_000_000
    with pytest.warns(RecordingWarning):
        found, _ = read("five-byte", tmp_path, with_stray(times, (50, 5)))
    assert found == (times - times[0]).tolist()


@pytest.mark.parametrize("kind", READERS)
def test_small_steps_back(kind, tmp_path):
    times = [50_000, 50_010, 50_004, 50_010, 60_000, 59_000, 61_000]
    for clock in ("last-reset", "strict"):
        with pytest.raises(
            InvalidEvents, match=r"goes back at event 2, from 50010 us to 50004 us.*--clock sort"
        ):
            read(kind, tmp_path, times, clock)
    found, counts = read(kind, tmp_path, times, "sort")
    assert found == [t - 50_000 for t in sorted(times)]
    assert (counts.stray_events, counts.events_before_reset) == (0, 0)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("clock", ["last-reset", "sort"])
def test_a_file_without_any_order_is_refused(kind, tmp_path, clock):
    times = np.random.default_rng(4).integers(0, 2**23, 3000)
    with pytest.raises(InvalidEvents, match=r"goes back at more than \d+ of 3000"):
        read(kind, tmp_path, times, clock)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("clock", ["last-reset", "strict", "sort"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_stretch_after_which_the_old_time_goes_on_is_no_reset(kind, tmp_path, clock, shuffled):
    stretch = np.arange(60) * 100
    if shuffled:
        stretch = np.random.default_rng(0).permutation(stretch)
    with pytest.raises(InvalidEvents, match=r"at event 500 and is back at 500000 us at event 560"):
        read(kind, tmp_path, [*SECOND[:500], *stretch, *SECOND[500:]], clock)


@pytest.mark.parametrize("kind", READERS)
def test_strays_and_resets_among_random_times(kind, tmp_path):
    """Random gaps, 2 % of strays at random times, a reset in half of the recordings."""
    rng = np.random.default_rng(8)
    largest = READERS[kind][2]
    for number in range(60):
        gap = int(rng.choice([20, 300, 2000]))
        before = np.cumsum(rng.exponential(gap, 150 if number % 2 else 0)).astype(int) + 900_000
        true = np.cumsum(rng.exponential(gap, 400)).astype(int)
        if number % 2:
            true -= true[0]
        wrong = rng.choice(np.arange(20, 380), 8, replace=False)
        stored = true.copy()
        stored[wrong] = true[wrong] + 100_000 + rng.integers(0, largest // 2, 8)
        with pytest.warns(RecordingWarning):
            found, counts = read(kind, tmp_path, [*before, *stored])
        assert found == (np.delete(true, wrong) - true[0]).tolist()
        assert (counts.events_before_reset, counts.stray_events) == (len(before), 8)


def test_strays_in_a_long_recording(tmp_path):
    rng = np.random.default_rng(0)
    true = np.arange(200_000) * 7
    stored = true.copy()
    wrong = np.unique(rng.integers(10, 199_990, 2000))
    stored[wrong] = rng.integers(2_000_000, 2**31 - 1, len(wrong))
    records = np.zeros(len(stored), [("address", ">u4"), ("time", ">i4")])
    records["time"] = stored
    file = tmp_path / "a.aedat"
    file.write_bytes(b"#!AER-DAT2.0\r\n" + records.tobytes())
    with pytest.warns(RecordingWarning, match=f"{len(wrong)} events are out of line"):
        assert np.array_equal(read_aedat(file)["t"], np.delete(true, wrong))


def test_overflow_records_and_wraps_add_up(tmp_path):
    """240 in the row: 2^13 us more from there on; the 23 bits wrap on their own."""
    rows = [(1, 8_388_000), ("overflow", 0), (2, 8_388_600), (3, 500), ("overflow", 0), (4, 600)]
    data = b"".join(
        bytes([0 if x == "overflow" else x, 240 if x == "overflow" else 0, *t.to_bytes(3, "big")])
        for x, t in rows
    )
    (tmp_path / "a.bin").write_bytes(data)
    events, counts = read_nmnist_with_counts(tmp_path / "a.bin")
    assert events["t"].tolist() == [8_388_000, 8_396_792, 2**23 + 500 + 8192, 2**23 + 600 + 2 * 8192]
    assert counts.overflow_records == 2


def test_special_events_say_nothing_about_the_clock(tmp_path):
    records = [(0x8000, 5), (0, 400_000), (0x8000, 3), (0, 500_000), (0x8000, 9_000_000), (0, 600_000)]
    file = tmp_path / "a.aedat"
    file.write_bytes(b"#!AER-DAT2.0\r\n" + b"".join(struct.pack(">Ii", *r) for r in records))
    assert read_aedat(file, clock="strict")["t"].tolist() == [0, 100_000, 200_000]
