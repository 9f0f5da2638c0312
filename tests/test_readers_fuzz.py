"""Damaged bytes to every reader, whole and in parts: valid events, or one of our errors."""

import struct
import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.errors import EventsnnError
from eventsnn.events import (
    FORMATS,
    make_events,
    open_dataset,
    read_chunks,
    read_events,
    validate_events,
    write_events,
)

WRITTEN = [name for name, known in FORMATS.items() if known.write]
NAMELESS = ("five-byte", "npy", "npz", "csv", "parquet")
PIECES = [
    b"#",
    b"% end\n",
    b"% evt 2.0\n",
    b"% geometry 99999x1\n",
    b"#!END-HEADER\r\n",
    b"\r\n",
    b"\xff" * 9,
    bytes(7),
    b"\x93NUMPY\x01\x00",
    b"PK\x03\x04",
    b"1e999",
    b"-1",
    b",",
    b"nan",
    struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, 2**31 - 1, 2**31 - 1, 1),
    struct.pack("<hhiiiiii", 2, 0, -8, 4, -1, 1, 1, 1),
]
CHANGE = st.tuples(st.integers(0, 5), st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(PIECES))


def changed(data, changes):
    data = bytearray(data)
    for kind, place, amount, piece in changes:
        place %= len(data) + 1
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << amount % 8
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            del data[place : place + amount % 20]
        elif kind == 3:
            data[place:place] = piece
        elif kind == 4:
            data[place:place] = data[: amount % 80]
        else:
            data[place : place + 4] = amount.to_bytes(4, "little")
    return bytes(data)


def recording(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 50))
    t = np.sort(rng.integers(0, 10 ** int(rng.integers(1, 7)), n))
    return make_events(t, rng.integers(0, 128, n), rng.integers(0, 128, n), rng.integers(0, 2, n))


def read_or_refused(call, file):
    """What was read, or None; an error names the file, in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except EventsnnError as error:
        said = str(error)
    assert str(file) in said
    assert "\n" not in said
    return None


@pytest.mark.parametrize("name", WRITTEN)
def test_damaged_files(tmp_path_factory, capfd, name):
    if name == "aedat4":
        pytest.importorskip("faery", reason="AEDAT 4 needs the extra formats")
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs the extra parquet")
    file = tmp_path_factory.mktemp("fuzz") / f"a{FORMATS[name].suffixes[0]}"
    said = {"sensor": (128, 128)} if name in NAMELESS else {}
    answers = {"read": 0, "refused": 0}

    @settings(max_examples=70, deadline=None, derandomize=True)
    @given(st.integers(0, 40), st.lists(CHANGE, min_size=1, max_size=4), st.booleans())
    def check(seed, changes, named):
        write_events(file, recording(seed), sensor=(128, 128), format=name)
        file.write_bytes(changed(file.read_bytes(), changes))
        given = dict(said, format=name) if named else said
        found = read_or_refused(lambda: read_events(file, **given), file)
        answers["refused" if found is None else "read"] += 1
        if found is not None:
            validate_events(found.events, found.height, found.width, "here")
            assert len(found.events) > 0
            read_or_refused(lambda: open_dataset(f"events:{file}", **given)[0], file)
        if FORMATS[name].chunks is None:
            return
        parts = read_or_refused(lambda: list(read_chunks(file, chunk_events=9, **given)), file)
        if parts is not None and found is not None:
            whole = np.concatenate(parts)
            # A stray that a part does not see is the only difference there may be.
            if found.counts["stray_events"] == found.counts["events_before_reset"] == 0:
                assert np.array_equal(whole, found.events)

    check()
    assert min(answers.values()) > 1, answers
    capfd.readouterr()


@settings(max_examples=70, deadline=None, derandomize=True)
@given(st.binary(max_size=400), st.sampled_from([".aedat", ".raw", ".bin", ".npy", ".npz", ".csv", ".h5"]))
def test_any_bytes(tmp_path_factory, data, suffix):
    file = tmp_path_factory.getbasetemp() / f"any{suffix}"
    file.write_bytes(data)
    for known in (None, *FORMATS):
        if known in ("aedat4", "parquet"):
            continue
        for said in ({}, {"sensor": "34x34"}, {"sensor": (200, 200), "columns": "xypt", "unit": "ms"}):
            read_or_refused(lambda: read_events(file, format=known, **said), file)  # noqa: B023
        read_or_refused(lambda: list(read_chunks(file, format=known)), file)  # noqa: B023


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 4), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4), }",
        b"{'descr': 'O', 'fortran_order': False, 'shape': (4, 4), }",
        b"{'descr': [('t', '<f8'), ('x', 'O')], 'fortran_order': False, 'shape': (4,), }",
        b"{'descr': [('t', 'M8[s]'), ('x', 'S3'), ('y', 'c8'), ('p', '?')], "
        b"'fortran_order': False, 'shape': (1,)}",
        b" 'fortran_order': False, 'shape': (1,)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': 4, }",
        b"(" * 3000,
        b"__import__('os').abort()",
        b"",
    ],
)
def test_arrays_that_say_something_odd(tmp_path, header):
    file = tmp_path / "a.npy"
    for body in (b"", bytes(64), bytes(28)):
        file.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body)
        assert read_or_refused(lambda: read_events(file, sensor=(9, 9), columns="txyp"), file) is None


def test_a_damaged_hdf5_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["CD/events"] = np.arange(30)
    data = (tmp_path / "a.h5").read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(40):
        broken = bytearray(data[: rng.integers(9, len(data))] if rng.random() < 0.5 else data)
        broken[int(rng.integers(8, len(broken)))] ^= 255
        (tmp_path / "a.h5").write_bytes(broken)
        assert read_or_refused(lambda: read_events(tmp_path / "a.h5"), tmp_path / "a.h5") is None


def test_a_csv_of_many_odd_words(tmp_path):
    rng = np.random.default_rng(9)
    words = ["1", "2.5", "1e300", "-1", "nan", "inf", "", " ", "0x1", "1_0", "#", '"', "t", "9" * 20]
    for _ in range(300):
        lines = [",".join(rng.choice(words, int(rng.integers(1, 6)))) for _ in range(rng.integers(1, 5))]
        lines = ["t,x,y,p"] * int(rng.integers(0, 2)) + lines
        (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
        read_or_refused(
            lambda: read_events(tmp_path / "a.csv", sensor=(9, 9), columns="txyp"), tmp_path / "a.csv"
        )
