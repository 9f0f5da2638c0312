"""Five-byte recordings: N-MNIST and N-Caltech101 (``.bin``), and what SLAYER writes (``.bs2``).

An event is five bytes: x, y, then 24 bits big-endian of which the top one is the polarity bit (kept
as it is: 1 = True) and the other 23 are the time in microseconds. A record with y = 240 marks a clock
overflow: it is no event and adds 2^13 us to all later times. The 23 bits start again at 0 after 2^23 us
(8.39 s); such a wrap is undone, like a step of at most 2^20 us (1 s) over the counter's end.

Source: Orchard, Jayawant, Cohen and Thakor, "Converting static image datasets to spiking neuromorphic
datasets using saccades", Frontiers in Neuroscience 9:437, 2015, doi:10.3389/fnins.2015.00437. In the
recordings published there the polarity bit is 0 at the edge that leads the motion of a bright digit.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.clock import FIVE_BYTE_COUNTER, Clock, clock_of
from eventsnn.events.formats import format_of_bytes, not_yet
from eventsnn.events.readers.blocks import AT_ONCE, Block, in_parts, whole
from eventsnn.events.readers.contract import LOOKED_AT, Decoded, Settings, Where, settings_of
from eventsnn.events.readers.files import opened, records_from, size_of
from eventsnn.events.stream import Events, validate_events

NMNIST_HEIGHT = 34
NMNIST_WIDTH = 34

MOST_COLUMNS, MOST_ROWS = 256, 240

_RECORD = np.dtype([("byte", "u1", (5,))])
_OVERFLOW_ROW = 240
_OVERFLOW_US = 1 << 13
_TIME_LIMIT_US = 1 << 23
# Long enough to be no event by chance.
_TELLING = 6


@dataclass(frozen=True)
class NmnistCounts:
    """What a five-byte file held beside the events returned; attributes as of ``AedatCounts``."""

    records: int
    overflow_records: int
    events_before_reset: int
    stray_events: int


def read_nmnist(path: str | os.PathLike[str], *, clock: Clock = "last-reset") -> Events:
    """Read one N-MNIST recording; ``read_nmnist_with_counts`` without the counts."""
    return read_nmnist_with_counts(path, clock=clock)[0]


def read_nmnist_with_counts(
    path: str | os.PathLike[str], *, clock: Clock = "last-reset"
) -> tuple[Events, NmnistCounts]:
    """Read one N-MNIST recording: ``read_five_byte_with_counts`` of 34 x 34 pixels."""
    return read_five_byte_with_counts(path, sensor=(NMNIST_WIDTH, NMNIST_HEIGHT), clock=clock)


def read_five_byte(
    path: str | os.PathLike[str], *, sensor: tuple[int, int] | str, clock: Clock = "last-reset"
) -> Events:
    """Read one five-byte recording; ``read_five_byte_with_counts`` without the counts."""
    return read_five_byte_with_counts(path, sensor=sensor, clock=clock)[0]


def read_five_byte_with_counts(
    path: str | os.PathLike[str], *, sensor: tuple[int, int] | str, clock: Clock = "last-reset"
) -> tuple[Events, NmnistCounts]:
    """Read one five-byte recording of a sensor of any size that the format has room for.

    Times are those of the file (in N-MNIST its first event comes up to a few milliseconds after 0).

    Parameters
    ----------
    path
        The file.
    sensor
        Columns and rows, ``(34, 34)`` or ``"34x34"``, at most 256 and 240; the file does not say them.
    clock
        What to do where time goes back, as of ``read_aedat_with_counts``.

    Returns
    -------
    events
        Shape (n_events,).
    counts
        Records in the file, overflow records, events left out before a reset and as strays.

    Raises
    ------
    InvalidFile
        If the file is missing, empty, of another format, or not a whole number of five-byte records.
    InvalidEvents
        If an event lies outside the sensor, or time goes back where ``clock`` does not allow it.
    InvalidRequest
        If ``clock`` is unknown, ``sensor`` too large, or ``path`` no path.

    Warns
    -----
    RecordingWarning
        If stray events were left out.
    """
    clock = clock_of(clock)
    width, height = _fitting(settings_of(sensor).sensor, path)
    with opened(path) as file:
        _require_records(file, (width, height), path)
        found = whole(
            partial(_blocks, file, (height, width), path, AT_ONCE),
            size_of(file) // _RECORD.itemsize,
            FIVE_BYTE_COUNTER,
            clock,
            f"{path} (five-byte)",
            (height, width),
        )
    if not len(found.events):
        raise InvalidFile(f"{path}: the file holds {found.records} clock overflow records and no event")
    return found.events, NmnistCounts(found.records, sum(found.left_out), found.before_reset, found.strays)


def five_byte_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows as said."""
    return _fitting(settings.sensor, path)


def read_any_five_byte(path: Where, settings: Settings) -> Decoded:
    """As ``read_five_byte_with_counts``."""
    width, height = _fitting(settings.sensor, path)
    clock = settings.clock or "last-reset"
    events, counts = read_five_byte_with_counts(path, sensor=(width, height), clock=clock)
    return Decoded(events, height, width, asdict(counts))


