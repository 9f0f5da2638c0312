"""Our own file of event recordings: a whole set in one HDF5 file, read lazily, each recording verified.

``event_columns`` says how events lie in it. Beside the columns (``events/t``, ``x``, ``y``, ``p``, ``gaps``)
there is one row a recording in ``recordings/``: ``name``, ``label`` (-1: unknown), ``events``, ``gaps``,
``checksum`` (CRC-32 of its columns), and what is known of ``split``, ``picture``, ``sample`` and
``source_sha256``. Any HDF5 reader can read it.

Behind the end of what HDF5 reads stand where each chunk of the columns lies, and a hash of this table and of
all bytes that are no such chunk. The hash is verified before HDF5 sees the file, which damage can keep in a
loop for ever; chunks are read past HDF5, at their places, and verified with their recording. So nothing is
held open, and processes share nothing but the file's name.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import EventsnnError, InvalidFile, MissingFile
from eventsnn.events.event_columns import (
    CHUNK,
    COLUMNS,
    GAP,
    chunk_lengths,
    column_types,
    decode_chunk,
    no_events,
)
from eventsnn.events.event_seal import sealed_table
from eventsnn.events.stream import Events

FORMAT = "eventsnn-events"
SCHEMA = 1
GAPS_CHUNK = 512  # in files written now
# A row of the table: which column, where it begins in it, its place in the file and its length there.
TABLE_COLUMNS = (*COLUMNS, "gaps")
_ATTRIBUTES: dict[str, type] = {
    "version": str,
    "data": str,
    "kind": str,
    "orientation": str,
    "clock": str,
    "origin": str,
    "source": str,
    "height": int,
    "width": int,
    "downsampled": int,
}
_COLUMNS_OF_RECORDINGS = {
    "name": "S",
    "split": "S",
    "source_sha256": "S",
    "label": "i",
    "events": "i",
    "gaps": "i",
    "checksum": "i",
    "picture": "i",
    "sample": "i",
}
NEEDED = ("name", "label", "events", "gaps", "checksum")


@dataclass(frozen=True, eq=False)
class EventFile:
    """An opened file: everything but the events.

    Attributes
    ----------
    attributes
        What is the same for all recordings: ``data`` says in words what they are (``emulated ...`` where
        no camera recorded them), ``kind`` the kind of data set they came from, ``source`` how they were made
        (JSON), ``version`` the software.
    recordings
        Columns of ``recordings/`` by name, one row a recording.
    class_names
        Of the labels.
    """

    path: str
    attributes: dict[str, Any]
    recordings: dict[str, NDArray[Any]]
    class_names: tuple[str, ...]
    places: dict[str, NDArray[np.int64]] = field(repr=False)
    first_chunk: NDArray[np.int64] = field(repr=False)
    first_gap: NDArray[np.int64] = field(repr=False)
    gaps_chunk: int = field(repr=False)
    last_gaps: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)
    """The chunk of gaps that was read last: short recordings share one. Its hash is of their recordings."""

    def __len__(self) -> int:
        return len(self.recordings["events"])

    def texts(self, name: str) -> list[str]:
        """A column of texts."""
        return [item.decode("utf-8", "surrogateescape") for item in self.recordings[name].tolist()]

    def read(self, position: int) -> Events:
        """The events of one recording.

        Raises
        ------
        InvalidFile
            It was damaged.
        """
        events = no_events(int(self.recordings["events"][position]))
        for _ in self._decoded(position, events):
            pass
        return events

    def chunks(self, position: int) -> Iterator[Events]:
        """The events of one recording, up to ``CHUNK`` at a time, in bounded memory.

        Raises
        ------
        InvalidFile
            It was damaged; what a hash alone can tell is said at the end.
        """
        return self._decoded(position, None)

    def _decoded(self, position: int, whole: Events | None) -> Iterator[Events]:
        count, row = int(self.recordings["events"][position]), self.recordings
        sensor = (int(self.attributes["height"]), int(self.attributes["width"]))
        types, lengths = column_types(*sensor), chunk_lengths()
        before, checksum, taken = 0, 0, 0
        try:
            with open(self.path, "rb", buffering=0) as file:
                gaps = _Gaps(self, file, int(self.first_gap[position]), int(row["gaps"][position]))
                for chunk, begin in enumerate(range(0, count, CHUNK), int(self.first_chunk[position])):
                    length = min(CHUNK, count - begin)
                    columns = {}
                    for name in COLUMNS:
                        used = -(-length * lengths[name] // CHUNK)
                        place = self.places[name][chunk]
                        columns[name] = _column(file, place, types[name], lengths[name], used)
                    into = no_events(length) if whole is None else whole[begin : begin + length]
                    waiting = gaps.next(int(np.count_nonzero(columns["t"] == GAP)))
                    before, checksum, used = decode_chunk(columns, waiting, into, before, sensor, checksum)
                    taken += used
                    yield into
            if checksum != int(row["checksum"][position]) or taken != int(row["gaps"][position]):
                raise ValueError("its checksum does not fit")
        except EventsnnError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            name = self.texts("name")[position]
            raise InvalidFile(
                f"{self.path}: recording {position} ({name}) cannot be read: {reason}. The file was changed "
                "or damaged after it was written; make it again, or fetch it again"
            ) from error


class _Gaps:
    """The long gaps of one recording, one after the other."""

    def __init__(self, opened: EventFile, file: BinaryIO, first: int, count: int) -> None:
        self.opened, self.file, self.length = opened, file, opened.gaps_chunk
        self.next_gap, self.end = first, first + count
        self.held = np.empty(0, np.int64)

    def next(self, needed: int) -> NDArray[np.int64]:
        while len(self.held) < needed and self.next_gap < self.end:
            chunk, offset = divmod(self.next_gap, self.length)
            found = self._chunk(chunk)[offset : offset + self.end - self.next_gap]
            self.held = np.concatenate([self.held, found])
            self.next_gap += len(found)
        taken, self.held = self.held[:needed], self.held[needed:]
        return taken

    def _chunk(self, chunk: int) -> NDArray[np.int64]:
        found = self.opened.last_gaps.get(chunk)
        if found is None:
            place = self.opened.places["gaps"][chunk]
            found = _column(self.file, place, np.dtype("<i8"), self.length, self.length).astype(np.int64)
            self.opened.last_gaps.clear()
            self.opened.last_gaps[chunk] = found
        return found


def _column(
    file: BinaryIO, place: NDArray[np.int64], kind: np.dtype[np.generic], length: int, used: int
) -> NDArray[Any]:
    """The first ``used`` of the ``length`` elements of a chunk."""
    offset, size = int(place[0]), int(place[1])
    packed = os.pread(file.fileno(), size, offset)
    needed = used if kind.itemsize == 1 else length * kind.itemsize
    raw = zlib.decompressobj().decompress(packed, needed) if needed else b""
    if len(raw) != needed:
        raise ValueError("a chunk is not as long as it should be")
    plain = np.frombuffer(raw, np.uint8)
    return plain if kind.itemsize == 1 else plain.reshape(kind.itemsize, -1).T.copy().view(kind)[:used, 0]


def open_event_file(path: str | os.PathLike[str]) -> EventFile:
    """Open a file of recordings and verify everything but the events.

    Raises
    ------
    MissingFile
        There is none.
    InvalidFile
        It is no such file, of a newer version, or damaged.
    """
    found = Path(path)
    if not found.is_file():
        raise MissingFile(f"there is no file {found}; give a file that eventsnn data prepare wrote")
    state = found.stat()
    return _opened(str(found.resolve()), state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=8)
def _opened(path: str, changed: int, size: int) -> EventFile:
    del changed, size
    try:
        return _open(path)
    except EventsnnError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidFile(f"{path} cannot be read as a file of event recordings: {reason}") from error


def _open(path: str) -> EventFile:
    import h5py

    table = sealed_table(path)
    with h5py.File(path, "r") as file:
        schema = int(file.attrs["schema"])
        if schema != SCHEMA:
            raise InvalidFile(
                f"{path} has schema {schema}, this version reads {SCHEMA}; take a newer eventsnn"
            )
        attributes = {name: kind(file.attrs[name]) for name, kind in _ATTRIBUTES.items()}
        group = file["recordings"]
        recordings = {name: group[name][()] for name in _COLUMNS_OF_RECORDINGS if name in group}
        gaps_chunk = int(file["events/gaps"].chunks[0])
        names = tuple(item.decode("utf-8", "surrogateescape") for item in file["class_names"][()].tolist())
    _require_fitting(recordings, len(names))
    places = {name: table[table[:, 0] == k][:, 1:] for k, name in enumerate(TABLE_COLUMNS)}
    places = {name: rows[np.argsort(rows[:, 0], kind="stable")][:, 1:] for name, rows in places.items()}
    chunks = -(-recordings["events"] // CHUNK)
    first_chunk, first_gap = np.cumsum(chunks) - chunks, np.cumsum(recordings["gaps"]) - recordings["gaps"]
    gap_chunks = -(-int(recordings["gaps"].sum()) // gaps_chunk)
    if any(len(places[name]) != int(chunks.sum()) for name in COLUMNS) or len(places["gaps"]) != gap_chunks:
        raise ValueError("it has not the chunks that its recordings need")
    return EventFile(path, attributes, recordings, names, places, first_chunk, first_gap, gaps_chunk)


def _require_fitting(recordings: dict[str, NDArray[Any]], classes: int) -> None:
    missing = [name for name in NEEDED if name not in recordings]
    if missing:
        raise ValueError(f"recordings/{missing[0]} is missing")
    count = len(recordings["events"])
    for name, column in recordings.items():
        if column.shape != (count,) or column.dtype.kind != _COLUMNS_OF_RECORDINGS[name]:
            raise ValueError(f"recordings/{name} has shape {column.shape} and type {column.dtype}")
    for name, least in (("events", 0), ("gaps", 0), ("label", -1)):
        if count and int(recordings[name].min()) < least:
            raise ValueError(f"recordings/{name} is {int(recordings[name].min())}")
    if count and classes and int(recordings["label"].max()) >= classes:
        raise ValueError(f"a label is {int(recordings['label'].max())} of {classes} classes")
    if count and (recordings["gaps"] > recordings["events"]).any():
        raise ValueError("a recording has more gaps than events")


def read_recording(path: str | os.PathLike[str], position: int) -> Events:
    """The events of one recording of a file.

    Raises
    ------
    MissingFile, InvalidFile
        As of ``open_event_file``, or the recording is damaged.
    """
    return open_event_file(path).read(position)


def read_recording_in_parts(path: str | os.PathLike[str], position: int, most: int) -> Iterator[Events]:
    """As ``read_recording``, part by part: at most ``most`` events, and at most ``CHUNK``."""
    for piece in open_event_file(path).chunks(position):
        yield from (piece[begin : begin + most] for begin in range(0, len(piece), most))
