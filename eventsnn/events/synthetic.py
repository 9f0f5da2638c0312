"""Emulated CIFAR10-DVS as files, in the folder layout and file format of the real data set."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.events.readers.aedat2 import write_aedat
from eventsnn.events.smooth import emulate_smooth_movement


def write_emulated_cifar10_dvs(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    folder: str | os.PathLike[str],
    class_names: tuple[str, ...],
    seed: int,
) -> list[Path]:
    """Write ``<folder>/<class>/cifar10_<class>_<n>.aedat`` for each picture; n counts within a class.

    The recordings are *emulated CIFAR10-DVS* and say so in their headers. The random draws of a
    recording are keyed by its position in ``images``. Recordings without any event (a picture of one
    colour) cannot be stored and raise.

    Parameters
    ----------
    images
        uint8, shape (n, 32, 32, 3) or (n, 32, 32).
    labels
        Index into ``class_names`` of each picture, shape (n,).
    folder
        Created if it is not there; files of the same names are overwritten.
    class_names
        Folder names; in alphabetical order if the labels are to be read back unchanged.
    seed
        Seed of the emulated camera.

    Returns
    -------
    The files written, in the order of the pictures.

    Raises
    ------
    InvalidRequest
        If pictures or labels are of another shape or type or do not fit, or the names are not in
        alphabetical order.
    OSError
        If a file cannot be written.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.dtype != np.uint8 or images.shape[1:] not in ((32, 32, 3), (32, 32)):
        raise InvalidRequest(
            f"the pictures have shape {images.shape} and dtype {images.dtype}; give uint8 of shape "
            "(n, 32, 32, 3) or (n, 32, 32)"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InvalidRequest(
            f"the labels have shape {labels.shape} and dtype {labels.dtype}; give one whole number a picture"
        )
    if len(images) != len(labels) or not len(images):
        raise InvalidRequest(
            f"{len(images)} pictures and {len(labels)} labels; give one label for each of one or more"
        )
    if list(class_names) != sorted(set(class_names)):
        raise InvalidRequest(
            f"class names {class_names} must differ and be in alphabetical order, as labels are read by it"
        )
    if min(labels) < 0 or max(labels) >= len(class_names):
        raise InvalidRequest(f"labels {min(labels)} to {max(labels)} must be 0 to {len(class_names) - 1}")
    written = [0] * len(class_names)
    files = []
    for sample, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = class_names[label]
        file = Path(folder) / name / f"cifar10_{name}_{written[label]}.aedat"
        written[label] += 1
        file.parent.mkdir(parents=True, exist_ok=True)
        comments = (
            "emulated CIFAR10-DVS, not a camera recording",
            f"eventsnn smooth movement, seed {seed}, sample {sample}",
        )
        write_aedat(file, emulate_smooth_movement(image, seed, sample), comments=comments)
        files.append(file)
    return files
