"""N-MNIST: recordings of digits, in folders of their names."""

import re
from functools import partial
from pathlib import Path

from eventsnn.errors import InvalidRequest
from eventsnn.events.any_format import parts_of_one
from eventsnn.events.file_sets import Wanted, by_folders, every, instead_of, not_empty, require_suffix
from eventsnn.events.folders import find_files, folder_above
from eventsnn.events.readers.contract import Settings
from eventsnn.events.readers.five_byte import NMNIST_HEIGHT, NMNIST_WIDTH, read_nmnist
from eventsnn.events.recordings import RecordingFile, RecordingSet


def open_nmnist(path: Path, wanted: Wanted) -> RecordingSet:
    """Label = the folder that holds the file, a digit; files elsewhere are no part of the layout."""
    what = f"nmnist:{path}"
    if wanted.orientation is not None:
        raise InvalidRequest(
            f"{what}: an orientation ({wanted.orientation.name}) is chosen for AEDAT recordings; five-byte "
            "files hold picture coordinates, leave it out"
        )
    if path.is_file():
        require_suffix(path, ".bin", "nmnist")
        folder, names = path.parent, [path.name]
    else:
        folder = path
        names = [name for name in find_files(path, ".bin") if _is_class(path / name, what)]
        if not names:
            raise InvalidRequest(
                f"{what}: no <digit>/*.bin below this folder; "
                f"N-MNIST recordings lie in folders named 0 to 9{instead_of(path)}"
            )
    digits = [folder_above(folder / name).name for name in names]
    files = [
        RecordingFile(folder / name, name, int(digit) if _is_digit(digit) else None, index)
        for index, (name, digit) in enumerate(zip(names, digits, strict=True))
    ]
    # Split by name, or else by number: a class folder may be what was named.
    outer = folder_above(folder) if _is_digit(folder_above(folder / "file").name) else folder
    chosen = by_folders(files, outer, wanted.split, what, 0) or every(files, 5)
    sensor = (NMNIST_WIDTH, NMNIST_HEIGHT)
    return RecordingSet(
        kind="nmnist",
        path=str(path),
        split=wanted.split,
        height=NMNIST_HEIGHT,
        width=NMNIST_WIDTH,
        class_names=tuple("0123456789"),
        files=not_empty(chosen[wanted.split], wanted.split, what),
        reader=partial(read_nmnist, clock=wanted.clock),
        chunks=partial(parts_of_one, format="five-byte", settings=Settings(sensor=sensor), size=sensor),
        clock=wanted.clock,
        origin="file",
    )


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
