"""AEDAT 4 files of iniVation's DV, through the package ``faery`` (extra ``formats``).

Times are microseconds since 1970; they are counted from the first event. Rows count from above.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from os import fspath
from typing import Any

import numpy as np

from eventsnn.errors import InvalidEvents, InvalidFile, MissingExtra
from eventsnn.events.clock import ENDLESS_COUNTER
from eventsnn.events.readers.blocks import Block, in_parts, whole
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import beginning, in_one_line, opened
from eventsnn.events.stream import Events, validate_events

MAGIC = b"#!AER-DAT4"

_LARGEST_TIME_US = 2**62
_PACKET_EVENTS = 1 << 14


def aedat4_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows, of the file's stream of events."""
    with _decoder(path) as (_, track):
        return int(track.dimensions[0]), int(track.dimensions[1])


def read_aedat4(path: Where, settings: Settings) -> Decoded:
    """All events of a file, times from the first one on; its frames and samples are left out.

    Raises
    ------
    MissingExtra
        ``faery`` is not installed.
    InvalidFile
        Another format, damaged, no stream of events or several, or no event.
    InvalidEvents
        Time going back where the clock does not allow it.
    """
    with _decoder(path) as (decoder, track):
        width, height = track.dimensions
        blocks = list(_blocks(decoder, track, path))
    room = sum(block.records for block in blocks)
    if not room:
        raise InvalidFile(f"{path}: no event in the file; the recording is empty")
    clock = settings.clock or "last-reset"
    found = whole(lambda: blocks, room, ENDLESS_COUNTER, clock, str(path), (height, width), from_zero=True)
    return Decoded(found.events, height, width, found.counts(), "first-event")


def aedat4_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The events in parts of at most ``at_once``."""
    with _decoder(path) as (decoder, track):
        width, height = track.dimensions
        for part in in_parts(
            _blocks(decoder, track, path), ENDLESS_COUNTER, str(path), (height, width), from_zero=True
        ):
            for begin in range(0, len(part), at_once):
                yield part[begin : begin + at_once]


def _faery(path: Where) -> Any:
    try:
        from faery import aedat
    except ImportError as error:
        raise MissingExtra(
            f"{path}: AEDAT 4 files are read and written through the package faery; install it: "
            "pip install 'eventsnn[formats]'"
        ) from error
    return aedat


@contextmanager
def _decoder(path: Where) -> Iterator[tuple[Any, Any]]:
    """The decoder of a file and its one stream of events; whatever goes wrong in it is the file's fault."""
    faery = _faery(path)
    with opened(path):
        pass
    if not beginning(path, len(MAGIC)).startswith(MAGIC):
        raise InvalidFile(f"{path}: an AEDAT 4 file starts with '#!AER-DAT4.0'; it is of another format")
    with _blamed(path), faery.Decoder(fspath(path)) as decoder:
        streams = [track for track in decoder.tracks() if track.data_type == "events"]
        if len(streams) != 1:
            raise InvalidFile(
                f"{path}: the file holds {len(streams)} streams of events; files with one are read, write it "
                "anew with DV"
            )
        width, height = streams[0].dimensions
        if not (1 <= width < 2**15 and 1 <= height < 2**15):
            raise InvalidFile(f"{path}: the file says a sensor of {width}x{height} pixels; it is damaged")
        yield decoder, streams[0]


@contextmanager
def _blamed(path: Where) -> Iterator[None]:
    try:
        yield
    except (InvalidFile, InvalidEvents, GeneratorExit):
        raise
    except BaseException as error:
        # What Rust panics with derives from BaseException alone.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        said = in_one_line(error)
        raise InvalidFile(f"{path}: cannot be read as AEDAT 4 ({said}); it is damaged") from error


def _blocks(decoder: Any, track: Any, path: Where) -> Iterator[Block]:
    for stream, packet in decoder:
        if stream.id != track.id or not len(packet):
            continue
        time = packet["t"]
        if time.max() >= _LARGEST_TIME_US:
            raise InvalidFile(f"{path}: an event has t = {time.max()} us; the file is damaged")
        x, y = packet["x"].astype(np.int32), packet["y"].astype(np.int32)
        yield Block(time.astype(np.int64), x, y, packet["p"], len(packet))


def write_aedat4(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a file of one stream of events, LZ4; reading it back gives the same, times from the first one on.

    Raises
    ------
    MissingExtra
        ``faery`` is not installed.
    InvalidEvents
        No event.
    """
    faery = _faery(path)
    validate_events(events, height, width, f"{path} (to be written as AEDAT 4)")
    if not len(events):
        raise InvalidEvents(f"{path}: there is no event to write")
    said = {
        "compression": ("string", "LZ4"),
        "originalModuleName": ("string", "capture"),
        "originalOutputName": ("string", "events"),
        "typeDescription": ("string", "Array of events (polarity ON/OFF)."),
        "typeIdentifier": ("string", "EVTS"),
    }
    info = {"sizeX": ("int", width), "sizeY": ("int", height), "source": ("string", "eventsnn")}
    stream = faery.DescriptionNode(
        "0",
        None,
        {name: faery.DescriptionAttribute(*value) for name, value in said.items()},
        [
            faery.DescriptionNode(
                "info", None, {name: faery.DescriptionAttribute(*value) for name, value in info.items()}, []
            )
        ],
    )
    written = np.empty(len(events), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
    for name in "txyp":
        written[name] = events[name]
    root = faery.DescriptionNode("outInfo", "/mainloop/Recorder/outInfo/", {}, [stream])
    with faery.Encoder(fspath(path), [root], faery.LZ4_DEFAULT) as encoder:
        for begin in range(0, len(written), _PACKET_EVENTS):
            encoder.write(0, written[begin : begin + _PACKET_EVENTS])
