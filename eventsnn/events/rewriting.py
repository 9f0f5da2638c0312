"""Recordings written anew in another format: one file, or a folder of files with their classes as folders."""

import os
from collections.abc import Callable
from pathlib import Path

from eventsnn.errors import InvalidRequest
from eventsnn.events.layouts import AddressLayout, Orientation
from eventsnn.events.readers.contract import settings_of
from eventsnn.events.readers.reading import write_as, writer_of
from eventsnn.events.readers.registry import format_named
from eventsnn.events.recordings import RecordingSet


def rewrite_recordings(
    recordings: RecordingSet,
    output: str | os.PathLike[str],
    *,
    format: str | None = None,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write a set of recordings in another format.

    Parameters
    ----------
    recordings
        What is written, with its reductions.
    output
        A file, where the set was opened from one file; else a folder, which is made. Files in it are named as
        their recordings are; where these lie in no folder of their class, one is made.
    format
        One of ``FORMATS``; for a file by its suffix unless said.
    layout, orientation
        Of AEDAT addresses, as of ``write_events``.
    progress
        Called with how many are done, and of how many.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InvalidRequest
        No format was said or is written, or a file is there already.
    InvalidFile, InvalidEvents, MissingExtra
        As of the readers and writers.
    """
    settings = settings_of(layout=layout, orientation=orientation)
    one = Path(recordings.path).is_file()
    target = Path(output)
    if not one and format is None:
        raise InvalidRequest(f"{target}: say the format of the files in this folder, format='npy' (--to npy)")
    known = writer_of(target, None) if format is None else format_named(format)
    names = [target] if one else [target / name for name in _names(recordings, known.suffixes[0])]
    if there := next((name for name in names if name.exists()), None):
        raise InvalidRequest(f"{there} exists; nothing is written over a recording, choose another name")
    if not names[0].parent.is_dir() and one:
        raise InvalidRequest(f"the folder of {target} does not exist; make it first")
    for number, (name, recording) in enumerate(zip(names, recordings, strict=True)):
        name.parent.mkdir(parents=True, exist_ok=True)
        write_as(known, name, recording.events, recordings.height, recordings.width, settings)
        if progress is not None:
            progress(number + 1, len(names))
    return names


def _names(recordings: RecordingSet, suffix: str) -> list[str]:
    found = []
    for file in recordings.files:
        stem, _, part = file.name.partition("#")
        path = Path(stem)
        inside = path.with_name(f"{path.stem}{'_' + part if part else ''}{suffix}")
        labelled = file.label is not None and file.label < len(recordings.class_names)
        if labelled and file.extent is not None:
            # A long recording lies in no folder of a class: it holds several.
            inside = Path(recordings.class_names[file.label or 0]) / inside.name
        found.append(inside.as_posix())
    if len(set(found)) != len(found):
        raise InvalidRequest("two recordings would get one name, as they differ in their suffix only")
    return found
