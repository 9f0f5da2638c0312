"""Sets of files in folders, whatever their kind: what was asked for, and splits by folder or by number."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events.clock import Clock
from eventsnn.events.folders import other_formats, split_folders, split_of_folder
from eventsnn.events.formats import READ_AS_EVENTS, format_of_file, not_yet
from eventsnn.events.layouts import Orientation
from eventsnn.events.readers.contract import Settings
from eventsnn.events.recordings import RecordingFile
from eventsnn.events.splits import NamedSplit

SPLITS = ("all", "train", "test")


@dataclass(frozen=True)
class Wanted:
    """What was asked for beside the path; None is what the kind of data set does."""

    split: str
    named: NamedSplit | None
    orientation: Orientation | None
    clock: Clock
    clock_was_said: bool
    reading: Settings
    format: str | None


def by_folders(
    files: list[RecordingFile], outer: Path, split: str, what: str, above: int
) -> dict[str, list[RecordingFile]] | None:
    """Splits by folders' names, below or the one that was named; None if they do not tell.

    A folder ``Train`` alone below the one that was named is a part of a data set, and split by number.
    """
    inside = split_folders([file.name for file in files], above)
    if "test" not in inside and (own := split_of_folder(outer)):
        inside = [within or own for within in inside]
        if split not in ("all", own):
            raise InvalidRequest(
                f"{what}: this folder is the split {own!r} by its name and holds no {split!r}; name the "
                f"folder that holds both, or ask for {own!r}"
            )
    if "test" not in inside and not split_of_folder(outer):
        return None
    return {"all": files} | {
        which: [file for file, within in zip(files, inside, strict=True) if within == which]
        for which in ("train", "test")
    }


def every(files: list[RecordingFile], step: int) -> dict[str, list[RecordingFile]]:
    """Split a sorted list: each ``step``-th file is test, the rest train."""
    return {
        "all": files,
        "test": [file for file in files if file.index % step == 0],
        "train": [file for file in files if file.index % step],
    }


def not_empty(files: Iterable[RecordingFile], split: str, what: str) -> tuple[RecordingFile, ...]:
    chosen = tuple(files)
    if not chosen:
        raise InvalidRequest(
            f"{what}: the split {split!r} has no recording; use another of {', '.join(SPLITS)}"
        )
    return chosen


def instead_of(folder: Path) -> str:
    """What a message adds if there are recordings, but of formats that are not read yet."""
    found = other_formats(folder)
    return "".join(
        f". {name} is {known}, which "
        f"{'events:PATH opens' if known in READ_AS_EVENTS else 'is not supported yet'}"
        for known, name in sorted(found.items())[:3]
    )


def require_suffix(path: Path, suffix: str, kind: str) -> None:
    if path.suffix.lower() == suffix:
        return
    instead = f"a single recording of this kind is a {suffix} file; name one, or a folder"
    if other := format_of_file(path):
        raise InvalidFile(f"{kind}:{path}: {not_yet(other, instead)}")
    raise InvalidRequest(f"{kind}:{path}: {instead}")
