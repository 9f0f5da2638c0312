"""AEDAT 2.0 files, the format of jAER and of CIFAR10-DVS.

A text header of lines that start with ``#`` (the first is ``#!AER-DAT2.0``, each ends in CR LF), then
events of eight bytes: big-endian 32-bit address, big-endian signed 32-bit time in microseconds, which
need not start at 0. There is no count and no footer.

Source: iniVation, "AEDAT file formats", https://docs.inivation.com/software/software-advanced-usage/
file-formats/aedat-2.0.html, and the files of Li et al. 2017, doi:10.3389/fnins.2017.00309.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.clock import AEDAT_COUNTER, Clock, clock_of, set_in_order
from eventsnn.events.formats import format_of_bytes, not_yet
from eventsnn.events.layouts import CIFAR10_DVS, DVS128, AddressLayout, Orientation, orientation_of
from eventsnn.events.readers.files import read_bytes
from eventsnn.events.stream import EVENT_DTYPE, Events, validate_events

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
        Records with the external bit set, which are no pixel events.
    events_before_reset
        Pixel events left out because the clock was reset after them.
    header
        Its lines.
    stray_events
        Pixel events left out because their times are out of line with those around them.
    """

    records: int
    special_events: int
    events_before_reset: int
    header: tuple[str, ...]
    stray_events: int = 0


def read_aedat(
    path: str | os.PathLike[str],
    *,
    layout: AddressLayout = DVS128,
    orientation: Orientation | str = CIFAR10_DVS,
    clock: Clock = "last-reset",
) -> Events:
    """Read the pixel events of one AEDAT 2.0 file; ``read_aedat_with_counts`` without the counts."""
    return read_aedat_with_counts(path, layout=layout, orientation=orientation, clock=clock)[0]


def read_aedat_with_counts(
    path: str | os.PathLike[str],
    *,
    layout: AddressLayout = DVS128,
    orientation: Orientation | str = CIFAR10_DVS,
    clock: Clock = "last-reset",
) -> tuple[Events, AedatCounts]:
    """Read one AEDAT 2.0 file.

    Parameters
    ----------
    path
        The ``.aedat`` file.
    layout
        Where the camera keeps x, y and polarity in an address.
    orientation
        What the data set means by them, or its name in ``ORIENTATIONS``; the default is the convention of
        CIFAR10-DVS.
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
        Shape (n_events,), the first kept event at t = 0; special events (bit 15) are left out.
    counts
        Records in the file, what was left out of them and why, header lines.

    Raises
    ------
    InvalidFile
        If the file is not AEDAT 2.0, is truncated, holds no pixel event, or has addresses of
        another layout.
    InvalidEvents
        If time goes back where ``clock`` does not allow it; the record is named.
    InvalidRequest
        If ``clock`` or ``orientation`` is unknown, or ``path`` no path.

    Warns
    -----
    RecordingWarning
        If stray events were left out.
    """
    clock = clock_of(clock)
    orientation = orientation_of(orientation)
    data = read_bytes(path)
    header, start = _header(data, path)
    body = len(data) - start
    if body % _RECORD.itemsize:
        raise InvalidFile(
            f"{path}: {body} bytes after the header are not a whole number of eight-byte events "
            f"({body % _RECORD.itemsize} left over); the file is truncated or damaged, fetch it again"
        )
    records = np.frombuffer(data, _RECORD, offset=start)
    address = records["address"].astype(np.int64)
    unused = np.flatnonzero(address & ~layout.used_mask)
    if unused.size:
        raise InvalidFile(
            f"{path}: event {unused[0]} has address 0x{address[unused[0]]:08X}, which has bits outside the "
            f"{layout.name} layout (0x{layout.used_mask:08X}); the file is of another camera or damaged"
        )
    special = (address & layout.special_mask) != 0
    pixel = np.flatnonzero(~special)
    if not pixel.size:
        raise InvalidFile(
            f"{path}: no pixel event among {len(records)} records ({len(records)} special events); "
            "the recording is empty"
        )
    line = set_in_order(records["time"].astype(np.int64), pixel, AEDAT_COUNTER, clock, str(path))
    raw_x, raw_y, bit = layout.decode(address[pixel[line.chosen]])
    events = np.zeros(len(line.chosen), EVENT_DTYPE)
    events["t"] = line.time - line.time[0]
    events["x"], events["y"] = orientation.to_picture(layout, raw_x, raw_y)
    events["p"] = bit == orientation.on_bit
    validate_events(events, *orientation.size(layout), f"{path} ({layout.name})")
    return events, AedatCounts(
        len(records), int(special.sum()), line.before_reset, header, stray_events=line.strays
    )


def write_aedat(
    path: str | os.PathLike[str],
    events: Events,
    *,
    layout: AddressLayout = DVS128,
    orientation: Orientation | str = CIFAR10_DVS,
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
    orientation = orientation_of(orientation)
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


def _header(data: bytes, path: str | os.PathLike[str]) -> tuple[tuple[str, ...], int]:
    """Return the header lines and the place of the first event."""
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
    return tuple(lines), start


def _what_it_is(data: bytes) -> str:
    if data.startswith(b"#!AER-DAT1"):
        return (
            "this is AEDAT 1.0, which is not supported yet; only AEDAT 2.0 is read: open it in jAER and save "
            "it again"
        )
    if data.startswith(b"#!AER-DAT3"):
        return not_yet(
            "AEDAT 3", "only AEDAT 2.0 is read: convert it, for example with jAER or the older DV tools"
        )
    if data.startswith(b"#!AER-DAT4"):
        return not_yet(
            "AEDAT 4",
            "only AEDAT 2.0 is read: take the original CIFAR10-DVS files (*.aedat, not *.aedat4), "
            "or read it with the package 'aedat' and save it with eventsnn.events.write_aedat",
        )
    if other := format_of_bytes(data):
        return not_yet(other, "give AEDAT 2.0 files (.aedat)")
    return (
        f"an AEDAT 2.0 file starts with '#!AER-DAT2.0', found {data[:12]!r}; "
        "the file is of another format or damaged"
    )
