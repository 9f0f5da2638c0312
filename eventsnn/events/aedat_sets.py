"""CIFAR10-DVS, and other recordings in AEDAT 2.0: class folders, or one file of our own."""

from functools import partial
from pathlib import Path

from eventsnn.errors import InvalidRequest
from eventsnn.events.any_format import parts_of_one
from eventsnn.events.event_file import open_event_file
from eventsnn.events.event_seal import is_event_file
from eventsnn.events.event_sets import open_event_set
from eventsnn.events.file_sets import Wanted, by_folders, every, instead_of, not_empty, require_suffix
from eventsnn.events.folders import SPLIT_FOLDERS, class_labels, find_files, folder_above, split_folders
from eventsnn.events.layouts import DVS128, Orientation
from eventsnn.events.readers.aedat2 import read_aedat
from eventsnn.events.readers.contract import Settings
from eventsnn.events.recordings import RecordingFile, RecordingSet
from eventsnn.events.splits import NAMES, require_no_own

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def open_aedat(kind: str, default: Orientation, path: Path, wanted: Wanted) -> RecordingSet:
    """Label of a class folder as ``class_labels`` says.

    Where all folders are named as CIFAR-10 classes, the names are the ten of CIFAR-10 even if some
    folders are missing, so that a part of the data set keeps the labels of the whole.
    """
    what = f"{kind}:{path}"
    if kind == "cifar10-dvs" and path.is_file() and is_event_file(path):
        return open_own(path, wanted, ("cifar10-dvs", "emulated-cifar10-dvs"))
    if path.is_file():
        require_suffix(path, ".aedat", kind)
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
            f"{instead_of(path)}"
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
    chosen = by_folders(files, outer, "all" if wanted.named else wanted.split, what, folders)
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
    chosen = chosen or every(files, 10)
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
        files=not_empty(chosen[wanted.split], wanted.split, what),
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


def open_own(path: Path, wanted: Wanted, kinds: tuple[str, ...] = ()) -> RecordingSet:
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
