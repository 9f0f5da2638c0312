"""Formats of recordings: golden bytes, other programs' bytes, round trips whole and in parts, refusals."""

import itertools
import struct
import tracemalloc
from pathlib import Path

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from eventsnn.errors import EventsnnError, InvalidEvents, InvalidFile, InvalidRequest, MissingExtra
from eventsnn.events import (
    DAVIS240,
    FORMATS,
    RAW,
    make_events,
    read_aedat_with_counts,
    read_chunks,
    read_events,
    read_five_byte,
    write_aedat,
    write_events,
    write_five_byte,
)

HERE = Path(__file__).parent
WRITTEN = [name for name, known in FORMATS.items() if known.write]
NAMELESS = ("five-byte", "npy", "npz", "csv", "parquet")
FROM_FIRST = ("aedat2", "aedat3", "aedat4")


SMALL_DAT = b"% Data file containing CD events\n% Version 2\n% Width 9\n% Height 9\n\x0c\x08"


def need(name):
    if name == "aedat4":
        pytest.importorskip("faery", reason="AEDAT 4 needs the extra formats")
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs the extra parquet")


def said(name, size=(128, 128)):
    return {"sensor": size} if name in NAMELESS else {}


def events_of(seed, n=300, size=(128, 128), last=8_000_000):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, last, n))
    return make_events(t, rng.integers(0, size[0], n), rng.integers(0, size[1], n), rng.integers(0, 2, n))


def raw(path, version, words, header=b"", size="40x30"):
    kind = {"2.0": "<u4", "3.0": "<u2"}[version]
    head = f"% evt {version}\n% geometry {size}\n% end\n".encode()
    path.write_bytes(head + header + np.array(words, kind).tobytes())
    return path


# --- golden bytes


def test_dat_golden_bytes(tmp_path):
    header = b"% Data file containing CD events\n% Version 2\n% Width 640\n% Height 480\n"
    # t = 5 us; x = 3, y = 2, p = 1: 3 | 2 << 14 | 1 << 28.
    data = struct.pack("<IIII", 5, 3 | 2 << 14 | 1 << 28, 2**32 - 1, 639 | 479 << 14)
    (tmp_path / "a.dat").write_bytes(header + bytes([0x0C, 8]) + data)
    found = read_events(tmp_path / "a.dat")
    assert found.events.tolist() == [(5, 3, 2, True), (2**32 - 1, 639, 479, False)]
    assert (found.width, found.height, found.counts["records"]) == (640, 480, 2)
    write_events(tmp_path / "b.dat", found.events, sensor=(640, 480))
    assert (tmp_path / "b.dat").read_bytes() == (tmp_path / "a.dat").read_bytes()
    # The clock wraps after 2^32 us.
    data = b"".join(struct.pack("<II", t % 2**32, 1) for t in range(2**32 - 50, 2**32 + 50))
    (tmp_path / "a.dat").write_bytes(header + bytes([0x00, 8]) + data)
    assert read_events(tmp_path / "a.dat").events["t"][-1] == 2**32 + 49


def test_evt2_golden_words(tmp_path):
    high, event = 8 << 28, lambda p, t, x, y: p << 28 | t << 22 | x << 11 | y
    words = [event(1, 1, 1, 1), high | 2, event(1, 5, 39, 29), 10 << 28]
    words += [event(0, 63, 0, 1), high | 3, event(0, 0, 7, 8)]
    found = read_events(raw(tmp_path / "a.raw", "2.0", words))
    # The first event comes before any time; 2 x 64 + 5, 2 x 64 + 63, 3 x 64.
    assert found.events.tolist() == [(133, 39, 29, True), (191, 0, 1, False), (192, 7, 8, False)]
    assert found.counts == {
        "records": 7,
        "events_before_time": 1,
        "triggers": 1,
        "other_words": 0,
        "events_before_reset": 0,
        "stray_events": 0,
    }


