"""AEDAT 3.1 files, as cAER wrote them: DVS128 Gesture is in this format.

A header of lines that start with ``#``, each ended by CR LF, from ``#!AER-DAT3.1`` to ``#!END-HEADER``; then
packets of 28 bytes of header (little-endian: type, source, event size, time offset, time overflow, capacity,
number, valid) and their events. A polarity event (type 1) is two 32-bit words: valid bit, polarity, 15 bits
of y, 15 bits of x, from the lowest; then 31 bits of microseconds, to which the overflow adds 2^31 each.

Source: iniVation, "AEDAT 3.1", https://docs.inivation.com/software/software-advanced-usage/file-formats/
aedat-3.1.html, and the README of Amir et al., "A Low Power, Fully Event-Based Gesture Recognition System",
CVPR 2017. Version 3.0, whose header does not end and whose rows count from below, is not read.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.clock import ENDLESS_COUNTER
from eventsnn.events.layouts import RAW, AddressLayout
from eventsnn.events.readers.blocks import AT_ONCE, Block, Whole, in_parts, whole
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import opened, size_of
from eventsnn.events.stream import Events, validate_events

MAGIC = b"#!AER-DAT3"

_VERSION = b"#!AER-DAT3.1\r\n"
_END = b"#!END-HEADER\r\n"
_LONGEST_HEADER = 1 << 20
_PACKET = np.dtype(
    [
        *(("type", "<i2"), ("source", "<i2"), ("size", "<i4"), ("time_offset", "<i4"), ("overflow", "<i4")),
        *(("capacity", "<i4"), ("number", "<i4"), ("valid", "<i4")),
    ]
)
_EVENT = np.dtype([("data", "<u4"), ("time", "<u4")])
_POLARITY = 1
_KINDS = {0: 1, 2: 2, 3: 3, 4: 3}
_OVERFLOW_BITS = 31
# Pixels of the cameras that a header can name, by how their names begin.
_CAMERAS = {
    "dvs128": (128, 128),
    "davis240": (240, 180),
    "davis346": (346, 260),
    "davis128": (128, 128),
    "davis208": (208, 192),
    "davis640": (640, 480),
}


@dataclass(frozen=True)
class _Opening:
    end: int
    layout: AddressLayout


def aedat3_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows, of the camera in the header or as said, in the orientation that was said."""
    with opened(path) as file:
        height, width = (settings.orientation or RAW).size(_opening(file, settings, path).layout)
    return width, height


def read_aedat3(path: Where, settings: Settings) -> Decoded:
    """The polarity events of a file, times from the first one on; what else it holds is counted.

    Raises
    ------
    InvalidFile
        Another format or version, a damaged header or packet, or no polarity event.
    InvalidEvents
        An event outside the sensor, or time going back where the clock does not allow it.
    InvalidRequest
        The header names no camera that is known, and no sensor was said, or another one was.
    """
    orientation = settings.orientation or RAW
    with _opened(path, settings) as (file, opening):
        found = _whole(file, opening, settings, path, from_zero=True)
    if not len(found.events):
        raise InvalidFile(f"{path}: no pixel event among {found.records} records; the recording is empty")
    height, width = orientation.size(opening.layout)
    counts = found.counts("invalid_events", "special_events", "frames", "motion_samples", "other_records")
    return Decoded(found.events, height, width, counts, "first-event")


