"""NumPy files of events: ``.npy``, and ``.npz`` of one array or of four columns.

Structured arrays may have their fields in any order and under the names that ``columns`` knows; of an array
of shape (n, 4) the order must be said.
"""

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import EventsnnError, InvalidEvents, InvalidFile
from eventsnn.events.readers.columns import (
    decoded,
    in_columns,
    in_parts_of_columns,
    named,
    order_said,
    sensor_said,
)
from eventsnn.events.readers.contract import COLUMNS, Decoded, Settings, Where
from eventsnn.events.readers.files import in_one_line, opened, read_bytes, size_of
from eventsnn.events.stream import Events, validate_events

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"

_MOST_BYTES = 1 << 34


def array_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows as said."""
    return sensor_said(settings, path, "NumPy")


def read_npy(path: Where, settings: Settings) -> Decoded:
    """The events of a ``.npy`` file.

    Raises
    ------
    InvalidFile
        Damaged, or an array of another shape or type; pickled objects are never loaded.
    InvalidEvents
        Values that no event has, or time going back where the clock does not allow it.
    InvalidRequest
        The sensor, the order of the columns or the unit of fractions is not said.
    """
    sensor_said(settings, path, "NumPy")
    with _blamed(path), opened(path) as file:
        array = _Array.of(file, size_of(file), path)
        return decoded(array.columns(array.read(0, array.shape[0]), settings, path), settings, path, "NumPy")


def npy_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The events in parts of at most ``at_once``; errors as of ``read_npy``."""

    def tables() -> Iterator[dict[str, NDArray[Any]]]:
        with _blamed(path), opened(path) as file:
            array = _Array.of(file, size_of(file), path)
            for begin in range(0, array.shape[0], at_once):
                yield array.columns(array.read(begin, at_once), settings, path)

    return in_parts_of_columns(tables(), settings, path, "NumPy")


def read_npz(path: Where, settings: Settings) -> Decoded:
    """The events of an ``.npz`` file: of its only array, or of four arrays named as columns."""
    sensor_said(settings, path, "NumPy")
    with _blamed(path), zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
        names = [item.filename for item in archive.infolist()]
        if sum(item.file_size for item in archive.infolist()) > _MOST_BYTES:
            raise InvalidFile(
                f"{path}: the arrays would take more than {_MOST_BYTES >> 30} GiB; it is damaged"
            )
        arrays = {}
        for name in names:
            if name.endswith(".npy"):
                data = archive.read(name)
                arrays[name.removesuffix(".npy")] = _Array.of(io.BytesIO(data), len(data), path)
        if len(arrays) == 1:
            (array,) = arrays.values()
            return decoded(
                array.columns(array.read(0, array.shape[0]), settings, path), settings, path, "NumPy"
            )
        found = {column: arrays[name] for column, name in named(list(arrays), path).items()}
        shapes = {name: array.shape for name, array in found.items()}
        if len(set(shapes.values())) != 1:
            raise InvalidFile(f"{path}: the columns have the shapes {shapes}; events have one number each")
        columns = {name: array.read(0, array.shape[0]) for name, array in found.items()}
        return decoded(columns, settings, path, "NumPy")


@dataclass(frozen=True)
class _Array:
    """An array of one row or more in an opened file, of whose bytes nothing is read yet."""

    file: BinaryIO
    start: int
    shape: tuple[int, ...]
    by_columns: bool
    kind: np.dtype[Any]

    @classmethod
    def of(cls, file: BinaryIO, size: int, path: Where) -> "_Array":
        """What the header says, if the file has the bytes for it."""
        version = np.lib.format.read_magic(file)
        reads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in reads:
            raise InvalidFile(f"{path}: NumPy files of version {version} are not read")
        shape, by_columns, kind = reads[version](file)
        count, there = 1, size - file.tell()
        for length in shape:
            count *= length
        if kind.hasobject or count < 0 or count * kind.itemsize != there:
            raise InvalidFile(
                f"{path}: an array of shape {shape} and type {kind} does not fit the {there} bytes there "
                "are; the file is truncated, damaged or holds pickled objects"
            )
        if not shape:
            raise InvalidFile(f"{path}: the array holds one number; events are (n, 4) or structured")
        return cls(file, file.tell(), shape, by_columns and len(shape) > 1, kind)

    def read(self, begin: int, most: int) -> NDArray[Any]:
        """So many rows from one on, at most."""
        count = min(most, self.shape[0] - begin)
        width = math.prod(self.shape[1:])
        if not self.by_columns:
            found = self._numbers(begin * width, count * width)
            return found.reshape(count, *self.shape[1:])
        columns = [self._numbers(column * self.shape[0] + begin, count) for column in range(width)]
        return np.stack(columns, axis=1).reshape(count, *self.shape[1:], order="F")

    def _numbers(self, begin: int, count: int) -> NDArray[Any]:
        self.file.seek(self.start + begin * self.kind.itemsize)
        data = bytearray(count * self.kind.itemsize)
        filled = 0
        while filled < len(data) and (got := self.file.readinto(memoryview(data)[filled:])):  # type: ignore[attr-defined]
            filled += got
        return np.frombuffer(data, self.kind, count)

    def columns(self, rows: NDArray[Any], settings: Settings, path: Where) -> dict[str, NDArray[Any]]:
        """The four columns of some rows."""
        if self.kind.names:
            return {column: rows[name] for column, name in named(self.kind.names, path).items()}
        order = order_said(settings, path) if len(self.shape) == 2 else COLUMNS
        return in_columns(rows, order, path)


@contextmanager
def _blamed(path: Where) -> Iterator[None]:
    try:
        yield
    except EventsnnError:
        raise
    except Exception as error:
        # NumPy and its decoders answer to damage with any kind of error.
        raise InvalidFile(
            f"{path}: cannot be read as a NumPy file ({in_one_line(error)}); it is damaged"
        ) from error


def write_npy(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a structured array with the fields t, x, y and p; reading it back gives the same events."""
    _require(path, events, height, width)
    with Path(path).open("wb") as file:
        np.save(file, events, allow_pickle=False)


def write_npz(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write four compressed arrays, t, x, y and p; reading them back gives the same events."""
    _require(path, events, height, width)
    with Path(path).open("wb") as file:
        np.savez_compressed(file, t=events["t"], x=events["x"], y=events["y"], p=events["p"])


def _require(path: Where, events: Events, height: int, width: int) -> None:
    validate_events(events, height, width, f"{path} (to be written)")
    if not len(events):
        raise InvalidEvents(f"{path}: there is no event to write")
