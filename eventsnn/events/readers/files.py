"""Bytes of recording files: read whole, or refused by name."""

import os
import stat
from pathlib import Path

from eventsnn.errors import InvalidFile, InvalidRequest


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the contents of a file.

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
        return Path(os.fsdecode(path)).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidFile):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidFile(f"{path}: cannot be read ({reason}); give the path of a recording file") from error
