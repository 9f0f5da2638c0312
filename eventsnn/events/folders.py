"""What the folders of a data set say: which files are recordings, their class, their split."""

import os
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from eventsnn.errors import InvalidRequest
from eventsnn.events.formats import format_of_name

SPLIT_FOLDERS = ("train", "test")

# A number beyond this is no class but a name, like a date.
LARGEST_CLASS = 9_999
_MOST_FOLDERS = 1_000_000


def find_files(folder: Path, suffix: str) -> list[str]:
    """Return the relative paths, with forward slashes, of all files of a suffix, sorted.

    Hidden files and folders (``.name``, ``__MACOSX``) are left out. Links are followed; a link to a folder
    that holds it is not.

    Raises
    ------
    InvalidRequest
        If a folder cannot be read, or links lead round without end.
    """
    return [name for name in _files(folder) if name.lower().endswith(suffix)]


def other_formats(folder: Path) -> dict[str, str]:
    """Known formats that are not read yet, each with the first file of it below a folder."""
    found: dict[str, str] = {}
    for name in _files(folder):
        known = format_of_name(name)
        if known is not None:
            found.setdefault(known, name)
    return found


def _files(folder: Path) -> list[str]:
    def refuse(error: OSError) -> None:
        raise InvalidRequest(
            f"{error.filename}: cannot be read ({error.strerror}); give a folder of recordings"
        ) from error

    top = os.fspath(folder)
    holders = {top: _with_parents(top)}
    found = []
    for parent, folders, files in os.walk(top, followlinks=True, onerror=refuse):
        above = holders.pop(parent)
        inside = []
        for name in folders:
            below = os.path.join(parent, name)
            real = os.path.realpath(below)
            if not is_hidden(name) and real not in above:
                inside.append(name)
                holders[below] = above | {real}
        folders[:] = inside
        if len(holders) > _MOST_FOLDERS:
            raise InvalidRequest(f"{folder}: more than {_MOST_FOLDERS} folders; links may lead round in it")
        within = Path(os.path.relpath(parent, top))
        found += [(within / name).as_posix() for name in files if not is_hidden(name)]
    return sorted(found)


def _with_parents(folder: str) -> frozenset[str]:
    real = Path(os.path.realpath(folder))
    return frozenset(os.fspath(holder) for holder in (real, *real.parents))


def is_hidden(name: str) -> bool:
    """Whether a file or folder is left by an operating system, or hidden from listings."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def folder_above(path: Path) -> Path:
    """The folder that holds a file or folder, by the name it was given, not by where a link leads."""
    return Path(os.path.abspath(path)).parent


def class_labels(names: Iterable[str], where: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """Labels of class folders.

    Numbers go by value: 1 to n, all there, become 0 to n - 1; others keep their value. Other names, or
    numbers among them, are sorted in plain string order.

    Returns
    -------
    class_names
        The name of each label 0, 1, ...; that of a value without a folder is the number itself.
    labels
        The label of each folder.

    Raises
    ------
    InvalidRequest
        Two folders are one number.
    """
    ordered = sorted(set(names))
    if not ordered or not all(re.fullmatch("[0-9]{1,18}", name) for name in ordered):
        return tuple(ordered), {name: label for label, name in enumerate(ordered)}
    ordered.sort(key=int)
    values = [int(name) for name in ordered]
    for one, two in pairwise(ordered):
        if int(one) == int(two):
            raise InvalidRequest(
                f"{where}: the folders {one!r} and {two!r} are one class; join or rename them"
            )
    if values[-1] > LARGEST_CLASS:
        ordered.sort()
        return tuple(ordered), {name: label for label, name in enumerate(ordered)}
    # One folder alone tells nothing of where counting begins.
    first = 1 if len(values) > 1 and values == list(range(1, len(values) + 1)) else 0
    labels = {name: int(name) - first for name in ordered}
    class_names = [str(value + first) for value in range(max(labels.values()) + 1)]
    for name, label in labels.items():
        class_names[label] = name
    return tuple(class_names), labels


def split_folders(names: Sequence[str], above: int) -> list[str | None]:
    """Which of ``SPLIT_FOLDERS`` each file lies in, the innermost if in several; case does not matter.

    ``above`` is how many folders next to the file are its class, and no split.
    """
    found = []
    for name in names:
        folders = [part.lower() for part in name.split("/")[:-1]]
        folders = folders[: len(folders) - above] if above else folders
        found.append(next((part for part in reversed(folders) if part in SPLIT_FOLDERS), None))
    return found


def split_of_folder(folder: Path) -> str | None:
    """The split that a folder is by its own name."""
    name = Path(os.path.abspath(folder)).name.lower()
    return name if name in SPLIT_FOLDERS else None
