"""Making files of event recordings: by several processes, going on after a kill, each the same however.

What is made of pictures by an emulated camera is *emulated*, in the file's own words, too.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import whole
from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events import (
    CIFAR10_CLASSES,
    ImageSet,
    SmoothMovement,
    downsample_addresses,
    emulate_smooth_movement,
    encode_i2e,
    open_dataset,
)
from eventsnn.events.event_file import open_event_file
from eventsnn.events.event_parts import Row, part_path, part_says, parts_of, write_part
from eventsnn.events.event_writing import put_together
from eventsnn.events.smooth import SENSOR_SIZE
from eventsnn.events.synthetic import emulated_name, write_emulated_file
from eventsnn.run.workers import Runner, run_in_processes
from eventsnn.version import __version__

I2E = "I2E events of pictures (emulated), not camera recordings"
Progress = Callable[[int, int], None]
SHOWN = 5  # names in a message


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


def emulate_cifar10_dvs(
    pictures: Pictures,
    output: str | os.PathLike[str],
    *,
    seed: int = 0,
    downsample: int = 1,
    movement: SmoothMovement | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Make emulated CIFAR10-DVS recordings of pictures: one file (``.h5``), or a folder of AEDAT 2.0 files.

    A recording depends on its picture, ``seed`` and the picture's number in its file alone. What is there
    already is not made again.

    Parameters
    ----------
    output
        A name that ends in ``.h5``, or a folder.
    downsample
        Divide addresses by this; files only, as AEDAT files hold those of a DVS128.
    movement
        Path and camera; those of ``SmoothMovement`` unless given.
    workers
        Processes.
    progress
        Called with recordings done and all.

    Raises
    ------
    InvalidRequest
        Settings out of range, or what is there already was made in another way.
    InvalidEvents
        A recording without an event, which an AEDAT file cannot hold.
    """
    made = SmoothMovement() if movement is None else movement
    size = -(-SENSOR_SIZE // whole(downsample, "downsample", InvalidRequest, least=1, most=SENSOR_SIZE))
    job = {
        "made": "emulated CIFAR10-DVS, not camera recordings",
        "movement": asdict(made),
        "seed": whole(seed, "seed", InvalidRequest, least=0),
        "downsample": downsample,
        "pictures": pictures.digest(),
        "version": __version__,
    }
    if Path(output).suffix.lower() != ".h5":
        if downsample != 1:
            raise InvalidRequest(
                "AEDAT 2.0 files hold the addresses of a whole DVS128; downsample into a .h5 file"
            )
        return _emulated_folder(pictures, Path(output), made, seed, workers, progress)
    attributes = {
        "data": job["made"],
        "kind": "emulated-cifar10-dvs",
        "orientation": "",
        "clock": "",
        "origin": "file",
        "height": size,
        "width": size,
        "downsampled": downsample,
    }
    runner = functools.partial(_emulating, pictures, made, seed, downsample, size)
    fill_event_file(output, job, len(pictures), runner, attributes, pictures.class_names, workers, progress)
    return Path(output)


def encode_i2e_set(
    pictures: Pictures,
    output: str | os.PathLike[str],
    *,
    size: int = 128,
    ratio: float = 0.07,
    step_us: int = 1_000,
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Make one file of pictures' I2E events (``encode_i2e``); what is there already is not made again.

    Raises
    ------
    InvalidRequest, MissingExtra
        As of ``encode_i2e``, or what is there already was made in another way.
    """
    settings: dict[str, Any] = {"size": size, "ratio": ratio, "step_us": step_us}
    encode_i2e(pictures.images[0], **settings)  # refuses settings before anything is begun
    job = {"made": I2E, **settings, "pictures": pictures.digest(), "version": __version__}
    attributes = {
        "data": I2E,
        "kind": "i2e",
        "orientation": "",
        "clock": "",
        "origin": "file",
        "height": size,
        "width": size,
        "downsampled": 1,
    }
    runner = functools.partial(_encoding, pictures, settings)
    fill_event_file(output, job, len(pictures), runner, attributes, pictures.class_names, workers, progress)
    return Path(output)


def _encoding(pictures: Pictures, settings: dict[str, Any], folder: Path) -> Runner[str | None]:
    def run(position: int) -> None:
        events = encode_i2e(pictures.images[position], **settings)
        write_part(folder, position, pictures.row(position), [events], settings["size"], settings["size"])

    return run


def movement_of(settings: Iterable[str]) -> SmoothMovement:
    """The settings of an emulated camera from texts ``NAME=VALUE``.

    Raises
    ------
    InvalidRequest
        There is no such setting, its value is no number, or out of range.
    """
    known = {item.name: item.type for item in fields(SmoothMovement)}
    given: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or name not in known or name in given:
            raise InvalidRequest(
                f"the setting is {text!r}; give NAME=VALUE once each, with NAME one of {', '.join(known)}"
            )
        try:
            given[name] = int(value) if known[name] is int else float(value)
        except ValueError as error:
            kind = "a whole number" if known[name] is int else "a number"
            raise InvalidRequest(f"the setting {name} is {value!r}; it must be {kind}") from error
    return SmoothMovement(**given)


def _emulating(
    pictures: Pictures, movement: SmoothMovement, seed: int, downsample: int, size: int, folder: Path
) -> Runner[str | None]:
    def run(position: int) -> None:
        sample = int(pictures.samples[position])
        events = emulate_smooth_movement(pictures.images[position], seed, sample, movement)
        if downsample > 1:
            events = downsample_addresses(events, downsample)
        write_part(folder, position, pictures.row(position), [events], size, size)

    return run


def _emulated_folder(
    pictures: Pictures,
    folder: Path,
    movement: SmoothMovement,
    seed: int,
    workers: int,
    progress: Progress | None,
) -> Path:
    rows = [pictures.row(position) for position in range(len(pictures))]
    if len({row.name for row in rows}) != len(rows):
        raise InvalidRequest("two pictures would have one file name; give them from one image file")
    runner = functools.partial(_writing_aedat, pictures, movement, seed, folder)
    _run_all(runner, list(range(len(pictures))), workers, len(pictures), progress)
    return folder


def _writing_aedat(
    pictures: Pictures, movement: SmoothMovement, seed: int, folder: Path
) -> Runner[str | None]:
    def run(position: int) -> None:
        row = pictures.row(position)
        image = pictures.images[position]
        write_emulated_file(folder / f"{row.name}.aedat", image, seed, int(row.sample or 0), movement)

    return run


def is_made(output: str | os.PathLike[str], job: dict[str, Any]) -> bool:
    """Whether a file of this job is there.

    Raises
    ------
    InvalidRequest
        One that was made in another way is there.
    InvalidFile
        One that is damaged, or of another kind.
    """
    if not Path(output).exists():
        return False
    if open_event_file(output).attributes["source"] != json.dumps(job, sort_keys=True):
        raise InvalidRequest(
            f"{output} is there and was made in another way; choose another name, or remove it"
        )
    return True


def fill_event_file(
    output: str | os.PathLike[str],
    job: dict[str, Any],
    count: int,
    make_runner: Callable[[Path], Runner[str | None]],
    attributes: dict[str, Any],
    class_names: tuple[str, ...],
    workers: int,
    progress: Progress | None,
    again: bool = False,
) -> None:
    """Make what is missing of a file's recordings, then the file.

    Parameters
    ----------
    job
        What tells this file from others, as JSON values; kept as the file's ``source``.
    make_runner
        Picklable; given the folder of parts, returns what writes the part of a position and returns None, or
        what is wrong with it.
    attributes
        Of the file, see ``EventFile``.
    again
        Run those that are done, too: the runner knows whether they are still right.

    Raises
    ------
    InvalidRequest
        The file, or its folder of parts, is there and was made in another way.
    InvalidFile
        Something is wrong with some recordings; the others are done.
    """
    if is_made(output, job):
        return
    with parts_of(output, job) as folder:
        waiting = [k for k in range(count) if again or part_says(part_path(folder, k)) is None]
        problems = _run_all(functools.partial(make_runner, folder), waiting, workers, count, progress)
        if problems:
            raise InvalidFile(
                f"{len(problems)} of {count} recordings cannot be prepared, the others are: "
                f"{' | '.join(problems[:SHOWN])}{' | ...' if len(problems) > SHOWN else ''}. Replace or "
                "remove these; the same command then goes on"
            )
        source = json.dumps(job, sort_keys=True)
        put_together(output, folder, count, attributes | {"source": source}, class_names)


def _run_all(
    make_runner: Callable[[], Runner[str | None]],
    positions: list[int],
    workers: int,
    total: int,
    progress: Progress | None,
) -> list[str]:
    """Run them; what was wrong, in no order."""
    workers = whole(workers, "workers", InvalidRequest, least=1)
    done, problems = total - len(positions), []
    for problem in _outcomes(make_runner, positions, min(workers, len(positions))):
        done += 1
        if problem is not None:
            problems.append(problem)
        if progress is not None:
            progress(done, total)
    return sorted(problems)


def _outcomes(
    make_runner: Callable[[], Runner[str | None]], positions: list[int], workers: int
) -> Iterable[str | None]:
    if workers <= 1:
        return map(make_runner(), positions) if positions else ()
    return run_in_processes(make_runner, positions, workers)
