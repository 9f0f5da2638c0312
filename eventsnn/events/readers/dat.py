"""Prophesee DAT files, version 2: decoded change-detection events.

After a header of text (``% Version 2``, ``% Width``, ``% Height``) one byte says the type of the events and
one their size, 8. An event is two little-endian 32-bit words: the time in microseconds, which wraps after
71.6 minutes, then x (14 bits), y (14 bits) and the polarity (4 bits, 1 = ON).

Source: Prophesee, "DAT file format", https://docs.prophesee.ai/stable/data/file_formats/dat.html.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.clock import WORD_COUNTER
from eventsnn.events.readers.blocks import AT_ONCE, Block, in_parts, whole
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import opened, records_from, size_of
from eventsnn.events.readers.prophesee import Header, header_of
from eventsnn.events.stream import Events, validate_events

_RECORD = np.dtype([("time", "<u4"), ("word", "<u4")])
_TYPES = {0x00: "Event2d", 0x0C: "EventCD"}
_FIELD = 0x3FFF
_MOST_PIXELS = _FIELD + 1
_TIME_LIMIT_US = 2**32


def dat_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows, of the header or as said."""
    with opened(path) as file:
        return header_of(file, path).sensor_or(settings.sensor, path)


def read_dat(path: Where, settings: Settings) -> Decoded:
    """All events of a file, times as in it.

    Raises
    ------
    InvalidFile
        No DAT file of version 2 with change-detection events, or truncated, or without any event.
    InvalidEvents
        An event outside the sensor, or time going back where the clock does not allow it.
    InvalidRequest
        The header says no sensor and none was said, or another one was.
    """
    with _opened(path, settings) as (file, header, (width, height)):
        found = whole(
            partial(_blocks, file, header.end + 2, path, AT_ONCE),
            (size_of(file) - header.end - 2) // _RECORD.itemsize,
            WORD_COUNTER,
            settings.clock or "last-reset",
            str(path),
            (height, width),
        )
    if not len(found.events):
        raise InvalidFile(f"{path}: no event after the header; the recording is empty")
    return Decoded(found.events, height, width, found.counts())


def dat_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The events in parts of at most ``at_once``."""
    with _opened(path, settings) as (file, header, (width, height)):
        blocks = _blocks(file, header.end + 2, path, at_once)
        yield from in_parts(blocks, WORD_COUNTER, str(path), (height, width))


@contextmanager
def _opened(path: Where, settings: Settings) -> Iterator[tuple[BinaryIO, Header, tuple[int, int]]]:
    with opened(path) as file:
        header = header_of(file, path)
        file.seek(header.end)
        kind = file.read(2)
        version = header.words.get("version")
        if version != "2":
            said = "names no version" if version is None else f"names version {version[:20]!r}"
            raise InvalidFile(
                f"{path}: the header {said}; DAT files of version 2 are read, write it anew with Metavision"
            )
        if len(kind) < 2 or kind[0] not in _TYPES or kind[1] != _RECORD.itemsize:
            raise InvalidFile(
                f"{path}: after the header come the bytes {kind.hex(' ') or 'of no event'}; read are "
                "change-detection events of 8 bytes, which begin 00 08 or 0c 08"
            )
        if rest := (size_of(file) - header.end - 2) % _RECORD.itemsize:
            raise InvalidFile(
                f"{path}: the events are no whole number of eight-byte records ({rest} bytes left over); "
                "the file is "
                "truncated or damaged, fetch it again"
            )
        yield file, header, header.sensor_or(settings.sensor, path)


def _blocks(file: BinaryIO, start: int, path: Where, at_once: int) -> Iterator[Block]:
    seen = 0
    for records in records_from(file, _RECORD, start, at_once):
        word = records["word"]
        x, y, p = (word & _FIELD).astype(np.int16), (word >> 14 & _FIELD).astype(np.int16), word >> 28
        if p.max() > 1:
            here = int(np.argmax(p > 1))
            raise InvalidEvents(
                f"{path}: event {seen + here} has polarity {p[here]}; it is 0 or 1, the file is damaged"
            )
        yield Block(records["time"].astype(np.int64), x, y, p, len(records))
        seen += len(records)


def write_dat(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a file of version 2; reading it back gives the same events.

    Raises
    ------
    InvalidEvents
        No event, or a time that does not fit 32 bits.
    InvalidRequest
        A sensor of more than 16384 columns or rows.
    """
    validate_events(events, height, width, f"{path} (to be written as DAT)")
    if not len(events):
        raise InvalidEvents(f"{path}: there is no event to write")
    if max(height, width) > _MOST_PIXELS:
        raise InvalidRequest(
            f"{path}: DAT files hold {_MOST_PIXELS} columns and rows at most, {width}x{height} here"
        )
    if events["t"][-1] >= _TIME_LIMIT_US:
        raise InvalidEvents(
            f"{path}: the last event has t = {events['t'][-1]} us; DAT files hold times below "
            f"{_TIME_LIMIT_US} us "
            "(71.6 min), cut the recording"
        )
    records = np.empty(len(events), _RECORD)
    records["time"] = events["t"]
    x, y, p = (events[name].astype(np.uint32) for name in "xyp")
    records["word"] = x | y << np.uint32(14) | p << np.uint32(28)
    header = f"% Data file containing CD events\n% Version 2\n% Width {width}\n% Height {height}\n"
    Path(path).write_bytes(header.encode() + bytes([0x0C, _RECORD.itemsize]) + records.tobytes())
