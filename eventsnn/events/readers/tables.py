"""Events as text (``.csv``, ``.txt``) and as Parquet tables.

Text has one event a line, its numbers separated by commas, semicolons, tabs or blanks, as the first line
shows; that line may name the columns, else their order must be said. Lines that begin with ``#`` are
comments.
"""

import io
import re
import warnings
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import EventsnnError, InvalidEvents, InvalidFile, MissingExtra
from eventsnn.events.readers.blocks import AT_ONCE
from eventsnn.events.readers.columns import decoded, in_parts_of_columns, named, order_said, sensor_said
from eventsnn.events.readers.contract import COLUMNS, Decoded, Settings, Where
from eventsnn.events.readers.files import in_one_line, opened
from eventsnn.events.stream import Events, validate_events

PARQUET_MAGIC = b"PAR1"

Columns: TypeAlias = dict[str, NDArray[Any]]

_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?")


def table_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows as said."""
    return sensor_said(settings, path, "table")


def read_csv(path: Where, settings: Settings) -> Decoded:
    """The events of a text file.

    Raises
    ------
    InvalidFile
        Something that is no number, or lines of unequal length.
    InvalidEvents
        Values that no event has, or time going back where the clock does not allow it.
    InvalidRequest
        The sensor, the order of unnamed columns or the unit of fractions is not said.
    """
    sensor_said(settings, path, "csv")
    return decoded(_whole(_lines(path, settings, AT_ONCE), path), settings, path, "csv")


def csv_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The events in parts of at most ``at_once``; errors as of ``read_csv``."""
    return in_parts_of_columns(_lines(path, settings, at_once), settings, path, "csv")


def _lines(path: Where, settings: Settings, at_once: int) -> Iterator[Columns]:
    """The columns of so many lines at a time."""
    try:
        with (
            opened(path) as file,
            io.TextIOWrapper(io.BufferedReader(cast(io.RawIOBase, file)), "utf-8-sig", newline="") as lines,
        ):
            first = next((line for line in map(str.strip, lines) if line and not line.startswith("#")), "")
            separator = next((sign for sign in ",;\t" if sign in first), None)
            words = [word.strip() for word in (first.split(separator) if separator else first.split())]
            rest: Iterator[str] = lines
            if all(_NUMBER.fullmatch(word) for word in words):
                rest = chain([first], lines)
                said = order_said(settings, path) if first else COLUMNS
                if first and len(words) != len(said):
                    raise InvalidFile(
                        f"{path}: the first line has {len(words)} numbers, {first[:60]!r}; events have "
                        "four, t, x, y and p"
                    )
                places = [said.index(name) for name in COLUMNS]
            else:
                places = [words.index(name) for name in named(words, path).values()]
            while some := list(islice(rest, at_once)):
                yield _numbers(some, separator, places, path)
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{path}: the file is no text; it is of another format") from error


def _numbers(lines: list[str], separator: str | None, places: list[int], path: Where) -> Columns:
    """Whole numbers where all are, so that long times lose nothing; else floating-point ones."""
    problem: Exception = ValueError()
    for kind in (np.int64, np.float64):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                table = np.loadtxt(lines, kind, delimiter=separator, usecols=places, ndmin=2)
            return {name: table[:, place] for place, name in enumerate(COLUMNS)}
        except Exception as error:  # NumPy says in several ways that a word is no number
            problem = error
    raise InvalidFile(
        f"{path}: not every line is an event of four numbers ({in_one_line(problem)})"
    ) from problem


def _whole(tables: Iterator[Columns], path: Where) -> Columns:
    """Parts put together."""
    parts = list(tables)
    if not parts:
        raise InvalidFile(f"{path}: no event in the file; the recording is empty")
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def write_csv(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a line for each event, under the line ``t,x,y,p``; reading it back gives the same events."""
    _require(path, events, height, width)
    with Path(path).open("w", encoding="ascii", newline="\n") as file:
        file.write("t,x,y,p\n")
        for begin in range(0, len(events), 1 << 16):
            part = events[begin : begin + (1 << 16)]
            file.write("\n".join(f"{t},{x},{y},{p:d}" for t, x, y, p in part.tolist()) + "\n")


def read_parquet(path: Where, settings: Settings) -> Decoded:
    """The events of a Parquet file, by the names of its columns; errors as of ``read_csv``.

    Raises
    ------
    MissingExtra
        ``pyarrow`` is not installed.
    """
    sensor_said(settings, path, "Parquet")
    return decoded(_whole(_batches(path, AT_ONCE), path), settings, path, "Parquet")


def parquet_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The events in parts of at most ``at_once``; errors as of ``read_parquet``.

    A group of rows of the file is held at a time.
    """
    return in_parts_of_columns(_batches(path, at_once), settings, path, "Parquet")


def _batches(path: Where, at_once: int) -> Iterator[Columns]:
    """The columns of so many rows at a time."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise _missing(path) from error
    with opened(path) as file:
        try:
            with ParquetFile(file) as table:
                found = named(table.schema_arrow.names, path)
                for batch in table.iter_batches(at_once, columns=list(found.values())):
                    yield {
                        column: batch.column(name).to_numpy(zero_copy_only=False)
                        for column, name in found.items()
                    }
        except EventsnnError:
            raise
        except Exception as error:  # its decoders answer to damage with any kind of error
            raise InvalidFile(
                f"{path}: cannot be read as Parquet ({in_one_line(error)}); it is damaged"
            ) from error


def write_parquet(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a table with the columns t, x, y and p; reading it back gives the same events.

    Raises
    ------
    MissingExtra
        ``pyarrow`` is not installed.
    """
    _require(path, events, height, width)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise _missing(path) from error
    columns = {name: np.ascontiguousarray(events[name]) for name in COLUMNS}
    parquet.write_table(pyarrow.table(columns), Path(path), row_group_size=1 << 18)


def _missing(path: Where) -> MissingExtra:
    return MissingExtra(
        f"{path}: Parquet files are read and written through pyarrow; install it: "
        "pip install 'eventsnn[tables]'"
    )


def _require(path: Where, events: Events, height: int, width: int) -> None:
    validate_events(events, height, width, f"{path} (to be written)")
    if not len(events):
        raise InvalidEvents(f"{path}: there is no event to write")