def aedat3_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The polarity events in parts; a packet is never cut, so that one may be longer than ``at_once``."""
    size = settings.orientation or RAW
    with _opened(path, settings) as (file, opening):
        blocks = _blocks(file, opening, settings, path, at_once)
        yield from in_parts(blocks, ENDLESS_COUNTER, str(path), size.size(opening.layout), from_zero=True)


def read_trials(path: Where, settings: Settings) -> Decoded:
    """As ``read_aedat3`` with times as they are stored, for labels that are given in them."""
    orientation = settings.orientation or RAW
    with _opened(path, settings) as (file, opening):
        found = _whole(file, opening, settings, path, from_zero=False)
    height, width = orientation.size(opening.layout)
    return Decoded(found.events, height, width, {}, "file")


def _whole(file: BinaryIO, opening: _Opening, settings: Settings, path: Where, from_zero: bool) -> Whole:
    return whole(
        lambda: _blocks(file, opening, settings, path, AT_ONCE),
        (size_of(file) - opening.end) // _EVENT.itemsize,
        ENDLESS_COUNTER,
        settings.clock or "last-reset",
        str(path),
        (settings.orientation or RAW).size(opening.layout),
        from_zero=from_zero,
    )


@contextmanager
def _opened(path: Where, settings: Settings) -> Iterator[tuple[BinaryIO, _Opening]]:
    with opened(path) as file:
        yield file, _opening(file, settings, path)


def _opening(file: BinaryIO, settings: Settings, path: Where) -> _Opening:
    file.seek(0)
    data = file.read(_LONGEST_HEADER)
    if not data.startswith(_VERSION):
        what = data[: data.find(b"\r\n")] if data.startswith(MAGIC) and b"\r\n" in data[:32] else data[:14]
        raise InvalidFile(
            f"{path}: an AEDAT 3.1 file starts with '#!AER-DAT3.1', found {what!r}; other versions are "
            "not read, "
            "save it again with jAER or DV"
        )
    end = data.find(_END)
    if end < 0:
        raise InvalidFile(f"{path}: the header has no line '#!END-HEADER'; the file is truncated or damaged")
    text = data[:end].decode("utf-8", "replace")
    cameras = re.findall(r"^#Source [0-9]+: *(.*?)\r$", text, re.MULTILINE)
    known = {size for name in cameras for start, size in _CAMERAS.items() if name.lower().startswith(start)}
    if len(known) > 1:
        raise InvalidFile(f"{path}: the header names several cameras, {', '.join(cameras)}; one is read")
    found = next(iter(known), None)
    if found and settings.sensor and found != settings.sensor:
        raise InvalidRequest(
            f"{path}: the header says the camera is {cameras[0]!r} of {found[0]}x{found[1]} pixels, and "
            f"{settings.sensor[0]}x{settings.sensor[1]} was said; leave that out"
        )
    found = found or settings.sensor
    if found is None:
        raise InvalidRequest(
            f"{path}: the header names no camera that is known "
            f"({', '.join(cameras)[:80] or 'none at all'}); say "
            "its columns and rows, sensor=(128, 128) (--sensor 128x128)"
        )
    return _Opening(end + len(_END), _layout(*found))


def _layout(width: int, height: int) -> AddressLayout:
    return AddressLayout("AEDAT 3.1", width, height, 0xFFFE0000, 17, 0x0001FFFC, 2, 0x2, 1, 0)


def _blocks(
    file: BinaryIO, opening: _Opening, settings: Settings, path: Where, at_once: int
) -> Iterator[Block]:
    """Packets, put together until they hold enough events. Left out: see ``read_aedat3``."""
    waiting: list[tuple[NDArray[np.void], int]] = []
    others = np.zeros(5, np.int64)
    held = 0
    for packet, overflow, kind in _packets(file, opening.end, path):
        if kind != _POLARITY:
            others[_KINDS.get(kind, 4)] += len(packet)
            continue
        waiting.append((packet, overflow))
        held += len(packet)
        if held >= at_once:
            yield _block(waiting, others, opening, settings)
            waiting, held = [], 0
            others[:] = 0
    if waiting or others.any():
        yield _block(waiting, others, opening, settings)


def _block(
    waiting: list[tuple[NDArray[np.void], int]],
    others: NDArray[np.int64],
    opening: _Opening,
    settings: Settings,
) -> Block:
    packets = np.concatenate([np.zeros(0, _EVENT), *(packet for packet, _ in waiting)])
    spans = [len(packet) for packet, _ in waiting]
    base = np.repeat(np.array([overflow for _, overflow in waiting], np.int64) << _OVERFLOW_BITS, spans)
    stored = packets["time"].astype(np.int64) + base
    data = packets["data"].astype(np.uint32)
    place = None
    invalid = len(data) - int(np.count_nonzero(data & 1))
    if invalid or others.any():
        place = np.flatnonzero(data & 1)
        data = data[place]
    orientation = settings.orientation or RAW
    x, y, bit = opening.layout.decode(data)
    x, y = orientation.to_picture(opening.layout, x, y)
    records = len(packets) + int(others.sum())
    left_out = (invalid, *others[1:].tolist())
    time = stored if place is None else stored[place]
    return Block(time, x, y, bit == orientation.on_bit, records, place, left_out=left_out)


def _packets(file: BinaryIO, start: int, path: Where) -> Iterator[tuple[NDArray[np.void], int, int]]:
    """Events of each packet (of other types than polarity, as many empty records), its overflow and type."""
    size = size_of(file)
    file.seek(start)
    while start < size:
        data = file.read(_PACKET.itemsize)
        if len(data) < _PACKET.itemsize:
            raise InvalidFile(f"{path}: the packet at byte {start} is cut short; the file is truncated")
        kind, _, each, offset, overflow, capacity, number, _ = np.frombuffer(data, _PACKET)[0].tolist()
        begin = start + _PACKET.itemsize
        start = begin + each * number
        wrong = not 0 <= number <= capacity or each < 1 or kind < 0 or not 0 <= overflow < 2**20
        if wrong or (kind == _POLARITY and (each, offset) != (_EVENT.itemsize, 4)):
            raise InvalidFile(
                f"{path}: the packet at byte {begin - _PACKET.itemsize} says type {kind}, {number} of "
                f"{capacity} "
                f"events of {each} bytes, time at byte {offset}; the file is damaged"
            )
        if start > size:
            raise InvalidFile(
                f"{path}: the packet at byte {begin - _PACKET.itemsize} goes on beyond the end; the file is "
                "truncated"
            )
        if kind == _POLARITY:
            yield np.frombuffer(file.read(each * number), _EVENT), overflow, kind
        else:
            file.seek(start)
            yield np.empty(number, np.dtype("V0")), overflow, kind


def write_aedat3(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write polarity events in packets of 4,096; read back, they are the same, times from the first one on.

    Raises
    ------
    InvalidEvents
        No event.
    InvalidRequest
        A sensor that no camera with a name in this format has.
    """
    orientation = settings.orientation or RAW
    validate_events(events, height, width, f"{path} (to be written as AEDAT 3.1)")
    if not len(events):
        raise InvalidEvents(f"{path}: there is no event to write")
    size = (height, width) if orientation.swap else (width, height)
    name = next((name for name, known in _CAMERAS.items() if known == size), None)
    if name is None:
        raise InvalidRequest(
            f"{path}: AEDAT 3.1 files name their camera, and none known has {width}x{height} pixels; "
            "write another "
            f"format, known are {', '.join(_CAMERAS)}"
        )
    layout = _layout(*size)
    x, y = orientation.to_raw(layout, events["x"].astype(np.int64), events["y"].astype(np.int64))
    bit = np.where(events["p"], orientation.on_bit, 1 - orientation.on_bit).astype(np.int64)
    records = np.empty(len(events), _EVENT)
    records["data"] = layout.encode(x, y, bit) | 1
    overflow, records["time"] = np.divmod(events["t"].astype(np.int64), 2**_OVERFLOW_BITS)
    cuts = np.union1d(np.arange(0, len(events), 4096), np.flatnonzero(np.diff(overflow)) + 1)
    header = f"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 0: {name.upper()}\r\n".encode() + _END
    with Path(path).open("wb") as file:
        file.write(header)
        for begin, end in zip(cuts, [*cuts[1:], len(events)], strict=True):
            number = int(end - begin)
            packet = (_POLARITY, 0, _EVENT.itemsize, 4, int(overflow[begin]), number, number, number)
            file.write(np.array([packet], _PACKET).tobytes() + records[begin:end].tobytes())
