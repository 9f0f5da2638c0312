"""Recordings of pictures that no camera made, as files: *emulated*, in the file's own words, too."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from eventsnn.arguments import whole
from eventsnn.errors import InvalidRequest
from eventsnn.events import SmoothMovement, downsample_addresses, emulate_smooth_movement, encode_i2e
from eventsnn.events.event_parts import write_part
from eventsnn.events.smooth import SENSOR_SIZE
from eventsnn.events.synthetic import write_emulated_file
from eventsnn.run.chunks import Runner
from eventsnn.run.event_sets import Progress, fill_event_file, run_all
from eventsnn.run.pictures import Pictures
from eventsnn.version import __version__

I2E = "I2E events of pictures (emulated), not camera recordings"


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
    run_all(runner, list(range(len(pictures))), workers, len(pictures), progress)
    return folder


def _writing_aedat(
    pictures: Pictures, movement: SmoothMovement, seed: int, folder: Path
) -> Runner[str | None]:
    def run(position: int) -> None:
        row = pictures.row(position)
        image = pictures.images[position]
        write_emulated_file(folder / f"{row.name}.aedat", image, seed, int(row.sample or 0), movement)

    return run
