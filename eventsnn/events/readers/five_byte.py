"""N-MNIST recordings: the five-byte ``.bin`` format of the ATIS camera.

An event is five bytes: x, y, then 24 bits big-endian of which the top one is the polarity bit (kept
as it is: 1 = True) and the other 23 are the time in microseconds. A record with y = 240 marks a clock
overflow: it is no event and adds 2^13 us to all later times. The 23 bits start again at 0 after 2^23 us
(8.39 s); such a wrap is undone, like a step of at most 2^20 us (1 s) over the counter's end.

Source: Orchard, Jayawant, Cohen and Thakor, "Converting static image datasets to spiking neuromorphic
datasets using saccades", Frontiers in Neuroscience 9:437, 2015, doi:10.3389/fnins.2015.00437. In the
recordings published there the polarity bit is 0 at the edge that leads the motion of a bright digit.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidFile
from eventsnn.events.clock import FIVE_BYTE_COUNTER, Clock, clock_of, set_in_order
from eventsnn.events.formats import format_of_bytes, not_yet
from eventsnn.events.readers.files import read_bytes
from eventsnn.events.stream import EVENT_DTYPE, Events, validate_events

NMNIST_HEIGHT = 34
NMNIST_WIDTH = 34

_RECORD_BYTES = 5
_OVERFLOW_ROW = 240
_OVERFLOW_US = 1 << 13
_TIME_LIMIT_US = 1 << 23


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
    """Read one N-MNIST recording.

    Times are those of the file (its first event comes up to a few milliseconds after 0).

    Parameters
    ----------
    path
        The ``.bin`` file.
    clock
        What to do where time goes back, as of ``read_aedat_with_counts``.

    Returns
    -------
    events
        Shape (n_events,), on a sensor of 34 x 34 pixels.
    counts
        Records in the file, overflow records, events left out before a reset and as strays.

    Raises
    ------
    InvalidFile
        If the file is missing, empty, of another format, or not a whole number of five-byte records.
    InvalidEvents
        If an event lies outside the sensor, or time goes back where ``clock`` does not allow it.
    InvalidRequest
        If ``clock`` is unknown, or ``path`` no path.

    Warns
    -----
    RecordingWarning
        If stray events were left out.
    """
    clock = clock_of(clock)
    data = read_bytes(path)
    if not data:
        raise InvalidFile(
            f"{path}: the file is empty; an N-MNIST recording holds five bytes an event, fetch it again"
        )
    # None of these could be a recording: the first event would lie outside the sensor.
    if other := "AEDAT 2.0" if data.startswith(b"#!AER-DAT2") else format_of_bytes(data):
        aedat = other == "AEDAT 2.0"
        raise InvalidFile(
            f"{path}: this is AEDAT 2.0, no five-byte file; name it *.aedat and open it as aedat:"
            if aedat
            else f"{path}: {not_yet(other, 'give five-byte N-MNIST files (.bin)')}"
        )
    if len(data) % _RECORD_BYTES:
        raise InvalidFile(
            f"{path}: {len(data)} bytes are not a whole number of five-byte N-MNIST records "
            f"({len(data) % _RECORD_BYTES} left over); "
            "the file is truncated or of another format, fetch it again"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD_BYTES).astype(np.int64)
    stored = (records[:, 2] & 0x7F) << 16 | records[:, 3] << 8 | records[:, 4]
    overflow = records[:, 1] == _OVERFLOW_ROW
    stored += np.cumsum(overflow) * _OVERFLOW_US
    pixel = np.flatnonzero(~overflow)
    if not pixel.size:
        raise InvalidFile(f"{path}: the file holds {len(records)} clock overflow records and no event")
    where = f"{path} (N-MNIST)"
    _require_on_sensor(records, pixel, where)
    line = set_in_order(stored, pixel, FIVE_BYTE_COUNTER, clock, where)
    chosen = records[pixel[line.chosen]]
    events = np.zeros(len(chosen), EVENT_DTYPE)
    events["t"], events["x"], events["y"] = line.time, chosen[:, 0], chosen[:, 1]
    events["p"] = chosen[:, 2] >> 7
    validate_events(events, NMNIST_HEIGHT, NMNIST_WIDTH, where)
    return events, NmnistCounts(len(records), int(overflow.sum()), line.before_reset, line.strays)


def _require_on_sensor(records: NDArray[np.int64], pixel: NDArray[np.int64], where: str) -> None:
    """Before times are looked at: a file of another format is better known by its pixels."""
    x, y = records[pixel, 0], records[pixel, 1]
    outside = np.flatnonzero((x >= NMNIST_WIDTH) | (y >= NMNIST_HEIGHT))
    if outside.size:
        here = outside[0]
        raise InvalidEvents(
            f"{where}: event {pixel[here]} lies at x = {x[here]}, y = {y[here]}, outside the sensor of "
            f"{NMNIST_WIDTH} columns and {NMNIST_HEIGHT} rows (x 0 to {NMNIST_WIDTH - 1}, y 0 to "
            f"{NMNIST_HEIGHT - 1}); the file is of another sensor or format, or damaged"
        )


def write_nmnist(path: str | os.PathLike[str], events: Events) -> None:
    """Write one recording in the N-MNIST format; reading it back gives the same events.

    No overflow records are written: times up to 2^23 - 1 us (8.39 s) are stored directly.

    Raises
    ------
    InvalidEvents
        If there is no event, an event is not valid on 34 x 34 pixels, or a time does not fit 23 bits.
    OSError
        If the file cannot be written.
    """
    validate_events(events, NMNIST_HEIGHT, NMNIST_WIDTH, f"{path} (to be written as N-MNIST)")
    if not len(events):
        raise InvalidEvents(
            f"{path}: there is no event to write; an empty N-MNIST file could not be told from a lost one"
        )
    t = events["t"].astype(np.int64)
    if t[-1] >= _TIME_LIMIT_US:
        index = int(np.searchsorted(t, _TIME_LIMIT_US))
        raise InvalidEvents(
            f"{path}: event {index} has t = {t[index]} us; "
            f"N-MNIST files hold times below {_TIME_LIMIT_US} us (8.39 s), "
            "cut the recording or write it as AEDAT 2.0"
        )
    records = np.empty((len(events), _RECORD_BYTES), np.uint8)
    records[:, 0], records[:, 1] = events["x"], events["y"]
    records[:, 2] = (t >> 16) | (events["p"].astype(np.int64) << 7)
    records[:, 3] = (t >> 8) & 0xFF
    records[:, 4] = t & 0xFF
    Path(path).write_bytes(records.tobytes())
