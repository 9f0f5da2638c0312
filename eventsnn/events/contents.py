"""What a sample holds, as a short hash: a copy under another name, index or label gives the same.

Of a recording in a file it is of the file's length and beginning, before anything is left out or changed by
how it is read; of an image, and of samples in memory, of all their numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from eventsnn.events.images import ImageSet
from eventsnn.events.inputs import Sample
from eventsnn.events.recordings import Recording, RecordingSet

BEGINNING = 1 << 13
"""Bytes of a file that are looked at: enough to tell recordings apart, and read in no time."""
DIGITS = 16


def file_hash(recordings: RecordingSet, position: int, size: int, beginning: bytes) -> str:
    """Of a recording whose file has so many bytes and begins so; in a file of ours, of its checksum."""
    file = recordings.files[position]
    digest = hashlib.blake2b(digest_size=DIGITS // 2)
    if file.checksum is not None:
        digest.update(f"checksum {file.checksum}".encode())
    else:
        extent = "" if file.extent is None else f"{file.extent};"
        digest.update(f"file {size};{extent}".encode() + beginning[:BEGINNING])
    return digest.hexdigest()


def content_hash(content: bytes) -> str:
    """Of a sample in memory, as ``content_bytes`` gives it."""
    return hashlib.blake2b(content, digest_size=DIGITS // 2).hexdigest()


def content_bytes(item: Recording | Sample) -> bytes:
    """A sample's content: its kind, and each of its numbers with type and shape."""
    return _bytes_of(item.events if isinstance(item, Recording) else item.content)


def _bytes_of(content: Any) -> bytes:
    if isinstance(content, np.ndarray):
        return f"{content.dtype}{content.shape}".encode() + content.tobytes()
    parts = [
        _bytes_of(value) if isinstance(value, np.ndarray) else f"{value};".encode()
        for value in vars(content).values()
    ]
    return type(content).__name__.encode() + b"".join(parts)


def content_hashes(samples: RecordingSet | ImageSet | Sequence[Recording | Sample]) -> list[str]:
    """The hash of each sample, in their order; 16 hex digits."""
    if not isinstance(samples, RecordingSet):
        return [content_hash(content_bytes(samples[position])) for position in range(len(samples))]
    found = []
    for position, file in enumerate(samples.files):
        size, beginning = (0, b"") if file.checksum is not None else samples.beginning(position, BEGINNING)
        found.append(file_hash(samples, position, size, beginning))
    return found
