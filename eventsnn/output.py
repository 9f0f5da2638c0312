"""Writing files so that nothing is lost: whole, never over something else, by one writer at a time.

A file is written aside, under a name that ends in ``.writing``, and renamed. Who writes holds a lock on it
(``flock``), which the system lifts when the process ends, however it ends; so what a killed process left
is known by its lock being free, and removed by the next that writes the same file. Where the system has no
such locks (Windows) nothing is locked, and what is left stays.

HDF5 files are written through a stream of ours that keeps to itself that a disk is full until the HDF5
library is done: the library itself does not survive that.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from eventsnn.errors import CannotWrite, InvalidFile, InvalidRequest

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:
    fcntl = None

HDF5 = b"\x89HDF"
NOT_OURS = "nothing of ours"
"""What HDF5 files of other programs hold, for ``require_replaceable``."""
HTML = b"<!DOCTYPE html"
JSON_MARKS = (b'"digest"', b'"synaptic_operations"', b'{"cells":', b'{"displayTimeUnit": "ns"')
"""One of them stands early in every JSON object that is written here."""
CERTIFICATE = b'{\n "format": "eventsnn-certificate"'
# The oldest layout in which HDF5 keeps checksums of its own structures, and no index for single chunks.
HDF5_LAYOUT = ("v110", "v110")
SEAL = b"eventsnn blake2b-128 "
SEAL_DIGITS = 32
WRITING = ".writing"
LOOKED_AT = 4096
Beginning = bytes | Callable[[bytes], bool]
"""How files of a kind begin: all alike, or what their first ``LOOKED_AT`` bytes must satisfy."""


def JSON(found: bytes) -> bool:  # noqa: N802 - stands beside the other kinds
    """Whether a file is a JSON object such as we write, and no certificate: not as easily made again."""
    ours = any(mark in found for mark in JSON_MARKS)
    return found.startswith(b"{") and ours and not found.startswith(CERTIFICATE)


NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)

_numbers = itertools.count()


def require_replaceable(path: str | os.PathLike[str], beginning: Beginning, holds: str | None = None) -> Path:
    """Check that an output file may be written.

    Parameters
    ----------
    path : path
        The file to write.
    beginning : bytes or callable
        How files of this kind begin: an existing file that begins otherwise is not ours to replace. ``b""``:
        they are known by nothing, so that no file is replaced but an empty one.
    holds : str, optional
        The attribute ``format`` of HDF5 files of this kind; one that holds something else is not replaced.

    Raises
    ------
    InvalidRequest
        The folder does not exist, the path is none, a folder or a device, or a file of another kind.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or "\0" in str(path):
        raise InvalidRequest(f"{path!r} is no path; give the name of a file to write")
    target = Path(path)
    if target.is_dir():
        raise InvalidRequest(f"{target} is a folder; give the name of a file to write")
    if not target.parent.is_dir():
        raise InvalidRequest(f"the folder of {target} does not exist; make it first")
    if target.exists() and not target.is_file():
        raise InvalidRequest(f"{target} is not a regular file; give the name of a file to write")
    if target.exists():
        with target.open("rb") as file:
            found = file.read(LOOKED_AT)
        other = bool(found) and not _begins(found, beginning)
        if other or (found and holds is not None and _format_of(target) not in (None, holds)):
            raise InvalidRequest(
                f"{target} exists and is a file of another kind, which would be lost; choose another name"
            )
    return target


def _begins(found: bytes, beginning: Beginning) -> bool:
    return (
        found.startswith(beginning) and beginning != b"" if isinstance(beginning, bytes) else beginning(found)
    )


