"""N-MNIST recordings: the five-byte ``.bin`` format of the ATIS camera.

An event is five bytes: x, y, then 24 bits big-endian of which the top one is the polarity bit (kept
as it is: 1 = True) and the other 23 are the time in microseconds. A record with y = 240 marks a clock
overflow: it is no event and adds 2^13 us to all later times.

Source: Orchard, Jayawant, Cohen and Thakor, "Converting static image datasets to spiking neuromorphic
datasets using saccades", Frontiers in Neuroscience 9:437, 2015, doi:10.3389/fnins.2015.00437. In the
recordings published there the polarity bit is 0 at the edge that leads the motion of a bright digit.
"""

import os
from pathlib import Path

import numpy as np

from eventsnn.errors import InvalidEvents, InvalidFile
from eventsnn.events.stream import EVENT_DTYPE, Events, validate_events

NMNIST_HEIGHT = 34
NMNIST_WIDTH = 34

_RECORD_BYTES = 5
_OVERFLOW_ROW = 240
_OVERFLOW_US = 1 << 13
_TIME_LIMIT_US = 1 << 23


def read_nmnist(path: str | os.PathLike[str]) -> Events:
    """Read one N-MNIST recording.

    Times are those of the file (its first event comes up to a few milliseconds after 0).

    Returns
    -------
    Events of shape (n_events,) on a sensor of 34 x 34 pixels.

    Raises
    ------
    InvalidFile
        If the file is missing, empty, or not a whole number of five-byte records.
    InvalidEvents
        If an event lies outside the sensor or time goes back.
    """
    data = read_bytes(path)
    if not data:
        raise InvalidFile(
            f"{path}: the file is empty; an N-MNIST recording holds five bytes an event, fetch it again"
        )
    if len(data) % _RECORD_BYTES:
        raise InvalidFile(
            f"{path}: {len(data)} bytes are not a whole number of five-byte N-MNIST records "
            f"({len(data) % _RECORD_BYTES} left over); "
            "the file is truncated or of another format, fetch it again"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD_BYTES).astype(np.int64)
    x, y = records[:, 0], records[:, 1]
    t = (records[:, 2] & 0x7F) << 16 | records[:, 3] << 8 | records[:, 4]
    overflow = y == _OVERFLOW_ROW
    t += np.cumsum(overflow) * _OVERFLOW_US
    kept = ~overflow
    if not kept.any():
        raise InvalidFile(f"{path}: the file holds {len(records)} clock overflow records and no event")
    events = np.zeros(int(kept.sum()), EVENT_DTYPE)
    events["t"], events["x"], events["y"] = t[kept], x[kept], y[kept]
    events["p"] = records[kept, 2] >> 7
    validate_events(events, NMNIST_HEIGHT, NMNIST_WIDTH, f"{path} (N-MNIST)")
    return events


def write_nmnist(path: str | os.PathLike[str], events: Events) -> None:
    """Write one recording in the N-MNIST format; reading it back gives the same events.

    No overflow records are written: times up to 2^23 - 1 us (8.39 s) are stored directly.

    Raises
    ------
    InvalidEvents
        If there is no event, an event is not valid on 34 x 34 pixels, or a time does not fit 23 bits.
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


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the contents of a file, or raise InvalidFile if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidFile(f"{path}: cannot be read ({reason}); give the path of a recording file") from error
