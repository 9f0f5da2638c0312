"""Traces kept small: differences from check to check, and of the readout only what changed.

Between two checks few classes change, and times and counts grow by little. A trace is kept as

* for time, operations, spikes, energy and input events: the difference to the row before, the first row to
  zero;
* for the readout, the same differences row by row, zeros left out: each that is left as its distance
  (``gap``) in the flat table of rows and classes from the one before, the first from -1, and its value
  (``change``).

Each column has the narrowest integers that hold it. Nothing is lost: sums give back every value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRACE_FIELDS = ("time_ps", "readout", "synaptic_operations", "spikes", "energy_aj")
ROW_COLUMNS = tuple(name for name in TRACE_FIELDS if name != "readout")
CHANGE_COLUMNS = ("gap", "change")
PACKED_COLUMNS = (*ROW_COLUMNS, *CHANGE_COLUMNS)
LATER_COLUMNS = ("input_events",)
"""Row by row, too; traces that were recorded before these were lack them."""

Int64 = NDArray[np.int64]
Trace = Mapping[str, Int64]
Kinds = dict[str, np.dtype[Any]]


class LazyTrace(Trace):
    """A trace whose columns are made when they are asked for, each time anew."""

    def packed(self) -> PackedTrace:
        """The same in small."""
        raise NotImplementedError

    @property
    def classes(self) -> int:
        """Classes of the readout."""
        return self.packed().classes

    @property
    def kinds(self) -> Kinds:
        """The integers of each of ``PACKED_COLUMNS``, and of later ones that it has."""
        return {name: column.dtype for name, column in self.packed().columns.items()}

    def __getitem__(self, name: str) -> Int64:
        return self.packed()[name]

    def __iter__(self) -> Iterator[str]:
        later = [name for name in LATER_COLUMNS if name in self.kinds]
        return iter([*TRACE_FIELDS, *later])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in TRACE_FIELDS or (name in LATER_COLUMNS and name in self.kinds)

    def __reduce__(self) -> tuple[Any, ...]:
        # Where it goes there may be no file.
        return self.packed().__reduce__()


@dataclass(frozen=True, eq=False, repr=False)
class PackedTrace(LazyTrace):
    """A trace as the columns of ``PACKED_COLUMNS``, in memory.

    Attributes
    ----------
    columns : dict of integer arrays
        Those of ``ROW_COLUMNS`` and ``LATER_COLUMNS`` of shape (checks,), the others of shape (changes,).
    width : int
        Classes of the readout.
    """

    columns: dict[str, NDArray[Any]]
    width: int

    @classmethod
    def of(cls, trace: Trace) -> PackedTrace:
        """Of the columns of ``TRACE_FIELDS``, and of those that came later."""
        there = [*ROW_COLUMNS, *(name for name in LATER_COLUMNS if name in trace)]
        columns = {name: narrowed(_differences(trace[name])) for name in there}
        readout = np.asarray(trace["readout"], dtype=np.int64)
        changes = _differences(readout).reshape(-1)
        places = np.flatnonzero(changes)
        columns["gap"] = narrowed(np.diff(places, prepend=-1))
        columns["change"] = narrowed(changes[places])
        return cls(columns, readout.shape[1])

    def packed(self) -> PackedTrace:
        """Itself."""
        return self

    @property
    def classes(self) -> int:
        """Classes of the readout."""
        return self.width

    @property
    def checks(self) -> int:
        """Rows."""
        return len(self.columns["time_ps"])

    def __getitem__(self, name: str) -> Int64:
        if name != "readout":
            if name not in (*ROW_COLUMNS, *LATER_COLUMNS):
                raise KeyError(name)
            return np.cumsum(self.columns[name], dtype=np.int64)
        readout = np.zeros((self.checks, self.width), dtype=np.int64)
        places = np.cumsum(self.columns["gap"], dtype=np.int64) - 1
        readout.reshape(-1)[places] = self.columns["change"]
        return np.cumsum(readout, axis=0, out=readout)

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedTrace, (self.columns, self.width)

    def sound(self) -> bool:
        """Whether these columns are those of a trace."""
        rows = {len(column) for name, column in self.columns.items() if name not in CHANGE_COLUMNS}
        gaps = self.columns["gap"]
        if len(rows) != 1 or len(gaps) != len(self.columns["change"]) or (len(gaps) and gaps.min() < 1):
            return False
        return int(gaps.sum(dtype=np.int64)) <= rows.pop() * self.width


def widest(traces: Iterable[Trace]) -> Kinds:
    """The narrowest integers that hold each column that all traces have; no trace is read for it."""
    least = np.dtype("i1")
    found: Kinds = dict.fromkeys(PACKED_COLUMNS, least)
    lacking: set[str] = set()
    for trace in traces:
        kinds = (trace if isinstance(trace, LazyTrace) else pack_trace(trace)).kinds
        for name, kind in kinds.items():
            if kind.itemsize >= found.get(name, least).itemsize:
                found[name] = kind
        lacking |= set(LATER_COLUMNS) - kinds.keys()
    return {name: kind for name, kind in found.items() if name not in lacking}


def pack_trace(trace: Trace) -> PackedTrace:
    """Any trace in small."""
    return trace.packed() if isinstance(trace, LazyTrace) else PackedTrace.of(trace)


def classes_of(trace: Trace) -> int:
    """Classes of a trace's readout, the readout itself left packed where it is."""
    return trace.classes if isinstance(trace, LazyTrace) else trace["readout"].shape[1]


def _differences(values: NDArray[Any]) -> Int64:
    """Each row less the one before it; sums of these modulo 2^64 give back any values."""
    found = np.array(values, dtype=np.int64)
    found[1:] -= values[:-1]
    return found


def narrowed(values: Int64) -> NDArray[Any]:
    """The same values in the narrowest signed integers that hold them all."""
    least, most = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    for kind in (np.int8, np.int16, np.int32):
        limits = np.iinfo(kind)
        if limits.min <= least and most <= limits.max:
            return values.astype(kind)
    return values
