"""Open a data set by its name and place: ``open_dataset("nmnist:PATH", split="test")``.

Of recordings only the file names are looked at here; the layouts and splits of each kind are in its
function's docstring. A kind is added by one function and one entry in ``_KINDS``.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from eventsnn.errors import InvalidRequest
from eventsnn.events.aedat import read_aedat
from eventsnn.events.images import ImageSet, open_images
from eventsnn.events.nmnist import NMNIST_HEIGHT, NMNIST_WIDTH, read_nmnist
from eventsnn.events.recordings import RecordingFile, RecordingSet

SPLITS = ("all", "train", "test")

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_FILES_PER_CLASS = 1000
_TEST_FILES_PER_CLASS = 100


def open_recordings(spec: str, split: str | None = None) -> RecordingSet:
    """Open a set of event recordings; ``open_dataset`` without images.

    Raises
    ------
    InvalidRequest
        As ``open_dataset``, and for images.
    """
    found = open_dataset(spec, split)
    if isinstance(found, RecordingSet):
        return found
    raise InvalidRequest(f"{spec} holds images, no event recordings; give recordings")


def open_dataset(spec: str, split: str | None = None) -> RecordingSet | ImageSet:
    """Open a set of recordings without reading any events, or read a file of images.

    Parameters
    ----------
    spec
        ``KIND:PATH``. Kinds: ``nmnist`` (folder with ``<digit>/*.bin`` somewhere below, or one file),
        ``cifar10-dvs`` (folder ``<class>/*.aedat``, or one file), ``aedat`` (another name for
        ``cifar10-dvs``; its files may also lie directly in the folder, then without labels),
        ``images`` (an ``.npz`` file, see ``open_images``).
    split
        ``"train"``, ``"test"``, or ``"all"``, which None means too.

        N-MNIST: if the files lie in folders ``Train`` and ``Test``, these are the splits; else every
        fifth recording (index % 5 == 0 in the sorted list) is test. CIFAR10-DVS: with the full 1,000
        numbered files in each class, numbers 0 to 99 of each are test (the split of the paper on
        temporal effective batch normalisation, Duan et al. 2022); with fewer, as in an emulated set,
        every tenth (index % 10 == 0).

    Returns
    -------
    RecordingSet or ImageSet
        Recordings are sorted by relative path, in plain string order; images stay in the order of the file.

    Raises
    ------
    InvalidRequest
        If the kind, the path or the split is unknown, or there is no recording.
    InvalidFile, InvalidEvents
        If a file holds no images, or values that no image can have.
    """
    kind, colon, place = spec.partition(":")
    if not colon or kind not in _KINDS or not place:
        raise InvalidRequest(
            f"unknown data set {spec!r}; write KIND:PATH with KIND one of {', '.join(_KINDS)}"
        )
    if split is not None and split not in SPLITS:
        raise InvalidRequest(f"unknown split {split!r} of {spec}; allowed are {', '.join(SPLITS)}")
    path = Path(place).expanduser()
    if not path.exists():
        raise InvalidRequest(
            f"{spec}: there is no {path}; give the path of a folder of recordings, of one recording, or of "
            "an image file"
        )
    return _KINDS[kind](path, split or "all")


def _open_nmnist(path: Path, split: str) -> RecordingSet:
    """Label = the folder that holds the file, a digit; files elsewhere are no part of the layout."""
    if path.is_file():
        _require_suffix(path, ".bin", "nmnist")
        digit = path.resolve().parent.name
        files = [RecordingFile(path, path.name, int(digit) if _is_digit(digit) else None, 0)]
    else:
        names = [name for name in _find(path, ".bin") if _is_digit((path / name).resolve().parent.name)]
        if not names:
            raise InvalidRequest(
                f"nmnist:{path}: no <digit>/*.bin below this folder; "
                "N-MNIST recordings lie in folders named 0 to 9"
            )
        files = [
            RecordingFile(path / name, name, int((path / name).resolve().parent.name), index)
            for index, name in enumerate(names)
        ]
    folders = [{part.lower() for part in Path(file.name).parts[:-1]} for file in files]
    named = any("train" in parts for parts in folders) and any("test" in parts for parts in folders)
    if named:
        chosen = {"all": files} | {
            which: [file for file, parts in zip(files, folders, strict=True) if which in parts]
            for which in ("train", "test")
        }
    else:
        chosen = _every(files, 5)
    return RecordingSet(
        kind="nmnist",
        path=str(path),
        split=split,
        height=NMNIST_HEIGHT,
        width=NMNIST_WIDTH,
        class_names=tuple("0123456789"),
        files=_not_empty(chosen[split], split, f"nmnist:{path}"),
        reader=read_nmnist,
    )


def _open_cifar10_dvs(path: Path, split: str) -> RecordingSet:
    """Label = place of the folder's name among the sorted class names.

    Where all folders are named as CIFAR-10 classes, the names are the ten of CIFAR-10 even if some
    folders are missing, so that a part of the data set keeps the labels of the whole.
    """
    if path.is_file():
        _require_suffix(path, ".aedat", "cifar10-dvs")
        names, folder = [path.name], path.parent
        parents = [path.resolve().parent.name]
        if parents[0] not in CIFAR10_CLASSES:
            parents = [""]
    else:
        names, folder = _find(path, ".aedat"), path
        # Files directly in the folder that was named have no class.
        parents = ["" if "/" not in name else name.split("/")[-2] for name in names]
    if not names:
        raise InvalidRequest(
            f"cifar10-dvs:{path}: no <class>/*.aedat below this folder (AEDAT 2.0, one folder for each class)"
        )
    found = set(parents) - {""}
    classes = CIFAR10_CLASSES if found and found <= set(CIFAR10_CLASSES) else tuple(sorted(found))
    files = [
        RecordingFile(folder / name, name, classes.index(parent) if parent else None, index)
        for index, (name, parent) in enumerate(zip(names, parents, strict=True))
    ]
    numbers = [re.search(r"_(\d+)\.aedat$", name) for name in names]
    if all(numbers) and min(Counter(parents).values()) >= _FILES_PER_CLASS:
        test = [int(number[1]) < _TEST_FILES_PER_CLASS for number in numbers if number]
        chosen = {
            "all": files,
            "test": [file for file, is_test in zip(files, test, strict=True) if is_test],
            "train": [file for file, is_test in zip(files, test, strict=True) if not is_test],
        }
    else:
        chosen = _every(files, 10)
    return RecordingSet(
        kind="cifar10-dvs",
        path=str(path),
        split=split,
        height=128,
        width=128,
        class_names=classes,
        files=_not_empty(chosen[split], split, f"cifar10-dvs:{path}"),
        reader=read_aedat,
    )


_KINDS: dict[str, Callable[[Path, str], RecordingSet | ImageSet]] = {
    "nmnist": _open_nmnist,
    "cifar10-dvs": _open_cifar10_dvs,
    "aedat": _open_cifar10_dvs,
    "images": open_images,
}


def _find(folder: Path, suffix: str) -> list[str]:
    """Return the relative paths, with forward slashes, of all files of a suffix, sorted."""
    return sorted(
        (Path(parent) / name).relative_to(folder).as_posix()
        for parent, _, names in os.walk(folder)
        for name in names
        if name.endswith(suffix)
    )


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


def _require_suffix(path: Path, suffix: str, kind: str) -> None:
    if path.suffix != suffix:
        raise InvalidRequest(
            f"{kind}:{path}: a single recording of this kind is a {suffix} file; name one, or a folder"
        )
