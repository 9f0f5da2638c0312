"""Data sets of the package tonic as sets of recordings: ``tonic.NAME:DIR``, or an object of tonic's.

tonic is GPL-3 software; nothing of it is here, and it is imported only when one of its data sets is named.
Its objects are sequences of pairs, events and target. Events come in fields of any order and type; fields are
taken by name. tonic downloads what it does not find; here it is told that everything is there, and what is
missing is said.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from eventsnn.arguments import nearest, shown, whole
from eventsnn.errors import EventsnnError, InvalidFile, InvalidRequest, MissingExtra
from eventsnn.events.recordings import RecordingFile, RecordingSet
from eventsnn.events.stream import Events, named_events
from eventsnn.events.tonic_package import PREFIX, draws_of_numpy, import_tonic, plain_value
from eventsnn.events.transforms.tonic_transform import sensor_after

# Whose recordings keep the zero of their stored times, as those of ``nmnist:`` do.
_STORED_TIMES = {"NMNIST"}
_OWN = ("save_to", "train", "split", "transform", "target_transform", "transforms")
_PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "train": {"train": {"train": True}, "test": {"train": False}},
    "split": {name: {"split": name} for name in ("train", "valid", "test")},
}


@dataclass(frozen=True)
class TonicRecording(RecordingFile):
    """A recording: number ``place`` of the ``part``-th of a set's objects. ``path`` may be of no file."""

    part: int = 0
    place: int = 0


@dataclass(frozen=True, eq=False)
class TonicSet(RecordingSet):
    """Recordings that objects of tonic's read."""

    objects: tuple[Any, ...] = ()

    def read(self, file: RecordingFile) -> Events:
        assert isinstance(file, TonicRecording)
        where = f"{self.kind} {file.name}"
        try:
            with draws_of_numpy(file.index, "tonic data set"):
                found = self.objects[file.part][file.place]
        except EventsnnError:
            raise
        except ImportError as error:
            raise MissingExtra(f"{where}: tonic needs another package to read it ({error})") from error
        except Exception as error:  # whatever a foreign reader or transform fails at
            raise InvalidFile(f"{where}: tonic cannot read it: {type(error).__name__}: {error}") from error
        _, height, width = self.transforms[0] if self.transforms else (None, self.height, self.width)
        return named_events(found[0], height, width, where, from_first=self.origin == "first-event")

    def beginning(self, position: int, most: int) -> tuple[int, bytes]:
        if self.files[position].path.is_file():
            return super().beginning(position, most)
        try:
            events = self.read(self.files[position])
        except EventsnnError:
            return -1, b""
        return len(events), events.tobytes()[:most]


def is_tonic(data: Any) -> bool:
    """Whether an object is a data set of tonic's, or wraps one (``Subset``, caches); imports nothing."""
    for _ in range(8):
        if isinstance(data, RecordingSet) or not hasattr(data, "__getitem__"):
            return False
        if any(kind.__module__.partition(".")[0] == "tonic" for kind in type(data).__mro__):
            return True
        data = getattr(data, "dataset", None)
    return False


def tonic_recordings(
    dataset: Any, sensor_size: tuple[int, ...] | None = None, split: str = "all"
) -> TonicSet:
    """A data set object of tonic's, or a wrapper of one, as a set of recordings.

    Recordings that lie in files are sorted by path, as tonic leaves the order of some sets to the file
    system; others stay as they are. Labels are the object's ``targets``, through its ``target_transform``;
    an object without them is read once for its labels. Targets that are texts become classes in their sorted
    order. Random transforms draw for the recording, the same in every run.

    Parameters
    ----------
    dataset
        The object. Its transforms must give structured events.
    sensor_size
        (width, height, polarities) after its transforms; else what the object's class says.

    Raises
    ------
    InvalidRequest
        There are no recordings, the sensor is not known, targets are no classes.
    """
    return _as_set((("", dataset),), sensor_size, split, "")


