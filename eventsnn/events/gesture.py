"""``dvs-gesture:PATH``: the DVS128 Gesture data set, as published or as tonic lays it out.

As published a folder holds long recordings, ``userNN_light.aedat`` (AEDAT 3.1), each with the times of its
gestures in ``userNN_light_labels.csv`` (class from 1, start and end in microseconds of the file), and the
lists ``trials_to_train.txt`` and ``trials_to_test.txt``. tonic has one array a gesture,
``ibmGestureTrain/userNN_light/<class from 0>.npy``, of columns x, y, p and t in milliseconds.

Source: Amir et al., "A Low Power, Fully Event-Based Gesture Recognition System", CVPR 2017, and its README.
"""

import re
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.clock import Clock
from eventsnn.events.folders import find_files
from eventsnn.events.readers.aedat3 import read_trials
from eventsnn.events.readers.arrays import read_npy
from eventsnn.events.readers.contract import Settings
from eventsnn.events.recordings import RecordingFile, RecordingSet
from eventsnn.events.stream import Events

CLASSES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
SENSOR = (128, 128)

_LABELS = "_labels.csv"
_TITLE = ("class", "startTime_usec", "endTime_usec")
_LISTS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}
_FOLDERS = {"train": "ibmGestureTrain", "test": "ibmGestureTest"}


def open_gesture(path: Path, split: str, clock: Clock) -> RecordingSet:
    """The gestures of a folder; of the recordings nothing is read but names and label files.

    Raises
    ------
    InvalidRequest
        No gestures in either layout, or a split that is not there.
    InvalidFile
        A label file that is none.
    """
    what = f"dvs-gesture:{path}"
    if not path.is_dir():
        raise InvalidRequest(
            f"{what}: name the folder of the data set, which holds recordings and their labels"
        )
    arrays = [name for name in find_files(path, ".npy") if re.search(r"(^|/)user[^/]*/[0-9]+\.npy$", name)]
    labelled = find_files(path, _LABELS)
    if arrays and labelled:
        raise InvalidRequest(
            f"{what}: both .npy files of tonic and labels of the original; name one of the two"
        )
    if arrays:
        chosen = _of_tonic(path, arrays, split, what)
    elif labelled:
        chosen = _of_original(path, labelled, split, what)
    else:
        raise InvalidRequest(
            f"{what}: neither user*/<class>.npy, as tonic lays it out, nor user*.aedat with "
            f"user*{_LABELS} below"
        )
    if not chosen:
        raise InvalidRequest(f"{what}: the split {split!r} has no recording")
    return RecordingSet(
        kind="dvs-gesture",
        path=str(path),
        split=split,
        height=SENSOR[1],
        width=SENSOR[0],
        class_names=CLASSES,
        files=tuple(chosen),
        reader=partial(read_gesture, clock=clock),
        clock=clock,
        origin="first-event",
    )


def read_gesture(path: Path, *, extent: tuple[int, int] | None = None, clock: Clock = "last-reset") -> Events:
    """One gesture, times from its first event on: an array of tonic's, or the extent of a long recording.

    ``extent`` is its start (included) and end (not included) in microseconds of the file.

    Raises
    ------
    InvalidFile, InvalidEvents
        As of the readers, and where the extent holds no event.
    """
    if extent is None:
        settings = Settings(sensor=SENSOR, columns="xypt", unit="ms", clock=clock)
        events = read_npy(path, settings).events.copy()
    else:
        state = Path(path).stat()
        events = _whole(str(path), state.st_mtime_ns, state.st_size, clock)
        begin, end = np.searchsorted(events["t"], np.array(extent, np.int64)).tolist()
        events = events[begin:end].copy()
    if not len(events):
        raise InvalidEvents(f"{path}: no event from {extent} us on; the labels are of another file")
    events["t"] -= events["t"][0]
    return events


@lru_cache(maxsize=1)
def _whole(path: str, changed: int, size: int, clock: Clock) -> Events:
    """Kept until the next one is read: a recording holds a dozen gestures, asked for one after the other."""
    return read_trials(path, Settings(sensor=SENSOR, clock=clock)).events


def _of_tonic(path: Path, names: list[str], split: str, what: str) -> list[RecordingFile]:
    files = []
    for index, name in enumerate(names):
        label = int(Path(name).stem)
        if label >= len(CLASSES):
            raise InvalidRequest(
                f"{what}: {name} names class {label}; classes are 0 to {len(CLASSES) - 1} here"
            )
        files.append(RecordingFile(path / name, name, label, index))
    if split == "all":
        return files
    folder = _FOLDERS[split]
    return [file for file in files if folder in file.path.absolute().parts]


def _of_original(path: Path, names: list[str], split: str, what: str) -> list[RecordingFile]:
    files: list[RecordingFile] = []
    for name in names:
        recording = name.removesuffix(_LABELS) + ".aedat"
        if not (path / recording).is_file():
            raise InvalidRequest(f"{what}: {name} has no recording {recording} beside it")
        for number, (label, begin, end) in enumerate(_labels(path / name)):
            place = RecordingFile(
                path / recording, f"{recording}#{number}", label, len(files), extent=(begin, end)
            )
            files.append(place)
    if split == "all":
        return files
    listed = path / _LISTS[split]
    if not listed.is_file():
        raise InvalidRequest(
            f"{what}: there is no {_LISTS[split]}, which says what is of the split {split!r}"
        )
    chosen = {line.strip() for line in listed.read_text(encoding="utf-8", errors="replace").splitlines()}
    return [file for file in files if file.path.name in chosen]


def _labels(path: Path) -> list[tuple[int, int, int]]:
    """Label from 0, start and end of each gesture."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or tuple(word.strip() for word in lines[0].split(",")) != _TITLE:
        raise InvalidFile(
            f"{path}: labels begin with the line {','.join(_TITLE)}; the file is of another kind"
        )
    found = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        words = [word.strip() for word in line.split(",")]
        wrong = len(words) != 3 or not all(re.fullmatch("[0-9]{1,15}", word) for word in words)
        label, begin, end = (0, 0, 0) if wrong else map(int, words)
        if not 1 <= label <= len(CLASSES) or begin >= end:
            raise InvalidFile(
                f"{path}: line {number} is {line[:60]!r}; a gesture has a class from 1 to {len(CLASSES)}, "
                "a start "
                "and a later end"
            )
        found.append((label - 1, begin, end))
    return found
