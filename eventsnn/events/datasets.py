"""Open a data set by its name and place: ``open_dataset("nmnist:PATH", split="test")``.

Of recordings only the file names are looked at here; the layouts and splits of each kind are in its
function's docstring. A kind is added by one function and one entry in ``_KINDS``.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events.any_format import decode_one, open_events, parts_of_one
from eventsnn.events.clock import Clock, clock_of
from eventsnn.events.event_file import open_event_file
from eventsnn.events.event_seal import is_event_file
from eventsnn.events.event_sets import open_event_set
from eventsnn.events.folders import (
    SPLIT_FOLDERS,
    class_labels,
    find_files,
    folder_above,
    other_formats,
    split_folders,
    split_of_folder,
)
from eventsnn.events.formats import READ_AS_EVENTS, format_of_file, not_yet
from eventsnn.events.gesture import open_gesture
from eventsnn.events.images import ImageSet, open_images
from eventsnn.events.layouts import (
    CIFAR10_DVS,
    DVS128,
    RAW,
    AddressLayout,
    Orientation,
    orientation_of,
)
from eventsnn.events.readers.aedat2 import read_aedat, read_aedat_with_counts
from eventsnn.events.readers.contract import Settings, settings_of
from eventsnn.events.readers.five_byte import (
    NMNIST_HEIGHT,
    NMNIST_WIDTH,
    read_nmnist,
    read_nmnist_with_counts,
)
from eventsnn.events.recordings import Recording, RecordingFile, RecordingSet
from eventsnn.events.splits import NAMES, NamedSplit, named_split, require_no_own
from eventsnn.events.tonic_package import PREFIX
from eventsnn.events.tonic_sets import open_tonic

SPLITS = ("all", "train", "test")

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class _Wanted:
    """What was asked for beside the path; None is what the kind of data set does."""

    split: str
    named: NamedSplit | None
    orientation: Orientation | None
    clock: Clock
    clock_was_said: bool
    reading: Settings
    format: str | None


def open_recordings(
    spec: str,
    split: str | None = None,
    *,
    orientation: Orientation | str | None = None,
    clock: str | None = None,
    format: str | None = None,
    sensor: tuple[int, int] | str | None = None,
    columns: str | None = None,
    unit: str | None = None,
    layout: AddressLayout | str | None = None,
) -> RecordingSet:
    """Open a set of event recordings; ``open_dataset`` without images.

    Raises
    ------
    InvalidRequest
        As ``open_dataset``, and for images.
    """
    found = open_dataset(
        spec,
        split,
        orientation=orientation,
        clock=clock,
        format=format,
        sensor=sensor,
        columns=columns,
        unit=unit,
        layout=layout,
    )
    if isinstance(found, RecordingSet):
        return found
    raise InvalidRequest(f"{spec} holds images, no event recordings; give recordings")


def open_dataset(
    spec: str,
    split: str | None = None,
    *,
    orientation: Orientation | str | None = None,
    clock: str | None = None,
    format: str | None = None,
    sensor: tuple[int, int] | str | None = None,
    columns: str | None = None,
    unit: str | None = None,
    layout: AddressLayout | str | None = None,
) -> RecordingSet | ImageSet:
    """Open a set of recordings without reading any events, or read a file of images.

    Parameters
    ----------
    spec
        ``KIND:PATH``. Kinds: ``nmnist`` (folder with ``<digit>/*.bin`` somewhere below, or one file),
        ``cifar10-dvs`` (folder ``<class>/*.aedat``, or one file), ``aedat`` (any AEDAT 2.0 recordings of a
        DVS128, in the same layout; files may also lie directly in the folder, then without labels),
        ``dvs-gesture`` (DVS128 Gesture as published or as tonic lays it out), ``events`` (recordings of any
        format, one file or a folder; or a file that ``eventsnn data prepare`` wrote, see
        ``open_event_set``), ``images`` (an ``.npz`` file, see ``open_images``), ``tonic.NAME`` (see
        ``open_tonic``). Hidden files are left out, links are followed.
    split
        ``"train"``, ``"test"``, or ``"all"``, which None means too; of CIFAR10-DVS, AEDAT and our own files
        also a name as ``"first100:train"``, see ``splits``.

        Folders named ``Train`` and ``Test`` (in any case) are the splits; so is the folder that was named
        itself, whose other split is then refused. Else, N-MNIST: every fifth recording (index % 5 == 0 in
        the sorted list) is test. AEDAT: every tenth (index % 10 == 0). CIFAR10-DVS has no such split; a name
        must be given.
    orientation
        Of AEDAT recordings: what their axes and polarity mean, ``"raw"``, ``"jaer-matlab"``,
        ``"cifar10-dvs"``, or an ``Orientation``. ``cifar10-dvs`` data have that of their name, ``aedat``
        ``"raw"``: axes as stored, ON is a polarity bit of 1.
    clock
        What to do where time goes back, as of ``read_aedat_with_counts``; ``"last-reset"`` unless said.
    format, sensor, columns, unit
        Of ``events``, what the files do not say, as of ``read_events``.
    layout
        Of ``aedat`` and ``events``: the camera's address layout, ``"dvs128"``, ``"davis240"``, ``"davis346"``
        or an ``AddressLayout``; of ``aedat`` ``"dvs128"`` unless said.

    Returns
    -------
    RecordingSet or ImageSet
        Recordings are sorted by relative path, in plain string order; images stay in the order of the file.

    Raises
    ------
    InvalidRequest
        If the kind, the path, the split, orientation or clock is unknown, or there is no recording.
    InvalidFile, InvalidEvents
        If a file is of a format that is not read yet, holds no images, or values that no image can have.
    """
    if not isinstance(spec, str):
        raise InvalidRequest(
            f"a data set is named by a text KIND:PATH with KIND one of {', '.join(_KINDS)}, found "
            f"{type(spec).__name__} {str(spec)[:80]!r}; write for example open_dataset(f'nmnist:{{path}}')"
        )
    kind, colon, place = spec.partition(":")
    if colon and place and kind.startswith(PREFIX):
        if orientation is not None or clock is not None:
            raise InvalidRequest(f"{spec}: tonic reads these; leave orientation and clock (--clock) out")
        return open_tonic(spec, split)
    if not colon or kind not in _KINDS or not place:
        raise InvalidRequest(
            f"unknown data set {spec!r}; write KIND:PATH with KIND one of {', '.join(_KINDS)}"
        )
    named = named_split(split) if isinstance(split, str) else None
    if split is not None and named is None and not (isinstance(split, str) and split in SPLITS):
        raise InvalidRequest(
            f"unknown split {split!r} of {spec}; allowed are {', '.join(SPLITS)}, and for recordings {NAMES}"
        )
    if named is not None and kind not in ("cifar10-dvs", "aedat", "events"):
        raise InvalidRequest(f"{spec} has splits of its own, not {split!r}; allowed are {', '.join(SPLITS)}")
    reading = settings_of(sensor, columns, unit, layout, orientation, clock)
    own = [*(["format"] if format is not None else []), *reading.said()]
    if other := [name for name in own if name not in (*_TAKES.get(kind, ()), "orientation", "clock")]:
        raise InvalidRequest(
            f"{spec}: {', '.join(other)} is for "
            f"events:PATH{' and aedat:' if other == ['layout'] else ''}, leave "
            "it out"
        )
    wanted = _Wanted(
        str(named or split or "all"),
        named,
        None if orientation is None else orientation_of(orientation),
        clock_of("last-reset" if clock is None else clock),
        clock is not None,
        reading,
        format,
    )
    try:
        path = Path(place).expanduser()
        there = path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidRequest(f"{spec}: {error}; give the path of a folder or file") from error
    if not there:
        raise InvalidRequest(
            f"{spec}: there is no {path}; give the path of a folder of recordings, of one recording, or of "
            "an image file"
        )
    return _KINDS[kind](path, wanted)


def record_counts(recordings: RecordingSet, position: int) -> tuple[Recording, dict[str, int]]:
    """A recording, and what its file held beside the events: records, special events, what was left out.

    Raises
    ------
    InvalidFile, InvalidEvents
        As of the reader.
    """
    file = recordings.files[position]
    if recordings.kind.startswith(PREFIX):
        events = recordings.read(file)
        return recordings.recording(position, events), {"records": len(events)}
    counts: Any
    # Nothing was left out of our own file, or of a gesture cut from its recording.
    if file.position is not None or recordings.kind == "dvs-gesture":
        recording = recordings[position]
        return recording, {"records": len(recording.events)}
    if recordings.kind == "events":
        decoded = decode_one(file.path, **recordings.reader.keywords)
        return recordings.recording(position, decoded.events), decoded.counts
    if recordings.kind == "nmnist":
        events, counts = read_nmnist_with_counts(file.path, **recordings.reader.keywords)
    else:
        events, counts = read_aedat_with_counts(file.path, **recordings.reader.keywords)
    whole = {
        name: value
        for name, value in asdict(counts).items()
        if isinstance(value, int) and (value or name not in ("frame_samples", "motion_samples"))
    }
    return recordings.recording(position, events), whole


def _open_nmnist(path: Path, wanted: _Wanted) -> RecordingSet:
    """Label = the folder that holds the file, a digit; files elsewhere are no part of the layout."""
    what = f"nmnist:{path}"
    if wanted.orientation is not None:
        raise InvalidRequest(
            f"{what}: an orientation ({wanted.orientation.name}) is chosen for AEDAT recordings; five-byte "
            "files hold picture coordinates, leave it out"
        )
    if path.is_file():
        _require_suffix(path, ".bin", "nmnist")
        folder, names = path.parent, [path.name]
    else:
        folder = path
        names = [name for name in find_files(path, ".bin") if _is_class(path / name, what)]
        if not names:
            raise InvalidRequest(
                f"{what}: no <digit>/*.bin below this folder; "
                f"N-MNIST recordings lie in folders named 0 to 9{_instead(path)}"
            )
    digits = [folder_above(folder / name).name for name in names]
    files = [
        RecordingFile(folder / name, name, int(digit) if _is_digit(digit) else None, index)
        for index, (name, digit) in enumerate(zip(names, digits, strict=True))
    ]
    # Split by name, or else by number: a class folder may be what was named.
    outer = folder_above(folder) if _is_digit(folder_above(folder / "file").name) else folder
    chosen = _by_folders(files, outer, wanted.split, what, 0) or _every(files, 5)
    sensor = (NMNIST_WIDTH, NMNIST_HEIGHT)
    return RecordingSet(
        kind="nmnist",
        path=str(path),
        split=wanted.split,
        height=NMNIST_HEIGHT,
        width=NMNIST_WIDTH,
        class_names=tuple("0123456789"),
        files=_not_empty(chosen[wanted.split], wanted.split, what),
        reader=partial(read_nmnist, clock=wanted.clock),
        chunks=partial(parts_of_one, format="five-byte", settings=Settings(sensor=sensor), size=sensor),
        clock=wanted.clock,
        origin="file",
    )


def _open_aedat(kind: str, default: Orientation, path: Path, wanted: _Wanted) -> RecordingSet:
    """Label of a class folder as ``class_labels`` says.

    Where all folders are named as CIFAR-10 classes, the names are the ten of CIFAR-10 even if some
    folders are missing, so that a part of the data set keeps the labels of the whole.
    """
    what = f"{kind}:{path}"
    if kind == "cifar10-dvs" and path.is_file() and is_event_file(path):
        return _open_own(path, wanted, ("cifar10-dvs", "emulated-cifar10-dvs"))
    if path.is_file():
        _require_suffix(path, ".aedat", kind)
        folder, names = path.parent, [path.name]
        above = folder_above(path).name
        parents = [above if above in CIFAR10_CLASSES else ""]
    else:
        names, folder = find_files(path, ".aedat"), path
        # Files directly in the folder that was named have no class.
        parents = ["" if "/" not in name else name.split("/")[-2] for name in names]
    if not names:
        raise InvalidRequest(
            f"{what}: no <class>/*.aedat below this folder (AEDAT 2.0, one folder for each class)"
            f"{_instead(path)}"
        )
    if all(parent.lower() in ("", *SPLIT_FOLDERS) for parent in parents):
        # Recordings without classes, in folders that are splits.
        parents = [""] * len(parents)
    found = set(parents) - {""}
    if found and found <= set(CIFAR10_CLASSES):
        classes: tuple[str, ...] = CIFAR10_CLASSES
        labels = {name: label for label, name in enumerate(classes)}
    else:
        classes, labels = class_labels(found, what)
    files = [
        RecordingFile(folder / name, name, labels.get(parent), index)
        for index, (name, parent) in enumerate(zip(names, parents, strict=True))
    ]
    outer = folder_above(folder) if folder_above(folder / "file").name in CIFAR10_CLASSES else folder
    folders = 1 if found else 0
    chosen = _by_folders(files, outer, "all" if wanted.named else wanted.split, what, folders)
    inside = split_folders(names, folders)
    if chosen is None and kind == "cifar10-dvs" and any(inside):  # train alone, as of an emulated set
        chosen = {"all": files, "train": files, "test": []}
    if wanted.named is not None:
        require_no_own(chosen is not None, what, wanted.split)
        chosen = {wanted.split: wanted.named.of(files, what)}
    elif chosen is None and kind == "cifar10-dvs" and wanted.split != "all":
        raise InvalidRequest(
            f"{what} comes without a split {wanted.split!r}, and papers use several; name one: {NAMES}"
        )
    chosen = chosen or _every(files, 10)
    orientation = wanted.orientation or default
    layout = wanted.reading.layout or DVS128
    height, width = orientation.size(layout)
    return RecordingSet(
        kind=kind,
        path=str(path),
        split=wanted.split,
        height=height,
        width=width,
        class_names=classes,
        files=_not_empty(chosen[wanted.split], wanted.split, what),
        reader=partial(read_aedat, layout=layout, orientation=orientation, clock=wanted.clock),
        chunks=partial(
            parts_of_one,
            format="aedat2",
            settings=Settings(layout=layout, orientation=orientation),
            size=(width, height),
        ),
        orientation=orientation.name,
        clock=wanted.clock,
        origin="first-event",
        said=() if wanted.reading.layout is None else (("layout", layout.name.lower()),),
    )


def _open_images(path: Path, wanted: _Wanted) -> ImageSet:
    if wanted.orientation is not None or wanted.clock_was_said:
        raise InvalidRequest(
            f"images:{path} holds images; orientation (--orientation) and clock (--clock) are for event "
            "recordings, leave them out"
        )
    if path.is_dir():
        raise InvalidFile(
            f"images:{path} is a folder and cannot be read as images; give an .npz file of images and labels"
        )
    if path.suffix.lower() != ".npz" and (other := format_of_file(path)) and "NumPy" not in other:
        raise InvalidFile(f"images:{path}: {not_yet(other, 'give an .npz file of images and labels')}")
    return open_images(path, wanted.split)


def _open_own(path: Path, wanted: _Wanted, kinds: tuple[str, ...] = ()) -> RecordingSet:
    """Our own file; ``kinds`` are those it may have come from, any if there are none."""
    held = open_event_file(path).attributes["kind"]
    if kinds and held not in kinds:
        raise InvalidRequest(
            f"{path} holds recordings of {held}, not of {kinds[0]}; open it as events:{path}"
        )
    said = [*(["format"] if wanted.format is not None else []), *wanted.reading.said()]
    if said:
        raise InvalidRequest(
            f"events:{path} holds picture coordinates and times in order; {', '.join(said)} "
            f"({', '.join('--' + name for name in said)}) went into it when it was made: leave them out"
        )
    return open_event_set(path, wanted.split, wanted.named)


def _open_gesture(path: Path, wanted: _Wanted) -> RecordingSet:
    if wanted.orientation is not None:
        raise InvalidRequest(
            f"dvs-gesture:{path}: its axes are those of a picture; leave the orientation out"
        )
    return open_gesture(path, wanted.split, wanted.clock)


def _open_events(path: Path, wanted: _Wanted) -> RecordingSet:
    if path.is_file() and is_event_file(path):
        return _open_own(path, wanted)
    if wanted.named is not None:
        raise InvalidRequest(
            f"events:{path} has no split {wanted.split!r}: it has those of its folders; a file of "
            "'eventsnn data prepare' has splits by name"
        )
    return open_events(path, wanted.split, wanted.reading, wanted.format)


_KINDS: dict[str, Callable[[Path, _Wanted], RecordingSet | ImageSet]] = {
    "nmnist": _open_nmnist,
    "cifar10-dvs": partial(_open_aedat, "cifar10-dvs", CIFAR10_DVS),
    "aedat": partial(_open_aedat, "aedat", RAW),
    "dvs-gesture": _open_gesture,
    "events": _open_events,
    "images": _open_images,
}
# Settings of one recording's file beside orientation and clock, by kind.
_TAKES = {"aedat": ("layout",), "events": ("format", "sensor", "columns", "unit", "layout")}


KINDS = tuple(_KINDS)


def _by_folders(
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


def _is_class(path: Path, what: str) -> bool:
    name = folder_above(path).name
    if re.fullmatch("[0-9]{2,3}", name):
        raise InvalidRequest(
            f"{what}: {path} lies in a folder named {name!r}; N-MNIST has the classes 0 to 9 only. Take "
            "other folders out"
        )
    return _is_digit(name)


def _is_digit(name: str) -> bool:
    return len(name) == 1 and name in "0123456789"


def _every(files: list[RecordingFile], step: int) -> dict[str, list[RecordingFile]]:
    """Split a sorted list: each ``step``-th file is test, the rest train."""
    return {
        "all": files,
        "test": [file for file in files if file.index % step == 0],
        "train": [file for file in files if file.index % step],
    }


def _not_empty(files: Iterable[RecordingFile], split: str, what: str) -> tuple[RecordingFile, ...]:
    chosen = tuple(files)
    if not chosen:
        raise InvalidRequest(
            f"{what}: the split {split!r} has no recording; use another of {', '.join(SPLITS)}"
        )
    return chosen


def _instead(folder: Path) -> str:
    """What a message adds if there are recordings, but of formats that are not read yet."""
    found = other_formats(folder)
    return "".join(
        f". {name} is {known}, which "
        f"{'events:PATH opens' if known in READ_AS_EVENTS else 'is not supported yet'}"
        for known, name in sorted(found.items())[:3]
    )


def _require_suffix(path: Path, suffix: str, kind: str) -> None:
    if path.suffix.lower() == suffix:
        return
    instead = f"a single recording of this kind is a {suffix} file; name one, or a folder"
    if other := format_of_file(path):
        raise InvalidFile(f"{kind}:{path}: {not_yet(other, instead)}")
    raise InvalidRequest(f"{kind}:{path}: {instead}")