def test_evt3_golden_words(tmp_path):
    words = [
        *(0x8001, 0x6002, 0x0005, 0x2800 | 7),  # time 1 x 4096 + 2, row 5, ON event in column 7
        *(0x3000 | 10, 0x4000 | 0b100000000001, 0x5000 | 0b10),  # OFF from column 10: 10, 21; then 12 on: 23
        *(0x8001, 0x2003),  # the same upper bits: the lower ones stay
        *(0x8002, 0x2004),  # others: they start at 0
        0xA000,
    ]
    found = read_events(raw(tmp_path / "a.raw", "3.0", words))
    t = 4096 + 2
    assert found.events.tolist() == [
        *[(t, 7, 5, True), (t, 10, 5, False), (t, 21, 5, False), (t, 23, 5, False)],
        *[(t, 3, 5, False), (8192, 4, 5, False)],
    ]
    assert (found.counts["triggers"], found.counts["events_before_time"]) == (1, 0)


def test_aedat3_golden_bytes(tmp_path):
    header = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    packet = struct.pack("<hhiiiiii", 1, 1, 8, 4, 1, 4, 3, 2)
    packet += struct.pack("<IIIIII", 127 << 17 | 3 << 2 | 3, 9, 5 << 17 | 4 << 2, 9, 1 << 17 | 1, 11)
    special = struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8)
    (tmp_path / "a.aedat").write_bytes(header + special + packet)
    found = read_events(tmp_path / "a.aedat")
    assert found.events.tolist() == [(0, 127, 3, True), (2, 1, 0, False)]
    assert [found.counts[name] for name in ("invalid_events", "special_events", "records")] == [1, 1, 4]
    flipped = read_events(tmp_path / "a.aedat", orientation="lower-left")
    assert flipped.events["y"].tolist() == [124, 127]


def test_aedat3_times_beyond_31_bits(tmp_path):
    header = b"#!AER-DAT3.1\r\n#Source 0: DVS128\r\n#!END-HEADER\r\n"
    packets = b"".join(
        struct.pack("<hhiiiiii", 1, 0, 8, 4, overflow, 1, 1, 1) + struct.pack("<II", 3, time)
        for overflow, time in ((0, 2**31 - 3), (1, 2), (3, 0))
    )
    (tmp_path / "a.aedat").write_bytes(header + packets)
    times = [0, 5, 2**32 + 3]
    assert read_events(tmp_path / "a.aedat").events["t"].tolist() == times
    events = make_events(np.array(times) + 7, [1, 2, 3], [4, 5, 6], [1, 0, 1])
    write_events(tmp_path / "b.aedat", events, sensor=(128, 128), format="aedat3")
    assert read_events(tmp_path / "b.aedat").events["t"].tolist() == times


