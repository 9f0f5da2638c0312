"""Readers and writers: golden bytes, round trips, and what a damaged file is answered with."""

import os
import struct
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events import (
    CIFAR10_DVS,
    DVS128,
    JAER_MATLAB,
    RAW,
    Orientation,
    make_events,
    read_aedat,
    read_aedat_with_counts,
    read_nmnist,
    write_aedat,
    write_nmnist,
)

HEADER = b"#!AER-DAT2.0\r\n# a comment\r\n"


def aedat(tmp_path, *records, header=HEADER, tail=b""):
    file = tmp_path / "a.aedat"
    file.write_bytes(header + b"".join(struct.pack(">Ii", *record) for record in records) + tail)
    return file


def streams(size, last):
    event = st.tuples(st.integers(0, last), st.integers(0, size - 1), st.integers(0, size - 1), st.booleans())
    return st.lists(event, min_size=1, max_size=30).map(
        lambda rows: make_events(*zip(*sorted(rows), strict=True))
    )


# --- N-MNIST


def test_nmnist_golden_bytes(tmp_path):
    file = tmp_path / "a.bin"
    # x 12, y 30; 0x8F4240: polarity bit 1, t = 0x0F4240 = 1,000,000 us. Then x 33, y 0, bit 0, t = 2^23 - 1.
    file.write_bytes(bytes([12, 30, 0x8F, 0x42, 0x40, 33, 0, 0x7F, 0xFF, 0xFF]))
    assert read_nmnist(file).tolist() == [(1_000_000, 12, 30, True), (8_388_607, 33, 0, False)]
    write_nmnist(tmp_path / "b.bin", read_nmnist(file))
    assert (tmp_path / "b.bin").read_bytes() == file.read_bytes()


def test_nmnist_overflow_record_adds_8192_us_to_what_follows(tmp_path):
    file = tmp_path / "a.bin"
    overflow = bytes([0, 240, 0, 0, 0])
    file.write_bytes(
        bytes([1, 2, 0, 0, 9]) + overflow + bytes([1, 2, 0, 0, 3]) + overflow + bytes([1, 2, 0, 0, 4])
    )
    assert read_nmnist(file)["t"].tolist() == [9, 8192 + 3, 2 * 8192 + 4]


@settings(max_examples=50, deadline=None)
@given(streams(34, 2**23 - 1))
def test_nmnist_round_trip(tmp_path_factory, events):
    file = tmp_path_factory.getbasetemp() / "round_trip.bin"
    write_nmnist(file, events)
    assert np.array_equal(read_nmnist(file), events)


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (b"", InvalidFile, "a.bin: the file is empty"),
        (bytes(12), InvalidFile, r"12 bytes .* \(2 left over\).*truncated"),
        (bytes([0, 240, 0, 0, 0]), InvalidFile, "1 clock overflow records and no event"),
        (bytes(5) + bytes([34, 0, 0, 0, 0]), InvalidEvents, "a.bin.*event 1 lies at x = 34"),
        (bytes([0, 0, 0, 0, 5]) + bytes(5), InvalidEvents, "a.bin.*event 1, from 5 us to 0 us"),
    ],
)
def test_nmnist_damaged(tmp_path, data, error, match):
    file = tmp_path / "a.bin"
    file.write_bytes(data)
    with pytest.raises(error, match=match):
        read_nmnist(file)


def test_missing_file():
    with pytest.raises(InvalidFile, match=r"nowhere\.bin: cannot be read"):
        read_nmnist("nowhere.bin")
    with pytest.raises(InvalidFile, match=r"nowhere\.aedat: cannot be read"):
        read_aedat("nowhere.aedat")


@pytest.mark.parametrize(
    ("events", "match"),
    [
        (make_events([0, 2**23], [0, 0], [0, 0], [0, 0]), "event 1 has t = 8388608"),
        (make_events([0], [34], [0], [0]), "event 0 lies at x = 34"),
        (make_events([], [], [], []), "no event to write"),
    ],
)
def test_nmnist_writes_only_what_can_be_read(tmp_path, events, match):
    with pytest.raises(InvalidEvents, match=match):
        write_nmnist(tmp_path / "a.bin", events)
    assert not (tmp_path / "a.bin").exists()


# --- AEDAT 2.0


