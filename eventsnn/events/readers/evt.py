"""Prophesee RAW files: EVT 2.0, words of 32 bits, and EVT 3.0, words of 16 bits.

What a word means is in its upper four bits. The upper bits of time come in words of their own; in EVT 3.0 the
lower ones, the row and the first column of a group of pixels do, too, and hold until the next such word.
Events before the first word of time (and of row) have no place and are left out, counted.

Source: Prophesee, "EVT 2.0 Format" and "EVT 3.0 Format", https://docs.prophesee.ai/stable/data/encoding_formats/;
the lower bits of time start at 0 where the upper ones change, as in Prophesee's own decoder (OpenEB).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

CD_OFF, CD_ON = 0, 1
TIME_HIGH, TRIGGER, OTHERS, CONTINUED = 8, 10, 14, 15

# Of 2^34 us, that is 4.8 hours.
EVT2_COUNTER = Counter(0, 2**34, 2**32)


class _Evt2:
    """What holds from one word to the next in EVT 2.0: the upper bits of time, -1 where none came yet."""

    def __init__(self, path: Where) -> None:
        self.path = path
        self.high = -1
        self.seen = 0

    def block(self, word: NDArray[Any]) -> Block:
        kind = (word >> 28).astype(np.uint8)
        counted = np.bincount(kind, minlength=16)
        known = (CD_OFF, CD_ON, TIME_HIGH, TRIGGER, OTHERS, CONTINUED)
        if counted.sum() != counted[list(known)].sum():
            here = int(np.argmax(~np.isin(kind, known)))
            _refuse_kind(int(kind[here]), self.path, self.seen + here)
        self.seen += len(word)
        high = _held(kind == TIME_HIGH, word & 0x0FFFFFFF, self.high)
        self.high = int(high[-1])
        place = np.flatnonzero((kind <= CD_ON) & (high >= 0))
        event = word[place]
        early = int(counted[[CD_OFF, CD_ON]].sum()) - len(place)
        return Block(
            (high[place] << 6) | (event >> 22 & 0x3F),
            (event >> 11 & 0x7FF).astype(np.int16),
            (event & 0x7FF).astype(np.int16),
            kind[place] == CD_ON,
            len(word),
            place,
            left_out=(early, int(counted[TRIGGER]), int(counted[[OTHERS, CONTINUED]].sum())),
        )


class _Evt3:
    """What holds from one word to the next in EVT 3.0, see ``evt3_kernel``."""

    def __init__(self, path: Where) -> None:
        self.path = path
        self.state = np.array([-1, 0, -1, -1, 0], np.int64)
        self.seen = 0

    def block(self, word: NDArray[Any]) -> Block:
        from eventsnn.events.readers.evt3_kernel import MOST_OF_A_WORD, decode

        room, counted = MOST_OF_A_WORD * len(word), np.zeros(5, np.int64)
        time, place = np.empty(room, np.int64), np.empty(room, np.int64)
        x, y, p = (np.empty(room, np.int16) for _ in "xyp")
        decode(word, self.state, time, x, y, p, place, counted)
        count, early, triggers, others, unknown = counted.tolist()
        if unknown >= 0:
            _refuse_kind(int(word[unknown]) >> 12, self.path, self.seen + unknown)
        self.seen += len(word)
        return Block(
            time[:count],
            x[:count],
            y[:count],
            p[:count],
            len(word),
            place[:count],
            left_out=(early, triggers, others),
        )


def _held(changes: NDArray[np.bool_], value: NDArray[Any], before: int) -> NDArray[np.int64]:
    """Of each word the value of the last change up to it; ``before`` where there is none."""
    place = np.flatnonzero(changes)
    spans = np.diff(np.concatenate([[0], place, [len(changes)]]))
    return np.repeat(np.concatenate([np.array([before], np.int64), value[place].astype(np.int64)]), spans)


def _refuse_kind(kind: int, path: Where, place: int) -> None:
    raise InvalidFile(
        f"{path}: word {place} is of the kind 0x{kind:X}, which the format does not define; the file is "
        "damaged, or "
        "of another version"
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
        found = whole(
            lambda: _blocks(file, header, decoder(path), kind, AT_ONCE),
            (size_of(file) - header.end) // kind.itemsize,
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
        yield decoder.block(records["word"].astype(np.uint32))
