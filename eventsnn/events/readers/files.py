"""Bytes of recording files: read whole or record by record, or refused by name."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidFile, InvalidRequest


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file opened for reading; whatever the system says against it becomes one of the errors below.

    Raises
    ------
    InvalidRequest
        If ``path`` is no path.
    InvalidFile
        If it cannot be read, or is no regular file.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidRequest(
            f"a recording file is named by its path, found {type(path).__name__}; give a string or a Path"
        )
    try:
        # A pipe would be waited for.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InvalidFile(f"{path}: cannot be read (no regular file); give the path of a recording file")
        file = Path(os.fsdecode(path)).open("rb", buffering=0)  # noqa: SIM115
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidFile):
            raise
        raise _unreadable(path, error) from error
    try:
        with file:
            yield file
    except OSError as error:
        if isinstance(error, InvalidFile):
            raise
        raise _unreadable(path, error) from error


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the contents of a file; errors as of ``opened``."""
    with opened(path) as file:
        return file.read()


def beginning(path: str | os.PathLike[str], count: int) -> bytes:
    """Return the first bytes of a file, at most so many; errors as of ``opened``."""
    with opened(path) as file:
        return file.read(count)


def size_of(file: BinaryIO) -> int:
    """Bytes of an opened file."""
    return os.fstat(file.fileno()).st_size


def records_from(
    file: BinaryIO, kind: np.dtype[np.void], start: int, at_once: int
) -> Iterator[NDArray[np.void]]:
    """Records of a file from a byte on, so many at a time; a rest that is no whole record is left out.

    What is handed out lies in one buffer, and holds until the next one is asked for.
    """
    file.seek(start)
    buffer = bytearray(kind.itemsize * at_once)
    while True:
        filled = 0
        while filled < len(buffer):
            count = file.readinto(memoryview(buffer)[filled:])  # type: ignore[attr-defined]
            if not count:
                break
            filled += count
        if filled < kind.itemsize:
            return
        yield np.frombuffer(buffer, kind, filled // kind.itemsize)


def in_one_line(error: BaseException) -> str:
    """What a library says against a file, short and in one line."""
    return " ".join(str(error).split())[:160]


def _unreadable(path: str | os.PathLike[str], error: Exception) -> InvalidFile:
    reason = getattr(error, "strerror", None) or str(error)
    return InvalidFile(f"{path}: cannot be read ({reason}); give the path of a recording file")
