"""``events:PATH``: recordings of any format, one file or a folder of files, class folders as labels."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events.folders import (
    SPLIT_FOLDERS,
    class_labels,
    find_files,
    folder_above,
    split_folders,
    split_of_folder,
)
from eventsnn.events.readers.contract import Decoded, Settings
from eventsnn.events.readers.reading import read_as
from eventsnn.events.readers.registry import SUFFIXES, format_named, format_of
from eventsnn.events.recordings import RecordingFile, RecordingSet
from eventsnn.events.stream import Events


def open_events(path: Path, split: str, settings: Settings, format: str | None) -> RecordingSet:
    """A set of recordings of one suffix; of the events nothing is read, of the first file its sensor.

    Raises
    ------
    InvalidRequest
        No recording, files of several suffixes, or a split that no folder's name tells.
    InvalidFile
        The first file is of no format known.
    """
    what = f"events:{path}"
    folder, names = _names(path, format, what)
    parents = ["" if "/" not in name else name.split("/")[-2] for name in names]
    if all(parent.lower() in ("", *SPLIT_FOLDERS) for parent in parents):
        parents = [""] * len(parents)
    classes, labels = class_labels(set(parents) - {""}, what)
    files = tuple(
        RecordingFile(folder / name, name, labels.get(parent), index)
        for index, (name, parent) in enumerate(zip(names, parents, strict=True))
    )
    chosen = _of_split(files, folder, split, what, 1 if classes else 0)
    known = format_of(files[0].path) if format is None else format_named(format)
    settings = known.with_clock(known.settings(settings, files[0].path))
    width, height = known.size(files[0].path, settings)
    oriented = settings.orientation.name if settings.orientation else "raw"
    return RecordingSet(
        kind="events",
        path=str(path),
        split=split,
        height=height,
        width=width,
        class_names=classes,
        files=chosen,
        reader=partial(read_one, format=format, settings=settings, size=(width, height)),
        chunks=partial(parts_of_one, format=format, settings=settings, size=(width, height)),
        orientation=oriented if "orientation" in known.takes else None,
        clock=settings.clock or "last-reset",
        origin=known.origin,
        said=_in_words(settings, format),
    )


def _in_words(settings: Settings, format: str | None) -> tuple[tuple[str, str], ...]:
    """What has no place of its own in a set: sensor, columns, unit, layout, format."""
    found = {"format": format, "columns": settings.columns, "unit": settings.unit}
    if settings.sensor:
        found["sensor"] = f"{settings.sensor[0]}x{settings.sensor[1]}"
    if settings.layout:
        found["layout"] = settings.layout.name.lower()
    return tuple((name, value) for name, value in found.items() if value is not None)


def read_one(path: Path, *, format: str | None, settings: Settings, size: tuple[int, int]) -> Events:
    """The events of one recording of a set, which all have one sensor; ``decode_one`` without the counts."""
    return decode_one(path, format=format, settings=settings, size=size).events


def decode_one(path: Path, *, format: str | None, settings: Settings, size: tuple[int, int]) -> Decoded:
    """One recording of a set.

    Raises
    ------
    InvalidEvents
        It is of another sensor than the first one; else as ``read_events``.
    """
    found = read_as(format_of(path) if format is None else format_named(format), path, settings)
    _require_size(path, (found.width, found.height), size)
    return found


def parts_of_one(
    path: Path, most: int, *, format: str | None, settings: Settings, size: tuple[int, int]
) -> Iterator[Events]:
    """The events of one recording of a set in parts; settings and size as of ``decode_one``.

    Raises
    ------
    InvalidRequest
        Its format is only read whole.
    InvalidEvents
        It is of another sensor than the first one, or its clock does more than go on and wrap.
    """
    known = format_of(path) if format is None else format_named(format)
    if known.chunks is None:
        raise InvalidRequest(f"{path}: {known.title} files are read whole")
    given = known.settings(settings, path)
    _require_size(path, known.size(path, given), size)
    return known.chunks(path, given, most)


def _require_size(path: Path, found: tuple[int, int], size: tuple[int, int]) -> None:
    if found != size:
        raise InvalidEvents(
            f"{path}: the sensor has {found[0]} columns and {found[1]} rows, that of the first recording of "
            f"the set {size[0]} and {size[1]}; open them apart"
        )


def _names(path: Path, format: str | None, what: str) -> tuple[Path, list[str]]:
    if path.is_file():
        return path.parent, [path.name]
    suffixes = SUFFIXES if format is None else format_named(format).suffixes
    found = {suffix: names for suffix in suffixes if (names := find_files(path, suffix))}
    if len(found) > 1:
        # Notes and labels lie beside recordings as text.
        found = {suffix: names for suffix, names in found.items() if suffix not in (".txt", ".csv")} or found
    if not found:
        raise InvalidRequest(f"{what}: no recordings below this folder ({', '.join(suffixes)})")
    if len(found) > 1:
        held = ", ".join(f"{len(names)} {suffix}" for suffix, names in found.items())
        raise InvalidRequest(
            f"{what}: files of several formats below this folder ({held}); say one (--format)"
        )
    return path, next(iter(found.values()))


def _of_split(
    files: tuple[RecordingFile, ...], folder: Path, split: str, what: str, above: int
) -> tuple[RecordingFile, ...]:
    """By the names of folders, below the one that was named or its own."""
    if split == "all":
        return files
    own = split_of_folder(folder) or split_of_folder(folder_above(folder / "file").parent)
    inside = [within or own for within in split_folders([file.name for file in files], above)]
    chosen = tuple(file for file, within in zip(files, inside, strict=True) if within == split)
    if not chosen:
        raise InvalidRequest(
            f"{what}: no folder named {split!r} holds recordings, and nothing else tells the splits of "
            "these; "
            "take all of them"
        )
    return chosen
