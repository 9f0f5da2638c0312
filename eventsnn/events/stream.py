"""The event stream: a structured array of address events, and what makes one valid.

Events are ``t`` int64 microseconds (non-decreasing, from the start of the recording), ``x`` and
``y`` int16 pixel columns and rows, ``p`` bool polarity (True = ON, a brightening pixel).
"""

import math
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.errors import InvalidEvents, InvalidRequest

EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])

Events: TypeAlias = NDArray[np.void]
"""A one-dimensional structured array with the fields of ``EVENT_DTYPE``."""

MAX_TIME_US = 2**62 // 10**6
"""Times stay below this, so that in picoseconds they leave half of the int64 range for delays."""


def make_events(t: ArrayLike, x: ArrayLike, y: ArrayLike, p: ArrayLike) -> Events:
    """Put four columns together as one event stream; no order or range is checked here.

    Parameters
    ----------
    t
        Times in microseconds, shape (n_events,).
    x, y
        Pixel columns and rows, shape (n_events,).
    p
        Polarity, True or 1 = ON, shape (n_events,).

    Raises
    ------
    InvalidEvents
        If the columns differ in length, hold non-integers, or do not fit the fields.
    """
    try:
        columns = {name: np.asarray(column) for name, column in zip("txyp", (t, x, y, p), strict=True)}
    except (TypeError, ValueError) as error:
        raise InvalidEvents(
            f"an event column is no array ({error}); give four one-dimensional columns of one length"
        ) from error
    shapes = {name: column.shape for name, column in columns.items()}
    if len(set(shapes.values())) != 1 or columns["t"].ndim != 1:
        raise InvalidEvents(
            f"event columns have shapes {shapes}; give four one-dimensional columns of one length"
        )
    events = np.zeros(columns["t"].size, EVENT_DTYPE)
    for name, column in columns.items():
        _require_whole_numbers(column, name, "make_events")
        if name == "p":
            _require_polarity(column, "make_events")
        elif column.size:
            limits = np.iinfo(EVENT_DTYPE[name])
            outside = np.flatnonzero((column < limits.min) | (column > limits.max))
            if outside.size:
                raise InvalidEvents(
                    f"make_events: event {outside[0]} has {name} = {column[outside[0]]}; "
                    f"{name} is stored in {limits.bits} bits, {limits.min} to {limits.max}"
                )
        events[name] = column
    return events


def validate_events(events: Events, height: int, width: int, where: str) -> None:
    """Check that a stream can be replayed on a sensor of ``height`` rows and ``width`` columns.

    Parameters
    ----------
    events
        Stream of shape (n_events,); any integer types of the fields are accepted.
    height, width
        Sensor size in pixels.
    where
        Name of the source for the message, for example the file name.

    Raises
    ------
    InvalidEvents
        If a field is missing or not an integer, a time is negative, too large or earlier than the
        one before it, or a coordinate lies outside the sensor; the first such event is named.
    """
    if not isinstance(events, np.ndarray):
        raise InvalidEvents(
            f"{where}: an event stream is a structured array with the fields t, x, y and p, found "
            f"{type(events).__name__}; build it with make_events"
        )
    names = events.dtype.names or ()
    missing = [name for name in "txyp" if name not in names]
    if missing or events.ndim != 1:
        raise InvalidEvents(
            f"{where}: an event stream is a one-dimensional structured array with the fields t, x, y and p, "
            f"found shape {events.shape} and fields {list(names)}; build it with make_events"
        )
    for name in "txyp":
        _require_whole_numbers(events[name], name, where)
    _require_polarity(events["p"], where)
    t = events["t"]
    # Compared, not subtracted: the difference of unsigned times would wrap and hide a step back.
    back = t[1:] < t[:-1]
    if back.any():
        index = int(np.argmax(back)) + 1
        raise InvalidEvents(
            f"{where}: time goes back at event {index}, from {t[index - 1]} us to {t[index]} us; "
            "times must not decrease, sort the stream by t (stable) if its order is not wanted"
        )
    if t.size and t[0] < 0:
        raise InvalidEvents(f"{where}: event 0 has t = {t[0]} us; times start at 0, subtract the first time")
    if t.size and t[-1] >= MAX_TIME_US:
        index = int(np.searchsorted(t, MAX_TIME_US))
        raise InvalidEvents(
            f"{where}: event {index} has t = {t[index]} us; times must be below {MAX_TIME_US} us, "
            "subtract the first time (absolute clock times are not recording times)"
        )
    x, y = events["x"], events["y"]
    if t.size and (x.min() < 0 or x.max() >= width or y.min() < 0 or y.max() >= height):
        outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
        index = int(np.argmax(outside))
        raise InvalidEvents(
            f"{where}: event {index} lies at x = {x[index]}, y = {y[index]}, "
            f"outside the sensor of {width} columns and {height} rows "
            f"(x 0 to {width - 1}, y 0 to {height - 1}); "
            "name the right sensor or remove such events"
        )


