"""The clock of a recording: what a step back in time means, and what becomes of it.

A camera's clock is a counter of a few bits. Between two records it can *wrap* (start again at its lowest
value), be *reset* to zero (what follows stays low), or a single record can be *stray*: out of line with
what comes before and after it. The three are told apart by what follows, never by one step alone.
"""

import statistics
import warnings
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidRequest, RecordingWarning

Clock: TypeAlias = Literal["last-reset", "strict", "sort"]
CLOCKS: tuple[str, ...] = get_args(Clock)

NEAR_ZERO_US = 10_000
"""A clock that was reset starts again below this."""

_SMALLEST_RESET_US = 1_000
_PAUSE_US = 10_000_000
# Strays in one place, between records that are in line; at either end, where only one side can tell.
_FEW = 16
_FEW_AT_THE_END = 3
_STEPS_AFTER = 16
_SEEN_AFTER = 2048


@dataclass(frozen=True)
class Counter:
    """A clock counter.

    Attributes
    ----------
    lowest
        Its lowest value, microseconds; it wraps from ``lowest + span - 1`` to this.
    span
        How many values it has.
    largest_gap
        A fall is a wrap if, round the counter's end, it is a step forward of at most this.
    """

    lowest: int
    span: int
    largest_gap: int

    def steps(self, raw: NDArray[np.int64]) -> NDArray[np.int64]:
        """Steps from each value to the next, wraps undone; negative where time goes back."""
        steps = np.diff(raw)
        steps[(steps < 0) & (steps + self.span <= self.largest_gap)] += self.span
        if self.lowest < 0:
            steps[steps >= self.span // 2] -= self.span
        return steps

    def step(self, before: int, after: int) -> int:
        """One of ``steps``."""
        step = after - before
        if step < 0 and step + self.span <= self.largest_gap:
            return step + self.span
        return step - self.span if self.lowest < 0 and step >= self.span // 2 else step

    def only_goes_on(self, raw: NDArray[np.int64]) -> bool:
        """Whether nothing in these times can be a wrap, a reset or a stray."""
        if len(raw) < 2:
            return True
        steps = np.diff(raw)
        return bool(steps.min() >= 0 and (self.lowest >= 0 or steps.max() <= _PAUSE_US))


AEDAT_COUNTER = Counter(-(2**31), 2**32, 2**30)
FIVE_BYTE_COUNTER = Counter(0, 2**23, 2**20)
WORD_COUNTER = Counter(0, 2**32, 2**30)
"""Of files that hold unsigned 32-bit microseconds."""
ENDLESS_COUNTER = Counter(0, 2**62, 0)
"""Of files whose times do not wrap, or whose wraps are undone already."""


@dataclass(frozen=True)
class Timeline:
    """Records in the order to take them.

    Attributes
    ----------
    chosen
        Their places in the list that was given, int64; a slice of all where none is left out or moved.
    time
        Their times without wraps, int64 microseconds; that of the first is as stored.
    before_reset
        How many were left out because the clock was reset after them.
    strays
        How many after the last reset were left out because they are out of line.
    """

    chosen: NDArray[np.int64] | slice
    time: NDArray[np.int64]
    before_reset: int
    strays: int


def clock_of(given: Any) -> Clock:
    """The setting that was given, or InvalidRequest unless it is one of ``CLOCKS``."""
    if not isinstance(given, str) or given not in CLOCKS:
        raise InvalidRequest(f"unknown clock setting {given!r}; allowed are {', '.join(CLOCKS)}")
    return cast(Clock, given)


def set_in_order(
    stored: NDArray[np.int64], record: NDArray[np.int64] | None, counter: Counter, clock: Clock, where: str
) -> Timeline:
    """Undo wraps, leave out what a reset or a stray record spoils, and see that time goes on.

    Parameters
    ----------
    stored
        Times of all records of the file as stored, microseconds.
    record
        Which of them are events, one or more, ascending; places are counted among these. None: all.
    counter
        What they were counted with.
    clock
        ``"last-reset"``: keep what comes after the last reset, drop strays with a ``RecordingWarning``;
        any other step back is an error. ``"strict"``: a reset or a stray is an error too. ``"sort"``: as
        ``"last-reset"``, then sort by time, equal times in file order.
    where
        The file, for messages.

    Raises
    ------
    InvalidEvents
        If time goes back where ``clock`` does not allow it, or at more places than strays can explain.
    """
    raw = stored if record is None else stored[record]
    if counter.only_goes_on(raw):
        return Timeline(slice(None), raw, 0, 0)
    record = np.arange(len(stored)) if record is None else record
    found = _Search(raw, record, counter, where).run()
    if clock == "strict":
        _refuse(found, stored, record, where)
    kept = np.flatnonzero(~found.stray[found.start :]) + found.start
    strays = len(raw) - found.start - len(kept)
    values = raw[kept]
    steps = counter.steps(values)
    time = values[0] + np.concatenate([[0], np.cumsum(steps)])
    back = np.flatnonzero(steps < 0)
    if back.size and clock != "sort":
        here = int(back[0])
        raise InvalidEvents(
            f"{where}: time goes back at event {record[kept[here + 1]]}, from {values[here]} us to "
            f"{values[here + 1]} us; times must not decrease, read the file with clock='sort' (--clock sort) "
            "if its order is not wanted"
        )
    if strays:
        first = int(np.argmax(found.stray[found.start :])) + found.start
        what = "1 event is" if strays == 1 else f"{strays} events are"
        warnings.warn(
            f"{where}: {what} out of line with the times around and left out of {len(raw)}, first event "
            f"{record[first]} at {raw[first]} us; clock='strict' (--clock strict) refuses such files",
            RecordingWarning,
            stacklevel=4,
        )
    order = np.argsort(time, kind="stable") if back.size else np.arange(len(kept))
    return Timeline(kept[order], time[order], found.start, strays)


def _refuse(found: "_Search", stored: NDArray[np.int64], record: NDArray[np.int64], where: str) -> None:
    if found.resets:
        here = record[found.resets[-1]]
        raise InvalidEvents(
            f"{where}: the clock was reset at event {here}, from {stored[here - 1]} us to {stored[here]} us; "
            "clock='last-reset' (--clock last-reset) keeps what comes after the last reset"
        )
    if found.stray.any():
        here = record[np.argmax(found.stray)]
        raise InvalidEvents(
            f"{where}: event {here} at {stored[here]} us is out of line with the times around it; "
            "clock='last-reset' (--clock last-reset) leaves such events out"
        )


class _Search:
    """Looks at each fall of the clock, first to last, and decides what it is."""

    def __init__(
        self, raw: NDArray[np.int64], record: NDArray[np.int64], counter: Counter, where: str
    ) -> None:
        self.record = record
        self.raw: list[int] = []
        self.counter = counter
        self.where = where
        self.start = 0
        self.resets: list[int] = []
        self.stray = np.zeros(len(raw), bool)
        self._strays = 0
        self._wraps_count = True
        steps = np.diff(raw)
        odd = steps < 0
        if counter.lowest < 0:
            odd |= (steps >= counter.span // 2) | (
                (raw[1:] >= 0) & (raw[1:] < NEAR_ZERO_US) & (steps > _PAUSE_US)
            )
        self._suspects = (np.flatnonzero(odd) + 1).tolist()
        if self._suspects:
            self.raw = raw.tolist()

    def run(self) -> "_Search":
        for place in self._suspects:
            before = self._before(place)
            if self.stray[place] or before is None:
                continue
            if self.raw[place] >= self.raw[before] and self.counter.step(*self._pair(before, place)) >= 0:
                # A clock that stood below zero, having wrapped, was reset: a long step forward onto zero.
                following = self.raw[place + 1 : place + 1 + _FEW]
                if (
                    self.raw[before] < 0 <= self.raw[place] < NEAR_ZERO_US
                    and self.raw[place] - self.raw[before] > _PAUSE_US
                    and not any(time < 0 for time in following)
                ):
                    self._reset(place)
                continue
            self._fall(before, place)
        return self

    def _fall(self, before: int, place: int) -> None:
        high, low = self.raw[before], self.raw[place]
        fall = high - low if high > low else self.counter.span - (low - high)
        near_zero = low < NEAR_ZERO_US
        small = fall <= NEAR_ZERO_US and not (near_zero and fall >= _SMALLEST_RESET_US and 2 * low <= high)
        if small:
            return
        wraps = high > low and self.counter.step(high, low) >= 0
        # Round the counter's end everything is in line; a stray there is one that shows without the wrap.
        self._wraps_count = not wraps
        options = self._low(before, place, fall) + self._high(before, place, fall)
        if not wraps:
            options += self._at_either_end(before, place, near_zero)
        if options:
            drop = min(options, key=len)
            self.stray[drop] = True
            self._strays += len(drop)
            if self._strays > max(_FEW, len(self.raw) // 10):
                raise InvalidEvents(
                    f"{self.where}: time goes back at more than {self._strays - 1} of {len(self.raw)} "
                    "events; the file is damaged or of another format, fetch it again"
                )
        elif not wraps and near_zero and low >= 0:
            self._require_staying_low(before, place, fall)
            self._reset(place)

    def _require_staying_low(self, before: int, place: int, fall: int) -> None:
        """Refuse what is neither: too many records for strays, after which the old time goes on."""
        following = self.raw[place : place + _SEEN_AFTER]
        back = next(
            (k for k, time in enumerate(following[:-1]) if min(time, following[k + 1]) >= self.raw[before]),
            None,
        )
        # So few were looked at as strays already.
        if back is None or back <= _FEW:
            return
        then = following[back : back + _FEW]
        if 2 * sum(time >= self.raw[before] for time in then) <= len(then):
            # Strays among times that do stay low.
            return
        leap = following[back] - following[back - 1]
        if 2 * leap > fall and 4 * (following[back] - self.raw[before]) < leap:
            raise InvalidEvents(
                f"{self.where}: time falls from {self.raw[before]} us to {self.raw[place]} us at event "
                f"{self.record[place]} and is back at {following[back]} us at event "
                f"{self.record[place + back]}; that is no clock reset, and more than a few stray events: "
                "take the events between out of the file"
            )

    def _low(self, before: int, place: int, fall: int) -> list[list[int]]:
        """The records from ``place`` on are stray: soon after, time goes on from ``before``."""
        end = len(self.raw)
        for back in range(place + 1, min(place + _FEW + 1, end)):
            last = back + 1 == end
            if not self._in_line(before, back) or not (last or self._in_line(before, back + 1)):
                continue
            if not self._leaps(place, back, fall, back):
                return []
            drop, latest = [], before
            for k in range(place, back):
                if self._in_line(latest, k) and self._in_line(k, back):
                    latest = k
                else:
                    drop.append(k)
            return [drop]
        return []

    def _high(self, before: int, place: int, fall: int) -> list[list[int]]:
        """The records up to ``before`` are stray: without them time goes on to ``place``."""
        few = _FEW_AT_THE_END if self.raw[place] < NEAR_ZERO_US else _FEW
        drop, here = [], before
        for _ in range(few):
            drop.append(here)
            earlier = self._before(here)
            if earlier is None:
                return []
            if self._in_line(earlier, place):
                # As many before a clock that starts again at zero are a reset like any other.
                alone = self.raw[place] < NEAR_ZERO_US and earlier - self.start + 1 < len(drop)
                return [drop] if not alone and self._leaps(earlier, before, fall, place) else []
            here = earlier
        return []

    def _leaps(self, first: int, last: int, fall: int, here: int) -> bool:
        """Whether time leaps from ``first`` to ``last``, against its steps from ``here`` on.

        Time that runs up to where the clock stood by itself does so in steps like the others.
        """
        leap = max(abs(self.raw[k + 1] - self.raw[k]) for k in range(first, last))
        after = range(here, min(here + _STEPS_AFTER, len(self.raw) - 1))
        usual = statistics.median(abs(self.raw[k + 1] - self.raw[k]) for k in after) if after else 0
        return 4 * leap >= 7 * usual and (2 * leap > fall or (bool(after) and leap >= 4 * usual))

    def _at_either_end(self, before: int, place: int, near_zero: bool) -> list[list[int]]:
        """The few last records, or the few first ones, are stray."""
        options = []
        first, last = place - self.start, len(self.raw) - place
        if last <= _at_most(first):
            options.append(list(range(place, len(self.raw))))
        # Several before a clock that starts again are a reset like any other.
        kept = [k for k in range(self.start, place) if not self.stray[k]] if first <= _FEW else []
        if kept and len(kept) <= (1 if near_zero else _at_most(last)):
            options.append(kept)
        return options

    def _in_line(self, before: int, after: int) -> bool:
        if not self._wraps_count:
            return self.raw[after] >= self.raw[before]
        return self.counter.step(self.raw[before], self.raw[after]) >= 0

    def _reset(self, place: int) -> None:
        self.start = place
        self.resets.append(place)

    def _before(self, place: int) -> int | None:
        """The record before that is no stray, after the last reset; None if there is none."""
        place -= 1
        while place >= self.start and self.stray[place]:
            place -= 1
        return place if place >= self.start else None

    def _pair(self, before: int, place: int) -> tuple[int, int]:
        return self.raw[before], self.raw[place]


def _at_most(others: int) -> int:
    """How many records at one end may be stray, given how many there are on the other side."""
    return min(_FEW_AT_THE_END, max(1, others // 100))
