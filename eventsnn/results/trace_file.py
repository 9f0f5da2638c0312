"""Traces in a results file: written block by block, and read when somebody asks.

``trace/`` holds, one sample after another, the columns of ``eventsnn.results.traces``: rows of sample i
stand from ``start[i]`` to ``start[i + 1]``, changes from ``change_start[i]`` on. ``checksum`` has a hash of
each sample's columns, which is verified whenever they are read: the file stays open, and nothing but its
blocks in use is in memory.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.results.traces import (
    CHANGE_COLUMNS,
    LATER_COLUMNS,
    PACKED_COLUMNS,
    Kinds,
    LazyTrace,
    PackedTrace,
    Trace,
    classes_of,
    pack_trace,
    widest,
)

GROUP = "trace"
CHUNK = 1 << 15
"""Values of a column that are compressed together."""
BLOCK = 1 << 18
"""Values of a column that are written and read at a time, if no single sample has more."""
DIGITS = 16


def columns_of(there: Iterable[str]) -> list[str]:
    """The columns of a trace in the order in which they are written and hashed."""
    found = set(there)
    return [*PACKED_COLUMNS, *(name for name in LATER_COLUMNS if name in found)]


def hash_of(columns: dict[str, NDArray[Any]], classes: int) -> bytes:
    """Of a sample's columns as they are in the file."""
    digest = hashlib.blake2b(f"{classes}".encode(), digest_size=DIGITS // 2)
    for name in columns_of(columns):
        column = np.ascontiguousarray(columns[name], dtype=columns[name].dtype.newbyteorder("<"))
        digest.update(f"{name}{column.dtype.str}{len(column)}".encode())
        digest.update(column.data)
    return digest.hexdigest().encode()


def write_traces(file: Any, traces: Sequence[Trace]) -> tuple[dict[str, NDArray[Any]], int]:
    """Write the columns of traces, one trace in memory at a time beside a block.

    Returns
    -------
    datasets : dict of arrays
        By path: what is still to be written of them, one value a sample.
    classes : int
        Of every readout; 0 of no samples.

    Raises
    ------
    InvalidRequest
        The readouts differ in their number of classes.
    """
    widths = {classes_of(trace) for trace in traces}
    if len(widths) > 1:
        raise InvalidRequest(f"samples with readouts of {sorted(widths)} classes are not of one network")
    classes = widths.pop() if widths else 0
    kinds = widest(traces)
    names = columns_of(kinds)
    made = {
        name: file.create_dataset(
            f"{GROUP}/{name}", (0,), kinds[name].newbyteorder("<"), maxshape=(None,), chunks=(CHUNK,),
            compression="gzip", compression_opts=1, shuffle=True, fletcher32=True,
        )
        for name in names
    }  # fmt: skip
    waiting: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    rows, changes, written, hashes = [0], [0], 0, []
    for trace in traces:
        packed = pack_trace(trace).columns
        columns = {name: packed[name].astype(kinds[name], copy=False) for name in names}
        for name in names:
            waiting[name].append(columns[name])
        rows.append(rows[-1] + len(columns["time_ps"]))
        changes.append(changes[-1] + len(columns["gap"]))
        hashes.append(hash_of(columns, classes))
        if max(rows[-1], changes[-1]) - written >= BLOCK:
            written = max(rows[-1], changes[-1])
            _append(made, waiting)
    _append(made, waiting)
    found = {
        f"{GROUP}/start": np.array(rows, dtype=np.int64),
        f"{GROUP}/change_start": np.array(changes, dtype=np.int64),
        f"{GROUP}/checksum": np.array(hashes, dtype=f"S{DIGITS}"),
    }
    return found, classes


def _append(made: dict[str, Any], waiting: dict[str, list[NDArray[Any]]]) -> None:
    """Write what waits for its dataset."""
    for name, pieces in waiting.items():
        begin = len(made[name])
        made[name].resize((begin + sum(map(len, pieces)),))
        if pieces:
            made[name][begin:] = np.concatenate(pieces)
        pieces.clear()


class StoredTraces:
    """The traces of an open results file.

    Parameters
    ----------
    file : binary file
        Open for reading; it is kept open, so that removing or replacing the file changes nothing here.
    path : str
        What the file is called.
    start, change_start : int64 array, shape (samples + 1,)
    hashes : list of bytes
    kinds : dict of types
        Integers of each column.
    classes : int
    """

    def __init__(
        self, file: BinaryIO, path: str, start: NDArray[np.int64], change_start: NDArray[np.int64],
        hashes: list[bytes], kinds: Kinds, classes: int,
    ) -> None:  # fmt: skip
        self._file, self._path, self.classes, self._hashes = file, path, classes, hashes
        self._starts = {name: change_start if name in CHANGE_COLUMNS else start for name in kinds}
        self.kinds = kinds
        self._sizes = np.maximum(start, change_start)
        self._block: dict[str, NDArray[Any]] = {}
        self._range = range(0)
        self._reading = threading.Lock()
        weakref.finalize(self, file.close)

    def __len__(self) -> int:
        return len(self._hashes)

    def packed(self, position: int) -> PackedTrace:
        """A sample's trace, verified; its neighbours are read along with it.

        Raises
        ------
        InvalidFile
            It was changed or damaged.
        """
        with self._reading:
            if position not in self._range:
                self._read(position)
            begin = {name: int(starts[self._range.start]) for name, starts in self._starts.items()}
            columns = {
                name: self._block[name][starts[position] - begin[name] : starts[position + 1] - begin[name]]
                for name, starts in self._starts.items()
            }
        found = PackedTrace(columns, self.classes)
        if hash_of(columns, self.classes) != self._hashes[position] or not found.sound():
            raise InvalidFile(
                f"{self._path}: the trace of sample {position} does not give its checksum. The file was "
                "changed or damaged after it was written; run 'eventsnn run' again"
            )
        return found

    def _read(self, position: int) -> None:
        import h5py

        limit = int(self._sizes[position]) + BLOCK
        after = max(position + 1, int(np.searchsorted(self._sizes, limit, side="right")) - 1)
        try:
            # Through our own handle: nobody else's opening of the file is in the way.
            with h5py.File(self._file, "r") as file:
                self._block = {
                    name: file[f"{GROUP}/{name}"][starts[position] : starts[after]]
                    for name, starts in self._starts.items()
                }
        except Exception as error:
            # HDF5 answers to damage with any kind of error.
            raise InvalidFile(
                f"{self._path}: the trace of sample {position} cannot be read: {error}"
            ) from error
        self._range = range(position, after)


class StoredTrace(LazyTrace):
    """One sample's trace in a results file."""

    def __init__(self, traces: StoredTraces, position: int) -> None:
        self._traces, self._position = traces, position

    def packed(self) -> PackedTrace:
        """See ``StoredTraces.packed``."""
        return self._traces.packed(self._position)

    @property
    def classes(self) -> int:
        """Classes of the readout."""
        return self._traces.classes

    @property
    def kinds(self) -> Kinds:
        """The integers of each column."""
        return self._traces.kinds
