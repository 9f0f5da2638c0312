"""Events as text (``.csv``, ``.txt``) and as Parquet tables.

Text has one event a line, its numbers separated by commas, semicolons, tabs or blanks, as the first line
shows; that line may name the columns, else their order must be said. Lines that begin with ``#`` are
comments.
"""

import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import EventsnnError, InvalidEvents, InvalidFile, MissingExtra
from eventsnn.events.readers.columns import decoded, named, order_said, rows, sensor_said
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import beginning, in_one_line, read_bytes
from eventsnn.events.stream import Events, validate_events

PARQUET_MAGIC = b"PAR1"

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
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"{path}: the file is no text (byte {error.start}); it is of another format"
        ) from error
    lines = io.StringIO(text)
    first = ""
    skipped = 0
    for line in lines:
        first = line.strip()
        if first and not first.startswith("#"):
            break
        skipped += 1
    else:
        raise InvalidFile(f"{path}: no event in the file; the recording is empty")
    separator = next((sign for sign in ",;\t" if sign in first), None)
    words = [word.strip() for word in (first.split(separator) if separator else first.split())]
    has_names = not all(_NUMBER.fullmatch(word) for word in words)
    if has_names:
        found = named(words, path)
        order = {column: words.index(name) for column, name in found.items()}
    else:
        said = order_said(settings, path)
        if len(words) != len(said):
            raise InvalidFile(
                f"{path}: the first line has {len(words)} numbers, {first[:60]!r}; events have four, t, "
                "x, y and p"
            )
        order = {column: place for place, column in enumerate(said)}
    columns = _columns(text, skipped + has_names, separator, order, path)
    return decoded(columns, settings, path, "csv")


def _columns(
    text: str, skip: int, separator: str | None, order: dict[str, int], path: Where
) -> dict[str, NDArray[Any]]:
    """Whole numbers where all are, so that long times lose nothing; else floating-point ones."""
    places = [order[name] for name in "txyp"]
    problem: Exception = ValueError()
    for kind in (np.int64, np.float64):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                table = np.loadtxt(
                    io.StringIO(text), kind, delimiter=separator, skiprows=skip, usecols=places, ndmin=2
                )
            return rows(table, "txyp", path)
        except EventsnnError:
            raise
        except Exception as error:  # NumPy says in several ways that a word is no number
            problem = error
    raise InvalidFile(
        f"{path}: not every line is an event of four numbers ({in_one_line(problem)})"
    ) from problem


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
        ``pandas`` or ``pyarrow`` is not installed.
    """
    sensor_said(settings, path, "Parquet")
    beginning(path, 1)
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise _missing(path) from error
    try:
        table = pandas.read_parquet(Path(path))
        names = [str(name) for name in table.columns]
        columns = {
            column: table.iloc[:, names.index(name)].to_numpy() for column, name in named(names, path).items()
        }
    except EventsnnError:
        raise
    except Exception as error:  # its decoders answer to damage with any kind of error
        raise InvalidFile(
            f"{path}: cannot be read as Parquet ({in_one_line(error)}); it is damaged"
        ) from error
    return decoded(columns, settings, path, "Parquet")


def write_parquet(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """Write a table with the columns t, x, y and p; reading it back gives the same events.

    Raises
    ------
    MissingExtra
        ``pandas`` or ``pyarrow`` is not installed.
    """
    _require(path, events, height, width)
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise _missing(path) from error
    pandas.DataFrame({name: events[name] for name in "txyp"}).to_parquet(Path(path), index=False)


def _missing(path: Where) -> MissingExtra:
    return MissingExtra(
        f"{path}: Parquet files are read and written through pandas and pyarrow; install them: "
        "pip install 'eventsnn[tables]'"
    )


def _require(path: Where, events: Events, height: int, width: int) -> None:
    validate_events(events, height, width, f"{path} (to be written)")
    if not len(events):
        raise InvalidEvents(f"{path}: there is no event to write")
