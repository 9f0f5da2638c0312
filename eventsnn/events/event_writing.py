"""Putting recordings that were made one by one together as one file, see ``event_file``."""

from __future__ import annotations

import os
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import CannotWrite, InvalidFile
from eventsnn.events.event_columns import COLUMNS, GZIP_LEVEL, chunk_lengths, column_types
from eventsnn.events.event_file import FORMAT, GAPS_CHUNK, SCHEMA, TABLE_COLUMNS
from eventsnn.events.event_parts import part_path, part_says
from eventsnn.events.event_seal import SEAL, seal_of
from eventsnn.output import HDF5, HDF5_LAYOUT, remove_leftovers, replaced_whole
from eventsnn.version import __version__


def put_together(
    output: str | os.PathLike[str],
    folder: Path,
    count: int,
    attributes: dict[str, Any],
    class_names: tuple[str, ...],
) -> None:
    """Make the file of all parts, then remove their folder.

    Raises
    ------
    InvalidFile
        A part is damaged.
    CannotWrite
        The disk is full.
    """
    import h5py

    target = Path(output)
    parts = []
    for position in range(count):
        found = part_says(part_path(folder, position))
        if found is None:
            raise InvalidFile(_damaged(part_path(folder, position)))
        parts.append(found)
    needed = sum(part_path(folder, position).stat().st_size for position in range(count)) + (1 << 22)
    remove_leftovers(target)
    if shutil.disk_usage(target.parent).free < needed:  # HDF5 itself does not survive a full disk
        raise CannotWrite(
            f"{target} cannot be written: it needs {needed} bytes. Make room there, or choose another place; "
            "the same command goes on from what is done"
        )
    with replaced_whole(target, HDF5) as aside:
        with h5py.File(aside, "w", libver=HDF5_LAYOUT, locking=False) as file:  # we hold its lock
            for name, value in (attributes | {"format": FORMAT, "schema": SCHEMA}).items():
                file.attrs[name] = value
            file.attrs["version"] = __version__
            file.create_dataset("class_names", data=_texts(list(class_names)))
            _write_index(file, parts)
            _write_columns(file, folder, parts, int(attributes["height"]), int(attributes["width"]))
            file.flush()
            table = _table_of(file)
        with aside.open("r+b") as sealed:
            end = sealed.seek(0, os.SEEK_END)
            seal = seal_of(sealed, table, end)
            sealed.seek(end)
            content = table.astype("<i8").tobytes()
            sealed.write(content + SEAL + len(content).to_bytes(8, "little") + seal)
    shutil.rmtree(folder, ignore_errors=True)


def _damaged(path: Path) -> str:
    return f"{path} is damaged; remove it, and the same command makes it again"


def _texts(values: list[str]) -> NDArray[np.bytes_]:
    # Not text of any length: HDF5 keeps that where no checksum of its own reaches.
    encoded = [value.encode("utf-8", "surrogateescape") for value in values]
    return np.array(encoded, dtype=f"S{max([1, *map(len, encoded)])}")


def _write_index(file: Any, parts: list[dict[str, Any]]) -> None:
    rows = [part["row"] for part in parts]
    for name in ("events", "gaps", "checksum"):
        file.create_dataset(f"recordings/{name}", data=np.array([part[name] for part in parts], np.int64))
    labels = [-1 if row["label"] is None else row["label"] for row in rows]
    file.create_dataset("recordings/label", data=np.array(labels, np.int64))
    for name in ("name", "split", "source_sha256"):
        if all(row[name] is not None for row in rows):
            file.create_dataset(f"recordings/{name}", data=_texts([row[name] for row in rows]))
    for name in ("picture", "sample"):
        if all(row[name] is not None for row in rows):
            file.create_dataset(f"recordings/{name}", data=np.array([row[name] for row in rows], np.int64))


def _write_columns(file: Any, folder: Path, parts: list[dict[str, Any]], height: int, width: int) -> None:
    types, lengths = column_types(height, width), chunk_lengths()
    # Chunks that nothing is written to are not there; HDF5 wants room for one.
    chunks = max(1, sum(len(part["lengths"]) for part in parts) // len(COLUMNS))
    made = {}
    for name in COLUMNS:
        made[name] = file.create_dataset(
            f"events/{name}",
            shape=(chunks * lengths[name],),
            dtype=types[name],
            chunks=(lengths[name],),
            compression="gzip",
            compression_opts=GZIP_LEVEL,
            shuffle=types[name].itemsize > 1,
        )
    total = sum(part["gaps"] for part in parts)
    gaps = file.create_dataset(
        "events/gaps",
        shape=(max(1, -(-total // GAPS_CHUNK)) * GAPS_CHUNK,),
        dtype="<i8",
        chunks=(GAPS_CHUNK,),
        compression="gzip",
        compression_opts=GZIP_LEVEL,
        shuffle=True,
    )
    chunk, gap = 0, 0
    for position, part in enumerate(parts):
        path, checksum = part_path(folder, position), 0
        with path.open("rb") as opened:
            for number, length in enumerate(part["lengths"]):
                piece = opened.read(length)
                checksum = zlib.crc32(piece, checksum)
                which, column_number = divmod(number, len(COLUMNS))
                column = COLUMNS[column_number]
                made[column].id.write_direct_chunk(((chunk + which) * lengths[column],), piece)
            long = opened.read(8 * part["gaps"])
            checksum = zlib.crc32(long, checksum)
        if checksum != part["crc"]:
            raise InvalidFile(_damaged(path))
        if part["gaps"]:
            gaps[gap : gap + part["gaps"]] = np.frombuffer(long, "<i8")
        chunk, gap = chunk + len(part["lengths"]) // len(COLUMNS), gap + part["gaps"]


def _table_of(file: Any) -> NDArray[np.int64]:
    rows: list[tuple[int, int, int, int]] = []
    for number, name in enumerate(TABLE_COLUMNS):
        column = file[f"events/{name}"]

        def note(info: Any, number: int = number) -> None:
            rows.append((number, info.chunk_offset[0], info.byte_offset, info.size))

        with suppress(RuntimeError):  # a dataset without any chunk
            column.id.chunk_iter(note)
    return np.array(rows, np.int64).reshape(-1, 4)