def _format_of(path: Path) -> str | None:
    """What an HDF5 file says it holds; None for one that cannot be read."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("format", NOT_OURS))
    except (OSError, RuntimeError):
        return None


@contextmanager
def replaced_whole(path: str | os.PathLike[str], beginning: Beginning) -> Iterator[Path]:
    """A path to write aside; it becomes ``path`` once the block has ended without an error.

    Raises
    ------
    InvalidRequest
        As ``require_replaceable``.
    CannotWrite
        The disk is full.
    """
    target = require_replaceable(path, beginning)
    with room_for(target):
        remove_leftovers(target)
        aside, held = _open_aside(target)
        try:
            with held:
                yield aside
                os.fsync(held.fileno())
                os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def hdf5_replaced_whole(path: str | os.PathLike[str], holds: str, sealed: bool = False) -> Iterator[Any]:
    """An ``h5py.File`` to fill; it becomes ``path`` as of ``replaced_whole``. ``holds`` is its format.

    ``sealed`` adds a hash of the whole behind the end of what HDF5 reads (``require_seal``).
    """
    import h5py

    target = require_replaceable(path, HDF5, holds)
    with replaced_whole(target, HDF5) as aside, aside.open("r+b", buffering=0) as opened:
        stream = _Unfailing(opened)
        try:
            with h5py.File(stream, "w", libver=HDF5_LAYOUT) as file:
                yield file
        except Exception as error:
            # What follows a write that failed is no more than its echo.
            if stream.failure is None or isinstance(error, InvalidFile):
                raise
        if stream.failure is not None:
            raise stream.failure
        if sealed:
            stream.write(memoryview(SEAL + _hash(opened, opened.seek(0, os.SEEK_END))))
            if stream.failure is not None:
                raise stream.failure


class _Unfailing:
    """A file for HDF5 whose writing never fails in its sight; ``failure`` is what did fail first."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.failure: OSError | None = None
        self.seek, self.tell, self.read = file.seek, file.tell, file.read

    def readinto(self, buffer: memoryview) -> int:
        """Read as much as there is room for, or up to the end."""
        found = 0
        while found < len(buffer) and (more := self._file.readinto(buffer[found:])):
            found += more
        return found

    def write(self, content: memoryview) -> int:
        """Write, or note why not."""
        done = 0
        try:
            while self.failure is None and done < len(content):
                done += self._file.write(content[done:])
        except OSError as error:
            self.failure = error
        return len(content)

    def truncate(self, size: int) -> int:
        """Cut or lengthen the file, or note why not."""
        try:
            return size if self.failure else self._file.truncate(size)
        except OSError as error:
            self.failure = error
        return size

    def flush(self) -> None:
        """Nothing is held back."""


def _hash(file: BinaryIO | FileIO, length: int) -> bytes:
    """Of the first ``length`` bytes; the file stands behind them then."""
    digest = hashlib.blake2b(digest_size=SEAL_DIGITS // 2)
    file.seek(0)
    while length and (piece := file.read(min(length, 1 << 20))):
        digest.update(piece)
        length -= len(piece)
    return digest.hexdigest().encode()


def require_seal(file: BinaryIO, path: str | os.PathLike[str]) -> bool:
    """Refuse a sealed file that was damaged, before HDF5 sees it: damage can keep it in a loop for ever.

    Parameters
    ----------
    file : binary file
        Open for reading; ``path`` is what it is called.

    Returns
    -------
    Whether there is a seal: then every byte is as it was written.

    Raises
    ------
    InvalidFile
        The hash behind the file's end is not that of the file.
    """
    end = file.seek(0, os.SEEK_END) - len(SEAL) - SEAL_DIGITS
    if end < 0 or file.seek(end) != end or file.read(len(SEAL)) != SEAL:
        return False
    if file.read() != _hash(file, end):
        raise InvalidFile(
            f"{path} does not give the hash at its end; it was changed or damaged after it was written"
        )
    return True


def write_whole(target: Path, content: bytes) -> None:
    """Write a file of a folder that only we write to.

    Raises
    ------
    CannotWrite
        The disk is full.
    """
    aside = target.with_name(target.name + WRITING)
    with room_for(target):
        try:
            aside.write_bytes(content)
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def room_for(target: Path) -> Iterator[None]:
    """Say of which file it was that a disk is too full."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM or isinstance(error, CannotWrite):
            raise
        raise CannotWrite(
            f"{target} cannot be written: {(error.strerror or str(error)).lower()}. Make room there, or "
            "choose another place"
        ) from error


def _open_aside(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside the target, locked by us."""
    while True:
        aside = target.with_name(f"{target.name}.{os.getpid()}.{next(_numbers)}{WRITING}")
        try:
            held = aside.open("xb")
        except FileExistsError:
            continue
        # Another that looks for leftovers may have come between the two lines.
        if lock(held) and os.fstat(held.fileno()).st_nlink:
            return aside, held
        held.close()
        aside.unlink(missing_ok=True)


def remove_leftovers(target: Path) -> None:
    """Remove what processes that are gone were writing in the place of a file."""
    if fcntl is None:
        return
    ours = re.compile(re.escape(target.name) + r"(\.\d+){1,2}" + re.escape(WRITING))
    for aside in target.parent.iterdir():
        if not ours.fullmatch(aside.name):
            continue
        try:
            with aside.open("rb") as file:
                if lock(file):
                    aside.unlink(missing_ok=True)
        except OSError:
            # It was renamed just now, or is another user's.
            continue


def lock(file: BinaryIO | FileIO) -> bool:
    """Take the lock of an open file, until it is closed; False where another holds it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks.
        return True
    return True
