"""AEDAT 2.0 files, the format of jAER and of CIFAR10-DVS.

A text header of lines that start with ``#`` (the first is ``#!AER-DAT2.0``, each ends in CR LF), then
events of eight bytes: big-endian 32-bit address, big-endian signed 32-bit time in microseconds, which
need not start at 0. There is no count and no footer.

Source: iniVation, "AEDAT file formats", https://docs.inivation.com/software/software-advanced-usage/
file-formats/aedat-2.0.html, and the files of Li et al. 2017, doi:10.3389/fnins.2017.00309.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.layouts import CIFAR10_DVS, DVS128, AddressLayout, Orientation
from eventsnn.events.nmnist import read_bytes
from eventsnn.events.stream import EVENT_DTYPE, Events, validate_events

Clock: TypeAlias = Literal["last-reset", "strict", "sort"]

_MAGIC = b"#!AER-DAT2.0"
_RECORD = np.dtype([("address", ">u4"), ("time", ">i4")])
_NEAR_ZERO_US = 10_000
"""A clock that was reset starts again below this, having stood at least as much above."""


@dataclass(frozen=True)
class AedatCounts:
    """What a file held beside the events returned."""

    records: int
    special_events: int
    events_before_reset: int
    header: tuple[str, ...]


def read_aedat(
    path: str | os.PathLike[str],
    *,
    layout: AddressLayout = DVS128,
    orientation: Orientation = CIFAR10_DVS,
    clock: Clock = "last-reset",
) -> Events:
    """Read the pixel events of one AEDAT 2.0 file; ``read_aedat_with_counts`` without the counts."""
    return read_aedat_with_counts(path, layout=layout, orientation=orientation, clock=clock)[0]


def read_aedat_with_counts(
    path: str | os.PathLike[str],
    *,
    layout: AddressLayout = DVS128,
    orientation: Orientation = CIFAR10_DVS,
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
        What the data set means by them; the default is the convention of CIFAR10-DVS.
    clock
        What to do where time goes back. A wrap of the 32-bit counter is always undone.

        ``"last-reset"``: where the camera's clock was reset to 0 inside the file (time falls by more
        than 10 ms to below 10 ms), drop everything before the last reset, since it has another time
        base; any other step back is an error. ``"strict"``: a reset is an error too. ``"sort"``: as
        ``"last-reset"``, then sort by time, equal times in file order.

    Returns
    -------
    events
        Shape (n_events,), the first kept event at t = 0; special events (bit 15) are left out.
    counts
        Records in the file, special events left out, events dropped before a reset, header lines.

    Raises
    ------
    InvalidFile
        If the file is not AEDAT 2.0, is truncated, holds no pixel event, or has addresses of
        another layout.
    InvalidEvents
        If time goes back where ``clock`` does not allow it; the record is named.
    InvalidRequest
        If ``clock`` is unknown.
    """
    if clock not in get_args(Clock):
        raise InvalidRequest(f"unknown clock setting {clock!r}; allowed are {', '.join(get_args(Clock))}")
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
    first_kept = _last_reset(records["time"])
    if first_kept and clock == "strict":
        raise InvalidEvents(
            f"{path}: the clock was reset at event {first_kept}, "
            f"from {records['time'][first_kept - 1]} us to "
            f"{records['time'][first_kept]} us; clock='last-reset' keeps what comes after the reset"
        )
    special = (address & layout.special_mask) != 0
    index = np.flatnonzero(~special[first_kept:]) + first_kept
    if not index.size:
        raise InvalidFile(
            f"{path}: no pixel event among {len(records)} records ({int(special.sum())} special events, "
            f"{first_kept} records before a clock reset); the recording is empty"
        )
    t, order = _unwrapped(records["time"], index, clock, path)
    address = address[index][order]
    raw_x, raw_y, bit = layout.decode(address)
    events = np.zeros(index.size, EVENT_DTYPE)
    events["t"] = t[order] - t[order[0]]
    events["x"], events["y"] = orientation.to_picture(layout, raw_x, raw_y)
    events["p"] = bit == orientation.on_bit
    validate_events(events, *orientation.size(layout), f"{path} ({layout.name})")
    dropped = int((~special[:first_kept]).sum())
    return events, AedatCounts(len(records), int(special.sum()), dropped, header)


