"""Prophesee RAW files: EVT 2.0, words of 32 bits, and EVT 3.0, words of 16 bits.

What a word means is in its upper four bits. The upper bits of time come in words of their own; in EVT 3.0 the
lower ones, the row and the first column of a group of pixels do, too, and hold until the next such word.
Events before the first word of time (and of row) have no place and are left out, counted.

Source: Prophesee, "EVT 2.0 Format" and "EVT 3.0 Format", https://docs.prophesee.ai/stable/data/encoding_formats/;
the lower bits of time start at 0 where the upper ones change, as in Prophesee's own decoder (OpenEB).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidFile
from eventsnn.events.clock import ENDLESS_COUNTER, Counter
from eventsnn.events.readers.blocks import AT_ONCE, Block, in_parts, whole
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import opened, records_from, size_of
from eventsnn.events.readers.prophesee import Header, header_of
from eventsnn.events.stream import Events

ADDR_Y, ADDR_X, BASE_X, VECTOR_12, VECTOR_8, TIME_LOW, CONTINUED_4 = 0, 2, 3, 4, 5, 6, 7
CD_OFF, CD_ON = 0, 1
TIME_HIGH, TRIGGER, OTHERS, CONTINUED = 8, 10, 14, 15

# Of 2^34 us, that is 4.8 hours.
EVT2_COUNTER = Counter(0, 2**34, 2**32)
_HALF_OF_HIGH = 1 << 11


@dataclass
class _Evt2:
    """What holds from one word to the next in EVT 2.0."""

    path: Where
    high: int = -1
    seen: int = 0

    def block(self, word: NDArray[Any]) -> Block:
        kind = (word >> 28).astype(np.uint8)
        _require_known(kind, (CD_OFF, CD_ON, TIME_HIGH, TRIGGER, OTHERS, CONTINUED), self.path, self.seen)
        self.seen += len(word)
        high = _held(kind == TIME_HIGH, word & 0x0FFFFFFF, self.high)
        self.high = int(high[-1])
        is_event = kind <= CD_ON
        placed = is_event & (high >= 0)
        place = np.flatnonzero(placed)
        event = word[place]
        return Block(
            (high[place] << 6) | (event >> 22 & 0x3F),
            (event >> 11 & 0x7FF).astype(np.int16),
            (event & 0x7FF).astype(np.int16),
            kind[place] == CD_ON,
            len(word),
            place,
            (np.maximum(high, 0) << 6) | (word >> 22 & 0x3F),
            _left_out(kind, len(place), int(is_event.sum()), (TRIGGER,), (OTHERS, CONTINUED)),
        )


@dataclass
class _Evt3:
    """What holds from one word to the next in EVT 3.0; -1 where no such word came yet."""

    path: Where
    high: int = -1
    low: int = 0
    y: int = -1
    base: int = -1
    on: int = 0
    seen: int = 0
    known: tuple[int, ...] = field(
        default=(
            *(ADDR_Y, ADDR_X, BASE_X, VECTOR_12, VECTOR_8, TIME_LOW, CONTINUED_4, TIME_HIGH, TRIGGER, OTHERS),
            CONTINUED,
        ),
        repr=False,
    )

    def block(self, word: NDArray[Any]) -> Block:
        kind = (word >> 12).astype(np.uint8)
        _require_known(kind, self.known, self.path, self.seen)
        self.seen += len(word)
        time = self._time(kind, word)
        y = _held(kind == ADDR_Y, word & 0x7FF, self.y)
        self.y = int(y[-1])
        is_base = kind == BASE_X
        # Each vector moves the base on by its width.
        wide = np.where(kind == VECTOR_12, 12, np.where(kind == VECTOR_8, 8, 0))
        moved = np.cumsum(wide) - wide
        start = _held(is_base, (word & 0x7FF) - moved, self.base)
        on = _held(is_base, word >> 11 & 1, self.on)
        base = start + moved
        known_base = (np.maximum.accumulate(is_base) if self.base < 0 else np.ones(len(word), bool)).astype(
            bool
        )
        self.base = int(base[-1] + wide[-1]) if known_base[-1] else -1
        self.on = int(on[-1])

        bits = np.where(kind == VECTOR_12, word & 0xFFF, np.where(kind == VECTOR_8, word & 0xFF, 0))
        single = kind == ADDR_X
        count = np.bitwise_count(bits.astype(np.uint16)).astype(np.int64) + single
        placed = (time >= 0) & (y >= 0) & (single | known_base)
        kept = np.where(placed, count, 0)
        place = np.repeat(np.arange(len(word)), kept)
        x = base[place]
        polarity = on[place]
        alone = single[place]
        x[alone], polarity[alone] = word[place[alone]] & 0x7FF, word[place[alone]] >> 11 & 1
        # The k-th event of a vector is its k-th set bit.
        vectors = np.flatnonzero((bits > 0) & placed)
        _, offset = np.nonzero(bits[vectors, None] >> np.arange(12) & 1)
        x[~alone] += offset
        left_out = _left_out(
            kind, int(kept.sum()), int(count.sum()), (TRIGGER,), (OTHERS, CONTINUED, CONTINUED_4)
        )
        return Block(time[place], x, y[place], polarity, len(word), place, np.maximum(time, 0), left_out)

    def _time(self, kind: NDArray[np.uint8], word: NDArray[Any]) -> NDArray[np.int64]:
        """Of each word, microseconds with wraps undone; -1 before the first."""
        place = np.flatnonzero(kind == TIME_HIGH)
        value = (word[place] & 0xFFF).astype(np.int64)
        before = (
            np.concatenate([[value[0] if self.high < 0 else self.high & 0xFFF], value])[:-1]
            if len(value)
            else value
        )
        wraps = np.cumsum(before - value >= _HALF_OF_HIGH) + (max(self.high, 0) >> 12)
        high = _at(place, value + (wraps << 12), len(word), self.high)
        # The lower bits start at 0 where the upper ones change.
        anew = place[value != before]
        low_place = np.flatnonzero(kind == TIME_LOW)
        both = np.concatenate([low_place, anew])
        order = np.argsort(both, kind="stable")
        values = np.concatenate([word[low_place] & 0xFFF, np.zeros(len(anew), np.int64)])
        low = _at(both[order], values[order], len(word), self.low)
        self.high, self.low = int(high[-1]), int(low[-1])
        return np.where(high >= 0, (high << 12) | low, -1)


def _held(changes: NDArray[np.bool_], value: NDArray[Any], before: int) -> NDArray[np.int64]:
    """Of each word the value of the last change up to it; ``before`` where there is none."""
    place = np.flatnonzero(changes)
    return _at(place, value[place], len(changes), before)


def _at(place: NDArray[np.int64], value: NDArray[Any], length: int, before: int) -> NDArray[np.int64]:
    spans = np.diff(np.concatenate([[0], place, [length]]))
    return np.repeat(np.concatenate([np.array([before], np.int64), value.astype(np.int64)]), spans)


def _left_out(
    kind: NDArray[np.uint8], kept: int, events: int, triggers: tuple[int, ...], others: tuple[int, ...]
) -> tuple[int, int, int]:
    counted = np.bincount(kind, minlength=16)
    return events - kept, int(counted[list(triggers)].sum()), int(counted[list(others)].sum())


def _require_known(kind: NDArray[np.uint8], known: tuple[int, ...], path: Where, seen: int) -> None:
    counted = np.bincount(kind, minlength=16)
    counted[list(known)] = 0
    if counted.any():
        here = int(np.argmax(counted[kind] > 0))
        raise InvalidFile(
            f"{path}: word {seen + here} is of the kind 0x{kind[here]:X}, which the format does not "
            "define; the file "
            "is damaged, or of another version"
        )


_VERSIONS: dict[str, tuple[Callable[[Where], Any], np.dtype[Any], Counter]] = {
    "2": (_Evt2, np.dtype([("word", "<u4")]), EVT2_COUNTER),
    "3": (_Evt3, np.dtype([("word", "<u2")]), ENDLESS_COUNTER),
}


def raw_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows, of the header or as said."""
    with opened(path) as file:
        return header_of(file, path).sensor_or(settings.sensor, path)