def test_davis_addresses_and_what_is_no_event(tmp_path):
    # Bit 31 marks samples, with bits 10 and 11 of the inertial sensor; bit 10 alone an external event.
    pixel = 179 << 22 | 239 << 12 | 1 << 11
    records = [(pixel, 5), (1 << 31 | pixel, 6), (0x80000C00, 7), (1 << 10, 8)]
    records.append((3 << 22 | 2 << 12 | 0x3FF, 9))
    data = b"".join(struct.pack(">Ii", *record) for record in records)
    file = tmp_path / "a.aedat"
    file.write_bytes(b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n" + data)
    found = read_events(file)
    assert found.events.tolist() == [(0, 239, 179, True), (4, 2, 3, False)]
    names = ("records", "special_events", "frame_samples", "motion_samples")
    assert [found.counts[name] for name in names] == [5, 1, 1, 1]
    assert (found.width, found.height) == (240, 180)
    assert read_events(file, orientation="lower-left").events["y"].tolist() == [0, 176]
    events, counts = read_aedat_with_counts(file, layout=DAVIS240, orientation=RAW)
    assert (len(events), counts.frame_samples) == (2, 1)
    with pytest.raises(InvalidRequest, match="say what the axes and the polarity of this DAVIS240 mean"):
        read_aedat_with_counts(file)
    with pytest.raises(InvalidFile, match="the layout DAVIS346 was asked for; leave it out or say davis240"):
        read_events(file, layout="davis346")
    file.write_bytes(b"#!AER-DAT2.0\r\n# AEChip: some.Chip9\r\n" + data)
    with pytest.raises(InvalidFile, match=r"'some\.Chip9', whose addresses are not known.*--layout"):
        read_events(file)
    assert len(read_events(file, layout="davis240").events) == 2


def test_five_bytes_of_a_larger_sensor(tmp_path):
    events = make_events([1, 2, 5], [255, 0, 30], [239, 0, 9], [1, 0, 1])
    write_five_byte(tmp_path / "a.bs2", events, sensor="256x240")
    assert np.array_equal(read_five_byte(tmp_path / "a.bs2", sensor=(256, 240)), events)
    assert (tmp_path / "a.bs2").read_bytes()[:5] == bytes([255, 239, 0x80, 0, 1])
    with pytest.raises(InvalidEvents, match="x = 255, y = 239, outside the sensor of 240 columns"):
        read_five_byte(tmp_path / "a.bs2", sensor=(240, 180))
    with pytest.raises(InvalidRequest, match="hold 256 columns and 240 rows at most"):
        read_five_byte(tmp_path / "a.bs2", sensor=(304, 240))


def test_overflow_records_go_on_from_part_to_part(tmp_path):
    overflow = bytes([0, 240, 0, 0, 0])
    (tmp_path / "a.bin").write_bytes((overflow + bytes([1, 2, 0, 0, 3])) * 5)
    whole = read_five_byte(tmp_path / "a.bin", sensor=(34, 34))
    assert whole["t"].tolist() == [8192 * k + 3 for k in range(1, 6)]
    for size in (1, 2, 3):
        parts = list(read_chunks(tmp_path / "a.bin", sensor=(34, 34), chunk_events=size))
        assert np.array_equal(np.concatenate(parts), whole)


# --- other programs' bytes


def test_aedat4_of_dv_processing(tmp_path):
    """Written by dv-processing 2.0.4 from these numbers."""
    need("aedat4")
    rng = np.random.default_rng(13)
    t = np.sort(rng.integers(0, 50_000, 200))
    x, y, p = rng.integers(0, 34, 200), rng.integers(0, 20, 200), rng.integers(0, 2, 200)
    found = read_events(HERE / "recordings" / "dv.aedat4")
    assert np.array_equal(found.events, make_events(t - t[0], x, y, p))
    assert (found.width, found.height, found.origin) == (34, 20, "first-event")


@pytest.mark.parametrize("version", ["evt2", "evt3", "dat2"])
def test_bytes_of_faery_and_for_it(tmp_path, version):
    """Another implementation writes what is read here, vectors too, and reads what is written."""
    faery = pytest.importorskip("faery", reason="the peer is the package faery (extra formats)")
    rng = np.random.default_rng(5)
    rows = []
    for t in np.sort(rng.integers(0, 40_000_000, 400)):
        y, p, start = int(rng.integers(0, 720)), int(rng.integers(0, 2)), int(rng.integers(0, 1200))
        rows += [(t, x, y, p) for x in start + np.flatnonzero(rng.random(40) < rng.random())]
    events = make_events(*zip(*rows, strict=True))
    packet = np.empty(len(events), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
    for name in "txyp":
        packet[name] = events[name]
    file = tmp_path / ("a.dat" if version == "dat2" else "a.raw")
    if version == "dat2":
        with faery.dat.Encoder(file, "dat2", "cd", False, (1280, 720)) as encoder:
            kind = [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("payload", "u1")]
            encoder.write(np.array([(*row[:3], int(row[3])) for row in events.tolist()], kind))
    else:
        with faery.evt.Encoder(file, version, False, (1280, 720), True) as encoder:
            encoder.write({"events": packet})
    found = read_events(file)
    assert np.array_equal(found.events, events)
    assert (found.width, found.height) == (1280, 720)
    # Past the first wrap of 24 bits it does not read what it wrote itself.
    events = events[events["t"] < 2**24] if version == "evt3" else events
    write_events(file, events, sensor=(1280, 720), format=version.replace("dat2", "dat"))
    if version == "dat2":
        back = np.concatenate(list(faery.dat.Decoder(file, None, None)))
    else:
        parts = [part.get("events") for part in faery.evt.Decoder(file, None, None)]
        back = np.concatenate([part for part in parts if part is not None])
    assert np.array_equal(back["t"], events["t"])
    assert np.array_equal(back["x"], events["x"])


def evt3_word_by_word(words):
    """The state machine of the format's description, one word after the other."""
    high = y = base = None
    low = on = loops = 0
    found = []
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 8:
            if high is not None:
                loops += high >= value + 2048
                low = low if high == value else 0
            high = value
        elif kind == 6:
            low = value
        elif kind == 0:
            y = value & 0x7FF
        elif kind == 3:
            base, on = value & 0x7FF, value >> 11
        elif kind in (2, 4, 5):
            columns = [value & 0x7FF] if kind == 2 else []
            p = value >> 11 if kind == 2 else on
            if kind != 2 and base is not None:
                wide = {4: 12, 5: 8}[kind]
                columns = [base + k for k in range(wide) if value >> k & 1]
                base += wide
            if None not in (high, y):
                found += [((loops << 24) + (high << 12) + low, x, y, bool(p)) for x in columns]
    return found


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 9))
def test_evt3_against_a_machine_that_goes_word_by_word(tmp_path_factory, seed, parts):
    rng = np.random.default_rng(seed)
    kinds = rng.choice([0, 2, 3, 4, 5, 6, 8, 10, 14, 15, 7], int(rng.integers(1, 90)))
    words = kinds << 12 | rng.integers(0, 4096, len(kinds))
    expected = evt3_word_by_word(words.tolist())
    file = raw(tmp_path_factory.getbasetemp() / "random.raw", "3.0", words, size="2048x2048")
    from eventsnn.events.readers.evt import _Evt3

    decoder = _Evt3(file)
    blocks = [decoder.block(part.astype(np.uint32)) for part in np.array_split(words, parts) if len(part)]
    columns = [np.concatenate([getattr(block, name) for block in blocks]) for name in ("time", "x", "y", "p")]
    found = [(int(t), int(x), int(y), bool(p)) for t, x, y, p in zip(*columns, strict=True)]
    assert found == expected