def write_aedat(
    path: str | os.PathLike[str],
    events: Events,
    *,
    layout: AddressLayout = DVS128,
    orientation: Orientation = CIFAR10_DVS,
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
        If a comment holds a line break.
    """
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
    if any("\n" in comment or "\r" in comment for comment in comments):
        raise InvalidRequest(f"{path}: a header comment holds a line break; give one string for each line")
    raw_x, raw_y = orientation.to_raw(layout, events["x"].astype(np.int64), events["y"].astype(np.int64))
    bit = np.where(events["p"], orientation.on_bit, 1 - orientation.on_bit).astype(np.int64)
    records = np.empty(len(events), _RECORD)
    records["address"] = layout.encode(raw_x, raw_y, bit)
    records["time"] = events["t"]
    lines = [_MAGIC, *(b"# " + comment.encode() for comment in comments)]
    Path(path).write_bytes(b"".join(line + b"\r\n" for line in lines) + records.tobytes())


def _header(data: bytes, path: str | os.PathLike[str]) -> tuple[tuple[str, ...], int]:
    """Return the header lines and the place of the first event."""
    if not data:
        raise InvalidFile(
            f"{path}: the file is empty; an AEDAT 2.0 file starts with '#!AER-DAT2.0', fetch it again"
        )
    if not data.startswith(_MAGIC):
        raise InvalidFile(f"{path}: {_what_it_is(data)}")
    lines = []
    start = 0
    # The header ends where a line does not start with '#'. Addresses of 16 bits start with byte 0,
    # so no event of such a camera can be taken for a header line.
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        if end < 0:
            raise InvalidFile(
                f"{path}: the header line at byte {start} does not end; the file is truncated, fetch it again"
            )
        lines.append(data[start:end].rstrip(b"\r").decode("utf-8", "replace"))
        start = end + 1
    return tuple(lines), start


def _what_it_is(data: bytes) -> str:
    if data.startswith(b"#!AER-DAT1"):
        return "this is AEDAT 1.0, only AEDAT 2.0 is read; open it in jAER and save it again"
    if data.startswith(b"#!AER-DAT3"):
        return (
            "this is AEDAT 3, only AEDAT 2.0 is read; convert it, for example with jAER or the older DV tools"
        )
    if data.startswith(b"#!AER-DAT4"):
        return (
            "this is AEDAT 4, only AEDAT 2.0 is read; "
            "take the original CIFAR10-DVS files (*.aedat, not *.aedat4), "
            "or read it with the package 'aedat' and save it with eventsnn.events.write_aedat"
        )
    return (
        f"an AEDAT 2.0 file starts with '#!AER-DAT2.0', found {data[:12]!r}; "
        "the file is of another format or damaged"
    )


def _last_reset(time: NDArray[np.int32]) -> int:
    """Return the index of the first record after the last clock reset, 0 if there was none."""
    before, after = time[:-1].astype(np.int64), time[1:].astype(np.int64)
    reset = np.flatnonzero((after >= 0) & (after < _NEAR_ZERO_US) & (before - after > _NEAR_ZERO_US))
    return int(reset[-1]) + 1 if reset.size else 0


def _unwrapped(
    time: NDArray[np.int32], index: NDArray[np.int64], clock: str, path: str | os.PathLike[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the times of the records at ``index`` without counter wraps, and the order to take them in."""
    kept = time[index].astype(np.int64)
    # Taken modulo 2^32, the step over a wrap is a small positive one like any other.
    steps = (np.diff(kept) + 2**31) % 2**32 - 2**31
    t = kept[0] + np.concatenate([[0], np.cumsum(steps)])
    if clock == "sort":
        return t, np.argsort(t, kind="stable")
    back = np.flatnonzero(steps < 0)
    if back.size:
        here = int(back[0])
        raise InvalidEvents(
            f"{path}: time goes back at event {index[here + 1]}, "
            f"from {kept[here]} us to {kept[here + 1]} us; "
            "times must not decrease, read the file with clock='sort' if its order is not wanted"
        )
    return t, np.arange(index.size)
