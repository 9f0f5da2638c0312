"""Open a data set by its name and place: ``open_dataset("nmnist:PATH", split="test")``.

Of recordings only the file names are looked at here; the layouts and splits of each kind are in its
function's docstring. A kind is added by one function and one entry in ``_KINDS``.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events.aedat_sets import open_aedat, open_own
from eventsnn.events.any_format import decode_one, open_events
from eventsnn.events.clock import clock_of
from eventsnn.events.event_seal import is_event_file
from eventsnn.events.file_sets import SPLITS, Wanted
from eventsnn.events.formats import format_of_file, not_yet
from eventsnn.events.gesture import open_gesture
from eventsnn.events.images import ImageSet, open_images
from eventsnn.events.layouts import CIFAR10_DVS, RAW, AddressLayout, Orientation, orientation_of
from eventsnn.events.nmnist_sets import open_nmnist
from eventsnn.events.readers.aedat2 import read_aedat_with_counts
from eventsnn.events.readers.contract import settings_of
from eventsnn.events.readers.five_byte import read_nmnist_with_counts
from eventsnn.events.recordings import Recording, RecordingSet
from eventsnn.events.splits import NAMES, named_split
from eventsnn.events.tonic_package import PREFIX
from eventsnn.events.tonic_sets import open_tonic


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
            f"unknown data set {spec!r}; write KIND:PATH with KIND one of {', '.join(_KINDS)}, {PREFIX}NAME"
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
    wanted = Wanted(
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


def _open_images(path: Path, wanted: Wanted) -> ImageSet:
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


def _open_gesture(path: Path, wanted: Wanted) -> RecordingSet:
    if wanted.orientation is not None:
        raise InvalidRequest(
            f"dvs-gesture:{path}: its axes are those of a picture; leave the orientation out"
        )
    return open_gesture(path, wanted.split, wanted.clock)


def _open_events(path: Path, wanted: Wanted) -> RecordingSet:
    if path.is_file() and is_event_file(path):
        return open_own(path, wanted)
    if wanted.named is not None:
        raise InvalidRequest(
            f"events:{path} has no split {wanted.split!r}: it has those of its folders; a file of "
            "'eventsnn data prepare' has splits by name"
        )
    return open_events(path, wanted.split, wanted.reading, wanted.format)


_KINDS: dict[str, Callable[[Path, Wanted], RecordingSet | ImageSet]] = {
    "nmnist": open_nmnist,
    "cifar10-dvs": partial(open_aedat, "cifar10-dvs", CIFAR10_DVS),
    "aedat": partial(open_aedat, "aedat", RAW),
    "dvs-gesture": _open_gesture,
    "events": _open_events,
    "images": _open_images,
}
# Settings of one recording's file beside orientation and clock, by kind.
_TAKES = {"aedat": ("layout",), "events": ("format", "sensor", "columns", "unit", "layout")}


KINDS = tuple(_KINDS)
