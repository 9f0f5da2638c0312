"""Writing a file of event recordings, recording by recording, in any order, going on after a kill.

Each finished recording becomes a file of its own in ``OUT.h5.partial/``, written aside and renamed, its
columns compressed already. When all are there they are put together as one file (``event_file``), which
takes their chunks as they are, and the folder is removed.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.events.event_columns import (
    CHUNK,
    column_types,
    encode_chunk,
)
from eventsnn.events.event_file import (
    FORMAT,
)
from eventsnn.events.stream import Events, validate_events
from eventsnn.output import (
    HDF5,
    WRITING,
    lock,
    require_replaceable,
    room_for,
    write_whole,
)

JOB = "job.json"
LOCK = "lock"
_END = b"eventsnn part "


@dataclass(frozen=True)
class Row:
    """What is kept of one recording beside its events; None is not known."""

    name: str
    label: int | None = None
    split: str | None = None
    picture: int | None = None
    sample: int | None = None
    source_sha256: str | None = None


def parts_folder(output: str | os.PathLike[str]) -> Path:
    """Where finished recordings wait until all are done."""
    return Path(output).with_name(Path(output).name + ".partial")


def part_path(folder: Path, position: int) -> Path:
    """The file of one finished recording."""
    return folder / f"{position:07}.part"


def write_part(
    folder: Path, position: int, row: Row, pieces: Iterable[Events], height: int, width: int
) -> int:
    """Write one recording, given in one or more pieces; returns its number of events.

    Raises
    ------
    InvalidEvents
        It is not valid on the sensor.
    CannotWrite
        The disk is full.
    """
    target = part_path(folder, position)
    aside = target.with_name(f"{target.name}.{os.getpid()}{WRITING}")
    types = column_types(height, width)
    gaps: list[NDArray[np.int64]] = []
    lengths: list[int] = []
    events = before = checksum = whole = 0
    with room_for(target):
        try:
            with aside.open("wb") as file:
                for chunk in _in_chunks(pieces):
                    validate_events(chunk, height, width, row.name)
                    if len(chunk) and int(chunk["t"][0]) < before:
                        raise InvalidRequest(f"{row.name}: time goes back between two pieces")
                    made = encode_chunk(chunk, types, before, checksum)
                    for piece in made.pieces:
                        file.write(piece)
                        lengths.append(len(piece))
                        whole = zlib.crc32(piece, whole)
                    gaps.append(made.gaps)
                    events, before, checksum = events + made.events, made.last, made.checksum
                long = np.concatenate([*gaps, np.empty(0, np.int64)]).astype("<i8").tobytes()
                file.write(long)
                whole = zlib.crc32(long, whole)
                said = {
                    "row": vars(row),
                    "events": events,
                    "gaps": len(long) // 8,
                    "checksum": checksum,
                    "lengths": lengths,
                    "crc": whole,
                }
                text = json.dumps(said).encode()
                file.write(text + _END + len(text).to_bytes(8, "little"))
                file.write(zlib.crc32(text).to_bytes(4, "little"))
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)
    return events


def _in_chunks(pieces: Iterable[Events]) -> Iterator[Events]:
    held: Events | None = None
    for piece in pieces:
        held = piece if held is None else np.concatenate([held, piece])
        begin = 0
        while len(held) - begin >= CHUNK:
            yield held[begin : begin + CHUNK]
            begin += CHUNK
        held = held[begin:]
    if held is not None and len(held):
        yield held


def part_says(path: Path) -> dict[str, Any] | None:
    """What stands at the end of a part; None where there is no whole one."""
    tail = len(_END) + 12
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - tail))
            end = file.read()
            length = int.from_bytes(end[len(_END) : len(_END) + 8], "little")
            if not end.startswith(_END) or length > size - tail:
                return None
            file.seek(size - tail - length)
            text = file.read(length)
        if zlib.crc32(text) != int.from_bytes(end[-4:], "little"):
            return None
        found = json.loads(text)
    except (OSError, ValueError):
        return None
    if size != sum(found["lengths"]) + 8 * found["gaps"] + length + tail:
        return None
    return dict(found)


@contextmanager
def parts_of(output: str | os.PathLike[str], job: dict[str, Any]) -> Iterator[Path]:
    """The folder of parts of an output file, ours alone while the block lasts.

    Raises
    ------
    InvalidRequest
        The output cannot be written, another process writes it, or parts of another job are there.
    """
    target = require_replaceable(output, HDF5, FORMAT)
    folder = parts_folder(target)
    folder.mkdir(exist_ok=True)
    with (folder / LOCK).open("ab") as held:
        if not lock(held):
            raise InvalidRequest(f"{target} is being written by another process; wait for it, or end it")
        text = json.dumps(job, sort_keys=True)
        header = folder / JOB
        found = header.read_text() if header.is_file() else None
        if found is not None and found != text:
            raise InvalidRequest(
                f"{folder} holds recordings that were made for {target.name} in another way"
                f"{_difference(found, job)}. Choose another output file, or remove that folder"
            )
        write_whole(header, text.encode())
        for left in folder.glob(f"*{WRITING}"):
            left.unlink(missing_ok=True)
        yield folder


def _difference(found: str, job: dict[str, Any]) -> str:
    try:
        before = json.loads(found)
        names = sorted(name for name in job if before.get(name) != job[name])
        return f" ({'; '.join(f'{n}: {before.get(n)!r} there, {job[n]!r} now' for n in names[:3])})"[:400]
    except (ValueError, AttributeError):
        return ""