def read_raw(path: Where, settings: Settings) -> Decoded:
    """All change-detection events of a file, times as in it; triggers and other words are counted.

    Raises
    ------
    InvalidFile
        No EVT 2.0 or 3.0, truncated, words of no known kind, or no event.
    InvalidEvents
        An event outside the sensor, or time going back where the clock does not allow it.
    InvalidRequest
        The header says no sensor and none was said, or another one was.
    """
    with _opened(path, settings) as (file, header, (width, height), version):
        decoder, kind, counter = _VERSIONS[version]
        room = sum(len(block.time) for block in _blocks(file, header, decoder(path), kind, AT_ONCE))
        found = whole(
            lambda: _blocks(file, header, decoder(path), kind, AT_ONCE),
            room,
            counter,
            settings.clock or "last-reset",
            str(path),
            (height, width),
        )
    if not len(found.events):
        raise InvalidFile(f"{path}: no pixel event among {found.records} words; the recording is empty")
    return Decoded(found.events, height, width, found.counts("events_before_time", "triggers", "other_words"))


def raw_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The events in parts of at most ``at_once``."""
    with _opened(path, settings) as (file, header, (width, height), version):
        decoder, kind, counter = _VERSIONS[version]
        blocks = _blocks(file, header, decoder(path), kind, at_once)
        for part in in_parts(blocks, counter, str(path), (height, width)):
            # A word of EVT 3.0 holds up to twelve events.
            for begin in range(0, len(part), at_once):
                yield part[begin : begin + at_once]


@contextmanager
def _opened(path: Where, settings: Settings) -> Iterator[tuple[BinaryIO, Header, tuple[int, int], str]]:
    with opened(path) as file:
        header = header_of(file, path)
        version = _version(header, path)
        itemsize = _VERSIONS[version][1].itemsize
        if rest := (size_of(file) - header.end) % itemsize:
            raise InvalidFile(
                f"{path}: what follows the header is no whole number of {8 * itemsize}-bit words ({rest} "
                "bytes left "
                "over); the file is truncated or damaged, fetch it again"
            )
        yield file, header, header.sensor_or(settings.sensor, path), version


def _version(header: Header, path: Where) -> str:
    said = header.words.get("format", "").partition(";")[0].upper().removeprefix("EVT")
    said = said or header.words.get("evt", "")
    version = said.removesuffix(".0")
    if version not in _VERSIONS:
        what = f"EVT {said[:20]}" if said else "of no version of EVT"
        raise InvalidFile(
            f"{path}: by its header this is {what}; EVT 2.0 and 3.0 are read, write it anew with Metavision"
        )
    if header.words.get("endianness", "little").lower() != "little" or "endianness=big" in str(header.words):
        raise InvalidFile(
            f"{path}: the words are big-endian, which is not read; write it anew with Metavision"
        )
    return version


def _blocks(
    file: BinaryIO, header: Header, decoder: Any, kind: np.dtype[Any], at_once: int
) -> Iterator[Block]:
    for records in records_from(file, kind, header.end, at_once):
        yield decoder.block(records["word"].astype(np.int64))
