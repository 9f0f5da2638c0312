"""The samples of a run, whatever they were given as: a data-set text, a set, or recordings in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from eventsnn.errors import InvalidRequest
from eventsnn.events import Recording, RecordingSet, open_dataset

# Of each file its name, size and beginning identify it: whole data sets may be many gigabytes.
HASHED_BYTES = 1 << 16


class MemorySet:
    """Recordings held in memory: event arrays, (events, label) pairs or ``Recording`` objects."""

    kind = "memory"
    split = None
    path = None

    def __init__(self, items: Iterable[Any]) -> None:
        self._recordings = [self._recording(item, index) for index, item in enumerate(items)]
        self.labels = np.array([-1 if r.label is None else r.label for r in self._recordings], dtype=np.int64)
        self.class_names: tuple[str, ...] = ()
        self.indices = tuple(recording.index for recording in self._recordings)
        if len(set(self.indices)) != len(self.indices):
            raise InvalidRequest("two recordings share an index; each sample needs one of its own")

    @staticmethod
    def _recording(item: Any, index: int) -> Recording:
        if isinstance(item, Recording):
            return item
        events, label = item if isinstance(item, tuple) else (item, None)
        if not isinstance(events, np.ndarray) or events.dtype.names is None:
            raise InvalidRequest(
                f"sample {index} is a {type(events).__name__}; a sample is a structured event array "
                "(t, x, y, p), an (events, label) pair, or a Recording"
            )
        return Recording(events, None if label is None else int(label), index, f"sample {index}")

    def __len__(self) -> int:
        return len(self._recordings)

    def __getitem__(self, index: int) -> Recording:
        return self._recordings[index]


Samples = RecordingSet | MemorySet


def open_samples(data: Any, split: str | None = None, samples: int | None = None) -> Samples:
    """The samples a user named or handed over.

    Parameters
    ----------
    data : str, RecordingSet, or sequence
        ``KIND:PATH``, an opened set, or event arrays, (events, label) pairs, ``Recording`` objects.
    split : str, optional
        Of a data-set text.
    samples : int, optional
        Take that many, evenly over the sorted list (sets and texts only).

    Raises
    ------
    InvalidRequest
        No samples, or more asked for than there are.
    """
    found: Samples
    if isinstance(data, str):
        found = open_dataset(data, split)
    elif isinstance(data, RecordingSet):
        found = data
    elif isinstance(data, np.ndarray) and data.dtype.names is not None:
        found = MemorySet([data])
    elif isinstance(data, Sequence):
        found = MemorySet(data)
    else:
        raise InvalidRequest(
            f"data is a {type(data).__name__}; give 'KIND:PATH', a RecordingSet, or a list of recordings"
        )
    if samples is not None:
        if isinstance(found, MemorySet):
            raise InvalidRequest("samples=N chooses from a data set; slice a list of recordings yourself")
        found = found.evenly(samples)
    if len(found) == 0:
        raise InvalidRequest("there are no samples to run; give at least one recording")
    return found


def sample_indices(samples: Samples) -> list[int]:
    """The index of each sample, nothing read from disk."""
    if isinstance(samples, MemorySet):
        return list(samples.indices)
    return [file.index for file in samples.files]


def describe(samples: Samples) -> dict[str, Any]:
    """What identifies a set of samples, as JSON values; its path apart."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(samples, MemorySet):
        for index in range(len(samples)):
            recording = samples[index]
            digest.update(f"{recording.index}:{recording.label}:{len(recording.events)};".encode())
            digest.update(recording.events.tobytes())
    else:
        for file in samples.files:
            digest.update(f"{file.name}:{file.label}:{file.path.stat().st_size};".encode())
            with file.path.open("rb") as opened:
                digest.update(opened.read(HASHED_BYTES))
    return {
        "kind": samples.kind,
        "split": samples.split,
        "samples": len(samples),
        "files": digest.hexdigest(),
        "fractions": [] if isinstance(samples, MemorySet) else list(samples.fractions),
        "downsampled": 1 if isinstance(samples, MemorySet) else samples.factor,
    }