def named_events(
    found: NDArray[Any], height: int, width: int, where: str, *, from_first: bool = False
) -> Events:
    """Events of another make, their fields taken by name, as a valid stream.

    Parameters
    ----------
    found
        Structured array with fields t and x in any order, of any whole numbers; on one row y may be missing,
        without polarities p, which is ON then.
    height, width, where
        As for ``validate_events``.
    from_first
        Whether times are of a clock: the first event's is subtracted.

    Raises
    ------
    InvalidEvents
        No structured array, or a stream that is not valid.
    """
    names = getattr(getattr(found, "dtype", None), "names", None) or ()
    if "t" not in names or "x" not in names or getattr(found, "ndim", 0) != 1:
        raise InvalidEvents(
            f"{where} gives {type(found).__name__} of shape {getattr(found, 'shape', '?')} and fields "
            f"{list(names)}; events are a one-dimensional structured array with t, x, y and p: leave out "
            "what makes frames, images or tensors"
        )
    if "y" not in names and height > 1:
        raise InvalidEvents(f"{where} gives events without y, on a sensor of {height} rows")
    column = {"y": np.zeros(len(found), np.int16), "p": np.ones(len(found), bool)}
    column |= {name: found[name] for name in "txyp" if name in names}
    if from_first and len(found):
        column["t"] = column["t"] - column["t"][0]
    if column["t"].dtype.kind == "u":
        # Of unsigned times a difference wraps, and as a signed number is what it should be.
        column["t"] = column["t"].astype(np.int64)
    wide = np.empty(len(found), [(name, column[name].dtype) for name in "txyp"])
    for name in "txyp":
        wide[name] = column[name]
    validate_events(wide, height, width, where)
    return wide.astype(EVENT_DTYPE)


def event_counts(events: Events, height: int, width: int) -> NDArray[np.int64]:
    """Count the events of each pixel and polarity.

    Returns
    -------
    int64 array of shape (2, height, width); channel 0 counts OFF events, channel 1 ON events.

    Raises
    ------
    InvalidEvents
        If the stream is not valid on this sensor.
    """
    validate_events(events, height, width, "event_counts")
    channel, row, column = (events[name].astype(np.int64) for name in "pyx")
    flat = (channel * height + row) * width + column
    counts = np.bincount(flat, minlength=2 * height * width)
    return counts.astype(np.int64).reshape(2, height, width)


def take_fraction(events: Events, fraction: float) -> Events:
    """Keep the first floor(fraction x n) of n events, at least one if there is any.

    The fraction is read as the decimal number it prints as, so 0.29 of 100 events are 29 although
    the nearest double to 0.29 lies below it.

    Raises
    ------
    InvalidRequest
        If ``fraction`` is not in (0, 1].
    """
    require_fraction(fraction)
    return events[: kept_of(len(events), fraction)]


def kept_of(count: int, fraction: float) -> int:
    """How many of so many events ``take_fraction`` keeps."""
    return min(count, max(1, math.floor(Fraction(repr(float(fraction))) * count)))


def require_fraction(fraction: float) -> None:
    """Raise InvalidRequest unless ``fraction`` is in (0, 1]."""
    number = isinstance(fraction, int | float | np.number) and not isinstance(fraction, bool)
    if not number or not 0 < fraction <= 1:
        raise InvalidRequest(f"a fraction of the events must be in (0, 1], found {fraction!r}; 1 keeps all")


def downsample_addresses(events: Events, factor: int) -> Events:
    """Map each event to the pixel block it lies in: x and y divided by ``factor``, rounded down.

    The number of events, their times and polarities stay as they are, so the stream remains one of
    single events; for a power of two this is the address shift a sensor interface does in hardware.
    A sensor of ``height`` rows becomes one of ceil(height / factor).

    Raises
    ------
    InvalidRequest
        If ``factor`` is not a positive integer.
    """
    require_factor(factor)
    reduced = events.copy()
    reduced["x"] //= factor
    reduced["y"] //= factor
    return reduced


def require_factor(factor: int) -> None:
    """Raise InvalidRequest unless ``factor`` is an integer from 1 to 32767, the largest address."""
    if isinstance(factor, bool) or not isinstance(factor, int | np.integer) or not 1 <= factor <= 32767:
        raise InvalidRequest(
            f"a downsampling factor must be an integer from 1 to 32767, found {factor!r}; 1 keeps all"
        )


def _require_whole_numbers(column: NDArray[np.generic], name: str, where: str) -> None:
    # An empty list becomes float64; it holds no number that could be wrong.
    if column.dtype.kind not in "iub" and column.size:
        raise InvalidEvents(
            f"{where}: field {name} has type {column.dtype}; events hold integers "
            "(t in microseconds, x, y) and a boolean p, convert the field first"
        )


def _require_polarity(column: NDArray[np.generic], where: str) -> None:
    if column.dtype.kind == "b" or not column.size:
        return
    wrong = np.flatnonzero((column != 0) & (column != 1))
    if wrong.size:
        raise InvalidEvents(
            f"{where}: event {wrong[0]} has polarity {column[wrong[0]]}; "
            "p is 0 (OFF) or 1 (ON), map other codes first"
        )
