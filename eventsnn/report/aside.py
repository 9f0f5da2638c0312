"""Text files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from eventsnn.errors import InvalidRequest


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """A UTF-8 file to write, renamed to ``path`` once the block has ended without an error.

    Raises
    ------
    InvalidRequest
        The folder of ``path`` does not exist, or ``path`` is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise InvalidRequest(f"{target} is a folder; give the name of a file to write")
    if not target.parent.is_dir():
        raise InvalidRequest(f"the folder of {target} does not exist; make it first")
    aside = target.with_name(f"{target.name}.{os.getpid()}.writing")
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
