"""The samples of a run, whatever they were given as: a data-set text, a set, or recordings in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eventsnn.arguments import shown, text, whole
from eventsnn.errors import InvalidRequest
from eventsnn.events import (
    AnalogImage,
    ImageSet,
    Recording,
    RecordingSet,
    Sample,
    SpikeTrain,
    image_set,
    open_dataset,
)
from eventsnn.events.contents import content_bytes, content_hash, file_hash
from eventsnn.events.tonic_sets import is_tonic, tonic_recordings
from eventsnn.run.inputs import content_of, is_events
from eventsnn.run.options import ORIGINS

# Of each file its name, size and beginning identify it: whole data sets may be many gigabytes.
HASHED_BYTES = 1 << 16
_CONTENTS = (np.ndarray, SpikeTrain, AnalogImage)


class MemorySet:
    """Samples held in memory; ``open_samples`` says of which forms."""

    kind = "memory"
    split = None
    path = None

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = [_item(item, index) for index, item in enumerate(items)]
        self.labels = np.array([-1 if i.label is None else i.label for i in self._items], dtype=np.int64)
        self.class_names: tuple[str, ...] = ()
        self.indices = tuple(item.index for item in self._items)
        if len(set(self.indices)) != len(self.indices):
            raise InvalidRequest("two recordings share an index; each sample needs one of its own")

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Recording | Sample:
        return self._items[index]


def _item(item: Any, index: int) -> Recording | Sample:
    if isinstance(item, Recording | Sample):
        return _checked(item, index)
    content, label = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
    if not isinstance(content, _CONTENTS):
        raise InvalidRequest(
            f"sample {index} is a {type(content).__name__}; a sample is a structured event array (t, x, y, "
            "p), a SpikeTrain, an AnalogImage, an image, a pair of one of these and a label, or a Recording"
        )
    return Sample(content, None if label is None else _label(label, index), index, f"sample {index}")


def _checked(item: Recording | Sample, place: int) -> Recording | Sample:
    """A sample that brings its own label, index and name, checked like those that are given none."""
    where = f"sample {place} of the list"
    content = content_of(item)
    if not isinstance(content, np.ndarray if isinstance(item, Recording) else _CONTENTS):
        raise InvalidRequest(
            f"{where} is a {type(item).__name__} that holds a {type(content).__name__}; a Recording holds a "
            "structured event array (t, x, y, p), a Sample one of these, a SpikeTrain, an AnalogImage or an "
            "image"
        )
    if isinstance(item, Recording) and item.origin not in ORIGINS:
        raise InvalidRequest(
            f"the origin of {where} is {shown(item.origin)}; allowed are {', '.join(ORIGINS)}"
        )
    return replace(
        item,
        label=None if item.label is None else _label(item.label, place),
        index=whole(item.index, f"the index of {where}", InvalidRequest, 0, 2**63 - 1),
        name=text(item.name, f"the name of {where}", InvalidRequest),
    )


def _label(label: Any, index: int) -> int:
    if isinstance(label, list | tuple | np.ndarray) and np.size(label) > 1:
        raise InvalidRequest(
            f"the label of sample {index} is {shown(label)}; it must be one whole number, the class: of "
            "one-hot rows take argmax(axis=1)"
        )
    return whole(label, f"the label of sample {index}", InvalidRequest, 0, 2**31 - 1)


Samples = RecordingSet | ImageSet | MemorySet


def open_samples(data: Any, split: str | None = None, samples: int | None = None) -> Samples:
    """The samples a user named or handed over.

    Parameters
    ----------
    data : str, RecordingSet, ImageSet, tonic data set, array or sequence
        ``KIND:PATH``, an opened set, an object of the package tonic, an array of images, or a sequence of
        event arrays, spike trains, analog images, images, pairs of one of these and a label, ``Recording``
        or ``Sample`` objects.
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
    if split is not None:
        text(split, "split", InvalidRequest)
    if isinstance(data, str):
        found = open_dataset(data, split)
    elif isinstance(data, RecordingSet | ImageSet):
        found = data
    elif is_tonic(data):
        found = tonic_recordings(data)
    elif isinstance(data, np.ndarray) and data.dtype.names is not None:
        found = MemorySet([data])
    elif isinstance(data, np.ndarray):
        found = image_set(data)
    elif isinstance(data, Sequence):
        found = MemorySet(data)
    else:
        raise InvalidRequest(
            f"data is a {type(data).__name__}; give 'KIND:PATH', a set of recordings or images, or a list of "
            "samples"
        )
    if samples is not None:
        samples = whole(samples, "samples", InvalidRequest)
        if isinstance(found, MemorySet):
            raise InvalidRequest("samples=N chooses from a data set; slice a list of recordings yourself")
        found = found.evenly(samples)
    if len(found) == 0:
        raise InvalidRequest("there are no samples to run; give at least one recording")
    return found


