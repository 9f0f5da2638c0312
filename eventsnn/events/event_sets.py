"""A file of event recordings as a set, with its splits."""

from functools import partial
from pathlib import Path

from eventsnn.errors import InvalidRequest
from eventsnn.events.event_file import open_event_file, read_recording, read_recording_in_parts
from eventsnn.events.recordings import RecordingFile, RecordingSet
from eventsnn.events.splits import NAMES, NamedSplit, require_no_own


def open_event_set(path: Path, split: str, named: NamedSplit | None = None) -> RecordingSet:
    """Open our own file of recordings; nothing of the events is read.

    The splits are those the file knows: of an emulated set, that of the picture (no picture of CIFAR-10's
    training set is in ``test``); of a data set with folders for its splits, the folder. A set without, as
    CIFAR10-DVS, is split by name.

    Raises
    ------
    InvalidRequest
        The file has no such split.
    MissingFile, InvalidFile
        As of ``open_event_file``.
    """
    found = open_event_file(path)
    names, labels = found.texts("name"), found.recordings["label"].tolist()
    checksums, counts = found.recordings["checksum"].tolist(), found.recordings["events"].tolist()
    files = [
        RecordingFile(path, name, None if label < 0 else label, position, position, f"{count}:{checksum:08x}")
        for position, (name, label, count, checksum) in enumerate(
            zip(names, labels, counts, checksums, strict=True)
        )
    ]
    attributes = found.attributes
    known = found.texts("split") if "split" in found.recordings else [""] * len(files)
    if named is not None:
        require_no_own(any(known), f"events:{path}", split)
        files = named.of(files, f"events:{path}")
    elif split != "all":
        files = [file for file, part in zip(files, known, strict=True) if part == split]
        if not files:
            raise InvalidRequest(
                f"events:{path} has no split {split!r}; it has {', '.join(sorted({'all', *known} - {''}))}"
                f"{'' if any(known) else f', or a name: {NAMES}'}"
            )
    return RecordingSet(
        kind="events",
        path=str(path),
        split=split,
        height=int(attributes["height"]),
        width=int(attributes["width"]),
        class_names=found.class_names,
        files=tuple(files),
        reader=partial(read_recording),
        chunks=partial(read_recording_in_parts),
        orientation=attributes["orientation"] or None,
        clock=attributes["clock"] or "last-reset",
        origin=attributes["origin"],
    )
