"""Headers of Prophesee's files: lines of text that begin with ``%``.

Source: Prophesee, "RAW file format" and "DAT file format", https://docs.prophesee.ai/stable/data/file_formats/.
"""

import re
from dataclasses import dataclass
from typing import BinaryIO

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events.readers.contract import LARGEST_SENSOR, Where

_LONGEST_HEADER = 1 << 20
_TEXT = re.compile(rb"% ?[\t\x20-\x7e\x80-\xff]*\r?\n")


@dataclass(frozen=True)
class Header:
    """What a header says: its words by keyword in lower case, its sensor if named, where it ends."""

    words: dict[str, str]
    sensor: tuple[int, int] | None
    end: int

    def sensor_or(self, said: tuple[int, int] | None, path: Where) -> tuple[int, int]:
        """Columns and rows by the header, or else as said; both only if they agree."""
        if self.sensor and said and self.sensor != said:
            raise InvalidRequest(
                f"{path}: the header says a sensor of {self.sensor[0]}x{self.sensor[1]} pixels, and "
                f"{said[0]}x{said[1]} was said; leave that out"
            )
        found = self.sensor or said
        if found is None:
            raise InvalidRequest(
                f"{path}: the header does not say how large the sensor is; say columns and rows, "
                "sensor=(1280, 720) (--sensor 1280x720)"
            )
        return found


def header_of(file: BinaryIO, path: Where) -> Header:
    """Read a header; the first line after it, or what follows ``% end``, is where it ends.

    Raises
    ------
    InvalidFile
        No header, one that does not end, or a sensor of no size.
    """
    file.seek(0)
    data = file.read(_LONGEST_HEADER)
    words: dict[str, str] = {}
    start = 0
    while (found := _TEXT.match(data, start)) is not None:
        start = found.end()
        text = found[0][1:].strip().decode("utf-8", "replace")
        keyword, _, value = text.partition(" ")
        if keyword.lower() == "end":
            break
        if text.lower().startswith("data file containing"):
            keyword, value = "containing", text[len("data file containing") :]
        words[keyword.lower()] = value.strip()
    if not start:
        raise InvalidFile(
            f"{path}: the file does not begin with a header, lines of text after '%'; it is of another "
            "format or "
            "damaged"
        )
    if start == _LONGEST_HEADER:
        raise InvalidFile(f"{path}: the header does not end; the file is damaged, fetch it again")
    return Header(words, _sensor(words, path), start)


def _sensor(words: dict[str, str], path: Where) -> tuple[int, int] | None:
    said = words.get("geometry", "").lower().split("x")
    options = dict(part.partition("=")[::2] for part in words.get("format", "").lower().split(";")[1:])
    for pair in (
        said,
        [options.get("width"), options.get("height")],
        [words.get("width"), words.get("height")],
    ):
        if len(pair) != 2 or None in pair:
            continue
        try:
            width, height = (int(str(number)) for number in pair)
        except ValueError:
            width = height = 0
        if not (1 <= width <= LARGEST_SENSOR and 1 <= height <= LARGEST_SENSOR):
            raise InvalidFile(
                f"{path}: the header says a sensor of {pair[0]} by {pair[1]} pixels; the file is damaged"
            )
        return width, height
    return None
