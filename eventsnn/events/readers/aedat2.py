"""AEDAT 2.0 files, the format of jAER and of CIFAR10-DVS.

A text header of lines that start with ``#`` (the first is ``#!AER-DAT2.0``, each ends in CR LF), then
events of eight bytes: big-endian 32-bit address, big-endian signed 32-bit time in microseconds, which
need not start at 0. There is no count and no footer.

Source: iniVation, "AEDAT file formats", https://docs.inivation.com/software/software-advanced-usage/
file-formats/aedat-2.0.html, and the files of Li et al. 2017, doi:10.3389/fnins.2017.00309.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.clock import AEDAT_COUNTER, Clock, clock_of
from eventsnn.events.formats import format_of_bytes, not_yet
from eventsnn.events.layouts import (
    CIFAR10_DVS,
    DVS128,
    LAYOUTS,
    ORIENTATIONS,
    RAW,
    AddressLayout,
    Orientation,
    layout_of,
    orientation_of,
)
from eventsnn.events.readers.blocks import AT_ONCE, Block, in_parts, whole
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import opened, records_from, size_of
from eventsnn.events.stream import Events, validate_events

_MAGIC = b"#!AER-DAT2.0"
_RECORD = np.dtype([("address", ">u4"), ("time", ">i4")])
# Control characters that no header line holds; a tab is one that it may.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True)
class AedatCounts:
    """What a file held beside the events returned.

    Attributes
    ----------
    records
        All eight-byte records.
    special_events
        Records with the external bit set, which are no pixel events; not those of the last two.
    events_before_reset
        Pixel events left out because the clock was reset after them.
    header
        Its lines.
    stray_events
        Pixel events left out because their times are out of line with those around them.
    frame_samples, motion_samples
        Records of a DAVIS that are samples of pictures and of its inertial sensor.
    """

    records: int
    special_events: int
    events_before_reset: int
    header: tuple[str, ...]
    stray_events: int = 0
    frame_samples: int = 0
    motion_samples: int = 0


def read_aedat(
    path: str | os.PathLike[str],
    *,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
    clock: Clock = "last-reset",
) -> Events:
    """Read the pixel events of one AEDAT 2.0 file; ``read_aedat_with_counts`` without the counts."""
    return read_aedat_with_counts(path, layout=layout, orientation=orientation, clock=clock)[0]


def read_aedat_with_counts(
    path: str | os.PathLike[str],
    *,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
    clock: Clock = "last-reset",
) -> tuple[Events, AedatCounts]:
    """Read one AEDAT 2.0 file.

    Parameters
    ----------
    path
        The ``.aedat`` file.
    layout
        Where the camera keeps x, y and polarity in an address, or its name in ``LAYOUTS``. None: that of
        the camera that the header names (``AEChip``), of a DVS128 where it names none.
    orientation
        What the data set means by them, or its name in ``ORIENTATIONS``. None: of a DVS128, the convention
        of CIFAR10-DVS; of another camera it must be said.
    clock
        What to do where time goes back. A wrap of the counter (here of 32 bits) is always undone.

        ``"last-reset"``: where the camera's clock was reset to 0 inside the file (time falls to below
        10 ms and goes on from there, not from where it stood), drop everything before the last reset,
        since it has another time base. A few events in one place that are out of line with what comes
        before and after them are strays: they are dropped with a warning. Any other step back is an
        error. ``"strict"``: a reset or a stray is an error too. ``"sort"``: as ``"last-reset"``, then
        sort by time, equal times in file order.

    Returns
    -------
    events
        Shape (n_events,), the first kept event at t = 0; special events are left out, as are samples of
        pictures and of inertial sensors.
    counts
        Records in the file, what was left out of them and why, header lines.

    Raises
    ------
    InvalidFile
        If the file is not AEDAT 2.0, is truncated, holds no pixel event, has addresses of another layout, or
        says that it is of another camera, or of one that is not known.
    InvalidEvents
        If time goes back where ``clock`` does not allow it; the record is named.
    InvalidRequest
        If ``clock``, ``layout`` or ``orientation`` is unknown, or ``path`` no path.

    Warns
    -----
    RecordingWarning
        If stray events were left out.
    """
    clock = clock_of(clock)
    orientation = None if orientation is None else orientation_of(orientation)
    layout = None if layout is None else layout_of(layout)
    with opened(path) as file:
        opening = _opening(file, layout, path)
        layout, orientation = opening.layout, orientation or _usual(opening.layout, path)
        found = whole(
            partial(_blocks, file, opening, orientation, path, AT_ONCE),
            (size_of(file) - opening.start) // _RECORD.itemsize,
            AEDAT_COUNTER,
            clock,
            str(path),
            orientation.size(layout),
            from_zero=True,
        )
    special, frames, motions = found.left_out or (0, 0, 0)
    if not len(found.events):
        raise InvalidFile(
            f"{path}: no pixel event among {found.records} records ({special} special events); "
            "the recording is empty"
        )
    counts = AedatCounts(
        found.records, special, found.before_reset, opening.header, found.strays, frames, motions
    )
    return found.events, counts


def aedat_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows, of the layout that the header names or that was said, as they are oriented."""
    with opened(path) as file:
        layout = _opening(file, settings.layout, path).layout
    height, width = (settings.orientation or RAW).size(layout)
    return width, height