def write_any_five_byte(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """As ``write_five_byte``."""
    write_five_byte(path, events, sensor=(width, height))


def five_byte_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The events of a five-byte file in parts of at most ``at_once``, times as in the file."""
    width, height = _fitting(settings.sensor, path)
    with opened(path) as file:
        _require_records(file, (width, height), path)
        blocks = _blocks(file, (height, width), path, at_once)
        yield from in_parts(blocks, FIVE_BYTE_COUNTER, f"{path} (five-byte)", (height, width))


def _fitting(sensor: tuple[int, int] | None, path: Where) -> tuple[int, int]:
    if sensor is None:
        raise InvalidRequest(
            f"{path}: a five-byte file does not say how large its sensor is; say columns and rows, "
            "sensor=(34, 34) (--sensor 34x34)"
        )
    if sensor[0] > MOST_COLUMNS or sensor[1] > MOST_ROWS:
        raise InvalidRequest(
            f"{path}: a sensor of {sensor[0]} columns and {sensor[1]} rows does not fit five-byte records, "
            f"which hold {MOST_COLUMNS} columns and {MOST_ROWS} rows at most"
        )
    return sensor


def _require_records(file: BinaryIO, sensor: tuple[int, int], path: Where) -> None:
    size = size_of(file)
    if not size:
        raise InvalidFile(
            f"{path}: the file is empty; a five-byte recording holds five bytes an event, fetch it again"
        )
    data = file.read(LOOKED_AT)
    nmnist = sensor == (NMNIST_WIDTH, NMNIST_HEIGHT)
    # In N-MNIST none of these could be a recording: the first event would lie outside the sensor. On a larger
    # one, only what is too long for chance is no event.
    if data.startswith(b"#!AER-DAT2"):
        raise InvalidFile(
            f"{path}: this is AEDAT 2.0, no five-byte file; name it *.aedat and open it as aedat:"
        )
    if (other := format_of_bytes(data)) and (nmnist or format_of_bytes(data[: _TELLING - 1]) is None):
        raise InvalidFile(f"{path}: {not_yet(other, 'give five-byte N-MNIST files (.bin)')}")
    if size % _RECORD.itemsize:
        raise InvalidFile(
            f"{path}: {size} bytes are not a whole number of five-byte records "
            f"({size % _RECORD.itemsize} left over); "
            "the file is truncated or of another format, fetch it again"
        )


def _blocks(file: BinaryIO, size: tuple[int, int], path: Where, at_once: int) -> Iterator[Block]:
    seen = overflows = 0
    for records in records_from(file, _RECORD, 0, at_once):
        byte = records["byte"]
        x, y, high = byte[:, 0].copy(), byte[:, 1].copy(), byte[:, 2].copy()
        time = (high & 0x7F).astype(np.int32) << 16
        time |= byte[:, 3].astype(np.int32) << 8
        time |= byte[:, 4]
        stored = time.astype(np.int64)
        p = high > 0x7F
        place, left_out = None, 0
        if overflows or y.max() >= _OVERFLOW_ROW:
            overflow = y == _OVERFLOW_ROW
            counted = np.cumsum(overflow)
            stored += (counted + overflows) * _OVERFLOW_US
            left_out = int(counted[-1])
            overflows += left_out
            if left_out:
                place = np.flatnonzero(~overflow)
                x, y, p = x[place], y[place], p[place]
        _require_on_sensor(x, y, place, size, seen, path)
        time = stored if place is None else stored[place]
        yield Block(time, x, y, p, len(records), place, stored, (left_out,))
        seen += len(records)


def _require_on_sensor(
    x: NDArray[np.uint8],
    y: NDArray[np.uint8],
    place: NDArray[np.int64] | None,
    size: tuple[int, int],
    seen: int,
    path: Where,
) -> None:
    """Before times are looked at: a file of another format is better known by its pixels."""
    height, width = size
    if not len(x) or (x.max() < width and y.max() < height):
        return
    here = int(np.argmax((x >= width) | (y >= height)))
    raise InvalidEvents(
        f"{path} (five-byte): event {seen + (here if place is None else place[here])} lies at x = {x[here]}, "
        f"y = {y[here]}, outside the sensor of {width} columns and {height} rows (x 0 to {width - 1}, y 0 to "
        f"{height - 1}); the file is of another sensor or format, or damaged"
    )


def write_nmnist(path: str | os.PathLike[str], events: Events) -> None:
    """Write one N-MNIST recording: ``write_five_byte`` of 34 x 34 pixels."""
    write_five_byte(path, events, sensor=(NMNIST_WIDTH, NMNIST_HEIGHT))


def write_five_byte(path: str | os.PathLike[str], events: Events, *, sensor: tuple[int, int] | str) -> None:
    """Write one five-byte recording; reading it back gives the same events.

    No overflow records are written: times up to 2^23 - 1 us (8.39 s) are stored directly.

    Raises
    ------
    InvalidEvents
        If there is no event, an event is not valid on the sensor, or a time does not fit 23 bits.
    OSError
        If the file cannot be written.
    """
    width, height = _fitting(settings_of(sensor).sensor, path)
    validate_events(events, height, width, f"{path} (to be written as a five-byte file)")
    if not len(events):
        raise InvalidEvents(
            f"{path}: there is no event to write; an empty five-byte file could not be told from a lost one"
        )
    t = events["t"].astype(np.int64)
    if t[-1] >= _TIME_LIMIT_US:
        index = int(np.searchsorted(t, _TIME_LIMIT_US))
        raise InvalidEvents(
            f"{path}: event {index} has t = {t[index]} us; "
            f"five-byte files hold times below {_TIME_LIMIT_US} us (8.39 s), "
            "cut the recording or write it as AEDAT 2.0"
        )
    records = np.empty((len(events), _RECORD.itemsize), np.uint8)
    records[:, 0], records[:, 1] = events["x"], events["y"]
    records[:, 2] = (t >> 16) | (events["p"].astype(np.int64) << 7)
    records[:, 3] = (t >> 8) & 0xFF
    records[:, 4] = t & 0xFF
    Path(path).write_bytes(records.tobytes())
