"""What ``eventsnn inspect`` and ``eventsnn data`` say of recordings and images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventsnn.cli import show
from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.run.reading import Reading

if TYPE_CHECKING:
    from eventsnn.events import ImageSet, RecordingSet

SUFFIXES = {".bin": "nmnist", ".aedat": "aedat"}
OTHER_SUFFIXES = (".aedat4", ".dat", ".raw", ".npy", ".csv", ".bs2", ".parquet")
"""Of files that are opened as events:PATH; an .npz file may hold images as well."""
KNOWN_FILES = (
    "known files are eventsnn networks, results and sets of recordings (.h5), and recordings "
    f"({', '.join((*SUFFIXES, *OTHER_SUFFIXES))})"
)


def data_named(place: Path) -> str | None:
    """``KIND:PATH`` of what a path is, if it is data: such a text itself, a recording, or a folder of some.

    Raises
    ------
    InvalidRequest
        A folder without recordings, or of several kinds.
    InvalidFile
        A file of recordings or images of a format that is not read yet.
    """
    from eventsnn.events import CIFAR10_CLASSES
    from eventsnn.events.datasets import KINDS
    from eventsnn.events.event_seal import is_event_file
    from eventsnn.events.folders import find_files
    from eventsnn.events.formats import READ_AS_EVENTS, format_of_file, not_yet
    from eventsnn.events.tonic_package import PREFIX

    kind, colon, rest = str(place).partition(":")
    if colon and rest and (kind in KINDS or kind.startswith(PREFIX)) and not place.exists():
        return str(place)
    if place.is_dir():
        found = {kind: find_files(place, suffix) for suffix, kind in SUFFIXES.items()}
        kinds = [kind for kind, names in found.items() if names]
        if not kinds and any(find_files(place, suffix) for suffix in OTHER_SUFFIXES):
            return f"events:{place}"
        if len(kinds) != 1:
            what = "recordings of several kinds" if kinds else "no recordings (.bin, .aedat)"
            raise InvalidRequest(f"{place} holds {what}; write KIND:PATH with KIND one of {', '.join(KINDS)}")
        kind = kinds[0]
        if kind == "aedat" and _is_cifar10_dvs(found[kind], CIFAR10_CLASSES):
            kind = "cifar10-dvs"
        return f"{kind}:{place}"
    if not place.is_file():
        return None
    if is_event_file(place):
        return f"events:{place}"
    known = SUFFIXES.get(place.suffix.lower())
    other = format_of_file(place)
    if other in READ_AS_EVENTS and (known or place.suffix.lower() in OTHER_SUFFIXES):
        return f"events:{place}"
    if known is not None:
        is_cifar10_dvs = known == "aedat" and _is_cifar10_dvs([place.name], CIFAR10_CLASSES)
        return f"{'cifar10-dvs' if is_cifar10_dvs else known}:{place}"
    if other is not None and other != "HDF5":
        instead = KNOWN_FILES
        if other.startswith("NumPy"):
            instead += f"; images are named images:{place}"
        raise InvalidFile(f"{place}: {not_yet(other, instead)}")
    return None


def _is_cifar10_dvs(names: list[str], classes: tuple[str, ...]) -> bool:
    """Whether all files are named as those of CIFAR10-DVS are, ``cifar10_<class>_<n>.aedat``."""
    starts = tuple(f"cifar10_{name}_" for name in classes)
    return all(name.rpartition("/")[2].startswith(starts) for name in names)


def contents(spec: str, reading: Reading) -> dict[str, Any]:
    """What there is to say of one recording or of a set, as JSON values."""
    from eventsnn.events import ImageSet

    found = reading.open(spec)
    if not isinstance(found, ImageSet) and Path(found.path).is_file() and not found.one_file:
        return _one(found)
    whole: dict[str, Any] = {
        "data": spec,
        "images" if isinstance(found, ImageSet) else "recordings": len(found),
        "sensor": f"{found.width} x {found.height} pixels",
    }
    if not isinstance(found, ImageSet):
        whole |= _conventions(found)
    splits: dict[str, int] = {}
    by_name = [f"{rule}:{part}" for rule in ("first100", "last100") for part in ("train", "test")]
    for split in ("train", "test", *by_name):
        if split in by_name and (isinstance(found, ImageSet) or splits["train"] + splits["test"]):
            continue
        try:
            splits[split] = len(replace(reading, split=split).open(spec))
        except InvalidRequest:
            if split not in by_name:
                splits[split] = 0
    return whole | {"splits": splits, "classes": classes(found)}


def classes(found: RecordingSet | ImageSet) -> list[dict[str, Any]]:
    """Each label there is, its class name (None if there is none) and how many samples have it."""
    import numpy as np

    labels, counts = np.unique(found.labels, return_counts=True)
    return [
        {
            "label": None if label < 0 else int(label),
            "class": found.class_names[label] if 0 <= label < len(found.class_names) else None,
            "samples": int(count),
        }
        for label, count in zip(labels, counts, strict=True)
    ]


def class_table(found: list[dict[str, Any]]) -> show.Listing:
    """``classes`` as a table."""
    made = show.table("class", "label", "samples")
    for row in found:
        label = "unknown" if row["label"] is None else str(row["label"])
        made.add_row("unknown" if row["class"] is None else row["class"], label, str(row["samples"]))
    return made


def _conventions(found: RecordingSet) -> dict[str, Any]:
    if found.one_file:
        from eventsnn.events.event_file import open_event_file

        said = open_event_file(found.path).attributes
        return {
            name: said[name] or None for name in ("kind", "orientation", "clock", "origin", "version")
        } | {
            "holds": said["data"],
            "downsampled": int(said["downsampled"]),
        }
    oriented = {} if found.orientation is None else {"orientation": found.orientation}
    return {"kind": found.kind, **oriented, "clock": found.clock, "origin": found.origin}


def _one(found: RecordingSet) -> dict[str, Any]:
    from eventsnn.events import record_counts

    recording, counts = record_counts(found, 0)
    events = recording.events
    named = recording.label is not None and recording.label < len(found.class_names)
    return {
        "file": str(found.files[0].path),
        "sensor": f"{found.width} x {found.height} pixels",
        "events": len(events),
        "duration_us": int(events["t"][-1] - events["t"][0]) if len(events) else 0,
        "on_share": float(events["p"].mean()) if len(events) else None,
        "label": recording.label,
        "class": found.class_names[recording.label] if named and recording.label is not None else None,
        **_conventions(found),
        **counts,
    }