# --- round trips


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("size", [(128, 128), (240, 180), (346, 260)])
def test_round_trip_whole_and_in_parts(tmp_path, name, size):
    need(name)
    file = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    events = events_of(len(name), size=size)
    if name == "five-byte" and size[0] > 256:
        with pytest.raises(InvalidRequest, match="does not fit five-byte"):
            write_events(file, events, sensor=size, format=name)
        return
    write_events(file, events, sensor=size, format=name)
    if name in FROM_FIRST:
        events["t"] -= events["t"][0]
    found = read_events(file, **said(name, size))
    assert np.array_equal(found.events, events)
    assert found.events.dtype == events.dtype
    assert (found.width, found.height, found.origin) == (*size, FORMATS[name].origin)
    if FORMATS[name].chunks is None:
        with pytest.raises(InvalidRequest, match="files are read whole; in parts are read aedat2"):
            read_chunks(file, **said(name, size))
        return
    for most in (1, 7, 1000):
        parts = list(read_chunks(file, chunk_events=most, **said(name, size)))
        assert np.array_equal(np.concatenate(parts), events)
        assert all(len(part) for part in parts)
        assert name == "aedat3" or max(map(len, parts)) <= most


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([name for name in WRITTEN if name not in ("aedat4", "parquet")]),
    st.lists(
        st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 127), st.integers(0, 127), st.booleans()),
        min_size=1,
        max_size=40,
    ),
)
def test_round_trip_of_any_events(tmp_path_factory, name, rows):
    file = tmp_path_factory.getbasetemp() / f"any{FORMATS[name].suffixes[0]}"
    events = make_events(*zip(*sorted(rows), strict=True))
    write_events(file, events, sensor=(128, 128), format=name)
    found = read_events(file, **said(name))
    events["t"] -= events["t"][0] if name in FROM_FIRST else 0
    assert np.array_equal(found.events, events)


