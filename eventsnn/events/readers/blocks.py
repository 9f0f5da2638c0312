"""Events of a file decoded block by block: all of them into one array, or in parts of bounded memory.

A block stays in a processor's cache from the first step to the last; whole columns of a recording do not.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents
from eventsnn.events.clock import Clock, Counter, Timeline, set_in_order
from eventsnn.events.stream import EVENT_DTYPE, MAX_TIME_US, Events, validate_events

AT_ONCE = 1 << 15
"""Records of a block."""


@dataclass(frozen=True, eq=False)
class Block:
    """Events of consecutive records.

    Attributes
    ----------
    time
        As the counter showed it, int64 microseconds, shape (n_events,).
    x, y, p
        Picture columns and rows, and polarity, of that shape.
    records
        How many there were.
    place
        Which of them are the events, counted from the first of the block; None where all are.
    stored
        Times of all records, for messages; None where others than the events have none.
    left_out
        How many records were none, by the reader's kinds.
    """

    time: NDArray[np.int64]
    x: NDArray[Any]
    y: NDArray[Any]
    p: NDArray[Any]
    records: int
    place: NDArray[np.int64] | None = None
    stored: NDArray[np.int64] | None = None
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Whole:
    """All events of a file, in order; ``left_out`` as of ``Block``, the rest as of ``Timeline``."""

    events: Events
    records: int
    left_out: tuple[int, ...]
    before_reset: int
    strays: int

    def counts(self, *kinds: str) -> dict[str, int]:
        """How many records there were, and what was left out: by the reader's kinds, by reset, as strays."""
        named = dict(zip(kinds, self.left_out or (0,) * len(kinds), strict=True))
        return {
            "records": self.records,
            **named,
            "events_before_reset": self.before_reset,
            "stray_events": self.strays,
        }


def whole(
    blocks: Callable[[], Iterable[Block]],
    room: int,
    counter: Counter,
    clock: Clock,
    where: str,
    size: tuple[int, int],
    *,
    from_zero: bool = False,
) -> Whole:
    """All events of a file.

    Parameters
    ----------
    blocks
        Hands out its blocks, each time from the first one on.
    room
        About how many events there are; where there are more, the array grows.
    counter, clock, where
        As of ``set_in_order``.
    size
        Rows and columns of the sensor.
    from_zero
        Whether times are counted from the first event.

    Raises
    ------
    InvalidEvents
        As ``set_in_order`` and ``validate_events``.
    """
    events = np.empty(room, EVENT_DTYPE)
    filled, records, first, last, goes_on, inside = 0, 0, 0, None, True, True
    left_out: tuple[int, ...] = ()
    for block in blocks():
        left_out = tuple(map(sum, zip(left_out, block.left_out, strict=True))) if left_out else block.left_out
        records += block.records
        time = block.time
        if not len(time):
            continue
        if last is None:
            first = int(time[0]) if from_zero else 0
        seam = np.array([] if last is None else [last, time[0]], np.int64)
        goes_on = goes_on and counter.only_goes_on(time) and counter.only_goes_on(seam)
        last = time[-1]
        inside = inside and _inside(block, size)
        if filled + len(time) > len(events):
            events = np.concatenate([events[:filled], np.empty(filled + len(time), EVENT_DTYPE)])
        part = events[filled : filled + len(time)]
        np.subtract(time, first, out=part["t"])
        part["x"], part["y"], part["p"] = block.x, block.y, block.p
        filled += len(time)
    events = events[:filled]
    if goes_on:
        # Columns of a block were compared, which is quicker; this finds the words for it.
        if filled and not (inside and events["t"][0] >= 0 and events["t"][-1] < MAX_TIME_US):
            validate_events(events, *size, where)
        return Whole(events, records, left_out, 0, 0)
    line = _line(list(blocks()), counter, clock, where)
    events = events[line.chosen]
    events["t"] = line.time - (line.time[0] if from_zero else 0)
    validate_events(events, *size, where)
    return Whole(events, records, left_out, line.before_reset, line.strays)


def _inside(block: Block, size: tuple[int, int]) -> bool:
    height, width = size
    x, y = block.x, block.y
    return bool(x.min() >= 0 and x.max() < width and y.min() >= 0 and y.max() < height)


def _line(blocks: list[Block], counter: Counter, clock: Clock, where: str) -> Timeline:
    """Where something is the matter with the clock: all times at once, since what follows decides."""
    starts = np.cumsum([0, *(block.records for block in blocks)])
    stored = np.concatenate([_stored(block) for block in blocks])
    place = np.concatenate(
        [
            (np.arange(block.records) if block.place is None else block.place) + start
            for start, block in zip(starts, blocks, strict=False)
        ]
    )
    return set_in_order(stored, place, counter, clock, where)


def _stored(block: Block) -> NDArray[np.int64]:
    """A time for each record: its own, or that of the last event before it."""
    if block.stored is not None:
        return block.stored
    if block.place is None or not len(block.time):
        return block.time if block.place is None else np.zeros(block.records, np.int64)
    last = np.searchsorted(block.place, np.arange(block.records), side="right") - 1
    return block.time[np.maximum(last, 0)]


def in_parts(
    blocks: Iterable[Block], counter: Counter, where: str, size: tuple[int, int], *, from_zero: bool = False
) -> Iterator[Events]:
    """Events of a file, a part for each block that has some; wraps of the counter are undone, no more.

    Raises
    ------
    InvalidEvents
        If time goes back otherwise, or an event lies outside the sensor.
    """
    raw, time, first, seen, here = None, 0, 0, 0, where
    for block in blocks:
        if len(block.time):
            stored = block.time if raw is None else np.concatenate([[raw], block.time])
            try:
                line = set_in_order(stored, None, counter, "strict", here)
            except InvalidEvents as error:
                raise InvalidEvents(
                    f"{error}. Reading in chunks undoes wraps of the clock only: read the file whole with "
                    "another clock, or write it anew with `eventsnn data convert --clock`"
                ) from error
            if raw is None:
                first = int(line.time[0]) if from_zero else 0
                times = line.time - first
            else:
                times = (line.time - line.time[0] + time)[1:]
            raw, time = block.time[-1], int(times[-1])
            events = np.empty(len(times), EVENT_DTYPE)
            events["t"], events["x"], events["y"], events["p"] = times, block.x, block.y, block.p
            validate_events(events, *size, here)
            yield events
        seen += block.records
        here = f"{where}, counted from record {seen} on"