def read_any_aedat(path: Where, settings: Settings) -> Decoded:
    """As ``read_aedat_with_counts``, in the raw orientation unless another is said."""
    orientation, clock = settings.orientation or RAW, settings.clock or "last-reset"
    events, counts = read_aedat_with_counts(
        path, layout=settings.layout, orientation=orientation, clock=clock
    )
    width, height = aedat_size(path, settings)
    whole_numbers = {name: value for name, value in asdict(counts).items() if isinstance(value, int)}
    return Decoded(events, height, width, whole_numbers, "first-event")


def write_any_aedat(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """As ``write_aedat``, in the layout of this size and the raw orientation unless others are said."""
    orientation = settings.orientation or RAW
    sizes = {orientation.size(known): known for known in LAYOUTS.values()}
    layout = settings.layout or sizes.get((height, width))
    if layout is None or orientation.size(layout) != (height, width):
        known = ", ".join(f"{name} ({found.raw_width}x{found.raw_height})" for name, found in LAYOUTS.items())
        raise InvalidRequest(
            f"{path}: no AEDAT 2.0 layout {'of this name ' if settings.layout else ''}has {width}x{height} "
            f"pixels; known are {known}"
        )
    comments = () if layout == DVS128 else (f"AEChip: {layout.chip}",)
    write_aedat(path, events, layout=layout, orientation=orientation, comments=comments)


def aedat_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The pixel events of an AEDAT 2.0 file in parts of at most ``at_once``, times from the first one on."""
    orientation = settings.orientation or RAW
    with opened(path) as file:
        opening = _opening(file, settings.layout, path)
        blocks = _blocks(file, opening, orientation, path, at_once)
        size = orientation.size(opening.layout)
        yield from in_parts(blocks, AEDAT_COUNTER, str(path), size, from_zero=True)


@dataclass(frozen=True)
class _Opening:
    """How a file begins: header lines, the byte of the first record, the layout of its addresses."""

    header: tuple[str, ...]
    start: int
    layout: AddressLayout


def _opening(file: BinaryIO, layout: AddressLayout | None, path: Where) -> _Opening:
    size, count = size_of(file), 1 << 16
    while True:
        file.seek(0)
        data = file.read(count)
        header, start = _header(data, path, len(data) < size)
        if start >= 0:
            break
        count *= 4
    if rest := (size - start) % _RECORD.itemsize:
        raise InvalidFile(
            f"{path}: {size - start} bytes after the header are not a whole number of eight-byte events "
            f"({rest} left over); the file is truncated or damaged, fetch it again"
        )
    return _Opening(header, start, _layout_in(header, layout, path))


def _blocks(
    file: BinaryIO, opening: _Opening, orientation: Orientation, path: Where, at_once: int
) -> Iterator[Block]:
    seen = 0
    for records in records_from(file, _RECORD, opening.start, at_once):
        block = _block(records, opening.layout, orientation, path, seen)
        seen += len(records)
        yield block


def _block(
    records: NDArray[np.void], layout: AddressLayout, orientation: Orientation, path: Where, seen: int
) -> Block:
    """The pixel events of some records, after ``seen`` others. Left out: special, frames', motion samples."""
    address, stored = records["address"].astype(np.uint32), records["time"].astype(np.int64)
    bits = int(np.bitwise_or.reduce(address))
    if bits & ~layout.used_mask:
        here = int(np.argmax((address & (0xFFFFFFFF & ~layout.used_mask)) != 0))
        raise InvalidFile(
            f"{path}: event {seen + here} has address 0x{address[here]:08X}, which has bits outside the "
            f"{layout.name} layout (0x{layout.used_mask:08X}); the file is of another camera or damaged"
        )
    place, left_out = None, (0, 0, 0)
    if bits & layout.special_mask:
        special = (address & layout.special_mask) != 0
        others = address[special]
        moved = ((others & layout.motion_mask) == layout.motion_mask) & (layout.motion_mask != 0)
        frames = int(((others & layout.frame_mask) != 0).sum()) - int(moved.sum())
        left_out = (len(others) - frames - int(moved.sum()), frames, int(moved.sum()))
        place = np.flatnonzero(~special)
        address = address[place]
    raw_x, raw_y, bit = layout.decode(address)
    x, y = orientation.to_picture(layout, raw_x, raw_y)
    time = stored if place is None else stored[place]
    return Block(time, x, y, bit == orientation.on_bit, len(records), place, stored, left_out)


def _layout_in(header: Sequence[str], said: AddressLayout | None, path: Where) -> AddressLayout:
    """The layout that was said, or that of the camera in the header; they must not contradict each other."""
    chip = next((line.partition(":")[2].strip() for line in header if line.startswith("# AEChip:")), "")
    name = chip.rpartition(".")[2]
    known = next(
        (layout for layout in LAYOUTS.values() if name.lower().startswith(layout.name.lower())), None
    )
    if said is None and chip and known is None:
        raise InvalidFile(
            f"{path}: the header says the camera is {chip!r}, whose addresses are not known here; say its "
            f"layout (--layout), one of {', '.join(LAYOUTS)}"
        )
    if (
        said is not None
        and known is not None
        and said.name in (k.name for k in LAYOUTS.values())
        and said != known
    ):
        raise InvalidFile(
            f"{path}: the header says the camera is {chip!r}, and the layout {said and said.name} was asked "
            f"for; leave it out or say {known.name.lower()}"
        )
    return said or known or DVS128


def _usual(layout: AddressLayout, path: Where) -> Orientation:
    if layout.raw_width == layout.raw_height == 128:
        return CIFAR10_DVS
    raise InvalidRequest(
        f"{path}: say what the axes and the polarity of this {layout.name} mean: an orientation, one of "
        f"{', '.join(ORIENTATIONS)}"
    )


def write_aedat(
    path: str | os.PathLike[str],
    events: Events,
    *,
    layout: AddressLayout | str = DVS128,
    orientation: Orientation | str | None = None,
    comments: tuple[str, ...] = (),
) -> None:
    """Write one AEDAT 2.0 file; reading it back gives the same events, times counted from the first.

    Parameters
    ----------
    path
        The file to write.
    events
        Stream in picture coordinates, valid on the sensor of ``layout`` in ``orientation``.
    layout, orientation
        As for ``read_aedat``.
    comments
        Lines for the header, without the leading ``#``.

    Raises
    ------
    InvalidEvents
        If there is no event, an event is not valid on the sensor, or a time does not fit 31 bits.
    InvalidRequest
        If a comment holds a line break or another control character.
    OSError
        If the file cannot be written.
    """
    layout = layout_of(layout)
    orientation = _usual(layout, path) if orientation is None else orientation_of(orientation)
    validate_events(events, *orientation.size(layout), f"{path} (to be written as AEDAT 2.0, {layout.name})")
    if not len(events):
        raise InvalidEvents(
            f"{path}: there is no event to write; an AEDAT file without events cannot be replayed"
        )
    if events["t"][-1] >= 2**31:
        index = int(np.searchsorted(events["t"], 2**31))
        raise InvalidEvents(
            f"{path}: event {index} has t = {events['t'][index]} us; "
            f"AEDAT 2.0 files hold times below {2**31} us (35.8 min), cut the recording"
        )
    if isinstance(comments, str) or not all(isinstance(comment, str) for comment in comments):
        raise InvalidRequest(f"{path}: comments are {comments!r}; give a tuple of strings, one for each line")
    lines = [_MAGIC, *(b"# " + comment.encode("utf-8", "surrogateescape") for comment in comments)]
    if any(_NO_TEXT.search(line) for line in lines):
        raise InvalidRequest(
            f"{path}: a header comment holds a line break or another control character; give one string "
            "for each line"
        )
    raw_x, raw_y = orientation.to_raw(layout, events["x"].astype(np.int64), events["y"].astype(np.int64))
    bit = np.where(events["p"], orientation.on_bit, 1 - orientation.on_bit).astype(np.int64)
    records = np.empty(len(events), _RECORD)
    records["address"] = layout.encode(raw_x, raw_y, bit)
    records["time"] = events["t"]
    Path(path).write_bytes(b"".join(line + b"\r\n" for line in lines) + records.tobytes())


def _header(data: bytes, path: Where, more: bool) -> tuple[tuple[str, ...], int]:
    """Return the header lines and the place of the first event, -1 if that is not here and there is more."""
    if not data:
        raise InvalidFile(
            f"{path}: the file is empty; an AEDAT 2.0 file starts with '#!AER-DAT2.0', fetch it again"
        )
    if not data.startswith(_MAGIC):
        raise InvalidFile(f"{path}: {_what_it_is(data)}")
    lines: list[str] = []
    start = 0
    # Some programs write LF alone; where the first line ends in CR LF, every header line does.
    endings = (b"\r\n",) if data[: data.find(b"\n") + 1].endswith(b"\r\n") else (b"\r\n", b"\n")
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        if end < 0 and more:
            return (), -1
        line = data[start : end + 1 if end >= 0 else len(data)]
        text = next((line.removesuffix(e) for e in endings if line.endswith(e)), line)
        if _NO_TEXT.search(text) or (end >= 0 and text == line):
            # An event whose address begins with the byte of '#'.
            break
        if end < 0:
            raise InvalidFile(
                f"{path}: the header line at byte {start} does not end; the file is truncated, fetch it again"
            )
        lines.append(text.decode("utf-8", "replace"))
        start = end + 1
    if not lines:
        raise InvalidFile(
            f"{path}: the first line, '#!AER-DAT2.0', is not text that ends in CR LF; the file is damaged, "
            "fetch it again"
        )
    return tuple(lines), start if start < len(data) or not more else -1


def _what_it_is(data: bytes) -> str:
    if data.startswith(b"#!AER-DAT1"):
        return (
            "this is AEDAT 1.0, which is not supported yet; only AEDAT 2.0 is read: open it in jAER and save "
            "it again"
        )
    if other := format_of_bytes(data):
        return not_yet(
            other, "here give AEDAT 2.0 files (.aedat), the originals of CIFAR10-DVS, not *.aedat4"
        )
    return (
        f"an AEDAT 2.0 file starts with '#!AER-DAT2.0', found {data[:12]!r}; "
        "the file is of another format or damaged"
    )