def test_aedat_golden_address(tmp_path):
    """Address 0x01A5: raw x 82, raw y 1, polarity bit 1; upright CIFAR10-DVS x 126, y 45, OFF."""
    file = aedat(tmp_path, (0x01A5, 77))
    assert read_aedat(file, orientation=RAW).tolist() == [(0, 82, 1, True)]
    assert read_aedat(file).tolist() == [(0, 126, 45, False)]
    assert read_aedat(file, orientation=JAER_MATLAB).tolist() == [(0, 45, 1, False)]
    write_aedat(tmp_path / "b.aedat", read_aedat(file))
    assert (tmp_path / "b.aedat").read_bytes() == b"#!AER-DAT2.0\r\n" + struct.pack(">Ii", 0x01A5, 0)


@settings(max_examples=50, deadline=None)
@given(
    streams(128, 2**31 - 1),
    st.builds(
        Orientation, st.just("any"), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([0, 1])
    ),
)
def test_aedat_round_trip(tmp_path_factory, events, orientation):
    file = tmp_path_factory.getbasetemp() / "round_trip.aedat"
    write_aedat(file, events, orientation=orientation, comments=("one", "# two"))
    back = read_aedat(file, orientation=orientation)
    assert np.array_equal(back["t"], events["t"] - events["t"][0])
    for name in "xyp":
        assert np.array_equal(back[name], events[name])


def test_layout_packs_what_it_unpacks():
    address = np.arange(2**15)
    assert np.array_equal(DVS128.encode(*DVS128.decode(address)), address)


def test_aedat_times_start_at_the_first_kept_event_and_specials_are_counted(tmp_path):
    file = aedat(tmp_path, (0x8000, 100), (0, 150), (0x8001, 160), (2, 170))
    events, counts = read_aedat_with_counts(file)
    assert events["t"].tolist() == [0, 20]
    assert (counts.records, counts.special_events, counts.events_before_reset) == (4, 2, 0)
    assert counts.header == ("#!AER-DAT2.0", "# a comment")


def test_aedat_undoes_counter_wraps(tmp_path):
    times = [2**31 - 5, 2**31 - 1, -(2**31), -7, -1, 0, 20_000]
    events = read_aedat(aedat(tmp_path, *[(0, t) for t in times]), clock="strict")
    assert events["t"].tolist() == [(t - times[0]) % 2**32 for t in times]


def test_aedat_clock_reset(tmp_path):
    file = aedat(
        tmp_path, (0, 50_000), (0, 60_000), (0, 3), (0, 90_000), (0x8000, 91_000), (0, 0), (0, 5), (0, 9)
    )
    events, counts = read_aedat_with_counts(file)
    assert events["t"].tolist() == [0, 5, 9]
    assert (counts.events_before_reset, counts.special_events) == (4, 1)
    with pytest.raises(
        InvalidEvents, match=r"a\.aedat: the clock was reset at event 5, from 91000 us to 0 us"
    ):
        read_aedat(file, clock="strict")


def test_aedat_step_back_is_named_or_sorted(tmp_path):
    file = aedat(tmp_path, (0, 1000), (2, 1010), (0x8000, 5), (4, 1004), (6, 1010))
    with pytest.raises(InvalidEvents, match=r"a\.aedat: time goes back at event 3, from 1010 us to 1004 us"):
        read_aedat(file)
    events = read_aedat(file, clock="sort", orientation=RAW)
    assert events["t"].tolist() == [0, 4, 10, 10]
    assert events["x"].tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("header", "tail", "match"),
    [
        (b"", b"", "the file is empty"),
        (b"\x00\x01", b"", "starts with '#!AER-DAT2.0', found"),
        (b"#!AER-DAT1.0\r\n", b"", r"this is AEDAT 1\.0"),
        (b"#!AER-DAT3.1\r\n", b"", "this is AEDAT 3"),
        (b"#!AER-DAT4.0\r\n", b"", "this is AEDAT 4 .*which events:PATH opens"),
        (b"#!AER-DAT2.0\r\n# no end", b"", "header line at byte 14 does not end"),
        (HEADER, b"", "no pixel event among 0 records"),
        (HEADER, struct.pack(">Ii", 0x8000, 1), r"no pixel event among 1 records \(1 special"),
        (HEADER, bytes(13), r"13 bytes .* \(5 left over\)"),
        (HEADER, bytes(8) + struct.pack(">Ii", 0x00400000, 1), "event 1 has address 0x00400000"),
    ],
)
def test_aedat_damaged(tmp_path, header, tail, match):
    with pytest.raises(InvalidFile, match=match):
        read_aedat(aedat(tmp_path, header=header, tail=tail))


