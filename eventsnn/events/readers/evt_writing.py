"""Prophesee RAW files written: EVT 2.0 and EVT 3.0, one event a word (no vectors)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events.readers.contract import Settings, Where
from eventsnn.events.readers.evt import CD_OFF, TIME_HIGH
from eventsnn.events.stream import Events, validate_events

ADDR_Y, ADDR_X, TIME_LOW = 0, 2, 6

_MOST_PIXELS = 2048
_EVT2_LIMIT_US = 2**34
# Upper bits of time in EVT 3.0 are twelve; a step of half of that would be taken for one back.
_LONGEST_STEP = 1 << 10


def write_evt2(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a RAW file of EVT 2.0; reading it back gives the same events.

    Raises
    ------
    InvalidEvents
        No event, or a time that does not fit 34 bits.
    InvalidRequest
        A sensor of more than 2048 columns or rows.
    """
    t, x, y, p = _columns(path, events, height, width)
    if t[-1] >= _EVT2_LIMIT_US:
        raise InvalidEvents(
            f"{path}: the last event has t = {t[-1]} us; EVT 2.0 holds times below {_EVT2_LIMIT_US} us "
            "(4.8 h), "
            "cut the recording"
        )
    high = t >> 6
    event = (CD_OFF + p) << 28 | (t & 0x3F) << 22 | x << 11 | y
    words = _interleaved([(_changes(high), TIME_HIGH << 28 | high), (np.ones(len(t), bool), event)])
    Path(path).write_bytes(_header("2.0", height, width) + words.astype("<u4").tobytes())


def write_evt3(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a RAW file of EVT 3.0, its words of time repeated in pauses; read back, it is the same.

    Raises
    ------
    InvalidEvents
        No event.
    InvalidRequest
        A sensor of more than 2048 columns or rows.
    """
    t, x, y, p = _columns(path, events, height, width)
    high, low = t >> 12, t & 0xFFF
    # The clock has run before the first event, too, and is followed from its zero.
    before = np.concatenate([[0], high[:-1]])
    pauses = np.flatnonzero(high - before >= _LONGEST_STEP)
    stops = [np.arange(before[k] + _LONGEST_STEP, high[k], _LONGEST_STEP) for k in pauses]
    place = np.repeat(pauses, [len(stop) for stop in stops])
    fillers = np.concatenate([np.zeros(0, np.int64), *stops])
    new_high = _changes(high)
    words = _interleaved(
        [
            (new_high, TIME_HIGH << 12 | high & 0xFFF),
            (new_high | _changes(low), TIME_LOW << 12 | low),
            (_changes(y), ADDR_Y << 12 | y),
            (np.ones(len(t), bool), ADDR_X << 12 | p << 11 | x),
        ],
        before=(np.concatenate([[0], place]), TIME_HIGH << 12 | np.concatenate([[0], fillers]) & 0xFFF),
    )
    Path(path).write_bytes(_header("3.0", height, width) + words.astype("<u2").tobytes())


def _columns(path: Where, events: Events, height: int, width: int) -> list[NDArray[np.int64]]:
    validate_events(events, height, width, f"{path} (to be written as RAW)")
    if not len(events):
        raise InvalidEvents(f"{path}: there is no event to write")
    if max(height, width) > _MOST_PIXELS:
        raise InvalidRequest(
            f"{path}: RAW files hold {_MOST_PIXELS} columns and rows at most, {width}x{height} here"
        )
    return [events[name].astype(np.int64) for name in "txyp"]


def _header(version: str, height: int, width: int) -> bytes:
    return (
        f"% evt {version}\n% format EVT{version[0]};height={height};width={width}\n"
        f"% geometry {width}x{height}\n% end\n"
    ).encode()


def _changes(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.concatenate([[True], values[1:] != values[:-1]])


def _interleaved(
    words: list[tuple[NDArray[np.bool_], NDArray[Any]]],
    before: tuple[NDArray[np.int64], NDArray[Any]] | None = None,
) -> NDArray[np.int64]:
    """For each event those of its words that are wanted, in order; ``before`` says events and more words."""
    rank = 0 if before is None else 1
    keys = [] if before is None else [before[0] * (len(words) + 1)]
    values = [] if before is None else [before[1]]
    for number, (wanted, word) in enumerate(words):
        place = np.flatnonzero(wanted)
        keys.append(place * (len(words) + 1) + rank + number)
        values.append(word[place])
    return np.concatenate(values)[np.argsort(np.concatenate(keys), kind="stable")]
