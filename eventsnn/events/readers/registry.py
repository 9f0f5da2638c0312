"""All formats of recordings, and which one a file is of."""

import re
from collections.abc import Callable
from pathlib import Path

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events.formats import READ_AS_EVENTS, format_of_file, not_yet
from eventsnn.events.readers import (
    aedat2,
    aedat2_writing,
    aedat3,
    aedat4,
    arrays,
    dat,
    evt,
    evt_writing,
    five_byte,
    hdf5_refused,
    tables,
)
from eventsnn.events.readers.contract import LOOKED_AT, Format, Where
from eventsnn.events.readers.files import beginning


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(magics)


def _is_raw(data: bytes) -> bool:
    return data[:1] == b"%" and re.search(rb"(?im)^% (evt|format) ", data) is not None


def _is_evt2(data: bytes) -> bool:
    return data[:1] == b"%" and re.search(rb"(?im)^% (evt |format evt)2(?!\.1)", data) is not None


def _is_dat(data: bytes) -> bool:
    said = re.search(rb"(?im)^% (data file containing|version) ?", data)
    return data[:1] == b"%" and said is not None and not _is_raw(data)


def _never(data: bytes) -> bool:
    return False


_AEDAT = frozenset({"layout", "orientation", "clock"})
_SAID = frozenset({"sensor", "clock"})
_TABLE = frozenset({"sensor", "columns", "unit", "clock"})

FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        Format(
            "aedat2",
            "AEDAT 2.0",
            (".aedat",),
            _starts(b"#!AER-DAT2"),
            _AEDAT,
            aedat2.aedat_size,
            aedat2.read_any_aedat,
            aedat2.aedat_chunks,
            aedat2_writing.write_any_aedat,
            frozenset({"layout", "orientation"}),
            "first-event",
        ),
        Format(
            "aedat3",
            "AEDAT 3.1",
            (".aedat",),
            _starts(aedat3.MAGIC),
            frozenset({"sensor", "orientation", "clock"}),
            aedat3.aedat3_size,
            aedat3.read_aedat3,
            aedat3.aedat3_chunks,
            aedat3.write_aedat3,
            frozenset({"orientation"}),
            "first-event",
        ),
        Format(
            "aedat4",
            "AEDAT 4",
            (".aedat4",),
            _starts(aedat4.MAGIC),
            frozenset({"clock"}),
            aedat4.aedat4_size,
            aedat4.read_aedat4,
            aedat4.aedat4_chunks,
            aedat4.write_aedat4,
            origin="first-event",
        ),
        Format(
            "dat",
            "Prophesee DAT",
            (".dat",),
            _is_dat,
            _SAID,
            dat.dat_size,
            dat.read_dat,
            dat.dat_chunks,
            dat.write_dat,
        ),
        Format(
            "evt2",
            "Prophesee RAW",
            (".raw",),
            _is_evt2,
            _SAID,
            evt.raw_size,
            evt.read_raw,
            evt.raw_chunks,
            evt_writing.write_evt2,
        ),
        Format(
            "evt3",
            "Prophesee RAW",
            (".raw",),
            _starts(b"%"),
            _SAID,
            evt.raw_size,
            evt.read_raw,
            evt.raw_chunks,
            evt_writing.write_evt3,
        ),
        Format(
            "npy",
            "NumPy .npy",
            (".npy",),
            _starts(arrays.NPY_MAGIC),
            _TABLE,
            arrays.array_size,
            arrays.read_npy,
            arrays.npy_chunks,
            arrays.write_npy,
        ),
        Format(
            "npz",
            "NumPy .npz",
            (".npz",),
            _starts(arrays.ZIP_MAGIC),
            _TABLE,
            arrays.array_size,
            arrays.read_npz,
            None,
            arrays.write_npz,
        ),
        Format(
            "parquet",
            "Parquet",
            (".parquet",),
            _starts(tables.PARQUET_MAGIC),
            _TABLE - {"columns"},
            tables.table_size,
            tables.read_parquet,
            tables.parquet_chunks,
            tables.write_parquet,
        ),
        Format(
            "hdf5",
            "HDF5 of other programs",
            (".h5", ".hdf5"),
            _starts(hdf5_refused.MAGIC),
            frozenset(),
            hdf5_refused.refuse_size,
            hdf5_refused.refuse,
        ),
        # What begins with nothing of its own is known by its suffix.
        Format(
            "five-byte",
            "five-byte",
            (".bin", ".bs2"),
            _never,
            _SAID,
            five_byte.five_byte_size,
            five_byte.read_any_five_byte,
            five_byte.five_byte_chunks,
            five_byte.write_any_five_byte,
        ),
        Format(
            "csv",
            "csv",
            (".csv", ".txt"),
            _never,
            _TABLE,
            tables.table_size,
            tables.read_csv,
            tables.csv_chunks,
            tables.write_csv,
        ),
    )
}
"""Formats by name, in the order in which a file is tried."""

SUFFIXES = tuple(
    sorted({suffix for known in FORMATS.values() for suffix in known.suffixes} - {".h5", ".hdf5"})
)
"""Of files that may be recordings."""


def format_named(name: str) -> Format:
    """The format of a name, or InvalidRequest."""
    if not isinstance(name, str) or name not in FORMATS:
        raise InvalidRequest(f"unknown format {name!r}; allowed are {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of(path: Where) -> Format:
    """The format of a file: by how it begins, else by its suffix.

    Raises
    ------
    InvalidFile
        It is of none, empty, or cannot be read.
    InvalidRequest
        ``path`` is no path.
    """
    data = beginning(path, LOOKED_AT)
    if not data:
        raise InvalidFile(f"{path}: the file is empty; a recording holds events, fetch it again")
    if data.startswith(b"#!AER-DAT1"):
        raise InvalidFile(f"{path}: this is AEDAT 1.0, which is not read; open it in jAER and save it again")
    found = next((known for known in FORMATS.values() if known.begins(data)), None)
    if found is None:
        suffix = Path(path).suffix.lower()
        found = next((f for f in FORMATS.values() if suffix in f.suffixes and f.begins is _never), None)
    if found is None or (found.begins is _never and _binary_elsewhere(path, found)):
        other = format_of_file(path)
        instead = f"give one of {', '.join(FORMATS)}, or say which it is (--format)"
        if other and other not in READ_AS_EVENTS:
            raise InvalidFile(f"{path}: {not_yet(other, instead)}")
        raise InvalidFile(
            f"{path}: the file is of no format known here (it begins with {data[:12]!r}); {instead}"
        )
    return found


def _binary_elsewhere(path: Where, found: Format) -> bool:
    """Whether a file known by its suffix alone is a known format of another kind, such as an archive."""
    other = format_of_file(path)
    return found.name == "csv" and other is not None and other != "text (.csv)"