def test_evt3_is_followed_over_pauses_longer_than_its_clock(tmp_path):
    t = np.array([5, 6, 40_000_000, 40_000_001, 2**33], np.int64)
    events = make_events(t, [1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [1, 0, 1, 0, 1])
    write_events(tmp_path / "a.raw", events, sensor=(20, 20), format="evt3")
    assert np.array_equal(read_events(tmp_path / "a.raw").events, events)


def test_parts_follow_a_clock_that_wraps_between_them(tmp_path):
    times = [2**31 - 5, 2**31 - 1, -(2**31), -7, -1, 0, 20_000]
    data = b"".join(struct.pack(">Ii", 0, time) for time in times)
    (tmp_path / "a.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + data)
    expected = [(time - times[0]) % 2**32 for time in times]
    for most in (1, 2, 3, 9):
        parts = list(read_chunks(tmp_path / "a.aedat", chunk_events=most))
        assert np.concatenate(parts)["t"].tolist() == expected


def test_parts_refuse_what_only_the_whole_can_judge(tmp_path):
    data = b"".join(struct.pack(">Ii", 0, time) for time in (50_000, 60_000, 3, 5, 9))
    (tmp_path / "a.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + data)
    assert read_events(tmp_path / "a.aedat").events["t"].tolist() == [0, 2, 6]
    for most in (1, 2, 5):
        with pytest.raises(InvalidEvents, match="Reading in chunks undoes wraps of the clock only"):
            list(read_chunks(tmp_path / "a.aedat", chunk_events=most))


@pytest.mark.parametrize("name", ["aedat2", "aedat3", "dat", "evt2", "evt3", "five-byte", "npy", "csv"])
def test_memory_does_not_grow_with_the_recording(tmp_path, name):
    file = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    peaks = []
    for count in (60_000, 600_000):
        events = events_of(1, count, last=8_000_000)
        write_events(file, events, sensor=(128, 128), format=name)
        del events
        tracemalloc.start()
        total = sum(len(part) for part in read_chunks(file, chunk_events=4096, **said(name)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total == count
    assert peaks[1] < 1.2 * peaks[0] + 100_000, peaks
    assert peaks[1] < 600_000 * 13 / 2


# --- tables


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("txyp")][::5])
def test_arrays_and_text_in_any_order(tmp_path, order):
    events = events_of(3)
    table = np.stack([events[name].astype(np.int64) for name in order], 1)
    np.save(tmp_path / "a.npy", table)
    np.savetxt(tmp_path / "a.csv", table, "%d", delimiter=",")
    np.savetxt(tmp_path / "b.txt", table, "%d", header="made by hand")
    names = {"t": "Timestamp", "x": "x", "y": "Y", "p": "polarity"}
    head = ";".join(names[n] for n in order)
    np.savetxt(tmp_path / "c.csv", table, "%d", delimiter=";", header=head, comments="")
    structured = np.zeros(len(events), [(names[n], "i8") for n in order])
    for name in order:
        structured[names[name]] = events[name]
    np.save(tmp_path / "d.npy", structured)
    np.savez(tmp_path / "e.npz", **{names[n]: structured[names[n]] for n in order})
    for file in ("a.npy", "a.csv", "b.txt"):
        found = read_events(tmp_path / file, sensor=(128, 128), columns=order)
        assert np.array_equal(found.events, events)
        with pytest.raises(InvalidRequest, match=f"{file}: the columns have no names; say their order"):
            read_events(tmp_path / file, sensor=(128, 128))
    for file in ("c.csv", "d.npy", "e.npz"):
        assert np.array_equal(read_events(tmp_path / file, sensor=(128, 128)).events, events)
        with pytest.raises(InvalidRequest, match="do not say how large the sensor is"):
            read_events(tmp_path / file)


def test_units_fractions_and_signed_polarity(tmp_path):
    file = tmp_path / "a.npy"
    np.save(file, np.array([[1.5, 3, 4, -1], [2.001, 3, 4, 1]]))
    with pytest.raises(InvalidRequest, match="no whole number of microseconds; say the unit"):
        read_events(file, sensor=(9, 9), columns="txyp")
    for unit, times in (("ms", [1500, 2001]), ("s", [1_500_000, 2_001_000]), ("us", [2, 2])):
        found = read_events(file, sensor=(9, 9), columns="txyp", unit=unit)
        assert found.events.tolist() == [(times[0], 3, 4, False), (times[1], 3, 4, True)]
    np.save(file, np.array([[10**15, 1, 1, 0], [10**15 + 7, 1, 1, 1]]))
    with pytest.raises(InvalidEvents, match="absolute clock times are not recording times"):
        read_events(file, sensor=(9, 9), columns="txyp")


def test_tables_in_parts(tmp_path):
    """Comments, blank lines, signed polarity, fractions, arrays stored by columns: as of the whole."""
    rows = np.array([[0.5 * k, k % 9, k % 7, 1 if k < 4 or k % 3 else -1] for k in range(11)])
    np.save(tmp_path / "a.npy", rows)
    np.save(tmp_path / "b.npy", np.asfortranarray(rows))
    text = "".join(f"{t} {x:.0f} {y:.0f} {p:.0f}\r\n# said\r\n\r\n" for t, x, y, p in rows)
    (tmp_path / "c.txt").write_bytes(b"\xef\xbb\xbf# by hand\n\n" + text.encode())
    given = {"sensor": (9, 9), "columns": "txyp", "unit": "ms"}
    for name in ("a.npy", "b.npy", "c.txt"):
        whole = read_events(tmp_path / name, **given).events
        assert whole["t"].tolist() == [500 * k for k in range(11)]
        assert whole["p"].tolist() == [k < 4 or k % 3 > 0 for k in range(11)]
        for most in (1, 2, 5, 99):
            parts = list(read_chunks(tmp_path / name, chunk_events=most, **given))
            assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ([9, 1, 1, -1], "counted from record 3 on: polarities are .-1  0  1.; they are 0 and 1, or -1 and 1"),
        ([9, 65_539, 1, 1], "counted from record 3 on: event 0 has x = 65539"),
        ([9, 1, -65_533, 1], "event 0 has y = -65533"),
        ([9, 1, 1, 2], "event 0 has p = 2"),
        ([0, 1, 1, 1], "time goes back.*Reading in chunks undoes wraps of the clock only"),
        ([9, 9, 1, 1], "x = 9, y = 1, outside the sensor"),
    ],
)
def test_tables_that_are_no_recordings_in_parts(tmp_path, row, match):
    np.save(tmp_path / "a.npy", np.array([[1, 1, 1, 1], [2, 1, 1, 0], [3, 2, 2, 1], row]))
    with pytest.raises(InvalidEvents, match=match) as found:
        list(read_chunks(tmp_path / "a.npy", chunk_events=3, sensor=(9, 9), columns="txyp"))
    assert str(tmp_path / "a.npy") in str(found.value)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ([[1, 2, 3.5, 0]], "event 0 has y = 3.5; it is a whole number"),
        ([[1, 2, 3, 0], [np.nan, 1, 1, 1]], "event 1 has t = nan"),
        ([[1, 2, 3, 2]], "event 0 has polarity 2"),
        ([[1, 2, 3, -1], [2, 2, 3, 0]], "they are 0 and 1, or -1 and 1"),
        ([[1, 9, 3, 0]], "x = 9, y = 3, outside the sensor of 9 columns"),
        ([[1, -1, 3, 0]], "x = -1"),
        ([[5, 1, 3, 0], [4, 1, 1, 0], [3, 1, 1, 1]], "time goes back at event 1"),
        ([[1, 2, 3]], r"shape \(1, 3\)"),
        (np.zeros((0, 4)), "no event in the file"),
        ([[1, 70000, 3, 0]], "x is stored in 16 bits"),
    ],
)
def test_tables_that_are_no_recordings(tmp_path, table, match):
    np.save(tmp_path / "a.npy", np.array(table))
    with pytest.raises((InvalidEvents, InvalidFile), match=match) as found:
        read_events(tmp_path / "a.npy", sensor=(9, 9), columns="txyp")
    assert str(tmp_path / "a.npy") in str(found.value)