def open_tonic(spec: str, split: str | None) -> TonicSet:
    """Open ``tonic.NAME:DIR`` or ``tonic.NAME,OPTION=VALUE,...:DIR``; nothing is ever downloaded.

    ``DIR`` is the folder that tonic calls ``save_to`` and holds a folder ``NAME``, or that folder. Options
    are those of the class's constructor, and ``sensor=WIDTHxHEIGHT`` where the class does not say it. What a
    class tells apart as train and test is both together unless ``split`` says.

    Raises
    ------
    MissingExtra
        tonic is not installed.
    InvalidRequest
        No such data set, option or split; nothing there.
    """
    head, _, place = spec.partition(":")
    name, *given = head.removeprefix(PREFIX).split(",")
    tonic = import_tonic()
    known = [n for n, kind in vars(tonic.datasets).items() if _can_open(kind, tonic)]
    if name not in known:
        raise InvalidRequest(
            f"there is no data set tonic.{name} that can be opened by its name{nearest(name, known)}; there "
            f"are {', '.join(sorted(known))}"
        )
    kind, folder = getattr(tonic.datasets, name), Path(place).expanduser()
    if not (folder / name).is_dir() and folder.name == name:
        folder = folder.parent
    if not (folder / name).is_dir():
        raise InvalidRequest(
            f"{spec}: there is no folder {folder / name}, in which tonic keeps this data set; nothing is "
            f"downloaded: put it there (unpacked), and name the folder that holds {name}"
        )
    options, sensor = _options(spec, kind, given)
    accepted = signature(kind).parameters
    parts: dict[str, dict[str, Any]]
    parts = next((made for word, made in _PARTS.items() if word in accepted), {"": {}})
    if split is not None and split not in ("all", *parts):
        raise InvalidRequest(f"{spec}: tonic knows no splits of this data set; leave split (--split) out")
    found, lacking = [], []
    for part, arguments in parts.items():
        if split not in (None, "all", part):
            continue
        try:
            made = _constructed(kind, folder, {**options, **arguments})
            if not len(made):
                raise FileNotFoundError(f"no recording in {folder / name / _folder_of(made)}")
            found.append((part, made))
        except OSError as error:
            lacking.append(f"{part}: {error}".removeprefix(": "))
    if not found:
        raise InvalidRequest(
            f"{spec}: {'; '.join(lacking)}. Nothing is downloaded: put the files there, unpacked, as tonic "
            "lays them out"
        )
    return _as_set(tuple(found), sensor, split or "all", ",".join(given), str(folder / name))


def _can_open(kind: Any, tonic: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tonic.dataset.Dataset) and hasattr(kind, "sensor_size")


