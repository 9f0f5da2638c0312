"""Pictures to make recordings of, and where each comes from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import whole
from eventsnn.errors import InvalidRequest
from eventsnn.events import CIFAR10_CLASSES, ImageSet, open_dataset
from eventsnn.events.event_parts import Row
from eventsnn.events.synthetic import emulated_name


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures to make recordings of, and where each comes from.

    Attributes
    ----------
    images
        uint8, shape (n, y, x) or (n, y, x, 3).
    labels
        Shape (n,), -1 where unknown.
    splits
        Which split of its set each comes from: ``"train"``, ``"test"``, or None.
    pictures
        Its number within that split.
    samples
        Its number in the whole file, which keys all draws.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: tuple[str | None, ...]
    pictures: NDArray[np.int64]
    samples: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def row(self, position: int) -> Row:
        """What is kept of a picture beside its events."""
        label, split = int(self.labels[position]), self.splits[position]
        picture = int(self.pictures[position])
        known = None if label < 0 else label
        name = emulated_name(split, None if known is None else self.class_names[known], picture)
        return Row(name, known, split, picture, int(self.samples[position]))

    def digest(self) -> str:
        """A hash of the pictures and what is said of them."""
        made = hashlib.blake2b(digest_size=16)
        made.update(f"{self.images.shape}{self.splits}{self.class_names}".encode())
        for array in (self.images, self.labels, self.pictures, self.samples):
            made.update(np.ascontiguousarray(array).data)
        return made.hexdigest()


def pictures_of(data: str | ImageSet, split: str | None = None, samples: int | None = None) -> Pictures:
    """Pictures of an image file, ``images:FILE.npz`` or its path, or of a set.

    Parameters
    ----------
    split
        ``"train"``, ``"test"``, or all.
    samples
        Take that many, evenly over the list, which lies train before test.

    Raises
    ------
    InvalidRequest
        It holds no pictures of 8 bits, or other ones than were asked for.
    InvalidFile, InvalidEvents
        As of ``open_dataset``.
    """
    sets = [data] if isinstance(data, ImageSet) else _image_sets(data, split)
    firsts = [int(found.indices[0]) if isinstance(data, str) and len(found) else 0 for found in sets]
    images = np.concatenate([found.images for found in sets])
    if images.dtype != np.uint8 or images.shape[-1] not in (1, 3) or not len(images):
        raise InvalidRequest(
            f"the pictures have shape {images.shape} and dtype {images.dtype}; give uint8 of shape (n, rows, "
            "columns) or (n, rows, columns, 3)"
        )
    made = Pictures(
        images[..., 0] if images.shape[-1] == 1 else images,
        np.concatenate([found.labels for found in sets]),
        tuple(found.split if found.split in ("train", "test") else None for found in sets for _ in found),
        np.concatenate([found.indices - first for found, first in zip(sets, firsts, strict=True)]),
        np.concatenate([found.indices for found in sets]),
        next((found.class_names for found in sets if found.class_names), ()),
    )
    largest = int(made.labels.max())
    names = made.class_names or (
        CIFAR10_CLASSES
        if largest < 10 and images.shape[1:] == (32, 32, 3)
        else tuple(map(str, range(largest + 1)))
    )
    chosen = np.arange(len(made))
    if samples is not None:
        count = whole(samples, "samples", InvalidRequest)
        if not 1 <= count <= len(made):
            raise InvalidRequest(
                f"{count} samples asked of {len(made)} pictures; allowed are 1 to {len(made)}"
            )
        chosen = np.arange(count) * len(made) // count
    return Pictures(
        made.images[chosen],
        made.labels[chosen],
        tuple(made.splits[k] for k in chosen),
        made.pictures[chosen],
        made.samples[chosen],
        names,
    )


def _image_sets(data: str, split: str | None) -> list[ImageSet]:
    spec = data if data.startswith("images:") else f"images:{data}"
    found = []
    if split in (None, "all"):
        for part in ("train", "test"):
            try:
                found.append(open_dataset(spec, part))
            except InvalidRequest:  # it has no such split
                continue
    return [item for item in found or [open_dataset(spec, split)] if isinstance(item, ImageSet)]