# --- refusals


def test_no_object_is_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InvalidFile, match="pickled objects"):
        read_events(tmp_path / "a.npy", sensor=(9, 9), columns="txyp")


def test_hdf5_of_prophesee_names_its_filter(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        dcpl.set_chunk((64,))
        dcpl.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((100,))
        h5py.h5d.create(file.create_group("CD").id, b"events", h5py.h5t.NATIVE_INT64, space, dcpl)
    with pytest.raises(InvalidFile, match="filter 0x8ECF"):
        read_events(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["weights"] = np.arange(3)
    with pytest.raises(InvalidFile, match=r"HDF5 of another program \(it holds weights\)"):
        read_events(tmp_path / "b.h5")


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("a.aedat", b"", "the file is empty"),
        ("a.xyz", b"hello", "of no format known here"),
        ("a.aedat", b"#!AER-DAT1.0\r\n", "AEDAT 1.0, which is not read"),
        ("a.aedat", b"#!AER-DAT3.0\r\n#", "found b'#!AER-DAT3.0'; other versions are not read"),
        ("a.aedat", b"#!AER-DAT3.1\r\n#Source 0: DVS128\r\n", "no line '#!END-HEADER'"),
        ("a.aedat", b"#!AER-DAT3.1\r\n#Source 0: Eye\r\n#!END-HEADER\r\n", "names no camera that is known"),
        ("a.aedat", b"#!AER-DAT3.1\r\n#Source 0: DVS128\r\n#!END-HEADER\r\n\x01", "byte 47 is cut short"),
        ("a.raw", b"% evt 2.1\n% geometry 9x9\n% end\n", "this is EVT 2.1; EVT 2.0 and 3.0 are read"),
        ("a.raw", b"% evt 3.0\n% geometry 9x9\n% end\n\x01", "no whole number of 16-bit words"),
        ("a.raw", b"% evt 3.0\n% geometry 9x9\n% end\n\x00\x90", "word 0 is of the kind 0x9"),
        ("a.raw", b"% evt 3.0\n% end\n\x00\x80", "does not say how large the sensor is"),
        ("a.raw", b"% evt 3.0\n% geometry 0x9\n% end\n", "a sensor of 0 by 9 pixels"),
        ("a.raw", b"% evt 3.0\n% geometry 9x9\n% end\n\x00\x80", "no pixel event among 1 words"),
        ("a.dat", b"% Data file containing CD events\n% Version 1\n\x0c\x08", "names version '1'"),
        ("a.dat", SMALL_DAT + b"x", "1 bytes left"),
        ("a.bin", b"\x01\x02\x03", "does not say how large its sensor is"),
        ("a.csv", b"t,x,y\n1,2,3\n", "no column of the name p"),
        ("a.csv", b"t,x,y,p,on\n1,2,3,1,1\n", "several columns p, on"),
        ("a.csv", b"t,x,y,p\n1,2,z,1\n", "not every line is an event"),
        ("a.csv", b"\xff\xfe\x00", "the file is no text"),
    ],
)
def test_what_is_refused_is_said(tmp_path, name, data, match):
    (tmp_path / name).write_bytes(data)
    given = {"sensor": (9, 9)} if name == "a.csv" else {}
    with pytest.raises(EventsnnError, match=match) as found:
        read_events(tmp_path / name, **given)
    assert str(tmp_path / name) in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"sensor": "9by9"}, "a sensor is '9by9'; give columns and rows"),
        ({"sensor": (0, 4)}, "a sensor is"),
        ({"columns": "txy"}, "columns are 'txy'"),
        ({"unit": "minutes"}, "unknown unit of time 'minutes'"),
        ({"layout": "dvs999"}, "unknown layout 'dvs999'; allowed are dvs128, davis240, davis346"),
        ({"format": "mp4"}, "unknown format 'mp4'; allowed are aedat2"),
        ({"columns": "txyp"}, "columns was given, which AEDAT 2.0 files say themselves or do not have"),
    ],
)
def test_settings_that_say_nothing(tmp_path, given, match):
    write_aedat(tmp_path / "a.aedat", events_of(1), orientation=RAW)
    with pytest.raises(InvalidRequest, match=match):
        read_events(tmp_path / "a.aedat", **given)


