"""Emulated CIFAR10-DVS as files, in the folder layout and file format of the real data set."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.events.aedat_sets import CIFAR10_CLASSES
from eventsnn.events.readers.aedat2_writing import write_aedat
from eventsnn.events.smooth import SmoothMovement, emulate_smooth_movement
from eventsnn.output import WRITING, room_for
from eventsnn.version import __version__


def write_emulated_cifar10_dvs(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    folder: str | os.PathLike[str],
    class_names: tuple[str, ...],
    seed: int,
    movement: SmoothMovement | None = None,
) -> list[Path]:
    """Write ``<folder>/<class>/cifar10_<class>_<n>.aedat`` for each picture; n counts within a class.

    The recordings are *emulated CIFAR10-DVS* and say so in their headers. The random draws of a
    recording are keyed by its position in ``images``. Recordings without any event (a picture of one
    colour) cannot be stored and raise.

    Parameters
    ----------
    images
        uint8, shape (n, rows, columns, 3) or (n, rows, columns), such as 32 x 32.
    labels
        Index into ``class_names`` of each picture, shape (n,).
    folder
        Created if it is not there. Files of the same names that this made are kept, others refused.
    class_names
        Folder names; in alphabetical order if the labels are to be read back unchanged.
    seed
        Seed of the emulated camera.
    movement
        Path and camera; those of ``SmoothMovement`` unless given.

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
    if images.ndim not in (3, 4):
        raise InvalidRequest(
            f"the pictures have shape {images.shape}; give uint8 of shape (n, rows, columns, 3) or (n, rows, "
            "columns)"
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
        write_emulated_file(file, image, seed, sample, movement)
        files.append(file)
    return files


def emulated_name(split: str | None, class_name: str | None, picture: int) -> str:
    """What the recording of a picture is called: split, class and the picture's number in its split."""
    parts = [] if split is None else [split]
    if class_name is not None:
        parts.append(class_name)
    name = f"cifar10_{class_name}_{picture}" if class_name in CIFAR10_CLASSES else f"picture_{picture}"
    return "/".join([*parts, name])


def write_emulated_file(
    path: Path, image: NDArray[np.uint8], seed: int, sample: int, movement: SmoothMovement | None = None
) -> None:
    """Write one emulated recording as AEDAT 2.0, whole or not at all; one that is there is kept.

    Raises
    ------
    InvalidRequest
        Another file is there, or the picture or a setting is none to emulate.
    InvalidEvents
        There is no event.
    """
    settings = SmoothMovement() if movement is None else movement
    picture = hashlib.blake2b(image.tobytes(), digest_size=8).hexdigest()
    comments = (
        "emulated CIFAR10-DVS, not a camera recording",
        f"eventsnn {__version__} smooth movement, seed {seed}, sample {sample}, picture {picture}",
        f"settings {json.dumps(asdict(settings), sort_keys=True)}",
    )
    if path.exists():
        with path.open("rb") as file:
            header = file.read(4096).split(b"\r\n")[1 : 1 + len(comments)]
        if header == [f"# {line}".encode() for line in comments]:
            return
        raise InvalidRequest(
            f"{path} is there and was made in another way; choose another folder, or remove it"
        )
    events = emulate_smooth_movement(image, seed, sample, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}{WRITING}")
    with room_for(path):
        try:
            write_aedat(aside, events, comments=comments)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
