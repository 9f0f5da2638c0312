"""Writing files so that nothing is lost: whole or not at all, and never over something else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsnn.errors import InvalidRequest

HDF5 = b"\x89HDF"
HTML = b"<!DOCTYPE html"
JSON = b"{"


def require_replaceable(path: str | os.PathLike[str], beginning: bytes) -> Path:
    """Check that an output file may be written.

    Parameters
    ----------
    path : path
        The file to write.
    beginning : bytes
        How files of this kind begin: an existing file that begins otherwise is not ours to replace.

    Raises
    ------
    InvalidRequest
        The folder does not exist, the path is a folder or a device, or a file of another kind.
    """
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
        if found not in (b"", beginning):
            raise InvalidRequest(
                f"{target} exists and is a file of another kind, which would be lost; choose another name"
            )
    return target


@contextmanager
def replaced_whole(path: str | os.PathLike[str], beginning: bytes) -> Iterator[Path]:
    """A path to write aside; it becomes ``path`` once the block has ended without an error."""
    target = require_replaceable(path, beginning)
    aside = target.with_name(f"{target.name}.{os.getpid()}.writing")
    try:
        yield aside
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