def sample_indices(samples: Samples) -> list[int]:
    """The index of each sample, nothing read from disk."""
    if isinstance(samples, RecordingSet):
        return [file.index for file in samples.files]
    return [int(index) for index in samples.indices]


def sample_name(samples: Samples, position: int) -> str:
    """What a sample is called, nothing read from disk."""
    if isinstance(samples, RecordingSet):
        return samples.files[position].name
    return samples[position].name


def describe(samples: Samples) -> dict[str, Any]:
    """What identifies a set of samples, as JSON values; its path apart."""
    digest = hashlib.blake2b(digest_size=16)
    for position in range(len(samples)):
        _hash_sample(digest, samples, position)
    return {
        "kind": samples.kind,
        "split": samples.split,
        "samples": len(samples),
        "files": digest.hexdigest(),
        "fractions": list(samples.fractions) if isinstance(samples, RecordingSet) else [],
    } | _reading(samples)


def _reading(samples: Samples) -> dict[str, Any]:
    """How recordings are read, where that is not what results of old took for granted."""
    if not isinstance(samples, RecordingSet):
        return {}
    transforms = [str(transform) for transform, _, _ in samples.transforms]
    found = {"orientation": samples.orientation, "clock": samples.clock, "transforms": transforms}
    found |= {"source": samples.source}
    oriented = "cifar10-dvs" if samples.orientation else None
    usual: dict[str, Any] = {"orientation": oriented, "clock": "last-reset", "transforms": [], "source": ""}
    return {name: value for name, value in found.items() if value != usual[name]} | dict(samples.said)


def sources(samples: Samples) -> tuple[dict[int, str], dict[int, str]]:
    """Hashes of each sample's input by index: with its name and label, and of the content alone."""
    found, contents = {}, {}
    for position, index in enumerate(sample_indices(samples)):
        digest = hashlib.blake2b(digest_size=8)
        contents[index] = _hash_sample(digest, samples, position)
        found[index] = digest.hexdigest()
    return found, contents


def _hash_sample(digest: Any, samples: Samples, position: int) -> str:
    """Add a sample with its name and label; its content's own hash."""
    if not isinstance(samples, RecordingSet):
        item = samples[position]
        own = f"{item.origin};" if isinstance(item, Recording) and item.origin != "first-event" else ""
        digest.update(f"{item.index}:{item.label};{own}".encode())
        content = content_bytes(item)
        digest.update(content)
        return content_hash(content)
    file = samples.files[position]
    if file.checksum is not None:
        digest.update(f"{file.name}:{file.label}:{file.checksum};".encode("utf-8", "surrogateescape"))
        return file_hash(samples, position, 0, b"")
    size, beginning = samples.beginning(position, HASHED_BYTES)
    extent = "" if file.extent is None else f"{file.extent};"
    digest.update(f"{file.name}:{file.label}:{size};{extent}".encode("utf-8", "surrogateescape"))
    digest.update(beginning)
    return file_hash(samples, position, size, beginning)


def origins(samples: Samples) -> str | None:
    """What the time zero of recordings is, left to themselves; None for samples that are none."""
    if isinstance(samples, RecordingSet):
        return samples.origin
    if isinstance(samples, ImageSet):
        return None
    items = [samples[position] for position in range(len(samples))]
    found = {
        item.origin if isinstance(item, Recording) else "first-event"
        for item in items
        if isinstance(item, Recording) or is_events(item.content)
    }
    return ", ".join(sorted(found)) or None
