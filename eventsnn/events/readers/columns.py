"""Recordings as tables of numbers: which column is what, in which unit, and that every number is one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events.clock import ENDLESS_COUNTER, set_in_order
from eventsnn.events.readers.blocks import Block, in_parts
from eventsnn.events.readers.contract import COLUMNS, LARGEST_SENSOR, UNITS_NS, Decoded, Settings, Where
from eventsnn.events.stream import Events, make_events, validate_events

NAMES = {
    "t": ("t", "ts", "time", "timestamp", "timestamps"),
    "x": ("x",),
    "y": ("y",),
    "p": ("p", "pol", "polarity", "on"),
}
"""What columns are called, in any case."""

_LARGEST = 2**53


def named(names: Sequence[str], path: Where) -> dict[str, str]:
    """Which of the names is the column t, x, y and p.

    Raises
    ------
    InvalidFile
        One of the four is missing, or has two names.
    """
    found: dict[str, str] = {}
    for column, known in NAMES.items():
        matching = [name for name in names if name.strip().lower() in known]
        if len(matching) != 1:
            what = (
                f"several columns {', '.join(matching)}"
                if matching
                else f"no column of the name {' or '.join(known)}"
            )
            raise InvalidFile(
                f"{path}: there is {what} among {', '.join(map(repr, names))[:200]}; events have one each "
                "of t, "
                "x, y and p"
            )
        found[column] = matching[0]
    return found


def sensor_said(settings: Settings, path: Where, title: str) -> tuple[int, int]:
    """Columns and rows as said, since a table does not say them."""
    if settings.sensor is None:
        raise InvalidRequest(
            f"{path}: {title} files do not say how large the sensor is; say columns and rows, "
            "sensor=(128, 128) "
            "(--sensor 128x128)"
        )
    return settings.sensor


def order_said(settings: Settings, path: Where) -> str:
    """The order of unnamed columns, as said: nothing tells them apart."""
    if settings.columns is None:
        raise InvalidRequest(
            f"{path}: the columns have no names; say their order, columns='txyp' (--columns txyp)"
        )
    return settings.columns


def decoded(columns: Mapping[str, NDArray[Any]], settings: Settings, path: Where, title: str) -> Decoded:
    """A recording of four columns.

    Whole times are microseconds unless a unit is said; of times with a fraction it must be. Polarity is 0
    and 1, or -1 and 1.

    Raises
    ------
    InvalidFile
        No event, or columns that are no numbers.
    InvalidEvents
        A column of other than whole numbers, or out of range; time going back where the clock forbids it.
    InvalidRequest
        No sensor was said, or no unit of times that have fractions.
    """
    width, height = sensor_said(settings, path, title)
    whole = {name: _whole(columns[name], name, path) for name in "xyp"}
    if not len(whole["x"]):
        raise InvalidFile(f"{path}: no event in the file; the recording is empty")
    time = _microseconds(np.asarray(columns["t"]), settings, path)
    whole["p"] = _polarity(whole["p"], set(), path)
    line = set_in_order(time, None, ENDLESS_COUNTER, settings.clock or "last-reset", str(path))
    try:
        events = make_events(line.time, *(whole[name][line.chosen] for name in "xyp"))
    except InvalidEvents as error:
        raise InvalidEvents(f"{path}: {str(error).removeprefix('make_events: ')}") from error
    validate_events(events, height, width, str(path))
    counts = {"records": len(time), "events_before_reset": line.before_reset, "stray_events": line.strays}
    return Decoded(events, height, width, counts)


def in_parts_of_columns(
    tables: Iterable[Mapping[str, NDArray[Any]]], settings: Settings, path: Where, title: str
) -> Iterator[Events]:
    """As ``decoded``, of parts of the columns, in bounded memory; wraps and resets have no place here."""
    width, height = sensor_said(settings, path, title)

    def blocks() -> Iterator[Block]:
        seen, signs, here = 0, set[int](), str(path)
        for columns in tables:
            whole = {name: _whole(columns[name], name, here) for name in "xyp"}
            time = _microseconds(np.asarray(columns["t"]), settings, here)
            whole["p"] = _polarity(whole["p"], signs, here)
            for name, largest in (("x", LARGEST_SENSOR - 1), ("y", LARGEST_SENSOR - 1), ("p", 1)):
                # What does not fit an event would wrap in it.
                wrong = np.flatnonzero((whole[name] < 0) | (whole[name] > largest))
                if wrong.size:
                    raise InvalidEvents(
                        f"{here}: event {wrong[0]} has {name} = {whole[name][wrong[0]]}; allowed are 0 "
                        f"to {largest}"
                    )
            yield Block(time, whole["x"], whole["y"], whole["p"], len(time))
            seen += len(time)
            here = f"{path}, counted from record {seen} on"

    return in_parts(blocks(), ENDLESS_COUNTER, str(path), (height, width))


def _polarity(stored: NDArray[np.int64], signs: set[int], path: Where) -> NDArray[np.int64]:
    """Polarities as 0 and 1; ``signs`` are those other than 1 that were seen before, and gets more."""
    signs |= set(np.unique(stored).tolist()[:5]) - {1}
    if min(signs, default=0) < 0 and signs != {-1}:
        raise InvalidEvents(
            f"{path}: polarities are {np.array(sorted({*signs, 1}))}; they are 0 and 1, or -1 and 1"
        )
    return (stored + 1) // 2 if -1 in signs else stored


def in_columns(table: NDArray[Any], order: str, path: Where) -> dict[str, NDArray[Any]]:
    """The four columns of an array of shape (n, 4)."""
    if table.ndim != 2 or table.shape[1] != len(COLUMNS):
        raise InvalidFile(
            f"{path}: the array has shape {table.shape} and no named fields; events are (n, 4) or structured"
        )
    return {name: table[:, place] for place, name in enumerate(order)}


def _numbers(column: NDArray[Any], name: str, path: Where) -> NDArray[Any]:
    column = np.asarray(column)
    if column.ndim != 1 or column.dtype.kind not in "biuf" or column.dtype.itemsize > 8:
        raise InvalidFile(
            f"{path}: the column {name} has shape {column.shape} and type {column.dtype}; events have one "
            "number each"
        )
    if column.dtype.kind == "f":
        column = column.astype(np.float64)
        wrong = ~(np.abs(column) < _LARGEST)
        if wrong.any():
            here = int(np.argmax(wrong))
            raise InvalidEvents(f"{path}: event {here} has {name} = {column[here]}; the file is damaged")
    return column


def _whole(column: NDArray[Any], name: str, path: Where) -> NDArray[np.int64]:
    column = _numbers(column, name, path)
    if column.dtype.kind == "u" and column.size and column.max() > _LARGEST:
        raise InvalidEvents(f"{path}: {name} = {column.max()} is no address; the file is damaged")
    values = column.astype(np.int64)
    if column.dtype.kind == "f" and (values != column).any():
        here = int(np.argmax(values != column))
        raise InvalidEvents(f"{path}: event {here} has {name} = {column[here]}; it is a whole number")
    return values


def _microseconds(column: NDArray[Any], settings: Settings, path: Where) -> NDArray[np.int64]:
    column = _numbers(column, "t", path)
    unit = settings.unit
    if column.dtype.kind != "f":
        largest = 2**62 // UNITS_NS[unit or "us"]
        if column.size and (int(column.max()) > largest or int(column.min()) < -largest):
            raise InvalidEvents(f"{path}: times of {column.max()} are too large; the file is damaged")
        return column.astype(np.int64) * UNITS_NS[unit or "us"] // 1000
    if unit is None:
        if (column == np.floor(column)).all():
            return column.astype(np.int64)
        here = int(np.argmax(column != np.floor(column)))
        raise InvalidRequest(
            f"{path}: event {here} has t = {column[here]}, which is no whole number of microseconds; say "
            "the unit, "
            "unit='s' or 'ms' (--unit)"
        )
    # Floats hold decimal fractions nearly: the nearest microsecond is meant.
    return np.rint(column * (UNITS_NS[unit] / 1000)).astype(np.int64)