def _constructed(kind: Any, folder: Path, arguments: dict[str, Any]) -> Any:
    """An object of a class of tonic's that was told that all its files are there."""

    def refuse(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(f"what {kind.__name__} needs is not in {folder / kind.__name__}")

    told = {"_check_exists": lambda *_, **__: True, "download": refuse}
    # The folder is named after the class.
    made = type(kind.__name__, (kind,), told)(save_to=str(folder), **arguments)
    made.__class__ = kind  # which another process can import
    return made


def _folder_of(made: Any) -> str:
    return str(getattr(made, "folder_name", "") or "")


def _options(spec: str, kind: Any, given: list[str]) -> tuple[dict[str, Any], tuple[int, ...] | None]:
    known = {name: p for name, p in signature(kind).parameters.items() if name not in _OWN}
    options: dict[str, Any] = {}
    sensor: tuple[int, ...] | None = None
    for part in given:
        name, equals, value = part.partition("=")
        if name == "sensor" and equals:
            size = plain_value(value)
            if not isinstance(size, tuple) or len(size) != 2:
                raise InvalidRequest(f"{spec}: sensor is {value!r}; write WIDTHxHEIGHT, as 240x180")
            sensor = (*size, 2)
            continue
        if not equals or name not in known:
            allowed = ", ".join((*known, "sensor"))
            raise InvalidRequest(f"{spec}: {part!r} is no option with its value; there are {allowed}")
        options[name] = plain_value(value)
    return options, sensor


def _as_set(
    parts: tuple[tuple[str, Any], ...],
    sensor_size: tuple[int, ...] | None,
    split: str,
    options: str,
    path: str | None = None,
) -> TonicSet:
    first = _innermost(parts[0][1])
    kind = f"{PREFIX}{type(first).__name__}"
    size = sensor_size or _sensor_of(parts[0][1], kind)
    if size is None or len(size) not in (2, 3):
        raise InvalidRequest(
            f"{kind}: the class does not say one sensor for its recordings ({shown(size)}); give sensor_size="
            "(width, height, polarities), or tonic.NAME,sensor=WIDTHxHEIGHT:DIR on the command line"
        )
    width, height = (whole(s, f"the sensor_size of {kind}", InvalidRequest, 1, 2**15) for s in size[:2])
    targets: list[Any] = []
    files: list[TonicRecording] = []
    for part, (name, dataset) in enumerate(parts):
        targets += _targets(dataset, kind)
        paths = _paths(dataset)
        root = getattr(dataset, "location_on_system", "")
        for place in range(len(dataset)):
            if paths is None:
                called = "/".join(filter(None, (name, f"{place:06}")))
                files.append(TonicRecording(Path(kind) / called, called, None, 0, part=part, place=place))
                continue
            file = Path(paths[place])
            inside = file.relative_to(root) if root and file.is_relative_to(root) else PurePath(file.name)
            files.append(TonicRecording(file, inside.as_posix(), None, 0, part=part, place=place))
    if not files:
        raise InvalidRequest(f"{kind}: the data set holds no recordings")
    labels, classes = _labels(targets, first, kind)
    files = [replace(file, label=label) for file, label in zip(files, labels, strict=True)]
    if len({file.name for file in files}) == len(files):
        files.sort(key=lambda file: file.name)
    objects = tuple(_own_transform(dataset) for _, dataset in parts)
    said = [repr(t) for o in objects if (t := getattr(o, "transform", None)) is not None]
    return TonicSet(
        kind=kind,
        path=path or str(getattr(first, "location_on_system", kind)),
        split=split,
        height=height,
        width=width,
        class_names=classes,
        files=tuple(replace(file, index=index) for index, file in enumerate(files)),
        reader=partial(_unused),
        origin="file" if type(first).__name__ in _STORED_TIMES else "first-event",
        source="; ".join(filter(None, [options, *dict.fromkeys(said)])),
        objects=objects,
    )


def _unused(path: Path) -> Events:
    raise AssertionError(f"{path} is read by its object")


def _innermost(dataset: Any) -> Any:
    while not hasattr(dataset, "sensor_size") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    return dataset


def _sensor_of(dataset: Any, kind: str) -> tuple[int, ...] | None:
    """(width, height) after an object's transforms, those of what it wraps first."""
    found = getattr(dataset, "sensor_size", None)
    size = _sensor_of(dataset.dataset, kind) if found is None and hasattr(dataset, "dataset") else found
    change = getattr(dataset, "transform", None)
    if size is None or change is None:
        return size if size is None else tuple(size[:2])
    height, width = sensor_after(change, size[1], size[0])
    return width, height


def _own_transform(dataset: Any) -> Any:
    """The object with a transform of its own: some write into themselves, and say another thing then."""
    if getattr(dataset, "transform", None) is None:
        return dataset
    own = copy.copy(dataset)
    own.transform = copy.deepcopy(dataset.transform)
    return own


def _paths(dataset: Any) -> list[str] | None:
    """The files of an object's recordings, if each is one."""
    data = getattr(dataset, "data", None)
    if not isinstance(data, list) or len(data) != len(dataset):
        return None
    return data if all(isinstance(path, str) for path in data) else None


def _targets(dataset: Any, kind: str) -> list[Any]:
    if getattr(dataset, "transforms", None) is not None:
        raise InvalidRequest(
            f"{kind}: the object has transforms of events and target together, so that labels are not known "
            "beforehand; give it transform= and target_transform= instead"
        )
    targets = getattr(dataset, "targets", None)
    if isinstance(targets, list | tuple | np.ndarray) and len(targets) == len(dataset):
        change = getattr(dataset, "target_transform", None)
        return list(targets) if change is None else [change(target) for target in targets]
    return [dataset[place][1] for place in range(len(dataset))]


def _labels(targets: list[Any], first: Any, kind: str) -> tuple[list[int], tuple[str, ...]]:
    if all(isinstance(target, str) for target in targets):
        names = sorted(set(targets))
        return [names.index(target) for target in targets], tuple(names)
    labels = [
        whole(target, f"a target of {kind}, which must be a class,", InvalidRequest, 0, 2**31 - 1)
        for target in targets
    ]
    classes = getattr(first, "classes", ())
    names = sorted(classes, key=classes.__getitem__) if isinstance(classes, dict) else list(classes)
    fits = len(names) > max(labels) and all(isinstance(name, str) for name in names)
    return labels, tuple(names) if fits else ()
