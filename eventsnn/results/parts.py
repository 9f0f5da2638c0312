"""One finished sample as bytes, and back: a NumPy ``.npz`` whose comment is the hash of all before it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eventsnn.errors import InvalidFile
from eventsnn.results.table import (
    HISTORY_FIELDS,
    LATER_FIELDS,
    SCALAR_FIELDS,
    TRACE_FIELDS,
    CounterHistory,
    SampleRecord,
)
from eventsnn.results.traces import (
    LATER_COLUMNS,
    PACKED_COLUMNS,
    Kinds,
    LazyTrace,
    PackedTrace,
    Trace,
    pack_trace,
)

_DIGITS = 32


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGITS // 2).hexdigest().encode()


def pack(record: SampleRecord) -> bytes:
    """A sample as the content of a file."""
    arrays: dict[str, Any] = {
        name: np.array(getattr(record, name), dtype=kind) for name, kind in SCALAR_FIELDS.items()
    }
    trace = pack_trace(record.trace)
    arrays |= {f"packed_{name}": column for name, column in trace.columns.items()}
    arrays["packed_classes"] = np.array(trace.classes)
    if record.history is not None:
        arrays |= {f"history_{name}": getattr(record.history, name) for name in HISTORY_FIELDS}
    if record.parts is not None:
        arrays["parts"] = record.parts
    buffer = io.BytesIO()
    np.savez(buffer, digest=np.array(record.digest), counters=record.counters, **arrays)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"0" * _DIGITS
    content = buffer.getvalue()[:-_DIGITS]
    return content + _hash(content)


def unpack(content: bytes) -> SampleRecord | None:
    """The sample that ``pack`` gave, or None if the content is damaged."""
    if content[-_DIGITS:] != _hash(content[:-_DIGITS]):
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            return SampleRecord(
                **{
                    name: data[name].item()
                    for name in SCALAR_FIELDS
                    if name in data or name not in LATER_FIELDS
                },
                counters=data["counters"],
                trace=_trace(data),
                digest=str(data["digest"]),
                history=CounterHistory(**{name: data[f"history_{name}"] for name in HISTORY_FIELDS})
                if "history_time_ps" in data
                else None,
                parts=data.get("parts"),
            )
    except Exception:
        # Readers of archives answer to damage with any kind of error.
        return None


def _trace(data: Any) -> Trace:
    if "packed_classes" not in data:
        # So did versions write it that kept traces as they are.
        return PackedTrace.of({name: data[f"trace_{name}"] for name in TRACE_FIELDS})
    there = [*PACKED_COLUMNS, *(name for name in LATER_COLUMNS if f"packed_{name}" in data)]
    columns = {name: data[f"packed_{name}"] for name in there}
    return PackedTrace(columns, data["packed_classes"].item())


class PartTrace(LazyTrace):
    """The trace of a finished sample, left in its file."""

    def __init__(self, path: Path, trace: PackedTrace) -> None:
        self._path, self._classes, self._kinds = path, trace.classes, trace.kinds

    @property
    def classes(self) -> int:
        """Classes of the readout."""
        return self._classes

    @property
    def kinds(self) -> Kinds:
        """The integers of each column."""
        return self._kinds

    def packed(self) -> PackedTrace:
        """What the file has.

        Raises
        ------
        InvalidFile
            It is damaged, or gone: the run has ended.
        """
        try:
            record = unpack(self._path.read_bytes())
        except OSError as error:
            raise InvalidFile(
                f"{self._path} cannot be read ({error.strerror}); if the run has ended, open its results file"
            ) from error
        if record is None:
            raise InvalidFile(f"{self._path} was damaged just now; the same command makes it again")
        return pack_trace(record.trace)


def left_in_file(record: SampleRecord, path: Path) -> SampleRecord:
    """A sample whose trace stays in the file that ``pack`` fills."""
    return replace(record, trace=PartTrace(path, pack_trace(record.trace)))
