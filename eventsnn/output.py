"""Writing files so that nothing is lost: whole, never over something else, by one writer at a time.

A file is written aside, under a name that ends in ``.writing``, and renamed. Who writes holds a lock on it
(``flock``), which the system lifts when the process ends, however it ends; so what a killed process left
is known by its lock being free, and removed by the next that writes the same file. Where the system has no
such locks (Windows) nothing is locked, and what is left stays.

HDF5 files are put together in memory and written as any other bytes: the HDF5 library itself does not
survive a full disk. They are compressed there, so that this takes less than the arrays they are made of.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
from collections.abc import Iterator
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
HTML = b"<!DOCTYPE html"
JSON = b"{"
# The oldest layout in which HDF5 keeps checksums of its own structures, and no index for single chunks.
HDF5_LAYOUT = ("v110", "v110")
SEAL = b"eventsnn blake2b-128 "
SEAL_DIGITS = 32
WRITING = ".writing"
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)

_numbers = itertools.count()


def require_replaceable(path: str | os.PathLike[str], beginning: bytes, holds: str | None = None) -> Path:
    """Check that an output file may be written.

    Parameters
    ----------
    path : path
        The file to write.
    beginning : bytes
        How files of this kind begin: an existing file that begins otherwise is not ours to replace.
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
            found = file.read(len(beginning))
        other = found not in (b"", beginning)
        if other or (found and holds is not None and _format_of(target) not in (None, holds)):
            raise InvalidRequest(
                f"{target} exists and is a file of another kind, which would be lost; choose another name"
            )
    return target


def _format_of(path: Path) -> str | None:
    """What an HDF5 file says it holds; None for one that cannot be read."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("format", "nothing of ours"))
    except (OSError, RuntimeError):
        return None


@contextmanager
def replaced_whole(path: str | os.PathLike[str], beginning: bytes) -> Iterator[Path]:
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
    with h5py.File(target.name, "w", driver="core", backing_store=False, libver=HDF5_LAYOUT) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with replaced_whole(target, HDF5) as aside, aside.open("wb") as written:
        written.write(image)
        if sealed:
            written.write(SEAL + _hash(image))


def _hash(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=SEAL_DIGITS // 2).hexdigest().encode()


def require_seal(path: str | os.PathLike[str]) -> None:
    """Refuse a sealed file that was damaged, before HDF5 sees it: damage can keep it in a loop for ever.

    Raises
    ------
    InvalidFile
        The hash behind the file's end is not that of the file. A file without one passes.
    """
    content = memoryview(Path(path).read_bytes())
    end = len(content) - len(SEAL) - SEAL_DIGITS
    if end < 0 or content[end : end + len(SEAL)] != SEAL:
        return
    if content[end + len(SEAL) :] != _hash(content[:end]):
        raise InvalidFile(
            f"{path} does not give the hash at its end; it was changed or damaged after it was written"
        )


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
