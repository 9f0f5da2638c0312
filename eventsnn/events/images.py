"""Images: what one is, and sets of them with labels, from arrays or from a NumPy file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.errors import EventsnnError, InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.inputs import Sample

# A normalised image stays within a few; beyond this, someone forgot to scale it.
LARGEST_VALUE = 16.0
CHECKED_AT_ONCE = 1024
# Names of images and labels in a file without splits, and in one with them.
WHOLE = (("x", "y"), ("images", "labels"))
SPLIT = (("{split}_x", "{split}_y"), ("x_{split}", "y_{split}"))


def image_values(image: NDArray[Any], where: str, largest: float = LARGEST_VALUE) -> NDArray[np.float64]:
    """The activations of an image or of several, float64 of the same shape.

    uint8 is divided by 255, bool is 0 or 1, floating-point numbers stay as they are.

    Raises
    ------
    InvalidEvents
        Another type, NaN or infinite values, or a magnitude above ``largest``.
    """
    if image.dtype == np.uint8:
        return image / 255.0
    if image.dtype.kind not in "fb":
        raise InvalidEvents(
            f"{where} has dtype {image.dtype}; images are uint8 (0 to 255), bool, or floating-point"
        )
    values = image.astype(np.float64)
    if not np.isfinite(values).all():
        raise InvalidEvents(f"{where} holds NaN or infinite values; remove or repair it")
    if values.size and float(np.abs(values).max()) > largest:
        raise InvalidEvents(
            f"{where} has values from {values.min():g} to {values.max():g}; allowed here are "
            f"{-largest:g} to {largest:g}. Give uint8 (0 to 255), or scale them to 0 to 1"
        )
    return values


@dataclass(frozen=True, eq=False)
class ImageSet(Sequence[Sample]):
    """An immutable sequence of images in memory; ``image_set`` makes one of arrays.

    Attributes
    ----------
    images
        Shape (n, y, x, channel), as given; ``image_values`` says what they mean.
    labels
        int64, shape (n,), -1 where unknown.
    indices
        Positions in the whole list, whatever split or subset they came from; int64, shape (n,).
    path, split
        The file and split they were read from; None if they come from memory.
    class_names
        Names of the labels; empty, images have none.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    path: str | None = None
    split: str | None = None
    kind: str = "images"
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.images, np.ndarray) or self.images.ndim != 4:
            raise InvalidEvents("the images of an ImageSet are no array (n, y, x, channel); use image_set")
        for name in ("labels", "indices"):
            column = getattr(self, name)
            whole = isinstance(column, np.ndarray) and column.dtype.kind in "iu"
            if not whole or column.shape != (len(self.images),):
                raise InvalidEvents(
                    f"the {name} of an ImageSet are no whole number for each of {len(self.images)} images; "
                    "use image_set"
                )

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, item: int) -> Sample: ...
    @overload
    def __getitem__(self, item: slice) -> ImageSet: ...
    def __getitem__(self, item: int | slice) -> Sample | ImageSet:
        """One image, or a part of the list."""
        if isinstance(item, slice):
            return self._part(np.arange(len(self))[item])
        label, index = int(self.labels[item]), int(self.indices[item])
        return Sample(self.images[item], None if label < 0 else label, index, f"image {index}")

    def __iter__(self) -> Iterator[Sample]:
        return (self[position] for position in range(len(self)))

    def __repr__(self) -> str:
        source = "in memory" if self.path is None else f"{self.path}, split={self.split}"
        return f"ImageSet({source}, {len(self)} images, {self.width} x {self.height} pixels)"

    @property
    def height(self) -> int:
        """Rows of each image."""
        return int(self.images.shape[1])

    @property
    def width(self) -> int:
        """Columns of each image."""
        return int(self.images.shape[2])

    def check(self, largest: float = LARGEST_VALUE, where: str = "images") -> None:
        """Refuse values that no image can have, see ``image_values``; some at a time, they may be many."""
        for begin in range(0, 0 if self.images.dtype == np.uint8 else len(self), CHECKED_AT_ONCE):
            image_values(self.images[begin : begin + CHECKED_AT_ONCE], where, largest)

    def evenly(self, count: int) -> ImageSet:
        """Take ``count`` images evenly over the list: the k-th is number floor(k n / count) of n.

        Raises
        ------
        InvalidRequest
            If ``count`` is below 1 or above the number of images.
        """
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= len(self):
            raise InvalidRequest(
                f"{count!r} samples asked of a set of {len(self)} images; allowed are 1 to {len(self)}"
            )
        return self._part(np.arange(count) * len(self) // count)

    def _part(self, chosen: NDArray[Any]) -> ImageSet:
        return replace(
            self, images=self.images[chosen], labels=self.labels[chosen], indices=self.indices[chosen]
        )


def image_set(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    first: int = 0,
    where: str = "images",
    **source: Any,
) -> ImageSet:
    """Images with or without labels as a set.

    Parameters
    ----------
    images
        Shape (n, y, x, channel), (n, y, x) or (n, values); see ``image_values``.
    labels
        Whole numbers from 0 on, shape (n,).
    first
        The index of the first image.
    where
        What a message calls them.
    source
        ``path`` and ``split`` of the set.

    Raises
    ------
    InvalidEvents
        Shapes that do not fit, or values no image can have.
    """
    array = np.asarray(images)
    if array.ndim not in (2, 3, 4) or 0 in array.shape[1:]:
        raise InvalidEvents(
            f"{where} have shape {array.shape}; allowed are (n, y, x, channel), (n, y, x) and (n, values)"
        )
    if array.ndim == 2:
        array = array[:, np.newaxis, np.newaxis, :]
    elif array.ndim == 3:
        array = array[..., np.newaxis]
    known = np.full(len(array), -1) if labels is None else np.asarray(labels)
    if known.shape != (len(array),) or known.dtype.kind not in "iu":
        raise InvalidEvents(
            f"{where}: the labels have shape {known.shape} and dtype {known.dtype}; give one whole number "
            f"for each of {len(array)} images"
        )
    for label in (int(known.min()), int(known.max())) if labels is not None and len(known) else ():
        if not 0 <= label < 2**31:
            raise InvalidEvents(f"{where}: a label is {label}; labels count from 0")
    made = ImageSet(array, known.astype(np.int64), np.arange(first, first + len(array)), **source)
    made.check(where=where)
    return made


def open_images(path: Path, split: str) -> ImageSet:
    """Read images from an ``.npz`` file.

    It has arrays ``x`` and ``y`` (or ``images`` and ``labels``), or ``train_x``, ``train_y``, ``test_x``,
    ``test_y`` (or ``x_train`` and so on); labels may be missing. The split ``all`` of a file with splits is
    train, then test. Indices count over the whole file.

    Raises
    ------
    InvalidRequest
        The file has no such split.
    InvalidFile
        No NumPy file of images, or a damaged one.
    InvalidEvents
        Values that no image can have.
    """
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise InvalidFile(f"images:{path} is one array; give an .npz file of images and labels")
            return _read_images(path, split, file)
    except EventsnnError:
        raise
    except Exception as error:
        # NumPy and its decoders answer to damage with any kind of error.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if "pickle" in reason:  # what it takes any other file for, with the advice to load it all the same
            reason = "it begins as none, or holds pickled objects, which are never loaded"
        raise InvalidFile(f"images:{path} cannot be read as a NumPy .npz file of images: {reason}") from error


def _read_images(path: Path, split: str, file: Any) -> ImageSet:
    source: dict[str, Any] = {"path": str(path), "split": split}
    for images, labels in WHOLE:
        if images in file.files:
            if split != "all":
                raise InvalidRequest(f"images:{path} has no splits; leave the split {split!r} out")
            return image_set(
                file[images], file[labels] if labels in file.files else None, 0, f"images:{path}", **source
            )
    first, parts = 0, []
    for part in ("train", "test"):
        for images, labels in ((a.format(split=part), b.format(split=part)) for a, b in SPLIT):
            if images not in file.files:
                continue
            wanted = split in ("all", part)
            known = file[labels] if labels in file.files else None
            # The labels tell how many images there are without reading them.
            count = len(file[images] if wanted or known is None else known)
            if wanted:
                parts.append(image_set(file[images], known, first, f"images:{path} {images}", **source))
            first += count
            break
    if not parts and first:
        raise InvalidRequest(
            f"images:{path} has no split {split!r}; it holds {', '.join(sorted(file.files))}"
        )
    if not parts:
        raise InvalidFile(
            f"images:{path} holds {', '.join(sorted(file.files)) or 'nothing'}; images are arrays x and y, "
            "or train_x, train_y, test_x and test_y"
        )
    if len({(p.images.shape[1:], p.images.dtype) for p in parts}) != 1:
        raise InvalidFile(f"images:{path}: train and test images differ in shape or type")
    return replace(
        parts[0],
        images=np.concatenate([p.images for p in parts]),
        labels=np.concatenate([p.labels for p in parts]),
        indices=np.concatenate([p.indices for p in parts]),
    )
