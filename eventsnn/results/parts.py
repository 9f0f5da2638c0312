"""One finished sample as bytes, and back: a NumPy ``.npz`` whose comment is the hash of all before it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any

import numpy as np

from eventsnn.results.table import (
    HISTORY_FIELDS,
    LATER_FIELDS,
    SCALAR_FIELDS,
    TRACE_FIELDS,
    CounterHistory,
    SampleRecord,
)

_DIGITS = 32


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGITS // 2).hexdigest().encode()


def pack(record: SampleRecord) -> bytes:
    """A sample as the content of a file."""
    arrays: dict[str, Any] = {
        name: np.array(getattr(record, name), dtype=kind) for name, kind in SCALAR_FIELDS.items()
    }
    arrays |= {f"trace_{name}": record.trace[name] for name in TRACE_FIELDS}
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
                trace={name: data[f"trace_{name}"] for name in TRACE_FIELDS},
                digest=str(data["digest"]),
                history=CounterHistory(**{name: data[f"history_{name}"] for name in HISTORY_FIELDS})
                if "history_time_ps" in data
                else None,
                parts=data.get("parts"),
            )
    except Exception:
        # Readers of archives answer to damage with any kind of error.
        return None