@pytest.mark.parametrize(
    ("events", "match"),
    [
        (make_events([0, 2**31], [0, 0], [0, 0], [0, 0]), "event 1 has t = 2147483648"),
        (make_events([0], [0], [128], [0]), "y = 128"),
        (make_events([], [], [], []), "no event to write"),
    ],
)
def test_aedat_writes_only_what_can_be_read(tmp_path, events, match):
    with pytest.raises(InvalidEvents, match=match):
        write_aedat(tmp_path / "a.aedat", events)


@pytest.mark.parametrize(
    "header",
    [
        b"#!AER-DAT2.0\r\n",
        b"#!AER-DAT2.0\r\n# made by jAER\r\n#\r\n# caf\xc3\xa9\tl\xe9gende\r\n",
        b"#!AER-DAT2.0\n# written with line feeds\n",
        b"#!AER-DAT2.0\n# and with both\r\n",
    ],
)
@pytest.mark.parametrize(
    "address",
    [
        0x23000000,
        0x23232323,
        0x23414243,  # '#ABC', then the time
        0x23410A00,
    ],
)
@pytest.mark.parametrize("time", [0, 7, 0x41424344, 0x41420D0A])
def test_an_event_that_begins_like_a_header_line_is_an_event(tmp_path, header, address, time):
    """It is of no layout known here, and said to be; nothing is shifted."""
    text = time == 0x41420D0A and address in (0x23414243, 0x23232323)
    if text or (address == 0x23410A00 and b"0\n" in header):
        pytest.skip("text that ends like the other lines, from its first byte on")
    lines = header.count(b"\n")
    file = aedat(tmp_path, (address, time), (2, 8), (4, 9), header=header)
    with pytest.raises(InvalidFile, match=f"event 0 has address 0x{address:08X}, .*DVS128"):
        read_aedat(file)
    # The same with that event in another place, and the header read in full.
    events, counts = read_aedat_with_counts(aedat(tmp_path, (2, 8), (4, 9), header=header))
    assert (len(events), counts.records, len(counts.header)) == (2, 2, lines)


def test_a_layout_with_high_bits_reads_such_an_event(tmp_path):
    wide = replace(DVS128, name="wide", special_mask=0x23000000)
    file = aedat(tmp_path, (0x23000000, 1), (2, 8), (4, 9), header=b"#!AER-DAT2.0\r\n")
    events, counts = read_aedat_with_counts(file, layout=wide, orientation=RAW)
    assert (events["x"].tolist(), counts.special_events, counts.records) == ([1, 2], 1, 3)


def test_a_line_feed_alone_ends_no_header_line_where_others_end_in_both(tmp_path):
    file = aedat(tmp_path, header=b"#!AER-DAT2.0\r\n#abcdef\n")
    with pytest.raises(InvalidFile, match="event 0 has address 0x23616263"):
        read_aedat(file)


def test_aedat_settings(tmp_path):
    with pytest.raises(
        InvalidRequest, match="unknown clock setting 'x'; allowed are last-reset, strict, sort"
    ):
        read_aedat(aedat(tmp_path, (0, 0)), clock="x")
    with pytest.raises(InvalidRequest, match="line break"):
        write_aedat(tmp_path / "a.aedat", make_events([0], [0], [0], [0]), comments=("a\nb",))


def test_default_orientation_is_that_of_the_data_set():
    assert CIFAR10_DVS.to_picture(DVS128, np.array([0]), np.array([5])) == (122, 127)


# --- real files


@pytest.mark.skipif(
    "EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA is not set: no real N-MNIST files"
)
def test_real_nmnist_files_read_and_write_back_byte_for_byte(tmp_path):
    files = sorted(Path(os.environ["EVENTSNN_DATA"]).glob("nmnist/NMNIST/Train/*/*.bin"))[::50]
    assert files
    for file in files:
        events = read_nmnist(file)
        assert 500 < len(events) < 10_000
        assert events["t"][-1] < 320_000
        write_nmnist(tmp_path / "back.bin", events)
        assert (tmp_path / "back.bin").read_bytes() == file.read_bytes()
