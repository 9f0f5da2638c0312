"""NumPy files of events: ``.npy``, and ``.npz`` of one array or of four columns.

Structured arrays may have their fields in any order and under the names that ``columns`` knows; of an array
of shape (n, 4) the order must be said.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import EventsnnError, InvalidEvents, InvalidFile
from eventsnn.events.readers.columns import decoded, named, order_said, rows, sensor_said
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import in_one_line, read_bytes
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
    with _blamed(path):
        data = read_bytes(path)
        return _of_array(_array(data, path), settings, path)


def read_npz(path: Where, settings: Settings) -> Decoded:
    """The events of an ``.npz`` file: of its only array, or of four arrays named as columns."""
    with _blamed(path), zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
        names = [item.filename for item in archive.infolist()]
        if sum(item.file_size for item in archive.infolist()) > _MOST_BYTES:
            raise InvalidFile(
                f"{path}: the arrays would take more than {_MOST_BYTES >> 30} GiB; it is damaged"
            )
        arrays = {
            name.removesuffix(".npy"): _array(archive.read(name), path)
            for name in names
            if name.endswith(".npy")
        }
    if len(arrays) == 1:
        return _of_array(next(iter(arrays.values())), settings, path)
    found = named(list(arrays), path)
    return _of_columns({column: arrays[name] for column, name in found.items()}, settings, path)


def _array(data: bytes, path: Where) -> NDArray[Any]:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    reads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in reads:
        raise InvalidFile(f"{path}: NumPy files of version {version} are not read")
    shape, _, kind = reads[version](stream)
    count = 1
    for length in shape:
        count *= length
    if kind.hasobject or count < 0 or count * kind.itemsize != len(data) - stream.tell():
        raise InvalidFile(
            f"{path}: an array of shape {shape} and type {kind} does not fit the "
            f"{len(data) - stream.tell()} bytes "
            "there are; the file is truncated, damaged or holds pickled objects"
        )
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _of_array(array: NDArray[Any], settings: Settings, path: Where) -> Decoded:
    if array.dtype.names:
        found = named(array.dtype.names, path)
        return _of_columns({column: array[name] for column, name in found.items()}, settings, path)
    sensor_said(settings, path, "NumPy")
    if array.ndim != 2:
        return decoded(rows(array, "txyp", path), settings, path, "NumPy")
    return decoded(rows(array, order_said(settings, path), path), settings, path, "NumPy")


def _of_columns(columns: dict[str, NDArray[Any]], settings: Settings, path: Where) -> Decoded:
    lengths = {name: column.shape for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise InvalidFile(f"{path}: the columns have the shapes {lengths}; events have one number each")
    return decoded(columns, settings, path, "NumPy")


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
