"""What a format of recordings is: how it is known, read, read in parts, and written."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from eventsnn.errors import InvalidRequest
from eventsnn.events.clock import Clock, clock_of
from eventsnn.events.layouts import AddressLayout, Orientation, layout_of, orientation_of
from eventsnn.events.stream import Events

Where: TypeAlias = str | os.PathLike[str]

LARGEST_SENSOR = 32_768
"""Rows or columns that addresses can name."""

UNITS_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Units of time that tables of numbers may have, nanoseconds."""

COLUMNS = "txyp"


@dataclass(frozen=True)
class Settings:
    """What a file may not say of itself; None is not said.

    Attributes
    ----------
    sensor
        Columns and rows of the camera.
    columns
        What the columns of an unnamed table are, the letters ``txyp`` in their order.
    unit
        Unit of the times of a table, one of ``UNITS_NS``.
    layout, orientation
        Of AEDAT addresses.
    clock
        What to do where time goes back.
    """

    sensor: tuple[int, int] | None = None
    columns: str | None = None
    unit: str | None = None
    layout: AddressLayout | None = None
    orientation: Orientation | None = None
    clock: Clock | None = None

    def said(self) -> list[str]:
        """The settings that were said."""
        return [item.name for item in fields(self) if getattr(self, item.name) is not None]


def settings_of(
    sensor: tuple[int, int] | str | None = None,
    columns: str | None = None,
    unit: str | None = None,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
    clock: str | None = None,
) -> Settings:
    """Settings as they are given: a sensor as ``(34, 34)`` or ``"34x34"``, layouts, orientations by name too.

    Raises
    ------
    InvalidRequest
        If one is none of what is allowed.
    """
    return Settings(
        None if sensor is None else _sensor_of(sensor),
        None if columns is None else _columns_of(columns),
        None if unit is None else _unit_of(unit),
        None if layout is None else layout_of(layout),
        None if orientation is None else orientation_of(orientation),
        None if clock is None else clock_of(clock),
    )


def _sensor_of(given: Any) -> tuple[int, int]:
    pair = given
    if isinstance(given, str) and (found := re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", given)):
        pair = (int(found[1]), int(found[2]))
    if (
        not isinstance(pair, tuple | list)
        or len(pair) != 2
        or any(isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= LARGEST_SENSOR for n in pair)
    ):
        raise InvalidRequest(
            f"a sensor is {given!r}; give columns and rows, 1 to {LARGEST_SENSOR} each, as (240, 180) or "
            "240x180"
        )
    return pair[0], pair[1]


def _columns_of(given: Any) -> str:
    if not isinstance(given, str) or sorted(given) != sorted(COLUMNS):
        raise InvalidRequest(
            f"columns are {given!r}; give the letters t, x, y and p in the order of the file, as txyp"
        )
    return given


def _unit_of(given: Any) -> str:
    if not isinstance(given, str) or given not in UNITS_NS:
        raise InvalidRequest(f"unknown unit of time {given!r}; allowed are {', '.join(UNITS_NS)}")
    return given


@dataclass(frozen=True, eq=False)
class Decoded:
    """A recording that was read.

    Attributes
    ----------
    events
        Shape (n_events,), one or more, valid on the sensor.
    height, width
        The sensor, pixels.
    counts
        What the file held, by name: ``records``, and what of them was left out.
    origin
        What time zero is: ``"file"``, the zero of the stored times, or ``"first-event"``.
    """

    events: Events
    height: int
    width: int
    counts: dict[str, int] = field(default_factory=dict)
    origin: str = "file"


Reader: TypeAlias = Callable[[Where, Settings], Decoded]
Chunks: TypeAlias = Callable[[Where, Settings, int], Iterator[Events]]
Writer: TypeAlias = Callable[[Where, Events, int, int, Settings], None]


@dataclass(frozen=True)
class Format:
    """One format of files.

    Attributes
    ----------
    name, title
        What it is named by, and what messages call it.
    suffixes
        Of its files; the first one is what a written file gets.
    begins
        Whether a file is of this format, by its first ``LOOKED_AT`` bytes.
    takes
        The settings that mean something for it; others are refused.
    size
        Columns and rows as the file or the settings say, without its events being read.
    read, chunks, write
        ``chunks`` reads in parts of at most so many events, in bounded memory; None where a format cannot.
    writes_with
        The settings that mean something to ``write``.
    origin
        As of ``Decoded``.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    takes: frozenset[str]
    size: Callable[[Where, Settings], tuple[int, int]]
    read: Reader
    chunks: Chunks | None = None
    write: Writer | None = None
    writes_with: frozenset[str] = frozenset()
    origin: str = "file"

    def settings(self, given: Settings, where: Where) -> Settings:
        """The settings, or a refusal of those that say nothing of this format."""
        if other := [name for name in given.said() if name not in self.takes]:
            allowed = f"; of this format may be said: {', '.join(sorted(self.takes))}" if self.takes else ""
            raise InvalidRequest(
                f"{where}: {', '.join(other)} was given, which {self.title} files say themselves or do not "
                f"have{allowed}"
            )
        return given

    def with_clock(self, given: Settings) -> Settings:
        """The settings with the clock that is usual."""
        return replace(given, clock=given.clock or "last-reset")


LOOKED_AT = 4096
