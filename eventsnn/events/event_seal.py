"""What stands behind the end of our file of recordings: a table of its chunks, and a hash of all else.

The hash is verified before HDF5 sees the file, which damage can keep in a loop for ever.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidFile

SEAL = b"eventsnn event table "
SEAL_DIGITS = 32


def sealed_table(path: str) -> NDArray[np.int64]:
    """The table behind the end, verified; shape (chunks, 4): column, begin, place, size.

    Raises
    ------
    InvalidFile
        There is none, or the file was changed or damaged.
    """
    size = os.path.getsize(path)
    tail = len(SEAL) + 8 + SEAL_DIGITS
    with open(path, "rb") as file:
        if file.read(4) != b"\x89HDF":
            raise InvalidFile(f"{path} is no HDF5 file; give a file that eventsnn data prepare wrote")
        file.seek(max(0, size - tail))
        seal = file.read(tail)
        if len(seal) != tail or not seal.startswith(SEAL):
            raise InvalidFile(_unsealed(path))
        length = int.from_bytes(seal[len(SEAL) : len(SEAL) + 8], "little")
        begin = size - tail - length
        if begin < 0 or length % 32:
            raise InvalidFile(_unsealed(path))
        file.seek(begin)
        content = file.read(length)
        table = np.frombuffer(content, "<i8").reshape(-1, 4)
        if seal[-SEAL_DIGITS:] != seal_of(file, table, begin):
            raise InvalidFile(
                f"{path} does not give the hash at its end; it was changed or damaged after it was written"
            )
    return table.astype(np.int64)


def _unsealed(path: str) -> str:
    """What to say of a file without our table: what kind of file it is, if its beginning tells."""
    return (
        f"{path} has no table of chunks at its end: it is no file of event recordings of ours, or it is "
        "truncated; give a file that eventsnn data prepare wrote, or fetch it again"
    )


def seal_of(file: BinaryIO, table: NDArray[np.int64], end: int) -> bytes:
    """The hash of the table and of all bytes up to ``end`` that are in none of its chunks."""
    digest = hashlib.blake2b(table.astype("<i8").tobytes(), digest_size=SEAL_DIGITS // 2)
    place = 0
    for begin, size in table[np.argsort(table[:, 2], kind="stable")][:, 2:].tolist():
        if begin < place or size < 0 or begin + size > end:
            return b""
        if begin > place:
            file.seek(place)
            digest.update(file.read(begin - place))
        place = begin + size
    file.seek(place)
    while place < end:
        piece = file.read(min(1 << 20, end - place))
        if not piece:
            return b""
        digest.update(piece)
        place += len(piece)
    return digest.hexdigest().encode()


def is_event_file(path: Path) -> bool:
    """Whether a file ends as ours do, whatever else is wrong with it."""
    tail = len(SEAL) + 8 + SEAL_DIGITS
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - tail))
            return file.read(len(SEAL)) == SEAL
    except OSError:
        return False
