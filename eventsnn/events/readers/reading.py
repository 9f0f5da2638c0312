"""Recordings of any format: read whole, read in parts, written."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events.layouts import AddressLayout, Orientation
from eventsnn.events.readers.contract import Decoded, Format, Settings, Where, settings_of
from eventsnn.events.readers.registry import FORMATS, format_named, format_of
from eventsnn.events.stream import Events
from eventsnn.output import replaced_whole

CHUNK_EVENTS = 1 << 16
"""Events of a part, unless said."""


def read_events(
    path: Where,
    *,
    format: str | None = None,
    sensor: tuple[int, int] | str | None = None,
    columns: str | None = None,
    unit: str | None = None,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
    clock: str | None = None,
) -> Decoded:
    """Read one recording of any format.

    Parameters
    ----------
    path
        The file.
    format
        Its format, one of ``FORMATS``; found by how the file begins, then by its suffix, unless said.
    sensor
        Columns and rows, ``(240, 180)`` or ``"240x180"``, where the file does not say them.
    columns
        Order of the columns of a table without names, the letters ``txyp``.
    unit
        Of the times of a table, ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``; microseconds unless said.
    layout, orientation
        Of AEDAT addresses, as of ``read_aedat_with_counts``; ``"raw"`` unless said.
    clock
        What to do where time goes back, as of ``read_aedat_with_counts``; ``"last-reset"`` unless said.

    Returns
    -------
    Decoded
        Events, sensor, what the file held beside them.

    Raises
    ------
    InvalidFile, InvalidEvents
        As of the readers: a file of no known format, damaged, or with events that cannot be replayed.
    InvalidRequest
        A setting that is unknown, missing, or means nothing for the format.
    MissingExtra
        A package that the format needs is not installed.
    """
    given = settings_of(sensor, columns, unit, layout, orientation, clock)
    return read_as(format_of(path) if format is None else format_named(format), path, given)


def read_as(known: Format, path: Where, settings: Settings) -> Decoded:
    """Read a recording of a known format; settings that mean nothing for it are refused."""
    return known.read(path, known.with_clock(known.settings(settings, path)))


def read_chunks(
    path: Where,
    *,
    chunk_events: int = CHUNK_EVENTS,
    format: str | None = None,
    sensor: tuple[int, int] | str | None = None,
    columns: str | None = None,
    unit: str | None = None,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
) -> Iterator[Events]:
    """Read one recording part by part, in memory that does not grow with its length.

    The parts put together are what ``read_events`` gives. A wrap of the clock is undone; a reset, a stray or
    any other step back can only be judged by what follows, and is refused.

    Parameters
    ----------
    chunk_events
        Events of a part, at most (of AEDAT 3.1, where packets are longer, as many as these have).
    path, format, sensor, columns, unit, layout, orientation
        As of ``read_events``.

    Yields
    ------
    Events
        Shape (n_events,), one or more.

    Raises
    ------
    InvalidRequest
        ``chunk_events`` is no whole number from 1 on, or the format is only read whole; else as
        ``read_events``.
    """
    if isinstance(chunk_events, bool) or not isinstance(chunk_events, int) or chunk_events < 1:
        raise InvalidRequest(f"chunk_events is {chunk_events!r}; give a whole number from 1 on")
    known = format_of(path) if format is None else format_named(format)
    given = known.settings(settings_of(sensor, columns, unit, layout, orientation), path)
    if known.chunks is None:
        in_parts = ", ".join(name for name, other in FORMATS.items() if other.chunks)
        raise InvalidRequest(
            f"{path}: {known.title} files are read whole; in parts are read {in_parts}: write it anew with "
            "`eventsnn data convert`"
        )
    return _some(known.chunks(path, given, chunk_events), path)


def _some(parts: Iterator[Events], path: Where) -> Iterator[Events]:
    empty = True
    for part in parts:
        empty = False
        yield part
    if empty:
        raise InvalidEvents(f"{path}: no pixel event in the file; the recording is empty")


def write_events(
    path: Where,
    events: Events,
    *,
    sensor: tuple[int, int] | str,
    format: str | None = None,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
) -> None:
    """Write one recording, whole or not at all; reading it back gives the same events.

    Parameters
    ----------
    path
        The file; one that is there is replaced once the new one is whole.
    events
        Shape (n_events,), one or more, valid on the sensor.
    sensor
        Columns and rows.
    format
        One of ``FORMATS``; by the suffix unless said.
    layout, orientation
        Of AEDAT addresses; a layout of the sensor's size and ``"raw"`` unless said.

    Raises
    ------
    InvalidEvents, InvalidRequest
        What the format has no room for, or cannot say.
    MissingExtra
        A package that the format needs is not installed.
    CannotWrite, OSError
        If the file cannot be written.
    """
    given = settings_of(sensor, layout=layout, orientation=orientation)
    width, height = given.sensor or (0, 0)
    write_as(writer_of(path, format), path, events, height, width, replace(given, sensor=None))


def writer_of(path: Where, format: str | None) -> Format:
    """The format that a file is written in, by name or by suffix."""
    suffix = Path(path).suffix.lower()
    found = (
        next((known for known in FORMATS.values() if suffix in known.suffixes), None)
        if format is None
        else format_named(format)
    )
    if found is None or found.write is None:
        written = ", ".join(name for name, known in FORMATS.items() if known.write)
        raise InvalidRequest(
            f"{path}: no format that is written has this suffix or name; written are {written}"
        )
    return found


def write_as(known: Format, path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a recording in a known format; settings that mean nothing for it are refused.

    The file appears under its name once it is whole.
    """
    if other := [name for name in settings.said() if name not in known.writes_with]:
        raise InvalidRequest(f"{path}: {', '.join(other)} was given, which {known.title} files do not have")
    assert known.write is not None
    with replaced_whole(path, _any) as aside:
        known.write(_Aside(os.fspath(aside), os.fspath(path)), events, height, width, settings)


def _any(found: bytes) -> bool:
    """Of recordings all may be written over: some formats begin with nothing of their own."""
    return True


@dataclass(frozen=True)
class _Aside(os.PathLike[str]):
    """A file that is written aside: opened by the one name, and called by the other in messages."""

    place: str
    called: str

    def __fspath__(self) -> str:
        return self.place

    def __str__(self) -> str:
        return self.called