def test_what_cannot_be_written(tmp_path):
    events, wide = events_of(1), events_of(1, size=(240, 180))
    for name in WRITTEN:
        if name in ("aedat4", "parquet"):
            continue
        with pytest.raises(InvalidEvents, match="no event to write"):
            write_events(tmp_path / "a", events[:0], sensor=(128, 128), format=name)
        with pytest.raises(InvalidEvents, match="outside the sensor"):
            write_events(tmp_path / "a", wide, sensor=(128, 128), format=name)
    assert not (tmp_path / "a").exists()
    with pytest.raises(InvalidRequest, match=r"AEDAT 2\.0 layout has 128x130 pixels; known are dvs128"):
        write_events(tmp_path / "a.aedat", events, sensor=(128, 130))
    with pytest.raises(InvalidRequest, match="none known has 128x130 pixels"):
        write_events(tmp_path / "a.aedat", events, sensor=(128, 130), format="aedat3")
    with pytest.raises(InvalidRequest, match="no format that is written has this suffix"):
        write_events(tmp_path / "a.h5", events, sensor=(128, 128))
    with pytest.raises(InvalidRequest, match="layout was given, which NumPy"):
        write_events(tmp_path / "a.npy", events, sensor=(128, 128), layout="dvs128")


def test_what_is_not_installed_names_the_extra(tmp_path, monkeypatch):
    import sys

    (tmp_path / "a.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "faery", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"eventsnn\[formats\]"):
        read_events(tmp_path / "a.aedat4")
    with pytest.raises(MissingExtra, match=r"eventsnn\[tables\]"):
        read_events(tmp_path / "a.parquet", sensor=(9, 9))


# --- blocks


@pytest.mark.parametrize("name", ["aedat2", "five-byte", "dat"])
@pytest.mark.parametrize("seed", range(4))
def test_blocks_of_any_size_give_the_same(tmp_path, monkeypatch, name, seed):
    """Resets, wraps, strays and steps back, wherever a seam falls: the same events, counts, refusals."""
    import warnings

    from eventsnn.events.readers import aedat2, dat, five_byte

    module = {"aedat2": aedat2, "five-byte": five_byte, "dat": dat}[name]
    rng = np.random.default_rng([seed, len(name)])
    file, refused = tmp_path / f"a{FORMATS[name].suffixes[0]}", 0
    for _ in range(40):
        n = int(rng.integers(2, 40))
        t = np.sort(rng.integers(0, 10 ** int(rng.integers(2, 6)), n))
        for _ in range(rng.integers(0, 3)):
            k = int(rng.integers(0, n))
            t[k:] = t[k:] - t[k] * int(rng.integers(0, 2)) if rng.random() < 0.6 else t[k:]
            t[k] = int(rng.integers(0, 10**6)) if rng.random() < 0.4 else t[k]
        t = t.clip(0)
        if name == "aedat2":
            data = [struct.pack(">Ii", int(rng.choice([2, 5, 0x8000])), int(time)) for time in t]
            file.write_bytes(b"#!AER-DAT2.0\r\n" + b"".join(data))
        elif name == "dat":
            file.write_bytes(SMALL_DAT + b"".join(struct.pack("<II", int(time), 1) for time in t))
        else:
            rows = rng.choice([2, 240], n, p=[0.9, 0.1])
            pairs = zip(rows.tolist(), t.tolist(), strict=True)
            data = [bytes([1, row]) + time.to_bytes(3, "big") for row, time in pairs]
            file.write_bytes(b"".join(data))
        clock = str(rng.choice(["last-reset", "strict", "sort"]))
        answers = []
        for size in (1 << 15, 1, 3, 7):
            monkeypatch.setattr(module, "AT_ONCE", size)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = read_events(file, clock=clock, **said(name, (34, 34)))
            except EventsnnError as error:
                answers.append(str(error))
                refused += 1
            else:
                answers.append((found.events.tolist(), found.counts))
        assert all(answer == answers[0] for answer in answers), answers
    assert 4 <= refused <= 156


def test_a_header_longer_than_what_is_looked_at_first(tmp_path):
    lines = b"".join(b"# preference %d of many\r\n" % k for k in range(9000))
    record = struct.pack(">Ii", 2, 5)
    for head in (lines, lines[: 65536 - 14 - 2], lines[: (65536 - 14) // 27 * 27]):
        head = head[: head.rfind(b"\r\n") + 2]
        (tmp_path / "a.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + head + record)
        events, counts = read_aedat_with_counts(tmp_path / "a.aedat", orientation=RAW)
        assert (events["x"].tolist(), len(counts.header)) == ([1], 1 + head.count(b"\n"))
